//! One signed call, and what its answer means.

use super::status::WORDS;
use super::{EsignSettings, sign};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::rules::{Rule, Said, first};
use tongbao_connect::{Context, Failure, Reply, Sent};
use tongbao_model::{Class, Code, Fault};

/// What refusals mean, in order. The codes of the gateway are not published: it says what is wrong in its text.
pub const RULES: &[Rule] = &[
    rule("no-flow", None, &["1435011"], &[], Class::Rejected, Code::TargetRejected),
    rule("no-right", None, &["1435002", "1436116"], &[], Class::Misconfigured, Code::TargetMisconfigured),
    rule(
        "gateway",
        None,
        &[],
        &["TOKEN_CANT_BE_NULL", "SIGNATURE", "APP_ID", "CONTENT_MD5", "TIMESTAMP"],
        Class::Unauthorized,
        Code::TargetUnauthorized,
    ),
    rule("unauthorized", Some((401, 401)), &[], &[], Class::Unauthorized, Code::TargetUnauthorized),
    rule("forbidden", Some((403, 403)), &[], &[], Class::Unauthorized, Code::TargetUnauthorized),
    rule("call-limit", Some((429, 429)), &[], &[], Class::Throttled(None), Code::TargetThrottled),
    rule("redirect", Some((300, 399)), &[], &[], Class::Misconfigured, Code::TargetMisconfigured),
    rule("address", Some((404, 405)), &[], &[], Class::Misconfigured, Code::TargetMisconfigured),
    rule("open", Some((408, 409)), &[], &[], Class::Unavailable, Code::TargetUnavailable),
    rule("trouble", Some((500, 599)), &[], &[], Class::Unavailable, Code::TargetUnavailable),
    // A refusal in so many words.
    rule("refused", None, &[], &[], Class::Rejected, Code::TargetRejected),
];

const fn rule(
    name: &'static str,
    status: Option<(u16, u16)>,
    codes: &'static [&'static str],
    texts: &'static [&'static str],
    class: Class,
    fault: Code,
) -> Rule {
    Rule { name, status, codes, texts, class, fault }
}

/// A flow that the platform does not know.
pub const NO_FLOW: &str = "1435011";

/// A refusal, with the platform's own code.
pub struct Refusal {
    pub code: String,
    pub failure: Failure,
}

/// A connection's client.
pub struct EsignClient {
    pub settings: EsignSettings,
    pub context: Context,
}

impl EsignClient {
    /// Asks for a flow: the `data` of an answer of code 0. A question that got no answer did nothing.
    pub async fn detail(&self, flow_id: &str) -> Result<Value, Refusal> {
        let settings = &self.settings;
        let mut url = settings.base_url.clone();
        let base = settings.base_url.path().trim_end_matches('/');
        let id = utf8_percent_encode(flow_id, NON_ALPHANUMERIC);
        url.set_path(&format!("{base}/v3/sign-flow/{id}/detail"));
        let secret = settings.app_secret.expose_secret();
        // Signed is what is sent: the address as it was put together.
        let signature = sign::request(secret, "GET", url.path(), b"");
        let timestamp = self.context.now_ms().to_string();
        let headers = [
            ("X-Tsign-Open-App-Id", settings.app_id.as_str()),
            ("X-Tsign-Open-Auth-Mode", "Signature"),
            ("X-Tsign-Open-Ca-Timestamp", &timestamp),
            ("X-Tsign-Open-Ca-Signature", &signature),
            ("Accept", sign::ACCEPT),
            ("Content-Type", sign::CONTENT_TYPE),
            ("Content-MD5", ""),
        ];
        let sent = Sent {
            method: reqwest::Method::GET,
            url,
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: Vec::new().into(),
            timeout: Duration::from_millis(settings.timeout_ms),
        };
        let reply = self.context.http.send(sent).await.map_err(|error| Refusal {
            code: String::new(),
            failure: Failure::new(error.fault()).of_question(),
        })?;
        read(&reply)
    }
}

/// The `data` of a success, or what was refused.
pub fn read(reply: &Reply) -> Result<Value, Refusal> {
    let body = reply.json().unwrap_or(Value::Null);
    let code = match body.get("code") {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    if reply.status == 200 && code == "0" {
        return Ok(body.get("data").cloned().unwrap_or(Value::Null));
    }
    if reply.status == 200 && code.is_empty() {
        return Err(Refusal { code, failure: WORDS.not_readable() });
    }
    let text = body.get("message").and_then(Value::as_str).unwrap_or_default();
    let said = Said { status: reply.status, code: &code, text };
    let (class, fault_code) = first(RULES, said)
        .map_or((Class::Unavailable, Code::TargetUnavailable), |rule| (rule.class, rule.fault));
    let class = match class {
        Class::Throttled(_) => Class::Throttled(reply.retry_after()),
        other => other,
    };
    let status = reply.status;
    let fault = Fault::new(
        fault_code,
        format!("e签宝（HTTP {status}）{code}：{text}"),
        format!("e签宝 (HTTP {status}) {code}: {text}"),
    );
    let failure = Failure::new(fault).class(class).response(json!({"code": code, "message": text}));
    Err(Refusal { code, failure })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_is_shadowed() {
        assert_eq!(tongbao_connect::rules::shadowed(RULES), []);
    }
}
