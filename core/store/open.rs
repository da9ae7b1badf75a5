//! Opening a database: connection settings and migrations.

use crate::db::Db;
use crate::error::{is_busy, stored};
use crate::migration::Migrator;
use sea_orm::sqlx::Executor;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use std::time::{Duration, Instant};
use tongbao_delivery::port::{StoreError, Stored};

/// How a database is opened.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// Connections at most; for SQLite those that read, beside the one that writes.
    pub connections: u32,
    /// How long a caller waits for a connection, or a writer for another process's SQLite transaction.
    pub wait: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions { connections: 12, wait: Duration::from_secs(10) }
    }
}

/// Statements that a connection keeps prepared. Those over many rows come in nine sizes each (see `rows.rs`); with sqlx's
/// usual hundred, each would be prepared again by the time it is needed again. MySQL bounds them for the whole server
/// (16,382 usually), so there it stays at that.
const STATEMENTS_KEPT: usize = 500;

/// Between two tries to open an SQLite file that another process is just making.
const BUSY_REST: Duration = Duration::from_millis(20);

/// Names the lock under which schema changes happen; any number nobody else uses.
const MIGRATION_LOCK: i64 = 0x0074_6f6e_6762_616f;
const MIGRATION_LOCK_NAME: &str = "tongbao-migration";

/// Connects and brings the schema up to date.
pub async fn connect(url: &str, options: StoreOptions) -> Stored<Db> {
    let backend = backend(url)?;
    match backend {
        DbBackend::Sqlite => sqlite(url, options).await,
        _ => server(url, backend, options).await,
    }
    .map_err(|error| stored(&error))
}

fn backend(url: &str) -> Stored<DbBackend> {
    let scheme = url.split(':').next().unwrap_or_default();
    match scheme {
        "sqlite" if url.contains(":memory:") || url.contains("mode=memory") => Err(StoreError::Invalid(
            "a database in memory does not keep what was accepted; give a file".to_owned(),
        )),
        "sqlite" => Ok(DbBackend::Sqlite),
        "postgres" | "postgresql" => Ok(DbBackend::Postgres),
        "mysql" | "mariadb" => Ok(DbBackend::MySql),
        // Not the URL itself, which may hold a password.
        other => Err(StoreError::Invalid(format!("no database is known for {other:?} URLs"))),
    }
}

fn options(url: &str, connections: u32, settings: StoreOptions) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections.max(1))
        .acquire_timeout(settings.wait)
        .connect_timeout(settings.wait)
        // Statements carry documents; they are not for logs.
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        // A round trip per use would be a third of a delivery's; a dead connection shows at its first statement,
        // and callers try again.
        .test_before_acquire_if_idle_for(Duration::from_secs(30));
    options
}

async fn sqlite(url: &str, settings: StoreOptions) -> Result<Db, DbErr> {
    let open = |connections| {
        let mut options = options(url, connections, settings);
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(settings.wait)
                .statement_cache_capacity(STATEMENTS_KEPT)
        });
        Database::connect(options)
    };
    // A new file is put into its mode by the first connection. For that lock SQLite does not wait, whatever it is told.
    let begun = Instant::now();
    let write = loop {
        match open(1).await {
            Err(error) if is_busy(&error) && begun.elapsed() < settings.wait => {
                tokio::time::sleep(BUSY_REST).await;
            }
            opened => break opened?,
        }
    };
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    // Another process that starts at the same time waits here, then finds everything applied.
    let txn = write.begin_with_options(immediate).await?;
    Migrator::up(&txn, None).await?;
    txn.commit().await?;
    let read = open(settings.connections).await?;
    Ok(Db::single(read, write))
}

async fn server(url: &str, backend: DbBackend, settings: StoreOptions) -> Result<Db, DbErr> {
    let url = match url.strip_prefix("mariadb:") {
        Some(rest) => format!("mysql:{rest}"),
        None => url.to_owned(),
    };
    // The migration holds one connection for its lock and works on another.
    let mut options = options(&url, settings.connections.max(2), settings);
    options.map_sqlx_postgres_opts(|postgres| postgres.statement_cache_capacity(STATEMENTS_KEPT));
    options.map_sqlx_postgres_pool_opts(|pool| {
        pool.after_connect(|connection, _| {
            Box::pin(async move {
                // Each of our statements has an index to go by, whatever it is asked for. A plan that is made anew
                // for each call costs more than most of them; one made while a table was nearly empty and its
                // statistics say so would read all of it, long after it has filled.
                connection.execute("SET plan_cache_mode = force_generic_plan").await?;
                connection.execute("SET enable_seqscan = off").await?;
                // A plan that reads a table of three rows for want of an index counts as dear then, and would be
                // compiled.
                connection.execute("SET jit = off").await?;
                Ok(())
            })
        })
    });
    if backend == DbBackend::MySql {
        options.map_sqlx_mysql_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    // Each statement must see what was committed before it (see `attempt.rs`), and gap locks
                    // of the default level would make neighbours wait for each other.
                    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                    Ok(())
                })
            })
        });
    }
    let pool = Database::connect(options).await?;
    migrate(&pool, backend).await?;
    Ok(Db::pooled(pool))
}

async fn migrate(pool: &DatabaseConnection, backend: DbBackend) -> Result<(), DbErr> {
    let lock = pool.begin().await?;
    locked(&lock, backend, true).await?;
    let outcome = Migrator::up(pool, None).await;
    locked(&lock, backend, false).await?;
    lock.commit().await?;
    outcome
}

/// Takes or gives back the schema lock. PostgreSQL's ends with the transaction, MySQL's with the session.
async fn locked(txn: &DatabaseTransaction, backend: DbBackend, take: bool) -> Result<(), DbErr> {
    match (backend, take) {
        (DbBackend::Postgres, true) => {
            let sql = "SELECT pg_advisory_xact_lock($1)";
            txn.execute_raw(Statement::from_sql_and_values(backend, sql, [MIGRATION_LOCK.into()])).await?;
        }
        (DbBackend::MySql, true) => {
            let sql = "SELECT GET_LOCK(CONCAT(?, DATABASE()), 120) AS taken";
            let statement = Statement::from_sql_and_values(backend, sql, [MIGRATION_LOCK_NAME.into()]);
            let row = txn.query_one_raw(statement).await?;
            let taken: Option<i64> = row.map(|row| row.try_get("", "taken")).transpose()?.flatten();
            if taken != Some(1) {
                return Err(DbErr::Migration("another process is migrating".to_owned()));
            }
        }
        (DbBackend::MySql, false) => {
            let sql = "SELECT RELEASE_LOCK(CONCAT(?, DATABASE()))";
            txn.query_one_raw(Statement::from_sql_and_values(backend, sql, [MIGRATION_LOCK_NAME.into()]))
                .await?;
        }
        _ => {}
    }
    Ok(())
}
