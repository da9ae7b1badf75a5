//! How much waits in the outbox, without asking the database each time.
//!
//! Counted at start and with every sweep, exactly unless it is far from the bound; in between, what this process
//! accepts and what it publishes is added and taken off. What other processes do in the meantime is not seen: with several of them the
//! bound is overstepped by no more than they accept between two sweeps.

use std::sync::atomic::{AtomicU64, Ordering};

/// Rows in the outbox, about.
pub(crate) struct Backlog {
    rows: AtomicU64,
    max: u64,
}

impl Backlog {
    pub(crate) fn new(max: u64) -> Self {
        Backlog { rows: AtomicU64::new(0), max }
    }

    /// Whether nothing more is to be accepted from outside.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.load(Ordering::Relaxed) >= self.max
    }

    /// The number just counted, or what it is at most.
    pub(crate) fn counted(&self, rows: u64) {
        self.rows.store(rows, Ordering::Relaxed);
    }

    pub(crate) fn added(&self, rows: usize) {
        self.change(|known| known.saturating_add(u64::try_from(rows).unwrap_or(u64::MAX)));
    }

    pub(crate) fn removed(&self, rows: usize) {
        self.change(|known| known.saturating_sub(u64::try_from(rows).unwrap_or(u64::MAX)));
    }

    fn change(&self, change: impl Fn(u64) -> u64) {
        let changed =
            self.rows.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| Some(change(known)));
        debug_assert!(changed.is_ok(), "the closure always answers");
    }
}

#[cfg(test)]
mod tests {
    use super::Backlog;

    #[test]
    fn full_at_the_bound_and_never_below_nothing() {
        let backlog = Backlog::new(3);
        backlog.added(2);
        assert!(!backlog.is_full());
        backlog.added(1);
        assert!(backlog.is_full());
        backlog.removed(1);
        assert!(!backlog.is_full());
        backlog.removed(10);
        backlog.added(2);
        assert!(!backlog.is_full(), "what was removed twice does not make room");
        backlog.counted(7);
        assert!(backlog.is_full());
    }
}
