//! Papers for the control of invoices: of each (contract, kind, number) the newest revision.
//!
//! Most come with the outcome of a delivery, whose lane keeps others of the same contract waiting. What a person does comes by
//! itself: whoever does it says which revision he has seen, and where somebody was faster nothing is written.

use crate::accept::{Call, accept};
use crate::entity::invoice_papers as papers;
use crate::error::Fail;
use crate::limits::{self, CODE, ID, KEY};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, TryInsert,
};
use tongbao_delivery::invoicing::{InvoicePaper, PaperFilter};
use tongbao_delivery::port::{Accepted, Intake, StoreError, Stored};

/// Papers in one answer when the caller names no number, and at most.
const USUAL: u64 = 1_000;
const MOST: u64 = 10_000;

/// Refuses what no database could keep.
pub fn keepable(paper: &InvoicePaper) -> Stored<()> {
    limits::fits("contract", &paper.contract, KEY)?;
    limits::fits("paper kind", &paper.kind, CODE)?;
    limits::fits("paper", &paper.number, KEY)?;
    limits::fits("state", &paper.state, CODE)?;
    limits::fits("event", &paper.event, ID)?;
    limits::fits("customer", paper.customer.as_deref().unwrap_or_default(), KEY)?;
    limits::whole("record", &paper.record)
}

/// Keeps a paper, unless the same revision or a newer one is there.
pub async fn keep(txn: &DatabaseTransaction, paper: &InvoicePaper, now_ms: i64) -> Result<(), Fail> {
    use papers::Column as P;
    TryInsert::<papers::ActiveModel>::one(row(paper, now_ms))
        .on_conflict_do_nothing_on([P::Contract, P::Kind, P::Number])
        .exec_without_returning(txn)
        .await?;
    papers::Entity::update_many()
        .set(row(paper, now_ms))
        .filter(is_it(paper))
        .filter(P::Revision.lt(paper.revision))
        .exec(txn)
        .await?;
    Ok(())
}

/// Stores the next revision of papers with events. A paper that is there is locked before it is compared; of two who bring the
/// same new one the second finds it when he runs again, which its primary key makes him do.
pub async fn revise(
    txn: &DatabaseTransaction,
    papers: &[InvoicePaper],
    intakes: &[Intake],
    now_ms: i64,
) -> Result<bool, Fail> {
    // All lock in one order.
    let mut ordered: Vec<&InvoicePaper> = papers.iter().collect();
    ordered.sort_by(|a, b| key(a).cmp(&key(b)));
    for paper in &ordered {
        let (contract, kind, number) = key(paper);
        let known = (contract.to_owned(), kind.to_owned(), number.to_owned());
        let mut query = papers::Entity::find_by_id(known);
        if txn.get_database_backend() != DbBackend::Sqlite {
            query = query.lock_exclusive();
        }
        let revision = query.one(txn).await?.map_or(0, |row| row.revision);
        if revision.checked_add(1) != Some(paper.revision) {
            return Ok(false);
        }
    }
    for paper in ordered {
        if paper.revision == 1 {
            papers::Entity::insert(row(paper, now_ms)).exec_without_returning(txn).await?;
        } else {
            papers::Entity::update_many().set(row(paper, now_ms)).filter(is_it(paper)).exec(txn).await?;
        }
    }
    if intakes.is_empty() {
        return Ok(true);
    }
    let answers = accept(txn, &[Call { intakes: intakes.to_vec(), cursor: None, now_ms }]).await?;
    match answers.iter().flatten().zip(intakes).find(|(answer, _)| **answer != Accepted::New) {
        None => Ok(true),
        Some((_, intake)) => {
            let why = format!("the event {} {} is there already", intake.event.kind, intake.event.key);
            Err(StoreError::Invalid(why).into())
        }
    }
}

/// Everything of a contract, by kind and number.
pub async fn of_contract<C: ConnectionTrait>(db: &C, contract: &str) -> Result<Vec<InvoicePaper>, Fail> {
    use papers::Column as P;
    let query = papers::Entity::find().filter(P::Contract.eq(contract));
    let rows = query.order_by_asc(P::Kind).order_by_asc(P::Number).all(db).await?;
    Ok(rows.into_iter().map(paper).collect())
}

/// Papers of a filter, by contract, kind and number.
pub async fn list<C: ConnectionTrait>(db: &C, filter: &PaperFilter) -> Result<Vec<InvoicePaper>, Fail> {
    use papers::Column as P;
    let mut which = Condition::all();
    let narrowed = [
        (P::Kind, &filter.kind),
        (P::State, &filter.state),
        (P::Customer, &filter.customer),
        (P::Number, &filter.number),
    ];
    for (column, wanted) in narrowed {
        if let Some(wanted) = wanted {
            which = which.add(column.eq(wanted));
        }
    }
    if let Some((contract, kind, number)) = &filter.after {
        let same_kind =
            Condition::all().add(P::Contract.eq(contract)).add(P::Kind.eq(kind)).add(P::Number.gt(number));
        let same_contract = Condition::all().add(P::Contract.eq(contract)).add(P::Kind.gt(kind));
        which = which.add(Condition::any().add(P::Contract.gt(contract)).add(same_contract).add(same_kind));
    }
    let limit = if filter.limit == 0 { USUAL } else { std::cmp::min(filter.limit, MOST) };
    let rows = papers::Entity::find()
        .filter(which)
        .order_by_asc(P::Contract)
        .order_by_asc(P::Kind)
        .order_by_asc(P::Number)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(paper).collect())
}

fn key(paper: &InvoicePaper) -> (&str, &str, &str) {
    (&paper.contract, &paper.kind, &paper.number)
}

fn is_it(paper: &InvoicePaper) -> Condition {
    use papers::Column as P;
    Condition::all()
        .add(P::Contract.eq(&paper.contract))
        .add(P::Kind.eq(&paper.kind))
        .add(P::Number.eq(&paper.number))
}

fn row(paper: &InvoicePaper, now_ms: i64) -> papers::ActiveModel {
    papers::ActiveModel {
        contract: Set(paper.contract.clone()),
        kind: Set(paper.kind.clone()),
        number: Set(paper.number.clone()),
        revision: Set(paper.revision),
        state: Set(paper.state.clone()),
        event: Set(paper.event.clone()),
        at_ms: Set(paper.at_ms),
        customer: Set(paper.customer.clone()),
        record: Set(paper.record.clone()),
        changed_ms: Set(now_ms),
    }
}

fn paper(row: papers::Model) -> InvoicePaper {
    InvoicePaper {
        contract: row.contract,
        kind: row.kind,
        number: row.number,
        revision: row.revision,
        state: row.state,
        event: row.event,
        at_ms: row.at_ms,
        customer: row.customer,
        record: row.record,
    }
}
