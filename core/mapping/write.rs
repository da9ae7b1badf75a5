//! Writing values as the target's fields want them, straight into the document's bytes.

use crate::plan::ValueStep;
use crate::value::{Val, shown};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use std::fmt::Write as _;
use tongbao_model::shape::{Kind, Length, LengthUnit, NumberForm, TimeForm};
use tongbao_model::{Code as FaultCode, Fault, decimal};

/// Writes a value; answers its number where it is one.
pub fn write(
    out: &mut Vec<u8>,
    value: Val<'_>,
    rule: &ValueStep,
    zone: &TimeZone,
) -> Result<Option<Decimal>, Fault> {
    match (&rule.kind, value) {
        (Kind::Text(length), value @ (Val::Text(_) | Val::Plain(..) | Val::Number(_))) => {
            let whole = shown(&value);
            let kept = match length {
                Some(length) => fit(&whole, *length, rule.cut)?,
                None => &whole,
            };
            text(out, kept);
            Ok(None)
        }
        (Kind::Decimal { scale, form, sense }, value) => {
            let scale = rule.scale.or(*scale);
            if let Val::Plain(digits, mantissa, places) = value {
                // An amount shows its cents: 339.00, as every finance system writes it; other numbers only fit.
                let as_is = match scale {
                    Some(scale) if sense.is_amount() => places == scale,
                    Some(scale) => places <= scale,
                    None => true,
                };
                if as_is {
                    quoted(out, *form, |out| out.extend_from_slice(digits.as_bytes()));
                    return Ok(Some(Decimal::new(mantissa, places)));
                }
            }
            let mut number = narrow(numeric(&value)?, scale, rule)?;
            if let (true, Some(scale)) = (sense.is_amount(), scale) {
                number.rescale(scale);
            }
            quoted(out, *form, |out| decimal::write(number, out));
            Ok(Some(number))
        }
        (Kind::Integer, value) => {
            let number = narrow(numeric(&value)?, Some(0), rule)?;
            decimal::write(number, out);
            Ok(Some(number))
        }
        (Kind::Bool, Val::Bool(flag)) => {
            out.extend_from_slice(if flag { b"true" } else { b"false" });
            Ok(None)
        }
        (Kind::Date, Val::Date(date)) => {
            day(out, date);
            Ok(None)
        }
        (Kind::Date, Val::Time(time)) => {
            day(out, time.to_zoned(zone.clone()).date());
            Ok(None)
        }
        (Kind::DateTime(form), Val::Time(time)) => {
            text(out, &time_text(time, *form, zone));
            Ok(None)
        }
        (Kind::DateTime(form), Val::Date(date)) => {
            let zoned = date.to_zoned(zone.clone()).map_err(|_| {
                Fault::new(FaultCode::DateInvalid, "日期超出范围", "the date is out of range")
                    .value(date.to_string())
            })?;
            text(out, &time_text(zoned.timestamp(), *form, zone));
            Ok(None)
        }
        (_, other) => Err(unchecked(&other)),
    }
}

fn quoted(out: &mut Vec<u8>, form: NumberForm, digits: impl FnOnce(&mut Vec<u8>)) {
    match form {
        NumberForm::Number => digits(out),
        NumberForm::Text => {
            out.push(b'"');
            digits(out);
            out.push(b'"');
        }
    }
}

fn numeric(value: &Val<'_>) -> Result<Decimal, Fault> {
    value.number().ok_or_else(|| unchecked(value))
}

fn unchecked(value: &Val<'_>) -> Fault {
    Fault::new(FaultCode::Defect, "类型未被检查", "a type that was not checked").value(shown(value))
}

/// A text with quotes, escaped.
pub fn text(out: &mut Vec<u8>, text: &str) {
    if !text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// A date with quotes, `yyyy-MM-dd`.
fn day(out: &mut Vec<u8>, date: jiff::civil::Date) {
    let (year, month, day) =
        (date.year().unsigned_abs(), date.month().unsigned_abs(), date.day().unsigned_abs());
    if date.year() < 0 {
        // Not a day any document is of; written as jiff writes it.
        text(out, &date.to_string());
        return;
    }
    let digit = |number: u16| u8::try_from(number % 10).unwrap_or(0) + b'0';
    let two = |number: u8| [number / 10 + b'0', number % 10 + b'0'];
    out.push(b'"');
    out.extend_from_slice(&[digit(year / 1000), digit(year / 100), digit(year / 10), digit(year), b'-']);
    out.extend_from_slice(&two(month));
    out.push(b'-');
    out.extend_from_slice(&two(day));
    out.push(b'"');
}

fn time_text(time: jiff::Timestamp, form: TimeForm, zone: &TimeZone) -> String {
    let zoned = time.to_zoned(zone.clone());
    let mut text = String::with_capacity(32);
    let date = zoned.datetime();
    let (date, time) = (date.date(), date.time());
    let between = match form {
        TimeForm::Rfc3339 => 'T',
        TimeForm::Local => ' ',
    };
    let _ = write!(text, "{date}{between}{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    if form == TimeForm::Rfc3339 {
        let seconds = zoned.offset().seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let minutes = seconds.abs() / 60;
        let _ = write!(text, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
    text
}

/// Brings a decimal to at most `scale` places: by the named rounding, or only if nothing is lost.
fn narrow(value: Decimal, scale: Option<u32>, rule: &ValueStep) -> Result<Decimal, Fault> {
    let Some(scale) = scale else { return Ok(value) };
    if value.scale() <= scale {
        return Ok(value);
    }
    if let Some(rounding) = rule.round {
        return Ok(rounding.apply(value, scale));
    }
    let rounded = value.trunc_with_scale(scale);
    if rounded == value {
        return Ok(rounded);
    }
    Err(Fault::new(
        FaultCode::ScaleLoss,
        format!("小数位数超过 {scale} 位"),
        format!("more than {scale} decimal places"),
    )
    .value(value.to_string()))
}

/// The whole text where it fits; where the mapping says `cut`, as much of it as fits.
fn fit(text: &str, length: Length, cut: bool) -> Result<&str, Fault> {
    if text.len() <= length.max {
        return Ok(text);
    }
    let mut count = 0;
    let mut end = None;
    for (at, character) in text.char_indices() {
        count += units(character, length.unit);
        if count > length.max && end.is_none() {
            end = Some(at);
        }
    }
    let Some(end) = end else { return Ok(text) };
    if cut {
        return Ok(text.get(..end).unwrap_or(""));
    }
    let (zh, en) = match length.unit {
        LengthUnit::Characters => ("字符", "characters"),
        LengthUnit::GbkBytes => ("字节", "GBK bytes"),
    };
    Err(Fault::new(
        FaultCode::FieldTooLong,
        format!("长度 {count}，最多 {} {zh}", length.max),
        format!("{count} long, at most {} {en}", length.max),
    )
    .value(text))
}

fn units(character: char, unit: LengthUnit) -> usize {
    match unit {
        LengthUnit::Characters => 1,
        LengthUnit::GbkBytes if character.is_ascii() => 1,
        LengthUnit::GbkBytes => 2,
    }
}
