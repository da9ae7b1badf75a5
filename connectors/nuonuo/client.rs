//! One call: token, signature, envelope; the token is renewed once when the platform no longer takes it.

use super::NuonuoSettings;
use super::sign::sign;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::rules::{Rule, Said, first, said as text};
use tongbao_connect::session::{Lease, Session};
use tongbao_connect::{Context, Failure, Reply, Sent};
use tongbao_model::{Class, Code, Fault};

/// What refusals mean, in order (codes: the vendor's error list and joint-test guide).
pub const RULES: &[Rule] = &[
    rule("duplicate", &["E9106", "9106"], Class::Conflict, Code::NumberTaken),
    rule("not-found", &["E9500"], Class::Unavailable, Code::TargetUnavailable),
    rule(
        "retried-too-often",
        &["E9613"],
        Class::Throttled(Some(Duration::from_secs(43_200))),
        Code::TargetThrottled,
    ),
    rule("token", &["070304", "070305"], Class::Unauthorized, Code::TargetUnauthorized),
    rule("token-quota", &["070306"], Class::Unauthorized, Code::TargetUnauthorized),
    rule("application", &["070101", "070307"], Class::Misconfigured, Code::TargetMisconfigured),
    // The generic code says what it means in its text only.
    text(
        "signature",
        &["E9999"],
        &["签名", "验签", "请求已过期"],
        Class::Unauthorized,
        Code::TargetUnauthorized,
    ),
    text("too-often", &["E9999"], &["频繁"], Class::Throttled(None), Code::TargetThrottled),
    // An application under this billId is there: it is asked about. The code is not published.
    text("form-there", &["E9999"], &["申请号重复", "billId重复"], Class::Conflict, Code::NumberTaken),
    rule("generic", &["E9999"], Class::Unknown, Code::OutcomeUnknown),
    // Anything else is a refusal in so many words: the order was not taken.
    rule("refused", &[], Class::Rejected, Code::TargetRejected),
];

const fn rule(name: &'static str, codes: &'static [&'static str], class: Class, fault: Code) -> Rule {
    text(name, codes, &[], class, fault)
}

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub code: String,
    pub failure: Failure,
}

/// A connection's client, shared by its workers.
pub struct NuonuoClient {
    pub settings: NuonuoSettings,
    pub context: Context,
    token: Session<String>,
}

impl NuonuoClient {
    pub fn new(settings: NuonuoSettings, context: Context) -> Self {
        let cool_down = i64::try_from(settings.token_cool_down_s).unwrap_or(600).saturating_mul(1000);
        NuonuoClient { settings, context, token: Session::new(cool_down) }
    }

    /// Calls a method; the result of code `E0000`, or what was refused. `writes`: whether a missing answer leaves the
    /// outcome in doubt.
    pub async fn call(
        &self,
        method: &str,
        body: &Value,
        writes: bool,
    ) -> Result<Result<Value, Refusal>, Failure> {
        let bytes = body.to_string().into_bytes();
        let at_door = |answer: &Result<Value, Refusal>| matches!(answer, Err(refusal) if matches!(refusal.code.as_str(), "070304" | "070305"));
        let lease = self.token.get(self.context.now_ms(), || self.fetch_token()).await?;
        let answer = self.once(method, &bytes, &lease, writes).await?;
        if !at_door(&answer) {
            lease.honoured();
            return Ok(answer);
        }
        // Refused at the door: nothing was done, and the call may be repeated with a new token.
        self.token.lost(&lease).await;
        let lease = self.token.get(self.context.now_ms(), || self.fetch_token()).await?;
        let answer = self.once(method, &bytes, &lease, writes).await?;
        match &answer {
            // Each new token counts against a small quota: no other is fetched for a while.
            Err(refusal) if at_door(&answer) => {
                self.token.refused(&lease, &refusal.failure, self.context.now_ms()).await;
            }
            Ok(_) | Err(_) => lease.honoured(),
        }
        Ok(answer)
    }

    async fn once(
        &self,
        method: &str,
        body: &[u8],
        lease: &Lease<String>,
        writes: bool,
    ) -> Result<Result<Value, Refusal>, Failure> {
        let reply = self.context.http.send(self.request(method, body, lease)).await;
        let doubt = |failure: Failure| if writes { failure } else { failure.of_question() };
        let reply = reply.map_err(|error| doubt(Failure::new(error.fault())))?;
        if reply.status != 200 {
            return Err(doubt(http_failure(&reply)));
        }
        let answer = reply.json().filter(|body| body.get("code").is_some()).ok_or_else(|| {
            let fault =
                Fault::new(Code::OutcomeUnknown, "诺诺的答复无法读取", "Nuonuo's answer cannot be read");
            doubt(Failure::new(fault))
        })?;
        let code = answer.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
        if code == "E0000" {
            return Ok(Ok(answer.get("result").cloned().unwrap_or(Value::Null)));
        }
        let text = answer.get("describe").and_then(Value::as_str).unwrap_or_default();
        let (class, fault_code) = first(RULES, Said { status: 200, code: &code, text })
            .map_or((Class::Unknown, Code::OutcomeUnknown), |rule| (rule.class, rule.fault));
        let fault = Fault::new(fault_code, format!("诺诺 {code}：{text}"), format!("Nuonuo {code}: {text}"));
        let failure = Failure::new(fault).class(class).response(json!({"code": code, "describe": text}));
        Ok(Err(Refusal { code, failure }))
    }

    fn request(&self, method: &str, body: &[u8], lease: &Lease<String>) -> Sent {
        let settings = &self.settings;
        let senid = format!("{:016x}{:016x}", (self.context.random)(), (self.context.random)());
        let nonce = (10_000_000 + (self.context.random)() % 89_999_999).to_string();
        let timestamp = self.context.now_s().to_string();
        let secret = settings.app_secret.expose_secret();
        let signature =
            sign(secret, settings.base_url.path(), &settings.app_key, &senid, &nonce, &timestamp, body);
        let mut url = settings.base_url.clone();
        url.query_pairs_mut()
            .append_pair("senid", &senid)
            .append_pair("nonce", &nonce)
            .append_pair("timestamp", &timestamp)
            .append_pair("appkey", &settings.app_key);
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Nuonuo-Sign", &signature),
            ("accessToken", &lease.value),
            ("userTax", &settings.tax_number),
            ("method", method),
        ];
        Sent {
            method: reqwest::Method::POST,
            url,
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: body.to_vec().into(),
            timeout: Duration::from_millis(settings.timeout_ms),
        }
    }

    async fn fetch_token(&self) -> Result<(String, i64), Failure> {
        let settings = &self.settings;
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &settings.app_key)
            .append_pair("client_secret", settings.app_secret.expose_secret())
            .append_pair("grant_type", "client_credentials")
            .finish();
        let sent = Sent {
            method: reqwest::Method::POST,
            url: settings.token_url.clone(),
            headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
            body: body.into_bytes().into(),
            timeout: Duration::from_millis(settings.timeout_ms),
        };
        let reply =
            self.context.http.send(sent).await.map_err(|error| Failure::new(error.fault()).of_question())?;
        // The platform says what is wrong in the body; a bare status or a page is its gateway's, not about us.
        let Some(answer) = reply.json() else { return Err(http_failure(&reply).of_question()) };
        let token = answer.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
        let Some(token) = token else {
            let said = ["code", "error", "describe", "error_description"]
                .iter()
                .filter_map(|key| answer.get(key)?.as_str())
                .collect::<Vec<_>>()
                .join(" ");
            let code = if reply.status >= 500 { Code::TargetUnavailable } else { Code::TargetUnauthorized };
            let fault = Fault::new(
                code,
                format!("未取得令牌（HTTP {}）：{said}", reply.status),
                format!("no token was given (HTTP {}): {said}", reply.status),
            );
            return Err(Failure::new(fault));
        };
        let seconds = match answer.get("expires_in") {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        // A minute early, so that no call sets out with a token about to end.
        let until_ms =
            self.context.now_ms() + seconds.unwrap_or(3_600).saturating_sub(60).max(1).saturating_mul(1000);
        Ok((token.to_owned(), until_ms))
    }
}

/// An answer that is not the platform's own: its gateway's or a proxy's. A 4xx is about the address, not about the
/// document.
fn http_failure(reply: &Reply) -> Failure {
    let class = match reply.class_of_status() {
        Class::Rejected => Class::Misconfigured,
        // A page under 200.
        Class::Done => Class::Unknown,
        other => other,
    };
    let code = match class {
        Class::Unauthorized => Code::TargetUnauthorized,
        Class::Throttled(_) => Code::TargetThrottled,
        Class::Misconfigured => Code::TargetMisconfigured,
        Class::Done
        | Class::AlreadyThere
        | Class::Rejected
        | Class::Conflict
        | Class::Unavailable
        | Class::Unknown
        | Class::Defect => Code::OutcomeUnknown,
    };
    let fault = Fault::new(
        code,
        format!("诺诺返回 HTTP {}", reply.status),
        format!("Nuonuo answered HTTP {}", reply.status),
    );
    Failure::new(fault).class(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_is_shadowed() {
        assert_eq!(tongbao_connect::rules::shadowed(RULES), []);
    }
}
