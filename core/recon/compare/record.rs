//! Records of delimited text as bytes. In UTF-8 and in GB18030 alike no byte of a longer character is a quote, a line end or
//! one of the delimiters, so that nothing is decoded to find them.

use super::refusal::Reason;
use memchr::{memchr, memchr_iter, memchr2};

/// A record, without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'b> {
    /// Its bytes.
    pub bytes: &'b [u8],
    /// Whether a quote is in it.
    pub has_quote: bool,
    /// Bytes to the next one.
    pub length: usize,
}

/// What the bytes begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'b> {
    /// A whole record.
    Record(Record<'b>),
    /// A part of one: more bytes are needed.
    Part,
    /// A quote that is not closed in any of the bytes that there are.
    Open,
    /// There is nothing more.
    End,
}

/// The first record of some bytes.
pub fn next(bytes: &[u8], delimiter: u8, is_last: bool) -> Next<'_> {
    if bytes.is_empty() {
        return if is_last { Next::End } else { Next::Part };
    }
    let found = memchr2(b'\n', b'"', bytes);
    let has_quote = found.is_some_and(|at| bytes.get(at) == Some(&b'"'));
    let end = if has_quote { end_with_quotes(bytes, delimiter) } else { found.map(Ok).unwrap_or(Err(false)) };
    let (record, length) = match end {
        Ok(end) => (bytes.get(..end).unwrap_or_default(), end + 1),
        Err(_) if !is_last => return Next::Part,
        Err(true) => return Next::Open,
        Err(false) => (bytes, bytes.len()),
    };
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    Next::Record(Record { bytes: record, has_quote, length })
}

/// Where a record with quotes in it ends; without an end, whether a quote is open.
fn end_with_quotes(bytes: &[u8], delimiter: u8) -> Result<usize, bool> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.first() == Some(&b'"') {
            at += quoted(rest).ok_or(true)?;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let end = memchr2(delimiter, b'\n', rest).ok_or(false)?;
        at += end;
        if rest.get(end) == Some(&b'\n') {
            return Ok(at);
        }
        at += 1;
    }
}

/// How long a cell in quotes is, with its quotes.
fn quoted(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr(b'"', bytes.get(at..)?)? + 1;
        if bytes.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

/// A cell, without quotes around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell<'b> {
    /// Its bytes.
    pub bytes: &'b [u8],
    /// Whether quotes in it are doubled.
    pub is_doubled: bool,
}

/// Calls for every cell of a record, with its column.
pub fn cells<'b>(
    record: Record<'b>,
    delimiter: u8,
    mut each: impl FnMut(usize, Cell<'b>),
) -> Result<usize, Reason> {
    if record.has_quote {
        return cells_with_quotes(record.bytes, delimiter, each);
    }
    let (mut column, mut start) = (0, 0);
    for end in memchr_iter(delimiter, record.bytes) {
        each(column, Cell { bytes: record.bytes.get(start..end).unwrap_or_default(), is_doubled: false });
        start = end + 1;
        column += 1;
    }
    each(column, Cell { bytes: record.bytes.get(start..).unwrap_or_default(), is_doubled: false });
    Ok(column + 1)
}

fn cells_with_quotes<'b>(
    bytes: &'b [u8],
    delimiter: u8,
    mut each: impl FnMut(usize, Cell<'b>),
) -> Result<usize, Reason> {
    let (mut column, mut at) = (0, 0);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (cell, length) = if rest.first() == Some(&b'"') {
            let length = quoted(rest).ok_or(Reason::Quotes)?;
            if rest.get(length).is_some_and(|byte| *byte != delimiter) {
                return Err(Reason::Quotes);
            }
            let bytes = rest.get(1..length - 1).unwrap_or_default();
            (Cell { bytes, is_doubled: memchr(b'"', bytes).is_some() }, length)
        } else {
            let length = memchr(delimiter, rest).unwrap_or(rest.len());
            (Cell { bytes: rest.get(..length).unwrap_or_default(), is_doubled: false }, length)
        };
        each(column, cell);
        column += 1;
        at += length + 1;
        if at > bytes.len() {
            return Ok(column);
        }
    }
}

/// Line ends in a record, and the one behind it.
pub fn lines(bytes: &[u8]) -> u64 {
    u64::try_from(memchr_iter(b'\n', bytes).count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records as their cells, and whether a quote stayed open.
    fn read(text: &str) -> (Vec<Result<Vec<String>, Reason>>, bool) {
        let (mut rest, mut found) = (text.as_bytes(), Vec::new());
        loop {
            match next(rest, b',', true) {
                Next::Record(record) => {
                    let mut list = Vec::new();
                    let count = cells(record, b',', |column, cell| {
                        assert_eq!(column, list.len());
                        list.push(String::from_utf8_lossy(cell.bytes).into_owned());
                    });
                    found.push(count.map(|count| {
                        assert_eq!(count, list.len());
                        list
                    }));
                    rest = &rest[record.length.min(rest.len())..];
                }
                Next::Part => panic!("nothing follows the last"),
                Next::Open => return (found, true),
                Next::End => return (found, false),
            }
        }
    }

    #[test]
    fn records() {
        let row = |cells: &[&str]| Ok(cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        for (text, wanted, is_open) in [
            ("", vec![], false),
            ("a,b\nc,d\n", vec![row(&["a", "b"]), row(&["c", "d"])], false),
            ("a,b\r\nc,d", vec![row(&["a", "b"]), row(&["c", "d"])], false),
            ("a,,\n\nb", vec![row(&["a", "", ""]), row(&[""]), row(&["b"])], false),
            ("\"a,b\",c\n", vec![row(&["a,b", "c"])], false),
            ("\"a\nb\",c\r\nd,e", vec![row(&["a\nb", "c"]), row(&["d", "e"])], false),
            ("\"a\"\"b\",\"\"\n", vec![row(&["a\"\"b", ""])], false),
            ("a,\"\"\"\"", vec![row(&["a", "\"\""])], false),
            ("a,5\" pipe,b\nc\"\n", vec![row(&["a", "5\" pipe", "b"]), row(&["c\""])], false),
            ("\"a\"b,c\nd,e\n", vec![Err(Reason::Quotes), row(&["d", "e"])], false),
            ("a,b\n\"c,d\ne,f\n", vec![row(&["a", "b"])], true),
            ("\"", vec![], true),
            ("\"a\",", vec![row(&["a", ""])], false),
        ] {
            assert_eq!(read(text), (wanted, is_open), "{text:?}");
        }
    }

    #[test]
    fn a_part_is_told_from_a_whole() {
        for (text, length) in [
            ("a,b\n", Some(4)),
            ("a,b", None),
            ("", None),
            ("\"a\nb\"", None),
            ("\"a\"\"", None),
            ("\"a\"\n", Some(4)),
            ("\"a\"\"\n\"\n", Some(7)),
        ] {
            let found = match next(text.as_bytes(), b',', false) {
                Next::Record(record) => Some(record.length),
                _ => None,
            };
            assert_eq!(found, length, "{text:?}");
        }
    }
}
