//! MT940: SWIFT's customer statement, one or more in a file, each perhaps in pages.

use super::statement::{Book, Kind, Row, Skipped, Statement, Why, in_row, mismatch, row_field};
use super::text;
use jiff::civil::Date;
use rust_decimal::Decimal;
use tongbao_model::{Code, Fault};

/// Name in reports.
pub const FORMAT: &str = "mt940";
/// Longest text of a field, in bytes; the standard has 6 lines of 65 characters.
const FIELD_MAX: usize = 16 * 1024;

/// Whether a text is MT940.
pub fn is_it(text: &str) -> bool {
    let mut lines = text.lines().map(line_of).filter(|line| !line.is_empty()).take(3);
    lines.any(|line| line.starts_with(":20:")) && text.contains("\n:25")
}

/// A line without the message's outer blocks: `{1:…}{2:…}{4:` stand before the first field, on its line or above it.
fn line_of(line: &str) -> &str {
    let line = line.trim_end().trim_start_matches('\u{feff}');
    if !line.starts_with('{') {
        return line;
    }
    line.rfind("{4:").and_then(|at| line.get(at + 3..)).unwrap_or_default()
}

/// A field: its tag, its text, the line it begins on.
struct Field {
    tag: String,
    lines: Vec<String>,
    place: usize,
}

impl Field {
    fn first(&self) -> &str {
        self.lines.first().map_or("", String::as_str).trim()
    }

    fn whole(&self) -> String {
        self.lines.concat().trim().to_owned()
    }
}

fn invalid(place: usize, zh: &str, en: &str) -> Fault {
    let fault = Fault::new(Code::BodyInvalid, format!("第 {place} 行：{zh}"), format!("line {place}: {en}"));
    fault
        .at(row_field(place))
        .remedy("文件不完整或不是 MT940，请重新下载。", "The file is cut or no MT940: download it again.")
}

fn fields(text: &str) -> Result<Vec<Field>, Fault> {
    let mut fields: Vec<Field> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (place, line) = (index + 1, line_of(line));
        if line.is_empty() {
            continue;
        }
        if line == "-" || line.starts_with("-}") {
            fields.push(Field { tag: "-".to_owned(), lines: Vec::new(), place });
            continue;
        }
        let tag = line.strip_prefix(':').and_then(|rest| rest.split_once(':'));
        let tag = tag.filter(|(tag, _)| {
            (2..=3).contains(&tag.len()) && tag.bytes().take(2).all(|byte| byte.is_ascii_digit())
        });
        match (tag, fields.last_mut()) {
            (Some((tag, rest)), _) => {
                fields.push(Field { tag: tag.to_owned(), lines: vec![rest.to_owned()], place });
            }
            (None, Some(last)) if last.tag != "-" => {
                if last.lines.iter().map(String::len).sum::<usize>() + line.len() > FIELD_MAX {
                    return Err(invalid(last.place, "字段过长", "the field is too long"));
                }
                last.lines.push(line.to_owned());
            }
            (None, _) => return Err(invalid(place, "不是字段", "this is no field")),
        }
    }
    Ok(fields)
}

/// Reads a file.
pub fn read(text: &str) -> Result<Book, Fault> {
    let mut book = Book { format: FORMAT.to_owned(), ..Book::default() };
    let mut open: Option<Open> = None;
    let mut is_after_row = false;
    for field in fields(text)? {
        let place = field.place;
        let was_after_row = std::mem::take(&mut is_after_row);
        if field.tag == "20" || field.tag == "-" {
            if let Some(done) = open.take() {
                done.end(&mut book)?;
            }
            if field.tag == "20" {
                open = Some(Open::new(place));
            }
            continue;
        }
        let Some(open) = open.as_mut() else {
            return Err(invalid(place, ":20: 之前有字段", "there is a field before :20:"));
        };
        match field.tag.as_str() {
            "25" | "25P" => open.account = field.first().to_owned(),
            "28" | "28C" => open.number = field.first().to_owned(),
            "60F" | "60M" => {
                open.is_page = field.tag == "60M";
                open.opening = Some(balance(&field)?);
            }
            "61" => {
                open.rows.push(line(&field)?);
                is_after_row = true;
            }
            "86" => match open.rows.last_mut() {
                Some(row) if was_after_row => row.text = Some(field.whole()).filter(|text| !text.is_empty()),
                // Behind the balances it is about the statement.
                _ => book.skipped.push(Skipped { place, why: Why::Foot }),
            },
            "62F" | "62M" => open.closing = Some(balance(&field)?),
            _ => book.skipped.push(Skipped { place, why: Why::Foot }),
        }
    }
    if let Some(done) = open {
        done.end(&mut book)?;
    }
    if book.statements.is_empty() {
        return Err(invalid(1, "没有对账单", "there is no statement"));
    }
    Ok(book)
}

/// A statement, or a page of one, that is being read.
struct Open {
    place: usize,
    account: String,
    number: String,
    is_page: bool,
    opening: Option<(Decimal, String)>,
    closing: Option<(Decimal, String)>,
    rows: Vec<Row>,
}

impl Open {
    fn new(place: usize) -> Open {
        Open {
            place,
            account: String::new(),
            number: String::new(),
            is_page: false,
            opening: None,
            closing: None,
            rows: Vec::new(),
        }
    }

    fn end(self, book: &mut Book) -> Result<(), Fault> {
        let Open { place, account, number, is_page, opening, closing, rows } = self;
        let (Some((opening, currency)), Some((closing, closed_in))) = (opening, closing) else {
            return Err(invalid(
                place,
                "缺少期初或期末余额",
                "the opening or the closing balance is missing",
            ));
        };
        if account.is_empty() {
            return Err(invalid(place, "缺少 :25: 账号", "the account, :25:, is missing"));
        }
        if currency != closed_in {
            let fault = Fault::new(
                Code::CurrencyMismatch,
                "期初与期末币种不同",
                "the two balances are in two currencies",
            );
            return Err(in_row(fault, place, ":62:"));
        }
        let before =
            book.statements.iter().rfind(|known| known.account == account && known.currency == currency);
        if let (true, Some(before)) = (is_page, before) {
            let stated = before.closing.unwrap_or_default();
            if stated != opening {
                return Err(mismatch(
                    place,
                    ("本页期初余额", "opening balance of the page"),
                    opening,
                    stated,
                ));
            }
            book.held("pages");
        }
        let id = Some(number).filter(|number| !number.is_empty());
        let (opening, closing) = (Some(opening), Some(closing));
        book.statements.push(Statement { account, currency, id, opening, closing, rows });
        Ok(())
    }
}

/// `C251102CNY1000000,00`: mark, day, currency, amount.
fn balance(field: &Field) -> Result<(Decimal, String), Fault> {
    let wrong = || invalid(field.place, "余额无法读取", "the balance cannot be read");
    let text = field.first();
    let (mark, rest) = text.split_at_checked(1).ok_or_else(wrong)?;
    let (day, rest) = rest.split_at_checked(6).ok_or_else(wrong)?;
    let (currency, figure) = rest.split_at_checked(3).ok_or_else(wrong)?;
    short_date(day).ok_or_else(wrong)?;
    let currency = text::currency(currency).ok_or_else(wrong)?;
    let amount = amount(figure).ok_or_else(wrong)?;
    match mark {
        "C" => Ok((amount, currency)),
        "D" => Ok((-amount, currency)),
        _ => Err(wrong()),
    }
}

/// Digits and one comma, which is there without a fraction too.
fn amount(text: &str) -> Option<Decimal> {
    let (whole, fraction) = text.trim().split_once(',')?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    text::amount(&format!("{whole}.{}", if fraction.is_empty() { "0" } else { fraction })).ok().flatten()
}

/// `YYMMDD`, of this century.
fn short_date(text: &str) -> Option<Date> {
    if text.len() != 6 { None } else { text::moment(&format!("20{text}")).map(|(date, _)| date) }
}

/// `:61:`: value date, perhaps the day of booking, mark, perhaps the currency's third letter, amount, type, references.
fn line(field: &Field) -> Result<Row, Fault> {
    let place = field.place;
    let wrong = || invalid(place, ":61: 无法读取", "the :61: cannot be read");
    let (day, mut rest) = field.first().split_at_checked(6).ok_or_else(wrong)?;
    let value_date = short_date(day).ok_or_else(wrong)?;
    let mut date = value_date;
    if let Some((booked, after)) = rest.split_at_checked(4)
        && booked.bytes().all(|byte| byte.is_ascii_digit())
    {
        date = booked_on(value_date, booked).ok_or_else(wrong)?;
        rest = after;
    }
    // The reversal of a credit is money out, that of a debit money in.
    let marks = [
        ("RC", -1, Kind::Reversal),
        ("RD", 1, Kind::Reversal),
        ("C", 1, Kind::Ordinary),
        ("D", -1, Kind::Ordinary),
    ];
    let (mark, sign, kind) =
        marks.into_iter().find(|(mark, _, _)| rest.starts_with(mark)).ok_or_else(wrong)?;
    let rest = rest.strip_prefix(mark).unwrap_or(rest);
    let rest = rest.strip_prefix(|one: char| one.is_ascii_uppercase()).unwrap_or(rest);
    let end = rest.find(|one: char| !one.is_ascii_digit() && one != ',').ok_or_else(wrong)?;
    let (figure, rest) = rest.split_at_checked(end).ok_or_else(wrong)?;
    let amount = amount(figure).filter(|amount| !amount.is_zero()).ok_or_else(wrong)?;
    let (kind_of, references) = rest.split_at_checked(4).ok_or_else(wrong)?;
    if !kind_of.starts_with(['N', 'F', 'S']) {
        return Err(wrong());
    }
    let (own, bank) = references.split_once("//").unwrap_or((references, ""));
    let given = |text: &str| {
        Some(text.trim()).filter(|text| !text.is_empty() && *text != "NONREF").map(str::to_owned)
    };
    let mut row = Row::new(place, date, if sign < 0 { -amount } else { amount });
    row.value_date = Some(value_date);
    row.kind = kind;
    row.own_reference = given(own);
    row.reference = given(bank);
    Ok(row)
}

/// The day of booking has no year: it is the one nearest to the value date.
fn booked_on(value_date: Date, text: &str) -> Option<Date> {
    let candidates = [value_date.year() - 1, value_date.year(), value_date.year() + 1];
    let dates = candidates
        .into_iter()
        .filter_map(|year| text::moment(&format!("{year}{text}")).map(|(date, _)| date));
    dates.min_by_key(|date| (*date - value_date).get_days().abs())
}
