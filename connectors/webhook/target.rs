//! Writing to a REST/JSON API.
//!
//! The documents written are states, not increments ("order number is X", "stage is paid"), so writing one
//! again does no harm, and asking first is a read of the same resource.

use super::WebhookSettings;
use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tongbao_connect::settings::SecretString;
use tongbao_connect::{
    Client, Context, Failure, Lookup, Outcome, Receipt, Remote, Reply, Sent, Target, Task,
};
use tongbao_model::diagnostic::Findings;
use tongbao_model::yaml::Node;
use tongbao_model::{Class, Code, Fault, Json};

struct Operation {
    method: Method,
    /// Path with `{name}` placeholders.
    path: String,
}

struct WebhookTarget {
    http: Client,
    base: url::Url,
    token: Option<SecretString>,
    operations: BTreeMap<String, Operation>,
    idempotency_header: Option<String>,
    timeout: Duration,
}

/// `Some(None)` when the connection writes nowhere; `None` when its settings are wrong.
pub fn build(
    settings: &WebhookSettings,
    node: &Node,
    context: Context,
    findings: &mut Findings,
) -> Option<Option<Arc<dyn Target>>> {
    let mut operations = BTreeMap::new();
    for (name, text) in &settings.operations {
        match operation(text) {
            Some(operation) => {
                operations.insert(name.clone(), operation);
            }
            None => findings.error(
                "config-value",
                node.get("operations")
                    .and_then(|inner| inner.get(name))
                    .map_or(node.place, |inner| inner.place),
                format!("操作 {name} 应形如 PATCH /contracts/{{key}}"),
                format!("the operation `{name}` must look like `PATCH /contracts/{{key}}`"),
            ),
        }
    }
    let Some(base) = settings.base_url.clone() else {
        if !operations.is_empty() {
            findings.error("config-missing", node.place, "缺少 base_url", "`base_url` is missing");
            return None;
        }
        return Some(None);
    };
    Some(Some(Arc::new(WebhookTarget {
        http: context.http,
        base,
        token: settings.token.clone(),
        operations,
        idempotency_header: settings.idempotency_header.clone(),
        timeout: Duration::from_millis(settings.timeout_ms),
    })))
}

fn operation(text: &str) -> Option<Operation> {
    let (method, path) = text.split_once(' ')?;
    let method = match method {
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "POST" => Method::POST,
        _ => return None,
    };
    path.starts_with('/').then(|| Operation { method, path: path.to_owned() })
}

impl WebhookTarget {
    fn operation(&self, kind: &str) -> Result<&Operation, Failure> {
        self.operations.get(kind).ok_or_else(|| {
            Failure::new(
                Fault::new(
                    Code::TargetMisconfigured,
                    format!("该连接没有操作 {kind}"),
                    format!("the connection has no operation `{kind}`"),
                )
                .at("operations"),
            )
        })
    }

    /// The address of a document's resource, and the body. Fields that the path takes are not sent in it.
    fn address(&self, operation: &Operation, task: &Task) -> Result<(url::Url, Json), Failure> {
        let mut without: Option<Map<String, Value>> = None;
        let mut path = String::new();
        let mut rest = operation.path.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            path.push_str(before);
            let value = if name == "key" {
                task.key.clone()
            } else {
                match without.get_or_insert_with(|| task.document.members()).shift_remove(name) {
                    Some(Value::String(text)) => text,
                    Some(Value::Number(number)) => number.to_string(),
                    _ => String::new(),
                }
            };
            // A dot segment would be resolved away and address another resource.
            if matches!(value.as_str(), "" | "." | "..") {
                let fault = Fault::new(
                    Code::FieldMissing,
                    format!("路径中的 {name} 没有值"),
                    format!("`{name}`, which the path needs, has no value"),
                );
                return Err(Failure::new(fault.at(name)));
            }
            path.extend(utf8_percent_encode(&value, NON_ALPHANUMERIC));
            rest = after;
        }
        path.push_str(rest);
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let body = without.map_or_else(|| task.document.clone(), |members| Value::Object(members).into());
        Ok((url, body))
    }

    async fn send(
        &self,
        method: Method,
        url: url::Url,
        body: Option<&Json>,
        key: &str,
    ) -> Result<Reply, Failure> {
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        if let Some(token) = &self.token {
            headers.push(("authorization".into(), format!("Bearer {}", token.expose_secret())));
        }
        if let Some(header) = &self.idempotency_header {
            headers.push((header.clone(), key.to_owned()));
        }
        let mut bytes = Vec::new();
        if let Some(body) = body {
            headers.push(("content-type".into(), "application/json".into()));
            bytes = body.text().as_bytes().to_vec();
        }
        let sent = Sent { method, url, headers, body: bytes.into(), timeout: self.timeout };
        self.http.send(sent).await.map_err(|error| Failure::new(error.fault()))
    }
}

/// The far side's id where its answer names one. None is made up where it does not, or where the answer
/// cannot be read: another answer may name it.
fn remote(task: &Task, reply: &Reply) -> Remote {
    let id = reply.json().and_then(|body| match body.get("id") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    });
    Remote { id: id.unwrap_or_default(), number: task.key.clone(), step: "written".into() }
}

/// Whether an answer says of itself that it is JSON, and is not: half of one, or another's bytes.
fn is_broken(reply: &Reply) -> bool {
    let kind = reply.header("content-type").unwrap_or_default();
    kind.contains("json") && !reply.body.is_empty() && reply.json().is_none()
}

/// Whether a person is meant to look at it: a login page or a proxy's, under whatever status. No API answers so.
fn is_page(reply: &Reply) -> bool {
    let text = reply.body.trim_ascii_start();
    let begins = |mark: &[u8]| text.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark));
    reply.header("content-type").is_some_and(|kind| kind.contains("html"))
        || begins(b"<!doctype html")
        || begins(b"<html")
}

fn failed(reply: &Reply) -> Failure {
    let class = match reply.class_of_status() {
        // A success that cannot be read.
        Class::Done => Class::Unknown,
        other => other,
    };
    let status = reply.status;
    let (code, zh, en) = match class {
        Class::Unauthorized => (Code::TargetUnauthorized, "拒绝了我们的凭据", "refused our credentials"),
        Class::Throttled(_) => (Code::TargetThrottled, "要求放慢", "asked for fewer calls"),
        Class::Misconfigured => (Code::TargetMisconfigured, "没有该地址", "has nothing at this address"),
        Class::Rejected => (Code::TargetRejected, "拒绝了单据", "refused the document"),
        Class::Done
        | Class::AlreadyThere
        | Class::Conflict
        | Class::Unavailable
        | Class::Unknown
        | Class::Defect => (Code::OutcomeUnknown, "出错，结果不明", "failed, and what it did is not known"),
    };
    let fault =
        Fault::new(code, format!("对方{zh}（HTTP {status}）"), format!("the far side {en} (HTTP {status})"));
    let failure = Failure::new(fault).class(class);
    match reply.json() {
        Some(body) => failure.response(body),
        None => failure,
    }
}

#[async_trait]
impl Target for WebhookTarget {
    async fn apply(&self, task: &Task) -> Outcome {
        let prepared = self
            .operation(&task.kind)
            .and_then(|operation| self.address(operation, task).map(|address| (operation, address)));
        let (operation, (url, body)) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Outcome::Failed(failure),
        };
        match self.send(operation.method.clone(), url, Some(&body), &task.origin).await {
            // The status says it, with a body or without; but a page or half a text is not the system's own answer.
            Ok(reply) if (200..300).contains(&reply.status) && !is_broken(&reply) && !is_page(&reply) => {
                Outcome::Done(Receipt { remote: remote(task, &reply), ..Receipt::default() })
            }
            Ok(reply) => Outcome::Failed(failed(&reply)),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        let prepared = self
            .operation(&task.kind)
            .and_then(|operation| self.address(operation, task).map(|address| (operation, address)));
        let (operation, (url, body)) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Lookup::CannotTell(failure),
        };
        if operation.method == Method::POST {
            // A POST makes something new each time and names no resource to ask for.
            let fault = Fault::new(
                Code::OutcomeUnknown,
                "POST 操作无法查询结果",
                "what a POST did cannot be asked about",
            )
            .remedy(
                "请在对方系统核对；没有再重放，重放会再发一次。",
                "Look into the far system; replay what is not there, and it is sent again.",
            );
            return Lookup::NobodyToAsk(Failure::new(fault));
        }
        match self.send(Method::GET, url, None, &task.origin).await {
            Ok(reply) if reply.status == 200 => {
                let there = reply.json().and_then(|found| {
                    let found = found.as_object()?.clone();
                    // A PATCH with `null` removes the member.
                    Some(
                        body.members()
                            .iter()
                            .all(|(key, value)| found.get(key).unwrap_or(&Value::Null) == value),
                    )
                });
                match there {
                    Some(true) => {
                        Lookup::Found(Receipt { remote: remote(task, &reply), ..Receipt::default() })
                    }
                    // Not as we want it: writing the state (again) is safe.
                    Some(false) => Lookup::Absent,
                    None => Lookup::CannotTell(failed(&reply).of_question()),
                }
            }
            Ok(reply) if reply.status == 404 && !is_broken(&reply) => Lookup::Absent,
            Ok(reply) => Lookup::CannotTell(failed(&reply).of_question()),
            Err(failure) => Lookup::CannotTell(failure.of_question()),
        }
    }

    async fn probe(&self) -> Result<String, Failure> {
        let reply =
            self.send(Method::GET, self.base.clone(), None, "probe").await.map_err(Failure::of_question)?;
        match reply.class_of_status() {
            Class::Unauthorized | Class::Unknown | Class::Throttled(_) => Err(failed(&reply).of_question()),
            Class::Done
            | Class::AlreadyThere
            | Class::Rejected
            | Class::Conflict
            | Class::Unavailable
            | Class::Misconfigured
            | Class::Defect => Ok(format!("HTTP {}", reply.status)),
        }
    }
}
