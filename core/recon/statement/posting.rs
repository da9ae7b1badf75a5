//! Which entry is in which month: what closings freeze, and what comes after them.

use super::{Closing, Entry, LineKind, Question, StatementError, day, plus};
use crate::MovementKind;
use jiff::civil::Date;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use tongbao_model::Month;

/// An amount in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting<'e> {
    pub month: Month,
    pub day: Date,
    pub kind: MovementKind,
    pub contract: &'e str,
    pub origin: &'e str,
    pub currency: &'e str,
    pub amount: Decimal,
    pub is_adjustment: bool,
}

impl Posting<'_> {
    /// To debit and to credit.
    pub fn sides(&self) -> (Decimal, Decimal) {
        match self.kind {
            MovementKind::Invoiced => (self.amount, Decimal::ZERO),
            _ => (Decimal::ZERO, self.amount),
        }
    }

    /// What it does to the balance.
    pub fn effect(&self) -> Decimal {
        match self.kind {
            MovementKind::Invoiced => self.amount,
            _ => -self.amount,
        }
    }

    pub fn line_kind(&self) -> LineKind {
        match self.kind {
            _ if self.is_adjustment => LineKind::Adjustment,
            MovementKind::Invoiced => LineKind::Invoice,
            MovementKind::Fee => LineKind::Fee,
            _ => LineKind::Receipt,
        }
    }
}

/// A span of months that is judged by what was known at one time.
struct Step {
    /// Frozen before it.
    floor: Option<Month>,
    /// Its last month; `None` for as far as entries go.
    through: Option<Month>,
    known_ms: i64,
}

/// What one document says at a time.
struct Said<'e> {
    currency: &'e str,
    amount: Decimal,
    day: Date,
}

/// What of one document is posted in a currency.
struct Posted {
    sum: Decimal,
    day: Date,
}

type Key<'e> = (&'e str, MovementKind, &'e str);

/// The revisions of each document.
type Documents<'e> = BTreeMap<Key<'e>, Vec<&'e Entry>>;

/// All postings of some kinds up to the asked month, and some after it.
pub fn postings<'e>(
    entries: &'e [Entry],
    closings: &[Closing],
    question: Question<'_>,
    kinds: &[MovementKind],
) -> Result<Vec<Posting<'e>>, StatementError> {
    let mut documents: Documents<'e> = BTreeMap::new();
    for entry in entries {
        documents.entry((&entry.contract, entry.kind, &entry.origin)).or_default().push(entry);
    }
    let mut posted: BTreeMap<Key<'e>, BTreeMap<&'e str, Posted>> = BTreeMap::new();
    let mut postings = Vec::new();
    for step in steps(closings, question) {
        let theirs = contracts(&documents, question.customer, step.known_ms);
        for (key, revisions) in &documents {
            if !kinds.contains(&key.1) {
                continue;
            }
            let newest = newest(revisions, step.known_ms).filter(|_| theirs.contains(key.0));
            let said = newest.map(|entry| {
                let day = day(entry.at_ms, &entry.origin)?;
                Ok(Said { currency: &entry.currency, amount: entry.amount, day })
            });
            let said = said.transpose()?;
            // What lies after the span is for a later one.
            let said = said.filter(|said| step.through.is_none_or(|through| Month::of(said.day) <= through));
            let before = posted.entry(*key).or_default();
            step.post(*key, said.as_ref(), before, &mut postings)?;
        }
    }
    Ok(postings)
}

/// One step for each closing, and one for what is open; none after the asked month.
fn steps(closings: &[Closing], question: Question<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut floor = None;
    for closing in closings {
        steps.push(Step { floor, through: Some(closing.month), known_ms: closing.closed_ms });
        if closing.month >= question.month {
            return steps;
        }
        floor = Some(closing.month);
    }
    steps.push(Step { floor, through: None, known_ms: question.as_of_ms });
    steps
}

/// The newest revision that was known at a time.
fn newest<'e>(revisions: &[&'e Entry], known_ms: i64) -> Option<&'e Entry> {
    let known = revisions.iter().copied().filter(|entry| entry.stored_ms <= known_ms);
    known.max_by_key(|entry| entry.revision)
}

/// The contracts that named the customer at a time.
fn contracts<'e>(documents: &Documents<'e>, customer: &str, known_ms: i64) -> BTreeSet<&'e str> {
    let ordered = documents.iter().filter(|((_, kind, _), _)| *kind == MovementKind::Ordered);
    let names_it = |revisions: &[&Entry]| {
        newest(revisions, known_ms).is_some_and(|entry| entry.customer.as_deref() == Some(customer))
    };
    ordered.filter(|(_, revisions)| names_it(revisions)).map(|((contract, ..), _)| *contract).collect()
}

impl Step {
    /// Posts the difference between what a document says now and what of it was posted before.
    fn post<'e>(
        &self,
        (contract, kind, origin): Key<'e>,
        said: Option<&Said<'e>>,
        posted: &mut BTreeMap<&'e str, Posted>,
        postings: &mut Vec<Posting<'e>>,
    ) -> Result<(), StatementError> {
        let out_of_range = || StatementError::Range(origin.to_owned());
        let first_open = self.floor.map(|floor| floor.next().ok_or_else(out_of_range)).transpose()?;
        let mut post = |currency, month, day, amount: Decimal, is_adjustment| {
            if !amount.is_zero() {
                let posting = Posting { month, day, kind, contract, origin, currency, amount, is_adjustment };
                postings.push(posting);
            }
        };
        // A document of a frozen month, or of none any more, is adjusted by the difference.
        let frozen = said.filter(|said| self.floor.is_some_and(|floor| Month::of(said.day) <= floor));
        if let Some(first_open) = first_open {
            for (currency, before) in posted.iter_mut() {
                let now = frozen.filter(|said| said.currency == *currency);
                let amount = now.map_or(Decimal::ZERO, |said| said.amount);
                let change = plus(amount, -before.sum, origin)?;
                post(*currency, first_open, now.map_or(before.day, |said| said.day), change, true);
                *before = Posted { sum: amount, day: now.map_or(before.day, |said| said.day) };
            }
        }
        let Some(said) = said else { return Ok(()) };
        match (frozen, first_open) {
            (Some(_), Some(_)) if posted.contains_key(said.currency) => return Ok(()),
            (Some(_), Some(first_open)) => post(said.currency, first_open, said.day, said.amount, true),
            _ => post(said.currency, Month::of(said.day), said.day, said.amount, false),
        }
        posted.insert(said.currency, Posted { sum: said.amount, day: said.day });
        Ok(())
    }
}
