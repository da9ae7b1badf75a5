//! Reading a document into the slots of a layout: what the mapping does not read is skipped, numbers keep their text,
//! text without escapes stays where it is in the document. Reading goes no deeper than the layout does: what is skipped is
//! skipped without recursion, however deeply it is nested.

use crate::layout::{Inner, Layout, LayoutField};
use crate::rows::{Rows, Slot};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use tongbao_model::json::NUMBER;
use tongbao_model::{Code, Fault};

/// Largest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most lines of a document, those of all its lists together.
pub const LINES_MAX: usize = 20_000;

/// Reads a document from its bytes.
pub fn from_bytes<'d>(layout: &Layout, bytes: &'d [u8]) -> Result<Rows<'d>, Fault> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(limit(
            &format!("单据超过 {DOCUMENT_BYTES_MAX} 字节"),
            &format!("the document has more than {DOCUMENT_BYTES_MAX} bytes"),
        ));
    }
    let mut rows = Rows::new(layout);
    // Checked as a whole once, instead of text by text.
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to() + 1;
        Fault::new(
            Code::BodyInvalid,
            format!("单据不是 UTF-8：第 {at} 字节"),
            format!("the document is no UTF-8: byte {at}"),
        )
    })?;
    fill(&layout.fields, rows.add(), text, ("单据", "the document"))?;
    Ok(rows)
}

/// Reads a record that was looked up into slots of the document's own item.
pub fn beside<'d>(fields: &[LayoutField], rows: &mut Rows<'d>, record: &'d str) -> Result<(), Fault> {
    fill(fields, rows.first(), record, ("关联记录", "the related record"))
}

/// Reads a text into the slots of one item.
fn fill<'d>(
    fields: &[LayoutField],
    slots: &mut [Slot<'d>],
    text: &'d str,
    (zh, en): (&str, &str),
) -> Result<(), Fault> {
    let lines = Cell::new(0);
    let mut reader = serde_json::Deserializer::from_str(text);
    let fill = Fill { fields, slots, lines: &lines };
    let read = fill.deserialize(&mut reader).and_then(|is_object| reader.end().map(|()| is_object));
    match read {
        Ok(true) => Ok(()),
        Ok(false) => Err(no_object()),
        Err(_) if lines.get() > LINES_MAX => Err(too_many_lines()),
        Err(error) => Err(Fault::new(
            Code::BodyInvalid,
            format!("{zh}不是 JSON：第 {} 行第 {} 列", error.line(), error.column()),
            format!("{en} is no JSON: line {}, column {}", error.line(), error.column()),
        )),
    }
}

/// Reads a document that is parsed already.
pub fn from_value<'d>(layout: &Layout, document: &'d Value) -> Result<Rows<'d>, Fault> {
    let Value::Object(map) = document else { return Err(no_object()) };
    let lines = Cell::new(0);
    let mut rows = Rows::new(layout);
    take(&layout.fields, rows.add(), map, &lines);
    if lines.get() > LINES_MAX { Err(too_many_lines()) } else { Ok(rows) }
}

fn limit(zh: &str, en: &str) -> Fault {
    Fault::new(Code::DocumentLimit, zh, en)
}

fn too_many_lines() -> Fault {
    limit(&format!("单据的明细超过 {LINES_MAX} 行"), &format!("the document has more than {LINES_MAX} lines"))
}

fn no_object() -> Fault {
    Fault::new(Code::FieldType, "单据应为 JSON 对象", "the document is no JSON object")
}

fn text(text: Cow<'_, str>) -> Slot<'_> {
    if text.is_empty() { Slot::Absent } else { Slot::Text(text) }
}

fn take<'d>(
    fields: &[LayoutField],
    slots: &mut [Slot<'d>],
    map: &'d Map<String, Value>,
    lines: &Cell<usize>,
) {
    for field in fields {
        let Some(value) = map.get(&field.name) else { continue };
        let found = match (&field.inner, value) {
            (_, Value::Null) => Slot::Absent,
            (Inner::Scalar, Value::String(found)) => text(found.into()),
            (_, Value::String(found)) if found.is_empty() => Slot::Absent,
            (Inner::Scalar, Value::Number(number)) => Slot::Number(number.as_str().into()),
            (Inner::Scalar, Value::Bool(flag)) => Slot::Bool(*flag),
            (Inner::Record(below), Value::Object(map)) => {
                take(below, slots, map, lines);
                Slot::Record
            }
            (Inner::List(layout), Value::Array(items)) => {
                let mut rows = Rows::new(layout);
                lines.set(lines.get() + items.len());
                for item in items.iter().take(LINES_MAX) {
                    let slots = rows.add();
                    match item {
                        Value::Object(map) => take(&layout.fields, slots, map, lines),
                        _ => rows.mark_odd(),
                    }
                }
                Slot::List(Box::new(rows))
            }
            (_, Value::Object(_)) => Slot::Wrong("an object"),
            (_, Value::Array(_)) => Slot::Wrong("an array"),
            (_, _) => Slot::Wrong("a scalar"),
        };
        if let Some(slot) = slots.get_mut(field.slot) {
            *slot = found;
        }
    }
}

/// Fills the slots of one object. Answers whether it was one.
struct Fill<'s, 'd> {
    fields: &'s [LayoutField],
    slots: &'s mut [Slot<'d>],
    lines: &'s Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Fill<'_, 'de> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_, 'de> {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut next = 0;
        while let Some(key) = map.next_key_seed(Key { fields: self.fields, next })? {
            match key {
                Found::Field(at) => {
                    next = at + 1;
                    if let Some(field) = self.fields.get(at) {
                        map.next_value_seed(Member { field, slots: self.slots, lines: self.lines })?;
                    }
                }
                Found::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
                Found::Number => {
                    map.next_value::<IgnoredAny>()?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// What a member's name is to the layout.
enum Found {
    Field(usize),
    Number,
    Other,
}

/// Finds a member's name among the fields. Senders keep an order, so the search begins behind the last hit.
struct Key<'s> {
    fields: &'s [LayoutField],
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Found;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Found, E> {
        let (before, after) = self.fields.split_at_checked(self.next).unwrap_or((self.fields, &[]));
        let found = after.iter().position(|field| field.name == name).map(|at| at + before.len());
        Ok(match found.or_else(|| before.iter().position(|field| field.name == name)) {
            Some(at) => Found::Field(at),
            None if name == NUMBER => Found::Number,
            None => Found::Other,
        })
    }
}

/// Reads the value of one field.
struct Member<'s, 'd> {
    field: &'s LayoutField,
    slots: &'s mut [Slot<'d>],
    lines: &'s Cell<usize>,
}

impl<'d> Member<'_, 'd> {
    fn put(self, value: Slot<'d>) {
        if let Some(slot) = self.slots.get_mut(self.field.slot) {
            *slot = value;
        }
    }

    fn scalar(self, value: Slot<'d>) {
        let fits = matches!((&self.field.inner, &value), (Inner::Scalar, _) | (_, Slot::Absent));
        self.put(if fits { value } else { Slot::Wrong("a scalar") });
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_, 'de> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_borrowed_str<E: Error>(self, found: &'de str) -> Result<(), E> {
        self.scalar(text(Cow::Borrowed(found)));
        Ok(())
    }

    fn visit_str<E: Error>(self, found: &str) -> Result<(), E> {
        self.scalar(text(Cow::Owned(found.to_owned())));
        Ok(())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.scalar(Slot::Bool(flag));
        Ok(())
    }

    // Whole numbers come as such, all others by their text.
    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(Slot::Number(Cow::Owned(value.to_string())));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(Slot::Number(Cow::Owned(value.to_string())));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.put(Slot::Absent);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if let Inner::Record(below) = &self.field.inner {
            let Member { field, slots, lines } = self;
            let is_object = Fill { fields: below, slots, lines }.visit_map(map)?;
            let found = if is_object { Slot::Record } else { Slot::Wrong("a scalar") };
            Member { field, slots, lines }.put(found);
            return Ok(());
        }
        let mut found = Slot::Wrong("an object");
        while let Some(key) = map.next_key_seed(Key { fields: &[], next: 0 })? {
            match key {
                Found::Number => found = Slot::Number(Cow::Owned(map.next_value::<String>()?)),
                Found::Field(_) | Found::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match found {
            Slot::Number(_) => self.scalar(found),
            _ => self.put(found),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Inner::List(layout) = &self.field.inner else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            self.put(Slot::Wrong("an array"));
            return Ok(());
        };
        let mut rows = Rows::new(layout);
        loop {
            let fill = Fill { fields: &layout.fields, slots: rows.add(), lines: self.lines };
            match items.next_element_seed(fill)? {
                Some(true) => {}
                Some(false) => rows.mark_odd(),
                None => break,
            }
            self.lines.set(self.lines.get() + 1);
            if self.lines.get() > LINES_MAX {
                return Err(A::Error::custom("too many lines"));
            }
        }
        // The item made ready for what did not come.
        rows.count -= 1;
        self.put(Slot::List(Box::new(rows)));
        Ok(())
    }
}
