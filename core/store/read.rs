//! Questions that people and the application ask.

use crate::convert;
use crate::entity::{attempts, bindings, code_rows, counters, cursors, deliveries, events, ledger};
use crate::error::Fail;
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use std::collections::BTreeSet;
use tongbao_delivery::port::{
    AttemptView, Binding, Count, DeliveryView, Filter, LedgerEntry, State, TableRow,
};
use tongbao_model::Event;

/// Deliveries in one answer when the caller names no number, and at most.
const USUAL: u64 = 100;
const MOST: u64 = 10_000;
/// Events in the answer to one number.
const FOUND: u64 = 1_000;

/// The query of a filter.
pub fn selected(filter: &Filter) -> Select<deliveries::Entity> {
    use deliveries::Column as D;
    let limit = if filter.limit == 0 { USUAL } else { filter.limit.min(MOST) };
    let mut query = deliveries::Entity::find().order_by_asc(D::Seq).limit(limit);
    if !filter.ids.is_empty() {
        query = query.filter(D::Id.is_in(&filter.ids));
    }
    if !filter.states.is_empty() {
        query = query.filter(D::State.is_in(filter.states.iter().map(|state| state.name())));
    }
    for (column, value) in [
        (D::Target, &filter.target),
        (D::Flow, &filter.flow),
        (D::BusinessKey, &filter.key),
        (D::FaultCode, &filter.code),
    ] {
        if let Some(value) = value {
            query = query.filter(column.eq(value));
        }
    }
    if let Some(after) = filter.after_seq {
        query = query.filter(D::Seq.gt(after));
    }
    query
}

pub async fn deliveries_by(db: &DatabaseConnection, filter: &Filter) -> Result<Vec<DeliveryView>, Fail> {
    views(selected(filter).all(db).await?)
}

fn views(rows: Vec<deliveries::Model>) -> Result<Vec<DeliveryView>, Fail> {
    Ok(rows.into_iter().map(convert::delivery).collect::<Result<_, _>>()?)
}

pub async fn one(
    db: &DatabaseConnection,
    id: &str,
) -> Result<Option<(DeliveryView, Vec<AttemptView>, Event)>, Fail> {
    let found = deliveries::Entity::find().filter(deliveries::Column::Id.eq(id)).one(db).await?;
    let Some(row) = found else { return Ok(None) };
    let Some(event) = event(db, &row.event_id).await? else { return Ok(None) };
    let tries = attempts::Entity::find()
        .filter(attempts::Column::Delivery.eq(id))
        .order_by_asc(attempts::Column::Attempt)
        .all(db)
        .await?;
    let tries = tries.into_iter().map(convert::attempt).collect::<Result<_, _>>()?;
    Ok(Some((convert::delivery(row)?, tries, event)))
}

pub async fn event(db: &DatabaseConnection, id: &str) -> Result<Option<Event>, Fail> {
    Ok(events::Entity::find_by_id(id.to_owned()).one(db).await?.map(convert::event))
}

pub async fn deliveries_of(db: &DatabaseConnection, event: &str) -> Result<Vec<DeliveryView>, Fail> {
    use deliveries::Column as D;
    views(deliveries::Entity::find().filter(D::EventId.eq(event)).order_by_asc(D::Seq).all(db).await?)
}

pub async fn caused_by(db: &DatabaseConnection, delivery: &str) -> Result<Vec<Event>, Fail> {
    use events::Column as E;
    let rows = events::Entity::find().filter(E::Cause.eq(delivery)).order_by_asc(E::Id).all(db).await?;
    Ok(rows.into_iter().map(convert::event).collect())
}

/// Events under a business key, and events whose deliveries led to a document of that number or id.
pub async fn find(db: &DatabaseConnection, number: &str) -> Result<Vec<Event>, Fail> {
    use {bindings::Column as B, deliveries::Column as D, events::Column as E};
    let far = Condition::any().add(B::RemoteNumber.eq(number)).add(B::RemoteId.eq(number));
    let made_by: Vec<String> = bindings::Entity::find()
        .filter(far)
        .limit(FOUND)
        .select_only()
        .column(B::Delivery)
        .into_tuple()
        .all(db)
        .await?;
    let mut of: BTreeSet<String> = BTreeSet::new();
    if !made_by.is_empty() {
        let ids: Vec<String> = deliveries::Entity::find()
            .filter(D::Id.is_in(made_by))
            .select_only()
            .column(D::EventId)
            .into_tuple()
            .all(db)
            .await?;
        of.extend(ids);
    }
    let mut which = Condition::any().add(E::BusinessKey.eq(number));
    if !of.is_empty() {
        which = which.add(E::Id.is_in(of));
    }
    let rows = events::Entity::find()
        .filter(which)
        .order_by_asc(E::AcceptedAtMs)
        .order_by_asc(E::Id)
        .limit(FOUND)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(convert::event).collect())
}

pub async fn binding(
    db: &DatabaseConnection,
    target: &str,
    kind: &str,
    key: &str,
) -> Result<Option<Binding>, Fail> {
    let key = (target.to_owned(), kind.to_owned(), key.to_owned());
    Ok(bindings::Entity::find_by_id(key).one(db).await?.map(convert::binding))
}

pub async fn account(db: &DatabaseConnection, contract: &str) -> Result<Vec<LedgerEntry>, Fail> {
    use ledger::Column as L;
    let rows = ledger::Entity::find()
        .filter(L::Contract.eq(contract))
        .order_by_asc(L::AtMs)
        .order_by_asc(L::Kind)
        .order_by_asc(L::Origin)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(convert::entry).collect())
}

pub async fn cursor(db: &DatabaseConnection, connection: &str, stream: &str) -> Result<Option<String>, Fail> {
    let key = (connection.to_owned(), stream.to_owned());
    Ok(cursors::Entity::find_by_id(key).one(db).await?.map(|row| row.place))
}

pub async fn counts(db: &DatabaseConnection) -> Result<Vec<Count>, Fail> {
    use deliveries::Column as D;
    let rows: Vec<(String, String, i64)> = deliveries::Entity::find()
        .select_only()
        .column(D::Target)
        .column(D::State)
        .column_as(D::Seq.count(), "count")
        .group_by(D::Target)
        .group_by(D::State)
        .order_by_asc(D::Target)
        .order_by_asc(D::State)
        .into_tuple()
        .all(db)
        .await?;
    let count = |(target, state, count): (String, String, i64)| {
        let state: State = convert::state(&state)?;
        Ok(Count { target, state, count: u64::try_from(count).unwrap_or(0) })
    };
    rows.into_iter().map(count).collect()
}

pub async fn table_rows(db: &DatabaseConnection, table: Option<&str>) -> Result<Vec<TableRow>, Fail> {
    use code_rows::Column as T;
    let mut query = code_rows::Entity::find().order_by_asc(T::TableName).order_by_asc(T::SourceCode);
    if let Some(table) = table {
        query = query.filter(T::TableName.eq(table));
    }
    Ok(query.all(db).await?.into_iter().map(convert::table_row).collect())
}

pub async fn tables_revision(db: &DatabaseConnection) -> Result<i64, Fail> {
    let row = counters::Entity::find_by_id(counters::TABLES.to_owned()).one(db).await?;
    Ok(row.map_or(0, |row| row.at))
}
