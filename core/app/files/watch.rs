//! Watched folders: a file that is complete is imported and moved to `done` or `refused`, with a report beside it.
//!
//! A file is taken when size and time of change are the same at two looks. It is moved after everything of it is stored:
//! whoever dies in between finds it again, and importing it again adds nothing.

use super::{ImportError, Ledger, import};
use crate::intake::Intaker;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;
use tongbao_connect::Source;
use tongbao_delivery::engine::Engine;

/// Files looked at in one round; the others wait for the next.
const FILES_MAX: usize = 1_000;
/// Files of one name that are kept.
const COPIES_MAX: u32 = 10_000;

/// What a file looked like.
type Look = (u64, Option<SystemTime>);

/// One watched folder.
pub struct Watcher {
    /// Connection.
    pub connection: String,
    /// The folder.
    pub folder: PathBuf,
    /// Pause between two looks.
    pub pause: Duration,
    /// Reads the files.
    pub source: Arc<dyn Source>,
    /// Translation.
    pub intaker: Arc<Intaker>,
    /// Acceptance.
    pub engine: Arc<Engine>,
    /// Now, in milliseconds since 1970.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Watcher {
    /// Watches until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut seen = BTreeMap::new();
        loop {
            if let Err(why) = self.round(&mut seen, &stop).await {
                tracing::warn!(connection = self.connection, %why, "the watched folder cannot be worked on");
                metrics::counter!("tongbao_poll_failures_total", "connection" => self.connection.clone())
                    .increment(1);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.pause) => {}
            }
        }
    }

    /// One look: what did not change since the last one is imported.
    async fn round(&self, seen: &mut BTreeMap<OsString, Look>, stop: &CancellationToken) -> io::Result<()> {
        for folder in ["done", "refused"] {
            tokio::fs::create_dir_all(self.folder.join(folder)).await?;
        }
        let found = self.look().await?;
        let mut trouble = Ok(());
        for (name, look) in &found {
            // Nothing is taken in: the file keeps.
            if stop.is_cancelled() || self.engine.holds().intake().is_some() || self.engine.is_full() {
                return Ok(());
            }
            // One that cannot be read or moved keeps no other from it, and is tried again.
            if seen.get(name) == Some(look)
                && let Err(why) = self.take(name).await
            {
                trouble = Err(why);
            }
        }
        *seen = found;
        trouble
    }

    /// The files that are there. Names that begin with a dot are those of files on their way.
    async fn look(&self) -> io::Result<BTreeMap<OsString, Look>> {
        let mut found = BTreeMap::new();
        let mut entries = tokio::fs::read_dir(&self.folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            // Another process may have moved it.
            let Ok(about) = tokio::fs::symlink_metadata(entry.path()).await else { continue };
            if about.is_file() {
                found.insert(name, (about.len(), about.modified().ok()));
            }
            if found.len() >= FILES_MAX {
                break;
            }
        }
        Ok(found)
    }

    async fn take(&self, name: &OsString) -> io::Result<()> {
        let path = self.folder.join(name);
        let bytes = match super::bounded(&path, self.source.as_ref()).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read?,
        };
        let ledger = Ledger::Engine(&self.engine);
        let done =
            import(&self.intaker, &self.connection, self.source.clone(), bytes, ledger, (self.clock)()).await;
        let (folder, mut report) = match done {
            Ok(imported) => ("done", json!(imported)),
            Err(ImportError::Refused(faults)) => {
                let code = faults.first().map_or("defect", |fault| fault.code.as_str());
                let connection = self.connection.clone();
                metrics::counter!("tongbao_refused_total", "connection" => connection, "code" => code)
                    .increment(1);
                tracing::warn!(connection = self.connection, code, "file refused");
                ("refused", json!({"faults": faults}))
            }
            // It stays where it is and is taken again.
            Err(ImportError::Store(error)) => return Err(io::Error::other(error.to_string())),
        };
        if let Value::Object(members) = &mut report {
            members.insert("file".to_owned(), name.to_string_lossy().into());
            members.insert("connection".to_owned(), self.connection.as_str().into());
            members.insert("at_ms".to_owned(), (self.clock)().into());
        }
        put_away(&path, &self.folder.join(folder), name, &report).await
    }
}

/// Writes the report, then moves the file: what has been moved has its report.
async fn put_away(path: &Path, folder: &Path, name: &OsString, report: &Value) -> io::Result<()> {
    let name = free(folder, name).await?;
    let mut told = name.clone();
    told.push(".report.json");
    let mut draft = OsString::from(".");
    draft.push(&told);
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    tokio::fs::write(folder.join(&draft), text + "\n").await?;
    tokio::fs::rename(folder.join(&draft), folder.join(&told)).await?;
    match tokio::fs::rename(path, folder.join(&name)).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The name, or the name with a number that no file of the folder has yet: nothing is written over.
async fn free(folder: &Path, name: &OsString) -> io::Result<OsString> {
    for copy in 1..COPIES_MAX {
        let mut wanted = name.clone();
        if copy > 1 {
            wanted.push(format!(".{copy}"));
        }
        if !tokio::fs::try_exists(folder.join(&wanted)).await? {
            return Ok(wanted);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many files of one name"))
}
