//! What the broker manages at most: persistent messages into a quorum queue, each confirmed, a window of them in
//! flight. The limit that benchmarks are held against; nothing of ours is in the way.

use super::RabbitSettings;
use super::session::{PERSISTENT, dial, failed};
use crate::broker::BrokerError;
use futures::future::try_join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection};
use std::time::{Duration, Instant};

/// Messages in flight at once.
const WINDOW: u32 = 100;
/// Size of one, in bytes.
const SIZE: usize = 1024;

/// Confirmed publishes a second, over a queue of its own that is deleted afterwards.
pub async fn publishes_per_second(settings: &RabbitSettings, time: Duration) -> Result<f64, BrokerError> {
    let connection = dial(settings.url.parse().map_err(BrokerError::Refused)?, settings).await?;
    let rate = measure(&connection, &format!("{}limit", settings.prefix), time).await;
    // What is measured is measured, however the goodbye ends.
    if let Err(error) = connection.close(200, "measured".into()).await {
        tracing::debug!(%error, "the connection did not close cleanly");
    }
    rate.map_err(|error| failed(&error))
}

async fn measure(connection: &Connection, queue: &str, time: Duration) -> lapin::Result<f64> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), quorum).await?;
    let rate = publish(&channel, queue, time).await;
    channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    channel.close(200, "measured".into()).await?;
    rate
}

async fn publish(channel: &Channel, queue: &str, time: Duration) -> lapin::Result<f64> {
    let body = vec![b'x'; SIZE];
    let started = Instant::now();
    let mut count: u32 = 0;
    while started.elapsed() < time {
        let mut window = Vec::new();
        for _ in 0..WINDOW {
            let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            window.push(channel.basic_publish("".into(), queue.into(), options, &body, properties).await?);
        }
        try_join_all(window).await?;
        count = count.saturating_add(WINDOW);
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}
