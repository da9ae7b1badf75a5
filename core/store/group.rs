//! Doing in groups: calls that wait while a transaction commits share the next one.
//!
//! What costs most in a call is not its rows but its statements and its commit. A group has the statements of one
//! call, each over many rows, and one commit. There is no waiting for a group to fill: whatever has come while the
//! last one was under way is the next one, so that an idle store answers at once and a busy one by the dozen.
//!
//! A call stays all-or-nothing, since a group is. What a group cannot decide for one of its calls, and whatever a
//! group fails for, is settled by that call alone, in a transaction of its own.

use crate::db::{Db, task};
use crate::error::Fail;
use futures::future::{BoxFuture, join_all};
use sea_orm::{DatabaseTransaction, DbBackend};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tongbao_delivery::port::{StoreError, Stored};

/// Calls that wait; beyond that, callers wait.
const QUEUE: usize = 1_024;
/// Calls that share one transaction.
const GROUP: usize = 64;

/// A call that can be done together with others of its kind.
pub trait Grouped: Clone + Send + Sync + 'static {
    /// What the caller is told.
    type Answer: Send + 'static;

    /// Does all of them; answers in their order, `None` for one that must be done alone and of which nothing has
    /// been written.
    fn together<'t>(
        txn: &'t DatabaseTransaction,
        calls: &'t [Self],
    ) -> BoxFuture<'t, Result<Vec<Option<Self::Answer>>, Fail>>;

    /// Does one.
    fn alone<'t>(&'t self, txn: &'t DatabaseTransaction) -> BoxFuture<'t, Result<Self::Answer, Fail>>;
}

struct Waiting<C: Grouped> {
    call: C,
    reply: oneshot::Sender<Stored<C::Answer>>,
}

/// The way in for one kind of call.
pub struct Group<C: Grouped> {
    queue: Mutex<Option<mpsc::Sender<Waiting<C>>>>,
    takers: Mutex<JoinSet<()>>,
}

impl<C: Grouped> Group<C> {
    /// Starts the takers of a database.
    pub fn start(db: Arc<Db>) -> Self {
        let (queue, calls) = mpsc::channel(QUEUE);
        let calls = Arc::new(tokio::sync::Mutex::new(calls));
        // One group commits while the next one gathers; on a server a few may commit side by side.
        let count = if db.backend == DbBackend::Sqlite { 2 } else { 3 };
        let mut takers = JoinSet::new();
        for _ in 0..count {
            takers.spawn(take(db.clone(), calls.clone()));
        }
        Group { queue: Mutex::new(Some(queue)), takers: Mutex::new(takers) }
    }

    /// Does one call, with whatever others wait.
    pub async fn call(&self, call: C) -> Stored<C::Answer> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let (reply, answer) = oneshot::channel();
        let queue = queue.ok_or_else(closed)?;
        queue.send(Waiting { call, reply }).await.map_err(|_| closed())?;
        drop(queue);
        answer.await.map_err(|_| closed())?
    }

    /// Waits for calls under way.
    pub async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut takers = std::mem::take(&mut *self.takers.lock().unwrap_or_else(PoisonError::into_inner));
        while takers.join_next().await.is_some() {}
    }
}

async fn take<C: Grouped>(db: Arc<Db>, calls: Arc<tokio::sync::Mutex<mpsc::Receiver<Waiting<C>>>>) {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        if calls.lock().await.recv_many(&mut group, GROUP).await == 0 {
            return;
        }
        let (asked, replies): (Vec<C>, Vec<_>) =
            group.drain(..).map(|waiting| (waiting.call, waiting.reply)).unzip();
        let asked: Arc<[C]> = asked.into();
        let answers = together(&db, &asked).await;
        let mut left = Vec::new();
        for ((call, reply), answer) in asked.iter().zip(replies).zip(answers) {
            match answer {
                // A caller that has left does not want to know.
                Some(answer) => drop(reply.send(answer)),
                None => left.push((call.clone(), reply)),
            }
        }
        // Side by side: one of them may have to wait for somebody's lock.
        let left = left.into_iter().map(|(call, reply)| async {
            drop(reply.send(db.write(task!(call; |txn| call.alone(txn).await)).await));
        });
        join_all(left).await;
    }
}

/// What each is told; `None` for those still to be done.
async fn together<C: Grouped>(db: &Db, calls: &Arc<[C]>) -> Vec<Option<Stored<C::Answer>>> {
    let group = calls.clone();
    match db.write(task!(group; |txn| C::together(txn, &group).await)).await {
        Ok(answers) => answers.into_iter().map(|answer| answer.map(Ok)).collect(),
        Err(error) if calls.len() == 1 => vec![Some(Err(error))],
        Err(error) => {
            tracing::debug!(%error, calls = calls.len(), "a group failed; each on its own now");
            calls.iter().map(|_| None).collect()
        }
    }
}
