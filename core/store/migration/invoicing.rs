//! The eighth migration: papers for the control of invoices.

use super::{TextType, index, long, table};
use crate::entity::invoice_papers as papers;
use crate::limits::{CODE, ID, KEY};
use sea_orm::DbErr;
use sea_orm::sea_query::Index;
use sea_orm_migration::schema::{big_integer, string_len, string_len_null, text};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Papers for the control of invoices.
pub struct Invoicing;

impl MigrationName for Invoicing {
    fn name(&self) -> &str {
        "m0008_invoicing"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Invoicing {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use papers::Column as P;
        let backend = manager.get_database_backend();
        let mut papers_table = table(papers::Entity)
            .col(string_len(P::Contract, KEY))
            .col(string_len(P::Kind, CODE))
            .col(string_len(P::Number, KEY))
            .col(big_integer(P::Revision))
            .col(string_len(P::State, CODE))
            .col(string_len(P::Event, ID))
            .col(big_integer(P::AtMs))
            .col(string_len_null(P::Customer, KEY))
            .col(long(backend, text(P::Record)))
            .col(big_integer(P::ChangedMs))
            .primary_key(Index::create().col(P::Contract).col(P::Kind).col(P::Number))
            .to_owned();
        TextType::of(manager).await?.apply(&mut papers_table);
        manager.create_table(papers_table).await?;
        // What waits is asked for by customer, an order by its number.
        index(manager, "invoice_papers_state", papers::Entity, &[P::State, P::Kind], false).await?;
        index(manager, "invoice_papers_number", papers::Entity, &[P::Number], false).await
    }
}
