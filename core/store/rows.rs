//! Statements over many rows.
//!
//! Connections keep the statements they have prepared, by their text. A statement over seven rows is another text than
//! one over eight; were every number of rows to have its own, none would be found again. So there are only those over
//! 1, 2, 4, 8 … rows: what is inserted goes in such steps, what is asked for is filled up with repetitions. PostgreSQL
//! takes arrays instead, whose length is not in the text.

use crate::columns;
use crate::entity::outbox;
use crate::error::Fail;
use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, Value,
};

/// Rows per statement: well below every database's limit on parameters. A power of two.
const MOST: usize = 256;

/// A row of the outbox.
pub fn outbox_row(delivery: &str, target: &str, order_key: &str, due_at_ms: i64) -> outbox::ActiveModel {
    outbox::ActiveModel {
        id: NotSet,
        delivery: Set(delivery.to_owned()),
        target: Set(target.to_owned()),
        order_key: Set(order_key.to_owned()),
        due_at_ms: Set(due_at_ms),
    }
}

/// How many rows the next statement has when so many are left.
fn step(left: usize) -> usize {
    if left >= MOST { MOST } else { 1 << left.max(1).ilog2() }
}

/// Inserts any number of rows.
pub async fn insert_all<E, A>(txn: &DatabaseTransaction, rows: Vec<A>) -> Result<(), Fail>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    insert(txn, rows, None).await.map(drop)
}

/// Inserts any number of rows, or does to those that are there what `conflict` says.
pub async fn insert_or<E, A>(
    txn: &DatabaseTransaction,
    rows: Vec<A>,
    conflict: OnConflict,
) -> Result<(), Fail>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    insert(txn, rows, Some(conflict)).await.map(drop)
}

/// Inserts those rows whose key is not there yet; answers how many that were.
pub async fn insert_new<E, A>(
    txn: &DatabaseTransaction,
    rows: Vec<A>,
    key: &[E::Column],
) -> Result<usize, Fail>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    let conflict = OnConflict::columns(key.iter().copied()).do_nothing_on(key.iter().copied()).to_owned();
    let inserted = insert(txn, rows, Some(conflict)).await?;
    Ok(usize::try_from(inserted).unwrap_or(usize::MAX))
}

/// Answers how many rows the database says it has touched.
async fn insert<E, A>(
    txn: &DatabaseTransaction,
    rows: Vec<A>,
    conflict: Option<OnConflict>,
) -> Result<u64, Fail>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    let (mut rows, mut touched) = (rows.into_iter(), 0);
    if txn.get_database_backend() == DbBackend::Postgres
        && let Some(columns) = columns::of::<E, A>(rows.as_slice())
    {
        return columns::insert::<E>(txn, columns, conflict).await;
    }
    while rows.len() > 0 {
        let next = step(rows.len());
        let mut insert = E::insert_many(rows.by_ref().take(next).collect::<Vec<A>>());
        if let Some(conflict) = &conflict {
            insert = insert.on_conflict(conflict.clone());
        }
        touched += insert.exec_without_returning(txn).await?;
    }
    Ok(touched)
}

/// Whether a column holds one of these values.
pub fn among<C, V>(txn: &DatabaseTransaction, column: C, values: impl IntoIterator<Item = V>) -> Expr
where
    C: ColumnTrait,
    V: Into<Value>,
{
    let values: Vec<Value> = values.into_iter().map(Into::into).collect();
    if txn.get_database_backend() == DbBackend::Postgres
        && let Some(array) = columns::array(&values)
    {
        return Expr::col(column.as_column_ref()).eq(PgFunc::any(Expr::val(array)));
    }
    column.is_in(padded(values))
}

/// Values to be asked for with `IN`, filled up to a power of two by repeating the last.
fn padded<T: Clone>(mut values: Vec<T>) -> Vec<T> {
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sizes_of_statements() {
        assert_eq!([1, 2, 3, 7, 8, 100, 256, 1_000].map(step), [1, 2, 2, 4, 8, 64, 256, 256]);
        assert_eq!(padded(vec![1, 2, 3]), [1, 2, 3, 3]);
        assert_eq!(padded(vec![1]), [1]);
        assert!(padded::<u8>(vec![]).is_empty());
    }
}
