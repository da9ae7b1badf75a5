//! Reading answers: business errors come under HTTP 200, in three wrappings.

use serde_json::Value;
use tongbao_connect::rules::{Rule, Said, first, said as rule};
use tongbao_connect::{Failure, Reply};
use tongbao_model::{Class, Code, Fault};

/// What failures mean, in order; the first that fits decides. `MsgCode` values and texts: official operation
/// description and recorded answers.
pub const RULES: &[Rule] = &[
    rule("number-taken", &[], &["编码唯一", "在当前系统中已经被使用"], Class::Conflict, Code::NumberTaken),
    rule("edit-lock-code", &["13"], &[], Class::Throttled(None), Code::TargetLocked),
    rule(
        "edit-lock-text",
        &[],
        &["冲突，请稍候再使用", "已被其他用户修改"],
        Class::Throttled(None),
        Code::TargetLocked,
    ),
    rule("call-limit", &["14"], &[], Class::Throttled(None), Code::TargetThrottled),
    rule("no-permission", &["2", "15"], &[], Class::Unauthorized, Code::TargetUnauthorized),
    rule(
        "no-permission-text",
        &[],
        &["操作权限", "允许调用WebAPI接口"],
        Class::Unauthorized,
        Code::TargetUnauthorized,
    ),
    rule("licence", &["7"], &[], Class::Throttled(None), Code::TargetThrottled),
    rule("server-fault", &["4", "6"], &[], Class::Unknown, Code::OutcomeUnknown),
    rule("server-fault-text", &[], &["数据库执行异常"], Class::Unknown, Code::OutcomeUnknown),
    rule("our-request", &["3", "5", "8"], &[], Class::Misconfigured, Code::TargetMisconfigured),
    rule(
        "our-fields",
        &[],
        &["元数据中标识为", "业务对象不存在", "实体不存在此属性"],
        Class::Misconfigured,
        Code::TargetMisconfigured,
    ),
    rule("content", &["0", "9", "10", "11", "12"], &[], Class::Rejected, Code::TargetRejected),
];

/// An answer of a write or a query, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It did what was asked; the whole body.
    Success(Value),
    /// The session is gone; nothing was done.
    SessionLost,
    /// It says what is wrong.
    Refused(Refusal),
}

/// An answer other than "the session is gone".
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// It did what was asked; the whole body.
    Success(Value),
    /// It says what is wrong.
    Refused(Refusal),
}

/// What Kingdee says is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Class by [`RULES`].
    pub class: Class,
    /// In words.
    pub fault: Fault,
    /// `ResponseStatus` as it came.
    pub status: Value,
}

impl Refusal {
    /// As a failure.
    pub fn failure(self) -> Failure {
        Failure::new(self.fault).class(self.class).response(self.status)
    }
}

impl Answer {
    /// `None` when the session is gone.
    pub fn done(self) -> Option<Done> {
        match self {
            Answer::Success(body) => Some(Done::Success(body)),
            Answer::Refused(refusal) => Some(Done::Refused(refusal)),
            Answer::SessionLost => None,
        }
    }
}

/// The JSON of a complete HTTP answer.
pub fn json(reply: &Reply) -> Result<Value, Failure> {
    if reply.status != 200 {
        return Err(http_failure(reply));
    }
    reply.json().ok_or_else(|| unreadable(reply))
}

/// Reads a complete HTTP answer. An answer that cannot be read says nothing about what was done.
pub fn read(reply: &Reply) -> Result<Answer, Failure> {
    let body = json(reply)?;
    let Some(status) = response_status(&body) else { return Ok(Answer::Success(body)) };
    // Documentation templates print booleans as text: both are taken.
    let success = match status.get("IsSuccess") {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    if success {
        return Ok(Answer::Success(body));
    }
    let code = status.get("MsgCode").map(plain).unwrap_or_default();
    let text = messages(&status);
    if code == "1" || text.contains("会话信息已丢失") {
        return Ok(Answer::SessionLost);
    }
    let said = Said { status: reply.status, code: &code, text: &text };
    let (class, fault_code) =
        first(RULES, said).map_or((Class::Unknown, Code::OutcomeUnknown), |rule| (rule.class, rule.fault));
    let field = status.pointer("/Errors/0/FieldName").and_then(Value::as_str).unwrap_or_default();
    let mut fault = Fault::new(fault_code, format!("金蝶：{text}"), format!("Kingdee says: {text}"));
    if !field.is_empty() {
        fault = fault.at(field);
    }
    Ok(Answer::Refused(Refusal { class, fault, status }))
}

/// `ResponseStatus` in `{Result}`, `[{Result}]` or `[[{Result}]]`. A query's own rows never look like that: their
/// first cell is no object.
fn response_status(body: &Value) -> Option<Value> {
    let mut at = body;
    for _ in 0..2 {
        if let Value::Array(items) = at {
            at = items.first()?;
        }
    }
    let status = at.get("Result")?.get("ResponseStatus")?;
    (!status.is_null()).then(|| status.clone())
}

fn messages(status: &Value) -> String {
    let errors = status.get("Errors").and_then(Value::as_array);
    let texts = errors.into_iter().flatten().filter_map(|error| error.get("Message")?.as_str());
    texts.take(5).collect::<Vec<_>>().join("；")
}

/// The entity of our number among those the answer calls done. Entities listed as success are committed even where
/// the whole answer is a failure (partial BatchSave); a number that is silently left out was not done.
pub fn entity(status: &Value, number: &str) -> Option<(String, String)> {
    let entities = status.get("SuccessEntitys").and_then(Value::as_array)?;
    entities.iter().find_map(|entity| {
        let found = entity.get("Number").map(plain)?;
        (found == number).then(|| (entity.get("Id").map(plain).unwrap_or_default(), found))
    })
}

/// `ResponseStatus` of a successful write.
pub fn status_of(body: &Value) -> Value {
    response_status(body).unwrap_or(Value::Null)
}

/// A scalar's text; ids come as numbers or as text.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What the vendor's gateway answers under HTTP 519 before a call gets to the site (codes seen on the gateway).
const GATEWAY: u16 = 519;

fn gateway_failure(reply: &Reply) -> Option<Failure> {
    let body = reply.json()?;
    let code = body.get("errcode")?.as_i64()?;
    let fault_code = match code {
        4002..=4006 => Code::TargetUnauthorized,
        5001 => Code::TargetMisconfigured,
        _ => return None,
    };
    let text = body.get("description_cn").and_then(Value::as_str).unwrap_or_default();
    let fault = Fault::new(
        fault_code,
        format!("金蝶网关 {code}：{text}"),
        format!("the Kingdee gateway answered {code}: {text}"),
    );
    Some(Failure::new(fault))
}

fn http_failure(reply: &Reply) -> Failure {
    if reply.status == GATEWAY
        && let Some(failure) = gateway_failure(reply)
    {
        return failure;
    }
    let class = reply.class_of_status();
    let status = reply.status;
    let code = match class {
        Class::Unauthorized => Code::TargetUnauthorized,
        Class::Throttled(_) => Code::TargetThrottled,
        Class::Misconfigured | Class::Rejected => Code::TargetMisconfigured,
        Class::Done
        | Class::AlreadyThere
        | Class::Conflict
        | Class::Unavailable
        | Class::Unknown
        | Class::Defect => Code::OutcomeUnknown,
    };
    // The site's web server or a proxy answered, not Kingdee: a 4xx is about the address, not about the document.
    let class = if class == Class::Rejected { Class::Misconfigured } else { class };
    let mut fault = Fault::new(
        code,
        format!("金蝶站点返回 HTTP {status}"),
        format!("the Kingdee site answered HTTP {status}"),
    );
    if class == Class::Unauthorized && reply.body.is_empty() {
        fault = fault.remedy(
            "空的 403 通常是站点没有该虚拟目录：请核对 base_url。",
            "An empty 403 usually means that the site has no such virtual directory: check `base_url`.",
        );
    }
    Failure::new(fault).class(class)
}

fn unreadable(reply: &Reply) -> Failure {
    let text = String::from_utf8_lossy(&reply.body);
    let fault = if text.starts_with("response_error:") {
        Fault::new(Code::OutcomeUnknown, "金蝶返回服务器异常", "Kingdee answered with a server exception")
    } else {
        Fault::new(Code::OutcomeUnknown, "金蝶的答复无法读取", "Kingdee's answer cannot be read")
    };
    Failure::new(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_connect::rules::shadowed;

    fn answer(body: &str) -> Answer {
        read(&Reply { status: 200, headers: Vec::new(), body: body.to_owned().into() }).unwrap()
    }

    fn refusal(code: &str, message: &str) -> String {
        format!(
            r#"{{"Result":{{"ResponseStatus":{{"ErrorCode":500,"IsSuccess":false,"Errors":[{{"FieldName":"FX","Message":"{message}","DIndex":0}}],"SuccessEntitys":[],"SuccessMessages":[],"MsgCode":{code}}}}}}}"#
        )
    }

    #[test]
    fn no_rule_is_shadowed() {
        assert_eq!(shadowed(RULES), []);
    }

    #[test]
    fn every_case_by_code_and_text() {
        for (code, message, class) in [
            ("11", "违反字段唯一性要求：编码唯一。[SO1]在当前系统中已经被使用。", Class::Conflict),
            ("11", "字段“客户”是必填项", Class::Rejected),
            (
                "0",
                "“demo”使用业务单据：“销售订单”业务操作-“[销售订单-SO1-修改]”冲突，请稍候再使用。",
                Class::Throttled(None),
            ),
            ("13", "x", Class::Throttled(None)),
            ("14", "x", Class::Throttled(None)),
            ("2", "您没有该功能的操作权限", Class::Unauthorized),
            ("11", "当前用户未指定允许调用WebAPI接口", Class::Unauthorized),
            ("6", "数据库执行异常", Class::Unknown),
            ("9", "元数据中标识为FNoSuch的字段不存在", Class::Misconfigured),
            ("9", "编码值[\\\"SO9\\\"]不存在", Class::Rejected),
            ("8", "接口参数data不能为空", Class::Misconfigured),
            ("99", "从未见过", Class::Unknown),
        ] {
            for wrapped in [
                refusal(code, message),
                format!("[{}]", refusal(code, message)),
                format!("[[{}]]", refusal(code, message)),
            ] {
                match answer(&wrapped) {
                    Answer::Refused(refusal) => assert_eq!(refusal.class, class, "{code} {message}"),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(answer(&refusal("1", "x")), Answer::SessionLost);
        assert_eq!(
            answer(&format!("[[{}]]", refusal("0", "会话信息已丢失，请重新登录"))),
            Answer::SessionLost
        );
        assert!(matches!(answer(r#"[[100001,"SO1"]]"#), Answer::Success(_)));
        assert!(matches!(answer("[]"), Answer::Success(_)));
    }

    #[test]
    fn only_a_named_entity_is_done() {
        let status: Value = serde_json::from_str(
            r#"{"IsSuccess":false,"Errors":[{"DIndex":1}],"SuccessEntitys":[{"Id":100001,"Number":"SO1","DIndex":0}]}"#,
        )
        .unwrap();
        assert_eq!(entity(&status, "SO1"), Some(("100001".into(), "SO1".into())));
        assert_eq!(entity(&status, "SO2"), None);
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        for body in ["", "<html>502</html>", "{\"Result\":{\"Respon", "response_error:{\"Message\":\"x\"}"] {
            let reply = Reply { status: 200, headers: Vec::new(), body: body.to_owned().into() };
            assert_eq!(read(&reply).unwrap_err().class, Class::Unknown, "{body}");
        }
        for (status, class) in [
            (502, Class::Unknown),
            (404, Class::Misconfigured),
            (302, Class::Misconfigured),
            (403, Class::Unauthorized),
        ] {
            let reply = Reply { status, headers: Vec::new(), body: "".into() };
            assert_eq!(read(&reply).unwrap_err().class, class);
        }
        let gateway = |code: u32| {
            let body = format!(r#"{{"errcode":{code},"description":"x","description_cn":"签名无效"}}"#);
            read(&Reply { status: 519, headers: Vec::new(), body: body.into() }).unwrap_err().class
        };
        assert_eq!(gateway(4002), Class::Unauthorized);
        assert_eq!(gateway(5001), Class::Misconfigured);
        assert_eq!(gateway(9999), Class::Unknown);
    }
}
