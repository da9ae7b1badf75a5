//! What a connector is.
//!
//! A [`Connector`] is a value: a name, typed settings, and at most one [`Source`], one [`Target`] and one
//! [`Masters`] with at most three methods each. Everything else (sessions apart) belongs to the engine: retries, order, ledgers,
//! mapping, storage. This package contains no connector, and knows no mapping file, no database, no broker and
//! no clock of its own. What every connector must show is the [`kit`].

pub mod connector;
pub mod document;
pub mod files;
pub mod http;
pub mod kit;
pub mod letter;
pub mod masters;
pub mod notice;
pub mod outcome;
pub mod robot;
pub mod rules;
pub mod session;
pub mod settings;
pub mod signing;
pub mod source;
pub mod target;
pub mod wire;
pub mod xml;

pub use connector::{Built, Connector, Context};
pub use document::DocumentKind;
pub use files::{Contents, Files, Watch};
pub use http::{Client, EgressRules, HostPort, Reply, Sent, TransportError};
pub use masters::{Master, MasterKind, MasterPage, Masters, Offers, Stock, StockQuery, StockRow};
pub use outcome::{Failure, Lookup, Outcome, Receipt, Remote};
pub use settings::{Field, Settings, Spec, ValueKind};
pub use source::{Decoded, Inbound, Incoming, Polled, Source};
pub use target::{Expected, Target, Task};
pub use wire::Wire;
