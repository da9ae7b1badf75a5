//! The history of statements. Notes are added where their history ends; of two who add at once one finds the other's.

use crate::accept::{self, Call};
use crate::entity::{journal, statement_notes as notes};
use crate::error::Fail;
use crate::limits::{self, ID, KEY};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use tongbao_delivery::port::{Accepted, Intake, LedgerEntry, StoreError, Stored};
use tongbao_delivery::statements::{Note, NoteKind, Wanted, goes_on};

/// Characters of a month.
const MONTH: u32 = 7;
/// Characters of a remark.
const REMARK: u32 = 2_000;

/// What is added, checked.
#[derive(Debug, Clone)]
pub struct Ask {
    pub notes: Vec<Note>,
    pub intake: Option<Intake>,
    pub now_ms: i64,
}

impl Ask {
    /// Refuses what no database could keep.
    pub fn new(notes: Vec<Note>, intake: Option<Intake>, now_ms: i64) -> Stored<Ask> {
        for note in &notes {
            limits::fits("month", &note.month, MONTH)?;
            limits::fits("customer", &note.customer, KEY)?;
            limits::fits("checksum", &note.checksum, KEY)?;
            limits::fits("who", &note.who, KEY)?;
            limits::fits("remark", &note.remark, REMARK)?;
            limits::fits("event", &note.event, ID)?;
        }
        intake.iter().try_for_each(limits::intake)?;
        Ok(Ask { notes, intake, now_ms })
    }
}

/// Adds notes and accepts the event that belongs to them. The primary key is the last word: whoever was second runs again
/// and finds that the history has gone on.
pub async fn add(txn: &DatabaseTransaction, ask: &Ask) -> Result<bool, Fail> {
    let Some(first) = ask.notes.first() else { return Ok(false) };
    let last: Option<i64> = notes::Entity::find()
        .select_only()
        .column(notes::Column::Seq)
        .filter(notes::Column::Month.eq(&first.month))
        .filter(notes::Column::Customer.eq(&first.customer))
        .order_by_desc(notes::Column::Seq)
        .limit(1)
        .into_tuple()
        .one(txn)
        .await?;
    if !goes_on(&ask.notes, last.unwrap_or(0)) {
        return Ok(false);
    }
    notes::Entity::insert_many(ask.notes.iter().map(row)).exec_without_returning(txn).await?;
    if let Some(intake) = &ask.intake {
        let call = Call { intakes: vec![intake.clone()], cursor: None, now_ms: ask.now_ms };
        let answers = accept::accept(txn, &[call]).await?;
        if answers.first().and_then(|answers| answers.first()) != Some(&Accepted::New) {
            let why = format!("the event of {} {} is there already", first.customer, first.month);
            return Err(StoreError::Invalid(why).into());
        }
    }
    Ok(true)
}

fn row(note: &Note) -> notes::ActiveModel {
    notes::ActiveModel {
        month: Set(note.month.clone()),
        customer: Set(note.customer.clone()),
        seq: Set(note.seq),
        kind: Set(note.kind.name().to_owned()),
        revision: Set(note.revision),
        letter: Set(note.letter),
        at_ms: Set(note.at_ms),
        as_of_ms: Set(note.as_of_ms),
        checksum: Set(note.checksum.clone()),
        actor: Set(note.who.clone()),
        remark: Set(note.remark.clone()),
        event: Set(note.event.clone()),
    }
}

/// Notes in the order of months, customers and places.
pub async fn list<C: ConnectionTrait>(db: &C, wanted: &Wanted) -> Result<Vec<Note>, Fail> {
    use notes::Column as N;
    let mut all = Condition::all();
    if let Some(customer) = &wanted.customer {
        all = all.add(N::Customer.eq(customer));
    }
    if let Some(month) = &wanted.month {
        all = all.add(N::Month.eq(month));
    }
    if let Some(month) = &wanted.from_month {
        all = all.add(N::Month.gte(month));
    }
    if !wanted.kinds.is_empty() {
        all = all.add(N::Kind.is_in(wanted.kinds.iter().map(|kind| kind.name())));
    }
    if let Some(from_ms) = wanted.from_ms {
        all = all.add(N::AtMs.gte(from_ms));
    }
    if let Some(before_ms) = wanted.before_ms {
        all = all.add(N::AtMs.lt(before_ms));
    }
    if let Some((month, customer, seq)) = &wanted.after {
        let same_customer = N::Month.eq(month).and(N::Customer.eq(customer)).and(N::Seq.gt(*seq));
        let same_month = N::Month.eq(month).and(N::Customer.gt(customer));
        all = all.add(N::Month.gt(month).or(same_month).or(same_customer));
    }
    let rows = notes::Entity::find()
        .filter(all)
        .order_by_asc(N::Month)
        .order_by_asc(N::Customer)
        .order_by_asc(N::Seq)
        .limit(wanted.most())
        .all(db)
        .await?;
    rows.into_iter().map(shown).collect()
}

fn shown(row: notes::Model) -> Result<Note, Fail> {
    let kind = NoteKind::from_name(&row.kind)
        .ok_or_else(|| StoreError::Corrupt(format!("unknown kind of note {:?}", row.kind)))?;
    Ok(Note {
        month: row.month,
        customer: row.customer,
        seq: row.seq,
        kind,
        revision: row.revision,
        letter: row.letter,
        at_ms: row.at_ms,
        as_of_ms: row.as_of_ms,
        checksum: row.checksum,
        who: row.actor,
        remark: row.remark,
        event: row.event,
    })
}

/// Codes of the customers whom contracts name, in order, after one of them.
pub async fn customers<C: ConnectionTrait>(db: &C, after: &str, limit: u64) -> Result<Vec<String>, Fail> {
    use journal::Column as L;
    let codes = journal::Entity::find()
        .select_only()
        .column(L::Customer)
        .distinct()
        .filter(L::Kind.eq(LedgerEntry::ORDERED))
        .filter(L::Customer.gt(after))
        .order_by_asc(L::Customer)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    Ok(codes)
}
