//! Crashes, stops, and brokers that forget.

use super::world::{Combination, Counting, Far, World, intake, target, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tongbao_delivery::port::{Filter, State};
use tongbao_delivery::{FirstMove, RelaySettings, Report, TargetSettings, first_move};
use tongbao_model::Class;

/// The process dies in the middle of a call: the next one finds the intent and asks before it sends.
pub async fn a_crash_in_the_call_is_asked_about(combination: Combination) {
    let world = World::new(combination).await;
    let settings = TargetSettings { call_timeout_ms: 500, lease_ms: 1_500, ..target("erp") };
    let hanging = Far::new(|_| std::future::pending());
    let running = world.start(&hanging, vec![settings.clone()]).await;
    running.accept(vec![intake("HT-1", 1), intake("HT-2", 1)]).await;
    until("both calls are under way", async || hanging.calls().len() == 2).await;
    // As a crash would: nothing is told to stop, nothing is written any more.
    drop(running);
    let far = Far::willing();
    let running = world.start(&far, vec![settings]).await;
    running.accept(vec![intake("HT-1", 2)]).await;
    let all = world.posted(3).await;
    far.assert_once_each(3);
    for delivery in &all[..2] {
        let seen = far.calls_of(&delivery.id).remove(0);
        assert_eq!(seen.attempt, 2);
        let previous = seen.previous.clone().unwrap();
        assert_eq!((previous.class, previous.in_doubt), (None, true));
        assert_eq!(first_move(seen.previous.as_ref()), FirstMove::LookupFirst);
        let (_, attempts, _) = world.store.delivery(&delivery.id).await.unwrap().unwrap();
        assert_eq!(attempts[0].ended_at_ms, None);
    }
    world.end(running).await;
}

pub async fn a_graceful_stop_loses_nothing(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::slow(Duration::from_millis(30));
    let running = world.start(&far, vec![target("erp")]).await;
    running.accept((0..120).map(|number| intake(&format!("HT-{number}"), 1)).collect()).await;
    until("some calls are made", async || far.calls().len() >= 20).await;
    let stopped = running.engine.stop(Duration::from_secs(20)).await;
    assert!(stopped.clean);
    let called = far.calls().len();
    assert!(called < 120, "stopped too late to show anything");
    let calling = Filter { states: vec![State::Calling], ..Filter::default() };
    assert_eq!(world.store.deliveries(calling).await.unwrap().len(), 0);
    let posted = Filter { states: vec![State::Posted], limit: 1_000, ..Filter::default() };
    assert_eq!(world.store.deliveries(posted).await.unwrap().len(), called);
    let running = world.start(&far, vec![target("erp")]).await;
    world.posted(120).await;
    far.assert_once_each(120);
    world.end(running).await;
}

/// Everything the broker held is gone, while the process runs on.
pub async fn the_sweeper_rebuilds_a_wiped_broker(combination: Combination) {
    let world = World::new(combination).await;
    let (far, gate) = Far::behind_a_gate();
    let counting = Arc::new(Counting::default());
    let observer = counting.clone();
    let settings = TargetSettings { in_flight: 2, ..target("erp") };
    let running = world
        .start_with(&far, vec![settings], |parts| {
            parts.observer = observer;
            parts.relay =
                RelaySettings { idle_ms: 100, sweep_ms: 300, stalled_ms: 1_000, ..parts.relay.clone() };
        })
        .await;
    running.accept((0..60).map(|number| intake(&format!("HT-{number}"), 1)).collect()).await;
    until("all are with the broker, two are called", async || {
        world.store.outbox(1).await.unwrap().is_empty() && far.calls().len() == 2
    })
    .await;
    running.broker.wipe().await;
    gate.add_permits(1_000);
    world.posted(60).await;
    far.assert_once_each(60);
    assert!(counting.swept.load(Ordering::SeqCst) > 0);
    world.end(running).await;
}

pub async fn what_was_accepted_while_nothing_ran_is_delivered(combination: Combination) {
    let world = World::new(combination).await;
    let late = Arc::new(AtomicBool::new(false));
    let seen_late = late.clone();
    let far = Far::new(move |seen| {
        let late = seen_late.load(Ordering::SeqCst);
        // The far side is down at first, so that some wait for their next attempt when the process ends.
        async move {
            let down = !late && seen.key.ends_with('7');
            Report::new(if down { Class::Unavailable } else { Class::Done })
        }
    });
    let settings = TargetSettings { circuit_after: 1_000, ..target("erp") };
    let running = world.start(&far, vec![settings.clone()]).await;
    running.accept((0..30).map(|number| intake(&format!("HT-{number}"), 1)).collect()).await;
    let posted = Filter { states: vec![State::Posted], ..Filter::default() };
    until("most are through", async || world.store.deliveries(posted.clone()).await.unwrap().len() == 27)
        .await;
    running.engine.stop(Duration::from_secs(20)).await;
    late.store(true, Ordering::SeqCst);
    let now_ms = super::world::now_ms();
    let more = (30..60).map(|number| intake(&format!("HT-{number}"), 1)).collect();
    world.store.accept(more, None, now_ms).await.unwrap();
    let running = world.start(&far, vec![settings]).await;
    world.posted(60).await;
    world.end(running).await;
}
