//! Code tables: value translation kept as data.

use std::collections::HashMap;

/// A snapshot of all code tables at one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// Rises with every import.
    pub revision: i64,
    tables: HashMap<String, HashMap<String, String>>,
}

impl Tables {
    /// A snapshot from rows (table, source code, target code).
    pub fn new(revision: i64, rows: impl IntoIterator<Item = (String, String, String)>) -> Self {
        let mut tables: HashMap<String, HashMap<String, String>> = HashMap::new();
        for (table, source, target) in rows {
            tables.entry(table).or_default().insert(source, target);
        }
        Tables { revision, tables }
    }

    /// The target code for a source code.
    pub fn find(&self, table: &str, source: &str) -> Option<&str> {
        self.tables.get(table)?.get(source).map(String::as_str)
    }
}
