//! Values every other package agrees on: canonical records, exact decimals, events, outcome classes,
//! faults, diagnostics.
//!
//! This package does not know any outside system, any file format of the product but YAML's bare
//! structure, any database, network or clock. Nothing here performs I/O and nothing here is async.

#![deny(clippy::float_arithmetic)]

pub mod china;
pub mod class;
pub mod decimal;
pub mod diagnostic;
pub mod digest;
pub mod event;
pub mod fault;
pub mod json;
pub mod mask;
pub mod record;
pub mod shape;
pub mod signature;
pub mod yaml;

pub use china::Month;
pub use class::{Class, Owner};
pub use decimal::Exact;
pub use event::Event;
pub use fault::{Code, Fault, Text};
pub use json::{Json, Tree};
pub use signature::SignatureState;
