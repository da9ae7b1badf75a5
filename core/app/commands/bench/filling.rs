//! Deliveries without content, and a watch for how many of them have come through.

use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;
use tongbao_delivery::port::{Intake, NewDelivery, Store, Work};
use tongbao_delivery::{Handler, Report};
use tongbao_model::{Class, Event};

/// Events accepted in one call.
const BATCH: u64 = 500;

/// Accepts so many events with one delivery each to a connection, each a document of its own.
pub async fn fill(store: &Arc<dyn Store>, target: &str, rows: u64) -> Result<(), String> {
    // What an earlier run left in a database that was given must not make these repetitions.
    let run = crate::routes::Ids::Uuid.fresh();
    let mut next = 0;
    while next < rows {
        let end = (next + BATCH).min(rows);
        let intakes = (next..end).map(|number| intake(&run, target, number)).collect();
        store.accept(intakes, None, 0).await.map_err(|error| error.to_string())?;
        next = end;
    }
    Ok(())
}

fn intake(run: &str, target: &str, number: u64) -> Intake {
    let key = format!("{run}-{number:09}");
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
    let delivery = NewDelivery { id, flow: "bench".into(), target: target.into(), order_key: key };
    Intake { event, deliveries: vec![delivery] }
}

/// Does nothing, successfully.
pub struct Nothing;

#[async_trait]
impl Handler for Nothing {
    async fn handle(&self, _work: &Work, _now_ms: i64) -> Report {
        Report::new(Class::Done)
    }
}

/// A count that can be waited for.
#[derive(Default)]
pub struct Progress {
    count: AtomicU64,
    changed: Notify,
}

impl Progress {
    /// So many more.
    pub fn add(&self, more: usize) {
        self.count.fetch_add(u64::try_from(more).unwrap_or(0), Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Returns when there are at least so many.
    pub async fn reached(&self, count: u64) {
        loop {
            let changed = self.changed.notified();
            if self.count.load(Ordering::Relaxed) >= count {
                return;
            }
            changed.await;
        }
    }
}
