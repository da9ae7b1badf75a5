//! The pack as an Excel file: for each currency a summary, its customers, and the trend with a chart.

use super::{DSO, Named, Pack, payments, roll, walk};
use crate::checksum;
use crate::xlsx::{number, print};
use rust_decimal::Decimal;
use rust_xlsxwriter::{
    Chart, ChartLegendPosition, DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Formula,
    Workbook, Worksheet, XlsxError,
};
use tongbao_model::{Exact, decimal};
use tongbao_recon::pack::{Part, Row};

struct Formats {
    title: Format,
    head: Format,
    number_head: Format,
    text: Format,
    amount: Format,
    sum: Format,
    days: Format,
}

/// Writes the pack.
///
/// # Errors
/// The library's: more customers than a sheet has rows.
pub fn write(pack: &Pack<'_>) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let made = ExcelDateTime::parse_from_str(&pack.month.first().to_string())?;
    let title = format!("月结包 {}", pack.month);
    book.set_properties(&DocProperties::new().set_title(&title).set_creation_datetime(&made));
    let amount = || Format::new().set_num_format("#,##0.00").set_align(FormatAlign::Right);
    let formats = Formats {
        title: Format::new().set_bold().set_font_size(16),
        head: Format::new().set_bold().set_background_color("E8ECF2").set_text_wrap(),
        number_head: Format::new()
            .set_bold()
            .set_background_color("E8ECF2")
            .set_text_wrap()
            .set_align(FormatAlign::Right),
        text: Format::new().set_num_format("@"),
        amount: amount(),
        sum: amount().set_bold().set_border_top(FormatBorder::Thin),
        days: Format::new().set_num_format("0.0").set_align(FormatAlign::Right),
    };
    if pack.parts.is_empty() {
        let page = book.add_worksheet().set_name("月结包")?;
        page.write_string_with_format(0, 0, &title, &formats.title)?;
        page.write_string(1, 0, "无往来，无余额 / nothing happened, nothing is open")?;
    }
    for part in pack.parts {
        summary(book.add_worksheet(), pack, part, &formats)?;
        customers(book.add_worksheet(), part, &formats)?;
        trend(book.add_worksheet(), part, &formats)?;
    }
    book.save_to_buffer()
}

fn summary(page: &mut Worksheet, pack: &Pack<'_>, part: &Part, formats: &Formats) -> Result<(), XlsxError> {
    page.set_name(format!("{} 汇总", part.currency))?;
    page.set_column_width(0, 46)?.set_column_width(1, 14)?.set_column_width(2, 20)?;
    page.write_string_with_format(0, 0, format!("月结包 {} {}", pack.month, part.currency), &formats.title)?;
    let state = if pack.is_closed { "已结账 closed" } else { "未结账 open" };
    page.write_string(1, 0, format!("{state} · 账面截至 {}", pack.as_of))?;
    let ageing = part.ageing.told().map(|(zh, en, amount)| (format!("{zh} {en}"), None, amount));
    let mut blocks: Vec<(&str, Vec<Named>)> = vec![
        ("应收变动 receivables", roll(part)),
        ("收款 payments", payments(part)),
        ("账龄 ageing", ageing.into()),
    ];
    if let Some(books) = pack.books {
        blocks.push(("账面与银行调节 from the books to the bank", walk(&part.walk, books)));
    }
    let mut line = 3;
    for (name, rows) in blocks {
        head(page, line, &[name, "笔数 count", "金额 amount"], formats)?;
        for (name, count, amount) in rows {
            line += 1;
            page.write_string_with_format(line, 0, name, &formats.text)?;
            if let Some(count) = count.and_then(|count| u32::try_from(count).ok()) {
                page.write_number(line, 1, count)?;
            }
            put(page, line, 2, amount.0, &formats.amount)?;
        }
        line += 2;
    }
    print(page);
    Ok(())
}

/// Names of columns: the first of texts, the others of numbers.
fn head(page: &mut Worksheet, line: u32, names: &[&str], formats: &Formats) -> Result<(), XlsxError> {
    for (column, name) in (0_u16..).zip(names) {
        let format = if column == 0 { &formats.head } else { &formats.number_head };
        page.write_string_with_format(line, column, *name, format)?;
    }
    Ok(())
}

fn customers(page: &mut Worksheet, part: &Part, formats: &Formats) -> Result<(), XlsxError> {
    page.set_name(format!("{} 客户", part.currency))?;
    page.set_column_width(0, 30)?;
    page.set_freeze_panes(1, 1)?;
    let names =
        ["客户 customer", "期初 opening", "借方 debit", "贷方 credit", "期末 closing", "其中逾期 overdue"];
    head(page, 0, &names, formats)?;
    for column in 1..6 {
        page.set_column_width(column, 18)?;
    }
    for (line, row) in (1_u32..).zip(&part.customers) {
        page.write_string_with_format(line, 0, &row.customer, &formats.text)?;
        for (column, amount) in (1_u16..).zip(amounts(row)) {
            put(page, line, column, amount.0, &formats.amount)?;
        }
    }
    totals(page, part, formats)?;
    print(page);
    page.set_repeat_rows(0, 0)?;
    Ok(())
}

/// The amounts of a customer, column by column.
fn amounts(row: &Row) -> [Exact; 5] {
    [row.opening, row.debit, row.credit, row.closing, row.overdue]
}

/// Sums of the customers, as formulas with the results that we have. Where a sum has more digits than Excel keeps, it is a text.
fn totals(page: &mut Worksheet, part: &Part, formats: &Formats) -> Result<(), XlsxError> {
    let rows = &part.customers;
    let Some(last) = u32::try_from(rows.len()).ok().filter(|count| *count > 0) else { return Ok(()) };
    page.write_string_with_format(last + 1, 0, "合计 total", &formats.sum)?;
    for (index, (column, letter)) in (1_u16..).zip(["B", "C", "D", "E", "F"]).enumerate() {
        let values: Vec<Decimal> =
            rows.iter().filter_map(|row| amounts(row).get(index).map(|amount| amount.0)).collect();
        let Some(sum) = values.iter().copied().try_fold(Decimal::ZERO, decimal::add) else { continue };
        if number(sum).is_none() || values.iter().any(|value| number(*value).is_none()) {
            put(page, last + 1, column, sum, &formats.sum)?;
            continue;
        }
        let places = values.iter().map(|value| value.normalize().scale()).fold(2, u32::max);
        let formula = format!("=ROUND(SUM({letter}2:{letter}{}),{places})", last + 1);
        let formula = Formula::new(formula).set_result(checksum::amount(sum));
        page.write_formula_with_format(last + 1, column, formula, &formats.sum)?;
    }
    Ok(())
}

fn trend(page: &mut Worksheet, part: &Part, formats: &Formats) -> Result<(), XlsxError> {
    let name = format!("{} 趋势", part.currency);
    page.set_name(&name)?;
    let heads = [
        "月份",
        "开票 invoiced",
        "收款 received",
        "期末 closing",
        "DSO 余额法 balance",
        "DSO 倒推法 count-back",
    ];
    head(page, 0, &heads, formats)?;
    for column in 0..6 {
        page.set_column_width(column, if column < 4 { 18 } else { 24 })?;
    }
    print(page);
    let mut last = 0;
    for (line, point) in (1_u32..).zip(&part.trend) {
        page.write_string(line, 0, point.month.to_string())?;
        for (column, amount) in (1_u16..).zip([point.invoiced, point.received, point.closing]) {
            put(page, line, column, amount.0, &formats.amount)?;
        }
        for (column, days) in (4_u16..).zip([point.dso.balance, point.dso.count_back]) {
            if let Some(days) = days {
                put(page, line, column, days.0, &formats.days)?;
            }
        }
        last = line;
    }
    for (line, text) in (last + 2..).zip(DSO) {
        page.write_string(line, 0, text)?;
    }
    if last == 0 {
        return Ok(());
    }
    let series = |chart: &mut Chart, column: u16, is_second: bool| {
        let one = chart.add_series();
        one.set_name((name.as_str(), 0, column));
        one.set_categories((name.as_str(), 1, 0, last, 0));
        one.set_values((name.as_str(), 1, column, last, column));
        one.set_secondary_axis(is_second);
    };
    let mut columns = Chart::new_column();
    series(&mut columns, 1, false);
    series(&mut columns, 2, false);
    let mut lines = Chart::new_line();
    series(&mut lines, 5, true);
    columns.combine(&lines);
    columns.title().set_name("开票、收款与 DSO");
    columns.y_axis().set_num_format("#,##0");
    lines.y2_axis().set_name("天 days");
    columns.legend().set_position(ChartLegendPosition::Bottom);
    columns.set_width(900).set_height(360);
    page.insert_chart(last + 5, 0, &columns)?;
    Ok(())
}

/// A number, or a text where a number would lose digits.
fn put(
    page: &mut Worksheet,
    line: u32,
    column: u16,
    value: Decimal,
    format: &Format,
) -> Result<(), XlsxError> {
    match number(value) {
        Some(number) => page.write_number_with_format(line, column, number, format)?,
        None => page.write_string_with_format(line, column, value.to_string(), format)?,
    };
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use calamine::{Data, Reader, Xlsx};
    use tongbao_model::Month;
    use tongbao_recon::pack::{Payments, Roll, walk::Walk};

    /// The customers' sheet: its formulas, and the total of the closing balances.
    fn customers_of(closing: &[&str]) -> (Vec<String>, Option<Data>) {
        let row = |closing: &&str| {
            let amount = |text: &str| Exact(decimal::parse(text).unwrap());
            let (opening, zero) = (amount("1.10"), amount("0.00"));
            Row {
                customer: "=C1".into(),
                opening,
                debit: zero,
                credit: zero,
                closing: amount(closing),
                overdue: zero,
            }
        };
        let part = Part {
            currency: "CNY".into(),
            roll: Roll::default(),
            ageing: tongbao_recon::statement::Ageing::default(),
            customers: closing.iter().map(row).collect(),
            payments: Payments::default(),
            walk: Walk::default(),
            trend: Vec::new(),
        };
        let month: Month = "2026-10".parse().unwrap();
        let pack = Pack {
            month,
            as_of: "",
            is_closed: true,
            credit_days: 30,
            books: None,
            parts: std::slice::from_ref(&part),
        };
        let mut book: Xlsx<_> = Xlsx::new(std::io::Cursor::new(write(&pack).unwrap())).unwrap();
        let formulas = book.worksheet_formula("CNY 客户").unwrap();
        let formulas = formulas.used_cells().map(|(_, _, formula)| formula.clone()).collect();
        let cells = book.worksheet_range("CNY 客户").unwrap();
        (formulas, cells.get_value((u32::try_from(closing.len()).unwrap() + 1, 4)).cloned())
    }

    #[test]
    fn customers_are_summed_by_formulas_unless_digits_would_be_lost() {
        let (formulas, total) = customers_of(&["100.10", "-0.20"]);
        let sums = |letters: &[&str]| -> Vec<String> {
            letters.iter().map(|letter| format!("ROUND(SUM({letter}2:{letter}3),2)")).collect()
        };
        assert_eq!((formulas, total), (sums(&["B", "C", "D", "E", "F"]), Some(Data::Float(99.9))));
        let (formulas, total) = customers_of(&["99999999999999.99", "0.01"]);
        assert_eq!(formulas, sums(&["B", "C", "D", "F"]));
        assert_eq!(total, Some(Data::Float(1e14)), "one is a text, and would not be summed");
        assert_eq!(customers_of(&[]), (Vec::new(), None));
    }
}
