//! Connections and transactions.
//!
//! SQLite has one writer whatever we do; ten connections that fight for it are slower than one that takes its
//! turn. There, write jobs are queued to one task, and all jobs that wait when a transaction begins share it and
//! its disk flush, each behind a savepoint so that one that fails harms no other. PostgreSQL and MySQL get a
//! pool and one transaction per job, tried again after deadlocks.
//!
//! Nothing a caller does cancels a statement: every question and every transaction runs in a task of its own. A
//! caller may be dropped at any point (a client that hangs up, an engine that is cut off), and a MySQL connection whose
//! answer nobody reads never comes back to its pool, which is empty after a few of those.

use crate::error::Fail;
use async_trait::async_trait;
use futures::future::BoxFuture;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tongbao_delivery::port::{StoreError, Stored};
use tracing::Instrument;

/// Jobs that wait for the SQLite writer; beyond that, callers wait.
const QUEUE: usize = 1_024;
/// Jobs that share one transaction.
const GROUP: usize = 128;
/// Tries of a transaction that deadlocks.
const TRIES: u32 = 12;
/// How long closing waits for connections that are out.
const CLOSE: Duration = Duration::from_secs(10);

/// What is run in a transaction. It may be run more than once, so it must not consume what it works on.
pub type Task<T> =
    Arc<dyn for<'t> Fn(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, Fail>> + Send + Sync>;

/// Makes a [`Task`] of an async block over a transaction.
macro_rules! task {
    ($($name:ident),*; |$txn:ident| $body:expr) => {
        std::sync::Arc::new(move |$txn: &sea_orm::DatabaseTransaction| {
            $(let $name = $name.clone();)*
            Box::pin(async move { $body })
        })
    };
}
pub(crate) use task;

/// An open database.
pub struct Db {
    /// Where reading happens.
    pub read: DatabaseConnection,
    writer: Writer,
}

enum Writer {
    Single { queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>, task: Mutex<Option<JoinHandle<()>>> },
    Pool(DatabaseConnection),
}

impl Db {
    /// A database whose writes go through one task.
    pub fn single(read: DatabaseConnection, write: DatabaseConnection) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let task = tokio::spawn(write_all(write, jobs));
        let writer = Writer::Single { queue: Mutex::new(Some(queue)), task: Mutex::new(Some(task)) };
        Db { read, writer }
    }

    /// A database with a pool.
    pub fn pooled(pool: DatabaseConnection) -> Self {
        Db { read: pool.clone(), writer: Writer::Pool(pool) }
    }

    /// Runs a task in a transaction.
    pub async fn write<T: Send + 'static>(&self, task: Task<T>) -> Stored<T> {
        match &self.writer {
            Writer::Pool(pool) => detached(in_pool(pool.clone(), task)).await,
            Writer::Single { queue, .. } => {
                let queue = queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let queue = queue.ok_or_else(closed)?;
                let (reply, answer) = oneshot::channel();
                let job = Typed { task, result: None, reply };
                queue.send(Box::new(job)).await.map_err(|_| closed())?;
                answer.await.map_err(|_| closed())?
            }
        }
    }

    /// Asks outside of a transaction.
    pub async fn ask<T, Q, A>(&self, question: Q) -> Stored<T>
    where
        T: Send + 'static,
        Q: FnOnce(DatabaseConnection) -> A,
        A: Future<Output = Result<T, Fail>> + Send + 'static,
    {
        let answer = question(self.read.clone());
        detached(async move { answer.await.map_err(StoreError::from) }).await
    }

    /// Waits for what is being written and closes.
    pub async fn close(&self) {
        if let Writer::Single { queue, task } = &self.writer {
            drop(queue.lock().unwrap_or_else(PoisonError::into_inner).take());
            let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(task) = task
                && let Err(error) = task.await
            {
                tracing::error!(%error, "the writer ended badly");
            }
        }
        match tokio::time::timeout(CLOSE, self.read.close_by_ref()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the database did not close cleanly"),
            Err(_) => tracing::warn!("a database connection did not come back to be closed"),
        }
    }
}

/// Runs to its end whether the caller waits for it or not.
async fn detached<T, A>(answer: A) -> Stored<T>
where
    T: Send + 'static,
    A: Future<Output = Stored<T>> + Send + 'static,
{
    let ended = tokio::spawn(answer.in_current_span()).await;
    ended.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

async fn in_pool<T>(pool: DatabaseConnection, task: Task<T>) -> Stored<T> {
    let mut tries = 0;
    loop {
        let fail = match once(&pool, &task).await {
            Ok(value) => return Ok(value),
            Err(fail) => fail,
        };
        tries += 1;
        if tries >= TRIES || !fail.again() {
            return Err(fail.into());
        }
        tracing::debug!(tries, ?fail, "transaction is run again");
        // Those who deadlocked must not meet again at once.
        tokio::time::sleep(Duration::from_millis(2 << tries.min(6))).await;
    }
}

async fn once<T>(pool: &DatabaseConnection, task: &Task<T>) -> Result<T, Fail> {
    let txn = pool.begin().await?;
    match task(&txn).await {
        Ok(value) => {
            txn.commit().await?;
            Ok(value)
        }
        Err(fail) => {
            // The connection may be gone; then there is nothing to roll back.
            if let Err(error) = txn.rollback().await {
                tracing::debug!(%error, "rollback failed");
            }
            Err(fail)
        }
    }
}

/// A write job of any result type.
#[async_trait]
trait Job: Send {
    /// Runs it; answers whether its changes are to be kept.
    async fn run(&mut self, txn: &DatabaseTransaction) -> bool;
    /// Whether it was the database that failed it.
    fn met_an_error(&self) -> bool;
    /// Tells the caller, once it is known whether the transaction holds.
    fn tell(self: Box<Self>, lost: Option<&StoreError>);
}

struct Typed<T> {
    task: Task<T>,
    result: Option<Result<T, Fail>>,
    reply: oneshot::Sender<Stored<T>>,
}

#[async_trait]
impl<T: Send + 'static> Job for Typed<T> {
    async fn run(&mut self, txn: &DatabaseTransaction) -> bool {
        let result = (self.task)(txn).await;
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn met_an_error(&self) -> bool {
        matches!(self.result, Some(Err(Fail::Db(_))))
    }

    fn tell(self: Box<Self>, lost: Option<&StoreError>) {
        let answer = match (self.result, lost) {
            (Some(Err(fail)), _) => Err(fail.into()),
            (_, Some(lost)) => Err(again(lost)),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(closed()),
        };
        // A caller that has left does not want to know.
        drop(self.reply.send(answer));
    }
}

fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(text) => StoreError::Unavailable(text.clone()),
        StoreError::Corrupt(text) => StoreError::Corrupt(text.clone()),
        StoreError::Invalid(text) => StoreError::Invalid(text.clone()),
    }
}

/// The one writer: takes what waits, commits it together, tells everyone.
///
/// After an error of the database the connection is not used again. On some of them (disk full, failed write)
/// SQLite rolls the whole transaction back by itself; the driver, which counts transactions by its own
/// statements, then takes the next one for a savepoint inside of it, and what looks committed never is.
async fn write_all(write: DatabaseConnection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP);
    let mut doubtful = false;
    while jobs.recv_many(&mut group, GROUP).await > 0 {
        let mut outcome = Ok(());
        if doubtful {
            outcome = renew(&write).await;
            doubtful = outcome.is_err();
        }
        if outcome.is_ok() {
            outcome = write_group(&write, &mut group).await;
        }
        doubtful |= outcome.is_err() || group.iter().any(|job| job.met_an_error());
        let lost = outcome.err().map(StoreError::from);
        group.drain(..).for_each(|job| job.tell(lost.as_ref()));
    }
    if let Err(error) = write.close().await {
        tracing::warn!(%error, "the database did not close cleanly");
    }
}

/// Closes the writing connection; the next transaction gets a new one.
async fn renew(write: &DatabaseConnection) -> Result<(), Fail> {
    let unavailable = |error: sqlx::Error| StoreError::Unavailable(error.to_string());
    let connection = write.get_sqlite_connection_pool().acquire().await.map_err(unavailable)?;
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "the connection that met an error did not close cleanly");
    }
    Ok(())
}

async fn write_group(write: &DatabaseConnection, group: &mut [Box<dyn Job>]) -> Result<(), Fail> {
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let txn = write.begin_with_options(immediate).await?;
    if let [only] = group {
        if only.run(&txn).await {
            txn.commit().await?;
        } else {
            txn.rollback().await?;
        }
        return Ok(());
    }
    for job in group {
        let savepoint = txn.begin().await?;
        if job.run(&savepoint).await {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
    }
    txn.commit().await?;
    Ok(())
}
