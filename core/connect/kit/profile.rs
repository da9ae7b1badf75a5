//! What a connector's author says about his connector, as data: samples, names of operations, and what it cannot do.

use super::port::Trouble;
use crate::masters::MasterKind;
use crate::rules::Rule;
use tongbao_model::Code;

/// How the reason of a part begins that its author has yet to write or to decide about.
pub const TO_FILL_IN: &str = "to fill in";

/// A part that a connector has, or a reason why it has none.
#[derive(Debug, Clone, Copy)]
pub enum Part<T> {
    /// It has it.
    Has(T),
    /// Why not: Chinese, English.
    Lacks(&'static str, &'static str),
}

impl<T> Part<T> {
    /// The part, if there is one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Part::Has(part) => Some(part),
            Part::Lacks(..) => None,
        }
    }
}

/// Everything the kit needs to know of a connector.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Name of the stand-in.
    pub system: &'static str,
    /// Settings as in `tongbao.yaml`, with `{url}` for the stand-in's address, `{address}` for its host and port, and
    /// `{timeout_ms}` for the time of one call.
    pub settings: &'static str,
    /// Values that `{ env: NAME }` in the settings stands for. None of them may show anywhere.
    pub secrets: &'static [(&'static str, &'static str)],
    /// Signed requests that come in.
    pub pushes: Part<Pushes>,
    /// A stream that is polled.
    pub polls: Part<Polls>,
    /// Files that are read.
    pub files: Part<FileSamples>,
    /// Master data and stock that are asked for.
    pub masters: Part<MasterLists>,
    /// Documents that go out.
    pub writes: Part<Writes>,
    /// Login or token.
    pub session: Part<Login>,
    /// How the system says no.
    pub refusals: Part<Refusals>,
    /// Behaviours it cannot have, with the reason in Chinese and English. Only some behaviours may be left out so.
    pub cannot: &'static [(&'static str, &'static str, &'static str)],
}

impl Profile {
    /// Parts that are yet to be filled in, with what belongs there.
    pub fn open(&self) -> Vec<String> {
        fn reason<T>(name: &str, part: &Part<T>) -> Option<String> {
            match part {
                Part::Lacks(_, en) => {
                    let what = en.strip_prefix(TO_FILL_IN)?.trim_start_matches(':').trim_start();
                    Some(format!("`{name}`: {what}"))
                }
                Part::Has(_) => None,
            }
        }
        let system = self.system.is_empty().then(|| "`system`: the name of its stand-in".to_owned());
        let parts = [
            system,
            reason("pushes", &self.pushes),
            reason("polls", &self.polls),
            reason("files", &self.files),
            reason("masters", &self.masters),
            reason("writes", &self.writes),
            reason("session", &self.session),
            reason("refusals", &self.refusals),
        ];
        parts.into_iter().flatten().collect()
    }
}

/// Signed requests.
#[derive(Debug, Clone, Copy)]
pub struct Pushes {
    /// At least one.
    pub samples: &'static [Sample],
    /// Headers and query parameters without which, or with another value of which, a request is refused.
    pub signed: &'static [Place],
    /// How far the signed time may be from ours by the settings, in seconds.
    pub window_s: i64,
}

/// Where something is in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A header, its name in lower case.
    Header(&'static str),
    /// A query parameter.
    Query(&'static str),
}

/// A request with a valid signature, made with another tool than the connector.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Path below the connection's own.
    pub path: &'static str,
    /// Query parameters.
    pub query: &'static [(&'static str, &'static str)],
    /// Headers, names in lower case.
    pub headers: &'static [(&'static str, &'static str)],
    /// Body.
    pub body: &'static str,
    /// The signed time, in seconds since 1970 UTC.
    pub at_s: i64,
    /// Documents it holds, at least one.
    pub documents: usize,
}

/// A stream.
#[derive(Debug, Clone, Copy)]
pub struct Polls {
    /// Its name.
    pub stream: &'static str,
    /// The far system's operation behind it.
    pub operation: &'static str,
}

/// Master data.
#[derive(Debug, Clone, Copy)]
pub struct MasterLists {
    /// Lists, each with the far system's operation behind it.
    pub lists: &'static [(MasterKind, &'static str)],
    /// Settings with pages of two or three rows; `None` where a list comes in one answer.
    pub small: Option<&'static str>,
    /// Stock on hand.
    pub stock: Part<StockOn>,
}

/// Stock on hand.
#[derive(Debug, Clone, Copy)]
pub struct StockOn {
    /// The far system's operation.
    pub operation: &'static str,
}

/// Files.
#[derive(Debug, Clone, Copy)]
pub struct FileSamples {
    /// At least one of each format.
    pub samples: &'static [FileSample],
}

/// A file made by another hand than the connector's.
#[derive(Debug, Clone, Copy)]
pub struct FileSample {
    /// Its name, for reports.
    pub name: &'static str,
    /// What it holds.
    pub bytes: &'static [u8],
    /// Documents in it, at least one.
    pub documents: usize,
    /// Figures that the file checks itself by, each with a wrong one of the same length in its place.
    pub wrong: &'static [(&'static str, &'static str)],
    /// What no report and no fault may show: account numbers, names.
    pub private: &'static [&'static str],
}

/// Documents that go out.
#[derive(Debug, Clone, Copy)]
pub struct Writes {
    /// Document kind.
    pub kind: &'static str,
    /// The document as JSON, with `{key}` for the business key.
    pub document: &'static str,
    /// Its total with tax, where it has one.
    pub total: Option<&'static str>,
    /// The far system's operations that change something, in the order in which `apply` calls them. Empty for a target that
    /// changes nothing and only asks: then no outcome may be unknown, and its documents are there before they are asked for.
    pub writes: &'static [&'static str],
    /// Those that `lookup` asks. None where [`Writes::repeats`] says that there is nobody to ask.
    pub reads: &'static [&'static str],
    /// Why a document may be there twice, in Chinese and English: nobody can be asked about it, and what may have been lost
    /// is sent again. Only for messages to people. `None` for everything else.
    pub repeats: Option<(&'static str, &'static str)>,
    /// Answers that are taken at their status although they say nothing of the document, by the name of the trouble, with
    /// the reason in Chinese and English: a write is done by them, a look-up may call the document absent. Only for
    /// systems that are sent states, where sending again changes nothing.
    pub enough: &'static [(&'static str, &'static str, &'static str)],
}

impl Writes {
    /// Whether nothing is changed over there.
    pub fn only_asks(&self) -> bool {
        self.writes.is_empty()
    }

    /// The operations that `apply` calls.
    pub fn applied(&self) -> &'static [&'static str] {
        if self.only_asks() { self.reads } else { self.writes }
    }
}

/// Login or token.
#[derive(Debug, Clone, Copy)]
pub struct Login {
    /// Settings of the mode that logs in, where that is not the usual one.
    pub settings: Option<&'static str>,
    /// The far system's operation that logs in.
    pub operation: &'static str,
    /// Values of secrets with which it is refused.
    pub wrong: &'static [(&'static str, &'static str)],
}

/// How the system says no.
#[derive(Debug, Clone, Copy)]
pub struct Refusals {
    /// The connector's response rules; empty when it goes by the HTTP status alone.
    pub rules: &'static [Rule],
    /// The operation that is refused in the examples.
    pub operation: &'static str,
    /// The system's refusal, with `{code}` and `{text}`.
    pub body: &'static str,
    /// One for every rule at least.
    pub examples: &'static [Example],
}

impl Refusals {
    /// An example as an answer in place of the system's own; nothing is committed.
    pub fn trouble(&self, example: &Example) -> Trouble {
        Trouble::Answer {
            name: format!("HTTP {} {} {}", example.status, example.code, example.text),
            status: example.status,
            content_type: "application/json".into(),
            body: self.body.replace("{code}", example.code).replace("{text}", example.text),
            committed: false,
        }
    }
}

/// A refusal and what it must come to.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// HTTP status.
    pub status: u16,
    /// The system's code, as it stands in the body.
    pub code: &'static str,
    /// The system's text.
    pub text: &'static str,
    /// Name of the class, e.g. `rejected`.
    pub class: &'static str,
    /// Fault code.
    pub fault: Code,
}

/// An example: status, code, text, class, fault code.
pub const fn example(
    status: u16,
    code: &'static str,
    text: &'static str,
    class: &'static str,
    fault: Code,
) -> Example {
    Example { status, code, text, class, fault }
}
