//! What stalled, what people put back, code tables.

use super::{MOST, Row, Tables, USUAL};
use crate::port::{DeliveryView, Filter, ImportMode, Replayed, State, TableRow};
use crate::stalled::Stalled;
use std::collections::HashSet;

/// The filter over what has stopped; `None` when it lets none of that through.
pub(super) fn stopped(filter: &Filter) -> Option<Filter> {
    let mut states = vec![State::Parked, State::Rejected];
    if !filter.states.is_empty() {
        states.retain(|state| filter.states.contains(state));
    }
    (!states.is_empty()).then(|| Filter { states, ..filter.clone() })
}

impl Tables {
    pub(super) fn sweep(&mut self, what: &Stalled, now_ms: i64) -> u64 {
        let waiting: HashSet<&str> = self.outbox.values().map(|row| row.delivery.as_str()).collect();
        let paused = if what.usual_ms() < now_ms { self.quiet(what.usual_ms()) } else { Vec::new() };
        let before = |row: &Row| what.before_ms(&row.target, &row.order_key);
        let stalled = |row: &Row| {
            !paused.contains(&row.target) && row.published_at_ms.is_some_and(|at| at < before(row))
        };
        let first =
            |row: &Row| self.lane(row).and_then(|lane| lane.first()).is_none_or(|first| *first >= row.seq);
        let back: Vec<(String, i64)> = self
            .rows
            .values()
            .filter(|row| !waiting.contains(row.id.as_str()))
            .filter(|row| match row.state {
                State::Pending => stalled(row) && first(row),
                State::Waiting => stalled(row) && row.due_at_ms.is_some_and(|due| due < before(row)),
                State::Calling => {
                    let ran_out = row.lease_until_ms.is_some_and(|until| until < now_ms);
                    let met = row.lease_until_ms.is_some_and(|until| until < what.come_to_ms(before(row)));
                    let before_it = |at: i64| at < before(row) || Some(at) <= row.lease_until_ms;
                    ran_out && met && row.published_at_ms.is_some_and(before_it)
                }
                _ => false,
            })
            .map(|row| (row.id.clone(), row.due_at_ms.unwrap_or(now_ms)))
            .collect();
        for (id, due_at_ms) in &back {
            self.put_out(id, *due_at_ms);
        }
        u64::try_from(back.len()).unwrap_or(u64::MAX)
    }

    /// Puts back what stopped; the filter's limit counts what is put back and what may not come back together.
    pub(super) fn replay(&mut self, filter: &Filter, now_ms: i64) -> Replayed {
        let Some(filter) = stopped(filter) else { return Replayed::default() };
        let current = self.selected(&Filter { limit: MOST, ..filter.clone() });
        let mut wanted: Vec<DeliveryView> = current
            .into_iter()
            .filter(|view| view.state == State::Parked || !self.has_newer(&view.event))
            .collect();
        let limit =
            usize::try_from(if filter.limit == 0 { USUAL } else { filter.limit }).unwrap_or(usize::MAX);
        let is_full = wanted.len() >= limit;
        wanted.truncate(limit);
        let next = wanted.last().filter(|_| is_full).map(|view| view.seq);
        for view in &wanted {
            if let Some(row) = self.row_mut(&view.id) {
                row.tries = 0;
                row.window_start_ms = now_ms;
                row.due_at_ms = None;
                row.changed_at_ms = now_ms;
            }
            self.set_state(&view.id, State::Pending);
            self.put_out(&view.id, now_ms);
        }
        Replayed { ids: wanted.into_iter().map(|view| view.id).collect(), next }
    }

    pub(super) fn has_newer(&self, event: &str) -> bool {
        let Some((event, _)) = self.events.get(event) else { return true };
        let document = (event.source.clone(), event.kind.clone(), event.key.clone());
        let newest = self.documents.get(&document).and_then(|revisions| revisions.last_key_value());
        newest.is_some_and(|(revision, _)| *revision > event.revision)
    }

    pub(super) fn hasten(&mut self, target: &str, key: &str, now_ms: i64) -> u64 {
        let hinted: Vec<String> = self
            .rows
            .values()
            .filter(|row| row.target == target && row.state == State::Waiting)
            .filter(|row| row.due_at_ms.is_some_and(|due| due > now_ms))
            .filter(|row| self.events.get(&row.event).is_some_and(|(event, _)| event.key == key))
            .take(100)
            .map(|row| row.id.clone())
            .collect();
        for id in &hinted {
            if let Some(row) = self.row_mut(id) {
                row.due_at_ms = Some(now_ms);
            }
            self.outbox.retain(|_, row| row.delivery != *id);
            self.put_out(id, now_ms);
        }
        u64::try_from(hinted.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn import(&mut self, table: &str, rows: Vec<TableRow>, mode: ImportMode) -> (u64, u64, u64) {
        let (mut added, mut changed) = (0, 0);
        let named: HashSet<String> = rows.iter().map(|row| row.source.clone()).collect();
        for row in rows {
            let key = (table.to_owned(), row.source.clone());
            match self.codes.insert(key, row.clone()) {
                None => added += 1,
                Some(old) if old != row => changed += 1,
                Some(_) => {}
            }
        }
        let before = self.codes.len();
        if mode == ImportMode::Replace {
            self.codes.retain(|(of, source), _| of != table || named.contains(source));
        }
        let removed = u64::try_from(before - self.codes.len()).unwrap_or(u64::MAX);
        self.codes_revision += 1;
        self.codes_before.insert(self.codes_revision, self.codes.clone());
        (added, changed, removed)
    }
}
