//! `fadada`: claims in, the truth asked for, tokens renewed.

use crate::kit::{
    Connection, calls, cannot_tell, connect, done, failed, found, pending, receive, said, sandbox, secret,
    task, wrong,
};
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::{Lookup, Task};
use tongbao_model::{Class, Code};
use tongbao_sandbox::signing::{FadadaSender, FlowChange, FlowSpec};
use tongbao_sandbox::{Fault, Rule, Sandbox, System};

const TOKEN: &str = "fadada get-access-token";

fn with(sandbox: &Sandbox, secret: &str, more: &str) -> Connection {
    let app_id = &sandbox.config().fadada.app_id;
    let url = sandbox.url();
    connect(
        "fadada",
        &format!(
            "base_url: {url}/api/v5\napp_id: '{app_id}'\napp_secret: {{ env: {secret} }}\ntimeout_ms: 3000\n{more}"
        ),
    )
}

fn asks(id: &str, claimed: &str) -> Task {
    task("signature-status", id, json!({"flow_id": id, "claimed": claimed, "contract_number": "HT-9"}), "")
}

/// A sandbox with a task of two signers for HT-1.
async fn begun() -> (Sandbox, Connection) {
    let sandbox = sandbox().await;
    sandbox.fadada_begin(FlowSpec { signers: 2, ..FlowSpec::of("st-1", "HT-1") }).unwrap();
    let connection = with(&sandbox, "FADADA_SECRET", "again_s: 7\n");
    (sandbox, connection)
}

fn step(receipt: &tongbao_connect::Receipt) -> &str {
    &receipt.remote.step
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let base = "base_url: http://127.0.0.1:1/\napp_id: a\napp_secret: { env: FADADA_SECRET }\n";
    assert_eq!(wrong("fadada", &format!("{base}states: {{ new: done }}")), ["config-value"]);
    connect("fadada", &format!("{base}states: {{ new: signing }}"));
}

#[tokio::test]
async fn signed_callbacks_come_in_and_others_do_not() {
    let (sandbox, connection) = begun().await;
    let (address, taken) = receive(connection.source()).await;
    let app_id = sandbox.config().fadada.app_id.clone();
    let sender = |secret: &str| FadadaSender::new(&address, &app_id, secret, 1_000_000).unwrap();
    let good = sender(secret("FADADA_SECRET"));
    for _ in 0..2 {
        sandbox.fadada_change("st-1", FlowChange::Sign).unwrap();
    }
    let (event, content) = sandbox.fadada_news("st-1", true, 1_764_561_600_000).unwrap();
    let (pushed, tries) = good.push(event, &content).await.unwrap();
    assert_eq!((pushed.status, tries), (200, 1));
    assert!(String::from_utf8_lossy(&pushed.body).contains("success"));
    let document = taken.lock().unwrap()[0].as_ref().unwrap().documents[0].document.value();
    assert_eq!(
        (&document["event"], &document["signTaskStatus"]),
        (&json!("sign-task-signed"), &json!("task_finished"))
    );
    assert_eq!(document["transReferenceId"], "HT-1");

    let last = || taken.lock().unwrap().last().unwrap().as_ref().map(|_| ()).map_err(|fault| fault.code);
    let (refused, tries) = sender("another-secret").push(event, &content).await.unwrap();
    assert_eq!((refused.status, tries), (401, 4), "repeated three times, refused each time");
    let now = sandbox.now_ms();
    let signed = good.signed(event, &content, "nonce-1", now);
    good.send(&content, &signed).await.unwrap();
    assert_eq!(last(), Ok(()));
    good.send(&content, &signed).await.unwrap();
    assert_eq!(last(), Ok(()), "the same once more is a repeat");
    let other = good.signed("sign-task-abolish", &content, "nonce-1", now);
    good.send(&content, &other).await.unwrap();
    assert_eq!(last(), Err(Code::SignatureInvalid), "its nonce was another's");
    good.send(&content, &good.signed(event, &content, &"n".repeat(33), now)).await.unwrap();
    assert_eq!(last(), Err(Code::SignatureInvalid), "too long a nonce");
    for (by, code) in
        [(299_000, Ok(())), (-310_000, Err(Code::SignatureExpired)), (310_000, Err(Code::SignatureExpired))]
    {
        good.send(&content, &good.signed(event, &content, &format!("n{by}"), now + by)).await.unwrap();
        assert_eq!(last(), code, "{by} ms from now");
    }
    let mut stolen = good.signed(event, &content, "nonce-2", now);
    stolen.event = "sign-task-finished".to_owned();
    good.send(&content, &stolen).await.unwrap();
    assert_eq!(last(), Err(Code::SignatureInvalid), "the event is signed");
    let stranger = FadadaSender::new(&address, "other-app", secret("FADADA_SECRET"), 1_000_000).unwrap();
    stranger.send(&content, &stranger.signed(event, &content, "nonce-3", now)).await.unwrap();
    assert_eq!(last(), Err(Code::SignatureInvalid), "another application's");
}

#[tokio::test]
async fn what_stands_counts_and_not_what_was_claimed() {
    let (sandbox, connection) = begun().await;
    assert_eq!(step(&done(connection.apply(&asks("st-1", "signing")).await)), "signing");
    let early = failed(connection.apply(&asks("st-1", "signed")).await);
    assert_eq!(said(&early), (Class::Throttled(Some(Duration::from_secs(7))), Code::TargetThrottled));
    assert_eq!(pending(connection.lookup(&asks("st-1", "signed")).await).step, "signing");
    for _ in 0..2 {
        sandbox.fadada_change("st-1", FlowChange::Sign).unwrap();
    }
    let signed = done(connection.apply(&asks("st-1", "signed")).await);
    assert_eq!(signed, found(connection.lookup(&asks("st-1", "signed")).await));
    let facts = |name: &str| signed.facts[name].clone();
    assert_eq!((facts("state"), facts("contract_number")), (json!("signed"), json!("HT-1")));
    assert_eq!((facts("flow_id"), facts("provider")), (json!("st-1"), json!("fadada")));
    failed(connection.apply(&asks("st-1", "annulled")).await);
    sandbox.fadada_change("st-1", FlowChange::Annul).unwrap();
    assert_eq!(step(&done(connection.apply(&asks("st-1", "annulled")).await)), "annulled");
    for (change, claimed, state) in [
        (FlowChange::Reject, "rejected", "rejected"),
        (FlowChange::Revoke, "revoked", "revoked"),
        (FlowChange::Revoke, "signed", "revoked"),
        (FlowChange::Expire, "signed", "expired"),
    ] {
        let (sandbox, connection) = begun().await;
        sandbox.fadada_change("st-1", change).unwrap();
        assert_eq!(step(&done(connection.apply(&asks("st-1", claimed)).await)), state);
    }
}

#[tokio::test]
async fn tokens_are_fetched_once_and_renewed_once() {
    let (sandbox, connection) = begun().await;
    for _ in 0..3 {
        done(connection.apply(&asks("st-1", "signing")).await);
    }
    assert_eq!(calls(&sandbox, TOKEN), 1);
    sandbox.advance_ms(7_300_000);
    done(connection.apply(&asks("st-1", "signing")).await);
    assert_eq!(calls(&sandbox, TOKEN), 2, "the platform's clock went on, ours did not");
    let stranger = with(&sandbox, "WRONG_SECRET", "");
    for _ in 0..3 {
        let refused = failed(stranger.apply(&asks("st-1", "signing")).await);
        assert_eq!(said(&refused), (Class::Unauthorized, Code::TargetUnauthorized));
    }
    assert_eq!(calls(&sandbox, TOKEN), 3, "refused once, and not hammered");
    assert_eq!(said(&stranger.probe().await.unwrap_err()).0, Class::Unauthorized);
}

#[tokio::test]
async fn unknown_tasks_are_refused_and_a_question_without_an_answer_changed_nothing() {
    let (sandbox, connection) = begun().await;
    sandbox.fadada_begin(FlowSpec { number: None, ..FlowSpec::of("st-2", "") }).unwrap();
    let bare = done(connection.apply(&asks("st-2", "signing")).await);
    assert_eq!((&bare.facts["contract_number"], &bare.facts["at"]), (&json!("HT-9"), &Value::Null));
    assert_eq!(said(&failed(connection.apply(&asks("st-3", "signed")).await)).0, Class::Rejected);
    assert_eq!(connection.lookup(&asks("st-3", "signed")).await, Lookup::Absent);
    assert_eq!(connection.probe().await.unwrap(), "get-detail");
    for fault in [
        Fault::LostBeforeCommit,
        Fault::ResetMidBody,
        Fault::TruncatedJson,
        Fault::Garbage,
        Fault::Http { status: 502, retry_after: None, after_commit: false },
    ] {
        sandbox.fault(Rule::new(fault).on(System::Fadada, "get-detail").times(2));
        let failure = failed(connection.apply(&asks("st-1", "signing")).await);
        assert_eq!(said(&failure), (Class::Unavailable, Code::TargetUnavailable));
        assert_eq!(
            said(&cannot_tell(connection.lookup(&asks("st-1", "signing")).await)).0,
            Class::Unavailable
        );
    }
    sandbox.fault(
        Rule::new(Fault::Throttled { retry_after: Some(9) }).on(System::Fadada, "get-detail").times(1),
    );
    let failure = failed(connection.apply(&asks("st-1", "signing")).await);
    assert_eq!(failure.class, Class::Throttled(Some(Duration::from_secs(9))));
    sandbox.fault(Rule::new(Fault::SessionDropped).on(System::Fadada, "get-detail").times(1));
    done(connection.apply(&asks("st-1", "signing")).await);
    assert_eq!(calls(&sandbox, TOKEN), 2, "the token was over, and is renewed");
}
