//! What calls to a target came to.

use rust_decimal::Decimal;
use serde_json::Value;
use tongbao_model::{Class, Code, Fault};

/// A document in the far system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remote {
    /// Internal id, as text.
    pub id: String,
    /// Number that people see.
    pub number: String,
    /// Step reached, in the connector's words.
    pub step: String,
}

/// The far system's word on a document that stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// The document.
    pub remote: Remote,
    /// Total with tax, as the far system reports it; `None` when it reports none: a visible third state between
    /// equal and different.
    pub total_tax_included: Option<Decimal>,
    /// Currency as the far system reports it, in its own code.
    pub currency: Option<String>,
    /// Facts the follow-on event is made of (numbers, links, times): a document of the kind
    /// `<connector>/<kind>.receipt`, which a mapping may read.
    pub facts: Value,
}

/// What one `apply` came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The document stands as sent.
    Done(Receipt),
    /// It stood already, and it is ours.
    AlreadyThere(Receipt),
    /// Anything else.
    Failed(Failure),
}

/// A call that did not end in a standing document, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it came to. Never `Done` or `AlreadyThere`.
    pub class: Class,
    /// In words.
    pub fault: Fault,
    /// How far the document came, when that is known.
    pub reached: Option<Remote>,
    /// The far side's answer, masked, as far as it could be read.
    pub response: Option<Value>,
}

impl Failure {
    /// A failure of the class its fault's code has.
    pub fn new(fault: Fault) -> Self {
        Failure { class: fault.code.class(), fault, reached: None, response: None }
    }

    /// Another class than the code's own.
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// The failure of a mere question: one that got no answer did nothing, so nothing is in doubt by it.
    pub fn of_question(self) -> Self {
        if self.class != Class::Unknown {
            return self;
        }
        let code = Code::TargetUnavailable;
        Failure { class: code.class(), fault: Fault { code, remedy: code.remedy(), ..self.fault }, ..self }
    }

    /// Notes how far the document came.
    pub fn reached(mut self, remote: Remote) -> Self {
        self.reached = Some(remote);
        self
    }

    /// Keeps the (masked) answer.
    pub fn response(mut self, response: Value) -> Self {
        self.response = Some(tongbao_model::mask::document(&response));
        self
    }
}

/// What asking for a document by its key came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// It stands, complete, and it is ours.
    Found(Receipt),
    /// It is there and ours, and steps are missing: `apply` goes on from here.
    Partial(Remote),
    /// A document of that key is there and it is not ours.
    Foreign(Failure),
    /// It is not there: sending is safe.
    Absent,
    /// Too early to tell, e.g. still being issued. Ask again.
    Pending(Remote),
    /// The question could not be answered this time.
    CannotTell(Failure),
    /// There is nobody who could ever be asked: a person looks into the far system, and a replay then sends again.
    NobodyToAsk(Failure),
}
