//! Not a cent lost: for any mapping the compiler accepts and any valid contract, the target's total is the source's,
//! or there is a fault.

use super::*;
use proptest::prelude::*;
use rust_decimal::Decimal;
use tongbao_model::decimal;

/// Rules for one target field, sensible ones and ones that lose money.
const HEADER: &[&str] = &[
    "  Total: total_tax_included\n",
    "  Total: { from: total_tax_included, round: down, scale: 0 }\n",
    "  Total: { expr: 'sum(lines.amount_tax_included)' }\n",
    "  Total: { expr: 'sum(lines, amount_tax_included + coalesce(discount_tax_included, 0))' }\n",
    "  Total: { expr: 'total_tax_included * 2', round: half-up }\n",
    "  Total: { expr: 'abs(total_tax_included)' }\n",
    "  Total: { expr: 'sum(lines, net(amount_tax_included, tax_rate))' }\n",
    "  Total: { const: 100 }\n",
    "",
];
const AMOUNT: &[&str] = &[
    "      Amount: amount_tax_included\n",
    "      Amount: { from: amount_tax_included, scale: 1, round: half-up }\n",
    "      Amount: { expr: 'amount_tax_included + coalesce(discount_tax_included, 0)' }\n",
    "      Amount: { expr: 'quantity * unit_price_tax_included', round: half-up }\n",
    "      Amount: { expr: 'quantity * unit_price_tax_included', round: down }\n",
    "      Amount: { expr: 'net(amount_tax_included, tax_rate) + tax(amount_tax_included, tax_rate)' }\n",
    "      Amount: { expr: 'share(root.total_tax_included, amount_tax_included, 2)' }\n",
    "      Amount: { expr: 'net(amount_tax_included, tax_rate)' }\n",
    "      Amount: { from: amount_tax_included, when: quantity > 1 }\n",
    "      Amount: { const: 0, when: quantity > 1 }\n",
    "",
];
const OFF: &[&str] = &[
    "      Off: { from: discount_tax_included, optional: true }\n",
    "      Off: { from: discount_tax_included, default: 0 }\n",
    "      Off: { expr: 'coalesce(discount_tax_included, 0) * 1' , round: half-up }\n",
    "",
];
const EACH: &[&str] = &[
    "    each: lines\n",
    "    each: lines\n    where: unit_price_tax_included != 0\n",
    "    each: lines\n    where: quantity > 1\n",
    "    each: lines\n    when: currency == \"CNY\"\n",
    "    each: lines\n    also: [{ when: present(discount_tax_included), set: { Item: { const: X }, Off: discount_tax_included } }]\n",
];

/// An expression over a line, of any worth.
fn anything() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "amount_tax_included",
        "quantity",
        "unit_price_tax_included",
        "coalesce(discount_tax_included, 0)",
        "tax_rate",
        "net(amount_tax_included, tax_rate)",
        "tax(amount_tax_included, tax_rate)",
        "0",
        "1",
        "0.5",
        "100",
        "root.total_tax_included",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(3, 12, 2, |inner| {
        (
            prop::sample::select(vec!["+", "-", "*", "min", "max", "divide", "round", "abs", "if"]),
            inner.clone(),
            inner,
        )
            .prop_map(|(how, a, b)| match how {
                "+" | "-" | "*" => format!("({a} {how} {b})"),
                "divide" => format!("divide({a}, {b}, 2)"),
                "round" => format!("round({a}, 1)"),
                "abs" => format!("abs({a})"),
                "if" => format!("if({a} > {b}, {a}, {b})"),
                other => format!("{other}({a}, {b})"),
            })
    })
}

/// An expression that comes to a line's amount, mostly in a roundabout way, or to anything.
fn amount() -> impl Strategy<Value = String> {
    let around = (
        prop::sample::select(vec![
            "{x}",
            "{x} + 0",
            "round({x}, 2)",
            "{x} + {e} - {e}",
            "if({e} > 0, {x}, {x})",
            "max({x}, {x})",
            "divide({x}, 1, 2)",
            "{x} * 1",
            "coalesce({x}, 0)",
            "-(-{x})",
            "{x} + {e}",
            "if({e} > 0, {x}, 0)",
        ]),
        anything(),
    )
        .prop_map(|(shape, e)| shape.replace("{x}", "amount_tax_included").replace("{e}", &e));
    prop_oneof![3 => around, 1 => anything()]
}

fn mapping(header: &str, each: &str, amount: &str, off: &str) -> String {
    format!(
        "mapping: m\nversion: 2\nfrom: contract\nto: erp/Bill\nkey: number\ncheck:\n  \
         - sum(lines.amount_tax_included) + sum(lines, coalesce(discount_tax_included, 0)) == total_tax_included\n\
         set:\n{header}  Rows:\n{each}    set:\n      Item: product.code\n{amount}{off}\
         ignore: [currency, opportunity]\n"
    )
}

fn contract(lines: &[(i64, i64, i64, Option<i64>)]) -> (Value, Decimal) {
    let mut total = Decimal::ZERO;
    let rates = ["0.13", "0.09", "0.06", "0.00"];
    let lines: Vec<Value> = lines
        .iter()
        .enumerate()
        .map(|(at, (quantity, price, rate, off))| {
            let (quantity, price) = (Decimal::new(*quantity, 1), Decimal::new(*price, 2));
            let amount = decimal::round_half_up(quantity * price, 2);
            let off = off.map(|off| -decimal::round_half_up(amount * Decimal::new(off, 2), 2));
            total += amount + off.unwrap_or_default();
            let mut line = json!({
                "line": at + 1, "product": {"code": "P"}, "quantity": quantity.to_string(),
                "unit_price_tax_included": price.to_string(), "tax_rate": rates[usize::try_from(*rate).unwrap()],
                "amount_tax_included": amount.to_string(),
            });
            if let Some(off) = off {
                line["discount_tax_included"] = json!(off.to_string());
            }
            line
        })
        .collect();
    let document = json!({"number": "HT-1", "signed_at": "2026-11-20T10:00:00+08:00", "currency": "CNY",
        "lines": lines, "total_tax_included": total.to_string()});
    (document, total)
}

fn number(value: &Value) -> Decimal {
    match value {
        Value::Null => Decimal::ZERO,
        Value::String(text) => decimal::parse(text).unwrap(),
        other => decimal::parse(&other.to_string()).unwrap(),
    }
}

/// Total of a made bill, by its lines, and by its header where there is one.
fn totals(document: &Value) -> (Decimal, Option<Decimal>) {
    let rows = document["Rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = rows.iter().map(|row| number(&row["Amount"]) + number(&row["Off"])).sum();
    (sum, document.get("Total").map(number))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn accepted_mappings_keep_every_cent(
        header in prop::sample::select(HEADER), each in prop::sample::select(EACH),
        amount in prop::sample::select(AMOUNT), off in prop::sample::select(OFF),
        lines in prop::collection::vec((-200i64..200, 0i64..100_000, 0i64..4, prop::option::of(0i64..60)), 1..8),
    ) {
        let (Some(mapping), _) = build(&mapping(header, each, amount, off)) else { return Ok(()) };
        let (document, total) = contract(&lines);
        let Ok(mapped) = mapping.run(&document, &Tables::default()) else { return Ok(()) };
        let (sum, stated) = totals(&mapped.document);
        prop_assert_eq!(sum, total);
        prop_assert_eq!(stated.unwrap_or(total), total);
    }
}

/// How many generated mappings the compiler has accepted, and how many of their documents were made.
fn generated(cases: u32) -> (u32, u32) {
    let (accepted, made) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let part = |field: &'static str| {
        let round = prop::sample::select(vec![
            "",
            ", round: half-up",
            ", round: down",
            ", scale: 2, round: up",
            ", scale: 1",
        ]);
        (amount(), round)
            .prop_map(move |(expr, round)| format!("      {field}: {{ expr: '{expr}'{round} }}\n"))
    };
    let total = (anything(), prop::bool::ANY).prop_map(|(expr, is_sum)| match is_sum {
        true => format!("  Total: {{ expr: 'sum(lines, {expr})', round: half-up }}\n"),
        false => "  Total: total_tax_included\n".to_owned(),
    });
    let lines =
        prop::collection::vec((-200i64..200, 0i64..100_000, 0i64..4, prop::option::of(0i64..60)), 1..8);
    let off = prop_oneof![prop::sample::select(OFF).prop_map(str::to_owned), part("Off")];
    let each = prop::sample::select(EACH);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(total in total, each in each, amount in part("Amount"), off in off, lines in lines)| {
        let (Some(mapping), _) = build(&mapping(&total, each, &amount, &off)) else { return Ok(()) };
        accepted.set(accepted.get() + 1);
        let (document, total) = contract(&lines);
        let Ok(mapped) = mapping.run(&document, &Tables::default()) else { return Ok(()) };
        made.set(made.get() + 1);
        let (sum, stated) = totals(&mapped.document);
        prop_assert_eq!(sum, total);
        prop_assert_eq!(stated.unwrap_or(total), total);
    });
    (accepted.get(), made.get())
}

/// The same for expressions that nobody has thought of.
#[test]
fn generated_mappings_keep_every_cent() {
    let (accepted, made) = generated(6_000);
    assert!(accepted > 600 && made > 100 && made < accepted, "{made} of {accepted}");
}

#[test]
fn the_property_is_about_something() {
    let mut accepted = 0;
    let mut through = 0;
    let (document, _) = contract(&[(20, 333, 0, None), (10, 10_000, 1, Some(10))]);
    for header in HEADER {
        for each in EACH {
            for amount in AMOUNT {
                for off in OFF {
                    if let (Some(mapping), _) = build(&mapping(header, each, amount, off)) {
                        accepted += 1;
                        through += u32::from(mapping.run(&document, &Tables::default()).is_ok());
                    }
                }
            }
        }
    }
    assert!(accepted > 300 && through > 40 && through < accepted / 2, "{through} of {accepted}");
}

#[test]
fn the_header_total_is_that_of_the_lines() {
    let text = mapping(HEADER[0], EACH[0], AMOUNT[0], OFF[0]);
    let (Some(mapping), found) = build(&text) else { panic!("{:#?}", build(&text).1) };
    assert!(found.iter().all(|finding| finding.severity == Severity::Warning));
    let (document, total) = contract(&[(20, 333, 0, None), (10, 10_000, 1, Some(10))]);
    let mapped = mapping.run(&document, &Tables::default()).unwrap();
    assert_eq!(totals(&mapped.document), (total, Some(total)));
    let (lossy, _) = build(&self::mapping(HEADER[0], EACH[0], AMOUNT[0], ""));
    let stop = lossy.unwrap().run(&document, &Tables::default()).unwrap_err();
    assert_eq!((stop.fault.code.as_str(), stop.fault.field.as_deref()), ("check-failed", Some("Rows")));
}
