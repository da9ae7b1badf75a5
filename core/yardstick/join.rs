//! Two files by key, as a hash join written by hand for just these columns does it: what comparing files is measured against.
//!
//! It takes for granted what the files of the benchmark are: a head, the key first and the amount third, two decimal
//! places, no quotes, no blanks, every row whole. Sums of a key are its only result.

use memchr::{memchr, memchr_iter};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The same done by DuckDB: a script for Python, which takes both files and whether a key may have several rows.
pub const DUCKDB: &str = include_str!("join.py");

/// What came of it, each for what is equal, different, left only and right only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Joined {
    /// Keys.
    pub keys: [u64; 4],
    /// Sums in cents, left and right.
    pub cents: [[i64; 2]; 4],
}

/// About as long as a row is: room is made for all keys at once.
const ROW: usize = 42;

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    cents: [i64; 2],
    is_in: [bool; 2],
}

/// Joins two files.
pub fn join(left: &[u8], right: &[u8]) -> Joined {
    let mut keys: HashMap<&[u8], Sums, BuildHasherDefault<Words>> =
        HashMap::with_capacity_and_hasher(left.len() / ROW, BuildHasherDefault::default());
    for (side, file) in [left, right].into_iter().enumerate() {
        for (key, cents) in rows_of(file) {
            let sums = keys.entry(key).or_default();
            if let (Some(sum), Some(is_in)) = (sums.cents.get_mut(side), sums.is_in.get_mut(side)) {
                *sum += cents;
                *is_in = true;
            }
        }
    }
    let mut joined = Joined::default();
    for sums in keys.values() {
        let class = match (sums.is_in, sums.cents) {
            ([true, true], [left, right]) if left == right => 0,
            ([true, true], _) => 1,
            ([true, false], _) => 2,
            ([false, _], _) => 3,
        };
        if let (Some(keys), Some(totals)) = (joined.keys.get_mut(class), joined.cents.get_mut(class)) {
            *keys += 1;
            for (total, cents) in totals.iter_mut().zip(sums.cents) {
                *total += cents;
            }
        }
    }
    joined
}

/// Key and cents of the rows below the head.
fn rows_of(file: &[u8]) -> impl Iterator<Item = (&[u8], i64)> {
    let mut start = 0;
    let lines = memchr_iter(b'\n', file).map(move |end| {
        let line = file.get(start..end).unwrap_or_default();
        start = end + 1;
        line
    });
    lines.skip(1).filter_map(|line| {
        let (key, rest) = line.split_at_checked(memchr(b',', line)?)?;
        let rest = rest.get(1..)?;
        let rest = rest.get(memchr(b',', rest)? + 1..)?;
        Some((key, cents(rest.get(..memchr(b',', rest)?)?)))
    })
}

fn cents(amount: &[u8]) -> i64 {
    let digits = amount.strip_prefix(b"-").unwrap_or(amount);
    let number = digits.iter().filter(|byte| **byte != b'.');
    let cents = number.fold(0, |cents: i64, byte| cents * 10 + i64::from(byte & 15));
    if digits.len() < amount.len() { -cents } else { cents }
}

/// A hash of eight bytes at a time: enough for keys that nobody has chosen to collide.
#[derive(Debug, Clone, Copy, Default)]
struct Words(u64);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            if let Some(place) = word.get_mut(..part.len()) {
                place.copy_from_slice(part);
            }
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_key() {
        let left = b"number,day,amount,currency\nA,d,1.50,CNY\nB,d,2.00,CNY\nC,d,3.00,CNY\n";
        let right = b"number,day,amount,currency\nA,d,1.00,CNY\nA,d,0.50,CNY\nB,d,2.01,CNY\nD,d,-4.00,CNY\n";
        let joined = join(left, right);
        assert_eq!(joined.keys, [1, 1, 1, 1]);
        assert_eq!(joined.cents, [[150, 150], [200, 201], [300, 0], [0, -400]]);
    }
}
