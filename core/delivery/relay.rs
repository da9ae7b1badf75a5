//! From the outbox to the broker, one relay per target.
//!
//! A relay reads rows, publishes them a batch at a time with several batches under way, and removes rows after
//! the broker's confirm. A row that was published and not removed (crash in between) is published again; the
//! worker's `begin` makes that harmless. Each target has its own relay because a full or missing queue makes
//! `publish` wait or fail, which must not hold up the others. While a target is paused, its rows stay in the outbox.

use crate::broker::{BrokerError, Message};
use crate::engine::{Shared, Stop};
use crate::failpoints::failpoint;
use crate::observer::Stage;
use crate::port::OutboxRow;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Pause after a failure, doubled up to a limit while it lasts: a dead broker is not asked in a loop.
pub(crate) struct Pause {
    next: Duration,
}

impl Pause {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(crate) fn new() -> Self {
        Pause { next: Self::FIRST }
    }

    pub(crate) fn reset(&mut self) {
        self.next = Self::FIRST;
    }

    pub(crate) fn longer(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(Self::LONGEST);
        now
    }
}

/// What came of one batch.
struct Batch {
    /// Not under way any more.
    rows: Vec<i64>,
    /// Confirmed, and still to be noted as such.
    unmarked: Vec<i64>,
    failed: bool,
}

/// Publishes a target's outbox rows until told to stop.
pub(crate) async fn run_relay(shared: Arc<Shared>, target: String, stop: Stop) {
    let Some(wake) = shared.wakes.get(&target).cloned() else { return };
    let idle = Duration::from_millis(u64::from(shared.relay.idle_ms));
    // Tasks, not futures polled here: while this loop waits for a database connection, a batch must be able to
    // finish the transaction in which it holds one.
    let mut batches: JoinSet<Batch> = JoinSet::new();
    let mut rows = Rows::new(&shared);
    let mut pause = Pause::new();
    let mut look = true;
    loop {
        // A queue that nobody takes from only fills the broker, over a weekend with more than it has room for. What has
        // been read and not published yet is read again afterwards: it may have gone on in another process.
        let is_paused = shared.held().connection(&target).is_some();
        if is_paused {
            look = false;
            rows.put_off();
        }
        while batches.len() < usize::from(shared.relay.batches) {
            if look && rows.is_used_up() {
                match rows.read(&shared, &target).await {
                    // Paused while it was read: this may have been accepted since.
                    Ok(_) if !is_paused && shared.held().connection(&target).is_some() => {
                        look = false;
                        rows.put_off();
                    }
                    Ok(found) => look = found,
                    Err(()) if stop.within(pause.longer()).await => return,
                    Err(()) => continue,
                }
            }
            let batch = rows.next();
            if batch.is_empty() && (rows.unmarked.is_empty() || !batches.is_empty()) {
                break;
            }
            batches.spawn(publish(shared.clone(), target.clone(), batch, rows.take_unmarked()));
        }
        if batches.is_empty() {
            shared.head_start.has_ended(&target);
        }
        tokio::select! {
            biased;
            () = stop.told() => break,
            Some(batch) = batches.join_next() => {
                look = true;
                let failed = match batch {
                    Ok(batch) => rows.end(batch),
                    Err(error) => {
                        tracing::error!(%error, "a batch broke off");
                        rows.forget();
                        true
                    }
                };
                if !failed {
                    pause.reset();
                } else if stop.within(pause.longer()).await {
                    break;
                }
            }
            () = shared.holds.when(&target, !is_paused) => look = true,
            () = wake.notified() => look = true,
            () = tokio::time::sleep(idle) => look = true,
        }
    }
    // In memory, a batch may wait for a place that no worker will free any more; its rows simply stay.
    while shared.broker.durable() && batches.join_next().await.is_some() {}
}

/// Batches to one read of the outbox. Those under way stand in it still and are read along, so reading should be
/// seldom; what has been read and not published yet is out of date if it is much.
const BATCHES_READ: usize = 8;

/// How long confirmed rows rest that could not be noted because somebody was writing their deliveries.
const UNMARKED_REST: Duration = Duration::from_millis(20);

/// Rows that were read.
struct Rows {
    /// In a batch.
    batch: usize,
    read: VecDeque<OutboxRow>,
    /// Read, and not known to be gone from the outbox.
    taken: HashSet<i64>,
    /// Confirmed, and still to be noted as such.
    unmarked: Vec<i64>,
}

impl Rows {
    fn new(shared: &Shared) -> Rows {
        let batch = usize::try_from(shared.relay.batch).unwrap_or(1);
        Rows { batch, read: VecDeque::new(), taken: HashSet::new(), unmarked: Vec::new() }
    }

    fn is_used_up(&self) -> bool {
        self.read.is_empty()
    }

    /// What was read and is not under way is as if it had not been.
    fn put_off(&mut self) {
        for row in self.read.drain(..) {
            self.taken.remove(&row.id);
        }
    }

    /// The next batch; empty when all that was read is under way.
    fn next(&mut self) -> Vec<OutboxRow> {
        self.read.drain(..self.batch.min(self.read.len())).collect()
    }

    fn take_unmarked(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.unmarked)
    }

    /// What a batch had is not under way any more; answers whether it failed.
    fn end(&mut self, batch: Batch) -> bool {
        for id in &batch.rows {
            self.taken.remove(id);
        }
        self.unmarked.extend(batch.unmarked);
        batch.failed
    }

    /// Which rows a batch had that broke off is lost with it: all are read again, and at worst published twice.
    fn forget(&mut self) {
        self.read.clear();
        self.taken.clear();
        self.unmarked.clear();
    }

    /// Reads rows that are not under way yet; answers whether there were any, an error when the store failed.
    async fn read(&mut self, shared: &Shared, target: &str) -> Result<bool, ()> {
        let limit = u64::try_from(self.taken.len() + self.batch * BATCHES_READ).unwrap_or(u64::MAX);
        let due_before_ms = match shared.broker.horizon_ms() {
            Some(horizon) => shared.clock.now_ms().saturating_add(horizon),
            None => i64::MAX,
        };
        match shared.store.outbox_of(target, due_before_ms, limit).await {
            Ok(rows) => {
                let new = rows.into_iter().filter(|row| self.taken.insert(row.id));
                self.read.extend(new);
                Ok(!self.read.is_empty())
            }
            Err(error) => {
                shared.observer.store_failed();
                tracing::warn!(target_name = target, %error, "outbox cannot be read");
                Err(())
            }
        }
    }
}

/// Publishes rows, and notes those that were confirmed, with those left over from before.
async fn publish(shared: Arc<Shared>, target: String, rows: Vec<OutboxRow>, unmarked: Vec<i64>) -> Batch {
    let mut done: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut lost = Vec::new();
    if rows.is_empty() {
        // Whoever was writing then has had a moment.
        tokio::time::sleep(UNMARKED_REST).await;
    } else {
        let messages = rows.into_iter().map(message).collect();
        let begun = Instant::now();
        let results = shared.broker.publish(messages).await;
        shared.observer.stage(Stage::Publish, begun.elapsed());
        failpoint("after-publish-before-mark");
        let mut outcomes = results.iter();
        (done, lost) = done.into_iter().partition(|_| outcomes.next().is_some_and(Result::is_ok));
        if !lost.is_empty() {
            let failed = lost.len();
            shared.observer.publish_failed(&target, failed);
            let error = results.into_iter().find_map(Result::err).unwrap_or(BrokerError::Closed);
            tracing::warn!(target_name = target, failed, %error, "not published; the rows stay in the outbox");
        }
    }
    let failed = !lost.is_empty();
    done.extend(unmarked);
    if done.is_empty() {
        return Batch { rows: lost, unmarked: Vec::new(), failed };
    }
    match shared.store.outbox_done(done.clone(), shared.clock.now_ms()).await {
        Ok(unmarked) => {
            done.retain(|id| !unmarked.contains(id));
            shared.backlog.removed(done.len());
            shared.observer.published(&target, done.len());
            lost.extend(done);
            Batch { rows: lost, unmarked, failed }
        }
        Err(error) => {
            // A row that cannot be removed is published again later, which is harmless.
            shared.observer.store_failed();
            tracing::warn!(target_name = target, %error, "published rows cannot be removed");
            lost.extend(done);
            Batch { rows: lost, unmarked: Vec::new(), failed: true }
        }
    }
}

fn message(row: OutboxRow) -> Message {
    Message {
        delivery: row.delivery,
        target: row.target,
        order_key: row.order_key,
        not_before_ms: row.due_at_ms,
    }
}
