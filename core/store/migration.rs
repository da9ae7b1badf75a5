//! The schema, once for all databases.

mod closures;
mod invoicing;
mod journal;
mod lighter;
mod payments;
mod statements;
mod versions;

use crate::entity::lane_locks::SLOTS;
use crate::entity::{
    archived, attempts, bindings, code_rows, counters, cursors, deliveries, events, holds, lane_locks,
    ledger, outbox, processes,
};
use crate::limits::{CODE, ID, KEY, NAME};
use closures::Closures;
use invoicing::Invoicing;
use journal::Journal;
use lighter::Lighter;
use payments::Payments;
use sea_orm::sea_query::{ColumnDef, Index, IntoIden, Table, TableCreateStatement};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbBackend, DbErr, EntityTrait, Statement};
use sea_orm_migration::schema::{
    big_integer, big_integer_null, big_pk_auto, integer, small_integer, string_len, string_len_null, text,
    text_null,
};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};
use statements::Statements;
use versions::Versions;

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(First),
            Box::new(Versions),
            Box::new(Lighter),
            Box::new(Journal),
            Box::new(Closures),
            Box::new(Payments),
            Box::new(Statements),
            Box::new(Invoicing),
        ]
    }
}

struct First;

impl MigrationName for First {
    fn name(&self) -> &str {
        "m0001_first"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let text_type = TextType::of(manager).await?;
        for mut table in
            [events_table(backend), deliveries_table(backend), attempts_table(backend), outbox_table()]
                .into_iter()
                .chain(other_tables(backend))
        {
            text_type.apply(&mut table);
            manager.create_table(table).await?;
        }
        indexes(manager).await?;
        seed(manager).await
    }
}

/// How texts are kept and compared.
///
/// Case and trailing blanks must matter in keys as they do on SQLite and PostgreSQL. On MySQL and MariaDB only
/// a binary collation without padding does that, and each calls it differently.
enum TextType {
    Own,
    Collation(&'static str),
}

impl TextType {
    async fn of(manager: &SchemaManager<'_>) -> Result<Self, DbErr> {
        if manager.get_database_backend() != DbBackend::MySql {
            return Ok(TextType::Own);
        }
        let query = Statement::from_string(DbBackend::MySql, "SELECT VERSION() AS version");
        let row = manager.get_connection().query_one_raw(query).await?;
        let version: String = row.map(|row| row.try_get("", "version")).transpose()?.unwrap_or_default();
        Ok(TextType::Collation(if version.contains("MariaDB") {
            "utf8mb4_nopad_bin"
        } else {
            "utf8mb4_0900_bin"
        }))
    }

    fn apply(&self, table: &mut TableCreateStatement) {
        if let TextType::Collation(name) = self {
            table.engine("InnoDB").character_set("utf8mb4").collate(*name);
        }
    }
}

fn table<T: EntityTrait>(entity: T) -> TableCreateStatement {
    Table::create().table(entity).if_not_exists().to_owned()
}

fn events_table(backend: DbBackend) -> TableCreateStatement {
    use events::Column::*;
    table(events::Entity)
        .col(string_len(Id, ID).primary_key())
        .col(string_len(Kind, NAME))
        .col(string_len(Source, NAME))
        .col(string_len(BusinessKey, KEY))
        .col(big_integer(Revision))
        .col(string_len(OrderKey, KEY))
        .col(big_integer(OccurredAtMs))
        .col(string_len(Digest, NAME))
        .col(long(backend, text(Record)))
        .col(string_len_null(Cause, ID))
        .col(big_integer(AcceptedAtMs))
        .to_owned()
}

fn deliveries_table(backend: DbBackend) -> TableCreateStatement {
    use deliveries::Column::*;
    table(deliveries::Entity)
        .col(big_pk_auto(Seq))
        .col(string_len(Id, ID))
        .col(string_len(EventId, ID))
        .col(string_len(Kind, NAME))
        .col(string_len(BusinessKey, KEY))
        .col(string_len(Flow, NAME))
        .col(string_len(Target, NAME))
        .col(string_len(OrderKey, KEY))
        .col(string_len(State, CODE))
        .col(small_integer(Unfinished))
        .col(integer(Attempts))
        .col(integer(Tries))
        .col(big_integer(WindowStartMs))
        .col(big_integer_null(DueAtMs))
        .col(big_integer_null(LeaseUntilMs))
        .col(string_len_null(Class, CODE))
        .col(small_integer(InDoubt))
        .col(string_len_null(FaultCode, CODE))
        .col(long(backend, text_null(Fault)))
        .col(long(backend, text_null(Remote)))
        .col(big_integer_null(PublishedAtMs))
        .col(big_integer(CreatedAtMs))
        .col(big_integer(ChangedAtMs))
        .to_owned()
}

fn attempts_table(backend: DbBackend) -> TableCreateStatement {
    use attempts::Column::*;
    table(attempts::Entity)
        .col(string_len(Delivery, ID))
        .col(integer(Attempt))
        .col(string_len(Worker, KEY))
        .col(big_integer(StartedAtMs))
        .col(big_integer_null(EndedAtMs))
        .col(string_len_null(Class, CODE))
        .col(long(backend, text_null(Fault)))
        .col(long(backend, text_null(Remote)))
        .col(long(backend, text_null(Request)))
        .col(long(backend, text_null(Response)))
        .col(long(backend, text_null(Mapping)))
        .col(big_integer_null(TablesRevision))
        .primary_key(Index::create().col(Delivery).col(Attempt))
        .to_owned()
}

/// No foreign key to `deliveries`: finishing one delivery inserts a row for its successor, and the key's check
/// would lock the successor's row while our own is held, in the opposite order of a worker beginning it.
fn outbox_table() -> TableCreateStatement {
    use outbox::Column::*;
    table(outbox::Entity)
        .col(big_pk_auto(Id))
        .col(string_len(Delivery, ID))
        .col(string_len(Target, NAME))
        .col(string_len(OrderKey, KEY))
        .col(big_integer(DueAtMs))
        .to_owned()
}

fn other_tables(backend: DbBackend) -> Vec<TableCreateStatement> {
    use archived::Column as A;
    use {
        bindings::Column as B, code_rows::Column as T, cursors::Column as C, holds::Column as H,
        ledger::Column as L,
    };
    vec![
        table(bindings::Entity)
            .col(string_len(B::Target, NAME))
            .col(string_len(B::Kind, NAME))
            .col(string_len(B::BusinessKey, KEY))
            .col(string_len(B::RemoteId, KEY))
            .col(string_len(B::RemoteNumber, KEY))
            .col(string_len(B::RemoteStep, NAME))
            .col(string_len(B::Delivery, ID))
            .primary_key(Index::create().col(B::Target).col(B::Kind).col(B::BusinessKey))
            .to_owned(),
        table(ledger::Entity)
            .col(string_len(L::Contract, KEY))
            .col(string_len(L::Kind, NAME))
            .col(string_len(L::Origin, KEY))
            .col(big_integer(L::Revision))
            .col(text(L::Amount))
            .col(string_len(L::Currency, CODE))
            .col(string_len(L::Event, ID))
            .col(big_integer(L::AtMs))
            .col(long(backend, text(L::Facts)))
            .primary_key(Index::create().col(L::Contract).col(L::Kind).col(L::Origin))
            .to_owned(),
        table(cursors::Entity)
            .col(string_len(C::Connection, NAME))
            .col(string_len(C::Stream, KEY))
            .col(long(backend, text(C::Place)))
            .col(big_integer(C::ChangedAtMs))
            .primary_key(Index::create().col(C::Connection).col(C::Stream))
            .to_owned(),
        table(code_rows::Entity)
            .col(string_len(T::TableName, NAME))
            .col(string_len(T::SourceCode, KEY))
            .col(text(T::TargetCode))
            .col(text(T::Note))
            .primary_key(Index::create().col(T::TableName).col(T::SourceCode))
            .to_owned(),
        table(archived::Entity)
            .col(string_len(A::BusinessKey, KEY))
            .col(string_len(A::Kind, NAME))
            .col(string_len(A::Source, NAME))
            .col(big_integer(A::Revision))
            .col(string_len(A::EventId, ID))
            .col(string_len(A::Digest, NAME))
            .col(big_integer(A::AcceptedAtMs))
            .col(big_integer(A::ArchivedAtMs))
            .col(string_len(A::File, KEY))
            .primary_key(Index::create().col(A::BusinessKey).col(A::Kind).col(A::Source).col(A::Revision))
            .to_owned(),
        table(holds::Entity)
            .col(string_len(H::Kind, CODE))
            .col(string_len(H::Name, NAME))
            .col(big_integer(H::SinceMs))
            .col(big_integer_null(H::UntilMs))
            .col(string_len(H::Actor, KEY))
            .col(text(H::Reason))
            .col(string_len_null(H::EndedBy, KEY))
            .primary_key(Index::create().col(H::Kind).col(H::Name).col(H::SinceMs))
            .to_owned(),
        table(counters::Entity)
            .col(string_len(counters::Column::Name, NAME).primary_key())
            .col(big_integer(counters::Column::At))
            .to_owned(),
        table(processes::Entity)
            .col(string_len(processes::Column::Name, KEY).primary_key())
            .col(big_integer(processes::Column::SeenMs))
            .to_owned(),
        table(lane_locks::Entity).col(integer(lane_locks::Column::Slot).primary_key()).to_owned(),
    ]
}

/// Text of any length. `TEXT` ends at 64 KiB on MySQL; SQLite takes any name with `TEXT` in it; PostgreSQL knows
/// only `text`, which has no limit there.
fn long(backend: DbBackend, mut column: ColumnDef) -> ColumnDef {
    if backend == DbBackend::MySql {
        column.custom("LONGTEXT");
    }
    column
}

async fn indexes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    use {bindings::Column as B, deliveries::Column as D, events::Column as E, outbox::Column as O};
    let events = events::Entity;
    index(manager, "events_key", events, &[E::BusinessKey, E::Kind, E::Source, E::Revision], true).await?;
    index(manager, "events_accepted", events, &[E::AcceptedAtMs, E::Id], false).await?;
    index(manager, "events_cause", events, &[E::Cause], false).await?;
    let deliveries = deliveries::Entity;
    index(manager, "deliveries_id", deliveries, &[D::Id], true).await?;
    // The lane: the first unfinished one of an order key, without reading the finished ones before it.
    let lane = [D::Target, D::OrderKey, D::Unfinished, D::Seq];
    index(manager, "deliveries_lane", deliveries, &lane, false).await?;
    // Lists by state and connection in order; with the class, an overview is counted without reading rows.
    let state = [D::State, D::Target, D::Seq, D::Class];
    index(manager, "deliveries_state", deliveries, &state, false).await?;
    // The sweeper's: what was published and is not done.
    index(manager, "deliveries_published", deliveries, &[D::State, D::PublishedAtMs], false).await?;
    index(manager, "deliveries_event", deliveries, &[D::EventId], false).await?;
    index(manager, "deliveries_key", deliveries, &[D::BusinessKey], false).await?;
    let outbox = outbox::Entity;
    index(manager, "outbox_target", outbox, &[O::Target, O::DueAtMs, O::Id], false).await?;
    index(manager, "outbox_delivery", outbox, &[O::Delivery], false).await?;
    index(manager, "bindings_number", bindings::Entity, &[B::RemoteNumber], false).await?;
    index(manager, "bindings_remote", bindings::Entity, &[B::RemoteId], false).await
}

/// MySQL keeps no schema change in a transaction: a migration that was cut off starts again here.
async fn index<T: EntityTrait, C: IntoIden + Copy>(
    manager: &SchemaManager<'_>,
    name: &str,
    entity: T,
    columns: &[C],
    unique: bool,
) -> Result<(), DbErr> {
    if manager.has_index(entity.table_name(), name).await? {
        return Ok(());
    }
    let mut create = Index::create();
    create.name(name).table(entity);
    for column in columns {
        create.col(*column);
    }
    if unique {
        create.unique();
    }
    manager.create_index(create).await
}

async fn seed(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    if lane_locks::Entity::find().one(db).await?.is_none() {
        let slots = i32::try_from(SLOTS).map_err(|error| DbErr::Custom(error.to_string()))?;
        let rows = (0..slots).map(|slot| lane_locks::ActiveModel { slot: Set(slot) });
        lane_locks::Entity::insert_many(rows).exec_without_returning(db).await?;
    }
    for name in [counters::TABLES, counters::HOLDS] {
        counter(manager, name).await?;
    }
    Ok(())
}

/// A counter at nothing, unless it is there: a migration that was cut off starts again.
async fn counter(manager: &SchemaManager<'_>, name: &str) -> Result<(), DbErr> {
    let db = manager.get_connection();
    if counters::Entity::find_by_id(name.to_owned()).one(db).await?.is_none() {
        let row = counters::ActiveModel { name: Set(name.to_owned()), at: Set(0) };
        counters::Entity::insert(row).exec_without_returning(db).await?;
    }
    Ok(())
}
