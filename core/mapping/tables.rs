//! Code tables: value translation kept as data.
//!
//! A row's source is one code, or several joined by `|` where a table has several keys (a `|` or `\` within a code is
//! written `\|` or `\\`). A source that ends in `@yyyy-MM-dd` holds from that day on, until the next such row.

use jiff::civil::Date;
use std::collections::HashMap;

/// A snapshot of all code tables at one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// Rises with every import.
    pub revision: i64,
    tables: HashMap<String, Table>,
}

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    rows: HashMap<String, Row>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Row {
    always: Option<String>,
    /// From which day, in order.
    dated: Vec<(Date, String)>,
}

impl Tables {
    /// A snapshot from rows (table, source code, target code).
    pub fn new(revision: i64, rows: impl IntoIterator<Item = (String, String, String)>) -> Self {
        let mut tables: HashMap<String, Table> = HashMap::new();
        for (table, source, target) in rows {
            let rows = &mut tables.entry(table).or_default().rows;
            match split_date(&source) {
                Some((source, from)) => {
                    let dated = &mut rows.entry(source.to_owned()).or_default().dated;
                    let at = dated.partition_point(|(day, _)| *day < from);
                    dated.insert(at, (from, target));
                }
                None => rows.entry(source).or_default().always = Some(target),
            }
        }
        Tables { revision, tables }
    }

    /// A table by name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// The target code for a source code, as rows without a date say.
    pub fn find(&self, table: &str, source: &str) -> Option<&str> {
        self.table(table)?.find(source, None).map(|(target, _)| target)
    }
}

impl Table {
    /// The target code for a source code on a day, and the day the row holds from. Without a day only rows without
    /// a date count: which of several dated rows is meant is not guessed.
    pub fn find(&self, source: &str, on: Option<Date>) -> Option<(&str, Option<Date>)> {
        let row = self.rows.get(source)?;
        let dated = on.and_then(|on| row.dated.iter().rev().find(|(from, _)| *from <= on));
        match dated {
            Some((from, target)) => Some((target, Some(*from))),
            None => row.always.as_deref().map(|target| (target, None)),
        }
    }
}

/// A source code and the day it holds from, where it is dated.
pub fn split_date(source: &str) -> Option<(&str, Date)> {
    let (source, date) = source.rsplit_once('@')?;
    Some((source, date.parse().ok().filter(|_| date.len() == 10)?))
}

/// Appends one key of several.
pub fn join_key(joined: &mut String, key: &str, is_first: bool) {
    if !is_first {
        joined.push('|');
    }
    for character in key.chars() {
        if matches!(character, '|' | '\\') {
            joined.push('\\');
        }
        joined.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_from_their_day() {
        let row = |source: &str, target: &str| ("t".to_owned(), source.to_owned(), target.to_owned());
        let tables = Tables::new(
            1,
            [
                row("A@2026-07-01", "new"),
                row("A@2026-01-01", "old"),
                row("B", "b"),
                row("B@2026-07-01", "b2"),
                row("x@y", "mail"),
            ],
        );
        let table = tables.table("t").unwrap();
        let find = |source: &str, on: Option<&str>| {
            table.find(source, on.map(|on| on.parse().unwrap())).map(|(target, _)| target.to_owned())
        };
        for (source, on, expect) in [
            ("A", Some("2025-12-31"), None),
            ("A", Some("2026-01-01"), Some("old")),
            ("A", Some("2026-06-30"), Some("old")),
            ("A", Some("2026-07-01"), Some("new")),
            ("A", None, None),
            ("B", None, Some("b")),
            ("B", Some("2026-06-30"), Some("b")),
            ("B", Some("2027-01-01"), Some("b2")),
            ("x@y", None, Some("mail")),
            ("C", None, None),
        ] {
            assert_eq!(find(source, on).as_deref(), expect, "{source} on {on:?}");
        }
    }

    #[test]
    fn several_keys_never_run_together() {
        let join = |keys: &[&str]| {
            let mut joined = String::new();
            for (at, key) in keys.iter().enumerate() {
                join_key(&mut joined, key, at == 0);
            }
            joined
        };
        assert_eq!(join(&["C1", "P1"]), "C1|P1");
        assert_ne!(join(&["a|b", "c"]), join(&["a", "b|c"]));
        assert_ne!(join(&["a\\", "b"]), join(&["a\\|b"]));
    }
}
