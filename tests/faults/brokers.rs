//! RabbitMQ restarted, killed, out of memory, without its queues, behind a bad network: everything accepted
//! is delivered once, with the same engine running all the time.

use crate::Case;
use crate::proxy::{Mode, Proxy};
use crate::servers::{End, Servers};
use crate::world::{BrokerKind, Combination, Counting, Database, Far, Running, World, intake, target, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};
use tongbao_delivery::port::{Filter, State};
use tongbao_delivery::{
    Broker, Rabbit, RabbitSettings, RelaySettings, Report, SystemClock, TargetSettings, Unheard,
};
use tongbao_model::Class;

/// The time an engine has to stop.
const STOP: Duration = Duration::from_secs(20);
/// Milliseconds between two sweeps.
const OFTEN: u32 = 300;

/// The frail RabbitMQ is for one case at a time.
pub static FRAIL: Mutex<()> = Mutex::const_new(());

/// The cases.
pub fn cases() -> Vec<(String, Case)> {
    let case = |name: &str, case: Case| (format!("broker::{name}"), case);
    vec![
        case("stopped_and_killed_under_load", Box::new(|| Box::pin(stopped_and_killed_under_load()))),
        case("killed_with_new_queues", Box::new(|| Box::pin(killed_with_new_queues()))),
        case("out_of_memory_under_load", Box::new(|| Box::pin(out_of_memory_under_load()))),
        case("queues_deleted_one_by_one", Box::new(|| Box::pin(queues_deleted_one_by_one()))),
        case("purged_queues_are_filled_again", Box::new(|| Box::pin(purged_queues_are_filled_again()))),
        case("connections_closed_by_the_broker", Box::new(|| Box::pin(connections_closed_by_the_broker()))),
        case("cut_in_the_middle_of_a_publish", Box::new(|| Box::pin(cut_in_the_middle_of_a_publish()))),
        case("a_network_that_hangs", Box::new(|| Box::pin(a_network_that_hangs()))),
        case("stopped_while_the_network_hangs", Box::new(|| Box::pin(stopped_while_the_network_hangs()))),
        case("a_network_that_drips", Box::new(|| Box::pin(a_network_that_drips()))),
    ]
}

/// An engine over the frail RabbitMQ and a database of its own.
pub struct Scene {
    pub world: World,
    pub far: Arc<Far>,
    pub rabbit: Arc<Rabbit>,
    pub counting: Arc<Counting>,
    settings: RabbitSettings,
    pub running: Running,
    pub accepted: AtomicU32,
    _alone: MutexGuard<'static, ()>,
}

/// Blocking work on servers, off the runtime's threads.
pub async fn on_servers<T: Send + 'static>(work: impl FnOnce(&'static Servers) -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(|| work(Servers::get())).await.unwrap()
}

pub async fn ctl(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    on_servers(move |servers| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        servers.frail_rabbitmqctl(&arguments)
    })
    .await
}

/// Of a queue of the frail RabbitMQ, by its tool; nothing where there is no such queue.
pub async fn listed(queue: &str, column: &str) -> Option<u64> {
    let list = ctl(&["list_queues", "--no-table-headers", "name", column]).await;
    let row = list.lines().find_map(|line| line.strip_prefix(queue)?.strip_prefix('\t'));
    row.map(|value| value.trim().parse().unwrap())
}

impl Scene {
    /// Straight to the node.
    pub async fn new(far: Arc<Far>) -> Scene {
        let alone = FRAIL.lock().await;
        let port = on_servers(Servers::frail_rabbit_port).await;
        Scene::at(port, far, alone, OFTEN).await
    }

    /// The same without the sweeper, which looks at the queues as well.
    async fn unswept(far: Arc<Far>) -> Scene {
        let alone = FRAIL.lock().await;
        let port = on_servers(Servers::frail_rabbit_port).await;
        Scene::at(port, far, alone, u32::MAX).await
    }

    /// The same, and nobody takes from the queues before that is told to begin.
    pub async fn unheard(far: Arc<Far>) -> (Scene, Arc<Unheard<Rabbit>>) {
        let mut scene = Scene::unswept(far).await;
        assert!(scene.running.engine.stop(STOP).await.clean);
        scene.rabbit = Arc::new(Rabbit::start(scene.settings.clone(), Arc::new(SystemClock)).unwrap());
        let unheard = Arc::new(Unheard::new(scene.rabbit.clone()));
        let broker: Arc<dyn Broker> = unheard.clone();
        scene.running = run(&scene.world, &scene.far, broker, &scene.counting, u32::MAX).await;
        (scene, unheard)
    }

    /// Through a proxy.
    async fn behind_a_proxy(far: Arc<Far>) -> (Scene, Proxy) {
        let alone = FRAIL.lock().await;
        let proxy = Proxy::start(on_servers(Servers::frail_rabbit_port).await).await;
        (Scene::at(proxy.port(), far, alone, OFTEN).await, proxy)
    }

    async fn at(port: u16, far: Arc<Far>, alone: MutexGuard<'static, ()>, sweep_ms: u32) -> Scene {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("scene{}.", NUMBER.fetch_add(1, Ordering::Relaxed));
        let settings = RabbitSettings {
            prefix,
            delays_s: vec![1, 2],
            reconnect_max_ms: 1_000,
            confirm_ms: 1_500,
            ..RabbitSettings::new(format!("amqp://guest:guest@127.0.0.1:{port}/%2f"))
        };
        let rabbit = Arc::new(Rabbit::start(settings.clone(), Arc::new(SystemClock)).unwrap());
        let world =
            World::new(Combination { database: Database::Sqlite, broker: BrokerKind::Embedded }).await;
        let counting = Arc::new(Counting::default());
        let running = run(&world, &far, rabbit.clone(), &counting, sweep_ms).await;
        let accepted = AtomicU32::new(0);
        Scene { world, far, rabbit, counting, settings, running, accepted, _alone: alone }
    }

    /// The broker as another process has it that takes nothing.
    pub async fn beside(&self) -> Rabbit {
        let other = Rabbit::start(self.settings.clone(), Arc::new(SystemClock)).unwrap();
        other.declare(&[erp().queue()]).await.unwrap();
        other
    }

    /// Accepts so many more.
    pub async fn accept(&self, count: u32) {
        let first = self.accepted.fetch_add(count, Ordering::SeqCst);
        for chunk in (first..first + count).collect::<Vec<_>>().chunks(10) {
            let intakes = chunk.iter().map(|number| intake(&format!("HT-{number}"), 1)).collect();
            self.running.accept(intakes).await;
        }
    }

    pub async fn called(&self, count: usize) {
        until("calls are made", async || self.far.calls().len() >= count).await;
    }

    pub async fn ready(&self) {
        until("the broker is connected", async || self.rabbit.health().ready).await;
    }

    async fn not_ready(&self) {
        until("the loss is noticed", async || !self.rabbit.health().ready).await;
    }

    pub fn queue(&self, name: &str) -> String {
        format!("{}{name}", self.settings.prefix)
    }

    /// Everything accepted is posted; `once` says that the far side was called once for each.
    pub async fn end(self) {
        let count = usize::try_from(self.accepted.load(Ordering::SeqCst)).unwrap();
        self.world.posted(count).await;
        self.far.assert_once_each(count);
        drop(self.rabbit.delete_queues().await);
        self.world.end(self.running).await;
    }
}

/// An engine over these.
async fn run(
    world: &World,
    far: &Arc<Far>,
    broker: Arc<dyn Broker>,
    counting: &Arc<Counting>,
    sweep_ms: u32,
) -> Running {
    let observer = counting.clone();
    world
        .start_with(far, vec![erp()], |parts| {
            parts.broker = broker;
            parts.observer = observer;
            parts.relay = RelaySettings { idle_ms: 200, sweep_ms, stalled_ms: 2_000, ..parts.relay.clone() };
        })
        .await
}

fn erp() -> TargetSettings {
    // A call that is held up on purpose is not given up.
    TargetSettings { circuit_after: 1_000, call_timeout_ms: 800_000, lease_ms: 900_000, ..target("erp") }
}

fn slow() -> Arc<Far> {
    Far::slow(Duration::from_millis(5))
}

async fn stopped_and_killed_under_load() {
    let scene = Scene::new(slow()).await;
    for end in [End::Term, End::Kill] {
        let called = scene.far.calls().len();
        scene.accept(100).await;
        scene.called(called + 30).await;
        // Accepting goes on while the node goes down, is away, and comes back.
        tokio::join!(on_servers(move |servers| servers.stop_frail_rabbit(end)), scene.accept(50));
        scene.not_ready().await;
        tokio::join!(on_servers(Servers::resume_frail_rabbit), scene.accept(50));
        scene.ready().await;
    }
    scene.end().await;
}

/// Killed moments after its queues were made, RabbitMQ 3.10 knows their names afterwards and nothing else: a
/// consumer of such a queue never gets an answer.
async fn killed_with_new_queues() {
    let scene = Scene::new(slow()).await;
    scene.accept(100).await;
    scene.called(30).await;
    on_servers(|servers| servers.stop_frail_rabbit(End::Kill)).await;
    scene.not_ready().await;
    tokio::join!(on_servers(Servers::resume_frail_rabbit), scene.accept(50));
    scene.end().await;
}

/// The memory alarm blocks whoever publishes: intake goes on, rows wait in the outbox.
async fn out_of_memory_under_load() {
    let scene = Scene::new(slow()).await;
    scene.accept(100).await;
    scene.called(20).await;
    ctl(&["set_vm_memory_high_watermark", "0.000001"]).await;
    scene.accept(100).await;
    scene.not_ready().await;
    assert!(scene.rabbit.health().detail.contains("alarm"), "{}", scene.rabbit.health().detail);
    scene.accept(50).await;
    assert!(scene.world.store.outbox_count(&[]).await.unwrap() >= 50);
    ctl(&["set_vm_memory_high_watermark", "0.4"]).await;
    scene.end().await;
}

/// A work queue takes its messages and its consumer with it; without a delay queue a retry has nowhere to go.
async fn queues_deleted_one_by_one() {
    let far = Far::new(|seen| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let late = seen.key.ends_with('3') && seen.attempt == 1;
        Report::new(if late { Class::Throttled(Some(Duration::from_millis(1_300))) } else { Class::Done })
    });
    let scene = Scene::new(far).await;
    scene.ready().await;
    for queue in ["delay.1s", "work.erp.0", "work.erp.1"] {
        let called = scene.far.calls().len();
        scene.accept(60).await;
        scene.called(called + 5).await;
        ctl(&["delete_queue", &scene.queue(queue)]).await;
        scene.accept(20).await;
    }
    let count = scene.accepted.load(Ordering::SeqCst);
    scene.world.posted(usize::try_from(count).unwrap()).await;
    let calls = scene.far.calls();
    let twice: Vec<_> = calls.iter().filter(|seen| seen.attempt > 1 && !seen.key.ends_with('3')).collect();
    assert!(twice.is_empty(), "called again: {twice:?}");
    let again = calls.iter().filter(|seen| seen.attempt == 2).count();
    assert_eq!(calls.len(), usize::try_from(count).unwrap() + again);
    assert!(again > 0, "nothing was delayed");
    drop(scene.rabbit.delete_queues().await);
    scene.world.end(scene.running).await;
}

async fn purged_queues_are_filled_again() {
    let (far, gate) = Far::behind_a_gate();
    let scene = Scene::new(far).await;
    scene.ready().await;
    scene.accept(60).await;
    until("all are with the broker", async || scene.world.store.outbox(1).await.unwrap().is_empty()).await;
    scene.called(8).await;
    for queue in ["work.erp.0", "work.erp.1"] {
        ctl(&["purge_queue", &scene.queue(queue)]).await;
    }
    gate.add_permits(1_000);
    let counting = scene.counting.clone();
    scene.end().await;
    assert!(counting.swept.load(Ordering::SeqCst) > 0);
}

async fn connections_closed_by_the_broker() {
    let scene = Scene::new(slow()).await;
    for _ in 0..3 {
        let called = scene.far.calls().len();
        scene.accept(80).await;
        scene.called(called + 10).await;
        tokio::join!(ctl(&["close_all_connections", "fault injection"]), scene.accept(30));
    }
    scene.end().await;
}

async fn cut_in_the_middle_of_a_publish() {
    let (scene, proxy) = Scene::behind_a_proxy(slow()).await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..8 {
        scene.ready().await;
        proxy.cut_after(random.u32(100..6_000));
        scene.accept(40).await;
        until("the connection is cut", async || proxy.has_cut()).await;
    }
    assert!(proxy.connections() >= 8, "{} connections", proxy.connections());
    scene.end().await;
}

/// Nothing comes and nothing ends: only a missing confirm tells.
async fn a_network_that_hangs() {
    let (scene, proxy) = Scene::behind_a_proxy(slow()).await;
    scene.accept(60).await;
    scene.called(10).await;
    proxy.set(Mode::Stall);
    scene.accept(60).await;
    scene.not_ready().await;
    proxy.set(Mode::Pass);
    scene.accept(30).await;
    scene.end().await;
}

/// A stop in good order needs nothing from a broker that says nothing: calls end and are stored, messages that
/// nobody settled come again.
async fn stopped_while_the_network_hangs() {
    let (mut scene, proxy) = Scene::behind_a_proxy(slow()).await;
    scene.accept(60).await;
    scene.called(10).await;
    proxy.set(Mode::Stall);
    scene.accept(20).await;
    let begun = Instant::now();
    assert!(scene.running.engine.stop(STOP).await.clean);
    let took = begun.elapsed();
    println!("stopped after {took:?}");
    assert!(took < STOP, "{took:?}");
    let calling = Filter { states: vec![State::Calling], ..Filter::default() };
    assert_eq!(scene.world.store.deliveries(calling).await.unwrap(), []);
    proxy.set(Mode::Pass);
    scene.rabbit = Arc::new(scene.beside().await);
    scene.running = run(&scene.world, &scene.far, scene.rabbit.clone(), &scene.counting, OFTEN).await;
    scene.end().await;
}

async fn a_network_that_drips() {
    let (scene, proxy) = Scene::behind_a_proxy(slow()).await;
    scene.accept(10).await;
    scene.called(1).await;
    proxy.set(Mode::Drip);
    scene.accept(20).await;
    scene.called(20).await;
    proxy.set(Mode::Pass);
    scene.end().await;
}
