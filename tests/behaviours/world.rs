//! What a case runs in: a database and queue names of its own, engines over them, a far side that does as told.

use crate::servers::Servers;
use async_trait::async_trait;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore};
use tongbao_delivery::port::{
    Accepted, DeliveryView, Filter, Intake, NewDelivery, Previous, State, Store, Work,
};
use tongbao_delivery::sim::MemoryStore;
use tongbao_delivery::{
    Broker, Clock, Embedded, EmbeddedSettings, Engine, EngineParts, Handler, NoObserver, Observer, Rabbit,
    RabbitSettings, RelaySettings, Report, Schedule, SystemClock, TargetSettings,
};
use tongbao_model::{Class, Event};
use tongbao_store::StoreOptions;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
    MariaDb,
    /// The simulation's model of a store: it must behave as the databases do.
    Memory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerKind {
    Nothing,
    Embedded,
    Rabbit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Combination {
    pub database: Database,
    pub broker: BrokerKind,
}

impl Combination {
    pub fn name(self) -> String {
        let database = match self.database {
            Database::Sqlite => "sqlite",
            Database::Postgres => "postgres",
            Database::MariaDb => "mariadb",
            Database::Memory => "memory",
        };
        match self.broker {
            BrokerKind::Nothing => database.to_owned(),
            BrokerKind::Embedded => format!("{database}_embedded"),
            BrokerKind::Rabbit => format!("{database}_rabbit"),
        }
    }
}

/// Held for reading by cases with RabbitMQ, for writing by the one that restarts it.
static RABBIT_IN_USE: RwLock<()> = RwLock::const_new(());

/// How a case holds RabbitMQ.
enum Hold {
    Nothing,
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

/// The usual patience, which only what fails uses up: no case is about speed, the machine may be busy with builds, and
/// a broker that is starting again may leave a session without an answer for a minute.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A case's own database and queue names.
pub struct World {
    pub combination: Combination,
    pub store: Arc<dyn Store>,
    pub url: String,
    pub prefix: String,
    _folder: TempDir,
    _hold: Hold,
}

impl World {
    pub async fn new(combination: Combination) -> World {
        let hold = match combination.broker {
            BrokerKind::Rabbit => Hold::Shared { _guard: RABBIT_IN_USE.read().await },
            BrokerKind::Nothing | BrokerKind::Embedded => Hold::Nothing,
        };
        World::with(combination, hold).await
    }

    /// With RabbitMQ to itself.
    pub async fn alone(combination: Combination) -> World {
        World::with(combination, Hold::Alone { _guard: RABBIT_IN_USE.write().await }).await
    }

    async fn with(combination: Combination, hold: Hold) -> World {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir_in(Servers::get().folder()).unwrap();
        let file = folder.path().join("store.db");
        let name = format!("case_{number}");
        let make = move || match combination.database {
            Database::Sqlite => format!("sqlite://{}", file.display()),
            Database::Postgres => Servers::get().postgres_url(&name),
            Database::MariaDb => Servers::get().mariadb_url(&name),
            Database::Memory => String::new(),
        };
        let url = tokio::task::spawn_blocking(make).await.unwrap();
        let store: Arc<dyn Store> = match combination.database {
            Database::Memory => Arc::new(MemoryStore::new()),
            Database::Sqlite | Database::Postgres | Database::MariaDb => open(&url).await,
        };
        World { combination, store, url, prefix: format!("case{number}."), _folder: folder, _hold: hold }
    }

    /// A broker of the combination's kind, as a process would make it.
    pub async fn broker(&self) -> AnyBroker {
        match self.combination.broker {
            BrokerKind::Nothing => panic!("this case has no broker"),
            BrokerKind::Embedded => {
                let settings = EmbeddedSettings::default();
                AnyBroker::Embedded(Arc::new(Embedded::new(settings, Arc::new(SystemClock))))
            }
            BrokerKind::Rabbit => {
                let url = tokio::task::spawn_blocking(|| Servers::get().rabbit_url()).await.unwrap();
                let settings = RabbitSettings {
                    prefix: self.prefix.clone(),
                    delays_s: vec![1, 2],
                    reconnect_max_ms: 1_000,
                    ..RabbitSettings::new(url)
                };
                AnyBroker::Rabbit(Arc::new(Rabbit::start(settings, Arc::new(SystemClock)).unwrap()))
            }
        }
    }

    /// An engine as a process would start it.
    pub async fn start(&self, far: &Arc<Far>, targets: Vec<TargetSettings>) -> Running {
        self.start_with(far, targets, |_| {}).await
    }

    pub async fn start_with(
        &self,
        far: &Arc<Far>,
        targets: Vec<TargetSettings>,
        change: impl FnOnce(&mut EngineParts),
    ) -> Running {
        let broker = self.broker().await;
        let mut parts = EngineParts {
            store: self.store.clone(),
            broker: broker.as_broker(),
            handler: far.clone(),
            clock: Arc::new(SystemClock),
            observer: Arc::new(NoObserver),
            targets,
            worker_name: "test".to_owned(),
            // Stalled only after an hour: where a case passes, it does without the sweeper's help.
            relay: RelaySettings {
                idle_ms: 200,
                sweep_ms: 200,
                stalled_ms: 3_600_000,
                ..RelaySettings::default()
            },
        };
        change(&mut parts);
        let engine = Engine::start(parts).await.unwrap();
        Running { engine, broker }
    }

    /// Waits until every delivery is in one of these states.
    pub async fn settled(&self, count: usize, states: &[State]) -> Vec<DeliveryView> {
        let begun = Instant::now();
        let expected = u64::try_from(count).unwrap();
        loop {
            // Counted in the database: reading thousands of rows again and again would be most of the work.
            let counts = self.store.counts().await.unwrap();
            let of = |wanted: bool| -> u64 {
                counts.iter().filter(|one| states.contains(&one.state) == wanted).map(|one| one.count).sum()
            };
            if of(true) == expected && of(false) == 0 {
                break;
            }
            if begun.elapsed() > PATIENCE {
                let all = self.store.deliveries(Filter { limit: 10_000, ..Filter::default() }).await.unwrap();
                let stuck = all.iter().find(|delivery| !states.contains(&delivery.state));
                let unpublished = self.store.outbox(10_000).await.unwrap().len();
                panic!("of {count} deliveries: {counts:?}; {unpublished} not published; e.g. {stuck:?}");
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        self.store.deliveries(Filter { limit: 10_000, ..Filter::default() }).await.unwrap()
    }

    pub async fn posted(&self, count: usize) -> Vec<DeliveryView> {
        self.settled(count, &[State::Posted]).await
    }

    /// Closes what the case opened.
    pub async fn end(self, running: Running) {
        running.end().await;
        self.store.close().await;
    }
}

pub async fn open(url: &str) -> Arc<dyn Store> {
    let options = StoreOptions { connections: 8, ..StoreOptions::default() };
    tongbao_store::open(url, options).await.unwrap()
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[derive(Clone)]
pub enum AnyBroker {
    Embedded(Arc<Embedded>),
    Rabbit(Arc<Rabbit>),
}

impl AnyBroker {
    pub fn as_broker(&self) -> Arc<dyn Broker> {
        match self {
            AnyBroker::Embedded(broker) => broker.clone(),
            AnyBroker::Rabbit(broker) => broker.clone(),
        }
    }

    /// Everything queued is gone.
    pub async fn wipe(&self) {
        match self {
            AnyBroker::Embedded(broker) => broker.purge(),
            AnyBroker::Rabbit(broker) => {
                let broker = broker.clone();
                until("queues deleted", async || broker.delete_queues().await.is_ok()).await;
            }
        }
    }
}

/// An engine with its broker.
pub struct Running {
    pub engine: Engine,
    pub broker: AnyBroker,
}

impl Running {
    pub async fn accept(&self, intakes: Vec<Intake>) -> Vec<Accepted> {
        self.engine.accept(intakes, None).await.unwrap()
    }

    pub async fn end(self) {
        // Queues of a case that is over would only slow down the others. A broker that is away has none.
        if let AnyBroker::Rabbit(broker) = &self.broker {
            drop(broker.delete_queues().await);
        }
        self.engine.stop(Duration::from_secs(20)).await;
    }
}

/// Settings for a target in a hurry.
pub fn target(name: &str) -> TargetSettings {
    TargetSettings {
        partitions: 2,
        schedule: Schedule { first_ms: 50, factor: 1.5, max_ms: 200, jitter: 0.0, ..Schedule::default() },
        ..TargetSettings::named(name)
    }
}

/// An event with one delivery.
pub fn intake(key: &str, revision: i64) -> Intake {
    intake_to("erp", key, revision)
}

pub fn intake_to(target: &str, key: &str, revision: i64) -> Intake {
    let record = format!(r#"{{"number":"{key}","revision":{revision},"amount":123456789012345678.10}}"#);
    Intake {
        event: Event {
            id: fresh("e"),
            kind: "contract.signed".to_owned(),
            source: "crm".to_owned(),
            key: key.to_owned(),
            revision,
            order_key: key.to_owned(),
            occurred_at_ms: 1,
            digest: format!("digest-{revision}"),
            record,
            cause: None,
        },
        deliveries: vec![NewDelivery {
            id: fresh("d"),
            flow: "contracts".to_owned(),
            target: target.to_owned(),
            order_key: key.to_owned(),
        }],
    }
}

pub fn fresh(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{what}-{:012}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn now_ms() -> i64 {
    SystemClock.now_ms()
}

/// A call that the far side got.
#[derive(Debug, Clone)]
pub struct Seen {
    pub delivery: String,
    pub key: String,
    pub revision: i64,
    pub attempt: u32,
    pub previous: Option<Previous>,
    pub at_ms: i64,
}

type Script = Box<dyn Fn(Seen) -> BoxFuture<'static, Report> + Send + Sync>;

/// A far side that does as told and remembers.
pub struct Far {
    script: Script,
    calls: Mutex<Vec<Seen>>,
    inside: Mutex<HashMap<String, u32>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Far {
    pub fn new<F, R>(script: F) -> Arc<Far>
    where
        F: Fn(Seen) -> R + Send + Sync + 'static,
        R: Future<Output = Report> + Send + 'static,
    {
        Arc::new(Far {
            script: Box::new(move |seen| Box::pin(script(seen))),
            calls: Mutex::default(),
            inside: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        })
    }

    /// Takes everything at once.
    pub fn willing() -> Arc<Far> {
        Far::new(|_| async { Report::new(Class::Done) })
    }

    /// Takes nothing until the gate is given permits, then as many at once as it has.
    pub fn behind_a_gate() -> (Arc<Far>, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        let open = gate.clone();
        let far = Far::new(move |_| {
            let gate = open.clone();
            async move {
                let _pass = gate.acquire().await.unwrap();
                Report::new(Class::Done)
            }
        });
        (far, gate)
    }

    /// Takes everything after a while.
    pub fn slow(time: Duration) -> Arc<Far> {
        Far::new(move |_| async move {
            tokio::time::sleep(time).await;
            Report::new(Class::Done)
        })
    }

    pub fn calls(&self) -> Vec<Seen> {
        self.calls.lock().unwrap().clone()
    }

    pub fn calls_of(&self, delivery: &str) -> Vec<Seen> {
        self.calls().into_iter().filter(|seen| seen.delivery == delivery).collect()
    }

    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    /// Asserts that so many deliveries were called, once each.
    pub fn assert_once_each(&self, count: usize) {
        let mut by_delivery: HashMap<String, u32> = HashMap::new();
        for seen in self.calls() {
            *by_delivery.entry(seen.delivery).or_default() += 1;
        }
        let twice: Vec<_> = by_delivery.iter().filter(|(_, calls)| **calls != 1).collect();
        assert!(twice.is_empty(), "called more than once: {twice:?}");
        assert_eq!(by_delivery.len(), count);
    }
}

#[async_trait]
impl Handler for Far {
    async fn handle(&self, work: &Work, now_ms: i64) -> Report {
        let seen = Seen {
            delivery: work.delivery.id.clone(),
            key: work.event.key.clone(),
            revision: work.event.revision,
            attempt: work.attempt,
            previous: work.previous.clone(),
            at_ms: now_ms,
        };
        self.calls.lock().unwrap().push(seen.clone());
        let lane = format!("{} {}", work.delivery.target, work.delivery.order_key);
        let _inside = Inside::enter(self, lane);
        (self.script)(seen).await
    }
}

/// Counts who is inside; two of one lane at once is the thing that must never happen.
struct Inside<'far> {
    far: &'far Far,
    lane: String,
}

impl<'far> Inside<'far> {
    fn enter(far: &'far Far, lane: String) -> Self {
        let mut inside = far.inside.lock().unwrap();
        let others = inside.entry(lane.clone()).or_default();
        *others += 1;
        assert_eq!(*others, 1, "two calls at once in lane {lane}");
        let at_once = far.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        far.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        drop(inside);
        Inside { far, lane }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.far.at_once.fetch_sub(1, Ordering::SeqCst);
        if let Some(count) = self.far.inside.lock().unwrap().get_mut(&self.lane) {
            *count -= 1;
        }
    }
}

/// Counts what the engine tells.
#[derive(Default)]
pub struct Counting {
    pub fenced: AtomicU32,
    pub panicked: AtomicU32,
    pub opened: AtomicU32,
    pub publish_failed: AtomicUsize,
    pub swept: AtomicU64,
}

impl Observer for Counting {
    fn fenced(&self, _target: &str) {
        self.fenced.fetch_add(1, Ordering::SeqCst);
    }
    fn panicked(&self, _target: &str) {
        self.panicked.fetch_add(1, Ordering::SeqCst);
    }
    fn circuit(&self, _target: &str, open: bool) {
        self.opened.fetch_add(u32::from(open), Ordering::SeqCst);
    }
    fn publish_failed(&self, _target: &str, count: usize) {
        self.publish_failed.fetch_add(count, Ordering::SeqCst);
    }
    fn swept(&self, count: u64) {
        self.swept.fetch_add(count, Ordering::SeqCst);
    }
}
