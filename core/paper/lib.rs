//! Statements as files that people open, print and stamp, and what proves that such a file is what the books say.
//!
//! Every format has the same rows and the same last line: a checksum over a canonical text of the statement. This package does
//! not know where a statement comes from, nor who gets it: no storage, no network, no clock.

pub mod checksum;
pub mod csv;
pub mod drift;
pub mod grid;
pub mod pack;
pub mod pdf;
pub mod verify;
pub mod words;
pub mod xlsx;

use tongbao_recon::statement::Statement;

/// A statement with what is on the paper beside it.
#[derive(Debug, Clone, Copy)]
pub struct Paper<'a> {
    /// What it says.
    pub statement: &'a Statement,
    /// Who issues it. Not part of what is proved.
    pub seller: Option<&'a str>,
    /// The customer's name. Not part of what is proved.
    pub buyer: Option<&'a str>,
}

#[cfg(test)]
mod tests;
