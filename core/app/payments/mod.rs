//! Payments (收款) and what they pay (核销).
//!
//! The built-in target `payments` puts what a receipt or a line of a bank statement says beside the payments that are there,
//! and decides nothing. Every few seconds [`keep`] looks at those that are open: one receipt in two books is paired, a payment
//! that was taken back is taken off the accounts, what the rules are sure of is allocated, and of the rest it is noted what
//! can be said. Whoever decides, a rule or a person, does so by one [`Settling`](tongbao_delivery::payments::Settling):
//! allocations, and the events that book them on the contracts' accounts, in one transaction.

mod books;
mod by_hand;
mod decision;
mod keep;
mod plan;
mod said;
#[cfg(test)]
mod tests;
mod verdict;
mod view;

pub use books::{all, exact};
pub use by_hand::{Asked, Part, allocate, choose, undo};
pub use keep::{Looked, Matcher, look};
pub use said::handle;
pub use verdict::{Kind, Told, Way};
pub use view::{Drift, Shown, drifts, list, one, span};
