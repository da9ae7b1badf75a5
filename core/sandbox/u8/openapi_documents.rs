//! Documents of the OpenAPI: in as JSON with EAI's tags, out with every value a text and nothing that is empty.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::{
    openapi::{Asked, refused},
    store::{Document, Fields, State, get},
    templates::{Of, Template, template},
    xml::Tag,
};
use crate::{
    clock, money,
    wire::message::{Incoming, Reply},
    world::World,
};

/// The template behind a resource: `saleorder`, and `saleorderlist` for its lists.
pub(super) fn resource(name: &str) -> Option<&'static Template> {
    let name = name.strip_suffix("list").unwrap_or(name);
    template(name).filter(|known| known.roottag != "voucher")
}

/// Numbers a call is about, for fault scripts.
pub(super) fn keys(name: &str, method: &str, body: &Value, request: &Incoming) -> Vec<String> {
    let tag = match method {
        "get" => return request.query_value("id").into_iter().collect(),
        "add" => resource(name).map_or("", |known| known.number),
        "verify" | "unverify" => "voucher_code",
        _ => return Vec::new(),
    };
    let number = body.get(name).and_then(|one| one.get(tag)).and_then(Value::as_str);
    number.map(str::to_owned).into_iter().collect()
}

/// A document as the agent imports it: what it does not state and EAI must have is filled in.
pub(super) fn tag(world: &World, known: &Template, given: &Value) -> Tag {
    let members = |value: &Value| -> Vec<Tag> {
        let members = value.as_object().into_iter().flatten().filter(|(name, _)| name.as_str() != "entry");
        let tags = members.map(|(name, value)| {
            let text = match value {
                Value::String(text) => text.trim().to_owned(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            leaf(name, text)
        });
        tags.filter(|tag| !tag.text.is_empty()).collect()
    };
    let mut head = Tag { children: members(given), ..Tag::new(known.head) };
    let mut lines: Vec<Tag> = given
        .get("entry")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|line| Tag {
            children: members(line),
            ..Tag::new(if known.bodies { known.body } else { "entry" })
        })
        .collect();
    if known.roottag == "saleorder" {
        let today = clock::format_local(world.clock.now_ms(), "%Y-%m-%d");
        let preset = [
            ("typecode", "01"),
            ("date", &today),
            ("currency", "人民币"),
            ("currencyrate", "1"),
            ("maker", "demo"),
        ];
        for (name, text) in preset {
            fill(&mut head, name, text.to_owned());
        }
        let rate = Decimal::from(world.config.u8_openapi.tax_rate);
        for line in &mut lines {
            fill(line, "taxrate", rate.to_string());
            recompute(line);
        }
    }
    if known.head.is_empty() {
        return Tag { name: known.roottag.to_owned(), ..head };
    }
    let mut root = Tag::new(known.roottag);
    root.children.push(head);
    if known.bodies {
        root.children.extend(lines);
    } else {
        root.children.push(Tag { children: lines, ..Tag::new(known.body) });
    }
    root
}

fn leaf(name: &str, text: String) -> Tag {
    Tag { text, ..Tag::new(name) }
}

fn fill(tag: &mut Tag, name: &str, text: String) {
    if tag.child(name).is_none() {
        tag.children.push(leaf(name, text));
    }
}

fn replace(tag: &mut Tag, name: &str, value: Decimal) {
    tag.children.retain(|child| child.name != name);
    tag.children.push(leaf(name, value.to_string()));
}

/// A line that states `unitprice` gets its amounts from prices; of two prices the one with tax wins.
fn recompute(line: &mut Tag) {
    let number = |line: &Tag, name: &str| line.child(name).and_then(|tag| money::parse(&tag.text));
    let (Some(price), Some(quantity)) = (number(line, "unitprice"), number(line, "quantity")) else { return };
    let rate = number(line, "taxrate").unwrap_or_default() / Decimal::ONE_HUNDRED;
    let (sum, net) = match number(line, "taxunitprice") {
        Some(gross) => {
            let sum = money::round(gross * quantity, 2);
            (sum, money::split_gross(sum, rate).0)
        }
        None => {
            let net = money::round(price * quantity, 2);
            (money::round(net * (Decimal::ONE + rate), 2), net)
        }
    };
    for (name, value) in [("sum", sum), ("money", net), ("tax", sum - net)] {
        replace(line, name, value);
    }
}

/// `get`: one document with its lines.
pub(super) fn one(state: &State, known: &'static Template, number: &str) -> Reply {
    let Some(found) = state.by_number(known, number) else { return refused(number, "单据不存在！") };
    let mut shown = head(known, found);
    if !known.head.is_empty() {
        let lines = found.lines.iter().map(|line| Value::Object(texts(known.entry, line)));
        shown.insert("entry".to_owned(), lines.collect());
    }
    Reply::json(200, &json!({"errcode": "0", "errmsg": "", known.roottag: shown}))
}

/// `batch_get`: headers without lines, newest first, a page at a time.
pub(super) fn list(world: &World, state: &State, known: &'static Template, asked: &Asked) -> Reply {
    let number =
        |name: &str, usual: usize| asked.value(name).parse().ok().filter(|n| *n > 0).unwrap_or(usual);
    let (page, rows): (usize, usize) = (number("page_index", 1), number("rows_per_page", 20));
    let taken: Vec<&Document> = state
        .all(known.roottag)
        .iter()
        .rev()
        .filter(|one| world.config.u8.ignore_conditions || is_asked_for(known, one, asked))
        .collect();
    let shown = taken.iter().skip((page - 1).saturating_mul(rows)).take(rows);
    let shown: Vec<Value> = shown.map(|one| Value::Object(head(known, one))).collect();
    let answer = json!({
        "errcode": "0", "errmsg": "", "page_index": page.to_string(), "rows_per_page": rows.to_string(),
        "page_count": taken.len().div_ceil(rows).to_string(), "row_count": taken.len().to_string(),
        asked.name.as_str(): shown,
    });
    Reply::json(200, &answer)
}

fn is_asked_for(known: &Template, one: &Document, asked: &Asked) -> bool {
    let date = known.header.iter().find(|(_, of)| *of == Of::Date).map_or("", |(name, _)| name);
    let date = get(&one.head, date).get(..10).unwrap_or_default();
    let (begin, end, state) = (asked.value("date_begin"), asked.value("date_end"), asked.value("state"));
    let in_time = (begin.is_empty() || date >= begin.as_str()) && (end.is_empty() || date <= end.as_str());
    let is_of = |name: &str| {
        let wanted = asked.value(name);
        wanted.is_empty() || get(&one.head, name) == wanted
    };
    in_time && is_of("custcode") && is_of("customercode") && (state.is_empty() || state == state_of(one))
}

fn state_of(one: &Document) -> &'static str {
    if get(&one.head, "!verifier").is_empty() { "Opening" } else { "Approved" }
}

fn head(known: &Template, one: &Document) -> Map<String, Value> {
    let mut shown = texts(known.header, &one.head);
    let mut add = |name: &str, text: &str| {
        if !text.is_empty() {
            shown.insert(name.to_owned(), text.into());
        }
    };
    add("id", &one.id.to_string());
    for (name, text) in
        one.head.iter().filter(|(name, _)| !known.defines.is_empty() && name.starts_with(known.defines))
    {
        add(name, text);
    }
    if matches!(known.roottag, "saleorder" | "accept") {
        let verifier = if known.roottag == "accept" { "!checker" } else { "!verifier" };
        add("verifier", get(&one.head, verifier));
        add("state", state_of(one));
    }
    shown
}

/// Tags as texts; numbers with the digits of their columns, empty ones not at all.
fn texts(known: &[(&str, Of)], fields: &Fields) -> Map<String, Value> {
    let mut shown = Map::new();
    for (tag, of) in known {
        let text = get(fields, tag);
        let text = match of {
            _ if text.is_empty() => continue,
            Of::Number => {
                let places = if tag.contains("price") || tag.contains("rate") {
                    10
                } else if matches!(*tag, "quantity" | "num") {
                    6
                } else {
                    2
                };
                let mut value = money::round(money::parse(text).unwrap_or_default(), places);
                value.rescale(places);
                value.to_string()
            }
            Of::Date => text.get(..10).unwrap_or(text).to_owned(),
            Of::Text(_) | Of::Code(_) => text.to_owned(),
        };
        shown.insert((*tag).to_owned(), text.into());
    }
    shown
}
