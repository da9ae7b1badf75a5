//! What each key of one part adds up to on either side.

use super::key::Key;
use super::reader::{Batch, Row};
use super::{KEY_MAX, Side};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tongbao_model::Text;

/// Places in a ledger without a key, as a power of two.
const BITS_MIN: u32 = 10;
/// Rows that are looked for together.
const TOGETHER: usize = 32;
/// Keys that places can name, whatever is asked for.
const KEYS_LIMIT: usize = 1 << 30;
/// Bytes of long keys in a part for each key that there may be in all.
const POOL_SHARE: usize = 32;

/// What a key adds up to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    /// Ten-thousandths on either side.
    pub(super) sums: [i128; 2],
    /// Rows on either side.
    pub(super) rows: [u32; 2],
    /// The key; a long one is in the ledger's pool.
    pub(super) key: Key,
}

impl Account {
    /// Right less left.
    pub(super) fn difference(&self) -> i128 {
        let [left, right] = self.sums;
        right - left
    }
}

/// Where an account is, beside the hash of its key.
#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u32,
    account: u32,
}

const FREE: Place = Place { hash: 0, account: u32::MAX };

/// The accounts of the keys of one part. Keys are found by open addressing: a place is looked for from that of the upper
/// bits of the hash on, so that growing goes through the old places and the new ones in one order.
#[derive(Debug)]
pub struct Ledger {
    places: Vec<Place>,
    bits: u32,
    accounts: Vec<Account>,
    pool: Vec<u8>,
    keys_max: usize,
    keys_of_all: Arc<AtomicUsize>,
}

impl Ledger {
    /// An empty one. All that count their keys together have at most so many.
    pub(super) fn new(keys_max: usize, keys_of_all: Arc<AtomicUsize>) -> Ledger {
        Ledger {
            places: vec![FREE; 1 << BITS_MIN],
            bits: BITS_MIN,
            accounts: Vec::new(),
            pool: Vec::new(),
            keys_max,
            keys_of_all,
        }
    }

    /// Makes room for so many keys, as far as there may be so many. What is not used of it takes no memory.
    pub fn expect(&mut self, keys: usize) {
        self.accounts.reserve(keys.min(self.keys_max));
    }

    /// Adds rows of one side.
    pub fn add(&mut self, side: Side, batch: &Batch) -> Result<(), Text> {
        let known = self.accounts.len();
        for rows in batch.rows.chunks(TOGETHER) {
            let likely = self.likely(rows);
            for (row, likely) in rows.iter().zip(likely) {
                let account = match likely {
                    Some(account) => account,
                    None => self.find(row, &batch.pool).or_else(|at| self.open(row, &batch.pool, at))?,
                };
                let Some(account) = self.accounts.get_mut(account) else { continue };
                let ([left, right], [left_rows, right_rows]) = (&mut account.sums, &mut account.rows);
                let (sum, rows) = match side {
                    Side::Left => (left, left_rows),
                    Side::Right => (right, right_rows),
                };
                *sum += i128::from(row.amount);
                *rows = rows.checked_add(1).ok_or_else(too_many_rows)?;
            }
        }
        let new = self.accounts.len() - known;
        let is_too_many = self.keys_of_all.fetch_add(new, Ordering::Relaxed) + new > self.keys_max;
        if is_too_many { Err(too_many_keys(self.keys_max)) } else { Ok(()) }
    }

    /// The accounts of rows with short keys that are where they are looked for first. Each of these looks waits for memory,
    /// and for one row does not wait for those of the others.
    fn likely(&self, rows: &[Row]) -> [Option<usize>; TOGETHER] {
        let mut places = [FREE; TOGETHER];
        for (place, row) in places.iter_mut().zip(rows) {
            *place = self.places.get(self.first(row.hash)).copied().unwrap_or(FREE);
        }
        let mut likely = [None; TOGETHER];
        for ((likely, place), row) in likely.iter_mut().zip(places).zip(rows) {
            let account = size(place.account);
            let is_it = self.accounts.get(account).is_some_and(|known| known.key == row.key);
            *likely = (is_it && !row.key.is_pooled()).then_some(account);
        }
        likely
    }

    /// Its accounts.
    pub(super) fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The key of an account of it.
    pub(super) fn key<'l>(&'l self, account: &'l Account) -> &'l [u8] {
        account.key.bytes(&self.pool)
    }

    /// Where a hash is looked for first.
    fn first(&self, hash: u32) -> usize {
        size(hash >> (u32::BITS - self.bits))
    }

    /// The account of a row's key, or the free place where it is to be.
    fn find(&self, row: &Row, pool: &[u8]) -> Result<usize, usize> {
        let mask = self.places.len() - 1;
        let mut at = self.first(row.hash);
        loop {
            let place = self.places.get(at).copied().unwrap_or(FREE);
            if place.account == FREE.account {
                return Err(at);
            }
            let index = size(place.account);
            if place.hash == row.hash
                && self.accounts.get(index).is_some_and(|known| self.is_same(known, row, pool))
            {
                return Ok(index);
            }
            at = (at + 1) & mask;
        }
    }

    fn is_same(&self, known: &Account, row: &Row, pool: &[u8]) -> bool {
        if row.key.is_pooled() {
            known.key.is_pooled() && known.key.bytes(&self.pool) == row.key.bytes(pool)
        } else {
            known.key == row.key
        }
    }

    /// A new account at a free place.
    fn open(&mut self, row: &Row, pool: &[u8], at: usize) -> Result<usize, Text> {
        let index = self.accounts.len();
        if self.pool.len() > self.keys_max.saturating_mul(POOL_SHARE) + KEY_MAX || index >= KEYS_LIMIT {
            return Err(too_many_keys(self.keys_max));
        }
        let key = if row.key.is_pooled() { Key::new(row.key.bytes(pool), &mut self.pool) } else { row.key };
        self.accounts.push(Account { sums: [0; 2], rows: [0; 2], key });
        if let (Some(place), Ok(account)) = (self.places.get_mut(at), u32::try_from(index)) {
            *place = Place { hash: row.hash, account };
        }
        if self.accounts.len() * 4 > self.places.len() * 3 {
            self.grow();
        }
        Ok(index)
    }

    fn grow(&mut self) {
        self.bits += 1;
        let old = std::mem::replace(&mut self.places, vec![FREE; 1 << self.bits]);
        let mask = self.places.len() - 1;
        for place in old.into_iter().filter(|place| place.account != FREE.account) {
            let mut at = self.first(place.hash);
            while self.places.get(at).is_some_and(|taken| taken.account != FREE.account) {
                at = (at + 1) & mask;
            }
            if let Some(free) = self.places.get_mut(at) {
                *free = place;
            }
        }
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn too_many_keys(most: usize) -> Text {
    Text::new(
        format!(
            "不同的键超过 {most} 个，或键过长：请按期间拆分两个文件，或以 --keys-max 放宽（每百万个约需 150 MiB 内存）"
        ),
        format!(
            "more than {most} different keys, or too long ones: split both files by period, or allow more by --keys-max (about 150 MiB of memory a million)"
        ),
    )
}

fn too_many_rows() -> Text {
    Text::new(
        "同一个键的行数过多：请按期间拆分两个文件",
        "too many rows of one key: split both files by period",
    )
}
