//! Taking finished events out of the database once they are written elsewhere.
//!
//! What stays of an event is a row in `archived` under the same key: enough to recognise a repeat, a conflict or old
//! news for ever after. Bindings and accounts stay as they are.

use crate::convert;
use crate::entity::{archived, attempts, bindings, deliveries, events, outbox};
use crate::error::Fail;
use crate::limits::{KEY, fits};
use crate::rows::insert_all;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction,
    DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use std::collections::{BTreeMap, BTreeSet};
use tongbao_delivery::port::{Archivable, ArchivePlace, Bundle, BundledDelivery, Stored, Tombstone};

/// Tombstones in the answer to one number.
const FOUND: u64 = 1_000;

/// A page of events that were accepted before a time; of these, the finished ones with all that belongs to them.
pub async fn archivable(
    db: &DatabaseConnection,
    before_ms: i64,
    after: Option<ArchivePlace>,
    limit: u64,
) -> Result<Archivable, Fail> {
    use events::Column as E;
    let mut query = events::Entity::find().filter(E::AcceptedAtMs.lt(before_ms));
    if let Some(ArchivePlace { accepted_at_ms, event }) = after {
        let same_time = Condition::all().add(E::AcceptedAtMs.eq(accepted_at_ms)).add(E::Id.gt(event));
        query = query.filter(Condition::any().add(E::AcceptedAtMs.gt(accepted_at_ms)).add(same_time));
    }
    let rows = query.order_by_asc(E::AcceptedAtMs).order_by_asc(E::Id).limit(limit).all(db).await?;
    let is_full = u64::try_from(rows.len()).unwrap_or(u64::MAX) >= limit;
    let place =
        |row: &events::Model| ArchivePlace { accepted_at_ms: row.accepted_at_ms, event: row.id.clone() };
    let next = rows.last().filter(|_| is_full).map(place);
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let mut of: BTreeMap<String, Vec<deliveries::Model>> = BTreeMap::new();
    let made = deliveries::Entity::find()
        .filter(deliveries::Column::EventId.is_in(ids))
        .order_by_asc(deliveries::Column::Seq)
        .all(db)
        .await?;
    for row in made {
        of.entry(row.event_id.clone()).or_default().push(row);
    }
    let mut open = BTreeSet::new();
    for (event, made) in &of {
        if !is_finished(made, before_ms)? {
            open.insert(event.clone());
        }
    }
    of.retain(|event, _| !open.contains(event));
    let tries = attempts::Entity::find()
        .filter(attempts::Column::Delivery.is_in(of.values().flatten().map(|row| row.id.as_str())))
        .order_by_asc(attempts::Column::Delivery)
        .order_by_asc(attempts::Column::Attempt)
        .all(db)
        .await?;
    let mut tries_of: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for row in tries {
        tries_of.entry(row.delivery.clone()).or_default().push(convert::attempt(row)?);
    }
    let mut bundles = Vec::new();
    for row in rows.into_iter().filter(|row| !open.contains(&row.id)) {
        // None where no flow wanted it.
        let made = of.remove(&row.id).unwrap_or_default();
        let mut deliveries = Vec::with_capacity(made.len());
        for one in made {
            let attempts = tries_of.remove(&one.id).unwrap_or_default();
            deliveries.push(BundledDelivery { delivery: convert::delivery(one)?, attempts });
        }
        let accepted_at_ms = row.accepted_at_ms;
        bundles.push(Bundle { event: convert::event(row), accepted_at_ms, deliveries });
    }
    Ok(Archivable { bundles, next })
}

/// Whether nothing of an event will change any more by itself, and nothing of it has since a time.
fn is_finished(made: &[deliveries::Model], before_ms: i64) -> Stored<bool> {
    for row in made {
        if !convert::state(&row.state)?.is_final() || row.changed_at_ms >= before_ms {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is to be taken out.
#[derive(Debug, Clone)]
pub struct Ask {
    events: Vec<String>,
    before_ms: i64,
    file: String,
    now_ms: i64,
}

impl Ask {
    /// Refuses a file name that no database could keep.
    pub fn new(events: Vec<String>, before_ms: i64, file: &str, now_ms: i64) -> Stored<Self> {
        fits("file name", file, KEY)?;
        Ok(Ask { events, before_ms, file: file.to_owned(), now_ms })
    }
}

/// Takes out those that are still finished (one may have been replayed since it was read) and leaves their tombstones.
pub async fn archive(txn: &DatabaseTransaction, ask: &Ask) -> Result<u64, Fail> {
    use deliveries::Column as D;
    let mut query = deliveries::Entity::find()
        .filter(D::EventId.is_in(ask.events.iter().map(String::as_str)))
        .order_by_asc(D::Seq);
    if txn.get_database_backend() != DbBackend::Sqlite {
        query = query.lock_exclusive();
    }
    let made = query.all(txn).await?;
    let mut going: BTreeSet<&str> = ask.events.iter().map(String::as_str).collect();
    for row in &made {
        if !is_finished(std::slice::from_ref(row), ask.before_ms)? {
            going.remove(row.event_id.as_str());
        }
    }
    let rows = events::Entity::find()
        .filter(events::Column::Id.is_in(going.iter().copied()))
        .filter(events::Column::AcceptedAtMs.lt(ask.before_ms))
        .all(txn)
        .await?;
    let going: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let ids: Vec<&str> =
        made.iter().filter(|row| going.contains(row.event_id.as_str())).map(|row| row.id.as_str()).collect();
    let tombstones = rows.iter().map(|row| tombstone(row, ask)).collect();
    insert_all::<archived::Entity, _>(txn, tombstones).await?;
    attempts::Entity::delete_many()
        .filter(attempts::Column::Delivery.is_in(ids.iter().copied()))
        .exec(txn)
        .await?;
    outbox::Entity::delete_many()
        .filter(outbox::Column::Delivery.is_in(ids.iter().copied()))
        .exec(txn)
        .await?;
    deliveries::Entity::delete_many().filter(D::Id.is_in(ids)).exec(txn).await?;
    let gone = events::Entity::delete_many()
        .filter(events::Column::Id.is_in(going.iter().copied()))
        .exec(txn)
        .await?;
    Ok(gone.rows_affected)
}

fn tombstone(row: &events::Model, ask: &Ask) -> archived::ActiveModel {
    archived::ActiveModel {
        business_key: Set(row.business_key.clone()),
        kind: Set(row.kind.clone()),
        source: Set(row.source.clone()),
        revision: Set(row.revision),
        event_id: Set(row.id.clone()),
        digest: Set(row.digest.clone()),
        accepted_at_ms: Set(row.accepted_at_ms),
        archived_at_ms: Set(ask.now_ms),
        file: Set(ask.file.clone()),
    }
}

/// Tombstones under a business key, or under that of a far-side document of a number or id.
pub async fn find(db: &DatabaseConnection, number: &str) -> Result<Vec<Tombstone>, Fail> {
    use {archived::Column as A, bindings::Column as B};
    let far = Condition::any().add(B::RemoteNumber.eq(number)).add(B::RemoteId.eq(number));
    let keys: Vec<String> = bindings::Entity::find()
        .filter(far)
        .limit(FOUND)
        .select_only()
        .column(B::BusinessKey)
        .into_tuple()
        .all(db)
        .await?;
    let keys: BTreeSet<String> = keys.into_iter().chain([number.to_owned()]).collect();
    let rows = archived::Entity::find()
        .filter(A::BusinessKey.is_in(keys))
        .order_by_asc(A::AcceptedAtMs)
        .order_by_asc(A::EventId)
        .limit(FOUND)
        .all(db)
        .await?;
    let shown = |row: archived::Model| Tombstone {
        event: row.event_id,
        kind: row.kind,
        source: row.source,
        key: row.business_key,
        revision: row.revision,
        digest: row.digest,
        accepted_at_ms: row.accepted_at_ms,
        archived_at_ms: row.archived_at_ms,
        file: row.file,
    };
    Ok(rows.into_iter().map(shown).collect())
}
