//! The rows that every format has: one sheet for each currency, the checksum last.

use crate::{Paper, checksum};
use jiff::civil::Date;
use rust_decimal::Decimal;
use tongbao_model::record::Time;
use tongbao_recon::statement::{Section, Statement};

/// How many columns a sheet has.
pub const COLUMNS: usize = 7;

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Blank,
    /// A text, which is never a formula.
    Text(String),
    /// A day.
    Day(Date),
    /// An amount.
    Amount(Decimal),
}

impl Cell {
    /// As people read it.
    pub fn shown(&self) -> String {
        match self {
            Cell::Blank => String::new(),
            Cell::Text(text) => text.clone(),
            Cell::Day(day) => day.to_string(),
            Cell::Amount(amount) => checksum::amount(*amount),
        }
    }
}

/// What a row is, for those who format it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The title.
    Title,
    /// A label and what it says.
    About,
    /// A remark.
    Note,
    /// Names of columns.
    Header,
    /// The opening balance.
    Opening,
    /// A document.
    Line,
    /// Sums and closing balance.
    Total,
    /// Ageing amounts.
    Ageing,
    /// The checksum.
    Checksum,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub role: Role,
    /// At most [`COLUMNS`].
    pub cells: Vec<Cell>,
}

/// The rows of one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Its name.
    pub name: String,
    /// From the first to the last.
    pub rows: Vec<Row>,
}

/// Labels by which the head of a file is read back.
pub mod label {
    /// Code of the customer.
    pub const CUSTOMER: &str = "客户编码 customer";
    /// Its name.
    pub const BUYER: &str = "客户名称 customer name";
    /// Who issues the statement.
    pub const SELLER: &str = "出具单位 issued by";
    /// The month.
    pub const MONTH: &str = "月份 month";
    /// The credit days.
    pub const CREDIT_DAYS: &str = "信用期(天) credit days";
    /// When the books were read.
    pub const AS_OF: &str = "账面截至 books as of";
    /// The checksum.
    pub const CHECKSUM: &str = "校验 checksum";
}

/// What a reader has to know to read the balance and the ageing.
const NOTES: [&str; 4] = [
    "余额 = 期初 + 借方(开票) - 贷方(收款)；正数为应收，负数为预收；红字发票与退款为负数；已结账月份的更正列为调整",
    "Balance: invoiced less received. Above zero it is owed, below zero an advance. News of closed months are adjustments.",
    "账龄自开票日起算，扣除信用期；收款未指明发票，在同一合同内先核销最早的发票",
    "Ageing: from the invoice date, less credit days. Receipts name no invoice: within a contract the oldest is paid first.",
];

/// The sheets of a statement: one at least.
pub fn sheets(paper: &Paper<'_>) -> Vec<Sheet> {
    let statement = paper.statement;
    if statement.sections.is_empty() {
        let mut rows = head(paper);
        rows.push(note("本月无往来，无余额 / nothing happened, nothing is open"));
        rows.push(last(statement));
        return vec![Sheet { name: "对账单".into(), rows }];
    }
    statement.sections.iter().map(|section| sheet(paper, section)).collect()
}

fn sheet(paper: &Paper<'_>, section: &Section) -> Sheet {
    let mut rows = head(paper);
    rows.push(about("币别 currency", Some(&section.currency)));
    let names = [
        "日期 date",
        "类别 kind",
        "单号 number",
        "合同 contract",
        "借方(开票) debit",
        "贷方(收款) credit",
        "余额 balance",
    ];
    rows.push(Row { role: Role::Header, cells: names.map(text).into() });
    let blank = || [Cell::Blank, Cell::Blank, Cell::Blank];
    let mut opening = vec![text("期初余额 opening")];
    opening.extend(blank());
    opening.extend([Cell::Blank, Cell::Blank, Cell::Amount(section.opening.0)]);
    rows.push(Row { role: Role::Opening, cells: opening });
    for line in &section.lines {
        let (zh, en) = line.kind.told();
        let kind = format!("{zh} {en}");
        let mut cells = vec![Cell::Day(line.day), text(&kind), text(&line.number), text(&line.contract)];
        cells.extend([line.debit, line.credit, line.balance].map(|value| Cell::Amount(value.0)));
        rows.push(Row { role: Role::Line, cells });
    }
    let mut total = vec![text("合计/期末 total, closing")];
    total.extend(blank());
    total.extend([section.debit, section.credit, section.closing].map(|value| Cell::Amount(value.0)));
    rows.push(Row { role: Role::Total, cells: total });
    let ageing = section.ageing.told();
    let names = ageing.iter().map(|(zh, en, _)| text(&format!("{zh} {en}")));
    rows.push(Row {
        role: Role::Header, cells: std::iter::once(text("账龄 ageing")).chain(names).collect()
    });
    let amounts = ageing.iter().map(|(.., value)| Cell::Amount(value.0));
    rows.push(Row { role: Role::Ageing, cells: std::iter::once(Cell::Blank).chain(amounts).collect() });
    rows.extend(NOTES.map(note));
    rows.push(last(paper.statement));
    Sheet { name: name(&section.currency), rows }
}

/// A currency as the name of a sheet, which may not be long and may not have some characters.
fn name(currency: &str) -> String {
    let allowed = |symbol: &char| symbol.is_alphanumeric() || *symbol == '-';
    let name: String = currency.chars().filter(allowed).take(20).collect();
    if name.is_empty() { "—".to_owned() } else { name }
}

fn head(paper: &Paper<'_>) -> Vec<Row> {
    let statement = paper.statement;
    let state = if statement.is_closed { "已结账 closed" } else { "未结账 open" };
    vec![
        Row { role: Role::Title, cells: vec![text("客户对账单 Statement of account")] },
        about(label::SELLER, paper.seller),
        about(label::CUSTOMER, Some(&statement.customer)),
        about(label::BUYER, paper.buyer),
        about(label::MONTH, Some(&statement.month.to_string())),
        about(label::CREDIT_DAYS, Some(&statement.credit_days.to_string())),
        about("状态 state", Some(state)),
        about(label::AS_OF, Some(&as_of(statement))),
    ]
}

/// When the books were read, to the millisecond.
pub fn as_of(statement: &Statement) -> String {
    Time::in_china(statement.as_of_ms).map(|time| time.0).unwrap_or_default()
}

fn last(statement: &Statement) -> Row {
    let cells = vec![text(label::CHECKSUM), text(&checksum::of(statement))];
    Row { role: Role::Checksum, cells }
}

/// A remark.
pub fn note(value: &str) -> Row {
    Row { role: Role::Note, cells: vec![text(value)] }
}

fn about(label: &str, value: Option<&str>) -> Row {
    let cells = std::iter::once(text(label)).chain(value.map(text)).collect();
    Row { role: Role::About, cells }
}

/// A cell of text.
pub fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}
