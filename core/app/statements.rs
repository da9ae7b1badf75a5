//! Statements from the journal.

use crate::closings;
use crate::intake::at;
use serde_json::Value;
use tongbao_delivery::port::{Holder, Recorded, Store, Stored};
use tongbao_model::{Text, decimal};
use tongbao_recon::MovementKind;
use tongbao_recon::statement::{Entry, Question, Statement, StatementError, statement};

/// Makes a customer's statement. The inner error says why there is none.
///
/// # Errors
/// What the database said.
pub async fn made(store: &dyn Store, question: Question<'_>) -> Stored<Result<Statement, Text>> {
    let journal = store.journal(&Holder::Customer(question.customer.to_owned())).await?;
    let closings = closings::standing(store.closures().await?, question.as_of_ms);
    let entries: Result<Vec<Entry>, Text> = journal.into_iter().map(entry).collect();
    Ok(entries.and_then(|entries| statement(&entries, &closings, question).map_err(|error| why(&error))))
}

/// A customer whom a document names.
#[derive(Debug, Default)]
pub struct Customer {
    /// As in the newest document that is still there and has it.
    pub name: Option<String>,
}

/// Looks a customer up. `None`: no document ever named it.
///
/// # Errors
/// What the database said.
pub async fn customer(store: &dyn Store, code: &str) -> Stored<Option<Customer>> {
    let journal = store.journal(&Holder::Customer(code.to_owned())).await?;
    let named = journal.into_iter().filter(|one| one.entry.customer.as_deref() == Some(code));
    let Some(newest) = named.max_by_key(|one| (one.at_ms, one.entry.revision)) else { return Ok(None) };
    let Some(event) = store.event(&newest.entry.event).await? else { return Ok(Some(Customer::default())) };
    let record: Value = serde_json::from_str(&event.record).unwrap_or(Value::Null);
    let name = at(&record, "customer.name").and_then(Value::as_str).map(str::to_owned);
    Ok(Some(Customer { name }))
}

fn entry(recorded: Recorded) -> Result<Entry, Text> {
    let Recorded { entry, at_ms: stored_ms } = recorded;
    let kind = MovementKind::from_name(&entry.kind);
    let (Some(kind), Ok(amount)) = (kind, decimal::parse(&entry.amount)) else {
        return Err(Text::new(
            format!("账目 {} 无法读取（类别 {}）", entry.origin, entry.kind),
            format!("the entry of {} cannot be read (kind `{}`)", entry.origin, entry.kind),
        ));
    };
    Ok(Entry {
        contract: entry.contract,
        kind,
        origin: entry.origin,
        revision: entry.revision,
        amount,
        currency: entry.currency,
        at_ms: entry.at_ms,
        stored_ms,
        customer: entry.customer,
    })
}

fn why(error: &StatementError) -> Text {
    match error {
        StatementError::Range(number) => Text::new(
            format!("{number} 的金额或日期超出范围"),
            format!("the amount or the date of {number} is out of range"),
        ),
        StatementError::Closings(month) => Text::new(
            format!("{month} 的结账记录与之前的结账不符：各月须依次结账"),
            format!(
                "the closing of {month} does not fit those before it: months are closed one after the other"
            ),
        ),
    }
}
