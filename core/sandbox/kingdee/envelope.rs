//! The three body forms of a call and its lenient values.
//!
//! Named with `data` as object (Python SDK 8.2.0, measured), named with `data` as a JSON string (hand-written
//! clients), and positional `parameters` (Java SDK, official document); besides these the old frame whose
//! `parameters` is a string holding a JSON array.

use serde_json::{Map, Value};

/// The arguments of a call.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    named: Map<String, Value>,
    positional: Option<Vec<Value>>,
}

impl Envelope {
    /// Reads a body; `None` when it is no JSON object. An empty body counts as `{}`.
    pub fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Some(Self::default());
        }
        let Value::Object(named) = serde_json::from_str(text).ok()? else { return None };
        let positional = match get(&named, "parameters") {
            Some(Value::Array(list)) => Some(list.clone()),
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            _ => None,
        };
        Some(Self { named, positional })
    }

    /// Reads a form-encoded body, as some clients send logins.
    pub fn read_form(body: &[u8]) -> Self {
        let named = form_urlencoded::parse(body)
            .map(|(key, value)| (key.into_owned(), Value::String(value.into_owned())))
            .collect();
        Self { named, positional: None }
    }

    /// Argument `index` of the positional form, or the named one.
    pub fn argument(&self, index: usize, name: &str) -> Option<&Value> {
        match &self.positional {
            Some(list) => list.get(index),
            None => get(&self.named, name),
        }
    }

    /// The same as text; numbers are printed.
    pub fn text(&self, index: usize, name: &str) -> String {
        match self.argument(index, name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// An argument that is an object, or a string holding one.
    pub fn object(&self, index: usize, name: &str) -> Option<Params> {
        match self.argument(index, name)? {
            Value::Object(map) => Some(Params(map.clone())),
            Value::String(text) => match serde_json::from_str(text) {
                Ok(Value::Object(map)) => Some(Params(map)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the caller asked for the asynchronous form (`beginmethod`).
    pub fn is_async(&self) -> bool {
        get(&self.named, "beginmethod")
            .is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()))
    }
}

/// A member of an object, any letter case.
pub(crate) fn get<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name)
        .or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// The content of `data`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(pub Map<String, Value>);

impl Params {
    pub fn get(&self, name: &str) -> Option<&Value> {
        get(&self.0, name)
    }

    /// Text; numbers are printed, anything else is empty.
    pub fn text(&self, name: &str) -> String {
        match self.get(name) {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// A flag sent as JSON boolean or as `"true"`/`"false"` text; both are in use.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.get(name).and_then(flag).unwrap_or(default)
    }

    /// A count; absent, empty or unreadable is 0.
    pub fn count(&self, name: &str) -> usize {
        self.text(name).parse().unwrap_or(0)
    }

    /// A list of texts: a JSON array or a comma-joined string.
    pub fn list(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|item| match item {
                    Value::String(text) => Some(text.trim().to_owned()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                })
                .filter(|text| !text.is_empty())
                .collect(),
            _ => self
                .text(name)
                .split(',')
                .map(|part| part.trim().to_owned())
                .filter(|part| !part.is_empty())
                .collect(),
        }
    }
}

/// A lenient boolean.
pub(crate) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") || text == "1" => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") || text == "0" => Some(false),
        Value::Number(number) => Some(number.to_string() != "0"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_body_forms_mean_the_same() {
        for body in [
            r#"{"formid": "SAL_SaleOrder", "data": {"Numbers": ["SO1", "\u5408"]}}"#,
            r#"{"FormId":"SAL_SaleOrder","Data":"{\"Numbers\":[\"SO1\",\"合\"]}"}"#,
            r#"{"parameters":["SAL_SaleOrder","{\"Numbers\":[\"SO1\",\"合\"]}"]}"#,
            r#"{"Parameters":["SAL_SaleOrder",{"numbers":"SO1,合"}]}"#,
            r#"{"format":1,"rid":"x","parameters":"[\"SAL_SaleOrder\",\"{\\\"Numbers\\\":[\\\"SO1\\\",\\\"合\\\"]}\"]","v":"1.0"}"#,
        ] {
            let envelope = Envelope::read(body.as_bytes()).unwrap();
            assert_eq!(envelope.text(0, "formid"), "SAL_SaleOrder", "{body}");
            assert_eq!(envelope.object(1, "data").unwrap().list("Numbers"), ["SO1", "合"], "{body}");
        }
        assert!(Envelope::read(b"[1]").is_none());
        assert!(Envelope::read(b"").is_some());
    }
}
