//! Through once each, in order per key, side by side otherwise.

use super::world::{Combination, Counting, Far, World, fresh, intake, intake_to, now_ms, target, until};
use futures::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tongbao_delivery::port::{Binding, Filter, LedgerEntry, RemoteRef, State};
use tongbao_delivery::{Message, Report, TargetSettings};
use tongbao_model::Class;

pub async fn order_holds_per_key_and_keys_run_side_by_side(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::new(|seen| async move {
        let mut dice = fastrand::Rng::with_seed(seen.revision.unsigned_abs());
        tokio::time::sleep(Duration::from_millis(dice.u64(5..25))).await;
        // Now and then one has to come again; its successors wait for it.
        let again = seen.attempt == 1 && dice.u8(0..6) == 0;
        Report::new(if again { Class::Unavailable } else { Class::Done })
    });
    let settings = TargetSettings { in_flight: 16, circuit_after: 1_000, ..target("erp") };
    let running = world.start(&far, vec![settings]).await;
    let senders = (0..20).map(|key| {
        let running = &running;
        async move {
            for revision in 1..=5 {
                running.accept(vec![intake(&format!("HT-{key}"), revision)]).await;
            }
        }
    });
    join_all(senders).await;
    world.posted(100).await;
    let mut last: HashMap<String, i64> = HashMap::new();
    for seen in far.calls() {
        let before = last.insert(seen.key.clone(), seen.revision).unwrap_or(0);
        let follows = seen.revision == before + 1 || (seen.revision == before && seen.attempt > 1);
        assert!(follows, "{}: {} after {before}", seen.key, seen.revision);
    }
    assert!(far.most_at_once() >= 2, "{} at once", far.most_at_once());
    world.end(running).await;
}

pub async fn two_thousand_once_each(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::willing();
    let settings = TargetSettings { in_flight: 8, partitions: 4, ..target("erp") };
    let running = world.start(&far, vec![settings]).await;
    let senders = (0..8).map(|sender| {
        let running = &running;
        async move {
            for part in 0..10 {
                let some = (0..25).map(|number| intake(&format!("HT-{sender}-{part}-{number}"), 1));
                running.accept(some.collect()).await;
            }
        }
    });
    join_all(senders).await;
    world.posted(2_000).await;
    far.assert_once_each(2_000);
    until("the outbox is empty", async || world.store.outbox(1).await.unwrap().is_empty()).await;
    world.end(running).await;
}

/// Outcome, binding, ledger entry and following event are stored together, and a following event that another
/// delivery has brought already is not brought again.
pub async fn what_follows_is_derived_once(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::new(|seen| async move {
        let mut report = Report::new(Class::Done);
        if seen.delivery.starts_with("d-") && !seen.key.starts_with("SO-") {
            let mut next = intake_to("crm", &format!("SO-{}", seen.key), 1);
            next.event.kind = "sales_order.posted".to_owned();
            next.event.source = "tongbao".to_owned();
            next.event.cause = Some(seen.delivery.clone());
            report.follow_on = vec![next];
            let remote = RemoteRef {
                id: format!("1{}", seen.key),
                number: format!("X{}", seen.key),
                step: "audited".into(),
            };
            report.remote = Some(remote.clone());
            report.binding = Some(Binding {
                target: "erp".into(),
                kind: "SAL_SaleOrder".into(),
                key: seen.key.clone(),
                remote,
                delivery: seen.delivery.clone(),
            });
            report.entries = vec![LedgerEntry {
                contract: seen.key.clone(),
                kind: "ordered".into(),
                origin: seen.key,
                revision: seen.revision,
                amount: format!("{}.10", 100 * seen.revision),
                currency: "CNY".into(),
                event: fresh("x"),
                at_ms: now_ms(),
                customer: None,
                facts: "{}".into(),
            }];
        }
        report
    });
    let running = world.start(&far, vec![target("erp"), target("crm")]).await;
    running.accept((0..5).map(|key| intake(&key.to_string(), 1)).collect()).await;
    world.posted(10).await;
    // The second revisions bring the same following events again.
    running.accept((0..5).map(|key| intake(&key.to_string(), 2)).collect()).await;
    let all = world.posted(15).await;
    let to_crm: Vec<_> = all.iter().filter(|delivery| delivery.target == "crm").collect();
    assert_eq!(to_crm.len(), 5);
    far.assert_once_each(15);
    let first = all.iter().find(|delivery| delivery.target == "erp" && delivery.key == "3").unwrap();
    assert_eq!(world.store.caused_by(&first.id).await.unwrap().len(), 1);
    let bound = world.store.binding("erp", "SAL_SaleOrder", "3").await.unwrap().unwrap();
    assert_eq!((bound.remote.number.as_str(), bound.remote.step.as_str()), ("X3", "audited"));
    let account = world.store.ledger("3").await.unwrap();
    assert_eq!(account.iter().map(|entry| entry.amount.as_str()).collect::<Vec<_>>(), ["200.10"]);
    world.end(running).await;
}

/// One target that is down, one that hangs, one that is well: the well one does not notice.
pub async fn a_dead_target_stops_only_itself(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::new(|seen| async move {
        match seen.key.split('-').next() {
            Some("dead") => Report::new(Class::Unavailable),
            Some("hung") => std::future::pending().await,
            _ => Report::new(Class::Done),
        }
    });
    let counting = Arc::new(Counting::default());
    let observer = counting.clone();
    let dead =
        TargetSettings { circuit_after: 3, circuit_cool_down_ms: 60_000, in_flight: 2, ..target("dead") };
    let hung = TargetSettings { in_flight: 2, ..target("hung") };
    let running =
        world.start_with(&far, vec![dead, hung, target("well")], |parts| parts.observer = observer).await;
    for part in 0..10 {
        let some = (0..60).map(|number| {
            let name = ["dead", "hung", "well"][number % 3];
            intake_to(name, &format!("{name}-{part}-{number}"), 1)
        });
        running.accept(some.collect()).await;
    }
    let well = Filter {
        target: Some("well".into()),
        states: vec![State::Posted],
        limit: 1_000,
        ..Filter::default()
    };
    until("the well target is done", async || {
        world.store.deliveries(well.clone()).await.unwrap().len() == 200
    })
    .await;
    until("the circuit opens", async || counting.opened.load(Ordering::SeqCst) == 1).await;
    let dead = far.calls().iter().filter(|seen| seen.key.starts_with("dead")).count();
    assert!(dead < 10, "the dead target was called {dead} times");
    // Not ended in good order: the hung calls would take their whole timeout.
    if let super::world::AnyBroker::Rabbit(broker) = &running.broker {
        drop(broker.delete_queues().await);
    }
    let stopped = running.engine.stop(Duration::from_millis(100)).await;
    assert!(!stopped.clean);
    world.store.close().await;
}

pub async fn a_message_many_times_over_is_one_call(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::slow(Duration::from_millis(200));
    let running = world.start(&far, vec![target("erp")]).await;
    let one = intake("HT-1", 1);
    let message = Message {
        delivery: one.deliveries[0].id.clone(),
        target: "erp".into(),
        order_key: "HT-1".into(),
        not_before_ms: 0,
    };
    running.accept(vec![one]).await;
    let broker = running.broker.as_broker();
    until("the same message ten times", async || {
        broker.publish(vec![message.clone(); 10]).await.iter().all(Result::is_ok)
    })
    .await;
    world.posted(1).await;
    broker.publish(vec![message; 10]).await;
    running.accept(vec![intake("HT-2", 1)]).await;
    world.posted(2).await;
    far.assert_once_each(2);
    world.end(running).await;
}
