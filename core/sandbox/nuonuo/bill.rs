//! Issue, query and retry of invoices, and their life cycle 20 → 21 → 2 / 22 / 24.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    Outcome, Refusal, answer, callback,
    check::{self, Order},
    state::{End, Invoice, Line, State},
};
use crate::{
    clock,
    config::{Lifecycle, NuonuoConfig},
    faults::Fault,
    money,
    wire::message::Reply,
    world::{World, lock},
};

/// `failCause` while the seller is logged out at the bureau. Wording not from a source.
pub(super) const LOGGED_OUT: &str = "电子税务局登录已失效，请登录并完成扫脸认证";

/// requestBillingNew.
pub(super) fn request(world: &World, body: &Value, fault: Option<&Fault>) -> Reply {
    let order = match check::order(&world.config.nuonuo, body) {
        Ok(order) => order,
        Err(refusal) => return answer(Err(refusal)),
    };
    let mut state = lock(&world.nuonuo);
    if let Err(refusal) = count_try(&mut state, world, &order.order_no) {
        return answer(Err(refusal));
    }
    if state.invoices.contains_key(&order.order_no) {
        return answer(Err(Refusal::new("E9106", format!("订单编号[{}]重复", order.order_no))));
    }
    if state.bureau_logged_out {
        return answer(Err(Refusal::new("E9999", LOGGED_OUT)));
    }
    let end = match fault {
        Some(Fault::InvoiceFails { cause }) => End::Failed(cause.clone()),
        Some(Fault::SealFails) => End::SealFailed,
        _ => End::Issued,
    };
    let order_no = order.order_no.clone();
    let serial = accept(&mut state, world, order, end, None);
    drop(state);
    let mut reply = answer(Ok(("开票提交成功", json!({"invoiceSerialNum": serial}))));
    reply.hold = start(world, &order_no);
    reply
}

/// More than the allowed tries of one number within a day are refused, also when the number is a duplicate.
fn count_try(state: &mut State, world: &World, order_no: &str) -> Result<(), Refusal> {
    let day = world.clock.now_ms().div_euclid(86_400_000);
    let entry = state.tries.entry(order_no.to_owned()).or_insert((day, 0));
    if entry.0 != day {
        *entry = (day, 0);
    }
    entry.1 += 1;
    if entry.1 > world.config.nuonuo.daily_tries {
        return Err(Refusal::new("E9613", "同一订单号当日重试次数超过限制"));
    }
    Ok(())
}

/// Takes an order in; its 20-character serial number.
pub(super) fn accept(
    state: &mut State,
    world: &World,
    order: Order,
    end: End,
    red_of: Option<String>,
) -> String {
    let now = world.clock.now_ms();
    let serial = format!("{}10{:012}", clock::format_local(now, "%y%m%d"), state.next());
    let sum = |pick: fn(&Line) -> Decimal| order.lines.iter().map(pick).sum::<Decimal>();
    let (net, tax, gross) = (sum(|line| line.net), sum(|line| line.tax), sum(|line| line.gross));
    let invoice = Invoice {
        order_no: order.order_no.clone(),
        serial: serial.clone(),
        number: None,
        status: "20",
        end,
        polls: 0,
        unseen_polls: world.config.nuonuo.not_found_polls,
        created_ms: now,
        issued_ms: 0,
        buyer: order.buyer,
        buyer_tax: order.buyer_tax,
        kind: order.kind,
        remark: order.remark,
        callback_url: order.callback_url,
        lines: order.lines,
        net,
        tax,
        gross,
        red_of,
    };
    state.by_serial.insert(serial.clone(), order.order_no.clone());
    state.waiting.insert(order.order_no.clone());
    state.accepted.push(order.order_no.clone());
    state.invoices.insert(order.order_no, invoice);
    serial
}

/// Where an invoice stands now: 0 issuing, 1 sealing, 2 at its end.
fn stage(config: &NuonuoConfig, invoice: &Invoice, now: i64) -> u8 {
    match config.lifecycle {
        Lifecycle::Polls(count) if invoice.polls < count || (invoice.polls == count && count > 0) => 0,
        Lifecycle::Polls(count) if invoice.polls <= count.saturating_mul(2) && count > 0 => 1,
        Lifecycle::Polls(_) => 2,
        Lifecycle::Clock(sealing, end) => {
            let age = now - invoice.created_ms;
            if age >= end { 2 } else { u8::from(age >= sealing) }
        }
    }
}

/// Moves one invoice to where it should be; true when it has just ended.
fn advance(state: &mut State, world: &World, order_no: &str, force: bool) -> bool {
    let now = world.clock.now_ms();
    let sequence = state.next;
    let Some(invoice) = state.invoices.get_mut(order_no).filter(|invoice| !invoice.ended()) else {
        return false;
    };
    let stage = if force { 2 } else { stage(&world.config.nuonuo, invoice, now) };
    if stage == 0 {
        return false;
    }
    let fails = matches!(invoice.end, End::Failed(_));
    if !fails && invoice.number.is_none() {
        // Year, region 33, channel 2, sequence.
        let number = format!("{}332{:015}", clock::format_local(now, "%y"), sequence + 1);
        invoice.number = Some(number.clone());
        invoice.issued_ms = now;
        state.next += 1;
        state.by_number.insert(number, order_no.to_owned());
    }
    let Some(invoice) = state.invoices.get_mut(order_no) else { return false };
    if stage == 1 {
        if !fails {
            invoice.status = "21";
        }
        return false;
    }
    invoice.status = match invoice.end {
        End::Issued => "2",
        End::Failed(_) => "22",
        End::SealFailed => "24",
    };
    state.waiting.remove(order_no);
    true
}

/// Moves one order on right after it was accepted. With the "callback before the answer" setting the result fires when
/// the callback was tried.
pub(super) fn start(world: &World, order_no: &str) -> Option<oneshot::Receiver<()>> {
    let mut state = lock(&world.nuonuo);
    if !advance(&mut state, world, order_no, false) {
        return None;
    }
    callback::of(world, &mut state, order_no).filter(|_| world.config.nuonuo.callback_before_reply)
}

/// Moves all waiting invoices on by the clock and sends the callbacks that are due.
pub(super) fn tick(world: &World) {
    // Invoices that move by polls move only when they are asked about.
    if matches!(world.config.nuonuo.lifecycle, Lifecycle::Polls(_)) {
        return;
    }
    let mut state = lock(&world.nuonuo);
    let waiting: Vec<String> = state.waiting.iter().cloned().collect();
    for order_no in waiting {
        if advance(&mut state, world, &order_no, false) {
            let _ = callback::of(world, &mut state, &order_no);
        }
    }
}

/// Ends one order's invoice, or all, now; how many ended.
pub(super) fn settle(world: &World, order_no: Option<&str>) -> usize {
    let mut state = lock(&world.nuonuo);
    let waiting: Vec<String> = state
        .waiting
        .iter()
        .filter(|waiting| order_no.is_none_or(|order| *waiting == order))
        .cloned()
        .collect();
    let mut ended = 0;
    for order_no in waiting {
        if advance(&mut state, world, &order_no, true) {
            ended += 1;
            let _ = callback::of(world, &mut state, &order_no);
        }
    }
    ended
}

fn list(body: &Value, key: &str) -> Vec<String> {
    let items = body.get(key).and_then(Value::as_array);
    items.map(|items| items.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
}

/// queryInvoiceResult: up to 50 serials or order numbers, serials win.
pub(super) fn query(world: &World, body: &Value) -> Outcome {
    let (serials, orders) = (list(body, "serialNos"), list(body, "orderNos"));
    let details = body.get("isOfferInvoiceDetail").is_some_and(|flag| *flag == "1" || *flag == 1);
    let asked = if serials.is_empty() { &orders } else { &serials };
    if asked.is_empty() || asked.len() > 50 {
        return Err(Refusal::new("E9999", "serialNos或orderNos应为1至50个"));
    }
    let mut state = lock(&world.nuonuo);
    let mut found = Vec::new();
    for key in asked {
        let order = if serials.is_empty() { Some(key.clone()) } else { state.by_serial.get(key).cloned() };
        let Some(order) = order else { continue };
        let Some(invoice) = state.invoices.get_mut(&order) else { continue };
        if invoice.unseen_polls > 0 {
            invoice.unseen_polls -= 1;
            continue;
        }
        invoice.polls = invoice.polls.saturating_add(1);
        if advance(&mut state, world, &order, false) {
            let _ = callback::of(world, &mut state, &order);
        }
        if let Some(invoice) = state.invoices.get(&order) {
            found.push(show(&world.config.nuonuo, invoice, details));
        }
    }
    if found.is_empty() {
        Err(Refusal::new("E9500", "未查询到发票信息"))
    } else {
        Ok(("查询成功", Value::Array(found)))
    }
}

/// The public address of an invoice's file.
pub(super) fn file_url(invoice: &Invoice, kind: &str) -> String {
    match (&invoice.number, invoice.status) {
        (Some(number), "2") => format!("https://files.example.com/{number}.{kind}"),
        _ => String::new(),
    }
}

fn show(config: &NuonuoConfig, invoice: &Invoice, details: bool) -> Value {
    let message = match invoice.status {
        "2" => "开票完成（最终状态）",
        "20" => "开票中",
        "21" => "开票成功签章中",
        "22" => "开票失败",
        "24" => "开票成功签章失败",
        "3" => "发票已作废",
        _ => "",
    };
    let cause = match &invoice.end {
        End::Failed(cause) if invoice.status == "22" => cause.as_str(),
        _ => "",
    };
    let number = invoice.number.clone().unwrap_or_default();
    let mut value = json!({
        "serialNo": invoice.serial, "orderNo": invoice.order_no, "status": invoice.status, "statusMsg": message,
        "failCause": cause, "pdfUrl": file_url(invoice, "pdf"), "ofdUrl": file_url(invoice, "ofd"),
        "xmlUrl": file_url(invoice, "xml"), "pictureUrl": "", "invoiceTime": null, "invoiceCode": "",
        "invoiceNo": number, "allElectronicInvoiceNumber": number, "exTaxAmount": money::two(invoice.net),
        "taxAmount": money::two(invoice.tax), "orderAmount": money::two(invoice.gross),
        "payerName": invoice.buyer, "payerTaxNo": invoice.buyer_tax, "saleName": config.seller_name,
        "salerTaxNum": config.tax_number, "remark": invoice.remark, "qrCode": "",
        "oldInvoiceNo": invoice.red_of.clone().unwrap_or_default(),
        "oldEleInvoiceNumber": invoice.red_of.clone().unwrap_or_default(),
    });
    if let Value::Object(map) = &mut value {
        if invoice.issued_ms > 0 {
            map.insert("invoiceTime".to_owned(), Value::from(invoice.issued_ms));
        }
        if details {
            map.insert("invoiceItems".to_owned(), items(invoice));
        }
    }
    value
}

/// The lines as the query and the callback show them.
pub(super) fn items(invoice: &Invoice) -> Value {
    let plain =
        |number: Option<Decimal>| number.map(|number| number.normalize().to_string()).unwrap_or_default();
    invoice
        .lines
        .iter()
        .map(|line| {
            json!({"itemName": line.name, "itemCode": line.code, "itemTaxRate": line.rate.normalize().to_string(),
                   "itemAmount": money::two(line.gross), "itemTaxAmount": money::two(line.tax),
                   "itemTaxExcludedAmount": money::two(line.net), "itemNum": plain(line.num),
                   "itemPrice": plain(line.price), "invoiceLineProperty": line.property})
        })
        .collect()
}

/// reInvoice: a failed or unsealed invoice is tried again under its own numbers.
pub(super) fn again(world: &World, body: &Value) -> Outcome {
    let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let mut state = lock(&world.nuonuo);
    let order = match field("orderno") {
        order if !order.is_empty() => order,
        _ => state.by_serial.get(&field("fpqqlsh")).cloned().unwrap_or_default(),
    };
    count_try(&mut state, world, &order)?;
    let logged_out = state.bureau_logged_out;
    let Some(invoice) = state.invoices.get_mut(&order) else {
        return Err(Refusal::new("E9500", "未查询到发票信息"));
    };
    if !matches!(invoice.status, "22" | "24") {
        return Err(Refusal::new("E9999", "该发票当前状态不允许重试"));
    }
    if logged_out {
        return Err(Refusal::new("E9999", LOGGED_OUT));
    }
    invoice.end = End::Issued;
    invoice.status = if invoice.number.is_some() { "21" } else { "20" };
    invoice.polls = 0;
    invoice.created_ms = world.clock.now_ms();
    let serial = invoice.serial.clone();
    state.waiting.insert(order.clone());
    drop(state);
    let _ = start(world, &order);
    Ok(("重新开票提交成功", json!({"invoiceSerialNum": serial})))
}
