//! Queues that gave no answer. One session's silence may be a busy broker's; two in a row are the queue's own.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

#[derive(Default)]
pub(super) struct Silent(Mutex<BTreeSet<String>>);

impl Silent {
    /// Notes that a queue gave no answer; answers whether it gave none the last time either.
    pub(super) fn is_again(&self, queue: &str) -> bool {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is done about it then is done once.
        silent.remove(queue) || !silent.insert(queue.to_owned())
    }

    pub(super) fn answered(&self, queues: &[String]) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|queue| !queues.contains(queue));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_in_a_row() {
        let silent = Silent::default();
        let (one, two) = ("t.work.erp.0", "t.work.erp.1");
        assert!(!silent.is_again(one) && !silent.is_again(two));
        silent.answered(&[one.to_owned()]);
        assert!(!silent.is_again(one), "it had answered in between");
        assert!(silent.is_again(one) && silent.is_again(two));
        assert!(!silent.is_again(one), "from the beginning");
    }
}
