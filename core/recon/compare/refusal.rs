//! Rows that are not compared, and why.

use serde::Serialize;
use std::collections::BTreeMap;
use tongbao_model::Text;

/// Rows that are named by their line; of the others there is the count.
const NAMED: usize = 100;

/// Why a row is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// More or fewer columns than the head of the file.
    Columns,
    /// Text behind the closing quote of a cell.
    Quotes,
    /// No key.
    NoKey,
    /// A key of more than [`super::KEY_MAX`] bytes.
    LongKey,
    /// Bytes that are no text in the encoding of the file.
    Encoding,
    /// No currency, where one is asked for.
    NoCurrency,
    /// No amount.
    NoAmount,
    /// What stands for the amount is none.
    NoNumber,
    /// More decimal places than are kept.
    Places,
    /// More digits than are kept.
    TooLarge,
}

impl Reason {
    /// Said, with the way out.
    pub fn text(self) -> Text {
        let (zh, en) = match self {
            Reason::Columns => (
                "列数与表头不同：金额带千分位时须加引号，请重新导出",
                "not as many columns as the head: amounts with separators of thousands need quotes, export it again",
            ),
            Reason::Quotes => {
                ("引号之后还有文字：请重新导出", "text behind a closing quote: export it again")
            }
            Reason::NoKey => {
                ("没有键：合计行请删除，缺号请补", "no key: delete rows of totals, fill in what lacks")
            }
            Reason::LongKey => {
                ("键过长：请核对 --key 所指的列", "the key is too long: is --key the right column?")
            }
            Reason::Encoding => (
                "不是该文件的编码：请用 --encoding 或 --right-encoding 指明，或另存为 UTF-8",
                "not in the encoding of the file: name it by --encoding or --right-encoding, or save it as UTF-8",
            ),
            Reason::NoCurrency => ("没有币别：请补", "no currency: fill it in"),
            Reason::NoAmount => ("没有金额：无金额请填 0", "no amount: write 0 where there is none"),
            Reason::NoNumber => (
                "不是金额：须为 1234.50 或 1,234.50，不用科学计数、括号",
                "no amount: 1234.50 or 1,234.50, without exponents or brackets",
            ),
            Reason::Places => {
                ("金额超过 4 位小数：请先四舍五入", "more than 4 decimal places: round it first")
            }
            Reason::TooLarge => ("金额位数过多", "the amount has too many digits"),
        };
        Text::new(zh, en)
    }
}

/// A row that is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Line of the file on which it begins.
    pub line: u64,
    /// Why.
    pub reason: Reason,
}

/// All of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// How many, by reason.
    pub counts: BTreeMap<Reason, u64>,
    /// The first of them.
    pub first: Vec<Refusal>,
}

impl Refusals {
    /// One more.
    pub fn add(&mut self, line: u64, reason: Reason) {
        *self.counts.entry(reason).or_default() += 1;
        if self.first.len() < NAMED {
            self.first.push(Refusal { line, reason });
        }
    }

    /// How many in all.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }
}
