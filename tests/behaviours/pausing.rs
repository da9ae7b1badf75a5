//! Connections that people told to stand still.

use super::world::{Combination, Far, World, intake, intake_to, now_ms, target, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tongbao_delivery::port::{Accepted, Filter, State, Subject};
use tongbao_delivery::{
    Broker, Clock, Embedded, EmbeddedSettings, Engine, EngineParts, NoObserver, RelaySettings, Report,
    SystemClock, TargetSettings,
};
use tongbao_model::Class;

fn erp() -> Subject {
    Subject::Connection("erp".into())
}

/// Calls under way end, no new one is made, by a process that starts later neither; the intake and the other
/// connections go on; once released, by whichever process, everything is delivered once.
pub async fn a_paused_connection_gets_no_calls_and_loses_nothing(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::slow(Duration::from_millis(20));
    let targets = || vec![target("erp"), target("crm")];
    let running = world.start(&far, targets()).await;
    let to_erp = |far: &Far| far.calls().iter().filter(|seen| seen.key.starts_with("HT")).count();
    running.accept((0..150).map(|number| intake(&format!("HT-{number}"), 1)).collect()).await;
    until("some calls are made", async || to_erp(&far) >= 10).await;
    assert!(running.engine.hold(erp(), "ops", "upgrade").await.unwrap());
    assert!(!running.engine.hold(erp(), "ops", "again").await.unwrap());
    until("calls under way have ended", async || {
        let calling = Filter { states: vec![State::Calling], ..Filter::default() };
        world.store.deliveries(calling).await.unwrap().is_empty()
    })
    .await;
    let posted_to_crm = async |round: u32| {
        let count = |all: Vec<_>| all.len() == usize::try_from(round * 40).unwrap();
        let filter = || Filter {
            states: vec![State::Posted],
            target: Some("crm".into()),
            limit: 1_000,
            ..Filter::default()
        };
        until("the others go on", async || count(world.store.deliveries(filter()).await.unwrap())).await;
    };
    let to_crm =
        |round: u32| (0..40).map(|number| intake_to("crm", &format!("C{round}-{number}"), 1)).collect();
    running.accept(to_crm(1)).await;
    posted_to_crm(1).await;
    let called = to_erp(&far);
    assert!(called < 150, "paused too late to show anything");
    // As long as the others took, the paused one would have taken for all of its own.
    let more: Vec<_> = (150..160).map(|number| intake(&format!("HT-{number}"), 1)).collect();
    assert!(running.accept(more).await.iter().all(|accepted| *accepted == Accepted::New));
    running.accept(to_crm(2)).await;
    posted_to_crm(2).await;
    assert_eq!(to_erp(&far), called);
    running.engine.stop(Duration::from_secs(20)).await;
    let running = world.start(&far, targets()).await;
    assert_eq!(running.engine.holds().connection("erp").map(|hold| hold.why.as_str()), Some("upgrade"));
    running.accept(to_crm(3)).await;
    posted_to_crm(3).await;
    assert_eq!(to_erp(&far), called, "the pause outlives the process");
    // Another process has released it; this one finds out.
    assert!(world.store.release(erp(), "ops", now_ms()).await.unwrap());
    world.posted(280).await;
    far.assert_once_each(280);
    world.end(running).await;
}

/// The clock of the machine, set forward.
#[derive(Default)]
struct Forward(AtomicI64);

impl Clock for Forward {
    fn now_ms(&self) -> i64 {
        now_ms() + self.0.load(Ordering::SeqCst)
    }
}

/// A pause that is longer than the time to try in: afterwards there is as much left of that as before, so that a far
/// side which needs another try gets it.
pub async fn a_retry_window_does_not_run_during_a_pause(combination: Combination) {
    let world = World::new(combination).await;
    let clock = Arc::new(Forward::default());
    let far = Far::new(|seen| async move {
        Report::new(if seen.attempt < 3 { Class::Unavailable } else { Class::Done })
    });
    let mut settings = target("erp");
    // Long enough that the pause comes before it.
    settings.schedule.first_ms = 600_000;
    settings.schedule.max_ms = 600_000;
    let engine = Engine::start(EngineParts {
        store: world.store.clone(),
        broker: Arc::new(Embedded::new(EmbeddedSettings::default(), clock.clone())),
        handler: far.clone(),
        clock: clock.clone(),
        observer: Arc::new(NoObserver),
        targets: vec![settings],
        worker_name: "test".to_owned(),
        relay: RelaySettings { idle_ms: 50, ..RelaySettings::default() },
    })
    .await
    .unwrap();
    engine.accept(vec![intake("HT-1", 1)], None).await.unwrap();
    let states = async || {
        let all = world.store.deliveries(Filter::default()).await.unwrap();
        all.into_iter().map(|delivery| (delivery.state, delivery.attempts)).collect::<Vec<_>>()
    };
    until("the first attempt fails", async || states().await == [(State::Waiting, 1)]).await;
    engine.hold(erp(), "ops", "").await.unwrap();
    clock.0.fetch_add(48 * 3_600_000, Ordering::SeqCst);
    engine.release(erp(), "ops").await.unwrap();
    until("the second attempt fails", async || states().await.iter().all(|(_, attempts)| *attempts == 2))
        .await;
    until("it is to be tried again", async || states().await != [(State::Calling, 2)]).await;
    assert_eq!(states().await, [(State::Waiting, 2)], "48 hours of pause have used up 24 hours to try in");
    clock.0.fetch_add(700_000, Ordering::SeqCst);
    until("the third succeeds", async || states().await == [(State::Posted, 3)]).await;
    engine.stop(Duration::from_secs(20)).await;
    world.store.close().await;
}

/// What waits for a paused connection stays in the outbox, where it neither fills the broker nor turns anybody away.
pub async fn a_pause_fills_no_queue_and_no_bound(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::new(|_| async { Report::new(Class::Done) });
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let broker = Arc::new(Embedded::new(EmbeddedSettings::default(), clock.clone()));
    let engine = Engine::start(EngineParts {
        store: world.store.clone(),
        broker: broker.clone(),
        handler: far.clone(),
        clock: clock.clone(),
        observer: Arc::new(NoObserver),
        targets: vec![target("erp"), target("crm")],
        worker_name: "test".to_owned(),
        relay: RelaySettings { idle_ms: 50, sweep_ms: 50, outbox_max: 3, ..RelaySettings::default() },
    })
    .await
    .unwrap();
    engine.hold(erp(), "ops", "upgrade").await.unwrap();
    let paused: Vec<_> = (0..6).map(|number| intake(&format!("HT-{number}"), 1)).collect();
    engine.accept(paused, None).await.unwrap();
    assert!(!engine.is_full());
    let posted = async || {
        let filter = Filter { states: vec![State::Posted], ..Filter::default() };
        world.store.deliveries(filter).await.unwrap().len()
    };
    // The others go on, through several looks of relay and sweeper.
    for round in 1..=4 {
        engine.accept(vec![intake_to("crm", &format!("C-{round}"), 1)], None).await.unwrap();
        until("the other one is posted", async || posted().await == round).await;
        until("it has left the outbox", async || world.store.outbox_count(&[]).await.unwrap() == 6).await;
    }
    assert_eq!(world.store.outbox_count(&["erp".to_owned()]).await.unwrap(), 0);
    let waiting = broker.health().waiting;
    assert_eq!(waiting.get("erp").copied().unwrap_or_default(), 0, "{waiting:?}");
    assert!(!engine.is_full());
    engine.release(erp(), "ops").await.unwrap();
    until("all are posted", async || posted().await == 10).await;
    far.assert_once_each(10);
    engine.stop(Duration::from_secs(20)).await;
    world.store.close().await;
}

/// Deliveries are begun before there is a slot for their call. One that waits for its slot when the connection is paused
/// goes back at once, unsent and without doubt; so it does when the process stops.
pub async fn what_waits_for_its_call_is_given_back(combination: Combination) {
    let world = World::new(combination).await;
    let (far, gate) = Far::behind_a_gate();
    let settings = TargetSettings { in_flight: 2, ..target("erp") };
    let running = world.start(&far, vec![settings.clone()]).await;
    running.accept((0..8).map(|number| intake(&format!("HT-{number}"), 1)).collect()).await;
    let in_state = async |state| {
        let filter = Filter { states: vec![state], ..Filter::default() };
        world.store.deliveries(filter).await.unwrap()
    };
    let two_of_four = async || in_state(State::Calling).await.len() == 4 && far.calls().len() == 2;
    until("two are called and two wait for it", two_of_four).await;
    assert!(running.engine.hold(erp(), "ops", "upgrade").await.unwrap());
    until("two went back", async || in_state(State::Waiting).await.len() == 2).await;
    for back in in_state(State::Waiting).await {
        assert_eq!(back.class.as_deref(), Some("throttled"), "{back:?}");
        assert!(back.fault.unwrap().message.en.contains("not sent"));
    }
    assert_eq!((in_state(State::Calling).await.len(), far.calls().len()), (2, 2));
    assert!(running.engine.release(erp(), "ops").await.unwrap());
    until("two wait for a call again", two_of_four).await;
    // A stop waits for calls, and not for those that wait for one.
    let stopping = tokio::spawn(async move { running.engine.stop(Duration::from_secs(20)).await });
    until("they went back again", async || in_state(State::Calling).await.len() == 2).await;
    gate.add_permits(100);
    assert!(stopping.await.unwrap().clean);
    assert_eq!((in_state(State::Posted).await.len(), far.calls().len()), (2, 2));
    let running = world.start(&far, vec![settings]).await;
    world.posted(8).await;
    far.assert_once_each(8);
    world.end(running).await;
}
