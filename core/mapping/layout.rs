//! Which source fields a mapping reads, each with the slot its value is put in. Everything else in a document is
//! skipped while it is read.

use tongbao_model::shape::{Field, Kind};

/// The slots of one level: the document itself, or the items of a list. Nested records lie flat in it.
#[derive(Debug, Default)]
pub struct Layout {
    pub fields: Vec<LayoutField>,
    /// How many slots an item has.
    pub width: usize,
    /// How many intermediate results an item keeps.
    pub memos: usize,
}

/// A field that is read.
#[derive(Debug)]
pub struct LayoutField {
    pub name: String,
    pub slot: usize,
    pub inner: Inner,
}

/// What is below it.
#[derive(Debug)]
pub enum Inner {
    Scalar,
    Record(Vec<LayoutField>),
    List(Box<Layout>),
}

/// What a path leads to.
pub enum Found<'a> {
    /// A field and its slot.
    Field(usize, &'a Field),
    /// The path goes on below this list.
    ThroughList(String),
    /// There is no such field.
    Nothing,
}

impl Layout {
    /// The slot of a dotted path below `fields`, made when it is new.
    pub fn slot<'a>(&mut self, fields: &'a [Field], path: &str) -> Found<'a> {
        slot(&mut self.fields, &mut self.width, fields, path, "")
    }

    /// The layout of the items of nested lists, each named by its path within the level above.
    pub fn level(&mut self, lists: &[String]) -> Option<&mut Layout> {
        let Some((first, rest)) = lists.split_first() else { return Some(self) };
        list_at(&mut self.fields, first)?.level(rest)
    }

    /// Makes room for one more intermediate result.
    pub fn memo(&mut self) -> usize {
        self.memos += 1;
        self.memos - 1
    }
}

fn slot<'a>(
    known: &mut Vec<LayoutField>,
    width: &mut usize,
    fields: &'a [Field],
    path: &str,
    above: &str,
) -> Found<'a> {
    let (head, rest) = match path.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    let Some(field) = fields.iter().find(|field| field.name == head) else { return Found::Nothing };
    let here = if above.is_empty() { head.to_owned() } else { format!("{above}.{head}") };
    // A path that leads nowhere leaves nothing behind.
    match (&field.kind, rest) {
        (Kind::List(_), Some(_)) => return Found::ThroughList(here),
        (Kind::Record(below), Some(rest)) if tongbao_model::shape::find(below, rest).is_none() => {
            return Found::Nothing;
        }
        (Kind::Record(_), Some(_)) | (_, None) => {}
        (_, Some(_)) => return Found::Nothing,
    }
    if !known.iter().any(|known| known.name == head) {
        let inner = match &field.kind {
            Kind::Record(_) => Inner::Record(Vec::new()),
            Kind::List(_) => Inner::List(Box::default()),
            _ => Inner::Scalar,
        };
        known.push(LayoutField { name: head.to_owned(), slot: *width, inner });
        *width += 1;
    }
    let Some(entry) = known.iter_mut().find(|known| known.name == head) else { return Found::Nothing };
    match (rest, &mut entry.inner, &field.kind) {
        (None, _, _) => Found::Field(entry.slot, field),
        (Some(rest), Inner::Record(below), Kind::Record(fields)) => slot(below, width, fields, rest, &here),
        (Some(_), _, _) => Found::Nothing,
    }
}

fn list_at<'a>(fields: &'a mut [LayoutField], path: &str) -> Option<&'a mut Layout> {
    let (head, rest) = match path.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    let field = fields.iter_mut().find(|field| field.name == head)?;
    match (rest, &mut field.inner) {
        (None, Inner::List(layout)) => Some(layout),
        (Some(rest), Inner::Record(below)) => list_at(below, rest),
        (_, _) => None,
    }
}
