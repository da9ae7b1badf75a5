//! Whether a file is what the books say: its rows are read back and compared with those that the books make now.

use crate::grid::{self, Cell, label};
use crate::{Paper, checksum, csv as paper_csv, drift};
use calamine::{Data, Reader, Xlsx};
use std::io::Cursor;
use tongbao_model::{Month, Text, decimal};
use tongbao_recon::statement::Statement;

/// Largest file that is read.
pub const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Most rows that are read.
const ROWS_MAX: usize = 1_000_000;

/// What a PDF's keywords begin with.
const MARK: &str = "tongbao-statement:";

/// Differences that are told.
const TOLD_MAX: usize = 100;

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Of whom.
    pub customer: String,
    /// Which month.
    pub month: Month,
    /// Credit days by which it was aged.
    pub credit_days: u32,
    /// When the books were read, in milliseconds since 1970 UTC.
    pub as_of_ms: i64,
    /// Who issued it, as it says.
    pub seller: Option<String>,
    /// The customer's name, as it says.
    pub buyer: Option<String>,
    /// Its checksum line.
    pub checksum: String,
    rows: Vec<(String, Vec<String>)>,
}

/// A row that is not what the books say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where in the file: a row as a spreadsheet counts them, of an Excel file with its sheet. `None`: the file has no such row.
    pub place: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// What the books say. `None`: they have no such row.
    pub expected: Option<String>,
}

/// Reads a file of any kind that is exported here.
///
/// # Errors
/// It is not one of ours, or too large.
pub fn read(bytes: &[u8]) -> Result<Found, Text> {
    if bytes.starts_with(b"PK") {
        read_xlsx(bytes)
    } else if bytes.starts_with(b"%PDF") {
        read_pdf(bytes)
    } else {
        read_csv(bytes)
    }
}

impl Found {
    /// Whether its rows can be compared: not those of a PDF.
    pub fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }
}

/// What a PDF carries beside its pages: whose statement it is, and its checksum.
pub fn mark(statement: &Statement) -> String {
    let Statement { customer, month, credit_days, .. } = statement;
    let (as_of, sum) = (grid::as_of(statement), checksum::of(statement));
    format!("{MARK}{}", hex::encode(format!("{month}\n{credit_days}\n{as_of}\n{sum}\n{customer}")))
}

/// Reads what a PDF carries. Its pages are not read: somebody who draws over them is not seen.
///
/// # Errors
/// It is not one of ours, or too large.
pub fn read_pdf(bytes: &[u8]) -> Result<Found, Text> {
    let bytes = within(bytes)?;
    let place = bytes.windows(MARK.len()).position(|window| window == MARK.as_bytes());
    let marked = place.and_then(|at| bytes.get(at + MARK.len()..)).unwrap_or_default();
    let digits = marked.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let text = marked.get(..digits).and_then(|digits| hex::decode(digits).ok()).unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    let mut fields = text.splitn(5, '\n').map(str::to_owned);
    let labels = [label::MONTH, label::CREDIT_DAYS, label::AS_OF, label::CHECKSUM, label::CUSTOMER];
    let rows = labels.map(|label| vec![label.to_owned(), fields.next().unwrap_or_default()]);
    let found = found(rows.into_iter().map(|cells| (String::new(), cells)).collect())?;
    Ok(Found { rows: Vec::new(), ..found })
}

/// Reads a CSV file.
///
/// # Errors
/// It is not one of ours, or too large.
pub fn read_csv(bytes: &[u8]) -> Result<Found, Text> {
    let bytes = within(bytes)?;
    let bytes = bytes.strip_prefix(paper_csv::MARK.as_bytes()).unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(bytes);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            Text::new(format!("CSV 无法读取：{error}"), format!("the CSV cannot be read: {error}"))
        })?;
        let row = rows.len() + 1;
        rows.push((format!("第 {row} 行 row {row}"), record.iter().map(str::to_owned).collect()));
    }
    found(rows)
}

/// Reads an Excel file: all its sheets, and of formulas the results.
///
/// # Errors
/// It is not one of ours, or too large.
pub fn read_xlsx(bytes: &[u8]) -> Result<Found, Text> {
    let wrong = |error: &dyn std::fmt::Display| {
        Text::new(format!("Excel 文件无法读取：{error}"), format!("the Excel file cannot be read: {error}"))
    };
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(within(bytes)?)).map_err(|error| wrong(&error))?;
    let mut rows = Vec::new();
    // What the books say of each other is no part of the statement.
    for name in book.sheet_names().into_iter().filter(|name| name != drift::NAME) {
        let sheet = book.worksheet_range(&name).map_err(|error| wrong(&error))?;
        let first = sheet.start().map_or(0, |(row, _)| row);
        for (line, cells) in (first + 1..).zip(sheet.rows()) {
            rows.push((format!("{name} 第 {line} 行 row {line}"), cells.iter().map(text).collect()));
            if rows.len() > ROWS_MAX {
                return Err(too_large());
            }
        }
    }
    found(rows)
}

fn within(bytes: &[u8]) -> Result<&[u8], Text> {
    if bytes.len() > BYTES_MAX { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> Text {
    Text::new(
        "文件过大，不是本产品导出的对账单",
        "the file is too large for a statement that was exported here",
    )
}

/// A cell as text. Numbers have the fewest digits that name them, which are those that were written.
fn text(cell: &Data) -> String {
    match cell {
        Data::String(text) => text.clone(),
        Data::Float(number) => number.to_string(),
        Data::Int(number) => number.to_string(),
        Data::DateTime(day) => {
            let (year, month, day, ..) = day.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02}")
        }
        Data::DateTimeIso(text) => text.split('T').next().unwrap_or_default().to_owned(),
        Data::Bool(flag) => flag.to_string(),
        Data::Empty | Data::Error(_) | Data::DurationIso(_) => String::new(),
    }
}

fn found(rows: Vec<(String, Vec<String>)>) -> Result<Found, Text> {
    if rows.len() > ROWS_MAX {
        return Err(too_large());
    }
    let said = |label: &str| {
        let row = rows.iter().find(|(_, cells)| cells.first().is_some_and(|cell| cell == label));
        let value = row.and_then(|(_, cells)| cells.get(1)).map(|cell| paper_csv::unguarded(cell).to_owned());
        value.filter(|value| !value.is_empty())
    };
    let needed = |label: &str| {
        said(label).ok_or_else(|| {
            Text::new(
                format!("没有“{label}”一行：不是本产品导出的对账单，或已被改动"),
                format!("there is no line `{label}`: this is no statement that was exported here, or it was altered"),
            )
        })
    };
    let wrong = |label: &str, value: &str| {
        Text::new(format!("“{label}”不应为 {value}"), format!("`{label}` cannot be `{value}`"))
    };
    let (month, days, as_of) = (needed(label::MONTH)?, needed(label::CREDIT_DAYS)?, needed(label::AS_OF)?);
    let moment: Result<jiff::Timestamp, _> = as_of.parse();
    Ok(Found {
        customer: needed(label::CUSTOMER)?,
        month: month.parse().map_err(|_| wrong(label::MONTH, &month))?,
        credit_days: days.parse().map_err(|_| wrong(label::CREDIT_DAYS, &days))?,
        as_of_ms: moment.map_err(|_| wrong(label::AS_OF, &as_of))?.as_millisecond(),
        seller: said(label::SELLER),
        buyer: said(label::BUYER),
        checksum: needed(label::CHECKSUM)?,
        rows,
    })
}

/// Compares a file with the statement that the books make; names at most a hundred rows.
pub fn differences(found: &Found, paper: &Paper<'_>) -> Vec<Difference> {
    if !found.has_rows() {
        return Vec::new();
    }
    let expected: Vec<Vec<Cell>> =
        grid::sheets(paper).into_iter().flat_map(|sheet| sheet.rows).map(|row| row.cells).collect();
    let (mut rows, mut expected) = (found.rows.as_slice(), expected.as_slice());
    // What is the same at both ends is no news; in between, a row that was taken out or put in shifts the others.
    while let (Some(((_, cells), more)), Some((row, rest))) = (rows.split_first(), expected.split_first()) {
        if !same(cells, row) {
            break;
        }
        (rows, expected) = (more, rest);
    }
    while let (Some(((_, cells), more)), Some((row, rest))) = (rows.split_last(), expected.split_last()) {
        if !same(cells, row) {
            break;
        }
        (rows, expected) = (more, rest);
    }
    between(rows, expected)
}

/// Pairs of what is left, without those that agree where they stand.
fn between(rows: &[(String, Vec<String>)], expected: &[Vec<Cell>]) -> Vec<Difference> {
    let longest = rows.len().max(expected.len());
    let pairs = (0..longest).map(|index| (rows.get(index), expected.get(index)));
    let differing = pairs.filter(|(found, expected)| match (found, expected) {
        (Some((_, cells)), Some(row)) => !same(cells, row),
        _ => true,
    });
    differing
        .take(TOLD_MAX)
        .map(|(found, expected)| Difference {
            place: found.map(|(place, _)| place.clone()),
            found: found.map(|(_, cells)| cells.join(" | ").trim_end_matches([' ', '|']).to_owned()),
            expected: expected.map(|row| row.iter().map(Cell::shown).collect::<Vec<_>>().join(" | ")),
        })
        .collect()
}

/// Whether the cells of a file say what a row says. Empty cells at the end do not count.
fn same(cells: &[String], row: &[Cell]) -> bool {
    let count = cells.len().max(row.len());
    (0..count).all(|index| {
        let found = cells.get(index).map_or("", String::as_str);
        match row.get(index).unwrap_or(&Cell::Blank) {
            Cell::Blank => found.is_empty(),
            Cell::Text(text) => found == text || paper_csv::unguarded(found) == text,
            Cell::Day(day) => found == day.to_string(),
            Cell::Amount(amount) => decimal::parse(found) == Ok(*amount),
        }
    })
}
