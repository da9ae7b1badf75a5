//! Invoices and what was paid of them, as two exports; the same seed gives the same files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tongbao_recon::compare::Sum;

/// One payment of so many is a cent off.
const OFF: u32 = 100;
/// One payment of so many is of an invoice that nobody knows.
const UNKNOWN: u32 = 200;
/// Most payments of an invoice.
const PARTS_MAX: u32 = 4;

/// Two files.
pub struct Case {
    /// What they are.
    pub name: &'static str,
    /// Invoices and payments.
    pub files: [PathBuf; 2],
    /// Whether invoices are paid in several parts.
    pub has_several: bool,
}

/// Writes both files, of so many rows each. Invoices stand in the order of their numbers, payments in none. Where they are
/// paid in parts, payments end before the invoices do.
pub fn write(folder: &Path, has_several: bool, rows: u32, seed: u64) -> io::Result<Case> {
    let (name, file) =
        if has_several { ("一票多付 / 1:N", "several") } else { ("一票一付 / 1:1", "one") };
    let files = ["invoices", "payments"].map(|side| folder.join(format!("{file}-{side}.csv")));
    let mut random = fastrand::Rng::with_seed(seed);
    let invoices: Vec<i64> = (0..rows).map(|_| random.i64(100..10_000_000)).collect();
    let mut payments = Vec::new();
    'all: for (number, cents) in (1..).zip(&invoices) {
        let parts = if has_several { random.u32(1..=PARTS_MAX) } else { 1 };
        let mut left = *cents;
        for part in (0..parts).rev() {
            let paid = if part == 0 { left } else { random.i64(0..=left) };
            left -= paid;
            let off = i64::from(random.u32(..OFF) == 0);
            let number = if random.u32(..UNKNOWN) == 0 { number + 90_000_000 } else { number };
            payments.push((number, paid + off));
            if payments.len() >= invoices.len() {
                break 'all;
            }
        }
    }
    random.shuffle(&mut payments);
    let [left, right] = &files;
    save(left, (1..).zip(invoices.iter().copied()))?;
    save(right, payments.into_iter())?;
    Ok(Case { name, files, has_several })
}

fn save(path: &Path, rows: impl Iterator<Item = (u32, i64)>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "number,day,amount,currency")?;
    for (number, cents) in rows {
        let (month, day) = (number % 12 + 1, number % 28 + 1);
        writeln!(file, "INV2026-{number:08},2026-{month:02}-{day:02},{},CNY", Sum(i128::from(cents) * 100))?;
    }
    file.flush()
}
