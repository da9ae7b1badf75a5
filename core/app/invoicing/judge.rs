//! What is let through.

use super::folder::{Folder, Used, range};
use super::paper::{self, APPROVED, Kept, ORDER, REQUEST, WAITING, WITHDRAWN};
use crate::config::InvoicingRules;
use crate::emit;
use crate::intake::store_unavailable;
use crate::routes::Routes;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use tongbao_delivery::handler::Report;
use tongbao_delivery::invoicing::InvoicePaper;
use tongbao_delivery::port::{Store, Stored, Work};
use tongbao_model::event::kinds;
use tongbao_model::record::{InvoiceOrder, InvoiceRefusal, InvoiceRequest, RedRequest};
use tongbao_model::{Class, Code, Event, Fault, decimal};
use tongbao_recon::invoicing::{self, Part};

/// Judges one request.
pub async fn handle(
    store: &dyn Store,
    routes: &Routes,
    rules: &InvoicingRules,
    work: &Work,
    now_ms: i64,
) -> Report {
    let judged = match work.event.kind.as_str() {
        kinds::CONTRACT_SIGNED => signed(store, rules, &work.event).await,
        kinds::INVOICE_REQUESTED => asked(store, rules, &work.event).await,
        kinds::RED_INVOICE_REQUESTED => asked_back(store, &work.event).await,
        other => Err(Stop::Fault(Fault::new(
            Code::TargetMisconfigured,
            format!("invoicing 不处理事件 {other}"),
            format!("`invoicing` takes no event `{other}`"),
        ))),
    };
    match unused(store, judged).await {
        Ok(judged) => {
            let cause = Some(work.delivery.id.clone());
            let told = |order: &InvoiceOrder| Event { cause: cause.clone(), ..event_of(order, now_ms) };
            Report {
                follow_on: judged.orders.iter().map(|order| routes.intake(told(order))).collect(),
                papers: judged.papers,
                ..Report::new(Class::Done)
            }
        }
        Err(Stop::Fault(fault)) => Report::fault(fault),
        Err(Stop::Refused(refusal)) => {
            let Refusal { fault, number, contract } = *refusal;
            let told = emit::record(&InvoiceRefusal {
                number: number.clone(),
                contract_number: contract.clone(),
                code: fault.code.as_str().to_owned(),
                reason: fault.message.zh.clone(),
                reason_en: fault.message.en.clone(),
            });
            let event = emit::event(
                kinds::INVOICE_REFUSED,
                &number,
                work.event.revision,
                &contract,
                &told,
                &work.delivery.id,
                now_ms,
            );
            Report {
                class: Class::Rejected,
                final_rejection: true,
                follow_on: vec![routes.intake(event)],
                ..Report::fault(fault)
            }
        }
    }
}

/// The event of an invoice that was let through.
pub fn event_of(order: &InvoiceOrder, now_ms: i64) -> Event {
    let kind =
        if order.blue_invoice.is_some() { kinds::RED_INVOICE_APPROVED } else { kinds::INVOICE_APPROVED };
    let event = emit::event(kind, &order.number, 1, &order.contract_number, &emit::record(order), "", now_ms);
    Event { cause: None, ..event }
}

/// Why an invoice that was let through is not to be sent after all: somebody has taken it back since.
pub async fn withdrawn(store: &dyn Store, event: &Event) -> Option<Fault> {
    if ![kinds::INVOICE_APPROVED, kinds::RED_INVOICE_APPROVED].contains(&event.kind.as_str()) {
        return None;
    }
    let papers = match store.invoice_papers(&event.order_key).await {
        Ok(papers) => papers,
        Err(error) => return Some(store_unavailable(&error)),
    };
    let is_it = |one: &&InvoicePaper| one.kind == ORDER && one.number == event.key && one.state == WITHDRAWN;
    papers.iter().find(is_it).map(|one| {
        Fault::new(
            Code::TargetRejected,
            format!("开票单 {} 已撤回，不再开具", one.number),
            format!("the invoice order {} was withdrawn: nothing is issued", one.number),
        )
        .remedy("如需开票，请以新申请号申请。", "Ask under a new number if an invoice is needed.")
    })
}

/// What is let through, and what is kept of it.
struct Judged {
    orders: Vec<InvoiceOrder>,
    papers: Vec<InvoicePaper>,
}

/// Why nothing is let through.
enum Stop {
    /// For now, or for want of a person.
    Fault(Fault),
    /// For good.
    Refused(Box<Refusal>),
}

struct Refusal {
    fault: Fault,
    number: String,
    contract: String,
}

async fn asked(store: &dyn Store, rules: &InvoicingRules, event: &Event) -> Result<Judged, Stop> {
    let request: InvoiceRequest = record(event)?;
    let refuse = |faults| refused(&request.number, &request.contract_number, faults);
    let folder = folder(store, &request.contract_number).await?;
    match folder.used(&request.number) {
        // The same again, e.g. with another remark.
        Some(known) if known.state != WITHDRAWN && known.total == Some(request.total_tax_included.0) => {
            return Ok(Judged { orders: Vec::new(), papers: folder.fresh });
        }
        Some(known) => return Err(refuse(vec![used(&request.number, &known)])),
        None => folder.stands().map_err(|fault| refuse(vec![fault]))?,
    }
    let parts = judge(&folder, &request, rules.tolerance).map_err(refuse)?;
    let draft = invoicing::draft(&request, &parts, &folder.control).map_err(|fault| refuse(vec![fault]))?;
    let_through(rules, folder.fresh, draft, event).map_err(|fault| refuse(vec![fault]))
}

/// All that is left of a contract, as soon as it is signed or signed anew.
async fn signed(store: &dyn Store, rules: &InvoicingRules, event: &Event) -> Result<Judged, Stop> {
    let folder = folder(store, &event.key).await?;
    let number = folder.free_number();
    let refuse = |fault| refused(&number, &event.key, vec![fault]);
    let rest = invoicing::rest(&folder.contract, &number, &folder.control).map_err(refuse)?;
    let Some(draft) = rest else { return Ok(Judged { orders: Vec::new(), papers: folder.fresh }) };
    folder.stands().map_err(refuse)?;
    folder.leaves_room(draft.total_tax_included.0).map_err(refuse)?;
    let_through(rules, folder.fresh, draft, event).map_err(refuse)
}

/// The invoices of a request, or the request as it waits for others.
fn let_through(
    rules: &InvoicingRules,
    mut papers: Vec<InvoicePaper>,
    draft: InvoiceOrder,
    event: &Event,
) -> Result<Judged, Fault> {
    let buyer = draft.customer.as_ref().map(|customer| customer.code.as_str());
    let waits = buyer.is_some_and(|code| rules.together.contains(code));
    // Told now, while somebody can still ask otherwise: alone it must be an invoice that the channel takes.
    let orders = invoicing::orders(std::slice::from_ref(&draft), rules.channel)?;
    if waits {
        papers.push(filed(draft, (REQUEST, WAITING), event));
        return Ok(Judged { orders: Vec::new(), papers });
    }
    papers.extend(orders.iter().cloned().map(|order| filed(order, (ORDER, APPROVED), event)));
    Ok(Judged { orders, papers })
}

/// What a request takes of each line, and that it leaves room for what was invoiced of lines that nobody knows.
fn judge(folder: &Folder, request: &InvoiceRequest, tolerance: Decimal) -> Result<Vec<Part>, Vec<Fault>> {
    let parts = folder.control.judge(request, tolerance)?;
    let sum = parts.iter().try_fold(Decimal::ZERO, |sum, part| decimal::add(sum, part.share.amounts.gross));
    folder.leaves_room(sum.ok_or_else(|| vec![range()])?).map_err(|fault| vec![fault])?;
    Ok(parts)
}

async fn asked_back(store: &dyn Store, event: &Event) -> Result<Judged, Stop> {
    let request: RedRequest = record(event)?;
    let refuse = |faults| refused(&request.number, &request.contract_number, faults);
    let folder = folder(store, &request.contract_number).await?;
    if let Some(known) = folder.used(&request.number) {
        return Err(refuse(vec![used(&request.number, &known)]));
    }
    let blue = match folder.invoice(&request.blue_invoice) {
        // It may not have been heard of yet.
        None => return Err(Stop::Fault(unknown(&request.blue_invoice, &request.contract_number))),
        Some(found) => found,
    };
    let Some(order) = blue.order.as_ref().filter(|order| order.blue_invoice.is_none()) else {
        let fault = Fault::new(
            Code::TargetRejected,
            format!("发票 {} 不是可红冲的蓝字发票，或其明细不在通宝", blue.number),
            format!("the invoice {} is no blue one, or its lines are not known here", blue.number),
        )
        .at("blue_invoice")
        .remedy("请在开票平台红冲。", "Take it back at the invoice platform.");
        return Err(refuse(vec![fault]));
    };
    if !["1", "2", "3", "4"].contains(&request.reason.as_str()) {
        let fault = Fault::new(Code::ValueUnmapped, "红冲原因未知", "an unknown reason")
            .at("reason")
            .value(&request.reason)
            .remedy(
                "原因为 1 退回、2 有误、3 服务中止、4 折让。",
                "A reason is 1 returned, 2 wrong, 3 service ended or 4 allowance.",
            );
        return Err(refuse(vec![fault]));
    }
    let red = invoicing::red_order(&request, order, &folder.reds_of(&blue.number)).map_err(refuse)?;
    let mut papers = folder.fresh;
    papers.push(filed(red.clone(), (ORDER, APPROVED), event));
    Ok(Judged { orders: vec![red], papers })
}

/// Holds the orders against those of other contracts: the platform knows each number once.
async fn unused(store: &dyn Store, judged: Result<Judged, Stop>) -> Result<Judged, Stop> {
    let judged = judged?;
    match number_of_another(store, &judged.orders).await {
        Err(error) => Err(Stop::Fault(store_unavailable(&error))),
        Ok(None) => Ok(judged),
        Ok(Some((fault, order))) => Err(refused(&order.request_number, &order.contract_number, vec![fault])),
    }
}

/// The first order whose number an invoice of another contract was let through under, and what to say of it.
///
/// # Errors
/// What the database said.
pub async fn number_of_another<'o>(
    store: &dyn Store,
    orders: &'o [InvoiceOrder],
) -> Stored<Option<(Fault, &'o InvoiceOrder)>> {
    for order in orders {
        if let Some(event) = approved(store, &order.number).await?.first() {
            let (number, contract) = (&order.number, &event.order_key);
            let fault = Fault::new(
                Code::EventConflict,
                format!("开票单号 {number} 已用于合同 {contract}"),
                format!("the number {number} is that of an invoice order of the contract {contract}"),
            );
            let fault = fault.at("number").remedy("请以新申请号申请。", "Ask under another number.");
            return Ok(Some((fault, order)));
        }
    }
    Ok(None)
}

/// The events by which invoices were let through under a number, blue or red.
///
/// # Errors
/// What the database said.
pub async fn approved(store: &dyn Store, number: &str) -> Stored<Vec<Event>> {
    let mut events = Vec::new();
    for kind in [kinds::INVOICE_APPROVED, kinds::RED_INVOICE_APPROVED] {
        events.extend(store.newest(kind, number, i64::MAX).await?);
    }
    Ok(events)
}

/// Under this number an invoice was let through, or waits, or was withdrawn: what is said now changes nothing of it.
fn used(number: &str, known: &Used) -> Fault {
    let Used { order, state, .. } = known;
    let fault = Fault::new(
        Code::EventConflict,
        format!("申请号 {number} 已用于开票单 {order}（{state}），修订不改变它"),
        format!(
            "the number {number} is that of the invoice order {order} ({state}): a revision does not change it"
        ),
    );
    fault.at("number").remedy(
        "未开出的先撤回（recon invoices withdraw），已开出的红冲，再以新申请号申请。",
        "Withdraw it (recon invoices withdraw), or take back what was issued; then ask under a new number.",
    )
}

async fn folder(store: &dyn Store, contract: &str) -> Result<Folder, Stop> {
    Folder::of(store, contract).await.map_err(|missing| Stop::Fault(missing.into()))
}

fn filed(order: InvoiceOrder, state: (&str, &str), event: &Event) -> InvoicePaper {
    let contract = order.contract_number.clone();
    let requests = vec![order.request_number.clone()];
    let kept = Kept { order, requests, who: None, why: None };
    paper::of_order(&kept, state, &contract, &event.id, event.occurred_at_ms)
}

fn unknown(invoice: &str, contract: &str) -> Fault {
    Fault::new(
        Code::RelatedMissing,
        format!("合同 {contract} 没有发票 {invoice}"),
        format!("the contract {contract} has no invoice {invoice}"),
    )
    .at("blue_invoice")
}

/// All reasons as one fault: that of the first, if it is the only one.
fn refused(number: &str, contract: &str, faults: Vec<Fault>) -> Stop {
    let numbers = |fault: Fault| {
        Stop::Refused(Box::new(Refusal { fault, number: number.to_owned(), contract: contract.to_owned() }))
    };
    let mut all = faults.into_iter();
    let Some(first) = all.next() else { return Stop::Fault(range()) };
    let seen: BTreeSet<(String, String)> = all.map(|fault| (fault.message.zh, fault.message.en)).collect();
    let mut fault = first;
    for (zh, en) in seen {
        fault.message.zh = format!("{}；{zh}", fault.message.zh);
        fault.message.en = format!("{}; {en}", fault.message.en);
    }
    numbers(fault)
}

fn record<T: DeserializeOwned>(event: &Event) -> Result<T, Stop> {
    serde_json::from_str(&event.record).map_err(|_| {
        Stop::Fault(Fault::new(Code::Defect, "事件内容无法读取", "the event's record cannot be read"))
    })
}
