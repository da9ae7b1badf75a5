//! Events: immutable canonical facts.

use serde::{Deserialize, Serialize};

/// An immutable canonical fact with a business key and a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Made once when the event was accepted; time-ordered (UUID version 7).
    pub id: String,
    /// What happened, e.g. `contract.signed`.
    pub kind: String,
    /// Connection it came from; `tongbao` for events the service derived itself.
    pub source: String,
    /// Business key: the number people know the document by. Made at decode, never regenerated.
    pub key: String,
    /// Which state of the document this is; a higher one is newer. 1 where the source counts none.
    pub revision: i64,
    /// Deliveries of all events with the same order key to the same connection keep their order. The
    /// contract number for everything about one contract.
    pub order_key: String,
    /// When it happened, in milliseconds since 1970 UTC, as the source says.
    pub occurred_at_ms: i64,
    /// Lower-case hex SHA-256 of the canonical record: tells a repeat from a change.
    pub digest: String,
    /// The canonical record as JSON text, numbers exact.
    pub record: String,
    /// Delivery whose outcome caused this event, for derived ones.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

/// The event kinds the service itself understands or derives. A flow may also use kinds of its own.
pub mod kinds {
    /// A contract was signed (or amended: a higher revision). Record: `contract`.
    pub const CONTRACT_SIGNED: &str = "contract.signed";
    /// A contract is agreed and not signed yet: nothing is posted for it. Record: `contract`.
    pub const CONTRACT_DRAFTED: &str = "contract.drafted";
    /// A contract was undone after its signature. Record: `signature`.
    pub const CONTRACT_ANNULLED: &str = "contract.annulled";
    /// A callback says something of a signing flow, which counts for nothing by itself. Record: `signature`.
    pub const SIGNATURE_REPORTED: &str = "signature.reported";
    /// The provider was asked and said where a signing flow stands. Record: `signature`.
    pub const SIGNATURE_CONFIRMED: &str = "signature.confirmed";
    /// Goods came back or a price was corrected. Record: `credit_note`.
    pub const CREDIT_NOTE_SIGNED: &str = "credit_note.signed";
    /// Somebody asks for an invoice. Record: `invoice_request`.
    pub const INVOICE_REQUESTED: &str = "invoice.requested";
    /// Somebody asks to take an invoice back. Record: `red_request`.
    pub const RED_INVOICE_REQUESTED: &str = "red_invoice.requested";
    /// The control of invoices let one through: it is to be issued. Record: `invoice_order`.
    pub const INVOICE_APPROVED: &str = "invoice.approved";
    /// The control of invoices let a red one through. Record: `invoice_order`.
    pub const RED_INVOICE_APPROVED: &str = "red_invoice.approved";
    /// A request for an invoice, or for a red one, was refused. Record: `invoice_refusal`.
    pub const INVOICE_REFUSED: &str = "invoice.refused";
    /// The ERP holds the audited order. Record: `sales_order`.
    pub const SALES_ORDER_POSTED: &str = "sales_order.posted";
    /// The tax platform issued the invoice. Record: `invoice`.
    pub const INVOICE_ISSUED: &str = "invoice.issued";
    /// Money came in, or a receipt was taken back (`status: reversed`). Record: `payment`.
    pub const PAYMENT_RECEIVED: &str = "payment.received";
    /// The ERP has booked what a customer owes by an invoice, or taken it back (`status: reversed`). Record: `receivable`.
    pub const RECEIVABLE_BOOKED: &str = "receivable.booked";
    /// A statement shows an entry on an account of ours. Record: `bank_entry`.
    pub const BANK_BOOKED: &str = "bank.booked";
    /// What of a payment is for a contract was decided, or taken back. Record: `allocation`.
    pub const PAYMENT_ALLOCATED: &str = "payment.allocated";
    /// A payment was booked on a contract's account. Record: `opportunity_status`.
    pub const PAYMENT_MATCHED: &str = "payment.matched";
    /// What commission is due on for a payment is known, or changed. Record: `commission`.
    pub const COMMISSION_RELEASED: &str = "commission.released";

    /// A statement, or a reminder of one, is to go to its customer. The service writes the record itself, and the letter.
    pub const STATEMENT_DUE: &str = "statement.due";

    /// Somebody has to be told something. Record: `notice`.
    pub const NOTICE_DUE: &str = "notice.due";

    /// The kind that carries a canonical record, where the configuration names no kind of its own.
    pub fn of_record(record: &str) -> Option<&'static str> {
        Some(match record {
            "contract" => CONTRACT_SIGNED,
            "signature" => SIGNATURE_REPORTED,
            "credit_note" => CREDIT_NOTE_SIGNED,
            "invoice_request" => INVOICE_REQUESTED,
            "red_request" => RED_INVOICE_REQUESTED,
            "invoice_order" => INVOICE_APPROVED,
            "invoice_refusal" => INVOICE_REFUSED,
            "sales_order" => SALES_ORDER_POSTED,
            "invoice" => INVOICE_ISSUED,
            "payment" => PAYMENT_RECEIVED,
            "receivable" => RECEIVABLE_BOOKED,
            "bank_entry" => BANK_BOOKED,
            "allocation" => PAYMENT_ALLOCATED,
            "opportunity_status" => PAYMENT_MATCHED,
            "commission" => COMMISSION_RELEASED,
            "notice" => NOTICE_DUE,
            _ => return None,
        })
    }
}
