//! A message as its readers' programs take it apart, read by hand from RFC 2045, 2047 and 5322.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

/// A message that the server took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailMessage {
    /// Unix milliseconds (virtual clock).
    pub at_ms: i64,
    /// Who logged in.
    pub user: Option<String>,
    /// Whether it came under TLS.
    pub secure: bool,
    /// Sender of the envelope.
    pub from: String,
    /// Recipients of the envelope that were taken.
    pub to: Vec<String>,
    /// The message as it came, lines ended by CR LF, without the dots put before dots.
    pub raw: String,
}

impl MailMessage {
    /// A header, unfolded and with its encoded words read.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers().into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers, unfolded and with their encoded words read.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let (head, _) = self.parts();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let split = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), words(value.trim())))
        };
        unfolded.split("\r\n").filter_map(split).collect()
    }

    /// What people read, its transfer encoding undone.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).replace("\r\n", "\n")
    }

    /// Its parts where it has several (RFC 2046), each read like a message of its own; otherwise none.
    #[must_use]
    pub fn pieces(&self) -> Vec<MailMessage> {
        let kind = self.header("content-type").unwrap_or_default();
        let boundary = kind.split_once("boundary=").map(|(_, rest)| rest.trim_start_matches('"'));
        let boundary = boundary.and_then(|rest| rest.split(['"', ';']).next()).filter(|one| !one.is_empty());
        let Some(boundary) = boundary.filter(|_| kind.starts_with("multipart/")) else { return Vec::new() };
        let delimiter = format!("\r\n--{boundary}");
        let (_, body) = self.parts();
        let body = format!("\r\n{body}");
        let inner = body.split(delimiter.as_str()).skip(1).take_while(|piece| !piece.starts_with("--"));
        let piece = |text: &str| {
            let raw = text.split_once("\r\n").map_or("", |(_, rest)| rest).to_owned();
            MailMessage { raw, ..self.clone() }
        };
        inner.map(piece).collect()
    }

    /// What its transfer encoding stands for.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let (_, body) = self.parts();
        let encoding = self.header("content-transfer-encoding").unwrap_or_default().to_ascii_lowercase();
        match encoding.as_str() {
            "base64" => STANDARD.decode(body.split_whitespace().collect::<String>()).unwrap_or_default(),
            "quoted-printable" => quoted(&body.replace("=\r\n", ""), b'='),
            _ => body.as_bytes().to_vec(),
        }
    }

    fn parts(&self) -> (&str, &str) {
        self.raw.split_once("\r\n\r\n").unwrap_or((self.raw.as_str(), ""))
    }
}

/// Encoded words (`=?utf-8?b?…?=`) in a header, blanks between two of them left out.
fn words(value: &str) -> String {
    let mut read = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some((before, word, after)) = next_word(rest) {
        if !(after_word && before.trim().is_empty()) {
            read.push_str(before);
        }
        read.push_str(&word);
        rest = after;
        after_word = true;
    }
    read + rest
}

fn next_word(text: &str) -> Option<(&str, String, &str)> {
    let (before, rest) = text.split_once("=?")?;
    let mut parts = rest.splitn(3, '?');
    let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (coded, after) = rest.split_once("?=")?;
    let bytes = match encoding {
        "b" | "B" => STANDARD.decode(coded).ok()?,
        "q" | "Q" => quoted(&coded.replace('_', " "), b'='),
        _ => return None,
    };
    charset.eq_ignore_ascii_case("utf-8").then_some(())?;
    Some((before, String::from_utf8(bytes).ok()?, after))
}

/// `=E9=80=9A` and the like.
fn quoted(text: &str, mark: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == mark) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}
