//! The file format: what may stand where, before any meaning.

use serde_json::Value;
use tongbao_model::Text;
use tongbao_model::diagnostic::{Findings, Place, nearest};
use tongbao_model::yaml::{self, Content, Entry, Node};

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

/// Reads only the head of a file; `None` when the file is no mapping at all.
pub fn head(text: &str) -> Option<Head> {
    let node = yaml::parse(text, &mut Findings::new(""))?;
    let get = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    Some(Head { name: get("mapping")?, from: get("from")?, to: get("to")? })
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
    pub version: u32,
    pub from: Placed,
    pub to: Placed,
    pub key: Placed,
    pub zone: Option<Placed>,
    pub fields: Option<Node>,
    pub set: Vec<SetEntry>,
    pub ignore: Vec<Placed>,
    pub checks: Vec<Placed>,
    pub refuse: Vec<Refuse>,
    pub tests: Vec<TestCase>,
}

#[derive(Debug)]
pub struct SetEntry {
    pub target: Placed,
    pub rule: Rule,
}

#[derive(Debug)]
pub enum Rule {
    Value(Box<ValueRule>),
    Each { each: Placed, filter: Option<Placed>, set: Vec<SetEntry> },
    Record(Vec<SetEntry>),
}

#[derive(Debug)]
pub enum Origin {
    From(Placed),
    Expr(Placed),
    Const(Value, Place),
}

#[derive(Debug)]
pub struct ValueRule {
    pub origin: Origin,
    pub table: Option<Placed>,
    pub values: Option<Vec<(Placed, Value)>>,
    pub scale: Option<u32>,
    pub round: bool,
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
}

const TOP: &[&str] = &[
    "mapping", "version", "from", "to", "key", "zone", "fields", "set", "ignore", "check", "refuse", "tests",
    "doc",
];
const RULE: &[&str] = &[
    "from", "expr", "const", "each", "where", "set", "table", "values", "scale", "round", "default",
    "optional", "when", "format",
];
const TEST: &[&str] = &["name", "input", "expect", "fault", "tables"];
const REFUSE: &[&str] = &["when", "zh", "en", "final"];

pub fn read(root: &Node, findings: &mut Findings) -> Option<File> {
    unknown_keys(root, TOP, findings);
    let version = match required(root, "version", findings)?.text.parse() {
        Ok(1) => 1,
        _ => {
            findings.error("version", root.place, "version 目前只有 1", "the only version there is is 1");
            return None;
        }
    };
    let name = required(root, "mapping", findings);
    let from = required(root, "from", findings);
    let to = required(root, "to", findings);
    let key = required(root, "key", findings);
    let set = root.get("set").map(|node| set(node, findings)).unwrap_or_default();
    if set.is_empty() {
        findings.error(
            "set-missing",
            root.place,
            "缺少 set：目标字段",
            "`set` with the target's fields is missing",
        );
    }
    Some(File {
        name: name?,
        version,
        from: from?,
        to: to?,
        key: key?,
        zone: optional(root, "zone"),
        fields: root.get("fields").cloned(),
        set,
        ignore: texts(root, "ignore"),
        checks: texts(root, "check"),
        refuse: root
            .get("refuse")
            .map(|node| node.items().iter().filter_map(|item| refuse(item, findings)).collect())
            .unwrap_or_default(),
        tests: root
            .get("tests")
            .map(|node| node.items().iter().map(|item| test(item, findings)).collect())
            .unwrap_or_default(),
    })
}

fn unknown_keys(node: &Node, known: &[&str], findings: &mut Findings) {
    for entry in node.entries() {
        if !known.contains(&entry.key.as_str()) {
            let suggestion = nearest(&entry.key, known.iter().copied())
                .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
            findings.error_with(
                "unknown-key",
                entry.place,
                Text::new(format!("未知的键 {}", entry.key), format!("unknown key `{}`", entry.key)),
                suggestion,
            );
        }
    }
}

fn placed(node: &Node) -> Option<Placed> {
    Some(Placed { text: node.text()?.to_owned(), place: node.place })
}

fn optional(node: &Node, key: &str) -> Option<Placed> {
    node.get(key).and_then(placed)
}

fn required(node: &Node, key: &'static str, findings: &mut Findings) -> Option<Placed> {
    let found = optional(node, key);
    if found.is_none() {
        findings.error("missing-key", node.place, format!("缺少 {key}"), format!("`{key}` is missing"));
    }
    found
}

fn texts(node: &Node, key: &str) -> Vec<Placed> {
    node.get(key).map(|list| list.items().iter().filter_map(placed).collect()).unwrap_or_default()
}

fn set(node: &Node, findings: &mut Findings) -> Vec<SetEntry> {
    node.entries().iter().filter_map(|entry| set_entry(entry, findings)).collect()
}

fn set_entry(entry: &Entry, findings: &mut Findings) -> Option<SetEntry> {
    let target = Placed { text: entry.key.clone(), place: entry.place };
    let rule = match &entry.value.content {
        Content::Scalar { text, .. } => {
            let path = Placed { text: text.clone(), place: entry.value.place };
            Rule::Value(Box::new(ValueRule {
                origin: Origin::From(path),
                table: None,
                values: None,
                scale: None,
                round: false,
                default: None,
                optional: false,
                when: None,
            }))
        }
        Content::Map(_) => rule(&entry.value, findings)?,
        Content::Null | Content::List(_) => {
            findings.error(
                "rule",
                entry.place,
                "应为来源路径或规则",
                "expected a source path or a rule such as { from: … }",
            );
            return None;
        }
    };
    Some(SetEntry { target, rule })
}

fn rule(node: &Node, findings: &mut Findings) -> Option<Rule> {
    unknown_keys(node, RULE, findings);
    if let Some(each) = optional(node, "each") {
        let set = node.get("set").map(|inner| set(inner, findings)).unwrap_or_default();
        return Some(Rule::Each { each, filter: optional(node, "where"), set });
    }
    if let Some(inner) = node.get("set") {
        return Some(Rule::Record(set(inner, findings)));
    }
    let origins: Vec<Origin> = [
        optional(node, "from").map(Origin::From),
        optional(node, "expr").map(Origin::Expr),
        node.get("const").map(|value| Origin::Const(value.to_json(), value.place)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let Ok([origin]) = <[Origin; 1]>::try_from(origins) else {
        findings.error(
            "rule",
            node.place,
            "规则须恰有 from、expr、const、each、set 之一",
            "a rule has exactly one of `from`, `expr`, `const`, `each`, `set`",
        );
        return None;
    };
    let round = match optional(node, "round") {
        None => false,
        Some(placed) if placed.text == "half-up" => true,
        Some(placed) => {
            findings.error(
                "round",
                placed.place,
                "舍入方式只有 half-up",
                "the only rounding there is is `half-up`",
            );
            false
        }
    };
    let scale = optional(node, "scale").and_then(|placed| match placed.text.parse::<u32>() {
        Ok(scale) if scale <= 12 => Some(scale),
        _ => {
            findings.error("scale", placed.place, "scale 为 0 至 12", "`scale` is 0 to 12");
            None
        }
    });
    let values = node.get("values").map(|values| {
        values
            .entries()
            .iter()
            .map(|entry| (Placed { text: entry.key.clone(), place: entry.place }, entry.value.to_json()))
            .collect()
    });
    Some(Rule::Value(Box::new(ValueRule {
        origin,
        table: optional(node, "table"),
        values,
        scale,
        round,
        default: node.get("default").map(|value| (value.to_json(), value.place)),
        optional: node.get("optional").and_then(Node::bool).unwrap_or(false),
        when: optional(node, "when"),
    })))
}

fn refuse(node: &Node, findings: &mut Findings) -> Option<Refuse> {
    unknown_keys(node, REFUSE, findings);
    let when = required(node, "when", findings);
    let zh = required(node, "zh", findings);
    let en = required(node, "en", findings);
    Some(Refuse {
        when: when?,
        because: Text::new(zh?.text, en?.text),
        is_final: node.get("final").and_then(Node::bool).unwrap_or(false),
    })
}

fn test(node: &Node, findings: &mut Findings) -> TestCase {
    unknown_keys(node, TEST, findings);
    let mut tables = Vec::new();
    if let Some(node) = node.get("tables") {
        for table in node.entries() {
            for row in table.value.entries() {
                let target = row.value.text().unwrap_or_default().to_owned();
                tables.push((table.key.clone(), row.key.clone(), target));
            }
        }
    }
    TestCase {
        name: optional(node, "name").map(|placed| placed.text).unwrap_or_default(),
        place: node.place,
        input: optional(node, "input"),
        expect: optional(node, "expect"),
        fault: optional(node, "fault"),
        tables,
    }
}
