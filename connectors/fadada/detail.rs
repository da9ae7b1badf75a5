//! What the platform says of a task: `data` of the query.

use super::callback::local;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tongbao_model::{Code, Fault, SignatureState};

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

/// A task as the platform sees it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub state: SignatureState,
    /// Our number; `None` where the task carries none.
    pub number: Option<String>,
    /// RFC 3339; only of an end.
    pub at: Option<String>,
    pub title: Option<String>,
}

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
) -> Result<Option<Task>, Fault> {
    let status = plain(data.get("signTaskStatus"));
    if status.is_empty() {
        return Ok(None);
    }
    let Some(state) = states.get(&status).copied() else {
        return Err(Fault::new(
            Code::TargetMisconfigured,
            format!("法大大的任务状态 {status} 没有登记"),
            format!("the task status `{status}` of 法大大 is not listed"),
        )
        .at("states")
        .value(status)
        .remedy("在连接设置的 states 中登记该状态。", "List the status under the connection's `states`."));
    };
    let rejected = status == TERMINATED && claimed == Some(SignatureState::Rejected);
    let state = if rejected { SignatureState::Rejected } else { state };
    let ended = state != SignatureState::Signing;
    let text = |name: &str| Some(plain(data.get(name))).filter(|text| !text.is_empty());
    let at = text("finishTime").filter(|_| ended).and_then(|ms| ms.parse().ok()).and_then(local);
    Ok(Some(Task { state, number: text("transReferenceId"), at, title: text("signTaskSubject") }))
}

impl Task {
    /// Facts for the follow-on event.
    pub fn facts(&self, task_id: &str, told: Option<&str>) -> Value {
        json!({
            "provider": super::CONNECTOR.name,
            "flow_id": task_id,
            "state": self.state.name(),
            "contract_number": self.number.as_deref().or(told),
            "at": self.at,
            "title": self.title,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(data: &str, claimed: Option<SignatureState>) -> Result<Option<Task>, Fault> {
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
