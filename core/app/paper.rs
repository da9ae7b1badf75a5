//! Statements with what is on the paper beside them, in every format: for the command line, the API and mail alike.

use crate::fonts;
use crate::statements::compared::{Against, Bank, Compared, compared};
use crate::statements::{self, Books, Failed};
use serde_json::{Value, json};
use std::path::Path;
use tongbao_delivery::port::Store;
use tongbao_model::Text;
use tongbao_paper::{Paper, checksum, csv, drift, grid, pdf, xlsx};
use tongbao_recon::statement::{Question, Statement};

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For programs.
    Json,
    /// UTF-8 with a byte order mark.
    Csv,
    /// A4.
    Pdf,
    /// Excel.
    Xlsx,
}

impl Format {
    /// The format of a file name's ending, without its dot.
    pub fn of_ending(ending: &str) -> Option<Format> {
        Some(match ending {
            "json" => Format::Json,
            "csv" => Format::Csv,
            "pdf" => Format::Pdf,
            "xlsx" => Format::Xlsx,
            _ => return None,
        })
    }

    /// The ending of its files' names, without the dot.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Pdf => "pdf",
            Format::Xlsx => "xlsx",
        }
    }

    /// Whether it has room for the books compared.
    pub fn compares(self) -> bool {
        matches!(self, Format::Json | Format::Xlsx)
    }

    /// As IANA has it registered.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json; charset=utf-8",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Pdf => "application/pdf",
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

/// A statement and the names on its paper.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// What it says.
    pub statement: Statement,
    /// Who issues it.
    pub seller: Option<String>,
    /// The customer's name.
    pub buyer: Option<String>,
    /// The books held against each other: for ourselves, and on no paper that goes to the customer.
    pub compared: Option<Compared>,
}

/// Makes a statement; the customer's name is that of its newest contract unless one is given. The books are compared where it
/// is said by what.
///
/// # Errors
/// What the database said; that nobody knows the customer; that the amounts leave the range.
pub async fn made(
    store: &dyn Store,
    question: Question<'_>,
    seller: Option<String>,
    buyer: Option<String>,
    against: Option<&Against>,
) -> Result<Sheet, Failed> {
    let books = Books::load(store, question.customer).await?;
    let statement = books.statement(question).map_err(Failed::Told)?;
    let Some(customer) = books.customer(store).await? else {
        return Err(Failed::Unknown(statements::unknown(question.customer)));
    };
    let mut sheet = Sheet { statement, seller, buyer: buyer.or(customer.name), compared: None };
    if let Some(against) = against {
        let (bank, until) = (Bank::load(store).await?, (question.month, question.as_of_ms));
        sheet.compared = Some(compared(store, &books, until, against, &bank).await?);
    }
    Ok(sheet)
}

impl Sheet {
    /// As it is written to files.
    pub fn paper(&self) -> Paper<'_> {
        Paper { statement: &self.statement, seller: self.seller.as_deref(), buyer: self.buyer.as_deref() }
    }

    /// The file; of a PDF with the font that is named, or one that is installed.
    ///
    /// # Errors
    /// There is no font; the writer's own.
    pub fn bytes(&self, format: Format, font: Option<&Path>) -> Result<Vec<u8>, Text> {
        let paper = self.paper();
        match format {
            Format::Json => Ok(self.json_text().into_bytes()),
            Format::Csv => csv::write(&paper).map_err(|error| unwritten(&error)),
            Format::Xlsx => {
                let more = self.compared.as_ref().map(|one| drift::sheet(&one.figures, &one.drifts));
                xlsx::write_with(&paper, more.as_ref()).map_err(|error| unwritten(&error))
            }
            Format::Pdf => {
                let font = fonts::read(font)?;
                let read = pdf::Font::read(&font.bytes).map_err(|why| font.refused(&why))?;
                pdf::write(&paper, &read).map_err(|why| font.refused(&why))
            }
        }
    }

    /// Everything it says, for programs.
    pub fn json(&self) -> Value {
        let statement = &self.statement;
        let mut told = json!(statement);
        if let Value::Object(members) = &mut told {
            members.insert("as_of".into(), grid::as_of(statement).into());
            members.insert("checksum".into(), checksum::of(statement).into());
            members.extend(self.compared.as_ref().map(|one| ("compared".to_owned(), one.told())));
        }
        told
    }

    fn json_text(&self) -> String {
        serde_json::to_string_pretty(&self.json()).unwrap_or_default()
    }

    /// A name that every system takes: nothing of the customer's code that could be a path or end a header.
    pub fn file_name(&self, format: Format) -> String {
        let Statement { customer, month, .. } = &self.statement;
        let plain = |one: char| if one.is_ascii_alphanumeric() || one == '-' { one } else { '_' };
        let customer: String = customer.chars().map(plain).take(60).collect();
        format!("statement-{customer}-{month}.{}", format.ending())
    }
}

/// That a file cannot be written.
pub fn unwritten(error: &dyn std::fmt::Display) -> Text {
    Text::new(format!("对账单无法写出：{error}"), format!("the statement cannot be written: {error}"))
}
