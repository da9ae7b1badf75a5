//! Invoices of a contract as people look at them, and orders, invoices and receipts held against each other.

use super::by_hand::every;
use super::folder::{Filed, Folder, Issued};
use super::paper::{self, Kept, REQUEST, WAITING};
use crate::ledger;
use crate::output;
use crate::statements::compared::order_of;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tongbao_delivery::invoicing::PaperFilter;
use tongbao_delivery::port::{Holder, LedgerEntry, Store, Stored};
use tongbao_model::{Exact, Fault, Text, decimal};
use tongbao_recon::invoicing::{LineKey, Share, Standing};
use tongbao_recon::statement::money;

/// Contracts in one answer of [`three_way`], at most.
const PAGE: u64 = 500;

/// Quantity and amounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// How many.
    pub quantity: Exact,
    /// Without tax.
    pub net: Exact,
    /// Tax.
    pub tax: Exact,
    /// With tax.
    pub gross: Exact,
}

/// A line of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its number.
    pub line: i64,
    /// Code of the product.
    pub product: String,
    /// Name of the product.
    pub name: Option<String>,
    /// Tax rate as a fraction.
    pub rate: Exact,
    /// What may be invoiced: contracted less credited.
    pub may: Figure,
    /// Asked for and let through, whether invoiced by now or not.
    pub asked: Figure,
    /// Invoiced.
    pub invoiced: Figure,
    /// Taken back by red invoices; zero or less.
    pub red: Figure,
    /// Left. Less than zero: a red invoice is due.
    pub left: Figure,
}

/// An invoice order or a request that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Order number at the platform.
    pub number: String,
    /// `order`, or `request` for one that waits to be put together.
    pub kind: String,
    /// `approved`, `waiting`, `merged` or `withdrawn`; `issued` once there is an invoice.
    pub state: String,
    /// `special` or `ordinary`.
    pub invoice_kind: String,
    /// Requests it was made of.
    pub requests: Vec<String>,
    /// With tax; of all contracts on it.
    pub total: Exact,
    /// Invoice that it takes back.
    pub blue_invoice: Option<String>,
    /// Number of the issued invoice.
    pub invoice: Option<String>,
    /// Who put it together or withdrew it.
    pub who: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// When.
    pub at: String,
}

/// An issued invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invoice {
    /// Its number.
    pub number: String,
    /// Our order number at the platform.
    pub order_number: String,
    /// What it counts for on this contract, with tax.
    pub amount: Exact,
    /// Whether its lines are known. What has none counts against the contract as a whole.
    pub has_lines: bool,
    /// When it was issued.
    pub at: String,
}

/// What there is about the invoices of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Contract number.
    pub contract: String,
    /// Code of the customer.
    pub customer: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// Since when it is annulled: nothing more may be invoiced.
    pub annulled_at: Option<String>,
    /// By line.
    pub lines: Vec<Line>,
    /// What was let through, and what waits.
    pub orders: Vec<Order>,
    /// What was issued.
    pub invoices: Vec<Invoice>,
    /// Invoiced, or credited, of lines that nobody knows. With tax.
    pub unplaced: Exact,
    /// What may still be asked for in all, with tax.
    pub left: Exact,
}

/// How order, invoices and receipts of a contract stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// The ERP has no order.
    OrderMissing,
    /// The ERP's order has another amount than the contract.
    OrderDiffers,
    /// More is invoiced than is contracted.
    OverInvoiced,
    /// Less is invoiced than is contracted.
    ToInvoice,
    /// Less came in than is invoiced.
    Receivable,
    /// More came in than is invoiced.
    Advance,
}

impl Match {
    /// In words.
    pub fn told(self) -> Text {
        let (zh, en) = match self {
            Match::OrderMissing => ("ERP 无订单", "no order in the ERP"),
            Match::OrderDiffers => ("订单金额不符", "the order differs"),
            Match::OverInvoiced => ("多开票", "over-invoiced"),
            Match::ToInvoice => ("待开票", "to be invoiced"),
            Match::Receivable => ("待收款", "to be received"),
            Match::Advance => ("预收", "received in advance"),
        };
        Text::new(zh, en)
    }
}

/// One contract: its order in the ERP, its invoices, its receipts. All with tax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Matched {
    /// Contract number.
    pub contract: String,
    /// Code of the customer.
    pub customer: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// Contracted, without credit notes.
    pub contracted: Exact,
    /// The order's number in the ERP.
    pub order: Option<String>,
    /// As the ERP has it.
    pub ordered: Option<Exact>,
    /// Credited; zero or less.
    pub credited: Exact,
    /// Invoiced, red ones taken off.
    pub invoiced: Exact,
    /// Received.
    pub received: Exact,
    /// What banks kept of it.
    pub fees: Exact,
    /// Where they do not agree; nothing: all is ordered, invoiced and received.
    pub matches: Vec<Match>,
}

/// A request that waits to be put together with others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Its number.
    pub number: String,
    /// Contract it bills.
    pub contract: String,
    /// Code of the customer.
    pub customer: Option<String>,
    /// `special` or `ordinary`.
    pub invoice_kind: String,
    /// ISO 4217 code.
    pub currency: String,
    /// With tax.
    pub total: Exact,
    /// Since when.
    pub at: String,
}

/// What there is about the invoices of a contract.
///
/// # Errors
/// What the database said; the inner error says why there is nothing.
pub async fn show(store: &dyn Store, contract: &str) -> Stored<Result<Shown, Fault>> {
    let folder = match Folder::found(store, contract).await? {
        Ok(folder) => folder,
        Err(fault) => return Ok(Err(fault)),
    };
    let Some(left) = folder.left() else { return Ok(Err(super::folder::range())) };
    let name = |key: &LineKey| {
        let line = folder.contract.lines.iter().find(|line| line.line == key.line)?;
        line.product.name.clone()
    };
    let lines = folder.control.lines.iter().map(|(key, standing)| line(key, name(key), standing)).collect();
    Ok(Ok(Shown {
        contract: folder.contract.number.clone(),
        customer: folder.contract.customer.as_ref().map(|customer| customer.code.clone()),
        currency: folder.contract.currency.clone(),
        annulled_at: folder.annulled_at_ms.map(output::time),
        lines,
        orders: folder.filed.iter().map(|one| order(one, &folder.issued)).collect(),
        invoices: folder.issued.iter().map(invoice).collect(),
        unplaced: money(folder.unplaced),
        left: money(left),
    }))
}

fn line(key: &LineKey, name: Option<String>, standing: &Standing) -> Line {
    let figure = |share: Share| Figure {
        quantity: Exact(share.quantity.normalize()),
        net: money(share.amounts.net),
        tax: money(share.amounts.tax),
        gross: money(share.amounts.gross),
    };
    Line {
        line: key.line,
        product: key.product.clone(),
        name,
        rate: Exact(key.rate),
        may: figure(standing.may),
        asked: figure(standing.asked),
        invoiced: figure(standing.invoiced),
        red: figure(standing.red),
        left: figure(standing.left),
    }
}

fn order(filed: &Filed, issued: &[Issued]) -> Order {
    let Filed { kept, paper } = filed;
    let invoice = issued.iter().find(|one| one.order_number == paper.number && paper.kind != REQUEST);
    Order {
        number: paper.number.clone(),
        kind: paper.kind.clone(),
        state: if invoice.is_some() { "issued".to_owned() } else { paper.state.clone() },
        invoice_kind: kept.order.kind.clone(),
        requests: kept.requests.clone(),
        total: kept.order.total_tax_included,
        blue_invoice: kept.order.blue_invoice.clone(),
        invoice: invoice.map(|one| one.number.clone()),
        who: kept.who.clone(),
        why: kept.why.clone(),
        at: output::time(paper.at_ms),
    }
}

fn invoice(issued: &Issued) -> Invoice {
    Invoice {
        number: issued.number.clone(),
        order_number: issued.order_number.clone(),
        amount: money(issued.amount),
        has_lines: issued.order.is_some(),
        at: output::time(issued.at_ms),
    }
}

/// Requests that wait to be put together: of a customer, or all.
///
/// # Errors
/// What the database said.
pub async fn waiting(store: &dyn Store, customer: Option<&str>) -> Stored<Vec<Waiting>> {
    let filter = PaperFilter {
        kind: Some(REQUEST.to_owned()),
        state: Some(WAITING.to_owned()),
        customer: customer.map(str::to_owned),
        ..PaperFilter::default()
    };
    let mut all = Vec::new();
    for paper in every(store, filter).await? {
        let kept: Kept = paper::read(&paper)?;
        all.push(Waiting {
            number: paper.number,
            contract: paper.contract,
            customer: paper.customer,
            invoice_kind: kept.order.kind,
            currency: kept.order.currency,
            total: kept.order.total_tax_included,
            at: output::time(paper.at_ms),
        });
    }
    Ok(all)
}

/// Orders, invoices and receipts of contracts held against each other: of a contract, of a customer, or of all after a number,
/// a page at a time with where to go on. `has_orders`: whether contracts become orders in an ERP at all.
///
/// # Errors
/// What the database said; amounts that leave the range.
pub async fn three_way(
    store: &dyn Store,
    of: Option<&Holder>,
    after: Option<String>,
    has_orders: bool,
) -> Stored<Result<(Vec<Matched>, Option<String>), Text>> {
    let (entries, next) = match of {
        Some(of) => (store.ledger_as_of(of, i64::MAX).await?, None),
        None => {
            let page = store.accounts(after, PAGE).await?;
            (page.entries, page.next)
        }
    };
    let mut by_contract: BTreeMap<String, Vec<LedgerEntry>> = BTreeMap::new();
    for entry in entries {
        by_contract.entry(entry.contract.clone()).or_default().push(entry);
    }
    let mut all = Vec::new();
    for (contract, entries) in by_contract {
        match matched(store, &contract, &entries, has_orders).await? {
            Some(one) => all.push(one),
            None => {
                return Ok(Err(Text::new(
                    format!("合同 {contract} 的账目无法合计：见 recon contract {contract}"),
                    format!("the account of {contract} cannot be summed up: see recon contract {contract}"),
                )));
            }
        }
    }
    Ok(Ok((all, next)))
}

/// `None`: the account has no sums.
async fn matched(
    store: &dyn Store,
    contract: &str,
    entries: &[LedgerEntry],
    has_orders: bool,
) -> Stored<Option<Matched>> {
    let signed = entries.iter().find(|entry| entry.kind == LedgerEntry::ORDERED);
    let order = match signed.filter(|_| has_orders) {
        Some(signed) => order_of(store, &signed.event, i64::MAX).await?.map(|(order, _)| order),
        None => None,
    };
    let sum = |kind: tongbao_recon::MovementKind| {
        let of_kind = entries.iter().filter(|entry| entry.kind == kind.name());
        of_kind
            .map(|entry| decimal::parse(&entry.amount).ok())
            .try_fold(Decimal::ZERO, |sum, one| decimal::add(sum, one?))
    };
    use tongbao_recon::MovementKind::{Credited, Fee, Invoiced, Ordered, Received};
    let sums = (sum(Ordered), sum(Credited), sum(Invoiced), sum(Received), sum(Fee));
    let (Some(contracted), Some(credited), Some(invoiced), Some(received), Some(fees)) = sums else {
        return Ok(None);
    };
    // Money in another currency than the contract's is no sum.
    if !matches!(ledger::account(entries), Ok(_) | Err(tongbao_recon::AccountError::NoContract)) {
        return Ok(None);
    }
    let ordered = order.as_ref().and_then(|order| order.total_tax_included);
    let (Some(due), Some(settled)) = (decimal::add(contracted, credited), decimal::add(received, fees))
    else {
        return Ok(None);
    };
    let mut matches = Vec::new();
    if has_orders && signed.is_some() && order.is_none() {
        matches.push(Match::OrderMissing);
    }
    if ordered.is_some_and(|ordered| ordered.0 != contracted) {
        matches.push(Match::OrderDiffers);
    }
    match invoiced.cmp(&due) {
        std::cmp::Ordering::Greater => matches.push(Match::OverInvoiced),
        std::cmp::Ordering::Less => matches.push(Match::ToInvoice),
        std::cmp::Ordering::Equal => {}
    }
    // What a bank kept is settled.
    match settled.cmp(&invoiced) {
        std::cmp::Ordering::Less => matches.push(Match::Receivable),
        std::cmp::Ordering::Greater => matches.push(Match::Advance),
        std::cmp::Ordering::Equal => {}
    }
    let currency = signed.or(entries.first()).map(|entry| entry.currency.clone()).unwrap_or_default();
    Ok(Some(Matched {
        contract: contract.to_owned(),
        customer: signed.and_then(|signed| signed.customer.clone()),
        currency,
        contracted: money(contracted),
        order: order.map(|order| order.number),
        ordered: ordered.map(|ordered| money(ordered.0)),
        credited: money(credited),
        invoiced: money(invoiced),
        received: money(received),
        fees: money(fees),
        matches,
    }))
}
