//! Long lines in front of the workers: what waits there is not published again, however long it takes; what was lost
//! is, also while others wait.

use super::brokers::{Scene, ctl, listed};
use crate::Case;
use crate::world::{Far, intake, now_ms, until};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tongbao_delivery::broker::{Line, partition};
use tongbao_delivery::{Broker, Report};
use tongbao_model::Class;

/// The cases.
pub fn cases() -> Vec<(String, Case)> {
    let name = "broker::what_waits_in_line_is_not_published_again".to_owned();
    vec![(name, Box::new(|| Box::pin(what_waits_in_line_is_not_published_again())))]
}

/// Several times as long as it takes a scene's deliveries to count as stalled, and many sweeps.
const LONG: Duration = Duration::from_secs(5);

async fn a_long_time() {
    let begun = Instant::now();
    until("a long time has passed", async || begun.elapsed() > LONG).await;
}

impl Scene {
    async fn with_the_broker(&self) {
        until("all are with the broker", async || self.world.store.outbox(1).await.unwrap().is_empty()).await;
    }

    /// Accepts so many more, of which the broker confirms the messages and has none.
    async fn lose(&self, count: u32) {
        let first = self.accepted.fetch_add(count, Ordering::SeqCst);
        let intakes = (first..first + count).map(|number| intake(&format!("HT-{number}"), 1)).collect();
        self.world.store.accept(intakes, None, now_ms()).await.unwrap();
        let rows = self.world.store.outbox(1_000).await.unwrap();
        self.world.store.outbox_done(rows.iter().map(|row| row.id).collect(), now_ms()).await.unwrap();
    }

    fn swept(&self) -> u64 {
        self.counting.swept.load(Ordering::SeqCst)
    }
}

async fn what_waits_in_line_is_not_published_again() {
    const FIRST: u32 = 80;
    let gate = Arc::new(Semaphore::new(0));
    let open = gate.clone();
    let far = Far::new(move |_| {
        let gate = open.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Report::new(Class::Done)
        }
    });
    let scene = Scene::new(far).await;
    scene.ready().await;
    scene.accept(FIRST).await;
    scene.with_the_broker().await;
    scene.called(8).await;
    let works = [scene.queue("work.erp.0"), scene.queue("work.erp.1")];
    let held = async || [listed(&works[0], "messages").await, listed(&works[1], "messages").await];
    // The broker counts anew every few seconds.
    until("they are counted", async || held().await.iter().flatten().sum::<u64>() == u64::from(FIRST)).await;
    let before = held().await;
    a_long_time().await;
    assert_eq!((scene.swept(), held().await), (0, before), "published again while it waits");
    // Who takes from the queues knows how far they have come; somebody else knows only of empty ones.
    let Line::HandedOut(line) = scene.rabbit.line("erp").await else { panic!("a line without an end") };
    assert!(line.len() == 2 && line.iter().all(|at| at.is_some_and(|at| at < now_ms() - 4_000)), "{line:?}");
    let other = scene.beside().await;
    until("it is connected", async || other.health().ready).await;
    assert_eq!(other.line("erp").await, Line::HandedOut(vec![None, None]));

    // One of the lines is emptied: what had waited in it comes back, once, and the other line stays as it is.
    ctl(&["purge_queue", &works[0]]).await;
    until("what was lost is published again", async || scene.swept() > 0).await;
    scene.with_the_broker().await;
    a_long_time().await;
    let in_first = (0..FIRST).filter(|number| partition(&format!("HT-{number}"), 2) == 0).count();
    assert!(scene.swept() <= u64::try_from(in_first).unwrap(), "{} of {in_first}", scene.swept());
    assert_eq!(held().await[1], before[1]);

    // Lost while others wait before it: nobody can know yet.
    let swept = scene.swept();
    scene.lose(6).await;
    a_long_time().await;
    assert_eq!(scene.swept(), swept);
    // Those that were published long after it have come out of the line, which is not empty yet.
    scene.accept(60).await;
    scene.with_the_broker().await;
    gate.add_permits(usize::try_from(FIRST).unwrap() + 20);
    until("what was lost is published again", async || scene.swept() > swept).await;
    gate.add_permits(1_000);
    scene.world.posted(usize::try_from(scene.accepted.load(Ordering::SeqCst)).unwrap()).await;
    until("the lines are empty", async || held().await == [Some(0), Some(0)]).await;
    other.close().await;
    scene.end().await;
}
