//! Processes that take from the queues: a row each, written again and again while it lives.

use crate::entity::processes;
use crate::error::Fail;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
};
use tongbao_delivery::port::Presence;

/// Notes a process; forgets those that were last noted long ago.
pub async fn attend(
    txn: &DatabaseTransaction,
    process: &str,
    now_ms: i64,
    forgotten_ms: i64,
) -> Result<(), Fail> {
    use processes::Column as P;
    processes::Entity::delete_many().filter(P::SeenMs.lt(forgotten_ms)).exec(txn).await?;
    let row = processes::ActiveModel { name: Set(process.to_owned()), seen_ms: Set(now_ms) };
    let again = OnConflict::column(P::Name).update_column(P::SeenMs).to_owned();
    processes::Entity::insert(row).on_conflict(again).exec_without_returning(txn).await?;
    Ok(())
}

/// Removes a process.
pub async fn depart(txn: &DatabaseTransaction, process: &str) -> Result<(), Fail> {
    processes::Entity::delete_by_id(process.to_owned()).exec(txn).await?;
    Ok(())
}

/// All of them, by name.
pub async fn list<C: ConnectionTrait>(db: &C) -> Result<Vec<Presence>, Fail> {
    let rows = processes::Entity::find().order_by_asc(processes::Column::Name).all(db).await?;
    Ok(rows.into_iter().map(|row| Presence { process: row.name, seen_ms: row.seen_ms }).collect())
}
