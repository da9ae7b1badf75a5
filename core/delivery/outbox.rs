//! The way in: accepting and replaying.

use crate::engine::Shared;
use crate::failpoints::failpoint;
use crate::observer::Stage;
use crate::port::{Accepted, Binding, Cursor, Filter, Intake, NewDelivery, Replayed, Stored};
use std::collections::BTreeSet;
use std::time::Instant;

impl Shared {
    /// Stores, then wakes the relays of the targets concerned.
    pub(crate) async fn accept(&self, intakes: Vec<Intake>, cursor: Option<Cursor>) -> Stored<Vec<Accepted>> {
        let targets: Vec<BTreeSet<String>> = intakes
            .iter()
            .map(|intake| intake.deliveries.iter().map(|delivery| delivery.target.clone()).collect())
            .collect();
        let held = self.held();
        let counts = |delivery: &NewDelivery| held.connection(&delivery.target).is_none();
        let rows: Vec<usize> = intakes
            .iter()
            .map(|intake| intake.deliveries.iter().filter(|delivery| counts(delivery)).count())
            .collect();
        let begun = Instant::now();
        let accepted = self.store.accept(intakes, cursor, self.clock.now_ms()).await?;
        self.observer.stage(Stage::Accept, begun.elapsed());
        failpoint("after-accept-commit");
        for ((outcome, targets), rows) in accepted.iter().zip(&targets).zip(rows) {
            self.observer.accepted(outcome);
            if *outcome == Accepted::New {
                self.backlog.added(rows);
                targets.iter().for_each(|target| self.wake(target));
            }
        }
        Ok(accepted)
    }

    pub(crate) async fn replay(&self, filter: Filter) -> Stored<Replayed> {
        let replayed = self.store.replay(filter, self.clock.now_ms()).await?;
        self.wake_all();
        Ok(replayed)
    }

    pub(crate) async fn bind(&self, delivery: &str, binding: Binding) -> Stored<bool> {
        let target = binding.target.clone();
        let bound = self.store.bind(delivery, binding, self.clock.now_ms()).await?;
        self.wake(&target);
        Ok(bound)
    }

    /// Counts what waits to be published; what was known before stands where that fails. What waits for a paused
    /// connection is nobody else's trouble, and turns no sender away.
    pub(crate) async fn count_backlog(&self) {
        let mut paused = self.paused();
        loop {
            match self.outbox_rows(&paused).await {
                Ok(rows) => self.backlog.counted(rows),
                Err(error) => {
                    self.observer.store_failed();
                    tracing::warn!(%error, "the outbox cannot be counted");
                    return;
                }
            }
            // Paused or released while it was counted: the number is of something else, and would stand until the next.
            let paused_now = self.paused();
            if paused_now == paused {
                return;
            }
            paused = paused_now;
        }
    }

    /// Exact where it matters. A million rows take a database a tenth of a second to count; as long as it is clear that
    /// they are few beside the bound, how many they are at most will do.
    async fn outbox_rows(&self, paused: &[String]) -> Stored<u64> {
        let at_most = self.store.outbox_span().await?;
        if at_most <= self.relay.outbox_max / 2 { Ok(at_most) } else { self.store.outbox_count(paused).await }
    }

    fn paused(&self) -> Vec<String> {
        let held = self.held();
        self.wakes.keys().filter(|target| held.connection(target).is_some()).cloned().collect()
    }
}
