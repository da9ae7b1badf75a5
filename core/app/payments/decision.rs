//! A decision about one payment, and the events that book it.

use super::by_hand::Part;
use super::verdict::Told;
use crate::emit;
use crate::ledger::joint_number;
use crate::routes::Routes;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tongbao_delivery::payments::{Allocation, Payment, Settling, Undoing};
use tongbao_delivery::port::Intake;
use tongbao_model::event::kinds;
use tongbao_model::record::{self, Time};
use tongbao_model::{Event, Exact, Text, decimal};

/// What becomes of a payment.
#[derive(Debug, Clone)]
pub struct Decision<'p> {
    /// The payment.
    pub payment: &'p Payment,
    /// What stands of it.
    pub standing: &'p [Allocation],
    /// Takes it back.
    pub undo: Option<Undoing>,
    /// What it pays from now on.
    pub parts: Vec<Part>,
    /// Rule that says so.
    pub rule: String,
    /// Person who says so.
    pub who: Option<String>,
    /// What is said about it.
    pub told: Told,
    /// Whether something is left to decide.
    pub open: bool,
    /// Whether only a person decides from now on.
    pub by_hand: bool,
    /// Its number in the other book.
    pub pair: Option<String>,
}

/// Money and fee of one contract.
type Sum = (Decimal, Decimal);

impl<'p> Decision<'p> {
    /// One that leaves everything as it is, and says something about it.
    pub fn telling(payment: &'p Payment, standing: &'p [Allocation], told: Told) -> Decision<'p> {
        Decision {
            payment,
            standing,
            undo: None,
            parts: Vec::new(),
            rule: String::new(),
            who: None,
            told,
            open: payment.open,
            by_hand: payment.by_hand,
            pair: payment.pair.clone(),
        }
    }

    /// Whether it changes anything.
    pub fn is_news(&self) -> bool {
        self.undo.is_some()
            || !self.parts.is_empty()
            || self.open != self.payment.open
            || self.by_hand != self.payment.by_hand
            || self.pair != self.payment.pair
            || self.told.stored() != self.payment.verdict
    }

    /// As it is stored. An event for each contract of which something else is booked than before.
    ///
    /// # Errors
    /// Sums that leave the range of exact arithmetic.
    pub fn settling(self, routes: &Routes, now_ms: i64) -> Result<Settling, Text> {
        let turn = self.payment.turn.saturating_add(1);
        let said = &self.payment.said;
        let before = sums(self.standing.iter().map(|one| {
            let amount = |text: &str| decimal::parse(text).unwrap_or_default();
            (one.contract.as_str(), (amount(&one.amount), amount(&one.fee)))
        }))?;
        let after = sums(self.parts.iter().map(|part| (part.contract.as_str(), (part.amount, part.fee))))?;
        let is_kept = self.undo.is_none() && self.parts.is_empty();
        let mut events = Vec::new();
        if !is_kept {
            let contracts = before.keys().chain(after.keys().filter(|one| !before.contains_key(**one)));
            for contract in contracts.copied() {
                let now = after.get(contract).copied().unwrap_or_default();
                if before.get(contract) != Some(&now) {
                    events.push(self.event(contract, now, turn, routes, now_ms));
                }
            }
        }
        let allocation = |(place, part): (usize, &Part)| Allocation {
            book: said.book,
            number: said.number.clone(),
            turn,
            place: i32::try_from(place).unwrap_or(i32::MAX),
            contract: part.contract.clone(),
            paper: part.invoice.clone(),
            amount: part.amount.to_string(),
            fee: part.fee.to_string(),
            currency: said.currency.clone(),
            customer: part.customer.clone(),
            revision: said.revision,
            rule: self.rule.clone(),
            who: self.who.clone(),
            reasons: self.told.stored().unwrap_or_default(),
            at_ms: now_ms,
            undone_ms: None,
            undone_by: None,
            undone_why: None,
        };
        let allocations = self.parts.iter().enumerate().map(allocation).collect();
        let verdict = self.told.stored();
        Ok(Settling {
            open: self.open,
            by_hand: self.by_hand,
            pair: self.pair,
            verdict,
            undo: self.undo,
            allocations,
            events,
            ..Settling::of(self.payment)
        })
    }

    fn event(&self, contract: &str, (amount, fee): Sum, turn: i64, routes: &Routes, now_ms: i64) -> Intake {
        let said = &self.payment.said;
        let number = joint_number(contract, &said.number);
        // Above every revision that the document itself was ever booked with, for accounts from before there were allocations.
        let revision = said.revision.saturating_add(turn);
        let record = emit::record(&record::Allocation {
            number: number.clone(),
            revision,
            contract_number: contract.to_owned(),
            payment_number: said.number.clone(),
            currency: said.currency.clone(),
            amount: Exact(amount),
            fee: Exact(fee),
            received_at: Time::in_china(said.at_ms).unwrap_or_else(|| Time(String::new())),
            rule: if self.rule.is_empty() { "undone".to_owned() } else { self.rule.clone() },
            by: self.who.clone(),
        });
        let event = emit::event(kinds::PAYMENT_ALLOCATED, &number, revision, contract, &record, "", now_ms);
        // It is booked for the day on which the money came in, and follows from no delivery.
        routes.intake(Event { occurred_at_ms: said.at_ms, cause: None, ..event })
    }
}

fn sums<'c>(parts: impl Iterator<Item = (&'c str, Sum)>) -> Result<BTreeMap<&'c str, Sum>, Text> {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for (contract, (amount, fee)) in parts {
        let sum = sums.entry(contract).or_default();
        let added = decimal::add(sum.0, amount).zip(decimal::add(sum.1, fee));
        *sum =
            added.ok_or_else(|| Text::new("合计超出范围", "the sums leave the range of exact arithmetic"))?;
    }
    Ok(sums)
}
