//! What both sides come to.

use super::SEPARATOR;
use super::amount::Sum;
use super::ledger::{Account, Ledger};
use super::reader::Read;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How the two sides of a key stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The same sum on both.
    Equal,
    /// Another sum.
    Different,
    /// Rows on the left only.
    OnlyLeft,
    /// Rows on the right only.
    OnlyRight,
}

impl Class {
    /// All of them, in order.
    pub const ALL: [Class; 4] = [Class::Equal, Class::Different, Class::OnlyLeft, Class::OnlyRight];

    fn of(account: &Account) -> Class {
        let [left, right] = account.sums;
        match account.rows {
            [_, 0] => Class::OnlyLeft,
            [0, _] => Class::OnlyRight,
            [_, _] if left == right => Class::Equal,
            [_, _] => Class::Different,
        }
    }
}

/// Keys of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many keys.
    pub keys: u64,
    /// Their rows, left and right.
    pub rows: [u64; 2],
    /// Their sums, left and right.
    pub sums: [Sum; 2],
}

impl Tally {
    fn of(account: &Account) -> Tally {
        Tally { keys: 1, rows: account.rows.map(u64::from), sums: account.sums.map(Sum) }
    }

    fn add(&mut self, more: &Tally) {
        self.keys += more.keys;
        for (total, rows) in self.rows.iter_mut().zip(more.rows) {
            *total += rows;
        }
        for (total, sum) in self.sums.iter_mut().zip(more.sums) {
            total.0 += sum.0;
        }
    }

    /// Right less left.
    pub fn difference(&self) -> Sum {
        let [left, right] = self.sums;
        Sum(right.0 - left.0)
    }
}

/// Keys of one currency, by class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tallies {
    equal: Tally,
    different: Tally,
    only_left: Tally,
    only_right: Tally,
}

impl Tallies {
    /// Those of a class.
    pub fn of(&self, class: Class) -> &Tally {
        match class {
            Class::Equal => &self.equal,
            Class::Different => &self.different,
            Class::OnlyLeft => &self.only_left,
            Class::OnlyRight => &self.only_right,
        }
    }

    /// Of all classes.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for class in Class::ALL {
            total.add(self.of(class));
        }
        total
    }

    fn of_mut(&mut self, class: Class) -> &mut Tally {
        match class {
            Class::Equal => &mut self.equal,
            Class::Different => &mut self.different,
            Class::OnlyLeft => &mut self.only_left,
            Class::OnlyRight => &mut self.only_right,
        }
    }
}

/// What both sides come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// By currency; under an empty one where none was asked for.
    pub currencies: BTreeMap<String, Tallies>,
    /// Keys that several rows name, left and right.
    pub repeated: [u64; 2],
}

impl Outcome {
    /// Keys of a class, of all currencies.
    pub fn keys(&self, class: Class) -> u64 {
        self.currencies.values().map(|tallies| tallies.of(class).keys).sum()
    }

    /// Whether all rows that were read are in it, with all they come to.
    pub fn is_of(&self, read: &[Read; 2]) -> bool {
        let totals: Vec<Tally> = self.currencies.values().map(Tallies::total).collect();
        read.iter().enumerate().all(|(side, read)| {
            let rows = totals.iter().filter_map(|tally| tally.rows.get(side)).sum::<u64>();
            let sum = totals.iter().filter_map(|tally| tally.sums.get(side)).map(|sum| sum.0).sum();
            read.rows == rows && read.sum == Sum(sum)
        })
    }

    pub(super) fn of(ledger: &Ledger, has_currency: bool) -> Outcome {
        let (mut repeated, mut by_currency, mut plain) = ([0; 2], BTreeMap::new(), Tallies::default());
        for account in ledger.accounts() {
            for (count, rows) in repeated.iter_mut().zip(account.rows) {
                *count += u64::from(rows > 1);
            }
            let tallies = if has_currency {
                let (_, currency) = parts(ledger.key(account), true);
                if !by_currency.contains_key(currency) {
                    by_currency.insert(currency.to_owned(), Tallies::default());
                }
                by_currency.get_mut(currency)
            } else {
                Some(&mut plain)
            };
            if let Some(tallies) = tallies {
                tallies.of_mut(Class::of(account)).add(&Tally::of(account));
            }
        }
        if !ledger.accounts().is_empty() && !has_currency {
            by_currency.insert(String::new(), plain);
        }
        Outcome { currencies: by_currency, repeated }
    }

    /// With the keys of another part.
    pub(super) fn and(mut self, other: Outcome) -> Outcome {
        for (repeated, more) in self.repeated.iter_mut().zip(other.repeated) {
            *repeated += more;
        }
        for (currency, more) in other.currencies {
            let tallies = self.currencies.entry(currency).or_default();
            for class in Class::ALL {
                tallies.of_mut(class).add(more.of(class));
            }
        }
        self
    }
}

/// A key with what it adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'l> {
    /// How its sides stand to each other.
    pub class: Class,
    /// The key.
    pub key: &'l str,
    /// Its currency; empty where none was asked for.
    pub currency: &'l str,
    /// Its rows and sums.
    pub tally: Tally,
}

/// A key that is told, by how much its sides differ: nearly all are told apart by this number before an account is looked at.
#[derive(Debug)]
struct Told<'l> {
    size: u64,
    account: &'l Account,
    ledger: &'l Ledger,
}

impl Told<'_> {
    fn order(&self, other: &Told<'_>) -> Ordering {
        let exact = |told: &Told<'_>| told.account.difference().unsigned_abs();
        let by_size = other.size.cmp(&self.size).then_with(|| exact(other).cmp(&exact(self)));
        by_size.then_with(|| self.ledger.key(self.account).cmp(other.ledger.key(other.account)))
    }
}

/// Keys that are told one by one: largest difference first, then by key.
#[derive(Debug, Default)]
pub struct Differing<'l> {
    told: Vec<Told<'l>>,
    has_currency: bool,
}

impl<'l> Differing<'l> {
    pub(super) fn of(ledger: &'l Ledger, has_currency: bool, repeated: [bool; 2]) -> Differing<'l> {
        let is_told = |account: &&Account| {
            let is_repeated = account.rows.iter().zip(repeated).any(|(rows, asked)| asked && *rows > 1);
            Class::of(account) != Class::Equal || is_repeated
        };
        let told = ledger.accounts().iter().filter(is_told).map(|account| {
            let size = u64::try_from(account.difference().unsigned_abs()).unwrap_or(u64::MAX);
            Told { size, account, ledger }
        });
        let mut told: Vec<Told<'_>> = told.collect();
        told.sort_unstable_by(Told::order);
        Differing { told, has_currency }
    }

    /// With the keys of another part.
    pub(super) fn and(mut self, other: Differing<'l>) -> Differing<'l> {
        self.told.extend(other.told);
        // Not by chance the stable one: it sees that there are two parts in order.
        self.told.sort_by(Told::order);
        self
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.told.len()
    }

    /// They, in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'l>> {
        let has_currency = self.has_currency;
        self.told.iter().map(move |told| {
            let (key, currency) = parts(told.ledger.key(told.account), has_currency);
            Line { class: Class::of(told.account), key, currency, tally: Tally::of(told.account) }
        })
    }
}

/// Key and currency.
fn parts(key: &[u8], has_currency: bool) -> (&str, &str) {
    // The reader keeps no key that is no text.
    let key = std::str::from_utf8(key).unwrap_or_default();
    if has_currency { key.rsplit_once(SEPARATOR).unwrap_or_default() } else { (key, "") }
}
