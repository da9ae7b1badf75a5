//! The one HTTP client. Bounded in time and size, follows no redirect, shows no secret, and says of every
//! failure whether the far side can have acted.

use bytes::Bytes;
use std::time::Duration;
use tongbao_model::{Class, Code, Fault};

/// Largest answer read, in bytes.
pub const REPLY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A client shared by all connections; cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
}

/// A request. The body is sent exactly as given, for signatures are made over it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Method.
    pub method: reqwest::Method,
    /// Address.
    pub url: url::Url,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
    /// From the start of connecting to the last byte of the answer.
    pub timeout: Duration,
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, values as text where they are text.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

/// No complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportError {
    /// The request surely never reached the far side: no connection came about.
    NotSent(String),
    /// It may have reached the far side and may have taken effect.
    Ambiguous(String),
}

/// A client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be made: {0}")]
pub struct ClientError(String);

impl Client {
    /// Makes the client. rustls' process-wide crypto provider must be installed before.
    pub fn new() -> Result<Client, ClientError> {
        let inner = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_secs(55))
            .tcp_nodelay(true)
            .no_proxy()
            .user_agent(concat!("tongbao/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError(error.to_string()))?;
        Ok(Client { inner })
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, sent: Sent) -> Result<Reply, TransportError> {
        let mut request = self.inner.request(sent.method, sent.url).timeout(sent.timeout).body(sent.body);
        for (name, value) in sent.headers {
            request = request.header(name, value);
        }
        let mut response = request.send().await.map_err(classify)?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(classify)? {
            if body.len() + chunk.len() > REPLY_BYTES_MAX {
                return Err(TransportError::Ambiguous(format!("the answer exceeds {REPLY_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body: body.into() })
    }
}

/// Only a failure to connect proves that nothing was sent. The address is left out: it may hold a token.
fn classify(error: reqwest::Error) -> TransportError {
    let connecting = error.is_connect() || error.is_builder();
    let mut text = String::new();
    let error = error.without_url();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(current) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&current.to_string());
        cause = current.source();
    }
    if connecting { TransportError::NotSent(text) } else { TransportError::Ambiguous(text) }
}

impl TransportError {
    /// The fault and class it stands for.
    pub fn fault(&self) -> Fault {
        match self {
            TransportError::NotSent(why) => Fault::new(
                Code::TargetUnavailable,
                format!("无法连接目标系统：{why}"),
                format!("the far system cannot be reached: {why}"),
            ),
            TransportError::Ambiguous(why) => Fault::new(
                Code::OutcomeUnknown,
                format!("没有收到完整答复：{why}"),
                format!("no complete answer arrived: {why}"),
            ),
        }
    }
}

impl Reply {
    /// First header of a name given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All headers of a name given in lower case.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `Retry-After` in seconds, at most a day; dates are not used by the systems we know.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds.min(86_400)))
    }

    /// The body as JSON, with a byte order mark forgiven.
    pub fn json(&self) -> Option<serde_json::Value> {
        let body = self.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.body);
        serde_json::from_slice(body).ok()
    }

    /// Class of a bare HTTP status where the body says nothing. A gateway's 5xx leaves open whether the
    /// system behind it acted, with `Retry-After` or without; so do 408 (gave up waiting) and 409 (perhaps with our
    /// own earlier call).
    pub fn class_of_status(&self) -> Class {
        match self.status {
            200..=299 => Class::Done,
            401 | 403 => Class::Unauthorized,
            404 | 405 | 300..=399 => Class::Misconfigured,
            429 => Class::Throttled(self.retry_after()),
            408 | 409 => Class::Unknown,
            400..=499 => Class::Rejected,
            _ => Class::Unknown,
        }
    }
}
