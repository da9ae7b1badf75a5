//! A mail server: submission by SMTP, with a login and TLS, and everything it took.
//!
//! RFC 5321 (conversation, line ends, lengths), 3207 (STARTTLS), 4954 (AUTH PLAIN and LOGIN), 2034 (enhanced codes) and 5322
//! (what a message must have). Stricter than most servers where the documents are clear, for what passes here passes there.

mod message;
mod script;
mod session;
#[cfg(test)]
mod tests;

pub use message::MailMessage;

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    sandbox::Sandbox,
    world::{World, lock},
};

/// Messages kept.
const KEPT: usize = 10_000;

/// The mail server.
#[derive(Clone)]
pub struct MailConfig {
    /// Who may send.
    pub username: String,
    /// With this password.
    pub password: String,
    /// Takes mail from nobody who has not logged in.
    pub needs_login: bool,
    /// Ways of logging in that it offers: `PLAIN`, `LOGIN`.
    pub mechanisms: Vec<&'static str>,
    /// Recipients it does not know.
    pub unknown: Vec<String>,
    /// Largest message in bytes.
    pub size_max: usize,
    /// Certificate and key for TLS; without them it offers none.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// TLS from the first byte (port 465) instead of STARTTLS (port 587).
    pub tls_at_once: bool,
}

impl std::fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailConfig").field("mechanisms", &self.mechanisms).finish_non_exhaustive()
    }
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            username: "tongbao@example.com".to_owned(),
            password: "mail-sandbox-password".to_owned(),
            needs_login: true,
            mechanisms: vec!["PLAIN", "LOGIN"],
            unknown: Vec::new(),
            size_max: 10 * 1024 * 1024,
            tls: None,
            tls_at_once: false,
        }
    }
}

/// What it took.
#[derive(Debug, Default)]
pub(crate) struct State {
    messages: VecDeque<MailMessage>,
}

impl State {
    /// Everything, oldest first.
    pub fn messages(&self) -> Vec<MailMessage> {
        self.messages.iter().cloned().collect()
    }

    fn keep(&mut self, message: MailMessage) {
        self.messages.push_back(message);
        if self.messages.len() > KEPT {
            self.messages.pop_front();
        }
    }
}

impl Sandbox {
    /// Where mail is handed in: `127.0.0.1:<port>`.
    #[must_use]
    pub fn mail_address(&self) -> String {
        self.mail.to_string()
    }

    /// Messages that the mail server took, oldest first.
    #[must_use]
    pub fn mail_messages(&self) -> Vec<MailMessage> {
        lock(&self.world.mail).messages()
    }
}

/// Serves until told to stop. Connections end with it.
pub(crate) fn serve(
    listener: TcpListener,
    world: Arc<World>,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(sessions.spawn(session::run(Arc::clone(&world), stream))),
                    Err(error) => tracing::debug!(%error, "the mail server could not accept a connection"),
                },
                Some(_) = sessions.join_next() => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
        }
    })
}

/// Binds the listener.
pub(crate) async fn bind(port: u16) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn acceptor(config: &MailConfig) -> Option<TlsAcceptor> {
    config.tls.clone().map(TlsAcceptor::from)
}
