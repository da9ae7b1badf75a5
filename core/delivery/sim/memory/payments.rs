//! Payments, and what they are allocated to.

use super::{Row, Tables};
use crate::payments::{
    Accounts, Allocation, LearnedPayer, Payment, PaymentBook, PaymentFilter, PaymentSaid, Settling,
};
use crate::port::LedgerEntry;
use std::collections::{BTreeMap, BTreeSet};
use tongbao_model::event::kinds;

/// Payments in one answer when the caller names no number, and at most: as in the databases.
const USUAL: u64 = 1_000;
const MOST: u64 = 10_000;

/// Everything stored of payments.
#[derive(Debug, Default)]
pub struct Pool {
    payments: BTreeMap<(PaymentBook, String), Payment>,
    allocations: Vec<Allocation>,
    turn: i64,
}

impl Pool {
    pub(super) fn say(&mut self, said: &PaymentSaid) {
        let key = (said.book, said.number.clone());
        match self.payments.get_mut(&key) {
            Some(known) if known.said.revision >= said.revision => {}
            Some(known) => {
                known.said = said.clone();
                known.open = true;
                known.verdict = None;
            }
            None => {
                let (turn, open, by_hand) = (0, true, false);
                let payment = Payment { said: said.clone(), turn, open, by_hand, pair: None, verdict: None };
                self.payments.insert(key, payment);
            }
        }
    }

    pub(super) fn turn(&self) -> i64 {
        self.turn
    }

    pub(super) fn list(&self, filter: &PaymentFilter) -> Vec<Payment> {
        let limit = if filter.limit == 0 { USUAL } else { filter.limit.min(MOST) };
        let after = |payment: &&Payment| {
            filter
                .after
                .as_ref()
                .is_none_or(|(book, number)| (payment.said.book, &payment.said.number) > (*book, number))
        };
        self.payments
            .values()
            .filter(after)
            .filter(|one| filter.book.is_none_or(|book| book == one.said.book))
            .filter(|one| filter.open.is_none_or(|open| open == one.open))
            .filter(|one| filter.paired.is_none_or(|paired| paired == one.pair.is_some()))
            .filter(|one| filter.from_ms.is_none_or(|from_ms| one.said.at_ms >= from_ms))
            .filter(|one| filter.before_ms.is_none_or(|before_ms| one.said.at_ms < before_ms))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    pub(super) fn one(&self, book: PaymentBook, number: &str) -> Option<(Payment, Vec<Allocation>)> {
        let payment = self.payments.get(&(book, number.to_owned()))?.clone();
        Some((payment, self.allocations_of(book, &[number.to_owned()])))
    }

    pub(super) fn allocations_of(&self, book: PaymentBook, numbers: &[String]) -> Vec<Allocation> {
        let theirs = |one: &&Allocation| one.book == book && numbers.contains(&one.number);
        let mut found: Vec<Allocation> = self.allocations.iter().filter(theirs).cloned().collect();
        found.sort_by(|a, b| (&a.number, a.turn, a.place).cmp(&(&b.number, b.turn, b.place)));
        found
    }

    pub(super) fn learned(&self) -> Vec<LearnedPayer> {
        let said = self.allocations.iter().filter(|one| one.who.is_some() && one.stands());
        let learned: BTreeSet<LearnedPayer> = said
            .filter_map(|one| {
                let payment = self.payments.get(&(one.book, one.number.clone()))?;
                Some(LearnedPayer {
                    customer: one.customer.clone()?,
                    name: payment.said.party.clone(),
                    account: payment.said.party_account.clone(),
                })
            })
            .collect();
        learned.into_iter().collect()
    }

    fn is_as_looked_at(&self, settling: &Settling) -> bool {
        let payment = self.payments.get(&(settling.book, settling.number.clone()));
        payment.is_some_and(|one| one.said.revision == settling.revision && one.turn == settling.turn)
    }

    fn decide(&mut self, settling: &Settling, now_ms: i64) {
        if let Some(undo) = &settling.undo {
            let stands = |one: &&mut Allocation| {
                one.book == settling.book && one.number == settling.number && one.stands()
            };
            for one in self.allocations.iter_mut().filter(stands) {
                one.undone_ms = Some(now_ms);
                one.undone_by = Some(undo.who.clone());
                one.undone_why = Some(undo.why.clone());
            }
        }
        if let Some(payment) = self.payments.get_mut(&(settling.book, settling.number.clone())) {
            payment.turn = settling.turn.saturating_add(1);
            payment.open = settling.open;
            payment.by_hand = settling.by_hand;
            payment.pair.clone_from(&settling.pair);
            payment.verdict.clone_from(&settling.verdict);
        }
        self.allocations.extend(settling.allocations.iter().cloned());
    }
}

impl Tables {
    pub(super) fn settle(&mut self, turn: i64, settlings: &[Settling], now_ms: i64) -> bool {
        if self.pool.turn != turn {
            return false;
        }
        self.pool.turn += 1;
        if !settlings.iter().all(|settling| self.pool.is_as_looked_at(settling)) {
            return false;
        }
        for settling in settlings {
            self.pool.decide(settling, now_ms);
            for intake in &settling.events {
                self.accept(intake, now_ms);
            }
        }
        true
    }

    pub(super) fn accounts(&self, after: Option<&str>, limit: u64) -> Accounts {
        let contracts: BTreeSet<&str> = self.ledger.keys().map(|(contract, ..)| contract.as_str()).collect();
        let limit = usize::try_from(limit.clamp(1, MOST)).unwrap_or(usize::MAX);
        let later = contracts.into_iter().filter(|one| after.is_none_or(|after| *one > after));
        let chosen: BTreeSet<&str> = later.take(limit).collect();
        let known = self.ledger.values().map(|(entry, _)| entry);
        let known = known.filter(|entry| chosen.contains(entry.contract.as_str())).cloned();
        let theirs = |one: &&Allocation| chosen.contains(one.contract.as_str());
        Accounts {
            entries: LedgerEntry::newest(known),
            allocations: self.pool.allocations.iter().filter(theirs).cloned().collect(),
            numbers: self.numbers(&chosen),
            next: chosen.last().filter(|_| chosen.len() == limit).map(|last| (*last).to_owned()),
        }
    }
    fn numbers(&self, contracts: &BTreeSet<&str>) -> Vec<(String, String)> {
        let named = |row: &Row| {
            let (event, _) = self.events.get(&row.event)?;
            let number = row.remote.as_ref()?.number.clone();
            let is_theirs = event.kind == kinds::CONTRACT_SIGNED && contracts.contains(event.key.as_str());
            (is_theirs && !number.is_empty() && number != event.key).then(|| (event.key.clone(), number))
        };
        self.rows.values().filter_map(named).collect()
    }
}
