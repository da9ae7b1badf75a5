//! Statements from the journal, and how they reach customers.

pub mod answers;
pub mod compared;
pub mod desk;
mod follow;
pub mod history;
pub mod letter;
pub mod link;
pub(crate) mod page;
mod schedule;
#[cfg(test)]
mod tests;

use crate::closings;
use crate::intake::at;
use serde_json::Value;
use tongbao_delivery::port::{Closure, Holder, Recorded, Store, StoreError, Stored};
use tongbao_model::{Text, decimal};
use tongbao_recon::MovementKind;
use tongbao_recon::statement::{Entry, Question, Release, Statement, StatementError, releases, statement};

/// What is known of a customer: read once, and asked as often as there are questions.
#[derive(Debug)]
pub struct Books {
    customer: String,
    journal: Vec<Recorded>,
    closures: Vec<Closure>,
}

/// Why there is no statement.
#[derive(Debug)]
pub enum Failed {
    /// The database.
    Store(StoreError),
    /// Nobody knows the customer.
    Unknown(Text),
    /// Anything else, in words.
    Told(Text),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed::Store(error)
    }
}

/// A customer whom a document names.
#[derive(Debug, Default)]
pub struct Customer {
    /// As in the newest document that is still there and has it.
    pub name: Option<String>,
    /// Where mail reaches it, likewise.
    pub email: Option<String>,
}

impl Books {
    /// Reads every revision of a customer's entries, and all closings.
    ///
    /// # Errors
    /// What the database said.
    pub async fn load(store: &dyn Store, customer: &str) -> Stored<Books> {
        let journal = store.journal(&Holder::Customer(customer.to_owned())).await?;
        Ok(Books { customer: customer.to_owned(), journal, closures: store.closures().await? })
    }

    /// Whether no document ever named the customer.
    pub fn is_empty(&self) -> bool {
        self.journal.iter().all(|one| one.entry.customer.as_ref() != Some(&self.customer))
    }

    /// Makes the statement; the question must be about the same customer.
    ///
    /// # Errors
    /// Why there is none.
    pub fn statement(&self, question: Question<'_>) -> Result<Statement, Text> {
        let closings = closings::standing(&self.closures, question.as_of_ms);
        let entries: Vec<Entry> = self.journal.iter().map(entry).collect::<Result<_, _>>()?;
        statement(&entries, &closings, question).map_err(|error| why(&error))
    }

    /// What commission was released on in the month; the question must be about the same customer.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn releases(&self, question: Question<'_>) -> Result<Vec<Release>, Text> {
        let closings = closings::standing(&self.closures, question.as_of_ms);
        let entries: Vec<Entry> = self.journal.iter().map(entry).collect::<Result<_, _>>()?;
        releases(&entries, &closings, question).map_err(|error| why(&error))
    }

    /// What the newest document says of the customer. `None`: no document ever named it.
    ///
    /// # Errors
    /// What the database said.
    pub async fn customer(&self, store: &dyn Store) -> Stored<Option<Customer>> {
        let named = self.journal.iter().filter(|one| one.entry.customer.as_ref() == Some(&self.customer));
        let Some(newest) = named.max_by_key(|one| (one.at_ms, one.entry.revision)) else { return Ok(None) };
        let Some(event) = store.event(&newest.entry.event).await? else {
            return Ok(Some(Customer::default()));
        };
        let record: Value = serde_json::from_str(&event.record).unwrap_or(Value::Null);
        let text = |path: &str| at(&record, path).and_then(Value::as_str).map(str::to_owned);
        Ok(Some(Customer { name: text("customer.name"), email: text("customer.email") }))
    }
}

/// What is said of a customer whom no document names.
pub fn unknown(customer: &str) -> Text {
    Text::new(
        format!("没有单据指明客户 {customer}：请核对客户编码"),
        format!("no document names customer {customer}: check the code"),
    )
}

fn entry(recorded: &Recorded) -> Result<Entry, Text> {
    let Recorded { entry, at_ms: stored_ms } = recorded;
    let kind = MovementKind::from_name(&entry.kind);
    let (Some(kind), Ok(amount)) = (kind, decimal::parse(&entry.amount)) else {
        return Err(Text::new(
            format!("账目 {} 无法读取（类别 {}）", entry.origin, entry.kind),
            format!("the entry of {} cannot be read (kind `{}`)", entry.origin, entry.kind),
        ));
    };
    Ok(Entry {
        contract: entry.contract.clone(),
        kind,
        origin: entry.origin.clone(),
        revision: entry.revision,
        amount,
        currency: entry.currency.clone(),
        at_ms: entry.at_ms,
        stored_ms: *stored_ms,
        customer: entry.customer.clone(),
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
