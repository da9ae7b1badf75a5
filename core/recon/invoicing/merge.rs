//! Several requests as one.

use super::{Billed, InvoiceKind};
use std::collections::BTreeMap;
use tongbao_model::{Code, Fault};

/// A request that was let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Its number.
    pub number: String,
    /// Code of the customer.
    pub customer: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Kind of invoice.
    pub kind: InvoiceKind,
    /// Its lines, which name their contract.
    pub lines: Vec<Billed>,
}

/// Requests of one customer, currency and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Number of the first of them: that of the whole.
    pub number: String,
    /// Numbers of all of them, in order.
    pub requests: Vec<String>,
    /// Code of the customer.
    pub customer: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Kind of invoice.
    pub kind: InvoiceKind,
    /// Lines of all, by contract.
    pub lines: Vec<Billed>,
}

/// Puts together what may be on one invoice, in whatever order the requests come. The same request twice counts once; two
/// requests of one number are refused.
pub fn merge(requests: &[Asking]) -> Result<Vec<Merged>, Fault> {
    let mut by_number: BTreeMap<&str, &Asking> = BTreeMap::new();
    for request in requests {
        let known = by_number.insert(&request.number, request);
        if known.is_some_and(|known| known != request) {
            return Err(conflict(&request.number));
        }
    }
    let mut merged: BTreeMap<(&str, &str, InvoiceKind), Merged> = BTreeMap::new();
    for (number, request) in by_number {
        let key = (request.customer.as_str(), request.currency.as_str(), request.kind);
        let whole = merged.entry(key).or_insert_with(|| Merged {
            number: number.to_owned(),
            requests: Vec::new(),
            customer: request.customer.clone(),
            currency: request.currency.clone(),
            kind: request.kind,
            lines: Vec::new(),
        });
        whole.requests.push(number.to_owned());
        whole.lines.extend(request.lines.iter().cloned());
    }
    let mut merged: Vec<Merged> = merged.into_values().collect();
    for whole in &mut merged {
        whole.lines.sort();
    }
    Ok(merged)
}

fn conflict(number: &str) -> Fault {
    Fault::new(
        Code::EventConflict,
        "同一申请号有两份不同的开票申请",
        "two different requests came under one number",
    )
    .at("number")
    .value(number)
}
