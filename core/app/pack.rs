//! The month-end pack from the store.

use crate::ledger;
use crate::output;
use crate::paper;
use crate::payments;
use crate::statements::{Books, Failed};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tongbao_delivery::payments::{Payment, PaymentBook, PaymentFilter};
use tongbao_delivery::port::{LedgerEntry, Store, StoreError, Stored};
use tongbao_model::{Month, Text, china, decimal};
use tongbao_paper::pack as sheets;
use tongbao_recon::pack::walk::{Receipt, walk};
use tongbao_recon::pack::{self, BALANCE_MONTHS, Given, Part, Payments, TREND};
use tongbao_recon::statement::{Question, Statement};
use tongbao_recon::{Account, MovementKind};

/// Contracts read at once.
const PAGE: u64 = 1_000;
/// Days before and after a month in which the other half of a pair is looked for.
const PAIR_DAYS: i64 = 62;
const DAY_MS: i64 = 86_400_000;

/// The pack of a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pack {
    /// Which.
    pub month: Month,
    /// When the books were read, in milliseconds since 1970 UTC.
    pub as_of_ms: i64,
    /// Whether the month is closed.
    pub is_closed: bool,
    /// Days after its date for which an invoice is not due.
    pub credit_days: u32,
    /// Whose payments are allocated; the walk goes from it to the other. `None`: no payments are kept.
    pub leading: Option<PaymentBook>,
    /// By currency.
    pub parts: Vec<Part>,
}

impl Pack {
    /// Names of the leading book and the other one.
    pub fn names(&self) -> Option<[&'static str; 2]> {
        self.leading.map(|leading| match leading {
            PaymentBook::Erp => ["ERP", "银行"],
            PaymentBook::Bank => ["银行", "ERP"],
        })
    }

    /// As a page.
    pub fn html(&self) -> String {
        sheets::html::write(&self.sheet(&output::time(self.as_of_ms)))
    }

    /// As an Excel file.
    ///
    /// # Errors
    /// The writer's own.
    pub fn xlsx(&self) -> Result<Vec<u8>, Text> {
        let as_of = output::time(self.as_of_ms);
        sheets::xlsx::write(&self.sheet(&as_of)).map_err(|error| paper::unwritten(&error))
    }

    fn sheet<'a>(&'a self, as_of: &'a str) -> sheets::Pack<'a> {
        sheets::Pack {
            month: self.month,
            as_of,
            is_closed: self.is_closed,
            credit_days: self.credit_days,
            books: self.names(),
            parts: &self.parts,
        }
    }
}

/// What a pack is asked for with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Which month.
    pub month: Month,
    /// Days after its date for which an invoice is not due.
    pub credit_days: u32,
    /// Whose payments are allocated, if any are.
    pub leading: Option<PaymentBook>,
    /// Now.
    pub now_ms: i64,
}

/// Makes the pack.
///
/// # Errors
/// What the database said; amounts out of range.
pub async fn made(store: &dyn Store, asked: Asked) -> Result<Pack, Failed> {
    let sums = accounts(store, asked.month).await?;
    let months = months(asked.month);
    let mut given =
        Given { months: months.iter().map(|month| (*month, Vec::new())).collect(), ..Given::default() };
    let mut is_closed = false;
    for customer in &sums.customers {
        let books = Books::load(store, customer).await?;
        for (month, statements) in &mut given.months {
            let question =
                Question { customer, month: *month, as_of_ms: asked.now_ms, credit_days: asked.credit_days };
            let statement: Statement = books.statement(question).map_err(Failed::Told)?;
            is_closed = statement.is_closed;
            if !statement.sections.is_empty() {
                statements.push(statement);
            }
        }
    }
    given.payments = sums.payments;
    if let Some(leading) = asked.leading {
        walks(store, asked.month, leading, &sums.booked, &mut given).await?;
    }
    let out_of_range =
        |_| Failed::Told(Text::new("金额超出范围", "the amounts leave the range of exact arithmetic"));
    let parts = pack::parts(&given).map_err(out_of_range)?;
    let Asked { month, credit_days, leading, now_ms } = asked;
    Ok(Pack { month, as_of_ms: now_ms, is_closed, credit_days, leading, parts })
}

/// The months of the trend, and those that its first balance is held against. Oldest first.
fn months(last: Month) -> Vec<Month> {
    let mut months: Vec<Month> = std::iter::successors(Some(last), |month| month.previous())
        .take(TREND + BALANCE_MONTHS - 1)
        .collect();
    months.reverse();
    months
}

/// What all accounts come to.
#[derive(Default)]
struct Sums {
    customers: BTreeSet<String>,
    /// Received in the month, by currency.
    booked: BTreeMap<String, Decimal>,
    payments: BTreeMap<String, Payments>,
}

async fn accounts(store: &dyn Store, month: Month) -> Result<Sums, Failed> {
    let mut sums = Sums::default();
    let mut after = None;
    loop {
        let page = store.accounts(after, PAGE).await?;
        let mut by_contract: BTreeMap<&str, Vec<LedgerEntry>> = BTreeMap::new();
        for entry in &page.entries {
            by_contract.entry(&entry.contract).or_default().push(entry.clone());
        }
        for entries in by_contract.values() {
            sums.take(entries, month)?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(sums),
        }
    }
}

impl Sums {
    fn take(&mut self, entries: &[LedgerEntry], month: Month) -> Result<(), Failed> {
        let is_of = |entry: &LedgerEntry, kind: MovementKind| entry.kind == kind.name();
        for entry in entries {
            if is_of(entry, MovementKind::Ordered) {
                self.customers.extend(entry.customer.clone());
            }
            if is_of(entry, MovementKind::Received) && Month::at(entry.at_ms) == Some(month) {
                let sum = self.booked.entry(entry.currency.clone()).or_default();
                *sum = decimal::add(*sum, exact(&entry.amount)?).ok_or_else(out_of_range)?;
            }
        }
        // A contract that has not come, or whose papers are in two currencies, is on no statement either.
        if let Ok(account) = ledger::account(entries) {
            self.judge(&account)?;
        }
        Ok(())
    }

    /// Paid too much, or invoiced in full and paid in part.
    fn judge(&mut self, account: &Account) -> Result<(), Failed> {
        let payments = self.payments.entry(account.currency.clone()).or_default();
        let is_partly = account.received > Decimal::ZERO && account.open > Decimal::ZERO;
        let added = if account.open < Decimal::ZERO {
            payments.over.add(-account.open)
        } else if is_partly && account.invoiced >= account.due {
            payments.under.add(account.open)
        } else {
            Ok(())
        };
        added.map_err(|_| Failed::Store(out_of_range()))
    }
}

fn exact(text: &str) -> Stored<Decimal> {
    payments::exact(text)
}

fn out_of_range() -> StoreError {
    StoreError::Corrupt("the amounts leave the range of exact arithmetic".to_owned())
}

/// The payments of the month and those around it, as walks by currency; what is matched and open is counted on the way.
async fn walks(
    store: &dyn Store,
    month: Month,
    leading: PaymentBook,
    booked: &BTreeMap<String, Decimal>,
    given: &mut Given,
) -> Result<(), Failed> {
    let around = around(store, month).await?;
    let known: HashMap<(PaymentBook, &str), &Payment> =
        around.iter().map(|one| ((one.said.book, one.said.number.as_str()), one)).collect();
    let numbers: Vec<String> =
        around.iter().filter(|one| one.said.book == leading).map(|one| one.said.number.clone()).collect();
    let allocated: BTreeSet<String> = store
        .allocations(leading, numbers)
        .await?
        .into_iter()
        .filter(tongbao_delivery::payments::Allocation::stands)
        .map(|one| one.number)
        .collect();
    let mut books: BTreeMap<&str, (Vec<Receipt>, Vec<Receipt>)> = BTreeMap::new();
    for payment in around.iter().filter(|one| !one.said.reversed) {
        let said = &payment.said;
        let Some(theirs) = Month::at(said.at_ms) else { continue };
        let amount = exact(&said.amount)?;
        let pair = payment.pair.as_deref().and_then(|pair| known.get(&(said.book.other(), pair)));
        let pair = pair.filter(|pair| pair.said.currency == said.currency && !pair.said.reversed);
        let pair = match pair {
            Some(pair) => Month::at(pair.said.at_ms).zip(Some(exact(&pair.said.amount)?)),
            None => None,
        };
        let is_open = said.book == leading && !allocated.contains(&said.number);
        let (mine, other) = books.entry(&said.currency).or_default();
        let receipt = Receipt { month: theirs, amount, is_open, pair };
        if said.book == leading {
            if theirs == month {
                let counts = given.payments.entry(said.currency.clone()).or_default();
                let count = if is_open { &mut counts.open } else { &mut counts.matched };
                count.add(amount).map_err(|_| Failed::Store(out_of_range()))?;
            }
            mine.push(receipt);
        } else {
            other.push(receipt);
        }
    }
    for currency in booked.keys() {
        books.entry(currency).or_default();
    }
    for (currency, (mine, other)) in books {
        let booked = booked.get(currency).copied().unwrap_or_default();
        let walked = walk(month, booked, &mine, &other).map_err(|_| Failed::Store(out_of_range()))?;
        given.walks.insert(currency.to_owned(), walked);
    }
    Ok(())
}

async fn around(store: &dyn Store, month: Month) -> Stored<Vec<Payment>> {
    let from_ms = china::begin_ms(month.first()).map(|from| from.saturating_sub(PAIR_DAYS * DAY_MS));
    let next = month.next().and_then(|next| china::begin_ms(next.first()));
    let before_ms = next.map(|next| next.saturating_add(PAIR_DAYS * DAY_MS));
    payments::all(store, PaymentFilter { from_ms, before_ms, ..PaymentFilter::default() }).await
}
