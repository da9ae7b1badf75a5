//! More comes in than goes out: beyond the outbox's bound senders are told to come back, nothing is dropped,
//! and it goes on by itself when there is room.

use super::brokers::{FRAIL, on_servers};
use super::databases::{SOME, assert_comes_back, ends_as_undisturbed, post};
use super::documents::Batch;
use super::far_sides::behind_a_proxy;
use super::process::{Household, Life};
use crate::Case;
use crate::proxy::Mode;
use crate::servers::{End, Servers};
use crate::world::until;
use std::time::Duration;

/// Pause between polls.
const POLL: Duration = Duration::from_millis(super::process::POLL_MS);

/// The cases.
pub fn cases() -> Vec<(String, Case)> {
    let case = |name: &str, case: Case| (format!("pressure::{name}"), case);
    vec![
        case("embedded_with_the_erp_down", Box::new(|| Box::pin(embedded_with_the_erp_down()))),
        case("rabbit_stopped", Box::new(|| Box::pin(rabbit_stopped()))),
    ]
}

/// Rows the outbox may hold in these cases; a contract brings three.
const BOUND: &[(&str, &str)] = &[("relay: {", "relay: { outbox_max: 10,")];

/// Sends contracts of the batch and of nobody by turns until one is refused for the backlog. A refused one is
/// not stored.
async fn fill(household: &mut Household, life: &mut Life, batch: &mut Batch) {
    let mut strays = 0;
    until("the intake is full", async || {
        life.assert_alive();
        batch.send(&household.sender, &household.sandbox, 1).await;
        let number = format!("HT-stray-{strays}");
        let answer = post(household, &number).await;
        if answer.status == 202 {
            strays += 1;
            return false;
        }
        assert_comes_back(&answer, "backlog-full");
        let stored = household.get(&format!("/api/deliveries?key={number}")).await.unwrap();
        assert_eq!(stored["deliveries"].as_array().unwrap().len(), 0, "{stored}");
        true
    })
    .await;
    household.expect_strays(strays);
    assert!(!batch.is_sent(), "the bound came too late to show anything");
}

/// Retries that wait for an ERP that is away are rows of the outbox like any other.
async fn embedded_with_the_erp_down() {
    let (mut household, proxy) = behind_a_proxy("pressure embedded").await;
    household.rewrite(BOUND);
    household.rewrite(&[
        ("circuit_cool_down_ms: 300", "circuit_after: 1000"),
        ("retry: { first_ms: 50, max_ms: 400 }", "retry: { first_ms: 4000, max_ms: 4000 }"),
    ]);
    proxy.set(Mode::Refuse);
    let mut life = household.start(None);
    life.ready(&household).await;
    let mut batch = Batch::new("B1", SOME);
    fill(&mut household, &mut life, &mut batch).await;
    proxy.set(Mode::Pass);
    ends_as_undisturbed(&mut household, life, &mut batch, SOME).await;
}

async fn rabbit_stopped() {
    let _alone = FRAIL.lock().await;
    let port = on_servers(Servers::frail_rabbit_port).await;
    let rabbit = (format!("amqp://guest:guest@127.0.0.1:{port}/%2f"), "pressure.".to_owned());
    let mut household = Household::over("pressure rabbit", None, Some(rabbit)).await;
    household.rewrite(BOUND);
    let mut life = household.start(None);
    life.ready(&household).await;
    let mut batch = Batch::new("B2", SOME);
    batch.send(&household.sender, &household.sandbox, 2).await;
    until("the first orders stand", async || household.sandbox.orders().len() == 2).await;
    on_servers(|servers| servers.stop_frail_rabbit(End::Term)).await;
    fill(&mut household, &mut life, &mut batch).await;
    let polls = || household.sandbox.calls().get("kingdee ExecuteBillQuery").copied();
    // One may be under way.
    tokio::time::sleep(POLL * 2).await;
    let before = polls();
    tokio::time::sleep(POLL * 4).await;
    assert_eq!(polls(), before, "polls pause");
    on_servers(Servers::resume_frail_rabbit).await;
    ends_as_undisturbed(&mut household, life, &mut batch, SOME).await;
}
