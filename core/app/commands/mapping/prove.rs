//! `tongbao mapping prove`: random invoices through the shipped e-invoice mappings, each line held against the amount
//! rules. The rules are worked out here in whole cents, without the arithmetic that the mappings use.

use crate::cli::ProveArgs;
use crate::config::Documents;
use crate::output::{self, Exit};
use crate::stage::MAPPINGS;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use tongbao_connectors::nuonuo::amounts;
use tongbao_mapping::{Mapping, Tables, compile};
use tongbao_model::decimal;

/// How far amount × rate may be from a line's tax when the amount came with tax, in hundred-thousandths of a yuan:
/// half a cent and its tax (0.00565 at 13 %).
const TAX_ERROR_MAX: i128 = 600;
/// Violations that are shown.
const SHOWN: usize = 5;

/// What the runs found.
#[derive(Default)]
struct Found {
    documents: u64,
    lines: u64,
    violations: u64,
    shown: Vec<String>,
    /// Largest |net × rate − tax| of a line, in hundred-thousandths.
    worst: i128,
}

/// Runs it on all cores.
pub fn run(args: &ProveArgs, as_json: bool) -> Exit {
    let mappings =
        ["contract/contract__nuonuo.yaml", "invoice_request/invoice_request__nuonuo.yaml"].map(shipped);
    let [Some(contract), Some(request)] = mappings else {
        output::note("随程序附带的开票映射不能编译 / the shipped e-invoice mappings do not compile");
        return Exit::Config;
    };
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let found = std::thread::scope(|scope| {
        let work = || {
            let mut found = Found::default();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= args.documents {
                    return found;
                }
                one(args.seed.wrapping_add(at), &contract, &request, &mut found);
            }
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            if let Ok(found) = other.join() {
                all.documents += found.documents;
                all.lines += found.lines;
                all.violations += found.violations;
                all.worst = all.worst.max(found.worst);
                all.shown.extend(found.shown);
            } else {
                all.violations += 1;
            }
        }
        all
    });
    let worst = Decimal::from_i128_with_scale(found.worst, 5).normalize();
    if as_json {
        output::json(
            &json!({"documents": found.documents, "lines": found.lines, "violations": found.violations,
            "worst_line_error": worst.to_string(), "examples": found.shown.iter().take(SHOWN).collect::<Vec<_>>()}),
        );
    } else {
        for example in found.shown.iter().take(SHOWN) {
            output::line(&format!("✗ {example}"));
        }
        output::line(&format!(
            "{} 张发票，{} 行，违反 {}；单行 |不含税 × 税率 − 税额| 最大 {worst} / {} invoices, {} lines, {} violations; largest |net × rate − tax| of a line {worst}",
            found.documents, found.lines, found.violations, found.documents, found.lines, found.violations
        ));
    }
    if found.violations == 0 { Exit::Ok } else { Exit::Failed }
}

fn shipped(name: &str) -> Option<Mapping> {
    let text = MAPPINGS.iter().find(|(file, _)| *file == name).map(|(_, text)| *text)?;
    compile(name, text, &Documents::all()).0
}

/// A line as it is sold: amounts in cents.
#[derive(Clone)]
struct Sold {
    percent: i128,
    quantity: Decimal,
    price: Decimal,
    gross: i128,
    discount: i128,
    /// What it was before tax, where it was priced so.
    net: Option<i128>,
}

/// One invoice, and for some the reds that take it back part by part.
fn one(seed: u64, contract: &Mapping, request: &Mapping, found: &mut Found) {
    let mut random = fastrand::Rng::with_seed(seed);
    let lines: Vec<Sold> = (0..random.usize(1..=12)).map(|_| sold(&mut random)).collect();
    let total: i128 = lines.iter().map(|line| line.gross + line.discount).sum();
    if total == 0 {
        return;
    }
    let (mapping, kind) = if random.bool() { (contract, "contract") } else { (request, "request") };
    check(&format!("seed {seed}"), mapping, &document(kind, &lines), &lines, found);
    // A part red gives back part of each line; the last one gives back what is left.
    if random.u8(0..8) == 0 {
        let mut left: Vec<i128> = lines.iter().map(|line| line.gross + line.discount).collect();
        for part in 0..random.usize(1..=4) {
            let is_last = part == 3 || random.bool();
            let red: Vec<Sold> = lines
                .iter()
                .zip(&mut left)
                .filter(|(_, left)| **left != 0)
                .map(|(line, left)| {
                    let back = if is_last { *left } else { random.i128(0..=*left) };
                    *left -= back;
                    Sold {
                        quantity: -Decimal::ONE,
                        price: cents(back),
                        gross: -back,
                        discount: 0,
                        net: None,
                        ..line.clone()
                    }
                })
                .filter(|line| line.gross != 0)
                .collect();
            if !red.is_empty() {
                check(&format!("seed {seed} red {part}"), request, &document("request", &red), &red, found);
            }
            if is_last {
                if left.iter().any(|left| *left != 0) {
                    violation(found, format!("seed {seed}: the reds leave {left:?}"));
                }
                break;
            }
        }
    }
}

/// A line priced with or without tax, discounted or not.
fn sold(random: &mut fastrand::Rng) -> Sold {
    let percent = *random.choice(&[13, 13, 13, 9, 6, 6, 5, 3, 1, 0]).unwrap_or(&13);
    let quantity = Decimal::new(random.i64(1..=20_000), random.u32(0..=1));
    let price = Decimal::new(random.i64(1..=5_000_000), random.u32(2..=4));
    let amount = hundredths(quantity * price).max(1);
    let (gross, price, net) = if random.u8(0..4) == 0 {
        // Priced without tax: tax is rounded on top, and the price with tax is what comes of it.
        let gross = amount + half_up(amount * percent, 100);
        (gross, decimal::round_half_up(cents(gross) / quantity, 8), Some(amount))
    } else {
        (amount, price, None)
    };
    let discount = if random.u8(0..4) == 0 { -random.i128(1..=gross) } else { 0 };
    Sold { percent, quantity, price, gross, discount, net }
}

fn document(kind: &str, lines: &[Sold]) -> Value {
    let total: i128 = lines.iter().map(|line| line.gross + line.discount).sum();
    let line = |(at, line): (usize, &Sold)| {
        let mut made = json!({
            "line": at + 1, "product": {"code": format!("P-{at}"), "name": format!("商品 {at}")},
            "quantity": line.quantity.to_string(), "unit_price_tax_included": line.price.to_string(),
            "tax_rate": Decimal::from_i128_with_scale(line.percent, 2).to_string(),
            "amount_tax_included": cents(line.gross).to_string(),
        });
        if let (true, Value::Object(map)) = (line.discount != 0, &mut made) {
            map.insert("discount_tax_included".into(), json!(cents(line.discount).to_string()));
        }
        made
    };
    let mut document = json!({
        "number": "HT-1", "customer": {"code": "C1", "name": "宁波样例贸易有限公司"}, "currency": "CNY",
        "lines": lines.iter().enumerate().map(line).collect::<Vec<_>>(), "total_tax_included": cents(total).to_string(),
    });
    if let Value::Object(map) = &mut document {
        if kind == "contract" {
            map.insert("signed_at".into(), json!("2026-11-20T10:00:00+08:00"));
        } else {
            map.insert("requested_at".into(), json!("2026-11-20T10:00:00+08:00"));
            map.insert("contract_number".into(), json!("HT-1"));
            map.insert("kind".into(), json!("ordinary"));
        }
    }
    document
}

fn violation(found: &mut Found, what: String) {
    found.violations += 1;
    if found.shown.len() < SHOWN {
        found.shown.push(what);
    }
}

/// Sends a document through the mapping and the connector's own preparation, and looks at what would go out.
fn check(name: &str, mapping: &Mapping, document: &Value, sold: &[Sold], found: &mut Found) {
    found.documents += 1;
    let total: i128 = sold.iter().map(|line| line.gross + line.discount).sum();
    let sent = mapping.run(document, &Tables::default()).map_err(|stop| stop.fault).and_then(|mapped| {
        let document = mapped.document.as_object().cloned().unwrap_or_default();
        amounts::lines(&document, Some(cents(total)))
    });
    let lines = match sent {
        Ok(lines) => lines,
        Err(fault) => return violation(found, format!("{name}: {fault}")),
    };
    let mut sum = 0;
    let mut before: Option<&Value> = None;
    let mut left = sold.iter();
    for (at, line) in lines.iter().enumerate() {
        found.lines += 1;
        if let Err(why) = rules(line, before, found) {
            violation(found, format!("{name} line {}: {why}: {line}", at + 1));
        }
        let is_discount = line.get("invoiceLineProperty").and_then(Value::as_str) == Some("1");
        // Taken apart again, an amount that was priced without tax is the one it was priced with.
        let priced = if is_discount { None } else { left.next().and_then(|line| line.net) };
        if priced.is_some_and(|net| amount(line, "taxExcludedAmount") != Some(net)) {
            violation(
                found,
                format!("{name} line {}: priced without tax, and not the same again: {line}", at + 1),
            );
        }
        sum += amount(line, "taxIncludedAmount").unwrap_or(0);
        before = Some(line);
    }
    if sum != total {
        violation(found, format!("{name}: the lines sum up to {sum} cents, the total is {total}"));
    }
}

/// The amount rules of one line.
fn rules(line: &Value, before: Option<&Value>, found: &mut Found) -> Result<(), &'static str> {
    let part = |name: &str| amount(line, name).ok_or("an amount is missing or has more than two places");
    let (gross, net, tax) = (part("taxIncludedAmount")?, part("taxExcludedAmount")?, part("tax")?);
    let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| decimal::parse(text(name)).ok();
    let percent = number("taxRate").map(hundredths).ok_or("no rate")?;
    if net + tax != gross {
        return Err("included is not excluded + tax");
    }
    if net != half_up(gross * 100, 100 + percent) {
        return Err("excluded is not included ÷ (1 + rate), rounded half up");
    }
    let error = (net * percent * 10 - tax * 1000).abs();
    found.worst = found.worst.max(error);
    if error > TAX_ERROR_MAX {
        return Err("the tax is too far from excluded × rate");
    }
    match (number("price"), number("num")) {
        (None, None) => {}
        (Some(price), Some(quantity)) => {
            let off = decimal::multiply(price, quantity).map(|product| (product - cents(gross)).abs());
            if off.is_none_or(|off| off > Decimal::new(1, 2)) {
                return Err("price × quantity is not the amount");
            }
        }
        (_, _) => return Err("one of price and quantity without the other"),
    }
    if text("invoiceLineProperty") == "1" {
        let is_pair = before.is_some_and(|before| {
            let same = |name: &str| before.get(name) == line.get(name);
            let whole = amount(before, "taxIncludedAmount").unwrap_or(0);
            let is_discounted = before.get("invoiceLineProperty").and_then(Value::as_str) == Some("2");
            is_discounted && same("goodsName") && same("taxRate") && gross < 0 && -gross <= whole
        });
        if !is_pair || line.get("num").is_some() {
            return Err("a discount line that does not belong to the line before it");
        }
    }
    Ok(())
}

/// An amount in cents; `None` unless it is written with two places.
fn amount(line: &Value, name: &str) -> Option<i128> {
    let value = decimal::parse(line.get(name)?.as_str()?).ok()?;
    (value.scale() == 2).then(|| value.mantissa())
}

fn cents(cents: i128) -> Decimal {
    Decimal::from_i128_with_scale(cents, 2)
}

/// A decimal in whole hundredths, half away from zero.
fn hundredths(value: Decimal) -> i128 {
    half_up(value.mantissa() * 100, 10_i128.pow(value.scale()))
}

/// `a ÷ b` for positive b, half away from zero.
fn half_up(a: i128, b: i128) -> i128 {
    let half = (a.abs() * 2 + b) / (b * 2);
    if a < 0 { -half } else { half }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_thousands_of_invoices_hold_and_a_wrong_one_is_seen() {
        let args = ProveArgs { documents: 3_000, seed: 1 };
        assert_eq!(run(&args, true), Exit::Ok);
        let mut found = Found::default();
        let line = |tax: &str, net: &str| json!({"taxRate": "0.13", "taxIncludedAmount": "100.00", "taxExcludedAmount": net, "tax": tax});
        assert_eq!(rules(&line("11.50", "88.50"), None, &mut found), Ok(()));
        assert!(rules(&line("11.51", "88.50"), None, &mut found).is_err());
        assert!(rules(&line("11.51", "88.49"), None, &mut found).is_err());
        assert_eq!(half_up(-5, 10), -1);
    }
}
