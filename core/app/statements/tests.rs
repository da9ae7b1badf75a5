//! Two desks on one database, through the months.

use super::Books;
use super::compared::{Against, Bank, compared};
use super::desk::{Desk, Due, Given, Purpose};
use super::history::Standing;
use crate::config::{CustomerRule, Flow, Remind, STATEMENTS, SendAt, StatementRules};
use crate::routes::{Ids, Routes};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tongbao_delivery::port::{Begin, Filter, Finish, Intake, LedgerEntry, NewDelivery, Next, State, Store};
use tongbao_delivery::statements::{NoteKind, Wanted};
use tongbao_model::diagnostic::Place;
use tongbao_model::event::kinds;
use tongbao_model::{Class, Event};
use tongbao_recon::statement::drift::{Drift, LIMIT};

const DAY: i64 = 86_400_000;

fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn rules() -> StatementRules {
    let quiet = CustomerRule { email: Vec::new(), send: false, drift_limit: None };
    StatementRules {
        place: Place::default(),
        to: "post".into(),
        keys: Vec::new(),
        url: "https://x/".into(),
        link_days: 30,
        send: Some(SendAt { day: 3, hour: 9 }),
        remind: Some(Remind { after_ms: 5 * DAY, times: 2 }),
        seller: None,
        credit_days: 0,
        copy: Vec::new(),
        drift_limit: LIMIT,
        customers: BTreeMap::from([("C-QUIET".to_owned(), quiet)]),
        font: None,
    }
}

fn event(kind: &str, key: &str, id: &str, record: &str, occurred_at_ms: i64) -> Event {
    Event {
        id: id.into(),
        kind: kind.into(),
        source: "crm".into(),
        key: key.into(),
        revision: 1,
        order_key: key.into(),
        occurred_at_ms,
        digest: key.into(),
        record: record.into(),
        cause: None,
    }
}

struct World {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    now_ms: Arc<AtomicI64>,
}

impl World {
    async fn new(now: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/statements.db", folder.path().display());
        let store = tongbao_store::open(&url, tongbao_store::StoreOptions::default()).await.unwrap();
        World { _folder: folder, store, now_ms: Arc::new(AtomicI64::new(at(now))) }
    }

    fn desk(&self) -> Desk {
        self.desk_with(Vec::new())
    }

    fn desk_with(&self, more: Vec<Flow>) -> Desk {
        let flow = Flow {
            name: "statement".into(),
            place: Place::default(),
            on: kinds::STATEMENT_DUE.into(),
            from: Some(STATEMENTS.into()),
            to: "post".into(),
            mapping: None,
            emits: None,
        };
        let clock = self.now_ms.clone();
        Desk {
            rules: Arc::new(rules()),
            store: self.store.clone(),
            routes: Routes::new(std::iter::once(flow).chain(more).collect(), Ids::Uuid),
            wake: Arc::new(|| ()),
            clock: Arc::new(move || clock.load(Ordering::SeqCst)),
        }
    }

    fn is_now(&self, now: &str) {
        self.now_ms.store(at(now), Ordering::SeqCst);
    }

    /// A contract of a customer with an invoice.
    async fn know(&self, customer: &str, invoiced: &str) {
        let key = format!("HT-{customer}");
        let event = event(kinds::CONTRACT_SIGNED, &key, &format!("event-{customer}"), "{}", 0);
        let id = format!("d-{customer}");
        let delivery =
            NewDelivery { id: id.clone(), flow: "f".into(), target: "ledger".into(), order_key: key.clone() };
        self.store.accept(vec![Intake { event, deliveries: vec![delivery] }], None, 0).await.unwrap();
        let entry = |kind: &str, amount: &str| LedgerEntry {
            contract: key.clone(),
            kind: kind.into(),
            origin: format!("{kind}-{customer}"),
            revision: 1,
            amount: amount.into(),
            currency: "CNY".into(),
            event: format!("event-{customer}"),
            at_ms: at(invoiced),
            customer: Some(customer.into()),
            facts: "{}".into(),
        };
        let entries = vec![entry("ordered", "100.00"), entry("invoiced", "100.00")];
        self.end(&id, entries, at(invoiced)).await;
    }

    async fn end(&self, delivery: &str, entries: Vec<LedgerEntry>, now_ms: i64) {
        let begun = self.store.begin(delivery, "w", now_ms + 30_000, now_ms).await.unwrap();
        let Begin::Run(work) = begun else { panic!("{begun:?}") };
        let finish = Finish { entries, ..Finish::new(&work, now_ms, Next::Posted, Class::Done) };
        self.store.finish(finish).await.unwrap();
    }

    /// Letters that are given to delivery and not posted.
    async fn letters(&self) -> Vec<(String, Due)> {
        let filter =
            Filter { target: Some("post".into()), states: vec![State::Pending], ..Filter::default() };
        let mut letters = Vec::new();
        for one in self.store.deliveries(filter).await.unwrap() {
            let event = self.store.event(&one.event).await.unwrap().unwrap();
            letters.push((one.id, serde_json::from_str(&event.record).unwrap()));
        }
        letters
    }

    /// Posts all letters, and says which they were.
    async fn posted(&self) -> Vec<String> {
        let mut told = Vec::new();
        for (delivery, due) in self.letters().await {
            self.end(&delivery, Vec::new(), self.now_ms.load(Ordering::SeqCst)).await;
            let what = if due.purpose == Purpose::Reminder { "reminder" } else { "statement" };
            told.push(format!("{} {} {what}", due.number, due.revision));
        }
        told
    }

    async fn standing(&self, customer: &str, month: &str) -> Standing {
        Standing::of(&self.store.statement_notes(&Wanted::of(customer, month)).await.unwrap()).unwrap()
    }
}

/// Several desks look at once, at every hour: each month is sent once to each customer, from the first month on.
#[tokio::test(flavor = "multi_thread")]
async fn each_month_is_sent_once_to_each_customer_whoever_looks() {
    let world = World::new("2026-10-20T12:00:00+08:00").await;
    for customer in ["C1", "C2", "C-QUIET"] {
        world.know(customer, "2026-09-10T12:00:00+08:00").await;
    }
    let look = async || {
        let desks = [Arc::new(world.desk()), Arc::new(world.desk()), Arc::new(world.desk())];
        let looks: Vec<_> = desks
            .iter()
            .cloned()
            .map(|desk| tokio::spawn(async move { desk.look().await.unwrap() }))
            .collect();
        for look in looks {
            look.await.unwrap();
        }
        world.posted().await
    };
    // Switched on in October: September, long due, was somebody else's.
    assert_eq!(look().await, Vec::<String>::new());
    world.is_now("2026-11-03T08:59:00+08:00");
    assert_eq!(look().await, Vec::<String>::new());
    world.is_now("2026-11-03T09:00:00+08:00");
    assert_eq!(look().await, ["C1:2026-10 1 statement", "C2:2026-10 1 statement"]);
    for _ in 0..3 {
        assert_eq!(look().await, Vec::<String>::new());
    }
    // Nothing ran for two months.
    world.is_now("2027-01-20T00:00:00+08:00");
    let both = ["C1:2026-11", "C2:2026-11", "C1:2026-12", "C2:2026-12"];
    assert_eq!(look().await, both.map(|key| format!("{key} 1 statement")));
    assert_eq!(look().await, Vec::<String>::new());
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_a_new_revision_takes_the_place_of_the_one_before() {
    let world = World::new("2026-10-20T12:00:00+08:00").await;
    world.know("C1", "2026-10-10T12:00:00+08:00").await;
    let desk = world.desk();
    desk.look().await.unwrap();
    let month = "2026-10".parse().unwrap();
    for expected in [1, 2] {
        let given = desk.send("C1", month, "li").await.unwrap();
        assert!(matches!(given, Given::Sent(revision, _) if revision == expected), "{given:?}");
    }
    assert!(desk.send("C9", month, "li").await.is_err(), "nobody knows that customer");
    assert_eq!(world.posted().await, ["C1:2026-10 1 statement", "C1:2026-10 2 statement"]);
    let notes = world.store.statement_notes(&Wanted::of("C1", "2026-10")).await.unwrap();
    let kinds: Vec<NoteKind> = notes.iter().map(|note| note.kind).collect();
    assert_eq!(kinds, [NoteKind::Sent, NoteKind::Superseded, NoteKind::Sent]);
    assert_eq!((notes[1].revision, notes[2].revision, notes[2].who.as_str()), (1, 2, "li"));
    // It was sent while the month ran: the schedule makes that of the whole month, once.
    world.is_now("2026-11-03T09:00:00+08:00");
    desk.look().await.unwrap();
    assert_eq!(world.posted().await, ["C1:2026-10 3 statement"]);
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reminders_come_at_their_times_and_end_with_an_answer() {
    let world = World::new("2026-10-20T12:00:00+08:00").await;
    for customer in ["C1", "C2", "C3"] {
        world.know(customer, "2026-10-10T12:00:00+08:00").await;
    }
    let desk = world.desk();
    desk.look().await.unwrap();
    world.is_now("2026-11-03T09:00:00+08:00");
    desk.look().await.unwrap();
    // C3's letter does not get through: nobody is reminded of what they have not got.
    for (delivery, due) in world.letters().await {
        if due.customer != "C3" {
            world.end(&delivery, Vec::new(), at("2026-11-03T09:00:05+08:00")).await;
        }
    }
    desk.follow().await.unwrap();
    assert_eq!(world.standing("C1", "2026-10").await.state(), "delivered");
    assert_eq!(world.standing("C3", "2026-10").await.state(), "sent");
    let reminded = async |now: &str| {
        world.is_now(now);
        // Twice, and by two: once each.
        for desk in [&desk, &world.desk()] {
            desk.follow().await.unwrap();
        }
        let reminders: Vec<(String, Due)> =
            world.letters().await.into_iter().filter(|(_, due)| due.purpose == Purpose::Reminder).collect();
        for (delivery, _) in &reminders {
            world.end(delivery, Vec::new(), at(now)).await;
        }
        desk.follow().await.unwrap();
        reminders.into_iter().map(|(_, due)| due.customer).collect::<Vec<_>>()
    };
    assert_eq!(reminded("2026-11-08T09:00:04+08:00").await, Vec::<String>::new());
    assert_eq!(reminded("2026-11-08T09:00:05+08:00").await, ["C1", "C2"]);
    assert_eq!(reminded("2026-11-09T09:00:05+08:00").await, Vec::<String>::new());
    let standing = world.standing("C1", "2026-10").await;
    let confirmed = standing.note(NoteKind::Confirmed, 0, at("2026-11-10T00:00:00+08:00"));
    assert!(world.store.note_statement(vec![confirmed], None, 0).await.unwrap());
    assert_eq!(reminded("2026-11-13T09:00:05+08:00").await, ["C2"]);
    assert_eq!(reminded("2026-11-30T00:00:00+08:00").await, Vec::<String>::new(), "twice at most");
    let standing = world.standing("C2", "2026-10").await;
    assert_eq!((standing.reminders, standing.letters, standing.revision), (2, 3, 1));
    world.store.close().await;
}

/// Finance is told once of a customer's month, whoever looks and however often.
#[tokio::test(flavor = "multi_thread")]
async fn books_that_differ_too_much_are_noted_once() {
    let world = World::new("2026-10-20T12:00:00+08:00").await;
    for customer in ["C1", "C-QUIET"] {
        world.know(customer, "2026-10-10T12:00:00+08:00").await;
    }
    let orders = || Flow {
        name: "order".into(),
        place: Place::default(),
        on: kinds::CONTRACT_SIGNED.into(),
        from: None,
        to: "erp".into(),
        mapping: Some("m".into()),
        emits: Some(kinds::SALES_ORDER_POSTED.into()),
    };
    let desks = [Arc::new(world.desk_with(vec![orders()])), Arc::new(world.desk_with(vec![orders()]))];
    desks[0].look().await.unwrap();
    world.is_now("2026-11-03T09:00:00+08:00");
    for _ in 0..2 {
        let looks: Vec<_> = desks
            .iter()
            .cloned()
            .map(|desk| tokio::spawn(async move { desk.look().await.unwrap() }))
            .collect();
        for look in looks {
            assert!(look.await.unwrap());
        }
    }
    let wanted = Wanted { kinds: vec![NoteKind::Drifted], ..Wanted::default() };
    let noted = world.store.statement_notes(&wanted).await.unwrap();
    let noted: Vec<&str> = noted.iter().map(|note| note.customer.as_str()).collect();
    assert_eq!(noted, ["C-QUIET", "C1"], "to whom nothing is sent as well");
    // By hand it can still be sent to who has no letter yet.
    let month = "2026-10".parse().unwrap();
    assert!(matches!(desks[1].send("C-QUIET", month, "li").await.unwrap(), Given::Sent(1, _)));
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn books_are_compared_by_the_numbers_that_both_know() {
    let world = World::new("2026-10-20T12:00:00+08:00").await;
    world.know("C1", "2026-10-10T12:00:00+08:00").await;
    let at_ms = at("2026-10-11T12:00:00+08:00");
    let post = async |kind: &str, key: &str, record: &str, cause: Option<&str>| {
        let made =
            Event { cause: cause.map(str::to_owned), ..event(kind, key, &format!("e-{key}"), record, at_ms) };
        let delivery = NewDelivery {
            id: format!("d-{key}"),
            flow: "f".into(),
            target: "ledger".into(),
            order_key: key.into(),
        };
        world
            .store
            .accept(vec![Intake { event: made, deliveries: vec![delivery] }], None, at_ms)
            .await
            .unwrap();
    };
    let receive = async |number: &str, reference: &str, amount: &str| {
        let record = format!(
            r#"{{"number":"{number}","status":"received","received_at":"2026-10-11T12:00:00+08:00","currency":"CNY","amount":"{amount}"{reference}}}"#
        );
        post(kinds::PAYMENT_RECEIVED, number, &record, None).await;
        let entry = LedgerEntry {
            contract: "HT-C1".into(),
            kind: "received".into(),
            origin: number.into(),
            revision: 1,
            amount: amount.into(),
            currency: "CNY".into(),
            event: format!("e-{number}"),
            at_ms,
            customer: None,
            facts: "{}".into(),
        };
        world.end(&format!("d-{number}"), vec![entry], at_ms).await;
    };
    let book = async |number: &str, reference: &str, amount: &str| {
        let record = format!(
            r#"{{"number":"{number}","account":"a","booking_date":"2026-10-11","booked_at":"2026-10-11T00:00:00+08:00","direction":"in","amount":"{amount}","currency":"CNY","kind":"ordinary","bank_reference":"{reference}"}}"#
        );
        post(kinds::BANK_BOOKED, number, &record, None).await;
    };
    let month = "2026-10".parse().unwrap();
    let told = async |has_orders: bool| {
        let books = Books::load(world.store.as_ref(), "C1").await.unwrap();
        let bank = Bank::load(world.store.as_ref()).await.unwrap();
        let against = Against { rules: Some(Arc::new(rules())), has_orders, has_receivables: false };
        let now_ms = world.now_ms.load(Ordering::SeqCst);
        let found = compared(world.store.as_ref(), &books, (month, now_ms), &against, &bank).await.unwrap();
        let drift = |drift: &Drift| {
            let numbers: Vec<&str> = drift.documents.iter().map(|one| one.number.as_str()).collect();
            format!("{:?} {} {} {numbers:?}", drift.measure, drift.difference.text(), drift.is_over)
        };
        (found.drifts.iter().map(drift).collect::<Vec<_>>(), found.left_out)
    };
    receive("SK-1", r#","bank_reference":"B-1""#, "40.00").await;
    assert_eq!(told(false).await, (vec![], 0), "no bank and no orders: nothing to hold it against");
    assert_eq!(told(true).await.0, [r#"Ordered 100.00 true ["HT-C1"]"#]);
    let order = r#"{"number":"SO-1","id":"1","contract_number":"HT-C1","status":"audited","currency":"CNY","total_tax_included":"97.00"}"#;
    post(kinds::SALES_ORDER_POSTED, "SO-1", order, Some("d-C1")).await;
    assert_eq!(told(true).await.0, [r#"Ordered 3.00 false ["HT-C1"]"#], "three of a hundred");
    book("BE-1", "B-1", "40.00").await;
    book("BE-9", "B-9", "999.00").await;
    receive("SK-2", r#","bank_reference":"B-2""#, "10.00").await;
    receive("SK-3", "", "1.00").await;
    assert_eq!(told(false).await, (vec![r#"Received 10.00 true ["B-2"]"#.to_owned()], 1));
    book("BE-2", "B-2", "10.00").await;
    assert_eq!(told(false).await, (vec![], 1));
    world.store.close().await;
}
