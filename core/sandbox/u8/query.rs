//! `proc="query"`: conditions on database columns, joined by `logic`, which may carry parentheses.

use rust_decimal::Decimal;

use super::{
    store::{Document, get, same},
    templates::{Of, Template},
    xml::Tag,
};
use crate::money;

/// Conditions and what joins them, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Condition(usize),
    And,
    Or,
    Open,
    Close,
}

/// One condition on a tag.
struct Condition {
    tag: &'static str,
    operation: String,
    value: String,
}

/// A filter that was read.
pub(super) struct Filter {
    conditions: Vec<Condition>,
    tokens: Vec<Token>,
}

/// Most conditions of one query.
const MAX: usize = 64;

impl Filter {
    /// Reads the conditions of a query. The message names an unknown column, as the database would.
    pub fn read(template: &Template, asked: Option<&Tag>) -> Result<Filter, String> {
        let mut filter = Filter { conditions: Vec::new(), tokens: Vec::new() };
        for field in
            asked.into_iter().flat_map(|tag| tag.children.iter().filter(|tag| tag.name == "field")).take(MAX)
        {
            let name = field.attribute("name");
            let column = template.columns.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
            let tag = column.map(|(_, tag)| *tag).ok_or_else(|| format!("列名 '{name}' 无效。"))?;
            filter.tokens.push(Token::Condition(filter.conditions.len()));
            let logic = field.attribute("logic").replace('(', " ( ").replace(')', " ) ").to_lowercase();
            filter.tokens.extend(logic.split_whitespace().filter_map(|word| match word {
                "and" => Some(Token::And),
                "or" => Some(Token::Or),
                "(" => Some(Token::Open),
                ")" => Some(Token::Close),
                _ => None,
            }));
            let operation = field.attribute("operation").trim().to_lowercase();
            filter.conditions.push(Condition { tag, operation, value: field.attribute("value").to_owned() });
        }
        Ok(filter)
    }

    /// Business values it names, for fault scripts.
    pub fn values(&self) -> Vec<String> {
        self.conditions.iter().map(|condition| condition.value.clone()).collect()
    }

    pub fn takes(&self, template: &Template, document: &Document) -> bool {
        let mut rest = self.tokens.as_slice();
        rest.is_empty() || self.any(template, document, &mut rest)
    }

    fn any(&self, template: &Template, document: &Document, rest: &mut &[Token]) -> bool {
        let mut holds = self.all(template, document, rest);
        while let Some((Token::Or, after)) = rest.split_first() {
            *rest = after;
            holds |= self.all(template, document, rest);
        }
        holds
    }

    fn all(&self, template: &Template, document: &Document, rest: &mut &[Token]) -> bool {
        let mut holds = self.one(template, document, rest);
        while let Some((Token::And, after)) = rest.split_first() {
            *rest = after;
            holds &= self.one(template, document, rest);
        }
        holds
    }

    fn one(&self, template: &Template, document: &Document, rest: &mut &[Token]) -> bool {
        let Some((first, after)) = rest.split_first() else { return false };
        *rest = after;
        match first {
            Token::Condition(index) => {
                self.conditions.get(*index).is_some_and(|condition| holds(template, document, condition))
            }
            Token::Open => {
                let holds = self.any(template, document, rest);
                if let Some((Token::Close, after)) = rest.split_first() {
                    *rest = after;
                }
                holds
            }
            Token::And | Token::Or | Token::Close => false,
        }
    }
}

fn holds(template: &Template, document: &Document, condition: &Condition) -> bool {
    let text = get(&document.head, condition.tag);
    let of = template.header.iter().find(|(tag, _)| *tag == condition.tag).map(|(_, of)| *of);
    let order = match of {
        Some(Of::Number) => {
            let value = |text: &str| money::parse(text).unwrap_or(Decimal::ZERO);
            value(text).cmp(&value(&condition.value))
        }
        Some(Of::Date) => text.get(..10).cmp(&condition.value.get(..10)),
        _ if same(text, &condition.value) => std::cmp::Ordering::Equal,
        _ => text.to_lowercase().cmp(&condition.value.to_lowercase()),
    };
    match condition.operation.as_str() {
        "=" => order.is_eq(),
        "<>" | "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "like" => text.to_lowercase().contains(&condition.value.replace('%', "").to_lowercase()),
        _ => false,
    }
}

/// A document in the layout of its template. Numbers come with the digits of their columns, below one without the zero
/// in front; empty tags are printed too.
pub(super) fn export(template: &Template, document: &Document, with_times: bool) -> Tag {
    let mut head = Tag::new(template.head);
    let defines = (1..=16).map(|index| format!("{}{index}", template.defines));
    let defines = defines.filter(|_| !template.defines.is_empty()).map(|tag| (tag, Of::Text(120)));
    let header = template.header.iter().map(|(tag, of)| ((*tag).to_owned(), *of));
    for (tag, of) in header.chain(defines) {
        let text = match tag.as_str() {
            "id" => document.id.to_string(),
            _ => shown(get(&document.head, &tag), &tag, of, with_times),
        };
        head.children.push(leaf(&tag, text));
    }
    let lines = document.lines.iter().map(|line| {
        let mut entry = Tag::new(if template.bodies { template.body } else { "entry" });
        for (tag, of) in template.entry {
            let text = if *tag == "mainid" {
                document.id.to_string()
            } else {
                shown(get(line, tag), tag, *of, with_times)
            };
            entry.children.push(leaf(tag, text));
        }
        if template.bodies {
            // The template has this tag twice: the total, and what has been received of it.
            entry.children.push(leaf("originalsum", ".00".to_owned()));
        }
        entry
    });
    let mut root = Tag::new(template.roottag);
    if template.head.is_empty() {
        root.children = head.children;
    } else if template.bodies {
        root.children.push(head);
        root.children.extend(lines);
    } else {
        let body = Tag { children: lines.collect(), ..Tag::new(template.body) };
        root.children = vec![head, body];
    }
    root
}

fn leaf(name: &str, text: String) -> Tag {
    Tag { text, ..Tag::new(name) }
}

fn shown(text: &str, tag: &str, of: Of, with_times: bool) -> String {
    match of {
        Of::Number if !text.is_empty() => {
            let price = tag.contains("price") || tag.contains("rate");
            let places = if price { 10 } else { 2 };
            let value = money::parse(text).unwrap_or_default();
            // Quantities may have more digits than amounts.
            let places = if tag == "quantity" { value.normalize().scale().max(2) } else { places };
            let mut value = money::round(value, places);
            value.rescale(places);
            let text = value.to_string();
            match text.strip_prefix("0.") {
                Some(rest) => format!(".{rest}"),
                None => text.replace("-0.", "-."),
            }
        }
        Of::Date if !text.is_empty() && with_times => format!("{} 00:00:00", text.get(..10).unwrap_or(text)),
        Of::Number | Of::Date | Of::Text(_) | Of::Code(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::u8::{store::put, templates::template, xml};

    fn takes(fields: &str, code: &str, date: &str) -> bool {
        let asked = xml::read(format!("<accept>{fields}</accept>").as_bytes()).unwrap();
        let accept = template("accept").unwrap();
        let mut document = Document::default();
        put(&mut document.head, "vouchcode", code);
        put(&mut document.head, "vouchdate", date);
        Filter::read(accept, Some(&asked)).unwrap().takes(accept, &document)
    }

    #[test]
    fn logic_may_carry_parentheses() {
        let field = |column: &str, operation: &str, value: &str, logic: &str| {
            format!("<field name='{column}' operation='{operation}' value='{value}' logic='{logic}'/>")
        };
        let one = field("cVouchID", "=", "SK-1", "");
        assert!(takes(&one, "sk-1 ", "2026-01-05"), "the database's comparison");
        assert!(!takes(&one, "SK-2", "2026-01-05"));
        let nested = [
            field("dVouchDate", "&gt;=", "2026-01-05", " And ( "),
            field("cVouchID", "=", "SK-1", " Or "),
            field("cVouchID", "=", "SK-2", " ) "),
        ]
        .concat();
        assert!(takes(&nested, "SK-2", "2026-01-05 00:00:00"));
        assert!(!takes(&nested, "SK-3", "2026-01-05"));
        assert!(!takes(&nested, "SK-2", "2026-01-04"));
        assert!(takes("", "SK-9", ""), "no condition takes everything");
        let wrong = xml::read(b"<accept><field name='nosuch' operation='=' value='1'/></accept>").unwrap();
        assert!(Filter::read(template("accept").unwrap(), Some(&wrong)).is_err());
    }

    #[test]
    fn numbers_are_printed_as_the_database_has_them() {
        for (tag, text, printed) in [
            ("sum", "100", "100.00"),
            ("sum", "0.05", ".05"),
            ("sum", "-0.5", "-.50"),
            ("taxunitprice", "44.2477876106", "44.2477876106"),
            ("taxrate", "13", "13.0000000000"),
            ("quantity", "1.125", "1.125"),
        ] {
            assert_eq!(shown(text, tag, Of::Number, false), printed);
        }
    }
}
