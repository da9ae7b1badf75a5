//! The broker port: transport from the outbox to the workers.
//!
//! A broker may lose messages or hand them out twice; both are repaired by the store. It must not say that a
//! message is taken when it is not.

use crate::fnv;
use crate::sharing::Sharing;
use async_trait::async_trait;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// "This delivery is to be worked on": a pointer into the store, never the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The delivery.
    pub delivery: String,
    /// Its connection.
    pub target: String,
    /// Its order key: same key, same partition.
    pub order_key: String,
    /// Not to be handed out before this time.
    pub not_before_ms: i64,
}

/// Why a broker did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Not reachable or not ready: try again.
    #[error("the broker is not available: {0}")]
    Unavailable(String),
    /// No queue takes the message; it was not stored anywhere.
    #[error("no queue for {0}")]
    Unroutable(String),
    /// The broker refused the message.
    #[error("the broker refused the message: {0}")]
    Refused(String),
    /// The broker was closed by us.
    #[error("the broker is closed")]
    Closed,
}

/// The queue that a target needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// Connection.
    pub target: String,
    /// How many partitions; order holds within one.
    pub partitions: u16,
    /// How many messages may be out at workers at once.
    pub in_flight: u16,
}

/// State of a broker, for readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether messages can be published now.
    pub ready: bool,
    /// In words.
    pub detail: String,
    /// Messages waiting per target, where the broker knows.
    pub waiting: BTreeMap<String, u64>,
}

/// How far the waiting line of a target has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The broker does not tell.
    Unknown,
    /// By partition: what was published before this time waits there no more. `None` where that is not known here,
    /// because another process takes from it or the broker is away.
    HandedOut(Vec<Option<i64>>),
}

/// Transport of messages to workers.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Makes the queues. Called once before anything else; a broker that loses its queues makes them again.
    async fn declare(&self, queues: &[QueueSpec]) -> Result<(), BrokerError>;

    /// Publishes; each `Ok` stands for a confirm of the broker. Waits while a queue is full. The answers are
    /// in the order of the messages.
    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<(), BrokerError>>;

    /// Messages of one target.
    async fn subscribe(&self, target: &str) -> Result<Subscription, BrokerError>;

    /// How it is.
    fn health(&self) -> Health;

    /// How far ahead of its time a message may be published; `None` when the broker keeps delays durably.
    fn horizon_ms(&self) -> Option<i64>;

    /// How far the waiting line of a target has come, so that what only waits can be told from what was lost.
    async fn line(&self, target: &str) -> Line;

    /// Whether queues survive this process. If not, the store's backlog is published again at start.
    fn durable(&self) -> bool;

    /// Whether other processes may take from the same queues and it matters which one does.
    fn is_shared(&self) -> bool;

    /// Tells who shares the queues, whenever that has changed: each process leaves to the others what is theirs, as
    /// long as these take it.
    fn share(&self, sharing: &Sharing);

    /// Closes; subscriptions end.
    async fn close(&self);
}

/// Settles one message with the broker it came from.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Done with it.
    async fn ack(self: Box<Self>);
    /// Hand it out again, not before a time.
    async fn requeue(self: Box<Self>, not_before_ms: i64);
    /// Hand it back: nobody worked on it.
    fn abandon(self: Box<Self>);
}

/// A message in the hands of a worker. Dropped without being settled, it goes back to the broker.
pub struct Received {
    /// The message.
    pub message: Message,
    settle: Option<Box<dyn Settle>>,
}

impl Received {
    /// A message with its way back.
    pub fn new(message: Message, settle: Box<dyn Settle>) -> Self {
        Received { message, settle: Some(settle) }
    }

    /// Done with it.
    pub async fn ack(mut self) {
        if let Some(settle) = self.settle.take() {
            settle.ack().await;
        }
    }

    /// Hand it out again, not before a time.
    pub async fn requeue(mut self, not_before_ms: i64) {
        if let Some(settle) = self.settle.take() {
            settle.requeue(not_before_ms).await;
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some(settle) = self.settle.take() {
            settle.abandon();
        }
    }
}

/// A bounded stream of messages.
pub struct Subscription {
    messages: mpsc::Receiver<Received>,
}

impl Subscription {
    /// A subscription fed through a bounded channel.
    pub fn new(messages: mpsc::Receiver<Received>) -> Self {
        Subscription { messages }
    }

    /// The next message; `None` when the broker is closed.
    pub async fn next(&mut self) -> Option<Received> {
        self.messages.recv().await
    }
}

/// Partition of an order key: FNV-1a, the same in every process and version, since queues outlive both.
pub fn partition(order_key: &str, partitions: u16) -> u16 {
    let hash = fnv::hash(fnv::START, order_key.bytes());
    // FNV's low bits alone are weak for short keys that differ in one digit.
    let mixed = hash ^ (hash >> 32);
    u16::try_from(mixed % u64::from(partitions.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::partition;

    #[test]
    fn partitions_are_stable_and_even() {
        assert_eq!(partition("HT-2026-0001", 8), partition("HT-2026-0001", 8));
        let mut counts = [0u32; 8];
        for number in 0..8_000 {
            counts[usize::from(partition(&format!("HT-2026-{number:05}"), 8))] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
        assert_eq!(partition("x", 0), 0);
        // Written down: a change would send a key's successors to another queue after an upgrade.
        assert_eq!(["a", "合同-1", ""].map(|key| partition(key, 64)), [0, 32, 1]);
    }
}
