//! A session: connection, publishing channel in confirm mode, queues, consumers. It breaks as a whole.

use super::consume::{ANSWER, Trouble, consume};
use super::topology::{Route, Topology, delay_arguments, work_arguments};
use super::{Inner, RabbitSettings, Subscriber};
use crate::broker::{BrokerError, QueueSpec};
use crate::failpoints::failpoint;
use futures::StreamExt;
use futures::future::join_all;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Event, ExchangeKind,
    PublisherConfirm,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Connecting takes no longer than this, whatever the network does.
const CONNECT: Duration = Duration::from_secs(10);
/// Saying goodbye takes no longer than this.
const CLOSE: Duration = Duration::from_secs(3);
/// AMQP's "persistent".
pub(super) const PERSISTENT: u8 = 2;

pub(super) struct Session {
    /// Rises with every session: trouble with an old one is no news.
    pub(super) id: u64,
    connection: Connection,
    publish: Channel,
}

pub(super) fn failed(error: &lapin::Error) -> BrokerError {
    BrokerError::Unavailable(error.to_string())
}

/// Makes a session and announces it.
pub(super) async fn open(inner: &Arc<Inner>) -> Result<Arc<Session>, BrokerError> {
    let session = Arc::new(connect(inner).await?);
    watch_connection(inner, &session);
    let set_up = async {
        session.declare(&inner.topology, &inner.specs()).await?;
        let mut subscribers = inner.subscribers.lock().await;
        subscribers.retain(|subscriber| !subscriber.sender.is_closed());
        for subscriber in subscribers.iter() {
            session.consume(inner, subscriber).await?;
        }
        inner.session.send_replace(Some(session.clone()));
        Ok(())
    };
    let done = tokio::time::timeout(CONNECT * 6, set_up).await.map_err(slow).and_then(|done| done);
    if let Err(error) = done {
        session.close().await;
        return Err(error);
    }
    Ok(session)
}

/// A connection with its publishing channel, and nothing else yet.
pub(super) async fn connect(inner: &Inner) -> Result<Session, BrokerError> {
    tokio::time::timeout(CONNECT, reach(inner)).await.map_err(slow)?
}

fn slow(_: tokio::time::error::Elapsed) -> BrokerError {
    BrokerError::Unavailable("connecting takes too long".to_owned())
}

/// A connection, named for RabbitMQ's own tools.
pub(super) async fn dial(uri: AMQPUri, settings: &RabbitSettings) -> Result<Connection, BrokerError> {
    let runtime = lapin::runtime::default_runtime().map_err(|error| failed(&error))?;
    let properties =
        ConnectionProperties::default().with_connection_name(format!("tongbao {}", settings.prefix).into());
    let tls = OwnedTLSConfig { identity: None, cert_chain: settings.ca_pem.clone() };
    let connected = Connection::connect_uri_with_config(uri, properties, tls, runtime).await;
    connected.map_err(|error| failed(&error))
}

async fn reach(inner: &Inner) -> Result<Session, BrokerError> {
    let connection = dial(inner.uri()?, &inner.settings).await?;
    let publish = connection.create_channel().await.map_err(|error| failed(&error))?;
    publish.confirm_select(ConfirmSelectOptions::default()).await.map_err(|error| failed(&error))?;
    let id = inner.sessions.fetch_add(1, Ordering::Relaxed) + 1;
    Ok(Session { id, connection, publish })
}

/// An idle connection that dies is noticed by its events (heartbeats), not only by the next publish.
fn watch_connection(inner: &Arc<Inner>, session: &Arc<Session>) {
    let mut events = Box::pin(session.connection.events_listener());
    let (inner, id) = (Arc::downgrade(inner), session.id);
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let Some(inner) = inner.upgrade() else { return };
            if let Event::Error(error) = event {
                return inner.rebuild(id, &error.to_string());
            }
        }
    });
}

/// What is in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Depth {
    messages: u32,
    consumers: u32,
}

impl Depth {
    /// Whether nothing waits in it. A queue that cannot be asked right now says nothing of both.
    pub(super) fn is_empty(self) -> bool {
        self.messages == 0 && self.consumers > 0
    }
}

impl Session {
    /// Whether the broker takes no messages for now: publishing waits until its alarm is over.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Declares the delay ladder and the work queues. On a channel of its own: a declaration that contradicts
    /// what is there closes the channel.
    pub(super) async fn declare(&self, topology: &Topology, specs: &[QueueSpec]) -> Result<(), BrokerError> {
        let declared = async {
            let channel = self.connection.create_channel().await?;
            for (seconds, name) in topology.delays() {
                let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
                let exchange = name.as_str().into();
                channel
                    .exchange_declare(exchange, ExchangeKind::Fanout, durable, FieldTable::default())
                    .await?;
                declare_queue(&channel, &name, delay_arguments(seconds)).await?;
                let bind = QueueBindOptions::default();
                let (queue, exchange) = (name.as_str().into(), name.as_str().into());
                channel.queue_bind(queue, exchange, "".into(), bind, FieldTable::default()).await?;
            }
            for name in specs.iter().flat_map(|spec| topology.works(spec)) {
                declare_queue(&channel, &name, work_arguments()).await?;
            }
            channel.close(200, "declared".into()).await
        };
        declared.await.map_err(|error: lapin::Error| failed(&error))
    }

    /// What is in these queues. An error if one of them is not there.
    pub(super) async fn depths(&self, queues: &[String]) -> Result<Vec<Depth>, BrokerError> {
        let asked = async {
            let channel = self.connection.create_channel().await?;
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
            let mut depths = Vec::with_capacity(queues.len());
            for queue in queues {
                let found =
                    channel.queue_declare(queue.as_str().into(), passive, FieldTable::default()).await?;
                depths.push(Depth { messages: found.message_count(), consumers: found.consumer_count() });
            }
            channel.close(200, "asked".into()).await?;
            Ok(depths)
        };
        asked.await.map_err(|error: lapin::Error| failed(&error))
    }

    pub(super) async fn delete_topology(
        &self,
        topology: &Topology,
        specs: &[QueueSpec],
    ) -> Result<(), BrokerError> {
        let deleted = async {
            let channel = self.connection.create_channel().await?;
            let works = specs.iter().flat_map(|spec| topology.works(spec));
            for name in works.chain(topology.delays().into_iter().map(|(_, name)| name)) {
                channel.queue_delete(name.into(), QueueDeleteOptions::default()).await?;
            }
            for (_, name) in topology.delays() {
                channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await?;
            }
            channel.close(200, "deleted".into()).await
        };
        deleted.await.map_err(|error: lapin::Error| failed(&error))
    }

    /// Starts a subscriber's consumers in this session.
    pub(super) async fn consume(
        &self,
        inner: &Arc<Inner>,
        subscriber: &Subscriber,
    ) -> Result<(), BrokerError> {
        let channel = self.connection.create_channel().await.map_err(|error| failed(&error))?;
        match consume(inner, channel, subscriber, self.id).await {
            Ok(()) => {
                inner.silent.answered(&inner.topology.works(&subscriber.spec));
                Ok(())
            }
            Err(Trouble::Lapin(error)) => Err(failed(&error)),
            Err(Trouble::Silent(queue)) if inner.silent.is_again(&queue) => Err(self.give_up(queue).await),
            Err(Trouble::Silent(queue)) => {
                tracing::warn!(queue, "a queue does not answer; it is given another session");
                Err(BrokerError::Unavailable(format!("queue {queue} does not answer")))
            }
        }
    }

    /// Deletes a queue that is declared and does not answer, session after session, as a node leaves behind that was
    /// killed moments after it had made it: it would hold up every target for good. The next session makes it again,
    /// and what it held, if anything, the sweeper publishes again.
    async fn give_up(&self, queue: String) -> BrokerError {
        let deleted = async {
            let channel = self.connection.create_channel().await?;
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await
        };
        let told = match tokio::time::timeout(ANSWER, deleted).await {
            Ok(Ok(_)) => "it was deleted and is made again".to_owned(),
            Ok(Err(error)) => format!("it cannot be deleted: {error}"),
            Err(_) => "it cannot be deleted either".to_owned(),
        };
        tracing::error!(queue, told, "a queue does not answer");
        BrokerError::Unavailable(format!("queue {queue} does not answer; {told}"))
    }

    /// Publishes what has a route; all confirms are in flight at once. Sending counts into the time too: a
    /// connection whose other end has gone silent may take bytes as little as it gives confirms.
    pub(super) async fn publish(
        &self,
        routes: Vec<Result<Route, BrokerError>>,
        wait: Duration,
    ) -> Vec<Result<(), BrokerError>> {
        let count = routes.len();
        let published = async {
            let mut open = Vec::with_capacity(count);
            for route in routes {
                open.push(match route {
                    Ok(route) => self.send(route).await,
                    Err(error) => Err(error),
                });
            }
            failpoint("published-before-confirm");
            join_all(open.into_iter().map(|sent| async {
                match sent {
                    Ok((key, confirm)) => confirmed(key, confirm).await,
                    Err(error) => Err(error),
                }
            }))
            .await
        };
        match tokio::time::timeout(wait, published).await {
            Ok(results) => results,
            // Which of them were taken is not known; published again, they are harmless.
            Err(_) => vec![Err(BrokerError::Unavailable("no confirm in time".to_owned())); count],
        }
    }

    async fn send(&self, route: Route) -> Result<(String, PublisherConfirm), BrokerError> {
        // Without `mandatory` a message that no queue takes is confirmed and gone.
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into());
        let (exchange, key) = (route.exchange.into(), route.key.as_str().into());
        let sent = self.publish.basic_publish(exchange, key, options, &route.body, properties).await;
        sent.map(|confirm| (route.key, confirm)).map_err(|error| failed(&error))
    }

    pub(super) async fn close(&self) {
        let goodbye = self.connection.close(200, "closing".into());
        match tokio::time::timeout(CLOSE, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "connection was gone already"),
            Err(_) => tracing::debug!("the broker did not answer the goodbye"),
        }
    }
}

async fn declare_queue(channel: &Channel, name: &str, arguments: FieldTable) -> lapin::Result<()> {
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await.map(drop)
}

async fn confirmed(key: String, confirm: PublisherConfirm) -> Result<(), BrokerError> {
    match confirm.await {
        Ok(Confirmation::Ack(None)) => Ok(()),
        Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => Err(BrokerError::Unroutable(key)),
        Ok(Confirmation::Nack(None)) => Err(BrokerError::Refused(format!("queue {key} refused it"))),
        Ok(Confirmation::NotRequested) => {
            Err(BrokerError::Unavailable("the channel is not in confirm mode".to_owned()))
        }
        Err(error) => Err(failed(&error)),
    }
}
