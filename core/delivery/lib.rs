//! Getting each event to each target once.
//!
//! This package knows events, deliveries, attempts and brokers. It does not know any outside system's
//! protocol, any mapping, any SQL, or the environment. AMQP is spoken in [`rabbit`] and nowhere else.
//! Time and randomness are parameters. The database is the truth and the broker is transport: everything a
//! broker holds can be made again from the store.
//!
//! The way of one delivery: [`Engine::accept`] stores it with its outbox row; the relay of its target publishes
//! the row and removes it after the broker's confirm; a worker takes the message, writes the intent
//! ([`port::Store::begin`]), calls the [`Handler`], asks [`policy`] what follows and stores outcome, binding,
//! follow-on events and the next outbox row in one transaction ([`port::Store::finish`]); then the message is settled.

pub mod attention;
mod backlog;
pub mod broker;
mod circuit;
pub mod clock;
pub mod embedded;
pub mod engine;
pub mod failpoints;
pub mod fnv;
pub mod handler;
mod head_start;
mod holds;
pub mod invoicing;
pub mod observer;
mod outbox;
pub mod payments;
pub mod policy;
pub mod port;
pub mod rabbit;
mod relay;
pub mod settings;
pub mod sharing;
pub mod sim;
mod slots;
pub mod stalled;
pub mod statements;
mod sweeper;
mod unheard;
mod worker;

pub use broker::{Broker, BrokerError, Message, QueueSpec};
pub use clock::{Clock, SystemClock};
pub use embedded::{Embedded, EmbeddedSettings};
pub use engine::{Engine, EngineError, EngineParts, Stopped};
pub use handler::{Handler, Report};
pub use holds::Holds;
pub use observer::{NoObserver, Observer};
pub use policy::{FirstMove, Schedule, first_move};
pub use rabbit::{Rabbit, RabbitSettings};
pub use settings::{RelaySettings, TargetSettings};
pub use sharing::Sharing;
pub use stalled::Stalled;
pub use unheard::Unheard;
