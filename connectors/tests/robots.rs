//! `wecom` and `dingtalk`: notices to people.

use crate::kit::{Connection, connect, done, failed, nobody_to_ask, said, sandbox_with, task, wrong};
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::Task;
use tongbao_model::{Class, Code};
use tongbao_sandbox::{Fault, Rule, Sandbox, SandboxConfig, System};

async fn wecom(more: &str) -> (Sandbox, Connection) {
    let sandbox = sandbox_with(|_| ()).await;
    let settings = format!("base_url: {}\nkey: {{ env: WECOM_KEY }}\n{more}", sandbox.url());
    let connection = connect("wecom", &settings);
    (sandbox, connection)
}

async fn dingtalk(more: &str, change: impl FnOnce(&mut SandboxConfig)) -> (Sandbox, Connection) {
    let sandbox = sandbox_with(change).await;
    let settings = format!("base_url: {}\ntoken: {{ env: DINGTALK_TOKEN }}\n{more}", sandbox.url());
    let connection = connect("dingtalk", &settings);
    (sandbox, connection)
}

const SIGNED: &str = "secret: { env: DINGTALK_SECRET }\n";

/// A notice of so many lines.
pub fn notice(number: &str, lines: usize) -> Task {
    let line = |n: usize| {
        json!({"what": "parked", "connection": format!("erp-{n:03}"), "code": "code-table-miss", "owner": "finance",
               "count": 2, "examples": "合同[1](x), HT-2", "since": "2026-11-22T15:00:00+08:00"})
    };
    let lines: Vec<Value> = (0..lines).map(line).collect();
    let notice = json!({"number": number, "rule": "ops", "severity": "warning", "title": "通宝：单据挂起",
        "title_en": "Tongbao: documents are parked", "from": "2026-11-22T15:00:00+08:00",
        "to": "2026-11-22T15:05:00+08:00", "total": 2, "lines": lines, "more": 0});
    task("notice", number, notice, "")
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let base = "base_url: http://127.0.0.1:1/\nkey: { env: WECOM_KEY }\n";
    for more in ["language: fr", "format: html", "on_unknown: maybe"] {
        assert_eq!(wrong("wecom", &format!("{base}{more}")), ["config-value"], "{more}");
    }
    let base = "base_url: http://127.0.0.1:1/\ntoken: { env: DINGTALK_TOKEN }\n";
    for more in ["bytes_max: 10", "language: fr", "throttle_codes: 1"] {
        assert_eq!(wrong("dingtalk", &format!("{base}{more}")), ["config-value"], "{more}");
    }
    assert_eq!(wrong("wecom", "base_url: http://127.0.0.1:1/"), ["config-missing"]);
}

#[tokio::test]
async fn a_long_notice_is_one_message_within_the_bytes() {
    for (format, most) in [("text", 2_048), ("markdown", 4_096)] {
        let (sandbox, connection) = wecom(&format!("format: {format}\n")).await;
        done(connection.apply(&notice("ops-1", 200)).await);
        let messages = sandbox.wecom_messages();
        assert_eq!((messages.len(), messages[0].kind.as_str()), (1, format));
        let content = &messages[0].content;
        let shown = content.lines().filter(|line| line.contains("erp-")).count();
        assert!(content.len() <= most && content.len() > most - 200, "{} bytes", content.len());
        assert!(content.contains(&format!("… 还有 {} 条", 200 - shown)), "{content}");
        assert!(content.contains("编号 ops-1"), "{content}");
        assert_eq!(content.contains('['), format == "text", "{content}");
    }
    let (sandbox, connection) =
        dingtalk(&format!("{SIGNED}format: markdown\nbytes_max: 600\n"), |_| ()).await;
    done(connection.apply(&notice("ops-1", 200)).await);
    let content = &sandbox.dingtalk_messages()[0].content;
    assert!(content.len() <= 600 && content.contains("\n\n> "), "{content}");
}

#[tokio::test]
async fn a_minute_takes_twenty() {
    let (sandbox, connection) = wecom("").await;
    for n in 0..20 {
        done(connection.apply(&notice(&format!("ops-{n}"), 1)).await);
    }
    let failure = failed(connection.apply(&notice("ops-20", 1)).await);
    let Class::Throttled(Some(after)) = failure.class else { panic!("{failure:?}") };
    assert!(after <= Duration::from_secs(60), "{after:?}");
    assert_eq!(sandbox.wecom_messages().len(), 20, "the twenty-first is not even sent");
    connection.advance(Duration::from_secs(61));
    sandbox.advance_ms(61_000);
    done(connection.apply(&notice("ops-20", 1)).await);
}

#[tokio::test]
async fn the_robots_own_limits_are_kept_to() {
    // Two processes share a robot: each counts its own, and the robot counts both.
    let (sandbox, first) = wecom("per_minute: 100\n").await;
    for n in 0..20 {
        done(first.apply(&notice(&format!("ops-{n}"), 1)).await);
    }
    let failure = failed(first.apply(&notice("ops-20", 1)).await);
    assert_eq!(failure.class, Class::Throttled(Some(Duration::from_secs(60))));
    drop(sandbox);
    let (_sandbox, first) = dingtalk(&format!("{SIGNED}per_minute: 100\n"), |_| ()).await;
    for n in 0..20 {
        done(first.apply(&notice(&format!("ops-{n}"), 1)).await);
    }
    let failure = failed(first.apply(&notice("ops-20", 1)).await);
    assert_eq!(failure.class, Class::Throttled(Some(Duration::from_secs(600))));
}

#[tokio::test]
async fn each_guard_of_a_dingtalk_robot_is_told_apart() {
    let unauthorized = (Class::Unauthorized, Code::TargetUnauthorized);
    let misconfigured = (Class::Misconfigured, Code::TargetMisconfigured);
    let (_one, unsigned) = dingtalk("", |_| ()).await;
    assert_eq!(said(&failed(unsigned.apply(&notice("n-1", 1)).await)), unauthorized);
    let (_two, late) = dingtalk(SIGNED, |_| ()).await;
    late.advance(Duration::from_secs(3_700));
    assert_eq!(said(&failed(late.apply(&notice("n-1", 1)).await)), unauthorized);
    assert_eq!(said(&late.probe().await.unwrap_err()), unauthorized);
    let (_three, wordless) = dingtalk(SIGNED, |config| config.dingtalk.keyword = Some("对账".into())).await;
    assert_eq!(said(&failed(wordless.apply(&notice("n-1", 1)).await)), misconfigured);
    let (sandbox, worded) = dingtalk(&format!("{SIGNED}keyword: 对账\n"), |config| {
        config.dingtalk.keyword = Some("对账".into())
    })
    .await;
    done(worded.apply(&notice("n-1", 1)).await);
    assert!(sandbox.dingtalk_messages()[0].content.starts_with("对账 通宝"));
    let (_four, elsewhere) = dingtalk(SIGNED, |config| config.dingtalk.addresses_refused = true).await;
    assert_eq!(said(&failed(elsewhere.apply(&notice("n-1", 1)).await)), misconfigured);
}

#[tokio::test]
async fn what_may_be_lost_comes_twice_and_never_silently() {
    for (more, again) in [("", true), ("on_unknown: park\n", false)] {
        let (sandbox, connection) = wecom(more).await;
        sandbox.fault(Rule::new(Fault::LostAnswerAfterCommit).on(System::Wecom, "send").times(1));
        let failure = failed(connection.apply(&notice("ops-1", 1)).await);
        assert_eq!(said(&failure), (Class::Unknown, Code::OutcomeUnknown));
        assert_eq!(connection.repeats(), again);
        let asked = nobody_to_ask(connection.lookup(&notice("ops-1", 1)).await);
        assert_eq!(asked.class, Class::Unknown, "nobody can be asked");
        done(connection.apply(&notice("ops-1", 1)).await);
        let both = sandbox.wecom_messages();
        assert_eq!(both.len(), 2);
        assert!(both.iter().all(|message| message.content.contains("编号 ops-1")), "known by its number");
    }
}
