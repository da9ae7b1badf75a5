//! Fetching what sources do not push: one loop per stream; cursor and events are stored in one transaction.

use crate::config::Polls;
use crate::hearing;
use crate::intake::Intaker;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_connect::{Polled, Source};
use tongbao_delivery::engine::Engine;
use tongbao_delivery::port::{Accepted, Cursor, Intake, Store};

/// How many newer revisions are tried for a document that changed within one tick of its source's clock.
const REVISION_STEPS_MAX: i64 = 100;

/// A poll that brought nothing.
#[derive(Debug)]
pub enum Missed {
    /// The far side could not be read.
    Far(String),
    /// It could, or was not even asked: the trouble is on this side.
    Ours(String),
}

/// One polled stream.
pub struct Poller {
    /// Connection.
    pub connection: String,
    /// What and how often.
    pub polls: Polls,
    /// The source.
    pub source: Arc<dyn Source>,
    /// Translation.
    pub intaker: Arc<Intaker>,
    /// Cursors.
    pub store: Arc<dyn Store>,
    /// Acceptance.
    pub engine: Arc<Engine>,
    /// Now, in milliseconds since 1970.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Poller {
    /// Polls until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let pause = Duration::from_millis(self.polls.every_ms);
        loop {
            let asked = if self.engine.holds().intake().is_some() { None } else { Some(self.once().await) };
            let more = match asked {
                // Nothing is taken in; the far side keeps it.
                None => false,
                Some(Ok(more)) => more,
                Some(Err(Missed::Far(why) | Missed::Ours(why))) => {
                    tracing::warn!(
                        connection = self.connection,
                        stream = self.polls.receives.kind,
                        why,
                        "poll failed"
                    );
                    metrics::counter!("tongbao_poll_failures_total", "connection" => self.connection.clone())
                        .increment(1);
                    false
                }
            };
            if more && !stop.is_cancelled() {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One poll; answers whether more is waiting. None while too much waits to be delivered: what is not
    /// fetched stays where it is.
    pub async fn once(&self) -> Result<bool, Missed> {
        if self.engine.is_full() {
            return Err(Missed::Ours("too much is waiting to be delivered".to_owned()));
        }
        let stream = &self.polls.receives.kind;
        let cursor = self.store.cursor(&self.connection, stream).await;
        let cursor = cursor.map_err(|error| Missed::Ours(error.to_string()))?;
        let polled = self.source.poll(stream, cursor.as_deref()).await;
        self.note(polled.is_ok()).await;
        let Polled { documents, cursor: position, more } =
            polled.map_err(|failure| Missed::Far(failure.fault.to_string()))?;
        // A poll may take longer than anybody who drains waits for it. What it brought comes with the next one.
        if self.engine.holds().intake().is_some() {
            return Ok(false);
        }
        let now_ms = (self.clock)();
        let intakes: Vec<Intake> = documents
            .iter()
            .map(|incoming| {
                self.intaker
                    .translate(&self.connection, incoming, now_ms)
                    .unwrap_or_else(|_| self.intaker.keep(&self.connection, incoming, now_ms))
            })
            .collect();
        let moved = cursor.as_deref() != Some(position.as_str());
        if intakes.is_empty() && !moved {
            return Ok(more);
        }
        self.accept(intakes, position).await.map_err(Missed::Ours)?;
        Ok(more && moved)
    }

    /// Keeps whether the far side could be read. That it cannot be kept stops no poll.
    async fn note(&self, gets_through: bool) {
        let (connection, stream) = (&self.connection, &self.polls.receives.kind);
        let kept = hearing::note(self.store.as_ref(), connection, stream, gets_through, (self.clock)()).await;
        if let Err(error) = kept {
            tracing::warn!(%error, connection, stream, "whether polls get through could not be stored");
        }
    }

    /// Accepts with the cursor. A document that changed twice within one tick of its source's clock comes with the
    /// same revision and other content: it gets the next free revision. Should the process die in between, the
    /// connector's overlap brings the document once more.
    async fn accept(&self, mut intakes: Vec<Intake>, position: String) -> Result<(), String> {
        let cursor = Cursor {
            connection: self.connection.clone(),
            stream: self.polls.receives.kind.clone(),
            position,
            only_if_new: false,
        };
        for _ in 0..REVISION_STEPS_MAX {
            // Events and cursor in one transaction. Repeats are harmless, so a round after a conflict may bring
            // back what an earlier round has stored.
            let accepted = self
                .engine
                .accept(intakes.clone(), Some(cursor.clone()))
                .await
                .map_err(|error| error.to_string())?;
            let conflicts: Vec<Intake> = intakes
                .into_iter()
                .zip(accepted)
                .filter(|(_, accepted)| matches!(accepted, Accepted::Conflict { .. }))
                .map(|(mut intake, _)| {
                    intake.event.revision += 1;
                    intake
                })
                .collect();
            if conflicts.is_empty() {
                return Ok(());
            }
            intakes = conflicts;
        }
        Err(format!("{} documents changed too often within one tick", intakes.len()))
    }
}
