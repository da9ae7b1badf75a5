//! `tongbao recon statement` and `tongbao recon verify`.

use super::stopped;
use crate::cli::{StatementArgs, StatementFormat};
use crate::output::{self, Exit};
use crate::paper::{self, Format, Sheet};
use crate::routes::{Ids, Routes};
use crate::statements::compared::Against;
use crate::statements::{Books, Failed};
use crate::{closings, receivables};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::Store;
use tongbao_model::Text;
use tongbao_paper::grid::{self, Cell, Role};
use tongbao_paper::verify::{self, Difference, Found};
use tongbao_paper::{Paper, checksum, drift};
use tongbao_recon::statement::Question;

/// Makes a statement and prints or writes it.
pub async fn run(args: &StatementArgs, config: &Path, as_json: bool) -> Exit {
    let format = if as_json { StatementFormat::Json } else { args.format };
    let as_of_ms = args.when.as_of.as_deref().map(receivables::as_of_ms).transpose();
    let (month, as_of_ms) = match (closings::month(&args.month), as_of_ms) {
        (Ok(month), Ok(as_of_ms)) => (month, as_of_ms.unwrap_or_else(|| SystemClock.now_ms())),
        (Err(why), _) | (_, Err(why)) => {
            output::note(&why.to_string());
            return Exit::Usage;
        }
    };
    if format.is_binary() && args.out.is_none() {
        output::note("该格式须以 --out 指明文件 / this format needs a file: --out");
        return Exit::Usage;
    }
    let (loaded, store) = match super::super::opened(config).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let routes = Routes::new(loaded.config.flows.clone(), Ids::Uuid);
    let against = Against::new(loaded.config.statements.map(Arc::new), &routes);
    let question = Question { customer: &args.customer, month, as_of_ms, credit_days: args.credit_days };
    let made = written(store.as_ref(), question, args, format, &against).await;
    store.close().await;
    made.unwrap_or_else(|why| stopped(why, as_json))
}

async fn written(
    store: &dyn Store,
    question: Question<'_>,
    args: &StatementArgs,
    format: StatementFormat,
    against: &Against,
) -> Result<Exit, Failed> {
    let file = match format {
        StatementFormat::Table => None,
        StatementFormat::Json => Some(Format::Json),
        StatementFormat::Csv => Some(Format::Csv),
        StatementFormat::Pdf => Some(Format::Pdf),
        StatementFormat::Xlsx => Some(Format::Xlsx),
    };
    let against = Some(against).filter(|_| file.is_none_or(Format::compares));
    let sheet = paper::made(store, question, args.seller.clone(), args.buyer.clone(), against).await?;
    let bytes = match file {
        None => table(&sheet).into_bytes(),
        Some(format) => sheet.bytes(format, args.font.as_deref()).map_err(Failed::Told)?,
    };
    match &args.out {
        Some(path) => {
            let unwritten = |error| paper::unwritten(&format!("{}: {error}", path.display()));
            std::fs::write(path, bytes).map_err(|error| Failed::Told(unwritten(error)))?;
            output::note(&format!("{} {}", path.display(), checksum::of(&sheet.statement)));
        }
        None => output::line(String::from_utf8_lossy(&bytes).trim_end()),
    }
    Ok(Exit::Ok)
}

/// The rows of the files, for a terminal.
fn table(sheet: &Sheet) -> String {
    let mut text = String::new();
    let more = sheet.compared.as_ref().map(|one| drift::sheet(&one.figures, &one.drifts));
    for sheet in grid::sheets(&sheet.paper()).into_iter().chain(more) {
        let mut rows: Vec<Vec<String>> = Vec::new();
        for row in sheet.rows {
            let cells: Vec<String> = row.cells.iter().map(Cell::shown).collect();
            match row.role {
                Role::Title | Role::About | Role::Note | Role::Checksum => {
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
        text.push_str(&flushed(&mut rows));
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
        Err(why) => stopped(why, as_json),
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

async fn judged(store: &dyn Store, found: &Found) -> Result<Verdict, Failed> {
    let then = Question {
        customer: &found.customer,
        month: found.month,
        as_of_ms: found.as_of_ms,
        credit_days: found.credit_days,
    };
    let now = Question { as_of_ms: SystemClock.now_ms(), ..then };
    let books = Books::load(store, &found.customer).await?;
    let statement = books.statement(then).map_err(Failed::Told)?;
    let current = books.statement(now).map_err(Failed::Told)?;
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
