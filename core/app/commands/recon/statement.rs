//! `tongbao recon statement` and `tongbao recon verify`.

use crate::cli::{StatementArgs, StatementFormat};
use crate::output::{self, Exit};
use crate::{fonts, receivables, statements};
use serde_json::{Value, json};
use std::path::Path;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{Store, StoreError};
use tongbao_model::Text;
use tongbao_paper::grid::{self, Cell, Role};
use tongbao_paper::verify::{self, Difference, Found};
use tongbao_paper::{Paper, checksum, csv, pdf, xlsx};
use tongbao_recon::statement::{Question, Statement};

/// Why a command has come to nothing.
enum Stop {
    Store(StoreError),
    Told(Text),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Store(error)
    }
}

impl Stop {
    fn exit(self, as_json: bool) -> Exit {
        match self {
            Stop::Store(error) => super::super::store_failed(&error, as_json),
            Stop::Told(why) => {
                output::note(&why.to_string());
                Exit::Failed
            }
        }
    }
}

/// Makes a statement and prints or writes it.
pub async fn run(args: &StatementArgs, config: &Path, as_json: bool) -> Exit {
    let format = if as_json { StatementFormat::Json } else { args.format };
    let as_of_ms = args.when.as_of.as_deref().map(receivables::as_of_ms).transpose();
    let (month, as_of_ms) = match (args.month.parse(), as_of_ms) {
        (Ok(month), Ok(as_of_ms)) => (month, as_of_ms.unwrap_or_else(|| SystemClock.now_ms())),
        (Err(_), _) => {
            output::note(&format!("月份 {0} 应如 2026-10 / `{0}` is no month such as 2026-10", args.month));
            return Exit::Usage;
        }
        (_, Err(why)) => {
            output::note(&why.to_string());
            return Exit::Usage;
        }
    };
    if format.is_binary() && args.out.is_none() {
        output::note("该格式须以 --out 指明文件 / this format needs a file: --out");
        return Exit::Usage;
    }
    let store = match super::super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let question = Question { customer: &args.customer, month, as_of_ms, credit_days: args.credit_days };
    let made = written(store.as_ref(), question, args, format).await;
    store.close().await;
    made.unwrap_or_else(|stop| stop.exit(as_json))
}

async fn written(
    store: &dyn Store,
    question: Question<'_>,
    args: &StatementArgs,
    format: StatementFormat,
) -> Result<Exit, Stop> {
    let statement = statements::made(store, question).await?.map_err(Stop::Told)?;
    let Some(customer) = statements::customer(store, question.customer).await? else {
        let code = question.customer;
        return Err(Stop::Told(Text::new(
            format!("没有单据指明客户 {code}：请核对客户编码"),
            format!("no document names customer {code}: check the code"),
        )));
    };
    let known = args.buyer.clone().or(customer.name);
    let paper = Paper { statement: &statement, seller: args.seller.as_deref(), buyer: known.as_deref() };
    let bytes = match format {
        StatementFormat::Table => table(&paper).into_bytes(),
        StatementFormat::Json => json_text(&statement).into_bytes(),
        StatementFormat::Csv => csv::write(&paper).map_err(|error| failed(&error))?,
        StatementFormat::Pdf => {
            let font = fonts::read(args.font.as_deref()).map_err(Stop::Told)?;
            let read = pdf::Font::read(&font.bytes).map_err(|why| font.refused(&why)).map_err(Stop::Told)?;
            pdf::write(&paper, &read).map_err(|why| font.refused(&why)).map_err(Stop::Told)?
        }
        StatementFormat::Xlsx => xlsx::write(&paper).map_err(|error| failed(&error))?,
    };
    match &args.out {
        Some(path) => {
            std::fs::write(path, bytes).map_err(|error| failed(&format!("{}: {error}", path.display())))?;
            output::note(&format!("{} {}", path.display(), checksum::of(&statement)));
        }
        None => output::line(String::from_utf8_lossy(&bytes).trim_end()),
    }
    Ok(Exit::Ok)
}

fn failed(error: &dyn std::fmt::Display) -> Stop {
    Stop::Told(Text::new(
        format!("对账单无法写出：{error}"),
        format!("the statement cannot be written: {error}"),
    ))
}

fn json_text(statement: &Statement) -> String {
    let mut told = json!(statement);
    if let Value::Object(members) = &mut told {
        members.insert("as_of".into(), grid::as_of(statement).into());
        members.insert("checksum".into(), checksum::of(statement).into());
    }
    serde_json::to_string_pretty(&told).unwrap_or_default()
}

/// The rows of the files, for a terminal.
fn table(paper: &Paper<'_>) -> String {
    let mut text = String::new();
    for sheet in grid::sheets(paper) {
        let mut rows: Vec<Vec<String>> = Vec::new();
        for row in sheet.rows {
            let cells: Vec<String> = row.cells.iter().map(shown).collect();
            match row.role {
                Role::Title | Role::About | Role::Checksum => {
                    text.push_str(&flushed(&mut rows));
                    text.push_str(&cells.join("  "));
                    text.push('\n');
                }
                Role::Header => {
                    text.push_str(&flushed(&mut rows));
                    rows.push(cells);
                }
                Role::Opening | Role::Line | Role::Total | Role::Ageing => rows.push(cells),
            }
        }
        text.push('\n');
    }
    text
}

/// A table of what was gathered under its header.
fn flushed(rows: &mut Vec<Vec<String>>) -> String {
    let rows = std::mem::take(rows);
    let Some((head, lines)) = rows.split_first() else { return String::new() };
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    format!("\n{}\n", output::table(&head, lines))
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Blank => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Day(day) => day.to_string(),
        Cell::Amount(amount) => checksum::amount(*amount),
    }
}

/// Holds a file against the books.
pub async fn verify(file: &Path, config: &Path, as_json: bool) -> Exit {
    let found = match read(file) {
        Ok(found) => found,
        Err(why) => {
            output::note(&format!("{}: {why}", file.display()));
            return Exit::Failed;
        }
    };
    let store = match super::super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let verdict = judged(store.as_ref(), &found).await;
    store.close().await;
    match verdict {
        Ok(verdict) => verdict.tell(file, &found, as_json),
        Err(stop) => stop.exit(as_json),
    }
}

fn read(file: &Path) -> Result<Found, Text> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Text::new(format!("文件无法读取：{error}"), format!("the file cannot be read: {error}"))
    };
    let size = std::fs::metadata(file).map_err(|error| unreadable(&error))?.len();
    if usize::try_from(size).map_or(true, |size| size > verify::BYTES_MAX) {
        return Err(Text::new("文件过大", "the file is too large"));
    }
    let bytes = std::fs::read(file).map_err(|error| unreadable(&error))?;
    verify::read(&bytes)
}

/// What a file is worth.
struct Verdict {
    /// Rows that are not as the books had them at the time that the file names.
    differences: Vec<Difference>,
    /// Whether the checksum is that of the books at that time.
    is_checksum_right: bool,
    /// Whether the books say the same still.
    is_current: bool,
}

async fn judged(store: &dyn Store, found: &Found) -> Result<Verdict, Stop> {
    let then = Question {
        customer: &found.customer,
        month: found.month,
        as_of_ms: found.as_of_ms,
        credit_days: found.credit_days,
    };
    let now = Question { as_of_ms: SystemClock.now_ms(), ..then };
    let statement = statements::made(store, then).await?.map_err(Stop::Told)?;
    let current = statements::made(store, now).await?.map_err(Stop::Told)?;
    let paper =
        Paper { statement: &statement, seller: found.seller.as_deref(), buyer: found.buyer.as_deref() };
    let sum = checksum::of(&statement);
    Ok(Verdict {
        differences: verify::differences(found, &paper),
        is_checksum_right: found.checksum == sum,
        is_current: checksum::of(&current) == sum,
    })
}

impl Verdict {
    fn tell(&self, file: &Path, found: &Found, as_json: bool) -> Exit {
        let is_proved = self.differences.is_empty() && self.is_checksum_right;
        if as_json {
            let row =
                |one: &Difference| json!({"place": one.place, "found": one.found, "expected": one.expected});
            output::json(&json!({
                "file": file.display().to_string(), "customer": found.customer, "month": found.month, "proved": is_proved,
                "checksum": self.is_checksum_right, "current": self.is_current, "rows_compared": found.has_rows(),
                "differences": self.differences.iter().map(row).collect::<Vec<_>>(),
            }));
        } else {
            self.print(file, found, is_proved);
        }
        if is_proved { Exit::Ok } else { Exit::Failed }
    }

    fn print(&self, file: &Path, found: &Found, is_proved: bool) {
        for Difference { place, found, expected } in &self.differences {
            let place = place.as_deref().unwrap_or("文件中缺少 not in the file");
            let none = "—";
            let (found, expected) = (found.as_deref().unwrap_or(none), expected.as_deref().unwrap_or(none));
            output::line(&format!("✗ {place}\n    文件 file:  {found}\n    账面 books: {expected}"));
        }
        if !self.is_checksum_right {
            output::line("✗ 校验与账面不符 / the checksum is not that of the books");
        }
        if !found.has_rows() {
            output::line(
                "PDF 只核对校验行，不逐行比对 / of a PDF the checksum is compared and not its lines",
            );
        }
        if is_proved {
            let (file, sum) = (file.display(), &found.checksum);
            output::line(&format!("✓ {file} 与账面一致 / equals the books: {sum}"));
        }
        if !self.is_current {
            output::line(
                "账面此后有变动，可重新导出 / the books have changed since: it can be exported again",
            );
        }
    }
}
