//! Follow-on events: what a success in a target means to everybody else.

use serde::Serialize;
use serde_json::Value;
use tongbao_connect::{Receipt, Task};
use tongbao_model::event::kinds;
use tongbao_model::record::{Invoice, SalesOrder, Time};
use tongbao_model::{Event, Exact, Tree, digest};

/// Event kinds a flow may emit.
pub const EMITTED: &[&str] = &[kinds::SALES_ORDER_POSTED, kinds::INVOICE_ISSUED];

/// The event that follows from a document standing in a target. `None` for a kind that is not in [`EMITTED`],
/// which the configuration check refuses.
pub fn follow_on(
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
        _ => return None,
    };
    Some(event(kind, &key, 1, &contract, &record, delivery, now_ms))
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
