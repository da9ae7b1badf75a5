//! Are people told once, in one message, of what stands still and of what does not get through?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/staged.rs"]
mod staged;

use serde_json::{Value, json};
use staged::{contract, send, started};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tongbao_app::service;
use tongbao_app::stage::{self, CRM_SECRET, Stage, StageOptions};
use tongbao_delivery::port::{DeliveryView, Filter, State};
use tongbao_model::Code;
use tongbao_model::event::kinds;
use tongbao_sandbox::crm::WebhookSender;
use tongbao_sandbox::{Fault, Rule, Sandbox, SandboxConfig, System};

/// What is added to the example configuration, as shipped.
const NOTICES: &str = include_str!("../deploy/notices.yaml");

struct World {
    _folder: tempfile::TempDir,
    stage: Stage,
}

/// The example with both robots and mail, rules in place of the shipped ones, and a CRM at another address.
fn with_notices(text: &str, sandbox: &Sandbox, rules: &str, crm: Option<&str>) -> String {
    let sandbox_url = sandbox.url();
    let (_, more) = NOTICES.split_once("\nconnections:\n").unwrap();
    let (connections, _) = more.split_once("\nnotices:\n").unwrap();
    let connections = connections.replace("http://127.0.0.1:8490", &sandbox_url);
    assert!(connections.contains("127.0.0.1:8492"), "{connections}");
    let connections = connections.replace("127.0.0.1:8492", &sandbox.mail_address());
    let crm_url = format!("{sandbox_url}/crm");
    assert!(text.contains(&crm_url), "{text}");
    let text = text.replace(&crm_url, &crm.map_or(crm_url.clone(), |url| format!("{url}/crm")));
    let text = text.replace("\nflows:\n", &format!("\n{connections}\nflows:\n"));
    // Invoices are nothing to be told of here.
    let text: Vec<&str> = text.lines().filter(|line| !line.contains("name: invoice,")).collect();
    let text = text.join("\n");
    format!("{}\nnotices:\n{rules}\n", text.trim_end())
}

async fn world(rules: &str, crm: Option<&str>) -> World {
    let folder = tempfile::tempdir().unwrap();
    let stage = started(folder.path(), |text, sandbox| with_notices(text, sandbox, rules, crm)).await;
    World { _folder: folder, stage }
}

impl World {
    async fn send(&self, contracts: &[Value]) {
        send(&self.stage, &json!(contracts)).await;
    }

    async fn deliveries(&self, filter: Filter) -> Vec<DeliveryView> {
        self.stage.store().deliveries(Filter { limit: 10_000, ..filter }).await.unwrap()
    }

    async fn notices(&self) -> Vec<DeliveryView> {
        let all = self.deliveries(Filter::default()).await;
        all.into_iter().filter(|one| one.kind == kinds::NOTICE_DUE).collect()
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !holds().await {
            assert!(Instant::now() < deadline, "never: {what}; notices: {:#?}", self.notices().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn said(&self) -> (Vec<String>, Vec<String>) {
        let of = |all: Vec<tongbao_sandbox::RobotMessage>| all.into_iter().map(|one| one.content).collect();
        (of(self.stage.sandbox.wecom_messages()), of(self.stage.sandbox.dingtalk_messages()))
    }
}

/// The burst is over before the window closes, so that one message tells it all; that nothing follows is shown by the next
/// document, which makes the second message and not a third.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_parked_documents_are_one_message_each() {
    let rule = "  - { name: ops, on: [parked], connections: [erp], to: [wecom, dingtalk, mail], every: 30s, examples: 3 }";
    let world = world(rule, None).await;
    let many: Vec<Value> = (0..500).map(|n| contract(&format!("HT-{n:04}"), "C-UNKNOWN")).collect();
    world.send(&many).await;
    let parked = |count: usize| {
        let world = &world;
        async move || {
            let filter =
                Filter { states: vec![State::Parked], target: Some("erp".into()), ..Filter::default() };
            world.deliveries(filter).await.len() == count
        }
    };
    world.until("500 parked", parked(500)).await;
    world.until("one message each", async || world.said().0.len() == 1 && world.said().1.len() == 1).await;
    let (wecom, dingtalk) = world.said();
    for text in [&wecom[0], &dingtalk[0]] {
        assert!(
            text.starts_with("通宝：500 张单据挂起\nerp：500 张单据挂起（code-table-miss，财务处理）："),
            "{text}"
        );
        assert!(text.contains("编号 ops-1"), "{text}");
        assert_eq!(text.matches("HT-").count(), 3, "{text}");
        assert!(!text.contains("0574"), "{text}");
    }
    world.until("one mail", async || world.stage.sandbox.mail_messages().len() == 1).await;
    let mail = world.stage.sandbox.mail_messages().remove(0);
    assert_eq!(mail.header("subject").as_deref(), Some("[通宝] 通宝：500 张单据挂起"));
    assert_eq!(
        (mail.text().trim_end(), mail.to.as_slice()),
        (wecom[0].as_str(), &["finance@example.com".to_owned()][..])
    );
    world.send(&[contract("HT-LATER", "C-UNKNOWN")]).await;
    world.until("two messages each", async || world.said().0.len() == 2 && world.said().1.len() == 2).await;
    let (wecom, _) = world.said();
    assert!(wecom[1].starts_with("通宝：1 张单据挂起\n") && wecom[1].contains("HT-LATER"), "{}", wecom[1]);
    world.until("two mails", async || world.stage.sandbox.mail_messages().len() == 2).await;
    assert_eq!(world.notices().await.len(), 6, "two notices, two robots and mail");
    world.stage.stop().await;
}

/// The CRM is not there, and later is.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_and_recovers_is_told_of_twice() {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let rule = "  - { name: net, on: [broken], to: wecom, every: 1s, for: 2s }";
    let world = world(rule, Some(&format!("http://127.0.0.1:{port}"))).await;
    world.send(&[contract("HT-1", "C1"), contract("HT-2", "C1")]).await;
    world.until("broken is told", async || world.said().0.len() == 1).await;
    let first = world.said().0.remove(0);
    assert!(
        first.starts_with("通宝：crm 连接不通\ncrm：") && first.contains("张单据在等待（运维处理）"),
        "{first}"
    );
    let config = SandboxConfig { protocol_port: port, ..SandboxConfig::default() };
    let back = Sandbox::start(config).await.unwrap();
    world.until("recovered is told", async || world.said().0.len() == 2).await;
    let second = world.said().0.remove(1);
    assert!(second.starts_with("通宝：crm 已恢复\ncrm："), "{second}");
    // Whatever else gets through now is no news.
    world.send(&[contract("HT-3", "C1")]).await;
    world
        .until("the third order is told to the CRM", async || {
            !back.crm_writes_of("contracts", "HT-3").is_empty()
        })
        .await;
    assert_eq!(world.said().0.len(), 2);
    back.shutdown().await;
    world.stage.stop().await;
}

/// The ERP's receipts cannot be read, and later can: told by mail, once each.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_polls_fail_is_told_of_and_so_is_its_end() {
    let rule = "  - { name: net, on: [broken], to: mail, every: 1s, for: 2s }";
    let world = world(rule, None).await;
    let subjects = || -> Vec<String> {
        let mails = world.stage.sandbox.mail_messages();
        mails.iter().map(|mail| mail.header("subject").unwrap_or_default()).collect()
    };
    let page = Fault::Http { status: 502, retry_after: None, after_commit: false };
    world.stage.sandbox.fault(Rule::new(page).on(System::Kingdee, "ExecuteBillQuery"));
    world.until("told that it cannot be read", async || !subjects().is_empty()).await;
    world.stage.sandbox.clear_faults();
    world.until("told that it can", async || subjects().len() == 2).await;
    assert_eq!(subjects(), ["[通宝] 通宝：erp 读取不到", "[通宝] 通宝：erp 恢复读取"]);
    let first = world.stage.sandbox.mail_messages().remove(0).text();
    assert!(first.contains("起读取不到，新单据暂不能取回（运维处理）"), "{first}");
    world.stage.stop().await;
}

/// A robot that does not answer is tried again; one that refuses parks its notice, and nobody is told of that.
#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_a_delivery_and_never_makes_another() {
    let rule = "  - { name: ops, on: [parked, broken], to: [wecom, dingtalk], every: 1s, for: 1s }";
    let world = world(rule, None).await;
    let lost = Rule::new(Fault::LostAnswerAfterCommit).on(System::Wecom, "send").times(1);
    world.stage.sandbox.fault(lost);
    let refused = json!({"errcode": 310_000, "errmsg": "keywords not in content"}).to_string();
    let (status, content_type) = (200, "application/json".to_owned());
    let refusal = Fault::Answer { status, content_type, body: refused, after_commit: false };
    world.stage.sandbox.fault(Rule::new(refusal).on(System::Dingtalk, "send"));
    world.send(&[contract("HT-1", "C-UNKNOWN")]).await;
    world.until("told, lost, told again", async || world.said().0.len() == 2).await;
    let (wecom, dingtalk) = world.said();
    assert_eq!(wecom[0], wecom[1], "the same message under the same number");
    assert!(dingtalk.is_empty());
    world
        .until("the refused one is parked", async || {
            world.notices().await.iter().any(|one| one.target == "dingtalk" && one.state == State::Parked)
        })
        .await;
    // The next document closes the window after the parked notice's, and tells of itself alone.
    world.send(&[contract("HT-2", "C-UNKNOWN")]).await;
    world.until("told of the second", async || world.said().0.len() == 3).await;
    let third = world.said().0.remove(2);
    assert!(third.contains("HT-2") && !third.contains("dingtalk"), "{third}");
    assert!(world.said().0.iter().all(|text| !text.contains("dingtalk")));
    world.stage.stop().await;
}

/// Where nobody may be told twice, what may be lost waits for a person; who replays it has it sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_may_be_lost_waits_for_a_person_where_that_is_wished() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "  - { name: ops, on: [parked], to: wecom, every: 1s }";
    let stage = started(folder.path(), |text, sandbox| {
        let text = with_notices(text, sandbox, rule, None);
        let hurried = "delivery: { call_timeout_ms: 2000, lease_ms: 4000 }\n    retry: { first_ms: 200 }";
        let parking = format!("connector: wecom\n    {hurried}\n    settings:\n      on_unknown: park\n");
        text.replacen("connector: wecom\n    settings:\n", &parking, 1)
    });
    let world = World { stage: stage.await, _folder: folder };
    let parked = async || -> Vec<DeliveryView> {
        world.notices().await.into_iter().filter(|one| one.state == State::Parked).collect()
    };
    for (fault, sent, there) in [(Fault::LostAnswerAfterCommit, 1, 2), (Fault::LostBeforeCommit, 2, 3)] {
        world.stage.sandbox.fault(Rule::new(fault.clone()).on(System::Wecom, "send").times(1));
        world.send(&[contract(&format!("HT-{there}"), "C-UNKNOWN")]).await;
        world.until("it waits for a person", async || !parked().await.is_empty()).await;
        let waiting = parked().await.remove(0);
        assert_eq!(waiting.fault.as_ref().map(|fault| fault.code), Some(Code::OutcomeUnknown), "{fault:?}");
        assert_eq!(waiting.attempts, 2, "sent once, then asked about: {fault:?}");
        assert_eq!(world.said().0.len(), sent, "not sent again by itself: {fault:?}");
        world
            .stage
            .store()
            .replay(Filter { ids: vec![waiting.id], ..Filter::default() }, waiting.changed_at_ms + 1)
            .await
            .unwrap();
        world.until("sent again", async || world.said().0.len() == there).await;
        world.until("over", async || parked().await.is_empty()).await;
    }
    world.stage.stop().await;
}

/// The rules as shipped are taken; each mistake is told with its line, all of them in one run.
#[tokio::test]
async fn shipped_rules_are_taken_and_wrong_ones_are_told_of() {
    service::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let options = StageOptions::quick(folder.path());
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let config = stage::write_files(&options, &sandbox.url(), "127.0.0.1:0").unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let (_, shipped) = NOTICES.split_once("\nnotices:\n").unwrap();
    std::fs::write(&config, with_notices(&text, &sandbox, shipped, None)).unwrap();
    let loaded = stage::load(&config, &options, &sandbox).unwrap();
    let rules: Vec<&str> = loaded.config.notices.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(rules, ["finance", "operations"]);
    let carried = loaded.config.flows.iter().filter(|flow| flow.on == kinds::NOTICE_DUE);
    let carried: Vec<_> = carried.map(|flow| (flow.to.as_str(), flow.mapping.as_deref().unwrap())).collect();
    let wecom = ("wecom", "notice-to-wecom");
    assert_eq!(carried, [wecom, ("mail", "notice-to-mail"), ("dingtalk", "notice-to-dingtalk"), wecom]);
    let wrong = [
        ("{ name: a, on: [parkd], to: wecom }", "`on` must be parked, drift, broken or disputed"),
        ("{ name: b, on: parked, to: wecon }", "did you mean `wecom`?"),
        ("{ name: c, on: parked, to: ledger }", "`ledger` takes no notices"),
        ("{ name: d, on: parked }", "`to` is missing"),
        ("{ name: e, on: parked, to: wecom, every: 5 }", "`every` must be a time such as 5m"),
        ("{ name: f, on: parked, to: wecom, at_most: often }", "`at_most` must be a number such as 12/h"),
        ("{ name: g, on: parked, to: wecom, quiet: night }", "`quiet` must be hours such as 22:00-08:00"),
        (
            "{ name: h, on: parked, to: wecom, owner: boss }",
            "`owner` must be operations, finance or developer",
        ),
        ("{ name: i, on: parked, to: wecom, codes: [no-such-code] }", "`codes` must be fault codes"),
        ("{ name: j, on: parked, to: wecom, connections: [erq] }", "did you mean `erp`?"),
        ("{ name: k, on: parked, to: wecom, evry: 5m }", "did you mean `every`?"),
        ("{ name: K, on: parked, to: wecom }", "cannot name a notice rule"),
        ("{ name: l, on: parked, to: erp }", "notice-to-kingdee-cloud"),
    ];
    let rules: Vec<String> = wrong.iter().map(|(rule, _)| format!("  - {rule}")).collect();
    let text = with_notices(&text, &sandbox, &rules.join("\n"), None);
    std::fs::write(&config, &text).unwrap();
    let Err(told) = stage::load(&config, &options, &sandbox) else { panic!("these rules are taken") };
    for (rule, expected) in wrong {
        let line = 1 + text.lines().position(|line| line.contains(rule)).unwrap();
        assert!(told.contains(expected), "{rule}: {told}");
        assert!(
            told.lines().any(|said| said.contains(&format!(":{line}:"))),
            "{rule}: line {line} in {told}"
        );
    }
    sandbox.shutdown().await;
}

/// A service in a process of its own, which ends with the test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Served {
    fn start(config: &Path, options: &StageOptions, sandbox: &Sandbox, failpoint: Option<&str>) -> Served {
        let binary = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("tongbao");
        assert!(binary.exists(), "{} is not built: `cargo build` first", binary.display());
        let mut command = Command::new(binary);
        command.arg("-c").arg(config).arg("serve").envs(stage::secrets(options, sandbox));
        if let Some(failpoint) = failpoint {
            command.env("TONGBAO_FAILPOINT", failpoint);
        }
        Served(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

async fn within(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The process dies in the transaction that holds the notice and what the rule has told: neither is there, and the next
/// process tells it, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_between_neither_loses_nor_repeats_a_notice() {
    service::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let options = StageOptions::quick(folder.path());
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = stage::write_files(&options, &sandbox.url(), &listen).unwrap();
    let rule = "  - { name: ops, on: [parked], connections: [erp], to: wecom, every: 1s }";
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, with_notices(&text, &sandbox, rule, None)).unwrap();
    let sender = WebhookSender::new(&format!("http://{listen}/in/crm/contract"), CRM_SECRET).unwrap();
    let send = async |number: &str| {
        let body = json!([contract(number, "C-UNKNOWN")]).to_string();
        within("the contract is taken", async || {
            sender.send(body.clone()).await.is_ok_and(|answer| (200..300).contains(&answer.status))
        })
        .await;
    };
    let mut first = Served::start(&config, &options, &sandbox, Some("cursor-before-commit=1"));
    send("HT-1").await;
    within("the process dies as it tells", async || first.0.try_wait().unwrap().is_some()).await;
    assert_eq!(sandbox.wecom_messages(), [], "nothing was stored, so nothing was sent");
    let _second = Served::start(&config, &options, &sandbox, None);
    within("told once", async || sandbox.wecom_messages().len() == 1).await;
    send("HT-2").await;
    within("told of the next", async || sandbox.wecom_messages().len() == 2).await;
    let said: Vec<String> = sandbox.wecom_messages().into_iter().map(|one| one.content).collect();
    for (text, (document, number)) in said.iter().zip([("HT-1", "编号 ops-1"), ("HT-2", "编号 ops-2")]) {
        assert!(text.contains(document) && text.contains(number) && text.contains("1 张单据挂起"), "{text}");
    }
    sandbox.shutdown().await;
}
