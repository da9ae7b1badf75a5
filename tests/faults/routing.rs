//! Queues that are not there when a message comes for them, and consumers that are ended one by one.

use super::brokers::{Scene, ctl, listed};
use crate::Case;
use crate::world::{Far, until};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tongbao_delivery::{Broker, Report};
use tongbao_model::Class;

/// The cases.
pub fn cases() -> Vec<(String, Case)> {
    let case = |name: &str, case: Case| (format!("broker::{name}"), case);
    vec![
        case("unroutable_comes_back", Box::new(|| Box::pin(unroutable_comes_back()))),
        case("consumers_cancelled_by_the_broker", Box::new(|| Box::pin(consumers_cancelled_by_the_broker()))),
    ]
}

/// A message whose queue is not there at that moment comes back to the publisher, is kept, and goes out again once
/// the queue is made. Nobody consumes from these queues, so that only the publish can find out.
async fn unroutable_comes_back() {
    let far = Far::new(|seen| async move {
        let late = seen.attempt == 1;
        Report::new(if late { Class::Throttled(Some(Duration::from_millis(1_300))) } else { Class::Done })
    });
    let (scene, unheard) = Scene::unheard(far).await;
    scene.ready().await;
    let works = [scene.queue("work.erp.0"), scene.queue("work.erp.1")];
    for queue in &works {
        until("nobody consumes", async || listed(queue, "consumers").await == Some(0)).await;
        ctl(&["delete_queue", queue]).await;
    }
    let failed = || scene.counting.publish_failed.load(Ordering::SeqCst);
    assert!(scene.rabbit.health().ready && failed() == 0);
    scene.accept(20).await;
    until("messages have come back", async || failed() > 0).await;
    until("all are with the broker", async || scene.world.store.outbox(1).await.unwrap().is_empty()).await;
    assert_eq!(scene.far.calls().len(), 0, "nobody listened");

    ctl(&["delete_queue", &scene.queue("delay.1s")]).await;
    let before = failed();
    unheard.listen();
    scene.world.posted(20).await;
    assert!(failed() > before, "no retry has met the missing delay queue");
    let calls = scene.far.calls();
    assert!(calls.len() == 40 && calls.iter().all(|seen| seen.attempt <= 2), "{} calls", calls.len());
    drop(scene.rabbit.delete_queues().await);
    scene.world.end(scene.running).await;
}

/// The broker ends single consumers while the connection stays: one at rest, of which nobody would notice anything
/// for hours, and one with calls under way.
async fn consumers_cancelled_by_the_broker() {
    let (far, gate) = Far::behind_a_gate();
    let scene = Scene::new(far).await;
    let works = [scene.queue("work.erp.0"), scene.queue("work.erp.1")];
    let consumed = async || {
        for queue in &works {
            until("somebody consumes", async || listed(queue, "consumers").await == Some(1)).await;
        }
    };
    consumed().await;
    ctl(&["delete_queue", &works[1]]).await;
    // By itself: nothing is published that could miss the queue.
    consumed().await;
    scene.accept(40).await;
    scene.called(8).await;
    ctl(&["delete_queue", &works[0]]).await;
    consumed().await;
    gate.add_permits(1_000);
    scene.accept(20).await;
    scene.end().await;
}
