//! `kingdee-cloud`: orders out.

use crate::kit::{
    Connection, already, calls, cannot_tell, change, connect, decimal, done, failed, foreign, found, partial,
    reached, said, sandbox, sandbox_with, task, until, wrong,
};
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::{Lookup, Outcome, Remote, Task};
use tongbao_model::{Class, Code};
use tongbao_sandbox::{Fault, Refusal, Rule, Sandbox, System};

pub const SIGNATURE: &str = "auth: signature\napp_secret: { env: APP_SECRET }\n";
const SIGN_LOGIN: &str = "auth: sign-login\napp_secret: { env: APP_SECRET }\n";
const PASSWORD: &str = "auth: password\npassword: { env: PASSWORD }\n";

/// Settings of a connection to a sandbox; `more` goes behind them.
pub fn settings(sandbox: &Sandbox, more: &str) -> String {
    let config = &sandbox.config().kingdee;
    format!(
        "base_url: {}/k3cloud/\nacct_id: {}\nuser_name: {}\napp_id: {}\n{more}",
        sandbox.url(),
        config.acct_id,
        config.user_name,
        config.app_id,
    )
}

fn signed(sandbox: &Sandbox) -> Connection {
    connect("kingdee-cloud", &settings(sandbox, SIGNATURE))
}

/// Two lines, 339.00 and 100.00 with tax.
fn document() -> Value {
    json!({
        "FBillTypeID": {"FNUMBER": "XSDD01_SYS"}, "FDate": "2026-11-20", "FSaleOrgId": {"FNumber": "100"},
        "FCustId": {"FNumber": "CUST0001"}, "FSalerId": {"FNumber": "SP0001"}, "FNote": "合同",
        "FSaleOrderFinance": {"FSettleCurrId": {"FNumber": "PRE001"}},
        "FSaleOrderEntry": [
            {"FMaterialId": {"FNumber": "MAT0001"}, "FQty": 3, "FTaxPrice": 113, "FEntryTaxRate": 13,
             "FDeliveryDate": "2026-12-20"},
            {"FMaterialId": {"FNumber": "MAT0002"}, "FQty": 1, "FTaxPrice": 100, "FEntryTaxRate": 13,
             "FDeliveryDate": "2026-12-20"}
        ]
    })
}

pub fn order(key: &str) -> Task {
    task("SAL_SaleOrder", key, document(), "439.00")
}

fn once(operation: &str, fault: Fault) -> Rule {
    Rule::new(fault).on(System::Kingdee, operation).times(1)
}

fn status(sandbox: &Sandbox, key: &str) -> Option<String> {
    sandbox.order(key).map(|order| {
        assert_eq!(order.same_number, 1, "{key} is there twice");
        order.status
    })
}

/// After any trouble: asks, goes on, and ends with one audited order of the right total.
async fn recovers(sandbox: &Sandbox, connection: &Connection, task: &Task) {
    sandbox.clear_faults();
    let receipt = match connection.ask_then_apply(task).await {
        Outcome::Done(receipt) | Outcome::AlreadyThere(receipt) => receipt,
        Outcome::Failed(failure) => panic!("{}: {failure:?}", task.key),
    };
    assert_eq!(receipt.total_tax_included, Some(decimal("439.00")), "{}", task.key);
    assert_eq!(status(sandbox, &task.key).as_deref(), Some("C"), "{}", task.key);
}

#[tokio::test]
async fn an_order_is_audited_and_read_back_in_every_mode() {
    let sandbox = sandbox().await;
    for (index, mode) in [SIGNATURE, SIGN_LOGIN, PASSWORD].into_iter().enumerate() {
        let connection = connect("kingdee-cloud", &settings(&sandbox, mode));
        let task = order(&format!("SO-{index}"));
        let receipt = done(connection.apply(&task).await);
        assert_eq!(receipt.total_tax_included, Some(decimal("439.00")));
        assert_eq!(receipt.currency.as_deref(), Some("PRE001"));
        assert_eq!((receipt.remote.number.as_str(), receipt.remote.step.as_str()), (&*task.key, "audited"));
        assert_eq!(status(&sandbox, &task.key).as_deref(), Some("C"));
        assert_eq!(sandbox.order(&task.key).unwrap().id.to_string(), receipt.remote.id);
        assert!(connection.probe().await.unwrap().ends_with("PRE001 = CNY"));
        // Once more: it is there, and stays one.
        assert_eq!(already(connection.apply(&task).await).remote, receipt.remote);
        assert_eq!(found(connection.lookup(&task).await).remote, receipt.remote);
        assert_eq!(status(&sandbox, &task.key).as_deref(), Some("C"));
    }
    assert_eq!((calls(&sandbox, "kingdee LoginBySign"), calls(&sandbox, "kingdee ValidateUser")), (1, 1));
}

#[tokio::test]
async fn other_accounts_and_forms_of_address_work_too() {
    let sandbox = sandbox_with(|config| config.kingdee.ids_as_strings = true).await;
    let text = settings(&sandbox, SIGNATURE)
        .replace("user_name: integration", "user_name: 集成用户\norg_num: '100'")
        .replace("/k3cloud/", "/K3Cloud");
    done(connect("kingdee-cloud", &text).apply(&order("SO-1")).await);
    let old = settings(&sandbox, SIGN_LOGIN) + "sign_sha1: true\n";
    done(connect("kingdee-cloud", &old).apply(&order("SO-2")).await);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let base = "base_url: http://127.0.0.1:1/k3cloud/\nacct_id: a\nuser_name: u\n";
    assert_eq!(wrong("kingdee-cloud", &format!("{base}auth: cookie")), ["config-value"]);
    assert_eq!(wrong("kingdee-cloud", base), ["config-missing"]);
    assert_eq!(wrong("kingdee-cloud", &format!("{base}auth: password")), ["config-missing"]);
    assert_eq!(wrong("kingdee-cloud", &format!("{base}app_id: x\napp_secret: plain")), ["config-value"]);
    assert_eq!(
        wrong("kingdee-cloud", &format!("{base}app_id: x\nlogin_cooldown_s: 1")),
        ["config-unknown-key"]
    );
}

#[tokio::test]
async fn it_goes_on_from_the_step_reached() {
    let sandbox = sandbox().await;
    let connection = signed(&sandbox);
    for (operation, step, state) in [("Submit", "saved", "A"), ("Audit", "submitted", "B")] {
        let task = order(&format!("SO-{step}"));
        sandbox.fault(once(operation, Fault::EditLock));
        let failure = failed(connection.apply(&task).await);
        assert_eq!(said(&failure), (Class::Throttled(None), Code::TargetLocked));
        assert_eq!(status(&sandbox, &task.key).as_deref(), Some(state));
        let remote = failure.reached.unwrap();
        assert_eq!((remote.step.as_str(), remote.number.as_str()), (step, &*task.key));
        assert_eq!(partial(connection.lookup(&task).await), remote);
        let saves = calls(&sandbox, "kingdee Save");
        assert_eq!(done(connection.apply(&reached(&task, &remote)).await).remote.step, "audited");
        assert_eq!(calls(&sandbox, "kingdee Save"), saves, "nothing is saved again");
        // What was known is out of date: the bill stands further on than we thought.
        assert_eq!(done(connection.apply(&reached(&task, &remote)).await).remote.step, "audited");
    }
}

#[tokio::test]
async fn a_look_up_tells_found_partial_absent_and_foreign_apart() {
    let sandbox = sandbox().await;
    let connection = signed(&sandbox);
    let task = order("SO-1");
    assert_eq!(connection.lookup(&task).await, Lookup::Absent);
    sandbox.fault(once("Submit", Fault::EditLock));
    failed(connection.apply(&task).await);
    assert_eq!(partial(connection.lookup(&task).await).step, "saved");
    recovers(&sandbox, &connection, &task).await;
    assert_eq!(found(connection.lookup(&task).await).total_tax_included, Some(decimal("439.00")));
    let other = Task { origin: "crm2/contract/SO-1".into(), ..task.clone() };
    assert_eq!(said(&foreign(connection.lookup(&other).await)), (Class::Conflict, Code::NumberTaken));
    // A quote in a number stays text.
    assert_eq!(connection.lookup(&order("x' or FBillNo<>'")).await, Lookup::Absent);
}

#[tokio::test]
async fn a_number_that_is_not_ours_is_a_conflict() {
    let sandbox = sandbox().await;
    let connection = signed(&sandbox);
    let theirs = Task { origin: "by hand".into(), ..order("SO-1") };
    done(connection.apply(&theirs).await);
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert_eq!(said(&failure), (Class::Conflict, Code::NumberTaken));
    assert_eq!(failure.fault.field.as_deref(), Some("FBillNo"));
    // The same where we may not even see it.
    sandbox.hide("SAL_SaleOrder", "SO-1", true);
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert_eq!(said(&failure), (Class::Conflict, Code::NumberTaken));
    assert_eq!(sandbox.orders().len(), 1);
}

#[tokio::test]
async fn a_duplicate_of_our_own_is_taken_up() {
    let sandbox = sandbox().await;
    let connection = signed(&sandbox);
    sandbox.fault(once("Save", Fault::DuplicateAccepted));
    let receipt = already(connection.apply(&order("SO-1")).await);
    assert_eq!(receipt.total_tax_included, Some(decimal("439.00")));
    assert_eq!(status(&sandbox, "SO-1").as_deref(), Some("C"));
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_look_up_knows() {
    let sandbox = sandbox().await;
    let connection = signed(&sandbox);
    for (operation, before, after) in [
        ("Save", None, Some("saved")),
        ("Submit", Some("saved"), Some("submitted")),
        ("Audit", Some("submitted"), None),
    ] {
        for (fault, committed) in [
            (Fault::LostAnswerAfterCommit, true),
            (Fault::ResetMidBody, true),
            (Fault::TruncatedJson, true),
            (Fault::Http { status: 502, retry_after: None, after_commit: true }, true),
            (Fault::Http { status: 503, retry_after: Some(7), after_commit: true }, true),
            (Fault::Http { status: 504, retry_after: None, after_commit: true }, true),
            (Fault::LostBeforeCommit, false),
            (Fault::ResponseErrorPrefix, false),
            (Fault::Http { status: 502, retry_after: None, after_commit: false }, false),
            (Fault::Http { status: 500, retry_after: None, after_commit: false }, false),
        ] {
            let task = order(&format!("{operation}-{}-{committed}", fault.kind()).replace('_', "-"));
            let task = Task { key: format!("{}{}", task.key, calls(&sandbox, "kingdee Save")), ..task };
            sandbox.fault(once(operation, fault.clone()));
            let failure = failed(connection.apply(&task).await);
            assert_eq!(said(&failure), (Class::Unknown, Code::OutcomeUnknown), "{operation} {fault:?}");
            assert_eq!(
                failure.reached.map(|remote| remote.step),
                before.map(str::to_owned),
                "{operation} {fault:?}"
            );
            match (connection.lookup(&task).await, if committed { after } else { before }) {
                (Lookup::Partial(remote), Some(step)) => {
                    assert_eq!(remote.step, step, "{operation} {fault:?}")
                }
                (Lookup::Found(_), None) if committed => {}
                (Lookup::Absent, None) if !committed => {}
                (other, step) => panic!("{operation} {fault:?}: {other:?}, not {step:?}"),
            }
            recovers(&sandbox, &connection, &task).await;
        }
    }
}

#[tokio::test]
async fn what_surely_did_nothing_is_not_unknown() {
    let sandbox = sandbox().await;
    let connection = signed(&sandbox);
    for (fault, class, code) in [
        (Fault::RedirectHtml, Class::Misconfigured, Code::TargetMisconfigured),
        (Fault::EmptyForbidden, Class::Unauthorized, Code::TargetUnauthorized),
        (
            Fault::Http { status: 404, retry_after: None, after_commit: false },
            Class::Misconfigured,
            Code::TargetMisconfigured,
        ),
        (
            Fault::Http { status: 413, retry_after: None, after_commit: false },
            Class::Misconfigured,
            Code::TargetMisconfigured,
        ),
        (
            Fault::Http { status: 429, retry_after: Some(7), after_commit: false },
            Class::Throttled(Some(Duration::from_secs(7))),
            Code::TargetThrottled,
        ),
        (Fault::EditLock, Class::Throttled(None), Code::TargetLocked),
        (Fault::Throttled { retry_after: None }, Class::Throttled(None), Code::TargetThrottled),
        (Fault::NoPermission, Class::Unauthorized, Code::TargetUnauthorized),
        (Fault::WebApiForbidden, Class::Unauthorized, Code::TargetUnauthorized),
    ] {
        let task = order(&format!("SO-{}", sandbox.faults_injected().values().sum::<u64>()));
        sandbox.fault(once("Save", fault.clone()));
        assert_eq!(said(&failed(connection.apply(&task).await)), (class, code), "{fault:?}");
        assert_eq!(status(&sandbox, &task.key), None, "{fault:?}");
        recovers(&sandbox, &connection, &task).await;
    }
}

#[tokio::test]
async fn the_newer_edit_lock_code_is_known_too() {
    let sandbox = sandbox_with(|config| config.kingdee.edit_lock_code = 13).await;
    sandbox.fault(once("Audit", Fault::EditLock));
    let failure = failed(signed(&sandbox).apply(&order("SO-1")).await);
    assert_eq!(said(&failure), (Class::Throttled(None), Code::TargetLocked));
}

#[tokio::test]
async fn odd_but_sound_answers_are_read() {
    let sandbox = sandbox().await;
    let connection = signed(&sandbox);
    for fault in [Fault::Gzip, Fault::Bom, Fault::BadCharset] {
        for operation in ["Save", "Submit", "Audit", "ExecuteBillQuery"] {
            sandbox.fault(once(operation, fault.clone()));
        }
        let receipt = done(connection.apply(&order(&format!("SO-{}", fault.kind()))).await);
        assert_eq!(receipt.total_tax_included, Some(decimal("439.00")));
    }
    assert_eq!(sandbox.faults_injected().values().sum::<u64>(), 12);
}

#[tokio::test]
async fn a_question_without_an_answer_leaves_nothing_in_doubt() {
    let sandbox = sandbox().await;
    let connection = signed(&sandbox);
    for fault in [
        Fault::LostAnswerAfterCommit,
        Fault::ResetMidBody,
        Fault::TruncatedJson,
        Fault::ResponseErrorPrefix,
        Fault::Http { status: 502, retry_after: None, after_commit: false },
    ] {
        sandbox.fault(once("ExecuteBillQuery", fault.clone()));
        let failure = cannot_tell(connection.lookup(&order("SO-1")).await);
        assert_eq!(said(&failure), (Class::Unavailable, Code::TargetUnavailable), "{fault:?}");
    }
    // The answer to the read-back is lost: what was done is told.
    sandbox.fault(once("ExecuteBillQuery", Fault::ResetMidBody));
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert_eq!(failure.reached.as_ref().map(|remote| remote.step.as_str()), Some("audited"));
    recovers(&sandbox, &connection, &order("SO-1")).await;
}

#[tokio::test]
async fn a_call_that_is_too_slow_is_unknown() {
    let sandbox = sandbox().await;
    let connection = connect("kingdee-cloud", &settings(&sandbox, &format!("{SIGNATURE}timeout_ms: 1000\n")));
    sandbox.fault(once("Save", Fault::Slow { ms: 60_000, after_commit: true }));
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert_eq!(said(&failure), (Class::Unknown, Code::OutcomeUnknown));
    let patient = signed(&sandbox);
    assert_eq!(partial(patient.lookup(&order("SO-1")).await).step, "saved");
    recovers(&sandbox, &patient, &order("SO-1")).await;

    // The hardest case: it is not there when we ask, and comes into being afterwards.
    sandbox.fault(once("Save", Fault::Slow { ms: 3_000, after_commit: false }));
    let failure = failed(connection.apply(&order("SO-2")).await);
    assert_eq!(failure.class, Class::Unknown);
    assert_eq!(patient.lookup(&order("SO-2")).await, Lookup::Absent);
    until("the late order", || async { sandbox.order("SO-2").is_some() }).await;
    let receipt = already(patient.apply(&order("SO-2")).await);
    assert_eq!(receipt.total_tax_included, Some(decimal("439.00")));
    assert_eq!(status(&sandbox, "SO-2").as_deref(), Some("C"));
}

#[tokio::test]
async fn a_far_side_that_cannot_be_reached_is_unavailable() {
    for mode in [SIGNATURE, SIGN_LOGIN, PASSWORD] {
        let sandbox = sandbox().await;
        let connection = connect("kingdee-cloud", &settings(&sandbox, mode));
        sandbox.shutdown().await;
        let failure = failed(connection.apply(&order("SO-1")).await);
        assert_eq!(said(&failure), (Class::Unavailable, Code::TargetUnavailable), "{mode}");
    }
}

#[tokio::test]
async fn a_dropped_session_is_renewed_once_by_many_callers() {
    let sandbox = sandbox().await;
    let connection = connect("kingdee-cloud", &settings(&sandbox, PASSWORD));
    let all = |round: usize| {
        let connection = &connection;
        futures::future::join_all((0..20).map(move |index| async move {
            done(connection.apply(&order(&format!("SO-{round}-{index}"))).await);
        }))
    };
    all(0).await;
    assert_eq!(calls(&sandbox, "kingdee ValidateUser"), 1);
    sandbox.drop_sessions();
    all(1).await;
    assert_eq!(calls(&sandbox, "kingdee ValidateUser"), 2);
    // In the middle of a document, at each step.
    for operation in ["Save", "Submit", "Audit", "ExecuteBillQuery"] {
        sandbox.fault(once(operation, Fault::SessionDropped));
        done(connection.apply(&order(&format!("SO-{operation}"))).await);
    }
    assert_eq!(calls(&sandbox, "kingdee ValidateUser"), 6);
    assert_eq!(sandbox.orders().len(), 44);
    // It is used no longer than the setting says.
    connection.advance(Duration::from_secs(901));
    done(connection.apply(&order("SO-late")).await);
    assert_eq!(calls(&sandbox, "kingdee ValidateUser"), 7);
}

#[tokio::test]
async fn a_session_that_is_never_honoured_is_not_renewed_without_end() {
    let sandbox = sandbox().await;
    let connection = connect("kingdee-cloud", &settings(&sandbox, PASSWORD));
    sandbox.fault(Rule::new(Fault::SessionDropped).on(System::Kingdee, "Save"));
    for key in ["SO-1", "SO-2", "SO-3"] {
        let failure = failed(connection.apply(&order(key)).await);
        assert_eq!(said(&failure), (Class::Unauthorized, Code::TargetUnauthorized));
    }
    assert_eq!(calls(&sandbox, "kingdee ValidateUser"), 2);
    sandbox.clear_faults();
    connection.advance(Duration::from_secs(301));
    done(connection.apply(&order("SO-1")).await);
}

#[tokio::test]
async fn wrong_credentials_are_not_hammered() {
    let sandbox = sandbox().await;
    for (login, text) in [
        ("ValidateUser", PASSWORD.replace("PASSWORD", "WRONG_PASSWORD")),
        ("LoginBySign", SIGN_LOGIN.replace("APP_SECRET", "WRONG_SECRET")),
    ] {
        let connection = connect("kingdee-cloud", &settings(&sandbox, &text));
        let tasks: Vec<Task> = (0..10).map(|index| order(&format!("SO-{index}"))).collect();
        for outcome in futures::future::join_all(tasks.iter().map(|task| connection.apply(task))).await {
            assert_eq!(said(&failed(outcome)), (Class::Unauthorized, Code::TargetUnauthorized));
        }
        assert_eq!(cannot_tell(connection.lookup(&order("SO-1")).await).class, Class::Unauthorized);
        assert_eq!(calls(&sandbox, &format!("kingdee {login}")), 1);
        connection.advance(Duration::from_secs(301));
        failed(connection.apply(&order("SO-1")).await);
        assert_eq!(calls(&sandbox, &format!("kingdee {login}")), 2);
    }
    assert!(sandbox.orders().is_empty());
}

#[tokio::test]
async fn a_login_that_fails_on_the_way_is_no_refusal() {
    for (fault, class) in [
        (Fault::LostAnswerAfterCommit, Class::Unavailable),
        (Fault::TruncatedJson, Class::Unavailable),
        (Fault::ResponseErrorPrefix, Class::Unavailable),
        (Fault::Http { status: 502, retry_after: None, after_commit: false }, Class::Unavailable),
        (Fault::Http { status: 404, retry_after: None, after_commit: false }, Class::Misconfigured),
    ] {
        let sandbox = sandbox().await;
        let connection = connect("kingdee-cloud", &settings(&sandbox, PASSWORD));
        sandbox.fault(once("ValidateUser", fault.clone()));
        assert_eq!(failed(connection.apply(&order("SO-1")).await).class, class, "{fault:?}");
        // Unlike a refusal it may be tried again soon.
        let wait = if class == Class::Unavailable { 2 } else { 301 };
        connection.advance(Duration::from_secs(wait));
        done(connection.apply(&order("SO-1")).await);
    }
}

#[tokio::test]
async fn a_bad_signature_is_refused_in_all_known_styles() {
    for (refusal, class) in [
        (Refusal::SessionLost, Class::Unauthorized),
        (Refusal::Gateway519, Class::Unauthorized),
        // A server exception says nothing of its cause.
        (Refusal::ResponseError, Class::Unknown),
    ] {
        let sandbox = sandbox_with(|config| config.kingdee.refusal = refusal).await;
        let text = settings(&sandbox, &SIGNATURE.replace("APP_SECRET", "WRONG_SECRET"));
        let failure = failed(connect("kingdee-cloud", &text).apply(&order("SO-1")).await);
        assert_eq!(failure.class, class, "{refusal:?}");
        assert!(sandbox.orders().is_empty());
    }
}

#[tokio::test]
async fn an_audit_that_runs_on_or_fails_leaves_the_order_submitted() {
    let sandbox = sandbox().await;
    let connection = signed(&sandbox);
    sandbox.fault(once("Audit", Fault::AuditPending));
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert!(matches!(failure.class, Class::Throttled(Some(_))), "{failure:?}");
    let remote = failure.reached.unwrap();
    assert_eq!(remote.step, "submitted");
    assert_eq!(partial(connection.lookup(&order("SO-1")).await), remote);
    assert_eq!(done(connection.apply(&reached(&order("SO-1"), &remote)).await).remote.step, "audited");

    sandbox.fault(once("Audit", Fault::AuditFails { message: "超出客户信用额度".into() }));
    let failure = failed(connection.apply(&order("SO-2")).await);
    assert_eq!(said(&failure), (Class::Rejected, Code::TargetRejected));
    assert!(failure.fault.message.zh.contains("超出客户信用额度"), "{failure:?}");
    let remote: Remote = failure.reached.unwrap();
    assert_eq!(remote.step, "submitted");
    assert_eq!(status(&sandbox, "SO-2").as_deref(), Some("B"));
    recovers(&sandbox, &connection, &order("SO-2")).await;
}

#[tokio::test]
async fn unknown_base_data_is_named() {
    let sandbox = sandbox().await;
    let connection = signed(&sandbox);
    let mut customer = order("SO-1");
    change(&mut customer, |document| document["FCustId"]["FNumber"] = json!("NOBODY"));
    let failure = failed(connection.apply(&customer).await);
    assert_eq!(said(&failure), (Class::Rejected, Code::TargetRejected));
    assert_eq!(failure.fault.field.as_deref(), Some("FCustId"));
    assert!(failure.fault.message.zh.contains("客户"), "{failure:?}");
    let mut material = order("SO-2");
    change(&mut material, |document| {
        document["FSaleOrderEntry"][1]["FMaterialId"]["FNumber"] = json!("MAT9999")
    });
    let failure = failed(connection.apply(&material).await);
    assert_eq!(said(&failure), (Class::Rejected, Code::TargetRejected));
    assert!(failure.fault.message.zh.contains("物料"), "{failure:?}");
    assert!(sandbox.orders().is_empty());
    let field = settings(&sandbox, &format!("{SIGNATURE}stamp_field: FNoSuchField\n"));
    let failure = cannot_tell(connect("kingdee-cloud", &field).lookup(&order("SO-1")).await);
    assert_eq!(said(&failure), (Class::Misconfigured, Code::TargetMisconfigured));
}

#[tokio::test]
async fn many_orders_under_faults_arrive_once_each() {
    let sandbox = sandbox().await;
    let connection =
        connect("kingdee-cloud", &settings(&sandbox, &format!("{PASSWORD}login_cool_down_s: 0\n")));
    for fault in [
        Fault::LostAnswerAfterCommit,
        Fault::LostBeforeCommit,
        Fault::ResetMidBody,
        Fault::TruncatedJson,
        Fault::DuplicateAccepted,
        Fault::EditLock,
        Fault::SessionDropped,
        Fault::Http { status: 504, retry_after: None, after_commit: true },
    ] {
        for operation in ["Save", "Submit", "Audit"] {
            sandbox.fault(Rule::new(fault.clone()).on(System::Kingdee, operation).per_million(40_000));
        }
    }
    let deliver = |index: usize| {
        let connection = &connection;
        async move {
            let task = order(&format!("SO-{index}"));
            let mut outcome = connection.apply(&task).await;
            for _ in 0..40 {
                match outcome {
                    Outcome::Done(receipt) | Outcome::AlreadyThere(receipt) => {
                        assert_eq!(receipt.total_tax_included, Some(decimal("439.00")));
                        return;
                    }
                    Outcome::Failed(failure) if failure.class == Class::Conflict => panic!("{failure:?}"),
                    Outcome::Failed(_) => outcome = connection.ask_then_apply(&task).await,
                }
            }
            panic!("{} never arrived: {outcome:?}", task.key);
        }
    };
    futures::future::join_all((0..60).map(deliver)).await;
    let orders = sandbox.orders();
    assert_eq!(orders.len(), 60);
    assert!(orders.iter().all(|order| order.same_number == 1 && order.status == "C"));
}
