//! Importing files: read whole, accepted under keys that are the same in every file, so that a second time adds nothing.

pub mod watch;

use crate::intake::Intaker;
use serde::Serialize;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tongbao_connect::{Contents, Files, Source};
use tongbao_delivery::engine::Engine;
use tongbao_delivery::port::{Accepted, Intake, Store, StoreError, Stored};
use tongbao_model::{Code, Event, Fault, Tree, digest};

/// Largest file that comes by the API, in bytes; a connection may set less.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Documents of one transaction.
const BATCH: usize = 500;
/// How many newer revisions are tried for a document that changed.
const REVISION_STEPS_MAX: usize = 100;
/// Faults told of one file, and changed documents listed.
const TOLD_MAX: usize = 20;

/// What becomes of the documents.
pub enum Ledger<'a> {
    /// The running service takes them.
    Engine(&'a Engine),
    /// They are stored, and the service that runs with this database finds them.
    Store(&'a dyn Store, i64),
}

impl Ledger<'_> {
    async fn accept(&self, intakes: Vec<Intake>) -> Stored<Vec<Accepted>> {
        match self {
            Ledger::Engine(engine) => engine.accept(intakes, None).await,
            Ledger::Store(store, now_ms) => store.accept(intakes, None, *now_ms).await,
        }
    }
}

/// What an import came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Documents that were not there before.
    pub new: usize,
    /// Documents that were there, as they are.
    pub known: usize,
    /// Documents that were there with other facts: each is a new revision.
    pub changed: usize,
    /// Keys of the first of those.
    pub changed_keys: Vec<String>,
    /// What was read, skipped and checked.
    #[serde(flatten)]
    pub about: Value,
}

/// Why nothing of a file, or not all of it, was accepted.
#[derive(Debug)]
pub enum ImportError {
    /// The file is wrong, and nothing of it was accepted.
    Refused(Vec<Fault>),
    /// The database failed. What was accepted before stays; a second import adds the rest.
    Store(StoreError),
}

/// How a connection reads files; a fault where there is no such connection, or it reads none.
pub fn reader<'s>(
    sources: impl Fn(&str) -> Option<&'s Arc<dyn Source>>,
    connection: &str,
) -> Result<Arc<dyn Source>, Fault> {
    let found = sources(connection).filter(|source| source.files().is_some());
    found.cloned().ok_or_else(|| {
        Fault::new(
            Code::ConnectionUnknown,
            format!("没有读取文件的连接 {connection}"),
            format!("there is no connection `{connection}` that reads files"),
        )
    })
}

/// A file's bytes, at most one more than its reader takes: the reader then says that it is too large.
pub async fn bounded(path: &Path, source: &dyn Source) -> io::Result<Vec<u8>> {
    let max = source.files().map_or(0, Files::bytes_max);
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(limit).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Imports a file. Its documents go through the connection's mapping like any that come in; one that cannot be
/// translated refuses the file, unless the connection parks such documents.
pub async fn import(
    intaker: &Intaker,
    connection: &str,
    source: Arc<dyn Source>,
    bytes: Vec<u8>,
    ledger: Ledger<'_>,
    now_ms: i64,
) -> Result<Imported, ImportError> {
    // Reading takes as long as the file is large.
    let read =
        tokio::task::spawn_blocking(move || source.files().map(|files: &dyn Files| files.read(&bytes)));
    let defect =
        || ImportError::Refused(vec![Fault::new(Code::Defect, "文件读取中止", "reading the file broke off")]);
    let contents = read.await.ok().flatten().ok_or_else(defect)?;
    let Contents { documents, facts, about } = contents.map_err(|fault| ImportError::Refused(vec![fault]))?;
    let (mut intakes, mut faults) = (Vec::with_capacity(documents.len()), Vec::new());
    for incoming in &documents {
        match intaker.translate(connection, incoming, now_ms) {
            Ok(intake) => intakes.push(of_facts(intake, facts)),
            Err(_) if intaker.rule(connection, &incoming.kind).is_some_and(|rule| rule.park_faults) => {
                intakes.push(intaker.keep(connection, incoming, now_ms));
            }
            Err(fault) if faults.len() < TOLD_MAX => faults.push(fault),
            Err(_) => {}
        }
    }
    if !faults.is_empty() {
        return Err(ImportError::Refused(faults));
    }
    let mut imported = Imported { new: 0, known: 0, changed: 0, changed_keys: Vec::new(), about };
    while !intakes.is_empty() {
        let rest = intakes.split_off(intakes.len().min(BATCH));
        accept(&ledger, std::mem::replace(&mut intakes, rest), &mut imported).await?;
    }
    let Imported { new, known, changed, .. } = &imported;
    tracing::info!(connection, new, known, changed, "file imported");
    Ok(imported)
}

/// The digest is of the facts alone: the same entry stands in another line of another file.
fn of_facts(intake: Intake, facts: &[&str]) -> Intake {
    let Ok(tree) = serde_json::from_str::<Tree<'_>>(&intake.event.record) else { return intake };
    let Tree::Object(members) = tree else { return intake };
    let kept = members.into_iter().filter(|(name, _)| facts.contains(&name.as_ref())).collect();
    let digest = digest::of_record(&Tree::Object(kept));
    Intake { event: Event { digest, ..intake.event }, ..intake }
}

/// Accepts a batch in one transaction. A document that is there with other facts gets the next free revision.
async fn accept(
    ledger: &Ledger<'_>,
    mut intakes: Vec<Intake>,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    for step in 0..REVISION_STEPS_MAX {
        let accepted = ledger.accept(intakes.clone()).await.map_err(ImportError::Store)?;
        let mut conflicts = Vec::new();
        for (mut intake, accepted) in intakes.into_iter().zip(accepted) {
            match accepted {
                Accepted::New if step == 0 => imported.new += 1,
                Accepted::New => {
                    imported.changed += 1;
                    if imported.changed_keys.len() < TOLD_MAX {
                        imported.changed_keys.push(intake.event.key);
                    }
                }
                Accepted::Repeat { .. } | Accepted::Late => imported.known += 1,
                Accepted::Conflict { .. } => {
                    intake.event.revision += 1;
                    conflicts.push(intake);
                }
            }
        }
        if conflicts.is_empty() {
            return Ok(());
        }
        intakes = conflicts;
    }
    let faults = intakes.iter().take(TOLD_MAX).map(|intake| {
        Fault::new(Code::EventConflict, "该分录变更次数过多", "the entry changed too often")
            .value(&intake.event.key)
    });
    Err(ImportError::Refused(faults.collect()))
}
