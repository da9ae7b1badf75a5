//! What of each receipt commission is due on.
//!
//! Each receipt counts as far as it pays what is due: what comes in above that does not, and what is paid back takes back.
//! The bases together are what has been received, no less than nothing and no more than is due, to the cent; so they are
//! after every payment, and whatever order the papers came in.

use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tongbao_model::decimal;

/// A receipt as it is known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its number, unique on the contract.
    pub number: String,
    /// When the money came in, Unix time in milliseconds.
    pub at_ms: i64,
    /// In the contract's currency; zero once it was taken back, negative for a refund on a paper of its own.
    pub amount: Decimal,
}

/// The base of each receipt, by number. Earlier money pays first. `None`: sums leave the range of exact arithmetic.
pub fn bases(due: Decimal, receipts: &[Receipt]) -> Option<BTreeMap<&str, Decimal>> {
    let counted = |received: Decimal| received.min(due).max(Decimal::ZERO);
    let mut ordered: Vec<&Receipt> = receipts.iter().collect();
    ordered.sort_by_key(|receipt| (receipt.at_ms, &receipt.number));
    let (mut received, mut bases) = (Decimal::ZERO, BTreeMap::new());
    for receipt in ordered {
        let before = counted(received);
        received = decimal::add(received, receipt.amount)?;
        bases.insert(receipt.number.as_str(), counted(received).checked_sub(before)?);
    }
    Some(bases)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn receipts(amounts: &[i64]) -> Vec<Receipt> {
        let one = |(place, cents): (usize, &i64)| Receipt {
            number: format!("R{place}"),
            at_ms: i64::try_from(place).unwrap(),
            amount: Decimal::new(*cents, 2),
        };
        amounts.iter().enumerate().map(one).collect()
    }

    #[test]
    fn in_proportion_and_taken_back() {
        for (due, amounts, expected) in [
            (100, vec![], vec![]),
            (100, vec![40], vec![40]),
            (100, vec![40, 60], vec![40, 60]),
            // Too much: what is above counts for nothing.
            (100, vec![40, 70, 5], vec![40, 60, 0]),
            // The first was taken back: the second one pays now.
            (100, vec![0, 70], vec![0, 70]),
            // A refund on its own paper, from what was too much first.
            (100, vec![110, -30], vec![100, -20]),
            (100, vec![50, -80, 30], vec![50, -50, 0]),
            // A credit note for all of it, or more.
            (0, vec![40], vec![0]),
            (-10, vec![40], vec![0]),
        ] {
            let receipts = receipts(&amounts);
            let bases = bases(Decimal::new(due, 2), &receipts).unwrap();
            let found: Vec<Decimal> = receipts.iter().map(|one| bases[one.number.as_str()]).collect();
            let expected: Vec<Decimal> = expected.into_iter().map(|cents| Decimal::new(cents, 2)).collect();
            assert_eq!(found, expected, "{due}: {amounts:?}");
        }
    }

    proptest! {
        #[test]
        fn together_what_was_received_up_to_what_is_due(
            due in -1_000..2_000_i64,
            amounts in prop::collection::vec(-500..1_000_i64, 0..12),
            seed: u64,
        ) {
            let (due, receipts) = (Decimal::new(due, 2), receipts(&amounts));
            let mut bases = bases(due, &receipts).unwrap();
            let received = Decimal::new(amounts.iter().sum(), 2);
            prop_assert_eq!(bases.values().sum::<Decimal>(), received.min(due).max(Decimal::ZERO));
            let mut others = receipts.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut others);
            prop_assert_eq!(super::bases(due, &others).unwrap(), bases.clone());
            // A further receipt moves none of those before it.
            others.push(Receipt { number: "Z".into(), at_ms: i64::MAX, amount: Decimal::ONE });
            let mut more = super::bases(due, &others).unwrap();
            more.remove("Z");
            bases.remove("Z");
            prop_assert_eq!(more, bases);
        }
    }
}
