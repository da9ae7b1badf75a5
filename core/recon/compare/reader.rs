//! One file, block by block, into rows of key and amount.

use super::amount::{Sum, amount};
use super::heading::{Columns, Heading, heading};
use super::key::Key;
use super::record::{Cell, Next, Record, cells, lines, next};
use super::refusal::{Reason, Refusals};
use super::text::{clean, currency, decoded, encoding_of, is_blank, is_clean};
use super::{KEY_MAX, PARTS, RECORD_MAX, SEPARATOR};
use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};
use tongbao_model::Text;

/// Lines in which the head is looked for.
const HEAD_LINES: u64 = 50;

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What it is found by; a long one is in the batch's pool.
    pub key: Key,
    /// In ten-thousandths.
    pub amount: i64,
    /// Of the key.
    pub hash: u32,
}

/// Rows that were read together, and whose keys are of one part.
#[derive(Debug, Default)]
pub struct Batch {
    /// Rows.
    pub rows: Vec<Row>,
    /// Their long keys.
    pub pool: Vec<u8>,
}

impl Batch {
    /// Forgets its rows and keeps their memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.pool.clear();
    }
}

/// What was read of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// Rows that are compared.
    pub rows: u64,
    /// Their amounts.
    pub sum: Sum,
    /// Rows that are not.
    pub refused: Refusals,
}

/// Reads a file.
#[derive(Debug)]
pub struct Reader<S> {
    columns: Columns,
    encoding: Option<&'static Encoding>,
    hasher: S,
    heading: Option<Heading>,
    line: u64,
    read: Read,
}

impl<S: BuildHasher> Reader<S> {
    /// Of a file with these columns; its encoding is found out where it is not given. Both files take the same hasher,
    /// with a seed that nobody who writes them knows.
    pub fn new(columns: Columns, encoding: Option<&'static Encoding>, hasher: S) -> Reader<S> {
        Reader { columns, encoding, hasher, heading: None, line: 0, read: Read::default() }
    }

    /// Reads the whole records that the bytes begin with into a batch for each part, and says how many bytes that were. The
    /// others are to be given again, with what follows them.
    pub fn read(&mut self, bytes: &[u8], is_last: bool, batches: &mut [Batch; PARTS]) -> Result<usize, Text> {
        let mut at = 0;
        if self.line == 0 {
            if bytes.len() < 4 && !is_last {
                return Ok(0);
            }
            at = self.begin(bytes)?;
        }
        if self.heading.is_none() {
            at += self.head(bytes.get(at..).unwrap_or_default(), is_last)?;
        }
        let Some(heading) = self.heading else { return bounded(at, bytes, self.line) };
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match next(rest, heading.delimiter, is_last) {
                Next::Record(record) => {
                    let line = self.line;
                    self.line += if record.has_quote { lines(record.bytes) + 1 } else { 1 };
                    at += record.length;
                    match self.row(record, heading, rest, batches) {
                        Ok(amount) => {
                            self.read.rows += 1;
                            self.read.sum.0 += i128::from(amount);
                        }
                        Err(_) if is_blank(record.bytes, heading.delimiter) => {}
                        Err(reason) => self.read.refused.add(line, reason),
                    }
                }
                Next::Part => return bounded(at, bytes, self.line),
                Next::Open => return Err(open_quote(self.line)),
                Next::End => return Ok(at),
            }
        }
    }

    /// What was read, once all was.
    pub fn finish(self) -> Result<Read, Text> {
        if self.heading.is_none() {
            return Err(self.columns.missing(self.line.saturating_sub(1)));
        }
        Ok(self.read)
    }

    /// The first bytes: a mark of the encoding, or of what is no text.
    fn begin(&mut self, bytes: &[u8]) -> Result<usize, Text> {
        self.line = 1;
        let not_text = |zh: &str, en: &str| {
            Err(Text::new(
                format!("{zh}：请另存为 UTF-8 编码的 CSV"),
                format!("{en}: save it as CSV in UTF-8"),
            ))
        };
        if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xd0\xcf\x11\xe0") {
            return not_text("这是 Excel 工作簿", "this is an Excel workbook");
        }
        match Encoding::for_bom(bytes) {
            Some((encoding, length)) if encoding == UTF_8 => {
                self.encoding = Some(UTF_8);
                Ok(length)
            }
            Some(_) => not_text("文件是 UTF-16 编码", "the file is in UTF-16"),
            None => Ok(0),
        }
    }

    /// The head, behind what stands above it.
    fn head(&mut self, bytes: &[u8], is_last: bool) -> Result<usize, Text> {
        let mut at = 0;
        while self.line <= HEAD_LINES {
            let rest = bytes.get(at..).unwrap_or_default();
            let Next::Record(record) = next(rest, b',', is_last) else { return Ok(at) };
            let encoding = self.encoding_within(record.bytes, rest);
            if let Some((heading, length)) = heading(rest, is_last, &self.columns, encoding)? {
                self.line += lines(rest.get(..length).unwrap_or_default()).max(1);
                self.heading = Some(heading);
                return Ok(at + length);
            }
            self.line += lines(record.bytes) + 1;
            at += record.length;
        }
        Err(self.columns.missing(HEAD_LINES))
    }

    /// The encoding of a cell. Once one needs to be known, it is found out from all that is there.
    fn encoding_within(&mut self, cell: &[u8], around: &[u8]) -> &'static Encoding {
        match self.encoding {
            Some(encoding) => encoding,
            None if cell.is_ascii() => UTF_8,
            None => self.encoding.insert(encoding_of(around)),
        }
    }

    fn row(
        &mut self,
        record: Record<'_>,
        heading: Heading,
        around: &[u8],
        batches: &mut [Batch; PARTS],
    ) -> Result<i64, Reason> {
        let mut found = [Cell::default(); 3];
        let [key, money, unit] = heading.wanted.map(|column| column.unwrap_or(usize::MAX));
        let count = cells(record, heading.delimiter, |column, cell| {
            let [one, two, three] = &mut found;
            if column == key {
                *one = cell;
            } else if column == money {
                *two = cell;
            } else if column == unit {
                *three = cell;
            }
        })?;
        if count != heading.count {
            return Err(Reason::Columns);
        }
        let [key, money, unit] = found;
        let amount = amount(money.bytes)?;
        let has_currency = heading.wanted.last().is_some_and(Option::is_some);
        if !has_currency && !key.is_doubled && is_clean(key.bytes) {
            return self.keep(key.bytes, amount, batches);
        }
        let mut made = self.value(key, around)?.into_owned();
        if made.is_empty() {
            return Err(Reason::NoKey);
        }
        if has_currency {
            let unit = currency(&self.value(unit, around)?).ok_or(Reason::NoCurrency)?;
            made.push(SEPARATOR);
            made.push_str(&unit);
        }
        self.keep(made.as_bytes(), amount, batches)
    }

    fn keep(&self, key: &[u8], amount: i64, batches: &mut [Batch; PARTS]) -> Result<i64, Reason> {
        match key.len() {
            0 => return Err(Reason::NoKey),
            length if length > KEY_MAX => return Err(Reason::LongKey),
            _ => {}
        }
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        let hash = hasher.finish();
        let part = usize::try_from(hash).unwrap_or_default() % PARTS;
        if let Some(batch) = batches.get_mut(part) {
            let hash = u32::try_from(hash >> 32).unwrap_or_default();
            batch.rows.push(Row { key: Key::new(key, &mut batch.pool), amount, hash });
        }
        Ok(amount)
    }

    /// A cell as text, without what is put around it.
    fn value<'b>(&mut self, cell: Cell<'b>, around: &[u8]) -> Result<Cow<'b, str>, Reason> {
        let encoding = self.encoding_within(cell.bytes, around);
        let text = decoded(cell.bytes, encoding).ok_or(Reason::Encoding)?;
        if cell.is_doubled {
            return Ok(clean(&text.replace("\"\"", "\"")).to_owned().into());
        }
        Ok(match text {
            Cow::Borrowed(text) => clean(text).into(),
            Cow::Owned(text) => clean(&text).to_owned().into(),
        })
    }
}

/// A record is not endless: what is left over from some bytes is less than the longest one.
fn bounded(at: usize, bytes: &[u8], line: u64) -> Result<usize, Text> {
    if bytes.len() - at > RECORD_MAX { Err(open_quote(line)) } else { Ok(at) }
}

fn open_quote(line: u64) -> Text {
    Text::new(
        format!("第 {line} 行：没有结束（引号未闭合，或不是文本文件）：请改正该行，或重新导出"),
        format!(
            "line {line} does not end (a quote is not closed, or the file is no text): correct it, or export it again"
        ),
    )
}
