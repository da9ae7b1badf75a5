//! `jiandaoyun`: pushes in, records out.

use crate::kit::{
    Connection, cannot_tell, connect, done, failed, found, receive, said, sandbox, secret, task, wrong,
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tongbao_connect::{Lookup, Task};
use tongbao_model::{Class, Code};
use tongbao_sandbox::{Fault, Rule, Sandbox, System, jdy::PushSender};

const PUSHED: &str = "secret: { env: JDY_SECRET }\nkinds: { form1: contract }\n";

fn with(sandbox: &Sandbox, key: &str, more: &str) -> Connection {
    let settings = format!(
        "base_url: {}/jdy/\napi_key: {{ env: {key} }}\nentries: {{ order_back: app1/form1 }}\n{more}",
        sandbox.url()
    );
    connect("jiandaoyun", &settings)
}

async fn seeded() -> (Sandbox, Connection) {
    let sandbox = sandbox().await;
    sandbox.seed_jdy("app1", "form1", "6564a1", Map::new());
    let connection = with(&sandbox, "JDY_KEY", "timeout_ms: 3000\n");
    (sandbox, connection)
}

fn order_back(data_id: &str, paid: &str) -> Task {
    let paid: Value = serde_json::from_str(paid).unwrap();
    task("order_back", "HT-1", json!({"data_id": data_id, "erp_number": "SO-1", "_widget_2": paid}), "")
}

fn once(operation: &str, fault: Fault) -> Rule {
    Rule::new(fault).on(System::Jdy, operation).times(1)
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let base = "base_url: http://127.0.0.1:1/\napi_key: { env: JDY_KEY }\n";
    for entry in ["app1", "app1/", "/form1", "app1/form1/x"] {
        assert_eq!(wrong("jiandaoyun", &format!("{base}entries: {{ back: {entry} }}")), ["config-value"]);
    }
    assert_eq!(wrong("jiandaoyun", "entries: { back: app1/form1 }"), ["config-missing"]);
    assert_eq!(wrong("jiandaoyun", "base_url: http://127.0.0.1:1/"), ["config-missing"]);
    assert!(!connect("jiandaoyun", PUSHED).writes());
}

#[tokio::test]
async fn signed_pushes_come_in_and_others_do_not() {
    let (address, taken) = receive(connect("jiandaoyun", PUSHED).source()).await;
    let sender = |secret: &str| PushSender::new(&format!("{address}/"), secret, Duration::ZERO).unwrap();
    let body = r#"{"op":"data_update","data":{"_id":"6564a1","entryId":"form1","flowState":1,"amount":12000.10},"opTime":1764561600000}"#;
    let (pushed, tries) = sender(secret("JDY_SECRET")).push("d-1", body).await.unwrap();
    assert_eq!((pushed.status, tries), (200, 1));
    let decoded = taken.lock().unwrap().remove(0).unwrap();
    assert_eq!(decoded.documents[0].kind, "contract");
    let document = &decoded.documents[0].document.value();
    assert_eq!(
        (&document["op"], document["amount"].to_string()),
        (&json!("data_update"), "12000.10".to_owned())
    );

    // News that nobody asked for is answered, or the platform would repeat it and switch the push off.
    let draft = body.replace(r#""flowState":1"#, r#""flowState":0"#);
    assert_eq!(sender(secret("JDY_SECRET")).push("d-2", draft).await.unwrap().1, 1);
    assert!(taken.lock().unwrap().remove(0).unwrap().documents.is_empty());

    let (pushed, tries) = sender("guess").push("d-3", body).await.unwrap();
    assert_eq!((pushed.status, tries), (401, 6));
    let unknown = body.replace("form1", "form2");
    assert_eq!(sender(secret("JDY_SECRET")).push("d-4", unknown).await.unwrap().0.status, 422);
}

#[tokio::test]
async fn a_record_is_updated_and_found() {
    let (sandbox, connection) = seeded().await;
    assert_eq!(connection.probe().await.unwrap(), "order_back");
    let task = order_back("6564a1", "12.50");
    assert_eq!(connection.lookup(&task).await, Lookup::Absent);
    assert_eq!(done(connection.apply(&task).await).remote.id, "6564a1");
    assert_eq!(
        sandbox.jdy_record("6564a1").unwrap().to_string(),
        r#"{"erp_number":"SO-1","_widget_2":12.50}"#
    );
    let write = &sandbox.jdy_writes()[0];
    assert_eq!(write.collection, "app1/form1");
    assert_eq!(
        write.body,
        json!({"erp_number": {"value": "SO-1"}, "_widget_2": {"value": write.after["_widget_2"]}})
    );
    found(connection.lookup(&task).await);
    found(connection.lookup(&order_back("6564a1", "12.5")).await);
    assert_eq!(connection.lookup(&order_back("6564a1", "13")).await, Lookup::Absent);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let (sandbox, connection) = seeded().await;
    let failure = failed(connection.apply(&order_back("nobody", "1")).await);
    assert_eq!(said(&failure), (Class::Rejected, Code::TargetRejected));
    assert_eq!(failure.fault.field.as_deref(), Some("data_id"));
    assert_eq!(connection.lookup(&order_back("nobody", "1")).await, Lookup::Absent);
    assert_eq!(
        said(&failed(connection.apply(&order_back("", "1")).await)),
        (Class::Rejected, Code::FieldMissing)
    );
    let other = Task { kind: "other".into(), ..order_back("6564a1", "1") };
    assert_eq!(failed(connection.apply(&other).await).class, Class::Misconfigured);
    for (fault, class) in [
        (Fault::Throttled { retry_after: Some(4) }, Class::Throttled(Some(Duration::from_secs(4)))),
        (Fault::SessionDropped, Class::Unauthorized),
        (Fault::RedirectHtml, Class::Misconfigured),
    ] {
        sandbox.fault(once("update", fault.clone()));
        assert_eq!(failed(connection.apply(&order_back("6564a1", "1")).await).class, class, "{fault:?}");
    }
    let stranger = with(&sandbox, "WRONG_SECRET", "");
    assert_eq!(failed(stranger.apply(&order_back("6564a1", "1")).await).class, Class::Unauthorized);
    assert_eq!(stranger.probe().await.unwrap_err().class, Class::Unauthorized);
    assert!(sandbox.jdy_writes().is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_look_up_knows() {
    let (sandbox, connection) = seeded().await;
    for (index, (fault, committed)) in [
        (Fault::LostAnswerAfterCommit, true),
        (Fault::ResetMidBody, true),
        (Fault::TruncatedJson, true),
        (Fault::Slow { ms: 60_000, after_commit: true }, true),
        (Fault::Http { status: 503, retry_after: Some(5), after_commit: true }, true),
        (Fault::LostBeforeCommit, false),
        (Fault::ResponseErrorPrefix, false),
        (Fault::Http { status: 502, retry_after: None, after_commit: false }, false),
    ]
    .into_iter()
    .enumerate()
    {
        let task = order_back("6564a1", &index.to_string());
        sandbox.fault(once("update", fault.clone()));
        let failure = failed(connection.apply(&task).await);
        assert_eq!(said(&failure), (Class::Unknown, Code::OutcomeUnknown), "{fault:?}");
        match (connection.lookup(&task).await, committed) {
            (Lookup::Found(_), true) => {}
            (Lookup::Absent, false) => drop(done(connection.apply(&task).await)),
            (other, _) => panic!("{fault:?}: {other:?}"),
        }
    }
    sandbox.fault(once("get", Fault::ResetMidBody));
    assert_eq!(cannot_tell(connection.lookup(&order_back("6564a1", "1")).await).class, Class::Unavailable);
    sandbox.shutdown().await;
    let failure = failed(connection.apply(&order_back("6564a1", "1")).await);
    assert_eq!(said(&failure), (Class::Unavailable, Code::TargetUnavailable));
}
