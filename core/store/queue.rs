//! The outbox, and what people settle.

use crate::convert::{json, outbox_row as shown};
use crate::entity::{attempts, deliveries, outbox};
use crate::error::Fail;
use crate::finish::bind;
use crate::lane::{Place, wake_head};
use crate::rows::insert_all;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use tongbao_delivery::failpoints::failpoint;
use tongbao_delivery::port::{Binding, OutboxRow, State};
use tongbao_model::Class;

/// Worker shown at an attempt that a person settled.
const BY_HAND: &str = "by hand";

/// The next outbox rows.
pub async fn rows(
    db: &DatabaseConnection,
    of: Option<(&str, i64)>,
    limit: u64,
) -> Result<Vec<OutboxRow>, Fail> {
    use outbox::Column;
    let mut query = outbox::Entity::find();
    query = match of {
        Some((target, due_before_ms)) => query
            .filter(Column::Target.eq(target))
            .filter(Column::DueAtMs.lte(due_before_ms))
            .order_by_asc(Column::DueAtMs),
        None => query,
    };
    let rows = query.order_by_asc(Column::Id).limit(limit).all(db).await?;
    Ok(rows.into_iter().map(shown).collect())
}

/// How many rows there are.
pub async fn count(db: &DatabaseConnection) -> Result<u64, Fail> {
    Ok(outbox::Entity::find().count(db).await?)
}

/// Removes published rows and notes when on their deliveries.
pub async fn done(txn: &DatabaseTransaction, ids: &[i64], now_ms: i64) -> Result<(), Fail> {
    for chunk in ids.chunks(1_000) {
        let published = Query::select()
            .column(outbox::Column::Delivery)
            .from(outbox::Entity)
            .and_where(outbox::Column::Id.is_in(chunk.iter().copied()))
            .to_owned();
        // In the order of ids, as everyone who locks several.
        if txn.get_database_backend() != DbBackend::Sqlite {
            let query = deliveries::Entity::find().select_only().column(deliveries::Column::Id);
            let ids: Vec<String> = query
                .filter(deliveries::Column::Id.in_subquery(published.clone()))
                .order_by_asc(deliveries::Column::Id)
                .lock_exclusive()
                .into_tuple()
                .all(txn)
                .await?;
            tracing::trace!(deliveries = ids.len(), "locked");
        }
        deliveries::Entity::update_many()
            .col_expr(deliveries::Column::PublishedAtMs, Expr::value(now_ms))
            .filter(deliveries::Column::Id.in_subquery(published))
            .exec(txn)
            .await?;
        outbox::Entity::delete_many()
            .filter(outbox::Column::Id.is_in(chunk.iter().copied()))
            .exec(txn)
            .await?;
    }
    failpoint("marked-before-commit");
    Ok(())
}

/// Settles a parked delivery as posted by hand. It gets an attempt of its own, so that the reason can be found.
pub async fn bind_by_hand(
    txn: &DatabaseTransaction,
    id: &str,
    binding: &Binding,
    now_ms: i64,
) -> Result<bool, Fail> {
    use deliveries::Column as D;
    let found = deliveries::Entity::find().filter(D::Id.eq(id)).one(txn).await?;
    let Some(row) = found.filter(|row| row.state == State::Parked.name()) else { return Ok(false) };
    let class = Class::AlreadyThere.name().to_owned();
    let remote = json(&binding.remote)?;
    let attempt = row.attempts.saturating_add(1);
    let posted = deliveries::ActiveModel {
        state: Set(State::Posted.name().to_owned()),
        unfinished: Set(0),
        attempts: Set(attempt),
        class: Set(Some(class.clone())),
        in_doubt: Set(0),
        fault_code: Set(None),
        fault: Set(None),
        remote: Set(Some(remote.clone())),
        changed_at_ms: Set(now_ms),
        ..Default::default()
    };
    let updated = deliveries::Entity::update_many()
        .set(posted)
        .filter(D::Id.eq(id))
        .filter(D::State.eq(State::Parked.name()))
        .filter(D::Attempts.eq(row.attempts))
        .exec(txn)
        .await?;
    if updated.rows_affected != 1 {
        return Ok(false);
    }
    bind(txn, binding).await?;
    let made = attempts::ActiveModel {
        delivery: Set(id.to_owned()),
        attempt: Set(attempt),
        worker: Set(BY_HAND.to_owned()),
        started_at_ms: Set(now_ms),
        ended_at_ms: Set(Some(now_ms)),
        class: Set(Some(class)),
        fault: Set(None),
        remote: Set(Some(remote)),
        request: Set(None),
        response: Set(None),
        mapping: Set(None),
        tables_revision: Set(None),
    };
    insert_all::<attempts::Entity, _>(txn, vec![made]).await?;
    wake_head(txn, &Place::from(&row), now_ms).await?;
    Ok(true)
}
