//! Questions that people and the application ask.

use crate::convert;
use crate::entity::{attempts, bindings, code_rows, cursors, deliveries, events, journal, outbox};
use crate::error::Fail;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use std::collections::{BTreeMap, BTreeSet};
use tongbao_delivery::port::{
    AttemptView, Binding, Count, DeliveryView, Filter, Holder, LedgerEntry, Overview, Recorded, State,
    TableRow,
};
use tongbao_model::Event;

/// Deliveries in one answer when the caller names no number, and at most.
const USUAL: u64 = 100;
const MOST: u64 = 10_000;
/// Events in the answer to one number.
const FOUND: u64 = 1_000;

/// How many deliveries a filter lets through.
pub fn limit_of(filter: &Filter) -> u64 {
    if filter.limit == 0 { USUAL } else { std::cmp::min(filter.limit, MOST) }
}

/// The query of a filter, in order and not beyond its limit.
pub fn selected(filter: &Filter) -> Select<deliveries::Entity> {
    matching(filter).order_by_asc(deliveries::Column::Seq).limit(limit_of(filter))
}

/// The conditions of a filter.
pub fn matching(filter: &Filter) -> Select<deliveries::Entity> {
    use deliveries::Column as D;
    let mut query = deliveries::Entity::find();
    if !filter.ids.is_empty() {
        query = query.filter(D::Id.is_in(&filter.ids));
    }
    if !filter.states.is_empty() {
        query = query.filter(D::State.is_in(filter.states.iter().map(|state| state.name())));
    }
    for (column, value) in [
        (D::Target, &filter.target),
        (D::Flow, &filter.flow),
        (D::FaultCode, &filter.code),
        (D::Class, &filter.class),
    ] {
        if let Some(value) = value {
            query = query.filter(column.eq(value));
        }
    }
    if let Some(key) = &filter.key {
        query = query.filter(of_key(key));
    }
    if let Some(from_ms) = filter.changed_from_ms {
        query = query.filter(D::ChangedAtMs.gte(from_ms));
    }
    if let Some(before_ms) = filter.changed_before_ms {
        query = query.filter(D::ChangedAtMs.lt(before_ms));
    }
    if let Some(after) = filter.after_seq {
        query = query.filter(D::Seq.gt(after));
    }
    query
}

/// Deliveries of a business key, by way of its events: an index of deliveries of their own would be written with every
/// change of each of them, for the sake of a question that people ask.
pub fn of_key(key: &str) -> Expr {
    let events = Query::select()
        .column(events::Column::Id)
        .from(events::Entity)
        .and_where(Expr::col(events::Column::BusinessKey).eq(key))
        .to_owned();
    deliveries::Column::EventId.in_subquery(events)
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

/// Led by the index of keys, so that it reads the states of one document and no more.
pub async fn newest(
    db: &DatabaseConnection,
    kind: &str,
    key: &str,
    until_ms: i64,
) -> Result<Option<Event>, Fail> {
    use events::Column as E;
    let query = events::Entity::find()
        .filter(E::BusinessKey.eq(key))
        .filter(E::Kind.eq(kind))
        .filter(E::AcceptedAtMs.lte(until_ms))
        .order_by_desc(E::Revision)
        .order_by_desc(E::AcceptedAtMs)
        .order_by_desc(E::Id);
    Ok(query.one(db).await?.map(convert::event))
}

/// Read backwards in the order of acceptance, no further than is asked for.
pub async fn latest(db: &DatabaseConnection, kinds: Vec<String>, limit: u64) -> Result<Vec<Event>, Fail> {
    use events::Column as E;
    let query = events::Entity::find()
        .filter(E::Kind.is_in(kinds))
        .order_by_desc(E::AcceptedAtMs)
        .order_by_desc(E::Id)
        .limit(limit);
    Ok(query.all(db).await?.into_iter().map(convert::event).collect())
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

pub async fn account(db: &DatabaseConnection, of: &Holder, until_ms: i64) -> Result<Vec<LedgerEntry>, Fail> {
    let known = revisions(of).filter(journal::Column::RecordedMs.lte(until_ms)).all(db).await?;
    Ok(of.in_force(known.into_iter().map(convert::entry)))
}

pub async fn journal(db: &DatabaseConnection, of: &Holder) -> Result<Vec<Recorded>, Fail> {
    let rows = revisions(of).all(db).await?;
    Ok(rows.into_iter().map(|row| Recorded { at_ms: row.recorded_ms, entry: convert::entry(row) }).collect())
}

/// Every revision on a contract, or on the contracts that ever named a customer.
fn revisions(of: &Holder) -> Select<journal::Entity> {
    use journal::Column as J;
    let query = journal::Entity::find();
    match of {
        Holder::Contract(contract) => query.filter(J::Contract.eq(contract)),
        Holder::Customer(customer) => {
            let contracts = Query::select()
                .column(J::Contract)
                .from(journal::Entity)
                .and_where(Expr::col(J::Customer).eq(customer))
                .to_owned();
            query.filter(J::Contract.in_subquery(contracts))
        }
    }
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

/// Counts and first sequence numbers of what is not done.
fn not_done() -> Select<deliveries::Entity> {
    use deliveries::Column as D;
    let open = [State::Pending, State::Calling, State::Waiting, State::Parked, State::Rejected];
    deliveries::Entity::find()
        .select_only()
        .columns([D::Target, D::State, D::Class])
        .column_as(D::Seq.count(), "count")
        .column_as(D::Seq.min(), "oldest")
        .filter(D::State.is_in(open.map(State::name)))
        .group_by(D::Target)
        .group_by(D::State)
        .group_by(D::Class)
}

/// What is not done, per connection. The index `deliveries_state` holds all that is asked for, and the done are another
/// part of it: a million posted deliveries cost nothing here.
pub async fn overview(db: &DatabaseConnection) -> Result<Vec<Overview>, Fail> {
    use {deliveries::Column as D, outbox::Column as O};
    let rows: Vec<(String, String, Option<String>, i64, i64)> = not_done().into_tuple().all(db).await?;
    let mut of: BTreeMap<String, (Overview, Option<i64>)> = BTreeMap::new();
    for (target, state, class, count, oldest) in rows {
        let (one, first) = of.entry(target).or_default();
        let count = u64::try_from(count).unwrap_or(0);
        match convert::state(&state)? {
            State::Pending => one.pending += count,
            State::Calling => one.calling += count,
            State::Waiting => one.waiting += count,
            State::Parked => *one.parked.entry(class.unwrap_or_default()).or_default() += count,
            State::Rejected => one.rejected += count,
            State::Posted | State::Superseded => {}
        }
        if matches!(convert::state(&state)?, State::Pending | State::Calling | State::Waiting) {
            *first = Some(first.map_or(oldest, |known| std::cmp::min(known, oldest)));
        }
    }
    let firsts: Vec<i64> = of.values().filter_map(|(_, first)| *first).collect();
    let accepted: Vec<(i64, i64)> = deliveries::Entity::find()
        .select_only()
        .columns([D::Seq, D::CreatedAtMs])
        .filter(D::Seq.is_in(firsts))
        .into_tuple()
        .all(db)
        .await?;
    let accepted: BTreeMap<i64, i64> = accepted.into_iter().collect();
    let rows: Vec<(String, i64)> = outbox::Entity::find()
        .select_only()
        .column(O::Target)
        .column_as(O::Id.count(), "count")
        .group_by(O::Target)
        .into_tuple()
        .all(db)
        .await?;
    for (target, count) in rows {
        of.entry(target).or_default().0.outbox = u64::try_from(count).unwrap_or(0);
    }
    let named = |(target, (one, first)): (String, (Overview, Option<i64>))| Overview {
        target,
        oldest_at_ms: first.and_then(|first| accepted.get(&first).copied()),
        ..one
    };
    Ok(of.into_iter().map(named).collect())
}

/// Unfinished deliveries with a parked one before them in their lane.
pub async fn behind_parked(db: &DatabaseConnection) -> Result<BTreeMap<String, u64>, Fail> {
    use deliveries::Column as D;
    let before = Alias::new("earlier");
    let of = |column: D| Expr::col((before.clone(), column));
    let parked = Query::select()
        .expr(Expr::val(1))
        .from_as(deliveries::Entity, before.clone())
        .and_where(of(D::Target).equals((deliveries::Entity, D::Target)))
        .and_where(of(D::OrderKey).equals((deliveries::Entity, D::OrderKey)))
        .and_where(of(D::Unfinished).eq(1))
        .and_where(of(D::Seq).lt(Expr::col((deliveries::Entity, D::Seq))))
        .and_where(of(D::State).eq(State::Parked.name()))
        .to_owned();
    let rows: Vec<(String, i64)> = deliveries::Entity::find()
        .select_only()
        .column(D::Target)
        .column_as(D::Seq.count(), "count")
        .filter(D::State.is_in([State::Pending, State::Waiting].map(State::name)))
        .filter(Expr::exists(parked))
        .group_by(D::Target)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(target, count)| (target, u64::try_from(count).unwrap_or(0))).collect())
}

pub async fn table_rows(db: &DatabaseConnection, table: Option<&str>) -> Result<Vec<TableRow>, Fail> {
    use code_rows::Column as T;
    let mut query = code_rows::Entity::find().order_by_asc(T::TableName).order_by_asc(T::SourceCode);
    if let Some(table) = table {
        query = query.filter(T::TableName.eq(table));
    }
    Ok(query.all(db).await?.into_iter().map(convert::table_row).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use sea_orm::{ConnectionTrait, DbBackend, QueryTrait, Statement};

    /// Asked every few seconds, whatever the size of the table.
    #[tokio::test]
    async fn the_overview_reads_an_index_and_no_row() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/plan.db", folder.path().display());
        let db = crate::open::connect(&url, crate::StoreOptions::default()).await.unwrap();
        let sql = not_done().build(DbBackend::Sqlite).to_string();
        let plan = Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = db.read.query_all_raw(plan).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
        let search = "SEARCH deliveries USING COVERING INDEX deliveries_state (state=?)";
        assert!(plan.iter().any(|step| step == search), "{plan:?}");
        db.close().await;
    }
}
