//! What came of a run, for people and programs.

use super::Behaviour;
use serde_json::{Value, json};
use std::fmt::Write as _;
use tongbao_model::Text;

/// What came of one behaviour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Shown; with a note where the author made an exception.
    Pass(Option<String>),
    /// Not shown: the request, what was expected, what came.
    Fail(String),
    /// The connector has nothing of the kind.
    NotApplicable(Text),
}

impl Verdict {
    /// For programs.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Pass(_) => "pass",
            Verdict::Fail(_) => "fail",
            Verdict::NotApplicable(_) => "not-applicable",
        }
    }

    /// For tables.
    pub fn sign(&self) -> &'static str {
        match self {
            Verdict::Pass(_) => "✓",
            Verdict::Fail(_) => "✗",
            Verdict::NotApplicable(_) => "–",
        }
    }

    /// Note or reason.
    pub fn detail(&self) -> String {
        match self {
            Verdict::Pass(note) => note.clone().unwrap_or_default(),
            Verdict::Fail(why) => why.clone(),
            Verdict::NotApplicable(reason) => format!("{} / {}", reason.zh, reason.en),
        }
    }
}

/// One line of a report.
pub struct Entry {
    /// The behaviour.
    pub behaviour: &'static Behaviour,
    /// What came of it.
    pub verdict: Verdict,
}

/// All behaviours of one connector.
pub struct Report {
    /// Name of the connector.
    pub connector: &'static str,
    /// In the order of the table of behaviours.
    pub entries: Vec<Entry>,
}

impl Report {
    /// Whether nothing failed.
    pub fn certified(&self) -> bool {
        self.failed().next().is_none()
    }

    /// Names of the behaviours that failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> + '_ {
        let failed = self.entries.iter().filter(|entry| matches!(entry.verdict, Verdict::Fail(_)));
        failed.map(|entry| entry.behaviour.id)
    }

    /// Behaviours with a verdict of this name.
    pub fn count(&self, verdict: &str) -> usize {
        self.entries.iter().filter(|entry| entry.verdict.name() == verdict).count()
    }

    /// One sentence.
    pub fn summary(&self) -> String {
        let (pass, fail, not) = (self.count("pass"), self.count("fail"), self.count("not-applicable"));
        let (zh, en) =
            if self.certified() { ("已认证", "certified") } else { ("未通过", "not certified") };
        format!("{zh} / {en}: {pass} ✓ · {fail} ✗ · {not} –")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let entries: Vec<Value> = self
            .entries
            .iter()
            .map(|entry| {
                json!({
                    "id": entry.behaviour.id,
                    "concern": entry.behaviour.concern.name().1,
                    "proves": {"zh": entry.behaviour.proves.0, "en": entry.behaviour.proves.1},
                    "verdict": entry.verdict.name(),
                    "detail": entry.verdict.detail(),
                })
            })
            .collect();
        json!({"connector": self.connector, "certified": self.certified(), "behaviours": entries})
    }

    /// A table in Markdown, the same for the same result.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.summary());
        text.push_str("| Behaviour | | Shows | |\n|---|---|---|---|\n");
        for Entry { behaviour, verdict } in &self.entries {
            let (zh, en) = behaviour.proves;
            let detail = verdict.detail().replace('|', "\\|").replace('\n', " ");
            let _ = writeln!(text, "| `{}` | {} | {zh} / {en} | {detail} |", behaviour.id, verdict.sign());
        }
        text
    }
}
