//! Values on their way from the source to the target.

use crate::typing::Type;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use std::borrow::Cow;
use tongbao_model::shape::TimeForm;
use tongbao_model::{Code as FaultCode, Fault, decimal};

/// A value in flight.
#[derive(Debug, Clone)]
pub enum Val<'a> {
    /// A number that is still the source's text, with the same as digits and scale.
    Plain(&'a str, i64, u32),
    Number(Decimal),
    Text(Cow<'a, str>),
    Bool(bool),
    Date(Date),
    Time(Timestamp),
}

impl Val<'_> {
    /// The number, if it is one.
    pub fn number(&self) -> Option<Decimal> {
        match self {
            Val::Plain(_, digits, scale) => Some(Decimal::new(*digits, *scale)),
            Val::Number(value) => Some(*value),
            Val::Text(_) | Val::Bool(_) | Val::Date(_) | Val::Time(_) => None,
        }
    }
}

/// A value as text.
pub fn shown<'a>(value: &'a Val<'_>) -> Cow<'a, str> {
    match value {
        Val::Plain(text, _, _) => Cow::Borrowed(text),
        Val::Text(text) => Cow::Borrowed(text),
        Val::Number(value) => value.to_string().into(),
        Val::Bool(value) => value.to_string().into(),
        Val::Date(date) => date.to_string().into(),
        Val::Time(time) => time.to_string().into(),
    }
}

/// Reads a number by its text, exactly.
pub fn number(text: &str) -> Result<Val<'_>, Fault> {
    if let Some((digits, scale)) = decimal::plain(text) {
        return Ok(Val::Plain(text, digits, scale));
    }
    decimal::parse(text).map(Val::Number).map_err(|error| {
        Fault::new(FaultCode::FieldType, "不是可精确表示的数字", error.to_string()).value(text)
    })
}

/// Reads a text as its declared type. Text is not guessed: a number may come as text because the field is declared
/// one, nothing else converts.
pub fn from_text<'a>(text: &'a str, kind: Type, zone: &TimeZone) -> Result<Val<'a>, Fault> {
    match kind {
        Type::Text => Ok(Val::Text(text.into())),
        Type::Number(_) => number(text),
        Type::Date => date(text).map(Val::Date).ok_or_else(|| bad_date(text)),
        Type::Time(form) => time(text, form, zone).map(Val::Time).ok_or_else(|| bad_date(text)),
        Type::Bool | Type::List | Type::Record => Err(wrong(kind, text)),
    }
}

/// A value of another type than the field's.
pub fn wrong(kind: Type, found: &str) -> Fault {
    let (zh, en) = (format!("应为 {}", kind.name()), format!("expected {}", kind.name()));
    Fault::new(FaultCode::FieldType, zh, en).value(found)
}

fn bad_date(text: &str) -> Fault {
    Fault::new(FaultCode::DateInvalid, "日期或时间无法识别", "the date or time cannot be read").value(text)
}

/// `yyyy-MM-dd`, or the date part of a local date and time.
fn date(text: &str) -> Option<Date> {
    text.parse::<Date>().ok().or_else(|| text.parse::<DateTime>().ok().map(|time| time.date()))
}

fn time(text: &str, form: TimeForm, zone: &TimeZone) -> Option<Timestamp> {
    match form {
        TimeForm::Rfc3339 => text.parse().ok(),
        TimeForm::Local => {
            text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
        }
    }
}
