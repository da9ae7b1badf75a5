//! Reading answers: an envelope with `errcode`, or one without it, which is no success.

use serde_json::{Map, Value, json};
use tongbao_connect::rules::{Rule, Said, first, said as rule};
use tongbao_connect::{Failure, Reply};
use tongbao_model::{Class, Code, Fault};

/// What refusals mean, in order; the first that fits decides. The codes are those that integrators recorded; for a token
/// that is over, a missing permission and a quota none is known, so the text decides, and the settings add codes.
pub const RULES: &[Rule] = &[
    rule("running", &["30025"], &[], Class::Throttled(None), Code::TargetThrottled),
    // 20005: U8 itself refused. EAI's text stands in the message.
    rule(
        "number-taken",
        &["20005"],
        &["已经存在", "已存在", "不可重复", "不能重复", "重复"],
        Class::Conflict,
        Code::NumberTaken,
    ),
    rule("busy", &["20005"], &["系统忙", "稍后再试"], Class::Throttled(None), Code::TargetThrottled),
    rule(
        "page-fault",
        &["20005"],
        &["With block", "对象变量", "运行时错误"],
        Class::Unknown,
        Code::OutcomeUnknown,
    ),
    rule(
        "our-fields",
        &["20005"],
        &["数据库没有提供的字段", "暂不提供此项功能"],
        Class::Misconfigured,
        Code::TargetMisconfigured,
    ),
    rule("u8-refused", &["20005"], &[], Class::Rejected, Code::TargetRejected),
    rule("platform", &["10001"], &[], Class::Unknown, Code::OutcomeUnknown),
    rule(TOKEN, &[], &["token", "Token", "TOKEN", "令牌"], Class::Unauthorized, Code::TargetUnauthorized),
    rule("permission", &[], &["权限", "未授权"], Class::Unauthorized, Code::TargetUnauthorized),
    rule(
        "quota",
        &[],
        &["频繁", "超过限制", "超出限制", "调用次数"],
        Class::Throttled(None),
        Code::TargetThrottled,
    ),
    // A code nobody explains, such as the one for an agent that is not running: it may have acted.
    rule("unexplained", &[], &[], Class::Unknown, Code::OutcomeUnknown),
];

/// Name of the rule by which a token is renewed.
const TOKEN: &str = "token";

/// Characters of a message that are kept.
const TEXT_MAX: usize = 400;

/// Codes that the settings add.
#[derive(Debug, Clone, Copy)]
pub struct Codes<'a> {
    /// The token is over.
    pub token: &'a [String],
    /// A permission is missing.
    pub permission: &'a [String],
    /// Too many calls.
    pub quota: &'a [String],
}

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Its class.
    pub class: Class,
    /// Whether it is about the token: nothing was done then.
    pub is_token: bool,
    /// Whether the same add is under way.
    pub is_running: bool,
    fault: Fault,
    shown: Value,
}

impl Refusal {
    /// As a failure.
    pub fn failure(self) -> Failure {
        Failure::new(self.fault).class(self.class).response(self.shown)
    }

    /// U8 itself said no to what was asked.
    pub fn is_of_content(&self) -> bool {
        matches!(self.class, Class::Rejected | Class::Conflict)
    }
}

/// What an `add`, or the address of its result, answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// It stands under this number, as far as the platform says.
    Done(String),
    /// Accepted, and still at it.
    Running {
        /// Where the result will be.
        url: Option<url::Url>,
        /// Seconds after which to ask.
        ping_after_s: u64,
    },
    /// No.
    Refused(Refusal),
}

/// The object of a complete HTTP answer. One that cannot be read says nothing about what was done.
pub fn read(reply: &Reply) -> Result<Map<String, Value>, Failure> {
    if reply.status != 200 {
        return Err(http_failure(reply));
    }
    match reply.json() {
        Some(Value::Object(answer)) => Ok(answer),
        Some(_) | None => Err(strange()),
    }
}

/// `errcode` as text; none where the answer has none.
pub fn code(answer: &Map<String, Value>) -> Option<String> {
    match answer.get("errcode")? {
        Value::String(code) => Some(code.trim().to_owned()),
        Value::Number(code) => Some(code.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The refusal in an answer, if it is one. `hide`: what must not show in its text.
pub fn refusal(answer: &Map<String, Value>, codes: Codes<'_>, hide: &[&str]) -> Option<Refusal> {
    let code = code(answer).filter(|code| code != "0")?;
    let said = answer.get("errmsg").and_then(Value::as_str).unwrap_or_default();
    let mut text: String = said.chars().take(TEXT_MAX).collect();
    for secret in hide.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    let named = |list: &[String]| list.contains(&code);
    let rule = first(RULES, Said { status: 200, code: &code, text: &text });
    let is_token = named(codes.token) || rule.is_some_and(|rule| rule.name == TOKEN);
    let (class, fault) = if named(codes.token) || named(codes.permission) {
        (Class::Unauthorized, Code::TargetUnauthorized)
    } else if named(codes.quota) {
        (Class::Throttled(None), Code::TargetThrottled)
    } else {
        rule.map_or((Class::Unknown, Code::OutcomeUnknown), |rule| (rule.class, rule.fault))
    };
    let fault = Fault::new(fault, format!("U8（{code}）：{text}"), format!("U8 says ({code}): {text}"));
    let is_running = code == "30025";
    let shown = json!({"errcode": code, "errmsg": text});
    Some(Refusal { class, is_token, is_running, fault, shown })
}

/// How an accepted document stands. Without `errcode` only an address or a pause makes sense of the answer.
pub fn stage(answer: &Map<String, Value>, codes: Codes<'_>, hide: &[&str]) -> Result<Stage, Failure> {
    if let Some(refusal) = refusal(answer, codes, hide) {
        return Ok(Stage::Refused(refusal));
    }
    let url = answer.get("url").and_then(Value::as_str).filter(|url| !url.is_empty());
    let ping = answer.get("ping_after").map(|pause| match pause {
        Value::String(text) => text.parse().unwrap_or_default(),
        Value::Number(number) => number.as_u64().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => 0,
    });
    if url.is_some() || (code(answer).is_none() && ping.is_some()) {
        let url = url.and_then(|url| url.parse().ok());
        return Ok(Stage::Running { url, ping_after_s: ping.unwrap_or_default() });
    }
    if code(answer).is_none() {
        return Err(strange());
    }
    let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
    Ok(Stage::Done(id.trim().to_owned()))
}

/// An answer that fits nothing we know leaves the outcome open. It is not shown: it may hold an address with our secrets.
pub fn strange() -> Failure {
    let fault = Fault::new(
        Code::OutcomeUnknown,
        "U8 开放平台的答复不是预期的形状",
        "the U8 platform's answer has a shape we do not know",
    );
    Failure::new(fault)
}

/// A gateway or proxy answered: the platform itself answers under 200. A 4xx is about the address, not the document.
pub fn http_failure(reply: &Reply) -> Failure {
    let (class, code) = match reply.class_of_status() {
        Class::Unauthorized => (Class::Unauthorized, Code::TargetUnauthorized),
        Class::Throttled(after) => (Class::Throttled(after), Code::TargetThrottled),
        Class::Misconfigured | Class::Rejected => (Class::Misconfigured, Code::TargetMisconfigured),
        Class::Done
        | Class::AlreadyThere
        | Class::Conflict
        | Class::Unavailable
        | Class::Unknown
        | Class::Defect => (Class::Unknown, Code::OutcomeUnknown),
    };
    let status = reply.status;
    let fault = Fault::new(
        code,
        format!("U8 开放平台返回 HTTP {status}"),
        format!("the U8 platform answered HTTP {status}"),
    );
    Failure::new(fault).class(class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_connect::rules::shadowed;

    const NONE: Codes<'_> = Codes { token: &[], permission: &[], quota: &[] };

    fn answer(text: &str) -> Map<String, Value> {
        read(&Reply { status: 200, headers: Vec::new(), body: text.to_owned().into() }).unwrap()
    }

    #[test]
    fn no_rule_is_shadowed() {
        assert_eq!(shadowed(RULES), []);
    }

    #[test]
    fn the_three_first_answers_are_told_apart() {
        let of = |text: &str| stage(&answer(text), NONE, &[]);
        assert_eq!(
            of(r#"{"errcode":"0","errmsg":"","tradeid":"t","id":"SO-1"}"#),
            Ok(Stage::Done("SO-1".into()))
        );
        let running = of(r#"{"url":"https://a.example/r/1","ping_after":3,"tradeid":"t"}"#).unwrap();
        let url = "https://a.example/r/1".parse().ok();
        assert_eq!(running, Stage::Running { url: url.clone(), ping_after_s: 3 });
        assert_eq!(of(r#"{"errcode":"0","url":"https://a.example/r/1","ping_after":"3"}"#).unwrap(), running);
        assert_eq!(of(r#"{"ping_after":3}"#).unwrap(), Stage::Running { url: None, ping_after_s: 3 });
        let Ok(Stage::Refused(refusal)) =
            of(r#"{"errcode":"20005","errmsg":"U8 服务调用失败:key='SO-1';该业务员不合法,请重新输入。;;"}"#)
        else {
            panic!("no refusal")
        };
        assert_eq!(refusal.class, Class::Rejected);
        // No code at all is no success, whatever the vendor's SDK makes of it.
        for odd in ["{}", r#"{"id":"SO-1"}"#, r#"{"errcode":null,"id":"SO-1"}"#] {
            assert_eq!(of(odd).unwrap_err().class, Class::Unknown, "{odd}");
        }
    }

    #[test]
    fn every_code_by_its_rule_and_by_the_settings() {
        let (token, permission, quota) = (["40001".to_owned()], ["40002".to_owned()], ["40003".to_owned()]);
        let codes = Codes { token: &token, permission: &permission, quota: &quota };
        for (code, text, class, is_token) in [
            ("20005", "单据编号重复", Class::Conflict, false),
            ("20005", "系统忙，稍后再试！", Class::Throttled(None), false),
            ("20005", "未设置对象变量或 With block 变量", Class::Unknown, false),
            ("20005", "数据库没有提供的字段(x)!", Class::Misconfigured, false),
            ("20005", "该客户不合法", Class::Rejected, false),
            ("30025", "操作正在执行", Class::Throttled(None), false),
            ("10001", "平台错误", Class::Unknown, false),
            ("7", "token已过期", Class::Unauthorized, true),
            ("7", "没有权限", Class::Unauthorized, false),
            ("7", "代理未启动", Class::Unknown, false),
            ("40001", "", Class::Unauthorized, true),
            ("40002", "", Class::Unauthorized, false),
            ("40003", "", Class::Throttled(None), false),
        ] {
            let text = json!({"errcode": code, "errmsg": text}).to_string();
            let refusal = refusal(&answer(&text), codes, &[]).unwrap();
            assert_eq!((refusal.class, refusal.is_token), (class, is_token), "{text}");
        }
    }

    #[test]
    fn a_message_that_repeats_our_secrets_is_cleaned() {
        let answer = answer(r#"{"errcode":20005,"errmsg":"GET /x?token=abc123&s=topsecret"}"#);
        let failure = refusal(&answer, NONE, &["abc123", "topsecret", ""]).unwrap().failure();
        let text = format!("{failure:?}");
        assert!(!text.contains("abc123") && !text.contains("topsecret") && text.contains("***"), "{text}");
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        for (status, body, class) in [
            (200, "", Class::Unknown),
            (200, "<html/>", Class::Unknown),
            (200, "true", Class::Unknown),
            (502, "", Class::Unknown),
            (404, "", Class::Misconfigured),
            (401, "", Class::Unauthorized),
        ] {
            let reply = Reply { status, headers: Vec::new(), body: body.to_owned().into() };
            assert_eq!(read(&reply).unwrap_err().class, class, "{status} {body}");
        }
    }
}
