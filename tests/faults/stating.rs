//! Statements to customers by a real conversation with a mail server, while the process is killed again and again.
//!
//! What is promised: every letter comes to the server at least once. Where the server's word was heard and stored, it came
//! once. Only an attempt without a known outcome (the process died in it, or the answer was lost) may be made again, since
//! nobody can be asked about a mail: then the same letter comes once more, under the same Message-ID. Whoever asks for a
//! statement and gets no answer looks before he asks again: it was stored as a whole or not at all.

use super::finance::{lives, until};
use super::process::{Household, Life};
use crate::Case;
use crate::flows::stating;
use crate::world::{BrokerKind, Combination, Database};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{ImportMode, TableRow};
use tongbao_model::Month;
use tongbao_sandbox::{Fault, MailMessage, Rule, System};
use tongbao_store::StoreOptions;

/// Where a life ends, and after how many passes: few, for each has but a few letters to send.
const ENDS: [(&str, u32); 8] = [
    ("after-call-before-finish", 1),
    ("begun-before-commit", 2),
    ("after-begin", 1),
    ("finished-before-commit", 2),
    ("after-finish-before-ack", 2),
    ("after-publish-before-mark", 1),
    ("marked-before-commit", 1),
    ("after-call-before-finish", 2),
];
/// Customers whose statements are asked for in each life.
const A_LIFE: usize = 2;
const CUSTOMERS: usize = ENDS.len() * A_LIFE;
/// The month that runs, in China: the schedule sends nothing of it.
static MONTH: LazyLock<String> =
    LazyLock::new(|| Month::at(SystemClock.now_ms()).map(|month| month.to_string()).unwrap());

/// The cases.
pub fn cases() -> Vec<(String, Case)> {
    use {BrokerKind::*, Database::*};
    let combinations = [
        Combination { database: Sqlite, broker: Embedded },
        Combination { database: Postgres, broker: Rabbit },
    ];
    let case = |combination: Combination| {
        let name = format!("stating::{}::letters", combination.name());
        let case: Case = Box::new(move || Box::pin(letters(combination)));
        (name, case)
    };
    combinations.into_iter().map(case).collect()
}

fn customer(index: usize) -> String {
    format!("K{index:02}")
}

fn contract(index: usize) -> Value {
    json!({"number": format!("HT-{index:02}"), "signed_at": "2026-11-20T10:00:00+08:00", "currency": "CNY",
        "customer": {"code": customer(index), "name": "样例公司", "email": format!("{}@customer.example.com", customer(index))},
        "lines": [{"line": 1, "product": {"code": "P-100", "name": "软件平台"}, "quantity": "3",
            "unit_price_tax_included": "113.00", "tax_rate": "0.13"}],
        "total_tax_included": "339.00"})
}

/// Customers with a contract each, whose books stand still.
async fn household(combination: Combination) -> Household {
    let household = Household::named(combination, "stating").await;
    let server = household.sandbox.mail_address();
    household.edit(|text| {
        stating(text, &server, "remind: { after: 1s, times: 1 }")
            .replace("per_minute: 20 ", "per_minute: 600 ")
            // What a dead process was at is taken up soon.
            .replace("  post:\n", "  post:\n    delivery: { lease_ms: 2500, call_timeout_ms: 2000 }\n    retry: { first_ms: 50, max_ms: 400 }\n")
    });
    let store = tongbao_store::open(&household.store_url(), StoreOptions::default()).await.unwrap();
    let row = |index| TableRow {
        table: "customers".into(),
        source: customer(index),
        target: "CUST0001".into(),
        ..TableRow::default()
    };
    store.import_table("customers", (0..CUSTOMERS).map(row).collect(), ImportMode::Merge).await.unwrap();
    store.close().await;
    household
}

/// Every contract is accepted, and nothing moves any more.
async fn settled(household: &Household, life: &mut Life) {
    life.ready(household).await;
    for index in 0..CUSTOMERS {
        assert_eq!(household.sender.send(contract(index).to_string()).await.unwrap().status, 202);
    }
    until("the books stand still", life, async || {
        let all = deliveries(household, "").await;
        let told = all.iter().filter(|one| one["flow"] == "account-invoice").count();
        told == CUSTOMERS && all.iter().all(|one| one["state"] == "posted")
    })
    .await;
}

async fn deliveries(household: &Household, more: &str) -> Vec<Value> {
    let answer = household.get(&format!("/api/deliveries?limit=10000{more}")).await.unwrap_or_default();
    answer["deliveries"].as_array().cloned().unwrap_or_default()
}

/// Asks for the statements that are not there yet. `None` where the service did not answer.
async fn ask(household: &Household, up_to: usize) -> Option<()> {
    let month = MONTH.as_str();
    let listed = household.get(&format!("/api/statements?month={month}")).await?;
    let known: BTreeSet<&str> =
        listed["statements"].as_array()?.iter().filter_map(|one| one["customer"].as_str()).collect();
    for customer in (0..up_to).map(customer).filter(|one| !known.contains(one.as_str())) {
        let url = format!("{}/api/statements/{customer}/{month}/send", household.url);
        let answer = household.client.post(url).send().await.ok()?;
        assert!(matches!(answer.status().as_u16(), 202 | 503), "{}", answer.status());
    }
    Some(())
}

/// What the server has, by Message-ID.
fn mails(household: &Household) -> BTreeMap<String, Vec<MailMessage>> {
    let mut mails: BTreeMap<String, Vec<MailMessage>> = BTreeMap::new();
    for mail in household.sandbox.mail_messages() {
        mails.entry(mail.header("message-id").unwrap()).or_default().push(mail);
    }
    mails
}

async fn letters(combination: Combination) {
    let household = household(combination).await;
    let mut life = household.start(None);
    settled(&household, &mut life).await;
    life.stop();
    // Of what the server takes, some answers are lost; some of it the server never sees, or refuses for now.
    let refused = Fault::Http { status: 502, retry_after: None, after_commit: false };
    for (fault, nth) in [
        (Fault::LostAnswerAfterCommit, 4),
        (Fault::LostBeforeCommit, 7),
        (refused, 9),
        (Fault::ResetMidBody, 11),
    ] {
        household.sandbox.fault(Rule::new(fault).on(System::Mail, "content").nth(nth).times(1));
    }
    for (index, end) in ENDS.iter().enumerate() {
        lives(&household, &[*end], async || {
            ask(&household, (index + 1) * A_LIFE).await;
        })
        .await;
    }
    let expected = 2 * CUSTOMERS;
    let mut life = household.start(None);
    until("every letter has come to rest", &mut life, async || {
        ask(&household, CUSTOMERS).await;
        let sent = deliveries(&household, "&target=post").await;
        sent.len() >= expected && sent.iter().all(|one| one["state"] == "posted")
    })
    .await;
    judged(&household, expected).await;
    life.stop();
}

/// Holds what the server has against what is known of each letter.
async fn judged(household: &Household, expected: usize) {
    let mut mails = mails(household);
    let (mut unknown, mut copies) = (0, 0);
    let sent = deliveries(household, "&target=post").await;
    assert_eq!(sent.len(), expected, "{sent:?}");
    for one in &sent {
        let shown = household.get(&format!("/api/deliveries/{}", one["id"].as_str().unwrap())).await.unwrap();
        let attempts = shown["attempts"].as_array().unwrap();
        let doubtful =
            attempts.iter().filter(|one| one["class"].is_null() || one["class"] == "unknown").count();
        unknown += doubtful;
        let id = one["remote"]["id"].as_str().unwrap_or_else(|| panic!("{shown}"));
        let came = mails.remove(id).or_else(|| mails.remove(&format!("<{id}>")));
        let came = came.unwrap_or_else(|| panic!("posted and never sent: {shown}"));
        assert!(came.len() <= 1 + doubtful, "{} times: {shown}", came.len());
        let customer = one["order_key"].as_str().unwrap().split(':').next().unwrap();
        let to = [format!("{customer}@customer.example.com"), "finance@example.com".to_owned()];
        for mail in &came {
            assert_eq!((&mail.to[..], mail.header("subject")), (&to[..], came[0].header("subject")));
            assert_eq!(mail.pieces()[0].text(), came[0].pieces()[0].text(), "one letter, one link");
        }
        copies += came.len() - 1;
    }
    assert!(unknown > 0, "no life ended where it matters");
    assert!(mails.is_empty() && copies > 0, "{:?} {copies}", mails.keys());
    let month = MONTH.as_str();
    let listed = household.get(&format!("/api/statements?month={month}")).await.unwrap();
    let statements = listed["statements"].as_array().unwrap();
    assert_eq!(statements.len(), CUSTOMERS);
    for one in statements {
        let of = |what: &str| {
            one["history"].as_array().unwrap().iter().filter(|note| note["what"] == what).count()
        };
        assert_eq!((&one["revision"], of("sent")), (&json!(1), 1), "{one}");
        assert_eq!(of("reminded"), 1, "{one}");
    }
}
