//! The outbox, what stalled, and what people put back.

use crate::convert::{json, outbox_row as shown};
use crate::entity::{attempts, deliveries, outbox};
use crate::error::Fail;
use crate::finish::bind;
use crate::holds::quiet;
use crate::lane::{Place, wake_head};
use crate::rows::{insert_all, outbox_row};
use crate::stalled::{before, holds_for};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction,
    DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use tongbao_delivery::failpoints::failpoint;
use tongbao_delivery::port::{Binding, OutboxRow, State};
use tongbao_delivery::stalled::Stalled;
use tongbao_model::Class;

/// Deliveries that one transaction of a sweep puts back; in between, others get their turn.
const PAGE: u64 = 1_000;
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

/// One page of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct Swept {
    /// How many were put back.
    pub count: u64,
    /// Where the next page begins, if there may be one.
    pub next: Option<i64>,
}

/// Puts stalled deliveries after a sequence number back into the outbox, a page of them.
pub async fn sweep(
    txn: &DatabaseTransaction,
    after_seq: i64,
    times: &Stalled,
    now_ms: i64,
) -> Result<Swept, Fail> {
    use deliveries::Column as D;
    let stalled = before(D::PublishedAtMs, times);
    // Published again since the lease ran out: then that message is on its way.
    let not_since = Condition::any()
        .add(stalled.clone())
        .add(Expr::col(D::PublishedAtMs).lte(Expr::col(D::LeaseUntilMs)));
    // Queues that nobody takes from for a while are full, not stalled: hours of a pause must not fill them again and
    // again with the same.
    let paused = if times.usual_ms() < now_ms { quiet(txn, times.usual_ms()).await? } else { Vec::new() };
    let stalled = if paused.is_empty() {
        Condition::all().add(stalled)
    } else {
        Condition::all().add(stalled).add(D::Target.is_not_in(paused))
    };
    let what = Condition::any()
        .add(
            Condition::all()
                .add(D::State.eq(State::Pending.name()))
                .add(stalled.clone())
                .add(no_predecessor()),
        )
        .add(
            Condition::all()
                .add(D::State.eq(State::Waiting.name()))
                .add(before(D::DueAtMs, times))
                .add(stalled),
        )
        .add(
            Condition::all()
                .add(D::State.eq(State::Calling.name()))
                .add(D::LeaseUntilMs.lt(now_ms))
                .add(not_since),
        );
    let in_outbox = Query::select()
        .expr(Expr::val(1))
        .from(outbox::Entity)
        .and_where(Expr::col((outbox::Entity, outbox::Column::Delivery)).equals((deliveries::Entity, D::Id)))
        .to_owned();
    let open = [State::Pending, State::Waiting, State::Calling].map(State::name);
    let rows = deliveries::Entity::find()
        .filter(D::Seq.gt(after_seq))
        // What was never published is in the outbox since the transaction that made it; a backlog of millions is not
        // read here.
        .filter(D::State.is_in(open))
        .filter(D::PublishedAtMs.gte(0))
        .filter(what)
        .filter(Expr::exists(in_outbox).not())
        .order_by_asc(D::Seq)
        .limit(PAGE)
        .all(txn)
        .await?;
    let back: Vec<_> = rows
        .iter()
        .filter(|row| holds_for(times, row))
        .map(|row| outbox_row(&row.id, &row.target, &row.order_key, row.due_at_ms.unwrap_or(now_ms)))
        .collect();
    let (read, count) = (rows.len(), u64::try_from(back.len()).unwrap_or(u64::MAX));
    insert_all::<outbox::Entity, _>(txn, back).await?;
    if count > 0 {
        failpoint("swept-before-commit");
    }
    let next = rows.last().filter(|_| u64::try_from(read) == Ok(PAGE)).map(|row| row.seq);
    Ok(Swept { count, next })
}

fn no_predecessor() -> Expr {
    use deliveries::Column as D;
    let before = Alias::new("earlier");
    let earlier = Query::select()
        .expr(Expr::val(1))
        .from_as(deliveries::Entity, before.clone())
        .and_where(Expr::col((before.clone(), D::Target)).equals((deliveries::Entity, D::Target)))
        .and_where(Expr::col((before.clone(), D::OrderKey)).equals((deliveries::Entity, D::OrderKey)))
        .and_where(Expr::col((before.clone(), D::Unfinished)).eq(1))
        .and_where(Expr::col((before, D::Seq)).lt(Expr::col((deliveries::Entity, D::Seq))))
        .to_owned();
    Expr::exists(earlier).not()
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
