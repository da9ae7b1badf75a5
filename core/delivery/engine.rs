//! The running whole: relays, workers and sweeper over one store, one broker and one handler.

use crate::backlog::Backlog;
use crate::broker::{Broker, BrokerError};
use crate::circuit::Circuit;
use crate::clock::Clock;
use crate::handler::Handler;
use crate::head_start::HeadStart;
use crate::holds::{Holds, KnownHolds, REMEMBERED_MS, run_follower};
use crate::observer::Observer;
use crate::port::{Accepted, Binding, Cursor, Filter, Intake, Replayed, Store, Stored, Subject};
use crate::relay::run_relay;
use crate::settings::{RelaySettings, TargetSettings};
use crate::sharing::run_sharing;
use crate::sweeper::run_sweeper;
use crate::worker::run_worker;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What an engine is made of.
pub struct EngineParts {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The transport.
    pub broker: Arc<dyn Broker>,
    /// The application's pipeline.
    pub handler: Arc<dyn Handler>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub observer: Arc<dyn Observer>,
    /// The connections that deliveries go to.
    pub targets: Vec<TargetSettings>,
    /// Name of this process in attempts.
    pub worker_name: String,
    /// Outbox settings.
    pub relay: RelaySettings,
}

/// Why an engine does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Settings contradict each other; every mistake at once.
    #[error("settings: {}", .0.join("; "))]
    Settings(Vec<String>),
    /// What an earlier process left behind cannot be put back.
    #[error("what an earlier process left behind cannot be put back: {0}")]
    Store(String),
    /// The broker cannot take the queues.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// How an engine stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Whether every call under way ended and was stored before the deadline. If not, those deliveries are
    /// looked up after their lease.
    pub clean: bool,
}

/// What the tasks share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) worker_name: String,
    pub(crate) relay: RelaySettings,
    pub(crate) backlog: Backlog,
    pub(crate) wakes: BTreeMap<String, Arc<Notify>>,
    pub(crate) circuits: BTreeMap<String, Arc<Circuit>>,
    pub(crate) holds: KnownHolds,
    pub(crate) remembered_ms: u64,
    pub(crate) head_start: HeadStart,
}

impl Shared {
    pub(crate) fn wake(&self, target: &str) {
        if let Some(wake) = self.wakes.get(target) {
            wake.notify_one();
        }
    }

    pub(crate) fn wake_all(&self) {
        self.wakes.values().for_each(|wake| wake.notify_one());
    }
}

/// Whether the engine is to stop. A token and not a `watch`: it wakes those who wait in a fixed order, which a
/// simulation needs to be the same each time.
#[derive(Clone, Default)]
pub(crate) struct Stop(CancellationToken);

impl Stop {
    /// Returns when it is.
    pub(crate) async fn told(&self) {
        self.0.cancelled().await;
    }

    /// Waits; answers early with `true` when it is.
    pub(crate) async fn within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.told()).await.is_ok()
    }
}

/// A running engine. Dropped without [`Engine::stop`], it ends like a crash: at once, and nothing accepted is lost.
pub struct Engine {
    shared: Arc<Shared>,
    stop: Stop,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    workers: JoinSet<()>,
    relays: JoinSet<()>,
}

impl Engine {
    /// Checks the settings, declares the queues and starts the tasks.
    pub async fn start(parts: EngineParts) -> Result<Engine, EngineError> {
        check(&parts)?;
        let queues: Vec<_> = parts.targets.iter().map(TargetSettings::queue).collect();
        parts.broker.declare(&queues).await?;
        let wakes: BTreeMap<String, _> =
            parts.targets.iter().map(|target| (target.name.clone(), Arc::default())).collect();
        let circuits = parts.targets.iter().map(|target| (target.name.clone(), circuit(target))).collect();
        let window_ms = parts.targets.iter().map(|target| target.schedule.window_ms).max();
        let shared = Arc::new(Shared {
            store: parts.store,
            broker: parts.broker,
            handler: parts.handler,
            clock: parts.clock,
            observer: parts.observer,
            worker_name: parts.worker_name,
            backlog: Backlog::new(parts.relay.outbox_max),
            relay: parts.relay,
            head_start: HeadStart::of(wakes.keys()),
            wakes,
            circuits,
            holds: KnownHolds::default(),
            remembered_ms: REMEMBERED_MS.saturating_add(window_ms.unwrap_or(0)),
        });
        // So that a caller knows from the start. If it fails, the follower goes on asking, and workers wait for it.
        if let Err(error) = shared.follow().await {
            tracing::warn!(%error, "what is paused could not be read");
        }
        if !shared.broker.durable() {
            // Before anything is taken: the queues of an earlier process went with it.
            shared.put_everything_back().await.map_err(|error| EngineError::Store(error.to_string()))?;
        }
        shared.count_backlog().await;
        let stop = Stop::default();
        let mut tasks = Tasks::default();
        tasks.relays.spawn(run_follower(shared.clone(), stop.clone()));
        tasks.relays.spawn(run_sweeper(shared.clone(), stop.clone()));
        if shared.broker.is_shared() {
            tasks.relays.spawn(run_sharing(shared.clone(), stop.clone()));
        }
        for target in parts.targets {
            tasks.relays.spawn(run_relay(shared.clone(), target.name.clone(), stop.clone()));
            tasks.workers.spawn(run_worker(shared.clone(), target, stop.clone()));
        }
        Ok(Engine { shared, stop, tasks: Mutex::new(tasks) })
    }

    /// Accepts events once each, all or nothing, and wakes the relays. Once this returned, they are kept.
    pub async fn accept(&self, intakes: Vec<Intake>, cursor: Option<Cursor>) -> Stored<Vec<Accepted>> {
        self.shared.accept(intakes, cursor).await
    }

    /// Whether so much waits in the outbox that nothing from outside should be accepted now. Cheap; a caller
    /// that has no sender to turn away may accept all the same.
    pub fn is_full(&self) -> bool {
        self.shared.backlog.is_full()
    }

    /// Parked and rejected deliveries of the filter are tried again.
    pub async fn replay(&self, filter: Filter) -> Stored<Replayed> {
        self.shared.replay(filter).await
    }

    /// Settles a parked delivery as posted by binding it to a document by hand.
    pub async fn bind(&self, delivery: &str, binding: Binding) -> Stored<bool> {
        self.shared.bind(delivery, binding).await
    }

    /// Makes something stand still in all processes. Here at once, elsewhere within two seconds: no new call is made,
    /// calls under way end.
    pub async fn hold(&self, subject: Subject, who: &str, why: &str) -> Stored<bool> {
        self.shared.hold(subject, who, why).await
    }

    /// Ends a hold.
    pub async fn release(&self, subject: Subject, who: &str) -> Stored<bool> {
        self.shared.release(subject, who).await
    }

    /// What stands still, as this process knows.
    pub fn holds(&self) -> Arc<Holds> {
        self.shared.held()
    }

    /// For every target whether its circuit is open in this process.
    pub fn circuits(&self) -> BTreeMap<String, bool> {
        self.shared.circuits.iter().map(|(target, circuit)| (target.clone(), circuit.is_open())).collect()
    }

    /// Makes the relays look into the outbox now.
    pub fn wake(&self) {
        self.shared.wake_all();
    }

    /// Stops taking, lets the calls under way end and be stored, waits for open confirms, closes the broker.
    /// What is not done at the deadline is cut off. The store stays open; it is the caller's.
    pub async fn stop(&self, deadline: Duration) -> Stopped {
        self.stop.0.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let until = Instant::now() + deadline;
        let workers = tokio::time::timeout_at(until, drain(&mut tasks.workers)).await;
        let relays = tokio::time::timeout_at(until, drain(&mut tasks.relays)).await;
        tasks.workers.shutdown().await;
        tasks.relays.shutdown().await;
        self.shared.broker.close().await;
        Stopped { clean: workers.is_ok() && relays.is_ok() }
    }
}

fn circuit(target: &TargetSettings) -> Arc<Circuit> {
    Circuit::new(target.circuit_after, Duration::from_millis(u64::from(target.circuit_cool_down_ms)))
}

async fn drain(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

fn check(parts: &EngineParts) -> Result<(), EngineError> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for target in &parts.targets {
        if let Some(problem) = target.problem() {
            problems.push(format!("target {:?}: {problem}", target.name));
        }
        if !names.insert(target.name.as_str()) {
            problems.push(format!("target {:?} is there twice", target.name));
        }
    }
    problems.extend(parts.relay.problem().map(|problem| format!("relay: {problem}")));
    if parts.worker_name.is_empty() || parts.worker_name.chars().count() > 128 {
        problems.push("worker_name must have 1 to 128 characters".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(EngineError::Settings(problems)) }
}
