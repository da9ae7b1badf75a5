//! Masking of what people and logs may not see.

use serde::{Serialize, Serializer};
use serde_json::Value;

/// What stands in place of a hidden value.
const HIDDEN_VALUE: &str = "***";

/// Member names whose values are never shown, whatever system they belong to. Compared in lower case, as
/// parts of the name, so that `FBankAccount`, `buyerTel` and `client_secret` are all covered.
const HIDDEN: &[&str] = &[
    "password",
    "secret",
    "token",
    "sign",
    "appdata",
    "session",
    "cookie",
    "authorization",
    "phone",
    "mobile",
    "tel",
    "email",
    "mail",
    "address",
    "account",
    "idcard",
    "id_card",
];

/// Whether the value under this member name is hidden.
pub fn is_hidden(name: &str) -> bool {
    let name = name.as_bytes();
    HIDDEN
        .iter()
        .any(|part| name.windows(part.len()).any(|found| found.eq_ignore_ascii_case(part.as_bytes())))
}

/// A copy of a document that may be stored and shown with an attempt: hidden values become `***`, names of
/// people and companies stay (finance must recognise the document).
pub fn document(value: &Value) -> Value {
    // A JSON value has no key and no number that could not be written; what could not be written is not shown.
    serde_json::to_value(Masked { value, hidden: false }).unwrap_or_default()
}

/// The same as JSON text.
pub fn text(value: &Value) -> String {
    serde_json::to_string(&Masked { value, hidden: false }).unwrap_or_default()
}

/// A value under a member name, written masked without a copy of it being made.
struct Masked<'a> {
    value: &'a Value,
    hidden: bool,
}

impl Serialize for Masked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(map) => serializer
                .collect_map(map.iter().map(|(key, value)| (key, Masked { value, hidden: is_hidden(key) }))),
            Value::Array(items) => {
                serializer.collect_seq(items.iter().map(|value| Masked { value, hidden: self.hidden }))
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) if self.hidden => {
                serializer.serialize_str(HIDDEN_VALUE)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                self.value.serialize(serializer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_and_secrets_are_hidden_at_any_depth() {
        let plain = serde_json::json!({
            "order": {"buyerName": "某公司", "buyerTel": "0571-1", "lines": [{"qty": "1", "Email": "a@b"}]},
            "client_secret": "s3cret", "FNote": null, "mobiles": ["138-1", ["138-2"]], "amount": 1.10
        });
        let text = text(&plain);
        assert_eq!(text, document(&plain).to_string());
        assert!(text.contains("某公司") && text.contains(r#""qty":"1""#) && text.contains("\"FNote\":null"));
        for gone in ["0571-1", "a@b", "s3cret", "138-1", "138-2"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
    }
}
