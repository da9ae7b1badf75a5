//! Relays first: what an earlier process left in the outbox is published and noted before anything is taken.
//!
//! Without it, a process that dies of its work soon after each start (a document that kills it, too little memory)
//! publishes the same rows in every life and notes them in none. The copies then make the next life still shorter.

use crate::engine::{Shared, Stop};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A broker or store in trouble, or an outbox that is filled as fast as it is emptied, holds up the workers no longer
/// than this.
const LONGEST: Duration = Duration::from_secs(2);

/// Which relays are still at what they found at the start.
pub(crate) struct HeadStart {
    under_way: Mutex<BTreeSet<String>>,
    over: CancellationToken,
}

impl HeadStart {
    /// For the relays of these targets.
    pub(crate) fn of<'a>(targets: impl Iterator<Item = &'a String>) -> HeadStart {
        let under_way = targets.cloned().collect();
        HeadStart { under_way: Mutex::new(under_way), over: CancellationToken::new() }
    }

    /// Whether every relay has ended it.
    pub(crate) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// The relay has nothing under way.
    pub(crate) fn has_ended(&self, target: &str) {
        if self.over.is_cancelled() {
            return;
        }
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.remove(target);
        if under_way.is_empty() {
            self.over.cancel();
        }
    }
}

impl Shared {
    /// Returns when the relays have had their head start, or it is time to stop.
    pub(crate) async fn let_relays_begin(&self, stop: &Stop) {
        // A broker in memory may have no room for all that is in the outbox before somebody takes from it. Nor can
        // copies of a former life be in it.
        if !self.broker.durable() {
            return;
        }
        tokio::select! {
            biased;
            () = stop.told() => {}
            () = self.head_start.over.cancelled() => {}
            () = tokio::time::sleep(LONGEST) => {}
        }
    }
}
