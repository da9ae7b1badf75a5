//! The transport itself.

use super::world::{AnyBroker, Combination, Counting, Far, World, intake, intake_to, target, until};
use crate::servers::Servers;
use std::sync::Arc;
use std::time::Duration;
use tongbao_delivery::{BrokerError, Message};

pub async fn unroutable_is_an_error_and_not_a_loss(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::willing();
    let running = world.start(&far, vec![target("erp")]).await;
    let broker = running.broker.as_broker();
    until("the broker is ready", async || broker.health().ready).await;
    let message = |delivery: &str, target: &str| Message {
        delivery: delivery.into(),
        target: target.into(),
        order_key: "k".into(),
        not_before_ms: 0,
    };
    let results =
        broker.publish(vec![message("a", "erp"), message("b", "nowhere"), message("c", "erp")]).await;
    assert_eq!(results, [Ok(()), Err(BrokerError::Unroutable("nowhere".into())), Ok(())]);
    // A delivery to a connection that is not configured stays in the outbox, and holds up nobody.
    running.accept(vec![intake_to("nowhere", "HT-1", 1), intake("HT-2", 1)]).await;
    until("the other is through, and only it", async || {
        let rows = world.store.outbox(10).await.unwrap();
        assert!(rows.iter().any(|row| row.target == "nowhere"));
        rows.len() == 1 && far.calls().len() == 1
    })
    .await;
    let both = world.start(&far, vec![target("nowhere")]).await;
    world.posted(2).await;
    both.end().await;
    world.end(running).await;
}

/// Queues deleted under a running engine: publishing into nothing is an error, consumers are told, and both come
/// back.
pub async fn deleted_queues_come_back_with_their_consumers(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::willing();
    let counting = Arc::new(Counting::default());
    let observer = counting.clone();
    let running = world.start_with(&far, vec![target("erp")], |parts| parts.observer = observer).await;
    running.accept(vec![intake("HT-0", 1)]).await;
    world.posted(1).await;
    for round in 1..=3 {
        running.broker.wipe().await;
        running.accept((0..10).map(|number| intake(&format!("HT-{round}-{number}"), 1)).collect()).await;
        world.posted(1 + 10 * round).await;
    }
    far.assert_once_each(31);
    world.end(running).await;
}

/// Two processes at the same queues: every delivery once, order per key.
pub async fn two_processes_share_the_work(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::slow(Duration::from_millis(3));
    let one = world.start(&far, vec![target("erp")]).await;
    let two = world.start(&far, vec![target("erp")]).await;
    for revision in 1..=3 {
        for running in [&one, &two] {
            let owner = if std::ptr::eq(running, &one) { "A" } else { "B" };
            running.accept((0..40).map(|key| intake(&format!("{owner}-{key}"), revision)).collect()).await;
        }
    }
    world.posted(240).await;
    far.assert_once_each(240);
    two.engine.stop(Duration::from_secs(20)).await;
    one.accept(vec![intake("last", 1)]).await;
    world.posted(241).await;
    world.end(one).await;
}

pub async fn a_broker_restart_in_mid_run_loses_nothing(combination: Combination) {
    let world = World::alone(combination).await;
    let far = Far::slow(Duration::from_millis(5));
    let running = world.start(&far, vec![target("erp")]).await;
    running.accept((0..300).map(|number| intake(&format!("HT-{number}"), 1)).collect()).await;
    until("some calls are made", async || far.calls().len() >= 40).await;
    tokio::task::spawn_blocking(|| Servers::get().stop_rabbit()).await.unwrap();
    let broker = running.broker.as_broker();
    until("the loss is noticed", async || !broker.health().ready).await;
    running.accept((300..400).map(|number| intake(&format!("HT-{number}"), 1)).collect()).await;
    tokio::task::spawn_blocking(|| Servers::get().resume_rabbit()).await.unwrap();
    world.posted(400).await;
    far.assert_once_each(400);
    assert!(matches!(running.broker, AnyBroker::Rabbit(_)));
    world.end(running).await;
}
