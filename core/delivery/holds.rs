//! What people have told to stand still, as this process knows it: the store is read again at an interval.

use crate::engine::{Shared, Stop};
use crate::port::{Hold, Stored, Subject};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Pauses are remembered for the longest retry window and this long.
pub(crate) const REMEMBERED_MS: u64 = 30 * 86_400_000;

/// Holds: those that stand, and those that ended not long ago.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    list: Vec<Hold>,
}

impl Holds {
    /// Of a store's list.
    pub fn new(list: Vec<Hold>) -> Self {
        Holds { list }
    }

    /// The hold on the intake, if it takes nothing.
    pub fn intake(&self) -> Option<&Hold> {
        self.list.iter().find(|hold| hold.until_ms.is_none() && hold.subject == Subject::Intake)
    }

    /// The hold on a connection, if it gets no calls.
    pub fn connection(&self, name: &str) -> Option<&Hold> {
        self.list.iter().find(|hold| hold.until_ms.is_none() && is_its(hold, name))
    }

    /// For how long, from one time to another, a connection was held. Its holds do not overlap.
    pub fn held_ms(&self, name: &str, from_ms: i64, now_ms: i64) -> i64 {
        let within = |hold: &Hold| {
            let until_ms = hold.until_ms.unwrap_or(now_ms).min(now_ms);
            until_ms.saturating_sub(hold.since_ms.max(from_ms)).max(0)
        };
        self.list.iter().filter(|hold| is_its(hold, name)).map(within).fold(0, i64::saturating_add)
    }
}

fn is_its(hold: &Hold, connection: &str) -> bool {
    match &hold.subject {
        Subject::Connection(name) => name == connection,
        Subject::Intake => false,
    }
}

/// What this process knows of the holds; nothing before the store's first answer, and until then nobody knows what
/// may be called.
#[derive(Default)]
pub(crate) struct KnownHolds {
    known: Mutex<Option<Arc<Holds>>>,
    changed: Notify,
    /// Held from reading to learning: of two that ask, the one that read earlier must not have the last word.
    asking: tokio::sync::Mutex<()>,
}

impl KnownHolds {
    fn known(&self) -> Option<Arc<Holds>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, holds: Holds) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref() != Some(&holds) {
            *known = Some(Arc::new(holds));
            drop(known);
            self.changed.notify_waiters();
        }
    }

    /// Returns when a connection is known to be paused, or known not to be.
    pub(crate) async fn when(&self, target: &str, paused: bool) {
        loop {
            // Registered before the look, so that no change in between is missed.
            let changed = self.changed.notified();
            if self.known().is_some_and(|holds| holds.connection(target).is_some() == paused) {
                return;
            }
            changed.await;
        }
    }
}

impl Shared {
    /// Reads the holds; what was known stays known when that fails.
    pub(crate) async fn follow(&self) -> Stored<()> {
        let remembered_ms = i64::try_from(self.remembered_ms).unwrap_or(i64::MAX);
        let _asking = self.holds.asking.lock().await;
        let list = self.store.holds(self.clock.now_ms().saturating_sub(remembered_ms)).await?;
        self.holds.learn(Holds::new(list));
        Ok(())
    }

    pub(crate) async fn hold(&self, subject: Subject, who: &str, why: &str) -> Stored<bool> {
        let held = self.store.hold(subject, who, why, self.clock.now_ms()).await?;
        self.follow().await?;
        Ok(held)
    }

    pub(crate) async fn release(&self, subject: Subject, who: &str) -> Stored<bool> {
        let released = self.store.release(subject, who, self.clock.now_ms()).await?;
        self.follow().await?;
        Ok(released)
    }

    /// What is known now; nothing before the first answer of the store.
    pub(crate) fn held(&self) -> Arc<Holds> {
        self.holds.known().unwrap_or_default()
    }
}

/// Follows what other processes hold and release.
pub(crate) async fn run_follower(shared: Arc<Shared>, stop: Stop) {
    let pause = Duration::from_millis(u64::from(shared.relay.follow_ms));
    loop {
        if let Err(error) = shared.follow().await {
            shared.observer.store_failed();
            tracing::warn!(%error, "what is paused could not be read");
        }
        if stop.within(pause).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(name: &str, since_ms: i64, until_ms: Option<i64>) -> Hold {
        let subject = Subject::Connection(name.into());
        Hold { subject, since_ms, until_ms, who: "w".into(), why: String::new(), ended_by: None }
    }

    #[test]
    fn time_held_is_counted_within_the_window_only() {
        let holds = Holds::new(vec![
            pause("erp", 900, None),
            pause("erp", 500, Some(600)),
            pause("erp", 100, Some(200)),
            pause("crm", 0, Some(10_000)),
            Hold { subject: Subject::Intake, ..pause("", 0, None) },
        ]);
        // from, now → held
        let table = [(0, 1_000, 300), (150, 1_000, 250), (250, 1_000, 200), (550, 950, 100), (950, 960, 10)];
        for (from_ms, now_ms, expected) in table {
            assert_eq!(holds.held_ms("erp", from_ms, now_ms), expected, "{from_ms} to {now_ms}");
        }
        assert_eq!(holds.held_ms("tax", 0, 1_000), 0);
        assert!(holds.connection("erp").is_some() && holds.connection("crm").is_none());
        assert!(holds.intake().is_some() && Holds::default().intake().is_none());
    }
}
