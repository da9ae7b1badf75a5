//! More than one of everything: processes that come and go while they share the work, a RabbitMQ of three nodes
//! that loses one after the other, and a few bad documents and a dead connection among healthy traffic.

use super::brokers::on_servers;
use super::crashing::undisturbed_leaves;
use super::digest;
use super::documents::Batch;
use super::process::{Household, Life, sender};
use crate::Case;
use crate::proxy::Proxy;
use crate::servers::Servers;
use crate::world::{BrokerKind, Combination, Counting, Database, Far, World, intake_to, target, until};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::Semaphore;
use tongbao_delivery::port::{AttemptView, DeliveryView, Filter, State, Store};
use tongbao_delivery::{Report, TargetSettings};
use tongbao_model::Class;
use tongbao_sandbox::{CrmWrite, Fault, Rule, System};
use tongbao_store::StoreOptions;

/// Contracts of the cases with processes; as many as the crash cases', so that the undisturbed run is shared.
pub const MANY: usize = 60;

/// The cases.
pub fn cases() -> Vec<(String, Case)> {
    let case = |name: &str, case: Case| (format!("scale::{name}"), case);
    vec![
        case("processes_come_and_go", Box::new(|| Box::pin(processes_come_and_go()))),
        case("a_cluster_loses_nodes", Box::new(|| Box::pin(a_cluster_loses_nodes()))),
        case("poison_costs_the_healthy_little", Box::new(|| Box::pin(poison_costs_the_healthy_little()))),
    ]
}

/// Orders take a while, so that there is work under way whenever something happens.
pub fn slow_erp(household: &Household) {
    let slow = Fault::Slow { ms: 250, after_commit: false };
    household.sandbox.fault(Rule::new(slow).on(System::Kingdee, "Save"));
}

/// Deliveries that are not at rest.
pub async fn moving(store: &dyn Store) -> u64 {
    let moving = [State::Pending, State::Calling, State::Waiting];
    let counts = store.counts().await.unwrap();
    counts.iter().filter(|one| moving.contains(&one.state)).map(|one| one.count).sum()
}

async fn posted(store: &dyn Store, target: &str) -> u64 {
    let counts = store.counts().await.unwrap();
    let of = counts.iter().filter(|one| one.state == State::Posted && one.target == target);
    of.map(|one| one.count).sum()
}

/// A process of several.
pub struct Member {
    pub life: Life,
    pub listen: String,
}

impl Member {
    pub fn start(household: &Household) -> Member {
        let (life, listen) = household.start_beside();
        Member { life, listen }
    }

    /// Waits until its database and its broker answer.
    pub async fn ready(&mut self, household: &Household) {
        let url = format!("http://{}/readyz", self.listen);
        until("a process is ready", async || {
            self.life.assert_alive();
            household.client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }
}

/// Each of the processes accepts so many documents.
async fn spread(batch: &mut Batch, household: &Household, members: &[Member], each: usize) {
    for member in members {
        batch.send(&sender(&member.listen), &household.sandbox, each).await;
    }
}

/// Process of a worker's name.
pub fn process(worker: &str) -> u32 {
    worker.split('-').next().unwrap().parse().unwrap()
}

/// The process with the most calls under way, taken out of the list; waits until one has some and much is left
/// to do.
async fn take_busiest(store: &dyn Store, members: &mut Vec<Member>) -> Member {
    let mut busiest = 0;
    until("one of the processes is at work", async || {
        if moving(store).await < 5 {
            return false;
        }
        let filter = Filter { states: vec![State::Calling], ..Filter::default() };
        let mut calls: BTreeMap<u32, u32> = BTreeMap::new();
        for calling in store.deliveries(filter).await.unwrap() {
            let (_, attempts, _) = store.delivery(&calling.id).await.unwrap().unwrap();
            let open = attempts.last().filter(|last| last.ended_at_ms.is_none());
            if let Some(open) = open {
                *calls.entry(process(&open.worker)).or_default() += 1;
            }
        }
        // What a dead one has left open does not count.
        let of = |member: &Member| calls.get(&member.life.id()).copied().unwrap_or(0);
        busiest = (0..members.len()).max_by_key(|index| of(&members[*index])).unwrap();
        of(&members[busiest]) > 0
    })
    .await;
    members.remove(busiest)
}

/// Deliveries with their attempts, in the order in which they were accepted.
pub async fn history(store: &dyn Store) -> Vec<(DeliveryView, Vec<AttemptView>)> {
    let mut all = Vec::new();
    for delivery in store.deliveries(Filter { limit: 10_000, ..Filter::default() }).await.unwrap() {
        let (_, attempts, _) = store.delivery(&delivery.id).await.unwrap().unwrap();
        all.push((delivery, attempts));
    }
    all
}

/// Asserts that the CRM got what was written to it about each contract in the order in which it was accepted; by
/// its own record, for the times of attempts are taken before the lane is waited for. Answers how many writes had
/// one before them.
pub fn assert_in_order(history: &[(DeliveryView, Vec<AttemptView>)], writes: &[CrmWrite]) -> usize {
    let mut lanes: HashMap<&str, usize> = HashMap::new();
    let mut followers = 0;
    for (delivery, attempts) in history.iter().filter(|(delivery, _)| delivery.target == "crm") {
        let request = attempts.last().and_then(|attempt| attempt.request.as_deref()).unwrap();
        let request: Value = serde_json::from_str(request).unwrap();
        // What went into the path is in the request and not in the body.
        let is_ours = |write: &CrmWrite| {
            let body = write.body.as_object().unwrap();
            (write.id == delivery.key || write.id.ends_with(&delivery.order_key))
                && body.iter().all(|(name, value)| request.get(name) == Some(value))
        };
        let mut places = (0..writes.len()).filter(|place| is_ours(&writes[*place]));
        let first = places.next().unwrap_or_else(|| panic!("never written: {delivery:?} {request}"));
        let last = places.next_back().unwrap_or(first);
        if let Some(before) = lanes.insert(&delivery.order_key, last) {
            followers += 1;
            assert!(before < first, "written before what was accepted before it: {delivery:?}");
        }
    }
    followers
}

/// One process joins, one is stopped, one is killed, one more joins, with work under way all the time. Those that
/// go are the ones that are working.
async fn processes_come_and_go() {
    let (url, rabbit) =
        on_servers(|servers| (servers.postgres_url("scale_processes"), servers.rabbit_url())).await;
    let rabbit = Some((rabbit, "scale-processes.".to_owned()));
    let mut household = Household::over("several processes", Some(url), rabbit).await;
    let store = tongbao_store::open(&household.store_url(), StoreOptions::default()).await.unwrap();
    slow_erp(&household);
    let mut members: Vec<Member> = (0..3).map(|_| Member::start(&household)).collect();
    for member in &mut members {
        member.ready(&household).await;
    }
    let mut batch = Batch::new("S1", MANY);
    spread(&mut batch, &household, &members, 10).await;

    let mut fourth = Member::start(&household);
    fourth.ready(&household).await;
    members.push(fourth);
    spread(&mut batch, &household, &members, 5).await;
    let stopping = take_busiest(store.as_ref(), &mut members).await.life;
    let stopped = stopping.id();
    let stop = tokio::task::spawn_blocking(|| stopping.stop());
    spread(&mut batch, &household, &members, 2).await;
    stop.await.unwrap();

    // All contracts and most of the amendments.
    spread(&mut batch, &household, &members, 4).await;
    let killing = take_busiest(store.as_ref(), &mut members).await.life;
    let killed = killing.id();
    killing.kill();
    assert!(!batch.is_sent(), "nothing is left to be sent to those that are left");
    let mut another = Member::start(&household);
    another.ready(&household).await;
    household.face(&another.listen);
    let deliveries = household.settle(&mut another.life, &mut batch).await;
    members.push(another);

    let found = digest::of(&household.sandbox, &deliveries, &batch.prefix);
    println!("digest {} {}", found.short, household.name);
    digest::assert_same(&undisturbed_leaves(MANY).await, &found, &household.name);
    let history = history(store.as_ref()).await;
    let followers = assert_in_order(&history, &household.sandbox.crm_writes());
    assert!(followers > MANY, "hardly any delivery had one before it");
    let mut attempts: BTreeMap<u32, u32> = BTreeMap::new();
    for attempt in history.iter().flat_map(|(_, attempts)| attempts) {
        *attempts.entry(process(&attempt.worker)).or_default() += 1;
    }
    println!("attempts by process: {attempts:?}; stopped {stopped}, killed {killed}");
    let stayed = members.iter().any(|member| attempts.contains_key(&member.life.id()));
    assert!(attempts.contains_key(&stopped) && attempts.contains_key(&killed) && stayed, "{attempts:?}");
    store.close().await;
    for mut member in members {
        member.life.assert_alive();
        tokio::task::spawn_blocking(|| member.life.stop()).await.unwrap();
    }
}

/// Each time the node goes that the service is connected to. Nothing is published again by the sweeper, so a
/// message that a queue lost would leave its delivery behind for good.
async fn a_cluster_loses_nodes() {
    const PREFIX: &str = "scale-cluster.";
    let ports = on_servers(Servers::cluster_ports).await;
    // They show where the service connects to.
    let proxies = [Proxy::start(ports[0]).await, Proxy::start(ports[1]).await, Proxy::start(ports[2]).await];
    let url = |node: usize| format!("amqp://guest:guest@127.0.0.1:{}/%2f", proxies[node].port());
    let mut household = Household::over("cluster", None, Some((url(0), PREFIX.to_owned()))).await;
    for node in [1, 2] {
        std::fs::write(household.folder.path().join(format!("node-{node}")), url(node)).unwrap();
    }
    let first = "  url: { env: TONGBAO_AMQP_URL }\n";
    let all = format!("{first}  more_urls: [{{ file: node-1 }}, {{ file: node-2 }}]\n");
    household.rewrite(&[(first, &all), ("stalled_ms: 5000", "stalled_ms: 3600000")]);
    let store = tongbao_store::open(&household.store_url(), StoreOptions::default()).await.unwrap();
    slow_erp(&household);
    let mut life = household.start(None);
    life.ready(&household).await;
    let ready = async || {
        let answer = household.client.get(format!("{}/readyz", household.url)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    };
    until("the queues are declared", &ready).await;
    let members = on_servers(|servers| servers.cluster_queue_members(2)).await;
    let ours: Vec<_> = members.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    assert!(ours.len() > 3 && ours.iter().all(|(_, members)| *members == 3), "{ours:?}");

    let mut batch = Batch::new("S2", MANY);
    for node in [0, 1] {
        assert!(proxies[node].connections() > 0, "not connected to node {node}");
        assert_eq!(proxies[node + 1].connections(), 0, "connected to node {} already", node + 1);
        batch.send(&household.sender, &household.sandbox, MANY / 4).await;
        until("work is under way", async || moving(store.as_ref()).await > 10).await;
        let killing = on_servers(move |servers| servers.kill_cluster_node(node));
        tokio::join!(killing, batch.send(&household.sender, &household.sandbox, MANY / 6));
        life.assert_alive();
        until("the next node is used", async || proxies[node + 1].connections() > 0).await;
        until("the service is ready again", &ready).await;
        // Two nodes are enough to go on with.
        let before = posted(store.as_ref(), "erp").await;
        batch.send(&household.sender, &household.sandbox, 5).await;
        until("work goes on", async || posted(store.as_ref(), "erp").await > before).await;
        if node == 0 {
            on_servers(|servers| servers.resume_cluster_node(0)).await;
            until("the node is in sync", async || on_servers(|servers| servers.cluster_can_spare(1)).await)
                .await;
        }
    }
    let deliveries = household.settle(&mut life, &mut batch).await;
    let found = digest::of(&household.sandbox, &deliveries, &batch.prefix);
    println!("digest {} {}", found.short, household.name);
    digest::assert_same(&undisturbed_leaves(MANY).await, &found, &household.name);
    store.close().await;
    let begun = Instant::now();
    life.stop();
    println!("stopped after {:?}", begun.elapsed());
}

/// Documents of the healthy connection, and how many of them there are to a bad one.
const HEALTHY: usize = 600;
const ONE_IN: usize = 100;
/// Documents of the connection that is down.
const DOWN: usize = 100;

/// How a document is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Poison {
    /// The far side refuses it.
    Refused,
    /// The answer is garbage each time.
    Garbage,
    /// There is no answer.
    Hangs,
}

/// By the number of its key.
fn poison(key: &str) -> Option<Poison> {
    let number: usize = key.strip_prefix("TAX-")?.parse().unwrap();
    if number % ONE_IN != 17 {
        return None;
    }
    Some([Poison::Refused, Poison::Garbage, Poison::Hangs][number / ONE_IN % 3])
}

/// The bad ones hang and fail, and the other connection is down, until every healthy document is through: if one
/// of these waited for any of those, this would not end.
async fn poison_costs_the_healthy_little() {
    const IN_FLIGHT: u16 = 8;
    const COOL_DOWN_MS: u32 = 3_000;
    let ill = Arc::new(AtomicBool::new(true));
    let gate = Arc::new(Semaphore::new(0));
    let (far_ill, far_gate) = (ill.clone(), gate.clone());
    let far = Far::new(move |seen| {
        let (ill, gate) = (far_ill.load(Ordering::SeqCst), far_gate.clone());
        async move {
            Report::new(match poison(&seen.key) {
                None if ill && seen.key.starts_with("ERP-") => Class::Unavailable,
                Some(Poison::Refused) => Class::Rejected,
                Some(Poison::Garbage) if ill => Class::Unknown,
                Some(Poison::Hangs) => {
                    drop(gate.acquire().await.unwrap());
                    Class::Done
                }
                None | Some(Poison::Garbage) => Class::Done,
            })
        }
    });
    let world = World::new(Combination { database: Database::Sqlite, broker: BrokerKind::Rabbit }).await;
    let counting = Arc::new(Counting::default());
    let observer = counting.clone();
    let settings = |name: &str| TargetSettings {
        in_flight: IN_FLIGHT,
        circuit_cool_down_ms: COOL_DOWN_MS,
        ..target(name)
    };
    let circuit_after = settings("erp").circuit_after;
    let targets = vec![settings("tax"), settings("erp")];
    let running = world.start_with(&far, targets, |parts| parts.observer = observer).await;
    let begun = Instant::now();
    for first in (0..HEALTHY).step_by(HEALTHY / DOWN) {
        // By turns, so that neither has a start.
        let mut intakes = vec![intake_to("erp", &format!("ERP-{first}"), 1)];
        intakes.extend((first..first + HEALTHY / DOWN).map(|n| intake_to("tax", &format!("TAX-{n}"), 1)));
        running.accept(intakes).await;
    }
    let bad = HEALTHY / ONE_IN;
    let healthy = u64::try_from(HEALTHY - bad).unwrap();
    until("all healthy ones are posted", async || posted(world.store.as_ref(), "tax").await == healthy).await;
    let garbage_again = async || {
        let calls = far.calls();
        let garbage = calls.iter().filter(|seen| poison(&seen.key) == Some(Poison::Garbage));
        garbage.filter(|seen| seen.attempt > 2).count() >= bad / 3
    };
    until("garbage was met again and again", garbage_again).await;

    assert_eq!(posted(world.store.as_ref(), "tax").await, healthy);
    assert_eq!(posted(world.store.as_ref(), "erp").await, 0);
    assert!(counting.opened.load(Ordering::SeqCst) > 0, "the circuit never opened");
    assert!(running.engine.circuits()["erp"] && !running.engine.circuits()["tax"]);
    let calls = far.calls();
    // Those that opened the circuit, those under way at that time, and one more each time it cooled down.
    let probes = begun.elapsed().as_millis() / u128::from(COOL_DOWN_MS) + 1;
    let down = calls.iter().filter(|seen| seen.key.starts_with("ERP-")).count();
    let bound = u128::from(circuit_after) + u128::from(IN_FLIGHT) + probes;
    assert!(
        down > 0 && u128::try_from(down).unwrap() <= bound,
        "{down} calls of what is down, {bound} at most"
    );
    for (kind, expected) in [(Poison::Refused, bad / 3), (Poison::Hangs, bad / 3)] {
        let met = calls.iter().filter(|seen| poison(&seen.key) == Some(kind)).count();
        assert_eq!(met, expected, "{kind:?}");
    }
    let healthy_calls =
        calls.iter().filter(|seen| seen.key.starts_with("TAX-") && poison(&seen.key).is_none());
    assert_eq!(healthy_calls.count(), HEALTHY - bad, "a healthy one was called twice");

    ill.store(false, Ordering::SeqCst);
    gate.add_permits(bad);
    let all = world.settled(HEALTHY + DOWN, &[State::Posted, State::Parked]).await;
    let parked: Vec<_> = all.iter().filter(|one| one.state == State::Parked).collect();
    assert_eq!(parked.len(), bad / 3);
    assert!(parked.iter().all(|one| poison(&one.order_key) == Some(Poison::Refused)), "{parked:?}");
    world.end(running).await;
}
