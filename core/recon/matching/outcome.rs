//! What became of a payment, and why.

use rust_decimal::Decimal;

/// An amount that an item is paid with. Negative for a red invoice, which is used up by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Take {
    /// The item's id.
    pub item: String,
    /// In the payment's currency.
    pub amount: Decimal,
}

/// One thing that speaks for a match, or against it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The text names the number of an item.
    Named(String),
    /// The payer's account is the customer's.
    Account,
    /// The payer's name was confirmed for the customer before.
    Alias,
    /// The payer's name is the customer's.
    Name,
    /// The amount is that of one item.
    Amount,
    /// The amount is that of several items together.
    Sum,
    /// The rest of the items is what the bank keeps.
    Fee {
        /// Whose limit it is within.
        name: String,
        /// How much.
        amount: Decimal,
    },
    /// A part of the item.
    Part,
    /// The rest of the payment is an advance.
    Advance(Decimal),
    /// Against it: among so many items, or such round ones, a sum is reached by chance.
    Chance,
    /// Against it: the text names a number like ours that nothing has.
    UnknownNumber(String),
    /// Against it: the text names an item that is paid.
    Closed(String),
    /// Against it: by account or name the payer is another customer.
    OtherPayer(String),
}

impl Reason {
    /// Whether it keeps a match from being confirmed without a person.
    pub fn is_against(&self) -> bool {
        matches!(self, Reason::Chance | Reason::UnknownNumber(_) | Reason::Closed(_) | Reason::OtherPayer(_))
    }

    /// For people, Chinese and English.
    pub fn told(&self) -> (String, String) {
        match self {
            Reason::Named(number) => (format!("摘要写有 {number}"), format!("the text names {number}")),
            Reason::Account => ("付款账号属于该客户".into(), "the payer's account is the customer's".into()),
            Reason::Alias => (
                "付款户名曾确认为该客户".into(),
                "the payer's name was confirmed for the customer before".into(),
            ),
            Reason::Name => ("付款户名即该客户".into(), "the payer's name is the customer's".into()),
            Reason::Amount => ("金额等于一笔应收".into(), "the amount is that of one item".into()),
            Reason::Sum => {
                ("金额等于数笔应收之和".into(), "the amount is that of several items together".into())
            }
            Reason::Fee { name, amount } => (
                format!("差额 {amount} 在{name}限额内"),
                format!("the difference of {amount} is within `{name}`"),
            ),
            Reason::Part => ("部分付款".into(), "a part of the item".into()),
            Reason::Advance(amount) => {
                (format!("余款 {amount} 转预收"), format!("{amount} is left as an advance"))
            }
            Reason::Chance => (
                "项数多或金额整，凑数可能是巧合".into(),
                "with so many or such round items the sum may be chance".into(),
            ),
            Reason::UnknownNumber(number) => (
                format!("摘要写有 {number}，没有此号"),
                format!("the text names {number}, which nothing has"),
            ),
            Reason::Closed(number) => (format!("{number} 已结清"), format!("{number} is paid already")),
            Reason::OtherPayer(customer) => {
                (format!("付款方应为客户 {customer}"), format!("the payer should be customer {customer}"))
            }
        }
    }
}

/// A way to use a payment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    /// The rule that it comes from.
    pub rule: String,
    /// What is paid, by item.
    pub takes: Vec<Take>,
    /// Closed without money, for the bank keeps it.
    pub fee: Decimal,
    /// Left of the payment.
    pub advance: Decimal,
    /// What speaks for it and against it.
    pub reasons: Vec<Reason>,
}

/// What became of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Used.
    Matched(Match),
    /// The only way found, for a person to confirm.
    Proposed(Match),
    /// Several ways, or one that another payment has as well.
    Tie(Vec<Match>),
    /// More ways than can be tried, under this rule.
    TooMany(String),
    /// The text names items in another currency.
    OtherCurrency(Vec<String>),
    /// No rule has an answer; what its text names that cannot be paid.
    Open(Vec<Reason>),
}
