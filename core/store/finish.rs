//! The outcome of an attempt, with everything that must be true together with it.

use crate::accept::{Call, accept};
use crate::begin::locked;
use crate::convert::{json, number};
use crate::entity::{attempts, bindings, deliveries, journal, outbox};
use crate::error::Fail;
use crate::group::Grouped;
use crate::invoicing;
use crate::lane::{Place, wake_heads};
use crate::limits;
use crate::payments;
use crate::rows::{insert_all, insert_new, insert_or, outbox_row};
use futures::future::BoxFuture;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, IntoActiveModel,
    TryInsert,
};
use std::sync::Arc;
use tongbao_delivery::failpoints::failpoint_of;
use tongbao_delivery::policy::doubt;
use tongbao_delivery::port::{Binding, Finish, Finished, LedgerEntry, Next, State, StoreError};

impl Grouped for Arc<Finish> {
    type Answer = Finished;

    fn together<'t>(
        txn: &'t DatabaseTransaction,
        finishes: &'t [Arc<Finish>],
    ) -> BoxFuture<'t, Result<Vec<Option<Finished>>, Fail>> {
        Box::pin(finish(txn, finishes))
    }

    fn alone<'t>(&'t self, txn: &'t DatabaseTransaction) -> BoxFuture<'t, Result<Finished, Fail>> {
        Box::pin(async move {
            let finished = finish(txn, std::slice::from_ref(self)).await?;
            // One outcome is never one of two for the same delivery.
            Ok(finished.into_iter().next().flatten().unwrap_or(Finished::Fenced))
        })
    }
}

/// Stores outcomes, each unless its attempt was fenced off.
async fn finish(txn: &DatabaseTransaction, finishes: &[Arc<Finish>]) -> Result<Vec<Option<Finished>>, Fail> {
    let mut rows = locked(txn, finishes.iter().map(|finish| finish.delivery.as_str())).await?;
    let mut answers = Vec::with_capacity(finishes.len());
    let mut ended: Vec<(&Finish, deliveries::Model)> = Vec::with_capacity(finishes.len());
    for (place, finish) in finishes.iter().enumerate() {
        let twice = finishes.iter().take(place).any(|before| before.delivery == finish.delivery);
        let attempt = number(finish.attempt)?;
        let row = rows.remove(&finish.delivery);
        let open = row.filter(|row| row.attempts == attempt && row.state == State::Calling.name());
        answers.push(match open {
            _ if twice => None,
            None => Some(Finished::Fenced),
            Some(row) => {
                ended.push((finish.as_ref(), row));
                Some(Finished::Stored)
            }
        });
    }
    if !ended.is_empty() {
        store(txn, &ended).await?;
        consequences(txn, &ended).await?;
        ended.iter().for_each(|(finish, _)| failpoint_of("finished-before-commit", &finish.delivery));
    }
    Ok(answers)
}

/// The outcomes on deliveries and attempts. Both are there and locked; that they are written as inserts that meet
/// what is there is only how one statement can give each row its own values.
async fn store(txn: &DatabaseTransaction, ended: &[(&Finish, deliveries::Model)]) -> Result<(), Fail> {
    use {attempts::Column as A, deliveries::Column as D};
    let (mut outcomes, mut tries) = (Vec::with_capacity(ended.len()), Vec::with_capacity(ended.len()));
    for (finish, row) in ended {
        let next = next_state(&finish.next);
        let fault = finish.fault.as_ref().map(json).transpose()?;
        let far = finish.remote.as_ref().map(json).transpose()?;
        tries.push(attempts::ActiveModel {
            delivery: Set(finish.delivery.clone()),
            attempt: Set(row.attempts),
            worker: Set(String::new()),
            started_at_ms: Set(0),
            ended_at_ms: Set(Some(finish.now_ms)),
            class: Set(Some(finish.class.name().to_owned())),
            fault: Set(fault.clone()),
            remote: Set(far.clone()),
            request: Set(finish.request.clone()),
            response: Set(finish.response.clone()),
            mapping: Set(finish.mapping.clone()),
            tables_revision: Set(finish.tables_revision),
        });
        outcomes.push(deliveries::ActiveModel {
            state: Set(next.name().to_owned()),
            unfinished: Set(i16::from(!next.is_final())),
            due_at_ms: Set(retry_at(&finish.next)),
            lease_until_ms: Set(None),
            class: Set(Some(finish.class.name().to_owned())),
            in_doubt: Set(i16::from(doubt(row.in_doubt == 1, finish.class))),
            fault_code: Set(finish.fault.as_ref().map(|fault| fault.code.as_str().to_owned())),
            fault: Set(fault),
            remote: Set(far),
            changed_at_ms: Set(finish.now_ms),
            ..row.clone().into_active_model()
        });
    }
    let changed = [
        D::State,
        D::Unfinished,
        D::DueAtMs,
        D::LeaseUntilMs,
        D::Class,
        D::InDoubt,
        D::FaultCode,
        D::Fault,
        D::Remote,
        D::ChangedAtMs,
    ];
    let conflict = OnConflict::column(D::Seq).update_columns(changed).to_owned();
    insert_or::<deliveries::Entity, _>(txn, outcomes, conflict).await?;
    let changed =
        [A::EndedAtMs, A::Class, A::Fault, A::Remote, A::Request, A::Response, A::Mapping, A::TablesRevision];
    let conflict = OnConflict::columns([A::Delivery, A::Attempt]).update_columns(changed).to_owned();
    insert_or::<attempts::Entity, _>(txn, tries, conflict).await
}

async fn consequences(txn: &DatabaseTransaction, ended: &[(&Finish, deliveries::Model)]) -> Result<(), Fail> {
    bind_all(txn, ended.iter().filter_map(|(finish, _)| finish.binding.as_ref()).collect()).await?;
    for (finish, _) in ended {
        for entry in &finish.entries {
            enter(txn, entry, finish.now_ms).await?;
        }
        for said in &finish.payments {
            payments::say(txn, said, finish.now_ms).await?;
        }
        for paper in &finish.papers {
            invoicing::keep(txn, paper, finish.now_ms).await?;
        }
    }
    // One already stored is skipped: `accept` answers `Repeat` or `Conflict` and writes nothing.
    let follow_on = ended.iter().filter(|(finish, _)| !finish.follow_on.is_empty());
    let calls: Vec<Call> = follow_on
        .map(|(finish, _)| Call { intakes: finish.follow_on.clone(), cursor: None, now_ms: finish.now_ms })
        .collect();
    if !calls.is_empty() {
        accept(txn, &calls).await?;
    }
    let again = ended.iter().filter_map(|(finish, row)| {
        Some(outbox_row(&row.id, &row.target, &row.order_key, retry_at(&finish.next)?))
    });
    insert_all::<outbox::Entity, _>(txn, again.collect()).await?;
    // Also when one goes on: a replay may have put an earlier one back, which was told to wait for it.
    let go_on = ended.iter().filter(|(finish, _)| !next_state(&finish.next).is_final());
    let but = go_on.map(|(_, row)| row.seq).collect();
    let places: Vec<Place> = ended.iter().map(|(_, row)| Place::from(row)).collect();
    let now_ms = ended.iter().map(|(finish, _)| finish.now_ms).max().unwrap_or_default();
    wake_heads(txn, &places, &but, now_ms).await
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

/// Stores bindings. Almost always each is the first of its key; whatever is there already is looked at one by one.
async fn bind_all(txn: &DatabaseTransaction, mut bindings: Vec<&Binding>) -> Result<(), Fail> {
    use bindings::Column as B;
    if bindings.is_empty() {
        return Ok(());
    }
    bindings.sort_by(|a, b| (&a.target, &a.kind, &a.key).cmp(&(&b.target, &b.kind, &b.key)));
    let key = [B::Target, B::Kind, B::BusinessKey];
    // MySQL counts a row that was there like one that is new.
    let tells = txn.get_database_backend() != DbBackend::MySql;
    let rows = bindings.iter().map(|binding| binding_row(binding)).collect();
    if !tells || insert_new::<bindings::Entity, _>(txn, rows, &key).await? < bindings.len() {
        for binding in bindings {
            bind(txn, binding).await?;
        }
    }
    Ok(())
}

fn binding_row(binding: &Binding) -> bindings::ActiveModel {
    bindings::ActiveModel {
        target: Set(binding.target.clone()),
        kind: Set(binding.kind.clone()),
        business_key: Set(binding.key.clone()),
        remote_id: Set(binding.remote.id.clone()),
        remote_number: Set(binding.remote.number.clone()),
        remote_step: Set(binding.remote.step.clone()),
        delivery: Set(binding.delivery.clone()),
    }
}

/// Stores a binding; another far-side id under the same key is refused, and none does not replace a known
/// one.
pub async fn bind(txn: &DatabaseTransaction, binding: &Binding) -> Result<(), Fail> {
    let key = (binding.target.clone(), binding.kind.clone(), binding.key.clone());
    let stored = bindings::Entity::find_by_id(key).one(txn).await?;
    let (remote, row) = (&binding.remote, binding_row(binding));
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

/// Stores an entry unless it is there: a revision is never changed, and the newest counts whatever comes last.
async fn enter(txn: &DatabaseTransaction, entry: &LedgerEntry, now_ms: i64) -> Result<(), Fail> {
    use journal::Column;
    limits::entry(entry)?;
    let row = journal::ActiveModel {
        contract: Set(entry.contract.clone()),
        kind: Set(entry.kind.clone()),
        origin: Set(entry.origin.clone()),
        revision: Set(entry.revision),
        amount: Set(entry.amount.clone()),
        currency: Set(entry.currency.clone()),
        event: Set(entry.event.clone()),
        at_ms: Set(entry.at_ms),
        recorded_ms: Set(now_ms),
        customer: Set(entry.customer.clone()),
        facts: Set(entry.facts.clone()),
    };
    TryInsert::<journal::ActiveModel>::one(row)
        .on_conflict_do_nothing_on([Column::Contract, Column::Kind, Column::Origin, Column::Revision])
        .exec_without_returning(txn)
        .await?;
    Ok(())
}
