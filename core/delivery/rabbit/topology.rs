//! Names, arguments and routes: what is where in the broker. No I/O.

use crate::broker::{Message, QueueSpec, partition};
use lapin::types::{AMQPValue, FieldTable};

/// Names of everything under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    prefix: String,
    delays_s: Vec<u32>,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) exchange: String,
    pub(super) key: String,
    pub(super) body: Vec<u8>,
}

impl Topology {
    pub(super) fn new(prefix: &str, delays_s: &[u32]) -> Self {
        Topology { prefix: prefix.to_owned(), delays_s: delays_s.to_vec() }
    }

    /// Work queue of a partition.
    pub(super) fn work(&self, target: &str, partition: u16) -> String {
        format!("{}work.{target}.{partition}", self.prefix)
    }

    /// Work queues of a target.
    pub(super) fn works(&self, spec: &QueueSpec) -> Vec<String> {
        (0..spec.partitions.max(1)).map(|partition| self.work(&spec.target, partition)).collect()
    }

    /// Delay queues with their seconds. Each has a fanout exchange of the same name in front, so that a message
    /// keeps the name of its work queue as routing key, with which it leaves again through the default exchange.
    pub(super) fn delays(&self) -> Vec<(u32, String)> {
        self.delays_s.iter().map(|seconds| (*seconds, self.delay(*seconds))).collect()
    }

    fn delay(&self, seconds: u32) -> String {
        format!("{}delay.{seconds}s", self.prefix)
    }

    /// What is shorter than the shortest delay is waited for by the consumer.
    pub(super) fn shortest_ms(&self) -> i64 {
        self.delays_s.first().map_or(1_000, |seconds| i64::from(*seconds) * 1_000)
    }

    /// The largest step that is not longer than the rest of the delay; what is still early on arrival goes round
    /// again with a smaller step.
    pub(super) fn route(&self, message: &Message, partitions: u16, now_ms: i64) -> Route {
        let key = self.work(&message.target, partition(&message.order_key, partitions));
        let left_ms = message.not_before_ms.saturating_sub(now_ms);
        let step = self.delays_s.iter().rev().find(|seconds| i64::from(**seconds) * 1_000 <= left_ms);
        let exchange = step.map_or_else(String::new, |seconds| self.delay(*seconds));
        // Behind what is in the queue already; what is delayed gets its place there later.
        let queued_ms = step.is_none().then_some(now_ms);
        Route { exchange, key, body: encode(message, queued_ms) }
    }
}

/// Arguments of a work queue. A single active consumer keeps one process at a partition, so that order holds
/// without workers getting into each other's way.
pub(super) fn work_arguments() -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    table.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    table
}

/// Arguments of a delay queue. Handed on at least once: the message is kept until its work queue has it. That
/// needs `reject-publish`, which has no effect here because no length is limited.
pub(super) fn delay_arguments(seconds: u32) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    table.insert("x-message-ttl".into(), AMQPValue::LongLongInt(i64::from(seconds) * 1_000));
    table.insert("x-dead-letter-exchange".into(), text(""));
    table.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    table.insert("x-overflow".into(), text("reject-publish"));
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// The message as it lies in a queue; JSON, so that it can be read in RabbitMQ's own tools.
fn encode(message: &Message, queued_ms: Option<i64>) -> Vec<u8> {
    serde_json::json!({
        "delivery": message.delivery,
        "target": message.target,
        "order_key": message.order_key,
        "not_before_ms": message.not_before_ms,
        "queued_ms": queued_ms,
    })
    .to_string()
    .into_bytes()
}

/// A message read back, with when it was put at the end of its queue; `None` if it is not one of ours.
pub(super) fn decode(body: &[u8]) -> Option<(Message, Option<i64>)> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
    let message = Message {
        delivery: text("delivery")?,
        target: text("target")?,
        order_key: text("order_key")?,
        not_before_ms: value.get("not_before_ms")?.as_i64()?,
    };
    Some((message, value.get("queued_ms").and_then(serde_json::Value::as_i64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_step_that_fits() {
        let topology = Topology::new("t.", &[1, 2, 4, 3_600]);
        let table = [
            (0, ""),
            (-5_000, ""),
            (999, ""),
            (1_000, "t.delay.1s"),
            (1_999, "t.delay.1s"),
            (3_999, "t.delay.2s"),
            (60_000, "t.delay.4s"),
            (90_000_000, "t.delay.3600s"),
        ];
        for (delay, exchange) in table {
            let message = Message {
                delivery: "d".into(),
                target: "erp".into(),
                order_key: "k".into(),
                not_before_ms: 1_000 + delay,
            };
            let route = topology.route(&message, 1, 1_000);
            assert_eq!((route.exchange.as_str(), route.key.as_str()), (exchange, "t.work.erp.0"), "{delay}");
            let queued_ms = exchange.is_empty().then_some(1_000);
            assert_eq!(decode(&route.body), Some((message, queued_ms)));
        }
        assert_eq!(decode(b"{}"), None);
        assert_eq!(decode(b"\xff"), None);
    }
}
