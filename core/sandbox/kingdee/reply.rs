//! The answer objects of the WebAPI.
//!
//! Shapes and the 15 `MsgCode` values are from the vendor's operation descriptions; message texts are from real
//! samples in public engineering notes unless a comment says otherwise. Members keep this order because the Java SDK
//! finds failures by the text `,"IsSuccess":false,`.

use serde_json::{Value, json};

use crate::wire::message::Reply;

/// `MsgCode`: session lost.
pub(super) const CODE_SESSION: u32 = 1;
/// `MsgCode`: no permission.
pub(super) const CODE_PERMISSION: u32 = 2;
/// `MsgCode`: parameter error.
pub(super) const CODE_PARAMETER: u32 = 8;
/// `MsgCode`: field or value does not exist.
pub(super) const CODE_MISSING: u32 = 9;
/// `MsgCode`: validation failed.
pub(super) const CODE_VALIDATION: u32 = 11;
/// `MsgCode`: call limit.
pub(super) const CODE_LIMIT: u32 = 14;

/// One entry of `Errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub field: Option<String>,
    pub message: String,
    pub index: usize,
    pub code: u32,
}

impl Failure {
    pub fn new(field: Option<&str>, message: impl Into<String>, code: u32) -> Self {
        Self { field: field.map(str::to_owned), message: message.into(), index: 0, code }
    }

    pub fn at(mut self, index: usize) -> Self {
        self.index = index;
        self
    }

    pub fn not_found(number: &str) -> Self {
        Self::new(Some(""), format!("编码值[\"{number}\"]不存在"), CODE_MISSING)
    }

    pub fn duplicate(key: &str, number: &str) -> Self {
        Self::new(
            Some(key),
            format!("违反字段唯一性要求：编码唯一。[{number}]在当前系统中已经被使用。"),
            CODE_VALIDATION,
        )
    }

    pub fn session_lost() -> Self {
        Self::new(None, "会话信息已丢失，请重新登录", CODE_SESSION)
    }

    pub fn edit_lock(user: &str, label: &str, number: &str, code: u32) -> Self {
        Self::new(
            None,
            format!("“{user}”使用业务单据：“{label}”业务操作-“[{label}-{number}-修改]”冲突，请稍候再使用。"),
            code,
        )
    }
}

/// Which shape an operation answers errors in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `{"Result":{...}}`
    Object,
    /// `[{"Result":{...}}]` (BillQuery)
    List,
    /// `[[{"Result":{...}}]]` (ExecuteBillQuery)
    Table,
}

/// `ResponseStatus` of a finished call.
pub(super) fn status(failures: &[Failure], done: Vec<Value>, messages: Vec<Value>) -> Value {
    if failures.is_empty() {
        return json!({"IsSuccess": true, "Errors": [], "SuccessEntitys": done, "SuccessMessages": messages, "MsgCode": 0});
    }
    // One code for the whole reply: the one all failures share, else "validation failed".
    let first = failures.first().map_or(CODE_VALIDATION, |failure| failure.code);
    let code = if failures.iter().all(|failure| failure.code == first) { first } else { CODE_VALIDATION };
    let errors: Vec<Value> = failures
        .iter()
        .map(|failure| json!({"FieldName": failure.field, "Message": failure.message, "DIndex": failure.index}))
        .collect();
    json!({"ErrorCode": 500, "IsSuccess": false, "Errors": errors, "SuccessEntitys": done,
           "SuccessMessages": messages, "MsgCode": code})
}

/// An error answer in the shape of the operation.
pub(super) fn error(shape: Shape, failures: &[Failure]) -> Reply {
    let object = json!({"Result": {"ResponseStatus": status(failures, Vec::new(), Vec::new())}});
    let value = match shape {
        Shape::Object => object,
        Shape::List => json!([object]),
        Shape::Table => json!([[object]]),
    };
    Reply::json(200, &value)
}

/// `{"Result":{"ResponseStatus":...}}` with further members.
pub(super) fn result(status: Value, more: Vec<(&str, Value)>) -> Reply {
    let mut result = serde_json::Map::new();
    result.insert("ResponseStatus".to_owned(), status);
    for (key, value) in more {
        result.insert(key.to_owned(), value);
    }
    Reply::json(200, &json!({"Result": result}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_text_has_what_the_java_sdk_looks_for() {
        let reply = error(Shape::Table, &[Failure::session_lost()]);
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(text.starts_with("[[{"));
        assert!(text.contains(",\"IsSuccess\":false,"));
        assert!(text.contains("\"MsgCode\":1"));
    }
}
