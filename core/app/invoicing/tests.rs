//! Invoices of contracts over the model of a store: requests in, orders and refusals out.

use super::*;
use crate::config::{self, InvoicingRules};
use crate::ledger;
use crate::routes::{Ids, Routes};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tongbao_delivery::handler::Report;
use tongbao_delivery::invoicing::{InvoicePaper, PaperFilter};
use tongbao_delivery::port::{Begin, Finish, Finished, Holder, Next, Store};
use tongbao_delivery::sim::MemoryStore;
use tongbao_model::diagnostic::Place;
use tongbao_model::event::kinds;
use tongbao_model::record::InvoiceOrder;
use tongbao_model::{Class, Code, Event, Tree, decimal, digest};
use tongbao_recon::invoicing::Channel;

/// A company whose invoice platform is the test.
struct Company {
    store: Arc<dyn Store>,
    routes: Routes,
    rules: InvoicingRules,
    now_ms: i64,
    /// The last report of `invoicing`: class, and the fault's code.
    last: (Class, Option<Code>),
    /// What the platform answers to an order, if orders are sent to it.
    platform: Class,
}

/// 2026-11-02 in China, at noon.
const FIRST_MS: i64 = 1_793_592_000_000;

impl Company {
    fn new() -> Company {
        Company::with(&[])
    }

    /// With more flows.
    fn with(more: &[(&str, &str)]) -> Company {
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
            (kinds::CREDIT_NOTE_SIGNED, config::LEDGER),
            (kinds::INVOICE_ISSUED, config::LEDGER),
            (kinds::PAYMENT_RECEIVED, config::LEDGER),
            (kinds::INVOICE_REQUESTED, config::INVOICING),
            (kinds::RED_INVOICE_REQUESTED, config::INVOICING),
        ];
        Company {
            store: Arc::new(MemoryStore::new()),
            routes: Routes::new(
                flows.iter().chain(more).copied().map(flow).collect(),
                Ids::Counted(Arc::default()),
            ),
            rules: InvoicingRules::default(),
            now_ms: FIRST_MS,
            last: (Class::Done, None),
            platform: Class::Done,
        }
    }

    async fn hear(&mut self, kind: &str, key: &str, revision: i64, record: Value) {
        self.now_ms += 1_000;
        let contract = record.get("contract_number").and_then(Value::as_str).unwrap_or(key).to_owned();
        let event = Event {
            id: String::new(),
            kind: kind.into(),
            source: "test".into(),
            key: key.into(),
            revision,
            order_key: contract,
            occurred_at_ms: self.now_ms,
            digest: digest::of_record(&Tree::from(&record)),
            record: record.to_string(),
            cause: None,
        };
        self.store.accept(vec![self.routes.intake(event)], None, self.now_ms).await.unwrap();
        self.work().await;
    }

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
                let report = if work.delivery.target == "tax" {
                    Report::new(self.platform)
                } else if work.delivery.target == config::LEDGER {
                    ledger::handle(&self.store, &self.routes, &work, self.now_ms).await
                } else {
                    let store = self.store.as_ref();
                    let report = handle(store, &self.routes, &self.rules, &work, self.now_ms).await;
                    self.last = (report.class, report.fault.as_ref().map(|fault| fault.code));
                    report
                };
                let next = match report.class {
                    Class::Done => Next::Posted,
                    Class::Rejected if report.final_rejection => Next::Rejected,
                    _ => Next::Parked,
                };
                let finish = Finish {
                    follow_on: report.follow_on,
                    entries: report.entries,
                    papers: report.papers,
                    fault: report.fault,
                    ..Finish::new(&work, self.now_ms, next, report.class)
                };
                assert_eq!(self.store.finish(finish).await.unwrap(), Finished::Stored);
            }
        }
    }

    /// A contract of lines: product, quantity, amount with tax in cents, rate.
    async fn contract(
        &mut self,
        number: &str,
        customer: &str,
        revision: i64,
        lines: &[(&str, i64, i64, &str)],
    ) {
        let total: i64 = lines.iter().map(|(_, _, cents, _)| cents).sum();
        let record = json!({"number": number, "signed_at": "2026-11-02T12:00:00+08:00", "currency": "CNY",
            "customer": buyer(customer), "lines": rows(lines), "total_tax_included": amount(total)});
        self.hear(kinds::CONTRACT_SIGNED, number, revision, record).await;
    }

    async fn credit(&mut self, number: &str, contract: &str, lines: &[(&str, i64, i64, &str)]) {
        let total: i64 = lines.iter().map(|(_, _, cents, _)| cents).sum();
        let record = json!({"number": number, "contract_number": contract, "signed_at": "2026-11-03T12:00:00+08:00",
            "currency": "CNY", "lines": rows(lines), "total_tax_included": amount(total)});
        self.hear(kinds::CREDIT_NOTE_SIGNED, number, 1, record).await;
    }

    /// Asks for lines by number: quantity and cents, none where it is 0. Answers the orders that came of it.
    async fn ask(
        &mut self,
        number: &str,
        contract: &str,
        customer: &str,
        lines: &[(&str, i64, i64, &str)],
    ) -> Vec<InvoiceOrder> {
        let total: i64 = lines.iter().map(|(_, _, cents, _)| cents).sum();
        let wanted: Vec<Value> =
            rows(lines).as_array().unwrap().iter().filter(|row| row["quantity"] != "0").cloned().collect();
        let record = json!({"number": number, "contract_number": contract, "kind": "special", "currency": "CNY",
            "requested_at": "2026-11-04T12:00:00+08:00", "customer": buyer(customer), "lines": wanted,
            "total_tax_included": amount(total)});
        self.hear(kinds::INVOICE_REQUESTED, number, 1, record).await;
        self.orders(kinds::INVOICE_APPROVED, number).await
    }

    async fn red(&mut self, number: &str, contract: &str, invoice: &str, lines: Value) -> Vec<InvoiceOrder> {
        let record = json!({"number": number, "contract_number": contract, "blue_invoice": invoice, "reason": "1",
            "currency": "CNY", "requested_at": "2026-11-05T12:00:00+08:00", "lines": lines});
        self.hear(kinds::RED_INVOICE_REQUESTED, number, 1, record).await;
        self.orders(kinds::RED_INVOICE_APPROVED, number).await
    }

    async fn orders(&self, kind: &str, request: &str) -> Vec<InvoiceOrder> {
        let mut events = self.store.latest(&[kind], 1_000).await.unwrap();
        events.sort_by(|a, b| a.key.cmp(&b.key));
        let read = |event: &Event| serde_json::from_str::<InvoiceOrder>(&event.record).unwrap();
        events.iter().map(read).filter(|order| order.request_number == request).collect()
    }

    /// The platform issues an order.
    async fn issue(&mut self, order: &InvoiceOrder, number: &str) {
        let record = json!({"number": number, "order_number": order.number, "status": "issued", "currency": "CNY",
            "contract_number": order.contract_number, "total_tax_included": order.total_tax_included});
        self.hear(kinds::INVOICE_ISSUED, number, 1, record).await;
    }

    async fn shown(&self, contract: &str) -> Shown {
        show(self.store.as_ref(), contract).await.unwrap().unwrap()
    }

    /// `may invoiced red left` of each line.
    async fn lines(&self, contract: &str) -> Vec<String> {
        let line = |line: &view::Line| {
            format!("{} {} {} {}", line.may.gross, line.invoiced.gross, line.red.gross, line.left.gross)
        };
        self.shown(contract).await.lines.iter().map(line).collect()
    }
}

fn amount(cents: i64) -> String {
    Decimal::new(cents, 2).to_string()
}

fn buyer(code: &str) -> Value {
    json!({"code": code, "name": format!("{code}有限公司"), "tax_number": "91330200MA0000000X"})
}

fn rows(lines: &[(&str, i64, i64, &str)]) -> Value {
    let row = |(place, (product, quantity, cents, rate)): (usize, &(&str, i64, i64, &str))| {
        json!({"line": place + 1, "product": {"code": product, "name": product}, "quantity": quantity.to_string(),
            "unit_price_tax_included": "1.00", "tax_rate": rate, "amount_tax_included": amount(*cents)})
    };
    lines.iter().enumerate().map(row).collect()
}

fn sum(orders: &[InvoiceOrder], of: fn(&InvoiceOrder) -> Decimal) -> Decimal {
    orders.iter().map(of).try_fold(Decimal::ZERO, decimal::add).unwrap()
}

fn gross(order: &InvoiceOrder) -> Decimal {
    order.total_tax_included.0
}

/// A number is used once: the same again is no news, anything else is refused, and nothing changes.
#[tokio::test]
async fn a_revised_request_does_not_change_what_was_let_through() {
    let mut company = Company::new();
    company.contract("HT-1", "C1", 1, &[("A", 3, 10_000, "0.13")]).await;
    let asked = |cents: i64| {
        let lines = [("A", 1, cents, "0.13")];
        json!({"number": "Q1", "contract_number": "HT-1", "kind": "special", "currency": "CNY", "note": cents.to_string(),
            "requested_at": "2026-11-04T12:00:00+08:00", "customer": buyer("C1"), "lines": rows(&lines),
            "total_tax_included": amount(cents)})
    };
    company.hear(kinds::INVOICE_REQUESTED, "Q1", 1, asked(3_333)).await;
    let mut again = asked(3_333);
    again["note"] = json!("请寄送");
    company.hear(kinds::INVOICE_REQUESTED, "Q1", 2, again).await;
    assert_eq!(company.last, (Class::Done, None));
    for revision in [3, 4] {
        company.hear(kinds::INVOICE_REQUESTED, "Q1", revision, asked(2_000 + revision)).await;
        assert_eq!(company.last, (Class::Rejected, Some(Code::EventConflict)));
        let refused = company.store.newest(kinds::INVOICE_REFUSED, "Q1", i64::MAX).await.unwrap().unwrap();
        assert_eq!(refused.revision, revision, "each is told");
        assert!(refused.record.contains("已用于开票单 Q1"), "{}", refused.record);
    }
    let orders = company.orders(kinds::INVOICE_APPROVED, "Q1").await;
    assert_eq!((orders.len(), gross(&orders[0])), (1, Decimal::new(3_333, 2)));
    assert_eq!(company.lines("HT-1").await, ["100.00 0.00 0.00 66.67"]);
    // Nor does a red one under the same number.
    company.issue(&orders[0], "FP1").await;
    company.red("Q1", "HT-1", "FP1", json!([])).await;
    assert_eq!(company.last, (Class::Rejected, Some(Code::EventConflict)));
    company.red("R1", "HT-1", "FP1", json!([])).await;
    assert_eq!(company.last, (Class::Done, None));
}

/// The platform knows a number once, whatever the contract.
#[tokio::test]
async fn a_number_of_another_contract_is_refused() {
    let mut company = Company::with(&[(kinds::CONTRACT_SIGNED, config::INVOICING)]);
    company.contract("HT-1", "C1", 1, &[("A", 3, 10_000, "0.13")]).await;
    company.contract("HT-1-R2", "C1", 1, &[("A", 3, 10_000, "0.13")]).await;
    assert_eq!(company.last, (Class::Done, None));
    company.contract("HT-1", "C1", 2, &[("A", 4, 12_000, "0.13")]).await;
    assert_eq!(company.last, (Class::Rejected, Some(Code::EventConflict)));
    let refused = company.store.newest(kinds::INVOICE_REFUSED, "HT-1-R2", i64::MAX).await.unwrap().unwrap();
    assert!(refused.record.contains("已用于合同 HT-1-R2"), "{}", refused.record);
    assert_eq!(company.ask("Q1", "HT-1", "C1", &[("A", 1, 2_000, "0.13")]).await.len(), 1);
}

/// Signed, and invoiced: all that is left, each time. What an amendment takes away is for a red invoice.
#[tokio::test]
async fn contracts_are_invoiced_as_they_are_signed() {
    let mut company = Company::with(&[(kinds::CONTRACT_SIGNED, config::INVOICING)]);
    company.contract("HT-1", "C1", 1, &[("A", 3, 10_000, "0.13"), ("B", 1, 5_000, "0.06")]).await;
    let first = company.orders(kinds::INVOICE_APPROVED, "HT-1").await;
    assert_eq!(
        (first.len(), first[0].kind.as_str(), gross(&first[0])),
        (1, "special", Decimal::new(15_000, 2))
    );
    assert!(first[0].lines.iter().all(|line| line.unit_price_tax_included.is_some()));
    company.issue(&first[0], "FP1").await;
    // Signed again as it was: nothing is left.
    company.contract("HT-1", "C1", 2, &[("A", 3, 10_000, "0.13"), ("B", 1, 5_000, "0.06")]).await;
    assert_eq!(company.last, (Class::Done, None));
    assert_eq!(company.shown("HT-1").await.orders.len(), 1);
    // One line more, one less.
    company.contract("HT-1", "C1", 3, &[("A", 4, 13_333, "0.13"), ("B", 1, 4_000, "0.06")]).await;
    let more = company.orders(kinds::INVOICE_APPROVED, "HT-1-R2").await;
    assert_eq!((more.len(), more[0].lines.len(), gross(&more[0])), (1, 1, Decimal::new(3_333, 2)));
    assert_eq!(more[0].lines[0].unit_price_tax_included, None, "the rest has an amount and no price");
    company.issue(&more[0], "FP2").await;
    assert_eq!(company.lines("HT-1").await, ["133.33 133.33 0.00 0.00", "40.00 50.00 0.00 -10.00"]);
    // A request finds nothing left, and after a red invoice it does.
    company.ask("Q1", "HT-1", "C1", &[("A", 1, 3_333, "0.13")]).await;
    assert_eq!(company.last.1, Some(Code::OverInvoiced));
    let red = company.red("R1", "HT-1", "FP2", json!([])).await;
    company.issue(&red[0], "FP3").await;
    assert_eq!(company.ask("Q2", "HT-1", "C1", &[("A", 1, 3_333, "0.13")]).await.len(), 1);
    assert_eq!(company.last, (Class::Done, None));
    // What the platform cannot take is told.
    company.contract("HT-2026-0000000000001", "C1", 1, &[("A", 1, 10_000, "0.13")]).await;
    assert_eq!(company.last.0, Class::Rejected);
    let refused =
        company.store.newest(kinds::INVOICE_REFUSED, "HT-2026-0000000000001", i64::MAX).await.unwrap();
    assert!(refused.is_some());
}

/// Undone after it was signed: nothing more is invoiced, by request or by hand, until it is signed anew.
#[tokio::test]
async fn an_annulled_contract_is_not_invoiced() {
    let mut company = Company::new();
    company.rules.together.insert("C2".to_owned());
    let lines = [("A", 2, 10_000, "0.13")];
    for (contract, customer) in [("HT-1", "C1"), ("HT-2", "C2")] {
        company.contract(contract, customer, 1, &lines).await;
        company.ask(&format!("Q-{contract}"), contract, customer, &[("A", 1, 5_000, "0.13")]).await;
        assert_eq!(company.last, (Class::Done, None));
        company.hear(kinds::CONTRACT_ANNULLED, contract, 1, json!({"contract_number": contract})).await;
    }
    let issued = company.orders(kinds::INVOICE_APPROVED, "Q-HT-1").await;
    company.issue(&issued[0], "FP1").await;
    let again = company.ask("Q3", "HT-1", "C1", &[("A", 1, 5_000, "0.13")]).await;
    assert_eq!((again.len(), company.last), (0, (Class::Rejected, Some(Code::OverInvoiced))));
    let refused = company.store.newest(kinds::INVOICE_REFUSED, "Q3", i64::MAX).await.unwrap().unwrap();
    assert!(refused.record.contains("已于 2026-11-02 12:00:03 作废"), "{}", refused.record);
    assert!(company.shown("HT-1").await.annulled_at.is_some());
    let who = Asked { who: "王".into(), why: String::new(), checked: false };
    let by_hand = async |company: &Company| {
        let (store, rules) = (company.store.as_ref(), &company.rules);
        together(store, &company.routes, rules, "C2", &[], &who, company.now_ms).await.unwrap()
    };
    assert!(by_hand(&company).await.unwrap_err().zh.contains("HT-2 已于"));
    // What was issued can be taken back all the same.
    let red = company.red("R1", "HT-1", "FP1", json!([])).await;
    assert_eq!(gross(&red[0]), Decimal::new(-5_000, 2));
    for (contract, customer) in [("HT-1", "C1"), ("HT-2", "C2")] {
        company.contract(contract, customer, 2, &lines).await;
    }
    assert_eq!(company.ask("Q4", "HT-1", "C1", &[("A", 1, 5_000, "0.13")]).await.len(), 1);
    assert_eq!(by_hand(&company).await.unwrap().len(), 1);
    assert!(company.shown("HT-1").await.annulled_at.is_none());
}

#[tokio::test]
async fn part_over_rest_red_and_the_last_red_takes_the_remainder() {
    let mut company = Company::new();
    company.contract("HT-1", "C1", 1, &[("A", 3, 10_000, "0.13"), ("B", 1, 5_000, "0.06")]).await;
    let first = company.ask("Q1", "HT-1", "C1", &[("A", 1, 3_333, "0.13")]).await;
    assert_eq!((first.len(), first[0].number.as_str(), gross(&first[0])), (1, "Q1", Decimal::new(3_333, 2)));
    // Asked for, and not issued yet, is as good as gone.
    let over = company.ask("Q2", "HT-1", "C1", &[("A", 3, 10_000, "0.13")]).await;
    assert_eq!((over.len(), company.last), (0, (Class::Rejected, Some(Code::OverInvoiced))));
    let refused = company.store.newest(kinds::INVOICE_REFUSED, "Q2", i64::MAX).await.unwrap().unwrap();
    assert!(
        refused.record.contains("over-invoiced") && refused.record.contains("66.67"),
        "{}",
        refused.record
    );
    company.issue(&first[0], "FP1").await;
    assert_eq!(company.lines("HT-1").await, ["100.00 33.33 0.00 66.67", "50.00 0.00 0.00 50.00"]);
    // The rest, a cent off: it takes what is left, in tax too.
    let second = company.ask("Q3", "HT-1", "C1", &[("A", 2, 6_666, "0.13"), ("B", 1, 5_000, "0.06")]).await;
    assert_eq!(gross(&second[0]), Decimal::new(11_667, 2));
    company.issue(&second[0], "FP2").await;
    let parts: Vec<InvoiceOrder> = [first, second].concat();
    let whole = decimal::split_tax(Decimal::new(10_000, 2), Decimal::new(13, 2)).unwrap();
    let other = decimal::split_tax(Decimal::new(5_000, 2), Decimal::new(6, 2)).unwrap();
    assert_eq!(sum(&parts, |order| order.total_tax_excluded.0), whole.0 + other.0);
    assert_eq!(sum(&parts, |order| order.total_tax.0), whole.1 + other.1);
    assert_eq!(company.shown("HT-1").await.left.to_string(), "0.00");

    // Taken back in two parts; the second takes what remains, and a third finds nothing.
    let one = company.red("R1", "HT-1", "FP2", json!([{"line": 1, "quantity": "1"}])).await;
    assert_eq!((gross(&one[0]), one[0].is_whole), (Decimal::new(-3_334, 2), Some(false)));
    company.issue(&one[0], "FP3").await;
    assert_eq!(company.lines("HT-1").await, ["100.00 100.00 -33.34 33.34", "50.00 50.00 0.00 0.00"]);
    let over = company.red("R2", "HT-1", "FP2", json!([{"line": 1, "quantity": "2"}])).await;
    assert_eq!((over.len(), company.last.1), (0, Some(Code::OverInvoiced)));
    let rest = company.red("R3", "HT-1", "FP2", json!([])).await;
    assert_eq!(gross(&one[0]) + gross(&rest[0]), -gross(&parts[1]));
    let net = |order: &InvoiceOrder| order.total_tax_excluded.0;
    assert_eq!(net(&one[0]) + net(&rest[0]), -net(&parts[1]));
    assert!(company.red("R4", "HT-1", "FP2", json!([])).await.is_empty());
    company.issue(&rest[0], "FP4").await;
    let whole = company.red("R5", "HT-1", "FP1", json!([])).await;
    assert_eq!((whole[0].is_whole, gross(&whole[0])), (Some(true), Decimal::new(-3_333, 2)));
    // A red one is not taken back, nor one that nobody knows.
    assert!(company.red("R6", "HT-1", "FP3", json!([])).await.is_empty());
    assert!(company.red("R7", "HT-1", "FP9", json!([])).await.is_empty());
    assert_eq!(company.last.1, Some(Code::RelatedMissing), "it may come");
}

#[tokio::test]
async fn splits_of_an_exempt_line_and_of_too_many_lines() {
    let mut company = Company::new();
    company.rules.channel = Channel { rows_max: 2, number_max: 20 };
    let lines =
        [("A", 1, 1_000, "0.13"), ("B", 1, 2_000, "0.13"), ("C", 1, 3_000, "0.13"), ("D", 1, 4_000, "0")];
    company.contract("HT-1", "C1", 1, &lines).await;
    let orders = company.ask("Q1", "HT-1", "C1", &lines).await;
    let told: Vec<String> =
        orders.iter().map(|order| format!("{} {} {}", order.number, order.kind, gross(order))).collect();
    assert_eq!(told, ["Q1-1 special 30.00", "Q1-2 special 30.00", "Q1-3 ordinary 40.00"]);
    for (place, order) in orders.iter().enumerate() {
        company.issue(order, &format!("FP{place}")).await;
    }
    let shown = company.shown("HT-1").await;
    assert_eq!((shown.left.to_string(), shown.invoices.len()), ("0.00".to_owned(), 3));
    assert!(shown.orders.iter().all(|order| order.state == "issued" && order.requests == ["Q1"]));
    company.rules.channel.number_max = 3;
    company.contract("HT-2", "C1", 1, &lines).await;
    assert!(company.ask("Q2", "HT-2", "C1", &lines).await.is_empty());
    assert_eq!(company.last.1, Some(Code::FieldTooLong));
}

#[tokio::test]
async fn requests_that_wait_become_one_invoice() {
    let mut company = Company::new();
    company.rules.together.insert("C1".to_owned());
    let line = [("A", 2, 10_000, "0.13")];
    for contract in ["HT-1", "HT-2", "HT-3"] {
        company.contract(contract, if contract == "HT-3" { "C2" } else { "C1" }, 1, &line).await;
    }
    let half = [("A", 1, 5_000, "0.13")];
    assert!(company.ask("Q1", "HT-1", "C1", &half).await.is_empty());
    assert!(company.ask("Q2", "HT-2", "C1", &line).await.is_empty());
    assert_eq!(company.ask("Q3", "HT-3", "C2", &line).await.len(), 1, "others do not wait");
    assert!(company.ask("Q4", "HT-2", "C1", &half).await.is_empty());
    assert_eq!(company.last.1, Some(Code::OverInvoiced), "what waits is asked for");
    assert_eq!(company.ask("Q5", "HT-1", "C1", &half).await.len(), 0);
    assert_eq!(waiting(company.store.as_ref(), Some("C1")).await.unwrap().len(), 3);
    // One is taken back before, and may be asked for again.
    let who = Asked { who: "王会计".into(), why: "客户要求".into(), checked: false };
    withdraw(company.store.as_ref(), "Q5", &who, company.now_ms).await.unwrap().unwrap();
    assert_eq!(company.lines("HT-1").await, ["100.00 0.00 0.00 50.00"]);
    let put = |numbers: &'static [&'static str]| {
        let (store, routes, rules) = (company.store.clone(), company.routes.clone(), company.rules.clone());
        let (who, now_ms) = (who.clone(), company.now_ms);
        let numbers: Vec<String> = numbers.iter().map(|number| (*number).to_owned()).collect();
        async move { together(store.as_ref(), &routes, &rules, "C1", &numbers, &who, now_ms).await.unwrap() }
    };
    assert!(put(&["Q1", "Q5"]).await.is_err(), "Q5 does not wait any more");
    assert_eq!(put(&[]).await.unwrap(), ["Q1"]);
    assert!(put(&[]).await.is_err(), "nothing is left");
    let orders = company.orders(kinds::INVOICE_APPROVED, "Q1").await;
    assert_eq!((orders.len(), gross(&orders[0]), orders[0].lines.len()), (1, Decimal::new(15_000, 2), 2));
    for contract in ["HT-1", "HT-2"] {
        let shown = company.shown(contract).await;
        let order = shown.orders.iter().find(|one| one.kind == "order").unwrap();
        assert_eq!((order.requests.join(" "), order.who.as_deref()), ("Q1 Q2".to_owned(), Some("王会计")));
    }
    assert_eq!(company.shown("HT-2").await.left.to_string(), "0.00");
}

#[tokio::test]
async fn what_came_before_the_control_counts() {
    let mut company = Company::new();
    let line = [("A", 1, 10_000, "0.13"), ("B", 1, 20_000, "0.13")];
    company.contract("HT-1", "C1", 1, &line).await;
    company.contract("HT-2", "C1", 1, &line).await;
    let issued = |contract: &str, order: &str, cents: i64| {
        json!({"number": format!("FP-{contract}-{order}"), "order_number": order, "contract_number": contract,
            "status": "issued", "currency": "CNY", "total_tax_included": amount(cents)})
    };
    // The whole contract under its own number: line by line.
    company.hear(kinds::INVOICE_ISSUED, "FP-HT-1-HT-1", 1, issued("HT-1", "HT-1", 30_000)).await;
    assert_eq!(company.lines("HT-1").await, ["100.00 100.00 0.00 0.00", "200.00 200.00 0.00 0.00"]);
    // It can be taken back through the control.
    let red = company.red("R1", "HT-1", "FP-HT-1-HT-1", json!([{"line": 2}])).await;
    assert_eq!(gross(&red[0]), Decimal::new(-20_000, 2));
    // Of one that nobody knows the lines of, no more than what is left of the whole.
    company.hear(kinds::INVOICE_ISSUED, "FP-HT-2-X", 1, issued("HT-2", "X", 15_000)).await;
    assert!(
        company.ask("Q1", "HT-2", "C1", &[("A", 0, 0, "0.13"), ("B", 1, 20_000, "0.13")]).await.is_empty()
    );
    assert_eq!(company.last.1, Some(Code::OverInvoiced));
    assert_eq!(company.ask("Q2", "HT-2", "C1", &[("A", 1, 10_000, "0.13")]).await.len(), 1);
    let shown = company.shown("HT-2").await;
    assert_eq!((shown.unplaced.to_string(), shown.left.to_string()), ("150.00".into(), "50.00".into()));
    // A contract that has not come is waited for.
    assert!(company.ask("Q3", "HT-9", "C1", &line).await.is_empty());
    assert_eq!(company.last, (Class::Throttled(None), Some(Code::RelatedMissing)));
}

#[tokio::test]
async fn credits_amendments_and_three_ways() {
    let mut company = Company::new();
    let line = [("A", 2, 20_000, "0.13")];
    company.contract("HT-1", "C1", 1, &line).await;
    let order = company.ask("Q1", "HT-1", "C1", &line).await;
    company.issue(&order[0], "FP1").await;
    company.credit("TH-1", "HT-1", &[("A", -1, -10_000, "0.13")]).await;
    // A red one is due.
    assert_eq!(company.lines("HT-1").await, ["100.00 200.00 0.00 -100.00"]);
    let of = Holder::Contract("HT-1".into());
    let ways = |has_orders: bool| {
        let (store, of) = (company.store.clone(), of.clone());
        async move { three_way(store.as_ref(), Some(&of), None, has_orders).await.unwrap().unwrap().0.remove(0) }
    };
    let told = ways(true).await;
    assert_eq!(told.matches, [Match::OrderMissing, Match::OverInvoiced, Match::Receivable]);
    assert_eq!(ways(false).await.matches, [Match::OverInvoiced, Match::Receivable]);
    let red = company.red("R1", "HT-1", "FP1", json!([{"line": 1, "quantity": "1"}])).await;
    company.issue(&red[0], "FP2").await;
    let receipt =
        json!({"amount": "100.00", "currency": "CNY", "status": "received", "contract_number": "HT-1"});
    company.hear(kinds::PAYMENT_RECEIVED, "S1", 1, receipt).await;
    assert_eq!(ways_of(&company).await, Vec::<Match>::new());
    // More is agreed: more may be invoiced.
    company.contract("HT-1", "C1", 2, &[("A", 3, 30_000, "0.13")]).await;
    assert_eq!(company.lines("HT-1").await, ["200.00 200.00 -100.00 100.00"]);
    assert_eq!(ways_of(&company).await, [Match::ToInvoice]);
}

async fn ways_of(company: &Company) -> Vec<Match> {
    let found = three_way(company.store.as_ref(), None, None, false).await.unwrap().unwrap();
    assert_eq!(found.1, None);
    found.0[0].matches.clone()
}

#[tokio::test]
async fn what_is_on_its_way_is_not_withdrawn_and_what_was_withdrawn_is_not_sent() {
    let mut company = Company::new();
    let line = [("A", 1, 10_000, "0.13")];
    company.contract("HT-1", "C1", 1, &line).await;
    let order = company.ask("Q1", "HT-1", "C1", &line).await;
    let event = company.store.newest(kinds::INVOICE_APPROVED, "Q1", i64::MAX).await.unwrap().unwrap();
    assert!(withdrawn(company.store.as_ref(), &event).await.is_none());
    let who = Asked { who: "王会计".into(), why: "抬头有误".into(), checked: false };
    withdraw(company.store.as_ref(), "Q1", &who, company.now_ms).await.unwrap().unwrap();
    let fault = withdrawn(company.store.as_ref(), &event).await.unwrap();
    assert_eq!((fault.code, fault.code.class()), (Code::TargetRejected, Class::Rejected));
    assert_eq!(company.ask("Q2", "HT-1", "C1", &line).await.len(), 1, "it may be asked for again");
    assert!(withdraw(company.store.as_ref(), "Q1", &who, company.now_ms).await.unwrap().is_err());
    let second = company.orders(kinds::INVOICE_APPROVED, "Q2").await;
    company.issue(&second[0], "FP2").await;
    assert!(withdraw(company.store.as_ref(), "Q2", &who, company.now_ms).await.unwrap().is_err());
    // Where the platform issued it all the same, nothing is hidden.
    company.issue(&order[0], "FP1").await;
    assert_eq!(company.lines("HT-1").await, ["100.00 200.00 0.00 -100.00"]);
    let papers =
        company.store.invoice_papers_of(PaperFilter { number: Some("Q1".into()), ..PaperFilter::default() });
    let states: Vec<String> = papers.await.unwrap().into_iter().map(|one: InvoicePaper| one.state).collect();
    assert_eq!(states, ["withdrawn"]);
}

#[tokio::test]
async fn what_may_have_been_issued_is_withdrawn_only_by_who_has_looked() {
    let line = [("A", 1, 10_000, "0.13")];
    let who = |checked: bool| Asked { who: "王会计".into(), why: "税号有误".into(), checked };
    for (answer, is_certain) in [(Class::Rejected, true), (Class::Unknown, false), (Class::Unavailable, true)]
    {
        let mut company = Company::with(&[(kinds::INVOICE_APPROVED, "tax")]);
        company.platform = answer;
        company.contract("HT-1", "C1", 1, &line).await;
        company.ask("Q1", "HT-1", "C1", &line).await;
        let now_ms = company.now_ms;
        let withdrawn = withdraw(company.store.as_ref(), "Q1", &who(false), now_ms).await.unwrap();
        assert_eq!(withdrawn.is_ok(), is_certain, "{answer:?}");
        if !is_certain {
            assert!(withdraw(company.store.as_ref(), "Q1", &who(true), now_ms).await.unwrap().is_ok());
        }
        assert_eq!(company.shown("HT-1").await.left.to_string(), "100.00");
    }
    // It stands: nobody withdraws it.
    let mut company = Company::with(&[(kinds::INVOICE_APPROVED, "tax")]);
    company.contract("HT-1", "C1", 1, &line).await;
    company.ask("Q1", "HT-1", "C1", &line).await;
    assert!(withdraw(company.store.as_ref(), "Q1", &who(true), company.now_ms).await.unwrap().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However often a contract grows, its invoices are what it is in net, tax and gross.
    #[test]
    fn a_contract_signed_anew_is_invoiced_to_the_cent(
        rates in prop::collection::vec(prop::sample::select(vec!["0.13", "0.09", "0.06", "0.01"]), 1..4),
        more in prop::collection::vec(prop::collection::vec((0_i64..3, 1_i64..100_000), 3), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(signed_anew(&rates, &more))?;
    }

    /// Whatever is asked for in whatever order, a contract is never invoiced beyond what it is, in net, tax and gross, and
    /// what is taken back never exceeds what was issued.
    #[test]
    fn nothing_is_ever_invoiced_beyond_the_contract(
        lines in prop::collection::vec((1_i64..6, 1_i64..100_000, prop::sample::select(vec!["0.13", "0.06", "0"])), 1..4),
        asks in prop::collection::vec((0_usize..4, 1_i64..6, 1_i64..100_000, any::<bool>()), 1..14),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(random_history(&lines, &asks))?;
    }
}

async fn random_history(
    lines: &[(i64, i64, &str)],
    asks: &[(usize, i64, i64, bool)],
) -> Result<(), TestCaseError> {
    let mut company = Company::new();
    let products = ["A", "B", "C", "D"];
    let own: Vec<(&str, i64, i64, &str)> = lines
        .iter()
        .zip(products)
        .map(|((quantity, cents, rate), product)| (product, *quantity, *cents, *rate))
        .collect();
    company.contract("HT-1", "C1", 1, &own).await;
    let mut issued: Vec<String> = Vec::new();
    let mut nets: BTreeMap<String, Decimal> = BTreeMap::new();
    for (step, (place, quantity, cents, is_red)) in asks.iter().enumerate() {
        let place = place % own.len();
        let number = format!("Q{step}");
        let orders = if let (true, Some(invoice)) = (*is_red, issued.get(step % issued.len().max(1)).cloned())
        {
            let wanted = json!([{"line": place + 1, "amount_tax_included": amount(*cents)}]);
            let lines = if cents % 3 == 0 { json!([]) } else { wanted };
            company.red(&number, "HT-1", &invoice, lines).await
        } else {
            let asked: Vec<(&str, i64, i64, &str)> = own
                .iter()
                .enumerate()
                .map(|(line, (product, _, _, rate))| {
                    if line == place { (*product, *quantity, *cents, *rate) } else { (*product, 0, 0, *rate) }
                })
                .collect();
            company.ask(&number, "HT-1", "C1", &asked).await
        };
        for order in orders {
            for line in &order.lines {
                // What the platform holds a line to.
                let (net, tax) = (line.amount_tax_excluded.0, line.tax.0);
                prop_assert_eq!(net + tax, line.amount_tax_included.0);
                prop_assert!((net * line.tax_rate.0 - tax).abs() <= Decimal::new(6, 2), "{line:?}");
            }
            let invoice = format!("FP-{}", order.number);
            company.issue(&order, &invoice).await;
            nets.insert(invoice.clone(), order.total_tax_excluded.0);
            if order.blue_invoice.is_none() {
                issued.push(invoice);
            }
        }
        let shown = company.shown("HT-1").await;
        for line in &shown.lines {
            for (may, invoiced, red, left) in [
                (line.may.gross, line.invoiced.gross, line.red.gross, line.left.gross),
                (line.may.net, line.invoiced.net, line.red.net, line.left.net),
                (line.may.tax, line.invoiced.tax, line.red.tax, line.left.tax),
                (line.may.quantity, line.invoiced.quantity, line.red.quantity, line.left.quantity),
            ] {
                prop_assert!(left.0 >= Decimal::ZERO && -red.0 <= invoiced.0, "{line:?}");
                prop_assert_eq!(may.0 - invoiced.0 - red.0, left.0);
            }
        }
        let net: Decimal = nets.values().copied().sum();
        let told = shown.lines.iter().map(|line| line.invoiced.net.0 + line.red.net.0).sum::<Decimal>();
        prop_assert_eq!(net, told, "the papers are what was issued");
    }
    Ok(())
}

async fn signed_anew(rates: &[&str], more: &[Vec<(i64, i64)>]) -> Result<(), TestCaseError> {
    let mut company = Company::with(&[(kinds::CONTRACT_SIGNED, config::INVOICING)]);
    let mut agreed: Vec<(&str, i64, i64, &str)> =
        ["A", "B", "C"].into_iter().zip(rates).map(|(product, rate)| (product, 1, 100, *rate)).collect();
    let mut issued: Vec<String> = Vec::new();
    for (revision, more) in (1..).zip(more) {
        for ((_, quantity, cents, _), (units, much)) in agreed.iter_mut().zip(more) {
            if *units > 0 {
                (*quantity, *cents) = (*quantity + units, *cents + much);
            }
        }
        company.contract("HT-1", "C1", revision, &agreed).await;
        prop_assert_eq!(company.last, (Class::Done, None));
        for event in company.store.latest(&[kinds::INVOICE_APPROVED], 1_000).await.unwrap() {
            let order: InvoiceOrder = serde_json::from_str(&event.record).unwrap();
            if issued.contains(&order.number) {
                continue;
            }
            for line in &order.lines {
                let (net, tax) = (line.amount_tax_excluded.0, line.tax.0);
                prop_assert_eq!(net + tax, line.amount_tax_included.0);
                prop_assert!((net * line.tax_rate.0 - tax).abs() <= Decimal::new(6, 2), "{line:?}");
            }
            company.issue(&order, &format!("FP-{}", order.number)).await;
            issued.push(order.number);
        }
        let shown = company.shown("HT-1").await;
        for (line, (_, quantity, cents, rate)) in shown.lines.iter().zip(&agreed) {
            let (gross, rate) = (Decimal::new(*cents, 2), decimal::parse(rate).unwrap());
            let (net, tax) = decimal::split_tax(gross, rate).unwrap();
            prop_assert_eq!(
                (line.invoiced.net.0, line.invoiced.tax.0, line.invoiced.gross.0),
                (net, tax, gross)
            );
            prop_assert_eq!(
                (line.invoiced.quantity.0, line.left.gross.0),
                (Decimal::from(*quantity), Decimal::ZERO)
            );
        }
    }
    Ok(())
}
