//! What commands print: tables for people, JSON for programs.

use serde_json::Value;
use std::io::{self, Write};
use tongbao_model::china;
use unicode_width::UnicodeWidthStr;

/// Exit codes of every command; documented in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, and all is well.
    Ok,
    /// Done, and something is not well: a test failed, a delivery is not there, a connection does not answer.
    Failed,
    /// What was asked for does not exist, in a way that only the command itself can see.
    Usage,
    /// The configuration or a mapping is wrong.
    Config,
    /// Database, broker or port cannot be had.
    Unavailable,
    /// A changed mapping would change an amount.
    MoneyChanged,
}

impl Exit {
    /// The process's exit code. Wrong usage has the code that the command line's parser gives it.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Config => 3,
            Exit::Unavailable => 4,
            Exit::MoneyChanged => 5,
        }
    }
}

/// Prints a line. A closed pipe (`| head`) is no error.
pub fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a line on standard error.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints JSON, one value.
pub fn json(value: &Value) {
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A table with aligned columns; Chinese counts two columns wide. The last column is not padded.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut text = String::new();
    let write = |text: &mut String, cells: &[&str]| {
        let last = cells.len().saturating_sub(1);
        for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            text.push_str(cell);
            if index < last {
                text.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
            }
        }
        while text.ends_with(' ') {
            text.pop();
        }
        text.push('\n');
    };
    write(&mut text, head);
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    write(&mut text, &rules.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        write(&mut text, &row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

/// A time as people in China read it.
pub fn time(at_ms: i64) -> String {
    china::moment(at_ms).map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_chinese() {
        let text = table(
            &["合同", "state"],
            &[vec!["HT-1".into(), "posted".into()], vec!["合同二号".into(), "x".into()]],
        );
        assert_eq!(text, "合同      state\n────────  ──────\nHT-1      posted\n合同二号  x\n");
    }
}
