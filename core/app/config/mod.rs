//! `tongbao.yaml`: one file, read once, everything wrong with it told in one run with line numbers.

mod invoicing;
mod load;
mod matching;
mod notices;
mod read;
mod secrets;
mod statements;

pub use invoicing::{InvoicingRules, is_used as controls_invoices};
pub use load::{Beside, Documents, Loaded, load, load_text, load_without_mappings, mapping_files};
pub use matching::{Matching, is_used as allocates, kind_of};
pub use notices::{AtMost, Matter, NoticeRule, Quiet, source};
pub use read::read;
pub use secrets::{Environment, failpoint, operator};
pub use statements::{CustomerRule, Remind, SOURCE as STATEMENTS, SendAt, StatementRules};

use std::path::PathBuf;
use tongbao_delivery::settings::{RelaySettings, TargetSettings};
use tongbao_model::diagnostic::Place;
use tongbao_model::yaml::Node;

/// Name of the built-in target that keeps receivable accounts.
pub const LEDGER: &str = "ledger";
/// Name of the built-in target that keeps payments until it is decided what they pay.
pub const PAYMENTS: &str = "payments";
/// Name of the built-in target that judges what may be invoiced.
pub const INVOICING: &str = "invoicing";
/// Name of the built-in target that brings contracts into effect once their signature is confirmed.
pub const SIGNATURE: &str = "signature";
/// Name of the built-in target that keeps documents no mapping could read at intake.
pub const INTAKE: &str = "intake";
/// All of them.
pub const BUILTIN: [&str; 5] = [LEDGER, PAYMENTS, INVOICING, SIGNATURE, INTAKE];

/// The configuration as written, checked for form.
#[derive(Debug)]
pub struct Config {
    /// File it came from; relative paths in it are relative to its folder.
    pub folder: PathBuf,
    /// HTTP server.
    pub server: Server,
    /// Database address.
    pub store: StoreConfig,
    /// Broker.
    pub broker: BrokerConfig,
    /// Engine's relay and sweeper.
    pub relay: RelaySettings,
    /// How deliveries to the built-in targets ([`BUILTIN`]) are made.
    pub builtin: TargetSettings,
    /// How long finished events stay in the database.
    pub retention: Retention,
    /// Folders with mapping files.
    pub mappings: Vec<PathBuf>,
    /// Pause between two looks at them, in milliseconds; 0 looks only when asked.
    pub reload_ms: u64,
    /// Connections, in the order of the file.
    pub connections: Vec<Connection>,
    /// Flows, in the order of the file.
    pub flows: Vec<Flow>,
    /// Which people are told what, in the order of the file.
    pub notices: Vec<NoticeRule>,
    /// How payments are allocated.
    pub matching: Matching,
    /// What the control of invoices goes by.
    pub invoicing: InvoicingRules,
    /// How statements reach customers; `None`: nothing is sent.
    pub statements: Option<StatementRules>,
}

/// HTTP server settings.
#[derive(Debug, Clone)]
pub struct Server {
    /// Address and port, e.g. `127.0.0.1:8480`.
    pub listen: String,
    /// Largest body accepted, in bytes.
    pub body_bytes_max: usize,
    /// Bearer token of the API; without one the API answers only on a loopback address.
    pub api_token: Option<secrecy::SecretString>,
    /// Address under which people reach it, for links.
    pub public_url: Option<String>,
    /// How long a graceful stop may take, in milliseconds.
    pub stop_ms: u64,
}

/// Where the store is.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `sqlite://…`, `postgres://…` or `mysql://…`.
    pub url: secrecy::SecretString,
    /// Connections in the pool.
    pub pool: u32,
}

/// How long finished events stay in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Days since everything of an event was finished.
    pub keep_days: u32,
    /// Folder that they then move to; without one they stay for ever.
    pub archive: Option<PathBuf>,
}

/// Which broker.
#[derive(Debug, Clone)]
pub enum BrokerConfig {
    /// In this process.
    Embedded,
    /// RabbitMQ.
    Rabbit {
        /// `amqp://…` or `amqps://…`.
        url: secrecy::SecretString,
        /// The other nodes of a cluster.
        more_urls: Vec<secrecy::SecretString>,
        /// First part of every queue's and exchange's name.
        prefix: String,
        /// Certificates (PEM) that `amqps` trusts.
        ca_pem: Option<secrecy::SecretString>,
    },
}

/// A configured connection.
#[derive(Debug)]
pub struct Connection {
    /// Name.
    pub name: String,
    /// Where it stands in the file.
    pub place: Place,
    /// Name of the connector.
    pub connector: String,
    /// Its settings, checked by the connector.
    pub settings: Node,
    /// Where it may call besides the addresses in its settings.
    pub egress: Node,
    /// Documents that come in by request.
    pub receives: Vec<Receives>,
    /// Documents that are fetched.
    pub polls: Vec<Polls>,
    /// How deliveries to it are made.
    pub target: TargetSettings,
}

/// What becomes of an incoming document kind.
#[derive(Debug, Clone)]
pub struct Receives {
    /// Document kind of the connector.
    pub kind: String,
    /// Where it stands in the file.
    pub place: Place,
    /// Event kind it becomes.
    pub event: String,
    /// Mapping that makes the canonical record.
    pub mapping: String,
    /// Path in the record that events are ordered by; the business key when absent.
    pub order_by: Option<String>,
    /// Whether a document no mapping can read is refused (422) or kept and parked.
    pub park_faults: bool,
}

/// A stream that is polled.
#[derive(Debug, Clone)]
pub struct Polls {
    /// What becomes of its documents.
    pub receives: Receives,
    /// Pause between polls, in milliseconds.
    pub every_ms: u64,
}

/// A rule: this event, through this mapping, to this connection; what its outcome emits.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Name.
    pub name: String,
    /// Where it stands in the file.
    pub place: Place,
    /// Event kind.
    pub on: String,
    /// Only events from this connection.
    pub from: Option<String>,
    /// Connection, or one of [`BUILTIN`].
    pub to: String,
    /// Mapping; absent for the built-in targets.
    pub mapping: Option<String>,
    /// Event kind of a success.
    pub emits: Option<String>,
}
