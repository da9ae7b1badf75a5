//! A simulated process: its clock, its death, and the doors through which it reaches the world.
//!
//! Everything a process does outside of itself goes through a gate of its [`Fate`]. A process that has died stops
//! at its next gate and never goes on, so that what it had not yet written is not written; one that is frozen
//! waits there while the world, and its leases, go on.

use super::Sim;
use crate::clock::Clock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Where every simulation's clock begins: 2026-11-21 00:00:00 UTC.
const EPOCH_MS: i64 = 1_795_219_200_000;

/// How it stands with a process.
pub struct Fate {
    /// Its name, in the trace and at its attempts.
    pub name: String,
    pub(super) sim: Arc<Sim>,
    dead: CancellationToken,
    frozen_until: Mutex<Option<Instant>>,
    skew_ms: AtomicI64,
}

impl Fate {
    pub(super) fn new(sim: Arc<Sim>, name: String) -> Arc<Self> {
        let skew = i64::from(sim.chaos.skew_s) * 1_000;
        let skew_ms = if skew == 0 { 0 } else { draw_skew(&sim, skew) };
        Arc::new(Fate {
            name,
            sim,
            dead: CancellationToken::new(),
            frozen_until: Mutex::new(None),
            skew_ms: AtomicI64::new(skew_ms),
        })
    }

    /// Ends the process.
    pub fn die(&self) {
        self.dead.cancel();
    }

    /// Returns when the process is dead.
    pub async fn died(&self) {
        self.dead.cancelled().await;
    }

    /// Waits while the process is frozen; for ever when it is dead.
    pub async fn gate(&self) {
        loop {
            if self.dead.is_cancelled() {
                std::future::pending::<()>().await;
            }
            let until = *self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner);
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// A persistence point: here the process may die or freeze.
    pub async fn point(&self, place: &str) {
        self.gate().await;
        let (dice, chaos) = (&self.sim.dice, self.sim.chaos());
        if dice.per_mille(chaos.crash) {
            self.sim.trace.note(&format!("{} dies at {place}", self.name));
            self.sim.count(|counts| counts.crashes += 1);
            self.die();
        } else if dice.per_mille(chaos.freeze) {
            let time = dice.millis(30_000, 600_000);
            self.sim.trace.note(&format!("{} freezes at {place} for {time:?}", self.name));
            self.sim.count(|counts| counts.freezes += 1);
            let until = Instant::now() + time;
            *self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        } else if chaos.skew_s > 0 && dice.per_mille(5) {
            let skew = draw_skew(&self.sim, i64::from(chaos.skew_s) * 1_000);
            self.skew_ms.store(skew, Ordering::Relaxed);
        }
        self.gate().await;
    }

    /// The world has become quiet: a frozen process goes on, clocks agree.
    pub(super) fn calm(&self) {
        *self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.skew_ms.store(0, Ordering::Relaxed);
    }
}

fn draw_skew(sim: &Sim, most_ms: i64) -> i64 {
    let width = u64::try_from(most_ms.saturating_mul(2)).unwrap_or(0);
    i64::try_from(sim.dice.between(0, width)).unwrap_or(0) - most_ms
}

impl Clock for Fate {
    fn now_ms(&self) -> i64 {
        self.sim.now_ms().saturating_add(self.skew_ms.load(Ordering::Relaxed))
    }
}

/// The simulated time that everybody would agree on.
pub(super) fn now_ms(begun: Instant) -> i64 {
    let since: Duration = begun.elapsed();
    EPOCH_MS.saturating_add(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
