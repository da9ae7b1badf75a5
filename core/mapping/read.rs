//! From the nodes of a file to what they say: which key may stand where.

use crate::report::{Report, placed_error};
use crate::syntax::{
    Also, EachRule, File, Origin, Placed, RULE, Refuse, RelatedEntry, Rule, SetEntry, TOP, TableRule,
    TestCase, ValueRule,
};
use tongbao_model::Text;
use tongbao_model::decimal::Rounding;
use tongbao_model::diagnostic::Findings;
use tongbao_model::yaml::{Content, Entry, Node};

const EACH: &[&str] = &["each", "where", "when", "set", "also"];
const RECORD: &[&str] = &["set", "when"];
const ALSO: &[&str] = &["when", "set"];
const TABLE: &[&str] = &["name", "with", "on"];
const RELATED: &[&str] = &["record", "key", "event", "optional"];
const TEST: &[&str] = &["name", "input", "expect", "fault", "tables", "related"];
const REFUSE: &[&str] = &["when", "zh", "en", "final"];

/// Reads a file that is merged with all it builds on.
pub fn read(root: &Node, findings: &mut Findings) -> Option<File> {
    if !matches!(root.content, Content::Map(_)) {
        findings.wrong_kind(root.place, "映射文件", "a mapping file", "键值", "keys with values");
        return None;
    }
    known_keys(root, TOP, findings);
    // Which it is has been looked at in each of the files.
    required(root, "version", findings)?;
    let name = required(root, "mapping", findings);
    let from = required(root, "from", findings);
    let to = required(root, "to", findings);
    let key = required(root, "key", findings);
    let set = root.get("set").map(|node| set(node, findings)).unwrap_or_default();
    if set.is_empty() {
        placed_error(
            findings,
            "set-missing",
            root.place,
            ("缺少 set：目标字段", "`set` with the target's fields is missing"),
        );
    }
    let related = map(root, "related", findings);
    let related = related.iter().filter_map(|entry| related_entry(entry, findings)).collect();
    let ignore = texts(root, "ignore", findings);
    let checks = texts(root, "check", findings);
    let refuse = list(root, "refuse", findings).iter().filter_map(|item| refuse(item, findings)).collect();
    let tests = list(root, "tests", findings).iter().map(|item| test(item, findings)).collect();
    Some(File {
        name: name?,
        from: from?,
        to: to?,
        key: key?,
        zone: optional(root, "zone", findings),
        related,
        fields: root.get("fields").cloned(),
        set,
        ignore,
        checks,
        refuse,
        tests,
    })
}

fn known_keys(node: &Node, known: &[&str], findings: &mut Findings) {
    for entry in node.entries() {
        if !known.contains(&entry.key.as_str()) {
            findings.unknown(
                "unknown-key",
                entry.place,
                (format!("未知的键 {}", entry.key), format!("unknown key `{}`", entry.key)),
                &entry.key,
                known.iter().copied(),
            );
        }
    }
}

fn placed(node: &Node) -> Option<Placed> {
    Some(Placed { text: node.text()?.to_owned(), place: node.place })
}

fn optional(node: &Node, key: &str, findings: &mut Findings) -> Option<Placed> {
    let value = node.get(key)?;
    let found = placed(value);
    if found.is_none() {
        findings.wrong_kind(value.place, key, key, "文本", "text");
    }
    found
}

fn required(node: &Node, key: &str, findings: &mut Findings) -> Option<Placed> {
    if node.get(key).is_none() {
        let text = (format!("缺少 {key}"), format!("`{key}` is missing"));
        placed_error(findings, "missing-key", node.place, text);
    }
    optional(node, key, findings)
}

fn list<'n>(node: &'n Node, key: &str, findings: &mut Findings) -> &'n [Node] {
    let Some(value) = node.get(key) else { return &[] };
    if !matches!(value.content, Content::List(_) | Content::Null) {
        findings.wrong_kind(value.place, key, key, "列表", "a list");
    }
    value.items()
}

/// The entries of a key that holds a map.
fn map<'n>(node: &'n Node, key: &str, findings: &mut Findings) -> &'n [Entry] {
    let Some(value) = node.get(key) else { return &[] };
    if !matches!(value.content, Content::Map(_) | Content::Null) {
        findings.wrong_kind(value.place, key, key, "键值", "keys with values");
    }
    value.entries()
}

fn related_entry(entry: &Entry, findings: &mut Findings) -> Option<RelatedEntry> {
    if !matches!(entry.value.content, Content::Map(_)) {
        findings.wrong_kind(entry.value.place, &entry.key, &entry.key, "record 与 key", "`record` and `key`");
        return None;
    }
    known_keys(&entry.value, RELATED, findings);
    let record = required(&entry.value, "record", findings);
    let key = required(&entry.value, "key", findings);
    Some(RelatedEntry {
        name: Placed { text: entry.key.clone(), place: entry.place },
        record: record?,
        key: key?,
        event: optional(&entry.value, "event", findings),
        optional: flag(&entry.value, "optional", findings),
    })
}

fn texts(node: &Node, key: &str, findings: &mut Findings) -> Vec<Placed> {
    let mut found = Vec::new();
    for item in list(node, key, findings) {
        match placed(item) {
            Some(text) => found.push(text),
            None => findings.wrong_kind(item.place, key, key, "文本列表", "a list of texts"),
        }
    }
    found
}

fn flag(node: &Node, key: &str, findings: &mut Findings) -> bool {
    let Some(value) = node.get(key) else { return false };
    value.bool().unwrap_or_else(|| {
        findings.wrong_kind(value.place, key, key, "true 或 false", "true or false");
        false
    })
}

fn set(node: &Node, findings: &mut Findings) -> Vec<SetEntry> {
    if !matches!(node.content, Content::Map(_)) {
        findings.wrong_kind(node.place, "set", "set", "目标字段: 规则", "target fields with their rules");
    }
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
                other: None,
                scale: None,
                round: None,
                cut: false,
                format: None,
                default: None,
                optional: false,
                when: None,
            }))
        }
        Content::Map(_) => rule(&entry.value, findings)?,
        Content::Null | Content::List(_) => {
            placed_error(
                findings,
                "rule",
                entry.place,
                ("应为来源路径或规则", "expected a source path or a rule such as { from: … }"),
            );
            return None;
        }
    };
    Some(SetEntry { target, rule })
}

fn rule(node: &Node, findings: &mut Findings) -> Option<Rule> {
    if let Some(each) = optional(node, "each", findings) {
        known_keys(node, EACH, findings);
        let also = list(node, "also", findings).iter().map(|item| also(item, findings)).collect();
        return Some(Rule::Each(EachRule {
            each,
            filter: optional(node, "where", findings),
            when: optional(node, "when", findings),
            set: node.get("set").map(|inner| set(inner, findings)).unwrap_or_default(),
            also,
        }));
    }
    if let Some(inner) = node.get("set") {
        known_keys(node, RECORD, findings);
        return Some(Rule::Record { set: set(inner, findings), when: optional(node, "when", findings) });
    }
    known_keys(node, RULE, findings);
    let origins: Vec<Origin> = [
        optional(node, "from", findings).map(Origin::From),
        optional(node, "expr", findings).map(Origin::Expr),
        node.get("const").map(|value| Origin::Const(value.to_json(), value.place)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let Ok([origin]) = <[Origin; 1]>::try_from(origins) else {
        placed_error(
            findings,
            "rule",
            node.place,
            (
                "规则须恰有 from、expr、const、each、set 之一",
                "a rule has exactly one of `from`, `expr`, `const`, `each`, `set`",
            ),
        );
        return None;
    };
    Some(Rule::Value(Box::new(value_rule(node, origin, findings))))
}

fn value_rule(node: &Node, origin: Origin, findings: &mut Findings) -> ValueRule {
    let round = optional(node, "round", findings).and_then(|round| {
        let found = Rounding::from_name(&round.text);
        if found.is_none() {
            findings.unknown(
                "round",
                round.place,
                (format!("没有舍入方式 {}", round.text), format!("there is no rounding `{}`", round.text)),
                &round.text,
                Rounding::ALL.iter().map(|(_, name)| *name),
            );
        }
        found
    });
    let scale = optional(node, "scale", findings).and_then(|scale| match scale.text.parse::<u32>() {
        Ok(places) if places <= 12 => Some(places),
        _ => {
            placed_error(findings, "scale", scale.place, ("scale 为 0 至 12", "`scale` is 0 to 12"));
            None
        }
    });
    let values = node.get("values").map(|values| {
        if values.entries().is_empty() {
            findings.wrong_kind(
                values.place,
                "values",
                "values",
                "来源值: 目标值",
                "source values with target values",
            );
        }
        let entry =
            |entry: &Entry| (Placed { text: entry.key.clone(), place: entry.place }, entry.value.to_json());
        values.entries().iter().map(entry).collect()
    });
    let literal = |key: &str| node.get(key).map(|value| (value.to_json(), value.place));
    ValueRule {
        origin,
        table: node.get("table").and_then(|table| table_rule(table, findings)),
        values,
        other: literal("else"),
        scale,
        round,
        cut: flag(node, "cut", findings),
        format: optional(node, "format", findings),
        default: literal("default"),
        optional: flag(node, "optional", findings),
        when: optional(node, "when", findings),
    }
}

fn table_rule(node: &Node, findings: &mut Findings) -> Option<TableRule> {
    if let Some(name) = placed(node) {
        return Some(TableRule { name, with: Vec::new(), on: None });
    }
    known_keys(node, TABLE, findings);
    let with = texts(node, "with", findings);
    let on = optional(node, "on", findings);
    Some(TableRule { name: required(node, "name", findings)?, with, on })
}

fn also(node: &Node, findings: &mut Findings) -> Also {
    known_keys(node, ALSO, findings);
    Also {
        place: node.place,
        when: optional(node, "when", findings),
        set: node.get("set").map(|inner| set(inner, findings)).unwrap_or_default(),
    }
}

fn refuse(node: &Node, findings: &mut Findings) -> Option<Refuse> {
    known_keys(node, REFUSE, findings);
    let when = required(node, "when", findings);
    let zh = required(node, "zh", findings);
    let en = required(node, "en", findings);
    let is_final = flag(node, "final", findings);
    Some(Refuse { when: when?, because: Text::new(zh?.text, en?.text), is_final })
}

fn test(node: &Node, findings: &mut Findings) -> TestCase {
    known_keys(node, TEST, findings);
    let mut tables = Vec::new();
    if let Some(node) = node.get("tables") {
        for table in node.entries() {
            for row in table.value.entries() {
                let target = row.value.text().unwrap_or_default().to_owned();
                tables.push((table.key.clone(), row.key.clone(), target));
            }
        }
    }
    let related = map(node, "related", findings).iter().filter_map(|entry| {
        let file = placed(&entry.value);
        if file.is_none() {
            findings.wrong_kind(entry.value.place, &entry.key, &entry.key, "文件路径", "the path of a file");
        }
        Some((entry.key.clone(), file?))
    });
    let related = related.collect();
    TestCase {
        name: optional(node, "name", findings).map(|placed| placed.text).unwrap_or_default(),
        place: node.place,
        input: optional(node, "input", findings),
        expect: optional(node, "expect", findings),
        fault: optional(node, "fault", findings),
        tables,
        related,
    }
}
