//! The head of a file: which of its columns are compared, and what stands between them.

use super::record::{Next, Record, cells, next};
use super::refusal::Reason;
use super::text::{clean, decoded};
use encoding_rs::Encoding;
use tongbao_model::Text;

/// What may stand between cells.
const DELIMITERS: [u8; 3] = [b',', b'\t', b';'];

/// Columns of a file that are compared, by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// What rows of both files are found by.
    pub key: String,
    /// What is added up.
    pub amount: String,
    /// Amounts of different currencies are never added up.
    pub currency: Option<String>,
}

impl Columns {
    fn names(&self) -> [Option<&str>; 3] {
        [Some(&self.key), Some(&self.amount), self.currency.as_deref()]
    }

    /// That the file has not got them.
    pub fn missing(&self, lines: u64) -> Text {
        let names: Vec<&str> = self.names().into_iter().flatten().collect();
        let names = names.join("`, `");
        Text::new(
            format!(
                "前 {lines} 行中没有一行含有列 `{names}`：请用 --key、--amount、--currency（右侧文件用 --right-…）写明表头中的列名；列名无误时，请用 --encoding、--right-encoding 指明编码"
            ),
            format!(
                "none of the first {lines} lines names the columns `{names}`: give the names that the head has, by --key, --amount and --currency (--right-… for the right file); if they are right, name the encoding by --encoding or --right-encoding"
            ),
        )
    }
}

/// The head of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading {
    /// What stands between cells.
    pub delimiter: u8,
    /// How many columns there are.
    pub count: usize,
    /// Where key, amount and currency are.
    pub wanted: [Option<usize>; 3],
}

/// The record that the bytes begin with, as a head. `Ok(None)` when it is none.
pub fn heading(
    bytes: &[u8],
    is_last: bool,
    columns: &Columns,
    encoding: &'static Encoding,
) -> Result<Option<(Heading, usize)>, Text> {
    for delimiter in DELIMITERS {
        let Next::Record(record) = next(bytes, delimiter, is_last) else { continue };
        let Ok(names) = names(record, delimiter, encoding) else { continue };
        let mut wanted = [None; 3];
        for (place, name) in wanted.iter_mut().zip(columns.names()) {
            let Some(name) = name else { continue };
            let mut found = names.iter().enumerate().filter(|(_, known)| *known == clean(name));
            *place = found.next().map(|(column, _)| column);
            if found.next().is_some() {
                return Err(Text::new(
                    format!("表头中有两列都叫 `{name}`：请先改名"),
                    format!("the head has two columns of the name `{name}`: rename one"),
                ));
            }
        }
        if wanted.iter().zip(columns.names()).all(|(place, name)| place.is_some() == name.is_some()) {
            return Ok(Some((Heading { delimiter, count: names.len(), wanted }, record.length)));
        }
    }
    Ok(None)
}

fn names(record: Record<'_>, delimiter: u8, encoding: &'static Encoding) -> Result<Vec<String>, Reason> {
    let mut names = Vec::new();
    cells(record, delimiter, |_, cell| {
        let name = decoded(cell.bytes, encoding).unwrap_or_default();
        names.push(clean(&name).to_owned());
    })?;
    Ok(names)
}
