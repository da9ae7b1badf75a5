//! Digest of a record's canonical bytes.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Lower-case hex SHA-256 over the record with the members of every object in byte order, so that two
/// senders' key orders do not make two documents of one. Numbers count as they are written.
pub fn of_record(record: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(record, &mut hasher);
    hex(&hasher.finalize())
}

/// Lower-case hex SHA-256 of bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn feed(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by(|left, right| left.0.cmp(right.0));
            hasher.update(b"{");
            for (key, member) in members {
                hasher.update(key.len().to_string());
                hasher.update(b":");
                hasher.update(key);
                feed(member, hasher);
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                feed(item, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        Value::String(text) => {
            hasher.update(b"\"");
            hasher.update(text.len().to_string());
            hasher.update(b":");
            hasher.update(text);
        }
        Value::Number(number) => hasher.update(number.as_str()),
        Value::Bool(true) => hasher.update(b"t"),
        Value::Bool(false) => hasher.update(b"f"),
        Value::Null => hasher.update(b"n"),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_order_does_not_count_but_content_does() {
        let of = |text: &str| of_record(&serde_json::from_str(text).unwrap());
        assert_eq!(of(r#"{"a":1,"b":[{"c":"x","d":null}]}"#), of(r#"{"b":[{"d":null,"c":"x"}],"a":1}"#));
        assert_ne!(of(r#"{"a":"1"}"#), of(r#"{"a":1}"#));
        assert_ne!(of(r#"{"a":["x","y"]}"#), of(r#"{"a":["xy"]}"#));
        assert_ne!(of(r#"{"ab":"c"}"#), of(r#"{"a":"bc"}"#));
    }
}
