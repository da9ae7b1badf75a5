//! Receivable accounts: what a contract owes, from the movements on it; payments and what they pay, and what commission is due
//! on for them; one receipt in two books; one customer under two codes; what a customer is told at the end of a month; what may
//! be invoiced; two exports compared by key.
//!
//! Pure: entries in, account out; no clock, no storage, no knowledge of ERPs, banks or CRMs. Amounts are exact
//! decimals, and the result does not depend on the order of the entries.

#![deny(clippy::float_arithmetic)]

pub mod account;
pub mod codes;
pub mod commission;
pub mod compare;
pub mod invoicing;
pub mod items;
pub mod matching;
pub mod pack;
pub mod pairing;
pub mod statement;

pub use account::{Account, AccountError, Movement, MovementKind, Stage};
