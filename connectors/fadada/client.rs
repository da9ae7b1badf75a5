//! One call: token, signature, form; the token is renewed once when the platform no longer takes it.

use super::FadadaSettings;
use super::sign::{CONTENT, SIGN_TYPE, sign};
use super::status::WORDS;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::rules::{Rule, Said, first};
use tongbao_connect::session::Session;
use tongbao_connect::{Context, Failure, Reply, Sent};
use tongbao_model::{Class, Code, Fault};

/// What refusals mean, in order. Few codes are public: texts and the HTTP status carry most of the weight.
pub const RULES: &[Rule] = &[
    rule("token", None, &[TOKEN_EXPIRED], &[], Class::Unauthorized, Code::TargetUnauthorized),
    rule("header", None, &["100012"], &[], Class::Misconfigured, Code::TargetMisconfigured),
    rule("address-not-allowed", None, &["100016"], &[], Class::Unauthorized, Code::TargetUnauthorized),
    rule("no-task", Some((200, 200)), &[], &[NOT_THERE], Class::Rejected, Code::TargetRejected),
    rule(
        "credentials",
        Some((200, 200)),
        &[],
        &["签名", "X-FASC-App-Id", "X-FASC-Timestamp", "X-FASC-Nonce"],
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

/// A token that is no longer taken; comes under HTTP 401.
const TOKEN_EXPIRED: &str = "100002";
/// What the platform says of a task that it does not know; its code is not published.
const NOT_THERE: &str = "不存在";
const DONE: &str = "100000";

/// A refusal, with the platform's own code.
pub struct Refusal {
    pub code: String,
    /// It says that there is no such task.
    pub absent: bool,
    pub failure: Failure,
}

/// A connection's client, shared by its workers.
pub struct FadadaClient {
    pub settings: FadadaSettings,
    pub context: Context,
    token: Session<String>,
}

impl FadadaClient {
    pub fn new(settings: FadadaSettings, context: Context) -> Self {
        let cool_down = i64::try_from(settings.token_cool_down_s).unwrap_or(300).saturating_mul(1000);
        FadadaClient { settings, context, token: Session::new(cool_down) }
    }

    /// Asks for a task: the `data` of an answer of code 100000. A question that got no answer did nothing.
    pub async fn detail(&self, task_id: &str) -> Result<Value, Refusal> {
        let path = self.settings.detail_path.trim_matches('/');
        let content = json!({"signTaskId": task_id}).to_string();
        let at_door =
            |answer: &Result<Value, Refusal>| matches!(answer, Err(refusal) if refusal.code == TOKEN_EXPIRED);
        let lease = self.lease().await?;
        let answer = self.once(path, &content, Some(&lease.value)).await;
        if !at_door(&answer) {
            lease.honoured();
            return answer;
        }
        self.token.lost(&lease).await;
        let lease = self.lease().await?;
        let answer = self.once(path, &content, Some(&lease.value)).await;
        match &answer {
            Err(refusal) if at_door(&answer) => {
                self.token.refused(&lease, &refusal.failure, self.context.now_ms()).await;
            }
            Ok(_) | Err(_) => lease.honoured(),
        }
        answer
    }

    async fn lease(&self) -> Result<tongbao_connect::session::Lease<String>, Refusal> {
        let lease = self.token.get(self.context.now_ms(), || self.fetch_token()).await;
        lease.map_err(|failure| Refusal { code: String::new(), absent: false, failure })
    }

    async fn once(&self, path: &str, content: &str, token: Option<&str>) -> Result<Value, Refusal> {
        let reply = self.context.http.send(self.request(path, content, token)).await;
        let reply = reply.map_err(|error| Refusal {
            code: String::new(),
            absent: false,
            failure: Failure::new(error.fault()).of_question(),
        })?;
        read(&reply)
    }

    /// A call with its headers and signature; without a token it is the one that asks for a token.
    fn request(&self, path: &str, content: &str, token: Option<&str>) -> Sent {
        let settings = &self.settings;
        let nonce = format!("{:016x}{:016x}", (self.context.random)(), (self.context.random)());
        let timestamp = self.context.now_ms().to_string();
        let entitled = match token {
            Some(token) => ("X-FASC-AccessToken", token),
            None => ("X-FASC-Grant-Type", "client_credential"),
        };
        let mut pairs = vec![
            ("X-FASC-App-Id", settings.app_id.as_str()),
            ("X-FASC-Sign-Type", SIGN_TYPE),
            ("X-FASC-Timestamp", &timestamp),
            ("X-FASC-Nonce", &nonce),
            ("X-FASC-Api-SubVersion", "5.1"),
            entitled,
            (CONTENT, content),
        ];
        let signature = sign(settings.app_secret.expose_secret(), &timestamp, &pairs);
        // The content goes into the form, everything else into the headers.
        pairs.retain(|(name, _)| *name != CONTENT);
        pairs.push(("X-FASC-Sign", &signature));
        pairs.push(("Content-Type", "application/x-www-form-urlencoded"));
        let mut form = form_urlencoded::Serializer::new(String::new());
        if !content.is_empty() {
            form.append_pair(CONTENT, content);
        }
        let mut url = settings.base_url.clone();
        url.set_path(&format!("{}/{path}", settings.base_url.path().trim_end_matches('/')));
        Sent {
            method: reqwest::Method::POST,
            url,
            headers: pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: form.finish().into_bytes().into(),
            timeout: Duration::from_millis(settings.timeout_ms),
        }
    }

    async fn fetch_token(&self) -> Result<(String, i64), Failure> {
        let data = match self.once("service/get-access-token", "", None).await {
            Ok(data) => data,
            Err(refusal) => {
                // Refused in so many words, whatever the words are: the credentials got us no token.
                let failure = refusal.failure;
                let plain = failure.class == Class::Rejected;
                return Err(if plain { failure.class(Class::Unauthorized) } else { failure });
            }
        };
        let token = data.get("accessToken").and_then(Value::as_str).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| WORDS.not_readable())?;
        let seconds = match data.get("expiresIn") {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        // A minute early, so that no call sets out with a token about to end.
        let seconds = seconds.unwrap_or(7_200).saturating_sub(60).max(1);
        Ok((token.to_owned(), self.context.now_ms().saturating_add(seconds.saturating_mul(1000))))
    }
}

/// The `data` of a success, or what was refused.
fn read(reply: &Reply) -> Result<Value, Refusal> {
    let body = reply.json().unwrap_or(Value::Null);
    let code = match body.get("code") {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    if reply.status == 200 && code == DONE {
        return Ok(body.get("data").cloned().unwrap_or(Value::Null));
    }
    if reply.status == 200 && code.is_empty() {
        return Err(Refusal { code, absent: false, failure: WORDS.not_readable() });
    }
    let text = body.get("msg").and_then(Value::as_str).unwrap_or_default();
    let said = Said { status: reply.status, code: &code, text };
    let rule = first(RULES, said);
    let (class, fault_code) =
        rule.map_or((Class::Unavailable, Code::TargetUnavailable), |rule| (rule.class, rule.fault));
    let class = match class {
        Class::Throttled(_) => Class::Throttled(reply.retry_after()),
        other => other,
    };
    let status = reply.status;
    let fault = Fault::new(
        fault_code,
        format!("法大大（HTTP {status}）{code}：{text}"),
        format!("法大大 (HTTP {status}) {code}: {text}"),
    );
    let failure = Failure::new(fault).class(class).response(json!({"code": code, "msg": text}));
    Err(Refusal { code, absent: rule.is_some_and(|rule| rule.name == "no-task"), failure })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_is_shadowed() {
        assert_eq!(tongbao_connect::rules::shadowed(RULES), []);
    }
}
