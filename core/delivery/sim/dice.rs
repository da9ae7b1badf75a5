//! Every decision of a run, drawn from its seed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A seeded source of decisions. A run has one thread, so that the order of draws is the order of events.
#[derive(Debug)]
pub struct Dice {
    random: Mutex<fastrand::Rng>,
}

impl Dice {
    /// Dice of a seed.
    pub fn new(seed: u64) -> Self {
        Dice { random: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether something of so many in a thousand happens.
    pub fn per_mille(&self, rate: u32) -> bool {
        // Not drawn when it cannot happen: switching a fault off leaves the rest of the run as it was.
        rate > 0 && self.draw(|random| random.u32(0..1000)) < rate
    }

    /// A number below `end` (0 for 0).
    pub fn below(&self, end: usize) -> usize {
        if end == 0 { 0 } else { self.draw(|random| random.usize(0..end)) }
    }

    /// A number of a range, both ends included.
    pub fn between(&self, from: u64, to: u64) -> u64 {
        self.draw(|random| random.u64(from..=to.max(from)))
    }

    /// A duration of a range in milliseconds.
    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.between(from, to))
    }

    /// One of some values; the default of none.
    pub fn one_of<T: Copy + Default>(&self, values: &[T]) -> T {
        values.get(self.below(values.len())).copied().unwrap_or_default()
    }
}
