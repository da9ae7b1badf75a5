//! By what payments are matched: rules as data, in order.

use rust_decimal::Decimal;
use serde::Deserialize;
use tongbao_model::decimal::Exact;

use super::subset::Bounds;

/// What says whose or which items a payment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Numbers in the text.
    Reference,
    /// The payer's account is known.
    Account,
    /// Finance has confirmed this payer's name for a customer before.
    Alias,
    /// The payer's name is a customer's.
    Name,
    /// Nothing but the amount.
    Amount,
}

/// How the amount and the open amounts have to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// All the items together.
    All,
    /// One of the items.
    One,
    /// Exactly one part of the items, of two at least.
    Subset,
    /// All the items that are named, otherwise one item, less what a bank may keep.
    Fee,
    /// Less than the only item.
    Short,
    /// More than all the items: the rest is an advance.
    Over,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Shown with each match that it makes.
    pub name: String,
    /// Which items.
    pub by: By,
    /// Which amount.
    pub fit: Fit,
    /// Whether a unique match needs no person.
    pub confirm: bool,
}

/// What a bank may keep of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    /// Shown with each match that uses it.
    pub name: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Most of it, in `currency`.
    pub limit: Exact,
}

/// The rules with their bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The first rule that has an answer decides.
    pub rules: Vec<Rule>,
    /// One for each currency at most.
    pub fees: Vec<Fee>,
    /// Of the search for parts.
    pub bounds: Bounds,
}

impl Policy {
    /// The limit of fees in a currency, with its name.
    pub fn fee(&self, currency: &str) -> Option<(&str, Decimal)> {
        let fee = self.fees.iter().find(|fee| fee.currency == currency)?;
        Some((&fee.name, fee.limit.0))
    }
}

impl Default for Policy {
    /// What names its items confirms itself; what is known of the payer confirms where the amount is exact; the amount alone
    /// is for a person.
    fn default() -> Self {
        let rule = |(name, by, fit, confirm): (&str, By, Fit, bool)| Rule {
            name: name.to_owned(),
            by,
            fit,
            confirm,
        };
        let rules = [
            ("reference-all", By::Reference, Fit::All, true),
            ("reference-one", By::Reference, Fit::One, true),
            ("reference-subset", By::Reference, Fit::Subset, true),
            ("reference-fee", By::Reference, Fit::Fee, true),
            ("reference-short", By::Reference, Fit::Short, true),
            ("reference-over", By::Reference, Fit::Over, true),
            ("account-one", By::Account, Fit::One, true),
            ("account-subset", By::Account, Fit::Subset, true),
            ("account-fee", By::Account, Fit::Fee, false),
            ("alias-one", By::Alias, Fit::One, true),
            ("alias-subset", By::Alias, Fit::Subset, true),
            ("alias-fee", By::Alias, Fit::Fee, false),
            ("name-one", By::Name, Fit::One, true),
            ("name-subset", By::Name, Fit::Subset, true),
            ("name-fee", By::Name, Fit::Fee, false),
            ("amount-one", By::Amount, Fit::One, false),
        ];
        Policy { rules: rules.into_iter().map(rule).collect(), fees: Vec::new(), bounds: Bounds::default() }
    }
}
