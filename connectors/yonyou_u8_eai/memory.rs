//! What polls remember of receipts. The template of a receipt states no time of change, and a deleted receipt is simply
//! no longer there: both are found by comparing with what was there before. The memory is the cursor itself, so it is
//! stored in one transaction with the documents it led to.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Everything dated before this day was read at least once (`yyyy-MM-dd`).
    pub next: String,
    /// Receipts of the days that are read again, by number.
    #[serde(default)]
    pub seen: BTreeMap<String, Seen>,
}

/// One receipt as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Its date (`yyyy-MM-dd`).
    #[serde(rename = "d")]
    pub date: String,
    /// Hash of its rows; empty once it is gone.
    #[serde(rename = "h")]
    pub hash: String,
    /// Revision told last: the start of the day it was first told, in milliseconds since 1970, or one more each time.
    #[serde(rename = "r")]
    pub revision: i64,
    /// Currency by name.
    #[serde(rename = "c", default)]
    pub currency: String,
    /// Order number and amount of each row: enough to take back what was told.
    #[serde(rename = "e", default)]
    pub rows: Vec<(String, String)>,
}

impl Memory {
    /// Reads a cursor.
    pub fn read(cursor: &str) -> Option<Memory> {
        serde_json::from_str(cursor).ok()
    }

    /// As a cursor; the same memory is always the same text.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Seen {
    /// The revision after this one, at a poll of a day that began at this time.
    pub fn next_revision(&self, day_ms: i64) -> i64 {
        day_ms.max(self.revision.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let seen = Seen {
            date: "2026-11-20".into(),
            hash: "00ff".into(),
            revision: 5,
            currency: "人民币".into(),
            rows: vec![("SO-1".into(), "1.00".into())],
        };
        let memory = Memory { next: "2026-11-21".into(), seen: [("SK-1".to_owned(), seen.clone())].into() };
        assert_eq!(Memory::read(&memory.text()), Some(memory));
        assert_eq!(Memory::read("2026-11-21"), None);
        assert_eq!((seen.next_revision(3), seen.next_revision(9)), (6, 9));
    }
}
