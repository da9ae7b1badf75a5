//! `tongbao tables …`: code tables in and out as CSV.

mod sheet;
mod waiting;

use crate::cli::TablesCommand;
use crate::output::{self, Exit};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use tongbao_delivery::port::{ImportMode, Store, Stored, TableRow};

/// Largest import, in rows.
const ROWS_MAX: usize = 1_000_000;

/// Runs a `tables` command.
pub async fn run(command: TablesCommand, config: &Path, as_json: bool) -> Exit {
    // The file is read before the store is opened: a wrong file changes nothing.
    let import = match &command {
        TablesCommand::Import { table, file, .. } => {
            match grid(file).and_then(|grid| rows_of(table, &grid)) {
                Ok(rows) => rows,
                Err(why) => {
                    output::note(&why);
                    return Exit::Failed;
                }
            }
        }
        TablesCommand::Export { .. }
        | TablesCommand::List
        | TablesCommand::Missing { .. }
        | TablesCommand::Users { .. } => Vec::new(),
    };
    let store = match super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let result = match command {
        TablesCommand::Import { table, replace, dry_run, replay, .. } => {
            let mode = if replace { ImportMode::Replace } else { ImportMode::Merge };
            let how = How { mode, dry_run, replay, as_json };
            put(store.as_ref(), &table, import, how).await
        }
        TablesCommand::Missing { table } => waiting::show(store.as_ref(), table.as_deref(), as_json).await,
        TablesCommand::Users { table, code } => {
            let exit = waiting::users(store.as_ref(), &table, code.as_deref(), config, as_json).await;
            store.close().await;
            return exit;
        }
        TablesCommand::Export { table, output: Some(file) } => {
            let rows = store.table_rows(Some(&table)).await;
            store.close().await;
            return match rows {
                Ok(rows) => save(&file, &rows),
                Err(error) => super::store_failed(&error, as_json),
            };
        }
        TablesCommand::Export { table, output: None } => store.table_rows(Some(&table)).await.map(|rows| {
            if as_json {
                output::json(&json!(rows));
            } else {
                output::line(write(&rows).trim_end());
            }
        }),
        TablesCommand::List => store.table_rows(None).await.map(|rows| {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for row in rows {
                *counts.entry(row.table).or_default() += 1;
            }
            if as_json {
                output::json(&json!(counts));
            } else {
                let rows: Vec<_> =
                    counts.into_iter().map(|(table, count)| vec![table, count.to_string()]).collect();
                output::line(output::table(&["对照表 / table", "行 / rows"], &rows).trim_end());
            }
        }),
    };
    let exit = match result {
        Ok(()) => Exit::Ok,
        Err(error) => super::store_failed(&error, as_json),
    };
    store.close().await;
    exit
}

/// How rows are put in.
struct How {
    mode: ImportMode,
    dry_run: bool,
    replay: bool,
    as_json: bool,
}

async fn put(store: &dyn Store, table: &str, rows: Vec<TableRow>, how: How) -> Stored<()> {
    let known = store.table_rows(Some(table)).await?;
    let changes = changes(&known, &rows, how.mode);
    let codes: BTreeSet<String> = rows.iter().map(|row| code_of(&row.source).to_owned()).collect();
    let counted = if how.dry_run {
        let count = |sign: char| changes.iter().filter(|(found, _)| *found == sign).count();
        (count('+'), count('~'), count('-'))
    } else {
        let (added, changed, removed) = store.import_table(table, rows, how.mode).await?;
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        (size(added), size(changed), size(removed))
    };
    let replayed = if how.replay && !how.dry_run { waiting::replay(store, table, &codes).await? } else { 0 };
    let (added, changed, removed) = counted;
    if how.as_json {
        let list: Vec<String> = changes.iter().map(|(sign, text)| format!("{sign} {text}")).collect();
        let list = if how.dry_run { json!(list) } else { json!(null) };
        output::json(&json!({"table": table, "added": added, "changed": changed, "removed": removed,
            "dry_run": how.dry_run, "changes": list, "replayed": replayed}));
        return Ok(());
    }
    if how.dry_run {
        for (sign, text) in &changes {
            output::line(&format!("{sign} {text}"));
        }
    }
    let note = if how.dry_run { "（未改动 / nothing written）" } else { "" };
    output::line(&format!(
        "{table}：新增 {added}，修改 {changed}，删除 {removed} / {added} added, {changed} changed, {removed} removed{note}"
    ));
    if how.replay {
        output::line(&format!("已重放 {replayed} 个投递 / {replayed} replayed"));
    }
    Ok(())
}

/// The code a row is for: a dated row's without its day.
fn code_of(source: &str) -> &str {
    tongbao_mapping::split_date(source).map_or(source, |(code, _)| code)
}

/// What an import would do, row by row: `+` added, `~` changed, `-` removed.
fn changes(known: &[TableRow], rows: &[TableRow], mode: ImportMode) -> Vec<(char, String)> {
    let before: BTreeMap<&str, &TableRow> = known.iter().map(|row| (row.source.as_str(), row)).collect();
    let mut found = Vec::new();
    for row in rows {
        match before.get(row.source.as_str()) {
            None => found.push(('+', format!("{} → {}", row.source, row.target))),
            Some(old) if old.target != row.target || old.note != row.note => {
                found.push(('~', format!("{} → {} ({})", row.source, row.target, old.target)));
            }
            Some(_) => {}
        }
    }
    if matches!(mode, ImportMode::Replace) {
        let after: BTreeSet<&str> = rows.iter().map(|row| row.source.as_str()).collect();
        let gone = known.iter().filter(|row| !after.contains(row.source.as_str()));
        found.extend(gone.map(|row| ('-', format!("{} → {}", row.source, row.target))));
    }
    found
}

/// Cells as they stand in a file: the header, then lines by their number.
pub struct Grid {
    /// Names of the columns.
    pub header: Vec<String>,
    /// Lines with their numbers.
    pub rows: Vec<(u64, Vec<String>)>,
}

fn is_sheet(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xlsx"))
}

/// Reads a file by what its name ends in: Excel, else CSV.
fn grid(file: &Path) -> Result<Grid, String> {
    if is_sheet(file) {
        return sheet::read(file);
    }
    if file == Path::new("-") {
        return csv_grid(std::io::stdin());
    }
    csv_grid(std::fs::File::open(file).map_err(|error| format!("{}: {error}", file.display()))?)
}

fn csv_grid(reader: impl Read) -> Result<Grid, String> {
    let mut csv = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(reader);
    let text = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let header = text(csv.headers().map_err(|error| error.to_string())?);
    let mut rows = Vec::new();
    for record in csv.records() {
        let record = record.map_err(|error| error.to_string())?;
        rows.push((record.position().map_or(0, csv::Position::line), text(&record)));
        if rows.len() > ROWS_MAX {
            return Err(format!("超过 {ROWS_MAX} 行 / more than {ROWS_MAX} rows"));
        }
    }
    Ok(Grid { header, rows })
}

/// Rows of `source,target[,note][,from]`, the header naming the columns. Everything wrong is told with its line, and
/// then nothing is imported. A day in `from` makes a row that holds from then on.
pub fn rows_of(table: &str, grid: &Grid) -> Result<Vec<TableRow>, String> {
    let column = |name: &str| grid.header.iter().position(|cell| cell.trim_start_matches('\u{feff}') == name);
    let (Some(source), Some(target)) = (column("source"), column("target")) else {
        return Err(
            "首行应为 source,target,note / the first line must name the columns source,target,note".into()
        );
    };
    let (note, from) = (column("note"), column("from"));
    let mut rows: Vec<TableRow> = Vec::new();
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    let mut problems = Vec::new();
    for (line, cells) in &grid.rows {
        let cell = |at: usize| cells.get(at).cloned().unwrap_or_default();
        let mut row = TableRow {
            table: table.to_owned(),
            source: cell(source),
            target: cell(target),
            note: note.map(cell).unwrap_or_default(),
        };
        let from = from.map(cell).unwrap_or_default();
        if !from.is_empty() {
            row.source = format!("{}@{from}", row.source);
            if tongbao_mapping::split_date(&row.source).is_none() {
                problems.push(format!(
                    "第 {line} 行：from 应为 yyyy-MM-dd / line {line}: `from` is a day, yyyy-MM-dd"
                ));
            }
        }
        if code_of(&row.source).is_empty() || row.target.is_empty() {
            problems.push(format!(
                "第 {line} 行：source 与 target 不能为空 / line {line}: source and target must not be empty"
            ));
        } else if let Some(first) = lines.insert(row.source.clone(), *line) {
            problems.push(format!(
                "第 {line} 行：{} 与第 {first} 行重复 / line {line}: `{}` is on line {first} already",
                row.source, row.source
            ));
        }
        rows.push(row);
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems.join("\n")) }
}

/// Writes a table to a file: Excel or CSV, by its name.
fn save(file: &Path, rows: &[TableRow]) -> Exit {
    let saved = if is_sheet(file) {
        sheet::write(file, rows)
    } else {
        std::fs::write(file, write(rows)).map_err(|error| format!("{}: {error}", file.display()))
    };
    match saved {
        Ok(()) => {
            output::line(&format!("{}: {} 行 / {} rows", file.display(), rows.len(), rows.len()));
            Exit::Ok
        }
        Err(why) => {
            output::note(&why);
            Exit::Failed
        }
    }
}

fn write(rows: &[TableRow]) -> String {
    let mut csv = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = csv.write_record(["source", "target", "note"]);
    for row in rows {
        let _ = csv.write_record([&row.source, &row.target, &row.note]);
    }
    String::from_utf8(csv.into_inner().unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_row_by_row_what_an_import_would_do() {
        let row = |source: &str, target: &str| TableRow {
            table: "t".into(),
            source: source.into(),
            target: target.into(),
            note: String::new(),
        };
        let known = [row("A", "1"), row("B", "2"), row("C", "3")];
        let new = [row("A", "1"), row("B", "9"), row("D", "4")];
        let shown = |mode| changes(&known, &new, mode).iter().map(|(sign, _)| *sign).collect::<String>();
        assert_eq!((shown(ImportMode::Merge), shown(ImportMode::Replace)), ("~+".into(), "~+-".into()));
        assert_eq!((code_of("C1@2026-07-01"), code_of("a@b")), ("C1", "a@b"));
    }

    #[test]
    fn csv_reads_back_and_mistakes_name_their_line() {
        let read = |text: &str| csv_grid(text.as_bytes()).and_then(|grid| rows_of("customers", &grid));
        let text = "source,target,note\nC1,CUST0001,\"甲, 乙\"\nC2,CUST0002,\n";
        let rows = read(text).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(write(&rows), text);
        assert_eq!(read(&format!("\u{feff}{text}")).unwrap(), rows);
        let why = read("source,target\nC1,\nC2,X\nC2,Y\n").unwrap_err();
        assert!(why.contains("line 2:") && why.contains("line 4: `C2` is on line 3"), "{why}");
        assert!(read("a,b\n").is_err());
        let dated = read("source,target,from\nC1,A,\nC1,B,2026-07-01\n").unwrap();
        assert_eq!(dated[1].source, "C1@2026-07-01");
        assert!(read("source,target,from\nC1,A,July\n").unwrap_err().contains("line 2"));
    }
}
