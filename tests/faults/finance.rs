//! What finance relies on, while the process is killed again and again: a contract is never invoiced beyond what it is, an
//! invoice is taken back once, and a payment is allocated once.

use super::process::{Household, Life, PATIENCE};
use crate::Case;
use crate::flows::{controlled, pooled};
use crate::world::{BrokerKind, Combination, Database};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tongbao_app::stage::CRM_SECRET;
use tongbao_sandbox::crm::WebhookSender;

/// Contracts of a case.
const CONTRACTS: usize = 10;
/// Where a life ends, and after how many passes.
const ENDS: [(&str, u32); 7] = [
    ("accepted-before-commit", 7),
    ("after-begin", 19),
    ("after-call-before-finish", 13),
    ("finished-before-commit", 17),
    ("after-finish-before-ack", 23),
    ("marked-before-commit", 5),
    ("cursor-before-commit", 2),
];
/// A life whose end is not reached by then is killed, wherever it is.
const LONGEST: Duration = Duration::from_secs(3);

const COMBINATIONS: [Combination; 3] = {
    use {BrokerKind::*, Database::*};
    [
        Combination { database: Sqlite, broker: Embedded },
        Combination { database: Postgres, broker: Rabbit },
        Combination { database: MariaDb, broker: Embedded },
    ]
};

/// The cases.
pub fn cases() -> Vec<(String, Case)> {
    let mut cases: Vec<(String, Case)> = Vec::new();
    for combination in COMBINATIONS {
        let name = |what: &str| format!("finance::{}::{what}", combination.name());
        cases.push((name("invoices"), Box::new(move || Box::pin(invoices(combination)))));
        cases.push((name("payments"), Box::new(move || Box::pin(payments(combination)))));
    }
    cases
}

/// Documents that a CRM pushes until each was accepted.
struct Pushes {
    open: Vec<(&'static str, String)>,
    senders: BTreeMap<&'static str, WebhookSender>,
}

impl Pushes {
    fn new(household: &Household) -> Pushes {
        let kinds = ["contract", "invoice_request", "red_request"];
        let sender =
            |kind| WebhookSender::new(&format!("{}/in/crm/{kind}", household.url), CRM_SECRET).unwrap();
        Pushes { open: Vec::new(), senders: kinds.map(|kind| (kind, sender(kind))).into() }
    }

    fn add(&mut self, kind: &'static str, body: Value) {
        self.open.push((kind, body.to_string()));
    }

    /// Sends what has got no 202 yet, in its order; gives up at the first failure and comes back later.
    async fn send(&mut self) {
        while let Some((kind, body)) = self.open.first() {
            match self.senders[kind].send(body.clone()).await {
                Ok(answer) if answer.status == 202 => drop(self.open.remove(0)),
                Ok(answer) if answer.status == 503 => return,
                Ok(answer) => panic!("HTTP {}: {}", answer.status, String::from_utf8_lossy(&answer.body)),
                Err(_) => return,
            }
        }
    }
}

fn number(index: usize) -> String {
    format!("HT-{index:02}")
}

fn lines(quantity: u32) -> Value {
    json!([{"line": 1, "product": {"code": "P-100", "name": "软件平台"}, "quantity": quantity.to_string(),
        "unit_price_tax_included": "113.00", "tax_rate": "0.13"}])
}

fn contract(index: usize) -> Value {
    json!({"number": number(index), "signed_at": "2026-11-20T10:00:00+08:00", "currency": "CNY",
        "customer": {"code": "C1", "name": "样例公司"}, "lines": lines(3), "total_tax_included": "339.00"})
}

fn request(index: usize, nth: usize) -> Value {
    json!({"number": format!("KP-{index:02}-{nth}"), "contract_number": number(index), "kind": "ordinary",
        "requested_at": "2026-11-21T10:00:00+08:00", "currency": "CNY",
        "customer": {"code": "C1", "name": "样例公司"}, "lines": lines(1), "total_tax_included": "113.00"})
}

fn red(index: usize, nth: usize, invoice: &str) -> Value {
    json!({"number": format!("HZ-{index:02}-{nth}"), "contract_number": number(index), "blue_invoice": invoice,
        "requested_at": "2026-11-22T10:00:00+08:00", "reason": "退货", "currency": "CNY"})
}

/// Lives that end one after the other, each at its place, while things are done to them.
pub async fn lives(household: &Household, ends: &[(&str, u32)], mut act: impl AsyncFnMut()) {
    for (failpoint, nth) in ends {
        let mut life = household.start(Some(&format!("{failpoint}={nth}")));
        let begun = Instant::now();
        let ended = loop {
            act().await;
            if let Some(status) = life.ended() {
                life.assert_aborted(status);
                break true;
            }
            if begun.elapsed() > LONGEST {
                break false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        if !ended {
            life.kill();
        }
    }
}

/// Waits for what is to hold in the end, with what is still to be done.
pub async fn until(what: &str, life: &mut Life, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        life.assert_alive();
        assert!(begun.elapsed() < PATIENCE, "never: {what}\n{}", life.said());
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

/// How many deliveries of a flow are in a state.
async fn count(household: &Household, flow: &str, state: &str) -> usize {
    let path = format!("/api/deliveries?limit=10000&flow={flow}&state={state}");
    let answer = household.get(&path).await.unwrap_or_default();
    answer["deliveries"].as_array().map_or(0, Vec::len)
}

async fn household(combination: Combination, what: &str, edit: impl Fn(&str) -> String) -> Household {
    let household = Household::named(combination, what).await;
    household.edit(edit);
    household
}

async fn invoices(combination: Combination) {
    let household = household(combination, "invoices", |text| controlled(text, "")).await;
    let mut pushes = Pushes::new(&household);
    for index in 0..CONTRACTS {
        pushes.add("contract", contract(index));
        // Four ask for a third each: whoever comes last is refused.
        (0..4).for_each(|nth| pushes.add("invoice_request", request(index, nth)));
    }
    lives(&household, &ENDS, async || pushes.send().await).await;
    let mut life = household.start(None);
    until("three of four are issued, and known", &mut life, async || {
        pushes.send().await;
        count(&household, "account-invoice", "posted").await == 3 * CONTRACTS
            && count(&household, "control-invoice", "rejected").await == CONTRACTS
    })
    .await;
    life.kill();

    let mut blue: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for one in household.sandbox.invoices() {
        let contract = format!("HT-{}", &one.order_no[3..5]);
        blue.entry(contract).or_default().push((one.number.unwrap(), one.gross.to_string()));
    }
    assert_eq!(blue.len(), CONTRACTS);
    for (contract, invoices) in &blue {
        let amounts: Vec<&str> = invoices.iter().map(|(_, gross)| gross.as_str()).collect();
        assert_eq!(amounts, ["113.00"; 3], "{contract}");
    }
    // Two want the same invoice taken back: one does it.
    for index in 0..CONTRACTS {
        let (invoice, _) = &blue[&number(index)][0];
        (0..2).for_each(|nth| pushes.add("red_request", red(index, nth, invoice)));
    }
    lives(&household, &ENDS, async || pushes.send().await).await;
    let mut life = household.start(None);
    until("one of two is taken back, and known", &mut life, async || {
        pushes.send().await;
        count(&household, "account-invoice", "posted").await == 4 * CONTRACTS
            && count(&household, "control-red", "rejected").await == CONTRACTS
    })
    .await;
    for index in 0..CONTRACTS {
        let shown = household.get(&format!("/api/invoices/contracts/{}", number(index))).await.unwrap();
        let line = &shown["lines"][0];
        let told = ["invoiced", "red", "left"].map(|name| line[name]["gross"].as_str().unwrap().to_owned());
        assert_eq!(told, ["339.00", "-113.00", "113.00"], "{shown}");
    }
    let reds = household.sandbox.invoices().into_iter().filter(|one| one.red_of.is_some()).count();
    assert_eq!((reds, household.sandbox.red_bills().len()), (CONTRACTS, CONTRACTS));
    life.stop();
}

async fn payments(combination: Combination) {
    let household = household(combination, "payments", |text| pooled(text, "erp", "every_ms: 100")).await;
    let mut pushes = Pushes::new(&household);
    (0..CONTRACTS).for_each(|index| pushes.add("contract", contract(index)));
    let mut unpaid: Vec<(usize, usize)> =
        (0..CONTRACTS).flat_map(|index| (0..3).map(move |nth| (index, nth))).collect();
    let mut act = async || {
        pushes.send().await;
        // A receipt is booked once its order stands.
        let stands =
            |index: usize| household.sandbox.order(&number(index)).is_some_and(|order| order.status == "C");
        unpaid.retain(|(index, nth)| {
            let is_paid = stands(*index);
            if is_paid {
                household.sandbox.pay(&number(*index), 113.into(), &format!("SK-{index:02}-{nth}")).unwrap();
            }
            !is_paid
        });
    };
    lives(&household, &ENDS, &mut act).await;
    let mut life = household.start(None);
    let open = async || {
        let mut open = 0;
        for index in 0..CONTRACTS {
            let path = format!("/api/receivables/contracts/{}", number(index));
            let owed = household.get(&path).await.unwrap_or_default();
            open += usize::from(owed["contracts"][0]["sums"]["open"] != "0.00");
        }
        open
    };
    until("every contract is paid", &mut life, async || {
        act().await;
        open().await == 0
    })
    .await;
    let listed = household.get("/api/payments?limit=10000").await.unwrap();
    let payments = listed["payments"].as_array().unwrap();
    assert_eq!(payments.len(), 3 * CONTRACTS);
    for payment in payments {
        let standing =
            payment["allocations"].as_array().unwrap().iter().filter(|one| one["undone_ms"].is_null());
        let amounts: Vec<&str> = standing.map(|one| one["amount"].as_str().unwrap()).collect();
        assert_eq!(amounts, ["113.00"], "{payment}");
    }
    for index in 0..CONTRACTS {
        let owed = household.get(&format!("/api/receivables/contracts/{}", number(index))).await.unwrap();
        let entries = owed["contracts"][0]["entries"].as_array().unwrap();
        for kind in ["received", "released"] {
            let mut of_kind: Vec<(&str, &str)> = entries
                .iter()
                .filter(|entry| entry["kind"] == kind)
                .map(|entry| (entry["origin"].as_str().unwrap(), entry["amount"].as_str().unwrap()))
                .collect();
            of_kind.sort_unstable();
            of_kind.dedup_by_key(|(origin, _)| *origin);
            assert_eq!(of_kind.len(), 3, "{kind}: {owed}");
            assert!(of_kind.iter().all(|(_, amount)| *amount == "113.00" || *amount == "113"), "{of_kind:?}");
        }
    }
    life.stop();
}
