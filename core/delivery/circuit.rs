//! One circuit per target: a target that is down is left alone, then tried with a single delivery.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The circuit of one target.
pub(crate) struct Circuit {
    after: u32,
    cool_down: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Everything passes; so many failures in a row.
    Closed { failures: u32 },
    /// Nothing passes until then.
    Open { until: Instant },
    /// One is under way; the others wait for what it finds.
    Probing,
}

/// Leave to take one delivery.
pub(crate) struct Pass {
    circuit: Arc<Circuit>,
    probe: bool,
    told: bool,
}

/// What a call changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Opened,
    Closed,
    None,
}

impl Circuit {
    pub(crate) fn new(after: u32, cool_down: Duration) -> Arc<Self> {
        let state = Mutex::new(State::Closed { failures: 0 });
        Arc::new(Circuit { after, cool_down, state, changed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a delivery may be taken.
    pub(crate) async fn pass(self: &Arc<Self>) -> Pass {
        loop {
            // Registered before the state is read, so that no change in between is missed.
            let changed = self.changed.notified();
            let now = Instant::now();
            let wait_until = {
                let mut state = self.state();
                match *state {
                    State::Closed { .. } => return Pass { circuit: self.clone(), probe: false, told: false },
                    State::Open { until } if until <= now => {
                        *state = State::Probing;
                        return Pass { circuit: self.clone(), probe: true, told: false };
                    }
                    State::Open { until } => Some(until),
                    State::Probing => None,
                }
            };
            match wait_until {
                Some(until) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = tokio::time::sleep_until(until) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Whether the target is left alone, or only tried with one delivery.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.state(), State::Closed { .. })
    }

    fn settle(&self, probe: bool, failed: bool) -> Change {
        let mut state = self.state();
        let before = *state;
        *state = match (before, failed) {
            (_, false) => State::Closed { failures: 0 },
            (State::Closed { failures }, true) if failures + 1 < self.after => {
                State::Closed { failures: failures + 1 }
            }
            (State::Closed { .. }, true) => State::Open { until: Instant::now() + self.cool_down },
            (State::Probing, true) if probe => State::Open { until: Instant::now() + self.cool_down },
            // A call from before the circuit opened tells nothing new.
            (other, true) => other,
        };
        let after = *state;
        drop(state);
        self.changed.notify_waiters();
        match (before, after) {
            (State::Closed { .. }, State::Open { .. }) => Change::Opened,
            (State::Open { .. } | State::Probing, State::Closed { .. }) => Change::Closed,
            _ => Change::None,
        }
    }
}

impl Pass {
    /// Whether it is the one delivery by which an open circuit is tried.
    pub(crate) fn is_probe(&self) -> bool {
        self.probe
    }

    /// The target was called.
    pub(crate) fn called(mut self, failed: bool) -> Change {
        self.told = true;
        self.circuit.settle(self.probe, failed)
    }
}

impl Drop for Pass {
    /// The delivery came to no call (settled already, not its turn): the next one may probe.
    fn drop(&mut self) {
        if self.told || !self.probe {
            return;
        }
        let mut state = self.circuit.state();
        if *state == State::Probing {
            *state = State::Open { until: Instant::now() };
        }
        drop(state);
        self.circuit.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn passes(circuit: &Arc<Circuit>) -> Option<Pass> {
        tokio::time::timeout(Duration::from_millis(1), circuit.pass()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_lets_one_through() {
        let circuit = Circuit::new(3, Duration::from_secs(30));
        for failed in [true, true, false, true, true] {
            assert_eq!(circuit.pass().await.called(failed), Change::None);
        }
        let early = circuit.pass().await;
        assert_eq!(circuit.pass().await.called(true), Change::Opened);
        assert!(passes(&circuit).await.is_none() && circuit.is_open());
        assert_eq!(early.called(true), Change::None);
        tokio::time::advance(Duration::from_secs(30)).await;
        let probe = passes(&circuit).await.unwrap();
        assert!(passes(&circuit).await.is_none(), "one at a time");
        drop(probe);
        let probe = passes(&circuit).await.unwrap();
        assert_eq!(probe.called(true), Change::None);
        assert!(passes(&circuit).await.is_none());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(passes(&circuit).await.unwrap().called(false), Change::Closed);
        assert!(passes(&circuit).await.is_some() && !circuit.is_open());
    }
}
