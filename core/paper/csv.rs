//! Statements as CSV: UTF-8 with a byte order mark, so that Excel reads the Chinese; sheet after sheet.

use crate::Paper;
use crate::grid::{self, Cell};
use std::borrow::Cow;

/// What says that a file is UTF-8.
pub const MARK: &str = "\u{feff}";

/// What a formula begins with.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A cell that no spreadsheet takes for a formula: what a far side keeps under a name is not for it to run.
pub fn guarded(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(FORMULA) { format!("'{cell}").into() } else { cell.into() }
}

/// The cell as it was before [`guarded`]; some spreadsheets save the mark along and some do not.
pub fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(cell)
}

/// Writes a statement.
///
/// # Errors
/// The writer's; there are none in memory.
pub fn write(paper: &Paper<'_>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .terminator(csv::Terminator::CRLF)
        .from_writer(MARK.as_bytes().to_vec());
    for sheet in grid::sheets(paper) {
        for row in sheet.rows {
            writer.write_record(row.cells.iter().map(shown).map(String::into_bytes))?;
        }
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => guarded(text).into_owned(),
        Cell::Blank | Cell::Day(_) | Cell::Amount(_) => cell.shown(),
    }
}
