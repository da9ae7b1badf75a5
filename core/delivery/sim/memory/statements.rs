//! The history of statements.

use super::Tables;
use crate::port::{Accepted, Intake, LedgerEntry, StoreError, Stored};
use crate::statements::{Note, Wanted, goes_on};
use std::collections::BTreeSet;

impl Tables {
    pub(super) fn note_statement(
        &mut self,
        notes: Vec<Note>,
        intake: Option<&Intake>,
        now_ms: i64,
    ) -> Stored<bool> {
        let Some(first) = notes.first() else { return Ok(false) };
        let of = |seq| (first.month.clone(), first.customer.clone(), seq);
        let last = self.notes.range(of(0)..of(i64::MAX)).next_back().map_or(0, |(_, note)| note.seq);
        if !goes_on(&notes, last) {
            return Ok(false);
        }
        if intake.is_some_and(|intake| self.accept(intake, now_ms) != Accepted::New) {
            let why = format!("the event of {} {} is there already", first.customer, first.month);
            return Err(StoreError::Invalid(why));
        }
        let keyed = |note: Note| ((note.month.clone(), note.customer.clone(), note.seq), note);
        self.notes.extend(notes.into_iter().map(keyed));
        Ok(true)
    }

    pub(super) fn statement_notes(&self, wanted: &Wanted) -> Vec<Note> {
        let most = usize::try_from(wanted.most()).unwrap_or(usize::MAX);
        self.notes.values().filter(|note| wanted.takes(note)).take(most).cloned().collect()
    }

    pub(super) fn customers(&self, after: &str, limit: u64) -> Vec<String> {
        let ordered = self.ledger.values().filter(|(entry, _)| entry.kind == LedgerEntry::ORDERED);
        let codes: BTreeSet<&String> = ordered.filter_map(|(entry, _)| entry.customer.as_ref()).collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        codes.into_iter().filter(|code| code.as_str() > after).take(limit).cloned().collect()
    }
}
