//! Importing code tables, and what they held before.

use crate::convert;
use crate::entity::{code_history, code_rows, counters};
use crate::error::Fail;
use crate::rows::insert_all;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait,
    QueryFilter, QueryOrder,
};
use std::collections::{BTreeMap, BTreeSet};
use tongbao_delivery::port::{ImportMode, StoreError, Stored, TableRow};

/// One import, checked.
#[derive(Debug, Clone)]
pub struct Import {
    table: String,
    rows: BTreeMap<String, TableRow>,
    mode: ImportMode,
}

impl Import {
    /// Refuses rows of another table and source codes that come twice: which one would hold is a guess.
    pub fn new(table: &str, rows: Vec<TableRow>, mode: ImportMode) -> Stored<Self> {
        let mut by_source = BTreeMap::new();
        for row in rows {
            crate::limits::table_row(&row)?;
            if row.table != table {
                let text = format!("a row of table {:?} in an import of {table:?}", row.table);
                return Err(StoreError::Invalid(text));
            }
            if let Some(twice) = by_source.insert(row.source.clone(), row) {
                return Err(StoreError::Invalid(format!("source code {:?} comes twice", twice.source)));
            }
        }
        Ok(Import { table: table.to_owned(), rows: by_source, mode })
    }
}

/// Imports; answers (added, changed, removed).
pub async fn import(txn: &DatabaseTransaction, import: &Import) -> Result<(u64, u64, u64), Fail> {
    use code_rows::Column as T;
    // First of all, because it makes imports wait for each other.
    counters::Entity::update_many()
        .col_expr(counters::Column::At, Expr::col(counters::Column::At).add(1))
        .filter(counters::Column::Name.eq(counters::TABLES))
        .exec(txn)
        .await?;
    let stored = code_rows::Entity::find().filter(T::TableName.eq(&import.table)).all(txn).await?;
    let stored: BTreeMap<String, code_rows::Model> =
        stored.into_iter().map(|row| (row.source_code.clone(), row)).collect();
    let (mut added, mut changed, mut removed) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for row in import.rows.values() {
        match stored.get(&row.source) {
            Some(known) if convert::table_row(known.clone()) == *row => continue,
            Some(_) => drop(changed.insert(row.source.clone())),
            None => {}
        }
        added.push(code_rows::ActiveModel {
            table_name: Set(row.table.clone()),
            source_code: Set(row.source.clone()),
            target_code: Set(row.target.clone()),
            note: Set(row.note.clone()),
            valid_to: Set(Some(row.valid_to.clone()).filter(|day| !day.is_empty())),
        });
    }
    if import.mode == ImportMode::Replace {
        removed.extend(stored.into_keys().filter(|source| !import.rows.contains_key(source)));
    }
    let gone: Vec<&String> = changed.iter().chain(&removed).collect();
    for chunk in gone.chunks(500) {
        code_rows::Entity::delete_many()
            .filter(T::TableName.eq(&import.table))
            .filter(T::SourceCode.is_in(chunk.iter().map(|source| source.as_str())))
            .exec(txn)
            .await?;
    }
    let revision = revision(txn).await?;
    let mut history: Vec<code_history::ActiveModel> =
        added.iter().filter_map(|row| history_row(row, revision)).collect();
    history.extend(removed.iter().map(|source| code_history::ActiveModel {
        table_name: Set(import.table.clone()),
        source_code: Set(source.clone()),
        revision: Set(revision),
        target_code: Set(None),
        note: Set(None),
        valid_to: Set(None),
    }));
    insert_all::<code_history::Entity, _>(txn, history).await?;
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let new = count(added.len().saturating_sub(changed.len()));
    insert_all::<code_rows::Entity, _>(txn, added).await?;
    Ok((new, count(changed.len()), count(removed.len())))
}

fn history_row(row: &code_rows::ActiveModel, revision: i64) -> Option<code_history::ActiveModel> {
    Some(code_history::ActiveModel {
        table_name: Set(row.table_name.try_as_ref()?.clone()),
        source_code: Set(row.source_code.try_as_ref()?.clone()),
        revision: Set(revision),
        target_code: Set(row.target_code.try_as_ref().cloned()),
        note: Set(row.note.try_as_ref().cloned()),
        valid_to: row.valid_to.clone(),
    })
}

/// The revision the tables stand at.
pub async fn revision(db: &impl ConnectionTrait) -> Result<i64, Fail> {
    counter(db, counters::TABLES).await
}

async fn counter(db: &impl ConnectionTrait, name: &str) -> Result<i64, Fail> {
    let row = counters::Entity::find_by_id(name.to_owned()).one(db).await?;
    Ok(row.map_or(0, |row| row.at))
}

/// The rows of a table as they were at a revision; `None` where that is not known. Imports wait for each other, so
/// that whoever has seen a revision sees all that led to it.
pub async fn rows_at(
    db: &DatabaseConnection,
    table: &str,
    revision: i64,
) -> Result<Option<Vec<TableRow>>, Fail> {
    use code_history::Column as H;
    let known = counter(db, counters::TABLES_KNOWN_FROM).await?..=self::revision(db).await?;
    if !known.contains(&revision) {
        return Ok(None);
    }
    let changes = code_history::Entity::find()
        .filter(H::TableName.eq(table))
        .filter(H::Revision.lte(revision))
        .order_by_asc(H::SourceCode)
        .order_by_asc(H::Revision)
        .all(db)
        .await?;
    let mut rows = BTreeMap::new();
    for change in changes {
        match change.target_code {
            None => drop(rows.remove(&change.source_code)),
            Some(target) => {
                let row = TableRow {
                    table: change.table_name,
                    source: change.source_code.clone(),
                    target,
                    note: change.note.unwrap_or_default(),
                    valid_to: change.valid_to.unwrap_or_default(),
                };
                rows.insert(change.source_code, row);
            }
        }
    }
    Ok(Some(rows.into_values().collect()))
}
