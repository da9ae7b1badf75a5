//! What the store promises by itself; times are made up.

use super::noting;
use super::world::{Combination, World, fresh, intake, intake_to, open};
use futures::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tongbao_delivery::Stalled;
use tongbao_delivery::port::{
    Accepted, Begin, Binding, Cursor, Filter, Finish, Finished, Holder, ImportMode, LedgerEntry, Next,
    Overview, RemoteRef, State, Store, StoreError, Subject, TableRow, Work,
};
use tongbao_delivery::statements::{Note, NoteKind};
use tongbao_model::{Class, Code, Fault};

pub fn finish(work: &Work, now_ms: i64, next: Next, class: Class) -> Finish {
    Finish::new(work, now_ms, next, class)
}

pub async fn begun(store: &Arc<dyn Store>, delivery: &str, lease_until_ms: i64, now_ms: i64) -> Work {
    match store.begin(delivery, "w", lease_until_ms, now_ms).await.unwrap() {
        Begin::Run(work) => *work,
        other => panic!("{other:?}"),
    }
}

pub async fn emptied(store: &Arc<dyn Store>, now_ms: i64) -> Vec<String> {
    let rows = store.outbox(10_000).await.unwrap();
    store.outbox_done(rows.iter().map(|row| row.id).collect(), now_ms).await.unwrap();
    rows.into_iter().map(|row| row.delivery).collect()
}

pub async fn one_worker_begins_and_a_late_finish_is_fenced(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let ids: Vec<String> = (0..12).map(|_| fresh("d")).collect();
    for (number, id) in ids.iter().enumerate() {
        let mut one = intake(&format!("K{number}"), 1);
        one.deliveries[0].id.clone_from(id);
        store.accept(vec![one], None, 1_000).await.unwrap();
    }
    for id in &ids {
        let asked = join_all((0..6).map(|_| store.begin(id, "w", 5_000, 2_000))).await;
        let ran = asked.iter().filter(|begin| matches!(begin, Ok(Begin::Run(_)))).count();
        let leased = asked.iter().filter(|begin| matches!(begin, Ok(Begin::Leased(_)))).count();
        assert_eq!((ran, leased), (1, 5), "{asked:?}");
    }
    let id = &ids[0];
    assert_eq!(store.begin(id, "other", 9_000, 4_999).await.unwrap(), Begin::Leased(5_000));
    // Nobody took over: the outcome is late and still the only one.
    let late = Finish {
        attempt: 1,
        delivery: ids[1].clone(),
        ..finish(&begun(store, id, 9_000, 5_000).await, 8_000, Next::Posted, Class::Done)
    };
    assert_eq!(store.finish(late).await.unwrap(), Finished::Stored);
    let second = begun(store, id, 19_000, 9_000).await;
    assert_eq!((second.attempt, second.tries), (3, 3));
    assert_eq!(
        second.previous.as_ref().map(|previous| (previous.class, previous.in_doubt)),
        Some((None, true))
    );
    for attempt in [1, 2, 4] {
        let fenced = Finish { attempt, ..finish(&second, 9_500, Next::Posted, Class::Done) };
        assert_eq!(store.finish(fenced).await.unwrap(), Finished::Fenced);
    }
    let again = finish(&second, 9_600, Next::Retry { at_ms: 12_000 }, Class::Unavailable);
    assert_eq!(store.finish(again.clone()).await.unwrap(), Finished::Stored);
    assert_eq!(store.finish(again).await.unwrap(), Finished::Fenced);
    assert_eq!(store.begin(id, "w", 20_000, 11_999).await.unwrap(), Begin::NotDue(12_000));
    let third = begun(store, id, 20_000, 12_000).await;
    let previous = third.previous.clone().unwrap();
    assert_eq!((previous.class, previous.in_doubt), (Some(Class::Unavailable), true));
    store.finish(finish(&third, 12_500, Next::Posted, Class::AlreadyThere)).await.unwrap();
    assert_eq!(store.begin(id, "w", 30_000, 21_000).await.unwrap(), Begin::Settled);
    assert_eq!(store.begin("nobody", "w", 30_000, 21_000).await.unwrap(), Begin::Settled);
    store.close().await;
}

pub async fn cursor_and_events_are_one(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let cursor = |position: &str| {
        Some(Cursor {
            connection: "erp".into(),
            stream: "AR_RECEIVEBILL".into(),
            position: position.into(),
            only_if_new: false,
        })
    };
    assert_eq!(store.cursor("erp", "AR_RECEIVEBILL").await.unwrap(), None);
    store.accept(vec![intake("A", 1)], cursor("1"), 1).await.unwrap();
    store.accept(vec![], cursor("2"), 2).await.unwrap();
    assert_eq!(store.cursor("erp", "AR_RECEIVEBILL").await.unwrap().as_deref(), Some("2"));
    // An event that cannot be kept takes the cursor and its neighbours with it.
    let too_long = intake(&"x".repeat(200), 1);
    let answer = store.accept(vec![intake("B", 1), too_long], cursor("3"), 3).await;
    assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
    // So does an id that is there already, which only the database can see.
    let twice = intake("C", 1);
    let mut same_id = intake("D", 1);
    same_id.event.id.clone_from(&twice.event.id);
    let answer = store.accept(vec![twice, same_id], cursor("4"), 4).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(store.cursor("erp", "AR_RECEIVEBILL").await.unwrap().as_deref(), Some("2"));
    for key in ["B", "C", "D"] {
        assert_eq!(store.find(key).await.unwrap(), []);
    }
    assert_eq!(store.outbox(10).await.unwrap().len(), 1);
    store.close().await;
}

/// The newest state of a document is that of the highest revision, whatever came last; as of a time, what was there then.
pub async fn the_newest_state_of_a_document_is_found(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let state = |source: &str, kind: Option<&str>, revision: i64| {
        let mut one = intake("HT-1", 1);
        one.deliveries.clear();
        one.event.source = source.to_owned();
        one.event.revision = revision;
        one.event.kind = kind.map_or(one.event.kind, str::to_owned);
        one
    };
    let (first, third, second) = (state("crm", None, 1), state("crm", None, 3), state("crm", None, 2));
    let elsewhere = state("other", None, 3);
    let other_kind = state("crm", Some("other"), 9);
    for (at_ms, one) in [
        (10, &first),
        (20, &third),
        (30, &second),
        (40, &elsewhere),
        (50, &other_kind),
        (60, &intake("HT-2", 1)),
    ] {
        store.accept(vec![one.clone()], None, at_ms).await.unwrap();
    }
    let kind = first.event.kind.as_str();
    for (until_ms, expected) in [
        (9, None),
        (10, Some(&first)),
        (19, Some(&first)),
        (20, Some(&third)),
        (35, Some(&third)),
        (i64::MAX, Some(&elsewhere)),
    ] {
        let found = store.newest(kind, "HT-1", until_ms).await.unwrap();
        assert_eq!(found.as_ref(), expected.map(|one| &one.event), "as of {until_ms}");
    }
    assert_eq!(store.newest(kind, "ht-1", i64::MAX).await.unwrap(), None);
    let latest = async |kinds: &[&str], limit| {
        let found = store.latest(kinds, limit).await.unwrap();
        found.into_iter().map(|event| (event.key, event.revision)).collect::<Vec<_>>()
    };
    let both = [("HT-2".to_owned(), 1), ("HT-1".to_owned(), 9), ("HT-1".to_owned(), 3)];
    assert_eq!(latest(&[kind, "other"], 3).await, both, "the newest first, and no more");
    assert_eq!(latest(&["other"], 3).await, [("HT-1".to_owned(), 9)]);
    assert_eq!(latest(&[], 3).await, []);
    store.close().await;
}

/// Case, trailing blanks, accents, width and emoji tell keys apart; numbers and long texts come back as they were.
pub async fn texts_are_kept_and_compared_exactly(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let keys = [
        "ht-1",
        "HT-1",
        "HT-1 ",
        " HT-1",
        "ht-１",
        "合同-1",
        "合同-１",
        "é",
        "e",
        "e\u{301}",
        "😀",
        "😁",
        "",
    ];
    for key in keys {
        assert_eq!(store.accept(vec![intake(key, 1)], None, 1).await.unwrap(), [Accepted::New], "{key:?}");
    }
    for key in keys {
        let found = store.find(key).await.unwrap();
        assert_eq!(found.iter().map(|event| event.key.as_str()).collect::<Vec<_>>(), [key]);
        let by_key = Filter { key: Some(key.into()), ..Filter::default() };
        assert_eq!(store.deliveries(by_key).await.unwrap().len(), 1, "{key:?}");
    }
    // Lanes of keys that differ in a blank or a case only do not wait for each other.
    let mut lanes = Vec::new();
    for delivery in store.deliveries(Filter::default()).await.unwrap() {
        lanes.push(begun(store, &delivery.id, 10, 2).await);
    }
    assert_eq!(lanes.len(), keys.len());
    let mut long = intake("long", 1);
    long.event.record =
        format!(r#"{{"amount":0.1000000000000000055511151231257827,"text":"{}"}}"#, "合同😀".repeat(40_000));
    store.accept(vec![long.clone()], None, 1).await.unwrap();
    assert_eq!(store.event(&long.event.id).await.unwrap(), Some(long.event));
    store.close().await;
}

pub async fn what_does_not_fit_is_refused_everywhere(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let mut nul = intake("A", 1);
    nul.event.record = "{\"a\":\"\0\"}".to_owned();
    let mut kind = intake("A", 1);
    kind.event.kind = "k".repeat(65);
    let mut flow = intake("A", 1);
    flow.deliveries[0].flow = "f".repeat(65);
    for wrong in [nul, kind, flow, intake(&"合".repeat(191), 1)] {
        assert!(matches!(store.accept(vec![wrong], None, 1).await, Err(StoreError::Invalid(_))));
    }
    assert_eq!(store.accept(vec![intake(&"合".repeat(190), 1)], None, 1).await.unwrap(), [Accepted::New]);
    let long = Note { customer: "客".repeat(191), ..noting::note("2026-10", "", 1, NoteKind::Sent) };
    assert!(matches!(store.note_statement(vec![long], None, 1).await, Err(StoreError::Invalid(_))));
    let memory = tongbao_store::open("sqlite::memory:", tongbao_store::StoreOptions::default()).await;
    assert!(matches!(memory, Err(StoreError::Invalid(_))));
    let unknown = tongbao_store::open("oracle://secret@host", tongbao_store::StoreOptions::default()).await;
    assert!(unknown.err().is_some_and(|error| !error.to_string().contains("secret")));
    store.close().await;
}

pub async fn accounts_keep_the_newest_revision(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let entry = |origin: &str, revision: i64, amount: &str, at_ms: i64| LedgerEntry {
        contract: "HT-1".into(),
        kind: "received".into(),
        origin: origin.into(),
        revision,
        amount: amount.into(),
        currency: "CNY".into(),
        event: "e".into(),
        at_ms,
        customer: Some("客户".into()),
        facts: r#"{"opportunity":"商机"}"#.into(),
    };
    let steps = [
        vec![entry("R-2", 1, "0.10", 20), entry("R-1", 3, "99999999999999999.99", 10)],
        vec![entry("R-1", 2, "1.00", 11), entry("R-2", 1, "5", 21)],
        vec![entry("R-2", 4, "-0.10", 22)],
    ];
    for (number, (entries, at_ms)) in steps.into_iter().zip([0, 10, 20]).enumerate() {
        let one = intake(&format!("K{number}"), 1);
        store.accept(vec![one.clone()], None, 1).await.unwrap();
        let work = begun(store, &one.deliveries[0].id, 10, 2).await;
        let outcome = Finish { entries, ..finish(&work, 3 + at_ms, Next::Posted, Class::Done) };
        assert_eq!(store.finish(outcome).await.unwrap(), Finished::Stored);
    }
    let expected = vec![entry("R-1", 3, "99999999999999999.99", 10), entry("R-2", 4, "-0.10", 22)];
    assert_eq!(store.ledger("HT-1").await.unwrap(), expected);
    assert_eq!(store.ledger("ht-1").await.unwrap(), []);
    // As of a time: what was stored by then, and of a customer the contracts whose newest revision names it.
    let contract = Holder::Contract("HT-1".into());
    let known = async |until_ms| {
        let entries = store.ledger_as_of(&contract, until_ms).await.unwrap();
        entries.into_iter().map(|entry| (entry.origin, entry.revision)).collect::<Vec<_>>()
    };
    assert_eq!(known(2).await, []);
    assert_eq!(known(22).await, [("R-1".to_owned(), 3), ("R-2".to_owned(), 1)]);
    assert_eq!(known(23).await, [("R-1".to_owned(), 3), ("R-2".to_owned(), 4)]);
    let ordered = |revision: i64, customer: &str| LedgerEntry {
        contract: "HT-9".into(),
        kind: LedgerEntry::ORDERED.into(),
        customer: Some(customer.into()),
        ..entry("HT-9", revision, "7.00", 1)
    };
    for (revision, customer) in [(1, "C1"), (2, "C2")] {
        let one = intake(&format!("HT-9/{revision}"), 1);
        store.accept(vec![one.clone()], None, 1).await.unwrap();
        let work = begun(store, &one.deliveries[0].id, 10, 2).await;
        let entries = vec![ordered(revision, customer)];
        let outcome = Finish { entries, ..finish(&work, 100 * revision, Next::Posted, Class::Done) };
        assert_eq!(store.finish(outcome).await.unwrap(), Finished::Stored);
    }
    let of = async |customer: &str, until_ms| {
        store.ledger_as_of(&Holder::Customer(customer.into()), until_ms).await.unwrap().len()
    };
    assert_eq!((of("C1", 150).await, of("C1", 250).await), (1, 0), "the contract went to another customer");
    assert_eq!((of("C2", 150).await, of("C2", 250).await, of("客户", 250).await), (0, 1, 0));
    // The journal has every revision with its time, and on every contract that ever named the customer.
    let recorded = async |of: Holder| {
        let journal = store.journal(&of).await.unwrap().into_iter();
        journal.map(|one| (one.entry.origin, one.entry.revision, one.at_ms)).collect::<BTreeSet<_>>()
    };
    let all = [
        ("R-1".to_owned(), 2, 13),
        ("R-1".to_owned(), 3, 3),
        ("R-2".to_owned(), 1, 3),
        ("R-2".to_owned(), 4, 23),
    ];
    assert_eq!(recorded(Holder::Contract("HT-1".into())).await, BTreeSet::from(all));
    let both = BTreeSet::from([("HT-9".to_owned(), 1, 100), ("HT-9".to_owned(), 2, 200)]);
    for customer in ["C1", "C2"] {
        assert_eq!(recorded(Holder::Customer(customer.into())).await, both);
    }
    assert_eq!(recorded(Holder::Customer("C9".into())).await, BTreeSet::new());
    // Many at once: the newest stands, whoever comes last.
    let racing = (1..=12).map(|revision| {
        let entry = LedgerEntry { contract: "HT-2".into(), ..entry("R", revision, &revision.to_string(), 1) };
        async move {
            let one = intake(&format!("race{revision}"), 1);
            store.accept(vec![one.clone()], None, 1).await.unwrap();
            let work = begun(store, &one.deliveries[0].id, 10, 2).await;
            let outcome = Finish { entries: vec![entry], ..finish(&work, 3, Next::Posted, Class::Done) };
            store.finish(outcome).await.unwrap()
        }
    });
    assert!(join_all(racing).await.iter().all(|finished| *finished == Finished::Stored));
    let account = store.ledger("HT-2").await.unwrap();
    assert_eq!(account.iter().map(|entry| entry.amount.as_str()).collect::<Vec<_>>(), ["12"]);
    store.close().await;
}

pub async fn numbers_are_found_from_both_ends(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let one = intake("HT-1", 1);
    let mut cause = intake_to("crm", "R-1", 1);
    cause.event.cause = Some(one.deliveries[0].id.clone());
    store.accept(vec![one.clone(), intake("100123", 1)], None, 1).await.unwrap();
    let work = begun(store, &one.deliveries[0].id, 10, 2).await;
    let remote = RemoteRef { id: "100123".into(), number: "XSDD000001".into(), step: "audited".into() };
    let binding = Binding {
        target: "erp".into(),
        kind: "SAL_SaleOrder".into(),
        key: "HT-1".into(),
        remote: remote.clone(),
        delivery: one.deliveries[0].id.clone(),
    };
    let fault = Fault::new(Code::TargetLocked, "单据被锁定", "locked");
    let outcome = Finish {
        binding: Some(binding.clone()),
        remote: Some(remote),
        fault: Some(fault.clone()),
        request: Some(r#"{"FBillNo":"HT-1"}"#.into()),
        response: Some("{}".into()),
        mapping: Some("contract-to-kingdee@1".into()),
        tables_revision: Some(7),
        follow_on: vec![cause.clone(), cause.clone()],
        ..finish(&work, 3, Next::Posted, Class::Done)
    };
    store.finish(outcome).await.unwrap();
    let keys =
        |events: Vec<tongbao_model::Event>| events.into_iter().map(|event| event.key).collect::<Vec<_>>();
    assert_eq!(keys(store.find("HT-1").await.unwrap()), ["HT-1"]);
    assert_eq!(keys(store.find("XSDD000001").await.unwrap()), ["HT-1"]);
    assert_eq!(keys(store.find("100123").await.unwrap()), ["HT-1", "100123"]);
    assert_eq!(store.find("nothing").await.unwrap(), []);
    assert_eq!(store.binding("erp", "SAL_SaleOrder", "HT-1").await.unwrap(), Some(binding));
    let (view, attempts, event) = store.delivery(&one.deliveries[0].id).await.unwrap().unwrap();
    assert_eq!((view.state, view.attempts, view.fault.as_ref()), (State::Posted, 1, Some(&fault)));
    assert_eq!(event, one.event);
    let attempt = &attempts[0];
    assert_eq!((attempt.started_at_ms, attempt.ended_at_ms, attempt.tables_revision), (2, Some(3), Some(7)));
    assert_eq!(attempt.mapping.as_deref(), Some("contract-to-kingdee@1"));
    assert_eq!(store.caused_by(&view.id).await.unwrap(), [cause.event]);
    assert_eq!(store.deliveries_of(&one.event.id).await.unwrap(), [view]);
    let counts = store.counts().await.unwrap();
    let posted = counts.iter().find(|count| count.state == State::Posted).unwrap();
    assert_eq!((posted.target.as_str(), posted.count, counts.len()), ("erp", 1, 3));
    store.ping().await.unwrap();
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
}

pub async fn code_tables_merge_replace_and_count(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let row = |source: &str, target: &str| TableRow {
        table: "customers".into(),
        source: source.into(),
        target: target.into(),
        note: "备注".into(),
        ..TableRow::default()
    };
    assert_eq!(store.tables_revision().await.unwrap(), 0);
    let rows = vec![row("a", "1"), row("A", "2"), row("a ", "3")];
    assert_eq!(store.import_table("customers", rows.clone(), ImportMode::Merge).await.unwrap(), (3, 0, 0));
    let merged = store.import_table("customers", vec![row("a", "9"), row("b", "4")], ImportMode::Merge).await;
    assert_eq!(merged.unwrap(), (1, 1, 0));
    let materials = TableRow { table: "materials".into(), ..row("m", "1") };
    store.import_table("materials", vec![materials.clone()], ImportMode::Replace).await.unwrap();
    let expected = vec![row("A", "2"), row("a", "9"), row("a ", "3"), row("b", "4")];
    assert_eq!(store.table_rows(Some("customers")).await.unwrap(), expected);
    assert_eq!(store.import_table("customers", rows.clone(), ImportMode::Replace).await.unwrap(), (0, 1, 1));
    assert_eq!(store.table_rows(None).await.unwrap().len(), 4);
    assert_eq!(store.tables_revision().await.unwrap(), 4);
    let wrong = [vec![row("x", "1"), row("x", "2")], vec![materials]];
    for rows in wrong {
        let refused = store.import_table("customers", rows, ImportMode::Merge).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(store.tables_revision().await.unwrap(), 4);
    let many =
        join_all((0..6).map(|_| store.import_table("customers", vec![row("n", "1")], ImportMode::Merge)))
            .await;
    assert_eq!(many.into_iter().map(|answer| answer.unwrap().0).sum::<u64>(), 1);
    assert_eq!(store.tables_revision().await.unwrap(), 10);
    store.close().await;
}

pub async fn a_person_binds_a_parked_delivery(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let (one, two) = (intake("HT-1", 1), intake("HT-1", 2));
    store.accept(vec![one.clone()], None, 1).await.unwrap();
    store.accept(vec![two.clone()], None, 1).await.unwrap();
    emptied(store, 1).await;
    let id = &one.deliveries[0].id;
    let binding = Binding {
        target: "erp".into(),
        kind: "SAL_SaleOrder".into(),
        key: "HT-1".into(),
        remote: RemoteRef { id: "7".into(), number: "N7".into(), step: String::new() },
        delivery: id.clone(),
    };
    assert!(!store.bind(id, binding.clone(), 2).await.unwrap(), "not parked");
    let work = begun(store, id, 10, 3).await;
    store.finish(finish(&work, 4, Next::Parked, Class::Unknown)).await.unwrap();
    assert_eq!(emptied(store, 4).await, Vec::<String>::new());
    assert_eq!(store.begin(&two.deliveries[0].id, "w", 10, 5).await.unwrap(), Begin::Behind);
    assert!(store.bind(id, binding, 6).await.unwrap());
    assert_eq!(emptied(store, 7).await, [two.deliveries[0].id.clone()], "its successor goes on");
    let (view, attempts, _) = store.delivery(id).await.unwrap().unwrap();
    assert_eq!((view.state, view.attempts, view.class.as_deref()), (State::Posted, 2, Some("already-there")));
    assert_eq!(attempts[1].worker, "by hand");
    assert_eq!(store.find("N7").await.unwrap(), [one.event]);
    store.close().await;
}

/// A rejected delivery comes back unless a newer revision of its document has gone on without it; while it is
/// back, what had gone on in its lane waits for it.
pub async fn replay_does_not_bring_back_old_news(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let (old, new) = (intake("HT-1", 1), intake("HT-1", 2));
    let (alone, mut other) = (intake("HT-2", 1), intake("HT-2", 1));
    other.event.kind = "invoice.requested".to_owned();
    for one in [&old, &new, &alone, &other] {
        store.accept(vec![one.clone()], None, 1).await.unwrap();
    }
    for one in [&old, &alone] {
        let work = begun(store, &one.deliveries[0].id, 10, 2).await;
        store.finish(finish(&work, 3, Next::Rejected, Class::Rejected)).await.unwrap();
    }
    // Another document of the second lane is being called when its elder comes back.
    let calling = begun(store, &other.deliveries[0].id, 100, 4).await;
    emptied(store, 4).await;
    let all = Filter { states: vec![State::Rejected], ..Filter::default() };
    let elder = &alone.deliveries[0].id;
    assert_eq!(store.replay(all, 5).await.unwrap().ids, std::slice::from_ref(elder));
    assert_eq!(emptied(store, 5).await, std::slice::from_ref(elder));
    assert_eq!(store.begin(elder, "w", 100, 6).await.unwrap(), Begin::Behind, "one call at a time in a lane");
    store.finish(finish(&calling, 7, Next::Retry { at_ms: 8 }, Class::Unavailable)).await.unwrap();
    let mut woken = emptied(store, 7).await;
    woken.sort();
    let mut both = vec![elder.clone(), other.deliveries[0].id.clone()];
    both.sort();
    assert_eq!(woken, both, "the elder is told that it may go, the younger that it may try");
    assert_eq!(store.begin(&other.deliveries[0].id, "w", 100, 9).await.unwrap(), Begin::Behind);
    let work = begun(store, elder, 100, 9).await;
    assert_eq!((work.attempt, work.tries, work.window_start_ms), (2, 1, 5));
    store.close().await;
}

pub async fn several_processes_open_at_once(combination: Combination) {
    let world = World::new(combination).await;
    let url = match combination.database {
        super::world::Database::Sqlite => format!("{}.second", world.url),
        super::world::Database::Postgres => {
            second(&world, |name| crate::servers::Servers::get().postgres_url(name)).await
        }
        super::world::Database::MariaDb => {
            second(&world, |name| crate::servers::Servers::get().mariadb_url(name)).await
        }
        super::world::Database::Memory => panic!("it has no address"),
    };
    let stores = join_all((0..4).map(|_| open(&url))).await;
    for (number, store) in stores.iter().enumerate() {
        store.accept(vec![intake(&format!("K{number}"), 1)], None, 1).await.unwrap();
    }
    assert_eq!(stores[0].deliveries(Filter::default()).await.unwrap().len(), 4);
    for store in stores.iter().chain([&world.store]) {
        store.close().await;
    }
}

async fn second(world: &World, make: fn(&str) -> String) -> String {
    let name = format!("second_{}", world.prefix.trim_end_matches('.'));
    tokio::task::spawn_blocking(move || make(&name)).await.unwrap()
}

/// Finishing, accepting and beginning race in few lanes, with no sweeper to help: every successor gets its row.
pub async fn concurrent_lanes_lose_no_successor(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let (lanes, each) = (3, 25);
    let all = u64::try_from(lanes * each).unwrap();
    let accepting = async {
        for revision in 1..=each {
            for lane in 0..lanes {
                store.accept(vec![intake(&format!("L{lane}"), revision)], None, 1).await.unwrap();
            }
        }
    };
    let done = AtomicU64::new(0);
    // As a relay and a worker do, without the broker between them.
    let working = (0..6).map(|worker| {
        let done = &done;
        async move {
            while done.load(Ordering::SeqCst) < all {
                let rows = store.outbox(50).await.unwrap();
                let Some(row) = rows.get(worker % rows.len().max(1)) else {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                };
                store.outbox_done(vec![row.id], 2).await.unwrap();
                if let Begin::Run(work) = store.begin(&row.delivery, "w", 1_000, 3).await.unwrap() {
                    let outcome = finish(&work, 4, Next::Posted, Class::Done);
                    assert_eq!(store.finish(outcome).await.unwrap(), Finished::Stored);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    let racing = async { tokio::join!(accepting, join_all(working)) };
    if tokio::time::timeout(super::world::PATIENCE, racing).await.is_err() {
        panic!("a successor was forgotten: {:?}", store.counts().await.unwrap());
    }
    store.close().await;
}

/// Callers that are dropped in the middle (clients that hang up, engines that are cut off) leave no connection
/// behind that is of no use to anybody.
pub async fn callers_that_leave_take_nothing_with_them(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    for number in 0..240 {
        let patience = Duration::from_micros(number * 25);
        let key = format!("K{number}");
        match number % 3 {
            0 => drop(tokio::time::timeout(patience, store.find(&key)).await),
            1 => drop(tokio::time::timeout(patience, store.accept(vec![intake(&key, 1)], None, 1)).await),
            _ => drop(tokio::time::timeout(patience, store.sweep(&Stalled::before(0), 0)).await),
        }
    }
    let asked = join_all((0..32).map(|_| store.counts())).await;
    assert!(asked.iter().all(Result::is_ok), "{asked:?}");
    let begun = std::time::Instant::now();
    store.close().await;
    assert!(begun.elapsed() < Duration::from_secs(9), "waited for a connection that does not come back");
}

pub async fn sweep_finds_what_stalled_and_nothing_else(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let named = |name: &str| {
        let mut one = intake(name, 1);
        one.deliveries[0].id = name.to_owned();
        one
    };
    for name in ["pending", "in-outbox", "waiting", "calling", "leased", "parked", "posted", "recent"] {
        store.accept(vec![named(name)], None, 1_000).await.unwrap();
    }
    let mut successor = intake("pending", 2);
    successor.deliveries[0].id = "successor".to_owned();
    store.accept(vec![successor], None, 1_000).await.unwrap();
    for (name, next, class) in [
        ("waiting", Next::Retry { at_ms: 2_500 }, Class::Unavailable),
        ("parked", Next::Parked, Class::Rejected),
        ("posted", Next::Posted, Class::Done),
    ] {
        let work = begun(store, name, 3_000, 1_500).await;
        store.finish(finish(&work, 1_600, next, class)).await.unwrap();
    }
    begun(store, "calling", 3_000, 1_500).await;
    begun(store, "leased", 9_000, 1_500).await;
    let rows = store.outbox(100).await.unwrap();
    let (late, early): (Vec<_>, Vec<_>) =
        rows.into_iter().filter(|row| row.delivery != "in-outbox").partition(|row| row.delivery == "recent");
    let (rows, span) = (store.outbox_count(&[]).await.unwrap(), store.outbox_span().await.unwrap());
    assert!(rows == 10 && span >= rows, "{rows} within {span}");
    let of_target = store.outbox_of("erp", 1_000, &[], 100).await.unwrap();
    assert!(of_target.iter().all(|row| row.due_at_ms <= 1_000) && of_target.len() == 9);
    assert_eq!(store.outbox_of("crm", 9_999, &[], 100).await.unwrap(), []);
    let known: Vec<i64> = of_target.iter().take(7).map(|row| row.id).collect();
    assert_eq!(store.outbox_of("erp", 1_000, &known, 1).await.unwrap(), of_target[7..8]);
    assert_eq!(store.outbox_of("erp", 1_000, &known, 100).await.unwrap(), of_target[7..]);
    store.outbox_done(early.iter().map(|row| row.id).collect(), 2_000).await.unwrap();
    store.outbox_done(late.iter().map(|row| row.id).collect(), 4_000).await.unwrap();
    // Stalled is what was published before 3,500; the clock says 5,000.
    assert_eq!(store.sweep(&Stalled::before(3_500), 5_000).await.unwrap(), 3);
    assert_eq!(store.sweep(&Stalled::before(3_500), 5_000).await.unwrap(), 0, "they are in the outbox now");
    let mut swept = emptied(store, 5_000).await;
    swept.sort();
    assert_eq!(swept, ["calling", "in-outbox", "pending", "waiting"]);
    assert_eq!(store.sweep(&Stalled::before(3_500), 5_000).await.unwrap(), 0, "they were published just now");
    // After a start with an empty broker, everything that is not final comes back, but no call under way.
    assert_eq!(store.sweep(&Stalled::everything(), 5_100).await.unwrap(), 5);
    let mut swept = emptied(store, 5_100).await;
    swept.sort();
    assert_eq!(swept, ["calling", "in-outbox", "pending", "recent", "waiting"]);
    // More than one page.
    let many = (0..2_100).map(|number| intake(&format!("many-{number}"), 1)).collect();
    store.accept(many, None, 6_000).await.unwrap();
    emptied(store, 6_000).await;
    assert_eq!(store.sweep(&Stalled::before(6_001), 7_000).await.unwrap(), 2_105);
    store.close().await;
}

/// What stands in each connection, by state and class; what is done is not counted.
pub async fn the_overview_counts_what_is_not_done(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    assert_eq!(store.overview().await.unwrap(), []);
    let mut ids = Vec::new();
    for (number, at_ms) in [1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000].into_iter().enumerate() {
        let one = intake(&format!("K{number}"), 1);
        store.accept(vec![one.clone()], None, at_ms).await.unwrap();
        ids.push(one.deliveries[0].id.clone());
    }
    store.accept(vec![intake_to("crm", "K", 1)], None, 9_000).await.unwrap();
    emptied(store, 9_500).await;
    for (id, next, class) in [
        (&ids[0], Next::Posted, Class::Done),
        (&ids[1], Next::Parked, Class::Rejected),
        (&ids[2], Next::Parked, Class::Unknown),
        (&ids[3], Next::Parked, Class::Unknown),
        (&ids[4], Next::Rejected, Class::Rejected),
        (&ids[5], Next::Retry { at_ms: 20_000 }, Class::Unavailable),
    ] {
        let work = begun(store, id, 90_000, 10_000).await;
        store.finish(finish(&work, 11_000, next, class)).await.unwrap();
    }
    begun(store, &ids[6], 90_000, 12_000).await;
    let of = |target: &str| Overview { target: target.into(), ..Overview::default() };
    let crm = Overview { pending: 1, oldest_at_ms: Some(9_000), ..of("crm") };
    let erp = Overview {
        pending: 1,
        calling: 1,
        waiting: 1,
        parked: [("rejected".to_owned(), 1), ("unknown".to_owned(), 2)].into(),
        rejected: 1,
        oldest_at_ms: Some(6_000),
        outbox: 1,
        ..of("erp")
    };
    let counted = store.overview().await.unwrap();
    assert_eq!(counted, [crm, erp]);
    assert_eq!(counted[1].backlog(), 3);
    // Behind a parked one: its successors, whatever else their lane holds, and nobody else's.
    assert_eq!(store.behind_parked().await.unwrap(), [].into());
    store.accept(vec![intake("K3", 2), intake("K3", 3), intake("K5", 2)], None, 13_000).await.unwrap();
    assert_eq!(store.behind_parked().await.unwrap(), [("erp".to_owned(), 2)].into());
    store.close().await;
}

/// What a dry run counts is what a replay puts back: by class, by time, and in pages that end.
pub async fn a_replay_takes_what_its_dry_run_has_counted(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    // 450 stopped in the outage at 10,000 (every third rejected, a few of those outdated), 3 before it, 3 after.
    let mut intakes: Vec<_> = (0..450).map(|number| intake(&format!("K{number}"), 1)).collect();
    intakes.extend((0..6).map(|number| intake_to("crm", &format!("C{number}"), 1)));
    let ids: Vec<String> = intakes.iter().map(|one| one.deliveries[0].id.clone()).collect();
    store.accept(intakes, None, 1_000).await.unwrap();
    let fault = Some(Fault::new(Code::TargetUnavailable, "不可用", "not available"));
    for (number, id) in ids.iter().enumerate() {
        let work = begun(store, id, 90_000, 2_000).await;
        let (next, class) = match number {
            450.. => (Next::Parked, Class::Unknown),
            _ if number % 3 == 0 => (Next::Rejected, Class::Rejected),
            _ => (Next::Parked, Class::Unavailable),
        };
        let at_ms = match number {
            450..453 => 5_000,
            453.. => 15_000,
            _ => 10_000,
        };
        let outcome = Finish { fault: fault.clone(), ..finish(&work, at_ms, next, class) };
        store.finish(outcome).await.unwrap();
    }
    store
        .accept((0..5).map(|number| intake(&format!("K{}", number * 3), 2)).collect(), None, 1_000)
        .await
        .unwrap();
    emptied(store, 20_000).await;
    let outage =
        Filter { changed_from_ms: Some(10_000), changed_before_ms: Some(15_000), ..Filter::default() };
    let would = store.replayable(outage.clone()).await.unwrap();
    let groups: Vec<_> = would
        .groups
        .iter()
        .map(|group| (group.target.as_str(), group.state, group.class.as_deref(), group.count))
        .collect();
    let expected =
        [("erp", State::Parked, Some("unavailable"), 300), ("erp", State::Rejected, Some("rejected"), 145)];
    assert_eq!(groups, expected);
    assert_eq!((would.count(), would.first.len()), (445, 10));
    assert_eq!(would.groups[0].code.as_deref(), Some("target-unavailable"));
    assert_eq!(store.outbox(10).await.unwrap(), [], "a dry run does nothing");
    let unknown =
        Filter { class: Some("unknown".into()), changed_before_ms: Some(5_001), ..Filter::default() };
    assert_eq!(store.replay(unknown, 21_000).await.unwrap().ids, ids[450..453]);
    // In calls of 150: each goes on where the one before ended, past what has parked again meanwhile.
    let mut all = Vec::new();
    let mut filter = Filter { limit: 150, ..outage };
    for (expected, again) in [(150, true), (150, true), (145, false)] {
        let page = store.replay(filter.clone(), 12_000).await.unwrap();
        assert_eq!((page.ids.len(), page.next.is_some()), (expected, again));
        let work = begun(store, &page.ids[0], 90_000, 13_000).await;
        store.finish(finish(&work, 14_000, Next::Parked, Class::Unavailable)).await.unwrap();
        filter.after_seq = page.next;
        all.extend(page.ids);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 445);
    let states = Filter { states: vec![State::Posted], ..Filter::default() };
    assert_eq!(store.replayable(states).await.unwrap().count(), 0);
    // One call goes through several transactions.
    let parked = Filter { limit: 10_000, target: Some("erp".into()), ..Filter::default() };
    let more: Vec<_> = (0..450).map(|number| intake(&format!("M{number}"), 1)).collect();
    let ids: Vec<String> = more.iter().map(|one| one.deliveries[0].id.clone()).collect();
    store.accept(more, None, 30_000).await.unwrap();
    for id in &ids {
        let work = begun(store, id, 90_000, 31_000).await;
        store.finish(finish(&work, 32_000, Next::Parked, Class::Unknown)).await.unwrap();
    }
    let replayed = store.replay(parked, 33_000).await.unwrap();
    assert_eq!(
        (replayed.ids.len(), replayed.next),
        (450 + 3, None),
        "these, and the three that parked again"
    );
    store.close().await;
}

/// Of many who pause at once one does; it lasts until somebody ends it, and who it was is known afterwards.
pub async fn a_pause_has_one_beginning_and_one_end(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let erp = || Subject::Connection("erp".into());
    let asked = join_all((0..6).map(|number| {
        let store = store.clone();
        async move { store.hold(erp(), &format!("p{number}"), "升级", 1_000).await.unwrap() }
    }))
    .await;
    assert_eq!(asked.iter().filter(|first| **first).count(), 1, "{asked:?}");
    assert!(
        store.hold(Subject::Intake, "finance", "", 1_500).await.unwrap(),
        "one does not stand for another"
    );
    let other = open(&world.url).await;
    let known = other.holds(i64::MAX).await.unwrap();
    assert_eq!(known.iter().map(|hold| &hold.subject).collect::<Vec<_>>(), [&Subject::Intake, &erp()]);
    assert_eq!((known[1].since_ms, known[1].until_ms, known[1].why.as_str()), (1_000, None, "升级"));
    let ended = join_all((0..6).map(|_| other.release(erp(), "q", 3_000))).await;
    assert_eq!(ended.iter().filter(|answer| *answer.as_ref().unwrap()).count(), 1);
    // Again within the same millisecond, and with a clock that was set back.
    assert!(store.hold(erp(), "r", "", 1_000).await.unwrap());
    assert!(store.release(erp(), "r", 500).await.unwrap());
    assert!(!store.release(erp(), "r", 600).await.unwrap());
    let ended = |from_ms| async move {
        let all = store.holds(from_ms).await.unwrap();
        all.into_iter()
            .filter_map(|hold| Some((hold.since_ms, hold.until_ms?, hold.ended_by?)))
            .collect::<Vec<_>>()
    };
    let (first, second) = ((1_000, 3_000, "q".to_owned()), (1_001, 1_001, "r".to_owned()));
    assert_eq!(ended(0).await, [second, first.clone()]);
    assert_eq!(ended(2_000).await, [first]);
    let too_long = store.hold(erp(), &"x".repeat(191), "", 1).await;
    assert!(matches!(too_long, Err(StoreError::Invalid(_))), "{too_long:?}");
    // What waits because of a pause has not stalled; when the queues are known to be empty, it comes all the same.
    store.accept(vec![intake("K", 1), intake_to("crm", "C", 1)], None, 4_000).await.unwrap();
    emptied(store, 4_000).await;
    store.hold(erp(), "r", "", 4_500).await.unwrap();
    assert_eq!(
        store.sweep(&Stalled::before(5_000), 90_000).await.unwrap(),
        1,
        "that of the other connection"
    );
    store.release(erp(), "r", 6_000).await.unwrap();
    assert_eq!(
        store.sweep(&Stalled::before(5_500), 90_000).await.unwrap(),
        0,
        "the queue has only just begun to be worked on"
    );
    assert_eq!(store.sweep(&Stalled::before(6_001), 90_000).await.unwrap(), 1);
    emptied(store, 6_500).await;
    store.hold(erp(), "r", "", 7_000).await.unwrap();
    assert_eq!(store.sweep(&Stalled::before(90_000), 90_000).await.unwrap(), 2);
    // Years of others coming and going: what stands is known, what ended long ago is not kept.
    let crm = || Subject::Connection("crm".into());
    for round in 1..=1_010 {
        let now_ms = 86_400_000 * round;
        assert!(store.hold(crm(), "cron", "", now_ms).await.unwrap());
        assert!(store.release(crm(), "cron", now_ms + 1).await.unwrap());
    }
    let known = store.holds(0).await.unwrap();
    let standing: Vec<_> = known.iter().filter(|hold| hold.until_ms.is_none()).collect();
    assert_eq!(standing.iter().map(|hold| hold.since_ms).collect::<Vec<_>>(), [7_000, 1_500]);
    assert_eq!(known.len() - standing.len(), 401);
    other.close().await;
    store.close().await;
}

/// Finished events move out with all that belongs to them, and the store answers as if they were still there: repeats,
/// conflicts and old news are recognised. What is open, fresh, or came back in between stays.
pub async fn what_is_archived_is_still_known(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let mut by_name = std::collections::BTreeMap::new();
    for (name, at_ms) in
        [("posted", 1_000), ("rejected", 1_100), ("back", 1_200), ("parked", 1_300), ("late", 1_400)]
    {
        let one = intake(name, 5);
        store.accept(vec![one.clone()], None, at_ms).await.unwrap();
        by_name.insert(name, one);
    }
    let mut unwanted = intake("unwanted", 1);
    unwanted.deliveries.clear();
    store.accept(vec![unwanted, intake("pending", 1)], None, 1_500).await.unwrap();
    store.accept(vec![intake("fresh", 1)], None, 50_000).await.unwrap();
    let remote = RemoteRef { id: "7".into(), number: "XS7".into(), step: "audited".into() };
    let id_of = |name: &str| by_name[name].deliveries[0].id.clone();
    let mut derived = intake_to("crm", "XS7", 1);
    derived.event.cause = Some(id_of("posted"));
    for (name, next, class, at_ms) in [
        ("posted", Next::Posted, Class::Done, 2_000),
        ("rejected", Next::Rejected, Class::Rejected, 2_000),
        ("back", Next::Rejected, Class::Rejected, 2_000),
        ("parked", Next::Parked, Class::Unknown, 2_000),
        ("late", Next::Posted, Class::Done, 60_000),
    ] {
        let work = begun(store, &id_of(name), 90_000, 1_900).await;
        let binding = Binding {
            target: "erp".into(),
            kind: "SAL_SaleOrder".into(),
            key: name.into(),
            remote: remote.clone(),
            delivery: id_of(name),
        };
        let (binding, follow_on) =
            if name == "posted" { (Some(binding), vec![derived.clone()]) } else { (None, vec![]) };
        let outcome = Finish { binding, follow_on, ..finish(&work, at_ms, next, class) };
        store.finish(outcome).await.unwrap();
    }
    // Page by page: pages of open ones are stepped over.
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.archivable(40_000, after, 2).await.unwrap();
        found.extend(page.bundles);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let keys: Vec<&str> = found.iter().map(|bundle| bundle.event.key.as_str()).collect();
    assert_eq!(keys, ["posted", "rejected", "back", "unwanted"]);
    let first = &found[0];
    assert_eq!((&first.event, first.accepted_at_ms), (&by_name["posted"].event, 1_000));
    assert_eq!((first.deliveries[0].delivery.state, first.deliveries[0].attempts.len()), (State::Posted, 1));
    // One comes back between being written and being removed.
    store.replay(Filter { ids: vec![id_of("back")], ..Filter::default() }, 45_000).await.unwrap();
    let all: Vec<String> = found.iter().map(|bundle| bundle.event.id.clone()).collect();
    let open = [by_name["parked"].event.id.clone(), by_name["late"].event.id.clone()];
    let asked = [all.as_slice(), &open].concat();
    assert_eq!(store.archive(asked.clone(), 40_000, "1970-01.jsonl.gz", 46_000).await.unwrap(), 3);
    assert_eq!(store.archive(asked, 40_000, "1970-02.jsonl.gz", 46_000).await.unwrap(), 0, "once");
    assert_eq!(store.delivery(&id_of("posted")).await.unwrap(), None);
    assert_eq!(store.find("posted").await.unwrap(), []);
    assert_eq!(store.find("back").await.unwrap().len(), 1);
    for number in ["posted", "XS7", "7"] {
        let told = store.archived(number).await.unwrap();
        assert_eq!(told.len(), 1, "{number}");
        assert_eq!((told[0].event.as_str(), told[0].file.as_str()), (all[0].as_str(), "1970-01.jsonl.gz"));
    }
    assert_eq!(store.archived("parked").await.unwrap(), []);
    let bound = store.binding("erp", "SAL_SaleOrder", "posted").await.unwrap().unwrap();
    assert_eq!(bound.remote, remote, "the document's number stays known");
    // As ever: the same is a repeat, other content a conflict, an older revision old news, a newer one news.
    let same = Accepted::Repeat { event: all[0].clone() };
    assert_eq!(store.accept(vec![intake("posted", 5)], None, 70_000).await.unwrap(), [same]);
    let mut other = intake("posted", 5);
    other.event.digest = "other".into();
    let conflict = Accepted::Conflict { event: all[0].clone() };
    assert_eq!(store.accept(vec![other], None, 70_000).await.unwrap(), [conflict]);
    let answers = store.accept(vec![intake("posted", 4), intake("posted", 6)], None, 70_000).await.unwrap();
    assert_eq!(answers, [Accepted::Late, Accepted::New]);
    // A newer revision that is archived still keeps an older one from coming back.
    let (old, new) = (intake("pair", 1), intake("pair", 2));
    for (one, next, class, at_ms) in
        [(&old, Next::Rejected, Class::Rejected, 95_000), (&new, Next::Posted, Class::Done, 81_000)]
    {
        store.accept(vec![one.clone()], None, 80_000).await.unwrap();
        let work = begun(store, &one.deliveries[0].id, 99_000, 80_000).await;
        store.finish(finish(&work, at_ms, next, class)).await.unwrap();
    }
    assert_eq!(store.archive(vec![new.event.id], 90_000, "f", 90_000).await.unwrap(), 1);
    let rejected = Filter { key: Some("pair".into()), ..Filter::default() };
    assert_eq!(store.replayable(rejected.clone()).await.unwrap().count(), 0);
    assert_eq!(store.replay(rejected, 96_000).await.unwrap().ids, Vec::<String>::new());
    store.close().await;
}

/// Round after round of business, each archived in turn: the tables stay as small as after the first.
pub async fn retention_keeps_the_tables_small(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let mut sizes = Vec::new();
    for round in 0..3 {
        let now_ms = 10_000 * (round + 1);
        let intakes: Vec<_> = (0..150).map(|number| intake(&format!("R{round}-{number}"), 1)).collect();
        let ids: Vec<String> = intakes.iter().map(|one| one.deliveries[0].id.clone()).collect();
        store.accept(intakes, None, now_ms).await.unwrap();
        emptied(store, now_ms).await;
        for id in &ids {
            let work = begun(store, id, now_ms + 900, now_ms + 1).await;
            store.finish(finish(&work, now_ms + 2, Next::Posted, Class::Done)).await.unwrap();
        }
        let (mut after, mut moved) = (None, 0);
        loop {
            let page = store.archivable(now_ms, after, 40).await.unwrap();
            let events = page.bundles.iter().map(|bundle| bundle.event.id.clone()).collect();
            moved += store.archive(events, now_ms, "f", now_ms).await.unwrap();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(moved, if round == 0 { 0 } else { 150 });
        sizes.push(store.counts().await.unwrap().iter().map(|count| count.count).sum::<u64>());
        assert_eq!(store.find(&format!("R{}-7", round - 1)).await.unwrap(), []);
    }
    assert_eq!(sizes, [150, 150, 150]);
    store.close().await;
}
