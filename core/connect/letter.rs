//! Letters to people outside, which name their own recipients and may bring files along. The service writes them itself, so
//! that there is no document of this kind for mappings; only connectors that post letters know them.

use crate::outcome::Failure;
use crate::target::Task;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tongbao_model::{Code, Fault};

/// Kind of the tasks that are letters.
pub const KIND: &str = "letter";

/// A letter as it stands in a task's document. Its files are beside it in the task.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Whom it goes to: mail addresses.
    pub to: Vec<String>,
    /// Who gets a copy, seen by all.
    pub copy: Vec<String>,
    /// Subject.
    pub subject: String,
    /// Plain text, lines ended by `\n`.
    pub text: String,
}

/// A file that comes with a letter.
#[derive(Clone, PartialEq, Eq)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// As IANA has it registered.
    pub media_type: String,
    /// What is in it.
    pub bytes: Arc<Vec<u8>>,
}

/// Without what is in it: it is somebody's accounts.
impl std::fmt::Debug for Attached {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Attached({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

/// Reads the letter of a task. What is wrong with it is told without a word of it.
///
/// # Errors
/// It is none.
pub fn read(task: &Task) -> Result<Letter, Failure> {
    serde_json::from_str(task.document.text())
        .map_err(|_| Failure::new(Fault::new(Code::Defect, "信件内容无法读取", "the letter cannot be read")))
}
