//! From the outbox to confirmed publishes: the relay alone.

use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tongbao_delivery::port::{Intake, NewDelivery, Store, StoreError, Subject, Work};
use tongbao_delivery::{
    Broker, Clock, Engine, EngineParts, Handler, Observer, QueueSpec, Rabbit, RabbitSettings, RelaySettings,
    Report, SystemClock, TargetSettings,
};
use tongbao_model::{Class, Event};
use tongbao_store::StoreOptions;

/// The connection that the rows are for; it is paused, so that nobody takes them.
const TARGET: &str = "bench-publish";
/// Events accepted in one call while filling.
const BATCH: u64 = 500;
/// Longest wait.
const LIMIT: Duration = Duration::from_secs(120);

/// Fills an outbox and measures how fast it is emptied into a broker.
pub async fn per_second(store: &str, settings: &RabbitSettings, rows: u64) -> Result<f64, String> {
    let text = |error: StoreError| error.to_string();
    let store = tongbao_store::open(store, StoreOptions::default()).await.map_err(text)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    store.hold(Subject::Connection(TARGET.into()), "bench", "", clock.now_ms()).await.map_err(text)?;
    fill(&store, rows).await?;
    let broker = Arc::new(connect(settings, &clock).await?);
    let published = Arc::new(Published::default());
    let begun = Instant::now();
    let engine = Engine::start(EngineParts {
        store: store.clone(),
        broker: broker.clone(),
        handler: Arc::new(Nothing),
        clock,
        observer: published.clone(),
        targets: vec![TargetSettings::named(TARGET)],
        worker_name: "bench".to_owned(),
        relay: RelaySettings::default(),
    })
    .await
    .map_err(|error| error.to_string())?;
    let all = tokio::time::timeout(LIMIT, published.reached(rows)).await;
    let took = begun.elapsed();
    broker.delete_queues().await.map_err(|error| error.to_string())?;
    engine.stop(Duration::from_secs(10)).await;
    store.close().await;
    all.map_err(|_| "the outbox was not emptied".to_owned())?;
    Ok(super::number(rows) / took.as_secs_f64())
}

/// Deletes the queues of connections that a service which is gone had declared.
pub async fn delete_queues(settings: RabbitSettings, targets: &[&str]) -> Result<(), String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let broker = connect(&settings, &clock).await?;
    let spec = |target: &&str| QueueSpec { target: (*target).to_owned(), partitions: 8, in_flight: 1 };
    let specs: Vec<QueueSpec> = targets.iter().map(spec).collect();
    let text = |error: tongbao_delivery::BrokerError| error.to_string();
    broker.declare(&specs).await.map_err(text)?;
    broker.delete_queues().await.map_err(text)?;
    broker.close().await;
    Ok(())
}

async fn connect(settings: &RabbitSettings, clock: &Arc<dyn Clock>) -> Result<Rabbit, String> {
    let broker = Rabbit::start(settings.clone(), clock.clone()).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !broker.health().ready {
        if Instant::now() > deadline {
            return Err(broker.health().detail);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(broker)
}

async fn fill(store: &Arc<dyn Store>, rows: u64) -> Result<(), String> {
    let run = crate::routes::Ids::Uuid.fresh();
    let mut next = 0;
    while next < rows {
        let end = (next + BATCH).min(rows);
        let intakes = (next..end).map(|number| intake(&run, number)).collect();
        store.accept(intakes, None, 0).await.map_err(|error| error.to_string())?;
        next = end;
    }
    Ok(())
}

fn intake(run: &str, number: u64) -> Intake {
    let key = format!("{run}-{number:09}");
    let event = Event {
        id: crate::routes::Ids::Uuid.fresh(),
        kind: "bench".into(),
        source: "bench".into(),
        key: key.clone(),
        revision: 1,
        order_key: key.clone(),
        occurred_at_ms: 0,
        digest: number.to_string(),
        record: "{}".into(),
        cause: None,
    };
    let id = crate::routes::Ids::Uuid.fresh();
    let delivery = NewDelivery { id, flow: "bench".into(), target: TARGET.into(), order_key: key };
    Intake { event, deliveries: vec![delivery] }
}

struct Nothing;

#[async_trait]
impl Handler for Nothing {
    async fn handle(&self, _work: &Work, _now_ms: i64) -> Report {
        Report::new(Class::Done)
    }
}

#[derive(Default)]
struct Published {
    count: AtomicU64,
    changed: Notify,
}

impl Published {
    async fn reached(&self, count: u64) {
        loop {
            let changed = self.changed.notified();
            if self.count.load(Ordering::Relaxed) >= count {
                return;
            }
            changed.await;
        }
    }
}

impl Observer for Published {
    fn published(&self, _target: &str, count: usize) {
        self.count.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        self.changed.notify_waiters();
    }
}
