//! A TCP listener whose connections can be cut from inside a handler.
//!
//! The faults "closed before the reply" and "closed inside the body" must be real transport errors for the caller.
//! A handler cannot close its own connection, so every connection carries a switch: once it is thrown the stream
//! refuses to write and the server drops the socket.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use axum::{extract::connect_info::Connected, serve::IncomingStream, serve::Listener};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use crate::world::lock;

/// No limit on what is written.
const OPEN: i64 = -1;

/// The switch of one connection.
#[derive(Debug, Default)]
struct Switch {
    /// Bytes of the response body that may still be written before the connection dies; [`OPEN`] for no limit.
    body_budget: AtomicI64,
    waker: Mutex<Option<Waker>>,
}

impl Switch {
    fn dead(&self) -> bool {
        self.body_budget.load(Ordering::Acquire) == 0
    }

    fn throw(&self, body_bytes: i64) {
        self.body_budget.store(body_bytes, Ordering::Release);
        if body_bytes == 0
            && let Some(waker) = lock(&self.waker).take()
        {
            waker.wake();
        }
    }
}

/// A handler's view of its connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnHandle(Arc<Switch>);

impl ConnHandle {
    /// Closes the connection without another byte.
    pub fn cut(&self) {
        self.0.throw(0);
    }

    /// Lets the head of the next response and `body_bytes` of its body through, then closes the connection.
    pub fn cut_after(&self, body_bytes: usize) {
        self.0.throw(i64::try_from(body_bytes).unwrap_or(i64::MAX).max(1));
    }
}

impl Connected<IncomingStream<'_, CutListener>> for ConnHandle {
    fn connect_info(stream: IncomingStream<'_, CutListener>) -> Self {
        ConnHandle(Arc::clone(&stream.io().switch))
    }
}

/// All live connections of a listener, so that a shutdown can end the ones that do not end by themselves.
#[derive(Clone, Default)]
pub(crate) struct Live(Arc<Mutex<HashMap<u64, Arc<Switch>>>>);

impl Live {
    /// Cuts every connection.
    pub fn cut_all(&self) {
        for switch in lock(&self.0).values() {
            switch.throw(0);
        }
    }
}

/// A TCP listener that hands out [`CutStream`]s.
pub(crate) struct CutListener {
    inner: TcpListener,
    live: Live,
    next: AtomicU64,
}

impl CutListener {
    pub fn new(inner: TcpListener, live: Live) -> Self {
        Self { inner, live, next: AtomicU64::new(1) }
    }
}

impl Listener for CutListener {
    type Io = CutStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.inner.accept().await {
                Ok((stream, address)) => {
                    // Small replies must not wait for the peer's delayed acknowledgement.
                    let _ = stream.set_nodelay(true);
                    let id = self.next.fetch_add(1, Ordering::Relaxed);
                    let switch = Arc::new(Switch { body_budget: AtomicI64::new(OPEN), ..Switch::default() });
                    lock(&self.live.0).insert(id, Arc::clone(&switch));
                    return (CutStream { inner: stream, switch, id, live: self.live.clone() }, address);
                }
                Err(error) => {
                    tracing::debug!(%error, "sandbox could not accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// A TCP stream with a switch.
pub(crate) struct CutStream {
    inner: TcpStream,
    switch: Arc<Switch>,
    id: u64,
    live: Live,
}

impl Drop for CutStream {
    fn drop(&mut self) {
        lock(&self.live.0).remove(&self.id);
    }
}

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionReset)))
}

impl AsyncRead for CutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.switch.dead() {
            return gone();
        }
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if polled.is_pending() {
            *lock(&self.switch.waker) = Some(cx.waker().clone());
        }
        polled
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let budget = self.switch.body_budget.load(Ordering::Acquire);
        if budget == OPEN {
            return Pin::new(&mut self.inner).poll_write(cx, buf);
        }
        if budget == 0 {
            return gone();
        }
        let head = buf.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        let allowed = usize::try_from(budget).unwrap_or(0).saturating_add(head).min(buf.len());
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf.get(..allowed).unwrap_or(buf));
        if let Poll::Ready(Ok(written)) = &polled {
            let body = i64::try_from(written.saturating_sub(head)).unwrap_or(budget);
            self.switch.body_budget.store(budget.saturating_sub(body).max(0), Ordering::Release);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
