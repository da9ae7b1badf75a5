//! A backlog of any size: what start, memory and drain cost when 10 thousand or a million deliveries wait.

use super::Figure;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tongbao_delivery::port::{Intake, NewDelivery, Next, Store, Work};
use tongbao_delivery::{
    Clock, Embedded, EmbeddedSettings, Engine, EngineParts, Handler, Observer, RelaySettings, Report,
    SystemClock, TargetSettings,
};
use tongbao_model::{Class, Event};
use tongbao_store::StoreOptions;

/// Events accepted in one call while filling.
const BATCH: u64 = 500;
/// Deliveries whose drain is timed, at every size the same number.
const DRAINED: u64 = 5_000;
/// The connection they go to.
const TARGET: &str = "bench";

/// What one size came to.
struct Measured {
    rows: u64,
    start: Duration,
    drain: f64,
    memory_mib: f64,
}

/// Fills, starts and drains at each size. The smallest one is the limit that the others are held against.
pub async fn run(sizes: Vec<u64>, store: Option<String>) -> Result<Vec<Figure>, String> {
    let mut measured = Vec::new();
    for rows in sizes {
        measured.push(one(rows.max(DRAINED), store.clone()).await?);
    }
    let Some(first) = measured.first() else { return Err("no sizes".to_owned()) };
    let base = format!("{} 笔积压 / waiting", first.rows);
    let figure =
        |what: String, rate, limit, goal| Figure { what, rate, limit_what: base.clone(), limit, goal };
    let mut figures = Vec::new();
    for one in &measured {
        let rows = one.rows;
        let starts = |time: Duration| 1.0 / time.as_secs_f64().max(1e-6);
        figures.push(figure(
            format!("{rows} 笔积压：首个投递前的启动次数 / starts to the first delivery"),
            starts(one.start),
            starts(first.start),
            Some(0.5),
        ));
        figures.push(figure(format!("{rows} 笔积压：投递 / deliveries"), one.drain, first.drain, Some(0.8)));
        figures.push(figure(
            format!("{rows} 笔积压：内存 MiB / memory in MiB"),
            one.memory_mib,
            first.memory_mib,
            None,
        ));
    }
    Ok(figures)
}

async fn one(rows: u64, url: Option<String>) -> Result<Measured, String> {
    let folder =
        tempfile::Builder::new().prefix("tongbao-bench-").tempdir().map_err(|error| error.to_string())?;
    let url = url.unwrap_or_else(|| format!("sqlite://{}", folder.path().join("backlog.db").display()));
    let text = |error: tongbao_delivery::port::StoreError| error.to_string();
    let store = tongbao_store::open(&url, StoreOptions::default()).await.map_err(text)?;
    fill(&store, rows).await?;
    store.close().await;
    // As a process that starts does: open, put back what an earlier one had in memory, serve.
    let begun = Instant::now();
    let store = tongbao_store::open(&url, StoreOptions::default()).await.map_err(text)?;
    let progress = Arc::new(Progress::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let engine = Engine::start(EngineParts {
        store: store.clone(),
        broker: Arc::new(Embedded::new(EmbeddedSettings::default(), clock.clone())),
        handler: Arc::new(Nothing),
        clock,
        observer: progress.clone(),
        targets: vec![TargetSettings { in_flight: 32, ..TargetSettings::named(TARGET) }],
        worker_name: "bench".to_owned(),
        relay: RelaySettings::default(),
    })
    .await
    .map_err(|error| error.to_string())?;
    progress.reached(1).await;
    let start = begun.elapsed();
    let draining = Instant::now();
    progress.reached(DRAINED).await;
    let drain = f64::from(u32::try_from(DRAINED).unwrap_or(u32::MAX)) / draining.elapsed().as_secs_f64();
    let memory_mib = memory_mib();
    engine.stop(Duration::from_secs(10)).await;
    store.close().await;
    Ok(Measured { rows, start, drain, memory_mib })
}

async fn fill(store: &Arc<dyn Store>, rows: u64) -> Result<(), String> {
    let mut next = 0;
    while next < rows {
        let end = (next + BATCH).min(rows);
        let intakes = (next..end).map(intake).collect();
        store.accept(intakes, None, 0).await.map_err(|error| error.to_string())?;
        next = end;
    }
    Ok(())
}

fn intake(number: u64) -> Intake {
    let key = format!("BL-{number:09}");
    let event = Event {
        id: crate::routes::Ids::Uuid.fresh(),
        kind: "bench".into(),
        source: "bench".into(),
        key: key.clone(),
        revision: 1,
        order_key: key.clone(),
        occurred_at_ms: 0,
        digest: key.clone(),
        record: format!(r#"{{"number":"{key}","total_tax_included":"113.00","note":"{}"}}"#, "x".repeat(200)),
        cause: None,
    };
    let id = crate::routes::Ids::Uuid.fresh();
    let delivery = NewDelivery { id, flow: "bench".into(), target: TARGET.into(), order_key: key };
    Intake { event, deliveries: vec![delivery] }
}

/// Resident memory of this process.
fn memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u32>().ok());
    f64::from(kib.unwrap_or(0)) / 1024.0
}

struct Nothing;

#[async_trait]
impl Handler for Nothing {
    async fn handle(&self, _work: &Work, _now_ms: i64) -> Report {
        Report::new(Class::Done)
    }
}

#[derive(Default)]
struct Progress {
    done: AtomicU64,
    changed: Notify,
}

impl Progress {
    async fn reached(&self, count: u64) {
        loop {
            let changed = self.changed.notified();
            if self.done.load(Ordering::Relaxed) >= count {
                return;
            }
            changed.await;
        }
    }
}

impl Observer for Progress {
    fn attempt(&self, _target: &str, _class: Class, _next: &Next, _call: Duration) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }
}
