//! Payments, and what they are allocated to.
//!
//! What a document says is put in with the outcome of its delivery; the newest revision stays, whatever comes last.
//! Decisions go through one counter: whoever decides says how often it had been done when he looked, and where somebody was
//! faster nothing is written. So what two look at at once is never used by both.

use crate::accept::{Call, accept};
use crate::convert::{entry, remote};
use crate::entity::{allocations, counters, deliveries, journal, payments};
use crate::error::Fail;
use crate::limits::{self, CODE, ID, KEY, NAME};
use crate::rows::insert_all;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, TryInsert,
};
use tongbao_delivery::payments::{
    Accounts, Allocation, LearnedPayer, Payment, PaymentBook, PaymentFilter, PaymentSaid, Settling,
};
use tongbao_delivery::port::{LedgerEntry, StoreError, Stored};
use tongbao_model::event::kinds;

/// Payments in one answer when the caller names no number, and at most.
const USUAL: u64 = 1_000;
const MOST: u64 = 10_000;
/// Numbers in one question.
const ASKED: usize = 256;

/// Refuses what no database could keep.
pub fn sayable(said: &PaymentSaid) -> Stored<()> {
    limits::fits("payment", &said.number, KEY)?;
    limits::fits("event", &said.event, ID)?;
    limits::fits("payment kind", &said.kind, CODE)?;
    limits::fits("currency", &said.currency, CODE)?;
    limits::fits("customer", said.customer.as_deref().unwrap_or_default(), KEY)?;
    limits::fits("contract", said.contract.as_deref().unwrap_or_default(), KEY)?;
    let texts = [&said.reference, &said.party, &said.party_account, &said.text];
    texts.into_iter().flatten().try_for_each(|text| limits::whole("text", text))?;
    limits::whole("amount", &said.amount)
}

/// Refuses a decision that no database could keep.
pub fn settleable(settling: &Settling) -> Stored<()> {
    limits::fits("pair", settling.pair.as_deref().unwrap_or_default(), KEY)?;
    limits::whole("verdict", settling.verdict.as_deref().unwrap_or_default())?;
    if let Some(undo) = &settling.undo {
        limits::fits("who", &undo.who, KEY)?;
        limits::whole("reason", &undo.why)?;
    }
    settling.events.iter().try_for_each(limits::intake)?;
    settling.allocations.iter().try_for_each(|one| {
        limits::fits("contract", &one.contract, KEY)?;
        limits::fits("invoice", one.paper.as_deref().unwrap_or_default(), KEY)?;
        limits::fits("rule", &one.rule, NAME)?;
        limits::fits("who", one.who.as_deref().unwrap_or_default(), KEY)?;
        limits::fits("customer", one.customer.as_deref().unwrap_or_default(), KEY)?;
        limits::fits("currency", &one.currency, CODE)?;
        limits::whole("reasons", &one.reasons)
    })
}

/// Keeps what a document says, unless a newer one has been heard.
pub async fn say(txn: &DatabaseTransaction, said: &PaymentSaid, now_ms: i64) -> Result<(), Fail> {
    use payments::Column as P;
    sayable(said)?;
    let row = payments::ActiveModel { turn: Set(0), by_hand: Set(0), pair: Set(None), ..says(said, now_ms) };
    TryInsert::<payments::ActiveModel>::one(row)
        .on_conflict_do_nothing_on([P::Book, P::Number])
        .exec_without_returning(txn)
        .await?;
    payments::Entity::update_many()
        .set(says(said, now_ms))
        .filter(P::Book.eq(said.book.name()))
        .filter(P::Number.eq(&said.number))
        .filter(P::Revision.lt(said.revision))
        .exec(txn)
        .await?;
    Ok(())
}

fn says(said: &PaymentSaid, now_ms: i64) -> payments::ActiveModel {
    payments::ActiveModel {
        book: Set(said.book.name().to_owned()),
        number: Set(said.number.clone()),
        revision: Set(said.revision),
        event: Set(said.event.clone()),
        kind: Set(said.kind.clone()),
        reversed: Set(i16::from(said.reversed)),
        amount: Set(said.amount.clone()),
        currency: Set(said.currency.clone()),
        at_ms: Set(said.at_ms),
        bank_reference: Set(said.reference.clone()),
        party: Set(said.party.clone()),
        party_account: Set(said.party_account.clone()),
        purpose: Set(said.text.clone()),
        customer: Set(said.customer.clone()),
        contract: Set(said.contract.clone()),
        undecided: Set(1),
        verdict: Set(None),
        changed_ms: Set(now_ms),
        ..Default::default()
    }
}

/// Stores decisions, if nothing was decided since.
pub async fn settle(
    txn: &DatabaseTransaction,
    turn: i64,
    settlings: &[Settling],
    now_ms: i64,
) -> Result<bool, Fail> {
    let counted = counters::Entity::update_many()
        .col_expr(counters::Column::At, Expr::col(counters::Column::At).add(1))
        .filter(counters::Column::Name.eq(counters::PAYMENTS))
        .filter(counters::Column::At.eq(turn))
        .exec(txn)
        .await?;
    if counted.rows_affected == 0 {
        return Ok(false);
    }
    for settling in settlings {
        if !is_as_looked_at(txn, settling).await? {
            return Ok(false);
        }
    }
    for settling in settlings {
        decide(txn, settling, now_ms).await?;
    }
    let rows = settlings.iter().flat_map(|settling| &settling.allocations).map(allocation_row).collect();
    insert_all::<allocations::Entity, _>(txn, rows).await?;
    let intakes: Vec<_> = settlings.iter().flat_map(|settling| settling.events.iter().cloned()).collect();
    if !intakes.is_empty() {
        accept(txn, &[Call { intakes, cursor: None, now_ms }]).await?;
    }
    Ok(true)
}

/// Locks the payment: a newer document waits for the decision, and opens the payment again after it.
async fn is_as_looked_at(txn: &DatabaseTransaction, settling: &Settling) -> Result<bool, Fail> {
    let key = (settling.book.name().to_owned(), settling.number.clone());
    let mut query = payments::Entity::find_by_id(key);
    if txn.get_database_backend() != DbBackend::Sqlite {
        query = query.lock_exclusive();
    }
    let row = query.one(txn).await?;
    Ok(row.is_some_and(|row| row.revision == settling.revision && row.turn == settling.turn))
}

async fn decide(txn: &DatabaseTransaction, settling: &Settling, now_ms: i64) -> Result<(), Fail> {
    if let Some(undo) = &settling.undo {
        use allocations::Column as A;
        let undone = allocations::ActiveModel {
            undone_ms: Set(Some(now_ms)),
            undone_by: Set(Some(undo.who.clone())),
            undone_why: Set(Some(undo.why.clone())),
            ..Default::default()
        };
        allocations::Entity::update_many()
            .set(undone)
            .filter(A::Book.eq(settling.book.name()))
            .filter(A::Number.eq(&settling.number))
            .filter(A::UndoneMs.is_null())
            .exec(txn)
            .await?;
    }
    let row = payments::ActiveModel {
        book: Set(settling.book.name().to_owned()),
        number: Set(settling.number.clone()),
        turn: Set(settling.turn.saturating_add(1)),
        undecided: Set(i16::from(settling.open)),
        by_hand: Set(i16::from(settling.by_hand)),
        pair: Set(settling.pair.clone()),
        verdict: Set(settling.verdict.clone()),
        changed_ms: Set(now_ms),
        ..Default::default()
    };
    payments::Entity::update(row).exec_without_returning(txn).await?;
    Ok(())
}

fn allocation_row(one: &Allocation) -> allocations::ActiveModel {
    allocations::ActiveModel {
        book: Set(one.book.name().to_owned()),
        number: Set(one.number.clone()),
        turn: Set(one.turn),
        place: Set(one.place),
        contract: Set(one.contract.clone()),
        paper: Set(one.paper.clone()),
        amount: Set(one.amount.clone()),
        fee: Set(one.fee.clone()),
        currency: Set(one.currency.clone()),
        customer: Set(one.customer.clone()),
        revision: Set(one.revision),
        rule: Set(one.rule.clone()),
        actor: Set(one.who.clone()),
        reasons: Set(one.reasons.clone()),
        at_ms: Set(one.at_ms),
        undone_ms: Set(one.undone_ms),
        undone_by: Set(one.undone_by.clone()),
        undone_why: Set(one.undone_why.clone()),
    }
}

/// How often something was decided.
pub async fn turn<C: ConnectionTrait>(db: &C) -> Result<i64, Fail> {
    let row = counters::Entity::find_by_id(counters::PAYMENTS.to_owned()).one(db).await?;
    Ok(row.map_or(0, |row| row.at))
}

/// Payments, by book and number.
pub async fn list<C: ConnectionTrait>(db: &C, filter: &PaymentFilter) -> Result<Vec<Payment>, Fail> {
    use payments::Column as P;
    let mut which = Condition::all();
    if let Some(book) = filter.book {
        which = which.add(P::Book.eq(book.name()));
    }
    if let Some(open) = filter.open {
        which = which.add(P::Undecided.eq(i16::from(open)));
    }
    if let Some(paired) = filter.paired {
        which = which.add(if paired { P::Pair.is_not_null() } else { P::Pair.is_null() });
    }
    if let Some(from_ms) = filter.from_ms {
        which = which.add(P::AtMs.gte(from_ms));
    }
    if let Some(before_ms) = filter.before_ms {
        which = which.add(P::AtMs.lt(before_ms));
    }
    if let Some((book, number)) = &filter.after {
        let later = Condition::all().add(P::Book.eq(book.name())).add(P::Number.gt(number));
        which = which.add(Condition::any().add(P::Book.gt(book.name())).add(later));
    }
    let limit = if filter.limit == 0 { USUAL } else { std::cmp::min(filter.limit, MOST) };
    let query = payments::Entity::find().filter(which).order_by_asc(P::Book).order_by_asc(P::Number);
    let rows = query.limit(limit).all(db).await?;
    Ok(rows.into_iter().map(payment).collect::<Stored<_>>()?)
}

/// One payment, with what it was ever allocated to.
pub async fn one<C: ConnectionTrait>(
    db: &C,
    book: PaymentBook,
    number: &str,
) -> Result<Option<(Payment, Vec<Allocation>)>, Fail> {
    let key = (book.name().to_owned(), number.to_owned());
    let Some(row) = payments::Entity::find_by_id(key).one(db).await? else { return Ok(None) };
    let theirs = allocations_of(db, book, &[number.to_owned()]).await?;
    Ok(Some((payment(row)?, theirs)))
}

/// What payments were ever allocated to, oldest decisions first.
pub async fn allocations_of<C: ConnectionTrait>(
    db: &C,
    book: PaymentBook,
    numbers: &[String],
) -> Result<Vec<Allocation>, Fail> {
    use allocations::Column as A;
    let mut found = Vec::new();
    for chunk in numbers.chunks(ASKED) {
        let rows = allocations::Entity::find()
            .filter(A::Book.eq(book.name()))
            .filter(A::Number.is_in(chunk))
            .all(db)
            .await?;
        for row in rows {
            found.push(allocation(row)?);
        }
    }
    found.sort_by(|a, b| (&a.number, a.turn, a.place).cmp(&(&b.number, b.turn, b.place)));
    Ok(found)
}

/// The accounts of so many contracts after one.
pub async fn accounts<C: ConnectionTrait>(db: &C, after: Option<&str>, limit: u64) -> Result<Accounts, Fail> {
    use {allocations::Column as A, journal::Column as J};
    let mut query = journal::Entity::find().select_only().column(J::Contract).distinct();
    if let Some(after) = after {
        query = query.filter(J::Contract.gt(after));
    }
    let limit = limit.clamp(1, MOST);
    let contracts: Vec<String> = query.order_by_asc(J::Contract).limit(limit).into_tuple().all(db).await?;
    let (Some(first), Some(last)) = (contracts.first(), contracts.last()) else {
        return Ok(Accounts::default());
    };
    let known =
        journal::Entity::find().filter(J::Contract.gte(first)).filter(J::Contract.lte(last)).all(db).await?;
    let rows = allocations::Entity::find()
        .filter(A::Contract.gte(first))
        .filter(A::Contract.lte(last))
        .all(db)
        .await?;
    let numbers = numbers(db, first, last).await?;
    let is_all = u64::try_from(contracts.len()).unwrap_or(u64::MAX) < limit;
    Ok(Accounts {
        entries: LedgerEntry::newest(known.into_iter().map(entry)),
        allocations: rows.into_iter().map(allocation).collect::<Stored<_>>()?,
        numbers,
        next: (!is_all).then(|| last.clone()),
    })
}

/// What far sides call the documents that were made of contracts.
async fn numbers<C: ConnectionTrait>(db: &C, first: &str, last: &str) -> Result<Vec<(String, String)>, Fail> {
    use deliveries::Column as D;
    let rows: Vec<(String, Option<String>)> = deliveries::Entity::find()
        .select_only()
        .columns([D::BusinessKey, D::Remote])
        .filter(D::BusinessKey.gte(first))
        .filter(D::BusinessKey.lte(last))
        .filter(D::Kind.eq(kinds::CONTRACT_SIGNED))
        .filter(D::Remote.is_not_null())
        .into_tuple()
        .all(db)
        .await?;
    let mut numbers = Vec::new();
    for (contract, far) in rows {
        let number = remote(far)?.map(|far| far.number).unwrap_or_default();
        if !number.is_empty() && number != contract {
            numbers.push((contract, number));
        }
    }
    Ok(numbers)
}

/// Under what customers pay, as far as a person has said so.
pub async fn learned<C: ConnectionTrait>(db: &C) -> Result<Vec<LearnedPayer>, Fail> {
    use allocations::Column as A;
    let decided: Vec<(String, String, String)> = allocations::Entity::find()
        .select_only()
        .columns([A::Book, A::Number, A::Customer])
        .distinct()
        .filter(A::Actor.is_not_null())
        .filter(A::UndoneMs.is_null())
        .filter(A::Customer.is_not_null())
        .into_tuple()
        .all(db)
        .await?;
    let mut learned = std::collections::BTreeSet::new();
    for chunk in decided.chunks(ASKED) {
        let numbers = chunk.iter().map(|(_, number, _)| number.as_str());
        let rows = payments::Entity::find().filter(payments::Column::Number.is_in(numbers)).all(db).await?;
        for (book, number, customer) in chunk {
            let row = rows.iter().find(|row| row.book == *book && row.number == *number);
            learned.extend(row.map(|row| LearnedPayer {
                customer: customer.clone(),
                name: row.party.clone(),
                account: row.party_account.clone(),
            }));
        }
    }
    Ok(learned.into_iter().collect())
}

fn book(name: &str) -> Stored<PaymentBook> {
    PaymentBook::from_name(name).ok_or_else(|| StoreError::Corrupt(format!("unknown book {name:?}")))
}

fn payment(row: payments::Model) -> Stored<Payment> {
    let said = PaymentSaid {
        book: book(&row.book)?,
        number: row.number,
        revision: row.revision,
        event: row.event,
        kind: row.kind,
        reversed: row.reversed != 0,
        amount: row.amount,
        currency: row.currency,
        at_ms: row.at_ms,
        reference: row.bank_reference,
        party: row.party,
        party_account: row.party_account,
        text: row.purpose,
        customer: row.customer,
        contract: row.contract,
    };
    Ok(Payment {
        said,
        turn: row.turn,
        open: row.undecided != 0,
        by_hand: row.by_hand != 0,
        pair: row.pair,
        verdict: row.verdict,
    })
}

fn allocation(row: allocations::Model) -> Stored<Allocation> {
    Ok(Allocation {
        book: book(&row.book)?,
        number: row.number,
        turn: row.turn,
        place: row.place,
        contract: row.contract,
        paper: row.paper,
        amount: row.amount,
        fee: row.fee,
        currency: row.currency,
        customer: row.customer,
        revision: row.revision,
        rule: row.rule,
        who: row.actor,
        reasons: row.reasons,
        at_ms: row.at_ms,
        undone_ms: row.undone_ms,
        undone_by: row.undone_by,
        undone_why: row.undone_why,
    })
}
