//! How old what is open is.
//!
//! A receipt names its contract and not the invoices that it pays: within a contract it is applied to the oldest first, and so
//! is a red invoice. What is left over there is not applied to other contracts; it is an advance.

use super::posting::Posting;
use super::{StatementError, money, plus};
use crate::MovementKind;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;
use tongbao_model::{Exact, Month};

/// What is open at the end of a month by days overdue. The sum less `unapplied` is the closing balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Ageing {
    /// Not due yet.
    pub not_due: Exact,
    /// 1 to 30 days.
    pub to_30: Exact,
    /// 31 to 60 days.
    pub to_60: Exact,
    /// 61 to 90 days.
    pub to_90: Exact,
    /// More than 90 days.
    pub over_90: Exact,
    /// Received and applied to nothing: advances (预收).
    pub unapplied: Exact,
}

impl Ageing {
    /// Every amount with its name in Chinese and English.
    pub fn told(&self) -> [(&'static str, &'static str, Exact); 6] {
        [
            ("未到期", "not due", self.not_due),
            ("逾期1–30天", "1–30 days", self.to_30),
            ("逾期31–60天", "31–60 days", self.to_60),
            ("逾期61–90天", "61–90 days", self.to_90),
            ("逾期90天以上", "over 90 days", self.over_90),
            ("预收(未核销)", "advance", self.unapplied),
        ]
    }

    fn bucket(&mut self, overdue: i64) -> &mut Exact {
        match overdue {
            ..=0 => &mut self.not_due,
            1..=30 => &mut self.to_30,
            31..=60 => &mut self.to_60,
            61..=90 => &mut self.to_90,
            _ => &mut self.over_90,
        }
    }
}

/// One document's effect on the balance.
struct Item {
    effect: Decimal,
    day: Date,
}

/// Of the postings of one currency up to a month.
pub fn of(postings: &[Posting<'_>], month: Month, credit_days: u32) -> Result<Ageing, StatementError> {
    let mut contracts: BTreeMap<&str, BTreeMap<(MovementKind, &str), Item>> = BTreeMap::new();
    for posting in postings {
        let items = contracts.entry(posting.contract).or_default();
        let new = Item { effect: Decimal::ZERO, day: posting.day };
        let item = items.entry((posting.kind, posting.origin)).or_insert(new);
        item.effect = plus(item.effect, posting.effect(), posting.origin)?;
        item.day = posting.day;
    }
    let mut ageing = Ageing::default();
    for (contract, items) in contracts {
        let (owed, paid): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|(_, item)| item.effect > Decimal::ZERO);
        let mut left =
            paid.iter().try_fold(Decimal::ZERO, |sum, (key, item)| plus(sum, -item.effect, key.1))?;
        let mut owed = owed;
        owed.sort_by_key(|((kind, origin), item)| (item.day, *kind, *origin));
        for ((_, origin), item) in owed {
            let applied = left.min(item.effect);
            left = plus(left, -applied, origin)?;
            let bucket = ageing.bucket(overdue(item.day, month, credit_days));
            bucket.0 = plus(bucket.0, plus(item.effect, -applied, origin)?, origin)?;
        }
        ageing.unapplied.0 = plus(ageing.unapplied.0, left, contract)?;
    }
    let Ageing { not_due, to_30, to_60, to_90, over_90, unapplied } = ageing;
    let [not_due, to_30, to_60, to_90, over_90, unapplied] =
        [not_due, to_30, to_60, to_90, over_90, unapplied].map(|amount| money(amount.0));
    Ok(Ageing { not_due, to_30, to_60, to_90, over_90, unapplied })
}

/// Days from the end of the credit to the end of the month.
fn overdue(day: Date, month: Month, credit_days: u32) -> i64 {
    let age = month.last().duration_since(day).as_hours() / 24;
    age.saturating_sub(i64::from(credit_days))
}
