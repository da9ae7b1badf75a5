//! Does a contract reach the ERP by its confirmed signature, once, and by nothing else?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/staged.rs"]
mod staged;

use serde_json::{Value, json};
use staged::{contract, send, started};
use std::time::{Duration, Instant};
use tongbao_app::service;
use tongbao_app::stage::{self, Stage, StageOptions};
use tongbao_delivery::port::{DeliveryView, Filter, State};
use tongbao_model::Event;
use tongbao_model::event::kinds;
use tongbao_sandbox::signing::{EsignSender, FadadaSender, FlowChange, FlowSpec, FlowView};
use tongbao_sandbox::{Sandbox, SandboxConfig};

/// What is added to the example configuration, as shipped.
const SIGNING: &str = include_str!("../deploy/signing.yaml");

#[derive(Clone, Copy, PartialEq)]
enum Provider {
    Esign,
    Fadada,
}

/// Sends a provider's callbacks.
enum Sender {
    Esign(EsignSender),
    Fadada(FadadaSender),
}

struct World {
    _folder: tempfile::TempDir,
    stage: Stage,
    sender: Sender,
    /// Name of the provider's connection.
    name: &'static str,
}

/// The example configuration with contracts that come in unsigned, and both providers.
fn with_signing(text: &str, sandbox_url: &str) -> String {
    let (_, more) = SIGNING.split_once("\nconnections:\n").unwrap();
    let (connections, flows) = more.split_once("\nflows:\n").unwrap();
    let quick = "    retry: { first_ms: 50, max_ms: 200 }\n    receives:\n      callback";
    let connections = connections
        .replace("http://127.0.0.1:8490", sandbox_url)
        .replace("again_s: 30", "again_s: 0")
        .replace("    receives:\n      callback", quick);
    let drafted = "contract: { event: contract.drafted, mapping: webhook-contract }";
    let text = text
        .replace("contract: { event: contract.signed, mapping: webhook-contract }", drafted)
        .replace("\nflows:\n", &format!("\n{connections}\nflows:\n{flows}"))
        // The built-in targets are tried again soon too.
        .replace("broker:\n", "builtin: { retry: { first_ms: 50, max_ms: 200 } }\nbroker:\n");
    assert!(text.contains(drafted));
    text
}

impl World {
    async fn new(provider: Provider) -> World {
        let folder = tempfile::tempdir().unwrap();
        let stage = started(folder.path(), |text, sandbox| with_signing(text, &sandbox.url())).await;
        let name = if provider == Provider::Esign { "esign" } else { "fadada" };
        let url = format!("http://{}/in/{name}", stage.running.address);
        let known = stage.sandbox.config();
        let sender = match provider {
            Provider::Esign => Sender::Esign(
                EsignSender::new(&url, &known.esign.app_id, &known.esign.app_secret, Duration::ZERO).unwrap(),
            ),
            Provider::Fadada => Sender::Fadada(
                FadadaSender::new(&url, &known.fadada.app_id, &known.fadada.app_secret, 1_000_000).unwrap(),
            ),
        };
        World { _folder: folder, stage, sender, name }
    }

    /// The CRM tells of a contract that is agreed.
    async fn draft(&self, number: &str) {
        send(&self.stage, &contract(number, "C1")).await;
    }

    fn begin(&self, flow: &str, number: &str, signers: u32) {
        let spec = FlowSpec { signers, ..FlowSpec::of(flow, number) };
        match self.sender {
            Sender::Esign(_) => self.stage.sandbox.esign_begin(spec),
            Sender::Fadada(_) => self.stage.sandbox.fadada_begin(spec),
        }
        .unwrap();
    }

    fn change(&self, flow: &str, change: FlowChange) {
        match self.sender {
            Sender::Esign(_) => self.stage.sandbox.esign_change(flow, change),
            Sender::Fadada(_) => self.stage.sandbox.fadada_change(flow, change),
        }
        .unwrap();
    }

    fn flow(&self, id: &str) -> FlowView {
        let all = match self.sender {
            Sender::Esign(_) => self.stage.sandbox.esign_flows(),
            Sender::Fadada(_) => self.stage.sandbox.fadada_flows(),
        };
        all.into_iter().find(|flow| flow.spec.id == id).unwrap()
    }

    /// What the provider would say of a flow now, as of a time.
    fn news(&self, flow: &str, at_ms: i64) -> (String, String) {
        match self.sender {
            Sender::Esign(_) => (String::new(), self.stage.sandbox.esign_news(flow, at_ms).unwrap()),
            Sender::Fadada(_) => {
                let (event, content) = self.stage.sandbox.fadada_news(flow, true, at_ms).unwrap();
                (event.to_owned(), content)
            }
        }
    }

    /// News of an end that the flow has not come to, rightly signed.
    fn lie(&self, flow: &str, at_ms: i64) -> (String, String) {
        let number = self.flow(flow).spec.number;
        match self.sender {
            Sender::Esign(_) => {
                let body = json!({"action": "SIGN_FLOW_COMPLETE", "timestamp": at_ms, "signFlowId": flow,
                    "signFlowStatus": "2"});
                (String::new(), body.to_string())
            }
            Sender::Fadada(_) => {
                let content = json!({"eventTime": at_ms.to_string(), "signTaskId": flow,
                    "signTaskStatus": "task_finished", "transReferenceId": number});
                ("sign-task-finished".to_owned(), content.to_string())
            }
        }
    }

    async fn push(&self, (event, body): (String, String)) {
        let (pushed, tries) = match &self.sender {
            Sender::Esign(sender) => sender.push(body).await.unwrap(),
            Sender::Fadada(sender) => sender.push(&event, &body).await.unwrap(),
        };
        let answer = String::from_utf8_lossy(&pushed.body).into_owned();
        assert_eq!(tries, 1, "{} {answer}", pushed.status);
        assert!(answer.contains("success"), "{answer}");
    }

    async fn events(&self, key: &str, kind: &str) -> Vec<Event> {
        let found = self.stage.store().find(key).await.unwrap();
        found.into_iter().filter(|event| event.kind == kind && event.key == key).collect()
    }

    async fn deliveries(&self, target: &str, key: &str) -> Vec<DeliveryView> {
        let filter = Filter { target: Some(target.into()), key: Some(key.into()), ..Filter::default() };
        self.stage.store().deliveries(filter).await.unwrap()
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds().await {
            assert!(Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Nothing is under way any more.
    async fn settled(&self) {
        assert!(self.stage.settle(Duration::from_secs(60), |_| ()).await.unwrap());
    }

    fn orders(&self, number: &str) -> usize {
        self.stage.orders().iter().filter(|order| order.number == number && self.stage.stands(order)).count()
    }

    /// The state that the last delivery of a flow to the target `signature` was recorded with.
    async fn recorded(&self, flow: &str) -> Option<String> {
        let all = self.deliveries("signature", flow).await;
        all.into_iter().rfind(|one| one.state == State::Posted)?.remote.map(|remote| remote.step)
    }
}

async fn only_what_is_confirmed_takes_effect(provider: Provider) {
    let world = World::new(provider).await;
    let now = world.stage.sandbox.now_ms();
    world.draft("HT-1").await;
    world.begin("f-1", "HT-1", 2);
    world.settled().await;
    assert!(world.stage.orders().is_empty(), "nobody has signed");

    // One of two has signed: heard, asked about, and nothing follows. Its news is kept for later.
    world.change("f-1", FlowChange::Sign);
    let first = world.news("f-1", now);
    world.push(first.clone()).await;
    world
        .until("signing is recorded", async || world.recorded("f-1").await.as_deref() == Some("signing"))
        .await;

    // A callback that is signed and not true: asked about until it is.
    world.push(world.lie("f-1", now + 1_000)).await;
    world
        .until("the lie is seen through twice", async || {
            let asked = world.deliveries(world.name, "f-1").await;
            asked.iter().any(|one| one.attempts >= 2 && one.state == State::Waiting)
        })
        .await;
    assert!(world.stage.orders().is_empty() && world.events("HT-1", kinds::CONTRACT_SIGNED).await.is_empty());

    world.change("f-1", FlowChange::Sign);
    let last = world.news("f-1", now + 2_000);
    // Twice, as platforms do; the first signer's late again, and one that never came before, from still earlier.
    for news in [last.clone(), last.clone(), first, world.news("f-1", now - 5_000), last] {
        world.push(news).await;
    }
    world.until("the order stands", async || world.orders("HT-1") == 1).await;
    world.settled().await;
    assert_eq!(world.stage.orders().len(), 1);
    let signed = world.events("HT-1", kinds::CONTRACT_SIGNED).await;
    assert_eq!(signed.len(), 1, "once, however often it is told");
    let record: Value = serde_json::from_str(&signed[0].record).unwrap();
    let at: i64 = record["signed_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    assert_eq!(at, world.flow("f-1").changed_ms, "signed when the provider says it was");
    assert_eq!(
        (record["total_tax_included"].as_str(), signed[0].order_key.as_str()),
        (Some("339.00"), "HT-1")
    );
    assert_eq!(world.recorded("f-1").await.as_deref(), Some("signed"));
    let confirmed: Vec<i64> =
        world.events("f-1", kinds::SIGNATURE_CONFIRMED).await.iter().map(|event| event.revision).collect();
    assert_eq!(confirmed, [1, 2], "under way, then signed");
    // From the order back to the callback.
    let asked = world.deliveries("signature", "f-1").await;
    assert!(asked.iter().any(|one| Some(&one.id) == signed[0].cause.as_ref()));

    // Undone afterwards: told, and the order is a person's matter.
    world.change("f-1", FlowChange::Annul);
    world.push(world.news("f-1", now + 3_000)).await;
    world
        .until("the annulment", async || !world.events("HT-1", kinds::CONTRACT_ANNULLED).await.is_empty())
        .await;
    world.push(world.lie("f-1", now + 4_000)).await;
    world.settled().await;
    assert_eq!(world.recorded("f-1").await.as_deref(), Some("annulled"));
    assert_eq!(world.events("HT-1", kinds::CONTRACT_ANNULLED).await.len(), 1);
    assert_eq!((world.orders("HT-1"), world.events("HT-1", kinds::CONTRACT_SIGNED).await.len()), (1, 1));
}

async fn a_flow_that_ends_otherwise_posts_nothing(provider: Provider) {
    let world = World::new(provider).await;
    let now = world.stage.sandbox.now_ms();
    for (flow, number, change, state) in [
        ("f-2", "HT-2", FlowChange::Reject, "rejected"),
        ("f-3", "HT-3", FlowChange::Revoke, "revoked"),
        ("f-4", "HT-4", FlowChange::Expire, "expired"),
    ] {
        world.draft(number).await;
        world.begin(flow, number, 2);
        world.change(flow, change);
        world.push(world.news(flow, now)).await;
        world.until(state, async || world.recorded(flow).await.is_some()).await;
        world.push(world.lie(flow, now + 1_000)).await;
        world.settled().await;
        assert_eq!(world.recorded(flow).await.as_deref(), Some(state));
        assert!(world.events(number, kinds::CONTRACT_SIGNED).await.is_empty());
    }
    assert!(world.stage.orders().is_empty());

    // The signature overtakes its contract: waited for, then in effect. A flow without a number is nobody's contract.
    world.begin("f-5", "HT-5", 1);
    world.change("f-5", FlowChange::Sign);
    world.push(world.news("f-5", now)).await;
    world
        .until("the contract is missed", async || {
            let waiting = world.deliveries("signature", "f-5").await;
            waiting
                .iter()
                .any(|one| one.fault.as_ref().is_some_and(|fault| fault.code.as_str() == "related-missing"))
        })
        .await;
    world.draft("HT-5").await;
    world.until("the order stands", async || world.orders("HT-5") == 1).await;
    assert_eq!(world.events("HT-5", kinds::CONTRACT_SIGNED).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn esign_only_what_is_confirmed_takes_effect() {
    only_what_is_confirmed_takes_effect(Provider::Esign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn esign_a_flow_that_ends_otherwise_posts_nothing() {
    a_flow_that_ends_otherwise_posts_nothing(Provider::Esign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fadada_only_what_is_confirmed_takes_effect() {
    only_what_is_confirmed_takes_effect(Provider::Fadada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fadada_a_flow_that_ends_otherwise_posts_nothing() {
    a_flow_that_ends_otherwise_posts_nothing(Provider::Fadada).await;
}

/// A configuration in which a claim would take effect, or something else be taken for the provider's word, is refused.
#[tokio::test]
async fn nothing_else_can_be_configured_to_take_effect() {
    service::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let options = StageOptions::quick(folder.path());
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let config = stage::write_files(&options, &sandbox.url(), "127.0.0.1:0").unwrap();
    let good = with_signing(&std::fs::read_to_string(&config).unwrap(), &sandbox.url());
    for (from, to, code) in [
        ("", "", ""),
        ("on: signature.confirmed, to: signature", "on: signature.reported, to: signature", "flow-event"),
        ("emits: sales_order.posted", "emits: signature.confirmed", "flow-emits"),
    ] {
        let text = if from.is_empty() { good.clone() } else { good.replace(from, to) };
        assert!(from.is_empty() || text != good, "{from}");
        std::fs::write(&config, text).unwrap();
        let told = stage::load(&config, &options, &sandbox).err().unwrap_or_default();
        assert!(if code.is_empty() { told.is_empty() } else { told.contains(code) }, "{told}");
    }
}
