//! Requests and replies as the stand-ins see them, independent of the HTTP library.

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::{
    faults::{Fault, System},
    world::World,
};

/// JSON with its charset named: with a bare `text/plain` the vendor's Python client would decode Latin-1.
pub(crate) const JSON: &str = "application/json; charset=utf-8";
/// An HTML page of a proxy.
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// One request, body read.
pub(crate) struct Incoming {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Incoming {
    /// A header as text; UTF-8 is allowed because some clients send names raw.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }

    /// A decoded query parameter.
    pub fn query_value(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The token of `Authorization: Bearer ...`.
    pub fn bearer(&self) -> Option<&str> {
        let value = self.header("authorization")?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }
}

/// One answer.
pub(crate) struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    /// Something that has to happen before the answer leaves (a callback sent first); bounded by the driver.
    pub hold: Option<oneshot::Receiver<()>>,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::text(status, JSON, value.to_string())
    }

    /// Any text.
    pub fn text(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.into(), hold: None }
    }

    /// Adds a header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The work of one call; it gets the fault that the far side itself has to play (session lost, edit lock, ...).
pub(crate) type Work = Box<dyn FnOnce(&World, Option<&Fault>) -> Reply + Send>;

/// What a stand-in makes of a request: an answer at once, or work that faults may hit.
pub(crate) enum Step {
    /// Refused or answered before any work (wrong path, no credentials).
    Done(Reply),
    /// An authenticated call.
    Work(Job),
}

/// An authenticated call, ready to run.
pub(crate) struct Job {
    pub system: System,
    pub operation: String,
    pub keys: Vec<String>,
    pub run: Work,
}
