//! Every side does the same work, and what is left of a decimal on each.

use crate::engine::Engine;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tongbao_yardstick::ten_lines;

/// Contracts that a float holds without loss, each with what is done to the contract of ten lines.
fn specimens() -> Vec<(&'static str, Value)> {
    let with = |pointer: &str, value: Value| {
        let mut contract = ten_lines();
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        if let Some(parent) = contract.pointer_mut(parent).and_then(Value::as_object_mut) {
            match value {
                Value::Null => parent.remove(key),
                value => parent.insert(key.to_owned(), value),
            };
        }
        contract
    };
    let mut discount = ten_lines();
    discount["lines"][0]["discount_tax_included"] = json!("-39.00");
    discount["lines"][1]["unit_price_tax_included"] = json!("0.00");
    discount["lines"][1]["amount_tax_included"] = json!("0.00");
    discount["total_tax_included"] = json!("17928.00");
    let mut zero = ten_lines();
    zero["lines"] = json!([]);
    zero["total_tax_included"] = json!("0.00");
    vec![
        ("ten lines", ten_lines()),
        ("a discount and a gift", discount),
        ("another currency", with("/currency", json!("USD"))),
        ("the day in China", with("/signed_at", json!("2026-11-20T22:00:00Z"))),
        ("no salesperson", with("/salesperson", Value::Null)),
        ("no note", with("/note", Value::Null)),
        ("a long note", with("/note", json!("n".repeat(200)))),
        ("a line without a note", with("/lines/3/note", Value::Null)),
        ("a day of delivery", with("/lines/4/delivery_date", json!("2026-12-01"))),
        ("a total of zero", zero),
        ("lines that do not come to the total", with("/lines/9/amount_tax_included", json!("3390.50"))),
        ("an unknown customer", with("/customer/code", json!("C2"))),
        ("an unknown salesperson", with("/salesperson/code", json!("S2"))),
        ("an unknown material", with("/lines/9/product/code", json!("P2"))),
        ("an unknown currency", with("/currency", json!("EUR"))),
    ]
}

/// Every side makes the same of every specimen as the first one, or refuses it as that one does.
pub fn all(engines: &mut [Box<dyn Engine>]) -> Result<(), String> {
    let Some((first, others)) = engines.split_first_mut() else { return Ok(()) };
    for (what, contract) in specimens() {
        let input = contract.to_string().into_bytes();
        let wanted = first.run(&input);
        for other in &mut *others {
            let made = other.run(&input);
            let same = match (&wanted, &made) {
                (Ok(wanted), Ok(made)) => equal(&parsed(wanted)?, &parsed(made)?),
                (wanted, made) => wanted.is_err() && made.is_err(),
            };
            if !same {
                let shown = |made: &Result<Vec<u8>, String>| match made {
                    Ok(made) => String::from_utf8_lossy(made).into_owned(),
                    Err(why) => format!("refused: {why}"),
                };
                let (name, wanted, made) = (other.name(), shown(&wanted), shown(&made));
                return Err(format!("{name} does not do the same work: {what}\n{wanted}\n{made}"));
            }
        }
    }
    Ok(())
}

/// What a side makes of lines of 0.10 and 0.20 that come to 0.30, and of a rate of 7 %.
pub fn exact(engine: &mut dyn Engine) -> String {
    let mut tenths = ten_lines();
    if let Some(lines) = tenths["lines"].as_array_mut() {
        lines.truncate(2);
    }
    for (line, price) in ["0.10", "0.20"].into_iter().enumerate() {
        tenths["lines"][line]["quantity"] = json!("1");
        tenths["lines"][line]["unit_price_tax_included"] = json!(price);
        tenths["lines"][line]["amount_tax_included"] = json!(price);
    }
    tenths["total_tax_included"] = json!("0.30");
    let mut seven = ten_lines();
    seven["lines"][0]["tax_rate"] = json!("0.07");
    let mut lost = Vec::new();
    if let Err(why) = engine.run(&tenths.to_string().into_bytes()) {
        lost.push(format!("0.10 + 0.20 = 0.30: {}", why.lines().next().unwrap_or_default()));
    }
    let made = engine.run(&seven.to_string().into_bytes()).and_then(|made| parsed(&made));
    let rate = made.map(|made| made["FSaleOrderEntry"][0]["FEntryTaxRate"].to_string());
    match rate {
        Ok(rate) if rate.parse() == Ok(Decimal::from(7)) => {}
        Ok(rate) => lost.push(format!("0.07 × 100 = {rate}")),
        Err(why) => lost.push(format!("0.07 × 100: {why}")),
    }
    if lost.is_empty() { "是 / yes".into() } else { format!("否 / no: {}", lost.join("; ")) }
}

/// Of documents that are all right: how many a side makes as the first one does, refuses, or makes otherwise.
pub fn kept(engines: &mut [Box<dyn Engine>], inputs: &[Vec<u8>]) -> Result<Vec<String>, String> {
    let Some((first, others)) = engines.split_first_mut() else { return Ok(Vec::new()) };
    let mut counts = vec![[0_usize; 3]; others.len()];
    for input in inputs {
        let wanted = parsed(&first.run(input)?)?;
        for (other, count) in others.iter_mut().zip(&mut counts) {
            let place = match other.run(input) {
                Ok(made) if equal(&wanted, &parsed(&made)?) => 0,
                Ok(_) => 2,
                Err(_) => 1,
            };
            count[place] += 1;
        }
    }
    let told = |[same, refused, otherwise]: &[usize; 3]| match (refused, otherwise) {
        (0, 0) => "是 / yes".to_owned(),
        _ => {
            format!("否 / no: {same} 份相同 the same, {refused} 份误拒 refused, {otherwise} 份有差 otherwise")
        }
    };
    Ok(std::iter::once("是 / yes".to_owned()).chain(counts.iter().map(told)).collect())
}

fn parsed(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Equal, numbers by what they are worth: 13, 13.0 and 13.00 are one number.
fn equal(left: &Value, right: &Value) -> bool {
    let worth = |number: &serde_json::Number| {
        let text = number.to_string();
        text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(&text)).ok()
    };
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => worth(left).is_some() && worth(left) == worth(right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same =
                |(key, left): (&String, &Value)| right.get(key).is_some_and(|right| equal(left, right));
            left.len() == right.len() && left.iter().all(same)
        }
        (left, right) => left == right,
    }
}
