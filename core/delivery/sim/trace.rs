//! What happened in a run: its last lines for people, a digest of all of it for "the same again".

use crate::fnv;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// Lines kept unless all are wanted.
const KEPT: usize = 80;

/// The trace of a run.
#[derive(Debug)]
pub struct Trace {
    begun: Instant,
    all: bool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<String>,
    digest: u64,
    steps: u64,
}

impl Trace {
    /// An empty trace that begins now; with every line or only the last ones.
    pub fn new(all: bool) -> Self {
        Trace { begun: Instant::now(), all, inner: Mutex::default() }
    }

    /// Notes a step.
    pub fn note(&self, line: &str) {
        let at = self.begun.elapsed().as_millis();
        let line = format!("{at:>9} {line}");
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.steps += 1;
        let start = if inner.digest == 0 { fnv::START } else { inner.digest };
        inner.digest = fnv::hash(start, line.bytes());
        if !self.all && inner.lines.len() == KEPT {
            inner.lines.pop_front();
        }
        inner.lines.push_back(line);
    }

    /// Steps so far and their digest.
    pub fn digest(&self) -> (u64, u64) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.steps, inner.digest)
    }

    /// The lines kept.
    pub fn lines(&self) -> Vec<String> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }
}
