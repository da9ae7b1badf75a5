//! One request as the invoices it takes.

use super::{Amounts, LineKey};
use rust_decimal::Decimal;
use tongbao_model::{Code, Fault};

/// Kind of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InvoiceKind {
    /// 专票: the buyer deducts its tax. Carries no line without tax.
    Special,
    /// 普票.
    Ordinary,
}

impl InvoiceKind {
    /// As records name it.
    pub fn name(self) -> &'static str {
        match self {
            InvoiceKind::Special => "special",
            InvoiceKind::Ordinary => "ordinary",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<InvoiceKind> {
        [InvoiceKind::Special, InvoiceKind::Ordinary].into_iter().find(|kind| kind.name() == name)
    }
}

/// A line as it is printed, with the row of its discount. The order of its fields is the order on the invoice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Billed {
    /// Contract it is from.
    pub contract: String,
    /// Which line of it.
    pub key: LineKey,
    /// How many.
    pub quantity: Decimal,
    /// Before discount.
    pub amount: Amounts,
    /// The discount, zero or less: a row of its own, right below.
    pub discount: Option<Amounts>,
}

/// What an e-invoice channel takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Rows on one invoice, those of discounts counted.
    pub rows_max: usize,
    /// Characters of an order number.
    pub number_max: usize,
}

/// One invoice to issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// The request's number; where it takes several invoices, with `-1`, `-2`, … behind it.
    pub number: String,
    /// Kind.
    pub kind: InvoiceKind,
    /// Its lines.
    pub lines: Vec<Billed>,
    /// Sums of the rounded rows.
    pub totals: Amounts,
}

/// The invoices of a request: lines without tax of a special invoice on ordinary ones of their own, and no invoice with more
/// rows than the channel takes. Whatever order the lines come in, the same line is on the same invoice under the same number.
pub fn split(
    number: &str,
    kind: InvoiceKind,
    lines: &[Billed],
    channel: Channel,
) -> Result<Vec<Invoice>, Fault> {
    let mut ordered = lines.to_vec();
    ordered.sort();
    let (exempt, taxed): (Vec<Billed>, Vec<Billed>) =
        ordered.into_iter().partition(|line| kind == InvoiceKind::Special && line.key.rate.is_zero());
    let mut sheets = Vec::new();
    for (kind, lines) in [(kind, taxed), (InvoiceKind::Ordinary, exempt)] {
        for lines in sheets_of(lines, channel.rows_max)? {
            sheets.push((kind, lines));
        }
    }
    let several = sheets.len() > 1;
    let numbered = |(place, (kind, lines)): (usize, (InvoiceKind, Vec<Billed>))| {
        let number = if several { format!("{number}-{}", place + 1) } else { number.to_owned() };
        if number.chars().count() > channel.number_max {
            return Err(long_number(&number, channel.number_max));
        }
        let totals = totals(&lines).ok_or_else(out_of_range)?;
        Ok(Invoice { number, kind, lines, totals })
    };
    sheets.into_iter().enumerate().map(numbered).collect()
}

/// Lines by invoice: a discount stays with its line.
fn sheets_of(lines: Vec<Billed>, rows_max: usize) -> Result<Vec<Vec<Billed>>, Fault> {
    let mut sheets: Vec<Vec<Billed>> = Vec::new();
    let mut rows = 0;
    for line in lines {
        let own = 1 + usize::from(line.discount.is_some());
        if own > rows_max {
            return Err(too_few_rows(rows_max));
        }
        rows += own;
        match sheets.last_mut() {
            Some(sheet) if rows <= rows_max => sheet.push(line),
            _ => {
                rows = own;
                sheets.push(vec![line]);
            }
        }
    }
    Ok(sheets)
}

fn totals(lines: &[Billed]) -> Option<Amounts> {
    lines.iter().try_fold(Amounts::default(), |sum, line| {
        sum.plus(line.amount)?.plus(line.discount.unwrap_or_default())
    })
}

fn out_of_range() -> Fault {
    Fault::new(
        Code::NumberRange,
        "价税合计超出可精确计算的范围",
        "totals leave the range of exact arithmetic",
    )
}

fn long_number(number: &str, max: usize) -> Fault {
    Fault::new(
        Code::FieldTooLong,
        format!("拆分后的开票订单号超过 {max} 个字符"),
        format!("the order number of a split invoice is longer than {max} characters"),
    )
    .at("number")
    .value(number)
    .remedy("以更短的申请号重新申请。", "Ask again under a shorter request number.")
}

fn too_few_rows(max: usize) -> Fault {
    Fault::new(
        Code::DocumentLimit,
        format!("开票通道每张最多 {max} 行，放不下一行及其折扣行"),
        format!("the channel takes {max} rows an invoice, too few for a line with its discount"),
    )
    .at("lines")
    .remedy("更正该连接的每张行数上限。", "Correct the connection's limit of rows an invoice.")
}
