//! From bytes to text, and from the texts in a statement to dates and amounts. Nothing is guessed: what is not plainly
//! one of the forms that statements have is refused.

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};
use jiff::civil::{Date, Time};
use rust_decimal::Decimal;
use std::borrow::Cow;
use tongbao_model::{Code, Fault, decimal};

/// Most decimal places of an amount.
const SCALE_MAX: u32 = 4;

/// Decodes a file: the byte order mark where there is one, else UTF-8 where the bytes are UTF-8, else GB18030. What is
/// none of them is refused; a character is never replaced.
pub fn decode(bytes: &[u8]) -> Result<(Cow<'_, str>, &'static str), Fault> {
    let marked = Encoding::for_bom(bytes);
    let (encoding, rest) = match marked {
        Some((encoding, length)) => (encoding, bytes.get(length..).unwrap_or_default()),
        None if std::str::from_utf8(bytes).is_ok() => (UTF_8, bytes),
        None => (GB18030, bytes),
    };
    let known = [UTF_8, UTF_16LE, UTF_16BE, GB18030].contains(&encoding);
    let text = encoding.decode_without_bom_handling_and_without_replacement(rest).filter(|_| known);
    let Some(text) = text else {
        return Err(Fault::new(
            Code::BodyInvalid,
            format!("文件的字节不是 {} 编码", encoding.name()),
            format!("the bytes of the file are not in {}", encoding.name()),
        )
        .remedy(
            "文件可能不完整或已损坏，请重新下载；或另存为 UTF-8。",
            "The file may be cut or damaged: download it again, or save it as UTF-8.",
        ));
    };
    if text.contains('\0') {
        return Err(Fault::new(Code::BodyInvalid, "文件不是文本", "the file is no text")
            .remedy("请另存为 UTF-8 或 GBK 的文本文件。", "Save it as a text file in UTF-8 or GBK."));
    }
    Ok((text, encoding.name()))
}

/// A column's name or a label in the form in which they are compared: full-width forms as ASCII, no blanks.
pub fn name(text: &str) -> String {
    let narrow = |one: char| match one {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(one) - 0xfee0).unwrap_or(one),
        other => other,
    };
    text.chars().filter(|one| !one.is_whitespace() && *one != '\u{feff}').map(narrow).collect()
}

/// A cell without what exports put around its value so that spreadsheets take it for text: blanks and tabs, an apostrophe
/// or a backtick in front, `="…"`.
pub fn clean(cell: &str) -> &str {
    let cell = cell.trim();
    let cell = cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or(cell);
    cell.strip_prefix(['\'', '`']).unwrap_or(cell).trim()
}

/// Whether a cell says that there is nothing.
pub fn is_empty(cell: &str) -> bool {
    matches!(clean(cell), "" | "-" | "--" | "/")
}

/// An amount: an optional sign, digits with separators of thousands in the right places or without any, an optional
/// fraction. `None` for a cell that holds none.
pub fn amount(cell: &str) -> Result<Option<Decimal>, Fault> {
    if is_empty(cell) {
        return Ok(None);
    }
    let text = clean(cell);
    let wrong = |code, zh: &str, en: &str| shown(Fault::new(code, zh, en), text);
    let no_amount = || wrong(Code::FieldType, "不是金额", "no amount");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.strip_prefix(['¥', '￥']).unwrap_or(digits);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.is_some_and(|fraction| !is_digits(fraction)) {
        return Err(no_amount());
    }
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let (mut plain, mut has_groups) = (first.to_owned(), false);
    for group in groups {
        if group.len() != 3 || !is_digits(group) {
            return Err(no_amount());
        }
        plain.push_str(group);
        has_groups = true;
    }
    if !is_digits(first) || (has_groups && first.len() > 3) {
        return Err(no_amount());
    }
    let plain = format!("{sign}{plain}.{}", fraction.unwrap_or("0"));
    let value = decimal::parse(&plain)
        .map_err(|_| wrong(Code::NumberRange, "金额位数过多", "the amount has too many digits"))?;
    money(value).map(Some)
}

/// Shows a cell that should be an amount, unless it may be an account number or a name that stands in the wrong column.
fn shown(fault: Fault, cell: &str) -> Fault {
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    let is_figure = cell.chars().all(|one| one.is_ascii_digit() || ",.-+=".contains(one));
    if is_figure && digits <= 10 { fault.value(cell) } else { fault }
}

/// An amount with two places at least, so that the same amount has the same text in every format.
pub fn money(value: Decimal) -> Result<Decimal, Fault> {
    let mut value = value.normalize();
    if value.scale() > SCALE_MAX {
        return Err(Fault::new(
            Code::ScaleLoss,
            format!("金额超过 {SCALE_MAX} 位小数"),
            format!("the amount has more than {SCALE_MAX} decimal places"),
        )
        .value(value.to_string()));
    }
    if value.is_zero() {
        value = Decimal::ZERO;
    }
    value.rescale(value.scale().max(2));
    Ok(value)
}

/// A sum, exactly.
pub fn sum(left: Decimal, right: Decimal) -> Result<Decimal, Fault> {
    decimal::add(left, right)
        .ok_or_else(|| Fault::new(Code::NumberRange, "金额合计超出范围", "a sum of amounts is out of range"))
}

/// A day, and the time of day where it is told: `20251103`, `2025-11-03`, `2025/11/3`, `2025年11月3日`, each with
/// `090501`, `09:05:01` or `09:05` behind it or not.
pub fn moment(cell: &str) -> Option<(Date, Option<Time>)> {
    let text = clean(cell);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (day, rest) = if digits >= 8 {
        let (day, rest) = text.split_at_checked(8)?;
        let (year, month_day) = day.split_at_checked(4)?;
        let (month, day) = month_day.split_at_checked(2)?;
        (date(year, month, day)?, rest)
    } else {
        let (year, rest) = text.split_once(['-', '/', '.', '年'])?;
        let (month, rest) = rest.split_once(['-', '/', '.', '月'])?;
        let end = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (day, rest) = rest.split_at_checked(end)?;
        (date(year, month, day)?, rest.strip_prefix('日').unwrap_or(rest))
    };
    let rest = rest.strip_prefix('T').unwrap_or(rest).trim();
    if rest.is_empty() { Some((day, None)) } else { Some((day, Some(time_of_day(rest)?))) }
}

fn date(year: &str, month: &str, day: &str) -> Option<Date> {
    let part = |text: &str, most: usize| {
        let fits = !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { text.parse::<i16>().ok() } else { None }
    };
    let year = part(year, 4).filter(|year| (1990..=2100).contains(year))?;
    let month = i8::try_from(part(month, 2)?).ok()?;
    Date::new(year, month, i8::try_from(part(day, 2)?).ok()?).ok()
}

/// A time of day: `090501`, `09:05:01`, `09:05`; parts of seconds are left out.
pub fn time_of_day(cell: &str) -> Option<Time> {
    let text = clean(cell);
    let text = text.split_once('.').map_or(text, |(whole, _)| whole);
    let parts: Vec<&str> = match text.contains(':') {
        true => text.split(':').collect(),
        false if text.len() == 6 => vec![text.get(..2)?, text.get(2..4)?, text.get(4..)?],
        false => return None,
    };
    let part = |index: usize| -> Option<i8> {
        let text = *parts.get(index).unwrap_or(&"0");
        let fits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { text.parse().ok() } else { None }
    };
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    Time::new(part(0)?, part(1)?, part(2)?, 0).ok()
}

/// ISO 4217 code of what statements call a currency.
pub fn currency(cell: &str) -> Option<String> {
    let text = clean(cell);
    let known = match text {
        "人民币" | "人民币元" | "RMB" | "156" => "CNY",
        "美元" => "USD",
        "港币" | "港元" => "HKD",
        "欧元" => "EUR",
        "日元" => "JPY",
        "英镑" => "GBP",
        other if other.len() == 3 && other.bytes().all(|byte| byte.is_ascii_uppercase()) => other,
        _ => return None,
    };
    Some(known.to_owned())
}

/// The last characters of an account, to recognise it by where the whole of it must not be shown.
pub fn tail(account: &str) -> String {
    let count = account.chars().count();
    account.chars().skip(count.saturating_sub(4)).collect()
}
