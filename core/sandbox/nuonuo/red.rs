//! Red letters of fully digital invoices: confirmation form, then the red invoice.
//!
//! States `01`–`10` are published by the tax bureau, `15`/`16` are the platform's own. The code for "more than what is
//! left" is not published; E9999 is used, E9103 when nothing is left.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    Outcome, Refusal, bill,
    check::Order,
    state::{End, Invoice, Line, RedBill, State},
};
use crate::{
    money,
    world::{World, lock},
};

/// Time the other side has to confirm.
const CONFIRM_MS: i64 = 72 * 3600 * 1000;

fn text(body: &Value, key: &str) -> String {
    match body.get(key) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Net and tax of a blue invoice not yet reversed or reserved by a confirmation.
fn left(state: &State, blue: &Invoice) -> (Decimal, Decimal) {
    let number = blue.number.as_deref().unwrap_or("");
    let mut left = (blue.net, blue.tax);
    let mut covered: Vec<&str> = Vec::new();
    for bill in state.bills.values().filter(|bill| bill.blue == number && bill.counts()) {
        left = (left.0 - bill.net, left.1 - bill.tax);
        covered.extend(bill.red_order.as_deref());
    }
    for red in state.invoices.values() {
        if red.red_of.as_deref() == Some(number)
            && red.status != "22"
            && !covered.contains(&red.order_no.as_str())
        {
            left = (left.0 + red.net, left.1 + red.tax);
        }
    }
    left
}

fn blue<'a>(state: &'a State, number: &str) -> Result<&'a Invoice, Refusal> {
    state
        .by_number
        .get(number)
        .and_then(|order| state.invoices.get(order))
        .filter(|invoice| matches!(invoice.status, "2" | "24" | "21") && invoice.red_of.is_none())
        .ok_or_else(|| Refusal::new("E9500", "未查询到蓝字发票"))
}

/// Positive net and tax of the asked lines; the rest of the blue invoice when no lines are given.
fn asked(state: &State, blue: &Invoice, body: &Value) -> Result<(Decimal, Decimal), Refusal> {
    let left = left(state, blue);
    if left.0 <= Decimal::ZERO {
        return Err(Refusal::new("E9103", "该发票已被红冲"));
    }
    let details = body.get("invoiceDetail").and_then(Value::as_array).filter(|list| !list.is_empty());
    let Some(details) = details else { return Ok(left) };
    let mut sum = (Decimal::ZERO, Decimal::ZERO);
    for detail in details {
        let amount = |key: &str| detail.get(key).and_then(money::decimal).map(|amount| amount.abs());
        let net = amount("taxExcludedAmount");
        let tax = amount("tax").or_else(|| amount("taxAmount"));
        let (Some(net), Some(tax)) = (net, tax) else {
            return Err(Refusal::new("E9999", "红字明细taxExcludedAmount和tax不能为空"));
        };
        sum = (sum.0 + net, sum.1 + tax);
    }
    if sum.0 > left.0 || sum.1 > left.1 {
        return Err(Refusal::new("E9999", "红冲金额超过蓝字发票剩余可红冲金额"));
    }
    Ok(sum)
}

/// saveInvoiceRedConfirm.
pub(super) fn save(world: &World, body: &Value) -> Outcome {
    let bill_id = text(body, "billId");
    for key in
        ["billId", "blueInvoiceLine", "applySource", "blueElecInvoiceNumber", "sellerTaxNo", "redReason"]
    {
        if text(body, key).is_empty() {
            return Err(Refusal::new("E9999", format!("{key}不能为空")));
        }
    }
    if !matches!(text(body, "redReason").as_str(), "1" | "2" | "3" | "4") {
        return Err(Refusal::new("E9999", "redReason不合法"));
    }
    let mut state = lock(&world.nuonuo);
    if state.bills.contains_key(&bill_id) {
        return Err(Refusal::new("E9999", "申请号重复"));
    }
    if state.bureau_logged_out {
        return Err(Refusal::new("E9999", bill::LOGGED_OUT));
    }
    let number = text(body, "blueElecInvoiceNumber");
    let (net, tax) = asked(&state, blue(&state, &number)?, body)?;
    let sequence = state.next();
    let status = state.new_bill_status.clone().unwrap_or_else(|| "01".to_owned());
    let now = world.clock.now_ms();
    let red = RedBill {
        bill_no: format!("{}{sequence:014}", crate::clock::format_local(now, "%y%m%d")),
        uuid: world.hex(32, &["red", &bill_id]),
        bill_id: bill_id.clone(),
        status,
        blue: number,
        reason: text(body, "redReason"),
        net,
        tax,
        created_ms: now,
        red_order: None,
    };
    let automatic = world.config.nuonuo.bureau_issues_red && red.status == "01";
    let (number, order_no) = (red.blue.clone(), format!("AUTO{}", red.bill_no.get(6..).unwrap_or_default()));
    state.bills.insert(bill_id.clone(), red);
    if automatic {
        let order = reversal(&state, &number, order_no.clone(), net, tax, String::new())?;
        bill::accept(&mut state, world, order, End::Issued, Some(number));
        if let Some(red) = state.bills.get_mut(&bill_id) {
            red.red_order = Some(order_no.clone());
        }
        drop(state);
        let _ = bill::start(world, &order_no);
    }
    Ok(("红字确认单申请提交成功", Value::from(bill_id)))
}

/// Unconfirmed forms become `07` after 72 hours.
fn expire(state: &mut State, now: i64) {
    for bill in state.bills.values_mut() {
        if matches!(bill.status.as_str(), "02" | "03") && now - bill.created_ms > CONFIRM_MS {
            bill.status = "07".to_owned();
        }
    }
}

fn show(state: &State, bill: &RedBill) -> Value {
    let red = bill.red_order.as_ref().and_then(|order| state.invoices.get(order));
    let number = red.and_then(|red| red.number.clone()).unwrap_or_default();
    json!({"billId": bill.bill_id, "billNo": bill.bill_no, "billUuid": bill.uuid, "billStatus": bill.status,
           "billMessage": "", "openStatus": i32::from(!number.is_empty()),
           "taxExcludedAmount": money::two(-bill.net), "taxAmount": money::two(-bill.tax), "redReason": bill.reason,
           "invoiceSerialNum": red.map(|red| red.serial.clone()).unwrap_or_default(),
           "redInvoiceNumber": number, "pdfUrl": red.map(|red| bill::file_url(red, "pdf")).unwrap_or_default()})
}

/// queryInvoiceRedConfirm by `billId`, or by `billStatus` with paging (50 per page at most).
pub(super) fn query(world: &World, body: &Value) -> Outcome {
    let mut state = lock(&world.nuonuo);
    expire(&mut state, world.clock.now_ms());
    let (id, status) = (text(body, "billId"), text(body, "billStatus"));
    let hits: Vec<&RedBill> = state
        .bills
        .values()
        .filter(|bill| id.is_empty() || bill.bill_id == id)
        .filter(|bill| status.is_empty() || bill.status == status)
        .collect();
    let size: usize = text(body, "pageSize").parse().unwrap_or(50).clamp(1, 50);
    let page: usize = text(body, "pageNo").parse().unwrap_or(1).max(1);
    let list: Vec<Value> =
        hits.iter().skip((page - 1).saturating_mul(size)).take(size).map(|bill| show(&state, bill)).collect();
    Ok(("查询成功", json!({"total": hits.len(), "list": list})))
}

fn find<'a>(state: &'a mut State, body: &Value) -> Result<&'a mut RedBill, Refusal> {
    let (id, uuid, number) = (text(body, "billId"), text(body, "billUuid"), text(body, "billNo"));
    state
        .bills
        .values_mut()
        .find(|bill| {
            (!id.is_empty() && bill.bill_id == id)
                || (!uuid.is_empty() && bill.uuid == uuid)
                || (!number.is_empty() && bill.bill_no == number)
        })
        .ok_or_else(|| Refusal::new("E9500", "未查询到红字确认单"))
}

/// confirm: the other party agrees (`04`) or refuses (`05` by the buyer, `06` by the seller).
pub(super) fn confirm(world: &World, body: &Value) -> Outcome {
    let mut state = lock(&world.nuonuo);
    expire(&mut state, world.clock.now_ms());
    let agrees = text(body, "confirmAgreement") == "1";
    let bill = find(&mut state, body)?;
    bill.status = match (bill.status.as_str(), agrees) {
        ("02" | "03", true) => "04",
        ("02", false) => "05",
        ("03", false) => "06",
        _ => return Err(Refusal::new("E9999", "确认单已超时或状态不允许确认")),
    }
    .to_owned();
    Ok(("确认成功", Value::from(bill.bill_id.clone())))
}

/// confirmInfoCancel: `08` before, `09` after the confirmation.
pub(super) fn cancel(world: &World, body: &Value) -> Outcome {
    let mut state = lock(&world.nuonuo);
    let bill = find(&mut state, body)?;
    if bill.red_order.is_some() {
        return Err(Refusal::new("E9103", "红字发票已开具"));
    }
    bill.status = if bill.status == "04" { "09" } else { "08" }.to_owned();
    Ok(("撤销成功", Value::from(bill.bill_id.clone())))
}

/// fastInvoiceRed: from a confirmation in `01`/`04`, or the whole reversal in one call.
pub(super) fn fast(world: &World, body: &Value) -> Outcome {
    let order_no = text(body, "orderNo");
    if order_no.is_empty() || order_no.chars().count() > world.config.nuonuo.order_no_max {
        return Err(Refusal::new("E9999", "orderNo不合法"));
    }
    let mut state = lock(&world.nuonuo);
    expire(&mut state, world.clock.now_ms());
    if state.invoices.contains_key(&order_no) {
        return Err(Refusal::new("E9106", format!("订单编号[{order_no}]重复")));
    }
    if state.bureau_logged_out {
        return Err(Refusal::new("E9999", bill::LOGGED_OUT));
    }
    let from_bill = !(text(body, "billNo").is_empty() && text(body, "billUuid").is_empty());
    let (number, net, tax, bill_id) = if from_bill {
        let red = find(&mut state, body)?;
        if red.red_order.is_some() {
            return Err(Refusal::new("E9103", "该确认单已开具红字发票"));
        }
        if !matches!(red.status.as_str(), "01" | "04") {
            return Err(Refusal::new("E9999", "红字确认单状态不允许开具"));
        }
        red.red_order = Some(order_no.clone());
        (red.blue.clone(), red.net, red.tax, Some(red.bill_id.clone()))
    } else {
        let number = text(body, "elecInvoiceNumber");
        let (net, tax) = asked(&state, blue(&state, &number)?, body)?;
        (number, net, tax, None)
    };
    let order = reversal(&state, &number, order_no.clone(), net, tax, text(body, "callBackUrl"))?;
    let serial = bill::accept(&mut state, world, order, End::Issued, Some(number));
    drop(state);
    let _ = bill::start(world, &order_no);
    Ok(("红票开具提交成功", json!({"invoiceSerialNum": serial, "billId": bill_id})))
}

/// The lines of the red invoice: the blue ones negated for a full reversal, else one line with the asked amounts.
fn reversal(
    state: &State,
    number: &str,
    order_no: String,
    net: Decimal,
    tax: Decimal,
    callback_url: String,
) -> Result<Order, Refusal> {
    let blue = blue(state, number)?;
    let lines = if net == blue.net && tax == blue.tax {
        blue.lines
            .iter()
            .map(|line| Line {
                net: -line.net,
                tax: -line.tax,
                gross: -line.gross,
                num: line.num.map(|num| -num),
                property: "0".to_owned(),
                ..line.clone()
            })
            .collect()
    } else {
        let first = blue.lines.first().ok_or_else(|| Refusal::new("E9500", "未查询到蓝字发票"))?;
        let gross = -(net + tax);
        vec![Line {
            net: -net,
            tax: -tax,
            gross,
            num: None,
            price: None,
            property: "0".to_owned(),
            ..first.clone()
        }]
    };
    Ok(Order {
        order_no,
        buyer: blue.buyer.clone(),
        buyer_tax: blue.buyer_tax.clone(),
        kind: blue.kind.clone(),
        remark: format!("被红冲蓝字数电票号码：{number}"),
        callback_url,
        lines,
    })
}

/// Sets the state of a confirmation, as the tax bureau or the other party does; false when there is none.
pub(crate) fn set_bill_status(world: &World, bill_id: &str, status: &str) -> bool {
    let mut state = lock(&world.nuonuo);
    state.bills.get_mut(bill_id).map(|bill| status.clone_into(&mut bill.status)).is_some()
}
