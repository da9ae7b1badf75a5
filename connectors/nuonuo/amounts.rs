//! Lines as the platform takes them: every amount given, discount lines paired, and checked before they are sent.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use tongbao_model::{Code, Fault, decimal};

/// Lines of one invoice, discount lines included.
pub const LINES_MAX: usize = 2_000;

/// How far amount × rate may be from the tax of a line (vendor's limit).
const TAX_TOLERANCE: Decimal = Decimal::from_parts(6, 0, 0, false, 2);
/// How far price × quantity may be from the amount of a line.
const PRICE_TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// Turns the document's lines into the platform's and checks them: included = excluded + tax, tax within tolerance,
/// price × quantity within a cent (else both are left out), discount not above its line, total as expected.
pub fn lines(document: &Map<String, Value>, total: Option<Decimal>) -> Result<Vec<Value>, Fault> {
    let given =
        document.get("invoiceDetail").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut lines = Vec::with_capacity(given.len());
    let mut sum = Decimal::ZERO;
    for (index, line) in given.iter().enumerate() {
        let at = |name: &str| format!("invoiceDetail[{}].{name}", index + 1);
        let Value::Object(line) = line else {
            let fault = Fault::new(Code::FieldType, "明细行不是对象", "a line is not an object");
            return Err(fault.at(format!("invoiceDetail[{}]", index + 1)));
        };
        sum += normal(line, &at, &mut lines)?;
    }
    if lines.is_empty() {
        let fault = Fault::new(Code::CheckFailed, "没有可开票的明细", "there is no line to invoice");
        return Err(fault.at("invoiceDetail"));
    }
    if lines.len() > LINES_MAX {
        let fault = Fault::new(
            Code::CheckFailed,
            format!("明细 {} 行，最多 {LINES_MAX} 行", lines.len()),
            format!("{} lines, at most {LINES_MAX}", lines.len()),
        );
        return Err(fault.at("invoiceDetail"));
    }
    match total {
        Some(total) if total != sum => Err(Fault::new(
            Code::CheckFailed,
            format!("明细合计 {sum}，合同总额 {total}"),
            format!("the lines sum up to {sum}, the total is {total}"),
        )
        .at("invoiceDetail")),
        _ => Ok(lines),
    }
}

/// Writes one line, with its discount line behind it; answers their sum with tax.
fn normal(
    line: &Map<String, Value>,
    at: &dyn Fn(&str) -> String,
    lines: &mut Vec<Value>,
) -> Result<Decimal, Fault> {
    let amount = |name: &str| -> Result<Decimal, Fault> {
        let text = match line.get(name) {
            None | Some(Value::Null) => "0".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        decimal::parse(&text).map_err(|_| {
            Fault::new(Code::FieldType, "不是可精确表示的数字", "no exact decimal").at(at(name)).value(&text)
        })
    };
    let (rate, gross) = (amount("taxRate")?, amount("taxIncludedAmount")?);
    let (net, tax) = (amount("taxExcludedAmount")?, amount("tax")?);
    check(rate, gross, net, tax, at)?;
    let discount = amount("discount")?;
    let mut out = line.clone();
    out.shift_remove("discount");
    out.insert("withTaxFlag".into(), json!("1"));
    let property = if discount.is_zero() { "0" } else { "2" };
    out.insert("invoiceLineProperty".into(), json!(property));
    if !price_fits(amount("price")?, amount("num")?, gross) {
        // Eight places cannot meet the amount: the three amounts alone are sent, never one of the pair.
        out.shift_remove("price");
        out.shift_remove("num");
    }
    lines.push(Value::Object(out));
    if discount.is_zero() {
        return Ok(gross);
    }
    if discount > Decimal::ZERO || -discount > gross {
        let fault = Fault::new(
            Code::CheckFailed,
            "折扣应为负数且不超过本行金额",
            "a discount is negative and at most its line",
        );
        return Err(fault.at(at("discount")).value(discount.to_string()));
    }
    let (net, tax) = decimal::split_tax(discount, rate).ok_or_else(|| {
        Fault::new(Code::NumberRange, "金额超出范围", "the amount is out of range").at(at("discount"))
    })?;
    let copy = |name: &str| line.get(name).cloned().unwrap_or(Value::Null);
    let mut pair = json!({
        "goodsName": copy("goodsName"), "withTaxFlag": "1", "taxRate": copy("taxRate"), "invoiceLineProperty": "1",
        "taxIncludedAmount": cents(discount), "taxExcludedAmount": cents(net), "tax": cents(tax),
    });
    if let (Value::Object(pair), false) = (&mut pair, copy("goodsCode").is_null()) {
        pair.insert("goodsCode".into(), copy("goodsCode"));
    }
    lines.push(pair);
    Ok(gross + discount)
}

fn check(
    rate: Decimal,
    gross: Decimal,
    net: Decimal,
    tax: Decimal,
    at: &dyn Fn(&str) -> String,
) -> Result<(), Fault> {
    if net + tax != gross {
        let fault = Fault::new(
            Code::CheckFailed,
            format!("含税 {gross} ≠ 不含税 {net} + 税额 {tax}"),
            format!("{gross} with tax is not {net} + {tax}"),
        );
        return Err(fault.at(at("taxIncludedAmount")));
    }
    let off = decimal::multiply(net, rate).map(|exact| (exact - tax).abs());
    if off.is_none_or(|off| off > TAX_TOLERANCE) {
        let fault = Fault::new(
            Code::CheckFailed,
            format!("税额 {tax} 与 {net} × {rate} 相差超过 {TAX_TOLERANCE}"),
            format!("the tax {tax} is more than {TAX_TOLERANCE} from {net} × {rate}"),
        );
        return Err(fault.at(at("tax")));
    }
    Ok(())
}

fn price_fits(price: Decimal, quantity: Decimal, gross: Decimal) -> bool {
    !price.is_zero()
        && !quantity.is_zero()
        && decimal::multiply(price, quantity)
            .is_some_and(|product| (product - gross).abs() <= PRICE_TOLERANCE)
}

fn cents(value: Decimal) -> String {
    let mut value = value;
    value.rescale(2);
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(gross: &str, rate: &str, extra: &[(&str, &str)]) -> Value {
        let (net, tax) =
            decimal::split_tax(decimal::parse(gross).unwrap(), decimal::parse(rate).unwrap()).unwrap();
        let mut line = json!({"goodsName": "软件平台", "taxRate": rate, "taxIncludedAmount": gross,
            "taxExcludedAmount": net.to_string(), "tax": tax.to_string()});
        for (key, value) in extra {
            line[*key] = json!(value);
        }
        line
    }

    fn run(lines_in: Vec<Value>, total: &str) -> Result<Vec<Value>, Fault> {
        lines(json!({"invoiceDetail": lines_in}).as_object().unwrap(), decimal::parse(total).ok())
    }

    #[test]
    fn a_discount_becomes_a_pair() {
        let out = run(
            vec![line("1000.00", "0.13", &[("discount", "-125.00"), ("price", "1000"), ("num", "1")])],
            "875",
        )
        .unwrap();
        assert_eq!(out.len(), 2);
        assert_eq!(
            (out[0]["invoiceLineProperty"].as_str(), out[1]["invoiceLineProperty"].as_str()),
            (Some("2"), Some("1"))
        );
        let amounts: Vec<_> = ["taxIncludedAmount", "taxExcludedAmount", "tax"]
            .iter()
            .map(|key| out[1][*key].as_str().unwrap())
            .collect();
        assert_eq!(amounts, ["-125.00", "-110.62", "-14.38"]);
        assert_eq!(out[1]["price"], Value::Null);
    }

    #[test]
    fn price_and_quantity_go_together_or_not_at_all() {
        let fits = run(vec![line("300.00", "0.13", &[("price", "100"), ("num", "3")])], "300").unwrap();
        assert_eq!(fits[0]["num"], "3");
        let off = run(vec![line("300.00", "0.13", &[("price", "100.01"), ("num", "3")])], "300").unwrap();
        assert!(off[0].get("num").is_none() && off[0].get("price").is_none());
    }

    #[test]
    fn wrong_amounts_are_not_sent() {
        let mut wrong = line("100.00", "0.13", &[]);
        wrong["tax"] = json!("11.51");
        assert_eq!(
            run(vec![wrong], "100").unwrap_err().field.as_deref(),
            Some("invoiceDetail[1].taxIncludedAmount")
        );
        let mut rate = line("100.00", "0.13", &[]);
        rate["taxRate"] = json!("0.06");
        assert_eq!(run(vec![rate], "100").unwrap_err().field.as_deref(), Some("invoiceDetail[1].tax"));
        assert_eq!(run(vec![line("100.00", "0.13", &[])], "100.01").unwrap_err().code, Code::CheckFailed);
        assert_eq!(run(vec![], "0").unwrap_err().code, Code::CheckFailed);
        assert_eq!(run(vec![json!("x")], "0").unwrap_err().code, Code::FieldType);
        let mut numbers = line("100.00", "0.13", &[]);
        numbers["taxIncludedAmount"] = serde_json::from_str("100.01").unwrap();
        assert_eq!(run(vec![numbers], "100.01").unwrap_err().code, Code::CheckFailed);
        let over = run(vec![line("100.00", "0.13", &[("discount", "-100.01")])], "-0.01");
        assert_eq!(over.unwrap_err().field.as_deref(), Some("invoiceDetail[1].discount"));
    }
}
