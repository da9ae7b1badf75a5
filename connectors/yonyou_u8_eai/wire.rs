//! Documents of mappings as XML of the templates, and back.

use super::documents::{Kind, LINES, Layout};
use rust_decimal::Decimal;
use serde_json::Value;
use tongbao_connect::xml::{Element, Node};
use tongbao_model::{Code, Fault, decimal};

/// The XML of a document, with number and stamp in its header whatever the mapping says.
pub fn to_xml(
    kind: &Kind,
    document: &Value,
    key: &str,
    stamp: Option<(&str, &str)>,
) -> Result<Element, Fault> {
    let Value::Object(members) = document else { return Err(unfit(kind.name)) };
    let own = |name: &str| name == kind.number || stamp.is_some_and(|(field, _)| name == field);
    let mut head = Element::new("header").leaf(kind.number, key);
    for (name, value) in members.iter().filter(|(name, _)| name.as_str() != LINES && !own(name)) {
        add(&mut head, name, value)?;
    }
    if let Some((field, stamp)) = stamp {
        head = head.leaf(field, stamp);
    }
    let lines = match members.get(LINES) {
        None => &[][..],
        Some(Value::Array(lines)) => lines,
        Some(_) => return Err(unfit(LINES)),
    };
    let mut root = Element::new(kind.name);
    match kind.layout {
        Layout::Flat => root.children = head.children,
        Layout::Entries { head: name, body } => {
            head.name = name.to_owned();
            let mut list = Element::new(body);
            for one in lines {
                list.push(line("entry", one)?);
            }
            root = root.child(head).child(list);
        }
        Layout::Bodies => {
            root.push(head);
            for one in lines {
                root.push(line("body", one)?);
            }
        }
    }
    Ok(root)
}

fn line(name: &str, members: &Value) -> Result<Element, Fault> {
    let Value::Object(members) = members else { return Err(unfit(LINES)) };
    let mut line = Element::new(name);
    for (name, value) in members {
        add(&mut line, name, value)?;
    }
    Ok(line)
}

fn add(parent: &mut Element, name: &str, value: &Value) -> Result<(), Fault> {
    let text = match value {
        Value::Null => return Ok(()),
        Value::Bool(flag) => if *flag { "1" } else { "0" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        // Only vouchers nest: `<auxiliary_accounting><item name="dept_id">…`.
        Value::Object(items) => {
            let mut list = Element::new(name);
            for (name, value) in items {
                let Value::String(text) = value else { return Err(unfit(name)) };
                let mut item = Element::new("item").with("name", name.as_str());
                item.children.push(Node::Text(text.clone()));
                list.push(item);
            }
            parent.push(list);
            return Ok(());
        }
        Value::Array(_) => return Err(unfit(name)),
    };
    *parent = std::mem::take(parent).leaf(name, text);
    Ok(())
}

fn unfit(name: &str) -> Fault {
    Fault::new(
        Code::FieldType,
        format!("{name} 不是 U8 单据能容纳的形状"),
        format!("`{name}` has a shape that no U8 document holds"),
    )
    .at(name)
}

/// The header of a document that was read.
pub fn header<'a>(kind: &Kind, document: &'a Element) -> Option<&'a Element> {
    match kind.layout {
        Layout::Flat => Some(document),
        Layout::Entries { head, .. } => document.first(head),
        Layout::Bodies => document.first("header"),
    }
}

/// Its lines.
pub fn lines<'a>(kind: &Kind, document: &'a Element) -> Vec<&'a Element> {
    match kind.layout {
        Layout::Flat => Vec::new(),
        Layout::Entries { body, .. } => document.named(body).flat_map(|body| body.named("entry")).collect(),
        Layout::Bodies => document.named("body").collect(),
    }
}

/// An amount as U8 prints it: with trailing zeros, or without the zero in front of its point.
pub fn amount(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    if digits.starts_with('.') {
        return decimal::parse(&format!("{sign}0{digits}")).ok();
    }
    decimal::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::super::documents::kind;
    use super::*;
    use serde_json::json;
    use tongbao_connect::xml::{Charset, write};

    fn shown(name: &str, document: &Value, stamp: Option<(&str, &str)>) -> String {
        let xml = to_xml(kind(name).unwrap(), document, "K-1", stamp).unwrap();
        String::from_utf8(write(&xml, Charset::Utf8).unwrap()).unwrap().split_once('\n').unwrap().1.to_owned()
    }

    #[test]
    fn every_layout_is_the_templates() {
        let document: Value = serde_json::from_str(
            r#"{"code":"other","custcode":"A&B","currencyrate":1,"memo":null,"define11":"x","entry":[{"quantity":2.50,"bgift":false},{"sum":1}]}"#,
        )
        .unwrap();
        assert_eq!(
            shown("saleorder", &document, Some(("define11", "crm/c/K-1"))),
            "<saleorder><header><code>K-1</code><custcode>A&amp;B</custcode><currencyrate>1</currencyrate>\
             <define11>crm/c/K-1</define11></header><body><entry><quantity>2.50</quantity><bgift>0</bgift></entry>\
             <entry><sum>1</sum></entry></body></saleorder>"
        );
        assert_eq!(
            shown("customer", &json!({"name": "n"}), None),
            "<customer><code>K-1</code><name>n</name></customer>"
        );
        assert_eq!(
            shown("saleinvoice", &json!({"entry": [{"sum": "1"}, {"sum": "2"}]}), None),
            "<saleinvoice><header><invoiceno>K-1</invoiceno></header><body><sum>1</sum></body><body><sum>2</sum></body></saleinvoice>"
        );
        assert_eq!(
            shown(
                "voucher",
                &json!({"entry": [{"entry_id": 1, "auxiliary_accounting": {"cust_id": "C1"}}]}),
                None
            ),
            "<voucher><voucher_head><reserve2>K-1</reserve2></voucher_head><voucher_body><entry><entry_id>1</entry_id>\
             <auxiliary_accounting><item name=\"cust_id\">C1</item></auxiliary_accounting></entry></voucher_body></voucher>"
        );
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let order = kind("saleorder").unwrap();
        for (document, field) in [
            (json!([]), "saleorder"),
            (json!({"entry": {}}), "entry"),
            (json!({"entry": [1]}), "entry"),
            (json!({"memo": []}), "memo"),
            (json!({"memo": {"a": 1}}), "a"),
        ] {
            assert_eq!(to_xml(order, &document, "K", None).unwrap_err().field.as_deref(), Some(field));
        }
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, value) in
            [("100.00", "100.00"), (".5", "0.5"), ("-.50", "-0.50"), (" 44.2477876106 ", "44.2477876106")]
        {
            assert_eq!(amount(text).map(|amount| amount.to_string()).as_deref(), Some(value));
        }
        for text in ["", "-", "1,000.00", "12元", "."] {
            assert_eq!(amount(text), None, "{text}");
        }
    }
}
