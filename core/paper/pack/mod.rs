//! The month-end pack as a page to read and print, and as an Excel file with its chart.

pub mod html;
pub mod xlsx;

use tongbao_model::{Exact, Month};
use tongbao_recon::pack::Part;
use tongbao_recon::pack::walk::Walk;
use tongbao_recon::statement::money;

/// A pack with what is on the paper beside it.
#[derive(Debug, Clone, Copy)]
pub struct Pack<'a> {
    /// Which month.
    pub month: Month,
    /// When the books were read, for people.
    pub as_of: &'a str,
    /// Whether the month is closed.
    pub is_closed: bool,
    /// Days after its date for which an invoice is not due.
    pub credit_days: u32,
    /// Names of the leading book and the other one; `None` where no payments are kept.
    pub books: Option<[&'static str; 2]>,
    /// By currency.
    pub parts: &'a [Part],
}

/// A label and an amount, with a count where there is one.
pub type Named = (String, Option<u64>, Exact);

/// What all statements come to, line by line.
pub fn roll(part: &Part) -> Vec<Named> {
    let roll = &part.roll;
    [
        ("期初应收 opening", roll.opening),
        ("+ 开票 invoiced", roll.invoiced),
        ("− 收款 received", roll.received),
        ("− 手续费 bank fees", roll.fees),
        ("+ 调整 adjustments of closed months", roll.adjusted),
        ("= 期末应收 closing", roll.closing),
    ]
    .map(|(name, amount)| (name.to_owned(), None, amount))
    .into()
}

/// Payments, line by line.
pub fn payments(part: &Part) -> Vec<Named> {
    let payments = &part.payments;
    [
        ("已核销 matched", payments.matched),
        ("未核销 open", payments.open),
        ("多付（合同）over", payments.over),
        ("少付（合同已开全票）under", payments.under),
    ]
    .map(|(name, count)| (name.to_owned(), Some(count.count), money(count.amount.0)))
    .into()
}

/// The walk, line by line.
pub fn walk(walk: &Walk, [leading, other]: [&str; 2]) -> Vec<Named> {
    let count = |name: String, one: tongbao_recon::pack::Count| (name, Some(one.count), money(one.amount.0));
    vec![
        ("账面收款 received on the accounts".into(), None, walk.booked),
        count(format!("+ {leading} 已收、未核销 not allocated"), walk.unallocated),
        ("+ 未解释 unexplained".into(), None, walk.unexplained),
        (format!("= {leading} 收款 receipts there"), None, walk.leading),
        count(format!("− 仅 {leading} 有 there only"), walk.only_leading),
        count(format!("+ 仅 {other} 有 in the other only"), walk.only_other),
        count(format!("+ 金额不同（{other} 减 {leading}）different amounts"), walk.different),
        count(format!("− {other} 记在别月 another month in the other"), walk.later),
        count(format!("+ {leading} 记在别月 another month there"), walk.earlier),
        (format!("= {other} 收款 receipts in the other"), None, walk.other),
        ("余差 left".into(), None, walk.left),
    ]
}

/// How days of sales outstanding are counted, for people.
pub const DSO: [&str; 2] = [
    "余额法 balance：期末应收 ÷ 近三个月开票 × 天数",
    "倒推法 count-back：从期末应收逐月减去开票，减完为止的天数，最后一月按比例",
];
