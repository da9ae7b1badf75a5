//! One engine on two files, in a process of its own.

use super::Run;
use crate::cli::CompareEngine;
use crate::commands::bench::memory;
use crate::comparing::{Source, compare};
use crate::output::{self, Exit};
use serde_json::json;
use std::path::Path;
use std::time::Instant;
use tongbao_recon::compare::{Class, Columns, Sum};
use tongbao_yardstick::join::join;

/// More keys than the files have.
const KEYS_MAX: usize = 100_000_000;

/// Runs it and prints what it took.
pub fn once(engine: CompareEngine, left: &Path, right: &Path) -> Exit {
    let begun = Instant::now();
    let found = match engine {
        CompareEngine::Ours => ours(left, right),
        CompareEngine::Join => by_hand(left, right),
    };
    let took = begun.elapsed();
    match found {
        Ok((keys, sums)) => {
            let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            let sums = sums.map(|sums| sums.map(|sum| sum.to_string()));
            output::json(&json!(Run { micros, peak_kib: memory::kib("self", "VmHWM"), keys, sums }));
            Exit::Ok
        }
        Err(why) => {
            output::note(&why);
            Exit::Failed
        }
    }
}

type Found = ([u64; 4], [[Sum; 2]; 4]);

/// All that the command does but printing.
fn ours(left: &Path, right: &Path) -> Result<Found, String> {
    let columns = Columns { key: "number".into(), amount: "amount".into(), currency: None };
    let source = |path: &Path| Source { path: path.to_owned(), columns: columns.clone(), encoding: None };
    let compared = compare(&source(left), &source(right), KEYS_MAX).map_err(|why| why.to_string())?;
    let (outcome, differing) = (compared.books.outcome(), compared.books.differing([false; 2]));
    let tallies =
        Class::ALL.map(|class| outcome.currencies.get("").map(|all| *all.of(class)).unwrap_or_default());
    let equal = tallies.first().map_or(0, |tally| tally.keys);
    let told = u64::try_from(differing.count()).unwrap_or(u64::MAX);
    if !outcome.is_of(&compared.read) || equal + told != tallies.iter().map(|tally| tally.keys).sum::<u64>() {
        return Err("the sums are not those of the rows".to_owned());
    }
    Ok((tallies.map(|tally| tally.keys), tallies.map(|tally| tally.sums)))
}

fn by_hand(left: &Path, right: &Path) -> Result<Found, String> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let joined = join(&read(left)?, &read(right)?);
    // Cents as ten-thousandths.
    Ok((joined.keys, joined.cents.map(|cents| cents.map(|cents| Sum(i128::from(cents) * 100)))))
}
