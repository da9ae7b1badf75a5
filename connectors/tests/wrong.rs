//! Connectors that are wrong on purpose: the kit must see each mistake, and by the behaviour that is about it.
//!
//! Each wraps a connector that is right. The first name of a case is the behaviour that is about the mistake; the others
//! are where it must show too. All of them fail, and nothing else does.

use crate::certify::failures;
use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tongbao_connect::kit::{Profile, certify};
use tongbao_connect::{
    Built, Connector, Context, Decoded, Failure, Inbound, Lookup, Outcome, Polled, Settings, Source, Target,
    Task,
};
use tongbao_connectors::{find, profiles};
use tongbao_model::diagnostic::Findings;
use tongbao_model::{Class, Code, Fault};
use tongbao_sandbox::Sandboxes;

const SECOND: Duration = Duration::from_secs(1);

/// A mistake in what comes in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum In {
    SignatureUnchecked,
    SignatureOfTheMeaning,
    BodyUnchecked,
    ClockUnchecked,
    DecodeCounts,
    DecodePanics,
    DecodeSilent,
    SecretInFault,
    PollSwallows,
}

/// A mistake in what goes out.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Out {
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

struct WrongSource {
    right: Arc<dyn Source>,
    mistake: In,
    count: AtomicU64,
}

fn signed_as(body: &[u8], timestamp: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"crm-push-secret").unwrap();
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[async_trait]
impl Source for WrongSource {
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
            In::DecodeCounts | In::DecodePanics | In::DecodeSilent | In::PollSwallows => {
                self.right.verify(request, now_ms)
            }
        }
    }

    fn decode(&self, request: &Inbound) -> Result<Decoded, Fault> {
        let decoded = self.right.decode(request);
        match self.mistake {
            In::DecodeCounts => decoded.map(|mut decoded| {
                for fields in decoded.documents.iter_mut().filter_map(|one| one.document.as_object_mut()) {
                    fields.insert("seen".into(), self.count.fetch_add(1, Ordering::SeqCst).into());
                }
                decoded
            }),
            In::DecodePanics => {
                assert!(std::str::from_utf8(&request.body).is_ok(), "the body is text");
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

struct WrongTarget {
    right: Arc<dyn Target>,
    mistake: Out,
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
                panic!("an answer was expected")
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

#[derive(Debug, Clone, Copy)]
enum Mistake {
    In(&'static str, In),
    Out(&'static str, Out),
    Session(Login),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Login {
    /// Each caller has a session of its own.
    Stampedes,
    /// A refused login is tried again by every call.
    Hammers,
}

const IN_WEBHOOK: &str = "webhook";
const KINGDEE: &str = "kingdee-cloud";
/// One call a document, no session: the shortest run.
const PLAIN: &str = "jiandaoyun";

/// The mistake, the behaviour that is about it, and those where it shows too.
const CASES: &[(Mistake, &str, &[&str])] = &[
    (
        Mistake::In(IN_WEBHOOK, In::SignatureUnchecked),
        "signature-missing",
        &["signature-parts", "signature-body", "signature-bytes"],
    ),
    (Mistake::In(IN_WEBHOOK, In::SignatureOfTheMeaning), "signature-bytes", &["signature-body"]),
    (Mistake::In(IN_WEBHOOK, In::BodyUnchecked), "signature-body", &["signature-bytes"]),
    (Mistake::In(IN_WEBHOOK, In::ClockUnchecked), "stale-refused", &[]),
    (Mistake::In(IN_WEBHOOK, In::DecodeCounts), "decode-stable", &[]),
    (Mistake::In(IN_WEBHOOK, In::DecodePanics), "decode-robust", &["decode-never-silent"]),
    (Mistake::In(IN_WEBHOOK, In::DecodeSilent), "decode-never-silent", &[]),
    (Mistake::In(IN_WEBHOOK, In::SecretInFault), "secrets-hidden", &[]),
    (Mistake::In(KINGDEE, In::PollSwallows), "poll-in-doubt", &[]),
    (Mistake::Out(PLAIN, Out::RetriesInside), "one-call-per-apply", &[]),
    (Mistake::Out(PLAIN, Out::UnknownIsRejected), "lost-after-commit", UNCERTAIN),
    (Mistake::Out(PLAIN, Out::UnknownIsDone), "lost-before-commit", UNCERTAIN),
    (Mistake::Out(PLAIN, Out::ThrottledIsRejected), "throttled-own-way", &["refusals-told-apart"]),
    (Mistake::Out(PLAIN, Out::RetryAfterIgnored), "throttled-retry-after", &[]),
    (Mistake::Out(PLAIN, Out::QuestionIsNo), "question-in-doubt", &["unreachable"]),
    (Mistake::Out(PLAIN, Out::QuestionIsUnknown), "question-in-doubt", &["unreachable"]),
    (Mistake::Out(PLAIN, Out::UnreachableIsUnknown), "unreachable", &[]),
    (Mistake::Out(KINGDEE, Out::AmountEchoed), "amounts-read-back", &[]),
    (Mistake::Out(KINGDEE, Out::AmountNotRead), "amounts-read-back", &[]),
    (Mistake::Out(PLAIN, Out::SecretInFault), "secrets-hidden", &[]),
    (Mistake::Out(PLAIN, Out::SecretInLog), "secrets-hidden", &[]),
    (Mistake::Out(PLAIN, Out::LookupForgets), "apply-stands", &[]),
    (Mistake::Out(PLAIN, Out::Panics), "lost-after-commit", PANICS),
    (Mistake::Session(Login::Stampedes), "session-renewed-once", &["login-not-hammered"]),
    (Mistake::Session(Login::Hammers), "login-not-hammered", &[]),
];

const UNCERTAIN: &[&str] = &[
    "lost-before-commit",
    "lost-after-commit",
    "cut-answer",
    "half-answer",
    "garbage-answer",
    "oversize-answer",
    "slow-drip",
    "proxy-5xx",
    "refusals-told-apart",
];

const PANICS: &[&str] = &[
    "lost-before-commit",
    "cut-answer",
    "oversize-answer",
    "slow-drip",
    "one-call-per-apply",
    "unreachable",
];

/// A connector that is right but for one mistake.
fn wrong<const CASE: usize>() -> Connector {
    let right = find(right_name(CASES[CASE].0)).unwrap();
    Connector {
        name: right.name,
        summary: right.summary,
        spec: right.spec,
        documents: right.documents,
        build: build::<CASE>,
    }
}

fn right_name(mistake: Mistake) -> &'static str {
    match mistake {
        Mistake::In(name, _) | Mistake::Out(name, _) => name,
        Mistake::Session(_) => KINGDEE,
    }
}

fn build<const CASE: usize>(
    settings: &Settings<'_>,
    context: Context,
    findings: &mut Findings,
) -> Option<Built> {
    let mistake = CASES[CASE].0;
    let right = find(right_name(mistake)).unwrap();
    let built = (right.build)(settings, context.clone(), findings)?;
    Some(match mistake {
        Mistake::In(_, mistake) => Built {
            source: built.source.map(|right| -> Arc<dyn Source> {
                Arc::new(WrongSource { right, mistake, count: AtomicU64::new(0) })
            }),
            ..built
        },
        Mistake::Out(_, mistake) => Built {
            target: built.target.map(|right| -> Arc<dyn Target> { Arc::new(WrongTarget { right, mistake }) }),
            ..built
        },
        Mistake::Session(login) => {
            let mut each = || (right.build)(settings, context.clone(), findings)?.target;
            let rights: Option<Vec<_>> = (0..64).map(|_| each()).collect();
            let next = AtomicU64::new(0);
            Built { target: Some(Arc::new(ManySessions { rights: rights?, login, next })), ..built }
        }
    })
}

/// The same connection many times, each with a session of its own.
struct ManySessions {
    rights: Vec<Arc<dyn Target>>,
    login: Login,
    next: AtomicU64,
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

macro_rules! wrong_ones {
    ($($case:literal)+) => { [$(wrong::<$case>),+] };
}

const WRONG: [fn() -> Connector; CASES.len()] =
    wrong_ones!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24);

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_fails_its_behaviour_and_no_other() {
    crate::kit::install();
    // A few at a time: the kit's time limits are meant for a machine that is not out of breath.
    let room = Arc::new(tokio::sync::Semaphore::new(6));
    let runs = WRONG.iter().map(|wrong| {
        let room = Arc::clone(&room);
        tokio::spawn(async move {
            let _place = room.acquire().await;
            let connector = wrong();
            let profile: &Profile =
                profiles().into_iter().find(|(right, _)| right.name == connector.name).unwrap().1.unwrap();
            certify(&connector, profile, &Sandboxes).await
        })
    });
    let mut said = String::new();
    for (run, (mistake, must, also)) in runs.collect::<Vec<_>>().into_iter().zip(CASES) {
        let report = run.await.unwrap();
        let failed: BTreeSet<&str> = report.failed().collect();
        let expected: BTreeSet<&str> = also.iter().copied().chain([*must]).collect();
        if failed != expected {
            let missing: Vec<_> = expected.difference(&failed).collect();
            let more: Vec<_> = failed.difference(&expected).collect();
            said +=
                &format!("{mistake:?}: not seen by {missing:?}, seen by {more:?}\n{}\n", failures(&report));
        }
    }
    assert!(said.is_empty(), "\n{said}");
}
