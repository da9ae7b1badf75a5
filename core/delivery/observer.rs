//! Counters, for whoever exports them.

use crate::port::{Accepted, Next};
use std::time::Duration;
use tongbao_model::Class;

/// What of the engine's a delivery's time goes into, beside its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Accepting events: the wait for a transaction, and the transaction.
    Accept,
    /// Publishing a batch of outbox rows until all are confirmed.
    Publish,
    /// Storing an intent.
    Begin,
    /// Storing an outcome.
    Finish,
}

impl Stage {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Accept => "accept",
            Stage::Publish => "publish",
            Stage::Begin => "begin",
            Stage::Finish => "finish",
        }
    }
}

/// Told what happens. Called on the hot path: count and return.
pub trait Observer: Send + Sync {
    /// An intake was stored or recognised.
    fn accepted(&self, _outcome: &Accepted) {}
    /// Outbox rows were confirmed by the broker.
    fn published(&self, _target: &str, _count: usize) {}
    /// Outbox rows were not taken by the broker and stay.
    fn publish_failed(&self, _target: &str, _count: usize) {}
    /// Deliveries were put back into the outbox by the sweeper.
    fn swept(&self, _count: u64) {}
    /// An attempt has ended and is stored.
    fn attempt(&self, _target: &str, _class: Class, _next: &Next, _call: Duration) {}
    /// So much time went into a stage.
    fn stage(&self, _stage: Stage, _took: Duration) {}
    /// An outcome came too late: somebody else has the delivery.
    fn fenced(&self, _target: &str) {}
    /// A handler panicked.
    fn panicked(&self, _target: &str) {}
    /// The store refused or failed a call of the engine's.
    fn store_failed(&self) {}
    /// The circuit of a target opened or closed.
    fn circuit(&self, _target: &str, _open: bool) {}
}

/// Counts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
