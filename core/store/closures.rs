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
    let Some(closure) = asked.clone().after(&all) else { return Ok(false) };
    closures::Entity::insert(row(closure)).exec_without_returning(txn).await?;
    Ok(true)
}

/// Opens a month again; answers whether it was the last one closed.
pub async fn reopen(txn: &DatabaseTransaction, month: &str, who: &str, now_ms: i64) -> Result<bool, Fail> {
    let all = in_turn(txn).await?;
    let Some(closure) = Closure::reopened(&all, month, who, now_ms) else { return Ok(false) };
    closures::Entity::update(row(closure)).exec_without_returning(txn).await?;
    Ok(true)
}

/// All closings, with the lock under which they change: of two requests at once one finds the other's row.
async fn in_turn(txn: &DatabaseTransaction) -> Result<Vec<Closure>, Fail> {
    counters::Entity::update_many()
        .col_expr(counters::Column::At, Expr::col(counters::Column::At).add(1))
        .filter(counters::Column::Name.eq(counters::CLOSURES))
        .exec(txn)
        .await?;
    list(txn).await
}

fn row(closure: Closure) -> closures::ActiveModel {
    closures::ActiveModel {
        at_ms: Set(closure.at_ms),
        month: Set(closure.month),
        through_ms: Set(closure.through_ms),
        actor: Set(closure.who),
        reason: Set(closure.why),
        reopened_ms: Set(closure.reopened_ms),
        reopened_by: Set(closure.reopened_by),
    }
}

/// All closings, oldest first: twelve a year.
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
    let mut all: Vec<Closure> = closures::Entity::find().all(db).await?.into_iter().map(shown).collect();
    all.sort_by_key(|one| one.at_ms);
    Ok(all)
}
