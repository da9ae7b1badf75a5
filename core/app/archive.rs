//! Retention: what has been finished for long moves from the database into files.
//!
//! One file per month of acceptance (China time), `2026-11.jsonl.gz`: a JSON line per event with its deliveries and
//! attempts. A file is written aside, flushed to the disk and renamed before a row is deleted. A process that dies in
//! between leaves lines of events that are still in the database; the next run writes them again, so that of two
//! lines of one event the later counts.

use crate::config::Retention;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{ArchivePlace, Bundle, Store, StoreError};
use tongbao_model::Month;

/// Events read at once.
const PAGE: u64 = 100;
/// Events removed in one transaction; in between, others get their turn.
const REMOVE: usize = 50;
/// Events after which a file is closed and its rows are removed: what a crash makes the next run write again.
const SEAL: usize = 5_000;
/// First run after the start, and pause between runs.
const FIRST: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(6 * 3_600);
const DAY_MS: i64 = 86_400_000;

/// Why nothing more was archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The database.
    #[error("数据库 / database: {0}")]
    Store(#[from] StoreError),
    /// The files.
    #[error("归档目录 / archive folder {0}: {1}")]
    File(String, io::Error),
    /// Another process is at it.
    #[error("另一个进程正在归档 / another process is archiving: {0}")]
    Busy(String),
}

/// What was archived, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Events.
    pub events: u64,
    /// Their deliveries.
    pub deliveries: u64,
    /// Events by file.
    pub files: BTreeMap<String, u64>,
}

/// The time before which finished events are archived.
pub fn limit_ms(retention: &Retention, now_ms: i64) -> i64 {
    now_ms.saturating_sub(i64::from(retention.keep_days).saturating_mul(DAY_MS))
}

/// Counts what a run would archive.
pub async fn dry_run(store: &dyn Store, before_ms: i64) -> Result<Summary, ArchiveError> {
    let (mut summary, mut after) = (Summary::default(), None);
    loop {
        let page = store.archivable(before_ms, after, PAGE).await?;
        page.bundles.iter().for_each(|bundle| summary.count(bundle));
        after = page.next;
        if after.is_none() {
            return Ok(summary);
        }
    }
}

impl Summary {
    fn count(&mut self, bundle: &Bundle) {
        self.events += 1;
        self.deliveries += u64::try_from(bundle.deliveries.len()).unwrap_or(0);
        *self.files.entry(file_name(bundle.accepted_at_ms)).or_default() += 1;
    }
}

/// Archives what was accepted and finished before a time. What a run that is stopped has not removed yet stays.
pub async fn run(
    store: &dyn Store,
    folder: &Path,
    before_ms: i64,
    stop: &CancellationToken,
) -> Result<Summary, ArchiveError> {
    let _lock = lock(folder)?;
    let mut summary = Summary::default();
    let mut part: Option<Part> = None;
    let mut after: Option<ArchivePlace> = None;
    loop {
        if stop.is_cancelled() {
            return Ok(summary);
        }
        let page = store.archivable(before_ms, after, PAGE).await?;
        after = page.next;
        for bundle in page.bundles {
            let name = file_name(bundle.accepted_at_ms);
            if let Some(full) = part.take_if(|part| part.name != name || part.events.len() >= SEAL) {
                seal(store, full, before_ms).await?;
            }
            summary.count(&bundle);
            let open = match part.take() {
                Some(open) => open,
                None => Part::open(folder, name).await?,
            };
            part = Some(open.append(bundle).await?);
        }
        if after.is_none() {
            break;
        }
    }
    if let Some(last) = part {
        seal(store, last, before_ms).await?;
    }
    Ok(summary)
}

/// One process at a time in one folder: two would rename their files over each other's.
fn lock(folder: &Path) -> Result<File, ArchiveError> {
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(|error| failed(&path, error))?;
    file.try_lock().map_err(|error| ArchiveError::Busy(format!("{}: {error}", path.display())))?;
    Ok(file)
}

fn failed(path: &Path, error: io::Error) -> ArchiveError {
    ArchiveError::File(path.display().to_string(), error)
}

/// Name of the file of a time.
fn file_name(at_ms: i64) -> String {
    let month = Month::at(at_ms).map_or_else(|| "unknown".into(), |month| month.to_string());
    format!("{month}.jsonl.gz")
}

/// A file that is being written: what the month's file held before, and more.
struct Part {
    folder: PathBuf,
    name: String,
    aside: PathBuf,
    writer: GzEncoder<BufWriter<File>>,
    events: Vec<String>,
}

impl Part {
    async fn open(folder: &Path, name: String) -> Result<Part, ArchiveError> {
        let (folder, aside) = (folder.to_owned(), folder.join(format!(".{name}.part")));
        let shown = aside.clone();
        blocking(&shown, move || {
            let mut file = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                // It holds what the documents held.
                .mode(0o600)
                .open(&aside)?;
            match File::open(folder.join(&name)) {
                Ok(mut before) => drop(io::copy(&mut before, &mut file)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            // A gzip file may consist of several, one after the other.
            let writer = GzEncoder::new(BufWriter::new(file), Compression::default());
            Ok(Part { folder, name, aside, writer, events: Vec::new() })
        })
        .await
    }

    async fn append(mut self, bundle: Bundle) -> Result<Part, ArchiveError> {
        let shown = self.aside.clone();
        blocking(&shown, move || {
            serde_json::to_writer(&mut self.writer, &bundle)?;
            self.writer.write_all(b"\n")?;
            self.events.push(bundle.event.id);
            Ok(self)
        })
        .await
    }

    /// On the disk under its name, whatever happens from here on.
    async fn finish(self) -> Result<(String, Vec<String>), ArchiveError> {
        let shown = self.aside.clone();
        blocking(&shown, move || {
            let file = self.writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            std::fs::rename(&self.aside, self.folder.join(&self.name))?;
            File::open(&self.folder)?.sync_all()?;
            Ok((self.name, self.events))
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ArchiveError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| failed(path, error))
}

async fn seal(store: &dyn Store, part: Part, before_ms: i64) -> Result<(), ArchiveError> {
    let (name, events) = part.finish().await?;
    for few in events.chunks(REMOVE) {
        let removed = store.archive(few.to_vec(), before_ms, &name, SystemClock.now_ms()).await?;
        metrics::counter!("tongbao_archived_events_total").increment(removed);
    }
    Ok(())
}

/// Archives at an interval until told to stop.
pub async fn keep(store: Arc<dyn Store>, retention: Retention, stop: CancellationToken) {
    repeat(store, retention, FIRST, stop).await;
}

async fn repeat(store: Arc<dyn Store>, retention: Retention, first: Duration, stop: CancellationToken) {
    let Some(folder) = retention.archive.clone() else { return };
    let mut pause = first;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = EVERY,
        }
        let before_ms = limit_ms(&retention, SystemClock.now_ms());
        match run(store.as_ref(), &folder, before_ms, &stop).await {
            Ok(Summary { events, deliveries, .. }) => tracing::info!(events, deliveries, "archived"),
            // It is done by the other one.
            Err(ArchiveError::Busy(why)) => tracing::debug!(why, "not archived"),
            Err(error) => {
                metrics::counter!("tongbao_archive_failures_total").increment(1);
                tracing::warn!(%error, "not archived");
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    use tongbao_delivery::port::Intake;
    use tongbao_model::Event;

    fn event(key: &str) -> Intake {
        let event = Event {
            id: format!("e-{key}"),
            kind: "contract.signed".into(),
            source: "crm".into(),
            key: key.into(),
            revision: 1,
            order_key: key.into(),
            occurred_at_ms: 1,
            digest: "d".into(),
            record: r#"{"amount":0.10}"#.into(),
            cause: None,
        };
        Intake { event, deliveries: Vec::new() }
    }

    /// What the service does by itself: what is old goes, what is young stays, month by month.
    #[tokio::test]
    async fn old_events_move_by_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/store.db", folder.path().display());
        let store = tongbao_store::open(&url, tongbao_store::StoreOptions::default()).await.unwrap();
        let now_ms = SystemClock.now_ms();
        let month_ms = 31 * DAY_MS;
        for (key, at_ms) in [("january", 1), ("february", month_ms), ("fresh", now_ms - 29 * DAY_MS)] {
            store.accept(vec![event(key)], None, at_ms).await.unwrap();
        }
        // More than a page.
        store.accept((0..250).map(|n| event(&format!("n{n}"))).collect(), None, 2).await.unwrap();
        let (archive, stop) = (folder.path().join("archive"), CancellationToken::new());
        let retention = Retention { keep_days: 30, archive: Some(archive.clone()) };
        let task = tokio::spawn(repeat(store.clone(), retention, Duration::ZERO, stop.clone()));
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while store.archived("february").await.unwrap().is_empty() {
            assert!(std::time::Instant::now() < deadline, "nothing was archived");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
        task.await.unwrap();
        let count = |name: &str| {
            let path = archive.join(name);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let mut text = String::new();
            flate2::read::MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
            text.lines().count()
        };
        assert_eq!((count("1970-01.jsonl.gz"), count("1970-02.jsonl.gz")), (251, 1));
        assert_eq!(store.find("january").await.unwrap(), []);
        assert_eq!(store.find("n249").await.unwrap(), []);
        assert_eq!(store.find("fresh").await.unwrap().len(), 1);
        store.close().await;
    }

    #[test]
    fn months_are_those_of_china() {
        // 2026-10-31T16:00:00Z
        assert_eq!(file_name(1_793_462_400_000), "2026-11.jsonl.gz");
        assert_eq!(file_name(1_793_462_399_999), "2026-10.jsonl.gz");
        let retention = Retention { keep_days: 2, archive: None };
        assert_eq!(limit_ms(&retention, 3 * DAY_MS), DAY_MS);
    }
}
