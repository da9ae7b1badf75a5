//! Two exports compared by key: what is in both with the same sum, with another one, and what is in one of them only.
//!
//! Amounts of a key are added up on either side, so that several payments of one invoice stand against it. The result does
//! not depend on the order of the rows, and every row is in it: as part of a sum, or refused with its line and a reason.

mod amount;
mod books;
mod heading;
mod key;
mod ledger;
mod outcome;
mod reader;
mod record;
mod refusal;
#[cfg(test)]
mod tests;
mod text;

pub use amount::Sum;
pub use books::{Books, PARTS};
pub use encoding_rs::{Encoding, GB18030, UTF_8};
pub use heading::Columns;
pub use ledger::Ledger;
pub use outcome::{Class, Differing, Line, Outcome, Tallies, Tally};
pub use reader::{Batch, Read, Reader};
pub use refusal::{Reason, Refusal, Refusals};

/// Longest key, in bytes.
pub const KEY_MAX: usize = 512;
/// Longest record, in bytes.
pub const RECORD_MAX: usize = 1 << 20;
/// Between a key and its currency.
const SEPARATOR: char = '\u{1f}';

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
}
