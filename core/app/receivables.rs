//! What a contract or a customer owes, now or as it was known at any time: for people and programs that ask.

use crate::ledger;
use crate::output;
use serde::Serialize;
use std::collections::BTreeMap;
use tongbao_delivery::port::{Holder, LedgerEntry, Store, Stored};
use tongbao_model::{Exact, Text, china, decimal};
use tongbao_recon::{Account, AccountError};

/// Sums of one contract, or of a customer's in one currency. All with tax, in `currency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// ISO 4217 code.
    pub currency: String,
    /// Ordered less credited.
    pub ordered: Exact,
    /// Invoiced.
    pub invoiced: Exact,
    /// Received.
    pub received: Exact,
    /// Invoiced and not received yet (应收).
    pub receivable: Exact,
    /// Received before it was invoiced (预收).
    pub advance: Exact,
    /// Ordered and not received yet (未收); negative when too much came in.
    pub open: Exact,
}

/// One contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contract {
    /// Its number.
    pub contract: String,
    /// Code of its customer, where it names one.
    pub customer: Option<String>,
    /// Its sums; `None` where there are none, for the reason beside.
    pub sums: Option<Sums>,
    /// Why there are no sums.
    pub reason: Option<Text>,
    /// What they are made of, oldest first.
    pub entries: Vec<Entry>,
}

/// One movement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `ordered`, `credited`, `invoiced`, `received`, `released` or `settled`.
    pub kind: String,
    /// Number of what caused it.
    pub origin: String,
    /// Its revision.
    pub revision: i64,
    /// Amount in `currency`, with its sign; as it was stored.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
    /// When it happened.
    pub at: String,
    /// Event that it comes from.
    pub event: String,
}

/// What was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owed {
    /// As far as was known at this time; `None` for now.
    pub as_of: Option<String>,
    /// By contract.
    pub contracts: Vec<Contract>,
    /// Together, by currency. Contracts without sums are not in it.
    pub totals: Vec<Sums>,
}

/// What stands on the accounts of a contract or customer, as far as was known at a time.
///
/// # Errors
/// What the database said; sums that leave the range of exact arithmetic.
pub async fn owed(store: &dyn Store, of: &Holder, as_of_ms: Option<i64>) -> Stored<Result<Owed, Text>> {
    let entries = store.ledger_as_of(of, as_of_ms.unwrap_or(i64::MAX)).await?;
    let mut by_contract: BTreeMap<String, Vec<LedgerEntry>> = BTreeMap::new();
    for entry in entries {
        by_contract.entry(entry.contract.clone()).or_default().push(entry);
    }
    let contracts: Vec<Contract> =
        by_contract.into_iter().map(|(number, list)| contract(number, list)).collect();
    let totals = totals(contracts.iter().filter_map(|one| one.sums.as_ref()));
    let Some(totals) = totals else {
        return Ok(Err(Text::new("合计超出范围", "the sums leave the range of exact arithmetic")));
    };
    Ok(Ok(Owed { as_of: as_of_ms.map(output::time), contracts, totals }))
}

fn contract(number: String, entries: Vec<LedgerEntry>) -> Contract {
    let (sums, reason) = match ledger::account(&entries) {
        Ok(account) => (Some(sums(&account)), None),
        Err(error) => (None, Some(why(&error))),
    };
    let ordered = entries.iter().find(|entry| entry.kind == LedgerEntry::ORDERED);
    let customer = ordered.and_then(|entry| entry.customer.clone());
    Contract { contract: number, customer, sums, reason, entries: entries.into_iter().map(entry).collect() }
}

fn sums(account: &Account) -> Sums {
    Sums {
        currency: account.currency.clone(),
        ordered: Exact(account.due),
        invoiced: Exact(account.invoiced),
        received: Exact(account.received),
        receivable: Exact(account.receivable),
        advance: Exact(account.advance),
        open: Exact(account.open),
    }
}

fn why(error: &AccountError) -> Text {
    match error {
        AccountError::NoContract => {
            Text::new("合同尚未收到，款项已先到", "its contract has not come yet; there is money for it")
        }
        AccountError::Currency { contract, movement } => Text::new(
            format!("合同币别 {contract}，另有 {movement} 的单据"),
            format!("the contract is in {contract}, and there is a document in {movement}"),
        ),
        AccountError::Range => Text::new("金额超出范围", "the amounts leave the range of exact arithmetic"),
    }
}

fn entry(entry: LedgerEntry) -> Entry {
    Entry {
        kind: entry.kind,
        origin: entry.origin,
        revision: entry.revision,
        amount: entry.amount,
        currency: entry.currency,
        at: output::time(entry.at_ms),
        event: entry.event,
    }
}

/// Sums of sums by currency. `None`: one does not fit.
fn totals<'s>(all: impl Iterator<Item = &'s Sums>) -> Option<Vec<Sums>> {
    let mut totals: BTreeMap<&str, Sums> = BTreeMap::new();
    for one in all {
        let Some(sum) = totals.get_mut(one.currency.as_str()) else {
            totals.insert(&one.currency, one.clone());
            continue;
        };
        let plus = |one: Exact, other: Exact| decimal::add(one.0, other.0).map(Exact);
        *sum = Sums {
            currency: one.currency.clone(),
            ordered: plus(sum.ordered, one.ordered)?,
            invoiced: plus(sum.invoiced, one.invoiced)?,
            received: plus(sum.received, one.received)?,
            receivable: plus(sum.receivable, one.receivable)?,
            advance: plus(sum.advance, one.advance)?,
            open: plus(sum.open, one.open)?,
        };
    }
    Some(totals.into_values().collect())
}

/// A time as people write it: RFC 3339, or a day, which is meant to its end in China. Milliseconds since 1970 UTC.
///
/// # Errors
/// It is neither.
pub fn as_of_ms(text: &str) -> Result<i64, Text> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_millisecond());
    }
    let end = text
        .parse::<jiff::civil::Date>()
        .ok()
        .and_then(|day| Some(china::begin_ms(day.tomorrow().ok()?)?.saturating_sub(1)));
    end.ok_or_else(|| {
        Text::new(
            format!("{text} 不是时间：写作 2026-11-30 或 2026-11-30T18:00:00+08:00"),
            format!("`{text}` is no time: write 2026-11-30 or 2026-11-30T18:00:00+08:00"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(contract: &str, kind: &str, amount: &str, currency: &str) -> LedgerEntry {
        LedgerEntry {
            contract: contract.into(),
            kind: kind.into(),
            origin: format!("{contract}-{kind}"),
            revision: 1,
            amount: amount.into(),
            currency: currency.into(),
            event: "e".into(),
            at_ms: 0,
            customer: Some("C1".into()),
            facts: "{}".into(),
        }
    }

    #[test]
    fn contracts_and_their_totals_by_currency() {
        let all = [
            contract(
                "A".into(),
                vec![stored("A", "ordered", "100.00", "CNY"), stored("A", "received", "30.10", "CNY")],
            ),
            contract(
                "B".into(),
                vec![stored("B", "ordered", "0.30", "CNY"), stored("B", "invoiced", "0.30", "CNY")],
            ),
            contract("C".into(), vec![stored("C", "ordered", "7", "USD")]),
            contract("D".into(), vec![stored("D", "received", "5", "CNY")]),
            contract(
                "E".into(),
                vec![stored("E", "ordered", "5", "CNY"), stored("E", "received", "5", "USD")],
            ),
        ];
        let totals = totals(all.iter().filter_map(|one| one.sums.as_ref())).unwrap();
        let shown: Vec<String> = totals
            .iter()
            .map(|sum| {
                format!(
                    "{} {} {} {} {}",
                    sum.currency, sum.ordered.0, sum.open.0, sum.receivable.0, sum.advance.0
                )
            })
            .collect();
        assert_eq!(shown, ["CNY 100.30 70.20 0.30 30.10", "USD 7 7 0 0"]);
        assert!(all[3].reason.as_ref().is_some_and(|why| why.en.contains("has not come")));
        assert!(all[4].reason.as_ref().is_some_and(|why| why.en.contains("USD")));
        assert_eq!(all[3].customer, None, "only a contract says whose it is");
    }

    #[test]
    fn a_day_is_meant_to_its_end_in_china() {
        assert_eq!(as_of_ms("1970-01-01").unwrap(), 16 * 3_600_000 - 1);
        assert_eq!(as_of_ms("1970-01-01T00:00:01+00:00").unwrap(), 1_000);
        assert!(as_of_ms("30.11.2026").is_err());
    }
}
