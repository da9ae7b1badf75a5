//! Reading answers: HTTP status and the body's `code` and `msg`.

use serde_json::{Map, Value, json};
use tongbao_connect::rules::{Rule, Said, first};
use tongbao_connect::{Failure, Reply};
use tongbao_model::{Class, Code, Fault};

/// Code of a `data_id` that is not there.
pub const NO_RECORD: &str = "4001";

/// What failures mean, in order; the first that fits decides. The codes of the update API are not certain, so the HTTP
/// status carries most of the weight.
pub const RULES: &[Rule] = &[
    rule("key", Some((400, 403)), &["8301", "8302"], Class::Unauthorized, Code::TargetUnauthorized),
    rule(
        "call-limit-code",
        Some((400, 429)),
        &["8303", "8304"],
        Class::Throttled(None),
        Code::TargetThrottled,
    ),
    rule("no-record", Some((400, 404)), &[NO_RECORD], Class::Rejected, Code::TargetRejected),
    rule("unauthorized", Some((401, 401)), &[], Class::Unauthorized, Code::TargetUnauthorized),
    rule("forbidden", Some((403, 403)), &[], Class::Unauthorized, Code::TargetUnauthorized),
    rule("call-limit", Some((429, 429)), &[], Class::Throttled(None), Code::TargetThrottled),
    rule("redirect", Some((300, 399)), &[], Class::Misconfigured, Code::TargetMisconfigured),
    rule("address", Some((404, 405)), &[], Class::Misconfigured, Code::TargetMisconfigured),
    // These two do not say whether anything was done.
    rule("open", Some((408, 409)), &[], Class::Unknown, Code::OutcomeUnknown),
    rule("content", Some((400, 499)), &[], Class::Rejected, Code::TargetRejected),
    rule("rest", None, &[], Class::Unknown, Code::OutcomeUnknown),
];

const fn rule(
    name: &'static str,
    status: Option<(u16, u16)>,
    codes: &'static [&'static str],
    class: Class,
    fault: Code,
) -> Rule {
    Rule { name, status, codes, texts: &[], class, fault }
}

/// A refusal, with the system's own code.
pub struct Refusal {
    pub code: String,
    pub failure: Failure,
}

/// The record of a complete answer. HTTP 200 counts only with the record we asked for in it: a proxy's page under 200
/// says nothing about what was done.
pub fn read(reply: &Reply, data_id: &str) -> Result<Map<String, Value>, Refusal> {
    let body = reply.json().unwrap_or(Value::Null);
    let record = body.get("data").and_then(Value::as_object);
    match record {
        Some(record) if reply.status == 200 && record.get("_id").is_none_or(|id| id == data_id) => {
            Ok(record.clone())
        }
        _ => Err(refused(reply, &body)),
    }
}

fn refused(reply: &Reply, body: &Value) -> Refusal {
    let code = body.get("code").map(plain).unwrap_or_default();
    let text = body.get("msg").and_then(Value::as_str).unwrap_or_default();
    let said = Said { status: reply.status, code: &code, text };
    let (class, fault_code) =
        first(RULES, said).map_or((Class::Unknown, Code::OutcomeUnknown), |rule| (rule.class, rule.fault));
    let class = match class {
        Class::Throttled(_) => Class::Throttled(reply.retry_after()),
        other => other,
    };
    let status = reply.status;
    let fault = Fault::new(
        fault_code,
        format!("简道云（HTTP {status}）{code}：{text}"),
        format!("Jiandaoyun (HTTP {status}) {code}: {text}"),
    );
    let fault = if code == NO_RECORD { fault.at("data_id") } else { fault };
    let failure = Failure::new(fault).class(class).response(json!({"code": code, "msg": text}));
    Refusal { code, failure }
}

/// A scalar's text.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn class(status: u16, body: &str) -> Class {
        let headers = vec![("retry-after".to_owned(), "7".to_owned())];
        read(&Reply { status, headers, body: body.to_owned().into() }, "a").unwrap_err().failure.class
    }

    #[test]
    fn no_rule_is_shadowed() {
        assert_eq!(tongbao_connect::rules::shadowed(RULES), []);
    }

    #[test]
    fn every_case_by_status_and_code() {
        let slow = Class::Throttled(Some(Duration::from_secs(7)));
        for (status, body, expected) in [
            (400, r#"{"code":4001,"msg":"数据不存在"}"#, Class::Rejected),
            (400, r#"{"code":3000,"msg":"参数不合法"}"#, Class::Rejected),
            (400, r#"{"code":8303,"msg":"请求频率超限"}"#, slow),
            (429, "", slow),
            (400, r#"{"code":8301}"#, Class::Unauthorized),
            (401, "", Class::Unauthorized),
            (403, "", Class::Unauthorized),
            (302, "<html>", Class::Misconfigured),
            (404, "<html>", Class::Misconfigured),
            (408, "", Class::Unknown),
            (409, "", Class::Unknown),
            (500, "", Class::Unknown),
            (502, "<html>", Class::Unknown),
            (503, "", Class::Unknown),
            (200, "<html>", Class::Unknown),
            (200, "{}", Class::Unknown),
            (200, r#"{"code":0}"#, Class::Unknown),
            (200, r#"{"data":{"_id":"other"}}"#, Class::Unknown),
        ] {
            assert_eq!(class(status, body), expected, "{status} {body}");
        }
        let good = Reply { status: 200, headers: Vec::new(), body: r#"{"data":{"_id":"a"}}"#.into() };
        assert!(read(&good, "a").is_ok());
    }
}
