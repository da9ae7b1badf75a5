//! A customer's statement of a month: opening, every invoice and receipt, adjustments, closing, ageing.
//!
//! The balance is what is receivable (应收): invoiced less received. Invoices are on the debit side and receipts on the
//! credit side, each with its sign: a red invoice is a negative debit, money paid back a negative credit. A balance above zero
//! is owed to us (借), below zero it is an advance of the customer's (贷).
//!
//! A closed month is frozen as it was known at its closing. What is heard later about it is an adjustment (调整) in the first
//! month that was open then. So the opening of a month is always the closing of the one before it.

mod ageing;
pub mod drift;
mod posting;

pub use ageing::Ageing;

use crate::MovementKind;
use jiff::civil::Date;
use posting::{Posting, postings};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;
use tongbao_model::{Exact, Month, china, decimal};

/// One revision of an entry on a contract's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Contract number.
    pub contract: String,
    /// What it is.
    pub kind: MovementKind,
    /// Number of the document that caused it.
    pub origin: String,
    /// The newest that is known counts.
    pub revision: i64,
    /// Amount in `currency`, with its sign.
    pub amount: Decimal,
    /// ISO 4217 code.
    pub currency: String,
    /// When it happened.
    pub at_ms: i64,
    /// When it was stored.
    pub stored_ms: i64,
    /// Code of the customer; that of a contract's own entry says whose the contract is.
    pub customer: Option<String>,
}

/// A month, and all before it, was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// The last month that it closed.
    pub month: Month,
    /// What was stored by then is in it.
    pub closed_ms: i64,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// Code of the customer.
    pub customer: &'a str,
    /// Which month.
    pub month: Month,
    /// What was stored, and closed, by then counts.
    pub as_of_ms: i64,
    /// Days after its date for which an invoice is not due.
    pub credit_days: u32,
}

/// The statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// Code of the customer.
    pub customer: String,
    /// Its month.
    pub month: Month,
    /// Whether the month is closed: then nothing changes it any more.
    pub is_closed: bool,
    /// As far as was known at this time; of a closed month its closing. Not part of what is proved.
    pub as_of_ms: i64,
    /// Days after its date for which an invoice is not due.
    pub credit_days: u32,
    /// By currency; without those in which nothing was open and nothing happened.
    pub sections: Vec<Section>,
}

/// A statement's part in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// ISO 4217 code.
    pub currency: String,
    /// Balance before the month: the closing of the month before.
    pub opening: Exact,
    /// By date.
    pub lines: Vec<Line>,
    /// Sum of the debits.
    pub debit: Exact,
    /// Sum of the credits.
    pub credit: Exact,
    /// Opening and debits less credits.
    pub closing: Exact,
    /// How old what is open at the end of the month is.
    pub ageing: Ageing,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Day of the document: of an adjustment one in a month that is closed.
    pub day: Date,
    /// What it is.
    pub kind: LineKind,
    /// Number of the document.
    pub number: String,
    /// Number of its contract.
    pub contract: String,
    /// Invoiced.
    pub debit: Exact,
    /// Received.
    pub credit: Exact,
    /// Balance after it.
    pub balance: Exact,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineKind {
    /// Late news of a closed month.
    Adjustment,
    /// An invoice.
    Invoice,
    /// A receipt.
    Receipt,
    /// What a bank kept of a receipt.
    Fee,
}

impl LineKind {
    /// In Chinese and English.
    pub fn told(self) -> (&'static str, &'static str) {
        match self {
            LineKind::Adjustment => ("调整", "adjustment"),
            LineKind::Invoice => ("发票", "invoice"),
            LineKind::Receipt => ("收款", "receipt"),
            LineKind::Fee => ("手续费", "bank fee"),
        }
    }
}

/// Why there is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// A document's amount makes a sum leave the range of exact arithmetic, or its time is beyond the calendar.
    #[error("the amount or the time of {0} is out of range")]
    Range(String),
    /// A later month was not closed later.
    #[error("the closing of {0} does not fit the closings before it")]
    Closings(Month),
}

/// What is on a statement.
const SHOWN: [MovementKind; 3] = [MovementKind::Invoiced, MovementKind::Received, MovementKind::Fee];

/// A base that commission was released on, or taken back, within a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Day on which the payment came in: of an adjustment one in a month that is closed.
    pub day: Date,
    /// Contract.
    pub contract: String,
    /// Payment.
    pub payment: String,
    /// ISO 4217 code.
    pub currency: String,
    /// What is released; less than zero where it is taken back.
    pub base: Exact,
    /// Late news of a closed month.
    pub is_adjustment: bool,
}

/// What commission was released on in a month for a customer's contracts. As a statement's lines are: a closed month stays as
/// it was known, and what is heard later is in the first month that was open then. Bases of all months together are what is
/// released now.
///
/// # Errors
/// As of [`statement`].
pub fn releases(
    entries: &[Entry],
    closings: &[Closing],
    question: Question<'_>,
) -> Result<Vec<Release>, StatementError> {
    let closings = in_order(closings, question.as_of_ms)?;
    let postings = postings(entries, &closings, question, &[MovementKind::Released])?;
    let release = |posting: Posting<'_>| Release {
        day: posting.day,
        contract: posting.contract.to_owned(),
        payment: posting.origin.to_owned(),
        currency: posting.currency.to_owned(),
        base: money(posting.amount),
        is_adjustment: posting.is_adjustment,
    };
    let of_month = postings.into_iter().filter(|posting| posting.month == question.month);
    let mut releases: Vec<Release> = of_month.map(release).collect();
    releases.sort_by(|a, b| (a.day, &a.contract, &a.payment).cmp(&(b.day, &b.contract, &b.payment)));
    Ok(releases)
}

/// Makes a customer's statement from every revision of the entries of all contracts that ever named it. Their order does
/// not matter. Only invoices and receipts are on it.
///
/// # Errors
/// Amounts or times out of range; closings that are not one after the other.
pub fn statement(
    entries: &[Entry],
    closings: &[Closing],
    question: Question<'_>,
) -> Result<Statement, StatementError> {
    let Question { customer, month, as_of_ms, credit_days } = question;
    let closings = in_order(closings, as_of_ms)?;
    let closing = closings.iter().find(|closing| closing.month >= month);
    let postings = postings(entries, &closings, question, &SHOWN)?;
    let mut by_currency: BTreeMap<&str, Vec<Posting<'_>>> = BTreeMap::new();
    for posting in postings.into_iter().filter(|posting| posting.month <= month) {
        by_currency.entry(posting.currency).or_default().push(posting);
    }
    let section =
        |(currency, postings): (&str, Vec<Posting<'_>>)| section(currency, postings, month, credit_days);
    let mut sections: Vec<Section> = by_currency.into_iter().map(section).collect::<Result<_, _>>()?;
    sections.retain(|section| !section.lines.is_empty() || !section.opening.0.is_zero());
    Ok(Statement {
        customer: customer.to_owned(),
        month,
        is_closed: closing.is_some(),
        as_of_ms: closing.map_or(as_of_ms, |closing| closing.closed_ms),
        credit_days,
        sections,
    })
}

/// The closings that were known at a time, each of a later month and at a later time than the one before.
fn in_order(closings: &[Closing], as_of_ms: i64) -> Result<Vec<Closing>, StatementError> {
    let mut known: Vec<Closing> =
        closings.iter().copied().filter(|closing| closing.closed_ms <= as_of_ms).collect();
    known.sort_by_key(|closing| (closing.month, closing.closed_ms));
    for (earlier, later) in known.iter().zip(known.iter().skip(1)) {
        if earlier.month == later.month || earlier.closed_ms >= later.closed_ms {
            return Err(StatementError::Closings(later.month));
        }
    }
    Ok(known)
}

fn section(
    currency: &str,
    postings: Vec<Posting<'_>>,
    month: Month,
    credit_days: u32,
) -> Result<Section, StatementError> {
    let ageing = ageing::of(&postings, month, credit_days)?;
    let (mut lines, before): (Vec<_>, Vec<_>) =
        postings.into_iter().partition(|posting| posting.month == month);
    let opening =
        before.iter().try_fold(Decimal::ZERO, |sum, posting| plus(sum, posting.effect(), posting.origin))?;
    lines.sort_by_key(|posting| {
        (posting.day, posting.line_kind(), posting.contract, posting.origin, posting.kind)
    });
    let (mut debit, mut credit, mut balance) = (Decimal::ZERO, Decimal::ZERO, opening);
    let mut shown = Vec::with_capacity(lines.len());
    for posting in &lines {
        let (to_debit, to_credit) = posting.sides();
        debit = plus(debit, to_debit, posting.origin)?;
        credit = plus(credit, to_credit, posting.origin)?;
        balance = plus(balance, posting.effect(), posting.origin)?;
        shown.push(Line {
            day: posting.day,
            kind: posting.line_kind(),
            number: posting.origin.to_owned(),
            contract: posting.contract.to_owned(),
            debit: money(to_debit),
            credit: money(to_credit),
            balance: money(balance),
        });
    }
    Ok(Section {
        currency: currency.to_owned(),
        opening: money(opening),
        lines: shown,
        debit: money(debit),
        credit: money(credit),
        closing: money(balance),
        ageing,
    })
}

/// An amount in the one form in which it is told: two decimals, more only where there are more, and nothing has no sign.
pub fn money(amount: Decimal) -> Exact {
    let mut amount = if amount.is_zero() { Decimal::ZERO } else { amount.normalize() };
    if amount.scale() < 2 {
        amount.rescale(2);
    }
    Exact(amount)
}

/// A sum, or the document at which it leaves the range.
fn plus(sum: Decimal, amount: Decimal, origin: &str) -> Result<Decimal, StatementError> {
    decimal::add(sum, amount).ok_or_else(|| StatementError::Range(origin.to_owned()))
}

/// The day of a moment in China.
fn day(at_ms: i64, origin: &str) -> Result<Date, StatementError> {
    china::day(at_ms).ok_or_else(|| StatementError::Range(origin.to_owned()))
}

#[cfg(test)]
mod tests;
