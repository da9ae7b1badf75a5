//! The outbox, and what people settle.

use crate::convert::{json, outbox_row as shown};
use crate::entity::{attempts, deliveries, outbox};
use crate::error::Fail;
use crate::finish::bind;
use crate::lane::{Place, wake_head};
use crate::rows::{insert_all, padded};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use std::collections::BTreeSet;
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

/// Removes published rows and notes when on their deliveries; answers those of deliveries that somebody has locked at
/// this moment, of which nothing was changed.
///
/// A message is often with a worker before its publish is noted. To wait for that worker's transaction here, with the
/// locks of a whole batch held meanwhile, would make everyone wait for everyone.
pub async fn done(txn: &DatabaseTransaction, ids: &[i64], now_ms: i64) -> Result<Vec<i64>, Fail> {
    let mut left = Vec::new();
    for chunk in ids.chunks(512) {
        let mut ids = padded(chunk.iter().copied());
        if txn.get_database_backend() != DbBackend::Sqlite {
            let held = held_by_others(txn, &ids).await?;
            ids.retain(|id| !held.contains(id));
            left.extend(held);
            if ids.is_empty() {
                continue;
            }
            ids = padded(ids);
        }
        let published = Query::select()
            .column(outbox::Column::Delivery)
            .from(outbox::Entity)
            .and_where(outbox::Column::Id.is_in(ids.iter().copied()))
            .to_owned();
        deliveries::Entity::update_many()
            .col_expr(deliveries::Column::PublishedAtMs, Expr::value(now_ms))
            .filter(deliveries::Column::Id.in_subquery(published))
            .exec(txn)
            .await?;
        outbox::Entity::delete_many().filter(outbox::Column::Id.is_in(ids)).exec(txn).await?;
    }
    failpoint("marked-before-commit");
    Ok(left)
}

/// Locks the deliveries of outbox rows, and tells those rows whose delivery another transaction has locked.
async fn held_by_others(txn: &DatabaseTransaction, ids: &[i64]) -> Result<BTreeSet<i64>, Fail> {
    use deliveries::Column as D;
    let rows: Vec<(i64, String)> = outbox::Entity::find()
        .select_only()
        .columns([outbox::Column::Id, outbox::Column::Delivery])
        .filter(outbox::Column::Id.is_in(ids.iter().copied()))
        .into_tuple()
        .all(txn)
        .await?;
    let wanted: BTreeSet<&str> = rows.iter().map(|(_, delivery)| delivery.as_str()).collect();
    let known = |ids: &BTreeSet<&str>| {
        let ids = padded(ids.iter().copied());
        deliveries::Entity::find().select_only().column(D::Id).filter(D::Id.is_in(ids)).order_by_asc(D::Id)
    };
    let locked = known(&wanted).lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let locked: BTreeSet<String> = locked.into_tuple().all(txn).await?.into_iter().collect();
    let skipped: BTreeSet<&str> = wanted.into_iter().filter(|id| !locked.contains(*id)).collect();
    if skipped.is_empty() {
        return Ok(BTreeSet::new());
    }
    // A delivery that is not there at all keeps nothing waiting.
    let held: BTreeSet<String> = known(&skipped).into_tuple().all(txn).await?.into_iter().collect();
    Ok(rows.into_iter().filter(|(_, delivery)| held.contains(delivery)).map(|(id, _)| id).collect())
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
