//! `yonyou-u8-eai`: documents out.

use crate::kit::{
    Connection, already, calls, cannot_tell, connect, decimal, done, failed, foreign, found, reached, said,
    sandbox, sandbox_with, secret, task, until, wrong,
};
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::{Lookup, Outcome, Receipt, Task};
use tongbao_model::{Class, Code};
use tongbao_sandbox::{Fault, Rule, Sandbox, SandboxConfig, System, U8Charset};

pub const ADD: &str = "add saleorder";
pub const QUERY: &str = "query saleorder";

/// A stand-in whose sender is among the secrets that every outcome is searched for.
pub fn registered(config: &mut SandboxConfig) {
    config.u8.sender = secret("CRM_TOKEN").to_owned();
}

/// Settings of a connection to a sandbox; `more` goes behind them.
pub fn settings(sandbox: &Sandbox, more: &str) -> String {
    format!("url: {}/U8EAI/import.asp\nsender: {{ env: CRM_TOKEN }}\n{more}", sandbox.url())
}

pub fn connection(sandbox: &Sandbox, more: &str) -> Connection {
    connect("yonyou-u8-eai", &settings(sandbox, more))
}

pub async fn stand_in() -> Sandbox {
    sandbox_with(registered).await
}

/// Two lines, 339.00 and 100.05 with tax, and a remark that needs escaping and GBK.
pub fn document() -> Value {
    let line = |item: &str, quantity: &str, sum: &str, money: &str, tax: &str| {
        let text = format!(
            r#"{{"inventorycode":"{item}","quantity":{quantity},"taxunitprice":{sum},"money":{money},"tax":{tax},"sum":{sum},"taxrate":13,"dpredate":"2026-12-20","bgift":false}}"#
        );
        serde_json::from_str::<Value>(&text).unwrap()
    };
    json!({
        "date": "2026-11-20", "typecode": "01", "businesstype": "普通销售", "custcode": "CUST0001", "deptcode": "0201",
        "personcode": "SP0001", "currency": "人民币", "currencyrate": 1, "taxrate": 13, "maker": "demo",
        "memo": "合同 <镕&基> \"9' é",
        "entry": [line("MAT0001", "3", "339.00", "300.00", "39.00"), line("MAT0002", "1", "100.05", "88.54", "11.51")]
    })
}

pub fn order(key: &str) -> Task {
    task("saleorder", key, document(), "439.05")
}

pub fn once(operation: &str, fault: Fault) -> Rule {
    Rule::new(fault).on(System::U8, operation).times(1)
}

/// The order stands once, with its amounts.
fn stands(sandbox: &Sandbox, key: &str) {
    let order = sandbox.u8_order(key).unwrap_or_else(|| panic!("{key} is not there"));
    assert_eq!((order.same_number, order.gross), (1, decimal("439.05")), "{key}");
}

fn is_whole(receipt: &Receipt, key: &str) {
    assert_eq!(receipt.total_tax_included, Some(decimal("439.05")));
    assert_eq!(receipt.currency.as_deref(), Some("人民币"));
    assert_eq!((receipt.remote.number.as_str(), receipt.remote.step.as_str()), (key, "added"));
}

/// After any trouble: asks, goes on, and ends with one order of the right total.
async fn recovers(sandbox: &Sandbox, connection: &Connection, task: &Task) {
    sandbox.clear_faults();
    match connection.ask_then_apply(task).await {
        Outcome::Done(receipt) | Outcome::AlreadyThere(receipt) => is_whole(&receipt, &task.key),
        Outcome::Failed(failure) => panic!("{}: {failure:?}", task.key),
    }
    stands(sandbox, &task.key);
}

#[tokio::test]
async fn an_order_is_added_and_read_back() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    let receipt = done(connection.apply(&order("SO-1")).await);
    is_whole(&receipt, "SO-1");
    let stored = sandbox.u8_order("SO-1").unwrap();
    assert_eq!(stored.id.to_string(), receipt.remote.id, "the id that was read back, not that of the answer");
    assert_eq!((stored.lines, stored.net, stored.tax), (2, decimal("388.54"), decimal("50.51")));
    let whole = sandbox.u8_document("saleorder", "SO-1").unwrap();
    assert_eq!(whole["header"]["memo"], "合同 <镕&基> \"9' é");
    assert_eq!(whole["header"]["define11"], "crm/contract/SO-1");
    assert_eq!(whole["entry"][0]["bgift"], "0");
    assert_eq!(connection.probe().await.unwrap(), "EAI · saleorder by cSOCode: 0");
    // Once more: it is there, and stays one. An outcome that was reached is only read back.
    assert_eq!(already(connection.apply(&order("SO-1")).await).remote, receipt.remote);
    assert_eq!(found(connection.lookup(&order("SO-1")).await).remote, receipt.remote);
    let adds = calls(&sandbox, "u8 add saleorder");
    assert_eq!(
        done(connection.apply(&reached(&order("SO-1"), &receipt.remote)).await).remote,
        receipt.remote
    );
    assert_eq!(calls(&sandbox, "u8 add saleorder"), adds);
    stands(&sandbox, "SO-1");
}

#[tokio::test]
async fn both_charsets_go_both_ways() {
    for request in ["utf-8", "gb18030", "gbk", "gb2312"] {
        for (response, declares) in [
            (U8Charset::Utf8, false),
            (U8Charset::Utf8, true),
            (U8Charset::Gbk, false),
            (U8Charset::Gbk, true),
        ] {
            let sandbox = sandbox_with(|config| {
                registered(config);
                config.u8.response_charset = response;
                config.u8.declare_encoding = declares;
            })
            .await;
            let connection = connection(&sandbox, &format!("request_charset: {request}\n"));
            let receipt = done(connection.apply(&order("订单-镕-1")).await);
            assert_eq!(receipt.currency.as_deref(), Some("人民币"), "{request} {response:?} {declares}");
            let whole = sandbox.u8_document("saleorder", "订单-镕-1").unwrap();
            assert_eq!(whole["header"]["memo"], "合同 <镕&基> \"9' é", "{request}");
        }
    }
    // A setting decides against what the bytes look like.
    let sandbox = sandbox_with(|config| {
        registered(config);
        config.u8.response_charset = U8Charset::Gbk;
    })
    .await;
    let strict = connection(&sandbox, "response_charset: utf-8\n");
    assert_eq!(said(&failed(strict.apply(&order("单-1")).await)), (Class::Unknown, Code::OutcomeUnknown));
    is_whole(
        &found(connection(&sandbox, "response_charset: gb18030\n").lookup(&order("单-1")).await),
        "单-1",
    );
}

#[tokio::test]
async fn answers_of_every_form_are_read() {
    // The seed varies quotes, empty elements, declarations, keys of the answer.
    for seed in 1..=8 {
        let sandbox = sandbox_with(|config| {
            registered(config);
            config.seed = seed;
            config.u8.dates_with_time = seed % 2 == 0;
            config.u8.keys_of_lines = seed % 3 == 0;
        })
        .await;
        let connection = connection(&sandbox, "dynamic_date: true\nversion: ''\ncodes_exchanged: true\n");
        for index in 0..5 {
            is_whole(&done(connection.apply(&order(&format!("SO-{index}"))).await), &format!("SO-{index}"));
        }
    }
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    for fault in [Fault::Gzip, Fault::Bom] {
        for operation in [ADD, QUERY] {
            sandbox.fault(once(operation, fault.clone()));
        }
        done(connection.apply(&order(&format!("SO-{}", fault.kind()))).await);
    }
    assert_eq!(sandbox.faults_injected().values().sum::<u64>(), 4);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let base = "url: http://127.0.0.1:1/U8EAI/import.asp\nsender: { env: CRM_TOKEN }\n";
    for more in [
        "request_charset: big5",
        "response_charset: utf-16",
        "number_columns: { order: cSOCode }",
        "number_columns: { voucher: iNo }",
        "poll_since: last year",
        "poll_conditions: [cCheckMan]",
        "sender: plain",
    ] {
        let text = if more.starts_with("sender") {
            base.replace("{ env: CRM_TOKEN }", "plain")
        } else {
            format!("{base}{more}")
        };
        assert_eq!(wrong("yonyou-u8-eai", &text), ["config-value"], "{more}");
    }
    assert_eq!(wrong("yonyou-u8-eai", "url: http://x/"), ["config-missing"]);
    assert_eq!(wrong("yonyou-u8-eai", &format!("{base}charset: gbk")), ["config-unknown-key"]);
}

#[tokio::test]
async fn a_look_up_tells_found_absent_and_foreign_apart() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    assert_eq!(connection.lookup(&order("SO-1")).await, Lookup::Absent);
    done(connection.apply(&order("SO-1")).await);
    is_whole(&found(connection.lookup(&order("SO-1")).await), "SO-1");
    let other = Task { origin: "crm2/contract/SO-1".into(), ..order("SO-1") };
    assert_eq!(said(&foreign(connection.lookup(&other).await)), (Class::Conflict, Code::NumberTaken));
    // The database finds it under another case as well; it is another number all the same.
    assert_eq!(connection.lookup(&order("so-1")).await, Lookup::Absent);
    assert_eq!(connection.lookup(&order("' or 1=1 --")).await, Lookup::Absent);
    // A column the site does not know.
    let text = settings(&sandbox, "number_columns: { saleorder: cNoSuch }\n");
    let failure = cannot_tell(connect("yonyou-u8-eai", &text).lookup(&order("SO-1")).await);
    assert!(failure.fault.message.zh.contains("cNoSuch"), "{failure:?}");
    let none = connect("yonyou-u8-eai", &settings(&sandbox, "number_columns: { accept: cVouchID }\n"));
    assert_eq!(cannot_tell(none.lookup(&order("SO-1")).await).class, Class::Unknown);
}

#[tokio::test]
async fn conditions_that_are_ignored_do_not_deceive() {
    let sandbox = sandbox_with(|config| {
        registered(config);
        config.u8.ignore_conditions = true;
    })
    .await;
    let connection = connection(&sandbox, "max_items: 3\n");
    for key in ["SO-1", "SO-2"] {
        is_whole(&done(connection.apply(&order(key)).await), key);
    }
    assert_eq!(connection.lookup(&order("SO-3")).await, Lookup::Absent, "the list was whole");
    is_whole(&done(connection.apply(&order("SO-3")).await), "SO-3");
    // Cut off at three: whether the fourth is behind the cut nobody can tell, not even after it was added.
    let misconfigured = (Class::Misconfigured, Code::TargetMisconfigured);
    assert_eq!(said(&cannot_tell(connection.lookup(&order("SO-4")).await)), misconfigured);
    let failure = failed(connection.apply(&order("SO-4")).await);
    assert_eq!(said(&failure), misconfigured);
    assert_eq!(failure.reached.map(|remote| remote.number).as_deref(), Some("SO-4"));
    is_whole(&found(connection.lookup(&order("SO-2")).await), "SO-2");
}

#[tokio::test]
async fn a_number_that_is_not_ours_is_a_conflict() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    done(connection.apply(&Task { origin: "by hand".into(), ..order("SO-1") }).await);
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert_eq!(said(&failure), (Class::Conflict, Code::NumberTaken));
    assert_eq!(failure.fault.field.as_deref(), Some("code"));
    // Taken for the database, which knows no case, and not to be found under ours.
    let failure = failed(connection.apply(&order("so-1")).await);
    assert_eq!(said(&failure), (Class::Conflict, Code::NumberTaken));
    assert_eq!(sandbox.u8_orders().len(), 1);
}

#[tokio::test]
async fn a_duplicate_of_our_own_is_taken_up() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    sandbox.fault(once(ADD, Fault::DuplicateAccepted));
    is_whole(&already(connection.apply(&order("SO-1")).await), "SO-1");
    stands(&sandbox, "SO-1");
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_look_up_knows() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    let http = |status, after_commit| Fault::Http { status, retry_after: None, after_commit };
    for (index, (fault, committed)) in [
        (Fault::LostAnswerAfterCommit, true),
        (Fault::ResetMidBody, true),
        (Fault::TruncatedJson, true),
        (Fault::Garbage, true),
        (Fault::RuntimeError { after_commit: true }, true),
        (http(502, true), true),
        (http(504, true), true),
        (Fault::Http { status: 503, retry_after: Some(7), after_commit: true }, true),
        (Fault::LostBeforeCommit, false),
        (Fault::ResponseErrorPrefix, false),
        (Fault::RuntimeError { after_commit: false }, false),
        (Fault::NothingWritten, false),
        (http(500, false), false),
        (http(502, false), false),
    ]
    .into_iter()
    .enumerate()
    {
        let task = order(&format!("SO-{index}"));
        sandbox.fault(once(ADD, fault.clone()));
        let failure = failed(connection.apply(&task).await);
        assert_eq!(said(&failure), (Class::Unknown, Code::OutcomeUnknown), "{fault:?}");
        assert_eq!(sandbox.u8_order(&task.key).is_some(), committed, "{fault:?}");
        match (connection.lookup(&task).await, committed) {
            (Lookup::Found(receipt), true) => is_whole(&receipt, &task.key),
            (Lookup::Absent, false) => {}
            (other, _) => panic!("{fault:?}: {other:?}"),
        }
        recovers(&sandbox, &connection, &task).await;
    }
}

#[tokio::test]
async fn what_surely_did_nothing_is_not_unknown() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    let http = |status, retry_after| Fault::Http { status, retry_after, after_commit: false };
    for (index, (fault, class, code)) in [
        (Fault::RedirectHtml, Class::Misconfigured, Code::TargetMisconfigured),
        (Fault::EmptyForbidden, Class::Unauthorized, Code::TargetUnauthorized),
        (http(404, None), Class::Misconfigured, Code::TargetMisconfigured),
        (http(413, None), Class::Misconfigured, Code::TargetMisconfigured),
        (http(429, Some(7)), Class::Throttled(Some(Duration::from_secs(7))), Code::TargetThrottled),
        (Fault::Throttled { retry_after: None }, Class::Throttled(None), Code::TargetThrottled),
    ]
    .into_iter()
    .enumerate()
    {
        let task = order(&format!("SO-{index}"));
        sandbox.fault(once(ADD, fault.clone()));
        assert_eq!(said(&failed(connection.apply(&task).await)), (class, code), "{fault:?}");
        assert!(sandbox.u8_order(&task.key).is_none(), "{fault:?}");
        recovers(&sandbox, &connection, &task).await;
    }
    let limited = sandbox_with(|config| {
        registered(config);
        config.u8.request_limit = Some(1_000);
    })
    .await;
    let failure = failed(self::connection(&limited, "").apply(&order("SO-1")).await);
    assert_eq!(failure.class, Class::Misconfigured);
    assert!(failure.fault.remedy.zh.contains("自动设置IIS"), "{failure:?}");
}

#[tokio::test]
async fn a_question_without_an_answer_leaves_nothing_in_doubt() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    for fault in [
        Fault::LostAnswerAfterCommit,
        Fault::ResetMidBody,
        Fault::TruncatedJson,
        Fault::Garbage,
        Fault::ResponseErrorPrefix,
        Fault::RuntimeError { after_commit: false },
        Fault::Http { status: 502, retry_after: None, after_commit: false },
    ] {
        sandbox.fault(once(QUERY, fault.clone()));
        let failure = cannot_tell(connection.lookup(&order("SO-1")).await);
        assert_eq!(said(&failure), (Class::Unavailable, Code::TargetUnavailable), "{fault:?}");
    }
    // The answer to the read-back is lost: what was done is told.
    sandbox.fault(once(QUERY, Fault::ResetMidBody));
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert_eq!(failure.reached.as_ref().map(|remote| remote.step.as_str()), Some("added"));
    recovers(&sandbox, &connection, &order("SO-1")).await;
}

#[tokio::test]
async fn a_call_that_is_too_slow_is_unknown() {
    let sandbox = stand_in().await;
    let hasty = connection(&sandbox, "timeout_ms: 1000\n");
    let patient = connection(&sandbox, "");
    sandbox.fault(once(ADD, Fault::Slow { ms: 60_000, after_commit: true }));
    assert_eq!(said(&failed(hasty.apply(&order("SO-1")).await)), (Class::Unknown, Code::OutcomeUnknown));
    is_whole(&found(patient.lookup(&order("SO-1")).await), "SO-1");

    // The hardest case: it is not there when we ask, and comes into being afterwards.
    sandbox.fault(once(ADD, Fault::Slow { ms: 3_000, after_commit: false }));
    assert_eq!(failed(hasty.apply(&order("SO-2")).await).class, Class::Unknown);
    assert_eq!(patient.lookup(&order("SO-2")).await, Lookup::Absent);
    until("the late order", || async { sandbox.u8_order("SO-2").is_some() }).await;
    is_whole(&already(patient.apply(&order("SO-2")).await), "SO-2");
    stands(&sandbox, "SO-2");
}

#[tokio::test]
async fn a_far_side_that_cannot_be_reached_is_unavailable() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    sandbox.shutdown().await;
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert_eq!(said(&failure), (Class::Unavailable, Code::TargetUnavailable));
}

#[tokio::test]
async fn a_sender_that_is_not_registered_is_told_so() {
    let sandbox = sandbox().await;
    let connection = connection(&sandbox, "");
    for failure in [failed(connection.apply(&order("SO-1")).await), connection.probe().await.unwrap_err()] {
        assert_eq!(said(&failure), (Class::Unauthorized, Code::TargetUnauthorized));
    }
    assert!(sandbox.u8_orders().is_empty());
}

#[tokio::test]
async fn what_u8_does_not_take_is_named() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut task = order("SO-1");
        crate::kit::change(&mut task, change);
        task
    };
    for (task, class, part) in [
        (changed(&|document| document["custcode"] = json!("NOBODY")), Class::Rejected, "该客户不合法"),
        (
            changed(&|document| document["entry"][1]["inventorycode"] = json!("X")),
            Class::Rejected,
            "该存货不合法",
        ),
        (changed(&|document| document["deptcode"] = Value::Null), Class::Rejected, "deptcode不能为空"),
        (changed(&|document| document["entry"][0]["quantity"] = json!(0)), Class::Rejected, "数量必须大于零"),
        (changed(&|document| document["cMemo"] = json!("x")), Class::Misconfigured, "(cmemo)"),
        (changed(&|document| document["memo"] = json!("超".repeat(31))), Class::Misconfigured, "(memo)"),
        (changed(&|document| document["memo"] = json!("\u{1}")), Class::Rejected, "U+0001"),
        (changed(&|document| document["memo"] = json!([1])), Class::Rejected, "memo"),
        (Task { kind: "consignment".into(), ..order("SO-1") }, Class::Misconfigured, "consignment"),
    ] {
        let failure = failed(connection.apply(&task).await);
        assert_eq!(failure.class, class, "{failure:?}");
        assert!(failure.fault.message.zh.contains(part), "{part} in {failure:?}");
    }
    let failure = failed(connection.apply(&order(&"9".repeat(31))).await);
    assert_eq!(said(&failure), (Class::Rejected, Code::FieldTooLong));
    assert!(sandbox.u8_orders().is_empty());
    assert_eq!(calls(&sandbox, "u8 add saleorder"), 6);
}

#[tokio::test]
async fn amounts_the_far_side_changes_are_seen() {
    let sandbox = sandbox_with(|config| {
        registered(config);
        config.u8.recompute = true;
    })
    .await;
    // It works them out from price and quantity, 3 × 339.00, and the receipt says so: the engine compares.
    let receipt = done(connection(&sandbox, "").apply(&order("SO-1")).await);
    assert_eq!(receipt.total_tax_included, Some(decimal("1117.05")));
}

#[tokio::test]
async fn writes_go_one_at_a_time_and_questions_do_not_wait() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    sandbox.fault(once(ADD, Fault::Slow { ms: 1_500, after_commit: false }));
    let slow_order = order("SO-1");
    let slow = connection.apply(&slow_order);
    let others = async {
        until("the slow write", || async { calls(&sandbox, "u8 add saleorder") == 1 }).await;
        assert_eq!(connection.lookup(&order("SO-2")).await, Lookup::Absent);
        assert!(sandbox.u8_order("SO-1").is_none(), "the question did not wait for the write");
        let begun = connection.apply(&order("SO-2")).await;
        assert!(sandbox.u8_order("SO-1").is_some(), "the second write waited for the first");
        done(begun);
    };
    let (first, ()) = futures::join!(slow, others);
    done(first);
    assert_eq!(sandbox.u8_orders().len(), 2);
}

#[tokio::test]
async fn many_orders_under_faults_arrive_once_each() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "writes_at_once: 8\n");
    for fault in [
        Fault::LostAnswerAfterCommit,
        Fault::LostBeforeCommit,
        Fault::ResetMidBody,
        Fault::TruncatedJson,
        Fault::Garbage,
        Fault::DuplicateAccepted,
        Fault::NothingWritten,
        Fault::RuntimeError { after_commit: true },
        Fault::Throttled { retry_after: None },
        Fault::Http { status: 504, retry_after: None, after_commit: true },
    ] {
        sandbox.fault(Rule::new(fault.clone()).on(System::U8, ADD).per_million(60_000));
        if !matches!(fault, Fault::NothingWritten | Fault::DuplicateAccepted) {
            sandbox.fault(Rule::new(fault).on(System::U8, QUERY).per_million(25_000));
        }
    }
    let deliver = |index: usize| {
        let connection = &connection;
        async move {
            let task = order(&format!("SO-{index}"));
            let mut outcome = connection.apply(&task).await;
            for _ in 0..60 {
                match outcome {
                    Outcome::Done(receipt) | Outcome::AlreadyThere(receipt) => {
                        return is_whole(&receipt, &task.key);
                    }
                    Outcome::Failed(failure) if failure.class == Class::Conflict => panic!("{failure:?}"),
                    Outcome::Failed(_) => outcome = connection.ask_then_apply(&task).await,
                }
            }
            panic!("{} never arrived: {outcome:?}", task.key);
        }
    };
    futures::future::join_all((0..60).map(deliver)).await;
    let orders = sandbox.u8_orders();
    assert_eq!(orders.len(), 60);
    assert!(orders.iter().all(|order| order.same_number == 1 && order.gross == decimal("439.05")));
    assert!(sandbox.faults_injected().values().sum::<u64>() > 30, "{:?}", sandbox.faults_injected());
}
