//! The file format: what may stand where, before any meaning.

use serde_json::Value;
use tongbao_model::Text;
use tongbao_model::decimal::Rounding;
use tongbao_model::diagnostic::{Findings, Place};
use tongbao_model::yaml::{self, Node};

/// The version of the file format that is written today.
pub const VERSION: u32 = 2;

/// The lines that say what a mapping is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// What it reads: a canonical record or `connector/document`.
    pub from: String,
    /// What it makes.
    pub to: String,
}

/// Reads only the head of a file; `None` when the file is no mapping at all. Of a variant that `extends` another
/// file, what it does not say itself is empty.
pub fn head(text: &str) -> Option<Head> {
    let node = yaml::parse(text, &mut Findings::new(""))?;
    let get = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let inherited = node.get("extends").map(|_| String::new());
    Some(Head {
        name: get("mapping")?,
        from: get("from").or_else(|| inherited.clone())?,
        to: get("to").or(inherited)?,
    })
}

/// A text with its place.
#[derive(Debug, Clone)]
pub struct Placed {
    pub text: String,
    pub place: Place,
}

#[derive(Debug)]
pub struct File {
    pub name: Placed,
    pub from: Placed,
    pub to: Placed,
    pub key: Placed,
    pub zone: Option<Placed>,
    pub related: Vec<RelatedEntry>,
    pub fields: Option<Node>,
    pub set: Vec<SetEntry>,
    pub ignore: Vec<Placed>,
    pub checks: Vec<Placed>,
    pub refuse: Vec<Refuse>,
    pub tests: Vec<TestCase>,
}

/// A record that is looked up by a key of the source.
#[derive(Debug)]
pub struct RelatedEntry {
    /// What its fields are found below.
    pub name: Placed,
    /// The canonical record.
    pub record: Placed,
    pub key: Placed,
    /// Kind of the events that carry it, where that is not the record's own.
    pub event: Option<Placed>,
    pub optional: bool,
}

#[derive(Debug)]
pub struct SetEntry {
    pub target: Placed,
    pub rule: Rule,
}

#[derive(Debug)]
pub enum Rule {
    Value(Box<ValueRule>),
    Each(EachRule),
    Record { set: Vec<SetEntry>, when: Option<Placed> },
}

#[derive(Debug)]
pub struct EachRule {
    pub each: Placed,
    pub filter: Option<Placed>,
    pub when: Option<Placed>,
    pub set: Vec<SetEntry>,
    /// Further items that the same line makes, behind its own.
    pub also: Vec<Also>,
}

#[derive(Debug)]
pub struct Also {
    pub place: Place,
    pub when: Option<Placed>,
    pub set: Vec<SetEntry>,
}

#[derive(Debug)]
pub enum Origin {
    From(Placed),
    Expr(Placed),
    Const(Value, Place),
}

#[derive(Debug)]
pub struct TableRule {
    pub name: Placed,
    /// Keys besides the rule's own value.
    pub with: Vec<Placed>,
    /// The day whose row counts.
    pub on: Option<Placed>,
}

#[derive(Debug)]
pub struct ValueRule {
    pub origin: Origin,
    pub table: Option<TableRule>,
    pub values: Option<Vec<(Placed, Value)>>,
    /// What stands where `table` or `values` have no row.
    pub other: Option<(Value, Place)>,
    pub scale: Option<u32>,
    pub round: Option<Rounding>,
    pub cut: bool,
    pub format: Option<Placed>,
    pub default: Option<(Value, Place)>,
    pub optional: bool,
    pub when: Option<Placed>,
}

#[derive(Debug)]
pub struct Refuse {
    pub when: Placed,
    pub because: Text,
    pub is_final: bool,
}

#[derive(Debug)]
pub struct TestCase {
    pub name: String,
    pub place: Place,
    pub input: Option<Placed>,
    pub expect: Option<Placed>,
    pub fault: Option<Placed>,
    pub tables: Vec<(String, String, String)>,
    /// Files with related records, by their names.
    pub related: Vec<(String, Placed)>,
}

/// Keys of the file's top level.
pub const TOP: &[&str] = &[
    "mapping", "version", "extends", "include", "from", "to", "key", "related", "zone", "fields", "set",
    "ignore", "check", "refuse", "tests",
];
/// Keys of a rule.
pub const RULE: &[&str] = &[
    "from", "expr", "const", "each", "where", "set", "also", "table", "values", "else", "scale", "round",
    "cut", "format", "default", "optional", "when",
];
