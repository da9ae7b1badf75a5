//! Signatures by the published figures, and what flows go through.

use axum::http::{HeaderMap, HeaderValue, Method};
use bytes::Bytes;

use super::{EsignSender, FlowChange, FlowSpec, FlowState, Flows, esign, fadada};
use crate::wire::message::Incoming;

fn request(method: Method, query: &str, headers: &[(&'static str, &'static str)], path: &str) -> Incoming {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_static(value));
    }
    Incoming { method, path: path.into(), query: query.into(), headers: map, body: Bytes::new() }
}

#[test]
fn esign_request_vectors() {
    let common = ("content-type", "application/json; charset=UTF-8");
    let md5 = ("content-md5", "JdRLjmrXWP02qr2hc0TPmA==");
    let finish = request(Method::POST, "", &[("accept", "*/*"), common, md5], "/v3/sign-flow/f-001/finish");
    let sign = |request: &Incoming| esign::sign("s3cr3t-app-key", &esign::string_to_sign(request));
    assert_eq!(sign(&finish), "oYMS5z5ltOSAMwaZIxsHjt44/MLE/oVEf+qSyjLEIis=");
    let detail = request(Method::GET, "a=1&b=2", &[("accept", "*/*"), common], "/v3/sign-flow/f-001/detail");
    assert_eq!(sign(&detail), "QPETMXLx0rfkRyw4OgMyWQytFlXylr/GQwx7IP933eA=");
}

#[test]
fn esign_callback_vectors() {
    let body = r#"{"action":"SIGN_FLOW_COMPLETE","timestamp":1764561600123,"signFlowId":"f-001","signFlowTitle":"销售合同-7","signFlowStatus":"2","statusDescription":"完成","signFlowFinishTime":1764561599000}"#;
    let sign =
        |query: &str| EsignSender::signature("s3cr3t-app-key", 1_764_561_600_456, query, body.as_bytes());
    assert_eq!(
        sign("tenant=t1&biz=c-77"),
        "2e4397b41853992f9228965a7007229e599cbdd1b6c98dd320cf7728f90e2a06"
    );
    assert_eq!(sign(""), "1b9c34f4b4027cff097b3dbec2bedd91e685261626804475e1e161faf48e6781");
}

#[test]
fn fadada_vectors() {
    let nonce = "a".repeat(32);
    let pairs = [
        ("bizContent", r#"{"signTaskId":"1"}"#),
        ("X-FASC-AccessToken", "tok"),
        ("X-FASC-Api-SubVersion", "5.1"),
        ("X-FASC-App-Id", "00000000"),
        ("X-FASC-Grant-Type", ""),
        ("X-FASC-Nonce", &nonce),
        ("X-FASC-Sign-Type", "HMAC-SHA256"),
        ("X-FASC-Timestamp", "1757570000000"),
    ];
    assert_eq!(
        fadada::sign("dummysecret", "1757570000000", &pairs),
        "45a459b6af348e6ff2b3e5727823c54f4e5f4e23eea22e916d8da6befefe25bf"
    );
    let sender = super::FadadaSender::new("http://127.0.0.1:9", "80001234", "fasc-secret-1", 1).unwrap();
    let content = r#"{"eventTime":"1764561600000","signTaskId":"st-9","signTaskStatus":"task_finished","transReferenceId":"HT-2026-0007"}"#;
    let signed =
        sender.signed("sign-task-finished", content, "0f1e2d3c4b5a69788796a5b4c3d2e1f0", 1_764_561_600_789);
    assert_eq!(signed.sign, "b8af9050c5167ce3605d2aa2f5f2aa8027d5d0d14c462e387cf234dfc4c06c98");
}

#[test]
fn flows_only_go_forward() {
    let mut flows = Flows::default();
    let spec = FlowSpec { signers: 2, auto_finish: false, ..FlowSpec::of("f", "HT-1") };
    flows.begin(spec, 1).unwrap();
    assert!(flows.begin(FlowSpec::of("f", "HT-1"), 1).is_err());
    assert!(flows.change("f", FlowChange::Finish, 2).is_err(), "nobody has signed");
    for at_ms in [2, 3] {
        flows.change("f", FlowChange::Sign, at_ms).unwrap();
        assert_eq!(flows.all["f"].state, FlowState::Signing);
    }
    assert!(flows.change("f", FlowChange::Reject, 4).is_err(), "everybody has signed");
    assert!(flows.change("f", FlowChange::Annul, 4).is_err());
    flows.change("f", FlowChange::Finish, 4).unwrap();
    assert_eq!((flows.all["f"].state, flows.all["f"].changed_ms), (FlowState::Signed, 4));
    assert!(flows.change("f", FlowChange::Revoke, 5).is_err());
    flows.change("f", FlowChange::Annul, 5).unwrap();
    assert_eq!(flows.all["f"].state, FlowState::Annulled);
    assert!(flows.change("g", FlowChange::Sign, 5).is_err());
}

/// All of it over the control listener, the callback taken by a listener that notes what comes.
#[tokio::test]
async fn flows_are_driven_and_told_of_over_the_control_listener() {
    use axum::{Router, body::Bytes as Body, extract::State, http::HeaderMap as Headers};
    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    let (send, mut heard) = mpsc::channel::<(Headers, Body)>(8);
    let take = async |State(send): State<mpsc::Sender<(Headers, Body)>>, headers: Headers, body: Body| {
        send.send((headers, body)).await.unwrap();
        "success"
    };
    let app = Router::new().fallback(take).with_state(send);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let sandbox = crate::Sandbox::start(crate::SandboxConfig::default()).await.unwrap();
    let client = crate::wire::client::build(std::time::Duration::from_secs(5)).unwrap();
    let post = async |path: &str, body: Value| {
        let call = client.post(format!("{}{path}", sandbox.control_url()));
        let answer =
            call.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default();
        (status, body)
    };
    for system in ["esign", "fadada"] {
        let flows = format!("/{system}/flows");
        let spec = json!({"id": "f-1", "number": "HT-1", "signers": 1});
        assert_eq!(post(&flows, spec.clone()).await.0, 200);
        assert_eq!(post(&flows, spec).await.0, 409, "there is one of that id");
        assert_eq!(post(&format!("{flows}/f-1/annul"), json!({})).await.0, 409, "nobody has signed");
        assert_eq!(post(&format!("{flows}/f-1/forget"), json!({})).await.0, 404);
        assert_eq!(post(&format!("{flows}/f-1/sign"), json!({})).await.0, 200);
        let (status, answer) = post(&format!("/{system}/push"), json!({"url": url, "flow": "f-1"})).await;
        assert_eq!((status, &answer["status"], &answer["tries"]), (200, &json!(200), &json!(1)));
        let (headers, body) = heard.recv().await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        if system == "esign" {
            assert!(body.contains(r#""signFlowStatus":"2""#), "{body}");
        } else {
            assert_eq!(headers["x-fasc-event"], "sign-task-finished");
            assert!(body.contains("task_finished"), "{body}");
        }
        assert_eq!(post(&format!("/{system}/push"), json!({"url": url, "flow": "f-2"})).await.0, 404);
    }
    assert_eq!(sandbox.esign_flows()[0].state, FlowState::Signed);
    assert_eq!(sandbox.fadada_flows()[0].signed, 1);
}
