//! What stands and what does not get through. All of it is led by the index of states: what is done is not read, but for
//! the few deliveries of a connection that were accepted last.

use crate::entity::deliveries;
use crate::error::Fail;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::BTreeMap;
use tongbao_delivery::attention::{GROUPS_MAX, Health, POSTED_LOOKED_AT, Parked};
use tongbao_delivery::policy::trips_circuit;
use tongbao_delivery::port::State;
use tongbao_model::Class;

type Group = (String, Option<String>, Option<String>, i64, i64);

pub async fn parked(
    db: &DatabaseConnection,
    from_ms: i64,
    before_ms: i64,
    but: &str,
) -> Result<Vec<Parked>, Fail> {
    use deliveries::Column as D;
    let rows: Vec<Group> = deliveries::Entity::find()
        .select_only()
        .columns([D::Target, D::FaultCode, D::Class])
        .column_as(D::Seq.count(), "count")
        .column_as(D::ChangedAtMs.min(), "first")
        .filter(D::State.eq(State::Parked.name()))
        .filter(D::ChangedAtMs.gte(from_ms))
        .filter(D::ChangedAtMs.lt(before_ms))
        .filter(D::Kind.ne(but))
        .group_by(D::Target)
        .group_by(D::FaultCode)
        .group_by(D::Class)
        .order_by_desc(D::Seq.count())
        .order_by_asc(D::Target)
        .order_by_asc(D::FaultCode)
        .limit(GROUPS_MAX)
        .into_tuple()
        .all(db)
        .await?;
    let group = |(target, code, class, count, first_ms): Group| Parked {
        target,
        code,
        class,
        count: u64::try_from(count).unwrap_or(0),
        first_ms,
    };
    Ok(rows.into_iter().map(group).collect())
}

pub async fn health(db: &DatabaseConnection, targets: &[String], but: &str) -> Result<Vec<Health>, Fail> {
    use deliveries::Column as D;
    let broken = [Class::Unavailable, Class::Unauthorized].into_iter().filter(|class| trips_circuit(*class));
    let rows: Vec<Group> = deliveries::Entity::find()
        .select_only()
        .columns([D::Target, D::FaultCode, D::Class])
        .column_as(D::Seq.count(), "count")
        .column_as(D::WindowStartMs.min(), "first")
        .filter(D::State.eq(State::Waiting.name()))
        .filter(D::Class.is_in(broken.map(Class::name)))
        .filter(D::Kind.ne(but))
        .group_by(D::Target)
        .group_by(D::FaultCode)
        .group_by(D::Class)
        .into_tuple()
        .all(db)
        .await?;
    let fresh = |target: &String| (target.clone(), Health { target: target.clone(), ..Health::default() });
    let mut all: BTreeMap<String, Health> = targets.iter().map(fresh).collect();
    for (target, _, class, count, first_ms) in rows {
        let one = all.entry(target.clone()).or_default();
        one.target = target;
        one.failing = one.failing.saturating_add(u64::try_from(count).unwrap_or(0));
        one.class = match (one.class.take(), class) {
            (Some(known), Some(class)) => Some(known.min(class)),
            (known, class) => known.or(class),
        };
        one.tried_since_ms = Some(one.tried_since_ms.map_or(first_ms, |known| known.min(first_ms)));
    }
    let mut told = Vec::with_capacity(all.len());
    for one in all.into_values() {
        let posted: Vec<i64> = deliveries::Entity::find()
            .select_only()
            .column(D::ChangedAtMs)
            .filter(D::State.eq(State::Posted.name()))
            .filter(D::Target.eq(&one.target))
            .order_by_desc(D::Seq)
            .limit(POSTED_LOOKED_AT)
            .into_tuple()
            .all(db)
            .await?;
        told.push(Health { posted_at_ms: posted.into_iter().max(), ..one });
    }
    Ok(told)
}
