//! A backlog of any size: what start, memory and drain cost when 10 thousand or a million deliveries wait.

use super::Figure;
use super::filling::{Nothing, Progress, fill};
use super::memory;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tongbao_delivery::port::Next;
use tongbao_delivery::{
    Clock, Embedded, EmbeddedSettings, Engine, EngineParts, Observer, RelaySettings, SystemClock,
    TargetSettings,
};
use tongbao_model::Class;
use tongbao_store::StoreOptions;

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
    fill(&store, TARGET, rows).await?;
    store.close().await;
    // As a process that starts does: open, put back what an earlier one had in memory, serve.
    let begun = Instant::now();
    let store = tongbao_store::open(&url, StoreOptions::default()).await.map_err(text)?;
    let ended = Arc::new(Ended::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let engine = Engine::start(EngineParts {
        store: store.clone(),
        broker: Arc::new(Embedded::new(EmbeddedSettings::default(), clock.clone())),
        handler: Arc::new(Nothing),
        clock,
        observer: ended.clone(),
        targets: vec![TargetSettings { in_flight: 32, ..TargetSettings::named(TARGET) }],
        worker_name: "bench".to_owned(),
        relay: RelaySettings::default(),
    })
    .await
    .map_err(|error| error.to_string())?;
    ended.0.reached(1).await;
    let start = begun.elapsed();
    let draining = Instant::now();
    ended.0.reached(DRAINED).await;
    let drain = f64::from(u32::try_from(DRAINED).unwrap_or(u32::MAX)) / draining.elapsed().as_secs_f64();
    let memory_mib = memory::mib("self", "VmRSS");
    engine.stop(Duration::from_secs(10)).await;
    store.close().await;
    Ok(Measured { rows, start, drain, memory_mib })
}

/// Counts what has ended.
#[derive(Default)]
struct Ended(Progress);

impl Observer for Ended {
    fn attempt(&self, _target: &str, _class: Class, _next: &Next, _call: Duration) {
        self.0.add(1);
    }
}
