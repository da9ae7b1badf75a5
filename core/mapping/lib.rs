//! Declared translations between documents: parse → check → compile → run.
//!
//! A mapping file is read by finance implementers and checked like a program before the first document. This
//! package is pure: no I/O, no clock, no database, no network. It does not know any connector: both ends are
//! given to it as shapes. Code tables come in as a snapshot. Arithmetic is decimal and exact; every rounding
//! is written in the file.

#![deny(clippy::float_arithmetic)]

mod check;
mod cover;
mod eval;
mod expr;
mod fields;
pub mod functions;
mod run;
mod syntax;
mod tables;
mod testing;
mod typing;

#[cfg(test)]
mod tests;

pub use check::{Ends, Mapping, compile};
pub use run::{Mapped, Stop, Trace};
pub use syntax::{Head, head};
pub use tables::Tables;
pub use testing::{Tested, run_tests};

/// Zone that dates and local times are read and written in, unless a mapping says otherwise.
pub const ZONE_DEFAULT: &str = "Asia/Shanghai";
