//! What both sides come to.

use super::SEPARATOR;
use super::amount::Sum;
use super::ledger::Account;
use super::reader::Read;
use serde::Serialize;
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

    /// Of all classes.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in Class::ALL.map(|class| self.of(class)) {
            total.keys += tally.keys;
            for (all, rows) in total.rows.iter_mut().zip(tally.rows) {
                *all += rows;
            }
            for (all, sum) in total.sums.iter_mut().zip(tally.sums) {
                all.0 += sum.0;
            }
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
        let currency = if has_currency { parts(account, pool, true).1 } else { "" };
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

/// Keys that are told one by one: largest difference first, then by key.
#[derive(Debug)]
pub struct Differing<'l> {
    accounts: Vec<&'l Account>,
    pool: &'l [u8],
    has_currency: bool,
}

impl<'l> Differing<'l> {
    pub(super) fn new(
        accounts: &'l [Account],
        pool: &'l [u8],
        has_currency: bool,
        repeated: [bool; 2],
    ) -> Differing<'l> {
        let is_told = |account: &&Account| {
            let is_repeated = account.rows.iter().zip(repeated).any(|(rows, asked)| asked && *rows > 1);
            Class::of(account) != Class::Equal || is_repeated
        };
        // Nearly all are told apart by numbers that lie side by side, before an account is looked at.
        let size = |account: &Account| (account.sums[1] - account.sums[0]).unsigned_abs();
        let sized = |account| (u64::try_from(size(account)).unwrap_or(u64::MAX), account);
        let mut found: Vec<(u64, &Account)> = accounts.iter().filter(is_told).map(sized).collect();
        found.sort_unstable_by(|(one_size, one), (other_size, other)| {
            let by_size = other_size.cmp(one_size).then_with(|| size(other).cmp(&size(one)));
            by_size.then_with(|| one.key.bytes(pool).cmp(other.key.bytes(pool)))
        });
        let accounts = found.into_iter().map(|(_, account)| account).collect();
        Differing { accounts, pool, has_currency }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.accounts.len()
    }

    /// They, in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'l>> {
        let (pool, has_currency) = (self.pool, self.has_currency);
        self.accounts.iter().map(move |account| {
            let (key, currency) = parts(account, pool, has_currency);
            let mut tally = Tally::default();
            tally.add(account);
            Line { class: Class::of(account), key, currency, tally }
        })
    }
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
