//! The one HTTP client. Reaches only what the connection's settings name, bounded in time and size, follows no redirect
//! by itself, shows no secret, and says of every failure whether the far side can have acted.

pub(crate) mod address;
pub(crate) mod egress;
mod follow;
#[cfg(test)]
pub(crate) mod tests;

pub use egress::{Blocked, Egress, EgressRules, HostPort};

use crate::wire::Wire;
use bytes::Bytes;
use egress::{Checked, Lookup, System};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::OnceCell;
use tongbao_model::{Class, Code, Fault, Text};

/// Largest answer read, in bytes, counted after inflating.
pub const REPLY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Time for a connection to come about, TLS included.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// A connection's client; cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    egress: Arc<Egress>,
    lookup: Arc<dyn Lookup>,
    /// Made by the first call: a configuration is checked without one.
    made: OnceCell<reqwest::Client>,
    /// TLS of connections that are not HTTP, made by the first of them.
    tls: OnceLock<Arc<rustls::ClientConfig>>,
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
    /// It was not sent, because the connection may not call there.
    Blocked(Text),
}

impl Client {
    /// A client that reaches nothing: [`Connector::connect`](crate::Connector::connect) gives each connection its own.
    /// rustls' process-wide crypto provider must be installed before the first call.
    pub fn new() -> Client {
        Client::to(Egress::default())
    }

    /// A client that reaches what `egress` allows.
    pub fn to(egress: Egress) -> Client {
        Client::with(egress, Arc::new(System))
    }

    pub(crate) fn with(egress: Egress, lookup: Arc<dyn Lookup>) -> Client {
        let (made, tls) = (OnceCell::new(), OnceLock::new());
        Client { inner: Arc::new(Inner { egress: Arc::new(egress), lookup, made, tls }) }
    }

    /// Opens a connection of another protocol, by the same rules and in the clear, within ten seconds.
    pub async fn dial(&self, to: &HostPort, port: u16) -> Result<Wire, TransportError> {
        let Inner { egress, lookup, .. } = &*self.inner;
        Wire::dial(egress, lookup.as_ref(), &to.host, to.port.unwrap_or(port)).await
    }

    /// Puts TLS on such a connection; the certificate must be the host's.
    pub async fn secure(&self, wire: Wire) -> Result<Wire, TransportError> {
        let Inner { egress, tls, .. } = &*self.inner;
        let config = match tls.get() {
            Some(config) => Arc::clone(config),
            None => {
                let made = crate::wire::tls(egress.authorities())?;
                Arc::clone(tls.get_or_init(|| made))
            }
        };
        wire.secure(config, CONNECT).await
    }

    async fn made(&self) -> Result<&reqwest::Client, TransportError> {
        let Inner { egress, lookup, made, .. } = &*self.inner;
        let make = || async {
            let checked = Checked { egress: Arc::clone(egress), lookup: Arc::clone(lookup) };
            let builder = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT)
                .pool_idle_timeout(Duration::from_secs(55))
                .tcp_nodelay(true)
                .no_proxy()
                .dns_resolver(Arc::new(checked))
                .user_agent(concat!("tongbao/", env!("CARGO_PKG_VERSION")));
            let authorities = egress.authorities().iter();
            let authorities: Vec<_> =
                authorities.map(|one| reqwest::Certificate::from_der(one)).collect::<Result<_, _>>()?;
            let builder = match (authorities.as_slice(), system_roots()) {
                ([], Some(tls)) => builder.tls_backend_preconfigured(tls),
                // Without the system's roots nothing would be trusted: reqwest says so in its own words.
                _ => builder.tls_certs_merge(authorities),
            };
            builder.build()
        };
        made.get_or_try_init(make).await.map_err(|error| {
            TransportError::NotSent(format!("the HTTP client could not be made: {}", told(error)))
        })
    }

    /// Sends a request and reads the whole answer. A redirect is an answer like any other.
    pub async fn send(&self, sent: Sent) -> Result<Reply, TransportError> {
        self.inner.egress.admit(&sent.url).map_err(|blocked| TransportError::Blocked(blocked.0))?;
        let mut request =
            self.made().await?.request(sent.method, sent.url).timeout(sent.timeout).body(sent.body);
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

/// TLS that trusts what the system trusts. Its certificates are read once: reading them takes longer than many a call.
fn system_roots() -> Option<rustls::ClientConfig> {
    static READ: OnceLock<rustls::ClientConfig> = OnceLock::new();
    if let Some(read) = READ.get() {
        return Some(read.clone());
    }
    let mut config = rustls::ClientConfig::builder().with_platform_verifier().ok()?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(READ.get_or_init(|| config).clone())
}

impl Default for Client {
    fn default() -> Self {
        Client::new()
    }
}

/// Only a failure to connect proves that nothing was sent.
fn classify(error: reqwest::Error) -> TransportError {
    if let Some(Blocked(why)) = causes(&error).find_map(|cause| cause.downcast_ref()) {
        return TransportError::Blocked(why.clone());
    }
    let connecting = error.is_connect() || error.is_builder();
    let text = told(error);
    if connecting { TransportError::NotSent(text) } else { TransportError::Ambiguous(text) }
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// An error with its causes. The address is left out: it may hold a token.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    causes(&error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
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
            TransportError::Blocked(why) => {
                Fault::new(Code::TargetMisconfigured, why.zh.clone(), why.en.clone()).at("egress")
            }
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
