//! Logs and metrics.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_delivery::observer::{Observer, Stage};
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

/// How a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Samples, exported as quantiles, `_sum` and `_count`.
    Histogram,
}

/// A metric this program exports.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Name.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// Labels.
    pub labels: &'static [&'static str],
    /// For people.
    pub help: &'static str,
}

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, help }
}

/// Everything that is exported. Alert rules may name these and nothing else.
pub const METRICS: &[Metric] = &[
    metric(
        "tongbao_events_accepted_total",
        Kind::Counter,
        &["outcome"],
        "Events taken in: new, repeat, conflict, late",
    ),
    metric(
        "tongbao_refused_total",
        Kind::Counter,
        &["connection", "code"],
        "Requests refused for their signature",
    ),
    metric("tongbao_notices_total", Kind::Counter, &["rule"], "Messages to people that were made"),
    metric(
        "tongbao_statement_letters_total",
        Kind::Counter,
        &["kind"],
        "Letters with statements that were given to delivery: sent, reminded",
    ),
    metric(
        "tongbao_statement_answers_total",
        Kind::Counter,
        &["kind"],
        "Answers of customers to statements: confirmed, disputed",
    ),
    metric(
        "tongbao_statements_failed_total",
        Kind::Counter,
        &[],
        "Statements that the schedule could not make, at each look",
    ),
    metric("tongbao_poll_failures_total", Kind::Counter, &["connection"], "Polls that failed"),
    metric("tongbao_published_total", Kind::Counter, &["connection"], "Outbox rows confirmed by the broker"),
    metric(
        "tongbao_publish_failures_total",
        Kind::Counter,
        &["connection"],
        "Outbox rows the broker did not take",
    ),
    metric("tongbao_swept_total", Kind::Counter, &[], "Stalled deliveries put back into the outbox"),
    metric(
        "tongbao_attempts_total",
        Kind::Counter,
        &["connection", "class", "next"],
        "Attempts by class and what follows",
    ),
    metric("tongbao_call_seconds", Kind::Histogram, &["connection"], "Duration of calls, with their mapping"),
    metric(
        "tongbao_stage_seconds",
        Kind::Histogram,
        &["stage"],
        "Where time goes: verify and translate (a request), accept, publish (a batch), begin, map, finish",
    ),
    metric("tongbao_fenced_total", Kind::Counter, &["connection"], "Outcomes that came after their lease"),
    metric("tongbao_panics_total", Kind::Counter, &["connection"], "Deliveries on which the program failed"),
    metric("tongbao_store_failures_total", Kind::Counter, &[], "Failed calls to the database"),
    metric("tongbao_circuit_open", Kind::Gauge, &["connection"], "1 while a connection is left alone"),
    metric("tongbao_backlog", Kind::Gauge, &["connection"], "Deliveries pending, waiting or being called"),
    metric("tongbao_backlog_oldest_seconds", Kind::Gauge, &["connection"], "Age of the oldest of these"),
    metric("tongbao_parked", Kind::Gauge, &["connection", "class"], "Deliveries that wait for a person"),
    metric("tongbao_outbox_rows", Kind::Gauge, &["connection"], "Rows that are to be handed to the broker"),
    metric("tongbao_paused_seconds", Kind::Gauge, &["connection"], "How long a connection has been paused"),
    metric("tongbao_draining", Kind::Gauge, &[], "1 while nothing is taken in"),
    metric(
        "tongbao_disk_free_bytes",
        Kind::Gauge,
        &["disk"],
        "Free space for the database file and the archive",
    ),
    metric("tongbao_mappings_refused", Kind::Gauge, &[], "Edited mapping files that did not take over"),
    metric(
        "tongbao_mapping_reloads_total",
        Kind::Counter,
        &["outcome"],
        "Edited mapping files: taken, refused",
    ),
    metric("tongbao_archived_events_total", Kind::Counter, &[], "Events moved into archive files"),
    metric("tongbao_archive_failures_total", Kind::Counter, &[], "Runs of the archive that failed"),
];

/// Tells the recorder what each metric is.
fn describe() {
    for Metric { name, kind, help, .. } in METRICS.iter().copied() {
        match kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, help),
        }
    }
}

/// Classes that park.
const PARKS: [Class; 8] = [
    Class::Rejected,
    Class::Conflict,
    Class::Throttled(None),
    Class::Unavailable,
    Class::Unauthorized,
    Class::Unknown,
    Class::Misconfigured,
    Class::Defect,
];

/// Begins the counters that alerts look at with 0. A series that appears with its first count is no rise to
/// Prometheus: the first panic would go unnoticed.
pub fn zero<'a>(targets: &'a [String], polled: impl Iterator<Item = &'a String>) {
    metrics::counter!("tongbao_store_failures_total").increment(0);
    metrics::counter!("tongbao_archive_failures_total").increment(0);
    for target in targets {
        let connection = || target.clone();
        metrics::counter!("tongbao_publish_failures_total", "connection" => connection()).increment(0);
        metrics::counter!("tongbao_fenced_total", "connection" => connection()).increment(0);
        metrics::counter!("tongbao_panics_total", "connection" => connection()).increment(0);
        for class in PARKS {
            metrics::counter!(
                "tongbao_attempts_total",
                "connection" => connection(), "class" => class.name(), "next" => "parked"
            )
            .increment(0);
        }
    }
    for connection in polled {
        metrics::counter!("tongbao_poll_failures_total", "connection" => connection.clone()).increment(0);
    }
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
            describe();
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

/// Notes that so much time went into a stage of the application's.
pub fn stage(name: &'static str, took: Duration) {
    metrics::histogram!("tongbao_stage_seconds", "stage" => name).record(took.as_secs_f64());
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

    fn stage(&self, of: Stage, took: Duration) {
        stage(of.name(), took);
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
