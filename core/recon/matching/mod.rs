//! Payments and what they pay.
//!
//! Every rule is asked for all payments at once, and what it confirms is taken before the next rule is asked. So the result
//! does not depend on who came first, nothing is used twice, and two payments that want one item are a tie and not a race.
//! Precision goes before recall: what any payment has a claim on, confirmed or not, no weaker rule takes from it, and
//! whatever speaks against a match leaves it to a person.

mod clues;
mod fits;
pub mod names;
mod outcome;
mod payers;
pub mod planted;
mod policy;
pub mod references;
mod round;
pub mod subset;

pub use outcome::{Match, Reason, Take, Verdict};
pub use payers::Payers;
pub use policy::{By, Fee, Fit, Policy, Rule};
pub use round::matched;

use rust_decimal::Decimal;

/// Something owed: an invoice, a contract's instalment, a red invoice (negative).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Unique among the items.
    pub id: String,
    /// Customer code.
    pub customer: String,
    /// Numbers that name it: its own, its order's, its contract's.
    pub references: Vec<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// What is open of it, in `currency`; zero when it is paid.
    pub open: Decimal,
}

/// Money that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Unique among the payments.
    pub id: String,
    /// ISO 4217 code.
    pub currency: String,
    /// More than zero, in `currency`.
    pub amount: Decimal,
    /// Whatever payer and bank wrote.
    pub text: String,
    /// As the bank tells it.
    pub payer_name: Option<String>,
    /// As the bank tells it.
    pub payer_account: Option<String>,
}

/// Why nothing was matched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// An amount that cannot be worked with exactly: too large, or with too many decimals.
    #[error("the amount of {0} has too many digits")]
    Range(String),
    /// A payment of nothing, or of less.
    #[error("payment {0} is not of money that came in")]
    NotIn(String),
    /// Two items, or two payments, with one id.
    #[error("{0} is there twice")]
    Twice(String),
}

#[cfg(test)]
mod tests;
