//! The outbox, and what people settle.

use crate::columns;
use crate::convert::{json, outbox_row as shown};
use crate::entity::{attempts, deliveries, outbox};
use crate::error::Fail;
use crate::finish::bind;
use crate::lane::{Place, wake_head};
use crate::rows::{among, insert_all};
use sea_orm::sea_query::{Expr, Func, LockBehavior, LockType, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use tongbao_delivery::failpoints::failpoint;
use tongbao_delivery::port::{Binding, OutboxRow, State};
use tongbao_model::Class;

/// Worker shown at an attempt that a person settled.
const BY_HAND: &str = "by hand";

/// The next outbox rows.
pub async fn rows(db: &DatabaseConnection, limit: u64) -> Result<Vec<OutboxRow>, Fail> {
    let rows = outbox::Entity::find().order_by_asc(outbox::Column::Id).limit(limit).all(db).await?;
    Ok(rows.into_iter().map(shown).collect())
}

/// The next outbox rows of one target, without some that are known.
pub async fn rows_of(
    db: &DatabaseConnection,
    target: &str,
    due_before_ms: i64,
    but: Vec<i64>,
    limit: u64,
) -> Result<Vec<OutboxRow>, Fail> {
    use outbox::Column;
    let mut query = outbox::Entity::find()
        .filter(Column::Target.eq(target))
        .filter(Column::DueAtMs.lte(due_before_ms))
        .order_by_asc(Column::DueAtMs)
        .order_by_asc(Column::Id);
    let known: Vec<Value> = but.iter().copied().map(Value::from).collect();
    // Elsewhere a list is a statement of its own for each length, and to read a few more is cheaper.
    let (left_out, limit) = match columns::array(&known) {
        Some(array) if db.get_database_backend() == DbBackend::Postgres => {
            // Of a subquery a hash is made; a list would be gone through for every row.
            let known = Query::select().expr(Func::cust("unnest").arg(array)).to_owned();
            query = query.filter(Column::Id.not_in_subquery(known));
            (HashSet::new(), limit)
        }
        _ => {
            (but.into_iter().collect(), limit.saturating_add(u64::try_from(known.len()).unwrap_or(u64::MAX)))
        }
    };
    let rows = query.limit(limit).all(db).await?;
    Ok(rows.into_iter().filter(|row| !left_out.contains(&row.id)).map(shown).collect())
}

/// How many rows there are, but those of some targets.
pub async fn count(db: &DatabaseConnection, but: &[String]) -> Result<u64, Fail> {
    let all = outbox::Entity::find();
    let counted = if but.is_empty() { all } else { all.filter(outbox::Column::Target.is_not_in(but)) };
    Ok(counted.count(db).await?)
}

/// From the first row to the last. Two questions, for SQLite answers both in one by reading all there is.
pub async fn span(db: &DatabaseConnection) -> Result<u64, Fail> {
    let ids = || outbox::Entity::find().select_only().column(outbox::Column::Id).limit(1);
    let first: Option<i64> = ids().order_by_asc(outbox::Column::Id).into_tuple().one(db).await?;
    let last: Option<i64> = ids().order_by_desc(outbox::Column::Id).into_tuple().one(db).await?;
    let span = first.zip(last).map_or(0, |(first, last)| last.saturating_sub(first).saturating_add(1));
    Ok(u64::try_from(span).unwrap_or(0))
}

/// Removes published rows and notes when on their deliveries; answers those of deliveries that somebody has locked at
/// this moment, of which nothing was changed.
///
/// A message is often with a worker before its publish is noted. To wait for that worker's transaction here, with the
/// locks of a whole batch held meanwhile, would make everyone wait for everyone. And what has been begun since the row was
/// due needs no note: beginning has noted it, and a note is a write in every index of a delivery.
pub async fn done(txn: &DatabaseTransaction, ids: &[i64], now_ms: i64) -> Result<Vec<i64>, Fail> {
    use deliveries::Column as D;
    let mut left = Vec::new();
    for chunk in ids.chunks(512) {
        let unnoted = unnoted(txn, chunk).await?;
        let wanted: BTreeSet<&str> = unnoted.iter().map(|(_, delivery)| delivery.as_str()).collect();
        let free = if wanted.is_empty() || txn.get_database_backend() == DbBackend::Sqlite {
            wanted.into_iter().map(str::to_owned).collect()
        } else {
            locked(txn, &wanted).await?
        };
        if !free.is_empty() {
            deliveries::Entity::update_many()
                .col_expr(D::PublishedAtMs, Expr::value(now_ms))
                .filter(among(txn, D::Id, free.iter().map(String::as_str)))
                .exec(txn)
                .await?;
        }
        let held: BTreeSet<i64> =
            unnoted.into_iter().filter(|(_, delivery)| !free.contains(delivery)).map(|(id, _)| id).collect();
        let gone: Vec<i64> = chunk.iter().copied().filter(|id| !held.contains(id)).collect();
        if !gone.is_empty() {
            outbox::Entity::delete_many().filter(among(txn, outbox::Column::Id, gone)).exec(txn).await?;
        }
        left.extend(held);
    }
    failpoint("marked-before-commit");
    Ok(left)
}

/// Of these outbox rows those whose delivery is there and was last published, or begun, before the row was due.
async fn unnoted(txn: &DatabaseTransaction, ids: &[i64]) -> Result<Vec<(i64, String)>, Fail> {
    use deliveries::Column as D;
    let rows: Vec<(i64, String, i64)> = outbox::Entity::find()
        .select_only()
        .columns([outbox::Column::Id, outbox::Column::Delivery, outbox::Column::DueAtMs])
        .filter(among(txn, outbox::Column::Id, ids.iter().copied()))
        .into_tuple()
        .all(txn)
        .await?;
    let named: BTreeSet<&str> = rows.iter().map(|(_, delivery, _)| delivery.as_str()).collect();
    let published: Vec<(String, Option<i64>)> = deliveries::Entity::find()
        .select_only()
        .columns([D::Id, D::PublishedAtMs])
        .filter(among(txn, D::Id, named))
        .into_tuple()
        .all(txn)
        .await?;
    let published: HashMap<String, Option<i64>> = published.into_iter().collect();
    let is_unnoted = |delivery: &str, due_at_ms: i64| {
        published.get(delivery).is_some_and(|at_ms| at_ms.is_none_or(|at_ms| at_ms < due_at_ms))
    };
    let rows = rows.into_iter().filter(|(_, delivery, due_at_ms)| is_unnoted(delivery, *due_at_ms));
    Ok(rows.map(|(id, delivery, _)| (id, delivery)).collect())
}

/// Locks those of these deliveries that nobody else has locked.
async fn locked(txn: &DatabaseTransaction, wanted: &BTreeSet<&str>) -> Result<BTreeSet<String>, Fail> {
    use deliveries::Column as D;
    let free: Vec<String> = deliveries::Entity::find()
        .select_only()
        .column(D::Id)
        .filter(among(txn, D::Id, wanted.iter().copied()))
        .order_by_asc(D::Id)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple()
        .all(txn)
        .await?;
    Ok(free.into_iter().collect())
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
