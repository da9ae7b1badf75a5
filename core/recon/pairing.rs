//! One receipt in two books: what the bank booked and what the ERP entered is one payment, not two.
//!
//! The bank's reference pairs whatever the amounts are, and the difference is drift. Without it, receipts are paired that
//! agree in currency, amount and payer within a few days, where each is the other's only candidate. A reference that both
//! have and that differs keeps them apart.

use crate::matching::names::{bare, normal};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A receipt as one book has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Unique within its book.
    pub id: String,
    /// ISO 4217 code.
    pub currency: String,
    /// In `currency`; less than zero where money went out.
    pub amount: Decimal,
    /// Day of booking, counted from any day that both books count from.
    pub day: i32,
    /// The bank's reference, where the book knows it.
    pub reference: Option<String>,
    /// The other party's name, where the book knows it.
    pub party: Option<String>,
}

/// What made a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PairedBy {
    /// The bank's reference.
    Reference,
    /// Amount, days, and the other party's name in both.
    Party,
    /// Amount and days.
    Amount,
}

/// Two that are one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// Id in the bank's book.
    pub bank: String,
    /// Id in the ERP's book.
    pub erp: String,
    /// What made it.
    pub by: PairedBy,
    /// ERP less bank; `None` where the books have different currencies.
    pub drift: Option<Decimal>,
    /// ERP's day less the bank's.
    pub days: i64,
}

/// Both books side by side. All in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairing {
    /// In both.
    pub pairs: Vec<Pair>,
    /// In the bank's only, or with several candidates in the ERP's, which are named.
    pub bank: BTreeMap<String, BTreeSet<String>>,
    /// In the ERP's only, or with several candidates in the bank's, which are named.
    pub erp: BTreeMap<String, BTreeSet<String>>,
}

/// Pairs two books. Days that a receipt may be apart in them are bounded by `window`.
pub fn pair(bank: &[Seen], erp: &[Seen], window: u32) -> Pairing {
    let mut pairing = Pairing::default();
    let mut left = Left { bank: by_id(bank), erp: by_id(erp) };
    let same = same_reference(&left);
    left.settle(&same, PairedBy::Reference, &mut pairing);
    // Whoever shares a reference with several is a person's matter, and no candidate for its amount.
    let unclear: BTreeSet<(&str, &str)> = same.into_iter().filter(|pair| left.has(*pair)).collect();
    left.set_aside(&unclear, &mut pairing);
    for by in [PairedBy::Party, PairedBy::Amount] {
        // Once a pair is made, another may be the only one left.
        loop {
            let same = same_amount(&left, window, by);
            if left.settle(&same, by, &mut pairing) == 0 {
                left.set_aside(&same.into_iter().collect(), &mut pairing);
                break;
            }
        }
    }
    for id in left.bank.into_keys() {
        pairing.bank.insert(id.to_owned(), BTreeSet::new());
    }
    for id in left.erp.into_keys() {
        pairing.erp.insert(id.to_owned(), BTreeSet::new());
    }
    pairing.pairs.sort();
    pairing
}

/// What is not paired yet.
struct Left<'s> {
    bank: BTreeMap<&'s str, &'s Seen>,
    erp: BTreeMap<&'s str, &'s Seen>,
}

/// Ids of two that may be one.
type Candidates<'s> = Vec<(&'s str, &'s str)>;

fn by_id(book: &[Seen]) -> BTreeMap<&str, &Seen> {
    book.iter().map(|seen| (seen.id.as_str(), seen)).collect()
}

/// A reference as it is compared: without leading zeros besides.
fn reference(seen: &Seen) -> Option<String> {
    let bare = bare(seen.reference.as_deref()?);
    let bare = bare.trim_start_matches('0');
    (!bare.is_empty()).then(|| bare.to_owned())
}

fn same_reference<'s>(left: &Left<'s>) -> Candidates<'s> {
    let mut erp: HashMap<String, Vec<&str>> = HashMap::new();
    for (id, seen) in &left.erp {
        if let Some(reference) = reference(seen) {
            erp.entry(reference).or_default().push(id);
        }
    }
    let of = |seen: &Seen| reference(seen).and_then(|reference| erp.get(&reference));
    left.bank
        .iter()
        .flat_map(|(id, seen)| of(seen).into_iter().flatten().map(|other| (*id, *other)))
        .collect()
}

fn same_amount<'s>(left: &Left<'s>, window: u32, by: PairedBy) -> Candidates<'s> {
    let mut erp: HashMap<(&str, Decimal), Vec<&Seen>> = HashMap::new();
    for seen in left.erp.values() {
        erp.entry((&seen.currency, seen.amount.normalize())).or_default().push(seen);
    }
    let mut found = Vec::new();
    for (id, seen) in &left.bank {
        for other in erp.get(&(seen.currency.as_str(), seen.amount.normalize())).into_iter().flatten() {
            if seen.day.abs_diff(other.day) <= window && may_be_one(seen, other, by) {
                found.push((*id, other.id.as_str()));
            }
        }
    }
    found
}

/// Neither reference nor party speaks against it; a pair by party has one name in both books.
fn may_be_one(one: &Seen, other: &Seen, by: PairedBy) -> bool {
    let party = |seen: &Seen| seen.party.as_deref().map(normal).filter(|name| !name.is_empty());
    agree(reference(one), reference(other), true) && agree(party(one), party(other), by == PairedBy::Amount)
}

/// Whether two texts are one; `unless_known` where either is not known.
fn agree(one: Option<String>, other: Option<String>, unless_known: bool) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => unless_known,
    }
}

impl<'s> Left<'s> {
    fn has(&self, (bank, erp): (&str, &str)) -> bool {
        self.bank.contains_key(bank) && self.erp.contains_key(erp)
    }

    /// Makes pairs of those that are each other's only candidates; answers how many.
    fn settle(&mut self, candidates: &Candidates<'s>, by: PairedBy, pairing: &mut Pairing) -> usize {
        let (mut of_bank, mut of_erp): (HashMap<&str, u32>, HashMap<&str, u32>) = Default::default();
        for (bank, erp) in candidates {
            *of_bank.entry(bank).or_default() += 1;
            *of_erp.entry(erp).or_default() += 1;
        }
        let only = candidates
            .iter()
            .filter(|(bank, erp)| of_bank.get(bank) == Some(&1) && of_erp.get(erp) == Some(&1));
        let mut made = 0;
        for (bank, erp) in only {
            if let (Some(one), Some(other)) = (self.bank.remove(bank), self.erp.remove(erp)) {
                made += 1;
                let drift =
                    (one.currency == other.currency).then(|| other.amount.checked_sub(one.amount)).flatten();
                let days = i64::from(other.day) - i64::from(one.day);
                pairing.pairs.push(Pair { bank: one.id.clone(), erp: other.id.clone(), by, drift, days });
            }
        }
        made
    }

    /// Leaves what has several candidates to a person, with their names.
    fn set_aside(&mut self, unclear: &BTreeSet<(&'s str, &'s str)>, pairing: &mut Pairing) {
        for (bank, erp) in unclear {
            pairing.bank.entry((*bank).to_owned()).or_default().insert((*erp).to_owned());
            pairing.erp.entry((*erp).to_owned()).or_default().insert((*bank).to_owned());
            self.bank.remove(bank);
            self.erp.remove(erp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(id: &str, cents: i64, day: i32, reference: &str, party: &str) -> Seen {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Seen {
            id: id.into(),
            currency: "CNY".into(),
            amount: Decimal::new(cents, 2),
            day,
            reference: text(reference),
            party: text(party),
        }
    }

    fn told(bank: &[Seen], erp: &[Seen]) -> (Vec<String>, Vec<String>) {
        let pairing = pair(bank, erp, 3);
        let pairs = pairing.pairs.iter().map(|pair| {
            format!(
                "{}={} {:?} {} {}d",
                pair.bank,
                pair.erp,
                pair.by,
                pair.drift.unwrap_or_default(),
                pair.days
            )
        });
        let side = |(id, others): (&String, &BTreeSet<String>)| {
            format!("{id}:{}", others.iter().cloned().collect::<Vec<_>>().join(","))
        };
        (pairs.collect(), pairing.bank.iter().chain(&pairing.erp).map(side).collect())
    }

    #[test]
    fn one_receipt_in_two_books() {
        let none: &[&str] = &[];
        for (bank, erp, pairs, left) in [
            (
                vec![seen("B1", 100, 1, "R-001", "")],
                vec![seen("E1", 100, 9, "r001", "甲")],
                &["B1=E1 Reference 0.00 8d"][..],
                none,
            ),
            // The books differ by the fee: drift.
            (
                vec![seen("B1", 100, 1, "R1", "")],
                vec![seen("E1", 115, 1, "R1", "")],
                &["B1=E1 Reference 0.15 0d"],
                none,
            ),
            (
                vec![seen("B1", 100, 1, "", "甲（集团）")],
                vec![seen("E1", 100, 3, "", "甲(集团)")],
                &["B1=E1 Party 0.00 2d"],
                none,
            ),
            // Too far apart, another payer, another reference.
            (vec![seen("B1", 100, 1, "", "")], vec![seen("E1", 100, 5, "", "")], none, &["B1:", "E1:"]),
            (vec![seen("B1", 100, 1, "", "甲")], vec![seen("E1", 100, 1, "", "乙")], none, &["B1:", "E1:"]),
            (vec![seen("B1", 100, 1, "R1", "")], vec![seen("E1", 100, 1, "R2", "")], none, &["B1:", "E1:"]),
            // One of two, and nothing says which.
            (
                vec![seen("B1", 100, 1, "", "")],
                vec![seen("E1", 100, 1, "", ""), seen("E2", 100, 2, "", "")],
                none,
                &["B1:E1,E2", "E1:B1", "E2:B1"],
            ),
            // The name decides one, and what is left decides the other.
            (
                vec![seen("B1", 100, 1, "", "甲"), seen("B2", 100, 1, "", "")],
                vec![seen("E1", 100, 1, "", "甲"), seen("E2", 100, 1, "", "乙")],
                &["B1=E1 Party 0.00 0d", "B2=E2 Amount 0.00 0d"],
                none,
            ),
            // A reference in one book twice is a person's matter.
            (
                vec![seen("B1", 100, 1, "R1", "")],
                vec![seen("E1", 100, 1, "R1", ""), seen("E2", 100, 1, "R1", "")],
                none,
                &["B1:E1,E2", "E1:B1", "E2:B1"],
            ),
        ] {
            let (found, rest) = told(&bank, &erp);
            assert_eq!(
                (found, rest),
                (
                    pairs.iter().map(ToString::to_string).collect(),
                    left.iter().map(ToString::to_string).collect()
                )
            );
        }
    }

    fn book(prefix: &'static str) -> impl Strategy<Value = Vec<Seen>> {
        let one = (
            prop::sample::select(vec![100_i64, 200]),
            0..6_i32,
            prop::sample::select(vec!["", "R1", "R2", "R3"]),
            prop::sample::select(vec!["", "甲", "乙"]),
        );
        prop::collection::vec(one, 0..8).prop_map(move |all| {
            let all = all.into_iter().enumerate();
            all.map(|(number, (cents, day, reference, party))| {
                seen(&format!("{prefix}{number}"), cents, day, reference, party)
            })
            .collect()
        })
    }

    proptest! {
        /// Each receipt is in one place, whatever order it came in.
        #[test]
        fn each_is_in_one_place((bank, erp) in (book("B"), book("E")), seed: u64) {
            let pairing = pair(&bank, &erp, 3);
            let mut places: Vec<&String> = pairing.bank.keys().chain(pairing.erp.keys()).collect();
            places.extend(pairing.pairs.iter().flat_map(|pair| [&pair.bank, &pair.erp]));
            places.sort();
            let mut all: Vec<&String> = bank.iter().chain(&erp).map(|seen| &seen.id).collect();
            all.sort();
            prop_assert_eq!(places, all);
            let mut dice = fastrand::Rng::with_seed(seed);
            let (mut bank, mut erp) = (bank.clone(), erp.clone());
            dice.shuffle(&mut bank);
            dice.shuffle(&mut erp);
            prop_assert_eq!(pair(&bank, &erp, 3), pairing);
        }
    }
}
