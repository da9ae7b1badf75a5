//! One run: processes come and go, the application plays its part, then everything becomes quiet and is judged.

use super::bugs::Bug;
use super::chaos::Chaos;
use super::dice::Dice;
use super::door::StoreDoor;
use super::far::{Far, FarDoor, Nature};
use super::memory::MemoryStore;
use super::process::Fate;
use super::queues::{BrokerDoor, Queues};
use super::trace::Trace;
use super::watch::{Watch, Watched};
use super::{Counts, Sim};
use crate::broker::Broker;
use crate::embedded::{Embedded, EmbeddedSettings};
use crate::engine::{Engine, EngineParts};
use crate::handler::Handler;
use crate::observer::NoObserver;
use crate::port::{Accepted, Cursor, Intake, State, Store, Stored};
use crate::settings::{RelaySettings, TargetSettings};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A client's patience with one request.
const PATIENCE: Duration = Duration::from_secs(30);
/// Looks so often whether everything has ended.
const LOOK: Duration = Duration::from_secs(70);
/// Once all is quiet, everything must have ended after so long: the retry window and some.
const END: Duration = Duration::from_secs(3 * 86_400);
/// Rounds of mending what is parked.
const ROUNDS: u32 = 4;

/// What a run is made of besides its seed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Connections that deliveries go to.
    pub targets: Vec<TargetSettings>,
    /// Natures of (connection, document kind); connections named here have a far side.
    pub natures: BTreeMap<(String, String), Nature>,
    /// A mistake to be made.
    pub bug: Option<Bug>,
    /// Keep every line of the trace.
    pub trace: bool,
}

/// What a process gives to the application's part of it.
pub struct Parts {
    /// The store through the process's door.
    pub store: Arc<dyn Store>,
    /// The far sides as it reaches them.
    pub far: FarDoor,
    /// The process.
    pub fate: Arc<Fate>,
}

/// The application's part.
#[async_trait]
pub trait Cast: Send + Sync {
    /// The handler of a process that starts.
    async fn handler(&self, parts: &Parts) -> Stored<Arc<dyn Handler>>;

    /// Work of a process beside its engine (polling), until it is dropped.
    async fn beside(&self, parts: Parts, engine: Arc<Engine>);

    /// Feeds the run; returns when everything has been said.
    async fn play(&self, client: Client);

    /// People look at what is parked and mend what can be mended; answers whether they replayed anything.
    async fn mend(&self, sim: &Sim, round: u32) -> bool;

    /// Judges the end: an error says what is wrong.
    async fn judge(&self, sim: &Sim) -> Result<(), String>;
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its seed.
    pub seed: u64,
    /// What does not hold, if anything.
    pub violation: Option<String>,
    /// Steps noted.
    pub steps: u64,
    /// Digest of all steps: equal for equal runs.
    pub digest: u64,
    /// Simulated time it took.
    pub simulated: Duration,
    /// What happened how often.
    pub counts: Counts,
    /// The last steps, or all.
    pub trace: Vec<String>,
}

struct Process {
    fate: Arc<Fate>,
    engine: Arc<Engine>,
}

type Slot = Mutex<Option<Arc<Process>>>;

/// Speaks to the processes as the outside does: to any that is up, again until it is answered.
#[derive(Clone)]
pub struct Client {
    /// The world.
    pub sim: Arc<Sim>,
    slots: Arc<Vec<Slot>>,
}

impl Client {
    /// Sends until something answers.
    pub async fn send(&self, intakes: Vec<Intake>) -> Vec<Accepted> {
        loop {
            if let Some(accepted) = self.once(intakes.clone(), None).await {
                for (intake, accepted) in intakes.iter().zip(&accepted) {
                    if matches!(accepted, Accepted::New | Accepted::Late) {
                        self.sim.told(&intake.event.id);
                    }
                }
                return accepted;
            }
            tokio::time::sleep(self.sim.dice.millis(200, 20_000)).await;
        }
    }

    async fn once(&self, intakes: Vec<Intake>, cursor: Option<Cursor>) -> Option<Vec<Accepted>> {
        let slot = self.slots.get(self.sim.dice.below(self.slots.len()))?;
        let process = slot.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        tokio::select! {
            biased;
            () = process.fate.died() => None,
            answer = tokio::time::timeout(PATIENCE, process.engine.accept(intakes, cursor)) => answer.ok()?.ok(),
        }
    }
}

impl Sim {
    /// Somebody was told that this event is kept.
    fn told(&self, event: &str) {
        if !self.store.tables().events.contains_key(event) && self.bug != Some(Bug::AckBeforeCommit) {
            self.violate(format!("event {event} was answered and is not stored"));
        }
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(event.to_owned());
    }

    fn all_kept(&self) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for event in kept {
            if !self.store.tables().events.contains_key(&event) {
                self.violate(format!("event {event} was answered and is not stored"));
            }
        }
    }

    /// Deliveries that have not ended and could: those behind a parked one wait for a person.
    fn under_way(&self) -> Vec<String> {
        let tables = self.store.tables();
        let mut parked: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for row in tables.rows.values().filter(|row| row.state == State::Parked) {
            let first = parked.entry((&row.target, &row.order_key)).or_insert(row.seq);
            *first = row.seq.min(*first);
        }
        let open = tables.rows.values().filter(|row| {
            let before = parked.get(&(row.target.as_str(), row.order_key.as_str()));
            let is_stuck = before.is_some_and(|first| *first < row.seq);
            match row.state {
                State::Calling | State::Waiting => true,
                State::Pending => !is_stuck,
                _ => false,
            }
        });
        open.map(|row| format!("{} to {} is {}", row.id, row.target, row.state.name())).collect()
    }
}

/// Runs one seed to its end.
pub fn run<C: Cast + 'static>(
    seed: u64,
    plan: Plan,
    cast: impl FnOnce(&Dice) -> C,
) -> Result<Verdict, std::io::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let verdict = runtime.block_on(async move {
        let dice = Dice::new(seed);
        let cast = Arc::new(cast(&dice));
        play(seed, plan, dice, cast).await
    });
    Ok(verdict)
}

async fn play<C: Cast + 'static>(seed: u64, plan: Plan, dice: Dice, cast: Arc<C>) -> Verdict {
    let chaos = Chaos::draw(&dice);
    // The embedded broker is for one process; the other one is for any number.
    let processes = dice.one_of(&[0, 1, 1, 2, 3]);
    let natures_of = plan.natures.keys().map(|(target, _)| target.clone()).collect();
    let sim = Arc::new(Sim {
        far: Far::new(plan.natures.clone()),
        store: MemoryStore::new(),
        trace: Trace::new(plan.trace),
        chaos,
        bug: plan.bug,
        queues: Queues::default(),
        watch: Watch::default(),
        natures_of,
        begun: Instant::now(),
        calm: AtomicBool::new(false),
        counts: Mutex::default(),
        kept: Mutex::default(),
        violation: Mutex::default(),
        violated: Notify::new(),
        dice,
    });
    sim.store.tables().without_fencing = plan.bug == Some(Bug::NoFencing);
    sim.store.tables().without_order = plan.bug == Some(Bug::NoOrder);
    sim.note(&format!("seed {seed}: {processes} processes (0: one, embedded), {chaos:?}"));
    let slots: Arc<Vec<Slot>> = Arc::new((0..processes.max(1)).map(|_| Slot::default()).collect());
    let mut world = JoinSet::new();
    for index in 0..slots.len() {
        let embedded = processes == 0;
        world.spawn(keep_up(sim.clone(), cast.clone(), plan.targets.clone(), slots.clone(), index, embedded));
    }
    world.spawn(wipe_now_and_then(sim.clone()));
    let client = Client { sim: sim.clone(), slots: slots.clone() };
    let story = async {
        cast.play(client).await;
        tokio::time::sleep(sim.dice.millis(0, 600_000)).await;
        become_quiet(&sim, &slots);
        settle(&sim, cast.as_ref()).await
    };
    let ended = tokio::select! {
        biased;
        () = sim.violated.notified() => Ok(()),
        ended = story => ended,
    };
    if let Err(wrong) = ended {
        sim.violate(wrong);
    }
    world.shutdown().await;
    let (steps, digest) = sim.trace.digest();
    let counts = *sim.counts.lock().unwrap_or_else(PoisonError::into_inner);
    Verdict {
        seed,
        violation: sim.violation(),
        steps,
        digest,
        simulated: sim.begun.elapsed(),
        counts,
        trace: sim.trace.lines(),
    }
}

/// A process, and after its death the next one.
async fn keep_up<C: Cast + 'static>(
    sim: Arc<Sim>,
    cast: Arc<C>,
    targets: Vec<TargetSettings>,
    slots: Arc<Vec<Slot>>,
    index: usize,
    embedded: bool,
) {
    for life in 0_u32.. {
        let fate = Fate::new(sim.clone(), format!("p{index}.{life}"));
        let up = tokio::select! {
            biased;
            () = fate.died() => None,
            up = start(&fate, cast.as_ref(), &targets, embedded) => up,
        };
        if let Some((process, parts)) = up {
            sim.note(&format!("{} is up", fate.name));
            let process = Arc::new(process);
            set(&slots, index, Some(process.clone()));
            tokio::select! {
                biased;
                () = fate.died() => {}
                () = cast.beside(parts, process.engine.clone()) => fate.died().await,
            }
            set(&slots, index, None);
        }
        tokio::time::sleep(sim.dice.millis(100, 90_000)).await;
    }
}

fn set(slots: &[Slot], index: usize, process: Option<Arc<Process>>) {
    if let Some(slot) = slots.get(index) {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = process;
    }
}

async fn start<C: Cast>(
    fate: &Arc<Fate>,
    cast: &C,
    targets: &[TargetSettings],
    embedded: bool,
) -> Option<(Process, Parts)> {
    let store: Arc<dyn Store> = Arc::new(StoreDoor::new(fate.clone()));
    let broker: Arc<dyn Broker> = if embedded {
        Arc::new(Embedded::new(EmbeddedSettings { capacity: 8, ..EmbeddedSettings::default() }, fate.clone()))
    } else {
        Arc::new(BrokerDoor::new(fate.clone()))
    };
    let lease_ms = targets.iter().map(|one| one.lease_ms).max().map_or(0, u64::from);
    let far = FarDoor::new(fate.clone(), lease_ms);
    let parts = Parts { store: store.clone(), far, fate: fate.clone() };
    // A service that cannot reach its database at start ends, and is started again.
    let handler = cast.handler(&parts).await.ok()?;
    if embedded {
        // As the service does with the lock of its SQLite file in hand: nobody else holds a lease.
        let safe = targets.iter().filter(|one| one.refuses_twice).map(|one| one.name.clone()).collect();
        store.expire_leases(safe, crate::clock::Clock::now_ms(fate.as_ref())).await.ok()?;
    }
    let engine = Engine::start(EngineParts {
        store,
        broker,
        handler: Arc::new(Watched { fate: fate.clone(), inner: handler }),
        clock: fate.clone(),
        observer: Arc::new(NoObserver),
        targets: targets.to_vec(),
        worker_name: fate.name.clone(),
        relay: RelaySettings {
            idle_ms: 20_000,
            sweep_ms: 30_000,
            stalled_ms: 120_000,
            ..RelaySettings::default()
        },
    });
    let engine = engine.await.ok()?;
    Some((Process { fate: fate.clone(), engine: Arc::new(engine) }, parts))
}

async fn wipe_now_and_then(sim: Arc<Sim>) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        if sim.dice.per_mille(sim.chaos().wipe) {
            let wiped = sim.queues.wipe();
            sim.note(&format!("broker wiped: {wiped} messages"));
            sim.count(|counts| counts.wiped += u64::try_from(wiped).unwrap_or(0));
        }
    }
}

/// Nothing goes wrong any more.
fn become_quiet(sim: &Sim, slots: &[Slot]) {
    sim.note("quiet");
    sim.calm.store(true, Ordering::Relaxed);
    for slot in slots {
        if let Some(process) = slot.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            process.fate.calm();
        }
    }
}

/// Everything ends, what is parked is mended, everything ends again; then it is judged.
async fn settle<C: Cast>(sim: &Sim, cast: &C) -> Result<(), String> {
    for round in 0..ROUNDS {
        let until = Instant::now() + END;
        // Twice in a row: a poll may be about to bring something.
        let mut quiet = 0;
        while quiet < 2 {
            tokio::time::sleep(LOOK).await;
            let open = sim.under_way();
            quiet = if open.is_empty() { quiet + 1 } else { 0 };
            if Instant::now() > until {
                return Err(format!("does not end: {}", open.join("; ")));
            }
        }
        if !cast.mend(sim, round).await {
            break;
        }
    }
    sim.all_kept();
    cast.judge(sim).await
}
