//! Consumers: from work queues to a subscriber.

use super::topology::decode;
use super::{Inner, Subscriber};
use crate::broker::{Message, Received, Settle};
use crate::failpoints::failpoint_of;
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
use tokio::sync::mpsc;

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
    for queue in inner.topology.works(&subscriber.spec) {
        let options = BasicConsumeOptions::default();
        let name = queue.as_str().into();
        let started = channel.basic_consume(name, "".into(), options, FieldTable::default());
        let consumer = match tokio::time::timeout(ANSWER, started).await {
            Ok(consumer) => consumer?,
            Err(_) => return Err(Trouble::Silent(queue)),
        };
        let (inner, channel, sender) = (inner.clone(), channel.clone(), subscriber.sender.clone());
        tokio::spawn(pump(inner, session, channel, consumer, sender));
    }
    Ok(())
}

/// Hands messages on until the subscriber leaves or the consumer ends.
async fn pump(
    inner: Arc<Inner>,
    session: u64,
    channel: Channel,
    mut consumer: Consumer,
    sender: mpsc::Sender<Received>,
) {
    loop {
        let next = tokio::select! {
            next = consumer.next() => next,
            () = sender.closed() => return leave(&channel, consumer).await,
        };
        match next {
            Some(Ok(delivery)) => hand_on(&inner, delivery, &sender).await,
            // The queue was deleted, the channel or the connection closed: the session is not whole any more.
            Some(Err(_)) | None => return inner.rebuild(session, "a consumer ended"),
        }
    }
}

async fn hand_on(inner: &Arc<Inner>, delivery: Delivery, sender: &mpsc::Sender<Received>) {
    let Some(message) = decode(&delivery.data) else {
        tracing::error!(queue = %delivery.routing_key, "a message that is not ours was dropped");
        return settle(delivery.acker.ack(BasicAckOptions::default()).await);
    };
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
