//! Code tables: value translation kept as data.
//!
//! A row's source is one code, or several joined by `|` where a table has several keys (a `|` or `\` within a code is
//! written `\|` or `\\`). A source that ends in `@yyyy-MM-dd` holds from that day on, until its last day if it has one,
//! and never beyond the day before the next such row.

use jiff::civil::Date;
use std::collections::HashMap;
use tongbao_model::Text;

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

/// A row as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeRow {
    /// Table.
    pub table: String,
    /// Source code, with the day it holds from, if any, behind an `@`.
    pub source: String,
    /// Target code.
    pub target: String,
    /// Last day, `yyyy-MM-dd`; empty where there is none.
    pub valid_to: String,
}

/// What a table has for a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'t> {
    /// Target code.
    pub target: &'t str,
    /// The day the row holds from, if it is dated.
    pub from: Option<Date>,
    /// Its last day.
    pub to: Option<Date>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Row {
    always: Option<String>,
    /// In the order of their days.
    dated: Vec<Dated>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Dated {
    /// None: from ever.
    from: Option<Date>,
    to: Option<Date>,
    target: String,
}

impl Tables {
    /// A snapshot from rows (table, source code, target code) that have no last day.
    pub fn new(revision: i64, rows: impl IntoIterator<Item = (String, String, String)>) -> Self {
        let row = |(table, source, target)| CodeRow { table, source, target, valid_to: String::new() };
        Tables::of_rows(revision, rows.into_iter().map(row)).0
    }

    /// A snapshot from rows, and what is wrong with them. Codes whose rows contradict each other have none: which of
    /// several is meant is not guessed.
    pub fn of_rows(revision: i64, rows: impl IntoIterator<Item = CodeRow>) -> (Self, Vec<Text>) {
        let mut tables: HashMap<String, Table> = HashMap::new();
        let mut wrong = Vec::new();
        for CodeRow { table, source, target, valid_to } in rows {
            let (code, from) = match split_date(&source) {
                Some((code, from)) => (code, Some(from)),
                None => (source.as_str(), None),
            };
            let row = tables.entry(table.clone()).or_default().rows.entry(code.to_owned()).or_default();
            match day(&valid_to) {
                Ok(None) if from.is_none() => row.always = Some(target),
                Ok(to) => {
                    let at = row.dated.partition_point(|known| known.from < from);
                    row.dated.insert(at, Dated { from, to, target });
                }
                Err(why) => wrong.push((table, code.to_owned(), why)),
            }
        }
        for (name, table) in &tables {
            for (code, row) in &table.rows {
                wrong.extend(row.contradiction().map(|why| (name.clone(), code.clone(), why)));
            }
        }
        wrong.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        let told = |(table, code, why): &(String, String, Text)| {
            Text::new(format!("{table} {code}：{}", why.zh), format!("{table} `{code}`: {}", why.en))
        };
        let texts = wrong.iter().map(told).collect();
        for (table, code, _) in &wrong {
            if let Some(table) = tables.get_mut(table) {
                table.rows.remove(code);
            }
        }
        (Tables { revision, tables }, texts)
    }

    /// A table by name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// The target code for a source code, as rows without a date say.
    pub fn find(&self, table: &str, source: &str) -> Option<&str> {
        self.table(table)?.find(source, None).map(|found| found.target)
    }
}

/// A last day, if there is one.
fn day(text: &str) -> Result<Option<Date>, Text> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = text.parse().ok().filter(|_| text.len() == 10);
    day.map(Some).ok_or_else(|| {
        Text::new(format!("{text} 不是日期，应为 yyyy-MM-dd"), format!("`{text}` is no day, yyyy-MM-dd"))
    })
}

impl Row {
    fn contradiction(&self) -> Option<Text> {
        let backwards = self.dated.iter().find(|row| row.to.is_some_and(|to| Some(to) < row.from));
        if let Some(row) = backwards {
            let days = row.days();
            return Some(Text::new(
                format!("失效日早于生效日（{days}）"),
                format!("it ends before it begins ({days})"),
            ));
        }
        let both = self.dated.iter().zip(self.dated.iter().skip(1));
        let mut overlap = both
            .filter(|(one, next)| one.from == next.from || one.to.is_some_and(|to| Some(to) >= next.from));
        overlap.next().map(|(one, next)| {
            let (one, next) = (one.days(), next.days());
            Text::new(
                format!("{one} 与 {next} 有重叠的日子"),
                format!("{one} and {next} have days in common"),
            )
        })
    }
}

impl Dated {
    fn days(&self) -> String {
        let text = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
        format!("{}..{}", text(self.from), text(self.to))
    }
}

impl Table {
    /// What a source code stands for on a day. Without a day only rows without days count: which of several dated rows
    /// is meant is not guessed. On a day that no dated row holds, the row without days counts.
    pub fn find(&self, source: &str, on: Option<Date>) -> Option<Found<'_>> {
        let row = self.rows.get(source)?;
        // The last that has begun is the one; where it has ended, those before it have too.
        let begun =
            on.and_then(|on| row.dated.iter().rev().find(|row| row.from.is_none_or(|from| from <= on)));
        match begun.filter(|row| row.to.is_none_or(|to| on.is_some_and(|on| on <= to))) {
            Some(row) => Some(Found { target: &row.target, from: row.from, to: row.to }),
            None => row.always.as_deref().map(|target| Found { target, from: None, to: None }),
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
            table.find(source, on.map(|on| on.parse().unwrap())).map(|found| found.target.to_owned())
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
    fn rows_hold_until_their_last_day_and_do_not_contradict() {
        let row = |source: &str, target: &str, valid_to: &str| CodeRow {
            table: "t".into(),
            source: source.into(),
            target: target.into(),
            valid_to: valid_to.into(),
        };
        let (tables, wrong) = Tables::of_rows(
            1,
            [
                row("A@2026-01-01", "winter", "2026-03-31"),
                row("A@2026-07-01", "summer", ""),
                row("A", "else", ""),
                row("B", "was", "2026-06-30"),
            ],
        );
        assert_eq!(wrong, []);
        for (source, on, expect) in [
            ("A", Some("2025-12-31"), Some("else")),
            ("A", Some("2026-01-01"), Some("winter")),
            ("A", Some("2026-03-31"), Some("winter")),
            ("A", Some("2026-04-01"), Some("else")),
            ("A", Some("2030-01-01"), Some("summer")),
            ("A", None, Some("else")),
            ("B", Some("2026-06-30"), Some("was")),
            ("B", Some("2026-07-01"), None),
            ("B", None, None),
        ] {
            let on = on.map(|on| on.parse().unwrap());
            let found = tables.table("t").unwrap().find(source, on).map(|found| found.target);
            assert_eq!(found, expect, "{source} on {on:?}");
        }
        let (tables, wrong) = Tables::of_rows(
            1,
            [
                row("A@2026-01-01", "1", "2026-07-01"),
                row("A@2026-07-01", "2", ""),
                row("A", "3", ""),
                row("B@2026-07-01", "1", "2026-06-30"),
                row("C", "1", "soon"),
                row("D", "1", "2026-06-30"),
                row("D@2026-06-30", "2", ""),
                row("E@2026-06-30", "1", "2026-06-30"),
            ],
        );
        let told: Vec<_> = wrong.iter().map(|text| text.en.split(':').next().unwrap()).collect();
        assert_eq!(told, ["t `A`", "t `B`", "t `C`", "t `D`"]);
        assert!(wrong[0].en.contains("2026-01-01..2026-07-01 and 2026-07-01.. have days in common"));
        assert_eq!(tables.find("t", "A"), None, "none of the rows that contradict each other");
        let day = "2026-06-30".parse().ok();
        assert_eq!(tables.table("t").unwrap().find("E", day).map(|found| found.target), Some("1"));
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
