//! From a statement's rows to documents, each under a key that is the same in every file the row is in.

use super::statement::{Book, Row, Statement};
use super::text;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use tongbao_connect::Incoming;
use tongbao_model::record::{BankEntry, Date, Time};
use tongbao_model::{Code, Exact, Fault, digest};

/// Kind of the documents.
pub const KIND: &str = "entry";
/// What tells an entry that comes again from one that changed: where its money went. Names, texts and balances differ
/// between the formats in which a bank hands out the same entry.
pub const FACTS: &[&str] = &["account", "booking_date", "direction", "amount", "currency", "kind"];
/// Longest reference that is a part of the key as it stands.
const REFERENCE_MAX: usize = 64;
/// Most skipped rows that a report lists.
const SKIPPED_MAX: usize = 200;

/// The documents of a file, the oldest of each account first.
pub fn documents(book: &Book) -> Result<Vec<Incoming>, Fault> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut documents = Vec::new();
    for statement in &book.statements {
        for row in &statement.rows {
            let mut number = key(statement, row);
            // Several entries may share a reference, or be alike: they are told apart by their order within the day.
            let count = seen.entry(number.clone()).or_default();
            *count += 1;
            if *count > 1 {
                number = format!("{number}/{count}");
            }
            documents
                .push(Incoming { kind: KIND.to_owned(), document: document(statement, row, number)?.into() });
        }
    }
    Ok(documents)
}

/// The account by its end and its digest, the day, the bank's reference; without one, a digest of what the row says.
fn key(statement: &Statement, row: &Row) -> String {
    let of_account = digest::of_bytes(format!("{} {}", statement.account, statement.currency).as_bytes());
    let account = format!("{}.{}", text::tail(&statement.account), of_account.get(..8).unwrap_or_default());
    let day = row.date.strftime("%Y%m%d");
    match &row.reference {
        Some(reference) if reference.len() <= REFERENCE_MAX => format!("{account}-{day}-{reference}"),
        Some(reference) => {
            let reference = digest::of_bytes(reference.as_bytes());
            format!("{account}-{day}-{}", reference.get(..32).unwrap_or_default())
        }
        None => {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            let balance = row.balance.map(|balance| balance.to_string()).unwrap_or_default();
            let said = json!([row.amount.to_string(), part(&row.other_account), part(&row.text), balance]);
            let said = digest::of_bytes(said.to_string().as_bytes());
            format!("{account}-{day}-{}", said.get(..32).unwrap_or_default())
        }
    }
}

fn document(statement: &Statement, row: &Row, number: String) -> Result<Value, Fault> {
    let day = |date: jiff::civil::Date| Date(date.strftime("%Y-%m-%d").to_string());
    let time = row.time.unwrap_or(jiff::civil::Time::midnight());
    let booked_at = format!("{}T{}+08:00", row.date.strftime("%Y-%m-%d"), time.strftime("%H:%M:%S"));
    let entry = BankEntry {
        number,
        revision: None,
        account: statement.account.clone(),
        booking_date: day(row.date),
        booked_at: Time(booked_at),
        value_date: row.value_date.map(day),
        direction: if row.amount < Decimal::ZERO { "out" } else { "in" }.to_owned(),
        amount: Exact(text::money(row.amount.abs())?),
        currency: statement.currency.clone(),
        balance_after: row.balance.map(Exact),
        fee: row.fee.map(Exact),
        kind: row.kind.name().to_owned(),
        other_name: row.other_name.clone(),
        other_account: row.other_account.clone(),
        other_bank: row.other_bank.clone(),
        text: row.text.clone(),
        bank_reference: row.reference.clone(),
        own_reference: row.own_reference.clone(),
        statement: statement.id.clone(),
        place: i64::try_from(row.place).ok(),
    };
    let mut value = serde_json::to_value(entry)
        .map_err(|_| Fault::new(Code::Defect, "无法写出分录", "the entry cannot be written"))?;
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    Ok(value)
}

/// What was read, skipped and checked: figures, places and the ends of account numbers.
pub fn about(book: &Book) -> Result<Value, Fault> {
    let mut statements = Vec::new();
    for statement in &book.statements {
        let (mut money_in, mut out) = ((Decimal::ZERO, 0_u32), (Decimal::ZERO, 0_u32));
        let (mut reversals, mut refunds) = (0_u32, 0_u32);
        for row in &statement.rows {
            let side = if row.amount < Decimal::ZERO { &mut out } else { &mut money_in };
            *side = (text::sum(side.0, row.amount.abs())?, side.1 + 1);
            match row.kind {
                super::statement::Kind::Reversal => reversals += 1,
                super::statement::Kind::Refund => refunds += 1,
                super::statement::Kind::Ordinary => {}
            }
        }
        let side = |(sum, count): (Decimal, u32)| json!({"count": count, "sum": sum.to_string()});
        let day = |row: Option<&Row>| row.map(|row| row.date.strftime("%Y-%m-%d").to_string());
        statements.push(json!({
            "account": format!("…{}", text::tail(&statement.account)),
            "currency": statement.currency,
            // Some banks make the number of the account's.
            "statement": statement.id.as_ref().filter(|id| !id.contains(&statement.account)),
            "from": day(statement.rows.first()),
            "to": day(statement.rows.last()),
            "rows": statement.rows.len(),
            "in": side(money_in),
            "out": side(out),
            "reversals": reversals,
            "refunds": refunds,
            "opening": statement.opening.map(|amount| amount.to_string()),
            "closing": statement.closing.map(|amount| amount.to_string()),
        }));
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for skipped in &book.skipped {
        *reasons.entry(skipped.why.name()).or_default() += 1;
    }
    let listed: Vec<Value> = book
        .skipped
        .iter()
        .take(SKIPPED_MAX)
        .map(|skipped| json!({"place": skipped.place, "reason": skipped.why.name()}))
        .collect();
    Ok(json!({
        "format": book.format,
        "statements": statements,
        "skipped": {"count": book.skipped.len(), "reasons": reasons, "first": listed},
        "checks": book.checks,
    }))
}
