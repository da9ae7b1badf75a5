//! Processes that share the queues.

use super::storing::{begun, emptied, finish};
use super::world::{AnyBroker, Combination, Far, Running, World, intake, intake_to, open, target, until};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tongbao_delivery::port::{Presence, Store, StoreError};
use tongbao_delivery::sharing::owners;
use tongbao_delivery::{RelaySettings, Stalled, TargetSettings};
use tongbao_model::Class;

/// Notes come, change, leave, and are forgotten; several processes write them at once.
pub async fn processes_are_noted_until_they_leave(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    assert_eq!(store.present().await.unwrap(), []);
    let note = |process: &str, seen_ms| Presence { process: process.into(), seen_ms };
    let noted = futures::future::join_all((0..8).map(|number| {
        let store = store.clone();
        async move { store.attend(&format!("p{number}"), 1_000 + number, 0).await.unwrap() }
    }));
    noted.await;
    let all: Vec<Presence> = (0..8).map(|number| note(&format!("p{number}"), 1_000 + number)).collect();
    assert_eq!(store.present().await.unwrap(), all);
    // Again, by a clock that was set back; what is older than asked for is gone.
    store.attend("p7", 900, 0).await.unwrap();
    store.attend("p6", 2_000, 1_005).await.unwrap();
    assert_eq!(store.present().await.unwrap(), [note("p5", 1_005), note("p6", 2_000)]);
    store.depart("p5").await.unwrap();
    store.depart("nobody").await.unwrap();
    assert_eq!(store.present().await.unwrap(), [note("p6", 2_000)]);
    store.close().await;
}

/// With lines that tell how far they have come, each partition has its own time, and the other connections keep
/// theirs; a call whose worker is gone waits in no line.
pub async fn what_waits_in_line_has_not_stalled(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let keys: Vec<String> = (0..2_400).map(|number| format!("K{number:04}")).collect();
    let in_first = |key: &str| tongbao_delivery::broker::partition(key, 2) == 0;
    store.accept(keys.iter().map(|key| intake(key, 1)).collect(), None, 1_000).await.unwrap();
    store.accept(vec![intake_to("crm", "C", 1), intake_to("tax", "T", 1)], None, 1_000).await.unwrap();
    emptied(store, 2_000).await;
    let swept = async |stalled: Stalled| {
        let count = store.sweep(&stalled, 90_000).await.unwrap();
        let mut keys: Vec<String> =
            store.outbox(10_000).await.unwrap().into_iter().map(|row| row.order_key).collect();
        assert_eq!(u64::try_from(keys.len()).unwrap(), count);
        emptied(store, 2_000).await;
        keys.sort();
        keys
    };
    let lines = |first_ms, second_ms| {
        let stalled = Stalled::before(50_000).with_line("erp", vec![first_ms, second_ms]);
        stalled.with_line("tax", vec![i64::MIN])
    };
    assert_eq!(swept(lines(i64::MIN, i64::MIN)).await, ["C"]);
    assert_eq!(swept(lines(2_000, 2_000)).await, ["C"], "the line has not passed them");
    // The other partition's, which stand in between, are read and left.
    let first = ["C".to_owned()].into_iter().chain(keys.iter().filter(|key| in_first(key)).cloned());
    assert_eq!(swept(lines(2_001, 2_000)).await, first.collect::<Vec<_>>());
    let key = keys.iter().find(|key| in_first(key)).unwrap();
    let all = store.deliveries(Default::default()).await.unwrap();
    let delivery = all.iter().find(|one| one.order_key == *key).unwrap();
    // Its next attempt is due at 3,000: the line has to have come that far as well.
    let work = begun(store, &delivery.id, 9_000, 2_500).await;
    let retry =
        finish(&work, 2_600, tongbao_delivery::port::Next::Retry { at_ms: 3_000 }, Class::Unavailable);
    store.finish(retry).await.unwrap();
    emptied(store, 2_000).await;
    assert!(!swept(lines(2_900, i64::MIN)).await.contains(key));
    assert!(swept(lines(3_001, i64::MIN)).await.contains(key));
    begun(store, &delivery.id, 9_000, 3_500).await;
    // Its lease runs out at 9,000, and its message was handed out again when its worker died: it has stalled when the
    // line has come past that, 6,000 before which lie the times.
    let come_to = |ms: i64| lines(ms - 6_000, i64::MIN).with_patience(6_000);
    assert_eq!(swept(lines(i64::MIN, i64::MIN)).await, ["C"]);
    assert!(!swept(come_to(9_000)).await.contains(key));
    assert!(swept(come_to(9_001)).await.contains(key));
    store.close().await;
}

/// A name that no database could keep.
pub async fn a_process_has_a_name_that_fits(combination: Combination) {
    let world = World::new(combination).await;
    let other = open(&world.url).await;
    let too_long = world.store.attend(&"x".repeat(191), 1, 0).await;
    assert!(matches!(too_long, Err(StoreError::Invalid(_))), "{too_long:?}");
    world.store.attend("甲-1", 1, 0).await.unwrap();
    assert_eq!(other.present().await.unwrap(), [Presence { process: "甲-1".into(), seen_ms: 1 }]);
    other.close().await;
    world.store.close().await;
}

const PARTITIONS: u16 = 6;

async fn start(world: &World, far: &std::sync::Arc<Far>, name: &str) -> Running {
    let settings = TargetSettings { partitions: PARTITIONS, in_flight: 3, ..target("erp") };
    world
        .start_with(far, vec![settings], |parts| {
            parts.worker_name = name.to_owned();
            parts.relay = RelaySettings { follow_ms: 50, ..parts.relay.clone() };
        })
        .await
}

/// How many of the attempts made since then each process has made.
async fn attempts(store: &dyn Store, after: usize) -> (usize, BTreeMap<String, usize>) {
    let filter = tongbao_delivery::port::Filter { limit: 10_000, ..Default::default() };
    let all = store.deliveries(filter).await.unwrap();
    let mut by: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in all.iter().skip(after) {
        let (_, attempts, _) = store.delivery(&delivery.id).await.unwrap().unwrap();
        for attempt in attempts {
            *by.entry(attempt.worker).or_default() += 1;
        }
    }
    (all.len(), by)
}

/// Accepts until each of these processes has made attempts, however long there was only one.
async fn all_get_work(world: &World, by: &Running, names: &[&str]) {
    let wanted: BTreeSet<&str> = names.iter().copied().collect();
    let mut round = 0;
    let (before, _) = attempts(world.store.as_ref(), 0).await;
    until("everybody is given work", async || {
        round += 1;
        let count = attempts(world.store.as_ref(), before).await.0;
        by.accept((0..24).map(|number| intake(&format!("{}-{round}-{number}", count), 1)).collect()).await;
        world.posted(count + 24).await;
        let (_, made) = attempts(world.store.as_ref(), before).await;
        wanted.iter().all(|name| made.contains_key(*name))
    })
    .await;
}

/// How many of a hundred deliveries were worked on by another process than the owner of their partition.
async fn strangers(world: &World, by: &Running, round: u32) -> usize {
    let (before, _) = attempts(world.store.as_ref(), 0).await;
    by.accept((0..100).map(|number| intake(&format!("round-{round}-{number}"), 1)).collect()).await;
    let all = world.posted(before + 100).await;
    let names = ["one", "two", "three"].map(str::to_owned).into();
    let owners = owners("erp", PARTITIONS, &names);
    let mut strangers = 0;
    for delivery in &all[before..] {
        let (_, attempts, _) = world.store.delivery(&delivery.id).await.unwrap().unwrap();
        let partition = tongbao_delivery::broker::partition(&delivery.order_key, PARTITIONS);
        strangers += usize::from(attempts[0].worker != owners[usize::from(partition)]);
    }
    strangers
}

/// Work comes to who joins late, comes to the others when it leaves, and comes back to one that had lost its
/// connection and with it its place in every line.
pub async fn who_joins_late_is_given_its_share(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::slow(Duration::from_millis(2));
    let one = start(&world, &far, "one").await;
    all_get_work(&world, &one, &["one"]).await;
    let two = start(&world, &far, "two").await;
    all_get_work(&world, &one, &["one", "two"]).await;
    let three = start(&world, &far, "three").await;
    all_get_work(&world, &one, &["one", "two", "three"]).await;
    // In the end each has what is its own, and from then on nothing else.
    let mut round = 0;
    let mut strangers = async || {
        round += 1;
        strangers(&world, &one, round).await
    };
    until("all work is with its owners", async || strangers().await == 0).await;
    assert_eq!(strangers().await, 0, "worked on by another than its owner");
    two.engine.stop(Duration::from_secs(20)).await;
    all_get_work(&world, &one, &["one", "three"]).await;
    // All sessions are made again, in any order.
    one.broker.wipe().await;
    all_get_work(&world, &one, &["one", "three"]).await;
    assert!(matches!(three.broker, AnyBroker::Rabbit(_)));
    let count = attempts(world.store.as_ref(), 0).await.0;
    far.assert_once_each(count);
    three.engine.stop(Duration::from_secs(20)).await;
    world.end(one).await;
}
