//! What polls remember of receipts: the cursor itself, stored in one transaction with the documents it led to. A list
//! states no time of change, so a change, and that a receipt is gone, is found by comparing.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Everything dated before this day was read at least once (`yyyy-MM-dd`).
    pub next: String,
    /// The receipt whose rows were looked into last, in turn.
    #[serde(default)]
    pub turn: String,
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
    /// Hash of its line in the list.
    #[serde(rename = "l", default)]
    pub listed: String,
    /// Hash of its rows; empty once it is gone.
    #[serde(rename = "h")]
    pub rows_hash: String,
    /// Revision told last.
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

    /// The next few of `numbers`, in turn after those of the last time.
    pub fn in_turn<'a>(&self, numbers: &[&'a String], count: usize) -> Vec<&'a String> {
        let at = numbers.partition_point(|number| number.as_str() <= self.turn.as_str());
        numbers.iter().cycle().skip(at).take(count.min(numbers.len())).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_everything_has_its_turn() {
        let seen =
            Seen { date: "2026-11-20".into(), rows_hash: "00ff".into(), revision: 5, ..Seen::default() };
        let mut memory = Memory { next: "2026-11-21".into(), ..Memory::default() };
        memory.seen.insert("SK-1".into(), seen);
        assert_eq!(Memory::read(&memory.text()), Some(memory.clone()));
        assert_eq!(Memory::read("2026-11-21"), None);
        let numbers: Vec<String> = (1..=5).map(|index| format!("SK-{index}")).collect();
        let numbers: Vec<&String> = numbers.iter().collect();
        let mut met = Vec::new();
        for _ in 0..3 {
            let turn = memory.in_turn(&numbers, 2);
            memory.turn = turn[1].clone();
            met.extend(turn.into_iter().map(String::as_str));
        }
        assert_eq!(met, ["SK-1", "SK-2", "SK-3", "SK-4", "SK-5", "SK-1"]);
        assert_eq!(memory.in_turn(&[], 2), Vec::<&String>::new());
    }
}
