//! From bytes to text: the encoding of a file, and cells without what exports put around their values.

use encoding_rs::{Encoding, GB18030, UTF_8};
use std::borrow::Cow;

/// The encoding of which these bytes are a part, by the whole of them: a few bytes of GB18030 may look like UTF-8.
pub fn encoding_of(part: &[u8]) -> &'static Encoding {
    match std::str::from_utf8(part) {
        Ok(_) => UTF_8,
        // Cut within a character, which is no mistake.
        Err(error) if error.error_len().is_none() => UTF_8,
        Err(_) => GB18030,
    }
}

/// A cell as text. A character is never replaced.
pub fn decoded<'b>(cell: &'b [u8], encoding: &'static Encoding) -> Option<Cow<'b, str>> {
    encoding.decode_without_bom_handling_and_without_replacement(cell)
}

/// A cell without what exports put around its value so that spreadsheets take it for text: blanks and tabs, an apostrophe
/// or a backtick in front, `="…"`.
pub fn clean(cell: &str) -> &str {
    let cell = cell.trim();
    let cell = cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or(cell);
    cell.strip_prefix(['\'', '`']).unwrap_or(cell).trim()
}

/// Whether a cell is its value as it stands.
pub fn is_clean(cell: &[u8]) -> bool {
    let edge = |byte: Option<&u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    edge(cell.first()) && edge(cell.last()) && cell.is_ascii()
}

/// Whether there is nothing in any cell of a record, as in the rows below the last that spreadsheets write.
pub fn is_blank(record: &[u8], delimiter: u8) -> bool {
    record.iter().all(|byte| *byte == delimiter || matches!(byte, b' ' | b'\t' | b'"' | b'\r'))
}

/// Code of a currency, by what exports call it.
pub fn currency(cell: &str) -> Option<String> {
    match cell {
        "" => None,
        "人民币" | "人民币元" | "RMB" => Some("CNY".to_owned()),
        "美元" => Some("USD".to_owned()),
        "港币" | "港元" => Some("HKD".to_owned()),
        "欧元" => Some("EUR".to_owned()),
        "日元" => Some("JPY".to_owned()),
        "英镑" => Some("GBP".to_owned()),
        other => Some(other.to_ascii_uppercase()),
    }
}
