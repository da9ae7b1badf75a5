//! Accepted once, in whatever company.

use super::world::{Combination, Far, World, fresh, intake, target, until};
use futures::future::join_all;
use std::collections::HashMap;
use tongbao_delivery::handler::Report;
use tongbao_delivery::port::{Accepted, Filter, State};
use tongbao_model::{Class, Code, Fault};

/// The same event from many senders at once: one is new, the others hear who was; other content is a conflict; an
/// older revision is late and sends nothing.
pub async fn one_of_many_concurrent_accepts_is_new(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::willing();
    let running = world.start(&far, vec![target("erp")]).await;
    let senders = (0..24).map(|number| {
        let mut one = intake("HT-1", 2);
        // A third of them carries other content under the same key and revision.
        if number % 3 == 0 {
            one.event.digest = "other".to_owned();
        }
        let running = &running;
        async move { (one.clone(), running.accept(vec![one]).await.remove(0)) }
    });
    let answers = join_all(senders).await;
    let (first, _) = answers.iter().find(|(_, accepted)| *accepted == Accepted::New).expect("one is new");
    for (sent, accepted) in &answers {
        let expected = match sent {
            sent if sent.event.id == first.event.id => Accepted::New,
            sent if sent.event.digest == first.event.digest => {
                Accepted::Repeat { event: first.event.id.clone() }
            }
            _ => Accepted::Conflict { event: first.event.id.clone() },
        };
        assert_eq!(*accepted, expected);
    }
    let mut twice = vec![intake("HT-1", 1), intake("HT-1", 3), intake("HT-2", 1), intake("HT-2", 1)];
    twice[3].event.id = fresh("e");
    let answers = running.accept(twice.clone()).await;
    let repeat = Accepted::Repeat { event: twice[2].event.id.clone() };
    assert_eq!(answers, [Accepted::Late, Accepted::New, Accepted::New, repeat]);
    let settled = world.settled(4, &[State::Posted, State::Superseded]).await;
    let superseded: Vec<_> = settled.iter().filter(|delivery| delivery.state == State::Superseded).collect();
    assert_eq!(superseded.len(), 1);
    assert_eq!(superseded[0].event, twice[0].event.id);
    far.assert_once_each(3);
    world.end(running).await;
}

/// Revisions of one document from many senders at once reach the far side in rising order; what came after a newer
/// one is superseded.
pub async fn news_never_turns_the_clock_back(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::willing();
    let running = world.start(&far, vec![target("erp")]).await;
    let (documents, revisions) = (6, 8);
    let mut all: Vec<_> = (0..documents)
        .flat_map(|document| (1..=revisions).map(move |revision| intake(&format!("HT-{document}"), revision)))
        .collect();
    fastrand::Rng::with_seed(7).shuffle(&mut all);
    let answers = join_all(all.into_iter().map(|one| running.accept(vec![one]))).await;
    let new = answers.iter().filter(|answer| answer[0] == Accepted::New).count();
    let late = answers.iter().filter(|answer| answer[0] == Accepted::Late).count();
    assert_eq!(new + late, answers.len());
    world.settled(answers.len(), &[State::Posted, State::Superseded]).await;
    far.assert_once_each(new);
    let mut last: HashMap<String, i64> = HashMap::new();
    for seen in far.calls() {
        let before = last.insert(seen.key.clone(), seen.revision).unwrap_or(0);
        assert!(before < seen.revision, "{} {before} then {}", seen.key, seen.revision);
    }
    assert!(last.values().all(|revision| *revision == revisions), "{last:?}");
    world.end(running).await;
}

/// What was parked for its content gives way to the corrected revision; what may have taken effect does not.
pub async fn a_newer_revision_takes_the_place_of_a_parked_one(combination: Combination) {
    let world = World::new(combination).await;
    let far = Far::new(|seen| async move {
        match (seen.key.as_str(), seen.revision) {
            ("content", 1) => Report::fault(Fault::new(Code::FieldMissing, "缺少客户", "no customer")),
            ("taken", 1) => Report::fault(Fault::new(Code::Defect, "程序错误", "a mistake of ours")),
            _ => Report::new(Class::Done),
        }
    });
    let running = world.start(&far, vec![target("erp")]).await;
    running.accept(vec![intake("content", 1), intake("taken", 1)]).await;
    let parked = Filter { states: vec![State::Parked], ..Filter::default() };
    until("both are parked", async || world.store.deliveries(parked.clone()).await.unwrap().len() == 2).await;
    running.accept(vec![intake("content", 2), intake("taken", 2)]).await;
    let of = |key: &str| Filter { key: Some(key.into()), ..Filter::default() };
    until("the corrected one is through", async || {
        world.store.deliveries(of("content")).await.unwrap().iter().any(|one| one.state == State::Posted)
    })
    .await;
    let states = async |key: &str| {
        let list = world.store.deliveries(of(key)).await.unwrap();
        list.into_iter().map(|one| one.state).collect::<Vec<_>>()
    };
    assert_eq!(states("content").await, [State::Superseded, State::Posted]);
    assert_eq!(states("taken").await, [State::Parked, State::Pending]);
    world.end(running).await;
}
