//! Payments: the newest document counts, one at a time decides, and what is decided comes with its events or not at all.

use super::storing::{begun, finish};
use super::world::{Combination, World, intake};
use futures::future::join_all;
use std::sync::Arc;
use tongbao_delivery::payments::{
    Allocation, Payment, PaymentBook, PaymentFilter, PaymentSaid, Settling, Undoing,
};
use tongbao_delivery::port::{Finish, Finished, LedgerEntry, Next, RemoteRef, Store};
use tongbao_model::Class;

fn said(book: PaymentBook, number: &str, revision: i64, at_ms: i64) -> PaymentSaid {
    PaymentSaid {
        book,
        number: number.into(),
        revision,
        event: "e".into(),
        kind: "ordinary".into(),
        reversed: false,
        amount: "100.10".into(),
        currency: "CNY".into(),
        at_ms,
        reference: None,
        party: Some("甲（集团）".into()),
        party_account: None,
        text: Some(format!("第 {revision} 版")),
        customer: None,
        contract: None,
    }
}

/// Puts in what a document says, and a movement on an account if there is one.
async fn hear(store: &Arc<dyn Store>, said: PaymentSaid, entry: Option<LedgerEntry>) {
    let one = intake(&format!("{}/{}/{}", said.book.name(), said.number, said.revision), 1);
    store.accept(vec![one.clone()], None, 1).await.unwrap();
    let work = begun(store, &one.deliveries[0].id, 10, 2).await;
    let outcome = Finish {
        payments: vec![said],
        entries: entry.into_iter().collect(),
        ..finish(&work, 3, Next::Posted, Class::Done)
    };
    assert_eq!(store.finish(outcome).await.unwrap(), Finished::Stored);
}

fn allocation(payment: &Payment, contract: &str, amount: &str) -> Allocation {
    Allocation {
        book: payment.said.book,
        number: payment.said.number.clone(),
        turn: payment.turn + 1,
        place: 0,
        contract: contract.into(),
        paper: Some("FP-1".into()),
        amount: amount.into(),
        fee: "0".into(),
        currency: "CNY".into(),
        customer: Some("C1".into()),
        revision: payment.said.revision,
        rule: Allocation::BY_HAND.into(),
        who: Some("王会计".into()),
        reasons: "{}".into(),
        at_ms: 7,
        undone_ms: None,
        undone_by: None,
        undone_why: None,
    }
}

async fn numbers(store: &Arc<dyn Store>, filter: PaymentFilter) -> Vec<String> {
    store.payments(filter).await.unwrap().into_iter().map(|one| one.said.number).collect()
}

/// Whatever comes last, the newest revision is kept; a list goes on where it ended.
pub async fn the_newest_document_of_a_payment_counts(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    for revision in [3, 1, 4, 2] {
        hear(store, said(PaymentBook::Erp, "R1", revision, 10), None).await;
    }
    hear(store, said(PaymentBook::Bank, "R1", 1, 20), None).await;
    for number in ["R3", "R2"] {
        hear(store, said(PaymentBook::Erp, number, 1, 30), None).await;
    }
    let (payment, allocations) = store.payment(PaymentBook::Erp, "R1").await.unwrap().unwrap();
    assert_eq!(payment.said, said(PaymentBook::Erp, "R1", 4, 10));
    assert!(payment.open && !payment.by_hand && payment.turn == 0 && allocations.is_empty());
    assert!(store.payment(PaymentBook::Bank, "R2").await.unwrap().is_none());

    let all = PaymentFilter::default();
    assert_eq!(numbers(store, all.clone()).await, ["R1", "R1", "R2", "R3"]);
    let theirs = PaymentFilter { book: Some(PaymentBook::Erp), ..all.clone() };
    assert_eq!(numbers(store, PaymentFilter { limit: 2, ..theirs.clone() }).await, ["R1", "R2"]);
    let next = Some((PaymentBook::Erp, "R2".to_owned()));
    assert_eq!(numbers(store, PaymentFilter { after: next, ..theirs }).await, ["R3"]);
    let bank_first = Some((PaymentBook::Bank, "R1".to_owned()));
    assert_eq!(numbers(store, PaymentFilter { after: bank_first, ..all.clone() }).await, ["R1", "R2", "R3"]);
    let span = PaymentFilter { from_ms: Some(20), before_ms: Some(30), ..all.clone() };
    assert_eq!(numbers(store, span).await, ["R1"]);
    assert!(numbers(store, PaymentFilter { open: Some(false), ..all.clone() }).await.is_empty());
    assert!(numbers(store, PaymentFilter { paired: Some(true), ..all }).await.is_empty());
}

/// Of many who decide at once over the same books one does, with the events; a payment that says something else meanwhile is
/// nobody's; what is undone is known still.
pub async fn payments_are_decided_by_one_at_a_time(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let entry = LedgerEntry {
        contract: "HT-1".into(),
        kind: LedgerEntry::ORDERED.into(),
        origin: "HT-1".into(),
        revision: 1,
        amount: "100.10".into(),
        currency: "CNY".into(),
        event: "e".into(),
        at_ms: 1,
        customer: Some("C1".into()),
        facts: "{}".into(),
    };
    hear(store, said(PaymentBook::Erp, "R1", 1, 10), Some(entry)).await;
    let (payment, _) = store.payment(PaymentBook::Erp, "R1").await.unwrap().unwrap();
    let turn = store.payments_turn().await.unwrap();
    let told = intake("allocated/HT-1:R1", 1);
    let settling = Settling {
        open: false,
        verdict: Some(r#"{"kind":"by-hand"}"#.into()),
        allocations: vec![allocation(&payment, "HT-1", "100.10")],
        events: vec![told.clone()],
        ..Settling::of(&payment)
    };
    let racing = (0..6).map(|_| store.settle(turn, vec![settling.clone()], 8));
    let settled: Vec<bool> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(settled.iter().filter(|settled| **settled).count(), 1);
    assert_eq!(store.find(&told.event.key).await.unwrap().len(), 1, "the event comes with it, once");
    let (decided, allocations) = store.payment(PaymentBook::Erp, "R1").await.unwrap().unwrap();
    assert_eq!((decided.turn, decided.open), (1, false));
    assert_eq!(allocations, settling.allocations);
    let accounts = store.accounts(None, 10).await.unwrap();
    assert_eq!((accounts.entries.len(), accounts.allocations.len(), accounts.next), (1, 1, None));
    let learned = store.learned_payers().await.unwrap();
    assert_eq!((learned.len(), learned[0].customer.as_str()), (1, "C1"));
    assert_eq!(learned[0].name.as_deref(), Some("甲（集团）"));

    // It was looked at, and then it said something else: nothing is stored of that decision.
    hear(store, said(PaymentBook::Erp, "R1", 2, 10), None).await;
    let turn = store.payments_turn().await.unwrap();
    let late = Settling { events: vec![intake("late", 1)], ..Settling::of(&decided) };
    assert!(!store.settle(turn, vec![late], 9).await.unwrap());
    assert!(store.find("late").await.unwrap().is_empty());
    let (again, _) = store.payment(PaymentBook::Erp, "R1").await.unwrap().unwrap();
    assert!(again.open && again.turn == 1 && again.verdict.is_none());

    let turn = store.payments_turn().await.unwrap();
    let undo = Undoing { who: "李会计".into(), why: "付款人弄错".into() };
    let undoing =
        Settling { undo: Some(undo), by_hand: true, pair: Some("B1".into()), ..Settling::of(&again) };
    assert!(store.settle(turn, vec![undoing], 11).await.unwrap());
    let (undone, allocations) = store.payment(PaymentBook::Erp, "R1").await.unwrap().unwrap();
    assert!(undone.by_hand && undone.pair.as_deref() == Some("B1"));
    assert_eq!((allocations.len(), allocations[0].undone_ms), (1, Some(11)));
    assert_eq!(allocations[0].undone_by.as_deref(), Some("李会计"));
    assert!(store.learned_payers().await.unwrap().is_empty());
}

/// Whole contracts, a page at a time, with the numbers that far sides have given them.
pub async fn accounts_are_read_by_the_page(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    for number in 1..=5 {
        let mut one = intake(&format!("HT-{number}"), 1);
        one.event.kind = "contract.signed".into();
        store.accept(vec![one.clone()], None, 1).await.unwrap();
        let work = begun(store, &one.deliveries[0].id, 10, 2).await;
        let entry = |revision: i64| LedgerEntry {
            contract: one.event.key.clone(),
            kind: LedgerEntry::ORDERED.into(),
            origin: one.event.key.clone(),
            revision,
            amount: format!("{revision}.00"),
            currency: "CNY".into(),
            event: "e".into(),
            at_ms: 1,
            customer: None,
            facts: "{}".into(),
        };
        let far = RemoteRef { id: "1".into(), number: format!("XSDD{number}"), step: "audited".into() };
        let outcome = Finish {
            entries: vec![entry(1), entry(3), entry(2)],
            remote: Some(far),
            ..finish(&work, 3, Next::Posted, Class::Done)
        };
        assert_eq!(store.finish(outcome).await.unwrap(), Finished::Stored);
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.accounts(after, 2).await.unwrap();
        for entry in &page.entries {
            assert_eq!((entry.revision, entry.amount.as_str()), (3, "3.00"));
            let named = page.numbers.iter().filter(|(contract, _)| *contract == entry.contract);
            seen.extend(named.map(|(contract, number)| format!("{contract} {number}")));
        }
        after = match page.next {
            Some(next) => Some(next),
            None => break,
        };
    }
    assert_eq!(seen, ["HT-1 XSDD1", "HT-2 XSDD2", "HT-3 XSDD3", "HT-4 XSDD4", "HT-5 XSDD5"]);
}
