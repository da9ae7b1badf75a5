//! All keys of both files, in parts that are added up apart from each other.

use super::ledger::Ledger;
use super::outcome::{Differing, Outcome};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;

/// How many parts there are.
pub const PARTS: usize = 2;

/// All keys of both files.
#[derive(Debug)]
pub struct Books {
    parts: [Ledger; PARTS],
    has_currency: bool,
}

impl Books {
    /// Empty ones, of at most so many keys; whether their currency is a part of them.
    pub fn new(keys_max: usize, has_currency: bool) -> Books {
        let keys = Arc::new(AtomicUsize::new(0));
        Books { parts: std::array::from_fn(|_| Ledger::new(keys_max, keys.clone())), has_currency }
    }

    /// The parts, in the order in which a reader has a batch for each.
    pub fn parts(&mut self) -> &mut [Ledger; PARTS] {
        &mut self.parts
    }

    /// What both sides come to.
    pub fn outcome(&self) -> Outcome {
        let of_part = |part| Outcome::of(part, self.has_currency);
        self.at_once(of_part).into_iter().reduce(Outcome::and).unwrap_or_default()
    }

    /// What is not the same on both sides, and what several rows of a side name where that is asked for.
    pub fn differing(&self, repeated: [bool; 2]) -> Differing<'_> {
        let of_part = |part| Differing::of(part, self.has_currency, repeated);
        self.at_once(of_part).into_iter().reduce(Differing::and).unwrap_or_default()
    }

    /// The same of every part, each on a thread.
    fn at_once<'l, T: Send>(&'l self, of_part: impl Fn(&'l Ledger) -> T + Sync) -> Vec<T> {
        let of_part = &of_part;
        thread::scope(|scope| {
            let running: Vec<_> = self.parts.iter().map(|part| scope.spawn(move || of_part(part))).collect();
            // A thread that has ended otherwise makes the totals wrong, which is seen: see `Outcome::is_of`.
            running.into_iter().filter_map(|one| one.join().ok()).collect()
        })
    }
}
