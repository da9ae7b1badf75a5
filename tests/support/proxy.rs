//! A TCP proxy that misbehaves on demand: cuts connections, holds bytes back, lets them drip, refuses new
//! ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They pass.
    Pass,
    /// They stay; connections hang without ending.
    Stall,
    /// They pass a few at a time.
    Drip,
    /// New connections are closed at once.
    Refuse,
}

/// A few bytes, and the pause after them, of [`Mode::Drip`].
const DROP: usize = 64;
const PAUSE: Duration = Duration::from_millis(15);

struct Shared {
    mode: watch::Sender<Mode>,
    /// Rises with every cut: connections of before end.
    cuts: watch::Sender<u64>,
    /// Bytes from clients until the next cut comes by itself; negative when none is wanted.
    until_cut: AtomicI64,
    connections: AtomicU64,
}

/// A proxy in front of a port of this machine; gone with its value.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy that passes everything on to `port`.
    pub async fn start(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mode: watch::channel(Mode::Pass).0,
            cuts: watch::channel(0).0,
            until_cut: AtomicI64::new(-1),
            connections: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, port, shared.clone()));
        Proxy { address, shared, accepting }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections that came so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Cuts all connections that there are.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts all connections as soon as clients have sent so many more bytes: in the middle of whatever they
    /// say then.
    pub fn cut_after(&self, bytes: u32) {
        self.shared.until_cut.store(i64::from(bytes), Ordering::SeqCst);
    }

    /// Whether the cut of [`Proxy::cut_after`] has come.
    pub fn has_cut(&self) -> bool {
        self.shared.until_cut.load(Ordering::SeqCst) < 0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, port: u16, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        if *shared.mode.borrow() == Mode::Refuse {
            continue;
        }
        tokio::spawn(connect(client, port, shared.clone()));
    }
}

async fn connect(client: TcpStream, port: u16, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
        // A cut is a reset, as by a firewall that forgot the connection, not an orderly end.
        stream.set_zero_linger().unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pump(from_client, to_server, &shared, true);
    let back = pump(from_server, to_client, &shared, false);
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = cuts.changed() => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, counted: bool) {
    let mut buffer = vec![0; 16 * 1024];
    let mut mode = shared.mode.subscribe();
    loop {
        let room = if *mode.borrow() == Mode::Drip { DROP } else { buffer.len() };
        let Ok(read) = from.read(&mut buffer[..room]).await else { return };
        if read == 0 {
            return;
        }
        if *mode.borrow() == Mode::Drip {
            tokio::time::sleep(PAUSE).await;
        }
        if mode.wait_for(|mode| *mode != Mode::Stall).await.is_err() {
            return;
        }
        let mut passed = read;
        if counted && let Some(left) = counted_down(shared, read) {
            passed = left;
        }
        if to.write_all(&buffer[..passed]).await.is_err() {
            return;
        }
        if passed < read {
            shared.cuts.send_modify(|cuts| *cuts += 1);
            return;
        }
    }
}

/// How many of these bytes pass before the cut that is due now; nothing when none is.
fn counted_down(shared: &Shared, read: usize) -> Option<usize> {
    let read = i64::try_from(read).unwrap();
    let before = shared.until_cut.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        (left >= 0).then(|| if left < read { -1 } else { left - read })
    });
    before.ok().filter(|left| *left < read).map(|left| usize::try_from(left).unwrap())
}
