//! Property: whatever the order in which news of a contract comes, and however often, the account and what the
//! opportunity is told last are the same, and nothing that was told is taken back by older news.

use super::*;
use crate::emit;
use crate::ledger;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::json;
use tongbao_delivery::port::{Accepted, Begin, Finish, Finished, Next, Work};
use tongbao_delivery::sim::MemoryStore;
use tongbao_model::event::kinds;
use tongbao_model::{Class, Event};

/// What happens to one contract.
#[derive(Debug, Clone)]
struct News {
    totals: Vec<u32>,
    /// Receipts: cents, and cents of their later state (0: taken back).
    receipts: Vec<(u32, Option<u32>)>,
    /// Money paid back: a receipt with a negative amount.
    refund: Option<u32>,
    invoices: Vec<u32>,
    credit: Option<u32>,
}

fn news() -> impl Strategy<Value = News> {
    let cents = 1_u32..1_000_000;
    (
        proptest::collection::vec(cents.clone(), 1..4),
        proptest::collection::vec((cents.clone(), proptest::option::of(Just(0_u32))), 0..4),
        proptest::option::of(1_u32..1_000),
        proptest::collection::vec(cents, 0..3),
        proptest::option::of(1_u32..1_000),
    )
        .prop_map(|(totals, receipts, refund, invoices, credit)| News {
            totals,
            receipts,
            refund,
            invoices,
            credit,
        })
}

fn cents(cents: i64) -> String {
    Decimal::new(cents, 2).to_string()
}

fn event(kind: &str, key: &str, revision: i64, record: Value) -> Event {
    Event { source: "crm".into(), ..emit::event(kind, key, revision, "HT-1", &record, "d", 0) }
}

impl News {
    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (revision, total) in (1..).zip(&self.totals) {
            let record = json!({"total_tax_included": cents((*total).into()), "currency": "CNY"});
            events.push(event(kinds::CONTRACT_SIGNED, "HT-1", revision, record));
        }
        let receipt = |number: usize, revision, amount: i64, status: &str| {
            let record = json!({
                "contract_number": "HT-1", "amount": cents(amount), "currency": "CNY", "status": status,
            });
            event(kinds::PAYMENT_RECEIVED, &format!("R{number}"), revision, record)
        };
        for (number, (amount, later)) in self.receipts.iter().enumerate() {
            events.push(receipt(number, 1, (*amount).into(), "received"));
            if later.is_some() {
                events.push(receipt(number, 2, (*amount).into(), "reversed"));
            }
        }
        if let Some(refund) = self.refund {
            events.push(receipt(99, 1, -i64::from(refund), "received"));
        }
        for (number, amount) in self.invoices.iter().enumerate() {
            let record = json!({
                "contract_number": "HT-1", "total_tax_included": cents((*amount).into()), "currency": "CNY",
            });
            events.push(event(kinds::INVOICE_ISSUED, &format!("F{number}"), 1, record));
        }
        if let Some(credit) = self.credit {
            let record = json!({
                "contract_number": "HT-1", "total_tax_included": cents(-i64::from(credit)), "currency": "CNY",
            });
            // Ordered by its own number, as the shipped configuration has it.
            events.push(Event {
                order_key: "TH-1".into(),
                ..event(kinds::CREDIT_NOTE_SIGNED, "TH-1", 1, record)
            });
        }
        events
    }

    /// Due, invoiced, received.
    fn expected(&self) -> (Decimal, Decimal, Decimal) {
        let sum = |cents: i64| Decimal::new(cents, 2);
        let due = i64::from(self.totals.last().copied().unwrap_or(0)) - i64::from(self.credit.unwrap_or(0));
        let received: i64 = self
            .receipts
            .iter()
            .filter(|(_, later)| later.is_none())
            .map(|(amount, _)| i64::from(*amount))
            .sum();
        let received = received - i64::from(self.refund.unwrap_or(0));
        (sum(due), sum(self.invoices.iter().map(|one| i64::from(*one)).sum()), sum(received))
    }
}

/// Works off what is in the outbox, one after the other; what the opportunity was told, in order.
async fn work_off(store: &Arc<dyn Store>, routes: &Routes, told: &mut Vec<Value>) {
    loop {
        let rows = store.outbox(100).await.unwrap();
        if rows.is_empty() {
            return;
        }
        store.outbox_done(rows.iter().map(|row| row.id).collect(), 0).await.unwrap();
        for row in rows {
            let Begin::Run(work) = store.begin(&row.delivery, "w", 1_000, 0).await.unwrap() else { continue };
            attempt(store, routes, &work, told).await;
        }
    }
}

async fn attempt(store: &Arc<dyn Store>, routes: &Routes, work: &Work, told: &mut Vec<Value>) {
    let report = if work.delivery.target == LEDGER {
        ledger::handle(store, routes, work, 0).await
    } else {
        if work.event.kind == kinds::PAYMENT_MATCHED {
            told.push(serde_json::from_str(&work.event.record).unwrap());
        }
        tongbao_delivery::Report::new(Class::Done)
    };
    assert_eq!(report.class, Class::Done, "{:?}", report.fault);
    let finish = Finish {
        follow_on: report.follow_on,
        entries: report.entries,
        payments: report.payments,
        ..Finish::new(work, 0, Next::Posted, report.class)
    };
    assert_eq!(store.finish(finish).await.unwrap(), Finished::Stored);
}

async fn check(shipped: &Shipped, news: &News, order: &[usize], together: bool) -> Result<(), TestCaseError> {
    let routes = Routes::new(shipped.config.flows.clone(), Ids::Counted(Arc::default()));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let events = news.events();
    let mut told = Vec::new();
    // The drawn order with its repetitions, then each once, so that everything has been said.
    let drawn = order.iter().map(|at| at % events.len()).chain(0..events.len());
    for at in drawn {
        let intake = routes.intake(events.get(at).cloned().unwrap());
        let accepted = store.accept(vec![intake], None, 0).await.unwrap();
        let conflict = matches!(accepted.first(), Some(Accepted::Conflict { .. }));
        prop_assert!(!conflict);
        if !together {
            work_off(&store, &routes, &mut told).await;
        }
    }
    work_off(&store, &routes, &mut told).await;
    let account = ledger::account(&store.ledger("HT-1").await.unwrap()).unwrap();
    prop_assert_eq!((account.due, account.invoiced, account.received), news.expected());
    let revisions: Vec<i64> = told.iter().filter_map(|one| one.get("revision")?.as_i64()).collect();
    prop_assert!(revisions.is_sorted_by(|a, b| a < b), "told in this order: {:?}", revisions);
    let rank = |one: &Value| ["open", "part-paid", "paid"].iter().position(|stage| one["stage"] == **stage);
    let stages: Vec<_> = told.iter().map(rank).collect();
    // A stage goes back only with an amendment that raises what is due, never by older news.
    if news.totals.len() == 1 && news.refund.is_none() && news.credit.is_none() {
        let released = stages.iter().position(|stage| *stage == Some(2));
        let after = released.map(|at| stages.iter().skip(at).all(|stage| *stage == Some(2)));
        prop_assert!(after.unwrap_or(true), "{:?}", told);
    }
    if let Some(last) = told.last() {
        prop_assert_eq!(&last["open"], &json!(account.open.to_string()));
        prop_assert_eq!(&last["received"], &json!(account.received.to_string()));
        prop_assert_eq!(&last["stage"], &json!(account.stage().name()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_order_of_news_does_not_matter(
        news in news(),
        order in proptest::collection::vec(0_usize..64, 0..30),
        together in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        static SHIPPED: std::sync::OnceLock<Shipped> = std::sync::OnceLock::new();
        let shipped = SHIPPED.get_or_init(|| Shipped::new().unwrap());
        runtime.block_on(check(shipped, &news, &order, together))?;
    }
}
