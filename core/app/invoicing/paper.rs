//! Papers as they are kept.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tongbao_delivery::invoicing::InvoicePaper;
use tongbao_delivery::port::{StoreError, Stored};
use tongbao_model::record::{Contract, InvoiceOrder};

/// The contract itself, in its newest revision. Record: `contract`.
pub const CONTRACT: &str = "contract";
/// A credit note. Record: `credit_note`.
pub const CREDIT: &str = "credit";
/// An issued invoice. Record: `invoice`.
pub const INVOICE: &str = "invoice";
/// An invoice to be issued, or a request that waits to be put together with others. Record: [`Kept`].
pub const ORDER: &str = "order";
/// A request that waits, or waited, to be put together with others. Record: [`Kept`].
pub const REQUEST: &str = "request";

/// It counts.
pub const APPROVED: &str = "approved";
/// It waits for others to be put together with.
pub const WAITING: &str = "waiting";
/// It is in another one now.
pub const MERGED: &str = "merged";
/// A person took it back: nothing of it will be issued.
pub const WITHDRAWN: &str = "withdrawn";
/// It is what it is.
pub const KNOWN: &str = "known";

/// An invoice to be issued, and who did something about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Kept {
    /// As it was let through.
    pub order: InvoiceOrder,
    /// Requests it was made of.
    pub requests: Vec<String>,
    /// Who put it together or took it back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub who: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// A record as a paper holds it.
pub fn text(record: &impl Serialize) -> String {
    serde_json::to_value(record).unwrap_or(Value::Null).to_string()
}

/// The record of a paper.
///
/// # Errors
/// It cannot be read.
pub fn read<T: DeserializeOwned>(paper: &InvoicePaper) -> Stored<T> {
    serde_json::from_str(&paper.record)
        .map_err(|_| StoreError::Corrupt(format!("invoice paper {} {}", paper.kind, paper.number)))
}

/// An order or a request as a paper of one of its contracts.
pub fn of_order(
    kept: &Kept,
    (kind, state): (&str, &str),
    contract: &str,
    event: &str,
    at_ms: i64,
) -> InvoicePaper {
    InvoicePaper {
        contract: contract.to_owned(),
        kind: kind.to_owned(),
        number: kept.order.number.clone(),
        revision: 1,
        state: state.to_owned(),
        event: event.to_owned(),
        at_ms,
        customer: kept.order.customer.as_ref().map(|customer| customer.code.clone()),
        record: text(kept),
    }
}

/// A contract as a paper.
pub fn of_contract(contract: &Contract, revision: i64, event: &str, at_ms: i64) -> InvoicePaper {
    InvoicePaper {
        contract: contract.number.clone(),
        kind: CONTRACT.to_owned(),
        number: contract.number.clone(),
        revision,
        state: KNOWN.to_owned(),
        event: event.to_owned(),
        at_ms,
        customer: contract.customer.as_ref().map(|customer| customer.code.clone()),
        record: text(contract),
    }
}
