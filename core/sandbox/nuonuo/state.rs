//! What the platform remembers.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rust_decimal::Decimal;

/// How an accepted invoice will end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Issued,
    /// Status 22 with this `failCause`.
    Failed(String),
    /// Status 24: legally issued, file missing.
    SealFailed,
}

/// One line, amounts exact to two decimals.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub name: String,
    pub code: String,
    pub property: String,
    pub rate: Decimal,
    pub net: Decimal,
    pub tax: Decimal,
    pub gross: Decimal,
    pub num: Option<Decimal>,
    pub price: Option<Decimal>,
}

/// One order and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Invoice {
    pub order_no: String,
    pub serial: String,
    /// 20 digits, assigned when it is issued.
    pub number: Option<String>,
    pub status: &'static str,
    pub end: End,
    pub polls: u32,
    pub unseen_polls: u32,
    pub created_ms: i64,
    pub issued_ms: i64,
    pub buyer: String,
    pub buyer_tax: String,
    pub kind: String,
    pub remark: String,
    pub callback_url: String,
    pub lines: Vec<Line>,
    pub net: Decimal,
    pub tax: Decimal,
    pub gross: Decimal,
    /// Number of the blue invoice a red one reverses.
    pub red_of: Option<String>,
}

impl Invoice {
    /// Whether nothing moves any more without the caller.
    pub fn ended(&self) -> bool {
        matches!(self.status, "2" | "22" | "24" | "3")
    }
}

/// A red-letter confirmation (红字信息确认单).
#[derive(Debug, Clone)]
pub(crate) struct RedBill {
    pub bill_id: String,
    pub bill_no: String,
    pub uuid: String,
    /// `01` to `10`, `15`, `16`.
    pub status: String,
    pub blue: String,
    pub reason: String,
    /// Positive amounts to be reversed.
    pub net: Decimal,
    pub tax: Decimal,
    pub created_ms: i64,
    /// Order number of the red invoice issued from it.
    pub red_order: Option<String>,
}

impl RedBill {
    /// Whether it holds or has used part of the blue amount.
    pub fn counts(&self) -> bool {
        matches!(self.status.as_str(), "01" | "02" | "03" | "04" | "15")
    }
}

/// Everything of the platform that changes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub tokens: HashMap<String, i64>,
    pub token_calls: u32,
    pub seen: HashSet<String>,
    pub invoices: HashMap<String, Invoice>,
    /// Order numbers in the order they were accepted.
    pub accepted: Vec<String>,
    pub by_serial: HashMap<String, String>,
    pub by_number: HashMap<String, String>,
    /// Orders whose invoice has not ended.
    pub waiting: BTreeSet<String>,
    /// Tries per order number and day.
    pub tries: HashMap<String, (i64, u32)>,
    pub bills: BTreeMap<String, RedBill>,
    /// The seller's login at the tax bureau has expired: nothing can be issued.
    pub bureau_logged_out: bool,
    /// Status new confirmations get.
    pub new_bill_status: Option<String>,
    pub next: u64,
    /// Callbacks that did not fit into the queue.
    pub callbacks_dropped: u64,
    /// Callback tries: order number, HTTP status or 0, whether it was acknowledged.
    pub callbacks_sent: Vec<(String, u16, bool)>,
}

impl State {
    pub fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}
