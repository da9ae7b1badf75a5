//! Days of sales outstanding (应收账款周转天数), by two methods that are named wherever a number is shown.
//!
//! *Balance*: what is receivable ÷ sales of the last three months × their days. *Count-back* (倒推): the sales of the last month
//! are taken off what is receivable, with the days of that month, then those of the month before, until nothing is left; of the
//! last one a part of its days in proportion. Count-back is not swayed by a month of few sales. Sales are with tax, as what is
//! receivable is.

use super::BALANCE_MONTHS;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;
use tongbao_model::{Exact, Month, decimal};

/// Decimals of days.
const SCALE: u32 = 1;

/// What was invoiced in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invoiced {
    /// Which.
    pub month: Month,
    /// With tax, red invoices taken off.
    pub amount: Decimal,
}

/// Days of sales outstanding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dso {
    /// By balance; `None` where nothing was sold.
    pub balance: Option<Exact>,
    /// By count-back; `None` where the sales that are known do not reach.
    pub count_back: Option<Exact>,
    /// Sales that the balance was held against.
    pub sales: Exact,
    /// Days of those months.
    pub days: u32,
}

impl Dso {
    /// Of what is receivable at the end of the last of these months, which are one after the other. `None`: out of range.
    pub fn of(receivable: Decimal, months: &[Invoiced]) -> Option<Dso> {
        let last: Vec<&Invoiced> = months.iter().rev().take(BALANCE_MONTHS).collect();
        let mut sales = Decimal::ZERO;
        for month in &last {
            sales = decimal::add(sales, month.amount)?;
        }
        let days: u32 = last.iter().map(|one| days_of(one.month)).sum();
        let balance = match sales > Decimal::ZERO {
            true => Some(share(receivable.max(Decimal::ZERO), sales, days)?),
            false => None,
        };
        Some(Dso {
            balance: balance.map(rounded),
            count_back: count_back(receivable, months)?.map(rounded),
            sales: crate::statement::money(sales),
            days,
        })
    }

    /// How the balance method came to its number, for people.
    pub fn formula(&self, receivable: Exact) -> String {
        let days = self.balance.map_or_else(|| "—".to_owned(), |days| days.to_string());
        format!("{receivable} ÷ {} × {} = {days}", self.sales, self.days)
    }
}

/// Outer `None`: out of range; inner: the sales do not reach.
#[allow(clippy::option_option)]
fn count_back(receivable: Decimal, months: &[Invoiced]) -> Option<Option<Decimal>> {
    let (mut left, mut counted) = (receivable, Decimal::ZERO);
    for month in months.iter().rev() {
        if left <= Decimal::ZERO {
            break;
        }
        let days = days_of(month.month);
        if month.amount <= Decimal::ZERO {
            // A month of returns: its days passed all the same, and what was returned is receivable no more.
            counted = counted.checked_add(days.into())?;
            continue;
        }
        if left >= month.amount {
            counted = counted.checked_add(days.into())?;
            left = decimal::add(left, -month.amount)?;
        } else {
            counted = counted.checked_add(share(left, month.amount, days)?)?;
            left = Decimal::ZERO;
        }
    }
    Some((left <= Decimal::ZERO).then_some(counted))
}

fn share(part: Decimal, whole: Decimal, days: u32) -> Option<Decimal> {
    part.checked_div(whole)?.checked_mul(days.into())
}

fn rounded(days: Decimal) -> Exact {
    let mut days = days.round_dp_with_strategy(SCALE, RoundingStrategy::MidpointAwayFromZero);
    days.rescale(SCALE);
    Exact(days)
}

fn days_of(month: Month) -> u32 {
    u32::try_from(month.last().day()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_methods() {
        let month = |text: &str, amount: i64| Invoiced {
            month: text.parse().unwrap(),
            amount: Decimal::new(amount, 0),
        };
        let three = [month("2026-08", 1_000), month("2026-09", 2_000), month("2026-10", 3_000)];
        for (receivable, months, balance, count_back) in [
            // 3,000 of 6,000 in 92 days; the last month alone has been that much.
            (3_000, &three[..], Some("46.0"), Some("31.0")),
            // 4,000: October's 31 days, and half of September's 30.
            (4_000, &three, Some("61.3"), Some("46.0")),
            (6_000, &three, Some("92.0"), Some("92.0")),
            // More than was sold in what is known.
            (6_001, &three, Some("92.0"), None),
            (0, &three, Some("0.0"), Some("0.0")),
            // More came in than was invoiced: nothing is outstanding.
            (-50, &three, Some("0.0"), Some("0.0")),
            (100, &[], None, None),
            (100, &[month("2026-09", 400), month("2026-10", 0)], Some("15.3"), Some("38.5")),
            (100, &[month("2026-09", 400), month("2026-10", -400)], None, Some("38.5")),
        ] {
            let dso = Dso::of(Decimal::new(receivable, 0), months).unwrap();
            let told = |days: Option<Exact>| days.map(|days| days.to_string());
            assert_eq!(
                (told(dso.balance).as_deref(), told(dso.count_back).as_deref()),
                (balance, count_back),
                "{receivable} {months:?}"
            );
        }
        let dso = Dso::of(Decimal::new(4_000, 0), &three).unwrap();
        assert_eq!(dso.formula(Exact(Decimal::new(4_000, 0))), "4000 ÷ 6000.00 × 92 = 61.3");
        // Four months: the balance is held against the last three.
        let mut four = vec![month("2026-07", 9_000)];
        four.extend(three);
        let dso = Dso::of(Decimal::new(6_500, 0), &four).unwrap();
        assert_eq!((dso.days, dso.sales.to_string().as_str()), (92, "6000.00"));
        assert_eq!(dso.count_back.unwrap().to_string(), "93.7");
    }
}
