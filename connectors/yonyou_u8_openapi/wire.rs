//! Documents of mappings as the platform takes them, and what it answers read back.

use super::documents::{LINES, ORDER};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tongbao_model::{Code, Fault, decimal};

/// Name of an order's number.
pub const NUMBER: &str = "code";

/// What an `add` sends besides the document.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    /// The number; `None` where U8 gives it.
    pub number: Option<&'a str>,
    /// Name and text of the stamp.
    pub stamp: (&'a str, &'a str),
    /// Whether numbers go as texts.
    pub as_text: bool,
}

/// The body of an `add`, with number and stamp whatever the mapping says.
pub fn order(document: &Value, marks: Marks<'_>) -> Result<Value, Fault> {
    let Value::Object(given) = document else { return Err(unfit(ORDER)) };
    let mut order = Map::new();
    for (name, value) in given {
        let value = match value {
            Value::Array(lines) if name == LINES => {
                let lines: Result<Vec<Value>, Fault> =
                    lines.iter().map(|one| line(one, marks.as_text)).collect();
                Some(Value::Array(lines?))
            }
            other => plain(name, other, marks.as_text)?,
        };
        order.extend(value.map(|value| (name.clone(), value)));
    }
    order.remove(NUMBER);
    order.extend(marks.number.map(|number| (NUMBER.to_owned(), Value::from(number))));
    order.insert(marks.stamp.0.to_owned(), marks.stamp.1.into());
    Ok(Value::Object([(ORDER.to_owned(), Value::Object(order))].into_iter().collect()))
}

fn line(line: &Value, as_text: bool) -> Result<Value, Fault> {
    let Value::Object(members) = line else { return Err(unfit(LINES)) };
    let mut shown = Map::new();
    for (name, value) in members {
        shown.extend(plain(name, value, as_text)?.map(|value| (name.clone(), value)));
    }
    Ok(Value::Object(shown))
}

/// A value; none for what is empty.
fn plain(name: &str, value: &Value, as_text: bool) -> Result<Option<Value>, Fault> {
    Ok(match value {
        Value::Null => None,
        Value::Bool(flag) => Some(if *flag { "1" } else { "0" }.into()),
        Value::Number(number) if as_text => Some(number.to_string().into()),
        Value::Number(_) | Value::String(_) => Some(value.clone()),
        Value::Array(_) | Value::Object(_) => return Err(unfit(name)),
    })
}

fn unfit(name: &str) -> Fault {
    let fault = Fault::new(
        Code::FieldType,
        format!("{name} 不是 U8 单据能容纳的形状"),
        format!("`{name}` has a shape that no U8 document holds"),
    );
    fault.at(name)
}

/// The text of a member, however it was written; empty where there is none.
pub fn text(members: &Map<String, Value>, name: &str) -> String {
    match members.get(name) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

/// The lines of a document that was read.
pub fn lines(document: &Map<String, Value>) -> Vec<&Map<String, Value>> {
    let lines = document.get(LINES).and_then(Value::as_array);
    lines.into_iter().flatten().filter_map(Value::as_object).collect()
}

/// An amount as U8 prints it: with trailing zeros, perhaps without the zero in front of its point.
pub fn amount(text: &str) -> Option<Decimal> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let zero = if digits.starts_with('.') { "0" } else { "" };
    decimal::parse(&format!("{sign}{zero}{digits}")).ok()
}

/// The sum of an amount over the lines; none where a line does not state it, or where there is no line.
pub fn total(document: &Map<String, Value>, name: &str) -> Option<Decimal> {
    let mut amounts = lines(document).into_iter().map(|line| amount(&text(line, name)));
    let first = amounts.next()??;
    amounts.try_fold(first, |sum, amount| decimal::add(sum, amount?))
}

/// A stamp of at most `room` bytes of GBK; a longer one keeps its beginning and ends in the hash of the whole. Both doors
/// of U8 stamp alike, so a connection may change its door.
pub fn stamp(origin: &str, room: usize) -> String {
    // Two bytes for what is not ASCII, four for the rarest.
    let size = |one: char| match u32::from(one) {
        0..=0x7F => 1,
        0x80..=0xFFFF => 2,
        _ => 4,
    };
    if origin.chars().map(size).sum::<usize>() <= room {
        return origin.to_owned();
    }
    let hash: String = hex::encode(Sha256::digest(origin.as_bytes())).chars().take(16).collect();
    let mut left = room.saturating_sub(hash.len() + 1);
    let kept: String = origin
        .chars()
        .take_while(|one| {
            let fits = size(*one) <= left;
            left = left.saturating_sub(size(*one));
            fits
        })
        .collect();
    format!("{kept}#{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_order_carries_number_and_stamp_and_no_empty_member() {
        let document: Value = serde_json::from_str(
            r#"{"code":"other","define11":"x","memo":null,"currencyrate":1,"entry":[{"quantity":2.50,"bgift":false,"memo":null}]}"#,
        )
        .unwrap();
        let marks = Marks { number: Some("K-1"), stamp: ("define11", "crm/c/K-1"), as_text: true };
        assert_eq!(
            order(&document, marks).unwrap(),
            json!({"saleorder": {"code": "K-1", "currencyrate": "1", "define11": "crm/c/K-1",
                "entry": [{"quantity": "2.50", "bgift": "0"}]}})
        );
        let plain = order(&document, Marks { number: None, as_text: false, ..marks }).unwrap();
        assert_eq!(plain["saleorder"]["entry"][0]["quantity"].to_string(), "2.50");
        assert!(plain["saleorder"].get("code").is_none());
        for (document, field) in [
            (json!([]), "saleorder"),
            (json!({"entry": {}}), "entry"),
            (json!({"entry": [1]}), "entry"),
            (json!({"memo": [1]}), "memo"),
        ] {
            assert_eq!(order(&document, marks).unwrap_err().field.as_deref(), Some(field));
        }
    }

    #[test]
    fn totals_are_of_all_lines_or_none() {
        let of = |lines: Value| {
            let document = json!({"entry": lines});
            total(document.as_object().unwrap(), "sum").map(|total| total.to_string())
        };
        assert_eq!(of(json!([{"sum": "100.00"}, {"sum": ".05"}, {"sum": "-.50"}])).as_deref(), Some("99.55"));
        assert_eq!(of(json!([{"sum": "1"}, {}])), None);
        assert_eq!(of(json!([{"sum": "1,000.00"}])), None);
        assert_eq!(of(json!([])), None);
    }

    #[test]
    fn a_stamp_fits_its_field_and_stays_its_own() {
        assert_eq!(stamp("crm/contract/HT-1", 120), "crm/contract/HT-1");
        let long = |end: &str| stamp(&format!("crm/contract/{}{end}", "合同".repeat(40)), 60);
        assert!(long("1").starts_with("crm/contract/合同"));
        assert_ne!(long("1"), long("2"));
        assert!(long("1").chars().map(|one| if one.is_ascii() { 1 } else { 2 }).sum::<usize>() <= 60);
    }
}
