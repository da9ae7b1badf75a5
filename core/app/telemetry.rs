//! Logs and metrics.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_delivery::observer::Observer;
use tongbao_delivery::port::{Accepted, Next};
use tongbao_model::Class;
use tracing_subscriber::EnvFilter;

/// JSON logs on standard error, for `serve`. The filter comes from `TONGBAO_LOG`, e.g. `info` or `tongbao=debug`.
/// Calling it twice keeps the first.
pub fn json_logs() {
    let filter = EnvFilter::try_from_env("TONGBAO_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,lapin=warn,sqlx=warn"));
    // An error means that a subscriber stands already, which is what is wanted.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}

/// Installs the process-wide recorder, once.
pub fn metrics() -> PrometheusHandle {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            // Only this function installs one, and only once.
            let _ = metrics::set_global_recorder(recorder);
            handle
        })
        .clone()
}

/// Folds measured samples together every few seconds: without it they would pile up as long as nobody scrapes.
pub async fn keep(stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(5)) => metrics().run_upkeep(),
        }
    }
}

/// Counts what the engine tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters;

impl Observer for Counters {
    fn accepted(&self, outcome: &Accepted) {
        let outcome = match outcome {
            Accepted::New => "new",
            Accepted::Repeat { .. } => "repeat",
            Accepted::Conflict { .. } => "conflict",
            Accepted::Late => "late",
        };
        metrics::counter!("tongbao_events_accepted_total", "outcome" => outcome).increment(1);
    }

    fn published(&self, target: &str, count: usize) {
        metrics::counter!("tongbao_published_total", "connection" => target.to_owned())
            .increment(u64::try_from(count).unwrap_or(0));
    }

    fn publish_failed(&self, target: &str, count: usize) {
        metrics::counter!("tongbao_publish_failures_total", "connection" => target.to_owned())
            .increment(u64::try_from(count).unwrap_or(0));
    }

    fn outbox(&self, rows: u64) {
        let rows = f64::from(u32::try_from(rows).unwrap_or(u32::MAX));
        metrics::gauge!("tongbao_outbox_rows").set(rows);
    }

    fn swept(&self, count: u64) {
        metrics::counter!("tongbao_swept_total").increment(count);
    }

    fn attempt(&self, target: &str, class: Class, next: &Next, call: Duration) {
        let next = match next {
            Next::Posted => "posted",
            Next::Rejected => "rejected",
            Next::Parked => "parked",
            Next::Retry { .. } => "retry",
        };
        metrics::counter!(
            "tongbao_attempts_total",
            "connection" => target.to_owned(), "class" => class.name(), "next" => next
        )
        .increment(1);
        metrics::histogram!("tongbao_call_seconds", "connection" => target.to_owned())
            .record(call.as_secs_f64());
    }

    fn fenced(&self, target: &str) {
        metrics::counter!("tongbao_fenced_total", "connection" => target.to_owned()).increment(1);
    }

    fn panicked(&self, target: &str) {
        metrics::counter!("tongbao_panics_total", "connection" => target.to_owned()).increment(1);
    }

    fn store_failed(&self) {
        metrics::counter!("tongbao_store_failures_total").increment(1);
    }

    fn circuit(&self, target: &str, open: bool) {
        metrics::gauge!("tongbao_circuit_open", "connection" => target.to_owned()).set(if open {
            1.0
        } else {
            0.0
        });
    }
}
