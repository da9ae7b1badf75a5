//! Papers for the control of invoices: the newest revision stays, and what a person does is done by one at a time.

use super::storing::{begun, emptied, finish};
use super::world::{Combination, World, intake};
use futures::future::join_all;
use std::sync::Arc;
use tongbao_delivery::invoicing::{InvoicePaper, PaperFilter};
use tongbao_delivery::port::{Finish, Finished, Next, Store, StoreError};
use tongbao_model::Class;

fn paper(contract: &str, kind: &str, number: &str, revision: i64) -> InvoicePaper {
    InvoicePaper {
        contract: contract.into(),
        kind: kind.into(),
        number: number.into(),
        revision,
        state: "waiting".into(),
        event: "e".into(),
        at_ms: 7,
        customer: Some("C1".into()),
        record: format!(r#"{{"amount":"0.10","note":"第 {revision} 版 <“引号”'>"}}"#),
    }
}

/// Puts papers in with an outcome; of an attempt that somebody else has by now nothing is stored.
async fn hear(store: &Arc<dyn Store>, key: &str, papers: Vec<InvoicePaper>, is_fenced: bool) {
    let one = intake(key, 1);
    store.accept(vec![one.clone()], None, 1).await.unwrap();
    let work = begun(store, &one.deliveries[0].id, 10, 2).await;
    let outcome = Finish { papers, ..finish(&work, 3, Next::Posted, Class::Done) };
    let outcome = Finish { attempt: outcome.attempt + u32::from(is_fenced), ..outcome };
    let expected = if is_fenced { Finished::Fenced } else { Finished::Stored };
    assert_eq!(store.finish(outcome).await.unwrap(), expected);
}

async fn keys(store: &Arc<dyn Store>, filter: PaperFilter) -> Vec<String> {
    let papers = store.invoice_papers_of(filter).await.unwrap();
    papers
        .iter()
        .map(|one| format!("{} {} {} {}", one.contract, one.kind, one.number, one.revision))
        .collect()
}

/// Whatever comes last, the newest revision is kept; a list goes on where it ended.
pub async fn the_newest_paper_counts(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    for revision in [3, 1, 4, 2] {
        hear(store, &format!("E{revision}"), vec![paper("HT-1", "order", "Q1", revision)], false).await;
    }
    let same = InvoicePaper { state: "other".into(), ..paper("HT-1", "order", "Q1", 4) };
    hear(store, "E5", vec![same], false).await;
    hear(store, "E6", vec![paper("HT-1", "order", "Q9", 1)], true).await;
    let more = [
        ("HT-2", "order", "Q1"),
        ("HT-1", "request", "Q2"),
        ("HT-1", "invoice", "Q2"),
        ("HT-3", "request", "Q3"),
    ];
    let mut others: Vec<InvoicePaper> =
        more.map(|(contract, kind, number)| paper(contract, kind, number, 1)).into();
    others[3].customer = None;
    others[2].state = "known".into();
    hear(store, "E7", others, false).await;
    assert_eq!(store.invoice_papers("HT-1").await.unwrap()[1], paper("HT-1", "order", "Q1", 4));
    assert_eq!(store.invoice_papers("HT-9").await.unwrap(), []);

    let all = PaperFilter::default();
    let expected =
        ["HT-1 invoice Q2 1", "HT-1 order Q1 4", "HT-1 request Q2 1", "HT-2 order Q1 1", "HT-3 request Q3 1"];
    assert_eq!(keys(store, all.clone()).await, expected);
    let mut paged = Vec::new();
    let mut filter = PaperFilter { limit: 2, ..all.clone() };
    loop {
        let page = store.invoice_papers_of(filter.clone()).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some((last.contract.clone(), last.kind.clone(), last.number.clone()));
        paged.extend(page);
    }
    assert_eq!(paged.len(), 5);
    for (filter, expected) in [
        (PaperFilter { kind: Some("request".into()), ..all.clone() }, vec![expected[2], expected[4]]),
        (PaperFilter { state: Some("known".into()), ..all.clone() }, vec![expected[0]]),
        (PaperFilter { number: Some("Q1".into()), ..all.clone() }, vec![expected[1], expected[3]]),
        (
            PaperFilter { kind: Some("request".into()), customer: Some("C1".into()), ..all.clone() },
            vec![expected[2]],
        ),
    ] {
        assert_eq!(keys(store, filter).await, expected);
    }
    store.close().await;
}

/// Of many who do something about the same papers one does, with its events; what anybody has changed meanwhile is left.
pub async fn papers_are_revised_by_one_at_a_time(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    hear(store, "E1", vec![paper("HT-1", "request", "Q1", 1), paper("HT-2", "request", "Q2", 1)], false)
        .await;
    emptied(store, 4).await;
    // Each in another order: those who lock wait for each other, and never for ever.
    let merged = |turn: usize| {
        let mut papers = vec![
            paper("HT-1", "request", "Q1", 2),
            paper("HT-2", "request", "Q2", 2),
            paper("HT-1", "order", "Q1", 1),
            paper("HT-2", "order", "Q1", 1),
        ];
        papers.rotate_left(turn % 4);
        papers
    };
    let racing = (0..6).map(|n| store.revise_invoice_papers(merged(n), vec![intake(&format!("I{n}"), 1)], 5));
    let done: Vec<bool> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(done.iter().filter(|done| **done).count(), 1);
    assert_eq!(emptied(store, 6).await.len(), 1, "one event with its delivery");
    assert_eq!(keys(store, PaperFilter::default()).await.len(), 4);
    // One of them does not stand where it was seen: none is changed.
    for wrong in [
        vec![paper("HT-1", "order", "Q1", 2), paper("HT-2", "order", "Q1", 3)],
        vec![paper("HT-1", "order", "Q1", 2), paper("HT-9", "order", "Q1", 2)],
        vec![paper("HT-1", "order", "Q1", 2), paper("HT-2", "order", "Q1", 1)],
    ] {
        assert!(!store.revise_invoice_papers(wrong, vec![intake("IX", 1)], 7).await.unwrap());
    }
    // An event that is there already belongs to somebody else.
    hear(store, "I9", Vec::new(), false).await;
    emptied(store, 8).await;
    let taken =
        store.revise_invoice_papers(vec![paper("HT-1", "order", "Q1", 2)], vec![intake("I9", 1)], 8).await;
    assert!(matches!(taken, Err(StoreError::Invalid(_))), "{taken:?}");
    assert_eq!(emptied(store, 9).await.len(), 0);
    let standing: Vec<i64> =
        store.invoice_papers("HT-1").await.unwrap().iter().map(|one| one.revision).collect();
    assert_eq!(standing, [1, 2]);
    assert!(store.revise_invoice_papers(vec![paper("HT-1", "order", "Q1", 2)], Vec::new(), 9).await.unwrap());
    store.close().await;
}
