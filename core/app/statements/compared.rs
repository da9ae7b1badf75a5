//! The books held against each other, per customer up to the end of a month: contracts in the CRM against orders in the ERP,
//! receivables in the ERP against invoices as the tax platform has them, receipts in the ERP against the bank. Only what both
//! books can know under one number is compared: a contract, its invoices and its receivables under the contract's, a receipt under
//! the bank's reference, an allocated payment with the one that it was paired with. What has no such number is counted and left
//! out, and never guessed at.

use super::{Books, Failed, schedule, why};
use crate::config::{LEDGER, StatementRules};
use crate::output;
use crate::routes::Routes;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tongbao_delivery::payments::{Allocation, PaymentBook, PaymentFilter};
use tongbao_delivery::port::{Holder, LedgerEntry, Store, Stored};
use tongbao_model::event::kinds;
use tongbao_model::record::{BankEntry, Payment, SalesOrder};
use tongbao_model::{Event, Exact, Month, decimal};
use tongbao_recon::MovementKind;
use tongbao_recon::statement::drift::{Book, Drift, Figure, LIMIT, Measure, drifts};

/// Entries of bank statements that are looked at, the newest. A receipt before all of them is left out.
const BANK_ENTRIES: u64 = 10_000;

/// What the comparison goes by.
#[derive(Debug, Clone, Default)]
pub struct Against {
    /// How statements are sent: it holds the limits.
    pub rules: Option<Arc<StatementRules>>,
    /// Whether any flow makes orders in an ERP: without one, no order is missing there.
    pub has_orders: bool,
    /// Whether the ERP's receivables come to the accounts: without them, none is missing there.
    pub has_receivables: bool,
}

impl Against {
    /// What flows and rules say.
    pub fn new(rules: Option<Arc<StatementRules>>, routes: &Routes) -> Against {
        Against {
            rules,
            has_orders: routes.emits(kinds::SALES_ORDER_POSTED),
            has_receivables: routes.brings(kinds::RECEIVABLE_BOOKED, LEDGER),
        }
    }

    /// Above which share of the larger amount a drift is over, for a customer.
    pub fn limit(&self, customer: &str) -> Decimal {
        let rules = self.rules.as_ref();
        let own = rules.and_then(|rules| rules.customers.get(customer)?.drift_limit);
        own.or(rules.map(|rules| rules.drift_limit)).unwrap_or(LIMIT)
    }
}

/// What the books say of a customer, and where they do not say the same.
#[derive(Debug, Clone)]
pub struct Compared {
    /// Above which share of the larger amount a drift is over.
    pub limit: Decimal,
    /// What each book says.
    pub figures: Vec<Figure>,
    /// Where two of them differ.
    pub drifts: Vec<Drift>,
    /// Documents that have no number which both books know, of which the ERP tells no amount, or that are archived.
    pub left_out: u64,
}

impl Compared {
    /// Whether a drift is over the limit.
    pub fn is_over(&self) -> bool {
        self.drifts.iter().any(|drift| drift.is_over)
    }

    /// For programs.
    pub fn told(&self) -> Value {
        let figure = |figure: &Figure| {
            let sum = figure.documents.values().try_fold(Decimal::ZERO, |sum, one| decimal::add(sum, *one));
            json!({
                "book": figure.book, "measure": figure.measure, "currency": figure.currency,
                "amount": sum.map(|sum| tongbao_recon::statement::money(sum).text()),
                "as_of": output::time(figure.as_of_ms), "documents": figure.documents.len(),
            })
        };
        let side = |side: &tongbao_recon::statement::drift::Side| json!({"book": side.book, "amount": side.amount, "as_of": output::time(side.as_of_ms)});
        let drift = |drift: &Drift| {
            json!({
                "measure": drift.measure, "currency": drift.currency, "left": side(&drift.left),
                "right": side(&drift.right), "difference": drift.difference, "over": drift.is_over,
                "documents": drift.documents,
            })
        };
        json!({
            "limit": Exact(self.limit), "figures": self.figures.iter().map(figure).collect::<Vec<_>>(),
            "drifts": self.drifts.iter().map(drift).collect::<Vec<_>>(), "left_out": self.left_out,
        })
    }
}

/// The newest entries of bank statements, by currency and the bank's reference. Read once for many customers.
#[derive(Debug, Clone, Default)]
pub struct Bank {
    entries: BTreeMap<(String, String), Vec<(i64, Decimal)>>,
    /// Before this nothing is known; milliseconds since 1970 UTC.
    since_ms: i64,
}

impl Bank {
    /// Reads them.
    ///
    /// # Errors
    /// What the database said.
    pub async fn load(store: &dyn Store) -> Stored<Bank> {
        let events = store.latest(&[kinds::BANK_BOOKED], BANK_ENTRIES).await?;
        let is_all = u64::try_from(events.len()).unwrap_or(0) < BANK_ENTRIES;
        let oldest_ms = events.iter().map(|event| event.occurred_at_ms).min();
        let mut newest: BTreeMap<String, Event> = BTreeMap::new();
        for event in events {
            let is_older = newest.get(&event.key).is_some_and(|known| known.revision >= event.revision);
            if !is_older {
                newest.insert(event.key.clone(), event);
            }
        }
        let mut bank = Bank { since_ms: i64::MIN, ..Bank::default() };
        if !is_all {
            bank.since_ms = oldest_ms.unwrap_or(i64::MIN);
        }
        for event in newest.values() {
            let Ok(entry) = serde_json::from_str::<BankEntry>(&event.record) else { continue };
            let Some(reference) = entry.bank_reference.filter(|one| !one.is_empty()) else { continue };
            let amount = if entry.direction == "in" { entry.amount.0 } else { -entry.amount.0 };
            bank.entries.entry((entry.currency, reference)).or_default().push((event.occurred_at_ms, amount));
        }
        Ok(bank)
    }

    /// What moved under a reference by a time, and when last.
    fn moved(&self, currency: &str, reference: &str, until_ms: i64) -> Option<(Decimal, i64)> {
        let all = self.entries.get(&(currency.to_owned(), reference.to_owned()))?;
        let known = || all.iter().filter(|(at_ms, _)| *at_ms <= until_ms);
        let sum = known().try_fold(Decimal::ZERO, |sum, (_, amount)| decimal::add(sum, *amount))?;
        Some((sum, known().map(|(at_ms, _)| *at_ms).max()?))
    }
}

/// A book's figures while they are gathered: by currency.
#[derive(Default)]
struct Gathered(BTreeMap<String, (i64, BTreeMap<String, Decimal>)>);

impl Gathered {
    fn add(&mut self, currency: &str, number: &str, amount: Decimal, at_ms: i64) -> Option<()> {
        let (as_of_ms, documents) = self.0.entry(currency.to_owned()).or_default();
        *as_of_ms = (*as_of_ms).max(at_ms);
        let sum = documents.entry(number.to_owned()).or_default();
        *sum = decimal::add(*sum, amount)?;
        Some(())
    }

    /// A book that is silent of a currency says nothing of it, which is a figure too.
    fn also(&mut self, other: &Gathered, as_of_ms: i64) {
        for currency in other.0.keys() {
            self.0.entry(currency.clone()).or_insert_with(|| (as_of_ms, BTreeMap::new()));
        }
    }

    fn figures(self, book: Book, measure: Measure) -> impl Iterator<Item = Figure> {
        let figure =
            move |(currency, (as_of_ms, documents))| Figure { book, measure, currency, as_of_ms, documents };
        self.0.into_iter().map(figure)
    }
}

/// Compares a customer's books.
///
/// # Errors
/// What the database said; amounts that leave the range.
pub async fn compared(
    store: &dyn Store,
    books: &Books,
    (month, as_of_ms): (Month, i64),
    against: &Against,
    bank: &Bank,
) -> Result<Compared, Failed> {
    let end_ms = schedule::end_ms(month).unwrap_or(i64::MAX);
    let in_force = books.in_force(as_of_ms);
    let contracts = in_force.iter().map(|entry| entry.contract.as_str()).collect();
    let mut gathering = Gathering { store, books, as_of_ms, contracts, used: BTreeMap::new(), left_out: 0 };
    let of = |kind: MovementKind| {
        in_force.iter().filter(move |entry| entry.kind == kind.name() && entry.at_ms < end_ms)
    };
    let mut figures: Vec<Figure> = Vec::new();
    let (mut signed, mut ordered) = (Gathered::default(), Gathered::default());
    for entry in of(MovementKind::Ordered) {
        gathering.contract(entry, against.has_orders, &mut signed, &mut ordered).await?;
    }
    if against.has_orders {
        ordered.also(&signed, as_of_ms);
    }
    figures.extend(signed.figures(Book::CrmContract, Measure::Ordered));
    figures.extend(ordered.figures(Book::ErpOrder, Measure::Ordered));
    let (mut invoiced, mut booked) = (Gathered::default(), Gathered::default());
    for entry in of(MovementKind::Invoiced) {
        // An invoice and its receivable have no number in common but the contract's.
        let number = if against.has_receivables { &entry.contract } else { &entry.origin };
        let at_ms = books.stored_ms(entry);
        invoiced.add(&entry.currency, number, amount(entry)?, at_ms).ok_or_else(range)?;
    }
    for entry in of(MovementKind::Booked).filter(|_| against.has_receivables) {
        let (amount, at_ms) = (amount(entry)?, books.stored_ms(entry));
        // What was taken back is nothing in the book.
        if !amount.is_zero() {
            booked.add(&entry.currency, &entry.contract, amount, at_ms).ok_or_else(range)?;
        }
    }
    if against.has_receivables {
        invoiced.also(&booked, as_of_ms);
        booked.also(&invoiced, as_of_ms);
    }
    figures.extend(booked.figures(Book::ErpReceivable, Measure::Invoiced));
    figures.extend(invoiced.figures(Book::TaxInvoice, Measure::Invoiced));
    if !bank.entries.is_empty() || gathering.uses(PaymentBook::Bank).await? {
        let (mut received, mut booked) = (Gathered::default(), Gathered::default());
        for entry in of(MovementKind::Received) {
            gathering.receipt(entry, bank, &mut received, &mut booked).await?;
        }
        booked.also(&received, as_of_ms);
        received.also(&booked, as_of_ms);
        figures.extend(received.figures(Book::ErpReceivable, Measure::Received));
        figures.extend(booked.figures(Book::Bank, Measure::Received));
    }
    let limit = against.limit(&books.customer);
    let drifts = drifts(&figures, limit).map_err(|error| Failed::Told(why(&error)))?;
    Ok(Compared { limit, figures, drifts, left_out: gathering.left_out })
}

struct Gathering<'a> {
    store: &'a dyn Store,
    books: &'a Books,
    as_of_ms: i64,
    /// The customer's.
    contracts: BTreeSet<&'a str>,
    /// Whether there is anything in a book of payments.
    used: BTreeMap<PaymentBook, bool>,
    left_out: u64,
}

impl Gathering<'_> {
    /// A contract, and the order that followed from it or from an earlier revision.
    async fn contract(
        &mut self,
        entry: &LedgerEntry,
        has_orders: bool,
        signed: &mut Gathered,
        ordered: &mut Gathered,
    ) -> Result<(), Failed> {
        let mut order = None;
        if has_orders {
            for earlier in self.books.revisions(entry, self.as_of_ms) {
                order = order_of(self.store, &earlier.event, self.as_of_ms).await?;
                if order.is_some() {
                    break;
                }
            }
        }
        if has_orders && order.is_none() && self.store.event(&entry.event).await?.is_none() {
            // What followed from it is archived along with it.
            self.left_out += 1;
            return Ok(());
        }
        if let Some((record, at_ms)) = order {
            let Some(total) = record.total_tax_included else {
                self.left_out += 1;
                return Ok(());
            };
            ordered.add(&record.currency, &entry.contract, total.0, at_ms).ok_or_else(range)?;
        }
        let at_ms = self.books.stored_ms(entry);
        signed.add(&entry.currency, &entry.contract, amount(entry)?, at_ms).ok_or_else(range)
    }

    /// A receipt under the bank's reference, and what the bank has under it.
    async fn receipt(
        &mut self,
        entry: &LedgerEntry,
        bank: &Bank,
        received: &mut Gathered,
        booked: &mut Gathered,
    ) -> Result<(), Failed> {
        let amount = amount(entry)?;
        let event = self.store.event(&entry.event).await?;
        if event.as_ref().is_some_and(|event| event.kind == kinds::PAYMENT_ALLOCATED) {
            return self.pooled(entry, received, booked).await;
        }
        let payment = event.and_then(|event| serde_json::from_str::<Payment>(&event.record).ok());
        let reference = payment.and_then(|payment| payment.bank_reference).filter(|one| !one.is_empty());
        let Some(reference) = reference.filter(|_| entry.at_ms >= bank.since_ms) else {
            self.left_out += 1;
            return Ok(());
        };
        let moved = bank.moved(&entry.currency, &reference, self.as_of_ms);
        // A receipt that was taken back, of money that never came, is nothing in either book.
        if amount.is_zero() && moved.is_none() {
            return Ok(());
        }
        let at_ms = self.books.stored_ms(entry);
        received.add(&entry.currency, &reference, amount, at_ms).ok_or_else(range)?;
        let is_new = booked.0.get(&entry.currency).is_none_or(|(_, known)| !known.contains_key(&reference));
        if let Some((moved, at_ms)) = moved.filter(|_| is_new) {
            booked.add(&entry.currency, &reference, moved, at_ms).ok_or_else(range)?;
        }
        Ok(())
    }

    /// A payment that was allocated, with its pair in the other book, as both are known now. What is for several customers is
    /// nobody's difference.
    async fn pooled(
        &mut self,
        entry: &LedgerEntry,
        received: &mut Gathered,
        booked: &mut Gathered,
    ) -> Result<(), Failed> {
        let mut found = None;
        for book in [PaymentBook::Bank, PaymentBook::Erp] {
            let known = self.store.payment(book, &entry.origin).await?;
            found = found.or(known.filter(|(_, allocations)| allocations.iter().any(Allocation::stands)));
        }
        // What was taken back is nothing in either book.
        let Some((payment, allocations)) = found else { return Ok(()) };
        let mut standing = allocations.iter().filter(|one| one.stands());
        if !standing.all(|one| self.contracts.contains(one.contract.as_str())) {
            self.left_out += 1;
            return Ok(());
        }
        let said = &payment.said;
        let pair = match &payment.pair {
            Some(pair) => self.store.payment(said.book.other(), pair).await?.map(|(pair, _)| pair.said),
            None => None,
        };
        if pair.is_none() && !self.uses(said.book.other()).await? {
            self.left_out += 1;
            return Ok(());
        }
        let at_ms = self.books.stored_ms(entry);
        for one in [Some(said), pair.as_ref()].into_iter().flatten() {
            let side = if one.book == PaymentBook::Bank { &mut *booked } else { &mut *received };
            let documents = side.0.get(&one.currency).map(|(_, documents)| documents);
            // A payment for several contracts of the customer's is one.
            if documents.is_none_or(|documents| !documents.contains_key(&said.number)) {
                let amount = decimal::parse(&one.amount).map_err(|_| range())?;
                side.add(&one.currency, &said.number, amount, at_ms).ok_or_else(range)?;
            }
        }
        Ok(())
    }

    /// Whether there is any payment in a book: where nobody brings any, none is missing there.
    async fn uses(&mut self, book: PaymentBook) -> Stored<bool> {
        if let Some(used) = self.used.get(&book) {
            return Ok(*used);
        }
        let filter = PaymentFilter { book: Some(book), limit: 1, ..PaymentFilter::default() };
        let used = !self.store.payments(filter).await?.is_empty();
        self.used.insert(book, used);
        Ok(used)
    }
}

/// What the ERP reported when the order of a contract's event stood there, as far as was known, and when.
///
/// # Errors
/// What the database said.
pub async fn order_of(store: &dyn Store, event: &str, as_of_ms: i64) -> Stored<Option<(SalesOrder, i64)>> {
    for delivery in store.deliveries_of(event).await? {
        let posted = store.caused_by(&delivery.id).await?;
        let known = posted
            .into_iter()
            .find(|one| one.kind == kinds::SALES_ORDER_POSTED && one.occurred_at_ms <= as_of_ms);
        let read = known.and_then(|one| Some((serde_json::from_str(&one.record).ok()?, one.occurred_at_ms)));
        if read.is_some() {
            return Ok(read);
        }
    }
    Ok(None)
}

fn amount(entry: &LedgerEntry) -> Result<Decimal, Failed> {
    decimal::parse(&entry.amount).map_err(|_| range())
}

fn range() -> Failed {
    Failed::Told(tongbao_model::Text::new("金额超出范围", "the amounts leave the range of exact arithmetic"))
}

impl Books {
    /// Entries of the customer's contracts as they were in force at a time.
    fn in_force(&self, as_of_ms: i64) -> Vec<LedgerEntry> {
        let known = self.journal.iter().filter(|one| one.at_ms <= as_of_ms).map(|one| one.entry.clone());
        Holder::Customer(self.customer.clone()).in_force(known)
    }

    /// All revisions of an entry that were known at a time, the newest first.
    fn revisions(&self, of: &LedgerEntry, as_of_ms: i64) -> Vec<&LedgerEntry> {
        let same = |one: &&LedgerEntry| {
            (&one.contract, &one.kind, &one.origin) == (&of.contract, &of.kind, &of.origin)
        };
        let known = self.journal.iter().filter(|one| one.at_ms <= as_of_ms).map(|one| &one.entry);
        let mut all: Vec<&LedgerEntry> = known.filter(same).collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.revision));
        all
    }

    /// When an entry was stored.
    fn stored_ms(&self, entry: &LedgerEntry) -> i64 {
        self.journal.iter().find(|one| one.entry == *entry).map_or(0, |one| one.at_ms)
    }
}
