//! The overview: what each connection has before it and what stands still, for people and as metrics.

use crate::ask::ask;
use crate::config::{Config, Loaded};
use crate::service::{Service, target_settings};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_delivery::Holds;
use tongbao_delivery::port::{Hold, Overview, Store, Stored};

/// How often the gauges are set. Not at every scrape: several scrapers would be several counts.
const EVERY: Duration = Duration::from_secs(15);

/// The connections that deliveries go to, the built-in ones included.
pub fn targets(loaded: &Loaded) -> Vec<String> {
    target_settings(loaded).into_iter().map(|target| target.name).collect()
}

/// One line per connection: those of the configuration first, then others that still have deliveries.
pub async fn overview(store: &dyn Store, targets: &[String]) -> Stored<Vec<Overview>> {
    let mut counted: BTreeMap<String, Overview> =
        store.overview().await?.into_iter().map(|one| (one.target.clone(), one)).collect();
    let empty = |target: &String| Overview { target: target.clone(), ..Overview::default() };
    let configured: Vec<Overview> =
        targets.iter().map(|target| counted.remove(target).unwrap_or_else(|| empty(target))).collect();
    Ok(configured.into_iter().chain(counted.into_values()).collect())
}

/// Seconds since the oldest unfinished delivery was accepted.
fn oldest_seconds(one: &Overview, now_ms: i64) -> Option<i64> {
    one.oldest_at_ms.map(|at_ms| now_ms.saturating_sub(at_ms).max(0) / 1_000)
}

/// A hold as JSON.
pub fn held(hold: &Hold) -> Value {
    json!({"since_ms": hold.since_ms, "by": hold.who, "reason": hold.why})
}

/// What a process tells of itself.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// Circuits, and whether they are open.
    pub circuits: BTreeMap<String, bool>,
    /// Changed mappings that did not take over.
    pub mappings_refused: Value,
    /// What is wrong with the latest code tables.
    pub tables_refused: Value,
}

/// The status as JSON; `own` is `None` where no process was asked.
pub fn status(list: &[Overview], holds: &Holds, own: Option<&Own>, now_ms: i64) -> Value {
    let connections: Vec<Value> = list
        .iter()
        .map(|one| {
            let circuit = own
                .and_then(|own| own.circuits.get(&one.target))
                .map(|open| if *open { "open" } else { "closed" });
            json!({
                "connection": one.target,
                "backlog": one.backlog(),
                "pending": one.pending,
                "calling": one.calling,
                "waiting": one.waiting,
                "oldest_seconds": oldest_seconds(one, now_ms),
                "parked": one.parked,
                "rejected": one.rejected,
                "outbox": one.outbox,
                "paused": holds.connection(&one.target).map(held),
                "circuit": circuit,
            })
        })
        .collect();
    json!({
        "at_ms": now_ms,
        "draining": holds.intake().map(held),
        "mappings_refused": own.map(|own| &own.mappings_refused),
        "tables_refused": own.map(|own| &own.tables_refused),
        "connections": connections,
    })
}

/// What is left to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Deliveries that will be worked on.
    pub left: u64,
    /// Those that wait for a paused connection.
    pub paused: u64,
    /// Those that are parked.
    pub parked: u64,
    /// Those that wait behind a parked one.
    pub behind_parked: u64,
}

impl Left {
    /// Counts it.
    pub async fn of(store: &dyn Store) -> Stored<Left> {
        // What stands still first: a delivery that goes on in between is counted as left.
        let holds = Holds::new(store.holds(i64::MAX).await?);
        let behind = store.behind_parked().await?;
        let mut left = Left::default();
        for one in store.overview().await? {
            left.parked += one.parked.values().sum::<u64>();
            if holds.connection(&one.target).is_some() {
                left.paused += one.backlog();
                continue;
            }
            let stuck = behind.get(&one.target).copied().unwrap_or(0).min(one.backlog());
            left.behind_parked += stuck;
            left.left += one.backlog() - stuck;
        }
        Ok(left)
    }
}

/// The status that the service on this machine tells; `None` when none answers.
pub async fn told(config: &Config) -> Option<Value> {
    ask(config, reqwest::Method::GET, "/status").await.ok()
}

/// The circuits in a status that was told.
pub fn circuits(told: &Value) -> Option<BTreeMap<String, bool>> {
    let list = told.get("connections")?.as_array()?;
    let one = |told: &Value| {
        let name = told.get("connection")?.as_str()?.to_owned();
        Some((name, told.get("circuit")?.as_str()? == "open"))
    };
    Some(list.iter().filter_map(one).collect())
}

/// The gauges of the overview. Remembers what was set, so that what is gone goes to zero.
#[derive(Debug, Default)]
pub struct Gauges {
    parked: BTreeSet<(String, String)>,
}

impl Gauges {
    /// Sets them all.
    pub fn set(&mut self, list: &[Overview], holds: &Holds, circuits: &BTreeMap<String, bool>, now_ms: i64) {
        for one in list {
            let connection = || one.target.clone();
            metrics::gauge!("tongbao_backlog", "connection" => connection()).set(number(one.backlog()));
            let oldest = u64::try_from(oldest_seconds(one, now_ms).unwrap_or(0)).unwrap_or(0);
            metrics::gauge!("tongbao_backlog_oldest_seconds", "connection" => connection())
                .set(number(oldest));
            metrics::gauge!("tongbao_outbox_rows", "connection" => connection()).set(number(one.outbox));
            let paused_ms =
                holds.connection(&one.target).map_or(0, |hold| now_ms.saturating_sub(hold.since_ms));
            let paused = u64::try_from(paused_ms / 1_000).unwrap_or(0);
            metrics::gauge!("tongbao_paused_seconds", "connection" => connection()).set(number(paused));
            self.parked.extend(one.parked.keys().map(|class| (one.target.clone(), class.clone())));
        }
        for (target, class) in &self.parked {
            let of = list.iter().find(|one| one.target == *target);
            let parked = of.and_then(|one| one.parked.get(class)).copied().unwrap_or(0);
            metrics::gauge!("tongbao_parked", "connection" => target.clone(), "class" => class.clone())
                .set(number(parked));
        }
        metrics::gauge!("tongbao_draining").set(if holds.intake().is_some() { 1.0 } else { 0.0 });
        for (target, open) in circuits {
            metrics::gauge!("tongbao_circuit_open", "connection" => target.clone()).set(if *open {
                1.0
            } else {
                0.0
            });
        }
    }
}

/// A gauge's value. Beyond 4 billion it says 4 billion.
fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Sets the gauges of the disks. A folder that is not there yet has no number.
fn measure(disks: &[(&'static str, PathBuf)]) {
    for (disk, folder) in disks {
        match rustix::fs::statvfs(folder) {
            Ok(told) => {
                let mebibytes = told.f_bavail.saturating_mul(told.f_frsize) / (1 << 20);
                metrics::gauge!("tongbao_disk_free_bytes", "disk" => *disk)
                    .set(number(mebibytes) * f64::from(1 << 20));
            }
            Err(error) => tracing::debug!(%error, disk, "the disk could not be measured"),
        }
    }
}

/// Sets the gauges at an interval until told to stop.
pub async fn keep(service: Arc<Service>, disks: Vec<(&'static str, PathBuf)>, stop: CancellationToken) {
    let mut gauges = Gauges::default();
    let disks = Arc::new(disks);
    loop {
        let asked = disks.clone();
        // A disk of another machine may take its time.
        if let Err(error) = tokio::task::spawn_blocking(move || measure(&asked)).await {
            tracing::debug!(%error, "the disks could not be measured");
        }
        match overview(service.store.as_ref(), &service.targets).await {
            Ok(list) => {
                let (holds, circuits) = (service.engine.holds(), service.engine.circuits());
                gauges.set(&list, &holds, &circuits, service.now_ms());
            }
            Err(error) => tracing::debug!(%error, "the overview could not be counted"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
