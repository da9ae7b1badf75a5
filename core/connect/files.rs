//! Reading files: statements and bills that nobody pushes and no interface answers with.

use crate::source::Incoming;
use serde_json::Value;
use std::path::PathBuf;
use tongbao_model::Fault;

/// What a file held, every row of it accounted for.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// Documents to be accepted, oldest first.
    pub documents: Vec<Incoming>,
    /// Members of a document that tell which fact it states. The same fact comes in more than one file, with another
    /// place in it and sometimes in other words: only these members tell a repeat from a change.
    pub facts: &'static [&'static str],
    /// What was read, skipped and checked, for whoever imported it. Without personal data.
    pub about: Value,
}

/// A folder that files are taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The folder; a relative one is relative to the configuration file's.
    pub folder: PathBuf,
    /// Pause between two looks, in milliseconds.
    pub every_ms: u64,
}

/// Reads files. What a file is, its content says, never its name.
pub trait Files: Send + Sync {
    /// Reads a whole file. Pure and stable: the same bytes always give the same documents. All of it or nothing: a
    /// fault names the row, and nothing of the file is kept.
    ///
    /// # Errors
    /// A [`Fault`] with the row, what was expected and what was found.
    fn read(&self, bytes: &[u8]) -> Result<Contents, Fault>;

    /// Largest file, in bytes.
    fn bytes_max(&self) -> usize;

    /// The folder to take files from, if one is set.
    fn watch(&self) -> Option<Watch>;
}
