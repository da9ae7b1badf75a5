//! What delivery calls to have a document sent: the application's pipeline.

use crate::invoicing::InvoicePaper;
use crate::payments::PaymentSaid;
use crate::port::{Binding, Intake, LedgerEntry, RemoteRef, Work};
use async_trait::async_trait;
use tongbao_model::{Class, Fault};

/// Makes one attempt: maps, calls the target, reads the answer.
#[async_trait]
pub trait Handler: Send + Sync {
    /// One attempt. [`crate::first_move`] of `work.previous` says whether it may send or has to ask first.
    async fn handle(&self, work: &Work, now_ms: i64) -> Report;
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Class of the outcome.
    pub class: Class,
    /// With [`Class::Rejected`]: refused for good, no person can mend it, successors go on.
    pub final_rejection: bool,
    /// Nobody but a person can say what became of it: parked at once, whatever the class.
    pub for_person: bool,
    /// What went wrong, if anything.
    pub fault: Option<Fault>,
    /// How far the document has come in the target.
    pub remote: Option<RemoteRef>,
    /// What was sent, masked, JSON text.
    pub request: Option<String>,
    /// What came back, masked, JSON text.
    pub response: Option<String>,
    /// Mapping name and version.
    pub mapping: Option<String>,
    /// Revision of the code tables that were used.
    pub tables_revision: Option<i64>,
    /// Binding to store.
    pub binding: Option<Binding>,
    /// Events that follow.
    pub follow_on: Vec<Intake>,
    /// Movements on receivable accounts.
    pub entries: Vec<LedgerEntry>,
    /// What documents say of payments.
    pub payments: Vec<PaymentSaid>,
    /// Papers for the control of invoices.
    pub papers: Vec<InvoicePaper>,
}

impl Report {
    /// A report of a bare class.
    pub fn new(class: Class) -> Self {
        Report {
            class,
            final_rejection: false,
            for_person: false,
            fault: None,
            remote: None,
            request: None,
            response: None,
            mapping: None,
            tables_revision: None,
            binding: None,
            follow_on: Vec::new(),
            entries: Vec::new(),
            payments: Vec::new(),
            papers: Vec::new(),
        }
    }

    /// The report of a fault, with the class its code has.
    pub fn fault(fault: Fault) -> Self {
        Report { fault: Some(fault.clone()), ..Report::new(fault.code.class()) }
    }
}
