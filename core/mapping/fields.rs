//! Fields of an open document, declared in the mapping file itself.
//!
//! `number: text!` (`!`: required), `name: text(40)`, `amount: amount-tax-included(2)`, a nested mapping for
//! a record, a list holding one mapping for a list.

use tongbao_model::Text;
use tongbao_model::diagnostic::{Findings, nearest};
use tongbao_model::shape::{Field, Kind, Length, LengthUnit, NumberForm, Sense, TimeForm};
use tongbao_model::yaml::{Content, Node};

const KINDS: &[&str] = &[
    "text",
    "integer",
    "bool",
    "date",
    "datetime",
    "local-datetime",
    "decimal",
    "quantity",
    "rate",
    "price-tax-included",
    "price-tax-excluded",
    "amount-tax-included",
    "amount-tax-excluded",
    "tax",
    "money",
];

pub fn read(node: &Node, findings: &mut Findings) -> Vec<Field> {
    node.entries()
        .iter()
        .filter_map(|entry| {
            let (kind, required) = kind(&entry.value, findings)?;
            Some(Field { name: entry.key.clone().into(), doc: "".into(), kind, required })
        })
        .collect()
}

fn kind(node: &Node, findings: &mut Findings) -> Option<(Kind, bool)> {
    match &node.content {
        Content::Map(_) => Some((Kind::Record(read(node, findings)), false)),
        Content::List(items) => match items.as_slice() {
            [item] if !item.entries().is_empty() => Some((Kind::List(read(item, findings)), false)),
            _ => {
                findings.error(
                    "field-kind",
                    node.place,
                    "列表应含一个字段映射",
                    "a list holds one mapping of fields",
                );
                None
            }
        },
        Content::Scalar { text, .. } => {
            let (word, required) = match text.strip_suffix('!') {
                Some(word) => (word, true),
                None => (text.as_str(), false),
            };
            match scalar(word) {
                Some(kind) => Some((kind, required)),
                None => {
                    let suggestion = nearest(word, KINDS.iter().copied())
                        .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
                    findings.error_with(
                        "field-kind",
                        node.place,
                        Text::new(format!("未知类型 {text}"), format!("unknown kind `{text}`")),
                        suggestion,
                    );
                    None
                }
            }
        }
        Content::Null => {
            findings.error("field-kind", node.place, "缺少类型", "the kind is missing");
            None
        }
    }
}

fn scalar(word: &str) -> Option<Kind> {
    let (name, argument) = match word.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')')?)),
        None => (word, None),
    };
    Some(match (name, argument) {
        ("text", None) => Kind::Text(None),
        ("text", Some(argument)) => {
            let (max, unit) = match argument.strip_suffix(" gbk") {
                Some(max) => (max, LengthUnit::GbkBytes),
                None => (argument, LengthUnit::Characters),
            };
            Kind::Text(Some(Length { max: max.trim().parse().ok()?, unit }))
        }
        ("integer", None) => Kind::Integer,
        ("bool", None) => Kind::Bool,
        ("date", None) => Kind::Date,
        ("datetime", None) => Kind::DateTime(TimeForm::Rfc3339),
        ("local-datetime", None) => Kind::DateTime(TimeForm::Local),
        (name, argument) => {
            let sense = Sense::from_name(name)?;
            let (scale, form) = match argument {
                None => (None, NumberForm::Text),
                Some(argument) => match argument.strip_suffix(" number") {
                    Some(scale) => (Some(scale.trim().parse().ok()?), NumberForm::Number),
                    None => (Some(argument.trim().parse().ok()?), NumberForm::Text),
                },
            };
            Kind::Decimal { sense, scale, form }
        }
    })
}
