//! From the outbox to the broker, one relay per target.
//!
//! A relay reads rows, publishes them a batch at a time with several batches under way, and removes rows some time
//! after the broker's confirm. A row that was published and not removed (crash in between) is published again; the
//! worker's `begin` makes that harmless. Each target has its own relay because a full or missing queue makes
//! `publish` wait or fail, which must not hold up the others. While a target is paused, its rows stay in the outbox.

use crate::broker::{BrokerError, Message};
use crate::engine::{Shared, Stop};
use crate::failpoints::failpoint;
use crate::observer::Stage;
use crate::port::OutboxRow;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

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
    confirmed: Vec<i64>,
    lost: Vec<i64>,
}

/// What came of noting that rows were confirmed.
struct Noted {
    gone: Vec<i64>,
    /// Still to be noted.
    left: Vec<i64>,
    failed: bool,
}

/// Publishes a target's outbox rows until told to stop.
pub(crate) async fn run_relay(shared: Arc<Shared>, target: String, stop: Stop) {
    let Some(wake) = shared.wakes.get(&target).cloned() else { return };
    let idle = Duration::from_millis(u64::from(shared.relay.idle_ms));
    // Tasks, not futures polled here: while this loop waits for a database connection, a batch must be able to
    // finish the transaction in which it holds one.
    let mut batches: JoinSet<Batch> = JoinSet::new();
    let mut notes: JoinSet<Noted> = JoinSet::new();
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
        while batches.len() < usize::from(shared.relay.batches) && !rows.is_full() {
            if look && rows.is_used_up() && rows.read_again_at <= Instant::now() {
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
            if batch.is_empty() {
                break;
            }
            batches.spawn(publish(shared.clone(), target.clone(), batch));
        }
        if notes.is_empty() {
            // At the start nothing rests: workers wait until all is noted.
            let rest = if shared.head_start.is_over() { REST } else { Duration::ZERO };
            let rested = rows.rested(rest);
            if !rested.is_empty() {
                notes.spawn(note(shared.clone(), target.clone(), rested));
            }
        }
        if batches.is_empty() && notes.is_empty() {
            shared.head_start.has_ended(&target);
        }
        let ripe = rows.ripe_at().filter(|_| notes.is_empty());
        let readable = Some(rows.read_again_at).filter(|at| look && *at > Instant::now());
        tokio::select! {
            biased;
            () = stop.told() => break,
            Some(batch) = batches.join_next() => {
                look = true;
                if !rows.published(batch) {
                    pause.reset();
                } else if stop.within(pause.longer()).await {
                    break;
                }
            }
            Some(noted) = notes.join_next() => {
                if rows.noted(noted) && stop.within(pause.longer()).await {
                    break;
                }
            }
            () = at(ripe), if ripe.is_some() => {}
            () = at(readable), if readable.is_some() => {}
            () = shared.holds.when(&target, !is_paused) => look = true,
            () = wake.notified() => look = true,
            () = tokio::time::sleep(idle) => look = true,
        }
    }
    // In memory, a batch may wait for a place that no worker will free any more; its rows simply stay.
    while shared.broker.durable()
        && let Some(batch) = batches.join_next().await
    {
        rows.published(batch);
    }
    while let Some(noted) = notes.join_next().await {
        rows.noted(noted);
    }
    let confirmed = rows.rested(Duration::ZERO);
    if !confirmed.is_empty() {
        note(shared, target, confirmed).await;
    }
}

/// Returns at a time, and without one never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Between two reads that find less than they ask for. Each event accepted wakes the relay: what comes by the hundred in
/// a second is read by the dozen, and what comes alone at once.
const READ_SPACING: Duration = Duration::from_millis(5);

/// Batches to one read of the outbox.
const BATCHES_READ: usize = 8;

/// How long rows rest after the broker's confirm before it is noted. Most have been begun by then, which notes it along
/// with the intent: of three writes into all indexes of a delivery, this saves one. If the process dies meanwhile they are
/// published again, which the worker's `begin` makes harmless.
const REST: Duration = Duration::from_millis(100);

/// With so many at rest nothing more is published until some of them are noted.
const MOST_AT_REST: usize = 4_096;

/// Rows that were read.
struct Rows {
    /// In a batch.
    batch: usize,
    read: VecDeque<OutboxRow>,
    /// Read, and not known to be gone from the outbox.
    taken: HashSet<i64>,
    /// Confirmed, the earliest first, and still to be noted as such.
    confirmed: VecDeque<(Instant, i64)>,
    read_again_at: Instant,
}

impl Rows {
    fn new(shared: &Shared) -> Rows {
        let batch = usize::try_from(shared.relay.batch).unwrap_or(1);
        Rows {
            batch,
            read: VecDeque::new(),
            taken: HashSet::new(),
            confirmed: VecDeque::new(),
            read_again_at: Instant::now(),
        }
    }

    fn is_used_up(&self) -> bool {
        self.read.is_empty()
    }

    fn is_full(&self) -> bool {
        self.confirmed.len() >= MOST_AT_REST
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

    /// What came of a batch; answers whether any of it failed.
    fn published(&mut self, batch: Result<Batch, JoinError>) -> bool {
        let Ok(batch) = batch.map_err(broke_off) else { return self.forget() };
        for id in &batch.lost {
            self.taken.remove(id);
        }
        let now = Instant::now();
        self.confirmed.extend(batch.confirmed.into_iter().map(|id| (now, id)));
        !batch.lost.is_empty()
    }

    /// When the earliest of those at rest have rested enough.
    fn ripe_at(&self) -> Option<Instant> {
        self.confirmed.front().map(|(since, _)| *since + REST)
    }

    /// Once one has rested that long, all that have rested half as long: each time is a transaction.
    fn rested(&mut self, rest: Duration) -> Vec<i64> {
        let has_rested = |since: &Instant, rest: Duration| since.elapsed() >= rest;
        if !self.is_full() && !self.confirmed.front().is_some_and(|(since, _)| has_rested(since, rest)) {
            return Vec::new();
        }
        let some = self.confirmed.partition_point(|(since, _)| has_rested(since, rest / 2));
        let some = if self.is_full() { self.confirmed.len() } else { some };
        self.confirmed.drain(..some).map(|(_, id)| id).collect()
    }

    /// What came of a note; answers whether it failed.
    fn noted(&mut self, noted: Result<Noted, JoinError>) -> bool {
        let Ok(noted) = noted.map_err(broke_off) else { return self.forget() };
        for id in &noted.gone {
            self.taken.remove(id);
        }
        // Somebody was writing their deliveries.
        let now = Instant::now();
        self.confirmed.extend(noted.left.into_iter().map(|id| (now, id)));
        noted.failed
    }

    /// Which rows a task had that broke off is lost with it: all are read again, and at worst published twice.
    fn forget(&mut self) -> bool {
        self.read.clear();
        self.taken.clear();
        self.confirmed.clear();
        true
    }

    /// Reads rows that are not under way yet; answers whether there were any, an error when the store failed.
    async fn read(&mut self, shared: &Shared, target: &str) -> Result<bool, ()> {
        let limit = self.batch * BATCHES_READ;
        let due_before_ms = match shared.broker.horizon_ms() {
            Some(horizon) => shared.clock.now_ms().saturating_add(horizon),
            None => i64::MAX,
        };
        let taken: Vec<i64> = self.taken.iter().copied().collect();
        let wanted = u64::try_from(limit).unwrap_or(u64::MAX);
        match shared.store.outbox_of(target, due_before_ms, &taken, wanted).await {
            Ok(rows) => {
                let spacing = if rows.len() < limit { READ_SPACING } else { Duration::ZERO };
                self.read_again_at = Instant::now() + spacing;
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

fn broke_off(error: JoinError) {
    tracing::error!(%error, "a task of a relay broke off");
}

/// Publishes rows.
async fn publish(shared: Arc<Shared>, target: String, rows: Vec<OutboxRow>) -> Batch {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let messages = rows.into_iter().map(message).collect();
    let begun = std::time::Instant::now();
    let results = shared.broker.publish(messages).await;
    shared.observer.stage(Stage::Publish, begun.elapsed());
    failpoint("after-publish-before-mark");
    let mut outcomes = results.iter();
    let (confirmed, lost): (Vec<i64>, Vec<i64>) =
        ids.into_iter().partition(|_| outcomes.next().is_some_and(Result::is_ok));
    shared.observer.published(&target, confirmed.len());
    if !lost.is_empty() {
        let failed = lost.len();
        shared.observer.publish_failed(&target, failed);
        let error = results.into_iter().find_map(Result::err).unwrap_or(BrokerError::Closed);
        tracing::warn!(target_name = target, failed, %error, "not published; the rows stay in the outbox");
    }
    Batch { confirmed, lost }
}

/// Notes that rows were confirmed. Where that fails it is tried again.
async fn note(shared: Arc<Shared>, target: String, mut ids: Vec<i64>) -> Noted {
    match shared.store.outbox_done(ids.clone(), shared.clock.now_ms()).await {
        Ok(left) => {
            ids.retain(|id| !left.contains(id));
            shared.backlog.removed(ids.len());
            Noted { gone: ids, left, failed: false }
        }
        Err(error) => {
            shared.observer.store_failed();
            tracing::warn!(target_name = target, %error, "published rows cannot be removed");
            Noted { gone: Vec::new(), left: ids, failed: true }
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
