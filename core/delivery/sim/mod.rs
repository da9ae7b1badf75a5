//! Simulation: the real engine against a seeded world.
//!
//! The engine, its relays, workers, sweeper, policy and the application's handler run as they are, in one thread,
//! over a simulated clock. The world around them is made of a [`memory`] store, a broker that loses, doubles and
//! reorders ([`queues`]), far sides that act and do not say so ([`far`]), and processes that die, freeze and come
//! back ([`process`]). What goes wrong is drawn from the seed ([`chaos`]); the same seed gives the same run, step
//! by step. The invariants are checked at every step ([`watch`]) and at the end; deliberate mistakes ([`bugs`])
//! show that they would be seen.

pub mod bugs;
pub mod chaos;
pub mod dice;
mod door;
pub mod far;
pub mod memory;
pub mod process;
mod queues;
mod run;
mod trace;
mod watch;

pub use bugs::Bug;
pub use chaos::Chaos;
pub use dice::Dice;
pub use far::{Answer, Far, FarDocument, FarDoor, Nature, STEPS, Sent};
pub use memory::MemoryStore;
pub use process::Fate;
pub use run::{Cast, Client, Parts, Plan, Verdict, run};

use queues::Queues;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;
use trace::Trace;
use watch::Watch;

/// What happened how often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes that died.
    pub crashes: u64,
    /// Processes that stood still.
    pub freezes: u64,
    /// Attempts made.
    pub attempts: u64,
    /// Outcomes that came too late.
    pub fenced: u64,
    /// Messages the broker forgot by being wiped.
    pub wiped: u64,
}

/// A simulated world.
pub struct Sim {
    /// Decisions.
    pub dice: Dice,
    /// The far sides.
    pub far: Far,
    /// The database.
    pub store: MemoryStore,
    trace: Trace,
    chaos: Chaos,
    bug: Option<Bug>,
    queues: Queues,
    watch: Watch,
    /// Connections with a far side.
    natures_of: BTreeSet<String>,
    begun: Instant,
    calm: AtomicBool,
    counts: Mutex<Counts>,
    /// Events that somebody was told are kept.
    kept: Mutex<Vec<String>>,
    violation: Mutex<Option<String>>,
    violated: Notify,
}

impl Sim {
    /// What may go wrong now.
    pub fn chaos(&self) -> Chaos {
        if self.calm.load(Ordering::Relaxed) { Chaos::default() } else { self.chaos }
    }

    /// Whether calls of this run may take effect after their lease: see [`Chaos::is_severe`].
    pub fn is_severe(&self) -> bool {
        self.chaos.is_severe()
    }

    /// Simulated time in milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> i64 {
        process::now_ms(self.begun)
    }

    /// Notes a step.
    pub fn note(&self, line: &str) {
        self.trace.note(line);
    }

    /// An invariant does not hold. The first one counts.
    pub fn violate(&self, what: String) {
        self.trace.note(&format!("VIOLATION {what}"));
        self.violation.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
        self.violated.notify_one();
    }

    fn violation(&self) -> Option<String> {
        self.violation.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Sim {
    /// The record of a stored event.
    pub fn record(&self, event: &str) -> Option<serde_json::Value> {
        let tables = self.store.tables();
        serde_json::from_str(&tables.events.get(event)?.0.record).ok()
    }
}
