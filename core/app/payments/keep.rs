//! The look, and how often it is taken.

use super::books::Books;
use super::plan::plan;
use super::verdict::Kind;
use crate::config::Matching;
use crate::routes::Routes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tongbao_delivery::port::{Store, Stored};

/// Times that a look is tried again where somebody else decided something meanwhile.
const TRIES: u32 = 5;
/// A look that took so long is followed by a pause of this many times that: looking never takes more than a small part of
/// the machine, however long the books are.
const PAUSES: u32 = 20;

/// What a look did: payments by the kind of what was decided or said of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// Of those of which there was news.
    pub news: BTreeMap<Kind, u64>,
    /// Somebody else kept deciding: nothing was stored.
    pub overtaken: bool,
}

/// Looks once, and stores what was decided.
///
/// # Errors
/// What the database said.
pub async fn look(store: &dyn Store, routes: &Routes, matching: &Matching, now_ms: i64) -> Stored<Looked> {
    for _ in 0..TRIES {
        let mut books = Books::load(store, matching.book, matching.pair_days).await?;
        if books.is_quiet() {
            return Ok(Looked::default());
        }
        let turn = books.turn;
        let mut news: BTreeMap<Kind, u64> = BTreeMap::new();
        let mut settlings = Vec::new();
        for decision in plan(&mut books, matching)? {
            let (kind, number) = (decision.told.kind, decision.payment.said.number.clone());
            match decision.settling(routes, now_ms) {
                Ok(settling) => {
                    *news.entry(kind).or_default() += 1;
                    settlings.push(settling);
                }
                Err(why) => tracing::warn!(payment = number, why = why.en, "a payment is left to a person"),
            }
        }
        if settlings.is_empty() || store.settle(turn, settlings, now_ms).await? {
            return Ok(Looked { news, overtaken: false });
        }
    }
    Ok(Looked { overtaken: true, ..Looked::default() })
}

/// Looks every so often until it is told to stop.
pub struct Matcher {
    /// By what.
    pub matching: Matching,
    /// Where payments and accounts are.
    pub store: Arc<dyn Store>,
    /// Flows.
    pub routes: Routes,
    /// Wakes the relay.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Time.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Matcher {
    /// Keeps looking.
    pub async fn keep(self, stopping: CancellationToken) {
        let every = Duration::from_millis(self.matching.every_ms);
        if every.is_zero() {
            return;
        }
        let mut pause = every;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let begun = Instant::now();
            match look(self.store.as_ref(), &self.routes, &self.matching, (self.clock)()).await {
                Ok(looked) => {
                    if looked.overtaken {
                        tracing::debug!("somebody else decides about payments");
                    } else if !looked.news.is_empty() {
                        (self.wake)();
                    }
                }
                Err(error) => tracing::warn!(%error, "payments were not looked at"),
            }
            pause = every.max(begun.elapsed().saturating_mul(PAUSES));
        }
    }
}
