//! Field checks of an issue request.
//!
//! Names and lengths from the vendor's field comments in public SDKs. The code of a field error is not published; E9999
//! with a text that names the field is used, E9105 for discount lines.

use rust_decimal::Decimal;
use serde_json::Value;

use super::{Refusal, state::Line};
use crate::{config::NuonuoConfig, money};

/// Lines of one invoice, discount lines included.
const MAX_LINES: usize = 2000;

fn refuse<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new("E9999", text))
}

fn discount<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new("E9105", text))
}

fn text(object: &Value, key: &str) -> String {
    match object.get(key) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Header of an order that passed.
pub(super) struct Order {
    pub order_no: String,
    pub buyer: String,
    pub buyer_tax: String,
    pub kind: String,
    pub remark: String,
    pub callback_url: String,
    pub lines: Vec<Line>,
}

/// Checks the whole order.
pub(super) fn order(config: &NuonuoConfig, body: &Value) -> Result<Order, Refusal> {
    let Some(order) = body.get("order").filter(|order| order.is_object()) else {
        return refuse("order不能为空");
    };
    header(config, order)?;
    let details = order.get("invoiceDetail").and_then(Value::as_array).filter(|list| !list.is_empty());
    let Some(details) = details else { return refuse("invoiceDetail不能为空") };
    if details.len() > MAX_LINES {
        return refuse(format!("明细行数不能超过{MAX_LINES}行"));
    }
    let lines = details
        .iter()
        .enumerate()
        .map(|(index, detail)| line(index + 1, detail))
        .collect::<Result<Vec<_>, _>>()?;
    pairs(&lines)?;
    let total: Decimal = lines.iter().map(|line| line.gross).sum();
    if total < Decimal::ZERO {
        return refuse("蓝票价税合计不能为负数");
    }
    Ok(Order {
        order_no: text(order, "orderNo"),
        buyer: text(order, "buyerName"),
        buyer_tax: text(order, "buyerTaxNum"),
        kind: text(order, "invoiceLine"),
        remark: text(order, "remark"),
        callback_url: text(order, "callBackUrl"),
        lines,
    })
}

fn header(config: &NuonuoConfig, order: &Value) -> Result<(), Refusal> {
    for key in [
        "buyerName",
        "salerTaxNum",
        "salerTel",
        "salerAddress",
        "orderNo",
        "invoiceDate",
        "invoiceType",
        "clerk",
    ] {
        if text(order, key).is_empty() {
            return refuse(format!("{key}不能为空"));
        }
    }
    let kind = text(order, "invoiceLine");
    let kinds = ["bs", "pc", "es", "ec", "p", "c", "s", "e", "f", "r", "b", "j", "u"];
    if !kinds.contains(&kind.as_str()) {
        return refuse("invoiceLine不合法");
    }
    let electronic = matches!(kind.as_str(), "bs" | "pc" | "es" | "ec");
    for (key, max) in [
        ("buyerName", 100),
        ("buyerTaxNum", 20),
        ("buyerTel", 50),
        ("buyerAddress", 80),
        ("buyerAccount", 100),
        ("salerTaxNum", 20),
        ("salerTel", 20),
        ("salerAddress", 80),
        ("orderNo", config.order_no_max),
        ("remark", if electronic { 200 } else { 230 }),
        ("clerk", 20),
        ("buyerPhone", 20),
        ("email", 50),
    ] {
        if text(order, key).chars().count() > max {
            return refuse(format!("{key}长度不能超过{max}"));
        }
    }
    if text(order, "buyerTel").chars().count() + text(order, "buyerAddress").chars().count() > 100 {
        return refuse("buyerAddress和buyerTel合计长度不能超过100");
    }
    if text(order, "salerTaxNum") != config.tax_number {
        return refuse("salerTaxNum与授权税号不符");
    }
    let date = text(order, "invoiceDate");
    if date.len() != 19 || date.parse::<jiff::civil::DateTime>().is_err() {
        return refuse("invoiceDate格式应为yyyy-MM-dd HH:mm:ss");
    }
    match text(order, "invoiceType").as_str() {
        "1" => {}
        "2" if electronic => return refuse("数电红票请使用红字确认单接口"),
        _ => return refuse("invoiceType不合法"),
    }
    if matches!(kind.as_str(), "bs" | "es" | "s" | "b") && text(order, "buyerTaxNum").is_empty() {
        return refuse("专票buyerTaxNum不能为空");
    }
    contact(order)
}

/// `pushMode`: -1 none, 0 e-mail, 1 phone (default), 2 both.
fn contact(order: &Value) -> Result<(), Refusal> {
    let mode = text(order, "pushMode");
    let (phone, mail) = match mode.as_str() {
        "-1" => (false, false),
        "0" => (false, true),
        "" | "1" => (true, false),
        "2" => (true, true),
        _ => return refuse("pushMode不合法"),
    };
    if phone && text(order, "buyerPhone").is_empty() {
        return refuse("buyerPhone不能为空");
    }
    if mail && text(order, "email").is_empty() {
        return refuse("email不能为空");
    }
    Ok(())
}

/// A decimal member; empty is absent, unreadable or too precise is refused.
fn number(row: usize, detail: &Value, key: &str, scale: u32) -> Result<Option<Decimal>, Refusal> {
    let value = text(detail, key);
    if value.is_empty() {
        return Ok(None);
    }
    let Some(number) = money::parse(&value) else { return refuse(format!("第{row}行{key}不是数字")) };
    if number.normalize().scale() > scale || value.chars().count() > 20 {
        return refuse(format!("第{row}行{key}小数位数不能超过{scale}位"));
    }
    Ok(Some(number))
}

fn line(row: usize, detail: &Value) -> Result<Line, Refusal> {
    let name = text(detail, "goodsName");
    if name.is_empty() {
        return refuse(format!("第{row}行goodsName不能为空"));
    }
    for (key, max) in
        [("goodsName", 90), ("selfCode", 16), ("unit", 20), ("specType", 40), ("price", 16), ("num", 16)]
    {
        if text(detail, key).chars().count() > max {
            return refuse(format!("第{row}行{key}长度不能超过{max}"));
        }
    }
    let code = text(detail, "goodsCode");
    if !code.is_empty() && (code.len() != 19 || !code.bytes().all(|byte| byte.is_ascii_digit())) {
        return refuse(format!("第{row}行goodsCode应为19位数字"));
    }
    let inclusive = match text(detail, "withTaxFlag").as_str() {
        "1" => true,
        "0" => false,
        _ => return refuse(format!("第{row}行withTaxFlag不合法")),
    };
    let rate = number(row, detail, "taxRate", 4)?;
    let Some(rate) = rate.filter(|rate| *rate >= Decimal::ZERO && *rate < Decimal::ONE) else {
        return refuse(format!("第{row}行taxRate不合法"));
    };
    let property = match text(detail, "invoiceLineProperty").as_str() {
        "" | "0" => "0",
        "1" => "1",
        "2" => "2",
        _ => return refuse(format!("第{row}行invoiceLineProperty不合法")),
    };
    let (price, num) = (number(row, detail, "price", 8)?, number(row, detail, "num", 8)?);
    if price.is_some() != num.is_some() {
        return refuse(format!("第{row}行price和num应同时为空或同时不为空"));
    }
    if property == "1" && num.is_some() {
        return discount(format!("第{row}行折扣行不能有price和num"));
    }
    let (net, tax, gross) = amounts(row, detail, inclusive, rate, price.zip(num))?;
    Ok(Line { name, code, property: property.to_owned(), rate, net, tax, gross, num, price })
}

/// Three given amounts are checked; with one missing all are computed from price and quantity.
fn amounts(
    row: usize,
    detail: &Value,
    inclusive: bool,
    rate: Decimal,
    priced: Option<(Decimal, Decimal)>,
) -> Result<(Decimal, Decimal, Decimal), Refusal> {
    let given = (
        number(row, detail, "taxExcludedAmount", 2)?,
        number(row, detail, "tax", 2)?,
        number(row, detail, "taxIncludedAmount", 2)?,
    );
    if let (Some(net), Some(tax), Some(gross)) = given {
        if net + tax != gross {
            return refuse(format!("第{row}行含税金额不等于不含税金额与税额之和"));
        }
        // Tolerance per line from the vendor's field comment.
        if (net * rate - tax).abs() > Decimal::new(6, 2) {
            return refuse(format!("第{row}行税额误差超过0.06"));
        }
        return Ok((net, tax, gross));
    }
    let Some((price, num)) = priced else {
        return refuse(format!("第{row}行price和num为空时，三个金额必填"));
    };
    let amount = money::round(price * num, 2);
    if inclusive {
        let (net, tax) = money::split_gross(amount, rate);
        return Ok((net, tax, amount));
    }
    let tax = money::round(amount * rate, 2);
    Ok((amount, tax, amount + tax))
}

/// Discount lines stand directly behind the line they discount and match it.
fn pairs(lines: &[Line]) -> Result<(), Refusal> {
    for (index, line) in lines.iter().enumerate() {
        let row = index + 1;
        let before = index.checked_sub(1).and_then(|index| lines.get(index));
        match line.property.as_str() {
            "1" => {
                let Some(base) = before.filter(|base| base.property == "2") else {
                    return discount(format!("第{row}行折扣行前没有被折扣行"));
                };
                if base.name != line.name {
                    return discount(format!("第{row}行折扣行与被折扣行商品名称不一致"));
                }
                if base.rate != line.rate || base.code != line.code {
                    return discount(format!("第{row}行折扣行与被折扣行税率或编码不一致"));
                }
                if line.gross >= Decimal::ZERO || line.gross.abs() > base.gross.abs() {
                    return discount(format!("第{row}行折扣金额不合法"));
                }
            }
            "2" if lines.get(index + 1).is_none_or(|next| next.property != "1") => {
                return discount(format!("第{row}行被折扣行后没有折扣行"));
            }
            "0" if line.gross < Decimal::ZERO => return refuse(format!("第{row}行金额不能为负数")),
            _ => {}
        }
    }
    Ok(())
}
