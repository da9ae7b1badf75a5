//! Everything that is written to the log while the kit runs, so that it can be searched for secrets.

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Bytes kept; what a connector logs beyond that in one run is too much anyway, and is said to be.
const KEPT_MAX: usize = 8 * 1024 * 1024;

/// A log in memory.
#[derive(Default, Clone)]
pub struct Log {
    text: Arc<Mutex<String>>,
    spans: Arc<AtomicU64>,
}

impl Log {
    /// What was written.
    pub fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether everything was kept.
    pub fn is_whole(&self) -> bool {
        self.text().len() < KEPT_MAX
    }

    fn keep(&self, fill: impl FnOnce(&mut Line)) {
        let mut line = Line(String::new());
        fill(&mut line);
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if text.len() < KEPT_MAX {
            text.push_str(&line.0);
            text.push('\n');
        }
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Log {
    /// Everything, at every level.
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.keep(|line| {
            line.0.push_str(span.metadata().name());
            span.record(line);
        });
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).saturating_add(1))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.keep(|line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.keep(|line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_spans_are_kept() {
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), || {
            let span = tracing::info_span!("call", token = "in-the-span");
            let _entered = span.enter();
            tracing::debug!(password = "in-the-event", "said");
        });
        let text = log.text();
        assert!(
            text.contains("in-the-span") && text.contains("in-the-event") && text.contains("said"),
            "{text}"
        );
        assert!(log.is_whole());
    }
}
