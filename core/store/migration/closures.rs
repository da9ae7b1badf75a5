//! The fifth migration: months whose books are closed.

use super::{TextType, counter, table};
use crate::entity::{closures, counters};
use crate::limits::{CODE, KEY};
use sea_orm::DbErr;
use sea_orm_migration::schema::{big_integer, big_integer_null, string_len, string_len_null, text};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Months whose books are closed.
pub struct Closures;

impl MigrationName for Closures {
    fn name(&self) -> &str {
        "m0005_closures"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Closures {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use closures::Column as C;
        let mut closures = table(closures::Entity)
            .col(big_integer(C::AtMs).primary_key())
            .col(string_len(C::Month, CODE))
            .col(big_integer(C::ThroughMs))
            .col(string_len(C::Actor, KEY))
            .col(text(C::Reason))
            .col(big_integer_null(C::ReopenedMs))
            .col(string_len_null(C::ReopenedBy, KEY))
            .to_owned();
        TextType::of(manager).await?.apply(&mut closures);
        manager.create_table(closures).await?;
        counter(manager, counters::CLOSURES).await
    }
}
