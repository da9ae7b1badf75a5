//! Digest of a record's canonical bytes.

use crate::json::Tree;
use sha2::{Digest as _, Sha256};

/// Lower-case hex SHA-256 over the record with the members of every object in byte order, so that two
/// senders' key orders do not make two documents of one. Numbers count as they are written.
pub fn of_record(record: &Tree<'_>) -> String {
    let mut hasher = Sha256::new();
    feed(record, &mut hasher);
    hex(&hasher.finalize())
}

/// Lower-case hex SHA-256 of bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn feed(tree: &Tree<'_>, hasher: &mut Sha256) {
    match tree {
        Tree::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            hasher.update(b"{");
            for (key, member) in members {
                length(key, hasher);
                hasher.update(key.as_bytes());
                feed(member, hasher);
            }
            hasher.update(b"}");
        }
        Tree::List(items) => {
            hasher.update(b"[");
            for item in items {
                feed(item, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        Tree::Text(text) => {
            hasher.update(b"\"");
            length(text, hasher);
            hasher.update(text.as_bytes());
        }
        Tree::Number(number) => hasher.update(number.as_bytes()),
        Tree::Bool(true) => hasher.update(b"t"),
        Tree::Bool(false) => hasher.update(b"f"),
        Tree::Null => hasher.update(b"n"),
    }
}

/// A text's length before it: no two texts run together.
fn length(text: &str, hasher: &mut Sha256) {
    hasher.update(itoa::Buffer::new().format(text.len()));
    hasher.update(b":");
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
