//! Reading from a system.

use crate::files::Files;
use crate::outcome::Failure;
use async_trait::async_trait;
use serde_json::Value;
use tongbao_model::{Fault, Json};

/// An incoming request, as it came.
#[derive(Debug, Clone, Default)]
pub struct Inbound {
    /// Path below the connection's own.
    pub path: String,
    /// Decoded query parameters in order.
    pub query: Vec<(String, String)>,
    /// Header names in lower case, values as text.
    pub headers: Vec<(String, String)>,
    /// Raw body.
    pub body: Vec<u8>,
}

impl Inbound {
    /// First header of a name given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// First query parameter of a name.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A document that came in, not yet translated.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// Document kind; the connection's `receives` says which mapping and event kind it goes to.
    pub kind: String,
    /// The document.
    pub document: Json,
}

/// What a request held.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Documents to be accepted. Empty for a ping, or for news nobody asked for.
    pub documents: Vec<Incoming>,
    /// Business keys whose deliveries to this same connection should be looked at again soon: an unsigned
    /// callback is only a hint, and never changes state by itself.
    pub hints: Vec<String>,
    /// Body of the success answer, which then is a 200; `None` for the service's own, a 202 where something was accepted.
    pub reply: Option<Value>,
}

/// What one poll brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Polled {
    /// Documents, oldest first. They may repeat earlier ones: acceptance sorts that out.
    pub documents: Vec<Incoming>,
    /// Where the next poll begins, stored together with the documents.
    pub cursor: String,
    /// Whether more is waiting right now.
    pub more: bool,
}

/// Reads from a system. The engine calls `verify`, then `decode`, for every request to
/// `/in/<connection>`, and `poll` by the connection's schedule.
#[async_trait]
pub trait Source: Send + Sync {
    /// Checks the signature over the raw bytes and the freshness at `now_ms`. Called before anything else
    /// looks at the body; a fault is answered with 401 and nothing is kept.
    fn verify(&self, request: &Inbound, now_ms: i64) -> Result<(), Fault>;

    /// Reads the body. Pure and stable: the same bytes always give the same documents. A fault is answered
    /// with 422 and nothing is kept.
    fn decode(&self, request: &Inbound) -> Result<Decoded, Fault>;

    /// How it reads files, for a system whose documents come in files that people or banks put down.
    fn files(&self) -> Option<&dyn Files> {
        None
    }

    /// Fetches what changed since `cursor` (`None` at the very first time) in one stream of [`Source::streams`].
    /// The engine stores the documents and the new cursor in one transaction; on a failure it keeps the old
    /// cursor and tries again later.
    async fn poll(&self, stream: &str, cursor: Option<&str>) -> Result<Polled, Failure> {
        let _ = cursor;
        Err(Failure::new(
            Fault::new(
                tongbao_model::Code::TargetMisconfigured,
                format!("该连接不支持轮询 {stream}"),
                format!("this connection cannot poll {stream}"),
            )
            .at("polls"),
        ))
    }
}
