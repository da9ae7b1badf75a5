//! Code tables as Excel files: the first sheet, the same columns as in CSV.

use super::{COLUMNS, Grid, cells};
use calamine::{Data, Reader, Xlsx, open_workbook};
use rust_xlsxwriter::{Format, Workbook, XlsxError};
use std::path::Path;
use tongbao_delivery::port::TableRow;

/// From here on a number typed into a cell has lost digits: Excel keeps 15.
const EXACT_MAX: f64 = 1e15;

/// Reads the first sheet.
pub fn read(path: &Path) -> Result<Grid, String> {
    let shown = path.display();
    let mut book: Xlsx<_> = open_workbook(path).map_err(|error| format!("{shown}: {error}"))?;
    let sheet = book
        .worksheet_range_at(0)
        .ok_or_else(|| format!("{shown}：没有工作表 / no sheet"))?
        .map_err(|error| format!("{shown}: {error}"))?;
    let first = sheet.start().map_or(0, |(row, _)| u64::from(row)) + 1;
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    for (line, cells) in (first..).zip(sheet.rows()) {
        let mut texts = Vec::with_capacity(cells.len());
        for cell in cells {
            texts.push(text(cell).unwrap_or_else(|why| {
                problems.push(format!("第 {line} 行：{} / line {line}: {}", why.0, why.1));
                String::new()
            }));
        }
        if texts.iter().any(|text| !text.is_empty()) {
            rows.push((line, texts));
        }
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let mut rows = rows.into_iter();
    let header = rows.next().map(|(_, texts)| texts).unwrap_or_default();
    Ok(Grid { header, rows: rows.collect() })
}

/// A cell as a code. What Excel may have changed on its own is refused rather than guessed back.
fn text(cell: &Data) -> Result<String, (&'static str, &'static str)> {
    match cell {
        Data::Empty => Ok(String::new()),
        Data::String(text) => Ok(text.trim().to_owned()),
        Data::Int(number) => Ok(number.to_string()),
        Data::Float(number) if number.fract() == 0.0 && number.abs() < EXACT_MAX => {
            Ok(format!("{number:.0}"))
        }
        Data::Bool(flag) => Ok(flag.to_string()),
        Data::DateTimeIso(text) => Ok(text.split('T').next().unwrap_or_default().to_owned()),
        Data::DateTime(day) if day.is_datetime() => {
            let (year, month, day, ..) = day.to_ymd_hms_milli();
            Ok(format!("{year:04}-{month:02}-{day:02}"))
        }
        Data::Float(_) => Err((
            "编码存成了数字：请把该列设为文本格式后重填",
            "a code stored as a number: set the column to text and fill it in again",
        )),
        Data::Error(_) | Data::DurationIso(_) | Data::DateTime(_) => {
            Err(("单元格不是编码", "a cell that is no code"))
        }
    }
}

/// Writes rows of a table.
pub fn write(path: &Path, rows: &[TableRow]) -> Result<(), String> {
    let cells: Vec<[String; 5]> = rows.iter().map(cells).collect();
    write_cells(path, &COLUMNS, cells.iter().map(<[String; 5]>::as_slice))
}

/// Writes lines under their columns, every cell as text.
pub fn write_cells<'a>(
    path: &Path,
    columns: &[&str],
    lines: impl Iterator<Item = &'a [String]>,
) -> Result<(), String> {
    let build = || -> Result<(), XlsxError> {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet();
        let text = Format::new().set_num_format("@");
        let head = Format::new().set_bold();
        for (column, name) in (0_u16..).zip(columns) {
            sheet.set_column_format(column, &text)?.set_column_width(column, 24)?;
            sheet.write_string_with_format(0, column, *name, &head)?;
        }
        for (line, cells) in (1_u32..).zip(lines) {
            for (column, cell) in (0_u16..).zip(cells) {
                sheet.write_string_with_format(line, column, cell, &text)?;
            }
        }
        sheet.set_freeze_panes(1, 0)?;
        book.save(path)
    };
    build().map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_reads_back_and_numbers_are_not_guessed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.xlsx");
        let row = |source: &str, target: &str| TableRow {
            table: "t".into(),
            source: source.into(),
            target: target.into(),
            note: "甲".into(),
            ..TableRow::default()
        };
        let until = TableRow { valid_to: "2026-12-31".into(), ..row("C1@2026-07-01", "X") };
        let rows = [row("0010", "1060201010000000000"), until];
        write(&path, &rows).unwrap();
        assert_eq!(super::super::rows_of("t", &read(&path).unwrap()).unwrap(), rows);
        assert_eq!(text(&Data::Float(1001.0)).unwrap(), "1001");
        assert!(text(&Data::Float(1.5)).is_err());
        assert!(text(&Data::Float(1_060_201_010_000_000_000.0)).is_err());
        assert!(read(&folder.path().join("none.xlsx")).is_err());
    }
}
