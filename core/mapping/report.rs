//! Words for findings that several parts of the checker have in common.

use tongbao_model::Text;
use tongbao_model::diagnostic::{Findings, Place, nearest};

/// An error at a place, in two languages.
pub fn placed_error(
    findings: &mut Findings,
    code: &'static str,
    place: Place,
    (zh, en): (impl Into<String>, impl Into<String>),
) {
    findings.error(code, place, zh, en);
}

/// Errors of kinds that come up in many places.
pub trait Report {
    /// A name that does not exist, with the nearest that does.
    fn unknown<'a>(
        &mut self,
        code: &'static str,
        place: Place,
        message: (String, String),
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    );
    /// A key whose value is of another kind than it can have.
    fn wrong_kind(&mut self, place: Place, zh: &str, en: &str, zh_expected: &str, en_expected: &str);
}

impl Report for Findings {
    fn unknown<'a>(
        &mut self,
        code: &'static str,
        place: Place,
        (zh, en): (String, String),
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        self.error_with(code, place, Text::new(zh, en), nearest(word, known).map(meant));
    }

    fn wrong_kind(&mut self, place: Place, zh: &str, en: &str, zh_expected: &str, en_expected: &str) {
        self.error(
            "value-kind",
            place,
            format!("{zh} 应为{zh_expected}"),
            format!("`{en}` should be {en_expected}"),
        );
    }
}

/// The usual suggestion for a mistyped word.
pub fn meant(name: &str) -> Text {
    Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?"))
}
