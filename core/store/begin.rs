//! The intent of an attempt, stored before its call.

use crate::convert::{count, delivery, event, remote, state};
use crate::entity::{attempts, deliveries, events};
use crate::error::Fail;
use crate::group::Grouped;
use crate::lane::{Fronts, Place, blocked};
use crate::rows::{among, insert_all};
use futures::future::BoxFuture;
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use std::collections::{BTreeMap, HashMap};
use tongbao_delivery::failpoints::failpoint_of;
use tongbao_delivery::port::{Begin, Previous, State, StoreError, Stored, Work};
use tongbao_model::Class;

/// Who asks to begin what.
#[derive(Debug, Clone)]
pub struct Ask {
    pub delivery: String,
    pub worker: String,
    pub lease_until_ms: i64,
    pub now_ms: i64,
}

impl Grouped for Ask {
    type Answer = Begin;

    fn together<'t>(
        txn: &'t DatabaseTransaction,
        asks: &'t [Ask],
    ) -> BoxFuture<'t, Result<Vec<Option<Begin>>, Fail>> {
        Box::pin(begin(txn, asks))
    }

    /// Whoever stands behind another one: looked at again under that one's lock.
    fn alone<'t>(&'t self, txn: &'t DatabaseTransaction) -> BoxFuture<'t, Result<Begin, Fail>> {
        Box::pin(async move {
            let found =
                deliveries::Entity::find().filter(deliveries::Column::Id.eq(&self.delivery)).one(txn).await?;
            match found.map(|row| stands(&row, self.now_ms).map(|stands| (row, stands))).transpose()? {
                None => return Ok(Begin::Settled),
                Some((_, Err(answer))) => return Ok(answer),
                Some((row, Ok(_))) if blocked(txn, &Place::from(&row)).await? => return Ok(Begin::Behind),
                Some(_) => {}
            }
            let begun = begin(txn, std::slice::from_ref(self)).await?.into_iter().next().flatten();
            // Somebody has got in front of it again; what is then is the next look's business.
            Ok(begun.unwrap_or(Begin::Leased(self.now_ms.saturating_add(1_000))))
        })
    }
}

/// Whether a delivery may be begun, as far as it alone can tell: the state it is in, or what to say instead.
fn stands(row: &deliveries::Model, now_ms: i64) -> Stored<Result<State, Begin>> {
    let state = state(&row.state)?;
    Ok(match state {
        State::Posted | State::Rejected | State::Superseded | State::Parked => Err(Begin::Settled),
        State::Calling => match row.lease_until_ms.filter(|until| *until > now_ms) {
            Some(until) => Err(Begin::Leased(until)),
            None => Ok(state),
        },
        State::Waiting => match row.due_at_ms.filter(|due| *due > now_ms) {
            Some(due) => Err(Begin::NotDue(due)),
            None => Ok(state),
        },
        State::Pending => Ok(state),
    })
}

/// What is to be done for one who asks.
enum Verdict {
    Say(Begin),
    Alone,
    Take(Box<deliveries::Model>, State),
}

/// Takes deliveries for one attempt each.
///
/// Their rows are locked first, in the order of their ids as everywhere, and the lanes looked at after that. So
/// nobody else takes them, and a replay that has put an earlier delivery back is seen: its commit comes before our
/// look or after our own.
async fn begin(txn: &DatabaseTransaction, asks: &[Ask]) -> Result<Vec<Option<Begin>>, Fail> {
    let mut rows = locked(txn, asks.iter().map(|ask| ask.delivery.as_str())).await?;
    let mut verdicts = Vec::with_capacity(asks.len());
    for (place, ask) in asks.iter().enumerate() {
        let twice = asks.iter().take(place).any(|before| before.delivery == ask.delivery);
        verdicts.push(match rows.remove(&ask.delivery) {
            _ if twice => Verdict::Alone,
            None => Verdict::Say(Begin::Settled),
            Some(row) => match stands(&row, ask.now_ms)? {
                Ok(before) => Verdict::Take(Box::new(row), before),
                Err(answer) => Verdict::Say(answer),
            },
        });
    }
    let places: Vec<Place> = verdicts.iter().filter_map(Verdict::place).collect();
    let fronts = Fronts::of(txn, &places).await?;
    for verdict in &mut verdicts {
        if verdict.place().is_some_and(|place| !fronts.is_clear(&place)) {
            // SQLite has one writer: what it reads here is so. Elsewhere the one in front may just be closing.
            let sure = txn.get_database_backend() == DbBackend::Sqlite;
            *verdict = if sure { Verdict::Say(Begin::Behind) } else { Verdict::Alone };
        }
    }
    let taken: Vec<(&Ask, &deliveries::Model)> = asks
        .iter()
        .zip(&verdicts)
        .filter_map(|(ask, verdict)| match verdict {
            Verdict::Take(row, _) => Some((ask, row.as_ref())),
            Verdict::Say(_) | Verdict::Alone => None,
        })
        .collect();
    let events = if taken.is_empty() { HashMap::new() } else { take(txn, &taken).await? };
    asks.iter()
        .zip(verdicts)
        .map(|(ask, verdict)| match verdict {
            Verdict::Say(answer) => Ok(Some(answer)),
            Verdict::Alone => Ok(None),
            Verdict::Take(row, before) => {
                let event = events.get(&row.event_id).cloned();
                Ok(Some(Begin::Run(Box::new(work(ask, *row, before, event)?))))
            }
        })
        .collect()
}

impl Verdict {
    fn place(&self) -> Option<Place> {
        match self {
            Verdict::Take(row, _) => Some(Place::from(row.as_ref())),
            Verdict::Say(_) | Verdict::Alone => None,
        }
    }
}

/// Rows of deliveries by id, locked until the transaction ends. Everyone who locks several does so in the order of
/// their ids, or two could wait for each other.
pub async fn locked(
    txn: &DatabaseTransaction,
    ids: impl Iterator<Item = &str>,
) -> Result<HashMap<String, deliveries::Model>, Fail> {
    use deliveries::Column as D;
    let mut query = deliveries::Entity::find().filter(among(txn, D::Id, ids));
    if txn.get_database_backend() != DbBackend::Sqlite {
        query = query.order_by_asc(D::Id).lock_exclusive();
    }
    let rows = query.all(txn).await?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

/// Writes leases and intents, and reads the events.
async fn take(
    txn: &DatabaseTransaction,
    taken: &[(&Ask, &deliveries::Model)],
) -> Result<HashMap<String, events::Model>, Fail> {
    use deliveries::Column as D;
    // Those with leases of one length get one lease: the latest. None ends before its worker believes.
    let mut leases: BTreeMap<i64, (i64, Vec<&str>)> = BTreeMap::new();
    for (ask, row) in taken {
        let length = ask.lease_until_ms.saturating_sub(ask.now_ms);
        let (now_ms, ids) = leases.entry(length).or_default();
        *now_ms = Ord::max(*now_ms, ask.now_ms);
        ids.push(&row.id);
    }
    for (length, (now_ms, ids)) in leases {
        let calling = State::Calling.name();
        // An intent whose outcome never came leaves a doubt. Set before the state, for MySQL assigns one after the
        // other and would look at the new one.
        let in_doubt = CaseStatement::new().case(D::State.eq(calling), 1).finally(Expr::col(D::InDoubt));
        deliveries::Entity::update_many()
            .col_expr(D::InDoubt, in_doubt.into())
            .col_expr(D::State, Expr::value(calling))
            .col_expr(D::Attempts, Expr::col(D::Attempts).add(1))
            .col_expr(D::Tries, Expr::col(D::Tries).add(1))
            .col_expr(D::DueAtMs, Expr::value(None::<i64>))
            .col_expr(D::LeaseUntilMs, Expr::value(now_ms.saturating_add(length)))
            .col_expr(D::ChangedAtMs, Expr::value(now_ms))
            // Whoever begins had the message, whether or not the relay has come to note it.
            .col_expr(D::PublishedAtMs, Expr::value(now_ms))
            .filter(among(txn, D::Id, ids))
            .exec(txn)
            .await?;
    }
    let mut intents = Vec::with_capacity(taken.len());
    for (ask, row) in taken {
        intents.push(attempts::ActiveModel {
            delivery: Set(ask.delivery.clone()),
            attempt: Set(row.attempts.saturating_add(1)),
            worker: Set(ask.worker.clone()),
            started_at_ms: Set(ask.now_ms),
            ..Default::default()
        });
    }
    insert_all::<attempts::Entity, _>(txn, intents).await?;
    taken.iter().for_each(|(ask, _)| failpoint_of("begun-before-commit", &ask.delivery));
    let ids = taken.iter().map(|(_, row)| row.event_id.as_str());
    let events = events::Entity::find().filter(among(txn, events::Column::Id, ids)).all(txn).await?;
    Ok(events.into_iter().map(|event| (event.id.clone(), event)).collect())
}

/// What the attempt needs to know, from the row as it was before.
fn work(ask: &Ask, mut row: deliveries::Model, before: State, source: Option<events::Model>) -> Stored<Work> {
    let Some(source) = source else {
        return Err(StoreError::Corrupt(format!("event {} of a delivery is missing", row.event_id)));
    };
    let lost = before == State::Calling;
    let previous = if row.attempts == 0 {
        None
    } else {
        let class = if lost { None } else { row.class.as_deref().map(class).transpose()? };
        Some(Previous { class, remote: remote(row.remote.clone())?, in_doubt: lost || row.in_doubt == 1 })
    };
    row.attempts = row.attempts.saturating_add(1);
    row.tries = row.tries.saturating_add(1);
    row.state = State::Calling.name().to_owned();
    row.changed_at_ms = ask.now_ms;
    Ok(Work {
        attempt: count(row.attempts)?,
        tries: count(row.tries)?,
        window_start_ms: row.window_start_ms,
        previous,
        event: event(source),
        delivery: delivery(row)?,
    })
}

fn class(name: &str) -> Stored<Class> {
    Class::from_name(name).ok_or_else(|| StoreError::Corrupt(format!("unknown class {name:?}")))
}
