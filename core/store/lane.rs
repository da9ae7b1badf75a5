//! The lane: deliveries of one order key to one target, worked on one after the other.
//!
//! Why no successor is forgotten. Whoever closes a delivery P (finish, bind) first updates P's row, which locks
//! it, and then looks for the lane's head in a new snapshot. A worker that finds its delivery B behind P does not
//! believe a plain read: it locks P's row and looks again ([`blocked`]). So either P's closing has committed, and B
//! is no longer behind; or P is still open while its row is locked, and whoever closes it comes after, with B long
//! committed and therefore seen. Accepting keeps `seq` and commit in the same order per lane (see `accept.rs`), so
//! there is no earlier delivery that becomes visible later. The sweeper is a backstop, not a part of this.

use crate::accept::{insert_all, outbox_row};
use crate::convert::state;
use crate::entity::{deliveries, outbox};
use crate::error::Fail;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
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
pub async fn ahead(txn: &DatabaseTransaction, place: &Place) -> Result<Option<deliveries::Model>, Fail> {
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

/// Puts the lane's head into the outbox if it waits for its turn and is not `but`.
///
/// An outbox row that is there already is no reason to do without: it may have been published, found its
/// delivery behind, and be about to be removed.
pub async fn wake_head(
    txn: &DatabaseTransaction,
    place: &Place,
    but: Option<&str>,
    now_ms: i64,
) -> Result<(), Fail> {
    use deliveries::Column;
    let head = deliveries::Entity::find()
        .filter(Column::Target.eq(&place.target))
        .filter(Column::OrderKey.eq(&place.order_key))
        .filter(Column::Unfinished.eq(1))
        .order_by_asc(Column::Seq)
        .limit(1)
        .one(txn)
        .await?;
    let Some(head) = head.filter(|head| but != Some(head.id.as_str())) else { return Ok(()) };
    let due_at_ms = match state(&head.state)? {
        State::Pending => now_ms,
        State::Waiting => head.due_at_ms.unwrap_or(now_ms),
        State::Calling | State::Parked | State::Posted | State::Rejected | State::Superseded => return Ok(()),
    };
    let row = outbox_row(&head.id, &head.target, &head.order_key, due_at_ms);
    insert_all::<outbox::Entity, _>(txn, vec![row]).await
}
