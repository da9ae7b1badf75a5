//! One attempt: its intent before the call, its outcome after.

use super::Tables;
use crate::policy::doubt;
use crate::port::{
    AttemptView, Begin, Binding, Finish, Finished, LedgerEntry, Next, Previous, State, StoreError, Stored,
    Work,
};

/// A free attempt's columns.
fn intent(attempt: u32, worker: &str, now_ms: i64) -> AttemptView {
    AttemptView {
        attempt,
        worker: worker.to_owned(),
        started_at_ms: now_ms,
        ended_at_ms: None,
        class: None,
        fault: None,
        remote: None,
        request: None,
        response: None,
        mapping: None,
        tables_revision: None,
    }
}

impl Tables {
    pub(super) fn begin(&mut self, id: &str, worker: &str, lease_until_ms: i64, now_ms: i64) -> Begin {
        let Some(row) = self.row(id) else { return Begin::Settled };
        match row.state {
            State::Posted | State::Rejected | State::Superseded | State::Parked => return Begin::Settled,
            State::Calling => {
                if let Some(until) = row.lease_until_ms.filter(|until| *until > now_ms) {
                    return Begin::Leased(until);
                }
            }
            State::Waiting => {
                if let Some(due) = row.due_at_ms.filter(|due| *due > now_ms) {
                    return Begin::NotDue(due);
                }
            }
            State::Pending => {}
        }
        if self.is_blocked(id) {
            return Begin::Behind;
        }
        let Some(row) = self.row_mut(id) else { return Begin::Settled };
        let lost = row.state == State::Calling;
        let previous = (row.attempts > 0).then(|| Previous {
            class: row.class.filter(|_| !lost),
            remote: row.remote.clone(),
            in_doubt: lost || row.in_doubt,
        });
        row.state = State::Calling;
        row.attempts += 1;
        row.tries += 1;
        row.due_at_ms = None;
        row.lease_until_ms = Some(lease_until_ms);
        row.published_at_ms = Some(now_ms);
        row.in_doubt |= lost;
        row.changed_at_ms = now_ms;
        let row = row.clone();
        self.attempts.entry(id.to_owned()).or_default().push(intent(row.attempts, worker, now_ms));
        let Some((event, _)) = self.events.get(&row.event) else { return Begin::Settled };
        Begin::Run(Box::new(Work {
            attempt: row.attempts,
            tries: row.tries,
            window_start_ms: row.window_start_ms,
            previous,
            event: event.clone(),
            delivery: self.view(&row),
        }))
    }

    /// Whether another delivery of the lane goes first.
    fn is_blocked(&self, id: &str) -> bool {
        let Some(row) = self.row(id) else { return true };
        if self.without_order {
            return false;
        }
        self.lane(row).is_some_and(|lane| {
            lane.iter()
                .filter(|seq| **seq != row.seq)
                .filter_map(|seq| self.rows.get(seq))
                .any(|other| other.seq < row.seq || other.state == State::Calling)
        })
    }

    pub(super) fn finish(&mut self, finish: &Finish) -> Stored<Finished> {
        let Some(row) = self.row(&finish.delivery) else { return Ok(Finished::Fenced) };
        let holds = row.attempts == finish.attempt && row.state == State::Calling;
        if !holds && !self.without_fencing {
            return Ok(Finished::Fenced);
        }
        let lane = (row.target.clone(), row.order_key.clone());
        // The only thing that can fail comes first: a transaction is all or nothing.
        if let Some(binding) = &finish.binding {
            self.bind(binding)?;
        }
        let (state, due_at_ms) = match finish.next {
            Next::Posted => (State::Posted, None),
            Next::Rejected => (State::Rejected, None),
            Next::Parked => (State::Parked, None),
            Next::Retry { at_ms } => (State::Waiting, Some(at_ms)),
        };
        if let Some(row) = self.row_mut(&finish.delivery) {
            row.due_at_ms = due_at_ms;
            row.lease_until_ms = None;
            row.class = Some(finish.class);
            row.in_doubt = doubt(row.in_doubt, finish.class);
            row.fault = finish.fault.clone();
            row.remote = finish.remote.clone();
            row.changed_at_ms = finish.now_ms;
        }
        self.set_state(&finish.delivery, state);
        self.end_attempt(finish);
        for entry in &finish.entries {
            self.enter(entry, finish.now_ms);
        }
        for said in &finish.payments {
            self.pool.say(said);
        }
        for paper in &finish.papers {
            self.papers.keep(paper);
        }
        for intake in &finish.follow_on {
            self.accept(intake, finish.now_ms);
        }
        if let Some(at_ms) = due_at_ms {
            self.put_out(&finish.delivery, at_ms);
        }
        let but = (!state.is_final()).then_some(finish.delivery.as_str());
        self.wake_head(&lane, but, finish.now_ms);
        Ok(Finished::Stored)
    }

    fn end_attempt(&mut self, finish: &Finish) {
        let attempts = self.attempts.entry(finish.delivery.clone()).or_default();
        let Some(attempt) = attempts.iter_mut().find(|one| one.attempt == finish.attempt) else { return };
        attempt.ended_at_ms = Some(finish.now_ms);
        attempt.class = Some(finish.class.name().to_owned());
        attempt.fault = finish.fault.clone();
        attempt.remote = finish.remote.clone();
        attempt.request = finish.request.clone();
        attempt.response = finish.response.clone();
        attempt.mapping = finish.mapping.clone();
        attempt.tables_revision = finish.tables_revision;
    }

    fn bind(&mut self, binding: &Binding) -> Stored<()> {
        let key = (binding.target.clone(), binding.kind.clone(), binding.key.clone());
        let mut binding = binding.clone();
        if let Some(stored) = self.bindings.get(&key) {
            let (old, new) = (&stored.remote.id, &binding.remote.id);
            if !old.is_empty() && !new.is_empty() && old != new {
                return Err(StoreError::Invalid(format!(
                    "{} {} is bound to {old} already, not to {new}",
                    binding.kind, binding.key
                )));
            }
            if new.is_empty() {
                binding.remote.id.clone_from(old);
            }
        }
        self.bindings.insert(key, binding);
        Ok(())
    }

    fn enter(&mut self, entry: &LedgerEntry, now_ms: i64) {
        let key = (entry.contract.clone(), entry.kind.clone(), entry.origin.clone(), entry.revision);
        self.ledger.entry(key).or_insert_with(|| (entry.clone(), now_ms));
    }

    /// Settles a parked delivery as posted by hand.
    pub(super) fn bind_by_hand(&mut self, id: &str, binding: &Binding, now_ms: i64) -> Stored<bool> {
        let Some(row) = self.row(id).filter(|row| row.state == State::Parked) else { return Ok(false) };
        let lane = (row.target.clone(), row.order_key.clone());
        self.bind(binding)?;
        let class = tongbao_model::Class::AlreadyThere;
        let mut attempt = 0;
        if let Some(row) = self.row_mut(id) {
            row.attempts += 1;
            row.class = Some(class);
            row.in_doubt = false;
            row.fault = None;
            row.remote = Some(binding.remote.clone());
            row.changed_at_ms = now_ms;
            attempt = row.attempts;
        }
        self.set_state(id, State::Posted);
        self.attempts.entry(id.to_owned()).or_default().push(AttemptView {
            ended_at_ms: Some(now_ms),
            class: Some(class.name().to_owned()),
            remote: Some(binding.remote.clone()),
            ..intent(attempt, "by hand", now_ms)
        });
        self.wake_head(&lane, None, now_ms);
        Ok(true)
    }
}
