//! `tongbao tables …`: code tables in and out as CSV.

use crate::cli::TablesCommand;
use crate::output::{self, Exit};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use tongbao_delivery::port::{ImportMode, TableRow};

/// Largest import, in rows.
const ROWS_MAX: usize = 1_000_000;

/// Runs a `tables` command.
pub async fn run(command: TablesCommand, config: &Path, as_json: bool) -> Exit {
    // The file is read before the store is opened: a wrong file changes nothing.
    let import = match &command {
        TablesCommand::Import { table, file, .. } => {
            match open(file).and_then(|reader| read(table, reader)) {
                Ok(rows) => rows,
                Err(why) => {
                    output::note(&why);
                    return Exit::Failed;
                }
            }
        }
        TablesCommand::Export { .. } | TablesCommand::List => Vec::new(),
    };
    let store = match super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let result = match command {
        TablesCommand::Import { table, replace, .. } => {
            let mode = if replace { ImportMode::Replace } else { ImportMode::Merge };
            store.import_table(&table, import, mode).await.map(|(added, changed, removed)| {
                if as_json {
                    output::json(&json!({"table": table, "added": added, "changed": changed, "removed": removed}));
                } else {
                    output::line(&format!(
                        "{table}：新增 {added}，修改 {changed}，删除 {removed} / {added} added, {changed} changed, {removed} removed"
                    ));
                }
            })
        }
        TablesCommand::Export { table } => store.table_rows(Some(&table)).await.map(|rows| {
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

fn open(file: &Path) -> Result<Box<dyn Read>, String> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    let file = std::fs::File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Box::new(file))
}

/// Reads `source,target[,note]` with a header line. Everything wrong is told with its line, and then nothing is
/// imported.
pub fn read(table: &str, reader: impl Read) -> Result<Vec<TableRow>, String> {
    let mut csv = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(reader);
    let header = csv.headers().map_err(|error| error.to_string())?.clone();
    let column = |name: &str| header.iter().position(|cell| cell.trim_start_matches('\u{feff}') == name);
    let (Some(source), Some(target)) = (column("source"), column("target")) else {
        return Err(
            "首行应为 source,target,note / the first line must name the columns source,target,note".into()
        );
    };
    let note = column("note");
    let mut rows: Vec<TableRow> = Vec::new();
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    let mut problems = Vec::new();
    for record in csv.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |at: usize| record.get(at).unwrap_or_default().to_owned();
        let row = TableRow {
            table: table.to_owned(),
            source: cell(source),
            target: cell(target),
            note: note.map(cell).unwrap_or_default(),
        };
        if row.source.is_empty() || row.target.is_empty() {
            problems.push(format!(
                "第 {line} 行：source 与 target 不能为空 / line {line}: source and target must not be empty"
            ));
        } else if let Some(first) = lines.insert(row.source.clone(), line) {
            problems.push(format!(
                "第 {line} 行：{} 与第 {first} 行重复 / line {line}: `{}` is on line {first} already",
                row.source, row.source
            ));
        }
        rows.push(row);
        if rows.len() > ROWS_MAX {
            return Err(format!("超过 {ROWS_MAX} 行 / more than {ROWS_MAX} rows"));
        }
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems.join("\n")) }
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
    fn csv_reads_back_and_mistakes_name_their_line() {
        let text = "source,target,note\nC1,CUST0001,\"甲, 乙\"\nC2,CUST0002,\n";
        let rows = read("customers", text.as_bytes()).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(write(&rows), text);
        let bom = format!("\u{feff}{text}");
        assert_eq!(read("customers", bom.as_bytes()).unwrap(), rows);
        let why = read("customers", "source,target\nC1,\nC2,X\nC2,Y\n".as_bytes()).unwrap_err();
        assert!(why.contains("line 2:") && why.contains("line 4: `C2` is on line 3"), "{why}");
        assert!(read("customers", "a,b\n".as_bytes()).is_err());
    }
}
