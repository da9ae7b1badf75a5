//! JSON Schema of mapping files, for editors that complete and check while one types.

use crate::syntax::{RULE, TOP};
use serde_json::{Map, Value, json};
use tongbao_model::decimal::Rounding;
use tongbao_model::shape::{Field, Kind, Shape};

/// The schema of mapping files. With a target, its fields are the only ones under `set`.
pub fn schema(target: Option<&Shape>) -> Value {
    let set = target.map_or_else(|| json!({"$ref": "#/$defs/set"}), |target| level(&target.fields));
    let text = || json!({"type": "string"});
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    let of = |key: &str| match key {
        "mapping" | "from" | "to" | "key" | "zone" | "extends" => text(),
        "version" => json!({"const": crate::syntax::VERSION}),
        "include" | "ignore" | "check" => texts(),
        "related" => {
            json!({"type": "object", "additionalProperties": {"type": "object", "additionalProperties": false,
            "required": ["record", "key"], "properties": {"record": text(), "key": text(), "event": text(),
            "optional": {"type": "boolean"}}}})
        }
        "fields" => json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/field"}}),
        "set" => set.clone(),
        "refuse" => json!({"type": "array", "items": {"type": "object", "additionalProperties": false,
            "required": ["when", "zh", "en"], "properties": {"when": text(), "zh": text(), "en": text(),
            "final": {"type": "boolean"}}}}),
        _ => {
            json!({"type": "array", "items": {"type": "object", "additionalProperties": false, "required": ["input"],
            "properties": {"name": text(), "input": text(), "expect": text(), "fault": text(),
            "tables": {"type": "object", "additionalProperties": {"type": "object"}},
            "related": {"type": "object", "additionalProperties": text()}}}})
        }
    };
    let properties: Map<String, Value> = TOP.iter().map(|key| ((*key).to_owned(), of(key))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "通宝字段映射 / Tongbao mapping",
        "type": "object",
        "required": ["mapping", "version"],
        "additionalProperties": false,
        "properties": properties,
        "$defs": {
            "set": {"type": "object", "additionalProperties": {"$ref": "#/$defs/rule"}},
            "rule": rule(&json!({"$ref": "#/$defs/set"})),
            "scalar": rule(&Value::Bool(false)),
            "field": {"oneOf": [
                {"type": "string"},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/field"}},
                {"type": "array", "minItems": 1, "maxItems": 1, "items": {"$ref": "#/$defs/field"}},
            ]},
        },
    })
}

/// A rule whose nested `set`, if it may have one, is as given.
fn rule(set: &Value) -> Value {
    let text = || json!({"type": "string"});
    let of = |key: &str| match key {
        "set" => set.clone(),
        "const" | "else" | "default" => json!({"type": ["string", "number", "boolean"]}),
        "cut" | "optional" => json!({"type": "boolean"}),
        "scale" => json!({"type": "integer", "minimum": 0, "maximum": 12}),
        "round" => json!({"enum": Rounding::ALL.map(|(_, name)| name)}),
        "values" => {
            json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}})
        }
        "table" => {
            json!({"oneOf": [{"type": "string"}, {"type": "object", "additionalProperties": false, "required": ["name"],
            "properties": {"name": text(), "with": {"type": "array", "items": {"type": "string"}}, "on": text()}}]})
        }
        "also" => {
            json!({"type": "array", "items": {"type": "object", "additionalProperties": false, "required": ["set"],
            "properties": {"when": text(), "set": set.clone()}}})
        }
        _ => text(),
    };
    let properties: Map<String, Value> = RULE.iter().map(|key| ((*key).to_owned(), of(key))).collect();
    let one_of: Vec<Value> =
        ["from", "expr", "const", "each", "set"].iter().map(|key| json!({"required": [key]})).collect();
    json!({"oneOf": [
        {"type": "string", "description": "来源路径 / a source path"},
        {"type": "null", "description": "取消 extends 带来的规则 / takes away a rule of the file it extends"},
        {"type": "object", "additionalProperties": false, "properties": properties, "anyOf": one_of},
    ]})
}

/// The fields of one level of a target, dotted paths of nested records included.
fn level(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    add(fields, "", &mut properties);
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn add(fields: &[Field], prefix: &str, properties: &mut Map<String, Value>) {
    for field in fields {
        let path = format!("{prefix}{}", field.name);
        let mut found = match &field.kind {
            Kind::Record(children) | Kind::List(children) => rule(&level(children)),
            _ => json!({"allOf": [{"$ref": "#/$defs/scalar"}]}),
        };
        if let Value::Object(map) = &mut found {
            let needed = if field.required { " (必填 / required)" } else { "" };
            map.insert("description".into(), json!(format!("{}: {}{needed}", field.kind.name(), field.doc)));
        }
        if let Kind::Record(children) = &field.kind {
            add(children, &format!("{path}."), properties);
        }
        properties.insert(path, found);
    }
}
