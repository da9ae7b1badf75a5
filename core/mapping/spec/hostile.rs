//! Whatever comes in: no panic, no unbounded work, and limits that are named.

use super::*;
use crate::{DOCUMENT_BYTES_MAX, EXPRESSION_BYTES_MAX, LINES_MAX};
use proptest::prelude::*;

/// A text with pieces of it cut out, doubled, or replaced by arbitrary ones.
fn spliced(text: &str, edits: &[(usize, usize, String)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (at, length, new) in edits {
        let at = at % (characters.len() + 1);
        let end = (at + length).min(characters.len());
        characters.splice(at..end, new.chars());
    }
    characters.into_iter().collect()
}

fn edits() -> impl Strategy<Value = Vec<(usize, usize, String)>> {
    let piece = prop_oneof![
        "\\PC{0,6}",
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            "\"",
            ":",
            "\n",
            "- ",
            "0",
            "-",
            ".",
            "e9",
            "null",
            "true",
            "lines",
            "root.",
            "sum(",
            "share(",
            "99999999999999999999999999",
            "0.0000000000000000000001",
            "\u{0}",
            "\\u0000",
            "each: lines",
            "~",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec((0usize..4000, 0usize..12, piece), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_file_is_compiled_or_refused(edits in edits()) {
        let text = spliced(&good(), &edits);
        let (mapping, found) = build(&text);
        prop_assert_eq!(mapping.is_none(), found.iter().any(|finding| finding.severity == Severity::Error));
        for finding in &found {
            prop_assert!(crate::codes::find(finding.code).is_some(), "{}", finding);
            prop_assert!(finding.suggestion.is_some(), "{}", finding);
        }
        if let Some(mapping) = mapping {
            let _ = mapping.run(&contract(), &tables());
        }
    }

    #[test]
    fn any_document_is_made_or_faulted(edits in edits()) {
        let mapping = build(&good()).0.unwrap();
        let text = spliced(&contract().to_string(), &edits);
        let by_text = mapping.run_text(&text, &tables());
        // Read at once or parsed before: the same, where the document has no member twice.
        if let Ok(value) = serde_json::from_str::<Value>(&text)
            && value.to_string().len() + 2 >= text.split_whitespace().collect::<String>().len()
        {
            let by_value = mapping.run(&value, &tables());
            prop_assert_eq!(by_text.is_ok(), by_value.is_ok(), "{}", text);
        }
    }

    #[test]
    fn any_bytes_are_no_document(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mapping = build(&good()).0.unwrap();
        prop_assert!(mapping.run_bytes(&bytes, &tables()).is_err());
    }

    #[test]
    fn any_expression_is_read_or_refused(text in "\\PC{0,80}") {
        let _ = crate::expr::parse(&text);
    }
}

#[test]
fn limits_have_names() {
    let mapping = build(&good()).0.unwrap();
    let line = r#"{"line":1}"#;
    let lines = format!(r#"{{"number":"HT-1","lines":[{}]}}"#, vec![line; LINES_MAX + 1].join(","));
    let depth = 100_000;
    let deep = contract().to_string().replacen(
        '{',
        &format!(r#"{{"x":{}1{},"#, "[".repeat(depth), "]".repeat(depth)),
        1,
    );
    assert!(mapping.run_text(&deep, &tables()).is_ok());
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(DOCUMENT_BYTES_MAX));
    for text in [&lines, &large] {
        let stop = mapping.run_text(text, &tables()).unwrap_err();
        assert_eq!(stop.fault.code.as_str(), "document-limit", "{}", stop.fault);
    }
    let stop = mapping.run(&serde_json::from_str(&lines).unwrap(), &tables()).unwrap_err();
    assert_eq!(stop.fault.code.as_str(), "document-limit");
    for (bytes, code) in [
        (&b"{"[..], "body-invalid"),
        (b"[]", "field-type"),
        (b"1", "field-type"),
        (b"{\"a\":\"\xff\"}", "body-invalid"),
    ] {
        let fault = mapping.run_bytes(bytes, &tables()).unwrap_err().fault;
        assert_eq!(fault.code.as_str(), code, "{}: {fault}", String::from_utf8_lossy(bytes));
    }
    let long = good().replace("tax_rate * 100", &format!("tax_rate{}", " + 0".repeat(EXPRESSION_BYTES_MAX)));
    assert_eq!(errors(&long)[0].0, "expression-size");
}
