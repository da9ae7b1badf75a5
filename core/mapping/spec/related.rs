//! Lookup into related records.

use super::*;

/// A payment that is booked with the customer and the terms of its contract.
const RECEIPT: &str = r#"
mapping: payment-to-receipt
version: 2
from: payment
to: crm/receipt
key: number
related:
  contract: { record: contract, key: contract_number }
fields:
  no: text!
  customer: text!
  share: text
  lines: decimal
  amount: money(2)!
check:
  - currency == contract.currency
set:
  no: number
  customer: contract.customer.code
  lines: { expr: count(contract.lines) }
  share: { expr: 'if(amount == contract.total_tax_included, "full", "part")' }
  amount: amount
tests: []
"#;

fn payment() -> Value {
    json!({"number": "SKD1", "contract_number": "HT-1", "currency": "CNY", "amount": "99.90", "status": "received",
        "received_at": "2026-11-21T10:00:00+08:00", "contract": {"customer": {"code": "EVIL"}}})
}

fn with_contract() -> Related {
    let mut related = Related::default();
    related.add("contract", contract().to_string());
    related
}

fn made(text: &str) -> Mapping {
    let (mapping, found) = build(text);
    mapping.unwrap_or_else(|| panic!("{found:?}"))
}

#[test]
fn fields_of_a_related_record_stand_beside_the_sources_own() {
    let mapping = made(RECEIPT);
    let text = payment().to_string();
    assert_eq!(
        mapping.wanted(&text).unwrap(),
        [Wanted { name: "contract".into(), event: "contract.signed".into(), key: "HT-1".into() }]
    );
    let related = with_contract();
    let mapped = mapping.run_value(&payment(), &related, &Tables::default()).unwrap();
    let expected = json!({"no": "SKD1", "customer": "C1", "share": "full", "lines": "2", "amount": "99.90"});
    assert_eq!(mapped.document, expected);
    let by_text = mapping.run_with(text.as_bytes(), &related, &Tables::default()).unwrap();
    assert_eq!(by_text.document.value(), expected);
    let (_, traces) = mapping.explain(&payment(), &related, &Tables::default());
    let customer = traces.iter().find(|trace| trace.target == "customer").unwrap();
    assert_eq!(
        (customer.reads.as_slice(), customer.source.as_str()),
        (&["contract.customer.code".to_owned()][..], "C1")
    );
}

#[test]
fn what_the_document_says_below_that_name_is_never_read() {
    let optional = RECEIPT
        .replace("key: contract_number }", "key: contract_number, optional: true }")
        .replace("check:\n  - currency == contract.currency\n", "ignore: [contract.currency]\n")
        .replace("customer: text!", "customer: text")
        .replace(
            "customer: contract.customer.code",
            "customer: { from: contract.customer.code, optional: true }",
        )
        .replace("  lines: { expr: count(contract.lines) }\n", "")
        .replace("  share: { expr: 'if(amount == contract.total_tax_included, \"full\", \"part\")' }\n", "")
        .replace("ignore: [contract.currency]\n", "ignore: [currency]\n");
    let mapped = made(&optional).run(&payment(), &Tables::default()).unwrap();
    assert_eq!(mapped.document, json!({"no": "SKD1", "amount": "99.90"}));
}

#[test]
fn a_record_that_is_not_there_is_a_fault_that_names_its_key() {
    let mapping = made(RECEIPT);
    let fault = |document: Value, related: &Related| {
        mapping.run_value(&document, related, &Tables::default()).unwrap_err().fault.to_string()
    };
    let missing = fault(payment(), &Related::default());
    assert!(missing.starts_with("[related-missing] contract = \"HT-1\""), "{missing}");
    let mut keyless = payment();
    keyless.as_object_mut().unwrap().remove("contract_number");
    assert!(mapping.wanted(&keyless.to_string()).unwrap().is_empty());
    let missing = fault(keyless, &Related::default());
    assert!(missing.starts_with("[field-missing] contract_number"), "{missing}");
    for (record, code) in [("[]", "field-type"), ("{\"number", "body-invalid")] {
        let mut related = Related::default();
        related.add("contract", record);
        assert!(fault(payment(), &related).starts_with(&format!("[{code}]")), "{record}");
    }
    let mut other = Related::default();
    other.add("contract", contract().to_string().replace("CNY", "USD"));
    assert!(fault(payment(), &other).starts_with("[check-failed]"));
}

#[test]
fn what_cannot_be_looked_up_is_refused() {
    let change = |from: &str, to: &str| {
        assert!(RECEIPT.contains(from), "{from}");
        RECEIPT.replace(from, to)
    };
    let entry = "contract: { record: contract, key: contract_number }";
    let nine: String =
        (0..9).map(|number| format!("c{number}: {{ record: contract, key: contract_number }}\n  ")).collect();
    for (text, code, line) in [
        (change("from: payment", "from: crm/payment"), "related", 8),
        (change(entry, "number: { record: contract, key: contract_number }"), "related", 8),
        (change(entry, "root: { record: contract, key: contract_number }"), "related", 8),
        (change(entry, "con.tract: { record: contract, key: contract_number }"), "related", 8),
        (change(entry, &format!("{nine}{entry}")), "related", 16),
        (change("record: contract,", "record: contrac,"), "end-unknown", 8),
        (change("record: contract,", "record: erp/Order,"), "end-unknown", 8),
        (change("key: contract_number }", "key: contract_no }"), "source-unknown", 8),
        (change("key: contract_number }", "key: amount > 0 }"), "type-mismatch", 8),
        (change(", key: contract_number }", " }"), "missing-key", 8),
        (change(" }\nfields", ", of: x }\nfields"), "unknown-key", 8),
        (change("contract.customer.code", "contract.customer.cod"), "source-unknown", 19),
        // Its amounts are in its own currency.
        (change("check:\n  - currency == contract.currency\n", "ignore: [currency]\n"), "currency-unused", 8),
        // Unless the file says that it knows.
        (
            change("check:\n  - currency == contract.currency\n", "ignore: [currency, contract.curency]\n"),
            "ignore-unknown",
            15,
        ),
        // One step only: what a record refers to is looked up by the source's fields.
        (
            change(entry, &format!("{entry}\n  second: {{ record: contract, key: contract.number }}")),
            "source-unknown",
            9,
        ),
    ] {
        let found = errors(&text);
        assert!(found.iter().any(|one| *one == (code.to_owned(), line)), "{code}:{line} {found:?}\n{text}");
    }
}

#[test]
fn the_currency_of_a_related_record_can_be_ignored() {
    let text = RECEIPT
        .replace("check:\n  - currency == contract.currency\n", "ignore: [currency, contract.currency]\n");
    assert_eq!(errors(&text), []);
}

#[test]
fn a_test_of_the_file_brings_its_related_records() {
    let text = RECEIPT.replace(
        "tests: []",
        "tests:\n  - { name: a, input: p.json, expect: e.json, related: { contract: c.json } }\n  \
         - { name: b, input: p.json, fault: related-missing }\n",
    );
    let read = |name: &str| {
        Ok(match name {
            "p.json" => payment().to_string(),
            "c.json" => contract().to_string(),
            _ => json!({"no": "SKD1", "customer": "C1", "share": "full", "lines": "2", "amount": "99.90"})
                .to_string(),
        })
    };
    let tested = run_tests(&made(&text), &read);
    assert!(tested.len() == 2 && tested.iter().all(|test| test.failure.is_none()), "{tested:?}");
}
