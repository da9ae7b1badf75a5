//! Putting back what stopped.

use crate::convert;
use crate::entity::{archived, deliveries, events, outbox};
use crate::error::Fail;
use crate::read::{matching, selected};
use crate::rows::{insert_all, outbox_row};
use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait, JoinType, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use tongbao_delivery::port::{Filter, ReplayGroup, Replayable, Replayed, State};

/// Deliveries that one transaction puts back; in between, others get their turn.
pub const PAGE: u64 = 200;
/// Deliveries that are shown of what would be put back.
const SHOWN: u64 = 10;

/// The filter over what has stopped; `None` when it lets none of that through.
pub fn stopped(filter: Filter) -> Option<Filter> {
    let mut states: Vec<State> = [State::Parked, State::Rejected].into();
    if !filter.states.is_empty() {
        states.retain(|state| filter.states.contains(state));
    }
    (!states.is_empty()).then_some(Filter { states, ..filter })
}

/// Puts one page back; the filter is one of [`stopped`].
pub async fn page(txn: &DatabaseTransaction, filter: &Filter, now_ms: i64) -> Result<Replayed, Fail> {
    let rows = selected(filter).filter(is_wanted()).all(txn).await?;
    let is_full = u64::try_from(rows.len()).unwrap_or(u64::MAX) >= filter.limit;
    let mut replayed = Replayed { ids: Vec::new(), next: rows.last().filter(|_| is_full).map(|row| row.seq) };
    for row in rows {
        if row.state == State::Rejected.name() && !may_come_back(txn, &row).await? {
            continue;
        }
        let again = deliveries::ActiveModel {
            state: Set(State::Pending.name().to_owned()),
            unfinished: Set(1),
            tries: Set(0),
            window_start_ms: Set(now_ms),
            due_at_ms: Set(None),
            changed_at_ms: Set(now_ms),
            ..Default::default()
        };
        let updated = deliveries::Entity::update_many()
            .set(again)
            .filter(deliveries::Column::Id.eq(&row.id))
            .filter(deliveries::Column::State.eq(&row.state))
            .exec(txn)
            .await?;
        if updated.rows_affected == 1 {
            let out = outbox_row(&row.id, &row.target, &row.order_key, now_ms);
            insert_all::<outbox::Entity, _>(txn, vec![out]).await?;
            replayed.ids.push(row.id);
        }
    }
    Ok(replayed)
}

/// Connection, state, class, code and count.
type Group = (String, String, Option<String>, Option<String>, i64);

/// What would be put back; the filter is one of [`stopped`].
pub async fn replayable(db: &DatabaseConnection, filter: Filter) -> Result<Replayable, Fail> {
    use deliveries::Column as D;
    let rows: Vec<Group> = matching(&filter)
        .filter(is_wanted())
        .select_only()
        .columns([D::Target, D::State, D::Class, D::FaultCode])
        .column_as(D::Seq.count(), "count")
        .group_by(D::Target)
        .group_by(D::State)
        .group_by(D::Class)
        .group_by(D::FaultCode)
        .order_by_asc(D::Target)
        .order_by_asc(D::State)
        .order_by_asc(D::Class)
        .order_by_asc(D::FaultCode)
        .into_tuple()
        .all(db)
        .await?;
    let mut groups = Vec::with_capacity(rows.len());
    for (target, state, class, code, count) in rows {
        let (state, count) = (convert::state(&state)?, u64::try_from(count).unwrap_or(0));
        groups.push(ReplayGroup { target, state, class, code, count });
    }
    let few = Filter { limit: SHOWN, ..filter };
    let first = selected(&few).filter(is_wanted()).all(db).await?;
    let first = first.into_iter().map(convert::delivery).collect::<Result<_, _>>()?;
    Ok(Replayable { groups, first })
}

/// Parked, or rejected with no newer revision accepted since. [`may_come_back`] has the last word on the latter.
fn is_wanted() -> Condition {
    use {archived::Column as A, deliveries::Column as D, events::Column as E};
    let (own, newer) = (Alias::new("own"), Alias::new("newer"));
    let of = |column: E| Expr::col((own.clone(), column));
    let event = Query::select()
        .expr(Expr::val(1))
        .from_as(events::Entity, own.clone())
        .and_where(of(E::Id).equals((deliveries::Entity, D::EventId)))
        .to_owned();
    let stored = |column: E| Expr::col((newer.clone(), column));
    let on = Condition::all()
        .add(stored(E::BusinessKey).equals((own.clone(), E::BusinessKey)))
        .add(stored(E::Kind).equals((own.clone(), E::Kind)))
        .add(stored(E::Source).equals((own.clone(), E::Source)))
        .add(stored(E::Revision).gt(of(E::Revision)));
    let outdated = event.clone().join_as(JoinType::InnerJoin, events::Entity, newer.clone(), on).to_owned();
    let kept = |column: A| Expr::col((newer.clone(), column));
    let on = Condition::all()
        .add(kept(A::BusinessKey).equals((own.clone(), E::BusinessKey)))
        .add(kept(A::Kind).equals((own.clone(), E::Kind)))
        .add(kept(A::Source).equals((own.clone(), E::Source)))
        .add(kept(A::Revision).gt(of(E::Revision)));
    let archived = event.clone().join_as(JoinType::InnerJoin, archived::Entity, newer.clone(), on).to_owned();
    let current = Condition::all().add(Expr::exists(outdated).not()).add(Expr::exists(archived).not());
    Condition::any().add(D::State.eq(State::Parked.name())).add(current)
}

/// Whether a rejected delivery may be tried again: not if a newer revision of its document was accepted, which has
/// gone on without it. Locks its lane's unfinished rows, so that a worker that begins one of them right now either
/// is seen calling or sees this one before it.
async fn may_come_back(txn: &DatabaseTransaction, row: &deliveries::Model) -> Result<bool, Fail> {
    use {archived::Column as A, deliveries::Column as D, events::Column as E};
    let Some(event) = events::Entity::find_by_id(&row.event_id).one(txn).await? else { return Ok(false) };
    let newer = events::Entity::find()
        .filter(E::BusinessKey.eq(&event.business_key))
        .filter(E::Kind.eq(&event.kind))
        .filter(E::Source.eq(&event.source))
        .filter(E::Revision.gt(event.revision))
        .limit(1)
        .one(txn)
        .await?;
    let archived = archived::Entity::find()
        .filter(A::BusinessKey.eq(&event.business_key))
        .filter(A::Kind.eq(&event.kind))
        .filter(A::Source.eq(&event.source))
        .filter(A::Revision.gt(event.revision))
        .limit(1)
        .one(txn)
        .await?;
    if newer.is_some() || archived.is_some() {
        return Ok(false);
    }
    if txn.get_database_backend() != DbBackend::Sqlite {
        deliveries::Entity::find()
            .filter(D::Target.eq(&row.target))
            .filter(D::OrderKey.eq(&row.order_key))
            .filter(D::Unfinished.eq(1))
            .order_by_asc(D::Seq)
            .lock_exclusive()
            .all(txn)
            .await?;
    }
    Ok(true)
}
