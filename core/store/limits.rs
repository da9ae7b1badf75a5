//! What fits: checked before anything is written, so that all databases refuse the same things.
//!
//! MySQL and PostgreSQL would refuse a text that is too long, SQLite would not; PostgreSQL refuses NUL in a text.

use tongbao_delivery::port::{Binding, Intake, LedgerEntry, StoreError, Stored, TableRow};

/// Characters in ids.
pub const ID: u32 = 64;
/// Characters in names of connections, kinds, flows, tables.
pub const NAME: u32 = 64;
/// Characters in codes and states.
pub const CODE: u32 = 32;
/// Characters in business keys, order keys, far-side numbers.
pub const KEY: u32 = 190;

/// Refuses a text that is longer than its column or holds NUL.
pub fn fits(what: &str, value: &str, most: u32) -> Stored<()> {
    let count = u32::try_from(value.chars().count()).unwrap_or(u32::MAX);
    if count > most {
        return Err(StoreError::Invalid(format!("{what} has {count} characters, {most} are kept")));
    }
    whole(what, value)
}

/// Refuses a text that holds NUL.
pub fn whole(what: &str, value: &str) -> Stored<()> {
    if value.contains('\0') {
        return Err(StoreError::Invalid(format!("{what} holds a NUL character")));
    }
    Ok(())
}

/// Refuses an intake that no database could keep.
pub fn intake(intake: &Intake) -> Stored<()> {
    let event = &intake.event;
    fits("event id", &event.id, ID)?;
    fits("event kind", &event.kind, NAME)?;
    fits("event source", &event.source, NAME)?;
    fits("event key", &event.key, KEY)?;
    fits("event order key", &event.order_key, KEY)?;
    fits("event digest", &event.digest, NAME)?;
    fits("event cause", event.cause.as_deref().unwrap_or_default(), ID)?;
    whole("event record", &event.record)?;
    for delivery in &intake.deliveries {
        fits("delivery id", &delivery.id, ID)?;
        fits("flow", &delivery.flow, NAME)?;
        fits("target", &delivery.target, NAME)?;
        fits("order key", &delivery.order_key, KEY)?;
    }
    Ok(())
}

/// Refuses a binding that no database could keep.
pub fn binding(binding: &Binding) -> Stored<()> {
    fits("binding target", &binding.target, NAME)?;
    fits("binding kind", &binding.kind, NAME)?;
    fits("binding key", &binding.key, KEY)?;
    fits("far-side id", &binding.remote.id, KEY)?;
    fits("far-side number", &binding.remote.number, KEY)?;
    fits("far-side step", &binding.remote.step, NAME)
}

/// Refuses a ledger entry that no database could keep.
pub fn entry(entry: &LedgerEntry) -> Stored<()> {
    fits("contract", &entry.contract, KEY)?;
    fits("entry kind", &entry.kind, NAME)?;
    fits("entry origin", &entry.origin, KEY)?;
    fits("currency", &entry.currency, CODE)?;
    fits("entry event", &entry.event, ID)?;
    fits("customer", entry.customer.as_deref().unwrap_or_default(), KEY)?;
    whole("amount", &entry.amount)?;
    whole("facts", &entry.facts)
}

/// Refuses a code table row that no database could keep.
pub fn table_row(row: &TableRow) -> Stored<()> {
    fits("table", &row.table, NAME)?;
    fits("source code", &row.source, KEY)?;
    whole("target code", &row.target)?;
    whole("note", &row.note)?;
    fits("last day", &row.valid_to, CODE)
}
