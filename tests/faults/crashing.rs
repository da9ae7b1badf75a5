//! The process dies at every place between two persistence steps, and at moments drawn by lot; started again,
//! it ends with exactly what an undisturbed run leaves.

use super::digest::{self, Digest};
use super::documents::Batch;
use super::process::{Household, PATIENCE, binary};
use crate::Case;
use crate::world::{BrokerKind, Combination, Database};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::failpoints;
use tongbao_delivery::port::{Store, Subject};
use tongbao_sandbox::{Fault, Rule, System};
use tongbao_store::StoreOptions;

/// Contracts of a cell of the matrix.
const FEW: usize = 12;
/// Contracts that flow while the process is killed again and again.
const MANY: usize = 60;
/// How often it is.
const KILLS: usize = 5;
/// Contracts sent in each life of those.
const PER_LIFE: usize = 14;
/// Draws the moments; a failing run names it.
const SEED: u64 = 20_261_121;

const COMBINATIONS: [Combination; 6] = {
    use {BrokerKind::*, Database::*};
    [
        Combination { database: Sqlite, broker: Embedded },
        Combination { database: Postgres, broker: Rabbit },
        Combination { database: MariaDb, broker: Embedded },
        Combination { database: Sqlite, broker: Rabbit },
        Combination { database: Postgres, broker: Embedded },
        Combination { database: MariaDb, broker: Rabbit },
    ]
};

/// A household with what an undisturbed run leaves in it.
struct Undisturbed {
    household: Household,
    few: Digest,
    rounds: usize,
}

/// One household per combination, for all its cells one after the other: numbers never repeat, so that a cell
/// begins as if the database were empty, and a database is made once.
static HOUSEHOLDS: [Mutex<Option<Undisturbed>>; 6] = [const { Mutex::const_new(None) }; 6];

/// Of the first combination that is through: all must be equal.
static FEW_EVERYWHERE: OnceLock<Digest> = OnceLock::new();

/// The cells, in an order in which neighbours belong to different combinations.
pub fn cases() -> Vec<(String, Case)> {
    let mut cases: Vec<(String, Case)> = Vec::new();
    let unknown = "crash::an_unknown_failpoint_is_told".to_owned();
    cases.push((unknown, Box::new(|| Box::pin(async { an_unknown_failpoint_is_told() }))));
    for failpoint in failpoints::NAMES {
        for (index, combination) in COMBINATIONS.into_iter().enumerate() {
            if failpoint == "requeued-before-ack" && combination.broker != BrokerKind::Rabbit {
                continue;
            }
            let name = format!("crash::{}::{failpoint}", combination.name());
            cases.push((name, Box::new(move || Box::pin(dies_at(index, failpoint)))));
        }
    }
    for (index, combination) in COMBINATIONS.into_iter().enumerate() {
        let name = format!("crash::{}::killed_at_random", combination.name());
        cases.push((name, Box::new(move || Box::pin(killed_at_random(index)))));
    }
    cases
}

fn an_unknown_failpoint_is_told() {
    let mut serve = Command::new(binary());
    let output = serve.arg("serve").env("TONGBAO_FAILPOINT", "after-lunch=2").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(failpoints::NAMES.iter().all(|name| told.contains(name)), "{told}");
}

/// The failpoints of successive lives. Late enough that work of every kind is under way.
fn lives(failpoint: &str) -> Vec<String> {
    let nth = match failpoint {
        "cursor-before-commit" | "requeued-before-ack" => 1,
        "after-publish-before-mark" | "marked-before-commit" => 4,
        "accepted-before-commit" => 6,
        "published-before-confirm" => 7,
        "after-accept-commit" => 9,
        "begun-before-commit" => 11,
        "after-begin" => 17,
        "after-call-before-finish" => 23,
        "finished-before-commit" => 29,
        "after-finish-before-ack" => 37,
        // A sweep finds something only where messages were lost: those of what was accepted in a pause.
        "swept-before-commit" => return vec!["after-accept-commit=9".to_owned(), failpoint.to_owned()],
        other => panic!("{other}: when?"),
    };
    vec![format!("{failpoint}={nth}")]
}

async fn dies_at(index: usize, failpoint: &str) {
    let mut slot = HOUSEHOLDS[index].lock().await;
    let mut all = undisturbed(index, slot.take()).await;
    let household = &mut all.household;
    let name = household.name.clone();
    all.rounds += 1;
    let mut batch = Batch::new(&format!("K{:02}", all.rounds), FEW);
    if failpoint == "requeued-before-ack" {
        // A delay that takes two steps of the ladder.
        let key = format!("{}001", batch.prefix);
        let crowded = Fault::Throttled { retry_after: Some(4) };
        household.sandbox.fault(Rule::new(crowded).on(System::Crm, "PATCH contracts").key(&key).times(1));
    }
    let lives = lives(failpoint);
    if lives.len() > 1 {
        let store = opened(household).await;
        assert!(
            store.hold(Subject::Connection("erp".into()), "test", "", SystemClock.now_ms()).await.unwrap()
        );
        store.close().await;
    }
    for (life, failpoint) in lives.iter().enumerate() {
        let restless = life > 0;
        if restless {
            lose_what_is_in_the_outbox(household).await;
            household.rewrite(&[("sweep_ms: 500, stalled_ms: 5000", "sweep_ms: 20, stalled_ms: 1")]);
        }
        let mut life = household.start(Some(failpoint));
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = life.ended() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "{failpoint} was never passed\n{}", life.said());
            batch.send(&household.sender, &household.sandbox, usize::MAX).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        life.assert_aborted(status);
        if restless {
            household.rewrite(&[("sweep_ms: 20, stalled_ms: 1", "sweep_ms: 500, stalled_ms: 5000")]);
        }
    }
    let mut life = household.start(None);
    let deliveries = household.settle(&mut life, &mut batch).await;
    let found = digest::of(&household.sandbox, &deliveries, &batch.prefix);
    life.kill();
    println!("digest {} {name} {failpoint}", found.short);
    digest::assert_same(&all.few, &found, &format!("{name} after {failpoint}"));
    household.sandbox.clear_faults();
    *slot = Some(all);
}

async fn opened(household: &Household) -> Arc<dyn Store> {
    tongbao_store::open(&household.store_url(), StoreOptions::default()).await.unwrap()
}

/// Ends the pause, and leaves everything as if a broker had confirmed it and then lost it.
async fn lose_what_is_in_the_outbox(household: &Household) {
    let store = opened(household).await;
    let now_ms = SystemClock.now_ms();
    assert!(store.release(Subject::Connection("erp".into()), "test", now_ms).await.unwrap());
    let rows = store.outbox(1_000).await.unwrap();
    assert!(rows.iter().any(|row| row.target == "erp"), "nothing goes to a paused connection");
    let mut left: Vec<i64> = rows.into_iter().map(|row| row.id).collect();
    // The dead process may have its locks for a moment longer.
    let begun = Instant::now();
    while !left.is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        left = store.outbox_done(left, now_ms).await.unwrap();
    }
    store.close().await;
}

async fn undisturbed(index: usize, ready: Option<Undisturbed>) -> Undisturbed {
    if let Some(ready) = ready {
        return ready;
    }
    let mut household = Household::new(COMBINATIONS[index]).await;
    let few = run_through(&mut household, &mut Batch::new("K00", FEW)).await;
    let what = format!("{} undisturbed", household.name.clone());
    digest::assert_same(FEW_EVERYWHERE.get_or_init(|| few.clone()), &few, &what);
    Undisturbed { household, few, rounds: 0 }
}

/// What an undisturbed run of so many contracts leaves. On the simplest combination: the short batch has
/// shown that all are equal.
pub async fn undisturbed_leaves(count: usize) -> Digest {
    static KNOWN: Mutex<BTreeMap<usize, Digest>> = Mutex::const_new(BTreeMap::new());
    let mut known = KNOWN.lock().await;
    if let Some(digest) = known.get(&count) {
        return digest.clone();
    }
    let mut household = Household::over("simplest", None, None).await;
    let digest = run_through(&mut household, &mut Batch::new("M0", count)).await;
    known.insert(count, digest.clone());
    digest
}

/// A run that nothing disturbs.
async fn run_through(household: &mut Household, batch: &mut Batch) -> Digest {
    let mut life = household.start(None);
    let deliveries = household.settle(&mut life, batch).await;
    life.stop();
    let found = digest::of(&household.sandbox, &deliveries, &batch.prefix);
    let name = household.name.clone();
    println!("digest {} {name} undisturbed, {} deliveries", found.short, deliveries.len());
    assert_eq!(deliveries.len(), batch.deliveries, "{}", found.facts);
    found
}

async fn killed_at_random(index: usize) {
    let mut slot = HOUSEHOLDS[index].lock().await;
    let mut all = undisturbed(index, slot.take()).await;
    let household = &mut all.household;
    let name = household.name.clone();
    let many = undisturbed_leaves(MANY).await;
    let mut random = fastrand::Rng::with_seed(SEED + u64::try_from(index).unwrap());
    let mut batch = Batch::new("M1", MANY);
    let mut moments = Vec::new();
    for _ in 0..KILLS {
        let moment = Duration::from_millis(random.u64(50..1_500));
        moments.push(moment.as_millis());
        let mut life = household.start(None);
        life.ready(household).await;
        let until = tokio::time::Instant::now() + moment;
        // Cut off in the middle of a request as well as between two.
        let sending = async {
            batch.send(&household.sender, &household.sandbox, PER_LIFE).await;
            std::future::pending::<()>().await;
        };
        drop(tokio::time::timeout_at(until, sending).await);
        life.assert_alive();
        life.kill();
    }
    let mut life = household.start(None);
    let deliveries = household.settle(&mut life, &mut batch).await;
    let found = digest::of(&household.sandbox, &deliveries, &batch.prefix);
    life.kill();
    println!("digest {} {name} killed after {moments:?} ms, seed {SEED}", found.short);
    digest::assert_same(&many, &found, &format!("{name} killed after {moments:?} ms, seed {SEED}"));
    *slot = Some(all);
}
