//! What the platform says of a task: `data` of the query.

use super::status::WORDS;
use serde_json::Value;
use std::collections::BTreeMap;
use tongbao_connect::signing::Flow;
use tongbao_model::record::Time;
use tongbao_model::{Fault, SignatureState};

/// `signTaskStatus` (a public copy of the vendor's list of events with the state after each). A task whose annulment is under
/// way stands; one that was annulled is `revoked` in the platform's words.
pub const STATES: [(&str, SignatureState); 11] = [
    ("task_created", SignatureState::Signing),
    ("finish_creation", SignatureState::Signing),
    ("fill_progress", SignatureState::Signing),
    ("fill_completed", SignatureState::Signing),
    ("sign_progress", SignatureState::Signing),
    ("sign_completed", SignatureState::Signing),
    ("task_finished", SignatureState::Signed),
    (TERMINATED, SignatureState::Revoked),
    ("expired", SignatureState::Expired),
    ("abolishing", SignatureState::Signed),
    ("revoked", SignatureState::Annulled),
];

/// Refused by a signer or taken back by its initiator: the platform has one word for both.
const TERMINATED: &str = "task_terminated";

fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// `Ok(None)` where it says nothing of a task's state. `claimed` tells the two meanings of a terminated task apart: neither
/// of them has any effect on the contract.
pub fn read(
    data: &Value,
    states: &BTreeMap<String, SignatureState>,
    claimed: Option<SignatureState>,
) -> Result<Option<Flow>, Fault> {
    let status = plain(data.get("signTaskStatus"));
    if status.is_empty() {
        return Ok(None);
    }
    let state = WORDS.state(&status, states)?;
    let rejected = status == TERMINATED && claimed == Some(SignatureState::Rejected);
    let state = if rejected { SignatureState::Rejected } else { state };
    let ended = state != SignatureState::Signing;
    let text = |name: &str| Some(plain(data.get(name))).filter(|text| !text.is_empty());
    let at = text("finishTime")
        .filter(|_| ended)
        .and_then(|ms| ms.parse().ok())
        .and_then(Time::in_china)
        .map(|at| at.0);
    Ok(Some(Flow { state, number: text("transReferenceId"), at, title: text("signTaskSubject") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_model::Code;

    fn task(data: &str, claimed: Option<SignatureState>) -> Result<Option<Flow>, Fault> {
        let states = STATES.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect();
        read(&serde_json::from_str(data).unwrap(), &states, claimed)
    }

    #[test]
    fn states() {
        for (status, expected) in STATES {
            let data = format!(r#"{{"signTaskStatus":"{status}"}}"#);
            assert_eq!(task(&data, None).unwrap().unwrap().state, expected);
            let rejected = task(&data, Some(SignatureState::Rejected)).unwrap().unwrap().state;
            let wanted = if status == TERMINATED { SignatureState::Rejected } else { expected };
            assert_eq!(rejected, wanted, "{status}");
        }
        assert_eq!(task("{}", None), Ok(None));
        assert_eq!(task("null", None), Ok(None));
        let fault = task(r#"{"signTaskStatus":"new"}"#, None).unwrap_err();
        assert_eq!((fault.code, fault.field.as_deref()), (Code::TargetMisconfigured, Some("states")));
    }

    #[test]
    fn number_time_and_title() {
        let data = r#"{"signTaskStatus":"task_finished","transReferenceId":"HT-1","signTaskSubject":"合同","finishTime":"1764561599000"}"#;
        let found = task(data, None).unwrap().unwrap();
        assert_eq!((found.number.as_deref(), found.title.as_deref()), (Some("HT-1"), Some("合同")));
        assert_eq!(found.at.as_deref(), Some("2025-12-01T11:59:59+08:00"));
        let data = data.replace("task_finished", "sign_progress").replace("HT-1", "");
        let found = task(&data, None).unwrap().unwrap();
        assert_eq!((found.number, found.at), (None, None));
    }
}
