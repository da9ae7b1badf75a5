//! The conversation (RFC 5321, 3207, 4954). Until the lone dot that ends a message nothing is over there, and every failure says
//! so; from then on only the server's own word is believed.

use super::reply::{Hush, Reply, Stage};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tongbao_connect::settings::{ExposeSecret, SecretString};
use tongbao_connect::{Client, Failure, HostPort, TransportError, Wire};
use tongbao_model::{Class, Code, Fault};

/// Time for a goodbye, after which everything is settled.
const GOODBYE: Duration = Duration::from_secs(2);

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// With the first byte.
    Tls,
    /// With STARTTLS, without which nothing is sent.
    StartTls,
    /// Never.
    None,
}

/// What `security` may say.
pub const SECURITIES: &[(&str, Security)] =
    &[("tls", Security::Tls), ("starttls", Security::StartTls), ("none", Security::None)];

/// Where letters are handed in, and as whom.
pub struct Door {
    /// Server.
    pub server: HostPort,
    /// TLS.
    pub security: Security,
    /// Our name.
    pub hello: String,
    /// User and password.
    pub login: Option<(String, SecretString)>,
    /// What no error shows.
    pub hush: Hush,
}

/// What a server took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// Recipients it goes to.
    pub taken: usize,
    /// Recipients that were refused.
    pub refused: usize,
}

/// A conversation that has come as far as the login.
pub struct Talk {
    wire: Wire,
    hush: Hush,
}

/// What the server says it can.
struct Offers {
    starttls: bool,
    logins: Vec<String>,
}

impl Door {
    /// Connects, greets, puts TLS on where that is asked for, and logs in.
    pub async fn open(&self, http: &Client) -> Result<Talk, Failure> {
        let port = match self.security {
            Security::Tls => 465,
            Security::StartTls => 587,
            Security::None => 25,
        };
        let mut wire = http.dial(&self.server, port).await.map_err(unsent)?;
        if self.security == Security::None && !wire.is_inside() {
            return Err(misconfigured(
                "security: none 只可用于内部网络中的邮件服务器",
                "`security: none` is for a mail server in a network of our own",
            ));
        }
        if self.security == Security::Tls {
            wire = http.secure(wire).await.map_err(unsent)?;
        }
        let mut talk = Talk { wire, hush: self.hush.clone() };
        let greeting = talk.reply().await.map_err(unsent)?;
        talk.wants(220, greeting)?;
        let mut offers = talk.hello(&self.hello).await?;
        if self.security == Security::StartTls {
            talk = talk.starttls(http, &offers).await?;
            // What was offered in the clear may have been anybody's word.
            offers = talk.hello(&self.hello).await?;
        }
        if let Some((user, password)) = &self.login {
            talk.login(&offers, user, password.expose_secret()).await?;
        }
        Ok(talk)
    }
}

impl Talk {
    /// The whole of a reply, of whatever code.
    async fn reply(&mut self) -> Result<Reply, TransportError> {
        let mut lines = Vec::new();
        let mut known = None;
        loop {
            let line = self.wire.line().await?;
            let read = Reply::line(&line).filter(|(code, _, _)| known.is_none_or(|known| known == *code));
            let Some((code, more, text)) = read else {
                return Err(TransportError::Ambiguous("the answer is no reply of a mail server".into()));
            };
            known = Some(code);
            lines.push(text);
            if !more {
                return Ok(Reply { code, lines });
            }
        }
    }

    async fn say(&mut self, command: &str) -> Result<Reply, TransportError> {
        self.wire.write(format!("{command}\r\n").as_bytes()).await?;
        self.reply().await
    }

    /// A command before anything is over there: no answer means that nothing was done.
    async fn ask(&mut self, command: &str) -> Result<Reply, Failure> {
        self.say(command).await.map_err(unsent)
    }

    fn wants(&self, code: u16, reply: Reply) -> Result<(), Failure> {
        if reply.code == code { Ok(()) } else { Err(reply.failure(Stage::Before, &self.hush)) }
    }

    async fn hello(&mut self, name: &str) -> Result<Offers, Failure> {
        let reply = self.ask(&format!("EHLO {name}")).await?;
        let mut offers = Offers { starttls: false, logins: Vec::new() };
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => offers.starttls = true,
                Some("AUTH") => offers.logins.extend(words.map(str::to_owned)),
                Some(_) | None => {}
            }
        }
        self.wants(250, reply)?;
        Ok(offers)
    }

    async fn starttls(mut self, http: &Client, offers: &Offers) -> Result<Talk, Failure> {
        if !offers.starttls {
            return Err(misconfigured(
                "邮件服务器不提供 STARTTLS，未发送任何内容",
                "the mail server offers no STARTTLS, and nothing was sent",
            ));
        }
        let reply = self.ask("STARTTLS").await?;
        self.wants(220, reply)?;
        let wire = http.secure(self.wire).await.map_err(unsent)?;
        Ok(Talk { wire, hush: self.hush })
    }

    async fn login(&mut self, offers: &Offers, user: &str, password: &str) -> Result<(), Failure> {
        let offered = |name: &str| offers.logins.iter().any(|known| known == name);
        let reply = if offered("PLAIN") {
            self.ask(&format!("AUTH PLAIN {}", STANDARD.encode(plain(user, password)))).await?
        } else if offered("LOGIN") {
            let reply = self.ask("AUTH LOGIN").await?;
            self.wants(334, reply)?;
            let reply = self.ask(&STANDARD.encode(user)).await?;
            self.wants(334, reply)?;
            self.ask(&STANDARD.encode(password)).await?
        } else {
            return Err(misconfigured(
                "邮件服务器不提供 PLAIN 或 LOGIN 登录",
                "the mail server offers neither PLAIN nor LOGIN to log in with",
            ));
        };
        self.wants(235, reply)
    }

    /// Names the sender.
    pub async fn from(&mut self, sender: &str) -> Result<(), Failure> {
        let reply = self.ask(&format!("MAIL FROM:<{sender}>")).await?;
        self.wants(250, reply)
    }

    /// Hands a message in. `dotted` is set as soon as its end may be over there.
    pub async fn hand_in(
        &mut self,
        (sender, recipients): &(&str, Vec<&str>),
        message: &[u8],
        dotted: &AtomicBool,
    ) -> Result<Handed, Failure> {
        self.from(sender).await?;
        let mut refusals = Vec::new();
        for recipient in recipients {
            let reply = self.ask(&format!("RCPT TO:<{recipient}>")).await?;
            if !reply.is_positive() {
                refusals.push(reply.failure(Stage::Message, &self.hush));
            }
        }
        let (all, refused) = (recipients.len(), refusals.len());
        if refused == all {
            return Err(nobody(refusals, all));
        }
        let reply = self.ask("DATA").await?;
        if reply.code != 354 {
            return Err(reply.failure(Stage::Message, &self.hush));
        }
        self.wire.write(&stuffed(message)).await.map_err(unsent)?;
        dotted.store(true, Ordering::SeqCst);
        let reply = self.say(".").await.map_err(|error| Failure::new(error.fault()))?;
        match reply.code {
            200..=299 => Ok(Handed { taken: all - refused, refused }),
            400..=599 => Err(reply.failure(Stage::Message, &self.hush)),
            _ => Err(Failure::new(
                TransportError::Ambiguous(format!("a message is answered by {}", reply.code)).fault(),
            )),
        }
    }

    /// Says goodbye. Whatever is answered, the message is handed in.
    pub async fn quit(mut self) {
        let _ = timeout(GOODBYE, self.say("QUIT")).await;
        let _ = timeout(GOODBYE, self.wire.close()).await;
    }
}

/// All recipients were refused. Where one of them may be taken later, all wait for that.
fn nobody(refusals: Vec<Failure>, all: usize) -> Failure {
    let later = refusals.iter().position(|one| one.class != Class::Rejected).unwrap_or(0);
    let Some(failure) = refusals.into_iter().nth(later) else {
        return misconfigured("没有收件人", "there is no recipient");
    };
    let fault = Fault {
        message: tongbao_model::Text::new(
            format!("{all} 个收件人均被拒收；{}", failure.fault.message.zh),
            format!("all {all} recipients were refused; {}", failure.fault.message.en),
        ),
        ..failure.fault
    };
    Failure { fault, ..failure }
}

/// The initial response of PLAIN (RFC 4616).
pub fn plain(user: &str, password: &str) -> String {
    format!("\0{user}\0{password}")
}

/// Lines that begin with a dot get another one, and the last line an end (RFC 5321 4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            all.push(b'.');
        }
        all.extend_from_slice(line);
    }
    if !all.ends_with(b"\r\n") {
        all.extend_from_slice(b"\r\n");
    }
    all
}

/// No message was over there yet.
fn unsent(error: TransportError) -> Failure {
    Failure::new(error.fault()).of_question()
}

fn misconfigured(zh: &str, en: &str) -> Failure {
    Failure::new(Fault::new(Code::TargetMisconfigured, zh, en))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_and_the_last_line_ends() {
        for (message, expected) in [
            ("a\r\n.\r\n..b\r\nc.d\r\n", "a\r\n..\r\n...b\r\nc.d\r\n"),
            (".", "..\r\n"),
            ("a", "a\r\n"),
            ("", "\r\n"),
        ] {
            assert_eq!(stuffed(message.as_bytes()), expected.as_bytes(), "{message:?}");
        }
    }
}
