//! How far the waiting lines have come. A queue is first in, first out: once a message is out of it, so is everything
//! that was put in before.

use super::Inner;
use super::session::Depth;
use crate::broker::Line;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Queues that take longer than this to say how much they hold are asked again later.
const LOOK: Duration = Duration::from_secs(5);

/// By work queue: when the message was put in that this process was given last. What is out of a queue stays out, so
/// that an old entry is still true; a message that was handed back comes out first again.
#[derive(Default)]
pub(super) struct Heads(Mutex<HashMap<String, i64>>);

impl Heads {
    /// A message that was put at the end of a queue at this time has come out of it.
    pub(super) fn handed_out(&self, queue: &str, queued_ms: i64) {
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match heads.get_mut(queue) {
            Some(head) => *head = queued_ms,
            None => drop(heads.insert(queue.to_owned(), queued_ms)),
        }
    }

    /// What is known of a queue.
    fn of(&self, queue: &str) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(queue).copied()
    }
}

impl Inner {
    /// How far each work queue of a target has come: up to now where it is empty, otherwise up to the message that
    /// came out last, which only the process knows that takes from it.
    pub(super) async fn line(&self, target: &str) -> Line {
        let Ok(spec) = self.spec(target) else { return Line::Unknown };
        let works = self.topology.works(&spec);
        // Before the look: what is published after it may be in the queue or not.
        let now_ms = self.clock.now_ms();
        let Ok(session) = self.current() else { return Line::HandedOut(vec![None; works.len()]) };
        let found = match tokio::time::timeout(LOOK, session.depths(&works)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                self.rebuild(session.id, &error.to_string());
                return Line::HandedOut(vec![None; works.len()]);
            }
            Err(_) => return Line::HandedOut(vec![None; works.len()]),
        };
        let came = |(queue, depth): (&String, &Depth)| {
            if depth.is_empty() { Some(now_ms) } else { self.heads.of(queue) }
        };
        Line::HandedOut(works.iter().zip(&found).map(came).collect())
    }
}
