//! Rows to the port's values and back.

use crate::entity::{attempts, bindings, code_rows, deliveries, events, journal, mapping_versions, outbox};
use crate::limits::whole;
use tongbao_delivery::port::{
    AttemptView, Binding, DeliveryView, LedgerEntry, MappingVersion, OutboxRow, RemoteRef, State, StoreError,
    Stored, TableRow,
};
use tongbao_model::{Event, Fault};

/// Both ways for one kind of number; a stored one that does not fit was not stored by us.
pub fn count(stored: i32) -> Stored<u32> {
    u32::try_from(stored).map_err(|_| StoreError::Corrupt(format!("{stored} is no count")))
}

/// A count as it is stored.
pub fn number(count: u32) -> Stored<i32> {
    i32::try_from(count).map_err(|_| StoreError::Invalid(format!("{count} is too large a count")))
}

/// JSON text of a value.
pub fn json<T: serde::Serialize>(value: &T) -> Stored<String> {
    let text = serde_json::to_string(value).map_err(|error| StoreError::Invalid(error.to_string()))?;
    whole("text", &text)?;
    Ok(text)
}

fn from_json<T: serde::de::DeserializeOwned>(text: Option<String>) -> Stored<Option<T>> {
    let parse = |text: String| {
        serde_json::from_str(&text).map_err(|error| StoreError::Corrupt(format!("stored JSON: {error}")))
    };
    text.map(parse).transpose()
}

/// A stored state.
pub fn state(name: &str) -> Stored<State> {
    State::from_name(name).ok_or_else(|| StoreError::Corrupt(format!("unknown state {name:?}")))
}

/// A stored far-side reference.
pub fn remote(text: Option<String>) -> Stored<Option<RemoteRef>> {
    from_json(text)
}

pub fn event(row: events::Model) -> Event {
    Event {
        id: row.id,
        kind: row.kind,
        source: row.source,
        key: row.business_key,
        revision: row.revision,
        order_key: row.order_key,
        occurred_at_ms: row.occurred_at_ms,
        digest: row.digest,
        record: row.record,
        cause: row.cause,
    }
}

pub fn delivery(row: deliveries::Model) -> Stored<DeliveryView> {
    let state = state(&row.state)?;
    Ok(DeliveryView {
        id: row.id,
        seq: row.seq,
        event: row.event_id,
        kind: row.kind,
        key: row.business_key,
        flow: row.flow,
        target: row.target,
        order_key: row.order_key,
        state,
        attempts: count(row.attempts)?,
        due_at_ms: if state == State::Waiting { row.due_at_ms } else { None },
        class: row.class,
        fault: from_json::<Fault>(row.fault)?,
        remote: from_json(row.remote)?,
        created_at_ms: row.created_at_ms,
        changed_at_ms: row.changed_at_ms,
    })
}

pub fn attempt(row: attempts::Model) -> Stored<AttemptView> {
    Ok(AttemptView {
        attempt: count(row.attempt)?,
        worker: row.worker,
        started_at_ms: row.started_at_ms,
        ended_at_ms: row.ended_at_ms,
        class: row.class,
        fault: from_json::<Fault>(row.fault)?,
        remote: from_json(row.remote)?,
        request: row.request,
        response: row.response,
        mapping: row.mapping,
        tables_revision: row.tables_revision,
    })
}

pub fn outbox_row(row: outbox::Model) -> OutboxRow {
    OutboxRow {
        id: row.id,
        delivery: row.delivery,
        target: row.target,
        order_key: row.order_key,
        due_at_ms: row.due_at_ms,
    }
}

pub fn binding(row: bindings::Model) -> Binding {
    Binding {
        target: row.target,
        kind: row.kind,
        key: row.business_key,
        remote: RemoteRef { id: row.remote_id, number: row.remote_number, step: row.remote_step },
        delivery: row.delivery,
    }
}

pub fn entry(row: journal::Model) -> LedgerEntry {
    LedgerEntry {
        contract: row.contract,
        kind: row.kind,
        origin: row.origin,
        revision: row.revision,
        amount: row.amount,
        currency: row.currency,
        event: row.event,
        at_ms: row.at_ms,
        customer: row.customer,
        facts: row.facts,
    }
}

pub fn table_row(row: code_rows::Model) -> TableRow {
    TableRow {
        table: row.table_name,
        source: row.source_code,
        target: row.target_code,
        note: row.note,
        valid_to: row.valid_to.unwrap_or_default(),
    }
}

pub fn mapping(row: mapping_versions::Model) -> Stored<MappingVersion> {
    let files = from_json(Some(row.files))?.unwrap_or_default();
    Ok(MappingVersion { version: row.version, name: row.name, files })
}
