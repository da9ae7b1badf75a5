//! Writing to a system.

use crate::letter::Attached;
use crate::outcome::{Failure, Lookup, Outcome, Remote};
use async_trait::async_trait;
use rust_decimal::Decimal;
use tongbao_model::Json;

/// One document to be made to stand in the far system.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Document kind, e.g. `SAL_SaleOrder`.
    pub kind: String,
    /// Business key. The connector writes it into the document; it is the same in every attempt.
    pub key: String,
    /// Who we are, for the stamp that tells our documents from others' with the same number: source connection,
    /// event kind and key. The same in every attempt.
    pub origin: String,
    /// The document a mapping made: an object.
    pub document: Json,
    /// How far earlier attempts came, when that is known: `apply` goes on from there.
    pub reached: Option<Remote>,
    /// What the far side's report will be compared with.
    pub expected: Expected,
    /// Files that go along, in memory only: what a document says is stored with each attempt, and these are not.
    pub files: Vec<Attached>,
}

/// Amounts to be read back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// Total with tax of the source record.
    pub total_tax_included: Option<Decimal>,
}

/// Writes to a system.
///
/// The engine stores its intent before every call and the outcome after it. After an outcome that is not
/// certain it calls `lookup` and never `apply`, until `lookup` has answered.
#[async_trait]
pub trait Target: Send + Sync {
    /// Makes the document stand: sends it, takes it through all its steps, reads its amounts back. When
    /// `task.reached` is set the document exists and only the missing steps are taken. Answers `Unknown` whenever the
    /// far side may have acted and did not say so.
    async fn apply(&self, task: &Task) -> Outcome;

    /// Asks for the document by its key. Changes nothing. A connector whose system can never be asked answers
    /// `NobodyToAsk`, and the delivery is parked; a person's replay sends it again.
    async fn lookup(&self, task: &Task) -> Lookup;

    /// Whether the system itself refuses a second document under the same key. If it does not, a call of unknown outcome
    /// is given until the end of its lease to take effect before anyone asks about it or sends again.
    fn refuses_twice(&self) -> bool {
        false
    }

    /// Whether the system cannot be asked and a document that comes twice does less harm than one that never comes: messages
    /// to people. What may have been lost is then sent again, without a question, and may be there twice.
    fn repeats(&self) -> bool {
        false
    }

    /// Calls the system in the cheapest way that proves address, credentials and permission (`tongbao doctor`).
    async fn probe(&self) -> Result<String, Failure>;
}
