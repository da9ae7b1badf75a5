//! The troubles that several behaviours share.

use super::port::Trouble;

fn answer(name: &str, content_type: &str, body: &str) -> Trouble {
    Trouble::Answer {
        name: name.to_owned(),
        status: 200,
        content_type: content_type.to_owned(),
        body: body.to_owned(),
        committed: true,
    }
}

/// An HTML page under 200.
pub const HTML: &str = "an HTML page under 200";
/// An empty body under 200.
pub const EMPTY: &str = "an empty body under 200";
/// JSON of something else.
pub const OTHER_JSON: &str = "other JSON under 200";
/// No text at all.
pub const NO_TEXT: &str = "bytes that are no text";

/// Answers under 200 that are not the system's own. The work is committed: only `Unknown` leads to its being found.
pub fn answers_garbled() -> Vec<Trouble> {
    let html = "<!DOCTYPE html><html><head><title>登录</title></head><body>请登录</body></html>";
    vec![
        answer(HTML, "text/html; charset=utf-8", html),
        answer(EMPTY, "application/json", ""),
        answer(OTHER_JSON, "application/json", r#"{"hello":["world",1.50,null]}"#),
        answer("a JSON scalar under 200", "application/json", "true"),
        answer(NO_TEXT, "application/json", "\u{0}\u{1}]]>\u{fffd}{\"\u{1b}[2J"),
    ]
}

/// Answers that never come, or not to the end.
pub fn answers_lost() -> Vec<Trouble> {
    vec![Trouble::LostBefore, Trouble::LostAfter, Trouble::Cut, Trouble::Half]
}

/// A proxy's 5xx in front of a system that did the work.
pub fn proxies() -> Vec<Trouble> {
    let status = |status, retry_after| Trouble::Status { status, retry_after, committed: true };
    vec![status(500, None), status(502, None), status(503, None), status(503, Some(7)), status(504, None)]
}
