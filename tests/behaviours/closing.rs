//! Months whose books are closed: by one at a time, and frozen as they were known.

use super::storing::{begun, finish};
use super::world::{Combination, World, intake};
use futures::future::join_all;
use std::sync::Arc;
use tongbao_app::closings;
use tongbao_app::statements::Books;
use tongbao_delivery::port::{Closure, Finish, Finished, LedgerEntry, Next, Store};
use tongbao_model::{Class, Month, china};
use tongbao_recon::statement::{LineKind, Question, Section};

/// Noon of a day in China.
fn noon(day: &str) -> i64 {
    china::begin_ms(day.parse().unwrap()).unwrap() + 12 * 3_600_000
}

fn closure(month: &str, at_ms: i64) -> Closure {
    Closure {
        month: month.into(),
        through_ms: at_ms - 1_000,
        at_ms,
        who: "财务".into(),
        why: "月结".into(),
        reopened_ms: None,
        reopened_by: None,
    }
}

async fn enter(store: &Arc<dyn Store>, kind: &str, origin: &str, amount: &str, at: &str, stored: &str) {
    let one = intake(&format!("{kind}/{origin}"), 1);
    store.accept(vec![one.clone()], None, 1).await.unwrap();
    let work = begun(store, &one.deliveries[0].id, 10, 2).await;
    let entry = LedgerEntry {
        contract: "HT-1".into(),
        kind: kind.into(),
        origin: origin.into(),
        revision: 1,
        amount: amount.into(),
        currency: "CNY".into(),
        event: one.event.id.clone(),
        at_ms: noon(at),
        customer: Some("C1".into()),
        facts: "{}".into(),
    };
    let outcome = Finish { entries: vec![entry], ..finish(&work, noon(stored), Next::Posted, Class::Done) };
    assert_eq!(store.finish(outcome).await.unwrap(), Finished::Stored);
}

/// One of many at once closes, in order only, and only the last is opened again; nothing of it is forgotten.
pub async fn books_are_closed_by_one_at_a_time(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    assert_eq!(store.closures().await.unwrap(), []);
    assert!(store.close_books(closure("2026-09", 5_000)).await.unwrap());
    let racing = (0..6).map(|_| store.close_books(closure("2026-10", 4_000)));
    let closed: Vec<bool> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(closed.iter().filter(|closed| **closed).count(), 1);
    for month in ["2026-10", "2026-09", "2025-12"] {
        assert!(!store.close_books(closure(month, 9_000)).await.unwrap(), "{month}");
    }
    let all = store.closures().await.unwrap();
    // The clock of whoever closed the second was behind.
    let times: Vec<_> = all.iter().map(|one| (one.month.as_str(), one.through_ms, one.at_ms)).collect();
    assert_eq!(times, [("2026-09", 4_000, 5_000), ("2026-10", 4_001, 5_001)]);
    assert!(!store.reopen_books("2026-09", "w", 6_000).await.unwrap(), "the last one first");
    assert!(store.reopen_books("2026-10", "财务", 6_000).await.unwrap());
    assert!(!store.reopen_books("2026-10", "w", 6_500).await.unwrap());
    assert!(store.close_books(closure("2026-11", 7_000)).await.unwrap());
    let all = store.closures().await.unwrap();
    assert_eq!(all[0], closure("2026-09", 5_000));
    assert_eq!((all[1].reopened_ms, all[1].reopened_by.as_deref()), (Some(6_000), Some("财务")));
    assert_eq!((all.len(), all[2].month.as_str(), all[2].reopened_ms), (3, "2026-11", None));
    store.close().await;
}

/// A closed month stays as it was known; what is heard later is an adjustment in the next.
pub async fn a_closed_month_stays_as_it_was(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    enter(store, "ordered", "HT-1", "100.00", "2026-09-01", "2026-09-01").await;
    enter(store, "invoiced", "FP-1", "100.00", "2026-09-10", "2026-09-10").await;
    enter(store, "received", "SK-1", "40.00", "2026-09-20", "2026-09-20").await;
    let statement = async |month: &str, as_of: &str| {
        let month: Month = month.parse().unwrap();
        let question = Question { customer: "C1", month, as_of_ms: noon(as_of), credit_days: 30 };
        Books::load(store.as_ref(), "C1").await.unwrap().statement(question).unwrap()
    };
    let sums = |section: &Section| {
        [section.opening, section.debit, section.credit, section.closing].map(|sum| sum.0.to_string())
    };
    let september: Month = "2026-09".parse().unwrap();
    let early = closings::close(store.as_ref(), september, "w", "", noon("2026-09-30")).await.unwrap();
    assert!(early.is_err_and(|why| why.en.contains("not over")));
    closings::close(store.as_ref(), september, "财务", "", noon("2026-10-03")).await.unwrap().unwrap();
    let again = closings::close(store.as_ref(), september, "w", "", noon("2026-10-04")).await.unwrap();
    assert!(again.is_err_and(|why| why.en.contains("already")));
    // Of September, and heard of in October.
    enter(store, "received", "SK-2", "10.00", "2026-09-25", "2026-10-05").await;
    let closed = statement("2026-09", "2026-10-20").await;
    assert!(closed.is_closed);
    assert_eq!(sums(&closed.sections[0]), ["0.00", "100.00", "40.00", "60.00"]);
    let next = statement("2026-10", "2026-10-20").await;
    assert_eq!(sums(&next.sections[0]), ["60.00", "0.00", "10.00", "50.00"]);
    let line = &next.sections[0].lines[0];
    assert_eq!((line.kind, line.day.to_string().as_str()), (LineKind::Adjustment, "2026-09-25"));
    // As it was known before it was closed, and after it was opened again.
    assert!(!statement("2026-09", "2026-10-02").await.is_closed);
    closings::reopen(store.as_ref(), september, "财务", noon("2026-10-21")).await.unwrap().unwrap();
    let open = statement("2026-09", "2026-10-22").await;
    assert!(!open.is_closed);
    assert_eq!(sums(&open.sections[0]), ["0.00", "100.00", "50.00", "50.00"]);
    assert!(statement("2026-09", "2026-10-20").await.is_closed, "as was known then");
    assert!(closings::reopen(store.as_ref(), september, "w", 0).await.unwrap().is_err());
    store.close().await;
}
