//! What a mail server says, and what it means (RFC 5321 4.2, 4954 6, 3463).

use serde_json::json;
use std::time::Duration;
use tongbao_connect::Failure;
use tongbao_connect::notice::cut;
use tongbao_connect::rules::{Rule, Said, first};
use tongbao_model::{Class, Code, Fault};

/// How long a server that asks for patience is left alone: none says how long.
const SLOW: Duration = Duration::from_secs(60);
/// Most bytes of a server's words in an error.
const SHOWN_BYTES: usize = 200;

/// A complete reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its three digits.
    pub code: u16,
    /// Its lines without them.
    pub lines: Vec<String>,
}

/// How far the conversation was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Before anything was said of a message: greeting, EHLO, STARTTLS, login, sender.
    Before,
    /// Recipients and the message itself.
    Message,
}

const fn on(name: &'static str, status: (u16, u16), class: Class, fault: Code) -> Rule {
    Rule { name, status: Some(status), codes: &[], texts: &[], class, fault }
}

/// What refusals mean, in order. `status` is the reply's code, `codes` the enhanced one (RFC 3463) where there is one. All
/// of them are certain: a message that was refused, for now or for good, is not there.
pub const RULES: &[Rule] = &[
    on("login-first", (530, 530), Class::Unauthorized, Code::TargetUnauthorized),
    on("login-refused", (534, 535), Class::Unauthorized, Code::TargetUnauthorized),
    on("needs-tls", (538, 538), Class::Misconfigured, Code::TargetMisconfigured),
    on("login-later", (454, 454), Class::Unavailable, Code::TargetUnavailable),
    Rule {
        name: "too-many",
        status: Some((421, 421)),
        codes: &["4.7.0", "4.7.1", "4.7.28"],
        texts: &[],
        class: Class::Throttled(Some(SLOW)),
        fault: Code::TargetThrottled,
    },
    on("away", (421, 421), Class::Unavailable, Code::TargetUnavailable),
    on("busy", (450, 452), Class::Throttled(Some(SLOW)), Code::TargetThrottled),
    on("later", (400, 499), Class::Unavailable, Code::TargetUnavailable),
    on("not-understood", (500, 504), Class::Misconfigured, Code::TargetMisconfigured),
    on("refused", (500, 599), Class::Rejected, Code::TargetRejected),
];

impl Reply {
    /// Reads one line: its code, whether more follows, and its text. `None` where it is no reply.
    pub fn line(bytes: &[u8]) -> Option<(u16, bool, String)> {
        let (digits, rest) = bytes.split_at_checked(3)?;
        let code: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let (more, text) = match rest.split_first() {
            None | Some((b' ', _)) => (false, rest.get(1..).unwrap_or_default()),
            Some((b'-', text)) => (true, text),
            Some(_) => return None,
        };
        let is_reply = digits.iter().all(u8::is_ascii_digit) && (200..=599).contains(&code);
        is_reply.then(|| (code, more, String::from_utf8_lossy(text).into_owned()))
    }

    /// Whether it says yes.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The enhanced code that its text begins with.
    pub fn enhanced(&self) -> &str {
        let word = self.lines.first().and_then(|line| line.split_whitespace().next()).unwrap_or_default();
        let is_code = word.split('.').count() == 3 && word.split('.').all(|part| part.parse::<u16>().is_ok());
        if is_code { word } else { "" }
    }

    /// What a refusal comes to. Nothing else comes here but what no conversation has: that is no refusal.
    pub fn failure(&self, stage: Stage, hush: &Hush) -> Failure {
        let text = hush.text(&self.lines.join(" "));
        let said = Said { status: self.code, code: self.enhanced(), text: &text };
        let (class, code) = match first(RULES, said).map(|rule| (rule.class, rule.fault)) {
            // Whoever does not want us at all refuses no message.
            Some((Class::Rejected, _)) if stage == Stage::Before => {
                (Class::Misconfigured, Code::TargetMisconfigured)
            }
            Some(decided) => decided,
            None => (Class::Unavailable, Code::TargetUnavailable),
        };
        let fault = Fault::new(
            code,
            format!("邮件服务器 {}：{text}", self.code),
            format!("the mail server says {}: {text}", self.code),
        );
        Failure::new(fault).class(class).response(json!({"code": self.code, "enhanced": self.enhanced()}))
    }
}

/// Keeps to itself what a server repeats of us and of people.
#[derive(Clone)]
pub struct Hush(Vec<String>);

impl Hush {
    /// Of our secrets, in every way of writing them.
    pub fn new(secrets: Vec<String>) -> Hush {
        Hush(secrets.into_iter().filter(|secret| !secret.is_empty()).collect())
    }

    /// A server's words without secrets, addresses and control characters, and not too many of them.
    pub fn text(&self, text: &str) -> String {
        let quiet = self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"));
        let words = quiet.split(|one: char| one.is_whitespace() || one.is_control());
        let shown: Vec<&str> = words
            .filter(|word| !word.is_empty())
            .map(|word| if word.contains('@') { "***" } else { word })
            .collect();
        cut(&shown.join(" "), SHOWN_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_is_shadowed() {
        assert_eq!(tongbao_connect::rules::shadowed(RULES), []);
    }

    #[test]
    fn lines_of_replies_and_what_is_none() {
        for (line, expected) in [
            (&b"250 2.0.0 ok"[..], Some((250, false, "2.0.0 ok"))),
            (b"250-mail.example", Some((250, true, "mail.example"))),
            (b"354", Some((354, false, ""))),
            (b"250 \xd2\xd1", Some((250, false, "\u{fffd}\u{fffd}"))),
            (b"", None),
            (b"25", None),
            (b"+50 x", None),
            (b"199 x", None),
            (b"600 x", None),
            (b"250x", None),
            (b"<html>", None),
            ("２50 x".as_bytes(), None),
        ] {
            let read = Reply::line(line);
            let read = read.as_ref().map(|(code, more, text)| (*code, *more, text.as_str()));
            assert_eq!(read, expected, "{line:?}");
        }
    }

    #[test]
    fn classes_of_refusals() {
        let (before, message) = (Stage::Before, Stage::Message);
        for (stage, code, text, class) in [
            (before, 535, "5.7.8 no", "unauthorized"),
            (before, 554, "5.7.1 you are on a list", "misconfigured"),
            (before, 553, "not your address", "misconfigured"),
            (before, 421, "4.3.2 going down", "unavailable"),
            (before, 421, "4.7.0 too many connections", "throttled"),
            (before, 454, "4.7.0 not now", "unavailable"),
            (message, 450, "4.7.1 greylisted", "throttled"),
            (message, 452, "4.5.3 too many recipients", "throttled"),
            (message, 432, "later", "unavailable"),
            (message, 550, "5.1.1 no such mailbox", "rejected"),
            (message, 554, "DT:SPM", "rejected"),
            (message, 502, "what?", "misconfigured"),
            (message, 354, "go on", "unavailable"),
        ] {
            let reply = Reply { code, lines: vec![text.to_owned()] };
            assert_eq!(reply.failure(stage, &Hush(Vec::new())).class.name(), class, "{code} {text}");
        }
    }

    #[test]
    fn words_of_a_server_show_nobody() {
        let hush = Hush::new(vec!["hunter2-hunter2".into(), "aHVudGVyMg==".into(), String::new()]);
        assert_eq!(
            hush.text("5.1.1 <zhang.san@example.com>: no;\u{1b}[2J hunter2-hunter2 AUTH aHVudGVyMg== (b@c)"),
            "5.1.1 *** no; [2J *** AUTH *** ***"
        );
        assert!(hush.text(&"长".repeat(500)).len() <= SHOWN_BYTES);
    }
}
