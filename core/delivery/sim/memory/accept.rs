//! Accepting events once each.

use super::{Row, Tables};
use crate::port::{Accepted, Intake, State};
use tongbao_model::Event;

impl Tables {
    pub(super) fn accept(&mut self, intake: &Intake, now_ms: i64) -> Accepted {
        let event = &intake.event;
        let document = (event.source.clone(), event.kind.clone(), event.key.clone());
        let revisions = self.documents.entry(document).or_default();
        if let Some(stored) = revisions.get(&event.revision).cloned() {
            let same = self.events.get(&stored).is_some_and(|(first, _)| first.digest == event.digest);
            return if same {
                Accepted::Repeat { event: stored }
            } else {
                Accepted::Conflict { event: stored }
            };
        }
        let late = revisions.last_key_value().is_some_and(|(newest, _)| *newest > event.revision);
        let outdated: Vec<String> = if late { Vec::new() } else { revisions.values().cloned().collect() };
        revisions.insert(event.revision, event.id.clone());
        self.events.insert(event.id.clone(), (event.clone(), now_ms));
        self.add_deliveries(event, intake, late, now_ms);
        self.supersede(&outdated, now_ms);
        if late { Accepted::Late } else { Accepted::New }
    }

    fn add_deliveries(&mut self, event: &Event, intake: &Intake, late: bool, now_ms: i64) {
        for new in &intake.deliveries {
            let seq = self.rows.last_key_value().map_or(1, |(last, _)| last + 1);
            let state = if late { State::Superseded } else { State::Pending };
            let row = Row {
                seq,
                id: new.id.clone(),
                event: event.id.clone(),
                flow: new.flow.clone(),
                target: new.target.clone(),
                order_key: new.order_key.clone(),
                state,
                attempts: 0,
                tries: 0,
                window_start_ms: now_ms,
                due_at_ms: None,
                lease_until_ms: None,
                class: None,
                in_doubt: false,
                fault: None,
                remote: None,
                published_at_ms: None,
                created_at_ms: now_ms,
                changed_at_ms: now_ms,
            };
            self.seq_of.insert(new.id.clone(), seq);
            self.rows.insert(seq, row);
            self.set_state(&new.id, state);
            if !late {
                self.put_out(&new.id, now_ms);
            }
        }
    }

    /// Parked deliveries of older revisions give way, unless they may have taken effect.
    fn supersede(&mut self, outdated: &[String], now_ms: i64) {
        let parked: Vec<(String, (String, String))> = self
            .rows
            .values()
            .filter(|row| outdated.contains(&row.event) && row.state == State::Parked)
            .filter(|row| !row.in_doubt && row.remote.is_none())
            .map(|row| (row.id.clone(), (row.target.clone(), row.order_key.clone())))
            .collect();
        for (id, lane) in parked {
            self.set_state(&id, State::Superseded);
            if let Some(row) = self.row_mut(&id) {
                row.changed_at_ms = now_ms;
            }
            self.wake_head(&lane, None, now_ms);
        }
    }
}
