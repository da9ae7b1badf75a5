//! Payments over the model of a store: what is heard in, accounts and allocations out.

use super::*;
use crate::config::{self, Matching};
use crate::ledger;
use crate::receivables::{self, Owed};
use crate::routes::{Ids, Routes};
use crate::statements::Books;
use crate::statements::compared::{Against, Bank, compared};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::sync::Arc;
use tongbao_delivery::payments::{PaymentBook, PaymentFilter};
use tongbao_delivery::port::{Begin, Finish, Finished, Holder, Next, Store};
use tongbao_delivery::sim::MemoryStore;
use tongbao_model::diagnostic::Place;
use tongbao_model::event::kinds;
use tongbao_model::{Class, Event, Tree, decimal, digest};

/// A company with its accounts and payments, and nothing else.
struct Company {
    store: Arc<dyn Store>,
    routes: Routes,
    matching: Matching,
    now_ms: i64,
}

const DAY_MS: i64 = 86_400_000;
/// 2026-11-02 in China, at noon.
const FIRST_MS: i64 = 1_793_592_000_000;

impl Company {
    fn new(book: PaymentBook) -> Company {
        let flow = |(on, to): (&str, &str)| config::Flow {
            name: format!("{on}-{to}"),
            place: Place::default(),
            on: on.into(),
            from: None,
            to: to.into(),
            mapping: None,
            emits: None,
        };
        let flows = [
            (kinds::CONTRACT_SIGNED, config::LEDGER),
            (kinds::INVOICE_ISSUED, config::LEDGER),
            (kinds::PAYMENT_ALLOCATED, config::LEDGER),
            (kinds::PAYMENT_RECEIVED, config::PAYMENTS),
            (kinds::BANK_BOOKED, config::PAYMENTS),
        ];
        Company {
            store: Arc::new(MemoryStore::new()),
            routes: Routes::new(flows.map(flow).into(), Ids::Counted(Arc::default())),
            matching: Matching { book, ..Matching::default() },
            now_ms: FIRST_MS,
        }
    }

    async fn hear(&mut self, kind: &str, key: &str, revision: i64, day: i64, record: Value) {
        self.now_ms += 1_000;
        let contract = record.get("contract_number").and_then(Value::as_str).unwrap_or(key).to_owned();
        let event = Event {
            id: String::new(),
            kind: kind.into(),
            source: "test".into(),
            key: key.into(),
            revision,
            order_key: contract,
            occurred_at_ms: FIRST_MS + day * DAY_MS,
            digest: digest::of_record(&Tree::from(&record)),
            record: record.to_string(),
            cause: None,
        };
        self.store.accept(vec![self.routes.intake(event)], None, self.now_ms).await.unwrap();
        self.work().await;
    }

    /// Does what is to be done until nothing is left.
    async fn work(&mut self) {
        loop {
            let rows = self.store.outbox(1_000).await.unwrap();
            if rows.is_empty() {
                return;
            }
            for row in rows {
                self.store.outbox_done(vec![row.id], self.now_ms).await.unwrap();
                let begun = self.store.begin(&row.delivery, "w", self.now_ms + 9_000, self.now_ms).await;
                let Begin::Run(work) = begun.unwrap() else { continue };
                let report = match work.delivery.target.as_str() {
                    config::LEDGER => ledger::handle(&self.store, &self.routes, &work, self.now_ms).await,
                    _ => handle(&work),
                };
                let next = if report.class == Class::Done { Next::Posted } else { Next::Parked };
                let finish = Finish {
                    follow_on: report.follow_on,
                    entries: report.entries,
                    payments: report.payments,
                    fault: report.fault,
                    ..Finish::new(&work, self.now_ms, next, report.class)
                };
                assert_eq!(self.store.finish(finish).await.unwrap(), Finished::Stored);
            }
        }
    }

    async fn contract(&mut self, number: &str, customer: &str, cents: i64) {
        let record = json!({"total_tax_included": amount(cents), "currency": "CNY",
            "customer": {"code": customer, "name": format!("{customer}有限公司")}});
        self.hear(kinds::CONTRACT_SIGNED, number, 1, 0, record).await;
    }

    async fn invoice(&mut self, number: &str, contract: &str, day: i64, cents: i64) {
        let record =
            json!({"total_tax_included": amount(cents), "currency": "CNY", "contract_number": contract});
        self.hear(kinds::INVOICE_ISSUED, number, 1, day, record).await;
    }

    async fn receipt(&mut self, number: &str, revision: i64, cents: i64, more: Value) {
        let mut record = json!({"amount": amount(cents), "currency": "CNY", "status": "received"});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.hear(kinds::PAYMENT_RECEIVED, number, revision, 5, record).await;
    }

    async fn line(&mut self, number: &str, day: i64, cents: i64, more: Value) {
        let direction = if cents < 0 { "out" } else { "in" };
        let mut record = json!({"amount": amount(cents.abs()), "currency": "CNY", "direction": direction,
            "kind": "ordinary"});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.hear(kinds::BANK_BOOKED, number, 1, day, record).await;
    }

    async fn look(&mut self) {
        self.now_ms += 1_000;
        let looked = look(self.store.as_ref(), &self.routes, &self.matching, self.now_ms).await.unwrap();
        assert!(!looked.overtaken);
        self.work().await;
    }

    /// Kind of the last verdict, and what stands.
    async fn told(&self, number: &str) -> String {
        let found = one(self.store.as_ref(), None, number).await.unwrap().unwrap();
        let kind = found.told.map_or("-", |told| told.kind.told().1);
        let standing = found.allocations.iter().filter(|one| one.stands());
        let paid: Vec<String> = standing
            .map(|one| {
                let paper = one.paper.clone().map(|paper| format!(":{paper}")).unwrap_or_default();
                let fee = if one.fee == "0" { String::new() } else { format!("+{}", one.fee) };
                format!("{}{paper}={}{fee}", one.contract, one.amount)
            })
            .collect();
        format!("{kind} {}", paid.join(" ")).trim_end().to_owned()
    }

    async fn owed(&self, contract: &str) -> String {
        let owed = self.account(contract).await;
        owed.contracts.first().and_then(|one| one.sums.as_ref()).map_or_else(String::new, |sums| {
            format!("received {} open {}", sums.received.0.normalize(), sums.open.0.normalize())
        })
    }

    async fn account(&self, contract: &str) -> Owed {
        let of = Holder::Contract(contract.into());
        receivables::owed(self.store.as_ref(), &of, None).await.unwrap().unwrap()
    }

    fn asked(&self, number: &str) -> Asked {
        Asked {
            book: self.matching.book,
            number: number.into(),
            who: "王会计".into(),
            why: "电话确认".into(),
        }
    }

    async fn allocate(&mut self, number: &str, parts: &[(&str, &str, i64)]) -> Result<(), String> {
        let part = |(contract, invoice, cents): &(&str, &str, i64)| Part {
            contract: (*contract).into(),
            invoice: (!invoice.is_empty()).then(|| (*invoice).to_owned()),
            amount: Decimal::new(*cents, 2),
            fee: Decimal::ZERO,
            customer: None,
        };
        let parts = parts.iter().map(part).collect();
        let asked = self.asked(number);
        self.now_ms += 1_000;
        let done = allocate(self.store.as_ref(), &self.routes, &asked, parts, self.now_ms).await.unwrap();
        self.work().await;
        done.map_err(|why| why.en)
    }

    async fn undo(&mut self, number: &str) -> Result<(), String> {
        let asked = self.asked(number);
        self.now_ms += 1_000;
        let done = undo(self.store.as_ref(), &self.routes, &asked, self.now_ms).await.unwrap();
        self.work().await;
        done.map_err(|why| why.en)
    }
}

fn amount(cents: i64) -> String {
    Decimal::new(cents, 2).to_string()
}

#[tokio::test]
async fn what_is_named_is_paid_and_the_rest_is_proposed() {
    let mut company = Company::new(PaymentBook::Erp);
    company.contract("HT-1001", "甲", 10_000).await;
    company.invoice("FP-0001", "HT-1001", 1, 6_000).await;
    company.invoice("FP-0002", "HT-1001", 2, 4_000).await;
    company.contract("HT-1002", "乙", 5_000).await;
    company.receipt("R1", 1, 4_000, json!({"text": "付 FP-0002 货款"})).await;
    company.receipt("R2", 1, 5_000, json!({"payer_name": "乙有限公司"})).await;
    company.receipt("R3", 1, 6_000, json!({})).await;
    company.receipt("R4", 1, 700, json!({"contract_number": "HT-1001"})).await;
    company.look().await;
    assert_eq!(company.told("R1").await, "matched HT-1001:FP-0002=40.00");
    assert_eq!(company.told("R2").await, "matched HT-1002=50.00");
    assert_eq!(company.told("R4").await, "named by the document HT-1001=7.00");
    // The oldest invoice is open with 53.00 now: nothing has the amount of 60.00 any more.
    assert_eq!(company.told("R3").await, "open");
    assert_eq!(company.owed("HT-1001").await, "received 47 open 53");
    assert_eq!(company.owed("HT-1002").await, "received 50 open 0");
}

#[tokio::test]
async fn undo_restores_exactly_and_a_person_is_learned_from() {
    let mut company = Company::new(PaymentBook::Erp);
    company.contract("HT-1001", "甲", 10_000).await;
    company.contract("HT-1002", "甲", 2_500).await;
    let before = (company.account("HT-1001").await.totals, company.account("HT-1002").await.totals);
    company.receipt("R1", 1, 10_000, json!({"payer_name": "老王建材"})).await;
    company.look().await;
    assert_eq!(company.told("R1").await, "proposed");
    let refused = company.allocate("R1", &[("HT-1001", "", 9_000)]).await.unwrap_err();
    assert!(refused.contains("90.00") && refused.contains("100.00"), "{refused}");
    assert!(company.allocate("R1", &[("HT-9", "", 10_000)]).await.unwrap_err().contains("HT-9"));
    assert!(company.allocate("R9", &[]).await.unwrap_err().contains("R9"));
    company.allocate("R1", &[("HT-1001", "", 9_000), ("HT-1002", "", 1_000)]).await.unwrap();
    assert_eq!(company.told("R1").await, "by hand HT-1001=90.00 HT-1002=10.00");
    assert_eq!(company.owed("HT-1001").await, "received 90 open 10");

    // Whom a person has named pays again under that name.
    company.receipt("R2", 1, 1_500, json!({"payer_name": "老王建材"})).await;
    company.look().await;
    assert_eq!(company.told("R2").await, "matched HT-1002=15.00");
    company.undo("R2").await.unwrap();
    company.undo("R1").await.unwrap();
    assert!(company.undo("R1").await.is_err(), "nothing stands");
    let after = (company.account("HT-1001").await.totals, company.account("HT-1002").await.totals);
    assert_eq!(before, after);
    assert!(company.store.learned_payers().await.unwrap().is_empty(), "what was learned is gone with it");
    company.look().await;
    // Only a person decides from now on.
    assert_eq!(company.told("R1").await, "proposed");
    let asked = company.asked("R1");
    choose(company.store.as_ref(), &company.routes, &asked, 1, company.now_ms + 9).await.unwrap().unwrap();
    company.work().await;
    assert_eq!(company.told("R1").await, "by hand HT-1001=100.00");
}

#[tokio::test]
async fn a_document_that_says_something_else_is_looked_at_again() {
    let mut company = Company::new(PaymentBook::Erp);
    company.contract("HT-1001", "甲", 10_000).await;
    company.contract("HT-1002", "乙", 10_000).await;
    company.receipt("R1", 1, 4_000, json!({"text": "HT-1001"})).await;
    company.look().await;
    assert_eq!(company.told("R1").await, "matched HT-1001=40.00");
    // The same amount for the same contract, now on the document: nothing is booked again.
    company.receipt("R1", 2, 4_000, json!({"contract_number": "HT-1001"})).await;
    company.look().await;
    let entries = company.account("HT-1001").await.contracts[0].entries.len();
    company.receipt("R1", 3, 4_000, json!({"contract_number": "HT-1002"})).await;
    company.look().await;
    company.look().await;
    assert_eq!(company.told("R1").await, "named by the document HT-1002=40.00");
    assert_eq!(company.owed("HT-1001").await, "received 0 open 100");
    assert_eq!(company.owed("HT-1002").await, "received 40 open 60");
    assert_eq!(company.account("HT-1001").await.contracts[0].entries.len(), entries);
    company.receipt("R1", 4, 4_000, json!({"contract_number": "HT-1002", "status": "reversed"})).await;
    company.receipt("R1", 2, 4_000, json!({"contract_number": "HT-1001"})).await;
    company.look().await;
    assert_eq!(company.told("R1").await, "void");
    assert_eq!(company.owed("HT-1002").await, "received 0 open 100");
    assert!(company.allocate("R1", &[("HT-1001", "", 4_000)]).await.is_err());
}

#[tokio::test]
async fn one_receipt_in_two_books_is_one_payment() {
    let mut company = Company::new(PaymentBook::Bank);
    company.contract("HT-1001", "甲", 10_000).await;
    company.line("B1", 5, 10_000, json!({"bank_reference": "REF-1", "other_name": "甲有限公司"})).await;
    company.line("B2", 5, 3_300, json!({"bank_reference": "REF-2"})).await;
    company.receipt("R1", 1, 10_000, json!({"bank_reference": "REF-1"})).await;
    company.receipt("R2", 1, 3_305, json!({"bank_reference": "REF-2"})).await;
    company.receipt("R3", 1, 999, json!({"bank_reference": "REF-3"})).await;
    company.look().await;
    assert_eq!(company.told("B1").await, "matched HT-1001=100.00");
    assert_eq!(
        (company.told("R1").await.as_str(), company.told("R3").await.as_str()),
        ("paired", "unpaired")
    );
    assert_eq!(company.owed("HT-1001").await, "received 100 open 0");
    let found = drifts(company.store.as_ref(), None, None).await.unwrap();
    let found: Vec<String> = found
        .iter()
        .map(|one| format!("{:?} {:?} {}", one.bank.as_deref(), one.erp.as_deref(), one.drift))
        .collect();
    assert_eq!(found, ["None Some(\"R3\") 9.99", "Some(\"B2\") Some(\"R2\") 0.05"]);
    // The ERP's text tells what the bank's does not.
    company.contract("HT-1003", "丙", 3_300).await;
    company.receipt("R2", 2, 3_300, json!({"bank_reference": "REF-2", "text": "HT-1003"})).await;
    company.look().await;
    company.look().await;
    assert_eq!(company.told("B2").await, "matched HT-1003=33.00");
    assert_eq!(drifts(company.store.as_ref(), None, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_reversal_takes_back_its_payment_and_a_refund_waits_for_a_person() {
    let mut company = Company::new(PaymentBook::Bank);
    company.contract("HT-1001", "甲", 10_000).await;
    company.line("B1", 3, 10_000, json!({"bank_reference": "REF-1", "text": "HT-1001"})).await;
    company.look().await;
    assert_eq!(company.owed("HT-1001").await, "received 100 open 0");
    company.line("B2", 6, -10_000, json!({"bank_reference": "REF-1", "kind": "reversal"})).await;
    // Of the same amount, and nothing says that it is the same payment.
    company.line("B3", 6, -10_000, json!({"kind": "reversal"})).await;
    company.line("B4", 7, -2_000, json!({"kind": "refund", "other_name": "甲有限公司"})).await;
    company.line("B5", 7, -700, json!({})).await;
    company.look().await;
    assert_eq!(company.told("B1").await, "reversed");
    assert_eq!(company.told("B2").await, "reversed");
    assert_eq!(company.told("B3").await, "money out");
    assert_eq!(company.told("B4").await, "money out");
    assert_eq!(company.owed("HT-1001").await, "received 0 open 100");
    assert!(one(company.store.as_ref(), None, "B5").await.unwrap().is_none(), "what we paid to others");
    company.allocate("B4", &[("HT-1001", "", -2_000)]).await.unwrap();
    assert_eq!(company.owed("HT-1001").await, "received -20 open 120");
}

#[tokio::test]
async fn what_a_bank_keeps_closes_the_item() {
    let mut company = Company::new(PaymentBook::Bank);
    let fee = tongbao_recon::matching::Fee {
        name: "跨行手续费".into(),
        currency: "CNY".into(),
        limit: tongbao_model::Exact(Decimal::new(500, 2)),
    };
    company.matching.policy.fees.push(fee);
    company.contract("HT-1001", "甲", 10_000).await;
    company.line("B1", 3, 9_950, json!({"text": "HT-1001"})).await;
    company.look().await;
    assert_eq!(company.told("B1").await, "matched HT-1001=99.50+0.50");
    assert_eq!(company.owed("HT-1001").await, "received 99.5 open 0");
    company.undo("B1").await.unwrap();
    assert_eq!(company.owed("HT-1001").await, "received 0 open 100");
}

/// What was allocated is held against its pair in the other book; what is for two customers is nobody's difference.
#[tokio::test]
async fn allocated_payments_are_compared_with_their_pairs() {
    let mut company = Company::new(PaymentBook::Bank);
    for (number, customer, cents) in
        [("HT-1001", "甲", 10_000), ("HT-1002", "甲", 2_000), ("HT-1003", "乙", 900)]
    {
        company.contract(number, customer, cents).await;
    }
    company.line("B1", 5, 12_000, json!({"bank_reference": "REF-1", "text": "HT-1001/HT-1002"})).await;
    company.line("B2", 5, 900, json!({"text": "HT-1003"})).await;
    company.line("B3", 6, 200, json!({})).await;
    let drifts = async |company: &Company, customer: &str| {
        let books = Books::load(company.store.as_ref(), customer).await.unwrap();
        let bank = Bank::load(company.store.as_ref()).await.unwrap();
        let until = ("2026-11".parse().unwrap(), company.now_ms);
        let found =
            compared(company.store.as_ref(), &books, until, &Against::default(), &bank).await.unwrap();
        let told = found.drifts.iter().flat_map(|drift| &drift.documents).map(|one| one.number.clone());
        let sums = found.drifts.iter().map(|drift| drift.difference.to_string());
        (sums.collect::<Vec<_>>(), told.collect::<Vec<_>>(), found.left_out)
    };
    company.look().await;
    assert_eq!(company.owed("HT-1002").await, "received 20 open 0");
    assert_eq!(drifts(&company, "甲").await, (vec![], vec![], 2), "nobody brings receipts of the ERP");
    company.receipt("R1", 1, 12_005, json!({"bank_reference": "REF-1"})).await;
    company.look().await;
    assert_eq!(drifts(&company, "甲").await, (vec!["0.05".into()], vec!["B1".into()], 0));
    assert_eq!(
        drifts(&company, "乙").await,
        (vec!["-9.00".into()], vec!["B2".into()], 0),
        "the ERP has none"
    );
    company.allocate("B3", &[("HT-1001", "", 100), ("HT-1003", "", 100)]).await.unwrap();
    assert_eq!(drifts(&company, "乙").await.2, 1);
}

/// Of two that decide at once over the same books one is told to look again, whoever they are.
#[tokio::test]
async fn two_never_use_one_thing() {
    let mut company = Company::new(PaymentBook::Erp);
    company.contract("HT-1001", "甲", 10_000).await;
    company.receipt("R1", 1, 10_000, json!({"text": "HT-1001"})).await;
    let turn = company.store.payments_turn().await.unwrap();
    let payment = company.store.payments(PaymentFilter::default()).await.unwrap().remove(0);
    let settling = tongbao_delivery::payments::Settling::of(&payment);
    assert!(company.store.settle(turn, vec![settling.clone()], 1).await.unwrap());
    assert!(!company.store.settle(turn, vec![settling.clone()], 1).await.unwrap(), "decided since");
    assert!(!company.store.settle(turn + 1, vec![settling], 1).await.unwrap(), "another turn of the payment");
    company.look().await;
    assert_eq!(company.told("R1").await, "matched HT-1001=100.00");
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Contract(usize, i64),
    Invoice(usize, usize, i64),
    Receipt { number: usize, revision: i64, cents: i64, names: usize, reversed: bool },
    Look,
    Allocate(usize, usize),
    Undo(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let cents = prop::sample::select(vec![1_000_i64, 2_500, 4_000, 6_000, 10_000]);
    prop_oneof![
        3 => (0..4_usize, cents.clone()).prop_map(|(contract, cents)| Step::Contract(contract, cents)),
        2 => (0..6_usize, 0..4_usize, cents.clone()).prop_map(|(one, two, cents)| Step::Invoice(one, two, cents)),
        6 => (0..6_usize, 1..4_i64, cents, 0..8_usize, prop::bool::weighted(0.15)).prop_map(
            |(number, revision, cents, names, reversed)| Step::Receipt { number, revision, cents, names, reversed }
        ),
        4 => Just(Step::Look),
        2 => (0..6_usize, 0..4_usize).prop_map(|(payment, contract)| Step::Allocate(payment, contract)),
        2 => (0..6_usize).prop_map(Step::Undo),
    ]
}

impl Company {
    async fn take(&mut self, step: &Step) {
        match step {
            Step::Contract(number, cents) => {
                self.contract(&format!("HT-100{number}"), &format!("C{}", number % 2), *cents).await;
            }
            Step::Invoice(number, contract, cents) => {
                self.invoice(&format!("FP-000{number}"), &format!("HT-100{contract}"), 1, *cents).await;
            }
            Step::Receipt { number, revision, cents, names, reversed } => {
                let status = if *reversed { "reversed" } else { "received" };
                let more = match names {
                    0..=3 => json!({"status": status, "text": format!("HT-100{names}")}),
                    4 | 5 => json!({"status": status, "contract_number": format!("HT-100{}", names - 4)}),
                    6 => json!({"status": status, "payer_name": "C1有限公司"}),
                    _ => json!({"status": status}),
                };
                self.receipt(&format!("R{number}"), *revision, *cents, more).await;
            }
            Step::Look => self.look().await,
            Step::Allocate(payment, contract) => {
                let number = format!("R{payment}");
                let found = one(self.store.as_ref(), None, &number).await.unwrap();
                let Some(found) = found else { return };
                let cents = decimal::parse(&found.payment.said.amount).unwrap() * Decimal::ONE_HUNDRED;
                let cents = i64::try_from(cents).unwrap();
                // It may be refused: the contract has not come, or the payment is void.
                let _ = self.allocate(&number, &[(&format!("HT-100{contract}"), "", cents)]).await;
            }
            Step::Undo(payment) => {
                let _ = self.undo(&format!("R{payment}")).await;
            }
        }
    }

    /// What the accounts say is what stands; a payment is allocated wholly or not at all, and a void one not.
    async fn is_sound(&self) {
        let all = list(self.store.as_ref(), PaymentFilter::default()).await.unwrap();
        for contract in ["HT-1000", "HT-1001", "HT-1002", "HT-1003"] {
            let of = Holder::Contract(contract.into());
            let entries = self.store.ledger_as_of(&of, i64::MAX).await.unwrap();
            let received = entries.iter().filter(|entry| entry.kind == "received");
            let booked: Decimal = received.map(|entry| decimal::parse(&entry.amount).unwrap()).sum();
            let theirs = all.iter().flat_map(|one| &one.allocations);
            let standing: Decimal = theirs
                .filter(|one| one.stands() && one.contract == contract)
                .map(|one| decimal::parse(&one.amount).unwrap())
                .sum();
            assert_eq!(booked, standing, "{contract}");
        }
        for one in &all {
            let stands: Vec<_> = one.allocations.iter().filter(|one| one.stands()).collect();
            let sum: Decimal = stands.iter().map(|one| decimal::parse(&one.amount).unwrap()).sum();
            let said = &one.payment.said;
            let whole = decimal::parse(&said.amount).unwrap();
            // What was heard since the last look is looked at by the next.
            let is_heard = one.payment.open && stands.first().is_some_and(|one| one.revision < said.revision);
            assert!(is_heard || stands.is_empty() || (sum == whole && !said.reversed), "{one:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_accounts_are_what_stands(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut company = Company::new(PaymentBook::Erp);
            for step in &steps {
                company.take(step).await;
                company.is_sound().await;
            }
            // What one look decides, another may have something to say about: the words, not the money.
            for _ in 0..3 {
                company.look().await;
            }
            company.is_sound().await;
            let before = list(company.store.as_ref(), PaymentFilter::default()).await.unwrap();
            let heard = before.iter().filter(|one| one.payment.open);
            prop_assert!(heard.clone().all(|one| one.allocations.iter().all(|one| !one.stands())));
            company.look().await;
            let after = list(company.store.as_ref(), PaymentFilter::default()).await.unwrap();
            prop_assert_eq!(before, after, "a look without news changes nothing");
            Ok(())
        })?;
    }
}
