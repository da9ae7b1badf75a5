//! Each part of the language once, on one bill.

use super::*;

/// A bill with everything in it.
fn bill() -> Value {
    serde_json::from_str(
        r#"{"no":"B-1","day":"2026-07-01","at":"2026-11-20T23:30:00Z","cur":"cny","who":"  甲公司  ","freight":10.00,
        "big":true,"cust":{"code":"C1","kind":"vip"},
        "lines":[
          {"sku":"P1","qty":3,"price":"33.3","amount":"99.90","off":"-9.90","note":"急"},
          {"sku":"P2","qty":"1","price":0.1,"amount":"0.10","parts":[{"id":"a","n":1},{"id":"b","n":2}]},
          {"sku":"P3","qty":"2.5","price":"4","amount":"10.00"}],
        "products":[{"id":"P1","name":"传感器"},{"id":"P2","name":"支架"}]}"#,
    )
    .unwrap()
}

const SOURCE: &str = "no: text, day: date, at: datetime, cur: text(3), who: text, freight: amount-tax-included(2), \
big: bool, cust: { code: text, kind: text }, lines: [{ sku: text, qty: quantity, price: price-tax-included, \
amount: amount-tax-included(2), off: amount-tax-included(2), note: text, parts: [{ id: text, n: integer }] }], \
products: [{ id: text, name: text }]";

fn file(target: &str, set: &str) -> String {
    format!(
        "mapping: one\nversion: 2\nfrom: crm/bill\nto: crm/out\nkey: no\nfields: {{ {SOURCE}, {target} }}\n\
         ignore: [freight, lines, products, o]\nset:\n{set}"
    )
}

fn rows() -> Tables {
    let row =
        |table: &str, source: &str, target: &str| (table.to_owned(), source.to_owned(), target.to_owned());
    Tables::new(
        3,
        [
            row("customers", "C1", "K1"),
            row("prices", "C1|cny", "P-CNY"),
            row("rates", "C1@2026-01-01", "old"),
            row("rates", "C1@2026-07-01", "new"),
        ],
    )
}

/// The document made, or the code of the fault.
fn made(target: &str, set: &str) -> String {
    let (mapping, found) = build(&file(target, set));
    let mapping = mapping.unwrap_or_else(|| panic!("{set}\n{found:#?}"));
    let by_value = mapping.run(&bill(), &rows());
    let by_bytes = mapping.run_text(&bill().to_string(), &rows());
    assert_eq!(by_value, by_bytes, "{set}");
    let (explained, _) = mapping.explain(&bill(), &Related::default(), &rows());
    assert_eq!(by_value, explained, "{set}");
    match by_value {
        Ok(mapped) => mapped.document.to_string(),
        Err(stop) => format!("{} at {}", stop.fault.code, stop.fault.field.unwrap_or_default()),
    }
}

#[test]
fn every_part_of_the_language() {
    let rows = "o: [{ s: text, q: quantity, a: amount-tax-included(2) }]";
    for (target, set, expect) in [
        // Paths, constants, nesting.
        ("o: text", "  o: no\n", r#"{"o":"B-1"}"#),
        ("o: { p: text, q: text }", "  o.p: no\n  o.q: { const: X }\n", r#"{"o":{"p":"B-1","q":"X"}}"#),
        ("o: { p: text, q: text }", "  o: { set: { p: no }, when: not big }\n", "{}"),
        (
            "o: { p: bool }, n: integer",
            "  o: { set: { p: { const: true } } }\n  n: { const: 7 }\n",
            r#"{"o":{"p":true},"n":7}"#,
        ),
        // Absence.
        ("o: text", "  o: cust.name\n", "!source-unknown"),
        ("o: text", "  o: { expr: 'lookup(products, id, \"P9\", name)', optional: true }\n", "{}"),
        (
            "o: text",
            "  o: { expr: 'lookup(products, id, \"P9\", name)', default: none }\n",
            r#"{"o":"none"}"#,
        ),
        ("o: text", "  o: { expr: 'lookup(products, id, \"P9\", name)' }\n", "field-missing at o"),
        ("o: text", "  o: { from: no, when: big }\n", r#"{"o":"B-1"}"#),
        ("o: text", "  o: { const: x, when: not big }\n", "{}"),
        // Values and tables.
        ("o: text", "  o: { from: cust.kind, values: { vip: V } }\n", r#"{"o":"V"}"#),
        ("o: text", "  o: { from: cust.kind, values: { a: V } }\n", "value-unmapped at cust.kind"),
        ("o: text", "  o: { from: cust.kind, values: { a: V }, else: W }\n", r#"{"o":"W"}"#),
        ("o: integer", "  o: { from: big, values: { true: 1, false: 0 } }\n", r#"{"o":1}"#),
        ("o: text", "  o: { from: cust.code, table: customers }\n", r#"{"o":"K1"}"#),
        ("o: text", "  o: { from: cust.kind, table: customers }\n", "code-table-miss at cust.kind"),
        ("o: text", "  o: { from: cust.kind, table: customers, else: K0 }\n", r#"{"o":"K0"}"#),
        ("o: text", "  o: { from: cust.code, table: { name: prices, with: [cur] } }\n", r#"{"o":"P-CNY"}"#),
        ("o: text", "  o: { from: cust.code, table: { name: rates, on: day } }\n", r#"{"o":"new"}"#),
        ("o: text", "  o: { from: cust.code, table: rates }\n", "code-table-miss at cust.code"),
        // Dates and their zone.
        ("o: date", "  o: at\n", r#"{"o":"2026-11-21"}"#),
        ("o: datetime", "  o: at\n", r#"{"o":"2026-11-21T07:30:00+08:00"}"#),
        ("o: local-datetime", "  o: day\n", r#"{"o":"2026-07-01 00:00:00"}"#),
        ("o: text", "  o: { from: at, format: \"%Y%m%d\" }\n", r#"{"o":"20261121"}"#),
        ("o: text", "  o: { expr: 'format(day, \"%Y年%m月\")' }\n", r#"{"o":"2026年07月"}"#),
        ("o: text", "  o: at\n", "!type-mismatch"),
        // Scale and rounding by name.
        ("o: decimal(1 number)", "  o: { expr: 'divide(7, 4, 2)', round: half-up }\n", r#"{"o":1.8}"#),
        ("o: decimal(1 number)", "  o: { expr: 'divide(7, 4, 2)', round: half-even }\n", r#"{"o":1.8}"#),
        ("o: decimal(1 number)", "  o: { expr: 'divide(5, 4, 2)', round: half-even }\n", r#"{"o":1.2}"#),
        ("o: decimal(1 number)", "  o: { expr: 'divide(5, 4, 2)', round: down }\n", r#"{"o":1.2}"#),
        ("o: decimal(1 number)", "  o: { expr: 'divide(5, 4, 2)', round: up }\n", r#"{"o":1.3}"#),
        ("o: decimal(1)", "  o: { expr: 'divide(5, 4, 2)' }\n", "!scale-narrowed"),
        // Length by the target's own unit.
        ("o: text(3)", "  o: { expr: trim(who), cut: true }\n", r#"{"o":"甲公司"}"#),
        ("o: text(5 gbk)", "  o: { expr: trim(who), cut: true }\n", r#"{"o":"甲公"}"#),
        ("o: text(5 gbk)", "  o: { expr: trim(who) }\n", "field-too-long at o"),
        ("o: text(2)", "  o: cur\n", "!text-narrowed"),
        // Text.
        ("o: text", "  o: { expr: 'concat(upper(cur), \"-\", freight)' }\n", r#"{"o":"CNY-10.00"}"#),
        ("o: text", "  o: { expr: 'join(lines, note, \",\")' }\n", r#"{"o":"急"}"#),
        ("o: text", "  o: { expr: 'lookup(products, id, \"P2\", name)' }\n", r#"{"o":"支架"}"#),
        // Aggregates.
        ("o: amount-tax-included(2)", "  o: { expr: sum(lines.amount) }\n", r#"{"o":"110.00"}"#),
        ("o: integer", "  o: { expr: 'count(lines, qty > 1)' }\n", r#"{"o":2}"#),
        ("o: bool", "  o: { expr: 'any(lines, price == 0.1)' }\n", r#"{"o":true}"#),
        ("o: bool", "  o: { expr: 'all(lines, price > 1)' }\n", r#"{"o":false}"#),
        // Lines, filtered, nested, split in two.
        (rows, "  o: { each: lines, where: qty > 1, set: { s: sku } }\n", r#"{"o":[{"s":"P1"},{"s":"P3"}]}"#),
        (rows, "  o: { each: lines, when: not big, set: { s: sku } }\n", "{}"),
        (
            rows,
            "  o:\n    each: lines\n    set: { s: sku, a: amount }\n    also:\n      - when: present(off)\n        set: { s: sku, a: off }\n",
            r#"{"o":[{"s":"P1","a":"99.90"},{"s":"P1","a":"-9.90"},{"s":"P2","a":"0.10"},{"s":"P3","a":"10.00"}]}"#,
        ),
        (
            "o: [{ s: text, p: [{ id: text, head: text }] }]",
            "  o:\n    each: lines\n    where: present(parts)\n    set:\n      s: sku\n      p: { each: parts, set: { id: id, head: root.no } }\n",
            r#"{"o":[{"s":"P2","p":[{"id":"a","head":"B-1"},{"id":"b","head":"B-1"}]}]}"#,
        ),
        // A header amount spread over the lines.
        (
            rows,
            "  o: { each: lines, set: { a: { expr: 'share(root.freight, amount, 2)' } } }\n",
            r#"{"o":[{"a":"9.08"},{"a":"0.01"},{"a":"0.91"}]}"#,
        ),
        // Lists are not gone through by a path.
        ("o: text", "  o: lines.sku\n", "!list-path"),
    ] {
        let found = match expect.strip_prefix('!') {
            Some(code) => {
                let found = errors(&file(target, set));
                assert!(found.iter().any(|(found, _)| found == code), "{set}: {found:?}");
                continue;
            }
            None => made(target, set),
        };
        assert_eq!(found, expect, "{set}");
    }
}

#[test]
fn explanations_name_path_row_and_rule() {
    let target = "o: text, p: text, q: integer";
    let set = "  o: { from: cust.code, table: { name: rates, on: day } }\n  p: { const: X }\n  q: { expr: 'count(lines, qty > 1)' }\n";
    let (mapping, _) = build(&file(target, set));
    let (_, traces) = mapping.unwrap().explain(&bill(), &Related::default(), &rows());
    let shown: Vec<_> = traces
        .iter()
        .map(|trace| format!("{} ← {:?} {:?} {}", trace.target, trace.reads, trace.table, trace.value))
        .collect();
    assert_eq!(
        shown,
        [
            r#"o ← ["cust.code", "day"] Some("rates: C1@2026-07-01 → new") "new""#,
            r#"p ← [] None "X""#,
            r#"q ← ["lines.qty"] None 2"#,
        ]
    );
}

#[test]
fn faults_in_nested_lists_name_every_level() {
    let target = "o: [{ p: [{ n: integer }] }]";
    let set = "  o: { each: lines, where: present(parts), set: { p: { each: parts, set: { n: n } } } }\n";
    let (mapping, _) = build(&file(target, set));
    let mut input = bill();
    input["lines"][1]["parts"][1]["n"] = json!("x");
    let stop = mapping.unwrap().run(&input, &rows()).unwrap_err();
    assert_eq!(stop.fault.field.as_deref(), Some("lines[2].parts[2].n"));
}
