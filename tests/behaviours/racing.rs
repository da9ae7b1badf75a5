//! Races between processes, made to happen.

use super::storing::{begun, emptied, finish};
use super::world::{Combination, Database, PATIENCE, World, intake, open};
use futures::future::join_all;
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tongbao_delivery::failpoints::{Action, arm};
use tongbao_delivery::port::{Begin, Filter, Finished, Next, State};
use tongbao_model::Class;

/// Stores of several processes accept revisions of the same documents: in the order in which workers take them, the
/// revisions that are to be sent only rise.
pub async fn processes_that_accept_side_by_side_agree_on_the_order(combination: Combination) {
    let world = World::new(combination).await;
    let stores = join_all((0..4).map(|_| open(&world.url))).await;
    let (documents, revisions) = (40, 8);
    for document in 0..documents {
        let mut all: Vec<i64> = (1..=revisions).collect();
        fastrand::Rng::with_seed(document).shuffle(&mut all);
        let accepts = all.into_iter().zip(stores.iter().cycle()).map(|(revision, store)| {
            store.accept(vec![intake(&format!("HT-{document}"), revision)], None, 1)
        });
        join_all(accepts).await.into_iter().for_each(|accepted| assert!(accepted.is_ok(), "{accepted:?}"));
    }
    let all = world.store.deliveries(Filter { limit: 10_000, ..Filter::default() }).await.unwrap();
    assert_eq!(i64::try_from(all.len()).unwrap(), revisions * i64::try_from(documents).unwrap());
    let mut last: HashMap<String, i64> = HashMap::new();
    let mut newest: HashSet<String> = HashSet::new();
    for delivery in all.iter().filter(|delivery| delivery.state != State::Superseded) {
        let revision = world.store.event(&delivery.event).await.unwrap().unwrap().revision;
        let before = last.insert(delivery.key.clone(), revision).unwrap_or(0);
        assert!(before < revision, "{}: {before}, then {revision}", delivery.key);
        if revision == revisions {
            newest.insert(delivery.key.clone());
        }
    }
    assert_eq!(u64::try_from(newest.len()).unwrap(), documents, "the newest revision always goes");
    for store in stores.iter().chain([&world.store]) {
        store.close().await;
    }
}

/// A place where a transaction stands still.
struct Halt {
    reached: SyncSender<()>,
    go_on: Mutex<Receiver<()>>,
}

/// By the delivery whose outcome halts; all others pass.
static HALTS: LazyLock<Mutex<HashMap<String, Arc<Halt>>>> = LazyLock::new(Mutex::default);

fn halt(delivery: &str) {
    let Some(halt) = HALTS.lock().unwrap().get(delivery).cloned() else { return };
    halt.reached.send(()).unwrap();
    let _ = halt.go_on.lock().unwrap().recv_timeout(PATIENCE);
}

/// The predecessor's outcome is written and not committed, and its look for successors has found none; then a
/// successor is accepted and a worker begins it. Told "behind", it would wait for somebody who has looked already.
pub async fn a_successor_waits_for_the_commit_of_who_closes_its_predecessor(combination: Combination) {
    if combination.database == Database::Sqlite {
        // Its writers take turns: there is no time between a look and its commit.
        return;
    }
    assert!(arm("finished-before-commit", Action::CallWith(Arc::new(halt))));
    let world = World::new(combination).await;
    let store = &world.store;
    let (one, two) = (intake("HT-1", 1), intake("HT-1", 2));
    store.accept(vec![one.clone()], None, 1).await.unwrap();
    emptied(store, 1).await;
    let work = begun(store, &one.deliveries[0].id, 1_000, 2).await;
    let outcome = finish(&work, 3, Next::Posted, Class::Done);
    let (reached, has_reached) = sync_channel(1);
    let (go, go_on) = sync_channel(1);
    let halt = Arc::new(Halt { reached, go_on: Mutex::new(go_on) });
    HALTS.lock().unwrap().insert(outcome.delivery.clone(), halt);
    let closing = store.clone();
    let closing = tokio::spawn(async move { closing.finish(outcome).await });
    tokio::task::spawn_blocking(move || has_reached.recv_timeout(PATIENCE)).await.unwrap().unwrap();
    store.accept(vec![two.clone()], None, 4).await.unwrap();
    let successor = two.deliveries[0].id.clone();
    assert_eq!(emptied(store, 4).await, std::slice::from_ref(&successor));
    let beginning = store.clone();
    let mut begin = tokio::spawn(async move { beginning.begin(&successor, "w", 1_000, 5).await });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut begin).await;
    assert!(early.is_err(), "answered before its predecessor was closed: {early:?}");
    go.send(()).unwrap();
    assert_eq!(closing.await.unwrap().unwrap(), Finished::Stored);
    let begin = begin.await.unwrap().unwrap();
    assert!(matches!(begin, Begin::Run(_)), "{begin:?}");
    store.close().await;
}
