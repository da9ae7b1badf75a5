//! From the money in the books to the money at the bank (账面与银行的调节): every step is counted by itself, and what the steps do
//! not explain stands there with its amount instead of being folded into one of them.

use super::{Count, OutOfRange, plus};
use crate::statement::money;
use rust_decimal::Decimal;
use serde::Serialize;
use tongbao_model::{Exact, Month};

/// A receipt in a book, for the walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Month in that book.
    pub month: Month,
    /// With its sign, in the currency of the walk.
    pub amount: Decimal,
    /// Whether it is on no contract's account.
    pub is_open: bool,
    /// Month and amount of the same receipt in the other book; of another currency as nothing.
    pub pair: Option<(Month, Decimal)>,
}

/// The walk of a month.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Walk {
    /// Received on the contracts' accounts.
    pub booked: Exact,
    /// In the leading book and on no account: not allocated.
    pub unallocated: Count,
    /// Between accounts and leading book, and not explained. Nothing, but while what was decided is being booked.
    pub unexplained: Exact,
    /// The leading book in all.
    pub leading: Exact,
    /// In the leading book only: taken off.
    pub only_leading: Count,
    /// In the other book only: added.
    pub only_other: Count,
    /// In both with different amounts: what the other has more.
    pub different: Count,
    /// In both, this month in the leading book and another in the other: taken off.
    pub later: Count,
    /// In both, this month in the other book and another in the leading: added.
    pub earlier: Count,
    /// The other book in all, as the steps come to it.
    pub other: Exact,
    /// What the other book says less what the steps come to. Nothing: each step has been counted by itself.
    pub left: Exact,
}

/// Walks. `other` are all receipts of the other book; of both books those of the month, and those whose pairs are.
///
/// # Errors
/// Sums that leave the range of exact arithmetic.
pub fn walk(
    month: Month,
    booked: Decimal,
    leading: &[Receipt],
    other: &[Receipt],
) -> Result<Walk, OutOfRange> {
    let mut walk = Walk { booked: money(booked), ..Walk::default() };
    let mut total = Decimal::ZERO;
    for one in leading {
        let here = one.month == month;
        if here {
            total = plus(total, one.amount)?;
            if one.is_open {
                walk.unallocated.add(one.amount)?;
            }
        }
        match one.pair {
            None if here => walk.only_leading.add(one.amount)?,
            Some((theirs, _)) if here && theirs != month => walk.later.add(one.amount)?,
            Some((theirs, amount)) if theirs == month => {
                if !here {
                    walk.earlier.add(amount)?;
                } else if amount != one.amount {
                    walk.different.add(plus(amount, -one.amount)?)?;
                }
            }
            _ => {}
        }
    }
    let mut theirs = Decimal::ZERO;
    for one in other.iter().filter(|one| one.month == month) {
        theirs = plus(theirs, one.amount)?;
        if one.pair.is_none() {
            walk.only_other.add(one.amount)?;
        }
    }
    let explained = plus(booked, walk.unallocated.amount.0)?;
    walk.unexplained = money(plus(total, -explained)?);
    walk.leading = money(total);
    let steps = [
        -walk.only_leading.amount.0,
        walk.only_other.amount.0,
        walk.different.amount.0,
        -walk.later.amount.0,
        walk.earlier.amount.0,
    ];
    let reached = steps.into_iter().try_fold(total, plus)?;
    walk.other = money(reached);
    walk.left = money(plus(theirs, -reached)?);
    Ok(walk)
}

impl Count {
    /// One more.
    ///
    /// # Errors
    /// A sum that leaves the range of exact arithmetic.
    pub fn add(&mut self, amount: Decimal) -> Result<(), OutOfRange> {
        self.count = self.count.saturating_add(1);
        self.amount = money(plus(self.amount.0, amount)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn month(place: usize) -> Month {
        ["2026-09", "2026-10", "2026-11"][place].parse().unwrap()
    }

    /// A receipt in the leading book, in the other, or in both: months and cents.
    type Made = (Option<(usize, i64, bool)>, Option<(usize, i64)>);

    fn books(made: &[Made]) -> (Vec<Receipt>, Vec<Receipt>) {
        let cents = |cents: i64| Decimal::new(cents, 2);
        let (mut leading, mut other) = (Vec::new(), Vec::new());
        for (mine, theirs) in made {
            if let Some((place, amount, is_open)) = mine {
                let pair = theirs.map(|(place, amount)| (month(place), cents(amount)));
                let (month, amount, is_open) = (month(*place), cents(*amount), *is_open);
                leading.push(Receipt { month, amount, is_open, pair });
            }
            if let Some((place, amount)) = theirs {
                let pair = mine.map(|(place, amount, _)| (month(place), cents(amount)));
                other.push(Receipt { month: month(*place), amount: cents(*amount), is_open: false, pair });
            }
        }
        (leading, other)
    }

    #[test]
    fn each_step_by_itself() {
        let made = [
            (Some((1, 10_000, false)), Some((1, 10_000))),
            (Some((1, 5_000, true)), Some((1, 4_990))),
            (Some((1, 700, false)), None),
            (None, Some((1, 33))),
            (Some((1, 2_000, false)), Some((2, 2_000))),
            (Some((0, 1_000, false)), Some((1, 1_001))),
            (Some((2, 9)).map(|(place, amount)| (place, amount, false)), None),
        ];
        let (leading, other) = books(&made);
        let walk = walk(month(1), Decimal::new(12_700, 2), &leading, &other).unwrap();
        let told = |count: Count| format!("{} {}", count.count, count.amount);
        assert_eq!(
            [
                walk.booked.to_string(),
                told(walk.unallocated),
                walk.unexplained.to_string(),
                walk.leading.to_string(),
                told(walk.only_leading),
                told(walk.only_other),
                told(walk.different),
                told(walk.later),
                told(walk.earlier),
                walk.other.to_string(),
                walk.left.to_string(),
            ],
            [
                "127.00", "1 50.00", "0.00", "177.00", "1 7.00", "1 0.33", "1 -0.10", "1 20.00", "1 10.01",
                "160.24", "0.00"
            ]
        );
    }

    proptest! {
        /// Whatever the books hold, the steps lead from the one to the other.
        #[test]
        fn nothing_is_left(
            made in prop::collection::vec(
                (
                    prop::option::of((0..3_usize, -500..2_000_i64, any::<bool>())),
                    prop::option::of((0..3_usize, -500..2_000_i64)),
                ),
                0..20,
            )
        ) {
            let (leading, other) = books(&made);
            let here = leading.iter().filter(|one| one.month == month(1));
            let booked: Decimal = here.filter(|one| !one.is_open).map(|one| one.amount).sum();
            let walk = walk(month(1), booked, &leading, &other).unwrap();
            prop_assert_eq!(walk.left.0, Decimal::ZERO);
            prop_assert_eq!(walk.unexplained.0, Decimal::ZERO);
            let theirs: Decimal =
                other.iter().filter(|one| one.month == month(1)).map(|one| one.amount).sum();
            prop_assert_eq!(walk.other.0, theirs);
        }
    }
}
