//! Wrappers that make one mistake each.

use crate::wrong_masters::Read;
use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tongbao_connect::{
    Contents, Decoded, Failure, Files, Inbound, Lookup, Outcome, Polled, Source, Target, Task, Watch,
};
use tongbao_model::{Class, Code, Fault};

const SECOND: Duration = Duration::from_secs(1);

/// A mistake in what comes in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum In {
    SignatureUnchecked,
    SignatureOfTheMeaning,
    BodyUnchecked,
    ClockUnchecked,
    DecodeCounts,
    DecodePanics,
    DecodeSilent,
    SecretInFault,
    PollSwallows,
    FileCounts,
    FileUnchecked,
    FileShows,
    FilePanics,
}

/// A mistake in what goes out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Out {
    RetriesInside,
    UnknownIsRejected,
    UnknownIsDone,
    ThrottledIsRejected,
    RetryAfterIgnored,
    QuestionIsNo,
    QuestionIsUnknown,
    UnreachableIsUnknown,
    AmountEchoed,
    AmountNotRead,
    SecretInFault,
    SecretInLog,
    LookupForgets,
    Panics,
}

/// A panic that the kit is to catch, without the report on standard error of one that nobody expects.
fn panics(why: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(why))
}

/// A source with a mistake.
pub struct WrongSource {
    pub right: Arc<dyn Source>,
    pub mistake: In,
    pub count: AtomicU64,
}

fn signed_as(body: &[u8], timestamp: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"crm-push-secret").unwrap();
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

impl Files for WrongSource {
    fn read(&self, bytes: &[u8]) -> Result<Contents, Fault> {
        let read = self.right.files().unwrap().read(bytes);
        match self.mistake {
            In::FileCounts => read.map(|contents| {
                let about = self.count.fetch_add(1, Ordering::SeqCst).into();
                Contents { about, ..contents }
            }),
            // What contradicts itself is dropped instead of refused.
            In::FileUnchecked => read
                .or_else(|_| Ok(Contents { documents: Vec::new(), facts: &["amount"], about: Value::Null })),
            In::FileShows => read
                .map_err(|fault| fault.value(String::from_utf8_lossy(bytes.get(..80).unwrap_or_default()))),
            In::FilePanics => {
                if bytes.is_empty() {
                    panics("there are bytes");
                }
                read
            }
            _ => read,
        }
    }

    fn bytes_max(&self) -> usize {
        self.right.files().unwrap().bytes_max()
    }

    fn watch(&self) -> Option<Watch> {
        None
    }
}

#[async_trait]
impl Source for WrongSource {
    fn files(&self) -> Option<&dyn Files> {
        self.right.files().is_some().then_some(self)
    }

    fn verify(&self, request: &Inbound, now_ms: i64) -> Result<(), Fault> {
        let timestamp = request.header("x-tongbao-timestamp").unwrap_or_default().to_owned();
        match self.mistake {
            In::SignatureUnchecked => {
                // Time is checked as it is given.
                let apart = now_ms / 1000 - timestamp.parse::<i64>().unwrap_or_default();
                if apart.abs() > 300 {
                    return Err(Fault::new(Code::SignatureExpired, "x", "x"));
                }
                Ok(())
            }
            // What was parsed and written again is compared: other bytes of the same meaning pass.
            In::SignatureOfTheMeaning => {
                let plain = serde_json::from_slice::<Value>(&request.body).map(|value| value.to_string());
                let body = plain.map_or_else(|_| request.body.clone(), String::into_bytes);
                self.right.verify(&Inbound { body, ..request.clone() }, now_ms)
            }
            // Only the head of the body is signed for.
            In::BodyUnchecked => {
                let right = self.right.verify(request, now_ms);
                let mut good = request.clone();
                good.body = SAMPLE.as_bytes().to_vec();
                if request.body.get(..20) == SAMPLE.as_bytes().get(..20) {
                    return self.right.verify(&good, now_ms);
                }
                right
            }
            In::ClockUnchecked => match self.right.verify(request, now_ms) {
                Err(fault) if fault.code == Code::SignatureExpired => Ok(()),
                other => other,
            },
            In::SecretInFault => self.right.verify(request, now_ms).map_err(|fault| {
                let expected = signed_as(&request.body, &timestamp);
                fault.value(format!("crm-push-secret gives {expected}"))
            }),
            _ => self.right.verify(request, now_ms),
        }
    }

    fn decode(&self, request: &Inbound) -> Result<Decoded, Fault> {
        let decoded = self.right.decode(request);
        match self.mistake {
            In::DecodeCounts => decoded.map(|mut decoded| {
                for one in &mut decoded.documents {
                    let mut fields = one.document.members();
                    fields.insert("seen".into(), self.count.fetch_add(1, Ordering::SeqCst).into());
                    one.document = serde_json::Value::Object(fields).into();
                }
                decoded
            }),
            In::DecodePanics => {
                if std::str::from_utf8(&request.body).is_err() {
                    panics("the body is text");
                }
                decoded
            }
            In::DecodeSilent => {
                Ok(decoded.unwrap_or(Decoded { documents: Vec::new(), hints: Vec::new(), reply: None }))
            }
            _ => decoded,
        }
    }

    async fn poll(&self, stream: &str, cursor: Option<&str>) -> Result<Polled, Failure> {
        let polled = self.right.poll(stream, cursor).await;
        match self.mistake {
            In::PollSwallows => Ok(polled.unwrap_or(Polled {
                documents: Vec::new(),
                cursor: cursor.unwrap_or_default().to_owned(),
                more: false,
            })),
            _ => polled,
        }
    }
}

/// A target with a mistake.
pub struct WrongTarget {
    pub right: Arc<dyn Target>,
    pub mistake: Out,
}

impl WrongTarget {
    async fn apply(&self, task: &Task) -> Outcome {
        let outcome = self.right.apply(task).await;
        match (self.mistake, outcome) {
            (Out::RetriesInside, Outcome::Failed(failure))
                if matches!(failure.class, Class::Unknown | Class::Throttled(Some(_))) =>
            {
                self.right.apply(task).await
            }
            (Out::UnknownIsRejected, Outcome::Failed(failure)) if failure.class == Class::Unknown => {
                Outcome::Failed(failure.class(Class::Rejected))
            }
            (Out::UnknownIsDone, Outcome::Failed(failure)) if failure.class == Class::Unknown => {
                Outcome::Done(tongbao_connect::Receipt {
                    total_tax_included: task.expected.total_tax_included,
                    ..Default::default()
                })
            }
            (Out::ThrottledIsRejected, Outcome::Failed(failure)) if matches!(failure.class, Class::Throttled(after) if after.is_none_or(|after| after == SECOND)) => {
                Outcome::Failed(failure.class(Class::Rejected))
            }
            (Out::RetryAfterIgnored, Outcome::Failed(failure))
                if matches!(failure.class, Class::Throttled(_)) =>
            {
                Outcome::Failed(failure.class(Class::Throttled(Some(SECOND))))
            }
            (Out::UnreachableIsUnknown, Outcome::Failed(failure)) if failure.class == Class::Unavailable => {
                Outcome::Failed(failure.class(Class::Unknown))
            }
            (Out::AmountEchoed, Outcome::Done(mut receipt)) => {
                receipt.total_tax_included = task.expected.total_tax_included;
                Outcome::Done(receipt)
            }
            (Out::AmountNotRead, Outcome::Done(mut receipt)) => {
                receipt.total_tax_included = None;
                Outcome::Done(receipt)
            }
            (Out::SecretInFault, Outcome::Failed(mut failure)) => {
                failure.fault.message.en += " (key jdy-sandbox-key)";
                Outcome::Failed(failure)
            }
            (Out::SecretInLog, outcome) => {
                tracing::debug!(key = task.key, "sent with jdy-sandbox-key");
                outcome
            }
            (Out::Panics, Outcome::Failed(failure)) if failure.response.is_none() => {
                panics("an answer was expected")
            }
            (_, outcome) => outcome,
        }
    }
}

#[async_trait]
impl Target for WrongTarget {
    async fn apply(&self, task: &Task) -> Outcome {
        WrongTarget::apply(self, task).await
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        match (self.mistake, self.right.lookup(task).await) {
            (Out::QuestionIsNo, Lookup::CannotTell(_)) => Lookup::Absent,
            (Out::QuestionIsUnknown, Lookup::CannotTell(failure)) => {
                Lookup::CannotTell(failure.class(Class::Unknown))
            }
            (Out::LookupForgets, Lookup::Found(_)) => Lookup::Absent,
            (_, found) => found,
        }
    }

    async fn probe(&self) -> Result<String, Failure> {
        self.right.probe().await
    }
}

const SAMPLE: &str = r#"{"number":"HT-2026-001","customer":{"name":"宁波样例贸易有限公司"},"total":439.00}"#;

/// A mistake, and in which connector it is made.
#[derive(Debug, Clone, Copy)]
pub enum Mistake {
    In(&'static str, In),
    Out(&'static str, Out),
    Session(Login),
    Read(Read),
}

/// A mistake with sessions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Login {
    /// Each caller has a session of its own.
    Stampedes,
    /// A refused login is tried again by every call.
    Hammers,
}

/// The same connection many times, each with a session of its own.
pub struct ManySessions {
    pub rights: Vec<Arc<dyn Target>>,
    pub login: Login,
    pub next: AtomicU64,
}

impl ManySessions {
    fn right(&self) -> &Arc<dyn Target> {
        let at = match self.login {
            Login::Stampedes => self.next.fetch_add(1, Ordering::SeqCst),
            Login::Hammers => self.next.load(Ordering::SeqCst),
        };
        &self.rights[usize::try_from(at).unwrap() % self.rights.len()]
    }

    fn after(&self, class: Class) {
        if self.login == Login::Hammers && class == Class::Unauthorized {
            self.next.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl Target for ManySessions {
    async fn apply(&self, task: &Task) -> Outcome {
        let outcome = self.right().apply(task).await;
        if let Outcome::Failed(failure) = &outcome {
            self.after(failure.class);
        }
        outcome
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        let found = self.right().lookup(task).await;
        if let Lookup::CannotTell(failure) = &found {
            self.after(failure.class);
        }
        found
    }

    async fn probe(&self) -> Result<String, Failure> {
        self.right().probe().await
    }
}
