//! Two versions of a mapping over the same documents: what changes, money first.

use crate::check::Mapping;
use crate::related::Related;
use crate::run::Stop;
use crate::tables::Tables;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use tongbao_model::decimal;
use tongbao_model::shape::{Kind, Sense, Shape};

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Target path, lines counted from 1.
    pub target: String,
    /// What the first mapping writes; absent when nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What the second one writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// For amounts and prices: by how much.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub money: Option<Decimal>,
}

fn as_text<S: serde::Serializer>(value: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// What becomes of one document.
#[derive(Debug, Clone, PartialEq)]
pub enum Compared {
    /// The same document, or the same fault.
    Same,
    /// Both make a document, and these fields differ: money first.
    Changed(Vec<Change>),
    /// The first made a document, the second makes none.
    NewlyRefused(Stop),
    /// The first made none, the second does.
    NewlyAccepted(Stop),
    /// Neither makes one, for other reasons than before.
    OtherFault(Stop, Stop),
}

impl Compared {
    /// Whether an amount or a price differs.
    pub fn is_money(&self) -> bool {
        matches!(self, Compared::Changed(changes) if changes.iter().any(|change| change.money.is_some()))
    }
}

/// Runs one document through both, each with the related records that it wants of it.
pub fn compare(
    (before, related_before): (&Mapping, &Related),
    (after, related_after): (&Mapping, &Related),
    input: &Value,
    tables: &Tables,
) -> Compared {
    let made =
        (before.run_value(input, related_before, tables), after.run_value(input, related_after, tables));
    match made {
        (Ok(a), Ok(b)) => {
            let mut changes = Vec::new();
            differences(&after.target, "", "", &a.document, &b.document, &mut changes);
            if a.key != b.key {
                let text = |key: String| Some(Value::String(key));
                changes.push(Change {
                    target: "(key)".into(),
                    from: text(a.key),
                    to: text(b.key),
                    money: None,
                });
            }
            if changes.is_empty() {
                return Compared::Same;
            }
            changes.sort_by_key(|change| change.money.is_none());
            Compared::Changed(changes)
        }
        (Ok(_), Err(stop)) => Compared::NewlyRefused(stop),
        (Err(stop), Ok(_)) => Compared::NewlyAccepted(stop),
        (Err(a), Err(b)) if a.fault.code == b.fault.code && a.fault.field == b.fault.field => Compared::Same,
        (Err(a), Err(b)) => Compared::OtherFault(a, b),
    }
}

/// `path` as shown, `name` as the shape knows it.
fn differences(shape: &Shape, path: &str, name: &str, a: &Value, b: &Value, found: &mut Vec<Change>) {
    let join = |before: &str, key: &str| {
        if before.is_empty() { key.to_owned() } else { format!("{before}.{key}") }
    };
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            for (key, value) in x {
                let other = y.get(key).unwrap_or(&Value::Null);
                differences(shape, &join(path, key), &join(name, key), value, other, found);
            }
            for (key, value) in y.iter().filter(|(key, _)| !x.contains_key(*key)) {
                differences(shape, &join(path, key), &join(name, key), &Value::Null, value, found);
            }
        }
        (Value::Array(x), Value::Array(y)) => {
            for at in 0..x.len().max(y.len()) {
                let side = |side: &[Value]| side.get(at).cloned().unwrap_or(Value::Null);
                differences(shape, &format!("{path}[{}]", at + 1), name, &side(x), &side(y), found);
            }
        }
        // A part that one side lacks altogether is told field by field.
        (Value::Object(_), Value::Null) => {
            differences(shape, path, name, a, &Value::Object(Default::default()), found)
        }
        (Value::Null, Value::Object(_)) => {
            differences(shape, path, name, &Value::Object(Default::default()), b, found)
        }
        (Value::Array(_), Value::Null) => differences(shape, path, name, a, &Value::Array(Vec::new()), found),
        (Value::Null, Value::Array(_)) => differences(shape, path, name, &Value::Array(Vec::new()), b, found),
        (a, b) if a == b => {}
        (a, b) => {
            let some = |value: &Value| (!value.is_null()).then(|| value.clone());
            found.push(Change {
                target: path.to_owned(),
                from: some(a),
                to: some(b),
                money: money(shape, name, a, b),
            });
        }
    }
}

/// By how much, where the field is about money and the numbers differ.
fn money(shape: &Shape, name: &str, a: &Value, b: &Value) -> Option<Decimal> {
    let Kind::Decimal { sense, .. } = shape.find(name)?.kind else { return None };
    let counts = sense.is_amount()
        || matches!(sense, Sense::PriceTaxIncluded | Sense::PriceTaxExcluded | Sense::Quantity | Sense::Rate);
    let number = |value: &Value| match value {
        Value::Null => Some(Decimal::ZERO),
        Value::Number(number) => decimal::parse(number.as_str()).ok(),
        Value::String(text) => decimal::parse(text).ok(),
        _ => None,
    };
    let delta = number(b)?.checked_sub(number(a)?)?;
    (counts && !delta.is_zero()).then_some(delta)
}
