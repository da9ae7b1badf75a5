//! Putting back what stalled: deliveries whose message was lost, or whose worker is gone.

use crate::broker::Line;
use crate::engine::{Shared, Stop};
use crate::port::Stored;
use crate::stalled::Stalled;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between two sweeps lies so many times what the first one took, up to the time after which something counts as stalled.
const REST: u32 = 20;

impl Shared {
    /// What counts as stalled now. A message that waits in line behind others is late and not lost: where the broker
    /// tells how far a line has come, the time is counted in the line, by when that was published which it has handed
    /// out last.
    ///
    /// Not `closely`, a connection is judged by the partition that is furthest behind. Otherwise a long line in one of
    /// them would be read from the database for the sake of the others with every sweep.
    async fn stalled(&self, now_ms: i64, closely: bool) -> Stalled {
        let patience_ms = i64::from(self.relay.stalled_ms);
        let mut stalled = Stalled::before(now_ms.saturating_sub(patience_ms)).with_patience(patience_ms);
        let mut all_tell = true;
        // All at once: a broker that is slow to answer is so for each of them.
        let lines = join_all(self.wakes.keys().map(|target| self.broker.line(target))).await;
        for (target, line) in self.wakes.keys().zip(lines) {
            let Line::HandedOut(partitions) = line else {
                all_tell = false;
                continue;
            };
            let before =
                |at: Option<i64>| at.map_or(i64::MIN, |at| at.min(now_ms).saturating_sub(patience_ms));
            let mut partitions: Vec<i64> = partitions.into_iter().map(before).collect();
            if !closely {
                let furthest = partitions.iter().copied().min().unwrap_or(i64::MIN);
                partitions.fill(furthest);
            }
            stalled = stalled.with_line(target, partitions);
        }
        // What goes to connections that are not configured here is for processes where they are.
        if all_tell { stalled.only_lines() } else { stalled }
    }

    async fn put_back(&self, stalled: Stalled, now_ms: i64) -> Stored<()> {
        let count = self.store.sweep(&stalled, now_ms).await?;
        if count > 0 {
            tracing::info!(count, "put back into the outbox");
            self.observer.swept(count);
            self.wake_all();
        }
        Ok(())
    }

    /// Puts back whatever an earlier process had in its queues.
    pub(crate) async fn put_everything_back(&self) -> Stored<()> {
        self.put_back(Stalled::everything(), self.clock.now_ms()).await
    }

    /// Sweeps; answers how long the database was busy with it.
    async fn sweep(&self, closely: bool) -> Duration {
        let now_ms = self.clock.now_ms();
        let stalled = self.stalled(now_ms, closely).await;
        let begun = Instant::now();
        if let Err(error) = self.put_back(stalled, now_ms).await {
            self.observer.store_failed();
            tracing::warn!(%error, "sweep failed");
        }
        begun.elapsed()
    }
}

/// Sweeps at an interval until told to stop.
pub(crate) async fn run_sweeper(shared: Arc<Shared>, stop: Stop) {
    let interval = Duration::from_millis(u64::from(shared.relay.sweep_ms));
    let patience = Duration::from_millis(u64::from(shared.relay.stalled_ms));
    // Often enough beside the time after which a delivery counts as stalled.
    let close_interval = patience / 4;
    let mut closely: Option<Instant> = None;
    // What is not durable has just been filled with everything there is.
    if !shared.broker.durable() && stop.within(interval).await {
        return;
    }
    loop {
        let is_time = closely.is_none_or(|last| last.elapsed() >= close_interval);
        if is_time {
            closely = Some(Instant::now());
        }
        // A broker that does not answer must not hold up a stop.
        let took = tokio::select! {
            biased;
            () = stop.told() => return,
            took = shared.sweep(is_time) => took,
        };
        // A long one is not repeated at once: other work needs the database more.
        if stop.within(interval.max((took * REST).min(patience))).await {
            return;
        }
        shared.count_backlog().await;
    }
}
