//! The seventh migration: the history of statements.

use super::{TextType, index, long, table};
use crate::entity::statement_notes as notes;
use crate::limits::{CODE, ID, KEY};
use sea_orm::DbErr;
use sea_orm::sea_query::Index;
use sea_orm_migration::schema::{big_integer, string_len, text};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// The history of statements.
pub struct Statements;

impl MigrationName for Statements {
    fn name(&self) -> &str {
        "m0007_statements"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Statements {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use notes::Column as N;
        let backend = manager.get_database_backend();
        let mut notes_table = table(notes::Entity)
            .col(string_len(N::Month, CODE))
            .col(string_len(N::Customer, KEY))
            .col(big_integer(N::Seq))
            .col(string_len(N::Kind, CODE))
            .col(big_integer(N::Revision))
            .col(big_integer(N::Letter))
            .col(big_integer(N::AtMs))
            .col(big_integer(N::AsOfMs))
            .col(string_len(N::Checksum, KEY))
            .col(string_len(N::Actor, KEY))
            .col(long(backend, text(N::Remark)))
            .col(string_len(N::Event, ID))
            .primary_key(Index::create().col(N::Month).col(N::Customer).col(N::Seq))
            .to_owned();
        TextType::of(manager).await?.apply(&mut notes_table);
        manager.create_table(notes_table).await?;
        // What was disputed of late is looked for every few seconds.
        index(manager, "statement_notes_kind", notes::Entity, &[N::Kind, N::AtMs], false).await
    }
}
