//! One connection, from greeting to goodbye.

use std::{io, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use subtle::ConstantTimeEq as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{MailMessage, acceptor, script};
use crate::{
    faults::System,
    world::{World, lock},
};

/// Longest command with its end (RFC 5321 4.5.3.1.4).
const COMMAND_MAX: usize = 512;
/// Longest line of a login (RFC 4954 4).
const LOGIN_MAX: usize = 12_288;
/// Longest line of a message with its end (RFC 5321 4.5.3.1.6).
const TEXT_MAX: usize = 1_000;
/// Pieces of a dripping reply.
const DROPS: usize = 16;

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

struct Session {
    world: Arc<World>,
    stream: BufReader<Box<dyn Wire>>,
    secure: bool,
    hello: bool,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

/// Whether the conversation goes on.
type Goes = io::Result<bool>;

/// Serves one connection.
pub(super) async fn run(world: Arc<World>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let at_once = acceptor(&world.config.mail).filter(|_| world.config.mail.tls_at_once);
    let secure = at_once.is_some();
    let stream: Box<dyn Wire> = match at_once {
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => Box::new(stream),
            Err(_) => return,
        },
        None => Box::new(stream),
    };
    let stream = BufReader::new(stream);
    let mut session = Session { world, stream, secure, hello: false, user: None, from: None, to: Vec::new() };
    if let Err(error) = session.serve().await {
        tracing::debug!(%error, "a mail connection ended");
    }
    let _ = session.stream.shutdown().await;
}

impl Session {
    async fn serve(&mut self) -> io::Result<()> {
        if !self.answer("connect", |_| "220 mail.sandbox ESMTP".to_owned()).await? {
            return Ok(());
        }
        while let Some(line) = self.line(LOGIN_MAX).await? {
            if !self.command(line).await? {
                break;
            }
        }
        Ok(())
    }

    /// One line that ends in CR LF, without it; `None` at the end.
    async fn line(&mut self, most: usize) -> io::Result<Option<Result<String, &'static str>>> {
        let mut line = Vec::new();
        // A line that is longer is read in pieces, each of them refused.
        let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        if (&mut self.stream).take(bound).read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return Ok(Some(Err("500 5.5.2 a line ends in CR LF")));
        };
        if line.len() > most {
            return Ok(Some(Err("500 5.5.2 the line is too long")));
        }
        Ok(Some(String::from_utf8(text.to_vec()).map_err(|_| "500 5.5.2 no text")))
    }

    async fn command(&mut self, line: Result<String, &'static str>) -> Goes {
        let line = match line {
            Ok(line) => line,
            Err(reply) => return self.say(reply).await,
        };
        let (verb, rest) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        let verb = verb.to_ascii_uppercase();
        if line.len() + 2 > COMMAND_MAX && verb != "AUTH" {
            return self.say("500 5.5.2 the line is too long").await;
        }
        match verb.as_str() {
            "EHLO" | "HELO" => self.hello(rest).await,
            "STARTTLS" => self.starttls().await,
            "AUTH" => self.auth(rest).await,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.rcpt(rest).await,
            "DATA" => self.data().await,
            "RSET" => {
                self.forget();
                self.say("250 2.0.0 forgotten").await
            }
            "NOOP" => self.say("250 2.0.0 ok").await,
            "QUIT" => self.answer("QUIT", |_| "221 2.0.0 bye".to_owned()).await,
            _ => self.say("500 5.5.1 no such command").await,
        }
    }

    fn forget(&mut self) {
        (self.from, self.to) = (None, Vec::new());
    }

    async fn say(&mut self, reply: &str) -> Goes {
        self.send(script::Played::plain(reply)).await
    }

    /// Takes a step that faults may hit.
    async fn answer(&mut self, operation: &str, work: impl FnOnce(&mut Session) -> String) -> Goes {
        self.world.count(System::Mail, operation);
        let fault = self.world.faults.decide(System::Mail, operation, &[]);
        let longest = self.world.config.max_delay;
        let played = script::play(fault.as_ref(), longest, || work(self));
        self.send(played).await
    }

    async fn send(&mut self, played: script::Played) -> Goes {
        if let Some(wait) = played.wait {
            tokio::time::sleep(wait).await;
        }
        match played.drip {
            None => self.stream.write_all(&played.bytes).await?,
            Some(pause) => {
                for piece in played.bytes.chunks(played.bytes.len().div_ceil(DROPS).max(1)) {
                    tokio::time::sleep(pause).await;
                    self.stream.write_all(piece).await?;
                    self.stream.flush().await?;
                }
            }
        }
        self.stream.flush().await?;
        Ok(!played.ends)
    }

    async fn hello(&mut self, name: &str) -> Goes {
        if name.trim().is_empty() {
            return self.say("501 5.5.4 who are you?").await;
        }
        self.forget();
        self.answer("EHLO", |session| {
            session.hello = true;
            let config = &session.world.config.mail;
            let mut lines = vec!["mail.sandbox".to_owned(), format!("SIZE {}", config.size_max)];
            if !config.mechanisms.is_empty() {
                lines.push(format!("AUTH {}", config.mechanisms.join(" ")));
            }
            if config.tls.is_some() && !session.secure {
                lines.push("STARTTLS".to_owned());
            }
            lines.push("ENHANCEDSTATUSCODES".to_owned());
            let last = lines.len() - 1;
            let reply =
                |(at, line): (usize, &String)| format!("250{}{line}", if at < last { "-" } else { " " });
            lines.iter().enumerate().map(reply).collect::<Vec<_>>().join("\r\n")
        })
        .await
    }

    async fn starttls(&mut self) -> Goes {
        let Some(acceptor) = acceptor(&self.world.config.mail).filter(|_| !self.secure) else {
            return self.say("502 5.5.1 no TLS here").await;
        };
        let mut ready = false;
        let goes = self
            .answer("STARTTLS", |_| {
                ready = true;
                "220 2.0.0 ready".to_owned()
            })
            .await?;
        if !goes || !ready {
            return Ok(goes);
        }
        let nobody: Box<dyn Wire> = Box::new(tokio::io::empty());
        let clear = std::mem::replace(&mut self.stream, BufReader::new(nobody));
        // What came in the clear behind the command is forgotten, and so is everything before it (RFC 3207 4.2).
        let stream: Box<dyn Wire> = Box::new(acceptor.accept(clear.into_inner()).await?);
        self.stream = BufReader::new(stream);
        (self.secure, self.hello, self.user) = (true, false, None);
        self.forget();
        Ok(true)
    }

    async fn auth(&mut self, rest: &str) -> Goes {
        if !self.hello || self.user.is_some() {
            return self.say("503 5.5.1 not now").await;
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let mechanism = mechanism.to_ascii_uppercase();
        if !self.world.config.mail.mechanisms.contains(&mechanism.as_str()) {
            return self.say("504 5.5.4 no such way to log in").await;
        }
        let given = match mechanism.as_str() {
            "PLAIN" if initial.is_empty() => self.ask("").await?.and_then(plain),
            "PLAIN" => decoded(initial).and_then(plain),
            _ => {
                let user = if initial.is_empty() { self.ask("Username:").await? } else { decoded(initial) };
                user.zip(self.ask("Password:").await?)
            }
        };
        self.answer("AUTH", |session| {
            let config = &session.world.config.mail;
            let same = |one: &str, other: &str| bool::from(one.as_bytes().ct_eq(other.as_bytes()));
            match given {
                Some((user, password))
                    if same(&user, &config.username) & same(&password, &config.password) =>
                {
                    session.user = Some(user);
                    "235 2.7.0 welcome".to_owned()
                }
                Some(_) => "535 5.7.8 authentication failed".to_owned(),
                None => "501 5.5.2 cannot be read".to_owned(),
            }
        })
        .await
    }

    async fn ask(&mut self, challenge: &str) -> io::Result<Option<String>> {
        self.say(&format!("334 {}", STANDARD.encode(challenge))).await?;
        let line = self.line(LOGIN_MAX).await?;
        Ok(line.and_then(Result::ok).and_then(|line| decoded(&line)))
    }

    async fn mail(&mut self, rest: &str) -> Goes {
        let path = path(rest, "FROM:");
        self.answer("MAIL", |session| {
            let config = &session.world.config.mail;
            match path {
                _ if !session.hello || session.from.is_some() => "503 5.5.1 not now".to_owned(),
                _ if config.needs_login && session.user.is_none() => "530 5.7.0 log in first".to_owned(),
                None => "501 5.5.4 MAIL FROM:<address>".to_owned(),
                // Whoever logs in sends as himself.
                Some(from) if session.user.as_ref().is_some_and(|user| *user != from) => {
                    "553 5.7.1 not your address".to_owned()
                }
                Some(from) => {
                    session.from = Some(from);
                    "250 2.1.0 ok".to_owned()
                }
            }
        })
        .await
    }

    async fn rcpt(&mut self, rest: &str) -> Goes {
        let path = path(rest, "TO:");
        self.answer("RCPT", |session| match path {
            _ if session.from.is_none() => "503 5.5.1 not now".to_owned(),
            None => "501 5.5.4 RCPT TO:<address>".to_owned(),
            Some(to) if session.world.config.mail.unknown.contains(&to) => {
                format!("550 5.1.1 <{to}>: no such mailbox")
            }
            Some(to) => {
                session.to.push(to);
                "250 2.1.5 ok".to_owned()
            }
        })
        .await
    }

    async fn data(&mut self) -> Goes {
        let mut ready = false;
        let goes = self
            .answer("DATA", |session| match session.to.is_empty() {
                true => "503 5.5.1 to whom?".to_owned(),
                false => {
                    ready = true;
                    "354 go ahead".to_owned()
                }
            })
            .await?;
        if !goes || !ready {
            return Ok(goes);
        }
        let Some(raw) = self.content().await? else { return Ok(false) };
        self.answer("content", |session| {
            let (from, to) = (session.from.take().unwrap_or_default(), std::mem::take(&mut session.to));
            let raw = match raw.and_then(checked) {
                Ok(raw) => raw,
                Err(reply) => return reply.to_owned(),
            };
            let (user, secure) = (session.user.clone(), session.secure);
            let at_ms = session.world.clock.now_ms();
            lock(&session.world.mail).keep(MailMessage { at_ms, user, secure, from, to, raw });
            "250 2.0.0 queued".to_owned()
        })
        .await
    }

    /// The message up to the lone dot, read to its end even where it is refused; `None` where the end never comes.
    async fn content(&mut self) -> io::Result<Option<Result<String, &'static str>>> {
        let mut message = Ok(String::new());
        while let Some(line) = self.line(TEXT_MAX).await? {
            let line = match line {
                Ok(line) => line,
                Err(_) => {
                    message = Err("554 5.6.0 lines of at most 1000 bytes that end in CR LF");
                    continue;
                }
            };
            if line == "." {
                return Ok(Some(message));
            }
            let size_max = self.world.config.mail.size_max;
            if let Ok(text) = &mut message {
                text.push_str(line.strip_prefix('.').unwrap_or(&line));
                text.push_str("\r\n");
                if text.len() > size_max {
                    message = Err("552 5.3.4 too large");
                }
            }
        }
        Ok(None)
    }
}

/// What a message must have, and must not.
fn checked(raw: String) -> Result<String, &'static str> {
    if !raw.is_ascii() {
        return Err("554 5.6.1 8 bits were not offered");
    }
    if raw.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Err("554 5.6.0 a lone CR, LF or NUL");
    }
    let head = raw.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
    let head = format!("\r\n{head}");
    let once = |name: &str| head.matches(&format!("\r\n{name}:")).count() == 1;
    if ["from", "to", "date", "subject", "message-id"].into_iter().all(once) {
        Ok(raw)
    } else {
        Err("550 5.7.1 From, To, Date, Subject and Message-ID, each once")
    }
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()
}

/// `\0user\0password`; who is to be spoken for may be named in front.
fn plain(text: String) -> Option<(String, String)> {
    let mut parts = text.splitn(3, '\0');
    let (_, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    Some((user.to_owned(), password.to_owned()))
}

/// The address of `FROM:<address>`; parameters behind it are those of extensions that were not offered, but for the size.
fn path(rest: &str, word: &str) -> Option<String> {
    let (found, rest) = rest.split_at_checked(word.len())?;
    let (address, parameters) = rest.strip_prefix('<')?.split_once('>')?;
    let known = parameters.split_whitespace().all(|one| one.to_ascii_uppercase().starts_with("SIZE="));
    let sound = address.is_ascii() && !address.contains([' ', '\t']) && address.matches('@').count() == 1;
    (found.eq_ignore_ascii_case(word) && known && sound).then(|| address.to_owned())
}
