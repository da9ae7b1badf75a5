//! The invariants, checked while a run goes on.

use super::far::Sent;
use super::memory::Row;
use super::process::Fate;
use super::{Bug, Sim};
use crate::handler::{Handler, Report};
use crate::port::{State, Work};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// One attempt that is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The delivery.
    pub delivery: String,
    /// Its attempt.
    pub attempt: u32,
    /// Its sequence number.
    pub seq: i64,
    /// Its connection.
    pub target: String,
    /// Its order key.
    pub order_key: String,
    /// When its lease ends.
    pub lease_end: Instant,
}

/// The attempt that the current task makes.
pub struct Calling {
    /// Which.
    pub call: Call,
    looked: AtomicBool,
}

tokio::task_local! {
    /// Set around every call of the handler.
    pub static CALL: Calling;
}

/// What became of a request that makes a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// On its way.
    Open,
    /// It took effect, or found its effect there.
    Acted,
    /// The far side did nothing.
    Nothing,
}

/// What the watch remembers.
#[derive(Debug, Default)]
pub struct Watch {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    states: Vec<(State, u32)>,
    open: Vec<Call>,
    /// Delivery → attempt → what became of its request.
    requests: BTreeMap<String, BTreeMap<u32, Request>>,
}

impl Watch {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what became of a request.
    pub(super) fn request(&self, call: &Call, became: Request) {
        self.inner().requests.entry(call.delivery.clone()).or_default().insert(call.attempt, became);
    }
}

/// The current attempt has asked and was answered.
pub(super) fn has_looked() {
    // Outside of an attempt nobody minds.
    let _ = CALL.try_with(|calling| calling.looked.store(true, Ordering::Relaxed));
}

/// Before a request that makes a document: what may have been made must have been asked about.
pub(super) fn about_to_create(sim: &Sim, sent: &Sent) {
    let Ok((call, looked)) =
        CALL.try_with(|calling| (calling.call.clone(), calling.looked.load(Ordering::Relaxed)))
    else {
        return;
    };
    let inner = sim.watch.inner();
    let before = inner.requests.get(&call.delivery).into_iter().flatten();
    let mut open =
        before.rev().filter(|(attempt, became)| **attempt < call.attempt && **became != Request::Nothing);
    if let Some((attempt, became)) = open.next()
        && !looked
    {
        let what = format!(
            "{} {} is sent again without asking: attempt {attempt} was {became:?}, this is {}",
            sent.target, sent.key, call.attempt
        );
        drop(inner);
        sim.violate(what);
        return;
    }
    drop(inner);
    sim.watch.request(&call, Request::Open);
}

/// The application's handler under watch.
pub(super) struct Watched {
    pub fate: Arc<Fate>,
    pub inner: Arc<dyn Handler>,
}

/// Takes a call off the list, however it ends.
struct Open<'a> {
    watch: &'a Watch,
    call: Call,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.watch.inner().open.retain(|call| *call != self.call);
    }
}

impl Watched {
    fn call(&self, work: &Work) -> Call {
        let sim = &self.fate.sim;
        let lease = sim.store.tables().row(&work.delivery.id).and_then(|row| row.lease_until_ms).unwrap_or(0);
        let left = u64::try_from(lease.saturating_sub(sim.now_ms())).unwrap_or(0);
        Call {
            delivery: work.delivery.id.clone(),
            attempt: work.attempt,
            seq: work.delivery.seq,
            target: work.delivery.target.clone(),
            order_key: work.delivery.order_key.clone(),
            lease_end: Instant::now() + Duration::from_millis(left),
        }
    }

    /// No two attempts in one lane at a time, unless the lease of the first has run out.
    fn enter(&self, call: &Call) {
        let sim = &self.fate.sim;
        let now = Instant::now();
        let mut inner = sim.watch.inner();
        let beside = inner.open.iter().find(|other| {
            (&other.target, &other.order_key) == (&call.target, &call.order_key) && other.lease_end > now
        });
        let beside = beside.filter(|_| !sim.is_severe()).cloned();
        inner.open.push(call.clone());
        drop(inner);
        if let Some(other) = beside {
            sim.violate(format!(
                "{}#{} is called while {}#{} of the same lane is, and its lease runs",
                call.delivery, call.attempt, other.delivery, other.attempt
            ));
        }
    }
}

#[async_trait]
impl Handler for Watched {
    async fn handle(&self, work: &Work, now_ms: i64) -> Report {
        let sim = &self.fate.sim;
        let call = self.call(work);
        sim.count(|counts| counts.attempts += 1);
        self.enter(&call);
        let open = Open { watch: &sim.watch, call: call.clone() };
        let forgetful;
        let work = if sim.bug == Some(Bug::NoLookup) {
            forgetful = Work { previous: None, ..work.clone() };
            &forgetful
        } else {
            work
        };
        let calling = Calling { call, looked: AtomicBool::new(false) };
        let report = CALL.scope(calling, self.inner.handle(work, now_ms)).await;
        drop(open);
        report
    }
}

impl Sim {
    /// After every transaction: what changed may change so, and what is told to stand stands.
    pub fn check_step(&self) {
        let tables = self.store.tables();
        let mut inner = self.watch.inner();
        for (index, row) in tables.rows.values().enumerate() {
            let now = (row.state, row.attempts);
            let Some(before) = inner.states.get_mut(index) else {
                inner.states.push(now);
                continue;
            };
            if *before == now {
                continue;
            }
            let (was, attempts) = std::mem::replace(before, now);
            if let Some(wrong) = wrong_change(was, attempts, row) {
                self.violate(format!("delivery {} to {}: {wrong}", row.id, row.target));
            }
            if row.state == State::Posted && was != State::Posted && self.natures_of.contains(&row.target) {
                let origin = tables
                    .events
                    .get(&row.event)
                    .map(|(event, _)| format!("{}/{}/{}", event.source, event.kind, event.key));
                if !origin.is_some_and(|origin| self.far.stands(&row.target, &origin)) {
                    self.violate(format!(
                        "delivery {} is posted and {} has nothing of it",
                        row.id, row.target
                    ));
                }
            }
        }
        if inner.states.len() > tables.rows.len() {
            self.violate("a delivery is gone".to_owned());
        }
    }
}

fn wrong_change(was: State, attempts: u32, row: &Row) -> Option<String> {
    if row.attempts < attempts {
        return Some(format!("the fencing token went back from {attempts} to {}", row.attempts));
    }
    let allowed = match was {
        State::Posted | State::Superseded => false,
        State::Rejected => row.state == State::Pending,
        State::Parked => matches!(row.state, State::Pending | State::Posted | State::Superseded),
        State::Pending | State::Waiting => {
            matches!(row.state, State::Calling | State::Pending | State::Waiting)
        }
        State::Calling => true,
    };
    (!allowed).then(|| format!("{} became {}", was.name(), row.state.name()))
}
