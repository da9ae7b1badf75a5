//! The cases by name.

mod brokers;
mod crashing;
mod databases;
mod digest;
mod documents;
mod far_sides;
mod process;

use crate::Case;

/// Every case with its name.
pub fn all() -> Vec<(String, Case)> {
    [crashing::cases(), brokers::cases(), databases::cases(), far_sides::cases()]
        .into_iter()
        .flatten()
        .collect()
}
