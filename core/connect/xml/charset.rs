//! From bytes to text and back: UTF-8 and the Chinese charsets.

use super::XmlError;
use encoding_rs::{Encoding, GB18030, GBK, UTF_8};
use std::borrow::Cow;

/// A charset that is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// GB18030, which holds all of Unicode.
    Gb18030,
    /// GBK, declared as `GBK`: what it cannot hold is written as a numeric reference.
    Gbk,
    /// GBK declared as `gb2312`, as older Windows servers and templates do: their decoder for that label is GBK's.
    Gb2312,
}

impl Charset {
    /// The charset of a label, any case.
    pub fn of_label(label: &str) -> Option<Charset> {
        let label = label.trim();
        let is = |name: &str| label.eq_ignore_ascii_case(name);
        match label {
            _ if is("utf-8") || is("utf8") => Some(Charset::Utf8),
            _ if is("gb18030") => Some(Charset::Gb18030),
            _ if is("gbk") || is("cp936") || is("x-gbk") => Some(Charset::Gbk),
            _ if is("gb2312") => Some(Charset::Gb2312),
            _ => None,
        }
    }

    /// What an XML declaration calls it.
    pub fn label(self) -> &'static str {
        match self {
            Charset::Utf8 => "utf-8",
            Charset::Gb18030 => "GB18030",
            Charset::Gbk => "GBK",
            Charset::Gb2312 => "gb2312",
        }
    }

    /// For reading, the Chinese labels mean the widest of them: texts labelled `gb2312` hold GBK characters, such as 镕.
    pub(super) fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, XmlError> {
        let encoding: &'static Encoding = match self {
            Charset::Utf8 => UTF_8,
            Charset::Gb18030 | Charset::Gbk | Charset::Gb2312 => GB18030,
        };
        encoding
            .decode_without_bom_handling_and_without_replacement(bytes)
            .ok_or(XmlError::Undecodable(encoding.name()))
    }

    /// The bytes of a text. What the charset cannot hold becomes a numeric reference, so nothing is lost where
    /// references may stand; names are checked before.
    pub(super) fn encode(self, text: &str) -> Cow<'_, [u8]> {
        match self {
            Charset::Utf8 => Cow::Borrowed(text.as_bytes()),
            Charset::Gb18030 => GB18030.encode(text).0,
            Charset::Gbk | Charset::Gb2312 => GBK.encode(text).0,
        }
    }

    /// Whether it holds every character of a name, where no reference may stand.
    pub(super) fn holds(self, name: &str) -> bool {
        match self {
            Charset::Utf8 | Charset::Gb18030 => true,
            Charset::Gbk | Charset::Gb2312 => !GBK.encode(name).2,
        }
    }
}

/// Decodes a document. In order: the byte order mark, the setting, the declaration, the transport's charset, UTF-8 where
/// the bytes are UTF-8, else GB18030.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    given: Option<Charset>,
    transport: Option<&str>,
) -> Result<Cow<'a, str>, XmlError> {
    if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        return Charset::Utf8.decode(rest);
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(XmlError::Charset);
    }
    if let Some(charset) = given {
        return charset.decode(bytes);
    }
    if let Some(label) = declared(bytes) {
        return Charset::of_label(&label).ok_or(XmlError::Charset)?.decode(bytes);
    }
    if let Some(charset) = transport.and_then(of_content_type) {
        return charset.decode(bytes);
    }
    Charset::Utf8.decode(bytes).or_else(|_| Charset::Gb18030.decode(bytes))
}

/// The `encoding` of the XML declaration, which is ASCII in every charset that is read.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..bytes.len().min(256))?;
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let head = head.get(start..)?.strip_prefix(b"<?xml")?;
    let end = head.windows(2).position(|two| two == b"?>")?;
    let text = std::str::from_utf8(head.get(..end)?).ok()?;
    let value = text.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|one| matches!(one, '"' | '\''))?;
    value.get(1..)?.split_once(quote).map(|(label, _)| label.to_owned())
}

/// The charset a `Content-Type` names, when it is one that is read.
fn of_content_type(value: &str) -> Option<Charset> {
    let parameter = value.split(';').skip(1).find_map(|one| {
        let (name, value) = one.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })?;
    Charset::of_label(parameter)
}
