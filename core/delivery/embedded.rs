//! The broker inside the process: bounded queues in memory over the store's outbox.
//!
//! What is durable here is the store alone. Queues are filled from the outbox, and after a restart the sweeper
//! fills it again. Memory does not grow with the backlog: each target has a fixed number of places, a message
//! keeps its place until it is settled, and `publish` waits for one.

use crate::broker::{
    Broker, BrokerError, Health, Line, Message, QueueSpec, Received, Settle, Subscription, partition,
};
use crate::clock::Clock;
use crate::failpoints::failpoint;
use crate::sharing::Sharing;
use async_trait::async_trait;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

/// Settings of the embedded broker.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedSettings {
    /// Messages held per target: queued, delayed and out at workers together.
    pub capacity: usize,
    /// How far ahead of its time a message is taken; later ones stay in the outbox.
    pub horizon_ms: i64,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        EmbeddedSettings { capacity: 4_096, horizon_ms: 2_000 }
    }
}

/// The in-process broker.
pub struct Embedded {
    settings: EmbeddedSettings,
    clock: Arc<dyn Clock>,
    lanes: Mutex<BTreeMap<String, Arc<Lane>>>,
    closed: AtomicBool,
}

/// A message with the place it takes.
struct Held {
    message: Message,
    place: OwnedSemaphorePermit,
}

/// The queues of one target.
struct Lane {
    places: Arc<Semaphore>,
    in_flight: usize,
    queues: Mutex<Queues>,
    arrived: Notify,
}

#[derive(Default)]
struct Queues {
    partitions: Vec<VecDeque<Held>>,
    /// Partition that is served next: a busy key must not starve the others.
    turn: usize,
    delayed: BinaryHeap<Delayed>,
    /// Queued deliveries with their times: the same news twice takes one place.
    known: HashMap<String, i64>,
    count: u64,
}

struct Delayed {
    due: Reverse<(i64, u64)>,
    held: Held,
}

impl PartialEq for Delayed {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl Eq for Delayed {}
impl PartialOrd for Delayed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Delayed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

/// What a lane has to offer now.
enum Offer {
    Now(Box<Held>),
    At(i64),
    Nothing,
}

impl Queues {
    fn knows(&self, message: &Message) -> bool {
        self.known.get(&message.delivery).is_some_and(|at| *at <= message.not_before_ms)
    }

    fn push(&mut self, held: Held, now_ms: i64) {
        self.count = self.count.wrapping_add(1);
        self.known.insert(held.message.delivery.clone(), held.message.not_before_ms);
        if held.message.not_before_ms > now_ms {
            let due = Reverse((held.message.not_before_ms, self.count));
            self.delayed.push(Delayed { due, held });
        } else {
            self.enqueue(held);
        }
    }

    fn enqueue(&mut self, held: Held) {
        let count = u16::try_from(self.partitions.len()).unwrap_or(u16::MAX);
        let index = usize::from(partition(&held.message.order_key, count));
        if let Some(queue) = self.partitions.get_mut(index) {
            queue.push_back(held);
        }
    }

    fn pop(&mut self, now_ms: i64) -> Offer {
        while self.delayed.peek().is_some_and(|next| next.due.0.0 <= now_ms) {
            if let Some(due) = self.delayed.pop() {
                self.enqueue(due.held);
            }
        }
        let partitions = self.partitions.len();
        for step in 0..partitions {
            let index = (self.turn + step) % partitions;
            let Some(held) = self.partitions.get_mut(index).and_then(VecDeque::pop_front) else { continue };
            self.turn = (index + 1) % partitions;
            self.known.remove(&held.message.delivery);
            return Offer::Now(Box::new(held));
        }
        self.delayed.peek().map_or(Offer::Nothing, |next| Offer::At(next.due.0.0))
    }

    fn waiting(&self) -> usize {
        self.delayed.len() + self.partitions.iter().map(VecDeque::len).sum::<usize>()
    }
}

impl Lane {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, held: Held, now_ms: i64) {
        self.queues().push(held, now_ms);
        self.arrived.notify_one();
    }
}

impl Embedded {
    /// A broker without queues yet; the engine declares them.
    pub fn new(settings: EmbeddedSettings, clock: Arc<dyn Clock>) -> Self {
        Embedded { settings, clock, lanes: Mutex::default(), closed: AtomicBool::new(false) }
    }

    fn lane(&self, target: &str) -> Option<Arc<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned()
    }

    /// Forgets every queued message, as a crash would.
    pub fn purge(&self) {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        for lane in lanes.values() {
            let mut queues = lane.queues();
            queues.partitions.iter_mut().for_each(VecDeque::clear);
            queues.delayed.clear();
            queues.known.clear();
        }
    }

    async fn publish_one(&self, message: Message) -> Result<(), BrokerError> {
        let Some(lane) = self.lane(&message.target) else {
            return Err(BrokerError::Unroutable(message.target));
        };
        if lane.queues().knows(&message) {
            return Ok(());
        }
        let place = lane.places.clone().acquire_owned().await.map_err(|_| BrokerError::Closed)?;
        lane.put(Held { message, place }, self.clock.now_ms());
        Ok(())
    }
}

#[async_trait]
impl Broker for Embedded {
    async fn declare(&self, specs: &[QueueSpec]) -> Result<(), BrokerError> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        for spec in specs {
            lanes.entry(spec.target.clone()).or_insert_with(|| {
                let partitions = (0..spec.partitions.max(1)).map(|_| VecDeque::new()).collect();
                // A lane that could not fill its workers would halve their speed.
                let capacity = self.settings.capacity.max(usize::from(spec.in_flight) * 2);
                Arc::new(Lane {
                    places: Arc::new(Semaphore::new(capacity)),
                    in_flight: usize::from(spec.in_flight.max(1)),
                    queues: Mutex::new(Queues { partitions, ..Queues::default() }),
                    arrived: Notify::new(),
                })
            });
        }
        Ok(())
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<(), BrokerError>> {
        let mut results = Vec::with_capacity(messages.len());
        for message in messages {
            results.push(self.publish_one(message).await);
            failpoint("published-before-confirm");
        }
        results
    }

    async fn subscribe(&self, target: &str) -> Result<Subscription, BrokerError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(BrokerError::Closed);
        }
        let lane = self.lane(target).ok_or_else(|| BrokerError::Unroutable(target.to_owned()))?;
        // One message is enough: the channel is a hand-over, the queues are the buffer.
        let (sender, receiver) = mpsc::channel(1.max(lane.in_flight / 8));
        tokio::spawn(feed(lane, self.clock.clone(), sender));
        Ok(Subscription::new(receiver))
    }

    fn health(&self) -> Health {
        let ready = !self.closed.load(Ordering::Acquire);
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting: BTreeMap<String, u64> = lanes
            .iter()
            .map(|(target, lane)| {
                (target.clone(), u64::try_from(lane.queues().waiting()).unwrap_or(u64::MAX))
            })
            .collect();
        Health { ready, detail: if ready { "embedded" } else { "closed" }.to_owned(), waiting }
    }

    fn horizon_ms(&self) -> Option<i64> {
        Some(self.settings.horizon_ms)
    }

    // Nothing gets lost in here, and a message that waits already is not taken twice.
    async fn line(&self, _: &str) -> Line {
        Line::Unknown
    }

    fn durable(&self) -> bool {
        false
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn share(&self, _: &Sharing) {}

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let lanes: Vec<Arc<Lane>> = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *lanes).into_values().collect()
        };
        for lane in lanes {
            // Wakes both sides: publishers get `Closed`, the feeders end.
            lane.places.close();
            lane.arrived.notify_waiters();
            lane.arrived.notify_one();
        }
    }
}

/// Moves messages from the queues to one subscriber, until it leaves or the broker is closed.
async fn feed(lane: Arc<Lane>, clock: Arc<dyn Clock>, sender: mpsc::Sender<Received>) {
    loop {
        // Room first, message second: a message in a feeder's hand would be lost with the subscriber.
        let Ok(room) = sender.reserve().await else { return };
        let held = loop {
            if lane.places.is_closed() {
                return;
            }
            let offer = lane.queues().pop(clock.now_ms());
            let until = match offer {
                Offer::Now(held) => break held,
                Offer::At(at) => Some(at),
                Offer::Nothing => None,
            };
            tokio::select! {
                biased;
                () = sender.closed() => {
                    // The wake-up may have been meant for another subscriber of this target.
                    lane.arrived.notify_one();
                    return;
                }
                () = lane.arrived.notified() => {}
                () = until_ms(until, clock.as_ref()) => {}
            }
        };
        let settle = Settler { lane: lane.clone(), clock: clock.clone(), held: Some(*held) };
        let Some(message) = settle.held.as_ref().map(|held| held.message.clone()) else { continue };
        room.send(Received::new(message, Box::new(settle)));
    }
}

async fn until_ms(at: Option<i64>, clock: &dyn Clock) {
    match at {
        Some(at) => {
            let left = u64::try_from(at.saturating_sub(clock.now_ms())).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(left.max(1))).await;
        }
        None => std::future::pending().await,
    }
}

struct Settler {
    lane: Arc<Lane>,
    clock: Arc<dyn Clock>,
    held: Option<Held>,
}

impl Settler {
    fn back(mut self, not_before_ms: Option<i64>) {
        let Some(mut held) = self.held.take() else { return };
        if let Some(at) = not_before_ms {
            held.message.not_before_ms = at;
        }
        self.lane.put(held, self.clock.now_ms());
    }
}

#[async_trait]
impl Settle for Settler {
    async fn ack(mut self: Box<Self>) {
        if let Some(held) = self.held.take() {
            drop(held.place);
        }
    }

    async fn requeue(self: Box<Self>, not_before_ms: i64) {
        self.back(Some(not_before_ms));
    }

    fn abandon(self: Box<Self>) {
        self.back(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use std::time::Instant;

    fn message(delivery: &str, target: &str, key: &str) -> Message {
        Message { delivery: delivery.into(), target: target.into(), order_key: key.into(), not_before_ms: 0 }
    }

    async fn broker(capacity: usize) -> Arc<Embedded> {
        let settings = EmbeddedSettings { capacity, ..EmbeddedSettings::default() };
        let broker = Arc::new(Embedded::new(settings, Arc::new(SystemClock)));
        let spec = |target: &str| QueueSpec { target: target.into(), partitions: 4, in_flight: 2 };
        broker.declare(&[spec("erp"), spec("tax")]).await.unwrap();
        broker
    }

    #[tokio::test]
    async fn a_full_target_waits_and_does_not_stop_another() {
        let broker = broker(4).await;
        let other = broker.clone();
        let many = (0..5).map(|n| message(&format!("d{n}"), "erp", "k")).collect();
        let full = tokio::spawn(async move { other.publish(many).await });
        let results = broker.publish(vec![message("t1", "tax", "k")]).await;
        assert_eq!(results, [Ok(())]);
        let mut erp = broker.subscribe("erp").await.unwrap();
        let first = erp.next().await.unwrap();
        assert_eq!(first.message.delivery, "d0");
        assert!(!full.is_finished(), "a place is kept until the message is settled");
        first.ack().await;
        assert_eq!(full.await.unwrap(), vec![Ok(()); 5]);
        assert_eq!(broker.health().waiting.get("tax"), Some(&1));
    }

    #[tokio::test]
    async fn the_same_news_takes_one_place_and_earlier_news_counts() {
        let broker = broker(8).await;
        let later = Message { not_before_ms: i64::MAX, ..message("d", "erp", "k") };
        broker.publish(vec![later.clone(), later, message("d", "erp", "k"), message("d", "erp", "k")]).await;
        assert_eq!(broker.health().waiting.get("erp"), Some(&2));
        assert_eq!(
            broker.publish(vec![message("d", "crm", "k")]).await,
            [Err(BrokerError::Unroutable("crm".into()))]
        );
    }

    #[tokio::test]
    async fn dropped_comes_back_and_delayed_comes_late() {
        let broker = broker(8).await;
        broker.publish(vec![message("d", "erp", "k")]).await;
        let mut erp = broker.subscribe("erp").await.unwrap();
        drop(erp.next().await.unwrap());
        let again = erp.next().await.unwrap();
        let begun = Instant::now();
        again.requeue(SystemClock.now_ms() + 80).await;
        let late = erp.next().await.unwrap();
        assert_eq!(late.message.delivery, "d");
        assert!(begun.elapsed() >= Duration::from_millis(75), "{:?}", begun.elapsed());
        late.ack().await;
        broker.close().await;
        assert!(erp.next().await.is_none());
        assert_eq!(broker.publish(vec![message("d", "erp", "k")]).await.len(), 1);
    }
}
