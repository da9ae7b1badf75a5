//! What commission is released on, payment by payment.

use super::no_account;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tongbao_delivery::port::LedgerEntry;
use tongbao_model::{Fault, decimal};
use tongbao_recon::commission::{self, Receipt};
use tongbao_recon::{Account, AccountError, MovementKind};

/// Receipts whose base for commission is another than was told, with the base.
pub fn releases<'e>(
    entries: &'e [LedgerEntry],
    account: &Account,
) -> Result<Vec<(&'e LedgerEntry, Decimal)>, Fault> {
    let is_of = |kind: MovementKind| move |entry: &&LedgerEntry| entry.kind == kind.name();
    if entries.iter().any(|entry| is_of_the_whole(entry, entries)) {
        return Ok(Vec::new());
    }
    let amount = |entry: &LedgerEntry| decimal::parse(&entry.amount).ok();
    let receipts: Vec<&LedgerEntry> = entries.iter().filter(is_of(MovementKind::Received)).collect();
    let known = |entry: &&LedgerEntry| {
        Some(Receipt { number: entry.origin.clone(), at_ms: entry.at_ms, amount: amount(entry)? })
    };
    let out_of_range = || no_account(AccountError::Range);
    let known: Vec<Receipt> = receipts.iter().map(known).collect::<Option<_>>().ok_or_else(out_of_range)?;
    let bases = commission::bases(account.due, &known).ok_or_else(out_of_range)?;
    let told: BTreeMap<&str, Decimal> = entries
        .iter()
        .filter(is_of(MovementKind::Released))
        .filter_map(|entry| Some((entry.origin.as_str(), amount(entry)?)))
        .collect();
    // Not of this movement's only: a credit note changes what an earlier payment counts for.
    let news = receipts.into_iter().filter_map(|receipt| {
        let base = *bases.get(receipt.origin.as_str())?;
        let before = told.get(receipt.origin.as_str()).copied().unwrap_or_default();
        (base != before).then_some((receipt, base))
    });
    Ok(news.collect())
}

/// Whether this is a release as there were before: of a contract paid in full and not of its payments. Such a contract is
/// done with.
pub fn is_of_the_whole(entry: &LedgerEntry, entries: &[LedgerEntry]) -> bool {
    let is_receipt =
        |one: &LedgerEntry| one.kind == MovementKind::Received.name() && one.origin == entry.origin;
    entry.kind == MovementKind::Released.name()
        && entry.origin == entry.contract
        && !entries.iter().any(is_receipt)
}
