//! What a person does: puts requests that wait together as one invoice, and takes back what will not be issued.

use super::folder::Folder;
use super::judge::{approved, event_of, number_of_another};
use super::paper::{self, APPROVED, Kept, MERGED, ORDER, REQUEST, WAITING, WITHDRAWN};
use crate::config::InvoicingRules;
use crate::routes::Routes;
use std::collections::BTreeSet;
use tongbao_delivery::invoicing::{InvoicePaper, PaperFilter};
use tongbao_delivery::port::{DeliveryView, State, Store, Stored};
use tongbao_model::record::InvoiceOrder;
use tongbao_model::{Class, Text};
use tongbao_recon::invoicing;

/// Who wants it, and why.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// Whether he has looked at the platform himself, and nothing was issued there.
    pub checked: bool,
}

/// A refusal in words.
type Refused<T> = Result<T, Text>;

/// Puts requests of a customer that wait together: as few invoices as kinds, currencies and the channel's room make
/// necessary. All that wait, where none is named. Answers the numbers of the invoices to be issued.
///
/// # Errors
/// What the database said; the inner error says why it is not done.
pub async fn together(
    store: &dyn Store,
    routes: &Routes,
    rules: &InvoicingRules,
    customer: &str,
    numbers: &[String],
    asked: &Asked,
    now_ms: i64,
) -> Stored<Refused<Vec<String>>> {
    let all = waiting(store, customer).await?;
    let wanted: BTreeSet<&str> = numbers.iter().map(String::as_str).collect();
    let is_wanted = |one: &InvoicePaper| wanted.is_empty() || wanted.contains(one.number.as_str());
    let papers: Vec<InvoicePaper> = all.into_iter().filter(is_wanted).collect();
    if let Some(missing) = wanted.iter().find(|number| !papers.iter().any(|one| one.number == **number)) {
        return Ok(Err(Text::new(
            format!("客户 {customer} 没有待合并的申请 {missing}"),
            format!("no request {missing} of the customer {customer} waits"),
        )));
    }
    if papers.is_empty() {
        return Ok(Err(Text::new(
            format!("客户 {customer} 没有待合并的申请"),
            format!("no request of the customer {customer} waits"),
        )));
    }
    for contract in papers.iter().map(|one| one.contract.as_str()).collect::<BTreeSet<&str>>() {
        let stands =
            folder(store, contract).await?.and_then(|folder| folder.stands().map_err(|fault| fault.message));
        if let Err(why) = stands {
            return Ok(Err(why));
        }
    }
    let kept: Vec<Kept> = papers.iter().map(paper::read).collect::<Stored<_>>()?;
    let drafts: Vec<InvoiceOrder> = kept.iter().map(|one| one.order.clone()).collect();
    let orders = match invoicing::orders(&drafts, rules.channel) {
        Ok(orders) => orders,
        Err(fault) => return Ok(Err(fault.message)),
    };
    if let Some((fault, _)) = number_of_another(store, &orders).await? {
        return Ok(Err(fault.message));
    }
    let merged = papers.iter().zip(kept).map(|(one, kept)| revised_as(one, MERGED, kept, asked));
    let mut revised: Vec<InvoicePaper> = merged.collect();
    let mut intakes = Vec::new();
    for order in &orders {
        let intake = routes.intake(event_of(order, now_ms));
        let requests = requests_of(order, &drafts);
        let kept = Kept {
            order: order.clone(),
            requests,
            who: Some(asked.who.clone()),
            why: Some(asked.why.clone()).filter(|why| !why.is_empty()),
        };
        let contracts: BTreeSet<&str> =
            order.lines.iter().map(|line| line.contract_number.as_str()).collect();
        for contract in contracts {
            revised.push(paper::of_order(&kept, (ORDER, APPROVED), contract, &intake.event.id, now_ms));
        }
        intakes.push(intake);
    }
    let numbers = orders.into_iter().map(|order| order.number).collect();
    Ok(if store.revise_invoice_papers(revised, intakes, now_ms).await? {
        Ok(numbers)
    } else {
        Err(overtaken())
    })
}

/// Takes back what was let through, or waits, and will not be issued: it may be asked for again. Not once it was issued, and
/// where nobody knows whether it was, only by a person who has looked at the platform.
///
/// # Errors
/// As of [`together`].
pub async fn withdraw(store: &dyn Store, number: &str, asked: &Asked, now_ms: i64) -> Stored<Refused<()>> {
    let mut papers = Vec::new();
    for (kind, state) in [(ORDER, APPROVED), (REQUEST, WAITING)] {
        papers.extend(of_number(store, number, (kind, state)).await?);
    }
    if papers.is_empty() {
        return Ok(Err(Text::new(
            format!("没有可撤回的开票单或申请 {number}"),
            format!("there is no invoice order and no waiting request {number} that could be withdrawn"),
        )));
    }
    for contract in papers.iter().map(|one| one.contract.as_str()).collect::<BTreeSet<&str>>() {
        let folder = match folder(store, contract).await? {
            Ok(folder) => folder,
            Err(why) => return Ok(Err(why)),
        };
        if folder.is_issued(number) {
            return Ok(Err(Text::new(
                format!("开票单 {number} 已开出发票：请红冲"),
                format!("the invoice of {number} was issued: take it back by a red one"),
            )));
        }
    }
    for delivery in sent(store, number).await? {
        let is_certain = asked.checked || !is_in_doubt(store, &delivery.id).await?;
        if let Some(why) = in_the_way(delivery.state, is_certain, number) {
            return Ok(Err(why));
        }
    }
    let mut revised = Vec::new();
    for one in &papers {
        let kept: Kept = paper::read(one)?;
        revised.push(revised_as(one, WITHDRAWN, kept, asked));
    }
    Ok(if store.revise_invoice_papers(revised, Vec::new(), now_ms).await? {
        Ok(())
    } else {
        Err(overtaken())
    })
}

async fn folder(store: &dyn Store, contract: &str) -> Stored<Refused<Folder>> {
    Ok(Folder::found(store, contract).await?.map_err(|fault| fault.message))
}

/// Requests of a customer that wait, by contract and number.
async fn waiting(store: &dyn Store, customer: &str) -> Stored<Vec<InvoicePaper>> {
    let filter = PaperFilter {
        kind: Some(REQUEST.to_owned()),
        state: Some(WAITING.to_owned()),
        customer: Some(customer.to_owned()),
        ..PaperFilter::default()
    };
    every(store, filter).await
}

/// All papers of a filter.
pub async fn every(store: &dyn Store, mut filter: PaperFilter) -> Stored<Vec<InvoicePaper>> {
    let mut all = Vec::new();
    loop {
        let page = store.invoice_papers_of(filter.clone()).await?;
        let Some(last) = page.last() else { return Ok(all) };
        filter.after = Some((last.contract.clone(), last.kind.clone(), last.number.clone()));
        all.extend(page);
    }
}

/// Papers of a number, on whatever contract.
async fn of_number(
    store: &dyn Store,
    number: &str,
    (kind, state): (&str, &str),
) -> Stored<Vec<InvoicePaper>> {
    let filter = PaperFilter {
        kind: Some(kind.to_owned()),
        state: Some(state.to_owned()),
        number: Some(number.to_owned()),
        ..PaperFilter::default()
    };
    every(store, filter).await
}

/// Requests that have a line on an order.
fn requests_of(order: &InvoiceOrder, drafts: &[InvoiceOrder]) -> Vec<String> {
    let lines: BTreeSet<(&str, i64)> =
        order.lines.iter().map(|line| (line.contract_number.as_str(), line.line)).collect();
    // Lines without tax of a special invoice are on an ordinary one.
    let is_on = |draft: &&InvoiceOrder| {
        draft.kind == order.kind || draft.kind == invoicing::InvoiceKind::Special.name()
    };
    let has_line = |draft: &&InvoiceOrder| {
        draft.lines.iter().any(|line| lines.contains(&(line.contract_number.as_str(), line.line)))
    };
    drafts.iter().filter(is_on).filter(has_line).map(|draft| draft.request_number.clone()).collect()
}

fn revised_as(paper: &InvoicePaper, state: &str, kept: Kept, asked: &Asked) -> InvoicePaper {
    let kept = Kept {
        who: Some(asked.who.clone()),
        why: Some(asked.why.clone()).filter(|why| !why.is_empty()),
        ..kept
    };
    InvoicePaper {
        revision: paper.revision + 1,
        state: state.to_owned(),
        record: paper::text(&kept),
        ..paper.clone()
    }
}

/// Where an order went.
async fn sent(store: &dyn Store, number: &str) -> Stored<Vec<DeliveryView>> {
    let mut all = Vec::new();
    for event in approved(store, number).await? {
        all.extend(store.deliveries_of(&event.id).await?);
    }
    Ok(all)
}

/// Whether a call may have taken effect without our knowing: doubt ends with nothing but a success.
async fn is_in_doubt(store: &dyn Store, delivery: &str) -> Stored<bool> {
    let Some((_, attempts, _)) = store.delivery(delivery).await? else { return Ok(false) };
    let doubtful = [Class::Unknown.name(), Class::Defect.name()];
    Ok(attempts.iter().any(|one| one.class.as_deref().is_none_or(|class| doubtful.contains(&class))))
}

/// What keeps an order from being taken back: it is on its way, or nobody knows what became of it.
fn in_the_way(state: State, is_certain: bool, number: &str) -> Option<Text> {
    match state {
        State::Rejected | State::Superseded | State::Parked if is_certain => None,
        State::Rejected | State::Superseded | State::Parked => Some(Text::new(
            format!(
                "开票单 {number} 是否已开具未知：请在开票平台查明，未开出的以 --checked（接口 checked）撤回"
            ),
            format!(
                "nobody knows whether the invoice of {number} was issued: look at the platform, and if it was not, withdraw it with --checked (API: checked)"
            ),
        )),
        State::Posted => Some(Text::new(
            format!("开票单 {number} 已开具：请红冲"),
            format!("the invoice of {number} was issued: take it back by a red one"),
        )),
        State::Pending | State::Calling | State::Waiting => Some(Text::new(
            format!("开票单 {number} 正在开具；挂起或被拒后才能撤回"),
            format!(
                "the invoice of {number} is on its way; it can be withdrawn once it is parked or refused"
            ),
        )),
    }
}

fn overtaken() -> Text {
    Text::new(
        "其间有人改动了这些申请，请重新查看",
        "somebody has changed these requests meanwhile: look again",
    )
}
