//! Again, later, or not at all.

use super::world::{Combination, Counting, Far, World, intake, target, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tongbao_delivery::port::{Binding, Filter, RemoteRef, State};
use tongbao_delivery::{Report, Schedule, TargetSettings};
use tongbao_model::{Class, Code, Fault};

pub async fn retries_wait_as_long_as_asked(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::new(|seen| async move {
        Report::new(match (seen.key.as_str(), seen.attempt) {
            ("asked", 1) => Class::Throttled(Some(Duration::from_millis(1_600))),
            ("own", 1..=3) => Class::Unavailable,
            ("over", _) => Class::Throttled(Some(Duration::from_secs(7_200))),
            ("short", _) => Class::Unavailable,
            _ => Class::Done,
        })
    });
    let schedule = Schedule {
        first_ms: 100,
        factor: 2.0,
        max_ms: 5_000,
        jitter: 0.0,
        window_ms: 3_600_000,
        ..Schedule::default()
    };
    let settings = TargetSettings { schedule: schedule.clone(), circuit_after: 100, ..target("erp") };
    let short = TargetSettings {
        schedule: Schedule { attempts_max: Some(3), ..schedule },
        circuit_after: 100,
        ..target("short")
    };
    let running = world.start(&far, vec![settings, short]).await;
    running.accept(["asked", "own", "over"].map(|key| intake(key, 1)).into()).await;
    running.accept(vec![super::world::intake_to("short", "short", 1)]).await;
    let all = world.settled(4, &[State::Posted, State::Parked]).await;
    let of = |key: &str| {
        let one = all.iter().find(|delivery| delivery.key == key).unwrap();
        let at: Vec<i64> = far.calls_of(&one.id).iter().map(|seen| seen.at_ms).collect();
        (one.state, at.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>())
    };
    let (state, waits) = of("asked");
    assert_eq!((state, waits.len()), (State::Posted, 1));
    assert!((1_600..8_000).contains(&waits[0]), "{waits:?}");
    let (state, waits) = of("own");
    assert_eq!((state, waits.len()), (State::Posted, 3));
    for (wait, least) in waits.iter().zip([100, 200, 400]) {
        assert!(*wait >= least, "{waits:?}");
    }
    // Asked for more patience than the window has left.
    assert_eq!(of("over"), (State::Parked, vec![]));
    let (state, waits) = of("short");
    assert_eq!((state, waits.len()), (State::Parked, 2));
    world.end(running).await;
}

pub async fn parked_waits_for_a_person_and_its_successors_wait_for_it(combination: Combination) {
    let world = World::new(combination).await;
    let mended = Arc::new(AtomicBool::new(false));
    let table = mended.clone();
    let far = Far::new(move |seen| {
        let mended = table.load(Ordering::SeqCst);
        async move {
            if seen.key == "bad" && !mended {
                return Report::fault(
                    Fault::new(Code::CodeTableMiss, "对照表缺少编码", "no row").at("customer.code"),
                );
            }
            Report::new(Class::Done)
        }
    });
    let running = world.start(&far, vec![target("erp")]).await;
    running.accept(vec![intake("bad", 1)]).await;
    // Another document of the same lane: a newer revision of the same one would take its place.
    let mut successor = intake("bad", 2);
    successor.event.kind = "credit_note.signed".to_owned();
    running.accept(vec![successor]).await;
    running.accept(vec![intake("good", 1)]).await;
    let parked = Filter { code: Some("code-table-miss".into()), ..Filter::default() };
    until("one is parked, the other key is through", async || {
        let parked = world.store.deliveries(parked.clone()).await.unwrap();
        let good =
            world.store.deliveries(Filter { key: Some("good".into()), ..Filter::default() }).await.unwrap();
        parked.len() == 1 && parked[0].state == State::Parked && good[0].state == State::Posted
    })
    .await;
    let bad = world.store.deliveries(Filter { key: Some("bad".into()), ..Filter::default() }).await.unwrap();
    assert_eq!(
        bad.iter().map(|delivery| delivery.state).collect::<Vec<_>>(),
        [State::Parked, State::Pending]
    );
    assert_eq!(bad[0].fault.as_ref().unwrap().field.as_deref(), Some("customer.code"));
    assert_eq!(
        running
            .engine
            .replay(Filter { states: vec![State::Posted], ..Filter::default() })
            .await
            .unwrap()
            .ids
            .len(),
        0
    );
    mended.store(true, Ordering::SeqCst);
    assert_eq!(running.engine.replay(parked).await.unwrap().ids, [bad[0].id.clone()]);
    world.posted(3).await;
    let calls: Vec<_> = far
        .calls()
        .into_iter()
        .filter(|seen| seen.key == "bad")
        .map(|seen| (seen.revision, seen.attempt))
        .collect();
    assert_eq!(calls, [(1, 1), (1, 2), (2, 1)]);
    let (_, attempts, _) = world.store.delivery(&bad[0].id).await.unwrap().unwrap();
    let classes: Vec<_> = attempts.iter().map(|attempt| attempt.class.as_deref()).collect();
    assert_eq!(classes, [Some("rejected"), Some("done")]);
    world.end(running).await;
}

pub async fn a_final_rejection_lets_successors_go_on(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::new(|seen| async move {
        let class = if seen.revision == 1 { Class::Rejected } else { Class::Done };
        Report { final_rejection: true, ..Report::new(class) }
    });
    let running = world.start(&far, vec![target("erp")]).await;
    running.accept(vec![intake("HT-1", 1)]).await;
    running.accept(vec![intake("HT-1", 2)]).await;
    let all = world.settled(2, &[State::Posted, State::Rejected]).await;
    assert_eq!([all[0].state, all[1].state], [State::Rejected, State::Posted]);
    world.end(running).await;
}

/// An unknown outcome stays in doubt through attempts that could not even ask.
pub async fn doubt_lasts_until_a_success(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::new(|seen| async move {
        Report::new(match seen.attempt {
            1 => Class::Unknown,
            2 => Class::Unavailable,
            3 => Class::Throttled(None),
            _ => Class::AlreadyThere,
        })
    });
    let running = world.start(&far, vec![target("erp")]).await;
    running.accept(vec![intake("HT-1", 1)]).await;
    world.posted(1).await;
    let seen: Vec<_> = far
        .calls()
        .iter()
        .map(|seen| seen.previous.as_ref().map(|previous| (previous.class, previous.in_doubt)))
        .collect();
    let expected = [
        None,
        Some((Some(Class::Unknown), true)),
        Some((Some(Class::Unavailable), true)),
        Some((Some(Class::Throttled(None)), true)),
    ];
    assert_eq!(seen, expected);
    world.end(running).await;
}

/// A connector's mistake. Without the message and the backtrace of one, which would hide those of cases that fail.
fn quiet_panic() -> Report {
    std::panic::resume_unwind(Box::new("a connector's mistake"))
}

pub async fn a_panic_parks_and_a_late_answer_is_unknown(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::new(|seen| async move {
        match (seen.key.as_str(), seen.attempt) {
            ("panics", _) => quiet_panic(),
            ("hangs", 1) => std::future::pending().await,
            _ => Report::new(Class::AlreadyThere),
        }
    });
    let counting = Arc::new(Counting::default());
    let observer = counting.clone();
    let settings = TargetSettings { call_timeout_ms: 300, lease_ms: 20_000, ..target("erp") };
    let running = world.start_with(&far, vec![settings], |parts| parts.observer = observer).await;
    running.accept(["panics", "hangs", "well"].map(|key| intake(key, 1)).into()).await;
    let all = world.settled(3, &[State::Posted, State::Parked]).await;
    assert_eq!(all[0].state, State::Parked);
    assert_eq!(all[0].class.as_deref(), Some("defect"));
    assert_eq!(counting.panicked.load(Ordering::SeqCst), 1);
    let hung = far.calls_of(&all[1].id);
    assert_eq!(hung.len(), 2);
    let previous = hung[1].previous.clone().unwrap();
    assert_eq!((previous.class, previous.in_doubt), (Some(Class::Unknown), true));
    world.end(running).await;
}

/// A second document under a bound key is for a person, and blocks no worker.
pub async fn a_contradicting_outcome_parks(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::new(|seen| async move {
        let remote =
            RemoteRef { id: format!("id-{}", seen.revision), number: "N".into(), step: String::new() };
        let binding = Binding {
            target: "erp".into(),
            kind: "SAL_SaleOrder".into(),
            key: seen.key.clone(),
            remote: remote.clone(),
            delivery: seen.delivery.clone(),
        };
        Report { remote: Some(remote), binding: Some(binding), ..Report::new(Class::Done) }
    });
    let running = world.start(&far, vec![target("erp")]).await;
    running.accept(vec![intake("HT-1", 1)]).await;
    running.accept(vec![intake("HT-1", 2)]).await;
    let all = world.settled(2, &[State::Posted, State::Parked]).await;
    assert_eq!([all[0].state, all[1].state], [State::Posted, State::Parked]);
    assert_eq!(all[1].fault.as_ref().unwrap().code, Code::Defect);
    let bound = world.store.binding("erp", "SAL_SaleOrder", "HT-1").await.unwrap().unwrap();
    assert_eq!(bound.remote.id, "id-1");
    world.end(running).await;
}
