//! Everything about the invoices of one contract, read together.
//!
//! Contract, credit notes and issued invoices are read from their events when they are needed, and kept as papers from then on:
//! so the control may be switched on for contracts that were invoiced before, and knows them still when their events are in an
//! archive. An invoice or a credit note whose lines nobody knows counts against the contract as a whole.

use super::paper::{self, APPROVED, CONTRACT, CREDIT, INVOICE, KNOWN, Kept, ORDER, REQUEST, WAITING};
use crate::intake::store_unavailable;
use crate::output;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use tongbao_delivery::invoicing::InvoicePaper;
use tongbao_delivery::port::{LedgerEntry, Store, StoreError, Stored};
use tongbao_model::event::kinds;
use tongbao_model::record::{Contract, CreditNote, Invoice, InvoiceOrder, InvoiceRequest};
use tongbao_model::{Code, Event, Fault, decimal};
use tongbao_recon::MovementKind;
use tongbao_recon::invoicing::{self, Control, Entry, EntryKind, LineKey, Share, positions};

/// Status of an invoice that counts for nothing any more.
const VOIDED: &str = "voided";

/// An invoice that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Its number.
    pub number: String,
    /// Our order number at the platform.
    pub order_number: String,
    /// What it counts for on this contract, with tax; less than zero for a red one.
    pub amount: Decimal,
    /// When, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// Whether the control let it through.
    pub is_controlled: bool,
    /// Its lines, if they are known.
    pub order: Option<InvoiceOrder>,
}

/// An order or a waiting request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// As it is kept.
    pub kept: Kept,
    /// Where it stands.
    pub paper: InvoicePaper,
}

/// What a request's number was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Number of the (first) invoice order.
    pub order: String,
    /// Its state, or `issued`.
    pub state: String,
    /// What it comes to, with tax. `None`: beyond what can be computed.
    pub total: Option<Decimal>,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The contract in its newest revision.
    pub contract: Contract,
    /// Since when it is annulled, in milliseconds since 1970 UTC: nothing more may be invoiced.
    pub annulled_at_ms: Option<i64>,
    /// How its lines stand.
    pub control: Control,
    /// Orders and requests, in any state.
    pub filed: Vec<Filed>,
    /// Issued invoices, by number.
    pub issued: Vec<Issued>,
    /// What was invoiced, or credited, of lines that nobody knows: counts against the contract as a whole. With tax.
    pub unplaced: Decimal,
    /// What is not kept yet.
    pub fresh: Vec<InvoicePaper>,
}

/// A reason why there is no folder: a fault of the document, or of the database.
pub enum Missing {
    /// The database.
    Store(StoreError),
    /// Contract unknown, or amounts out of range.
    Fault(Fault),
}

impl From<StoreError> for Missing {
    fn from(error: StoreError) -> Missing {
        Missing::Store(error)
    }
}

impl From<Fault> for Missing {
    fn from(fault: Fault) -> Missing {
        Missing::Fault(fault)
    }
}

impl From<Missing> for Fault {
    fn from(missing: Missing) -> Fault {
        match missing {
            Missing::Store(error) => store_unavailable(&error),
            Missing::Fault(fault) => fault,
        }
    }
}

/// A paper that is not an order, as it was read or is to be kept.
struct Read<T> {
    record: T,
    at_ms: i64,
    fresh: Option<InvoicePaper>,
}

impl Folder {
    /// Reads it.
    ///
    /// # Errors
    /// The contract is not known; what the database said; amounts leave the range.
    pub async fn of(store: &dyn Store, contract: &str) -> Result<Folder, Missing> {
        let papers = store.invoice_papers(contract).await?;
        let ledger = store.ledger(contract).await?;
        let signed = newest_contract(store, contract, &papers).await?;
        let annulled_at_ms = annulled(store, contract, signed.at_ms).await?;
        let mut fresh: Vec<InvoicePaper> = signed.fresh.into_iter().collect();
        let contract = signed.record;
        let mut filed = Vec::new();
        for one in papers.iter().filter(|one| one.kind == ORDER || one.kind == REQUEST) {
            filed.push(Filed { kept: paper::read(one)?, paper: one.clone() });
        }
        let (mut credits, mut unplaced) = (Vec::new(), Decimal::ZERO);
        for entry in ledger.iter().filter(|entry| entry.kind == MovementKind::Credited.name()) {
            match known::<CreditNote>(store, CREDIT, &papers, entry).await? {
                None => unplaced = less(unplaced, amount(entry)?)?,
                Some(read) => {
                    fresh.extend(read.fresh);
                    credits.push(read.record);
                }
            }
        }
        let mut issued = Vec::new();
        for entry in ledger.iter().filter(|entry| entry.kind == MovementKind::Invoiced.name()) {
            let Some(read) = known::<Invoice>(store, INVOICE, &papers, entry).await? else {
                unplaced = decimal::add(unplaced, amount(entry)?).ok_or_else(range)?;
                continue;
            };
            fresh.extend(read.fresh);
            if read.record.status != VOIDED {
                issued.push(issue(store, &contract, &filed, entry, &read.record).await?);
            }
        }
        let mut booking = Booking::new(&contract, unplaced)?;
        booking.credits(&credits)?;
        booking.filed(&filed)?;
        booking.issued(&issued)?;
        let control = Control::of(&contract.number, &contract.currency, &booking.entries)?;
        Ok(Folder { control, filed, issued, unplaced: booking.unplaced, fresh, annulled_at_ms, contract })
    }

    /// The same for people: what the database said apart from why there is nothing.
    ///
    /// # Errors
    /// What the database said.
    pub async fn found(store: &dyn Store, contract: &str) -> Stored<Result<Folder, Fault>> {
        match Folder::of(store, contract).await {
            Ok(folder) => Ok(Ok(folder)),
            Err(Missing::Store(error)) => Err(error),
            Err(Missing::Fault(fault)) => Ok(Err(fault)),
        }
    }

    /// What may still be asked for of the contract as a whole, with tax.
    pub fn left(&self) -> Option<Decimal> {
        let lines = self.control.lines.values().map(|line| line.left.amounts.gross.max(Decimal::ZERO));
        decimal::add(lines.into_iter().try_fold(Decimal::ZERO, decimal::add)?, -self.unplaced)
    }

    /// Why nothing of it may be invoiced at all, if so.
    ///
    /// # Errors
    /// It is annulled.
    pub fn stands(&self) -> Result<(), Fault> {
        let Some(at_ms) = self.annulled_at_ms else { return Ok(()) };
        let (contract, at) = (&self.contract.number, output::time(at_ms));
        let fault = Fault::new(
            Code::OverInvoiced,
            format!("合同 {contract} 已于 {at} 作废，不可再开票"),
            format!("the contract {contract} was annulled at {at}: nothing more may be invoiced"),
        );
        Err(fault.at("contract_number").remedy(
            "已开的请红冲；合同重新签署后以新申请号再申请。",
            "Take back what was issued; ask under a new number once the contract is signed anew.",
        ))
    }

    /// Whether there is room for a sum, with tax, beside what was invoiced of lines that nobody knows.
    ///
    /// # Errors
    /// There is none; amounts leave the range.
    pub fn leaves_room(&self, sum: Decimal) -> Result<(), Fault> {
        if self.unplaced.is_zero() {
            return Ok(());
        }
        let left = self.left().ok_or_else(range)?;
        if sum <= left {
            return Ok(());
        }
        let unplaced = self.unplaced;
        let fault = Fault::new(
            Code::OverInvoiced,
            format!("合同整体超开：申请 {sum}，可开 {left}（另有 {unplaced} 的发票或红字单不知其明细行）"),
            format!(
                "the contract would be over-invoiced: {sum} is asked for, {left} is left, with {unplaced} of which no lines are known"
            ),
        );
        Err(fault.at("total_tax_included").value(sum.to_string()))
    }

    /// What a number was used for: a number is used once, and by what was invoiced before there was a control too.
    pub fn used(&self, number: &str) -> Option<Used> {
        let is_of = |one: &&Filed| {
            let own = [&one.paper.number, &one.kept.order.request_number];
            own.into_iter().chain(&one.kept.requests).any(|used| used == number)
        };
        let theirs = || self.filed.iter().filter(is_of);
        if let Some(first) = theirs().next() {
            let totals = theirs().map(|one| one.kept.order.total_tax_included.0);
            return Some(Used {
                order: first.kept.order.number.clone(),
                state: first.paper.state.clone(),
                total: totals.into_iter().try_fold(Decimal::ZERO, decimal::add),
            });
        }
        let issued = self.issued.iter().find(|one| one.order_number == number)?;
        Some(Used { order: number.to_owned(), state: "issued".to_owned(), total: Some(issued.amount) })
    }

    /// A number for an invoice that nobody asked for by a number: the contract's, then with `-R2`, `-R3`.
    pub fn free_number(&self) -> String {
        let contract = &self.contract.number;
        let more = (2_u32..).map(|count| format!("{contract}-R{count}"));
        let is_free = |number: &String| self.used(number).is_none();
        std::iter::once(contract.clone()).chain(more).find(is_free).unwrap_or_default()
    }

    /// The issued invoice of a number.
    pub fn invoice(&self, number: &str) -> Option<&Issued> {
        self.issued.iter().find(|one| one.number == number)
    }

    /// Orders that take back an invoice, and count or were issued all the same.
    pub fn reds_of(&self, invoice: &str) -> Vec<InvoiceOrder> {
        let is_of = |order: &&InvoiceOrder| order.blue_invoice.as_deref() == Some(invoice);
        let counts = |one: &&Filed| one.counts() || self.is_issued(&one.kept.order.number);
        self.filed.iter().filter(counts).map(|one| &one.kept.order).filter(is_of).cloned().collect()
    }

    /// Whether the invoice of an order number was issued.
    pub fn is_issued(&self, order: &str) -> bool {
        self.issued.iter().any(|one| one.order_number == order)
    }
}

impl Filed {
    /// Whether it is to be issued, or was.
    pub fn counts(&self) -> bool {
        self.paper.kind == ORDER && self.paper.state == APPROVED
    }

    /// Whether it waits to be put together.
    pub fn waits(&self) -> bool {
        self.paper.kind == REQUEST && self.paper.state == WAITING
    }
}

/// The contract in its newest revision: from its event, or as it was kept where that is in an archive.
async fn newest_contract(
    store: &dyn Store,
    number: &str,
    papers: &[InvoicePaper],
) -> Result<Read<Contract>, Missing> {
    let kept = papers.iter().find(|one| one.kind == CONTRACT);
    let event = store.newest(kinds::CONTRACT_SIGNED, number, i64::MAX).await?;
    let newer = event.filter(|event| kept.is_none_or(|kept| kept.revision < event.revision));
    match (newer, kept) {
        (Some(event), _) => {
            let record: Contract = record(&event)?;
            let fresh = paper::of_contract(&record, event.revision, &event.id, event.occurred_at_ms);
            Ok(Read { record, at_ms: fresh.at_ms, fresh: Some(fresh) })
        }
        (None, Some(kept)) => Ok(Read { record: paper::read(kept)?, at_ms: kept.at_ms, fresh: None }),
        (None, None) => {
            let fault = Fault::new(
                Code::RelatedMissing,
                format!("合同 {number} 尚未到达，无从核对可开票金额"),
                format!("the contract {number} has not come, so nobody knows what may be invoiced"),
            );
            Err(fault.at("contract_number").into())
        }
    }
}

/// When the contract was annulled, unless it was signed anew since.
async fn annulled(store: &dyn Store, contract: &str, signed_at_ms: i64) -> Stored<Option<i64>> {
    let event = store.newest(kinds::CONTRACT_ANNULLED, contract, i64::MAX).await?;
    Ok(event.map(|event| event.occurred_at_ms).filter(|at_ms| *at_ms >= signed_at_ms))
}

/// A document on the account: as kept, or from its event. `None`: its event is in an archive.
async fn known<T: DeserializeOwned + serde::Serialize>(
    store: &dyn Store,
    kind: &str,
    papers: &[InvoicePaper],
    entry: &LedgerEntry,
) -> Stored<Option<Read<T>>> {
    let is_it = |one: &&InvoicePaper| {
        one.kind == kind && one.number == entry.origin && one.revision >= entry.revision
    };
    if let Some(kept) = papers.iter().find(is_it) {
        return Ok(Some(Read { record: paper::read(kept)?, at_ms: kept.at_ms, fresh: None }));
    }
    let Some(event) = store.event(&entry.event).await? else { return Ok(None) };
    // What is no whole document has no lines that could be known.
    let Ok(record) = serde_json::from_str::<T>(&event.record) else { return Ok(None) };
    let fresh = InvoicePaper {
        contract: entry.contract.clone(),
        kind: kind.to_owned(),
        number: entry.origin.clone(),
        revision: entry.revision,
        state: KNOWN.to_owned(),
        event: entry.event.clone(),
        at_ms: entry.at_ms,
        customer: entry.customer.clone(),
        record: paper::text(&record),
    };
    Ok(Some(Read { record, at_ms: fresh.at_ms, fresh: Some(fresh) }))
}

/// An issued invoice with its lines: of the order that was let through, else of the contract or request it was made of before
/// there was a control.
async fn issue(
    store: &dyn Store,
    contract: &Contract,
    filed: &[Filed],
    entry: &LedgerEntry,
    invoice: &Invoice,
) -> Result<Issued, Missing> {
    let is_its = |one: &&Filed| one.paper.kind == ORDER && one.kept.order.number == invoice.order_number;
    let controlled = filed.iter().find(is_its).map(|one| one.kept.order.clone());
    let is_controlled = controlled.is_some();
    let amount = amount(entry)?;
    let order = match controlled {
        Some(order) => Some(order),
        None if invoice.order_number == contract.number => Some(invoicing::whole(contract)?),
        None => {
            let event = store.newest(kinds::INVOICE_REQUESTED, &invoice.order_number, i64::MAX).await?;
            let request = event.and_then(|event| serde_json::from_str::<InvoiceRequest>(&event.record).ok());
            request.map(|request| invoicing::uncontrolled(&request)).transpose()?
        }
    };
    // Only what is of this contract and comes to the invoice's own amount is what it was made of.
    let is_its = |order: &InvoiceOrder| {
        order.contract_number == contract.number && order.total_tax_included.0 == amount
    };
    let order = order.filter(|order| is_controlled || is_its(order));
    Ok(Issued {
        number: entry.origin.clone(),
        order_number: invoice.order_number.clone(),
        amount,
        at_ms: entry.at_ms,
        is_controlled,
        order,
    })
}

/// The control's entries while they are gathered.
struct Booking<'c> {
    contract: &'c Contract,
    own: Control,
    entries: Vec<Entry>,
    unplaced: Decimal,
}

impl<'c> Booking<'c> {
    fn new(contract: &'c Contract, unplaced: Decimal) -> Result<Booking<'c>, Fault> {
        let lines = positions(&contract.lines).ok_or_else(range)?;
        let entries: Vec<Entry> =
            lines.into_iter().map(|(key, share)| Entry { kind: EntryKind::Contracted, key, share }).collect();
        let own = Control::of(&contract.number, &contract.currency, &entries)?;
        Ok(Booking { contract, own, entries, unplaced })
    }

    /// Books lines; what the contract has no line for, any more, counts against all of it.
    fn book(
        &mut self,
        kind: EntryKind,
        lines: impl IntoIterator<Item = (LineKey, Share)>,
    ) -> Result<(), Fault> {
        for (key, share) in lines {
            if self.own.place(&key).is_some() {
                self.entries.push(Entry { kind: kind.clone(), key, share });
                continue;
            }
            let gross = share.amounts.gross;
            let against = if kind == EntryKind::Credited { -gross } else { gross };
            self.unplaced = decimal::add(self.unplaced, against).ok_or_else(range)?;
        }
        Ok(())
    }

    fn credits(&mut self, credits: &[CreditNote]) -> Result<(), Fault> {
        for credit in credits {
            self.book(EntryKind::Credited, positions(&credit.lines).ok_or_else(range)?)?;
        }
        Ok(())
    }

    fn filed(&mut self, filed: &[Filed]) -> Result<(), Fault> {
        let blue = |one: &&Filed| one.kept.order.blue_invoice.is_none();
        for one in filed.iter().filter(|one| one.counts() || one.waits()).filter(blue) {
            let lines = summed(&one.kept.order, self.contract)?;
            self.book(EntryKind::Asked(asked_as(one)), lines)?;
        }
        Ok(())
    }

    fn issued(&mut self, issued: &[Issued]) -> Result<(), Fault> {
        for one in issued {
            let Some(order) = &one.order else {
                self.unplaced = decimal::add(self.unplaced, one.amount).ok_or_else(range)?;
                continue;
            };
            let kind = match (&order.blue_invoice, one.is_controlled) {
                (Some(_), _) => EntryKind::Red,
                (None, true) => EntryKind::Invoiced(Some(order.number.clone())),
                (None, false) => EntryKind::Invoiced(None),
            };
            let lines = summed(order, self.contract)?;
            // What has no line counted against the whole already when it was let through.
            let placed =
                lines.into_iter().filter(|(key, _)| !one.is_controlled || self.own.place(key).is_some());
            let placed: Vec<(LineKey, Share)> = placed.collect();
            self.book(kind, placed)?;
        }
        Ok(())
    }
}

/// Under what name it is asked for. A waiting request and an order may have one number.
fn asked_as(filed: &Filed) -> String {
    if filed.waits() {
        format!("{WAITING}:{}", filed.kept.order.number)
    } else {
        filed.kept.order.number.clone()
    }
}

fn summed(order: &InvoiceOrder, contract: &Contract) -> Result<BTreeMap<LineKey, Share>, Fault> {
    invoicing::summed(std::slice::from_ref(order), &contract.number)
}

fn record<T: DeserializeOwned>(event: &Event) -> Result<T, Fault> {
    serde_json::from_str(&event.record)
        .map_err(|_| Fault::new(Code::Defect, "事件内容无法读取", "the event's record cannot be read"))
}

fn amount(entry: &LedgerEntry) -> Result<Decimal, Fault> {
    decimal::parse(&entry.amount).map_err(|_| range())
}

fn less(from: Decimal, amount: Decimal) -> Result<Decimal, Fault> {
    decimal::add(from, -amount).ok_or_else(range)
}

/// Amounts beyond what can be computed exactly.
pub fn range() -> Fault {
    Fault::new(
        Code::NumberRange,
        "金额超出可精确计算的范围",
        "the amounts leave the range of exact arithmetic",
    )
}
