//! What both sides come to.

use super::SEPARATOR;
use super::amount::Sum;
use super::ledger::Account;
use serde::Serialize;
use std::cmp::Reverse;
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
    fn add(&mut self, account: &Account) {
        self.keys += 1;
        for (total, rows) in self.rows.iter_mut().zip(account.rows) {
            *total += u64::from(rows);
        }
        for (total, sum) in self.sums.iter_mut().zip(account.sums) {
            total.0 += sum;
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

pub(super) fn outcome(accounts: &[Account], pool: &[u8], has_currency: bool) -> Outcome {
    let mut outcome = Outcome::default();
    for account in accounts {
        for (repeated, rows) in outcome.repeated.iter_mut().zip(account.rows) {
            *repeated += u64::from(rows > 1);
        }
        let (_, currency) = parts(account, pool, has_currency);
        let class = Class::of(account);
        match outcome.currencies.get_mut(currency) {
            Some(tallies) => tallies.of_mut(class).add(account),
            None => {
                let tallies = outcome.currencies.entry(currency.to_owned()).or_default();
                tallies.of_mut(class).add(account);
            }
        }
    }
    outcome
}

/// Lines of the accounts that are not the same on both sides, or that several rows name where that is asked for. By
/// currency, largest difference first, then by key.
pub(super) fn listed<'l>(
    accounts: &'l [Account],
    pool: &'l [u8],
    has_currency: bool,
    repeated: [bool; 2],
) -> impl ExactSizeIterator<Item = Line<'l>> {
    let is_listed = |account: &&Account| {
        let is_repeated = account.rows.iter().zip(repeated).any(|(rows, asked)| asked && *rows > 1);
        Class::of(account) != Class::Equal || is_repeated
    };
    let mut found: Vec<&Account> = accounts.iter().filter(is_listed).collect();
    found.sort_unstable_by_key(|account| {
        let (key, currency) = parts(account, pool, has_currency);
        let [left, right] = account.sums;
        (currency, Reverse((right - left).unsigned_abs()), key)
    });
    found.into_iter().map(move |account| {
        let (key, currency) = parts(account, pool, has_currency);
        let mut tally = Tally::default();
        tally.add(account);
        Line { class: Class::of(account), key, currency, tally }
    })
}

/// Key and currency.
fn parts<'l>(account: &'l Account, pool: &'l [u8], has_currency: bool) -> (&'l str, &'l str) {
    if !has_currency {
        return (text(account.key.bytes(pool)), "");
    }
    text(account.key.bytes(pool)).rsplit_once(SEPARATOR).unwrap_or_default()
}

/// The reader keeps no key that is no text.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
