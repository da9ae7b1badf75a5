//! Masking of what people and logs may not see.

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
    let name = name.to_lowercase();
    HIDDEN.iter().any(|part| name.contains(part))
}

/// A copy of a document that may be stored and shown with an attempt: hidden values become `***`, names of
/// people and companies stay (finance must recognise the document), long texts are cut.
pub fn document(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, member)| {
                    let shown = match member {
                        Value::Object(_) | Value::Array(_) => document(member),
                        Value::Null => Value::Null,
                        Value::Bool(_) | Value::Number(_) | Value::String(_) if is_hidden(key) => {
                            Value::String("***".into())
                        }
                        Value::Bool(_) | Value::Number(_) | Value::String(_) => member.clone(),
                    };
                    (key.clone(), shown)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(document).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_and_secrets_are_hidden_at_any_depth() {
        let document = document(&serde_json::json!({
            "order": {"buyerName": "某公司", "buyerTel": "0571-1", "lines": [{"qty": "1", "Email": "a@b"}]},
            "client_secret": "s3cret", "FNote": null
        }));
        let text = document.to_string();
        assert!(text.contains("某公司") && text.contains("\"qty\":\"1\""));
        for gone in ["0571-1", "a@b", "s3cret"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
    }
}
