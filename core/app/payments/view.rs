//! Payments as people look at them.

use super::books::exact;
use super::verdict::Told;
use crate::closings;
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::HashMap;
use tongbao_delivery::payments::{Allocation, Payment, PaymentBook, PaymentFilter};
use tongbao_delivery::port::{Store, Stored};
use tongbao_model::{Exact, Text, china};

/// A payment with what is said of it and what it pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The payment.
    #[serde(flatten)]
    pub payment: Payment,
    /// What the last look said.
    pub told: Option<Told>,
    /// What it was ever allocated to, oldest decisions first.
    pub allocations: Vec<Allocation>,
}

/// One receipt in two books that do not agree, or in one alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The bank's number, if it is in its book.
    pub bank: Option<String>,
    /// The ERP's number, if it is in its book.
    pub erp: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// As the bank has it.
    pub bank_amount: Option<Exact>,
    /// As the ERP has it.
    pub erp_amount: Option<Exact>,
    /// ERP less bank.
    pub drift: Exact,
    /// When it came in, by the bank if it knows it; milliseconds since 1970 UTC.
    pub at_ms: i64,
}

/// Payments of a filter.
///
/// # Errors
/// What the database said.
pub async fn list(store: &dyn Store, filter: PaymentFilter) -> Stored<Vec<Shown>> {
    let payments = store.payments(filter).await?;
    let mut allocations: HashMap<(PaymentBook, String), Vec<Allocation>> = HashMap::new();
    for book in [PaymentBook::Bank, PaymentBook::Erp] {
        let theirs = payments.iter().filter(|one| one.said.book == book);
        let numbers: Vec<String> = theirs.map(|one| one.said.number.clone()).collect();
        for one in store.allocations(book, numbers).await? {
            allocations.entry((one.book, one.number.clone())).or_default().push(one);
        }
    }
    let show = |payment: Payment| {
        let key = (payment.said.book, payment.said.number.clone());
        shown(payment, allocations.remove(&key).unwrap_or_default())
    };
    Ok(payments.into_iter().map(show).collect())
}

/// One payment; of two books with the same number the ERP's, unless one is asked for.
///
/// # Errors
/// What the database said.
pub async fn one(store: &dyn Store, book: Option<PaymentBook>, number: &str) -> Stored<Option<Shown>> {
    let books = book.map_or_else(|| vec![PaymentBook::Erp, PaymentBook::Bank], |book| vec![book]);
    for book in books {
        if let Some((payment, allocations)) = store.payment(book, number).await? {
            return Ok(Some(shown(payment, allocations)));
        }
    }
    Ok(None)
}

fn shown(payment: Payment, allocations: Vec<Allocation>) -> Shown {
    Shown { told: Told::read(payment.verdict.as_deref()), payment, allocations }
}

/// From the beginning of a month in China to before its end; all time without one.
///
/// # Errors
/// The text is no month.
pub fn span(month: Option<&str>) -> Result<(Option<i64>, Option<i64>), Text> {
    let Some(month) = month.map(closings::month).transpose()? else { return Ok((None, None)) };
    let next = month.next().and_then(|next| china::begin_ms(next.first()));
    Ok((china::begin_ms(month.first()), next))
}

/// Where bank and ERP do not agree on what came in within a span of time: paired with another amount, or in one book alone.
///
/// # Errors
/// What the database said.
pub async fn drifts(store: &dyn Store, from_ms: Option<i64>, before_ms: Option<i64>) -> Stored<Vec<Drift>> {
    let mut drifts = Vec::new();
    let mut after = None;
    loop {
        let filter = PaymentFilter { from_ms, before_ms, after, ..PaymentFilter::default() };
        let page = store.payments(filter).await?;
        after = page.last().map(|one| (one.said.book, one.said.number.clone()));
        if page.is_empty() {
            drifts.sort_by(|a: &Drift, b| (a.at_ms, &a.bank, &a.erp).cmp(&(b.at_ms, &b.bank, &b.erp)));
            return Ok(drifts);
        }
        for payment in page.iter().filter(|one| !one.said.reversed) {
            drifts.extend(drift(store, payment).await?);
        }
    }
}

/// Of a pair the bank's side tells, so that it is told once.
async fn drift(store: &dyn Store, payment: &Payment) -> Stored<Option<Drift>> {
    let said = &payment.said;
    let amount = exact(&said.amount)?;
    let is_bank = said.book == PaymentBook::Bank;
    let alone = |mine: Decimal| {
        let of = |is_it: bool| is_it.then_some(Exact(mine));
        Drift {
            bank: is_bank.then(|| said.number.clone()),
            erp: (!is_bank).then(|| said.number.clone()),
            currency: said.currency.clone(),
            bank_amount: of(is_bank),
            erp_amount: of(!is_bank),
            drift: Exact(if is_bank { -mine } else { mine }),
            at_ms: said.at_ms,
        }
    };
    let Some(pair) = &payment.pair else { return Ok(Some(alone(amount))) };
    if !is_bank {
        return Ok(None);
    }
    let Some((other, _)) = store.payment(said.book.other(), pair).await? else {
        return Ok(Some(alone(amount)));
    };
    let theirs = exact(&other.said.amount)?;
    let difference = Drift {
        erp: Some(pair.clone()),
        erp_amount: Some(Exact(theirs)),
        drift: Exact(theirs - amount),
        ..alone(amount)
    };
    Ok((theirs != amount || other.said.currency != said.currency).then_some(difference))
}
