//! What every format is read into, and the checks that all of them share.

use super::text;
use jiff::civil::{Date, Time};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tongbao_model::{Code, Fault};

/// What an entry is besides money in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Neither of the others.
    Ordinary,
    /// An earlier entry is undone.
    Reversal,
    /// Money of a payment goes back.
    Refund,
}

impl Kind {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ordinary => "ordinary",
            Kind::Reversal => "reversal",
            Kind::Refund => "refund",
        }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Line of the file, or number of the entry in it, from 1.
    pub place: usize,
    /// Day it was booked.
    pub date: Date,
    /// Time of day, China's.
    pub time: Option<Time>,
    /// Value date.
    pub value_date: Option<Date>,
    /// Money in is positive, money out negative; never zero.
    pub amount: Decimal,
    /// Balance after it.
    pub balance: Option<Decimal>,
    /// Charge reported with it.
    pub fee: Option<Decimal>,
    /// What it is.
    pub kind: Kind,
    /// Other party.
    pub other_name: Option<String>,
    /// Its account.
    pub other_account: Option<String>,
    /// Its bank.
    pub other_bank: Option<String>,
    /// Purpose.
    pub text: Option<String>,
    /// The bank's reference.
    pub reference: Option<String>,
    /// The payer's or our own reference.
    pub own_reference: Option<String>,
}

impl Row {
    /// An ordinary entry of which nothing more is known yet.
    pub fn new(place: usize, date: Date, amount: Decimal) -> Row {
        Row {
            place,
            date,
            time: None,
            value_date: None,
            amount,
            balance: None,
            fee: None,
            kind: Kind::Ordinary,
            other_name: None,
            other_account: None,
            other_bank: None,
            text: None,
            reference: None,
            own_reference: None,
        }
    }
}

/// Entries of one account in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Account.
    pub account: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Number of the statement, where it has one.
    pub id: Option<String>,
    /// Balance before the first entry, as the file says.
    pub opening: Option<Decimal>,
    /// Balance after the last entry, as the file says.
    pub closing: Option<Decimal>,
    /// Entries, after [`Statement::settle`] oldest first.
    pub rows: Vec<Row>,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    /// Format, or the layout's name.
    pub format: String,
    /// Its statements.
    pub statements: Vec<Statement>,
    /// What was not booked, and why.
    pub skipped: Vec<Skipped>,
    /// Checks that were made and held, with how often.
    pub checks: BTreeMap<&'static str, usize>,
}

/// A line or entry that is not booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// Line, or number of the entry.
    pub place: usize,
    /// Why.
    pub why: Why,
}

/// Why a line or an entry is not booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It is above the rows, or the row of column names.
    Head,
    /// It is below the rows: totals, who printed it and when.
    Foot,
    /// The bank has not booked it yet.
    Pending,
    /// It did not succeed.
    NotSuccessful,
    /// No money moved.
    Zero,
}

impl Why {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Why::Head => "head",
            Why::Foot => "foot",
            Why::Pending => "pending",
            Why::NotSuccessful => "not-successful",
            Why::Zero => "zero",
        }
    }
}

impl Book {
    /// Notes a check that held.
    pub fn held(&mut self, check: &'static str) {
        *self.checks.entry(check).or_default() += 1;
    }

    /// Holds a figure of the file to what its rows come to.
    pub fn check(
        &mut self,
        check: &'static str,
        place: usize,
        names: (&str, &str),
        stated: Decimal,
        rows: Decimal,
    ) -> Result<(), Fault> {
        if stated != rows {
            return Err(mismatch(place, names, stated, rows));
        }
        self.held(check);
        Ok(())
    }

    /// Puts the entries of every statement in the order of time and holds them to the balances.
    pub fn settle(&mut self) -> Result<(), Fault> {
        let mut statements = std::mem::take(&mut self.statements);
        for statement in &mut statements {
            statement.settle(self)?;
        }
        self.statements = statements;
        Ok(())
    }
}

/// A figure of the file is not what its rows come to. `place` 0: the file as a whole.
pub fn mismatch(place: usize, (zh, en): (&str, &str), stated: Decimal, rows: Decimal) -> Fault {
    let (where_zh, where_en) = match place {
        0 => (String::new(), String::new()),
        place => (format!("第 {place} 行："), format!("row {place}: ")),
    };
    Fault::new(
        Code::StatementMismatch,
        format!("{where_zh}{zh}应为 {rows}，文件为 {stated}"),
        format!("{where_en}the {en} should be {rows}, the file says {stated}"),
    )
    .at(row_field(place))
}

/// The name under which a row is told.
pub fn row_field(place: usize) -> String {
    if place == 0 { "file".to_owned() } else { format!("row {place}") }
}

/// Puts a fault at a row, with the column if there is one.
pub fn in_row(fault: Fault, place: usize, column: &str) -> Fault {
    let zh = format!("第 {place} 行 {column}：{}", fault.message.zh);
    let en = format!("row {place} {column}: {}", fault.message.en);
    Fault { message: tongbao_model::Text::new(zh, en), field: Some(row_field(place)), ..fault }
}

impl Statement {
    /// Of an account.
    pub fn new(account: String, currency: String) -> Statement {
        Statement { account, currency, id: None, opening: None, closing: None, rows: Vec::new() }
    }

    fn settle(&mut self, book: &mut Book) -> Result<(), Fault> {
        let backwards: Vec<&Row> = self.rows.iter().rev().collect();
        let forwards: Vec<&Row> = self.rows.iter().collect();
        let (up, down) = (self.chain(&forwards)?, self.chain(&backwards)?);
        let by_date = self.rows.first().map(|row| row.date) > self.rows.last().map(|row| row.date);
        let is_descending = match (up.breaks, down.breaks) {
            (0, 0) => by_date,
            (up, down) if up == down => by_date,
            (up, down) => down < up,
        };
        let chain = if is_descending { down } else { up };
        if let Some(first) = chain.first {
            return Err(first);
        }
        if chain.compared > 0 {
            *book.checks.entry("running-balance").or_default() += chain.compared;
        }
        if is_descending {
            self.rows.reverse();
        }
        let mut total = Decimal::ZERO;
        for row in &self.rows {
            total = text::sum(total, row.amount)?;
        }
        if let (Some(opening), Some(closing)) = (self.opening, self.closing) {
            let names = ("期末余额", "closing balance");
            book.check("closing-balance", 0, names, closing, text::sum(opening, total)?)?;
        }
        Ok(())
    }

    /// Follows the balances through entries in the order of time.
    fn chain(&self, rows: &[&Row]) -> Result<Chain, Fault> {
        let mut chain = Chain { breaks: 0, compared: 0, first: None };
        let mut before = self.opening;
        for row in rows {
            let expected = before.map(|before| text::sum(before, row.amount)).transpose()?;
            if let (Some(expected), Some(stated)) = (expected, row.balance) {
                if expected == stated {
                    chain.compared += 1;
                } else {
                    let fault = || mismatch(row.place, ("余额", "balance"), stated, expected);
                    chain.first.get_or_insert_with(fault);
                    chain.breaks += 1;
                }
            }
            before = row.balance.or(expected);
        }
        if let (Some(last), Some(closing), true) = (before, self.closing, self.opening.is_none())
            && last != closing
        {
            chain.first.get_or_insert_with(|| mismatch(0, ("期末余额", "closing balance"), closing, last));
            chain.breaks += 1;
        }
        Ok(chain)
    }
}

/// What following the balances came to.
struct Chain {
    breaks: usize,
    compared: usize,
    first: Option<Fault>,
}
