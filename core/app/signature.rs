//! The built-in target `signature`: a contract takes effect when its signing flow is confirmed, and not before.
//!
//! It takes `signature.confirmed` alone, which follows from asking the provider and from nothing else: what a callback
//! claims never comes here. What it makes has the contract's own key and revision, so that it is made once however often
//! and in whatever order the news comes; a flow's states come in the order of their ranks, the older ones dropped.

use crate::emit;
use crate::intake::store_unavailable;
use crate::routes::Routes;
use serde_json::{Value, json};
use std::sync::Arc;
use tongbao_delivery::handler::Report;
use tongbao_delivery::port::{RemoteRef, Store, Work};
use tongbao_model::event::kinds;
use tongbao_model::record::Signature;
use tongbao_model::{Class, Code, Event, Fault, SignatureState};

/// Takes one confirmed state.
pub async fn handle(store: &Arc<dyn Store>, routes: &Routes, work: &Work, now_ms: i64) -> Report {
    let (signature, state) = match confirmed(&work.event) {
        Ok(confirmed) => confirmed,
        Err(fault) => return Report::fault(fault),
    };
    let effect = match state {
        SignatureState::Signed => signed(store.as_ref(), &signature, work, now_ms).await.map(Some),
        SignatureState::Annulled => annulled(&signature, work, now_ms).map(Some),
        SignatureState::Signing
        | SignatureState::Rejected
        | SignatureState::Revoked
        | SignatureState::Expired => Ok(None),
    };
    let effect = match effect {
        Ok(effect) => effect,
        Err(fault) => return Report::fault(fault),
    };
    let emitted = effect.as_ref().map(|event| event.kind.clone());
    Report {
        remote: Some(RemoteRef {
            id: signature.flow_id,
            number: signature.contract_number.unwrap_or_default(),
            step: state.name().to_owned(),
        }),
        response: Some(json!({"state": state.name(), "emitted": emitted}).to_string()),
        follow_on: effect.into_iter().map(|event| routes.intake(event)).collect(),
        ..Report::new(Class::Done)
    }
}

/// The record of a confirmed state. An event that did not follow from a delivery was confirmed by nobody.
fn confirmed(event: &Event) -> Result<(Signature, SignatureState), Fault> {
    if event.kind != kinds::SIGNATURE_CONFIRMED || event.cause.is_none() {
        return Err(Fault::new(
            Code::TargetMisconfigured,
            format!("signature 只处理由查询得出的 {}，不处理 {}", kinds::SIGNATURE_CONFIRMED, event.kind),
            format!(
                "`signature` takes only a `{}` that followed from asking, not `{}`",
                kinds::SIGNATURE_CONFIRMED,
                event.kind
            ),
        ));
    }
    let read: Option<Signature> = serde_json::from_str(&event.record).ok();
    let state = read.as_ref().and_then(|signature| SignatureState::from_name(&signature.state));
    read.zip(state).ok_or_else(|| unreadable("事件内容无法读取", "the event's record cannot be read"))
}

fn unreadable(zh: &str, en: &str) -> Fault {
    Fault::new(Code::Defect, zh, en)
}

fn contract(signature: &Signature) -> Result<&str, Fault> {
    let number = signature.contract_number.as_deref().filter(|number| !number.is_empty());
    number.ok_or_else(|| {
        Fault::new(Code::ContractUnknown, "签署流程未带合同号", "the signing flow carries no contract number")
            .at("contract_number")
            .value(signature.flow_id.clone())
            .remedy(
                "发起签署流程时写上合同号；与销售合同无关的流程不必处理。",
                "Give the flow the contract number when it is begun; a flow of another kind needs nothing.",
            )
    })
}

/// The newest draft of the contract that had come by the time of this attempt, signed when the flow was.
async fn signed(store: &dyn Store, signature: &Signature, work: &Work, now_ms: i64) -> Result<Event, Fault> {
    let number = contract(signature)?;
    let draft = store.newest(kinds::CONTRACT_DRAFTED, number, work.delivery.changed_at_ms).await;
    let draft = draft.map_err(|error| store_unavailable(&error))?.ok_or_else(|| {
        Fault::new(
            Code::RelatedMissing,
            format!("合同 {number} 尚未以 {} 到达", kinds::CONTRACT_DRAFTED),
            format!("the contract `{number}` has not arrived as `{}`", kinds::CONTRACT_DRAFTED),
        )
        .at("contract_number")
        .value(number)
    })?;
    let mut record: Value = serde_json::from_str(&draft.record)
        .map_err(|_| unreadable("合同内容无法读取", "the contract's record cannot be read"))?;
    if let (Some(at), Some(members)) = (&signature.at, record.as_object_mut()) {
        members.insert("signed_at".to_owned(), Value::from(at.0.as_str()));
    }
    Ok(made(kinds::CONTRACT_SIGNED, &draft.key, draft.revision, &record, signature, work, now_ms))
}

/// One for each flow that is undone: a contract may be signed anew and undone again.
fn annulled(signature: &Signature, work: &Work, now_ms: i64) -> Result<Event, Fault> {
    let number = contract(signature)?;
    let at = at_ms(signature).unwrap_or(1);
    let record = emit::record(signature);
    Ok(made(kinds::CONTRACT_ANNULLED, number, at, &record, signature, work, now_ms))
}

fn at_ms(signature: &Signature) -> Option<i64> {
    let at: jiff::Timestamp = signature.at.as_ref()?.0.parse().ok()?;
    Some(at.as_millisecond())
}

fn made(
    kind: &str,
    key: &str,
    revision: i64,
    record: &Value,
    signature: &Signature,
    work: &Work,
    now_ms: i64,
) -> Event {
    let occurred_at_ms = at_ms(signature).unwrap_or(now_ms);
    let event = emit::event(kind, key, revision, &work.event.order_key, record, &work.delivery.id, now_ms);
    Event { occurred_at_ms, ..event }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, record: Value, cause: Option<&str>) -> Event {
        let event = emit::event(kind, "f-1", 2, "HT-1", &record, "d-1", 0);
        Event { cause: cause.map(str::to_owned), ..event }
    }

    fn record(state: &str) -> Value {
        json!({"flow_id": "f-1", "provider": "esign", "contract_number": "HT-1", "state": state,
               "at": "2026-11-20T10:00:00+08:00"})
    }

    #[test]
    fn only_what_followed_from_asking_is_taken() {
        let code = |event: &Event| confirmed(event).unwrap_err().code;
        let kind = kinds::SIGNATURE_CONFIRMED;
        let (signature, state) = confirmed(&event(kind, record("signed"), Some("d-1"))).unwrap();
        assert_eq!((state, contract(&signature)), (SignatureState::Signed, Ok("HT-1")));
        assert_eq!(at_ms(&signature), Some(1_795_140_000_000));
        assert_eq!(code(&event(kind, record("signed"), None)), Code::TargetMisconfigured);
        let claim = event(kinds::SIGNATURE_REPORTED, record("signed"), Some("d-1"));
        assert_eq!(code(&claim), Code::TargetMisconfigured);
        assert_eq!(code(&event(kind, record("done"), Some("d-1"))), Code::Defect);
        assert_eq!(code(&event(kind, json!({}), Some("d-1"))), Code::Defect);
    }

    #[test]
    fn a_flow_without_a_number_names_no_contract() {
        for number in [json!(null), json!("")] {
            let mut record = record("signed");
            record["contract_number"] = number;
            let kind = kinds::SIGNATURE_CONFIRMED;
            let (signature, _) = confirmed(&event(kind, record, Some("d-1"))).unwrap();
            assert_eq!(contract(&signature).unwrap_err().code, Code::ContractUnknown);
        }
    }
}
