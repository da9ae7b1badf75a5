//! Invoice control (开票控制): what may be invoiced, and that no more is.
//!
//! The built-in target `invoicing` judges what is asked for. A request for an invoice is held against the lines of its
//! contract, credit notes, and everything that was let through before; what is let through is an event `invoice.approved`, one
//! for each invoice, with final amounts, and only such an event is sent to the tax platform. What is refused is refused for
//! good and said as an event too. A request to take an invoice back goes the same way to `red_invoice.approved`. All requests
//! of one contract are in one lane, so no two are judged over the same rest; papers and events are stored with the outcome.

mod by_hand;
mod folder;
mod judge;
mod paper;
#[cfg(test)]
mod tests;
mod view;

pub use by_hand::{Asked, together, withdraw};
pub use judge::{handle, withdrawn};
pub use view::{Match, Matched, Shown, Waiting, show, three_way, waiting};
