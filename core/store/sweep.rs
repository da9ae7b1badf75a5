//! What stalled goes back into the outbox.
//!
//! State by state and in the order of publishing, as an index has them, and no further than something may have
//! stalled: a sweep costs what it looks at, not what waits behind it.

use crate::entity::deliveries::{self, Column as D};
use crate::entity::outbox;
use crate::error::Fail;
use crate::holds::quiet;
use crate::rows::{insert_all, outbox_row};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use tongbao_delivery::failpoints::failpoint;
use tongbao_delivery::port::State;
use tongbao_delivery::stalled::Stalled;

/// Deliveries that one transaction of a sweep looks at; in between, others get their turn.
const PAGE: u64 = 1_000;

/// Where a page begins.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    state: State,
    /// When the last one met was published, and its number.
    after: Option<(i64, i64)>,
    /// What was published later than this is not met, or what is put back and published meanwhile would be met again.
    until_ms: Option<i64>,
}

impl Place {
    /// Where a sweep begins.
    pub fn first() -> Self {
        Place::of(State::Calling)
    }

    fn of(state: State) -> Self {
        Place { state, after: None, until_ms: None }
    }

    /// The next of the states in which something may have stalled.
    fn next_state(self) -> Option<Self> {
        match self.state {
            State::Calling => Some(Place::of(State::Waiting)),
            State::Waiting => Some(Place::of(State::Pending)),
            State::Pending | State::Posted | State::Rejected | State::Parked | State::Superseded => None,
        }
    }
}

/// One page of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct Swept {
    /// How many were put back.
    pub count: u64,
    /// Where the next page begins, if there may be one.
    pub next: Option<Place>,
}

/// What is looked at: number, id, connection, order key, published at, due at, end of its lease.
type Row = (i64, String, String, String, i64, Option<i64>, Option<i64>);

/// Puts stalled deliveries back into the outbox, a page of them.
pub async fn page(
    txn: &DatabaseTransaction,
    from: Place,
    times: &Stalled,
    now_ms: i64,
) -> Result<Swept, Fail> {
    let until_ms = match from.until_ms {
        Some(known) => Some(known),
        None => last_published(txn, from.state).await?,
    };
    // What was never published is in the outbox since the transaction that made it.
    let Some(until_ms) = until_ms else { return Ok(Swept { count: 0, next: from.next_state() }) };
    let is_calling = from.state == State::Calling;
    let until_ms =
        if is_calling { until_ms } else { Ord::min(until_ms, times.latest_ms().saturating_sub(1)) };
    let in_outbox = Query::select()
        .expr(Expr::val(1))
        .from(outbox::Entity)
        .and_where(Expr::col((outbox::Entity, outbox::Column::Delivery)).equals((deliveries::Entity, D::Id)))
        .to_owned();
    let rows: Vec<Row> = deliveries::Entity::find()
        .select_only()
        .columns([D::Seq, D::Id, D::Target, D::OrderKey, D::PublishedAtMs, D::DueAtMs, D::LeaseUntilMs])
        .filter(D::State.eq(from.state.name()))
        .filter(unfinished())
        .filter(D::PublishedAtMs.between(from.after.map_or(0, |(ms, _)| ms), until_ms))
        .filter(beyond(from.after))
        .filter(may_have_stalled(txn, from.state, times, now_ms).await?)
        .filter(Expr::exists(in_outbox).not())
        .order_by_asc(D::PublishedAtMs)
        .order_by_asc(D::Seq)
        .limit(PAGE)
        .into_tuple()
        .all(txn)
        .await?;
    let back: Vec<_> = rows
        .iter()
        .filter(|row| if is_calling { is_passed(times, row) } else { has_stalled(times, row) })
        .map(|(_, id, target, order_key, _, due_at_ms, _)| {
            outbox_row(id, target, order_key, due_at_ms.unwrap_or(now_ms))
        })
        .collect();
    let count = u64::try_from(back.len()).unwrap_or(u64::MAX);
    insert_all::<outbox::Entity, _>(txn, back).await?;
    if count > 0 {
        failpoint("swept-before-commit");
    }
    let is_full = u64::try_from(rows.len()) == Ok(PAGE);
    let next = match rows.last().filter(|_| is_full) {
        Some((seq, _, _, _, ms, ..)) => {
            Some(Place { after: Some((*ms, *seq)), until_ms: Some(until_ms), ..from })
        }
        None => from.next_state(),
    };
    Ok(Swept { count, next })
}

/// When the last delivery in a state was published.
async fn last_published(txn: &DatabaseTransaction, state: State) -> Result<Option<i64>, Fail> {
    let last: Option<i64> = deliveries::Entity::find()
        .select_only()
        .column(D::PublishedAtMs)
        .filter(D::State.eq(state.name()))
        .filter(unfinished())
        .filter(D::PublishedAtMs.gte(0))
        .order_by_desc(D::PublishedAtMs)
        .limit(1)
        .into_tuple()
        .one(txn)
        .await?;
    Ok(last)
}

/// The states looked at are all of this kind, and the index holds no others. Written out, for a plan with a parameter in
/// its place could not know that the index serves.
fn unfinished() -> Expr {
    Expr::cust("deliveries.unfinished = 1")
}

fn beyond(after: Option<(i64, i64)>) -> Condition {
    let Some((ms, seq)) = after else { return Condition::all() };
    Condition::any().add(D::PublishedAtMs.gt(ms)).add(D::Seq.gt(seq))
}

/// What the database can tell of it. Partitions are unknown to it: of a connection with several of them the latest time
/// counts here, and [`has_stalled`] has the last word.
async fn may_have_stalled(
    txn: &DatabaseTransaction,
    state: State,
    times: &Stalled,
    now_ms: i64,
) -> Result<Condition, Fail> {
    // Queues that nobody takes from for a while are full, not stalled: hours of a pause must not fill them again and
    // again with the same.
    let paused = if times.usual_ms() < now_ms { quiet(txn, times.usual_ms()).await? } else { Vec::new() };
    let mut stalled = Condition::all().add(before(D::PublishedAtMs, times));
    if !paused.is_empty() {
        stalled = stalled.add(D::Target.is_not_in(paused));
    }
    Ok(match state {
        State::Waiting => stalled.add(before(D::DueAtMs, times)),
        // Published again since its lease ran out, its message is on its way. How far its line must have come is looked at
        // afterwards.
        State::Calling => Condition::all().add(D::LeaseUntilMs.lt(now_ms)).add(
            Condition::any()
                .add(before(D::PublishedAtMs, times))
                .add(Expr::col(D::PublishedAtMs).lte(Expr::col(D::LeaseUntilMs))),
        ),
        State::Pending | State::Posted | State::Rejected | State::Parked | State::Superseded => {
            stalled.add(no_predecessor())
        }
    })
}

/// Whether a time of a delivery lies before that of its connection.
fn before(column: D, times: &Stalled) -> Condition {
    let mut any = Condition::any().add(Expr::val(1).eq(0));
    if times.others_ms() > i64::MIN {
        let named: Vec<&str> = times.lines().map(|(target, _)| target).collect();
        let mut others = Condition::all().add(column.lt(times.others_ms()));
        if !named.is_empty() {
            others = others.add(D::Target.is_not_in(named));
        }
        any = any.add(others);
    }
    for (target, ms) in times.lines().filter(|(_, ms)| *ms > i64::MIN) {
        any = any.add(D::Target.eq(target).and(column.lt(ms)));
    }
    any
}

/// Whether it has, looked at closely.
fn has_stalled(times: &Stalled, (_, _, target, order_key, published_at_ms, due_at_ms, _): &Row) -> bool {
    let before_ms = times.before_ms(target, order_key);
    *published_at_ms < before_ms && due_at_ms.is_none_or(|due| due < before_ms)
}

/// Whether the line has come past the end of a lease.
fn is_passed(times: &Stalled, (_, _, target, order_key, _, _, lease_until_ms): &Row) -> bool {
    let come_to_ms = times.come_to_ms(times.before_ms(target, order_key));
    lease_until_ms.is_some_and(|until| until < come_to_ms)
}

fn no_predecessor() -> Expr {
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
