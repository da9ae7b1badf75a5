//! `webhook`: signed JSON in, REST out.

use crate::kit::{
    Connection, cannot_tell, change, connect, done, failed, found, nobody_to_ask, receive, said, sandbox,
    sandbox_with, secret, task, wrong,
};
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::{Lookup, Task};
use tongbao_model::{Class, Code};
use tongbao_sandbox::{Fault, Rule, Sandbox, System, crm::WebhookSender};

fn with(sandbox: &Sandbox, token: &str, more: &str) -> Connection {
    let settings = format!(
        "base_url: {}/crm/\ntoken: {{ env: {token} }}\nidempotency_header: idempotency-key\noperations:\n  \
         order_back: PATCH /contracts/{{key}}\n  payment_back: PUT /payments/{{number}}\n  \
         note: POST /notes/{{key}}\n{more}",
        sandbox.url()
    );
    connect("webhook", &settings)
}

fn connection(sandbox: &Sandbox) -> Connection {
    with(sandbox, "CRM_TOKEN", "")
}

fn order_back(key: &str) -> Task {
    task(
        "order_back",
        key,
        json!({"erp_number": format!("SO-{key}"), "paid": "439.00", "stage": "signed"}),
        "",
    )
}

fn once(fault: Fault) -> Rule {
    Rule::new(fault).on(System::Crm, "PATCH contracts").times(1)
}

#[test]
fn settings_that_cannot_work_are_refused() {
    assert_eq!(wrong("webhook", "operations: { back: PATCH /x }"), ["config-missing"]);
    assert_eq!(wrong("webhook", "base_url: http://x/\noperations: { back: GET /x }"), ["config-value"]);
    assert_eq!(wrong("webhook", "base_url: http://user:pass@x/"), ["config-value"]);
    assert!(!connect("webhook", "secret: { env: CRM_SECRET }").writes());
}

#[tokio::test]
async fn signed_pushes_come_in_and_others_do_not() {
    let (address, taken) = receive(connect("webhook", "secret: { env: CRM_SECRET }").source()).await;
    let url = format!("{address}/contract");
    let sender = WebhookSender::new(&url, secret("CRM_SECRET")).unwrap();
    assert_eq!(sender.send(r#"{"number":"HT-1","total":1.10}"#).await.unwrap().status, 200);
    let decoded = taken.lock().unwrap().remove(0).unwrap();
    assert_eq!(decoded.documents[0].kind, "contract");
    assert_eq!(decoded.documents[0].document.text(), r#"{"number":"HT-1","total":1.10}"#);

    let forger = WebhookSender::new(&url, "guess").unwrap();
    assert_eq!(forger.send("{}").await.unwrap().status, 401);
    assert_eq!(sender.send_at("{}", 1_700_000_000).await.unwrap().status, 401);
    assert_eq!(sender.send("{").await.unwrap().status, 422);
    let codes: Vec<Code> =
        taken.lock().unwrap().iter().map(|result| result.as_ref().unwrap_err().code).collect();
    assert_eq!(codes, [Code::SignatureInvalid, Code::SignatureExpired, Code::BodyInvalid]);
}

#[tokio::test]
async fn a_state_is_written_and_found() {
    let sandbox = sandbox().await;
    let connection = connection(&sandbox);
    connection.probe().await.unwrap();
    let task = order_back("HT-1");
    assert_eq!(connection.lookup(&task).await, Lookup::Absent);
    let receipt = done(connection.apply(&task).await);
    assert_eq!((receipt.remote.id.as_str(), receipt.total_tax_included), ("HT-1", None));
    found(connection.lookup(&task).await);
    let mut later = task.clone();
    change(&mut later, |document| document["stage"] = json!("paid"));
    assert_eq!(connection.lookup(&later).await, Lookup::Absent, "another state is to be written");
    done(connection.apply(&later).await);
    // `null` takes a member away, and stays away.
    change(&mut later, |document| document["stage"] = Value::Null);
    done(connection.apply(&later).await);
    found(connection.lookup(&later).await);
    let writes = sandbox.crm_writes_of("contracts", "HT-1");
    assert_eq!(writes.len(), 3);
    assert!(writes.iter().all(|write| write.method == "PATCH"));
    assert_eq!(writes[0].idempotency_key.as_deref(), Some("crm/contract/HT-1"));
    assert_eq!(writes[2].after, json!({"erp_number": "SO-HT-1", "paid": "439.00"}));
}

#[tokio::test]
async fn paths_take_the_key_and_fields_as_one_segment() {
    let sandbox = sandbox().await;
    let connection = connection(&sandbox);
    let odd = task("order_back", "HT/1 甲?", json!({"key": "not this", "a": 1}), "");
    done(connection.apply(&odd).await);
    found(connection.lookup(&odd).await);
    assert_eq!(sandbox.crm_record("contracts", "HT/1 甲?").unwrap()["key"], "not this");
    let payment = task("payment_back", "x", json!({"number": 7, "amount": "1.10"}), "");
    done(connection.apply(&payment).await);
    assert_eq!(sandbox.crm_writes_of("payments", "7")[0].body, json!({"amount": "1.10"}));
    for number in [json!(".."), json!(""), Value::Null, json!({})] {
        let payment = task("payment_back", "x", json!({"number": number}), "");
        let failure = failed(connection.apply(&payment).await);
        assert_eq!(said(&failure), (Class::Rejected, Code::FieldMissing));
    }
    let failure = failed(connection.apply(&task("other", "x", json!({}), "")).await);
    assert_eq!(said(&failure), (Class::Misconfigured, Code::TargetMisconfigured));
    assert_eq!(sandbox.crm_writes().len(), 2);
}

#[tokio::test]
async fn refusals_by_status() {
    let sandbox = sandbox_with(|config| config.crm.required_fields = vec!["stage".into()]).await;
    let connection = connection(&sandbox);
    for (fault, class, code) in [
        (
            Fault::Throttled { retry_after: Some(9) },
            Class::Throttled(Some(Duration::from_secs(9))),
            Code::TargetThrottled,
        ),
        (Fault::SessionDropped, Class::Unauthorized, Code::TargetUnauthorized),
        (Fault::NoPermission, Class::Unauthorized, Code::TargetUnauthorized),
        (Fault::RedirectHtml, Class::Misconfigured, Code::TargetMisconfigured),
        // A conflict may be with our own earlier call.
        (Fault::EditLock, Class::Unknown, Code::OutcomeUnknown),
    ] {
        sandbox.fault(once(fault.clone()));
        assert_eq!(said(&failed(connection.apply(&order_back("HT-1")).await)), (class, code), "{fault:?}");
    }
    let mut empty = order_back("HT-1");
    change(&mut empty, |document| document["stage"] = json!(""));
    assert_eq!(said(&failed(connection.apply(&empty).await)), (Class::Rejected, Code::TargetRejected));
    let stranger = with(&sandbox, "WRONG_SECRET", "");
    assert_eq!(failed(stranger.apply(&order_back("HT-1")).await).class, Class::Unauthorized);
    assert_eq!(cannot_tell(stranger.lookup(&order_back("HT-1")).await).class, Class::Unauthorized);
    assert_eq!(stranger.probe().await.unwrap_err().class, Class::Unauthorized);
    assert!(sandbox.crm_writes().is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_look_up_knows() {
    let sandbox = sandbox().await;
    let connection = with(&sandbox, "CRM_TOKEN", "timeout_ms: 3000\n");
    for (index, (fault, committed)) in [
        (Fault::LostAnswerAfterCommit, true),
        (Fault::ResetMidBody, true),
        (Fault::DuplicateAccepted, true),
        (Fault::Slow { ms: 60_000, after_commit: true }, true),
        (Fault::Http { status: 502, retry_after: None, after_commit: true }, true),
        (Fault::Http { status: 503, retry_after: Some(5), after_commit: true }, true),
        (Fault::LostBeforeCommit, false),
        (Fault::Http { status: 504, retry_after: None, after_commit: false }, false),
    ]
    .into_iter()
    .enumerate()
    {
        let task = order_back(&format!("HT-{index}"));
        sandbox.fault(once(fault.clone()));
        let failure = failed(connection.apply(&task).await);
        assert_eq!(said(&failure), (Class::Unknown, Code::OutcomeUnknown), "{fault:?}");
        match (connection.lookup(&task).await, committed) {
            (Lookup::Found(_), true) => {}
            (Lookup::Absent, false) => drop(done(connection.apply(&task).await)),
            (other, _) => panic!("{fault:?}: {other:?}"),
        }
    }
    // A body that says it is JSON and is half of one is not the system's own answer, whatever the status.
    sandbox.fault(once(Fault::TruncatedJson));
    assert_eq!(failed(connection.apply(&order_back("HT-cut")).await).class, Class::Unknown);
    found(connection.lookup(&order_back("HT-cut")).await);
    // None at all is an answer: the status says it. An id that was not told is not made up.
    let nothing = Fault::Answer {
        status: 204,
        content_type: "application/json".into(),
        body: String::new(),
        after_commit: true,
    };
    sandbox.fault(once(nothing));
    assert_eq!(done(connection.apply(&order_back("HT-204")).await).remote.id, "");
    // An answer to the question that cannot be read says nothing.
    sandbox.fault(Rule::new(Fault::TruncatedJson).on(System::Crm, "GET contracts").times(1));
    assert_eq!(cannot_tell(connection.lookup(&order_back("HT-cut")).await).class, Class::Unavailable);
}

#[tokio::test]
async fn a_post_cannot_be_asked_about() {
    let sandbox = sandbox().await;
    let connection = connection(&sandbox);
    let note = task("note", "HT-1", json!({"text": "x"}), "");
    assert_eq!(nobody_to_ask(connection.lookup(&note).await).class, Class::Unknown);
    assert_eq!(failed(connection.apply(&note).await).class, Class::Misconfigured, "the sandbox has no POST");
    sandbox.shutdown().await;
    let failure = failed(connection.apply(&note).await);
    assert_eq!(said(&failure), (Class::Unavailable, Code::TargetUnavailable));
}
