//! Everything that a look needs, read once.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use tongbao_delivery::payments::{Allocation, Payment, PaymentBook, PaymentFilter};
use tongbao_delivery::port::{LedgerEntry, Store, StoreError, Stored};
use tongbao_model::{china, decimal};
use tongbao_recon::MovementKind;
use tongbao_recon::items::{self, Contract, Paid, Paper};
use tongbao_recon::matching::Payers;

/// Payments, and contracts, read at once.
const PAGE: u64 = 1_000;
/// How far back a reversal's payment is looked for.
const REVERSAL_DAYS: i64 = 62;
const DAY_MS: i64 = 86_400_000;

/// What an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Contract.
    pub contract: String,
    /// Invoice; `None` for what was not invoiced.
    pub paper: Option<String>,
}

/// What is known before a look.
#[derive(Debug, Default)]
pub struct Books {
    /// How often something had been decided.
    pub turn: i64,
    /// Payments with something to decide.
    pub open: Vec<Payment>,
    /// Those of the other book that have no pair yet, or said something new.
    pub other: Vec<Payment>,
    /// Payments without anything to decide that may be paired, or undone by a reversal.
    pub near: Vec<Payment>,
    /// Pairs of open payments.
    pub pairs: HashMap<String, Payment>,
    /// What stands of payments.
    pub standing: HashMap<String, Vec<Allocation>>,
    /// Contracts, by number.
    pub contracts: BTreeMap<String, Contract>,
    /// Who pays.
    pub payers: Payers,
    places: HashMap<String, Place>,
}

impl Books {
    /// Reads them.
    ///
    /// # Errors
    /// What the database said.
    pub async fn load(store: &dyn Store, lead: PaymentBook, pair_days: u32) -> Stored<Books> {
        let turn = store.payments_turn().await?;
        let open_of = |book| PaymentFilter { book: Some(book), open: Some(true), ..PaymentFilter::default() };
        let open = all(store, open_of(lead)).await?;
        let other = all(store, open_of(lead.other())).await?;
        let mut books = Books { turn, open, other, ..Books::default() };
        if books.is_quiet() {
            return Ok(books);
        }
        books.near = books.nearby(store, lead, i64::from(pair_days)).await?;
        let numbers = books.open.iter().chain(&books.near).map(|one| one.said.number.clone()).collect();
        for one in store.allocations(lead, numbers).await? {
            if one.stands() {
                books.standing.entry(one.number.clone()).or_default().push(one);
            }
        }
        for pair in books.open.iter().filter_map(|one| one.pair.clone()) {
            if let Some((payment, _)) = store.payment(lead.other(), &pair).await? {
                books.pairs.insert(pair, payment);
            }
        }
        books.read_contracts(store).await?;
        for learned in store.learned_payers().await? {
            if let Some(name) = &learned.name {
                books.payers.add_alias(name, &learned.customer);
            }
            if let Some(account) = &learned.account {
                books.payers.add_account(account, &learned.customer);
            }
        }
        Ok(books)
    }

    /// Reads the accounts, and one payment, which is the only open one then.
    ///
    /// # Errors
    /// What the database said.
    pub async fn load_for(store: &dyn Store, book: PaymentBook, number: &str) -> Stored<Books> {
        let mut books = Books { turn: store.payments_turn().await?, ..Books::default() };
        let Some((payment, allocations)) = store.payment(book, number).await? else { return Ok(books) };
        books.open.push(payment);
        books
            .standing
            .insert(number.to_owned(), allocations.into_iter().filter(Allocation::stands).collect());
        books.read_contracts(store).await?;
        Ok(books)
    }

    /// Whether there is nothing to decide.
    pub fn is_quiet(&self) -> bool {
        self.open.is_empty() && self.other.is_empty()
    }

    /// What an item is.
    pub fn place(&self, item: &str) -> Option<&Place> {
        self.places.get(item)
    }

    /// What stands of a payment.
    pub fn standing(&self, payment: &Payment) -> &[Allocation] {
        self.standing.get(&payment.said.number).map(Vec::as_slice).unwrap_or_default()
    }

    /// Payments that are decided and that came in around those of the other book, or before a reversal.
    async fn nearby(&self, store: &dyn Store, lead: PaymentBook, pair_days: i64) -> Stored<Vec<Payment>> {
        let days = |count: i64| count.saturating_mul(DAY_MS);
        let mut spans: Vec<(i64, i64)> = Vec::new();
        if let (Some(from), Some(to)) = (
            self.other.iter().map(|one| one.said.at_ms).min(),
            self.other.iter().map(|one| one.said.at_ms).max(),
        ) {
            spans.push((from - days(pair_days + 1), to + days(pair_days + 1)));
        }
        let reversals = self.open.iter().filter(|one| one.said.kind == "reversal");
        spans.extend(reversals.map(|one| (one.said.at_ms - days(REVERSAL_DAYS), one.said.at_ms + days(1))));
        let (Some(from), Some(to)) =
            (spans.iter().map(|span| span.0).min(), spans.iter().map(|span| span.1).max())
        else {
            return Ok(Vec::new());
        };
        let filter = PaymentFilter {
            book: Some(lead),
            open: Some(false),
            from_ms: Some(from),
            before_ms: Some(to),
            ..PaymentFilter::default()
        };
        all(store, filter).await
    }

    async fn read_contracts(&mut self, store: &dyn Store) -> Stored<()> {
        let mut after = None;
        loop {
            let accounts = store.accounts(after, PAGE).await?;
            let mut entries: BTreeMap<String, Vec<LedgerEntry>> = BTreeMap::new();
            for entry in accounts.entries {
                entries.entry(entry.contract.clone()).or_default().push(entry);
            }
            let mut allocations: HashMap<String, Vec<Allocation>> = HashMap::new();
            for one in accounts.allocations {
                allocations.entry(one.contract.clone()).or_default().push(one);
            }
            let mut called: HashMap<String, Vec<String>> = HashMap::new();
            for (contract, name) in accounts.numbers {
                called.entry(contract).or_default().push(name);
            }
            for (number, entries) in entries {
                let theirs = allocations.remove(&number).unwrap_or_default();
                let numbers = called.remove(&number).unwrap_or_default();
                self.take(number, &entries, &theirs, numbers)?;
            }
            match accounts.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// A contract of its entries. Money that there is an allocation of is counted by that: the account hears of it later.
    fn take(
        &mut self,
        number: String,
        entries: &[LedgerEntry],
        allocations: &[Allocation],
        numbers: Vec<String>,
    ) -> Stored<()> {
        let kind = |entry: &LedgerEntry| MovementKind::from_name(&entry.kind);
        let Some(ordered) = entries.iter().find(|entry| kind(entry) == Some(MovementKind::Ordered)) else {
            return Ok(());
        };
        let ours: HashSet<&str> = allocations.iter().map(|one| one.number.as_str()).collect();
        let (mut due, mut papers, mut paid) = (rust_decimal::Decimal::ZERO, Vec::new(), Vec::new());
        for entry in entries.iter().filter(|entry| entry.currency == ordered.currency) {
            let amount = exact(&entry.amount)?;
            match kind(entry) {
                Some(MovementKind::Ordered | MovementKind::Credited) => {
                    due = decimal::add(due, amount).ok_or_else(out_of_range)?;
                }
                Some(MovementKind::Invoiced) => {
                    papers.push(Paper { number: entry.origin.clone(), at_ms: entry.at_ms, amount });
                }
                Some(MovementKind::Received | MovementKind::Fee) if !ours.contains(entry.origin.as_str()) => {
                    paid.push(Paid { paper: None, amount });
                }
                _ => {}
            }
        }
        for one in allocations.iter().filter(|one| one.stands()) {
            let (amount, fee) = (exact(&one.amount)?, exact(&one.fee)?);
            let amount = decimal::add(amount, fee).ok_or_else(out_of_range)?;
            paid.push(Paid { paper: one.paper.clone(), amount });
        }
        let customer = ordered.customer.clone().unwrap_or_default();
        let facts: Value = serde_json::from_str(&ordered.facts).unwrap_or_default();
        if let Some(name) =
            facts.get("customer_name").and_then(Value::as_str).filter(|_| !customer.is_empty())
        {
            self.payers.add_name(name, &customer);
        }
        for paper in &papers {
            self.name(&number, Some(&paper.number));
        }
        self.name(&number, None);
        let currency = ordered.currency.clone();
        let contract = Contract { number: number.clone(), customer, currency, due, papers, paid, numbers };
        self.contracts.insert(number, contract);
        Ok(())
    }

    fn name(&mut self, contract: &str, paper: Option<&str>) {
        let place = Place { contract: contract.to_owned(), paper: paper.map(str::to_owned) };
        self.places.insert(items::id(contract, paper), place);
    }
}

/// All payments of a filter, page by page.
///
/// # Errors
/// What the database said.
pub async fn all(store: &dyn Store, filter: PaymentFilter) -> Stored<Vec<Payment>> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.payments(PaymentFilter { after, limit: PAGE, ..filter.clone() }).await?;
        let is_last = u64::try_from(page.len()).unwrap_or(u64::MAX) < PAGE;
        after = page.last().map(|one| (one.said.book, one.said.number.clone()));
        found.extend(page);
        if is_last {
            return Ok(found);
        }
    }
}

/// An amount as it was stored.
pub fn exact(text: &str) -> Stored<rust_decimal::Decimal> {
    decimal::parse(text).map_err(|_| StoreError::Corrupt(format!("{text:?} is no amount")))
}

fn out_of_range() -> StoreError {
    StoreError::Corrupt("the amounts of a contract leave the range of exact arithmetic".to_owned())
}

/// The day of a moment in China, counted from 1970. The edge of the calendar for what lies beyond it.
pub fn day(at_ms: i64) -> i32 {
    let hours = i64::from(china::OFFSET.seconds()).saturating_mul(1_000);
    i32::try_from(at_ms.saturating_add(hours).div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}
