//! Connections of protocols that are not HTTP but speak in lines. Where they may lead, and what is trusted, is decided as for
//! HTTP: the host is one that the settings name, and the socket is opened to an address that was checked. What the far side
//! says is bounded in each line and altogether; time is bounded by whoever calls.

use crate::http::address::{Reach, reach};
use crate::http::egress::{Egress, Lookup};
use crate::http::{CONNECT, TransportError};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest line that is read, in bytes, its end included. RFC 5321 has 512, and servers exceed it.
pub const LINE_BYTES_MAX: usize = 4 * 1024;
/// Most bytes that are read from one connection.
pub const READ_BYTES_MAX: usize = 256 * 1024;

/// An open connection to a host that may be reached.
pub struct Wire {
    stream: BufReader<Stream>,
    host: String,
    peer: IpAddr,
    /// Bytes read so far.
    read: usize,
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Opens a socket to one of the host's addresses that may be reached.
    pub(crate) async fn dial(
        egress: &Egress,
        lookup: &dyn Lookup,
        host: &str,
        port: u16,
    ) -> Result<Wire, TransportError> {
        let dialled = timeout(CONNECT, open(egress, lookup, host, port)).await;
        let (stream, peer) = dialled.map_err(|_| not_sent("no connection in time"))??;
        let stream = BufReader::new(Stream::Clear(stream));
        Ok(Wire { stream, host: host.to_owned(), peer: peer.ip(), read: 0 })
    }

    /// The same connection under TLS, once the far side has shown a certificate for the host that is trusted. Refused where
    /// it said more in the clear than was read: whoever put that there wants it taken for something said under TLS.
    pub(crate) async fn secure(
        self,
        config: Arc<ClientConfig>,
        within: Duration,
    ) -> Result<Wire, TransportError> {
        let Wire { stream, host, peer, read } = self;
        if !stream.buffer().is_empty() {
            return Err(not_sent("something was said in the clear where TLS begins"));
        }
        let Stream::Clear(clear) = stream.into_inner() else {
            return Err(not_sent("TLS within TLS"));
        };
        let name = ServerName::try_from(host.clone()).map_err(not_sent)?;
        let connecting = TlsConnector::from(config).connect(name, clear);
        let tls = timeout(within, connecting).await.map_err(|_| not_sent("no TLS in time"))?;
        let tls = Box::new(tls.map_err(|error| not_sent(format!("TLS: {error}")))?);
        Ok(Wire { stream: BufReader::new(Stream::Tls(tls)), host, peer, read })
    }

    /// Whether it is under TLS.
    pub fn is_secure(&self) -> bool {
        matches!(self.stream.get_ref(), Stream::Tls(_))
    }

    /// Whether it leads to this machine or a network of our own.
    pub fn is_inside(&self) -> bool {
        is_inside(self.peer)
    }

    /// One line without its end. A line must have one: what the connection's end cuts off is no line.
    pub async fn line(&mut self) -> Result<Vec<u8>, TransportError> {
        let mut line = Vec::new();
        loop {
            let found =
                self.stream.fill_buf().await.map_err(|error| TransportError::Ambiguous(told(&error)))?;
            if found.is_empty() {
                return Err(TransportError::Ambiguous("the connection ends in mid-answer".into()));
            }
            let end = found.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(found.len(), |end| end + 1);
            line.extend_from_slice(found.get(..taken).unwrap_or_default());
            self.stream.consume(taken);
            self.read = self.read.saturating_add(taken);
            if line.len() > LINE_BYTES_MAX || self.read > READ_BYTES_MAX {
                return Err(TransportError::Ambiguous("the answer is too long".into()));
            }
            if end.is_some() {
                let kept = line.trim_ascii_end().len();
                line.truncate(kept);
                return Ok(line);
            }
        }
    }

    /// Writes everything.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| TransportError::Ambiguous(told(&error)))
    }

    /// Says that nothing follows.
    pub async fn close(mut self) {
        let _ = self.stream.shutdown().await;
    }
}

/// TLS with the system's authorities and those given.
pub(crate) fn tls(authorities: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(authorities.iter().cloned(), Arc::clone(&provider));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(not_sent)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier.map_err(not_sent)?))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

async fn open(
    egress: &Egress,
    lookup: &dyn Lookup,
    host: &str,
    port: u16,
) -> Result<(TcpStream, SocketAddr), TransportError> {
    let blocked = |why: crate::http::Blocked| TransportError::Blocked(why.0);
    egress.admit_host(host, Some(port)).map_err(blocked)?;
    let addresses = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => {
            let found = lookup.lookup(host.to_owned()).await.map_err(|error| not_sent(told(&error)))?;
            egress.open(found).map_err(blocked)?
        }
    };
    let mut last = not_sent("the host has no address");
    for address in addresses {
        let address = SocketAddr::new(address, port);
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok((stream, address));
            }
            Err(error) => last = not_sent(told(&error)),
        }
    }
    Err(last)
}

fn is_inside(address: IpAddr) -> bool {
    reach(address) == Reach::Private
}

fn not_sent(why: impl ToString) -> TransportError {
    TransportError::NotSent(why.to_string())
}

fn told(error: &io::Error) -> String {
    error.to_string()
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
