//! Statements as Excel files: real numbers and dates, totals as formulas, ready to print.
//!
//! A file of Excel's keeps numbers as binary floats, and Excel shows 15 digits of them. An amount with more digits is written
//! as text, and so is every total that it goes into; a total that would be of too many digits to be summed is no formula.

use crate::grid::{self, Cell, Role, Row, Sheet};
use crate::{Paper, checksum};
use rust_decimal::Decimal;
use rust_xlsxwriter::{
    DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Formula, Workbook, Worksheet, XlsxError,
};

/// Digits of a number that Excel keeps.
const DIGITS: u32 = 15;

/// Number of A4 among Excel's papers.
const A4: u8 = 9;

const WIDTHS: [f64; grid::COLUMNS] = [26.0, 18.0, 25.0, 22.0, 17.0, 17.0, 17.0];

/// Height of a row of column names, in points: two lines.
const HEADER_HEIGHT: f64 = 32.0;

/// Columns of debit, credit and balance.
const DEBIT: usize = 4;
const CREDIT: usize = 5;
const BALANCE: usize = 6;

/// Writes a statement.
///
/// # Errors
/// The library's: a text longer than a cell holds, more lines than a sheet has.
pub fn write(paper: &Paper<'_>) -> Result<Vec<u8>, XlsxError> {
    write_with(paper, None)
}

/// Writes a statement with one sheet more.
///
/// # Errors
/// As [`write`].
pub fn write_with(paper: &Paper<'_>, more: Option<&Sheet>) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let first = paper.statement.month.first();
    let made = ExcelDateTime::parse_from_str(&first.to_string())?;
    let title = format!("{} {}", paper.statement.customer, paper.statement.month);
    // The same statement is the same file.
    book.set_properties(&DocProperties::new().set_title(title).set_creation_datetime(&made));
    let formats = Formats::new();
    let sheets = grid::sheets(paper);
    for sheet in sheets.iter().chain(more) {
        write_sheet(book.add_worksheet(), sheet, &formats)?;
    }
    book.save_to_buffer()
}

struct Formats {
    title: Format,
    text: Format,
    note: Format,
    header: Format,
    cell: Format,
    day: Format,
    amount: Format,
    sum: Format,
    sum_text: Format,
}

impl Formats {
    fn new() -> Formats {
        let boxed = || Format::new().set_border(FormatBorder::Thin);
        let amount = || boxed().set_num_format("#,##0.00").set_align(FormatAlign::Right);
        Formats {
            title: Format::new().set_bold().set_font_size(16),
            text: Format::new().set_num_format("@").set_align(FormatAlign::Left),
            note: Format::new().set_num_format("@").set_font_size(9),
            header: boxed()
                .set_bold()
                .set_text_wrap()
                .set_align(FormatAlign::Center)
                .set_align(FormatAlign::VerticalCenter)
                .set_background_color("E8ECF2"),
            cell: boxed().set_num_format("@"),
            day: boxed().set_num_format("yyyy-mm-dd").set_align(FormatAlign::Left),
            amount: amount(),
            sum: amount().set_bold(),
            sum_text: boxed().set_num_format("@").set_bold(),
        }
    }
}

fn write_sheet(page: &mut Worksheet, sheet: &Sheet, formats: &Formats) -> Result<(), XlsxError> {
    page.set_name(&sheet.name)?;
    for (column, width) in (0_u16..).zip(WIDTHS) {
        page.set_column_width(column, width)?;
    }
    let header = sheet.rows.iter().position(|row| row.role == Role::Header);
    let header = header.and_then(|row| u32::try_from(row).ok());
    if let Some(header) = header {
        page.set_freeze_panes(header + 1, 0)?;
        page.set_repeat_rows(0, header)?;
    }
    print(page);
    for (line, row) in (0_u32..).zip(&sheet.rows) {
        if row.role == Role::Header {
            // Names in two languages take two lines in the narrow columns.
            page.set_row_height(line, HEADER_HEIGHT)?;
        }
        write_row(page, line, row, formats)?;
        if row.role == Role::Total {
            write_totals(page, line, header.map_or(0, |header| header + 1), &sheet.rows, formats)?;
        }
    }
    Ok(())
}

/// A4 across, one page wide, numbered.
pub(crate) fn print(page: &mut Worksheet) {
    page.set_paper_size(A4).set_landscape().set_print_fit_to_pages(1, 0);
    page.set_margins(0.5, 0.5, 0.6, 0.7, 0.3, 0.3).set_footer("&C第 &P 页，共 &N 页");
}

fn write_row(page: &mut Worksheet, line: u32, row: &Row, formats: &Formats) -> Result<(), XlsxError> {
    let (text, amount) = match row.role {
        Role::Title => (&formats.title, &formats.amount),
        Role::Note => (&formats.note, &formats.amount),
        Role::About | Role::Checksum => (&formats.text, &formats.amount),
        Role::Header => (&formats.header, &formats.amount),
        Role::Opening | Role::Total => (&formats.sum_text, &formats.sum),
        Role::Line | Role::Ageing => (&formats.cell, &formats.amount),
    };
    for (column, cell) in (0_u16..).zip(&row.cells) {
        match cell {
            Cell::Blank => page.write_blank(line, column, text)?,
            Cell::Text(value) => page.write_string_with_format(line, column, value, text)?,
            Cell::Day(day) => {
                let day = ExcelDateTime::parse_from_str(&day.to_string())?;
                page.write_datetime_with_format(line, column, &day, &formats.day)?
            }
            Cell::Amount(value) => write_amount(page, line, column, *value, amount)?,
        };
    }
    Ok(())
}

/// A number, or a text where a number would lose digits.
fn write_amount<'p>(
    page: &'p mut Worksheet,
    line: u32,
    column: u16,
    value: Decimal,
    format: &Format,
) -> Result<&'p mut Worksheet, XlsxError> {
    match number(value) {
        Some(number) => page.write_number_with_format(line, column, number, format),
        None => page.write_string_with_format(line, column, checksum::amount(value), format),
    }
}

/// The float that Excel shows as exactly this amount, if there is one.
pub(crate) fn number(value: Decimal) -> Option<f64> {
    let value = value.normalize();
    let fits = value.mantissa().unsigned_abs() < 10_u128.pow(DIGITS);
    fits.then(|| value.to_string().parse().ok()).flatten()
}

/// Formulas in place of the sums, with the results that we have, rounded so that Excel comes to the same.
fn write_totals(
    page: &mut Worksheet,
    line: u32,
    opening: u32,
    rows: &[Row],
    formats: &Formats,
) -> Result<(), XlsxError> {
    let columns = [(DEBIT, 4_u16, "E"), (CREDIT, 5, "F")];
    let amounts =
        |column: usize| rows.iter().filter(move |row| is_counted(row)).map(move |row| amount(row, column));
    let are_numbers = |column| amounts(column).flatten().all(|value| number(value).is_some());
    let places = |column| amounts(column).flatten().map(|value| value.normalize().scale()).fold(2, u32::max);
    let total = |column| rows.iter().find(|row| row.role == Role::Total).and_then(|row| amount(row, column));
    // Excel's rows begin with 1, and the lines after the opening.
    let (first, last, begin) = (opening + 2, line, opening + 1);
    for (index, column, letter) in columns {
        let Some(sum) = total(index).filter(|_| are_numbers(index) && first <= last) else { continue };
        let formula = format!("=ROUND(SUM({letter}{first}:{letter}{last}),{})", places(index));
        let formula = Formula::new(formula).set_result(checksum::amount(sum));
        page.write_formula_with_format(line, column, formula, &formats.sum)?;
    }
    let all = [DEBIT, CREDIT, BALANCE];
    if let Some(closing) = total(BALANCE).filter(|_| all.iter().all(|column| are_numbers(*column))) {
        let row = line + 1;
        let places = all.iter().map(|column| places(*column)).fold(2, u32::max);
        let formula = format!("=ROUND(G{begin}+E{row}-F{row},{places})");
        let formula = Formula::new(formula).set_result(checksum::amount(closing));
        page.write_formula_with_format(line, 6, formula, &formats.sum)?;
    }
    Ok(())
}

fn is_counted(row: &Row) -> bool {
    matches!(row.role, Role::Opening | Role::Line | Role::Total)
}

fn amount(row: &Row, column: usize) -> Option<Decimal> {
    match row.cells.get(column) {
        Some(Cell::Amount(value)) => Some(*value),
        _ => None,
    }
}
