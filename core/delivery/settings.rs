//! Settings of the engine, checked before anything starts.

use crate::broker::QueueSpec;
use crate::policy::Schedule;
use serde::{Deserialize, Serialize};

/// How one target is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetSettings {
    /// Connection.
    pub name: String,
    /// Partitions of its work queue. With RabbitMQ a change makes new queues; what waits in the old ones is
    /// published again by the sweeper.
    pub partitions: u16,
    /// Calls under way at once.
    pub in_flight: u16,
    /// When to try again.
    pub schedule: Schedule,
    /// How long a worker has a delivery to itself.
    pub lease_ms: u32,
    /// When a call is given up as unknown. Below the lease, so that a lease need not be renewed.
    pub call_timeout_ms: u32,
    /// Whether the far side refuses a second document under the same key. If not, a call of unknown outcome may take
    /// effect behind the back of the next attempt, which therefore waits until the lease has run out.
    #[serde(skip)]
    pub refuses_twice: bool,
    /// Outcomes in a row that say "the target is down or locked" before it is left alone.
    pub circuit_after: u32,
    /// How long it is left alone before one delivery may try.
    pub circuit_cool_down_ms: u32,
}

impl Default for TargetSettings {
    fn default() -> Self {
        TargetSettings {
            name: String::new(),
            partitions: 4,
            in_flight: 8,
            schedule: Schedule::default(),
            lease_ms: 120_000,
            call_timeout_ms: 90_000,
            refuses_twice: true,
            circuit_after: 5,
            circuit_cool_down_ms: 30_000,
        }
    }
}

/// Time between the end of a call and the end of the lease, at least: the outcome is stored in it.
pub(crate) const LEASE_MARGIN_MS: u32 = 500;

impl TargetSettings {
    /// The usual settings for a connection.
    pub fn named(name: impl Into<String>) -> Self {
        TargetSettings { name: name.into(), ..TargetSettings::default() }
    }

    /// What is wrong with them, if anything.
    pub fn problem(&self) -> Option<String> {
        if self.name.is_empty() || self.name.len() > 64 {
            return Some("name must have 1 to 64 characters".into());
        }
        if self.partitions == 0 || self.partitions > 256 {
            return Some("partitions must be between 1 and 256".into());
        }
        if self.in_flight == 0 {
            return Some("in_flight must be at least 1".into());
        }
        if self.call_timeout_ms == 0 {
            return Some("call_timeout_ms must be at least 1".into());
        }
        if self.call_timeout_ms.saturating_add(LEASE_MARGIN_MS) > self.lease_ms {
            return Some(format!(
                "call_timeout_ms must be at least {LEASE_MARGIN_MS} below lease_ms, or two workers could call at once"
            ));
        }
        if self.circuit_after == 0 {
            return Some("circuit_after must be at least 1".into());
        }
        self.schedule.problem().map(|problem| format!("schedule.{problem}"))
    }

    /// The queue it needs.
    pub fn queue(&self) -> QueueSpec {
        QueueSpec { target: self.name.clone(), partitions: self.partitions, in_flight: self.in_flight }
    }
}

/// How the outbox is emptied and watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelaySettings {
    /// Rows published in one go, all of them in flight at once.
    pub batch: u32,
    /// Batches under way at once per target.
    pub batches: u16,
    /// Looks for rows of other processes so often.
    pub idle_ms: u32,
    /// Looks for stalled deliveries so often.
    pub sweep_ms: u32,
    /// Reads so often what people have told to stand still.
    pub follow_ms: u32,
    /// A delivery that was published so long ago and has not been taken counts as stalled. Where the broker tells how
    /// far its lines have come, the time spent waiting in line does not count.
    pub stalled_ms: u32,
    /// Rows that may wait in the outbox, not counting those for paused targets. Beyond it nothing is accepted from
    /// outside: senders keep what they have and come back. What follows from accepted events is never refused.
    pub outbox_max: u64,
}

impl Default for RelaySettings {
    fn default() -> Self {
        RelaySettings {
            batch: 200,
            batches: 3,
            idle_ms: 1_000,
            sweep_ms: 15_000,
            follow_ms: 1_000,
            stalled_ms: 600_000,
            outbox_max: 5_000_000,
        }
    }
}

impl RelaySettings {
    /// What is wrong with them, if anything.
    pub fn problem(&self) -> Option<String> {
        if self.batch == 0 || self.batch > 5_000 {
            return Some("batch must be between 1 and 5000".into());
        }
        if self.batches == 0 || self.batches > 16 {
            return Some("batches must be between 1 and 16".into());
        }
        if self.idle_ms == 0 || self.sweep_ms == 0 || self.follow_ms == 0 {
            return Some("idle_ms, sweep_ms and follow_ms must be at least 1".into());
        }
        if self.outbox_max == 0 {
            return Some("outbox_max must be at least 1".into());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_must_end_before_its_lease() {
        assert_eq!(TargetSettings::named("erp").problem(), None);
        let late = TargetSettings { call_timeout_ms: 119_900, ..TargetSettings::named("erp") };
        assert!(late.problem().is_some_and(|text| text.contains("lease_ms")));
        assert!(TargetSettings::default().problem().is_some());
        assert_eq!(RelaySettings::default().problem(), None);
        assert!(RelaySettings { batch: 0, ..RelaySettings::default() }.problem().is_some());
        assert!(RelaySettings { outbox_max: 0, ..RelaySettings::default() }.problem().is_some());
    }
}
