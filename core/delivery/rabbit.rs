//! The broker RabbitMQ, 3.10 to 4.x.
//!
//! One quorum queue per target and partition, each with a single active consumer; delays by a ladder of queues
//! with a time to live whose messages return to their work queue ([`topology`]). Connection, channels, confirm
//! mode, queues and consumers together are a [`session`]: whatever breaks in it, all of it is made again, so that
//! there is one way of recovering and it is used often enough to be trusted.

mod consume;
pub mod limit;
mod line;
mod session;
mod silent;
mod topology;
mod turn;

use crate::broker::{Broker, BrokerError, Health, Line, Message, QueueSpec, Received, Subscription};
use crate::clock::Clock;
use crate::sharing::Sharing;
use async_trait::async_trait;
use lapin::uri::AMQPUri;
use line::Heads;
use serde::{Deserialize, Serialize};
use session::Session;
use silent::Silent;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use topology::Topology;

/// Settings of the RabbitMQ broker.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RabbitSettings {
    /// `amqp://user:password@host:5672/vhost` or `amqps://…`.
    pub url: String,
    /// The other nodes of a cluster, tried in turn when this one cannot be reached.
    #[serde(default)]
    pub more_urls: Vec<String>,
    /// Certificates (PEM) that `amqps` trusts; needed for it.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// Begins the name of every queue and exchange.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// The ladder of delays in seconds, ascending.
    #[serde(default = "ladder")]
    pub delays_s: Vec<u32>,
    /// A publish whose confirm takes longer counts as failed.
    #[serde(default = "confirm_ms")]
    pub confirm_ms: u32,
    /// Longest pause between tries to connect.
    #[serde(default = "reconnect_max_ms")]
    pub reconnect_max_ms: u32,
}

fn prefix() -> String {
    "tongbao.".to_owned()
}

fn ladder() -> Vec<u32> {
    vec![1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600]
}

fn confirm_ms() -> u32 {
    15_000
}

fn reconnect_max_ms() -> u32 {
    10_000
}

impl RabbitSettings {
    /// The usual settings for a URL.
    pub fn new(url: impl Into<String>) -> Self {
        RabbitSettings {
            url: url.into(),
            more_urls: Vec::new(),
            ca_pem: None,
            prefix: prefix(),
            delays_s: ladder(),
            confirm_ms: confirm_ms(),
            reconnect_max_ms: reconnect_max_ms(),
        }
    }

    /// Where to connect, in the order in which it is tried.
    fn uris(&self) -> Result<Vec<AMQPUri>, String> {
        std::iter::once(&self.url).chain(&self.more_urls).map(|url| url.parse()).collect()
    }

    /// What is wrong with them, if anything; never shows the URL, which holds a password.
    pub fn problem(&self) -> Option<String> {
        let Ok(uris) = self.uris() else {
            return Some("url, or one of more_urls, is no amqp:// or amqps:// URL".to_owned());
        };
        let secure = uris.iter().any(|uri| uri.scheme == lapin::uri::AMQPScheme::AMQPS);
        if secure && self.ca_pem.is_none() {
            return Some("ca_pem is needed for amqps".to_owned());
        }
        if self.prefix.len() > 100 || self.prefix.contains(char::is_whitespace) {
            return Some("prefix must have at most 100 characters and no blanks".to_owned());
        }
        let ascending = self.delays_s.is_sorted_by(|a, b| a < b);
        if self.delays_s.first().is_none_or(|first| *first == 0) || !ascending {
            return Some("delays_s must ascend from at least 1".to_owned());
        }
        None
    }
}

impl std::fmt::Debug for RabbitSettings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RabbitSettings").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// The RabbitMQ broker.
pub struct Rabbit {
    inner: Arc<Inner>,
}

/// A subscriber, to be connected to its queues in every session.
#[derive(Clone)]
struct Subscriber {
    spec: QueueSpec,
    sender: mpsc::Sender<Received>,
}

struct Inner {
    settings: RabbitSettings,
    uris: Vec<AMQPUri>,
    /// Tries to connect that failed; tells which of the addresses is next.
    failed: AtomicUsize,
    topology: Topology,
    clock: Arc<dyn Clock>,
    queues: Mutex<BTreeMap<String, QueueSpec>>,
    /// Held while a session connects its subscribers, so that none is connected twice or not at all.
    subscribers: tokio::sync::Mutex<Vec<Subscriber>>,
    session: watch::Sender<Option<Arc<Session>>>,
    sharing: watch::Sender<Option<Sharing>>,
    trouble: Mutex<String>,
    heads: Heads,
    silent: Silent,
    /// How many sessions there were, and the last one that broke.
    sessions: AtomicU64,
    broken: watch::Sender<u64>,
    closed: watch::Sender<bool>,
}

impl Rabbit {
    /// A broker that connects in the background, and again whenever the connection is lost. Needs a runtime.
    pub fn start(settings: RabbitSettings, clock: Arc<dyn Clock>) -> Result<Self, BrokerError> {
        if let Some(problem) = settings.problem() {
            return Err(BrokerError::Refused(problem));
        }
        let inner = Arc::new(Inner {
            uris: settings.uris().map_err(BrokerError::Refused)?,
            failed: AtomicUsize::new(0),
            topology: Topology::new(&settings.prefix, &settings.delays_s),
            settings,
            clock,
            queues: Mutex::default(),
            subscribers: tokio::sync::Mutex::default(),
            session: watch::channel(None).0,
            sharing: watch::channel(None).0,
            heads: Heads::default(),
            silent: Silent::default(),
            trouble: Mutex::new("not connected yet".to_owned()),
            sessions: AtomicU64::new(0),
            broken: watch::channel(0).0,
            closed: watch::channel(false).0,
        });
        tokio::spawn(keep_connected(inner.clone()));
        Ok(Rabbit { inner })
    }

    /// Deletes every queue and exchange of this prefix that [`Broker::declare`] named; what they held is
    /// published again by the sweeper if it is needed. Over a connection of its own: the session is made again
    /// as soon as its first queue is gone.
    pub async fn delete_queues(&self) -> Result<(), BrokerError> {
        let session = session::connect(&self.inner).await?;
        let deleted = session.delete_topology(&self.inner.topology, &self.inner.specs()).await;
        session.close().await;
        deleted
    }
}

impl Inner {
    fn current(&self) -> Result<Arc<Session>, BrokerError> {
        if *self.closed.borrow() {
            return Err(BrokerError::Closed);
        }
        let session = self.session.borrow().clone();
        session.ok_or_else(|| BrokerError::Unavailable(self.trouble()))
    }

    /// The address whose turn it is: the one that worked last until it fails.
    fn uri(&self) -> Result<AMQPUri, BrokerError> {
        let turn = self.failed.load(Ordering::Relaxed).checked_rem(self.uris.len()).unwrap_or(0);
        self.uris.get(turn).cloned().ok_or(BrokerError::Closed)
    }

    fn specs(&self) -> Vec<QueueSpec> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn spec(&self, target: &str) -> Result<QueueSpec, BrokerError> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.get(target).cloned().ok_or_else(|| BrokerError::Unroutable(target.to_owned()))
    }

    fn trouble(&self) -> String {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends a session, if it has not ended yet; the next one follows at once.
    fn rebuild(&self, session: u64, reason: &str) {
        let news = self.broken.send_if_modified(|broken| {
            let news = *broken < session;
            *broken = session.max(*broken);
            news
        });
        if news && !*self.closed.borrow() {
            tracing::warn!(reason, "RabbitMQ session is made again");
            reason.clone_into(&mut self.trouble.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Publishes and waits for the confirms, all of them in flight at once.
    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<(), BrokerError>> {
        let count = messages.len();
        let session = match self.current() {
            Ok(session) => session,
            Err(error) => return vec![Err(error); count],
        };
        let now_ms = self.clock.now_ms();
        let mut undeclared = 0;
        let mut routed = Vec::with_capacity(count);
        for message in messages {
            let spec = self.spec(&message.target);
            undeclared += usize::from(spec.is_err());
            routed.push(spec.map(|spec| self.topology.route(&message, spec.partitions, now_ms)));
        }
        let wait = Duration::from_millis(u64::from(self.settings.confirm_ms));
        let results = session.publish(routed, wait).await;
        // Beyond those for targets nobody declared, a failure means that our queues or the connection are gone.
        let mut failures = results.iter().filter_map(|result| result.as_ref().err());
        if let Some(error) = failures.nth(undeclared) {
            self.rebuild(session.id, &error.to_string());
        }
        results
    }
}

/// Makes sessions, one after the other, until closed.
async fn keep_connected(inner: Arc<Inner>) {
    let first = Duration::from_millis(200);
    let longest = Duration::from_millis(u64::from(inner.settings.reconnect_max_ms)).max(first);
    let mut pause = first;
    let mut closed = inner.closed.subscribe();
    while !*inner.closed.borrow() {
        let opened = tokio::select! {
            opened = session::open(&inner) => opened,
            _ = closed.wait_for(|closed| *closed) => return,
        };
        let since = tokio::time::Instant::now();
        match opened {
            Ok(session) => {
                tracing::info!("connected to RabbitMQ");
                let mut broken = inner.broken.subscribe();
                tokio::select! {
                    _ = broken.wait_for(|broken| *broken >= session.id) => {}
                    _ = closed.wait_for(|closed| *closed) => {}
                }
                inner.session.send_replace(None);
                session.close().await;
            }
            Err(error) => {
                tracing::warn!(%error, "RabbitMQ is not available");
                // Also when it answers and is of no use, as a node without its cluster.
                inner.failed.fetch_add(1, Ordering::Relaxed);
                *inner.trouble.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
            }
        }
        // A session that held for a while was a good one: the next one may come at once.
        pause = if since.elapsed() > longest { first } else { (pause * 2).min(longest) };
        tokio::select! {
            () = tokio::time::sleep(pause / 2) => {}
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}

#[async_trait]
impl Broker for Rabbit {
    async fn declare(&self, queues: &[QueueSpec]) -> Result<(), BrokerError> {
        {
            let mut known = self.inner.queues.lock().unwrap_or_else(PoisonError::into_inner);
            known.extend(queues.iter().map(|spec| (spec.target.clone(), spec.clone())));
        }
        // Without a session there is nothing to do: the next one declares what is known.
        match self.inner.current() {
            Ok(session) => session.declare(&self.inner.topology, queues).await,
            Err(BrokerError::Closed) => Err(BrokerError::Closed),
            Err(_) => Ok(()),
        }
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<(), BrokerError>> {
        self.inner.publish(messages).await
    }

    async fn subscribe(&self, target: &str) -> Result<Subscription, BrokerError> {
        let spec = self.inner.spec(target)?;
        let (sender, receiver) = mpsc::channel(usize::from(spec.in_flight.max(1)));
        let subscriber = Subscriber { spec, sender };
        let mut subscribers = self.inner.subscribers.lock().await;
        if *self.inner.closed.borrow() {
            return Err(BrokerError::Closed);
        }
        subscribers.retain(|subscriber| !subscriber.sender.is_closed());
        subscribers.push(subscriber.clone());
        let session = self.inner.session.borrow().clone();
        if let Some(session) = session
            && let Err(error) = session.consume(&self.inner, &subscriber).await
        {
            self.inner.rebuild(session.id, &error.to_string());
        }
        Ok(Subscription::new(receiver))
    }

    fn health(&self) -> Health {
        let (ready, detail) = match self.inner.current() {
            Ok(session) if session.is_blocked() => {
                (false, "publishing is blocked by an alarm of the broker (memory or disk)".to_owned())
            }
            Ok(_) => (true, "connected".to_owned()),
            Err(_) => (false, self.inner.trouble()),
        };
        Health { ready, detail, waiting: BTreeMap::new() }
    }

    fn horizon_ms(&self) -> Option<i64> {
        None
    }

    async fn line(&self, target: &str) -> Line {
        self.inner.line(target).await
    }

    fn durable(&self) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn share(&self, sharing: &Sharing) {
        self.inner.sharing.send_replace(Some(sharing.clone()));
    }

    async fn close(&self) {
        let session = self.inner.session.borrow().clone();
        self.inner.closed.send_replace(true);
        self.inner.subscribers.lock().await.clear();
        self.inner.session.send_replace(None);
        if let Some(session) = session {
            session.close().await;
        }
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        self.inner.closed.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_looked_at() {
        let with = |more: &str| RabbitSettings {
            more_urls: vec![more.to_owned()],
            ..RabbitSettings::new("amqp://one:secret@127.0.0.1")
        };
        assert_eq!(with("amqp://two:secret@127.0.0.1").problem(), None);
        for (more, told) in [("http://two:secret@127.0.0.1", "more_urls"), ("amqps://two:secret@h", "ca_pem")]
        {
            let problem = with(more).problem().unwrap();
            assert!(problem.contains(told) && !problem.contains("secret"), "{problem}");
        }
    }
}
