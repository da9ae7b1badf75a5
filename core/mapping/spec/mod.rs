//! The language, on documents small enough to read.

mod hostile;
mod language;
mod money;
mod related;
mod reuse;
mod upgrade;

use super::*;
use serde_json::{Value, json};
use tongbao_model::diagnostic::{Diagnostic, Severity};
use tongbao_model::shape::{Field, Kind, Length, LengthUnit, NumberForm, Sense, Shape};

struct Both;

impl Ends for Both {
    fn shape(&self, name: &str) -> Option<Shape> {
        if name == "erp/Bill" {
            return Some(bill());
        }
        if name != "erp/Order" {
            return tongbao_model::record::shape(name);
        }
        let money = |name, sense| {
            Field::new(name, Kind::Decimal { sense, scale: Some(2), form: NumberForm::Number }, "")
        };
        let text =
            |name, max| Field::new(name, Kind::Text(Some(Length { max, unit: LengthUnit::GbkBytes })), "");
        Some(Shape {
            name: "Order".into(),
            doc: "".into(),
            fields: vec![
                text("No", 12).required(),
                Field::new("Date", Kind::Date, ""),
                Field::new("Cust", Kind::Record(vec![text("Number", 20).required(), text("Note", 20)]), ""),
                money("Total", Sense::TaxIncluded),
                money("Net", Sense::TaxExcluded),
                Field::new("Free", Kind::Bool, ""),
                Field::new(
                    "Rows",
                    Kind::List(vec![
                        text("Item", 20).required(),
                        Field::new("Qty", Kind::decimal(Sense::Quantity), ""),
                        money("Price", Sense::PriceTaxIncluded),
                        Field::new("Rate", Kind::decimal(Sense::Number), ""),
                    ]),
                    "",
                ),
            ],
            total: None,
        })
    }

    fn is_open(&self, name: &str) -> bool {
        name.starts_with("crm/")
    }

    fn names(&self) -> Vec<String> {
        vec!["contract".into(), "erp/Order".into()]
    }
}

/// A document whose header states the sum of its lines.
fn bill() -> Shape {
    let money = |name| {
        let kind = Kind::Decimal { sense: Sense::TaxIncluded, scale: Some(2), form: NumberForm::Text };
        Field::new(name, kind, "")
    };
    let rows = vec![Field::new("Item", Kind::Text(None), ""), money("Amount"), money("Off")];
    Shape {
        name: "Bill".into(),
        doc: "".into(),
        fields: vec![money("Total"), Field::new("Rows", Kind::List(rows), "")],
        total: Some(tongbao_model::shape::Total {
            header: Some("Total"),
            list: "Rows",
            amounts: &["Amount", "Off"],
            product: None,
        }),
    }
}

const GOOD: &str = r#"
mapping: contract-to-order
version: 2
from: contract
to: erp/Order
key: number
refuse:
  - when: total_tax_included == 0
    zh: 零金额
    en: nothing to post
    final: true
check:
  - sum(lines.amount_tax_included) == total_tax_included
set:
  No: number
  Date: { from: signed_at }
  Cust.Number: { from: customer.code, table: customers }
  Cust.Note: { expr: 'concat("合同 ", number)' }
  Total: total_tax_included
  Net: { expr: 'sum(lines, net(amount_tax_included, tax_rate))' }
  Free: { const: true, when: lines.missing }
  Rows:
    each: lines
    where: unit_price_tax_included != 0
    set:
      Item: product.code
      Qty: quantity
      Price: { from: unit_price_tax_included, scale: 2 }
      Rate: { expr: tax_rate * 100 }
ignore: [currency, opportunity, lines.discount_tax_included]
"#;

fn good() -> String {
    GOOD.replace("  Free: { const: true, when: lines.missing }\n", "")
}

fn build(text: &str) -> (Option<Mapping>, Vec<Diagnostic>) {
    compile("test.yaml", text, &Both)
}

fn errors(text: &str) -> Vec<(String, usize)> {
    let (mapping, found) = build(text);
    let errors: Vec<_> = found
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| (finding.code.to_owned(), finding.place.line))
        .collect();
    assert_eq!(mapping.is_none(), !errors.is_empty());
    errors
}

fn contract() -> Value {
    json!({
        "number": "HT-1", "signed_at": "2026-11-20T23:30:00Z", "currency": "CNY", "customer": {"code": "C1"},
        "lines": [
            {"line": 1, "product": {"code": "P1"}, "quantity": "3", "unit_price_tax_included": "33.3",
             "tax_rate": "0.13", "amount_tax_included": "99.90"},
            {"line": 2, "product": {"code": "P2"}, "quantity": "1", "unit_price_tax_included": "0",
             "tax_rate": "0.13", "amount_tax_included": "0"}
        ],
        "total_tax_included": "99.90"
    })
}

fn tables() -> Tables {
    Tables::new(7, [("customers".to_owned(), "C1".to_owned(), "CUST0001".to_owned())])
}

#[test]
fn a_contract_becomes_an_order() {
    let (mapping, found) = build(&good());
    let mapping = mapping.unwrap_or_else(|| panic!("{found:#?}"));
    let mapped = mapping.run(&contract(), &tables()).unwrap();
    assert_eq!(mapped.key, "HT-1");
    assert_eq!(
        mapped.document.to_string(),
        r#"{"No":"HT-1","Date":"2026-11-21","Cust":{"Number":"CUST0001","Note":"合同 HT-1"},"Total":99.90,"Net":88.41,"Rows":[{"Item":"P1","Qty":3,"Price":33.3,"Rate":13.00}]}"#
    );
    let (_, traces) = mapping.explain(&contract(), &Related::default(), &tables());
    let row = traces.iter().find(|trace| trace.target == "Cust.Number").unwrap();
    assert_eq!(row.table.as_deref(), Some("customers: C1 → CUST0001"));
    assert_eq!((row.rule.as_str(), row.line), ("from: customer.code", 17));
}

/// One case: where in the contract, the new value, and the fault's code, field and finality.
type Case = (&'static str, Value, (&'static str, Option<&'static str>, bool));

#[test]
fn faults_name_field_and_cause() {
    let (mapping, _) = build(&good());
    let mapping = mapping.unwrap();
    let cases: Vec<Case> = vec![
        ("/customer/code", json!("C9"), ("code-table-miss", Some("customer.code"), false)),
        ("/customer", Value::Null, ("field-missing", Some("customer.code"), false)),
        ("/customer/code", json!(""), ("field-missing", Some("customer.code"), false)),
        ("/number", json!("HT-合同合同合同"), ("field-too-long", Some("number"), false)),
        ("/total_tax_included", json!("99.91"), ("check-failed", None, false)),
        (
            "/lines/0/unit_price_tax_included",
            json!("33.333"),
            ("scale-loss", Some("lines[1].unit_price_tax_included"), false),
        ),
        ("/lines/0/quantity", json!("3 pcs"), ("field-type", Some("lines[1].quantity"), false)),
        ("/signed_at", json!("20.11.2026"), ("date-invalid", Some("signed_at"), false)),
    ];
    for (pointer, value, expected) in cases {
        let mut input = contract();
        *input.pointer_mut(pointer).unwrap() = value;
        let stop = mapping.run(&input, &tables()).unwrap_err();
        let found = (stop.fault.code.as_str(), stop.fault.field.as_deref(), stop.is_final);
        assert_eq!(found, expected, "{pointer}: {}", stop.fault);
    }
    let mut free = contract();
    free["total_tax_included"] = json!(0);
    let stop = mapping.run(&free, &tables()).unwrap_err();
    assert_eq!((stop.fault.code.as_str(), stop.is_final), ("refused", true));
}

#[test]
fn mistakes_are_found_before_the_first_document() {
    let with = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        good().replace(from, to)
    };
    for (text, expected) in [
        (with("  No: number", "  Nr: number"), vec![("target-missing", 5), ("target-unknown", 15)]),
        (with("customer.code", "customer.kode"), vec![("source-unknown", 17)]),
        (
            with(
                "  Total: total_tax_included",
                "  Total: { expr: 'sum(lines, net(amount_tax_included, tax_rate))' }",
            ),
            vec![("money-mixed", 19)],
        ),
        (with("tax_rate * 100", "tax_rate / 100"), vec![("expression", 28)]),
        (
            with("sum(lines.amount_tax_included) == total_tax_included", "count(lines) > 0"),
            vec![("check-missing", 5)],
        ),
        (with("      Qty: quantity", "      Qty: product.code"), vec![("type-mismatch", 26)]),
        (
            with("net(amount_tax_included, tax_rate)", "amount_tax_included * tax_rate"),
            vec![("money-mixed", 20)],
        ),
        (
            with("net(amount_tax_included, tax_rate)", "nett(amount_tax_included, tax_rate)"),
            vec![("function-unknown", 20)],
        ),
        (with("from: contract\n", "from: contrakt\n"), vec![("end-unknown", 4)]),
        (with("key: number", "kee: number"), vec![("missing-key", 2), ("unknown-key", 6)]),
        (
            with("  Net: { expr: 'sum(lines, net(amount_tax_included, tax_rate))' }\n", "")
                .replace("check:\n  - sum(lines.amount_tax_included) == total_tax_included\n", ""),
            vec![("money-unused", 4)],
        ),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|(code, line): (&str, usize)| (code.to_owned(), line)).collect();
        let mut found = errors(&text);
        found.sort_by_key(|(code, line)| (*line, code.clone()));
        assert!(expected.iter().all(|one| found.contains(one)), "{found:?} lacks {expected:?}");
    }
}

#[test]
fn open_ends_declare_their_fields() {
    let text = r#"
mapping: status
version: 2
from: opportunity_status
to: crm/opportunity
key: contract_number
fields: { stage: text(10)!, open: money(2), at: local-datetime }
ignore: [due, received, revision, opportunity_id, currency]
set:
  stage: { from: stage, values: { part-paid: 部分回款, paid: 全额回款 } }
  open: { from: open }
"#;
    let (mapping, found) = build(text);
    let mapping = mapping.unwrap_or_else(|| panic!("{found:#?}"));
    let input = json!({"contract_number": "HT-1", "revision": 1, "stage": "paid", "currency": "CNY",
        "due": "1", "received": "1", "open": "0.00"});
    assert_eq!(
        mapping.run(&input, &Tables::default()).unwrap().document.to_string(),
        r#"{"stage":"全额回款","open":"0.00"}"#
    );
    assert_eq!(errors(&text.replace("text(10)!", "texd"))[0].0, "field-kind");
    assert_eq!(errors(&text.replace("ignore: [due, ", "ignore: [duo, "))[0].0, "money-unused");
}
