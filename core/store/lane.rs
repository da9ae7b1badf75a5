//! The lane: deliveries of one order key to one target, worked on one after the other.
//!
//! Why no successor is forgotten. Whoever closes a delivery P (finish, bind) first updates P's row, which locks
//! it, and then looks for the lane's head in a new snapshot. A worker that finds its delivery B behind P does not
//! believe a plain read: it locks P's row and looks again ([`blocked`]). So either P's closing has committed, and B
//! is no longer behind; or P is still open while its row is locked, and whoever closes it comes after, with B long
//! committed and therefore seen. Accepting keeps `seq` and commit in the same order per lane (see `accept.rs`), so
//! there is no earlier delivery that becomes visible later. The sweeper is a backstop, not a part of this.

use crate::convert::state;
use crate::entity::{deliveries, outbox};
use crate::error::Fail;
use crate::rows::{among, insert_all, outbox_row};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, Statement,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tongbao_delivery::port::State;

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub id: String,
    pub seq: i64,
    pub target: String,
    pub order_key: String,
}

impl From<&deliveries::Model> for Place {
    fn from(row: &deliveries::Model) -> Self {
        Place {
            id: row.id.clone(),
            seq: row.seq,
            target: row.target.clone(),
            order_key: row.order_key.clone(),
        }
    }
}

/// Whether another delivery of the lane goes first: an earlier one that is not final, or any one being called
/// (a replayed delivery is earlier than one that had gone on without it).
pub async fn blocked(txn: &DatabaseTransaction, place: &Place) -> Result<bool, Fail> {
    loop {
        let Some(ahead) = ahead(txn, place).await? else { return Ok(false) };
        if txn.get_database_backend() == DbBackend::Sqlite {
            return Ok(true);
        }
        let locked = deliveries::Entity::find()
            .filter(deliveries::Column::Id.eq(&ahead.id))
            .lock_exclusive()
            .one(txn)
            .await?;
        if locked.is_some_and(|row| goes_first(&row, place)) {
            return Ok(true);
        }
    }
}

fn goes_first(row: &deliveries::Model, place: &Place) -> bool {
    row.unfinished == 1 && (row.seq < place.seq || row.state == State::Calling.name())
}

/// A delivery of the lane that goes first, by a plain read.
async fn ahead(txn: &DatabaseTransaction, place: &Place) -> Result<Option<deliveries::Model>, Fail> {
    use deliveries::Column;
    let first = Condition::any().add(Column::Seq.lt(place.seq)).add(Column::State.eq(State::Calling.name()));
    let row = deliveries::Entity::find()
        .filter(Column::Target.eq(&place.target))
        .filter(Column::OrderKey.eq(&place.order_key))
        .filter(Column::Unfinished.eq(1))
        .filter(Column::Id.ne(&place.id))
        .filter(first)
        .order_by_asc(Column::Seq)
        .limit(1)
        .one(txn)
        .await?;
    Ok(row)
}

/// What goes first in one lane.
#[derive(Debug, Clone, Copy)]
struct Front {
    /// The earliest that is not final.
    first: i64,
    /// The earliest and the latest that are being called.
    calling: Option<(i64, i64)>,
}

/// A lane, the earliest in it, and the earliest and the latest that are being called.
type FrontRow = (String, i64, Option<i64>, Option<i64>);

async fn in_groups(
    txn: &DatabaseTransaction,
    target: &str,
    keys: BTreeSet<&str>,
) -> Result<Vec<FrontRow>, Fail> {
    use deliveries::Column as D;
    let called =
        || Expr::expr(CaseStatement::new().case(D::State.eq(State::Calling.name()), Expr::col(D::Seq)));
    let rows = deliveries::Entity::find()
        .select_only()
        .column(D::OrderKey)
        .column_as(D::Seq.min(), "first")
        .column_as(called().min(), "called_first")
        .column_as(called().max(), "called_last")
        .filter(D::Target.eq(target))
        .filter(among(txn, D::OrderKey, keys))
        .filter(D::Unfinished.eq(1))
        .group_by(D::OrderKey)
        .into_tuple()
        .all(txn)
        .await?;
    Ok(rows)
}

/// The same where a list of lanes tempts the planner: to have them in the order of the index it reads all that a target
/// ever had instead of the lanes that are asked for. Each lane on its own leaves it no choice.
async fn one_by_one(
    txn: &DatabaseTransaction,
    target: &str,
    keys: BTreeSet<&str>,
) -> Result<Vec<FrontRow>, Fail> {
    let sql = r"SELECT lane, first, called_first, called_last FROM unnest($1) AS lanes (lane) CROSS JOIN LATERAL (
        SELECT MIN(seq) AS first, MIN(CASE WHEN state = $2 THEN seq END) AS called_first,
            MAX(CASE WHEN state = $2 THEN seq END) AS called_last
        FROM deliveries WHERE target = $3 AND order_key = lane AND unfinished = $4) AS front
        WHERE first IS NOT NULL";
    let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
    // Not written out: an index over what is unfinished would look like a way to it.
    let values = [keys.into(), State::Calling.name().into(), target.into(), 1_i16.into()];
    let rows = txn.query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    let read = |row: QueryResult| -> Result<FrontRow, DbErr> {
        let at = |column| row.try_get("", column);
        Ok((row.try_get("", "lane")?, row.try_get("", "first")?, at("called_first")?, at("called_last")?))
    };
    Ok(rows.into_iter().map(read).collect::<Result<_, _>>()?)
}

/// The fronts of some lanes, by a plain read.
#[derive(Debug, Default)]
pub struct Fronts(HashMap<(String, String), Front>);

impl Fronts {
    /// Of the lanes that these places are in.
    pub async fn of(txn: &DatabaseTransaction, places: &[Place]) -> Result<Fronts, Fail> {
        let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for place in places {
            keys.entry(&place.target).or_default().insert(&place.order_key);
        }
        let mut fronts = HashMap::new();
        for (target, keys) in keys {
            let rows = match txn.get_database_backend() {
                DbBackend::Postgres => one_by_one(txn, target, keys).await?,
                _ => in_groups(txn, target, keys).await?,
            };
            for (key, first, called_first, called_last) in rows {
                let front = Front { first, calling: called_first.zip(called_last) };
                fronts.insert((target.to_owned(), key), front);
            }
        }
        Ok(Fronts(fronts))
    }

    /// Whether a place that is not final has nothing before it: no earlier one that is not final, and none that is
    /// being called.
    pub fn is_clear(&self, place: &Place) -> bool {
        let lane = (place.target.clone(), place.order_key.clone());
        self.0.get(&lane).is_some_and(|front| {
            front.first == place.seq && front.calling.is_none_or(|both| both == (place.seq, place.seq))
        })
    }

    /// Who is first in each.
    fn firsts(&self) -> impl Iterator<Item = i64> {
        self.0.values().map(|front| front.first)
    }
}

/// Puts the heads of the lanes that these places are in into the outbox where they wait for their turn, except those
/// of `but`.
///
/// An outbox row that is there already is no reason to do without: it may have been published, found its
/// delivery behind, and be about to be removed.
pub async fn wake_heads(
    txn: &DatabaseTransaction,
    places: &[Place],
    but: &BTreeSet<i64>,
    now_ms: i64,
) -> Result<(), Fail> {
    let fronts = Fronts::of(txn, places).await?;
    let heads: BTreeSet<i64> = fronts.firsts().filter(|seq| !but.contains(seq)).collect();
    if heads.is_empty() {
        return Ok(());
    }
    let heads =
        deliveries::Entity::find().filter(among(txn, deliveries::Column::Seq, heads)).all(txn).await?;
    let mut rows = Vec::new();
    for head in heads {
        let due_at_ms = match state(&head.state)? {
            State::Pending => now_ms,
            State::Waiting => head.due_at_ms.unwrap_or(now_ms),
            State::Calling | State::Parked | State::Posted | State::Rejected | State::Superseded => continue,
        };
        rows.push(outbox_row(&head.id, &head.target, &head.order_key, due_at_ms));
    }
    insert_all::<outbox::Entity, _>(txn, rows).await
}

/// The same for one lane whose head has just become final.
pub async fn wake_head(txn: &DatabaseTransaction, place: &Place, now_ms: i64) -> Result<(), Fail> {
    wake_heads(txn, std::slice::from_ref(place), &BTreeSet::new(), now_ms).await
}
