//! Months whose books are closed. A row per closing, kept when the month is opened again: who, when and why is asked later.

use crate::entity::{closures, counters};
use crate::error::Fail;
use crate::limits::{self, KEY};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter,
};
use tongbao_delivery::port::{Closure, Stored};

/// Characters of a reason.
const REASON: u32 = 500;
/// Characters of a month.
const MONTH: u32 = 7;

/// Refuses what no database could keep.
pub fn check(closure: &Closure) -> Stored<()> {
    limits::fits("month", &closure.month, MONTH)?;
    limits::fits("who", &closure.who, KEY)?;
    limits::fits("reason", &closure.why, REASON)
}

/// Closes; answers whether neither this month nor a later one was closed.
pub async fn close(txn: &DatabaseTransaction, asked: &Closure) -> Result<bool, Fail> {
    let all = in_turn(txn).await?;
    let last = all.iter().rfind(|row| row.reopened_ms.is_none());
    if last.is_some_and(|row| row.month >= asked.month) {
        return Ok(false);
    }
    // Later than the one before it, whatever the clocks say: a statement takes them one after the other.
    let after = |before: Option<i64>, wanted: i64| {
        before.map_or(wanted, |before| std::cmp::max(before.saturating_add(1), wanted))
    };
    let through_ms = after(last.map(|row| row.through_ms), asked.through_ms);
    let at_ms = after(all.last().map(|row| row.at_ms), asked.at_ms);
    let row = closures::ActiveModel {
        at_ms: Set(at_ms),
        month: Set(asked.month.clone()),
        through_ms: Set(through_ms),
        actor: Set(asked.who.clone()),
        reason: Set(asked.why.clone()),
        reopened_ms: Set(None),
        reopened_by: Set(None),
    };
    closures::Entity::insert(row).exec_without_returning(txn).await?;
    Ok(true)
}

/// Opens a month again; answers whether it was the last one closed.
pub async fn reopen(txn: &DatabaseTransaction, month: &str, who: &str, now_ms: i64) -> Result<bool, Fail> {
    let all = in_turn(txn).await?;
    let last = all.into_iter().rfind(|row| row.reopened_ms.is_none());
    let Some(row) = last.filter(|row| row.month == month) else { return Ok(false) };
    let reopened = closures::ActiveModel {
        at_ms: Set(row.at_ms),
        reopened_ms: Set(Some(std::cmp::max(now_ms, row.at_ms))),
        reopened_by: Set(Some(who.to_owned())),
        ..Default::default()
    };
    closures::Entity::update(reopened).exec_without_returning(txn).await?;
    Ok(true)
}

/// All closings, with the lock under which they change: of two requests at once one finds the other's row.
async fn in_turn(txn: &DatabaseTransaction) -> Result<Vec<closures::Model>, Fail> {
    counters::Entity::update_many()
        .col_expr(counters::Column::At, Expr::col(counters::Column::At).add(1))
        .filter(counters::Column::Name.eq(counters::CLOSURES))
        .exec(txn)
        .await?;
    rows(txn).await
}

/// All of them: twelve a year. In the order in which they were made.
async fn rows<C: ConnectionTrait>(db: &C) -> Result<Vec<closures::Model>, Fail> {
    let mut rows = closures::Entity::find().all(db).await?;
    rows.sort_by_key(|row| row.at_ms);
    Ok(rows)
}

/// All closings, oldest first.
pub async fn list<C: ConnectionTrait>(db: &C) -> Result<Vec<Closure>, Fail> {
    let shown = |row: closures::Model| Closure {
        month: row.month,
        through_ms: row.through_ms,
        at_ms: row.at_ms,
        who: row.actor,
        why: row.reason,
        reopened_ms: row.reopened_ms,
        reopened_by: row.reopened_by,
    };
    Ok(rows(db).await?.into_iter().map(shown).collect())
}
