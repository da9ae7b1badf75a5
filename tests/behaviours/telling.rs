//! What notices stand on: steps that one process takes, and counts of what stands still.

use super::storing::{begun, finish};
use super::world::{Combination, World, intake, intake_to, open};
use futures::future::join_all;
use tongbao_delivery::attention::{Health, Parked};
use tongbao_delivery::port::{Accepted, Cursor, Finish, Next, State};
use tongbao_model::{Class, Code, Fault};

fn step(position: &str) -> Option<Cursor> {
    let (connection, stream) = ("tongbao".to_owned(), "notices/ops".to_owned());
    Some(Cursor { connection, stream, position: position.into(), only_if_new: true })
}

/// Several processes make the same event, each with something else in it: one of them is first, and the cursor is its own.
/// Who comes late with an older step moves nothing back.
pub async fn a_step_is_taken_by_one(combination: Combination) {
    let world = World::new(combination).await;
    let stores = join_all((0..4).map(|_| open(&world.url))).await;
    for round in 0..20 {
        let accepts = stores.iter().enumerate().map(|(process, store)| {
            let mut one = intake(&format!("ops-{round}"), 1);
            one.event.digest = format!("as process {process} saw it");
            async move { store.accept(vec![one], step(&format!("{round}/{process}")), 1).await.unwrap() }
        });
        let answers = join_all(accepts).await;
        let first: Vec<usize> = (0..4).filter(|process| answers[*process] == [Accepted::New]).collect();
        assert_eq!(first.len(), 1, "{answers:?}");
        let stored = world.store.cursor("tongbao", "notices/ops").await.unwrap();
        assert_eq!(stored, Some(format!("{round}/{}", first[0])));
    }
    let late = world.store.accept(vec![intake("ops-3", 1)], step("3/late"), 2).await.unwrap();
    assert!(matches!(late[0], Accepted::Conflict { .. }), "{late:?}");
    // With one event new and one known it is not a step either; the new one is kept all the same.
    let half =
        world.store.accept(vec![intake("ops-3", 1), intake("ops-99", 1)], step("half"), 2).await.unwrap();
    assert_eq!(half[1], Accepted::New);
    let stored = world.store.cursor("tongbao", "notices/ops").await.unwrap().unwrap();
    assert!(stored.starts_with("19/"), "{stored}");
    for store in stores.iter().chain([&world.store]) {
        store.close().await;
    }
}

/// Parked ones by connection and reason within a time; failing connections since when; one kind of event left out of both.
pub async fn what_people_are_told_of_is_counted(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let miss =
        |finish: Finish| Finish { fault: Some(Fault::new(Code::CodeTableMiss, "缺", "missing")), ..finish };
    let mut ids = Vec::new();
    for (target, key) in
        [("erp", "A"), ("erp", "B"), ("erp", "C"), ("tax", "D"), ("erp", "E"), ("robot", "F"), ("tax", "G")]
    {
        let mut one = intake_to(target, key, 1);
        if target == "robot" {
            one.event.kind = "notice.due".into();
        }
        ids.push(one.deliveries[0].id.clone());
        store.accept(vec![one], None, 1_000).await.unwrap();
    }
    assert_eq!(store.parked(0, i64::MAX, "notice.due").await.unwrap(), []);
    for (id, at_ms) in [(0, 2_000), (1, 3_000), (2, 4_000), (3, 2_500), (5, 2_600)] {
        let work = begun(store, &ids[id], 90_000, at_ms).await;
        store.finish(miss(finish(&work, at_ms, Next::Parked, Class::Rejected))).await.unwrap();
    }
    let group = |target: &str, count, first_ms| Parked {
        target: target.into(),
        code: Some("code-table-miss".into()),
        class: Some("rejected".into()),
        count,
        first_ms,
    };
    let parked = |from_ms, before_ms| store.parked(from_ms, before_ms, "notice.due");
    assert_eq!(parked(0, 10_000).await.unwrap(), [group("erp", 3, 2_000), group("tax", 1, 2_500)]);
    // The end of a span is not in it, its beginning is: spans side by side count each once.
    assert_eq!(parked(2_500, 4_000).await.unwrap(), [group("erp", 1, 3_000), group("tax", 1, 2_500)]);
    assert_eq!(parked(4_000, 10_000).await.unwrap(), [group("erp", 1, 4_000)]);
    // Nothing fails yet.
    assert_eq!(store.health(Vec::new(), "notice.due").await.unwrap(), []);
    let work = begun(store, &ids[6], 90_000, 5_000).await;
    store.finish(finish(&work, 5_500, Next::Posted, Class::Done)).await.unwrap();
    let work = begun(store, &ids[4], 90_000, 6_000).await;
    store.finish(finish(&work, 6_500, Next::Retry { at_ms: 9_000 }, Class::Unavailable)).await.unwrap();
    let health = store.health(vec!["tax".into(), "crm".into()], "notice.due").await.unwrap();
    let erp = Health {
        target: "erp".into(),
        failing: 1,
        class: Some("unavailable".into()),
        tried_since_ms: Some(1_000),
        posted_at_ms: None,
    };
    let fine =
        |target: &str, posted_at_ms| Health { target: target.into(), posted_at_ms, ..Health::default() };
    assert_eq!(health, [fine("crm", None), erp.clone(), fine("tax", Some(5_500))]);
    assert_eq!((erp.failing_since_ms(), health[2].failing_since_ms()), (Some(1_000), None));
    // What was posted since moves the beginning.
    let since = Health { posted_at_ms: Some(3_000), ..erp };
    assert_eq!(since.failing_since_ms(), Some(3_000));
    let waiting = store.delivery(&ids[4]).await.unwrap().unwrap().0;
    assert_eq!(waiting.state, State::Waiting);
    store.close().await;
}
