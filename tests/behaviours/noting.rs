//! The history of statements: added to by one at a time, together with the event that belongs to it.

use super::storing::emptied;
use super::world::{Combination, World, intake};
use futures::future::join_all;
use std::sync::Arc;
use tongbao_delivery::port::{Store, StoreError};
use tongbao_delivery::statements::{Note, NoteKind, Wanted};

pub fn note(month: &str, customer: &str, seq: i64, kind: NoteKind) -> Note {
    Note {
        month: month.into(),
        customer: customer.into(),
        seq,
        kind,
        revision: 1,
        letter: 1,
        at_ms: 1_000 + seq,
        as_of_ms: 900,
        checksum: "sha256:x".into(),
        who: "财务".into(),
        remark: "少一笔\n<b>“引号”'</b>".into(),
        event: String::new(),
    }
}

async fn all(store: &Arc<dyn Store>, wanted: &Wanted) -> Vec<String> {
    let notes = store.statement_notes(wanted).await.unwrap();
    notes
        .iter()
        .map(|note| format!("{} {} {} {}", note.month, note.customer, note.seq, note.kind.name()))
        .collect()
}

/// Of many who add at once one does, and only its event is there.
pub async fn a_history_is_added_to_by_one_at_a_time(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let sent = || vec![note("2026-10", "C1", 1, NoteKind::Sent)];
    let racing = (0..6).map(|n| store.note_statement(sent(), Some(intake(&format!("L{n}"), 1)), 5));
    let added: Vec<bool> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(added.iter().filter(|added| **added).count(), 1);
    assert_eq!(emptied(store, 6).await.len(), 1, "one event with its delivery");
    // Not where it ends, not one after the other, not of one statement: nothing is written.
    let other = || note("2026-10", "C2", 1, NoteKind::Sent);
    for wrong in [
        sent(),
        vec![note("2026-10", "C1", 3, NoteKind::Confirmed)],
        vec![note("2026-10", "C1", 2, NoteKind::Superseded), note("2026-10", "C1", 4, NoteKind::Sent)],
        vec![note("2026-10", "C1", 2, NoteKind::Superseded), other()],
        vec![],
    ] {
        assert!(!store.note_statement(wrong, Some(intake("LX", 1)), 7).await.unwrap());
    }
    assert_eq!(emptied(store, 8).await.len(), 0);
    // An event that is there already belongs to somebody else's note.
    let again = store.note_statement(vec![other()], Some(intake("L9", 1)), 9).await;
    assert!(again.unwrap());
    let again =
        store.note_statement(vec![note("2026-10", "C2", 2, NoteKind::Sent)], Some(intake("L9", 1)), 9).await;
    assert!(matches!(again, Err(StoreError::Invalid(_))), "{again:?}");
    assert_eq!(all(store, &Wanted::of("C2", "2026-10")).await, ["2026-10 C2 1 sent"]);
    store.close().await;
}

/// Notes come back as they were, in order, page by page.
pub async fn histories_are_found_by_what_is_wanted(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let kinds = [NoteKind::Sent, NoteKind::Delivered, NoteKind::Disputed];
    for month in ["2026-09", "2026-10"] {
        for customer in ["C1", "C2"] {
            for (seq, kind) in (1..).zip(kinds) {
                let added = store.note_statement(vec![note(month, customer, seq, kind)], None, 5).await;
                assert!(added.unwrap());
            }
        }
    }
    let found = store.statement_notes(&Wanted::of("C2", "2026-09")).await.unwrap();
    let expected: Vec<Note> = (1..).zip(kinds).map(|(seq, kind)| note("2026-09", "C2", seq, kind)).collect();
    assert_eq!(found, expected);
    let disputed = Wanted {
        kinds: vec![NoteKind::Disputed],
        from_month: Some("2026-10".into()),
        from_ms: Some(1_003),
        before_ms: Some(1_004),
        ..Wanted::default()
    };
    assert_eq!(all(store, &disputed).await, ["2026-10 C1 3 disputed", "2026-10 C2 3 disputed"]);
    assert_eq!(all(store, &Wanted { before_ms: Some(1_003), ..disputed }).await, Vec::<String>::new());
    let mut paged = Vec::new();
    let mut wanted = Wanted { limit: 5, ..Wanted::default() };
    loop {
        let page = store.statement_notes(&wanted).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 5);
        wanted.after = Some((last.month.clone(), last.customer.clone(), last.seq));
        paged.extend(page.iter().map(|note| (note.month.clone(), note.customer.clone(), note.seq)));
    }
    let mut sorted = paged.clone();
    sorted.sort();
    assert_eq!((paged.len(), paged == sorted), (12, true));
    assert_eq!(store.customers("", 10).await.unwrap(), Vec::<String>::new(), "no contract names anybody");
    store.close().await;
}
