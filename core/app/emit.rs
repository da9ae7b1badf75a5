//! Follow-on events: what a success in a target means to everybody else.

use crate::ledger::joint_number;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use tongbao_connect::{Receipt, Task};
use tongbao_model::event::kinds;
use tongbao_model::record::{Invoice, InvoiceOrder, SalesOrder, Signature, Time};
use tongbao_model::{Event, Exact, SignatureState, Tree, digest};
use tongbao_recon::invoicing::{self, Share};

/// Event kinds a flow may emit.
pub const EMITTED: &[&str] = &[kinds::SALES_ORDER_POSTED, kinds::INVOICE_ISSUED, kinds::SIGNATURE_CONFIRMED];

/// The events that follow from a document standing in a target. None for a kind that is not in [`EMITTED`], which the
/// configuration check refuses.
pub fn follow_on(
    kind: &str,
    cause: &Event,
    delivery: &str,
    task: &Task,
    receipt: &Receipt,
    now_ms: i64,
) -> Vec<Event> {
    if kind == kinds::INVOICE_ISSUED
        && [kinds::INVOICE_APPROVED, kinds::RED_INVOICE_APPROVED].contains(&cause.kind.as_str())
    {
        // One invoice may bill several contracts: each hears its share.
        return issued_by_contract(cause, delivery, task, receipt, now_ms).unwrap_or_default();
    }
    followed(kind, cause, delivery, task, receipt, now_ms).into_iter().collect()
}

/// An invoice that was let through, as each contract on it has it.
fn issued_by_contract(
    cause: &Event,
    delivery: &str,
    task: &Task,
    receipt: &Receipt,
    now_ms: i64,
) -> Option<Vec<Event>> {
    let whole = followed(kinds::INVOICE_ISSUED, cause, delivery, task, receipt, now_ms)?;
    let order: InvoiceOrder = serde_json::from_str(&cause.record).ok()?;
    let contracts: BTreeSet<&str> = order.lines.iter().map(|line| line.contract_number.as_str()).collect();
    if contracts.len() < 2 {
        return Some(vec![whole]);
    }
    let invoice: Invoice = serde_json::from_str(&whole.record).ok()?;
    let share = |contract: &str| {
        let lines = invoicing::summed(std::slice::from_ref(&order), contract).ok()?;
        let sum = lines.values().try_fold(Share::default(), |sum, line| sum.plus(*line))?;
        let record = json(&Invoice {
            contract_number: contract.to_owned(),
            total_tax_included: Some(Exact(sum.amounts.gross)),
            total_tax_excluded: Some(Exact(sum.amounts.net)),
            total_tax: Some(Exact(sum.amounts.tax)),
            ..invoice.clone()
        })?;
        let key = joint_number(contract, &invoice.number);
        let event = event(kinds::INVOICE_ISSUED, &key, 1, contract, &record, delivery, now_ms);
        Some(Event { occurred_at_ms: whole.occurred_at_ms, ..event })
    };
    contracts.into_iter().map(share).collect()
}

fn followed(
    kind: &str,
    cause: &Event,
    delivery: &str,
    task: &Task,
    receipt: &Receipt,
    now_ms: i64,
) -> Option<Event> {
    let source: Value = serde_json::from_str(&cause.record).ok()?;
    let text = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
    let contract = text("contract_number").unwrap_or_else(|| cause.key.clone());
    let currency = text("currency").unwrap_or_else(|| "CNY".into());
    let fact = |key: &str| receipt.facts.get(key).and_then(Value::as_str).map(str::to_owned);
    let amount = |key: &str| fact(key).and_then(|text| tongbao_model::decimal::parse(&text).ok()).map(Exact);
    let (key, record) = match kind {
        kinds::SALES_ORDER_POSTED => (
            receipt.remote.number.clone(),
            json(&SalesOrder {
                number: receipt.remote.number.clone(),
                id: receipt.remote.id.clone(),
                contract_number: contract.clone(),
                status: receipt.remote.step.clone(),
                currency,
                total_tax_included: receipt.total_tax_included.map(Exact),
            })?,
        ),
        kinds::INVOICE_ISSUED => (
            receipt.remote.number.clone(),
            json(&Invoice {
                number: receipt.remote.number.clone(),
                serial: Some(receipt.remote.id.clone()).filter(|serial| !serial.is_empty()),
                order_number: task.key.clone(),
                contract_number: contract.clone(),
                status: fact("status").unwrap_or_else(|| "issued".into()),
                issued_at: fact("issued_at").map(Time),
                currency,
                total_tax_included: receipt.total_tax_included.map(Exact),
                total_tax_excluded: amount("total_tax_excluded"),
                total_tax: amount("total_tax"),
                pdf_url: fact("pdf_url"),
                ofd_url: fact("ofd_url"),
            })?,
        ),
        kinds::SIGNATURE_CONFIRMED => {
            // Rank for revision: what is confirmed of a flow never goes back, and a repeat adds nothing.
            let state = SignatureState::from_name(&fact("state")?)?;
            let contract = fact("contract_number").filter(|number| !number.is_empty());
            let record = json(&Signature {
                flow_id: task.key.clone(),
                revision: Some(state.rank()),
                provider: fact("provider").or_else(|| text("provider"))?,
                contract_number: contract.clone(),
                state: state.name().to_owned(),
                at: fact("at").map(Time),
                title: fact("title"),
            })?;
            let order_key = contract.unwrap_or_else(|| task.key.clone());
            return Some(event(kind, &task.key, state.rank(), &order_key, &record, delivery, now_ms));
        }
        _ => return None,
    };
    let follows = event(kind, &key, 1, &contract, &record, delivery, now_ms);
    // An invoice is of the day that is on it, which may have passed by the time that we hear of it.
    let issued_ms =
        (kind == kinds::INVOICE_ISSUED).then(|| fact("issued_at")?.parse::<jiff::Timestamp>().ok());
    let occurred_at_ms = issued_ms.flatten().map_or(now_ms, jiff::Timestamp::as_millisecond);
    Some(Event { occurred_at_ms, ..follows })
}

fn json(record: &impl Serialize) -> Option<Value> {
    // Absent members are left out: a record says what is known.
    let mut value = serde_json::to_value(record).ok()?;
    if let Value::Object(map) = &mut value {
        map.retain(|_, member| !member.is_null());
    }
    Some(value)
}

/// A derived event; [`crate::routes::Routes::intake`] gives it its id.
pub fn event(
    kind: &str,
    key: &str,
    revision: i64,
    order_key: &str,
    record: &Value,
    delivery: &str,
    now_ms: i64,
) -> Event {
    Event {
        id: String::new(),
        kind: kind.into(),
        source: "tongbao".into(),
        key: key.into(),
        revision,
        order_key: order_key.into(),
        occurred_at_ms: now_ms,
        digest: digest::of_record(&Tree::from(record)),
        record: record.to_string(),
        cause: Some(delivery.into()),
    }
}

/// A record as JSON without absent members; used by the ledger too.
pub fn record(record: &impl Serialize) -> Value {
    json(record).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tongbao_connect::{Remote, signing};

    fn confirmed(facts: Value) -> Option<Event> {
        let claim =
            json!({"flow_id": "f-1", "provider": "esign", "state": "signed", "contract_number": "HT-9"});
        let cause = event(kinds::SIGNATURE_REPORTED, "f-1", 17, "f-1", &claim, "", 0);
        let task = Task {
            kind: signing::STATUS.into(),
            key: "f-1".into(),
            origin: String::new(),
            document: json!({}).into(),
            reached: None,
            expected: tongbao_connect::Expected::default(),
            files: Vec::new(),
        };
        let receipt = Receipt { remote: Remote::default(), facts, ..Receipt::default() };
        follow_on(kinds::SIGNATURE_CONFIRMED, &cause, "d-1", &task, &receipt, 5).pop()
    }

    #[test]
    fn a_signature_is_what_was_answered_and_not_what_was_claimed() {
        let answered = |state: &str| {
            confirmed(json!({"state": state, "contract_number": "HT-1", "at": "2026-11-20T10:00:00+08:00"}))
        };
        let event = answered("rejected").unwrap();
        assert_eq!((event.key.as_str(), event.revision, event.order_key.as_str()), ("f-1", 2, "HT-1"));
        assert_eq!(event.cause.as_deref(), Some("d-1"));
        assert_eq!(
            event.record,
            r#"{"flow_id":"f-1","revision":2,"provider":"esign","contract_number":"HT-1","state":"rejected","at":"2026-11-20T10:00:00+08:00"}"#
        );
        assert_eq!(answered("rejected").unwrap().digest, event.digest, "a repeat adds nothing");
        assert_eq!(answered("annulled").unwrap().revision, 3);
        let bare = confirmed(json!({"state": "signing"})).unwrap();
        assert_eq!((bare.revision, bare.order_key.as_str()), (1, "f-1"), "nobody's contract");
        assert!(!bare.record.contains("HT-9"), "{}", bare.record);
        assert_eq!(confirmed(json!({"state": "done"})), None);
        assert_eq!(confirmed(json!({})), None);
    }
}
