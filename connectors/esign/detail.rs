//! What the platform says of a flow: `data` of `GET /v3/sign-flow/{id}/detail`.

use super::status::WORDS;
use serde_json::Value;
use std::collections::BTreeMap;
use tongbao_connect::signing::Flow;
use tongbao_model::record::Time;
use tongbao_model::{Code, Fault, SignatureState};

/// `signFlowStatus`: draft, under way, and the four ends (the vendor's tables).
pub const STATES: [(&str, SignatureState); 6] = [
    ("0", SignatureState::Signing),
    ("1", SignatureState::Signing),
    ("2", SignatureState::Signed),
    ("3", SignatureState::Revoked),
    ("5", SignatureState::Expired),
    ("7", SignatureState::Rejected),
];

/// `rescissionStatus` of a flow whose signers have all signed that it is undone. In part, or on its way there, it stands.
const RESCINDED: &str = "3";

/// Signers and fields looked at for our number.
const LOOKED_AT: usize = 1_000;

fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// `Ok(None)` where it says nothing of a flow's state.
pub fn read(data: &Value, states: &BTreeMap<String, SignatureState>) -> Result<Option<Flow>, Fault> {
    let status = plain(data.get("signFlowStatus"));
    if status.is_empty() {
        return Ok(None);
    }
    let state = WORDS.state(&status, states)?;
    let undone = plain(data.get("rescissionStatus")) == RESCINDED;
    let state = if state == SignatureState::Signed && undone { SignatureState::Annulled } else { state };
    let ended = state != SignatureState::Signing;
    let at = data
        .get("signFlowFinishTime")
        .and_then(Value::as_i64)
        .and_then(Time::in_china)
        .map(|at| at.0)
        .filter(|_| ended);
    let title = data.pointer("/signFlowConfig/signFlowTitle").and_then(Value::as_str);
    let title = title.filter(|title| !title.is_empty()).map(str::to_owned);
    Ok(Some(Flow { state, number: number(data)?, at, title }))
}

/// `customBizNum` of the sign fields: our number, the same in each of them that has one.
fn number(data: &Value) -> Result<Option<String>, Fault> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut found: Option<String> = None;
    let fields = list(data.get("signers")).into_iter().flat_map(|signer| list(signer.get("signFields")));
    for field in fields.take(LOOKED_AT) {
        let number = plain(field.get("customBizNum"));
        match &found {
            _ if number.is_empty() => {}
            None => found = Some(number),
            Some(first) if *first == number => {}
            Some(first) => {
                return Err(Fault::new(
                    Code::TargetRejected,
                    format!("签署区的业务编号不一致：{first}、{number}"),
                    format!("the sign fields carry different numbers: `{first}`, `{number}`"),
                )
                .at("customBizNum")
                .remedy(
                    "发起流程时在每个签署区写同一个合同号。",
                    "Write the same contract number into every sign field when the flow is begun.",
                ));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(data: &str) -> Result<Option<Flow>, Fault> {
        let states = STATES.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect();
        read(&serde_json::from_str(data).unwrap(), &states)
    }

    fn state(data: &str) -> SignatureState {
        flow(data).unwrap().unwrap().state
    }

    #[test]
    fn states() {
        for (status, expected) in STATES {
            assert_eq!(state(&format!(r#"{{"signFlowStatus":{status}}}"#)), expected);
            assert_eq!(state(&format!(r#"{{"signFlowStatus":"{status}"}}"#)), expected, "as text");
        }
        for (rescinded, expected) in
            [(0, SignatureState::Signed), (2, SignatureState::Signed), (3, SignatureState::Annulled)]
        {
            let data = format!(r#"{{"signFlowStatus":2,"rescissionStatus":{rescinded}}}"#);
            assert_eq!(state(&data), expected);
        }
        assert_eq!(state(r#"{"signFlowStatus":7,"rescissionStatus":3}"#), SignatureState::Rejected);
        assert_eq!(flow("{}"), Ok(None));
        assert_eq!(flow("null"), Ok(None));
        let fault = flow(r#"{"signFlowStatus":9}"#).unwrap_err();
        assert_eq!((fault.code, fault.field.as_deref()), (Code::TargetMisconfigured, Some("states")));
    }

    #[test]
    fn number_time_and_title() {
        let with = |first: &str, second: &str, status: u8| {
            flow(&format!(
                r#"{{"signFlowStatus":{status},"signFlowFinishTime":1764561599000,"signFlowConfig":{{"signFlowTitle":"合同"}},
                "signers":[{{"signFields":[{{"customBizNum":{first}}},{{}}]}},{{"signFields":[{{"customBizNum":{second}}}]}},{{}}]}}"#
            ))
        };
        let found = with("\"HT-1\"", "\"HT-1\"", 2).unwrap().unwrap();
        assert_eq!(found.number.as_deref(), Some("HT-1"));
        assert_eq!(found.at.as_deref(), Some("2025-12-01T11:59:59+08:00"));
        assert_eq!(found.title.as_deref(), Some("合同"));
        assert_eq!(with("null", "\"HT-1\"", 1).unwrap().unwrap().at, None, "no end yet");
        assert_eq!(with("null", "\"\"", 2).unwrap().unwrap().number, None);
        assert_eq!(with("\"HT-1\"", "\"HT-2\"", 2).unwrap_err().code, Code::TargetRejected);
    }
}
