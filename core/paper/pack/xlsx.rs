//! The pack as an Excel file: for each currency a summary, its customers, and the trend with a chart.

use super::{DSO, Named, Pack, payments, roll, walk};
use crate::xlsx::number;
use rust_decimal::Decimal;
use rust_xlsxwriter::{
    Chart, DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, Worksheet, XlsxError,
};
use tongbao_recon::pack::Part;

struct Formats {
    title: Format,
    head: Format,
    text: Format,
    amount: Format,
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
        text: Format::new().set_num_format("@"),
        amount: amount(),
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
    page.set_column_width(0, 46)?.set_column_width(1, 8)?.set_column_width(2, 20)?;
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
        for (column, text) in (0_u16..).zip([name, "笔数", "金额 amount"]) {
            page.write_string_with_format(line, column, text, &formats.head)?;
        }
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
    page.set_landscape().set_paper_size(9).set_print_fit_to_pages(1, 0);
    Ok(())
}

fn customers(page: &mut Worksheet, part: &Part, formats: &Formats) -> Result<(), XlsxError> {
    page.set_name(format!("{} 客户", part.currency))?;
    page.set_column_width(0, 30)?;
    page.set_freeze_panes(1, 1)?;
    let names =
        ["客户 customer", "期初 opening", "借方 debit", "贷方 credit", "期末 closing", "其中逾期 overdue"];
    for (column, name) in (0_u16..).zip(names) {
        page.write_string_with_format(0, column, name, &formats.head)?;
        if column > 0 {
            page.set_column_width(column, 18)?;
        }
    }
    for (line, row) in (1_u32..).zip(&part.customers) {
        page.write_string_with_format(line, 0, &row.customer, &formats.text)?;
        for (column, amount) in (1_u16..).zip([row.opening, row.debit, row.credit, row.closing, row.overdue])
        {
            put(page, line, column, amount.0, &formats.amount)?;
        }
    }
    page.set_landscape().set_paper_size(9).set_print_fit_to_pages(1, 0).set_repeat_rows(0, 0)?;
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
    for (column, head) in (0_u16..).zip(heads) {
        page.set_column_width(column, 18)?;
        page.write_string_with_format(0, column, head, &formats.head)?;
    }
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
    lines.y2_axis().set_name("天 days");
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
