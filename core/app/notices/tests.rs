//! Rules at chosen times, and two notifiers on one database.

use super::Notifier;
use super::fold::{Due, Read, Seen, Told, due};
use crate::config::{AtMost, Flow, Matter, NoticeRule, source};
use crate::hearing::{self, Hearing};
use crate::routes::{Ids, Routes};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tongbao_delivery::attention::{Health, Parked};
use tongbao_delivery::port::{Begin, Filter, Finish, Intake, NewDelivery, Next, State, Store};
use tongbao_model::diagnostic::Place;
use tongbao_model::event::kinds;
use tongbao_model::{Class, Code, Event, Fault, Owner};

const MINUTE: i64 = 60_000;
/// 2026-11-22 15:00 in China.
const NOON: i64 = 1_795_330_800_000;

fn rule(on: &[Matter]) -> NoticeRule {
    NoticeRule {
        name: "ops".into(),
        place: Place::default(),
        on: on.to_vec(),
        connections: Vec::new(),
        owner: None,
        codes: Vec::new(),
        to: vec!["robot".into()],
        every_ms: 5 * MINUTE,
        for_ms: 5 * MINUTE,
        at_most: None,
        quiet: None,
        examples: 2,
    }
}

fn parked(target: &str, code: Code, count: u64, first_ms: i64) -> Parked {
    let class = Some(code.class().name().to_owned());
    Parked { target: target.into(), code: Some(code.to_string()), class, count, first_ms }
}

fn seen(parked: Vec<Parked>, health: Vec<Health>, now_ms: i64) -> Seen {
    Seen { parked, until_ms: now_ms, health, reads: Vec::new(), disputed: Vec::new(), drifted: Vec::new() }
}

fn failing(target: &str, failing: u64, since_ms: i64, posted_at_ms: Option<i64>) -> Health {
    Health {
        target: target.into(),
        failing,
        class: Some("unavailable".into()),
        tried_since_ms: Some(since_ms).filter(|_| failing > 0),
        posted_at_ms,
    }
}

fn shown(due: &Due) -> Vec<String> {
    due.lines.iter().map(|line| format!("{} {} {}", line.what, line.connection, line.count)).collect()
}

fn title(rule: &NoticeRule, due: &Due) -> (String, String, String) {
    let notice = due.notice(rule, vec![None; due.lines.len()], None, NOON);
    (notice.title, notice.title_en, notice.severity)
}

#[test]
fn a_burst_is_one_notice_when_its_window_has_closed() {
    let rule = rule(&[Matter::Parked]);
    let told = Told::default();
    let burst = |now_ms| {
        let groups = vec![
            parked("erp", Code::CodeTableMiss, 488, NOON),
            parked("tax", Code::TargetRejected, 12, NOON + 1_000),
        ];
        due(&rule, &told, &seen(groups, Vec::new(), now_ms), now_ms)
    };
    assert_eq!(burst(NOON + 5 * MINUTE - 1), None, "the window is open");
    let found = burst(NOON + 5 * MINUTE).unwrap();
    assert_eq!(shown(&found), ["parked erp 488", "parked tax 12"]);
    assert_eq!((found.number(&rule).as_str(), found.told.until_ms), ("ops-1", NOON + 5 * MINUTE));
    let (zh, en, severity) = title(&rule, &found);
    assert_eq!(zh, "通宝：500 张单据挂起");
    assert_eq!((en.as_str(), severity.as_str()), ("Tongbao: 500 documents are parked", "warning"));
    let notice = found.notice(&rule, vec![Some("HT-1".into()), None], Some("https://x/"), NOON);
    assert_eq!((notice.total, notice.owner.as_deref()), (500, Some("finance")));
    assert_eq!(notice.from.0, "2026-11-22T15:00:00+08:00");
    // Nothing is parked: nothing is said.
    assert_eq!(due(&rule, &told, &seen(Vec::new(), Vec::new(), NOON), NOON), None);
}

#[test]
fn what_a_notice_leaves_out_is_counted_all_the_same() {
    let rule = rule(&[Matter::Parked]);
    let groups: Vec<Parked> =
        (1..=30).map(|n| parked(&format!("erp-{n:02}"), Code::TargetRejected, n, NOON)).collect();
    let now_ms = NOON + 5 * MINUTE;
    let found = due(&rule, &Told::default(), &seen(groups, Vec::new(), now_ms), now_ms).unwrap();
    assert_eq!((found.lines.len(), found.more, found.parked), (20, 10, 465));
    assert_eq!(shown(&found)[0], "parked erp-30 30", "those with most documents first");
    let notice = found.notice(&rule, vec![None; 20], None, NOON);
    assert_eq!((notice.total, notice.more), (465, 10));
}

#[test]
fn disputes_are_one_line_for_finance() {
    let mut rule = rule(&[Matter::Disputed]);
    let now_ms = NOON + 5 * MINUTE;
    let disputed = vec![("C1:2026-10".to_owned(), NOON), ("C2:2026-10".to_owned(), NOON + 1)];
    let seen =
        Seen { disputed, ..seen(vec![parked("erp", Code::CodeTableMiss, 3, NOON)], Vec::new(), now_ms) };
    let found = due(&rule, &Told::default(), &seen, now_ms).unwrap();
    assert_eq!(shown(&found), ["disputed statements 2"]);
    let (zh, en, severity) = title(&rule, &found);
    assert_eq!((zh.as_str(), severity.as_str()), ("通宝：2 份对账单有异议", "warning"));
    assert_eq!(en, "Tongbao: 2 statements are disputed");
    rule.owner = Some(Owner::Operations);
    assert_eq!(due(&rule, &Told::default(), &seen, now_ms), None);
    let seen = Seen { drifted: vec![("C3:2026-10".to_owned(), NOON)], ..seen };
    rule.owner = Some(Owner::Finance);
    rule.on = vec![Matter::Drift];
    let found = due(&rule, &Told::default(), &seen, now_ms).unwrap();
    assert_eq!(shown(&found), ["books statements 1"]);
    assert_eq!(title(&rule, &found).0, "通宝：1 位客户账账不符");
}

#[test]
fn rules_choose_by_connection_owner_code_and_matter() {
    let groups = vec![
        parked("erp", Code::CodeTableMiss, 3, NOON),
        parked("erp", Code::AmountMismatch, 2, NOON),
        parked("tax", Code::TargetMisconfigured, 1, NOON),
    ];
    let now_ms = NOON + 5 * MINUTE;
    let of = |rule: &NoticeRule| {
        due(rule, &Told::default(), &seen(groups.clone(), Vec::new(), now_ms), now_ms).map(|due| shown(&due))
    };
    let all = [Matter::Parked, Matter::Drift];
    let some = |lines: &[&str]| Some(lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
    assert_eq!(of(&rule(&all)), some(&["drift erp 2", "parked erp 3", "parked tax 1"]));
    assert_eq!(of(&rule(&[Matter::Drift])), some(&["drift erp 2"]));
    assert_eq!(of(&rule(&[Matter::Parked])), some(&["parked erp 3", "parked erp 2", "parked tax 1"]));
    assert_eq!(of(&rule(&[Matter::Broken])), None);
    let tax = NoticeRule { connections: vec!["tax".into()], ..rule(&all) };
    assert_eq!(of(&tax), some(&["parked tax 1"]));
    let developers = NoticeRule { owner: Some(Owner::Developer), ..rule(&all) };
    assert_eq!(of(&developers), some(&["parked tax 1"]));
    let misses = NoticeRule { codes: vec![Code::CodeTableMiss], ..rule(&all) };
    assert_eq!(of(&misses), some(&["parked erp 3"]));
}

#[test]
fn a_connection_breaks_once_and_recovers_once() {
    let rule = rule(&[Matter::Broken]);
    let look = |told: &Told, health: Health, now_ms| {
        due(&rule, told, &seen(Vec::new(), vec![health], now_ms), now_ms)
    };
    let broken_ms = NOON;
    let told = Told::default();
    assert_eq!(
        look(&told, failing("erp", 3, broken_ms, None), broken_ms + 5 * MINUTE - 1),
        None,
        "too early"
    );
    let first =
        look(&told, failing("erp", 3, broken_ms, Some(broken_ms - 9)), broken_ms + 5 * MINUTE).unwrap();
    assert_eq!(shown(&first), ["broken erp 3"]);
    assert_eq!(title(&rule, &first).0, "通宝：erp 连接不通");
    let told = first.told;
    // Still broken, and broken with nothing left to try: nobody is told again, and nobody that it works.
    for (count, later) in [(9, 60), (0, 600)] {
        assert_eq!(
            look(&told, failing("erp", count, broken_ms, Some(broken_ms - 9)), broken_ms + later * MINUTE),
            None
        );
    }
    let again_ms = broken_ms + 700 * MINUTE;
    let health = failing("erp", 0, 0, Some(again_ms));
    assert_eq!(look(&told, health.clone(), again_ms + 5 * MINUTE - 1), None, "it may break again at once");
    let second = look(&told, health.clone(), again_ms + 5 * MINUTE).unwrap();
    assert_eq!(shown(&second), ["recovered erp 0"]);
    assert_eq!(title(&rule, &second).2, "info");
    assert_eq!(look(&second.told, health, again_ms + 10 * MINUTE), None);
    // What breaks and recovers before anybody was told is not told.
    assert_eq!(
        look(&Told::default(), failing("erp", 1, NOON, Some(NOON + 4 * MINUTE)), NOON + 6 * MINUTE),
        None
    );
}

fn read(connection: &str, deaf_since_ms: Option<i64>, heard_ms: Option<i64>) -> Read {
    Read { connection: connection.into(), hearing: Hearing { deaf_since_ms, heard_ms } }
}

/// One stream that cannot be read is enough, all must be readable again, and nobody is told in between.
#[test]
fn a_source_that_nobody_can_read_is_told_of_once_and_so_is_its_end() {
    let rule = rule(&[Matter::Broken]);
    let look = |told: &Told, reads: Vec<Read>, now_ms| {
        due(&rule, told, &Seen { reads, until_ms: now_ms, ..Seen::default() }, now_ms)
    };
    let told = Told::default();
    let one_deaf =
        || vec![read("erp", Some(NOON), None), read("erp", None, Some(NOON + 9)), read("crm", None, None)];
    assert_eq!(look(&told, one_deaf(), NOON + 5 * MINUTE - 1), None, "too early");
    let first = look(&told, one_deaf(), NOON + 5 * MINUTE).unwrap();
    assert_eq!(shown(&first), ["unreadable erp 0"]);
    let (zh, en, severity) = title(&rule, &first);
    assert_eq!((zh.as_str(), severity.as_str()), ("通宝：erp 读取不到", "error"));
    assert_eq!(en, "Tongbao: erp cannot be read");
    let told = first.told;
    assert_eq!(look(&told, one_deaf(), NOON + 60 * MINUTE), None, "told already");
    let heard_ms = NOON + 70 * MINUTE;
    let half = vec![read("erp", None, Some(heard_ms)), read("erp", Some(NOON + MINUTE), None)];
    assert_eq!(look(&told, half, heard_ms + 10 * MINUTE), None, "one of two");
    let whole = || vec![read("erp", None, Some(heard_ms)), read("erp", None, None)];
    assert_eq!(look(&told, whole(), heard_ms + 5 * MINUTE - 1), None, "it may fail again at once");
    let second = look(&told, whole(), heard_ms + 5 * MINUTE).unwrap();
    assert_eq!(shown(&second), ["readable erp 0"]);
    assert_eq!(title(&rule, &second).2, "info");
    assert_eq!(look(&second.told, whole(), heard_ms + 60 * MINUTE), None);
    // A rule that does not tell of broken connections tells nothing, and another connection is not meant.
    let mut other = NoticeRule { on: vec![Matter::Parked], ..rule.clone() };
    for (on, connections) in [(Matter::Parked, vec![]), (Matter::Broken, vec!["crm".to_owned()])] {
        (other.on, other.connections) = (vec![on], connections);
        let seen = Seen { reads: one_deaf(), until_ms: NOON, ..Seen::default() };
        assert_eq!(due(&other, &Told::default(), &seen, NOON + 9 * MINUTE), None);
    }
    // What an earlier version stored knows nothing of reading.
    let stored = r#"{"count":1,"until_ms":0,"made_ms":[],"broken":{}}"#;
    assert_eq!(serde_json::from_str::<Told>(stored).unwrap(), Told { count: 1, ..Told::default() });
}

#[test]
fn too_many_and_quiet_hours_hold_back_and_lose_nothing() {
    let quiet = crate::config::Quiet::within(22 * 60, 8 * 60);
    let rule = NoticeRule {
        at_most: Some(AtMost { count: 2, within_ms: 60 * MINUTE }),
        quiet: Some(quiet),
        ..rule(&[Matter::Parked])
    };
    let (mut told, mut at_ms, mut sent) = (Told::default(), NOON, Vec::new());
    // A document parks every minute for ten hours, into the night.
    let mut parked_at: Vec<i64> = Vec::new();
    let mut counted = 0;
    for minute in 0..(20 * 60) {
        at_ms = NOON + minute * MINUTE;
        if minute < 600 {
            parked_at.push(at_ms);
        }
        let new: Vec<i64> =
            parked_at.iter().copied().filter(|one| (told.until_ms..at_ms).contains(one)).collect();
        let groups = match new.first() {
            Some(first) => {
                vec![parked("erp", Code::CodeTableMiss, u64::try_from(new.len()).unwrap(), *first)]
            }
            None => Vec::new(),
        };
        if let Some(found) = due(&rule, &told, &seen(groups, Vec::new(), at_ms), at_ms) {
            counted += found.parked;
            told = found.told;
            sent.push(at_ms);
        }
        let of_late = sent.iter().filter(|one| at_ms - **one < 60 * MINUTE).count();
        assert!(of_late <= 2 && told.made_ms.len() <= 2, "{of_late} within the hour");
    }
    assert_eq!(counted, 600, "every document once");
    assert!(sent.iter().all(|one| !quiet.holds(*one)), "nobody was woken");
    assert!(sent.len() > 10 && at_ms > NOON);
}

proptest! {
    /// Whatever parks when: each document is told of once, never two notices within the window, numbers rise by one.
    #[test]
    fn every_document_is_told_of_once(gaps in proptest::collection::vec(0_i64..400_000, 1..60), looks in 1_i64..90) {
        let rule = rule(&[Matter::Parked]);
        let mut parked_at = Vec::new();
        let mut at_ms = NOON;
        for gap in gaps {
            at_ms += gap;
            parked_at.push(at_ms);
        }
        let (mut told, mut counted, mut last) = (Told::default(), 0, None);
        let mut now_ms = NOON;
        while now_ms < at_ms + 11 * MINUTE {
            let new: Vec<i64> =
                parked_at.iter().copied().filter(|one| (told.until_ms..now_ms).contains(one)).collect();
            let groups = new.first().map(|first| {
                parked("erp", Code::CodeTableMiss, u64::try_from(new.len()).unwrap(), *first)
            });
            if let Some(found) = due(&rule, &told, &seen(groups.into_iter().collect(), Vec::new(), now_ms), now_ms) {
                prop_assert!(last.is_none_or(|last| now_ms - last >= rule.every_ms));
                prop_assert_eq!(found.told.count, told.count + 1);
                counted += found.parked;
                last = Some(now_ms);
                told = found.told;
            }
            now_ms += looks * 1_000;
        }
        prop_assert_eq!(counted, u64::try_from(parked_at.len()).unwrap());
    }
}

fn intake(number: i32) -> Intake {
    let key = format!("HT-{number}");
    let event = Event {
        id: format!("event-{number}"),
        kind: kinds::CONTRACT_SIGNED.into(),
        source: "crm".into(),
        key: key.clone(),
        revision: 1,
        order_key: key.clone(),
        occurred_at_ms: 0,
        digest: key.clone(),
        record: "{}".into(),
        cause: None,
    };
    let delivery =
        NewDelivery { id: format!("d-{number}"), flow: "order".into(), target: "erp".into(), order_key: key };
    Intake { event, deliveries: vec![delivery] }
}

/// Tries a delivery and stores how it ended.
async fn end(store: &dyn Store, delivery: &str, class: Class, next: Next, now_ms: i64) {
    let begun = store.begin(delivery, "w", now_ms + 30_000, now_ms).await.unwrap();
    let Begin::Run(work) = begun else { panic!("{begun:?}") };
    let fault = (!class.is_success()).then(|| Fault::new(Code::CodeTableMiss, "缺", "missing"));
    let finish = Finish { fault, ..Finish::new(&work, now_ms, next, class) };
    store.finish(finish).await.unwrap();
}

/// Two processes look at the same time, again and again: each notice is there once, with all that it had to tell.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_tell_each_thing_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/notices.db", folder.path().display());
    let store = tongbao_store::open(&url, tongbao_store::StoreOptions::default()).await.unwrap();
    let intakes: Vec<Intake> = (0..20).map(intake).collect();
    store.accept(intakes, None, NOON).await.unwrap();
    for number in 0..20 {
        let at_ms = NOON + i64::from(number);
        end(store.as_ref(), &format!("d-{number}"), Class::Rejected, Next::Parked, at_ms).await;
    }
    let now_ms = Arc::new(AtomicI64::new(NOON + 5 * MINUTE));
    let notifier = || {
        let (rules, clock) = (vec![rule(&[Matter::Parked])], now_ms.clone());
        let flow = Flow {
            name: "notice-ops-robot".into(),
            place: Place::default(),
            on: kinds::NOTICE_DUE.into(),
            from: Some(source("ops")),
            to: "robot".into(),
            mapping: None,
            emits: None,
        };
        Notifier {
            rules,
            store: store.clone(),
            polled: vec![("bank".into(), "entries".into())],
            routes: Routes::new(vec![flow], Ids::Uuid),
            link: None,
            wake: Arc::new(|| ()),
            clock: Arc::new(move || clock.load(Ordering::SeqCst)),
        }
    };
    let both = [Arc::new(notifier()), Arc::new(notifier())];
    let mut made = 0;
    for _ in 0..8 {
        let looks = both.iter().map(|one| {
            let one = one.clone();
            tokio::spawn(async move { one.look(&one.rules[0]).await.unwrap() })
        });
        for look in looks.collect::<Vec<_>>() {
            made += u32::from(look.await.unwrap());
        }
    }
    assert_eq!(made, 1);
    let notices = || async {
        let filter = Filter { target: Some("robot".into()), ..Filter::default() };
        store.deliveries(filter).await.unwrap()
    };
    let first = notices().await;
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].key.as_str(), first[0].kind.as_str()), ("ops-1", kinds::NOTICE_DUE));
    let event = store.event(&first[0].event).await.unwrap().unwrap();
    let record: tongbao_model::record::Notice = serde_json::from_str(&event.record).unwrap();
    assert_eq!((record.total, record.lines.len()), (20, 1));
    assert_eq!(record.lines[0].examples.as_deref(), Some("HT-0, HT-1"));
    // The notice itself parks, and is told of by nobody.
    end(store.as_ref(), &first[0].id, Class::Rejected, Next::Parked, NOON + 6 * MINUTE).await;
    now_ms.store(NOON + 30 * MINUTE, Ordering::SeqCst);
    assert!(!both[0].look(&both[0].rules[0]).await.unwrap());
    // One of the twenty goes back and parks again: that is news.
    store.replay(Filter { ids: vec!["d-3".into()], ..Filter::default() }, NOON + 31 * MINUTE).await.unwrap();
    end(store.as_ref(), "d-3", Class::Rejected, Next::Parked, NOON + 32 * MINUTE).await;
    now_ms.store(NOON + 40 * MINUTE, Ordering::SeqCst);
    assert!(both[1].look(&both[1].rules[0]).await.unwrap());
    assert!(!both[0].look(&both[0].rules[0]).await.unwrap());
    let second = notices().await;
    assert_eq!(second.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["ops-1", "ops-2"]);
    assert_eq!(second[1].state, State::Pending);
    // Polls fail, and one process after the other looks: the rule is about parked documents and says nothing of it.
    hearing::note(store.as_ref(), "bank", "entries", false, NOON + 41 * MINUTE).await.unwrap();
    now_ms.store(NOON + 60 * MINUTE, Ordering::SeqCst);
    assert!(!both[0].look(&both[0].rules[0]).await.unwrap());
    let broken = rule(&[Matter::Broken]);
    assert!(both[0].look(&broken).await.unwrap());
    assert!(!both[1].look(&broken).await.unwrap());
    store.close().await;
}
