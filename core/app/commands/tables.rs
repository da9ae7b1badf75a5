//! `tongbao tables …`: code tables in and out as CSV.

pub mod propose;
mod sheet;
pub mod waiting;

use crate::cli::TablesCommand;
use crate::output::{self, Exit};
use crate::tables::code_row;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use tongbao_delivery::port::{ImportMode, Store, Stored, TableRow};
use tongbao_model::Text;

/// Largest import, in rows.
const ROWS_MAX: usize = 1_000_000;

/// Runs a `tables` command.
pub async fn run(command: TablesCommand, config: &Path, as_json: bool) -> Exit {
    let command = match command {
        TablesCommand::Propose(args) => return propose::propose(&args, config, as_json).await,
        TablesCommand::Confirm { file, by, replay } => {
            let how = propose::How { by, replay, as_json };
            return propose::run_confirm(&file, how, config).await;
        }
        other => other,
    };
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
        | TablesCommand::Propose(_)
        | TablesCommand::Confirm { .. }
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
        TablesCommand::Missing { table } => {
            waiting::show(store.as_ref(), table.as_deref(), as_json).await.map(|()| Exit::Ok)
        }
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
            Exit::Ok
        }),
        // Taken above.
        TablesCommand::Propose(_) | TablesCommand::Confirm { .. } => Ok(Exit::Usage),
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
            Exit::Ok
        }),
    };
    let exit = result.unwrap_or_else(|error| super::store_failed(&error, as_json));
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

async fn put(store: &dyn Store, table: &str, rows: Vec<TableRow>, how: How) -> Stored<Exit> {
    let known = store.table_rows(Some(table)).await?;
    let changes = changes(&known, &rows, how.mode);
    let wrong = contradictions(&known, &rows, how.mode);
    if !wrong.is_empty() {
        if how.as_json {
            output::json(&json!({"table": table, "refused": wrong}));
        }
        for why in &wrong {
            output::note(&why.to_string());
        }
        return Ok(Exit::Failed);
    }
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
        return Ok(Exit::Ok);
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
    Ok(Exit::Ok)
}

/// What would be wrong with the table after an import: rows of one code with days in common.
fn contradictions(known: &[TableRow], rows: &[TableRow], mode: ImportMode) -> Vec<Text> {
    let named: BTreeSet<&str> = rows.iter().map(|row| row.source.as_str()).collect();
    let stays = |row: &&TableRow| matches!(mode, ImportMode::Merge) && !named.contains(row.source.as_str());
    let after = known.iter().filter(stays).chain(rows).cloned().map(code_row);
    tongbao_mapping::Tables::of_rows(0, after).1
}

/// The code a row is for: a dated row's without its day.
pub fn code_of(source: &str) -> &str {
    tongbao_mapping::split_date(source).map_or(source, |(code, _)| code)
}

/// What an import would do, row by row: `+` added, `~` changed, `-` removed.
fn changes(known: &[TableRow], rows: &[TableRow], mode: ImportMode) -> Vec<(char, String)> {
    let before: BTreeMap<&str, &TableRow> = known.iter().map(|row| (row.source.as_str(), row)).collect();
    let mut found = Vec::new();
    for row in rows {
        match before.get(row.source.as_str()) {
            None => found.push(('+', shown(row))),
            Some(old) if **old != *row => {
                let was = if old.valid_to == row.valid_to { old.target.clone() } else { shown(old) };
                found.push(('~', format!("{} ({was})", shown(row))));
            }
            Some(_) => {}
        }
    }
    if matches!(mode, ImportMode::Replace) {
        let after: BTreeSet<&str> = rows.iter().map(|row| row.source.as_str()).collect();
        let gone = known.iter().filter(|row| !after.contains(row.source.as_str()));
        found.extend(gone.map(|row| ('-', shown(row))));
    }
    found
}

/// A row in a line: `C1@2026-01-01..2026-06-30 → CUST0001`.
fn shown(row: &TableRow) -> String {
    let until = if row.valid_to.is_empty() { String::new() } else { format!("..{}", row.valid_to) };
    format!("{}{until} → {}", row.source, row.target)
}

/// The columns of a file of rows.
const COLUMNS: [&str; 5] = ["source", "target", "note", "valid_from", "valid_to"];

/// The cells of a row, in the order of the columns.
fn cells(row: &TableRow) -> [String; 5] {
    let (code, from) = match tongbao_mapping::split_date(&row.source) {
        Some((code, from)) => (code.to_owned(), from.to_string()),
        None => (row.source.clone(), String::new()),
    };
    [code, row.target.clone(), row.note.clone(), from, row.valid_to.clone()]
}

fn is_day(text: &str) -> bool {
    tongbao_mapping::split_date(&format!("@{text}")).is_some()
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

/// Rows of `source,target[,note][,valid_from][,valid_to]`, the header naming the columns. Everything wrong is told with
/// its line, and then nothing is imported.
pub fn rows_of(table: &str, grid: &Grid) -> Result<Vec<TableRow>, String> {
    let column = |name: &str| grid.header.iter().position(|cell| cell.trim_start_matches('\u{feff}') == name);
    let (Some(source), Some(target)) = (column("source"), column("target")) else {
        return Err(
            "首行应为 source,target,note / the first line must name the columns source,target,note".into()
        );
    };
    let note = column("note");
    // As the columns were called before rows had an end.
    let (from, to) = (column("valid_from").or_else(|| column("from")), column("valid_to"));
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
            valid_to: to.map(cell).unwrap_or_default(),
        };
        let from = from.map(cell).unwrap_or_default();
        for (name, day) in [("valid_from", &from), ("valid_to", &row.valid_to)] {
            if !day.is_empty() && !is_day(day) {
                problems.push(format!(
                    "第 {line} 行：{name} 应为 yyyy-MM-dd / line {line}: `{name}` is a day, yyyy-MM-dd"
                ));
            }
        }
        if !from.is_empty() {
            row.source = format!("{}@{from}", row.source);
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
    let _ = csv.write_record(COLUMNS);
    for row in rows {
        let _ = csv.write_record(cells(row));
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
            ..TableRow::default()
        };
        let known = [row("A", "1"), row("B", "2"), row("C", "3")];
        let new = [row("A", "1"), row("B", "9"), row("D", "4")];
        let shown = |mode| changes(&known, &new, mode).iter().map(|(sign, _)| *sign).collect::<String>();
        assert_eq!((shown(ImportMode::Merge), shown(ImportMode::Replace)), ("~+".into(), "~+-".into()));
        assert_eq!((code_of("C1@2026-07-01"), code_of("a@b")), ("C1", "a@b"));
    }

    /// In bulk a row is given an end by writing one beside it; it stays the same row, and rows do not contradict.
    #[test]
    fn days_are_edited_in_bulk_and_do_not_overlap() {
        let read = |text: &str| csv_grid(text.as_bytes()).and_then(|grid| rows_of("t", &grid)).unwrap();
        let head = "source,target,valid_from,valid_to\n";
        let known = read(&format!("{head}C1,A,2026-01-01,\nC2,B,,\n"));
        let ended = read(&format!("{head}C1,A,2026-01-01,2026-06-30\nC1,Z,2026-07-01,\n"));
        let told = changes(&known, &ended, ImportMode::Merge);
        let told: Vec<String> = told.iter().map(|(sign, text)| format!("{sign} {text}")).collect();
        assert_eq!(told, ["~ C1@2026-01-01..2026-06-30 → A (C1@2026-01-01 → A)", "+ C1@2026-07-01 → Z"]);
        assert_eq!(contradictions(&known, &ended, ImportMode::Merge), []);
        let over = read(&format!("{head}C1,Y,2026-06-30,\n"));
        assert_eq!(contradictions(&ended, &over, ImportMode::Merge).len(), 1);
        assert_eq!(contradictions(&ended, &over, ImportMode::Replace), []);
    }

    #[test]
    fn csv_reads_back_and_mistakes_name_their_line() {
        let read = |text: &str| csv_grid(text.as_bytes()).and_then(|grid| rows_of("customers", &grid));
        let text = "source,target,note,valid_from,valid_to\nC1,CUST0001,\"甲, 乙\",,\nC2,CUST0002,,2026-07-01,2026-12-31\n";
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
        assert!(
            read("source,target,valid_to\nC1,A,\nC2,A,31/12/2026\n")
                .unwrap_err()
                .contains("line 3: `valid_to`")
        );
    }
}
