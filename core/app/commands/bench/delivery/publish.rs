//! From the outbox to confirmed publishes: the relay alone.

use crate::commands::bench::filling::{Nothing, Progress, fill};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tongbao_delivery::port::StoreError;
use tongbao_delivery::{
    Broker, Clock, Engine, EngineParts, Observer, QueueSpec, Rabbit, RabbitSettings, RelaySettings,
    SystemClock, TargetSettings, Unheard,
};
use tongbao_store::StoreOptions;

/// The connection that the rows are for.
const TARGET: &str = "bench-publish";
/// Longest wait.
const LIMIT: Duration = Duration::from_secs(120);

/// Fills an outbox and measures how fast it is emptied into a broker.
pub async fn per_second(store: &str, settings: &RabbitSettings, rows: u64) -> Result<f64, String> {
    let text = |error: StoreError| error.to_string();
    let store = tongbao_store::open(store, StoreOptions::default()).await.map_err(text)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    fill(&store, TARGET, rows).await?;
    let rabbit = Arc::new(connect(settings, &clock).await?);
    let broker = Arc::new(Unheard::new(rabbit.clone()));
    let published = Arc::new(Published::default());
    let begun = Instant::now();
    let engine = Engine::start(EngineParts {
        store: store.clone(),
        broker,
        handler: Arc::new(Nothing),
        clock,
        observer: published.clone(),
        targets: vec![TargetSettings::named(TARGET)],
        worker_name: "bench".to_owned(),
        relay: RelaySettings::default(),
    })
    .await
    .map_err(|error| error.to_string())?;
    let all = tokio::time::timeout(LIMIT, published.0.reached(rows)).await;
    let took = begun.elapsed();
    rabbit.delete_queues().await.map_err(|error| error.to_string())?;
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

/// Counts what was published and noted.
#[derive(Default)]
struct Published(Progress);

impl Observer for Published {
    fn published(&self, _target: &str, count: usize) {
        self.0.add(count);
    }
}
