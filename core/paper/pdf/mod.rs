//! Statements as PDF: A4, to be stamped by us and confirmed by the customer.
//!
//! Chinese needs a font, which is not part of the product: the part of it that is used goes into the file.

mod desk;
mod font;

pub use font::Font;

use crate::grid::{self, Role};
use crate::{Paper, checksum, verify, words};
use desk::{Desk, Look, MARGIN, Side, WIDTH};
use rust_decimal::Decimal;
use std::cmp::Ordering;
use tongbao_model::Text;
use tongbao_recon::statement::{Section, Statement};

/// Widths of the columns.
const COLUMNS: [f32; grid::COLUMNS] = [58.0, 32.0, 120.0, 96.0, 69.0, 69.0, 71.28];
/// What is within the margins.
const BODY: (f32, f32) = (MARGIN, WIDTH - 2.0 * MARGIN);
const SIZE: f32 = 8.5;
/// Between the rules of a cell and its text.
const PAD: f32 = 3.0;
/// Height of the boxes for the stamps.
const STAMPS: f32 = 132.0;
/// Height of what comes after the table: it stays together.
const CLOSE: f32 = STAMPS + 110.0;

/// Writes a statement.
///
/// # Errors
/// The font cannot be embedded.
pub fn write(paper: &Paper<'_>, font: &Font<'_>) -> Result<Vec<u8>, Text> {
    let statement = paper.statement;
    let mut desk = Desk::new(font);
    for section in &statement.sections {
        one(&mut desk, paper, section);
    }
    if statement.sections.is_empty() {
        head(&mut desk, paper, "—");
        desk.paragraph("本月无往来，无余额。", BODY, Look::plain(10.0));
        stamps(&mut desk);
    }
    let sum = checksum::of(statement);
    let title = format!("客户对账单 {} {}", statement.customer, statement.month);
    desk.finish(&title, &verify::mark(statement), |page, pages| {
        format!("第 {page} 页 / 共 {pages} 页    校验 {sum}")
    })
}

fn one(desk: &mut Desk<'_, '_>, paper: &Paper<'_>, section: &Section) {
    let statement = paper.statement;
    head(desk, paper, &section.currency);
    let again =
        format!("客户对账单（续）　{}　{}　{}", statement.customer, statement.month, section.currency);
    table(desk, section, &again);
    if !desk.has_room(CLOSE) {
        next_page(desk, &again);
    }
    desk.down += 8.0;
    desk.paragraph(&result(statement, section), BODY, Look::bold(9.5));
    desk.down += 6.0;
    ageing(desk, section);
    desk.down += 4.0;
    desk.paragraph(
        "余额 = 期初 + 借方（开票） - 贷方（收款）；正数为应收，负数为预收。红字发票与退款以负数列示；对已结账月份的更正列为调整。",
        BODY,
        Look::pale(7.5),
    );
    let terms = format!(
        "账龄自开票日起算，扣除信用期 {} 天；收款未指明发票时，在同一合同内先核销最早的发票。",
        statement.credit_days
    );
    desk.paragraph(&terms, BODY, Look::pale(7.5));
    stamps(desk);
}

/// Title and what the statement is of, on a new page.
fn head(desk: &mut Desk<'_, '_>, paper: &Paper<'_>, currency: &str) {
    let statement = paper.statement;
    desk.begin_page();
    let down = desk.down;
    desk.text("客 户 对 账 单", BODY, down, Side::Middle, Look::bold(18.0));
    desk.text("Statement of account", BODY, down + 25.0, Side::Middle, Look::pale(8.0));
    desk.down += 46.0;
    let customer = match paper.buyer {
        Some(name) => format!("{name}（{}）", statement.customer),
        None => statement.customer.clone(),
    };
    let month = statement.month;
    let as_of: String = grid::as_of(statement).replace('T', " ").chars().take(19).collect();
    let state = if statement.is_closed { "已结账" } else { "未结账" };
    let rows = [
        (
            format!("出具单位：{}", paper.seller.unwrap_or("")),
            format!("对账期间：{} 至 {}", month.first(), month.last()),
        ),
        (format!("客　　户：{customer}"), format!("币　　别：{currency}")),
        (format!("账面截至：{as_of}（{state}）"), format!("信 用 期：{} 天", statement.credit_days)),
    ];
    let (left, width) = (BODY.0, 320.0);
    for (one, other) in rows {
        let down = desk.down;
        desk.text(&other, (left + width + 8.0, BODY.1 - width - 8.0), down, Side::Left, Look::plain(9.0));
        desk.paragraph(&one, (left, width), Look::plain(9.0));
        desk.down += 3.0;
    }
    desk.down += 4.0;
}

/// Opening, lines and total. Every page begins with the names of the columns.
fn table(desk: &mut Desk<'_, '_>, section: &Section, again: &str) {
    let names = ["日期", "类别", "单号", "合同", "借方（开票）", "贷方（收款）", "余额"].map(str::to_owned);
    row(desk, &names, Role::Header);
    for (role, cells) in rows(section) {
        let height = height(desk, &cells);
        if !desk.has_room(height) {
            next_page(desk, again);
            row(desk, &names, Role::Header);
        }
        row(desk, &cells, role);
    }
}

/// A page that says of what it is the continuation.
fn next_page(desk: &mut Desk<'_, '_>, again: &str) {
    desk.begin_page();
    let down = desk.down;
    desk.text(again, BODY, down, Side::Left, Look::pale(8.5));
    desk.down += 16.0;
}

fn rows(section: &Section) -> Vec<(Role, [String; grid::COLUMNS])> {
    let blank = String::new;
    let mut rows = Vec::with_capacity(section.lines.len() + 2);
    let opening = grouped(section.opening.0);
    rows.push((Role::Opening, ["期初余额".to_owned(), blank(), blank(), blank(), blank(), blank(), opening]));
    for line in &section.lines {
        let amount = |value: Decimal| if value.is_zero() { String::new() } else { grouped(value) };
        let cells = [
            line.day.to_string(),
            line.kind.told().0.to_owned(),
            line.number.clone(),
            line.contract.clone(),
            amount(line.debit.0),
            amount(line.credit.0),
            grouped(line.balance.0),
        ];
        rows.push((Role::Line, cells));
    }
    let [debit, credit, closing] =
        [section.debit, section.credit, section.closing].map(|value| grouped(value.0));
    rows.push((Role::Total, ["合计 / 期末".to_owned(), blank(), blank(), blank(), debit, credit, closing]));
    rows
}

/// How high a row is: as its longest text.
fn height(desk: &Desk<'_, '_>, cells: &[String]) -> f32 {
    let lines = COLUMNS
        .iter()
        .zip(cells)
        .take(4)
        .map(|(width, cell)| desk.wrapped(cell, width - 2.0 * PAD, SIZE).len());
    Desk::height(lines.max().unwrap_or(1), SIZE) + 2.0 * PAD
}

fn row(desk: &mut Desk<'_, '_>, cells: &[String], role: Role) {
    let high = height(desk, cells);
    let fill = match role {
        Role::Header => Some(0.90),
        Role::Opening | Role::Total => Some(0.96),
        _ => None,
    };
    let look = if role == Role::Line { Look::plain(SIZE) } else { Look::bold(SIZE) };
    let (mut left, top) = (MARGIN, desk.down);
    for (index, (width, cell)) in COLUMNS.iter().zip(cells).enumerate() {
        desk.frame((left, *width), top, high, fill);
        let inner = (left + PAD, width - 2.0 * PAD);
        let side = match (role, index) {
            (Role::Header, _) | (_, 1) => Side::Middle,
            (_, 4..) => Side::Right,
            _ => Side::Left,
        };
        if index < 4 {
            for (line, text) in desk.wrapped(cell, inner.1, SIZE).iter().enumerate() {
                let down = top + PAD + Desk::height(line, SIZE);
                desk.text(text, inner, down, side, look);
            }
        } else {
            fitted(desk, cell, inner, top + PAD, side, look);
        }
        left += width;
    }
    desk.down += high;
}

/// A text in one line, smaller where it is too wide: an amount is not broken.
fn fitted(desk: &mut Desk<'_, '_>, text: &str, column: (f32, f32), down: f32, side: Side, look: Look) {
    let wide = desk.width(text, look.size).max(column.1);
    let size = look.size * column.1 / wide;
    desk.text(text, column, down + (look.size - size) / 2.0, side, Look { size, ..look });
}

/// What the balance means, in words that are stamped.
fn result(statement: &Statement, section: &Section) -> String {
    let (day, closing, currency) = (statement.month.last(), section.closing.0, &section.currency);
    let amount = grouped(closing.abs());
    let capital = if currency == "CNY" { words::capital(closing.abs()) } else { None };
    let capital = capital.map(|words| format!("，人民币（大写）{words}")).unwrap_or_default();
    match closing.cmp(&Decimal::ZERO) {
        Ordering::Greater => format!("截至 {day}，贵方应付我方 {currency} {amount}{capital}。"),
        Ordering::Less => format!("截至 {day}，我方预收贵方 {currency} {amount}{capital}。"),
        Ordering::Equal => format!("截至 {day}，双方账目结清，余额为 {currency} 0.00{capital}。"),
    }
}

fn ageing(desk: &mut Desk<'_, '_>, section: &Section) {
    let high = SIZE + 2.0 * PAD + 2.0;
    if !desk.has_room(2.0 * high) {
        desk.begin_page();
    }
    let told = section.ageing.told();
    let names = std::iter::once("账龄".to_owned()).chain(told.iter().map(|(zh, ..)| (*zh).to_owned()));
    let amounts = std::iter::once("金额".to_owned()).chain(told.iter().map(|(.., value)| grouped(value.0)));
    let (names, amounts): (Vec<_>, Vec<_>) = (names.collect(), amounts.collect());
    let (first, width) = (44.0, (BODY.1 - 44.0) / 6.0);
    for (cells, is_head) in [(names, true), (amounts, false)] {
        let (mut left, top) = (MARGIN, desk.down);
        for (index, cell) in cells.iter().enumerate() {
            let width = if index == 0 { first } else { width };
            desk.frame((left, width), top, high, is_head.then_some(0.90));
            let side = if is_head || index == 0 { Side::Middle } else { Side::Right };
            let look = if is_head || index == 0 { Look::bold(SIZE) } else { Look::plain(SIZE) };
            fitted(desk, cell, (left + PAD, width - 2.0 * PAD), top + PAD, side, look);
            left += width;
        }
        desk.down += high;
    }
}

/// Where we stamp, and where the customer does.
fn stamps(desk: &mut Desk<'_, '_>) {
    if !desk.has_room(STAMPS + 14.0) {
        desk.begin_page();
    }
    desk.down += 14.0;
    let half = (BODY.1 - 12.0) / 2.0;
    let boxes = [
        (MARGIN, "出具单位（公章）", ["", "", ""]),
        (MARGIN + half + 12.0, "客户确认（公章）", ["□ 数据相符", "□ 数据不符，差异说明：", ""]),
    ];
    let top = desk.down;
    for (left, title, lines) in boxes {
        desk.frame((left, half), top, STAMPS, None);
        let column = (left + 10.0, half - 20.0);
        desk.text(title, column, top + 9.0, Side::Left, Look::bold(9.5));
        for (line, text) in lines.iter().enumerate() {
            let down = top + 27.0 + Desk::height(line, 11.5);
            desk.text(text, column, down, Side::Left, Look::plain(9.0));
        }
        let signed = "经办人：　　　　　　　日期：　　　年　　月　　日";
        desk.text(signed, column, top + STAMPS - 20.0, Side::Left, Look::plain(9.0));
    }
    desk.down += STAMPS;
}

/// An amount with its thousands parted.
fn grouped(value: Decimal) -> String {
    let text = checksum::amount(value);
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "00"));
    let mut parted = String::with_capacity(text.len() + 8);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            parted.push(',');
        }
        parted.push(digit);
    }
    format!("{sign}{parted}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_model::decimal::parse;

    #[test]
    fn thousands_are_parted() {
        for (amount, expected) in [
            ("0", "0.00"),
            ("999.5", "999.50"),
            ("1000", "1,000.00"),
            ("-1234567.891", "-1,234,567.891"),
            ("-100", "-100.00"),
        ] {
            assert_eq!(grouped(parse(amount).unwrap()), expected);
        }
    }

    #[test]
    fn what_is_no_font_with_chinese_is_refused() {
        assert!(Font::read(b"no").is_err_and(|why| why.en.contains("no font")));
    }
}
