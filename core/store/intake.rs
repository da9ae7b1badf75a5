//! Accepting in groups: calls that wait while a transaction commits share the next one.
//!
//! A call stays all-or-nothing, since a group is. If a group fails for a reason that may be one call's alone, its
//! calls are tried one by one.

use crate::accept::{Call, accept};
use crate::db::{Db, task};
use crate::error::Fail;
use sea_orm::{DatabaseTransaction, DbBackend};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tongbao_delivery::failpoints::failpoint;
use tongbao_delivery::port::{Accepted, StoreError, Stored};

/// Calls that wait; beyond that, callers wait.
const QUEUE: usize = 1_024;
/// Calls that share one transaction.
const GROUP: usize = 64;

struct Waiting {
    call: Call,
    reply: oneshot::Sender<Stored<Vec<Accepted>>>,
}

/// The way in.
pub struct Intakes {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    takers: Mutex<JoinSet<()>>,
}

impl Intakes {
    /// Starts the takers of a database.
    pub fn start(db: Arc<Db>) -> Self {
        let (queue, calls) = mpsc::channel(QUEUE);
        let calls = Arc::new(tokio::sync::Mutex::new(calls));
        // One group commits while the next one gathers; on a server a few may commit side by side.
        let count = if db.backend == DbBackend::Sqlite { 2 } else { 4 };
        let mut takers = JoinSet::new();
        for _ in 0..count {
            takers.spawn(take(db.clone(), calls.clone()));
        }
        Intakes { queue: Mutex::new(Some(queue)), takers: Mutex::new(takers) }
    }

    /// Accepts one call.
    pub async fn accept(&self, call: Call) -> Stored<Vec<Accepted>> {
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

async fn take(db: Arc<Db>, calls: Arc<tokio::sync::Mutex<mpsc::Receiver<Waiting>>>) {
    let mut group = Vec::with_capacity(GROUP);
    loop {
        if calls.lock().await.recv_many(&mut group, GROUP).await == 0 {
            return;
        }
        let (asked, replies): (Vec<Call>, Vec<_>) =
            group.drain(..).map(|waiting| (waiting.call, waiting.reply)).unzip();
        let answers = together(&db, asked).await;
        for (reply, answer) in replies.into_iter().zip(answers) {
            // A caller that has left does not want to know.
            drop(reply.send(answer));
        }
    }
}

/// Accepts what came from outside; what follows from an outcome is accepted within the outcome's transaction.
async fn accept_calls(txn: &DatabaseTransaction, calls: &[Call]) -> Result<Vec<Vec<Accepted>>, Fail> {
    let answers = accept(txn, calls).await?;
    let mut polled = calls.iter().zip(&answers).filter(|(call, _)| call.cursor.is_some());
    if polled.any(|(_, answers)| answers.contains(&Accepted::New)) {
        failpoint("cursor-before-commit");
    }
    failpoint("accepted-before-commit");
    Ok(answers)
}

async fn together(db: &Db, calls: Vec<Call>) -> Vec<Stored<Vec<Accepted>>> {
    let calls: Arc<[Call]> = calls.into();
    if calls.len() > 1 {
        let group = calls.clone();
        match db.write(task!(group; |txn| accept_calls(txn, &group).await)).await {
            Ok(answers) => return answers.into_iter().map(Ok).collect(),
            Err(error) => tracing::debug!(%error, "a group of intakes failed; each on its own now"),
        }
    }
    let mut answers = Vec::with_capacity(calls.len());
    for call in calls.iter() {
        let one: Arc<[Call]> = Arc::from([call.clone()]);
        let answer = db.write(task!(one; |txn| accept_calls(txn, &one).await)).await;
        answers.push(answer.map(|mut answers| answers.pop().unwrap_or_default()));
    }
    answers
}
