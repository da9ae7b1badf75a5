//! Diagnostics: what is wrong in a file that a person wrote, all of it in one run.

use crate::fault::Text;
use serde::Serialize;

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Default)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
    /// Which of the files that were read together: 0 is the one that was named, others are those it builds on.
    #[serde(skip)]
    pub file: u16,
}

impl Place {
    /// A place in the file that was named.
    pub fn new(line: usize, column: usize) -> Place {
        Place { line, column, file: 0 }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file works; somebody should look.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file as it was named to us.
    pub file: String,
    /// Where in it.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong.
    pub message: Text,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Text>,
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(
            out,
            "{}:{}:{}: {kind} [{}] {}",
            self.file, self.place.line, self.place.column, self.code, self.message
        )?;
        match &self.suggestion {
            Some(suggestion) => write!(out, "\n    → {suggestion}"),
            None => Ok(()),
        }
    }
}

/// Collects findings about one file.
#[derive(Debug)]
pub struct Findings {
    files: Vec<String>,
    found: Vec<Diagnostic>,
}

impl Findings {
    /// Starts an empty collection for a file.
    pub fn new(file: impl Into<String>) -> Self {
        Findings { files: vec![file.into()], found: Vec::new() }
    }

    /// Names one more file that is read together with the first; places in it carry the number answered.
    pub fn add_file(&mut self, file: impl Into<String>) -> u16 {
        self.files.push(file.into());
        u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX)
    }

    /// Adds an error and gives it back for a suggestion to be put on.
    pub fn error(&mut self, code: &'static str, place: Place, zh: impl Into<String>, en: impl Into<String>) {
        self.push(Severity::Error, code, place, Text::new(zh, en), None);
    }

    /// Adds an error with a suggestion.
    pub fn error_with(&mut self, code: &'static str, place: Place, message: Text, suggestion: Option<Text>) {
        self.push(Severity::Error, code, place, message, suggestion);
    }

    /// Adds a warning.
    pub fn warning(&mut self, code: &'static str, place: Place, message: Text, suggestion: Option<Text>) {
        self.push(Severity::Warning, code, place, message, suggestion);
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        place: Place,
        message: Text,
        suggestion: Option<Text>,
    ) {
        let file = self.files.get(usize::from(place.file)).cloned().unwrap_or_default();
        self.found.push(Diagnostic { code, severity, file, place, message, suggestion });
    }

    /// Whether any finding refuses the file.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The findings in the order of the file.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|finding| (finding.place.file, finding.place));
        self.found
    }
}

/// The candidate nearest to a mistyped word, if any is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + word.chars().count() / 4;
    candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, one row at a time.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, a) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        let mut next = vec![before];
        for (b, above) in right.iter().zip(row.iter().skip(1)) {
            let cost = diagonal + usize::from(a != *b);
            before = cost.min(before + 1).min(above + 1);
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_not() {
        assert_eq!(nearest("FBilNo", ["FBillNo", "FDate"]), Some("FBillNo"));
        assert_eq!(nearest("quantitiy", ["quantity", "unit"]), Some("quantity"));
        assert_eq!(nearest("zzz", ["quantity", "unit"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
