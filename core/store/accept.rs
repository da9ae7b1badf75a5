//! Accepting events once each.
//!
//! Two things must hold when several processes accept at the same time on PostgreSQL or MySQL:
//!
//! - Of two revisions of one document, the older must be judged late if the newer was accepted first. That is
//!   a look before an insert, which two transactions could do past each other.
//! - `seq` must rise in the order of commits within one lane (target, order key). An auto-increment is drawn at
//!   insert, and transactions commit in any order, so a worker could begin a later delivery while an earlier one
//!   is not visible yet.
//!
//! Both are settled by locking before looking: each document and each lane hashes to one of a fixed number of
//! locks, which a transaction takes in ascending order in one statement. On PostgreSQL they are advisory locks, on MySQL
//! the rows of `lane_locks`. Whoever holds the lock of a
//! lane draws its `seq` and commits before the next one draws. Unrelated documents share a slot now and then and
//! wait for one commit. SQLite has one writer and needs no lock. The unique index on (key, kind, source, revision)
//! stays as the last word; if it ever speaks, the transaction runs again and finds the row.

use crate::entity::{archived, cursors, deliveries, events, lane_locks, outbox};
use crate::error::Fail;
use crate::group::Grouped;
use crate::lane::{Place, wake_head};
use crate::rows::{among, insert_all, outbox_row};
use futures::future::BoxFuture;
use sea_orm::sea_query::{OnConflict, UnionType};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Statement,
};
use std::collections::{BTreeSet, HashMap};
use tongbao_delivery::failpoints::failpoint;
use tongbao_delivery::fnv;
use tongbao_delivery::port::{Accepted, Cursor, Intake, NewDelivery, State};
use tongbao_model::Event;

/// Keys per statement: well below every database's limit on parameters.
const CHUNK: usize = 512;

/// One call of `Store::accept`.
#[derive(Debug, Clone)]
pub struct Call {
    pub intakes: Vec<Intake>,
    pub cursor: Option<Cursor>,
    pub now_ms: i64,
}

impl Grouped for Call {
    type Answer = Vec<Accepted>;

    fn together<'t>(
        txn: &'t DatabaseTransaction,
        calls: &'t [Call],
    ) -> BoxFuture<'t, Result<Vec<Option<Vec<Accepted>>>, Fail>> {
        Box::pin(async move { Ok(accept_from_outside(txn, calls).await?.into_iter().map(Some).collect()) })
    }

    fn alone<'t>(&'t self, txn: &'t DatabaseTransaction) -> BoxFuture<'t, Result<Vec<Accepted>, Fail>> {
        Box::pin(async move {
            let answers = accept_from_outside(txn, std::slice::from_ref(self)).await?;
            Ok(answers.into_iter().next().unwrap_or_default())
        })
    }
}

/// Accepts what came from outside; what follows from an outcome is accepted within the outcome's transaction.
async fn accept_from_outside(txn: &DatabaseTransaction, calls: &[Call]) -> Result<Vec<Vec<Accepted>>, Fail> {
    let answers = accept(txn, calls).await?;
    let mut polled = calls.iter().zip(&answers).filter(|(call, _)| call.cursor.is_some());
    if polled.any(|(_, answers)| answers.contains(&Accepted::New)) {
        failpoint("cursor-before-commit");
    }
    failpoint("accepted-before-commit");
    Ok(answers)
}

/// Events of one document that are stored or about to be: revision → (event, digest).
type Revisions = HashMap<i64, (String, String)>;
/// (source, kind, key).
type Document = (String, String, String);

/// Accepts several calls together; the answers are in their order.
pub async fn accept(txn: &DatabaseTransaction, calls: &[Call]) -> Result<Vec<Vec<Accepted>>, Fail> {
    let all: Vec<&Intake> = calls.iter().flat_map(|call| &call.intakes).collect();
    if !all.is_empty() {
        lock(txn, &all).await?;
    }
    let mut known = stored_revisions(txn, &all).await?;
    let mut rows = Rows::default();
    let answers: Vec<Vec<Accepted>> = calls
        .iter()
        .map(|call| {
            call.intakes.iter().map(|intake| judge(&mut known, &mut rows, intake, call.now_ms)).collect()
        })
        .collect();
    let outdated = std::mem::take(&mut rows.outdated);
    rows.insert(txn).await?;
    supersede(txn, &outdated, calls.last().map_or(0, |call| call.now_ms)).await?;
    for (call, answers) in calls.iter().zip(&answers) {
        let all_new = answers.iter().all(|answer| *answer == Accepted::New);
        if let Some(cursor) = call.cursor.as_ref().filter(|cursor| all_new || !cursor.only_if_new) {
            store_cursor(txn, cursor, call.now_ms).await?;
        }
    }
    Ok(answers)
}

fn document(event: &Event) -> Document {
    (event.source.clone(), event.kind.clone(), event.key.clone())
}

fn judge(
    known: &mut HashMap<Document, Revisions>,
    rows: &mut Rows,
    intake: &Intake,
    now_ms: i64,
) -> Accepted {
    let event = &intake.event;
    let revisions = known.entry(document(event)).or_default();
    if let Some((stored, digest)) = revisions.get(&event.revision) {
        let event_id = stored.clone();
        return if *digest == event.digest {
            Accepted::Repeat { event: event_id }
        } else {
            Accepted::Conflict { event: event_id }
        };
    }
    let late = revisions.keys().any(|revision| *revision > event.revision);
    if !late {
        rows.outdated.extend(revisions.values().map(|(stored, _)| stored.clone()));
    }
    revisions.insert(event.revision, (event.id.clone(), event.digest.clone()));
    rows.add(intake, late, now_ms);
    if late { Accepted::Late } else { Accepted::New }
}

/// Rows to insert.
#[derive(Default)]
struct Rows {
    events: Vec<events::ActiveModel>,
    deliveries: Vec<deliveries::ActiveModel>,
    outbox: Vec<outbox::ActiveModel>,
    /// Events that newer revisions have come for.
    outdated: Vec<String>,
}

impl Rows {
    fn add(&mut self, intake: &Intake, late: bool, now_ms: i64) {
        let event = &intake.event;
        self.events.push(events::ActiveModel {
            id: Set(event.id.clone()),
            kind: Set(event.kind.clone()),
            source: Set(event.source.clone()),
            business_key: Set(event.key.clone()),
            revision: Set(event.revision),
            order_key: Set(event.order_key.clone()),
            occurred_at_ms: Set(event.occurred_at_ms),
            digest: Set(event.digest.clone()),
            record: Set(event.record.clone()),
            cause: Set(event.cause.clone()),
            accepted_at_ms: Set(now_ms),
        });
        for delivery in &intake.deliveries {
            self.deliveries.push(delivery_row(event, delivery, late, now_ms));
            if !late {
                self.outbox.push(outbox_row(&delivery.id, &delivery.target, &delivery.order_key, now_ms));
            }
        }
    }

    async fn insert(self, txn: &DatabaseTransaction) -> Result<(), Fail> {
        insert_all::<events::Entity, _>(txn, self.events).await?;
        insert_all::<deliveries::Entity, _>(txn, self.deliveries).await?;
        insert_all::<outbox::Entity, _>(txn, self.outbox).await
    }
}

fn delivery_row(event: &Event, delivery: &NewDelivery, late: bool, now_ms: i64) -> deliveries::ActiveModel {
    let state = if late { State::Superseded } else { State::Pending };
    deliveries::ActiveModel {
        id: Set(delivery.id.clone()),
        event_id: Set(event.id.clone()),
        kind: Set(event.kind.clone()),
        business_key: Set(event.key.clone()),
        flow: Set(delivery.flow.clone()),
        target: Set(delivery.target.clone()),
        order_key: Set(delivery.order_key.clone()),
        state: Set(state.name().to_owned()),
        unfinished: Set(i16::from(!state.is_final())),
        attempts: Set(0),
        tries: Set(0),
        window_start_ms: Set(now_ms),
        in_doubt: Set(0),
        created_at_ms: Set(now_ms),
        changed_at_ms: Set(now_ms),
        ..Default::default()
    }
}

/// Names PostgreSQL's locks of lanes; any number nobody else uses.
const LANE_LOCK: i32 = 0x746f_6e67;
/// How many of those there are. Well below what its lock table holds by default, for one transaction may take many.
const LANE_SLOTS: u64 = 4_096;

/// Locks the documents and lanes of these intakes until the transaction ends.
async fn lock(txn: &DatabaseTransaction, intakes: &[&Intake]) -> Result<(), Fail> {
    let count = match txn.get_database_backend() {
        DbBackend::Sqlite => return Ok(()),
        DbBackend::Postgres => LANE_SLOTS,
        _ => lane_locks::SLOTS,
    };
    let mut slots = BTreeSet::new();
    for intake in intakes {
        let event = &intake.event;
        slots.insert(slot(&[&event.source, &event.kind, &event.key], count));
        for delivery in &intake.deliveries {
            slots.insert(slot(&[&delivery.target, &delivery.order_key], count));
        }
    }
    if txn.get_database_backend() == DbBackend::Postgres {
        // Locks of its own, which write nothing. Taken in the order of the list.
        let sql = "SELECT pg_advisory_xact_lock($1, slot) FROM unnest($2) AS lanes (slot)";
        let slots: Vec<i32> = slots.into_iter().collect();
        let values = [LANE_LOCK.into(), slots.into()];
        txn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        return Ok(());
    }
    let locked: Vec<i32> = lane_locks::Entity::find()
        .filter(among(txn, lane_locks::Column::Slot, slots))
        .order_by_asc(lane_locks::Column::Slot)
        .lock_exclusive()
        .select_only()
        .column(lane_locks::Column::Slot)
        .into_tuple()
        .all(txn)
        .await?;
    tracing::trace!(slots = locked.len(), "locked");
    Ok(())
}

fn slot(parts: &[&str], count: u64) -> i32 {
    let hash = fnv::hash(fnv::START, parts.iter().flat_map(|part| part.bytes().chain([0])));
    i32::try_from((hash ^ (hash >> 32)) % count).unwrap_or(0)
}

async fn stored_revisions(
    txn: &DatabaseTransaction,
    intakes: &[&Intake],
) -> Result<HashMap<Document, Revisions>, Fail> {
    use archived::Column as A;
    use events::Column;
    let keys: BTreeSet<&str> = intakes.iter().map(|intake| intake.event.key.as_str()).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let mut known: HashMap<Document, Revisions> = HashMap::new();
    for chunk in keys.chunks(CHUNK) {
        let archived = archived::Entity::find()
            .select_only()
            .columns([A::Source, A::Kind, A::BusinessKey, A::Revision, A::EventId, A::Digest])
            .filter(among(txn, A::BusinessKey, chunk.iter().copied()))
            .into_query();
        // One statement: an event that is being archived is seen in one place or the other.
        let mut query = events::Entity::find()
            .select_only()
            .columns([
                Column::Source,
                Column::Kind,
                Column::BusinessKey,
                Column::Revision,
                Column::Id,
                Column::Digest,
            ])
            .filter(among(txn, Column::BusinessKey, chunk.iter().copied()));
        QueryTrait::query(&mut query).union(UnionType::All, archived);
        let rows: Vec<(String, String, String, i64, String, String)> = query.into_tuple().all(txn).await?;
        for (source, kind, key, revision, id, digest) in rows {
            known.entry((source, kind, key)).or_default().insert(revision, (id, digest));
        }
    }
    Ok(known)
}

/// Deliveries that stand parked for a document of which a newer revision has come give way to it: the correction that
/// a parked delivery waits for is usually just that. One that may have taken effect, or has a document in the target,
/// keeps its place, for the newer revision must not run past it.
async fn supersede(txn: &DatabaseTransaction, outdated: &[String], now_ms: i64) -> Result<(), Fail> {
    use deliveries::Column as D;
    for chunk in outdated.chunks(CHUNK) {
        let rows = deliveries::Entity::find()
            .filter(among(txn, D::EventId, chunk.iter().map(String::as_str)))
            .filter(D::State.eq(State::Parked.name()))
            .filter(D::InDoubt.eq(0))
            .filter(D::Remote.is_null())
            .all(txn)
            .await?;
        for row in rows {
            let superseded = deliveries::ActiveModel {
                state: Set(State::Superseded.name().to_owned()),
                unfinished: Set(0),
                changed_at_ms: Set(now_ms),
                ..Default::default()
            };
            let updated = deliveries::Entity::update_many()
                .set(superseded)
                .filter(D::Id.eq(&row.id))
                .filter(D::State.eq(State::Parked.name()))
                .exec(txn)
                .await?;
            if updated.rows_affected == 1 {
                wake_head(txn, &Place::from(&row), now_ms).await?;
            }
        }
    }
    Ok(())
}

async fn store_cursor(txn: &DatabaseTransaction, cursor: &Cursor, now_ms: i64) -> Result<(), Fail> {
    use cursors::Column;
    let row = cursors::ActiveModel {
        connection: Set(cursor.connection.clone()),
        stream: Set(cursor.stream.clone()),
        place: Set(cursor.position.clone()),
        changed_at_ms: Set(now_ms),
    };
    let replace = OnConflict::columns([Column::Connection, Column::Stream])
        .update_columns([Column::Place, Column::ChangedAtMs])
        .to_owned();
    cursors::Entity::insert(row).on_conflict(replace).exec_without_returning(txn).await?;
    Ok(())
}
