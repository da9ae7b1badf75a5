//! Connectors that are wrong on purpose: the kit must see each mistake, and by the behaviour that is about it.
//!
//! Each wraps a connector that is right. The first name of a case is the behaviour that is about the mistake; the others
//! are where it must show too. All of them fail, and nothing else does.

use crate::certify::failures;
use crate::mistakes::{In, Login, ManySessions, Mistake, Out, WrongSource, WrongTarget};
use crate::wrong_masters::{Read, WrongMasters};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tongbao_connect::kit::{Part, Profile, Pushes, Refusals, Writes, certify};
use tongbao_connect::{Built, Connector, Context, Masters, Settings, Source, Target};
use tongbao_connectors::{find, profiles};
use tongbao_model::diagnostic::Findings;
use tongbao_sandbox::Sandboxes;

const IN_WEBHOOK: &str = "webhook";
const BANK: &str = "bank";
const KINGDEE: &str = "kingdee-cloud";
/// One call a document, no session: the shortest run.
const PLAIN: &str = "jiandaoyun";
/// Changes nothing over there: no outcome of it is unknown.
const ASKS: &str = "esign";

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
    (Mistake::In(BANK, In::FileCounts), "file-stable", &[]),
    (Mistake::In(BANK, In::FileUnchecked), "file-checked", &[]),
    (Mistake::In(BANK, In::FileShows), "file-checked", &["file-cut"]),
    (Mistake::In(BANK, In::FilePanics), "file-robust", &["file-cut"]),
    (Mistake::Out(PLAIN, Out::RetriesInside), "one-call-per-apply", &[]),
    (Mistake::Out(PLAIN, Out::UnknownIsRejected), "lost-after-commit", UNCERTAIN),
    (Mistake::Out(PLAIN, Out::UnknownIsDone), "lost-before-commit", UNCERTAIN),
    (Mistake::Out(PLAIN, Out::ThrottledIsRejected), "throttled-own-way", &["refusals-told-apart"]),
    (Mistake::Out(PLAIN, Out::RetryAfterIgnored), "throttled-retry-after", &[]),
    (Mistake::Out(PLAIN, Out::QuestionIsNo), "question-in-doubt", &["unreachable"]),
    (Mistake::Out(PLAIN, Out::QuestionIsUnknown), "question-in-doubt", &["unreachable"]),
    (Mistake::Out(PLAIN, Out::UnreachableIsUnknown), "unreachable", &[]),
    (Mistake::Out(ASKS, Out::UnreachableIsUnknown), "unreachable", UNCERTAIN),
    (Mistake::Out(KINGDEE, Out::AmountEchoed), "amounts-read-back", &[]),
    (Mistake::Out(KINGDEE, Out::AmountNotRead), "amounts-read-back", &[]),
    (Mistake::Out(PLAIN, Out::SecretInFault), "secrets-hidden", &[]),
    (Mistake::Out(PLAIN, Out::SecretInLog), "secrets-hidden", &[]),
    (Mistake::Out(PLAIN, Out::LookupForgets), "apply-stands", &[]),
    (Mistake::Out(PLAIN, Out::Panics), "lost-after-commit", PANICS),
    (Mistake::Session(Login::Stampedes), "session-renewed-once", &["login-not-hammered"]),
    (Mistake::Session(Login::Hammers), "login-not-hammered", &[]),
    (Mistake::Read(Read::PageCut), "masters-whole", &["masters-moved"]),
    (Mistake::Read(Read::DisabledForgotten), "masters-whole", &[]),
    (Mistake::Read(Read::ByRowNumber), "masters-moved", &[]),
    (Mistake::Read(Read::EmptyInDoubt), "masters-in-doubt", &[]),
    (Mistake::Read(Read::NoStockInDoubt), "stock-in-doubt", &[]),
    (Mistake::Read(Read::StockRounded), "stock-exact", &[]),
    (Mistake::Read(Read::WarehouseIgnored), "stock-exact", &[]),
    (Mistake::Read(Read::SecretInFault), "secrets-hidden", &[]),
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
        Mistake::Session(_) | Mistake::Read(_) => KINGDEE,
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
        Mistake::Read(mistake) => Built {
            masters: built
                .masters
                .map(|right| -> Arc<dyn Masters> { Arc::new(WrongMasters { right, mistake }) }),
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

macro_rules! wrong_ones {
    ($($case:literal)+) => { [$(wrong::<$case>),+] };
}

const WRONG: [fn() -> Connector; CASES.len()] = wrong_ones!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29
        30 31 32 33 34 35 36 37);

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

/// Profiles that would let a connector off: nothing passes because nothing was asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_asks_nothing_certifies_nothing() {
    crate::kit::install();
    let (connector, right) = profiles().into_iter().find(|(right, _)| right.name == PLAIN).unwrap();
    let right = right.unwrap();
    let (Part::Has(pushes), Part::Has(writes), Part::Has(refusals)) =
        (right.pushes, right.writes, right.refusals)
    else {
        panic!("{PLAIN} has these parts")
    };
    let cases: [(Profile, &str, &str); 11] = [
        (
            Profile { writes: Part::Lacks("待填写", "to fill in: a document"), ..*right },
            "profile-sound",
            "to fill in: `writes`: a document",
        ),
        (Profile { system: "", ..*right }, "profile-sound", "`system`"),
        (Profile { writes: Part::Lacks("无", "none"), ..*right }, "profile-sound", "the connection writes"),
        (Profile { cannot: &[("apply-once", "难", "it is hard")], ..*right }, "profile-sound", "apply-once"),
        (
            Profile { pushes: Part::Has(Pushes { samples: &[], ..pushes }), ..*right },
            "signature-body",
            "no sample",
        ),
        (
            Profile { writes: Part::Has(Writes { reads: &["ask"], ..writes }), ..*right },
            "question-in-doubt",
            "no request met it",
        ),
        (
            Profile { writes: Part::Has(Writes { writes: &["write"], ..writes }), ..*right },
            "lost-after-commit",
            "no request met it",
        ),
        (
            // Let off by the claim that its documents may be there twice.
            Profile {
                writes: Part::Has(Writes { reads: &[], repeats: Some(("消息", "a message")), ..writes }),
                ..*right
            },
            "profile-sound",
            "may be there twice",
        ),
        (
            // Let off by the claim that it only asks.
            Profile { writes: Part::Has(Writes { writes: &[], ..writes }), ..*right },
            "lost-after-commit",
            "no request met it",
        ),
        (
            Profile {
                refusals: Part::Has(Refusals { examples: &refusals.examples[1..], ..refusals }),
                ..*right
            },
            "rules-reached",
            "the rule key",
        ),
        (Profile { cannot: &[], ..*right }, "amounts-read-back", "no total"),
    ];
    let runs = cases.iter().map(async |(profile, must, why)| {
        let report = certify(connector, profile, &Sandboxes).await;
        let entry = report.entries.iter().find(|entry| entry.behaviour.id == *must).unwrap();
        assert!(!report.certified() && entry.verdict.name() == "fail", "{must}");
        assert!(entry.verdict.detail().contains(why), "{must}: {}", entry.verdict.detail());
    });
    futures::future::join_all(runs).await;
}
