//! `esign`: claims in, the truth asked for.

use crate::kit::{
    Connection, cannot_tell, connect, done, failed, found, pending, receive, said, sandbox, secret, task,
    wrong,
};
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::{Lookup, Task};
use tongbao_model::{Class, Code};
use tongbao_sandbox::signing::{EsignSender, FlowChange, FlowSpec};
use tongbao_sandbox::{Fault, Rule, Sandbox, System};

fn with(sandbox: &Sandbox, secret: &str, more: &str) -> Connection {
    let app_id = &sandbox.config().esign.app_id;
    let url = sandbox.url();
    connect(
        "esign",
        &format!(
            "base_url: {url}\napp_id: '{app_id}'\napp_secret: {{ env: {secret} }}\ntimeout_ms: 3000\n{more}"
        ),
    )
}

fn asks(flow: &str, claimed: &str) -> Task {
    task(
        "signature-status",
        flow,
        json!({"flow_id": flow, "claimed": claimed, "contract_number": "HT-9"}),
        "",
    )
}

/// A sandbox with a flow of two signers for HT-1.
async fn begun(auto_finish: bool) -> (Sandbox, Connection) {
    let sandbox = sandbox().await;
    sandbox.esign_begin(FlowSpec { signers: 2, auto_finish, ..FlowSpec::of("f-1", "HT-1") }).unwrap();
    let connection = with(&sandbox, "ESIGN_SECRET", "again_s: 7\n");
    (sandbox, connection)
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let base = "base_url: http://127.0.0.1:1/\napp_id: a\napp_secret: { env: ESIGN_SECRET }\n";
    assert_eq!(wrong("esign", &format!("{base}states: {{ '4': done }}")), ["config-value"]);
    connect("esign", &format!("{base}states: {{ '4': signing }}"));
}

#[tokio::test]
async fn signed_callbacks_come_in_and_others_do_not() {
    let (sandbox, connection) = begun(true).await;
    let (address, taken) = receive(connection.source()).await;
    let sender = |secret: &str| {
        EsignSender::new(&format!("{address}/?tenant=t1&biz=a%20b"), "app", secret, Duration::ZERO).unwrap()
    };
    sandbox.esign_change("f-1", FlowChange::Sign).unwrap();
    let signer = sandbox.esign_news("f-1", 1_764_561_600_000).unwrap();
    let (pushed, tries) = sender(secret("ESIGN_SECRET")).push(signer.clone()).await.unwrap();
    let answer: Value = serde_json::from_slice(&pushed.body).unwrap();
    assert_eq!((pushed.status, tries, answer), (200, 1, json!({"code": "200", "msg": "success"})));
    sandbox.esign_change("f-1", FlowChange::Sign).unwrap();
    let end = sandbox.esign_news("f-1", 1_764_561_601_000).unwrap();
    sender(secret("ESIGN_SECRET")).push(end).await.unwrap();
    let documents: Vec<Value> =
        taken.lock().unwrap().iter().map(|one| one.as_ref().unwrap().documents[0].document.value()).collect();
    assert_eq!(documents[0]["customBizNum"], "HT-1");
    assert_eq!(documents[0].get("signFlowStatus"), None);
    assert_eq!(documents[1]["signFlowStatus"], "2");
    assert_eq!(documents[1]["timestamp"], "2025-12-01T12:00:01+08:00");

    // Signed with another secret, over another query, and long ago.
    let (pushed, tries) = sender("another-secret").push(signer.clone()).await.unwrap();
    assert_eq!((pushed.status, tries), (401, 17), "repeated by the platform, refused each time");
    let old = 1_764_561_600_456;
    let bare = EsignSender::signature(secret("ESIGN_SECRET"), old, "", signer.as_bytes());
    let whole = EsignSender::signature(secret("ESIGN_SECRET"), old, "tenant=t1&biz=a%20b", signer.as_bytes());
    for (signature, code) in [(bare, Code::SignatureInvalid), (whole, Code::SignatureExpired)] {
        let pushed = sender("any").send(signer.clone(), old, &signature).await.unwrap();
        assert_eq!(pushed.status, 401);
        assert_eq!(taken.lock().unwrap().last().unwrap().as_ref().unwrap_err().code, code);
    }
}

#[tokio::test]
async fn what_stands_counts_and_not_what_was_claimed() {
    let (sandbox, connection) = begun(true).await;
    let under_way = done(connection.apply(&asks("f-1", "signing")).await);
    assert_eq!((under_way.remote.step.as_str(), &under_way.facts["at"]), ("signing", &Value::Null));
    // A claim ahead of the truth: later, and not at once.
    let early = failed(connection.apply(&asks("f-1", "signed")).await);
    assert_eq!(said(&early), (Class::Throttled(Some(Duration::from_secs(7))), Code::TargetThrottled));
    assert_eq!(pending(connection.lookup(&asks("f-1", "signed")).await).step, "signing");
    for _ in 0..2 {
        sandbox.esign_change("f-1", FlowChange::Sign).unwrap();
    }
    let signed = done(connection.apply(&asks("f-1", "signed")).await);
    assert_eq!(signed, found(connection.lookup(&asks("f-1", "signed")).await));
    let facts = |name: &str| signed.facts[name].clone();
    assert_eq!((facts("state"), facts("contract_number")), (json!("signed"), json!("HT-1")));
    assert_eq!((facts("flow_id"), facts("provider")), (json!("f-1"), json!("esign")));
    // An older claim finds the truth as well; a claim of an annulment waits for it.
    assert_eq!(done(connection.apply(&asks("f-1", "signing")).await), signed);
    assert_eq!(done(connection.apply(&asks("f-1", "rejected")).await), signed);
    failed(connection.apply(&asks("f-1", "annulled")).await);
    sandbox.esign_change("f-1", FlowChange::Annul).unwrap();
    assert_eq!(done(connection.apply(&asks("f-1", "annulled")).await).remote.step, "annulled");
}

#[tokio::test]
async fn every_end_is_told_and_an_unfinished_flow_is_under_way() {
    for (change, state) in
        [(FlowChange::Reject, "rejected"), (FlowChange::Revoke, "revoked"), (FlowChange::Expire, "expired")]
    {
        let (sandbox, connection) = begun(true).await;
        sandbox.esign_change("f-1", change).unwrap();
        assert_eq!(done(connection.apply(&asks("f-1", "signed")).await).remote.step, state);
    }
    let (sandbox, connection) = begun(false).await;
    for _ in 0..2 {
        sandbox.esign_change("f-1", FlowChange::Sign).unwrap();
    }
    assert_eq!(done(connection.apply(&asks("f-1", "signing")).await).remote.step, "signing");
    sandbox.esign_change("f-1", FlowChange::Finish).unwrap();
    assert_eq!(done(connection.apply(&asks("f-1", "signing")).await).remote.step, "signed");
}

#[tokio::test]
async fn numbers_of_the_callback_stand_in_and_unknown_flows_are_refused() {
    let (sandbox, connection) = begun(true).await;
    sandbox.esign_begin(FlowSpec { number: None, ..FlowSpec::of("f-2", "") }).unwrap();
    let bare = done(connection.apply(&asks("f-2", "signing")).await);
    assert_eq!(bare.facts["contract_number"], "HT-9");
    let strange = "f/../1 ?";
    assert_eq!(said(&failed(connection.apply(&asks(strange, "signed")).await)).0, Class::Rejected);
    assert_eq!(connection.lookup(&asks(strange, "signed")).await, Lookup::Absent);
    assert_eq!(connection.probe().await.unwrap(), "detail");
    let stranger = with(&sandbox, "WRONG_SECRET", "");
    let refused = failed(stranger.apply(&asks("f-1", "signing")).await);
    assert_eq!(said(&refused), (Class::Unauthorized, Code::TargetUnauthorized));
    assert_eq!(said(&stranger.probe().await.unwrap_err()).0, Class::Unauthorized);
}

#[tokio::test]
async fn a_question_without_an_answer_changed_nothing() {
    let (sandbox, connection) = begun(true).await;
    for fault in [
        Fault::LostBeforeCommit,
        Fault::ResetMidBody,
        Fault::TruncatedJson,
        Fault::Garbage,
        Fault::Http { status: 502, retry_after: None, after_commit: false },
    ] {
        sandbox.fault(Rule::new(fault).on(System::Esign, "detail").times(2));
        let failure = failed(connection.apply(&asks("f-1", "signing")).await);
        assert_eq!(said(&failure), (Class::Unavailable, Code::TargetUnavailable));
        assert_eq!(
            said(&cannot_tell(connection.lookup(&asks("f-1", "signing")).await)).0,
            Class::Unavailable
        );
    }
    sandbox.fault(Rule::new(Fault::Throttled { retry_after: Some(9) }).on(System::Esign, "detail").times(1));
    let failure = failed(connection.apply(&asks("f-1", "signing")).await);
    assert_eq!(failure.class, Class::Throttled(Some(Duration::from_secs(9))));
    done(connection.apply(&asks("f-1", "signing")).await);
}
