//! What people ask, and what they tell to stand still.

use super::{MOST, Row, Tables};
use crate::port::{Closure, Filter, Hold, Overview, ReplayGroup, Replayable, State, Subject};
use std::collections::BTreeMap;
use tongbao_model::Class;

/// Deliveries that are shown of what would be put back.
const SHOWN: u64 = 10;

impl Tables {
    pub(super) fn hold(&mut self, subject: Subject, who: &str, why: &str, now_ms: i64) -> bool {
        let last = self.holds.iter().rev().find(|hold| hold.subject == subject);
        if last.is_some_and(|hold| hold.until_ms.is_none()) {
            return false;
        }
        let since_ms = last.map_or(now_ms, |hold| now_ms.max(hold.since_ms.saturating_add(1)));
        let (who, why) = (who.to_owned(), why.to_owned());
        self.holds.push(Hold { subject, since_ms, until_ms: None, who, why, ended_by: None });
        true
    }

    pub(super) fn release(&mut self, subject: &Subject, who: &str, now_ms: i64) -> bool {
        let last = self.holds.iter_mut().rev().find(|hold| hold.subject == *subject);
        let Some(hold) = last.filter(|hold| hold.until_ms.is_none()) else { return false };
        hold.until_ms = Some(now_ms.max(hold.since_ms));
        hold.ended_by = Some(who.to_owned());
        true
    }

    pub(super) fn close_books(&mut self, asked: Closure) -> bool {
        let closure = asked.after(&self.closures);
        let is_new = closure.is_some();
        self.closures.extend(closure);
        is_new
    }

    pub(super) fn reopen_books(&mut self, month: &str, who: &str, now_ms: i64) -> bool {
        let Some(closure) = Closure::reopened(&self.closures, month, who, now_ms) else { return false };
        for one in self.closures.iter_mut().filter(|one| one.at_ms == closure.at_ms) {
            *one = closure.clone();
        }
        true
    }

    pub(super) fn holds_since(&self, ended_from_ms: i64) -> Vec<Hold> {
        let wanted = |hold: &&Hold| hold.until_ms.is_none_or(|until| until >= ended_from_ms);
        let mut holds: Vec<Hold> = self.holds.iter().filter(wanted).cloned().collect();
        holds.sort_by_key(|hold| std::cmp::Reverse(hold.since_ms));
        holds
    }

    /// Connections whose messages may have waited since a time without being stalled.
    pub(super) fn quiet(&self, since_ms: i64) -> Vec<String> {
        let name = |hold: Hold| match hold.subject {
            Subject::Connection(name) => Some(name),
            Subject::Intake => None,
        };
        self.holds_since(since_ms).into_iter().filter_map(name).collect()
    }

    pub(super) fn overview(&self) -> Vec<Overview> {
        let mut all: BTreeMap<&str, Overview> = BTreeMap::new();
        for row in self.rows.values() {
            let entry = all.entry(&row.target);
            let one = entry.or_insert_with(|| Overview { target: row.target.clone(), ..Overview::default() });
            match row.state {
                State::Pending => one.pending += 1,
                State::Calling => one.calling += 1,
                State::Waiting => one.waiting += 1,
                State::Parked => {
                    let class = row.class.map_or("", Class::name).to_owned();
                    *one.parked.entry(class).or_default() += 1;
                }
                State::Rejected => one.rejected += 1,
                State::Posted | State::Superseded => continue,
            }
            if !row.state.is_final() && row.state != State::Parked {
                let oldest = one.oldest_at_ms.unwrap_or(row.created_at_ms);
                one.oldest_at_ms = Some(oldest.min(row.created_at_ms));
            }
        }
        for row in self.outbox.values() {
            if let Some(one) = all.get_mut(row.target.as_str()) {
                one.outbox += 1;
            }
        }
        let has_something =
            |one: &Overview| one.backlog() + one.rejected + one.outbox > 0 || !one.parked.is_empty();
        all.into_values().filter(has_something).collect()
    }

    pub(super) fn behind_parked(&self) -> BTreeMap<String, u64> {
        let mut behind: BTreeMap<String, u64> = BTreeMap::new();
        let waits = |row: &&Row| matches!(row.state, State::Pending | State::Waiting);
        for row in self.rows.values().filter(waits) {
            let before = self.lane(row).into_iter().flatten().take_while(|seq| **seq < row.seq);
            let mut before = before.filter_map(|seq| self.rows.get(seq));
            if before.any(|other| other.state == State::Parked) {
                *behind.entry(row.target.clone()).or_default() += 1;
            }
        }
        behind
    }

    pub(super) fn replayable(&self, filter: &Filter) -> Replayable {
        let Some(filter) = super::queue::stopped(filter) else { return Replayable::default() };
        let current = self.selected(&Filter { limit: MOST, ..filter });
        let wanted =
            current.into_iter().filter(|view| view.state == State::Parked || !self.has_newer(&view.event));
        let mut groups: Vec<ReplayGroup> = Vec::new();
        let mut first = Vec::new();
        for view in wanted {
            let code = view.fault.as_ref().map(|fault| fault.code.as_str().to_owned());
            let group = ReplayGroup {
                target: view.target.clone(),
                state: view.state,
                class: view.class.clone(),
                code,
                count: 0,
            };
            let same = |one: &&mut ReplayGroup| ReplayGroup { count: 0, ..(**one).clone() } == group;
            match groups.iter_mut().find(same) {
                Some(known) => known.count += 1,
                None => groups.push(ReplayGroup { count: 1, ..group }),
            }
            if u64::try_from(first.len()).unwrap_or(SHOWN) < SHOWN {
                first.push(view);
            }
        }
        let order =
            |one: &ReplayGroup| (one.target.clone(), one.state.name(), one.class.clone(), one.code.clone());
        groups.sort_by_key(order);
        Replayable { groups, first }
    }
}
