//! The third migration: fewer entries in indexes, and texts packed more cheaply.
//!
//! Every change of a delivery's state writes an entry into each of its indexes on PostgreSQL, so an index that is
//! seldom asked costs more than the questions it answers.

use crate::entity::{deliveries, events};
use sea_orm::sea_query::{ConditionalStatement, Expr, ExprTrait, Index, IndexCreateStatement};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityName, Iden, Statement};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Fewer entries in indexes, and texts packed more cheaply.
pub struct Lighter;

impl MigrationName for Lighter {
    fn name(&self) -> &str {
        "m0003_lighter"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Lighter {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use {deliveries::Column as D, events::Column as E};
        // Deliveries of a key are found by way of its events.
        drop(manager, deliveries::Entity, "deliveries_key").await?;
        // MySQL has no indexes over some rows only, and keeps those it has.
        if manager.get_database_backend() != DbBackend::MySql {
            // What is done with is not looked at by the sweeper again.
            let mut published = Index::create();
            published.col(D::State).col(D::PublishedAtMs).and_where(Expr::cust("unfinished = 1"));
            replace(manager, deliveries::Entity, "deliveries_published", published).await?;
            // Most events come from outside.
            let mut cause = Index::create();
            cause.col(E::Cause).and_where(Expr::col(E::Cause).is_not_null());
            replace(manager, events::Entity, "events_cause", cause).await?;
        }
        pack(manager).await
    }
}

async fn replace<T: EntityName + Iden>(
    manager: &SchemaManager<'_>,
    table: T,
    name: &str,
    mut index: IndexCreateStatement,
) -> Result<(), DbErr> {
    drop(manager, table, name).await?;
    manager.create_index(index.name(name).table(table).to_owned()).await
}

async fn drop<T: EntityName + Iden>(manager: &SchemaManager<'_>, table: T, name: &str) -> Result<(), DbErr> {
    if manager.has_index(table.table_name(), name).await? {
        manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
    }
    Ok(())
}

/// Documents are too long for a row of PostgreSQL and are packed. LZ4 does that in a fraction of the time of its own
/// method, and needs a server that was built with it.
async fn pack(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let knows = "SELECT 1 AS known FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)";
    if db.query_one_raw(Statement::from_string(DbBackend::Postgres, knows)).await?.is_none() {
        return Ok(());
    }
    for (table, column) in [("events", "record"), ("attempts", "request"), ("attempts", "response")] {
        db.execute_unprepared(&format!("ALTER TABLE {table} ALTER COLUMN {column} SET COMPRESSION lz4"))
            .await?;
    }
    Ok(())
}
