//! What the control of invoices keeps: of every document that says what may be invoiced, is asked for or was invoiced,
//! the newest revision.

/// A document of a contract, as the control of invoices keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoicePaper {
    /// Contract it is of.
    pub contract: String,
    /// What it is, e.g. `contract`, `request`, `order`, `invoice`: with contract and number its key.
    pub kind: String,
    /// Its number.
    pub number: String,
    /// Revision; of each (contract, kind, number) the newest stays, whatever comes last.
    pub revision: i64,
    /// Where it stands, in a word.
    pub state: String,
    /// Event it comes from.
    pub event: String,
    /// When it happened, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// Code of the customer, where the document names one.
    pub customer: Option<String>,
    /// What it says, as a JSON object with numbers as text.
    pub record: String,
}

/// Which papers are wanted; what is `None` does not narrow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaperFilter {
    /// Kind.
    pub kind: Option<String>,
    /// State.
    pub state: Option<String>,
    /// Code of the customer.
    pub customer: Option<String>,
    /// Number, of whatever contract.
    pub number: Option<String>,
    /// Those behind this (contract, kind, number), which is their order.
    pub after: Option<(String, String, String)>,
    /// How many at most; 0: as many as one answer holds.
    pub limit: u64,
}
