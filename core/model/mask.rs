//! Masking of what people and logs may not see.

use crate::json::Tree;
use serde_json::Value;

/// What stands in place of a hidden value.
const HIDDEN_VALUE: &str = "***";

/// Parts of member names whose values are never shown, whatever system they belong to. Compared without regard to case, so
/// that `FBankAccount`, `buyerTel` and `client_secret` are all covered. `email` is covered by `mail`.
fn hidden_by(first: u8) -> &'static [&'static str] {
    match first {
        b'p' => &["password", "phone"],
        b's' => &["secret", "sign", "session"],
        b't' => &["token", "tel"],
        b'a' => &["appdata", "authorization", "address", "account"],
        b'c' => &["cookie"],
        b'm' => &["mobile", "mail"],
        b'i' => &["idcard", "id_card"],
        _ => &[],
    }
}

/// Whether the value under this member name is hidden.
pub fn is_hidden(name: &str) -> bool {
    let name = name.as_bytes();
    name.iter().enumerate().any(|(at, first)| {
        let starts = |part: &&str| {
            name.get(at..at + part.len()).is_some_and(|found| found.eq_ignore_ascii_case(part.as_bytes()))
        };
        hidden_by(first.to_ascii_lowercase()).iter().any(starts)
    })
}

/// A copy of a document that may be stored and shown with an attempt: hidden values become `***`, names of
/// people and companies stay (finance must recognise the document).
pub fn document(value: &Value) -> Value {
    // What could not be written is not shown.
    serde_json::from_str(&text(&Tree::from(value))).unwrap_or_default()
}

/// The same as JSON text.
pub fn text(tree: &Tree<'_>) -> String {
    let mut out = Vec::new();
    write(tree, false, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Members of lists have the name of the list.
fn write(tree: &Tree<'_>, hidden: bool, out: &mut Vec<u8>) {
    match tree {
        Tree::Object(members) => {
            let mut before = b'{';
            for (name, member) in members {
                out.push(before);
                quoted(name, out);
                out.push(b':');
                write(member, is_hidden(name), out);
                before = b',';
            }
            out.extend_from_slice(if before == b'{' { b"{}" } else { b"}" });
        }
        Tree::List(items) => {
            let mut before = b'[';
            for item in items {
                out.push(before);
                write(item, hidden, out);
                before = b',';
            }
            out.extend_from_slice(if before == b'[' { b"[]" } else { b"]" });
        }
        Tree::Null => out.extend_from_slice(b"null"),
        Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) if hidden => quoted(HIDDEN_VALUE, out),
        Tree::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Tree::Number(number) => out.extend_from_slice(number.as_bytes()),
        Tree::Text(text) => quoted(text, out),
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hidden_by_any_part() {
        for name in
            ["FBankAccount", "buyerTel", "client_secret", "PASSWORD", "eMail", "id_card_no", "tel", "x_sign"]
        {
            assert!(is_hidden(name), "{name}");
        }
        for name in ["", "t", "te", "FBillNo", "数量", "amount", "sig", "pass"] {
            assert!(!is_hidden(name), "{name}");
        }
    }

    #[test]
    fn personal_data_and_secrets_are_hidden_at_any_depth() {
        let plain = serde_json::json!({
            "order": {"buyerName": "某公司", "buyerTel": "0571-1", "lines": [{"qty": "1", "Email": "a@b"}]},
            "client_secret": "s3cret", "FNote": null, "mobiles": ["138-1", ["138-2"]], "amount": 1.10
        });
        let text = text(&Tree::from(&plain));
        assert_eq!(text, document(&plain).to_string());
        assert!(text.contains("某公司") && text.contains(r#""qty":"1""#) && text.contains("\"FNote\":null"));
        for gone in ["0571-1", "a@b", "s3cret", "138-1", "138-2"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
    }
}
