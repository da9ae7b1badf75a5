//! Declared translations between documents: parse → check → compile → run.
//!
//! A mapping file is read by finance implementers and checked like a program before the first document. This
//! package is pure: no I/O, no clock, no database, no network. It does not know any connector: both ends are
//! given to it as shapes. Code tables come in as a snapshot. Arithmetic is decimal and exact; every rounding
//! is written in the file.

#![deny(clippy::float_arithmetic)]

mod calls;
mod check;
mod code;
pub mod codes;
mod compare;
mod cover;
mod coverage;
mod decode;
mod eval;
mod expr;
mod fields;
mod format;
pub mod functions;
mod layout;
mod level;
mod lists;
mod misses;
mod money;
mod plan;
mod read;
mod reference;
mod related;
mod report;
mod reuse;
mod rows;
mod rules;
mod run;
mod runner;
mod schema;
mod share;
mod skeleton;
mod syntax;
mod tables;
mod testing;
mod typing;
mod upgrade;
mod value;
mod write;

#[cfg(test)]
mod spec;

pub use check::{EXPRESSION_BYTES_MAX, Ends, Mapping, compile, compile_files, compile_with};
pub use compare::{Change, Compared, compare};
pub use coverage::{Coverage, coverage};
pub use decode::{DOCUMENT_BYTES_MAX, LINES_MAX};
pub use format::format;
pub use misses::missed;
pub use reference::reference;
pub use related::{RELATED_MAX, Related, Wanted};
pub use reuse::{Files, NoFiles, REUSE_MAX, SourceFile, TheseFiles, builds_on};
pub use run::{Mapped, MappedJson, Stop, Trace};
pub use schema::schema;
pub use skeleton::Skeleton;
pub use syntax::{Head, head};
pub use tables::{CodeRow, Found, Table, Tables, split_date};
pub use testing::{Tested, run_tests};
pub use upgrade::{Upgraded, upgrade};

/// Zone that dates and local times are read and written in, unless a mapping says otherwise.
pub const ZONE_DEFAULT: &str = "Asia/Shanghai";
