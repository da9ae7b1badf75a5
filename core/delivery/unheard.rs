//! A broker whose queues nobody takes from, for as long as wanted: what publishing alone does can be measured and tested.

use crate::broker::{Broker, BrokerError, Health, Line, Message, QueueSpec, Subscription};
use crate::sharing::Sharing;
use async_trait::async_trait;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A broker that gives no subscription before it is told to.
pub struct Unheard<B> {
    broker: Arc<B>,
    heard: CancellationToken,
}

impl<B: Broker> Unheard<B> {
    /// Over a broker.
    pub fn new(broker: Arc<B>) -> Self {
        Unheard { broker, heard: CancellationToken::new() }
    }

    /// From now on subscriptions are given; those who asked get theirs.
    pub fn listen(&self) {
        self.heard.cancel();
    }
}

#[async_trait]
impl<B: Broker> Broker for Unheard<B> {
    async fn declare(&self, queues: &[QueueSpec]) -> Result<(), BrokerError> {
        self.broker.declare(queues).await
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<(), BrokerError>> {
        self.broker.publish(messages).await
    }

    async fn subscribe(&self, target: &str) -> Result<Subscription, BrokerError> {
        self.heard.cancelled().await;
        self.broker.subscribe(target).await
    }

    fn health(&self) -> Health {
        self.broker.health()
    }

    fn horizon_ms(&self) -> Option<i64> {
        self.broker.horizon_ms()
    }

    async fn line(&self, target: &str) -> Line {
        self.broker.line(target).await
    }

    fn durable(&self) -> bool {
        self.broker.durable()
    }

    fn is_shared(&self) -> bool {
        self.broker.is_shared()
    }

    fn share(&self, sharing: &Sharing) {
        self.broker.share(sharing);
    }

    async fn close(&self) {
        self.broker.close().await;
    }
}
