//! Which of several open amounts add up to what was paid. Searched within bounds: with many amounts nearly every sum is
//! reached by chance, and then nobody can tell.

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No part of them adds up.
    None,
    /// These and no others, by their places, ascending.
    One(Vec<usize>),
    /// At least these two.
    Several(Vec<usize>, Vec<usize>),
    /// Not decided within the bounds.
    TooMany,
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Amounts among which is searched at most.
    pub amounts: usize,
    /// Steps of one search.
    pub steps: u64,
    /// How many times as many sums as parts there must be, or the right sum may be reached by chance.
    pub odds: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { amounts: 40, steps: 200_000, odds: 1_000 }
    }
}

/// Finds the parts of `amounts` with at least two of them that add up to `sum`. All in the currency's smallest unit; amounts may
/// be negative, as those of red invoices are, and are not zero.
pub fn adding_up(amounts: &[i64], sum: i64, bounds: Bounds) -> Found {
    let mut order: Vec<usize> = (0..amounts.len()).collect();
    let of = |place: &usize| amounts.get(*place).copied().unwrap_or_default();
    // Large ones first: whether they fit is decided soonest. Equal ones in their order, so that the answer is one.
    order.sort_by_key(|place| (std::cmp::Reverse(of(place).unsigned_abs()), *place));
    let sorted: Vec<i128> = order.iter().map(|place| i128::from(of(place))).collect();
    // What the rest can still add, up and down.
    let mut reach = vec![(0_i128, 0_i128); sorted.len() + 1];
    for (place, amount) in sorted.iter().enumerate().rev() {
        let (down, up) = reach.get(place + 1).copied().unwrap_or_default();
        if let Some(own) = reach.get_mut(place) {
            *own = (down + (*amount).min(0), up + (*amount).max(0));
        }
    }
    let outside = reach.first().is_none_or(|(down, up)| !(*down..=*up).contains(&i128::from(sum)));
    if outside {
        return Found::None;
    }
    if amounts.len() > bounds.amounts {
        return Found::TooMany;
    }
    let mut search =
        Search { sorted: &sorted, reach: &reach, taken: Vec::new(), found: Vec::new(), steps: bounds.steps };
    let decided = search.from(0, i128::from(sum));
    let mut places = search.found.into_iter().map(|found| {
        let mut places: Vec<usize> = found.iter().filter_map(|at| order.get(*at).copied()).collect();
        places.sort_unstable();
        places
    });
    match (places.next(), places.next(), decided) {
        (Some(one), Some(other), _) => Found::Several(one, other),
        (_, _, false) => Found::TooMany,
        (Some(one), None, true) => Found::One(one),
        (None, _, true) => Found::None,
    }
}

/// Whether a part of these amounts may well add up to a sum that was meant for something else. Amounts of round thousands have
/// few sums, and those of twenty items have a million parts.
pub fn is_by_chance(amounts: &[i64], odds: u32) -> bool {
    let step = amounts.iter().fold(0_u64, |step, amount| divisor(step, amount.unsigned_abs()));
    let span: u128 = amounts.iter().map(|amount| u128::from(amount.unsigned_abs())).sum();
    let sums = span / u128::from(step.max(1));
    let parts = u32::try_from(amounts.len()).ok().and_then(|count| 1_u128.checked_shl(count));
    parts.and_then(|parts| parts.checked_mul(u128::from(odds))).is_none_or(|needed| sums < needed)
}

/// The greatest common divisor; of nothing and a number, the number.
fn divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

struct Search<'s> {
    sorted: &'s [i128],
    reach: &'s [(i128, i128)],
    taken: Vec<usize>,
    found: Vec<Vec<usize>>,
    steps: u64,
}

impl Search<'_> {
    /// Takes or leaves each amount from a place on; answers whether everything was looked at, or enough was found.
    fn from(&mut self, place: usize, left: i128) -> bool {
        let Some(next) = self.steps.checked_sub(1) else { return false };
        self.steps = next;
        let Some((down, up)) = self.reach.get(place).copied() else { return true };
        if !(down..=up).contains(&left) {
            return true;
        }
        let Some(amount) = self.sorted.get(place).copied() else {
            // All were looked at, and `left` is zero.
            if self.taken.len() >= 2 {
                self.found.push(self.taken.clone());
            }
            return true;
        };
        self.taken.push(place);
        let decided = self.from(place + 1, left - amount);
        self.taken.pop();
        if !decided || self.found.len() >= 2 {
            return decided;
        }
        self.from(place + 1, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums() {
        let bounds = Bounds::default();
        for (amounts, sum, found) in [
            (&[100, 250, 70][..], 320, Found::One(vec![1, 2])),
            (&[100, 250, 70], 420, Found::One(vec![0, 1, 2])),
            (&[100, 250, 70], 100, Found::None),
            (&[100, 250, 70], 421, Found::None),
            (&[100, 100, 100], 200, Found::Several(vec![0, 1], vec![0, 2])),
            (&[500, -80, 30], 420, Found::One(vec![0, 1])),
            (&[60, 40, 70, 30], 100, Found::Several(vec![2, 3], vec![0, 1])),
            (&[], 100, Found::None),
        ] {
            assert_eq!(adding_up(amounts, sum, bounds), found, "{amounts:?} {sum}");
        }
    }

    #[test]
    fn bounds_are_kept() {
        let many: Vec<i64> = (1..=40).map(|number| number * 2).collect();
        assert_eq!(adding_up(&many, 801, Bounds { amounts: 40, steps: 10_000, odds: 1 }), Found::TooMany);
        assert_eq!(adding_up(&many, 800, Bounds { amounts: 39, steps: 10_000, odds: 1 }), Found::TooMany);
        assert_eq!(
            adding_up(&many, 10_000, Bounds { amounts: 39, steps: 10_000, odds: 1 }),
            Found::None,
            "all of them are less"
        );
        let alike = vec![7; 40];
        assert!(matches!(adding_up(&alike, 140, Bounds::default()), Found::Several(..)));
    }

    #[test]
    fn chance() {
        assert!(!is_by_chance(&[1_234_567, 7_654_321, 2_345_678], 1_000));
        assert!(is_by_chance(&[1_000_000, 2_000_000, 5_000_000], 1_000), "millions add up to little else");
        let many: Vec<i64> = (0..20).map(|number| 1_000_003 + 7_919 * number).collect();
        assert!(is_by_chance(&many, 1_000), "a million parts");
        assert!(is_by_chance(&[7; 200], 1), "more parts than can be counted");
        assert!(is_by_chance(&[], 1));
    }

    proptest! {
        /// Against trying every part.
        #[test]
        fn every_part_is_tried(amounts in prop::collection::vec((-30_i64..60).prop_filter("no zero", |amount| *amount != 0), 0..10), sum in -20_i64..120) {
            let mut parts = Vec::new();
            for mask in 0_u32..(1 << amounts.len()) {
                let places: Vec<usize> = (0..amounts.len()).filter(|place| mask & (1 << place) != 0).collect();
                if places.len() >= 2 && places.iter().map(|place| amounts[*place]).sum::<i64>() == sum {
                    parts.push(places);
                }
            }
            match adding_up(&amounts, sum, Bounds::default()) {
                Found::None => prop_assert!(parts.is_empty()),
                Found::One(places) => prop_assert_eq!(parts, vec![places]),
                Found::Several(one, other) => {
                    prop_assert!(one != other && parts.contains(&one) && parts.contains(&other));
                }
                Found::TooMany => prop_assert!(false, "ten amounts are not too many"),
            }
        }
    }
}
