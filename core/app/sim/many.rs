//! Many seeds at once.

use super::{Shipped, run};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tongbao_delivery::sim::{Bug, Verdict};

/// What came of some seeds.
#[derive(Debug, Default)]
pub struct Tally {
    /// Seeds run.
    pub runs: u64,
    /// Steps noted.
    pub steps: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Processes that died.
    pub crashes: u64,
    /// Processes that stood still.
    pub freezes: u64,
    /// Attempts made.
    pub attempts: u64,
    /// Outcomes that came too late.
    pub fenced: u64,
    /// Runs in which something did not hold, by seed.
    pub violations: Vec<Verdict>,
}

/// Runs some seeds on all cores; with a deliberate mistake only until it is seen.
pub fn many(shipped: &Arc<Shipped>, from: u64, seeds: u64, bug: Option<Bug>) -> Tally {
    let (next, enough) = (AtomicU64::new(from), AtomicBool::new(false));
    let end = from.saturating_add(seeds);
    let tally = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || enough.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(verdict) = run(shipped, seed, bug, false) else { return };
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    tally.add(verdict);
                    // A mistake that was made on purpose needs to be seen once.
                    let seen = !tally.violations.is_empty() && bug.is_some();
                    enough.fetch_or(seen, Ordering::Relaxed);
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.violations.sort_by_key(|verdict| verdict.seed);
    tally
}

impl Tally {
    fn add(&mut self, verdict: Verdict) {
        self.runs += 1;
        self.steps += verdict.steps;
        self.simulated += verdict.simulated;
        self.crashes += verdict.counts.crashes;
        self.freezes += verdict.counts.freezes;
        self.attempts += verdict.counts.attempts;
        self.fenced += verdict.counts.fenced;
        if verdict.violation.is_some() {
            self.violations.push(verdict);
        }
    }
}
