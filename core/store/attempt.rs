//! One attempt: its intent before the call, its outcome after.

use crate::accept::{Call, accept, insert_all, outbox_row};
use crate::convert::{count, delivery, event, json, number, remote, state};
use crate::entity::{attempts, bindings, deliveries, events, ledger, outbox};
use crate::error::Fail;
use crate::lane::{Place, ahead, blocked, wake_head};
use crate::limits;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter, TryInsert,
};
use tongbao_delivery::failpoints::failpoint_of;
use tongbao_delivery::policy::doubt;
use tongbao_delivery::port::{
    Begin, Binding, Finish, Finished, LedgerEntry, Next, Previous, State, StoreError, Stored, Work,
};
use tongbao_model::Class;

/// Who asks to begin what.
#[derive(Debug, Clone)]
pub struct Ask {
    pub delivery: String,
    pub worker: String,
    pub lease_until_ms: i64,
    pub now_ms: i64,
}

/// Takes a delivery for one attempt.
pub async fn begin(txn: &DatabaseTransaction, ask: &Ask) -> Result<Begin, Fail> {
    let found = deliveries::Entity::find().filter(deliveries::Column::Id.eq(&ask.delivery)).one(txn).await?;
    let Some(row) = found else { return Ok(Begin::Settled) };
    let before = state(&row.state)?;
    match before {
        State::Posted | State::Rejected | State::Superseded | State::Parked => return Ok(Begin::Settled),
        State::Calling => {
            if let Some(until) = row.lease_until_ms.filter(|until| *until > ask.now_ms) {
                return Ok(Begin::Leased(until));
            }
        }
        State::Waiting => {
            if let Some(due) = row.due_at_ms.filter(|due| *due > ask.now_ms) {
                return Ok(Begin::NotDue(due));
            }
        }
        State::Pending => {}
    }
    let place = Place::from(&row);
    if blocked(txn, &place).await? {
        return Ok(Begin::Behind);
    }
    if !take(txn, ask, &row, before).await? {
        // Another worker was faster; what it does now is the next look's business.
        return Ok(Begin::Leased(ask.now_ms.saturating_add(1_000)));
    }
    // A replay may have put an earlier delivery back between our look and our lock on the row. SQLite has no
    // between.
    if txn.get_database_backend() != DbBackend::Sqlite && ahead(txn, &place).await?.is_some() {
        give_back(txn, &row).await?;
        return Ok(Begin::Behind);
    }
    let work = work(txn, ask, row, before).await?;
    let intent = attempts::ActiveModel {
        delivery: Set(ask.delivery.clone()),
        attempt: Set(number(work.attempt)?),
        worker: Set(ask.worker.clone()),
        started_at_ms: Set(ask.now_ms),
        ended_at_ms: Set(None),
        class: Set(None),
        fault: Set(None),
        remote: Set(None),
        request: Set(None),
        response: Set(None),
        mapping: Set(None),
        tables_revision: Set(None),
    };
    insert_all::<attempts::Entity, _>(txn, vec![intent]).await?;
    failpoint_of("begun-before-commit", &ask.delivery);
    Ok(Begin::Run(Box::new(work)))
}

/// Writes the lease if the row is still as it was read.
async fn take(
    txn: &DatabaseTransaction,
    ask: &Ask,
    row: &deliveries::Model,
    before: State,
) -> Result<bool, Fail> {
    let taken = deliveries::ActiveModel {
        state: Set(State::Calling.name().to_owned()),
        attempts: Set(row.attempts.saturating_add(1)),
        tries: Set(row.tries.saturating_add(1)),
        due_at_ms: Set(None),
        lease_until_ms: Set(Some(ask.lease_until_ms)),
        // An intent whose outcome never came.
        in_doubt: if before == State::Calling { Set(1) } else { NotSet },
        changed_at_ms: Set(ask.now_ms),
        ..Default::default()
    };
    let updated = deliveries::Entity::update_many()
        .set(taken)
        .filter(deliveries::Column::Id.eq(&row.id))
        .filter(deliveries::Column::Attempts.eq(row.attempts))
        .filter(deliveries::Column::State.eq(&row.state))
        .exec(txn)
        .await?;
    Ok(updated.rows_affected == 1)
}

async fn give_back(txn: &DatabaseTransaction, row: &deliveries::Model) -> Result<(), Fail> {
    let as_it_was = deliveries::ActiveModel {
        state: Set(row.state.clone()),
        attempts: Set(row.attempts),
        tries: Set(row.tries),
        due_at_ms: Set(row.due_at_ms),
        lease_until_ms: Set(row.lease_until_ms),
        in_doubt: Set(row.in_doubt),
        changed_at_ms: Set(row.changed_at_ms),
        ..Default::default()
    };
    deliveries::Entity::update_many()
        .set(as_it_was)
        .filter(deliveries::Column::Id.eq(&row.id))
        .exec(txn)
        .await?;
    Ok(())
}

/// What the attempt needs to know, from the row as it was before.
async fn work(
    txn: &DatabaseTransaction,
    ask: &Ask,
    mut row: deliveries::Model,
    before: State,
) -> Result<Work, Fail> {
    let Some(source) = events::Entity::find_by_id(&row.event_id).one(txn).await? else {
        return Err(StoreError::Corrupt(format!("event {} of a delivery is missing", row.event_id)).into());
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

/// Stores the outcome of an attempt with everything that must be true together with it.
pub async fn finish(txn: &DatabaseTransaction, finish: &Finish) -> Result<Finished, Fail> {
    let attempt = number(finish.attempt)?;
    let found =
        deliveries::Entity::find().filter(deliveries::Column::Id.eq(&finish.delivery)).one(txn).await?;
    let Some(row) = found.filter(|row| row.attempts == attempt && row.state == State::Calling.name()) else {
        return Ok(Finished::Fenced);
    };
    let fault = finish.fault.as_ref().map(json).transpose()?;
    let far = finish.remote.as_ref().map(json).transpose()?;
    let next = next_state(&finish.next);
    let outcome = deliveries::ActiveModel {
        state: Set(next.name().to_owned()),
        unfinished: Set(i16::from(!next.is_final())),
        due_at_ms: Set(retry_at(&finish.next)),
        lease_until_ms: Set(None),
        class: Set(Some(finish.class.name().to_owned())),
        in_doubt: Set(i16::from(doubt(row.in_doubt == 1, finish.class))),
        fault_code: Set(finish.fault.as_ref().map(|fault| fault.code.as_str().to_owned())),
        fault: Set(fault.clone()),
        remote: Set(far.clone()),
        changed_at_ms: Set(finish.now_ms),
        ..Default::default()
    };
    let updated = deliveries::Entity::update_many()
        .set(outcome)
        .filter(deliveries::Column::Id.eq(&finish.delivery))
        .filter(deliveries::Column::Attempts.eq(attempt))
        .filter(deliveries::Column::State.eq(State::Calling.name()))
        .exec(txn)
        .await?;
    if updated.rows_affected != 1 {
        return Ok(Finished::Fenced);
    }
    let ended = attempts::ActiveModel {
        ended_at_ms: Set(Some(finish.now_ms)),
        class: Set(Some(finish.class.name().to_owned())),
        fault: Set(fault),
        remote: Set(far),
        request: Set(finish.request.clone()),
        response: Set(finish.response.clone()),
        mapping: Set(finish.mapping.clone()),
        tables_revision: Set(finish.tables_revision),
        ..Default::default()
    };
    attempts::Entity::update_many()
        .set(ended)
        .filter(attempts::Column::Delivery.eq(&finish.delivery))
        .filter(attempts::Column::Attempt.eq(attempt))
        .exec(txn)
        .await?;
    consequences(txn, finish, &Place::from(&row), next).await?;
    failpoint_of("finished-before-commit", &finish.delivery);
    Ok(Finished::Stored)
}

async fn consequences(
    txn: &DatabaseTransaction,
    finish: &Finish,
    place: &Place,
    next: State,
) -> Result<(), Fail> {
    if let Some(binding) = &finish.binding {
        bind(txn, binding).await?;
    }
    for entry in &finish.entries {
        enter(txn, entry).await?;
    }
    if !finish.follow_on.is_empty() {
        // One already stored is skipped: `accept` answers `Repeat` or `Conflict` and writes nothing.
        let call = Call { intakes: finish.follow_on.clone(), cursor: None, now_ms: finish.now_ms };
        accept(txn, &[call]).await?;
    }
    if let Some(at_ms) = retry_at(&finish.next) {
        let again = outbox_row(&place.id, &place.target, &place.order_key, at_ms);
        insert_all::<outbox::Entity, _>(txn, vec![again]).await?;
    }
    // Also when this one goes on: a replay may have put an earlier one back, which was told to wait for us.
    let but = (!next.is_final()).then_some(place.id.as_str());
    wake_head(txn, place, but, finish.now_ms).await
}

fn next_state(next: &Next) -> State {
    match next {
        Next::Posted => State::Posted,
        Next::Rejected => State::Rejected,
        Next::Parked => State::Parked,
        Next::Retry { .. } => State::Waiting,
    }
}

fn retry_at(next: &Next) -> Option<i64> {
    match next {
        Next::Retry { at_ms } => Some(*at_ms),
        Next::Posted | Next::Rejected | Next::Parked => None,
    }
}

/// Stores a binding; another far-side id under the same key is refused, and none does not replace a known
/// one.
pub async fn bind(txn: &DatabaseTransaction, binding: &Binding) -> Result<(), Fail> {
    let key = (binding.target.clone(), binding.kind.clone(), binding.key.clone());
    let stored = bindings::Entity::find_by_id(key.clone()).one(txn).await?;
    let remote = &binding.remote;
    let row = bindings::ActiveModel {
        target: Set(key.0),
        kind: Set(key.1),
        business_key: Set(key.2),
        remote_id: Set(remote.id.clone()),
        remote_number: Set(remote.number.clone()),
        remote_step: Set(remote.step.clone()),
        delivery: Set(binding.delivery.clone()),
    };
    match stored {
        None => {
            bindings::Entity::insert(row).exec_without_returning(txn).await?;
        }
        Some(stored)
            if !stored.remote_id.is_empty() && !remote.id.is_empty() && stored.remote_id != remote.id =>
        {
            return Err(StoreError::Invalid(format!(
                "{} {} is bound to {} already, not to {}",
                binding.kind, binding.key, stored.remote_id, remote.id
            ))
            .into());
        }
        Some(stored) => {
            let id = if remote.id.is_empty() { stored.remote_id } else { remote.id.clone() };
            let row = bindings::ActiveModel { remote_id: Set(id), ..row };
            bindings::Entity::update(row).exec_without_returning(txn).await?;
        }
    }
    Ok(())
}

/// Insert if absent, then replace if older: in this order no newer revision is lost to a concurrent insert.
async fn enter(txn: &DatabaseTransaction, entry: &LedgerEntry) -> Result<(), Fail> {
    use ledger::Column;
    limits::entry(entry)?;
    let row = ledger::ActiveModel {
        contract: Set(entry.contract.clone()),
        kind: Set(entry.kind.clone()),
        origin: Set(entry.origin.clone()),
        revision: Set(entry.revision),
        amount: Set(entry.amount.clone()),
        currency: Set(entry.currency.clone()),
        event: Set(entry.event.clone()),
        at_ms: Set(entry.at_ms),
        facts: Set(entry.facts.clone()),
    };
    let key = [Column::Contract, Column::Kind, Column::Origin];
    TryInsert::<ledger::ActiveModel>::one(row.clone())
        .on_conflict_do_nothing_on(key)
        .exec_without_returning(txn)
        .await?;
    let newer = ledger::ActiveModel { contract: NotSet, kind: NotSet, origin: NotSet, ..row };
    ledger::Entity::update_many()
        .set(newer)
        .filter(Column::Contract.eq(&entry.contract))
        .filter(Column::Kind.eq(&entry.kind))
        .filter(Column::Origin.eq(&entry.origin))
        .filter(Column::Revision.lt(entry.revision))
        .exec(txn)
        .await?;
    Ok(())
}
