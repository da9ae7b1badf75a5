//! The way in: accepting, replaying, and putting back what stalled.

use crate::engine::{Shared, Stop};
use crate::failpoints::failpoint;
use crate::observer::Stage;
use crate::port::{Accepted, Binding, Cursor, Filter, Intake, Replayed, Stored};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Shared {
    /// Stores, then wakes the relays of the targets concerned.
    pub(crate) async fn accept(&self, intakes: Vec<Intake>, cursor: Option<Cursor>) -> Stored<Vec<Accepted>> {
        let targets: Vec<BTreeSet<String>> = intakes
            .iter()
            .map(|intake| intake.deliveries.iter().map(|delivery| delivery.target.clone()).collect())
            .collect();
        let rows: Vec<usize> = intakes.iter().map(|intake| intake.deliveries.len()).collect();
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

    /// One sweep; `everything` when the broker's queues are known to be empty.
    async fn sweep(&self, everything: bool) {
        let now_ms = self.clock.now_ms();
        let stalled_before_ms =
            if everything { i64::MAX } else { now_ms.saturating_sub(i64::from(self.relay.stalled_ms)) };
        match self.store.sweep(stalled_before_ms, now_ms).await {
            Ok(0) => {}
            Ok(count) => {
                tracing::info!(count, everything, "put back into the outbox");
                self.observer.swept(count);
                self.wake_all();
            }
            Err(error) => {
                self.observer.store_failed();
                tracing::warn!(%error, "sweep failed");
            }
        }
    }

    /// Counts what waits; what was known before stands where that fails.
    pub(crate) async fn count_backlog(&self) {
        match self.store.outbox_count().await {
            Ok(rows) => self.backlog.counted(rows),
            Err(error) => {
                self.observer.store_failed();
                tracing::warn!(%error, "the outbox cannot be counted");
            }
        }
    }
}

/// Sweeps at start and at an interval until told to stop.
pub(crate) async fn run_sweeper(shared: Arc<Shared>, stop: Stop) {
    shared.sweep(!shared.broker.durable()).await;
    let interval = Duration::from_millis(u64::from(shared.relay.sweep_ms));
    while !stop.within(interval).await {
        shared.sweep(false).await;
        shared.count_backlog().await;
    }
}
