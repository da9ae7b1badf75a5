//! Consumers: from work queues to a subscriber.
//!
//! Every process has a consumer at every work queue; the broker makes one of them the active one and keeps the others
//! waiting in line, so that a queue goes on at once when a process dies. Whose turn it should be is decided by
//! [`Sharing`]: a process that is given messages of a queue that is another's renews its consumer there, and thereby
//! goes to the end of the line. This needs no news of who is in the line and why: whatever has put the wrong process in
//! front (it was there first, the owner's session was made again, a pause ended) is put right by the next message, and
//! nothing is done where nothing comes.
//!
//! Priorities of consumers would do the same and more directly, but RabbitMQ heeds them at single active consumers from
//! 4.0 on only.

use super::topology::decode;
use super::turn::Turn;
use super::{Inner, Subscriber};
use crate::broker::{Message, Received, Settle};
use crate::failpoints::failpoint_of;
use crate::sharing::Sharing;
use async_trait::async_trait;
use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// A queue that takes longer than this to take a consumer is not going to.
pub(super) const ANSWER: Duration = Duration::from_secs(20);

/// Why consumers did not start.
pub(super) enum Trouble {
    /// Channel or connection.
    Lapin(lapin::Error),
    /// This queue does not answer.
    Silent(String),
}

impl From<lapin::Error> for Trouble {
    fn from(error: lapin::Error) -> Self {
        Trouble::Lapin(error)
    }
}

/// Starts a consumer per partition, all on one channel.
pub(super) async fn consume(
    inner: &Arc<Inner>,
    channel: Channel,
    subscriber: &Subscriber,
    session: u64,
) -> Result<(), Trouble> {
    // Per consumer. A partition that has all the work may fill every slot.
    channel.basic_qos(subscriber.spec.in_flight.max(1), BasicQosOptions::default()).await?;
    for (partition, queue) in (0..).zip(inner.topology.works(&subscriber.spec)) {
        let consumer = start(&channel, &queue).await?;
        let pump = Pump {
            inner: inner.clone(),
            session,
            channel: channel.clone(),
            queue,
            partition,
            subscriber: subscriber.clone(),
            sharing: inner.sharing.subscribe(),
            is_ours: true,
            turn: Turn::new(),
        };
        tokio::spawn(pump.run(consumer));
    }
    Ok(())
}

async fn start(channel: &Channel, queue: &str) -> Result<Consumer, Trouble> {
    let options = BasicConsumeOptions::default();
    let started = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
    match tokio::time::timeout(ANSWER, started).await {
        Ok(consumer) => Ok(consumer?),
        Err(_) => Err(Trouble::Silent(queue.to_owned())),
    }
}

/// The way from one work queue to the subscriber.
struct Pump {
    inner: Arc<Inner>,
    session: u64,
    channel: Channel,
    queue: String,
    partition: usize,
    subscriber: Subscriber,
    sharing: watch::Receiver<Option<Sharing>>,
    /// Whether this process is to take from the queue.
    is_ours: bool,
    turn: Turn,
}

impl Pump {
    /// Hands messages on until the subscriber leaves or the consumer ends.
    async fn run(mut self, mut consumer: Consumer) {
        self.learn();
        let sender = self.subscriber.sender.clone();
        loop {
            let next = tokio::select! {
                next = consumer.next() => next,
                () = sender.closed() => return leave(&self.channel, consumer).await,
            };
            match next {
                Some(Ok(delivery)) => {
                    if self.is_to_step_back() {
                        match self.step_back(consumer, &sender, delivery).await {
                            Some(renewed) => consumer = renewed,
                            None => {
                                return self.inner.rebuild(self.session, "a consumer could not be renewed");
                            }
                        }
                    } else {
                        hand_on(&self.inner, delivery, &sender).await;
                    }
                }
                // The queue was deleted, the channel or the connection closed: the session is not whole any more.
                Some(Err(_)) | None => return self.inner.rebuild(self.session, "a consumer ended"),
            }
        }
    }

    fn learn(&mut self) {
        let sharing = self.sharing.borrow_and_update();
        let spec = &self.subscriber.spec;
        let mine = sharing.as_ref().map(|sharing| sharing.mine(&spec.target, spec.partitions.max(1)));
        // As long as nothing is known of others, everything is.
        self.is_ours = mine.and_then(|mine| mine.get(self.partition).copied()).unwrap_or(true);
    }

    /// Asked with a message in hand.
    fn is_to_step_back(&mut self) -> bool {
        if self.sharing.has_changed().unwrap_or(false) {
            self.learn();
            self.turn = Turn::new();
        }
        !self.is_ours && self.turn.is_over(Instant::now())
    }

    /// Renews the consumer. What had been sent to it already is worked on here: handing it back would count as a
    /// failed delivery, of which newer brokers allow so many only.
    async fn step_back(
        &self,
        mut old: Consumer,
        sender: &mpsc::Sender<Received>,
        first: Delivery,
    ) -> Option<Consumer> {
        tracing::debug!(queue = self.queue, "another process is to take from this queue");
        let cancelled = self.channel.basic_cancel(old.tag(), BasicCancelOptions::default());
        let renewed = match tokio::time::timeout(ANSWER, cancelled).await {
            // In the line before the rest is worked on, which may take a while.
            Ok(Ok(())) => start(&self.channel, &self.queue).await.ok()?,
            Ok(Err(_)) | Err(_) => return None,
        };
        hand_on(&self.inner, first, sender).await;
        while let Some(Ok(delivery)) = old.next().await {
            hand_on(&self.inner, delivery, sender).await;
        }
        Some(renewed)
    }
}

async fn hand_on(inner: &Arc<Inner>, delivery: Delivery, sender: &mpsc::Sender<Received>) {
    let Some((message, queued_ms)) = decode(&delivery.data) else {
        tracing::error!(queue = %delivery.routing_key, "a message that is not ours was dropped");
        return settle(delivery.acker.ack(BasicAckOptions::default()).await);
    };
    if let Some(queued_ms) = queued_ms {
        inner.heads.handed_out(delivery.routing_key.as_str(), queued_ms);
    }
    let left_ms = message.not_before_ms.saturating_sub(inner.clock.now_ms());
    let settler = Box::new(Settler { inner: inner.clone(), message: message.clone(), acker: delivery.acker });
    if left_ms >= inner.topology.shortest_ms() {
        let not_before_ms = message.not_before_ms;
        return settler.requeue(not_before_ms).await;
    }
    let received = Received::new(message, settler);
    if left_ms <= 0 {
        return drop(sender.send(received).await);
    }
    // Less than the shortest step: waited for here. Bounded by the prefetch, as everything unsettled is.
    let (sender, left) = (sender.clone(), Duration::from_millis(left_ms.unsigned_abs()));
    tokio::spawn(async move {
        tokio::time::sleep(left).await;
        drop(sender.send(received).await);
    });
}

/// Stops consuming and hands back what had been sent to us already. The channel stays: messages still with
/// workers are settled over it.
async fn leave(channel: &Channel, mut consumer: Consumer) {
    let cancelled = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await;
    if cancelled.is_err() {
        return;
    }
    while let Some(Ok(delivery)) = consumer.next().await {
        settle(delivery.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await);
    }
}

/// A settling that fails does so because the channel is gone; the broker hands the message out again.
fn settle(result: lapin::Result<bool>) {
    if let Err(error) = result {
        tracing::debug!(%error, "not settled");
    }
}

struct Settler {
    inner: Arc<Inner>,
    message: Message,
    acker: Acker,
}

#[async_trait]
impl Settle for Settler {
    async fn ack(self: Box<Self>) {
        settle(self.acker.ack(BasicAckOptions::default()).await);
    }

    /// A new copy first, then the old one goes: in between there are two, never none.
    async fn requeue(self: Box<Self>, not_before_ms: i64) {
        let copy = Message { not_before_ms, ..self.message.clone() };
        let published = self.inner.publish(vec![copy]).await;
        if published.iter().all(Result::is_ok) {
            failpoint_of("requeued-before-ack", &self.message.delivery);
            settle(self.acker.ack(BasicAckOptions::default()).await);
        } else {
            self.abandon();
        }
    }

    fn abandon(self: Box<Self>) {
        // Without a runtime the connection is on its way out, and the broker takes everything back.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            settle(self.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await);
        });
    }
}
