//! The simulated broker: one for all processes, durable, and not to be trusted.

use super::process::Fate;
use super::{Bug, Sim};
use crate::broker::{Broker, BrokerError, Health, Line, Message, QueueSpec, Received, Settle, Subscription};
use crate::clock::Clock;
use crate::sharing::Sharing;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Looks for due messages at least so often: their delays are in simulated time of somebody's clock.
const LOOK: Duration = Duration::from_secs(60);

/// So many messages wait in no line of a run, which has some dozens of deliveries, unless copies breed copies.
const RUNAWAY: usize = 2_000;

/// The queues that all processes share.
#[derive(Debug, Default)]
pub struct Queues {
    lanes: Mutex<BTreeMap<String, Lane>>,
}

#[derive(Debug, Default)]
struct Lane {
    messages: Vec<(Instant, Message)>,
    arrived: Arc<Notify>,
}

impl Queues {
    fn lanes(&self) -> MutexGuard<'_, BTreeMap<String, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets every message.
    pub(super) fn wipe(&self) -> usize {
        self.lanes().values_mut().map(|lane| std::mem::take(&mut lane.messages).len()).sum()
    }

    fn put(&self, message: Message, not_before: Instant, sim: &Sim) {
        let mut lanes = self.lanes();
        let Some(lane) = lanes.get_mut(&message.target) else { return };
        if lane.messages.len() == RUNAWAY {
            sim.violate(format!("{RUNAWAY} messages wait in the line of {}", message.target));
        }
        lane.messages.push((not_before, message));
        lane.arrived.notify_waiters();
    }

    fn arrived(&self, target: &str) -> Option<Arc<Notify>> {
        self.lanes().get(target).map(|lane| lane.arrived.clone())
    }

    fn take(&self, target: &str, sim: &Sim) -> Option<Message> {
        let mut lanes = self.lanes();
        let lane = lanes.get_mut(target)?;
        let now = Instant::now();
        let due: Vec<usize> = lane
            .messages
            .iter()
            .enumerate()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(index, _)| index)
            .collect();
        let index = if sim.chaos().message_late > 0 { sim.dice.below(due.len()) } else { 0 };
        let chosen = due.get(index)?;
        Some(lane.messages.remove(*chosen).1)
    }

    fn next_due(&self, target: &str) -> Option<Instant> {
        self.lanes().get(target)?.messages.iter().map(|(at, _)| *at).min()
    }
}

/// The broker as one process sees it.
pub struct BrokerDoor {
    fate: Arc<Fate>,
}

impl BrokerDoor {
    pub(super) fn new(fate: Arc<Fate>) -> Self {
        BrokerDoor { fate }
    }

    fn publish_one(&self, message: Message) -> Result<(), BrokerError> {
        let sim = &self.fate.sim;
        let (dice, chaos) = (&sim.dice, sim.chaos());
        if sim.queues.arrived(&message.target).is_none() {
            return Err(BrokerError::Unroutable(message.target));
        }
        if dice.per_mille(chaos.publish_refused) {
            return Err(BrokerError::Refused("not taken".to_owned()));
        }
        if dice.per_mille(chaos.message_vanishes) {
            sim.trace.note(&format!("broker loses {}", message.delivery));
            return Ok(());
        }
        // The delay is counted on the publisher's clock.
        let delay = u64::try_from(message.not_before_ms.saturating_sub(self.fate.now_ms())).unwrap_or(0);
        let mut at = Instant::now() + Duration::from_millis(delay);
        if dice.per_mille(chaos.message_late) {
            at += dice.millis(100, 30_000);
        }
        if dice.per_mille(chaos.message_doubled) {
            sim.queues.put(message.clone(), at + dice.millis(0, 10_000), sim);
        }
        sim.queues.put(message, at, sim);
        if dice.per_mille(chaos.confirm_lost) {
            return Err(BrokerError::Unavailable("no confirm in time".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Broker for BrokerDoor {
    async fn declare(&self, queues: &[QueueSpec]) -> Result<(), BrokerError> {
        let mut lanes = self.fate.sim.queues.lanes();
        for spec in queues {
            lanes.entry(spec.target.clone()).or_default();
        }
        Ok(())
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<(), BrokerError>> {
        self.fate.point("publish").await;
        let results = messages.into_iter().map(|message| self.publish_one(message)).collect();
        self.fate.point("published").await;
        results
    }

    async fn subscribe(&self, target: &str) -> Result<Subscription, BrokerError> {
        let (sender, receiver) = mpsc::channel(1);
        let arrived = self.fate.sim.queues.arrived(target);
        let arrived = arrived.ok_or_else(|| BrokerError::Unroutable(target.to_owned()))?;
        tokio::spawn(pump(self.fate.clone(), target.to_owned(), arrived, sender));
        Ok(Subscription::new(receiver))
    }

    fn health(&self) -> Health {
        Health { ready: true, detail: "simulated".to_owned(), waiting: BTreeMap::new() }
    }

    fn horizon_ms(&self) -> Option<i64> {
        None
    }

    /// As far as the oldest message that could be taken.
    async fn line(&self, target: &str) -> Line {
        self.fate.gate().await;
        let (sim, now) = (&self.fate.sim, Instant::now());
        if sim.bug == Some(Bug::EndlessLine) || sim.dice.per_mille(sim.chaos().publish_refused) {
            return Line::HandedOut(vec![None]);
        }
        let due = sim.queues.next_due(target).filter(|due| *due <= now);
        let waits = due.map_or(Duration::ZERO, |due| now.duration_since(due));
        let waits_ms = i64::try_from(waits.as_millis()).unwrap_or(i64::MAX);
        Line::HandedOut(vec![Some(self.fate.now_ms().saturating_sub(waits_ms))])
    }

    fn durable(&self) -> bool {
        true
    }

    // Every process takes what it can get, which is worse than anything sharing could do.

    fn is_shared(&self) -> bool {
        false
    }

    fn share(&self, _: &Sharing) {}

    async fn close(&self) {}
}

/// Hands messages to one subscriber until it is gone.
async fn pump(fate: Arc<Fate>, target: String, arrived: Arc<Notify>, sender: mpsc::Sender<Received>) {
    loop {
        let Ok(room) = sender.reserve().await else { return };
        let message = loop {
            // Registered before the look, so that no arrival in between is missed.
            let news = arrived.notified();
            if let Some(message) = fate.sim.queues.take(&target, &fate.sim) {
                break message;
            }
            let latest = Instant::now() + LOOK;
            let until = fate.sim.queues.next_due(&target).map_or(latest, |due| due.min(latest));
            tokio::select! {
                biased;
                () = sender.closed() => return,
                () = news => {}
                () = tokio::time::sleep_until(until) => {}
            }
        };
        let settle = Settler { fate: fate.clone(), message: message.clone() };
        room.send(Received::new(message, Box::new(settle)));
    }
}

struct Settler {
    fate: Arc<Fate>,
    message: Message,
}

#[async_trait]
impl Settle for Settler {
    async fn ack(self: Box<Self>) {
        self.fate.point("ack").await;
    }

    async fn requeue(self: Box<Self>, not_before_ms: i64) {
        let delay = u64::try_from(not_before_ms.saturating_sub(self.fate.now_ms())).unwrap_or(0);
        let at = Instant::now() + Duration::from_millis(delay);
        let message = Message { not_before_ms, ..self.message };
        self.fate.sim.queues.put(message, at, &self.fate.sim);
    }

    fn abandon(self: Box<Self>) {
        self.fate.sim.queues.put(self.message, Instant::now(), &self.fate.sim);
    }
}
