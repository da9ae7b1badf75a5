//! `mail`: messages to people by SMTP. The protocol's facts and their sources are in `README.md`.

pub mod kit;
mod letter;
mod reply;
mod talk;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use letter::{Letter, Post};
use reply::Hush;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use talk::{Door, Handed, Security, Talk};
use tokio::time::timeout;
use tongbao_connect::notice::{self, LANGUAGES, Language, ON_UNKNOWN, Pace, choice};
use tongbao_connect::session::Session;
use tongbao_connect::settings::{ExposeSecret, SecretString};
use tongbao_connect::{
    Built, Connector, Context, Failure, HostPort, Lookup, Outcome, Receipt, Remote, Settings, Target, Task,
    TransportError, settings,
};
use tongbao_model::diagnostic::Findings;
use tongbao_model::{Code, Fault};

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "mail",
    summary: ("邮件（SMTP）：把通知与对账单发给人", "Mail by SMTP: notices and statements to people"),
    spec: MailSettings::spec,
    documents: || vec![notice::document()],
    build,
};

settings! {
    /// Settings of a `mail` connection.
    MailSettings {
        /// Mail server: host, or host:port. Without a port 465 with `tls`, 587 with `starttls`, 25 with `none`.
        server: HostPort => (required),
        /// `tls` from the first byte, or `starttls`, which is then required; `none` only to a server in a network of our
        /// own, whatever stands in `egress`.
        security: String => ("tls".to_owned()),
        /// Name to log in with; with many providers the address. Without one there is no login.
        username: Option<String> => (optional),
        /// Password, or the authorisation code (授权码) that the provider gives for clients.
        password: Option<SecretString> => (optional),
        /// Sender: `name@example.com` or `通宝 <name@example.com>`.
        from: String => (required),
        /// Recipients, at most 50. All of them see each other.
        to: Vec<String> => (required),
        /// Stands before every subject.
        subject_prefix: Option<String> => (optional),
        /// Name that the server is greeted with (EHLO); the sender's domain unless set.
        hello: Option<String> => (optional),
        /// Language of messages: `zh`, `en` or `both`.
        language: String => ("zh".to_owned()),
        /// Messages a minute at most.
        per_minute: u32 => (20),
        /// What becomes of a message that may have been lost, for nobody can be asked about it: `send-again`, and it may come
        /// twice, under one Message-ID; or `park`, and it waits for a person.
        on_unknown: String => ("send-again".to_owned()),
        /// How long a login that was refused is not tried again, in seconds: providers lock accounts.
        login_cool_down_s: u64 => (300),
        /// Time for one message, from connecting to the server's word on it, in milliseconds.
        timeout_ms: u64 => (30_000),
    }
}

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = MailSettings::read(settings, findings)?;
    let language = choice("language", &checked.language, LANGUAGES, settings, findings);
    let security = choice("security", &checked.security, talk::SECURITIES, settings, findings);
    let again = choice("on_unknown", &checked.on_unknown, ON_UNKNOWN, settings, findings);
    let mut wrong = |name: &str, zh: &str, en: &str| {
        let place = settings.node.get(name).map_or(settings.node.place, |node| node.place);
        findings.error("config-value", place, format!("{name}：{zh}"), format!("{name}: {en}"));
    };
    let post =
        letter::post(&checked.from, &checked.to, checked.subject_prefix.as_deref().unwrap_or(""), &mut wrong);
    let is_whole = checked.username.is_some() == checked.password.is_some();
    if !is_whole {
        wrong("username", "username 与 password 须同时设置", "`username` and `password` go together");
    }
    let hello = checked.hello.clone().or_else(|| Some(post.as_ref()?.domain().to_owned()));
    let hello = hello.filter(|name| letter::is_host(name));
    if hello.is_none() && checked.hello.is_some() {
        wrong("hello", "应为主机名", "expected a host name");
    }
    if !is_whole {
        return None;
    }
    let login = checked.username.zip(checked.password);
    let (post, security) = (post?, security?);
    let cool_down_ms = i64::try_from(checked.login_cool_down_s).unwrap_or(300).saturating_mul(1000);
    let hush = Hush::new(words(login.as_ref()));
    let door = Door { server: checked.server, security, hello: hello?, login, hush };
    Some(Built {
        target: Some(Arc::new(Mail {
            door,
            post,
            language: language?,
            again: again?,
            timeout: Duration::from_millis(checked.timeout_ms),
            pace: Pace::new(checked.per_minute),
            logins: Session::new(cool_down_ms),
            context,
        })),
        ..Built::default()
    })
}

/// What a server might repeat of a login: no error shows it.
fn words(login: Option<&(String, SecretString)>) -> Vec<String> {
    let Some((user, password)) = login else { return Vec::new() };
    let password = password.expose_secret();
    let coded =
        [password.to_owned(), user.clone(), talk::plain(user, password)].map(|text| STANDARD.encode(text));
    [password.to_owned(), user.clone()].into_iter().chain(coded).collect()
}

struct Mail {
    door: Door,
    post: Post,
    language: Language,
    again: bool,
    timeout: Duration,
    pace: Pace,
    /// Holds nothing but the memory of a login that was refused: each message has a connection of its own.
    logins: Session<()>,
    context: Context,
}

impl Mail {
    /// A conversation that has come as far as the login.
    async fn open(&self) -> Result<Talk, Failure> {
        let now_ms = self.context.now_ms();
        let mut opened = None;
        let slot = &mut opened;
        let login = || async move {
            *slot = Some(self.door.open(&self.context.http).await?);
            Ok(((), now_ms))
        };
        self.logins.get(now_ms, login).await?;
        opened.ok_or_else(|| {
            let fault = Fault::new(Code::Defect, "没有打开邮件连接", "no mail connection was opened");
            Failure::new(fault)
        })
    }

    /// Hands a letter in. `dotted` says that its last line may be over there.
    async fn hand_in(&self, letter: &Letter, dotted: &AtomicBool) -> Result<(Handed, Talk), Failure> {
        let message = self.post.message(letter, self.context.now_ms())?;
        let mut talk = self.open().await?;
        let handed = talk.hand_in(&self.post.envelope(letter), &message, dotted).await?;
        Ok((handed, talk))
    }

    /// The letter that a task's document is.
    fn letter(&self, task: &Task) -> Result<Letter, Failure> {
        let id = self.post.id(&task.origin, &task.key);
        if task.kind == tongbao_connect::letter::KIND {
            return Letter::of_task(task, id);
        }
        Ok(Letter::of_notice(&notice::read(task)?, self.language, id))
    }

    async fn send(&self, task: &Task) -> Result<Handed, Failure> {
        let letter = self.letter(task)?;
        self.pace.take(self.context.now_ms())?;
        let dotted = AtomicBool::new(false);
        let late = || "no answer in time".to_owned();
        match timeout(self.timeout, self.hand_in(&letter, &dotted)).await {
            Ok(handed) => {
                let (handed, talk) = handed?;
                // It is handed in: how the goodbye goes changes nothing, so it has a time of its own.
                talk.quit().await;
                Ok(handed)
            }
            Err(_) if dotted.load(Ordering::SeqCst) => {
                Err(Failure::new(TransportError::Ambiguous(late()).fault()))
            }
            Err(_) => Err(Failure::new(TransportError::NotSent(late()).fault())),
        }
    }
}

#[async_trait]
impl Target for Mail {
    async fn apply(&self, task: &Task) -> Outcome {
        match self.send(task).await {
            Ok(Handed { taken, refused }) => {
                if refused > 0 {
                    let connection = self.context.connection.as_str();
                    tracing::warn!(connection, taken, refused, "the mail server refused some recipients");
                }
                let step = match refused {
                    0 => "sent".to_owned(),
                    _ => format!("sent to {taken} of {}", taken + refused),
                };
                let remote =
                    Remote { id: self.post.id(&task.origin, &task.key), number: task.key.clone(), step };
                Outcome::Done(Receipt { remote, ..Receipt::default() })
            }
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn lookup(&self, _: &Task) -> Lookup {
        notice::cannot_ask()
    }

    fn repeats(&self) -> bool {
        self.again
    }

    /// Logs in and names the sender: then nothing is sent.
    async fn probe(&self) -> Result<String, Failure> {
        let asking = async {
            let mut talk = self.open().await?;
            talk.from(self.post.sender()).await?;
            talk.quit().await;
            Ok(if self.door.security != Security::None { "smtp, tls" } else { "smtp" }.to_owned())
        };
        let late = || Failure::new(TransportError::NotSent("no answer in time".into()).fault());
        timeout(self.timeout, asking).await.unwrap_or_else(|_| Err(late()))
    }
}
