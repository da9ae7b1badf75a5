//! The robots as a plain HTTP client sees them.

use serde_json::{Value, json};

use super::{DingtalkConfig, dingtalk::signature};
use crate::{clock, config::SandboxConfig, sandbox::Sandbox};

async fn post(url: &str, body: &Value) -> i64 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let reply = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status().as_u16(), 200);
    let body: Value = serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap();
    body["errcode"].as_i64().unwrap()
}

fn text(content: &str) -> Value {
    json!({"msgtype": "text", "text": {"content": content}})
}

#[tokio::test]
async fn wecom_takes_so_many_bytes_and_so_many_messages() {
    let sandbox =
        Sandbox::start(SandboxConfig { fixed_clock_ms: Some(0), ..SandboxConfig::default() }).await.unwrap();
    let url = format!("{}/cgi-bin/webhook/send?key=wecom-sandbox-key", sandbox.url());
    assert_eq!(post(&url.replace("-key", "-keys"), &text("对账")).await, 93_000);
    assert_eq!(post(&url, &json!({"msgtype": "probe"})).await, 40_008);
    // 683 characters of three bytes are one byte too many.
    assert_eq!(post(&url, &text(&"账".repeat(683))).await, 45_002);
    for n in 0..20 {
        assert_eq!(post(&url, &text(&"账".repeat(682))).await, 0, "{n}");
    }
    assert_eq!(post(&url, &text("对账")).await, 45_009);
    sandbox.advance_ms(60_000);
    let marked = json!({"msgtype": "markdown", "markdown": {"content": "账".repeat(1_365)}});
    assert_eq!(post(&url, &marked).await, 0);
    assert_eq!(sandbox.wecom_messages().len(), 21);
}

#[test]
fn the_signature_of_a_known_secret() {
    assert_eq!(signature("SECabc123", "1764561600000"), "8PTrQSCcuQTorALKpjzn14c5pxhXDP2UgPBXEtC8Pps=");
}

#[tokio::test]
async fn dingtalk_checks_signature_and_time_and_closes_for_ten_minutes() {
    let dingtalk = DingtalkConfig { keyword: Some("通宝".to_owned()), ..DingtalkConfig::default() };
    let config = SandboxConfig { fixed_clock_ms: Some(0), dingtalk, ..SandboxConfig::default() };
    let sandbox = Sandbox::start(config).await.unwrap();
    let url = |token: &str, at_ms: i64, secret: &str| {
        let sign = signature(secret, &at_ms.to_string());
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("access_token", token)
            .append_pair("timestamp", &at_ms.to_string())
            .append_pair("sign", &sign)
            .finish();
        format!("{}/robot/send?{query}", sandbox.url())
    };
    let (token, secret, now_ms) = ("dingtalk-sandbox-token", "SECdingtalk-sandbox", clock::wall_ms());
    assert_eq!(post(&url("other", now_ms, secret), &text("通宝")).await, 300_001);
    assert_eq!(post(&url(token, now_ms, "SECother"), &text("通宝")).await, 310_000);
    assert_eq!(post(&url(token, now_ms - 3_700_000, secret), &text("通宝")).await, 310_000);
    let good = url(token, now_ms, secret);
    assert_eq!(post(&good, &text("别的")).await, 310_000, "no keyword");
    assert_eq!(post(&good, &json!({"msgtype": "markdown", "markdown": {"text": "通宝"}})).await, 40_035);
    for n in 0..20 {
        assert_eq!(post(&good, &text("通宝")).await, 0, "{n}");
    }
    assert_eq!(post(&good, &text("通宝")).await, 130_101);
    sandbox.advance_ms(599_999);
    assert_eq!(post(&good, &text("通宝")).await, 130_101);
    sandbox.advance_ms(1);
    assert_eq!(post(&good, &text("通宝")).await, 0);
    assert_eq!(sandbox.dingtalk_messages().len(), 21);
}
