//! Exact decimals: reading them from JSON text, rounding half-up, printing them the way the far sides print numbers.
//!
//! No binary float is touched: JSON numbers keep their text and are parsed into [`Decimal`] exactly.

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Number, Value};

/// 0.01
pub(crate) const CENT: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// Reads a decimal from a JSON number or from a JSON string that holds one; `None` for anything else.
pub(crate) fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => parse(&number.to_string()),
        Value::String(text) => parse(text.trim()),
        _ => None,
    }
}

/// Parses decimal text exactly; exponent notation is accepted because some clients print small prices that way.
pub(crate) fn parse(text: &str) -> Option<Decimal> {
    if text.is_empty() || text.len() > 40 {
        return None;
    }
    Decimal::from_str_exact(text).ok().or_else(|| {
        let scientific = text.bytes().any(|byte| byte == b'e' || byte == b'E');
        if scientific { Decimal::from_scientific(text).ok() } else { None }
    })
}

/// Rounds half-up (away from zero for negatives), so that a red amount is exactly the negative of its blue.
pub(crate) fn round(value: Decimal, scale: u32) -> Decimal {
    value.round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero)
}

/// A JSON number as a .NET server prints a decimal property: trailing zeros cut, at least one decimal (`339.0`).
pub(crate) fn float_number(value: Decimal) -> Value {
    let mut text = value.normalize().to_string();
    if !text.contains('.') {
        text.push_str(".0");
    }
    number(&text)
}

/// A JSON number with exactly `scale` decimals (`10.0000000000`).
pub(crate) fn padded_number(value: Decimal, scale: u32) -> Value {
    let mut value = round(value, scale);
    value.rescale(scale);
    number(&value.to_string())
}

/// Text with exactly two decimals, as the invoice platform prints amounts (`875.00`).
pub(crate) fn two(value: Decimal) -> String {
    let mut value = round(value, 2);
    value.rescale(2);
    value.to_string()
}

fn number(text: &str) -> Value {
    serde_json::from_str::<Number>(text).map_or_else(|_| Value::String(text.to_owned()), Value::Number)
}

/// Splits a tax-inclusive amount: `net = round(gross / (1 + rate))`, `tax = gross - net`; `rate` as a fraction.
pub(crate) fn split_gross(gross: Decimal, rate: Decimal) -> (Decimal, Decimal) {
    let net = (Decimal::ONE + rate)
        .checked_rem(Decimal::ONE)
        .and_then(|_| gross.checked_div(Decimal::ONE + rate))
        .map_or(gross, |value| round(value, 2));
    (net, gross - net)
}

/// Decimals in JSON of the control surface: written as text, read from text or from exact number text.
pub(crate) mod exact {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use serde_json::Value;

    pub(crate) fn serialize<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        let value = Value::deserialize(deserializer)?;
        super::decimal(&value).ok_or_else(|| D::Error::custom("not a decimal number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    #[test]
    fn splits_gross_like_the_amount_table() {
        for (gross, rate, net, tax) in [
            ("100.00", "0.13", "88.50", "11.50"),
            ("1000.00", "0.13", "884.96", "115.04"),
            ("-125.00", "0.13", "-110.62", "-14.38"),
            ("100.00", "0.06", "94.34", "5.66"),
            ("300.00", "0.13", "265.49", "34.51"),
            ("3450.00", "0.13", "3053.10", "396.90"),
            ("19.90", "0.09", "18.26", "1.64"),
            ("10.00", "0.03", "9.71", "0.29"),
            ("0.01", "0.13", "0.01", "0.00"),
            ("0.05", "0.13", "0.04", "0.01"),
            ("999999.99", "0.13", "884955.74", "115044.25"),
        ] {
            assert_eq!(split_gross(d(gross), d(rate)), (d(net), d(tax)), "{gross} at {rate}");
        }
        assert_eq!(round(d("0.50") * d("0.01"), 2), d("0.01"));
    }

    #[test]
    fn prints_like_the_far_side() {
        assert_eq!(float_number(d("339.00")).to_string(), "339.0");
        assert_eq!(float_number(d("0.1050")).to_string(), "0.105");
        assert_eq!(padded_number(d("10"), 10).to_string(), "10.0000000000");
        assert_eq!(two(d("-0.005")), "-0.01");
    }

    #[test]
    fn reads_numbers_exactly() {
        let value: Value = serde_json::from_str("[0.1000000000000000055, \"12.30\", 1e-3, null]").unwrap();
        assert_eq!(decimal(&value[0]), Some(d("0.1000000000000000055")));
        assert_eq!(decimal(&value[1]), Some(d("12.30")));
        assert_eq!(decimal(&value[2]), Some(d("0.001")));
        assert_eq!(decimal(&value[3]), None);
    }
}
