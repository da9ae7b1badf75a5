//! Payments as they are stored: what documents say of them, and what they were allocated to.
//!
//! A payment is put in with the outcome of its delivery and nothing else is decided there. Allocations are made by one at a
//! time over what is stored ([`Store::settle`](crate::port::Store::settle)): two that look at the same open items at once can
//! never both use them.

use crate::port::{Intake, LedgerEntry};
use serde::{Deserialize, Serialize};

/// Whose book a payment is in. One receipt that is in both is one payment. In the order of their names, as databases have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentBook {
    /// The bank's.
    Bank,
    /// The ERP's.
    Erp,
}

impl PaymentBook {
    /// Stable name, as stored.
    pub fn name(self) -> &'static str {
        match self {
            PaymentBook::Erp => "erp",
            PaymentBook::Bank => "bank",
        }
    }

    /// The book of a stored name.
    pub fn from_name(name: &str) -> Option<PaymentBook> {
        [PaymentBook::Erp, PaymentBook::Bank].into_iter().find(|book| book.name() == name)
    }

    /// The other one.
    pub fn other(self) -> PaymentBook {
        match self {
            PaymentBook::Erp => PaymentBook::Bank,
            PaymentBook::Bank => PaymentBook::Erp,
        }
    }
}

/// What the newest document says of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentSaid {
    /// Whose.
    pub book: PaymentBook,
    /// Its number there: the business key.
    pub number: String,
    /// Which state of the document this is.
    pub revision: i64,
    /// Event that says so.
    pub event: String,
    /// `ordinary`, `refund` or `reversal`, as of a bank entry.
    pub kind: String,
    /// Taken back at its source: it is no payment any more.
    pub reversed: bool,
    /// Decimal as text, less than zero where money went out.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
    /// When it came in, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// The bank's reference.
    pub reference: Option<String>,
    /// Name of the other party.
    pub party: Option<String>,
    /// Its account.
    pub party_account: Option<String>,
    /// What it is for, in whoever's words.
    pub text: Option<String>,
    /// Code of the customer, where the document names one.
    pub customer: Option<String>,
    /// Contract, where the document names one.
    pub contract: Option<String>,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payment {
    /// What is said of it.
    #[serde(flatten)]
    pub said: PaymentSaid,
    /// How often something was decided about it.
    pub turn: i64,
    /// Whether there is something to decide.
    pub open: bool,
    /// Only a person decides: one has taken back what had been decided.
    pub by_hand: bool,
    /// Its number in the other book.
    pub pair: Option<String>,
    /// What the last look said, as JSON text.
    #[serde(skip)]
    pub verdict: Option<String>,
}

/// A part of a payment, and what it pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allocation {
    /// Whose payment.
    pub book: PaymentBook,
    /// Its number.
    pub number: String,
    /// The decision that it is of: [`Payment::turn`] after it.
    pub turn: i64,
    /// Place in that decision, from 0.
    pub place: i32,
    /// Contract that is paid.
    pub contract: String,
    /// Invoice that is paid; `None` for the contract as a whole.
    pub paper: Option<String>,
    /// Money, as decimal text.
    pub amount: String,
    /// What a bank kept, as decimal text: closed without money.
    pub fee: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Code of the customer, as far as known then.
    pub customer: Option<String>,
    /// Revision of the payment that was decided about.
    pub revision: i64,
    /// Rule that decided; `by-hand` for a person.
    pub rule: String,
    /// Person who decided, if one did.
    pub who: Option<String>,
    /// What spoke for it, as JSON text.
    #[serde(skip)]
    pub reasons: String,
    /// Decided at.
    pub at_ms: i64,
    /// Taken back at.
    pub undone_ms: Option<i64>,
    /// Who took it back; a rule's name where it was none.
    pub undone_by: Option<String>,
    /// Why.
    pub undone_why: Option<String>,
}

impl Allocation {
    /// The rule of what a person decided.
    pub const BY_HAND: &'static str = "by-hand";

    /// Whether it counts.
    pub fn stands(&self) -> bool {
        self.undone_ms.is_none()
    }
}

/// Why allocations are taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoing {
    /// Person, or a rule's name.
    pub who: String,
    /// Reason.
    pub why: String,
}

/// A decision about one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settling {
    /// Whose payment.
    pub book: PaymentBook,
    /// Its number.
    pub number: String,
    /// Its revision when it was looked at.
    pub revision: i64,
    /// Its turn then; one more after this.
    pub turn: i64,
    /// Whether something is left to decide.
    pub open: bool,
    /// Whether only a person decides from now on.
    pub by_hand: bool,
    /// Its number in the other book.
    pub pair: Option<String>,
    /// What is said about it, as JSON text.
    pub verdict: Option<String>,
    /// Takes back what stands.
    pub undo: Option<Undoing>,
    /// What stands from now on.
    pub allocations: Vec<Allocation>,
    /// Events that tell of it.
    pub events: Vec<Intake>,
}

impl Settling {
    /// One that leaves a payment as it is.
    pub fn of(payment: &Payment) -> Settling {
        Settling {
            book: payment.said.book,
            number: payment.said.number.clone(),
            revision: payment.said.revision,
            turn: payment.turn,
            open: payment.open,
            by_hand: payment.by_hand,
            pair: payment.pair.clone(),
            verdict: payment.verdict.clone(),
            undo: None,
            allocations: Vec::new(),
            events: Vec::new(),
        }
    }
}

/// Which payments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Of this book.
    pub book: Option<PaymentBook>,
    /// With something to decide, or without.
    pub open: Option<bool>,
    /// With a pair in the other book, or without.
    pub paired: Option<bool>,
    /// That came in at this time or later.
    pub from_ms: Option<i64>,
    /// That came in before this time.
    pub before_ms: Option<i64>,
    /// After this one, by book and number.
    pub after: Option<(PaymentBook, String)>,
    /// At most so many; 0 means 1,000. Never more than 10,000.
    pub limit: u64,
}

/// Some contracts' entries, newest revisions only, with every allocation on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// By contract.
    pub entries: Vec<LedgerEntry>,
    /// Those that stand and those that were taken back.
    pub allocations: Vec<Allocation>,
    /// Contracts with the numbers that their documents have at far sides, such as the order's in the ERP.
    pub numbers: Vec<(String, String)>,
    /// The contract to go on after; `None` at the end.
    pub next: Option<String>,
}

/// A name or an account under which a customer pays, learned from what a person has decided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LearnedPayer {
    /// Code of the customer.
    pub customer: String,
    /// Name of the payer.
    pub name: Option<String>,
    /// Its account.
    pub account: Option<String>,
}
