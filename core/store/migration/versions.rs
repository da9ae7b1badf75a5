//! The second migration: what made a document can be looked at again.

use super::{TextType, long, table};
use crate::entity::{code_history, code_rows, counters, mapping_versions};
use crate::limits::{CODE, KEY, NAME};
use sea_orm::sea_query::{Expr, Index, Query, Table, TableCreateStatement};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbBackend, DbErr, EntityTrait};
use sea_orm_migration::schema::{big_integer, string_len, string_len_null, text, text_null};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// What made a document can be looked at again: the mappings' texts, and what the code tables held.
pub struct Versions;

impl MigrationName for Versions {
    fn name(&self) -> &str {
        "m0002_versions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Versions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let text_type = TextType::of(manager).await?;
        for mut table in version_tables(backend) {
            text_type.apply(&mut table);
            manager.create_table(table).await?;
        }
        days(manager).await?;
        begin_history(manager).await
    }
}

/// Rows get a last day.
async fn days(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    use code_rows::Column::ValidTo;
    if manager.has_column("code_rows", "valid_to").await? {
        return Ok(());
    }
    let mut alter = Table::alter();
    alter.table(code_rows::Entity).add_column(string_len_null(ValidTo, CODE));
    manager.alter_table(alter).await
}

/// The rows there are begin the history, at the revision they are found at; what was before is not known.
async fn begin_history(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    use {code_history::Column as H, code_rows::Column as T};
    let db = manager.get_connection();
    let known_from = counters::TABLES_KNOWN_FROM.to_owned();
    if counters::Entity::find_by_id(known_from.clone()).one(db).await?.is_some() {
        return Ok(());
    }
    let revision = counters::Entity::find_by_id(counters::TABLES.to_owned()).one(db).await?;
    let revision = revision.map_or(0, |row| row.at);
    // Of a migration that was cut off.
    code_history::Entity::delete_many().exec(db).await?;
    let mut rows = Query::select();
    rows.columns([T::TableName, T::SourceCode]).expr(Expr::val(revision));
    rows.columns([T::TargetCode, T::Note, T::ValidTo]).from(code_rows::Entity);
    let mut insert = Query::insert();
    insert.into_table(code_history::Entity);
    insert.columns([H::TableName, H::SourceCode, H::Revision, H::TargetCode, H::Note, H::ValidTo]);
    insert.select_from(rows).map_err(|error| DbErr::Custom(error.to_string()))?;
    db.execute(&insert).await?;
    let row = counters::ActiveModel { name: Set(known_from), at: Set(revision) };
    counters::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

fn version_tables(backend: DbBackend) -> [TableCreateStatement; 2] {
    use {code_history::Column as H, mapping_versions::Column as M};
    [
        table(code_history::Entity)
            .col(string_len(H::TableName, NAME))
            .col(string_len(H::SourceCode, KEY))
            .col(big_integer(H::Revision))
            .col(text_null(H::TargetCode))
            .col(text_null(H::Note))
            .col(string_len_null(H::ValidTo, CODE))
            .primary_key(Index::create().col(H::TableName).col(H::SourceCode).col(H::Revision))
            .to_owned(),
        table(mapping_versions::Entity)
            .col(string_len(M::Version, NAME).primary_key())
            .col(text(M::Name))
            .col(long(backend, text(M::Files)))
            .col(big_integer(M::FirstUsedMs))
            .to_owned(),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::migration::Migrator;
    use sea_orm::{ActiveValue::NotSet, Database};
    use sea_orm_migration::MigratorTrait;

    /// A database of before there was a history: what its tables hold is known from the revision it is found at.
    #[tokio::test]
    async fn a_history_begins_with_the_rows_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/old.db?mode=rwc", folder.path().display());
        let db = Database::connect(&url).await.unwrap();
        Migrator::up(&db, Some(1)).await.unwrap();
        for source in ["A", "B"] {
            let row = code_rows::ActiveModel {
                table_name: Set("customers".into()),
                source_code: Set(source.into()),
                target_code: Set(format!("X{source}")),
                note: Set("甲".into()),
                valid_to: NotSet,
            };
            code_rows::Entity::insert(row).exec_without_returning(&db).await.unwrap();
        }
        let seven = counters::ActiveModel { name: Set(counters::TABLES.to_owned()), at: Set(7) };
        counters::Entity::update(seven).exec(&db).await.unwrap();
        Migrator::up(&db, None).await.unwrap();
        let at = async |revision| crate::tables::rows_at(&db, "customers", revision).await.unwrap();
        let targets = |rows: Vec<tongbao_delivery::port::TableRow>| {
            rows.into_iter().map(|row| (row.source, row.target, row.note)).collect::<Vec<_>>()
        };
        let expected = ["A", "B"].map(|source| (source.into(), format!("X{source}"), "甲".into()));
        assert_eq!(at(7).await.map(targets), Some(expected.to_vec()));
        assert_eq!((at(6).await, at(8).await), (None, None));
    }
}
