//! Whether an amount and open amounts meet, in each of the ways that a rule may ask for.

use super::policy::Fit;
use super::subset::{Bounds, Found, adding_up, is_by_chance};

/// Ways shown of a tie, at most.
const SHOWN: usize = 10;

/// A way to use an amount. What is taken, less the fee, with the advance, is the amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// Places of items with what they are paid with.
    pub(super) takes: Vec<(usize, i64)>,
    pub(super) fee: i64,
    pub(super) advance: i64,
    /// The sum may be reached by chance.
    pub(super) by_chance: bool,
}

/// What a rule has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    One(Way),
    Several(Vec<Way>),
    TooMany,
}

impl Answer {
    fn of(mut ways: Vec<Way>) -> Answer {
        ways.truncate(SHOWN);
        match (ways.pop(), ways.is_empty()) {
            (None, _) => Answer::Nothing,
            (Some(only), true) => Answer::One(only),
            (Some(last), false) => {
                ways.push(last);
                Answer::Several(ways)
            }
        }
    }
}

/// How an amount, more than zero, fits to items with these open amounts, none of which is zero.
pub(super) fn fit(fit: Fit, amount: i64, items: &[(usize, i64)], fee_limit: i64, bounds: Bounds) -> Answer {
    let exact = |takes: Vec<(usize, i64)>| Way { takes, fee: 0, advance: 0, by_chance: false };
    let total = items.iter().try_fold(0_i64, |total, (_, open)| total.checked_add(*open));
    let Some(total) = total.filter(|_| !items.is_empty()) else { return Answer::Nothing };
    match fit {
        Fit::All => Answer::of(if total == amount { vec![exact(items.to_vec())] } else { Vec::new() }),
        Fit::One => {
            let same = items.iter().filter(|(_, open)| *open == amount);
            Answer::of(same.map(|item| exact(vec![*item])).collect())
        }
        Fit::Subset => {
            let amounts: Vec<i64> = items.iter().map(|(_, open)| *open).collect();
            let by_chance = is_by_chance(&amounts, bounds.odds);
            let way = |places: Vec<usize>| {
                let way = exact(places.into_iter().filter_map(|place| items.get(place).copied()).collect());
                Way { by_chance, ..way }
            };
            match adding_up(&amounts, amount, bounds) {
                Found::None => Answer::Nothing,
                Found::One(places) => Answer::One(way(places)),
                Found::Several(one, other) => Answer::Several(vec![way(one), way(other)]),
                Found::TooMany => Answer::TooMany,
            }
        }
        Fit::Fee => {
            let kept = |open: i64| open.checked_sub(amount).filter(|fee| (1..=fee_limit).contains(fee));
            let whole = kept(total).filter(|_| items.len() > 1);
            let whole = whole.map(|fee| Way { takes: items.to_vec(), fee, advance: 0, by_chance: false });
            let one = items.iter().filter_map(|item| {
                Some(Way { takes: vec![*item], fee: kept(item.1)?, advance: 0, by_chance: false })
            });
            Answer::of(whole.into_iter().chain(one).collect())
        }
        Fit::Short => match items {
            [(place, open)] if amount < *open => Answer::One(exact(vec![(*place, amount)])),
            _ => Answer::Nothing,
        },
        Fit::Over => {
            let is_over = total > 0 && amount > total;
            let way = || Way { takes: items.to_vec(), fee: 0, advance: amount - total, by_chance: false };
            Answer::of(is_over.then(way).into_iter().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way() {
        let none: &[&[usize]] = &[];
        let items = |open: &[i64]| open.iter().copied().enumerate().collect::<Vec<_>>();
        for (how, amount, open, ways) in [
            (Fit::All, 300, &[100, 200][..], &[&[0_usize, 1][..]][..]),
            (Fit::All, 299, &[100, 200], none),
            (Fit::All, 80, &[100, -20], &[&[0, 1]]),
            (Fit::One, 200, &[100, 200], &[&[1]]),
            (Fit::One, 100, &[100, 100], &[&[0], &[1]]),
            (Fit::Subset, 300, &[100, 200, 50], &[&[0, 1]]),
            (Fit::Fee, 95, &[100, 300], &[&[0]]),
            (Fit::Fee, 95, &[100, 99], &[&[0], &[1]]),
            (Fit::Fee, 395, &[100, 300], &[&[0, 1]]),
            (Fit::Fee, 100, &[100], none),
            (Fit::Fee, 94, &[100], none),
            (Fit::Short, 60, &[100], &[&[0]]),
            (Fit::Short, 60, &[100, 100], none),
            (Fit::Short, 100, &[100], none),
            (Fit::Over, 120, &[100], &[&[0]]),
            (Fit::Over, 100, &[100], none),
            (Fit::Over, 50, &[-20], none),
            (Fit::All, 100, &[], none),
            (Fit::All, 100, &[i64::MAX, i64::MAX], none),
        ] {
            let found = match fit(how, amount, &items(open), 5, Bounds::default()) {
                Answer::Nothing | Answer::TooMany => Vec::new(),
                Answer::One(way) => vec![way],
                Answer::Several(ways) => ways,
            };
            for way in &found {
                let taken: i64 = way.takes.iter().map(|(_, amount)| amount).sum();
                assert_eq!(taken - way.fee + way.advance, amount, "{how:?} {amount} {open:?}");
            }
            let places: Vec<Vec<usize>> =
                found.iter().map(|way| way.takes.iter().map(|(place, _)| *place).collect()).collect();
            assert_eq!(places, ways, "{how:?} {amount} {open:?}");
        }
    }
}
