//! What people have told to stand still: connections that get no calls, an intake that takes nothing.
//!
//! A row per pause, kept when it is over: who, when and why is asked later, and retry windows do not run while their
//! connection is held.

use crate::entity::{counters, holds};
use crate::error::Fail;
use crate::limits::{self, KEY, NAME};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use tongbao_delivery::port::{Hold, StoreError, Stored, Subject};

/// Ended holds in one answer at most, the latest.
const MOST: u64 = 1_000;
/// Ended holds are kept so long.
const KEPT_MS: i64 = 400 * 86_400_000;
/// Characters of a reason.
const REASON: u32 = 500;

const INTAKE: &str = "intake";
const CONNECTION: &str = "connection";

/// One request, checked.
#[derive(Debug, Clone)]
pub struct Ask {
    kind: &'static str,
    name: String,
    who: String,
    why: String,
    now_ms: i64,
}

impl Ask {
    /// Refuses what no database could keep.
    pub fn new(subject: &Subject, who: &str, why: &str, now_ms: i64) -> Stored<Self> {
        let (kind, name) = match subject {
            Subject::Intake => (INTAKE, ""),
            Subject::Connection(name) => (CONNECTION, name.as_str()),
        };
        limits::fits("connection", name, NAME)?;
        limits::fits("who", who, KEY)?;
        limits::fits("reason", why, REASON)?;
        Ok(Ask { kind, name: name.to_owned(), who: who.to_owned(), why: why.to_owned(), now_ms })
    }
}

/// Holds; answers whether it was not held before.
pub async fn hold(txn: &DatabaseTransaction, ask: &Ask) -> Result<bool, Fail> {
    let last = last(txn, ask).await?;
    if last.as_ref().is_some_and(|row| row.until_ms.is_none()) {
        return Ok(false);
    }
    // Part of the key: of two holds within a millisecond, or after a clock was set back, the later comes later.
    let since_ms = last.map_or(ask.now_ms, |row| std::cmp::max(ask.now_ms, row.since_ms.saturating_add(1)));
    let row = holds::ActiveModel {
        kind: Set(ask.kind.to_owned()),
        name: Set(ask.name.clone()),
        since_ms: Set(since_ms),
        until_ms: Set(None),
        actor: Set(ask.who.clone()),
        reason: Set(ask.why.clone()),
        ended_by: Set(None),
    };
    holds::Entity::insert(row).exec_without_returning(txn).await?;
    holds::Entity::delete_many()
        .filter(holds::Column::UntilMs.lt(ask.now_ms.saturating_sub(KEPT_MS)))
        .exec(txn)
        .await?;
    Ok(true)
}

/// Lets go; answers whether it was held.
pub async fn release(txn: &DatabaseTransaction, ask: &Ask) -> Result<bool, Fail> {
    let Some(row) = last(txn, ask).await?.filter(|row| row.until_ms.is_none()) else { return Ok(false) };
    let ended = holds::ActiveModel {
        kind: Set(row.kind),
        name: Set(row.name),
        since_ms: Set(row.since_ms),
        until_ms: Set(Some(std::cmp::max(ask.now_ms, row.since_ms))),
        ended_by: Set(Some(ask.who.clone())),
        ..Default::default()
    };
    holds::Entity::update(ended).exec_without_returning(txn).await?;
    Ok(true)
}

/// The last hold of a subject. Requests wait for each other here, so that of two at once one finds the other's row.
async fn last(txn: &DatabaseTransaction, ask: &Ask) -> Result<Option<holds::Model>, Fail> {
    use holds::Column as H;
    counters::Entity::update_many()
        .col_expr(counters::Column::At, Expr::col(counters::Column::At).add(1))
        .filter(counters::Column::Name.eq(counters::HOLDS))
        .exec(txn)
        .await?;
    let row = holds::Entity::find()
        .filter(H::Kind.eq(ask.kind))
        .filter(H::Name.eq(&ask.name))
        .order_by_desc(H::SinceMs)
        .limit(1)
        .one(txn)
        .await?;
    Ok(row)
}

/// Holds that stand, and the latest of those that ended at a time or later; newest first.
pub async fn list<C: ConnectionTrait>(db: &C, ended_from_ms: i64) -> Result<Vec<Hold>, Fail> {
    use holds::Column as H;
    // On their own: however many have come and gone since, one that stands is never left out.
    let mut rows = holds::Entity::find().filter(H::UntilMs.is_null()).all(db).await?;
    let ended = holds::Entity::find()
        .filter(H::UntilMs.gte(ended_from_ms))
        .order_by_desc(H::SinceMs)
        .limit(MOST)
        .all(db)
        .await?;
    rows.extend(ended);
    rows.sort_by(|one, other| other.since_ms.cmp(&one.since_ms).then_with(|| one.name.cmp(&other.name)));
    rows.into_iter().map(shown).collect()
}

fn shown(row: holds::Model) -> Result<Hold, Fail> {
    let subject = match row.kind.as_str() {
        INTAKE => Subject::Intake,
        CONNECTION => Subject::Connection(row.name),
        other => return Err(StoreError::Corrupt(format!("unknown hold {other:?}")).into()),
    };
    let (since_ms, until_ms) = (row.since_ms, row.until_ms);
    Ok(Hold { subject, since_ms, until_ms, who: row.actor, why: row.reason, ended_by: row.ended_by })
}

/// Connections that are held, or were until that time: their messages have waited in the broker without being stalled.
pub async fn quiet(txn: &DatabaseTransaction, since_ms: i64) -> Result<Vec<String>, Fail> {
    let name = |hold: Hold| match hold.subject {
        Subject::Connection(name) => Some(name),
        Subject::Intake => None,
    };
    Ok(list(txn, since_ms).await?.into_iter().filter_map(name).collect())
}
