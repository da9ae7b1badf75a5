//! JSON documents by their text, and what they hold without a copy of it.
//!
//! Most documents are read once, by a mapping that works on bytes, and written once, to the wire. A tree of owned values
//! costs more than the mapping itself, so documents travel as [`Json`]; who must look inside takes a [`Tree`], whose
//! texts stay where they are, or, to change something, a [`Value`].

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// serde_json hands a number over as a one-entry map with this key when it keeps numbers exact.
pub const NUMBER: &str = "$serde_json::private::Number";

/// A JSON document by its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// Takes a document whose syntax is looked at and nothing else, however deeply it is nested.
    pub fn read(bytes: &[u8]) -> Result<Json, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Takes what a JSON writer made; `None` where it is no text.
    pub fn written(bytes: Vec<u8>) -> Option<Json> {
        String::from_utf8(bytes).ok().map(Json)
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The text, to keep.
    pub fn into_text(self) -> String {
        self.0
    }

    /// What it holds, without a copy of it. An error when it is nested more deeply than serde_json follows (128 levels).
    pub fn tree(&self) -> Result<Tree<'_>, serde_json::Error> {
        serde_json::from_str(self.text())
    }

    /// What it holds, as a value of one's own; `null` where it is nested too deeply to be one.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.text()).unwrap_or_default()
    }

    /// The members of the object that it is; none of anything else.
    pub fn members(&self) -> Map<String, Value> {
        match self.value() {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    /// The documents of a list, or the one document that it is.
    pub fn items(self) -> Vec<Json> {
        if !self.text().starts_with('[') {
            return vec![self];
        }
        serde_json::from_str(self.text()).unwrap_or_default()
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Json {
        Json(value.to_string())
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Json {
        Json::from(&value)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Json(String::from(Box::<str>::from(raw))))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// What a JSON document holds. Texts without escapes stay where they are in the document; numbers are as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number by its text.
    Number(Cow<'a, str>),
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Tree<'a>>),
    /// Members in the order of the document; of two with one name the later counts.
    Object(Vec<(Cow<'a, str>, Tree<'a>)>),
}

impl<'a> Tree<'a> {
    /// The member of a name.
    pub fn get(&self, name: &str) -> Option<&Tree<'a>> {
        match self {
            Tree::Object(members) => {
                members.iter().rev().find(|(known, _)| known == name).map(|(_, member)| member)
            }
            _ => None,
        }
    }

    /// The member at a dotted path.
    pub fn at(&self, path: &str) -> Option<&Tree<'a>> {
        path.split('.').try_fold(self, Tree::get)
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Tree::Number(number) => number.parse().ok(),
            _ => None,
        }
    }
}

impl<'a> From<&'a Value> for Tree<'a> {
    fn from(value: &'a Value) -> Tree<'a> {
        match value {
            Value::Null => Tree::Null,
            Value::Bool(flag) => Tree::Bool(*flag),
            Value::Number(number) => Tree::Number(Cow::Borrowed(number.as_str())),
            Value::String(text) => Tree::Text(Cow::Borrowed(text)),
            Value::Array(items) => Tree::List(items.iter().map(Tree::from).collect()),
            Value::Object(map) => Tree::Object(
                map.iter().map(|(name, member)| (Cow::Borrowed(name.as_str()), member.into())).collect(),
            ),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Tree<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Read)
    }
}

struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = Tree<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Bool(flag))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(number.to_string().into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(number.to_string().into()))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(text.to_owned().into()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree<'de>, A::Error> {
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or(8).min(1_024));
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree<'de>, A::Error> {
        let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8).min(1_024));
        while let Some(Name(name)) = map.next_key()? {
            if name == NUMBER && members.is_empty() {
                let number: Name<'_> = map.next_value()?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Tree::Number(number.0));
            }
            members.push((name, map.next_value()?));
        }
        Ok(Tree::Object(members))
    }
}

/// A text that stays where it is if it can.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let number = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            number.prop_map(|text| serde_json::from_str(&text).unwrap()),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_tree_of_a_text_is_that_of_its_value(value in any_value()) {
            let json = Json::from(&value);
            prop_assert_eq!(json.tree().unwrap(), Tree::from(&value));
            prop_assert_eq!(json.value(), value);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(json) = Json::read(&bytes) {
                let _ = (json.tree().is_ok(), json.clone().items(), json.value());
            }
        }
    }

    #[test]
    fn numbers_and_texts_are_as_they_were_written() {
        let json = Json::read(
            br#" {"a":1.10,"b":[-0,1e400,12345678901234567890.5],"c":"\u4e2d\n","d":{"e":null}} "#,
        )
        .unwrap();
        let tree = json.tree().unwrap();
        assert_eq!(tree.get("a"), Some(&Tree::Number("1.10".into())));
        let numbers = ["-0", "1e+400", "12345678901234567890.5"].map(|number| Tree::Number(number.into()));
        assert_eq!(tree.get("b"), Some(&Tree::List(numbers.to_vec())));
        assert_eq!(tree.get("c").and_then(Tree::text), Some("中\n"));
        assert_eq!((tree.at("d.e"), tree.at("d.f"), tree.at("a.b")), (Some(&Tree::Null), None, None));
        assert!(json.text().starts_with('{') && json.text().ends_with('}'));
    }

    #[test]
    fn a_list_is_its_items() {
        let items = |text: &str| -> Vec<String> {
            let json = Json::read(text.as_bytes()).unwrap();
            json.items().iter().map(|item| item.text().to_owned()).collect()
        };
        assert_eq!(items("[{\"a\": 1.0}, 2 ,[]]"), ["{\"a\": 1.0}", "2", "[]"]);
        assert_eq!(items("{\"a\":[1]}"), ["{\"a\":[1]}"]);
        assert!(items("[ ]").is_empty());
    }

    #[test]
    fn what_is_nested_deeply_is_carried_and_not_followed() {
        let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
        let json = Json::read(deep.as_bytes()).unwrap();
        assert!(json.tree().is_err() && json.value().is_null());
        assert!(Json::read(&deep.as_bytes()[..60_000]).is_err());
    }
}
