//! The sandbox's clock: the machine's clock plus an offset that tests move, or a fixed instant plus that offset.
//!
//! Business dates, session idle time, token age and the red-letter 72-hour limit follow this clock. Signature
//! freshness does not: the caller signs with its own wall clock, which nobody moves.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{Timestamp, tz};

/// Virtual clock in Unix milliseconds; it can be moved forward while the sandbox runs.
#[derive(Debug)]
pub struct Clock {
    fixed: Option<i64>,
    offset: AtomicI64,
}

impl Clock {
    /// A clock that starts at `fixed` (Unix milliseconds) and only moves by [`Clock::advance`]; with `None` it runs
    /// with the machine's clock.
    #[must_use]
    pub fn new(fixed: Option<i64>) -> Self {
        Self { fixed, offset: AtomicI64::new(0) }
    }

    /// Now, in Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let base = self.fixed.unwrap_or_else(wall_ms);
        base.saturating_add(self.offset.load(Ordering::Relaxed))
    }

    /// Moves the clock by `ms` milliseconds (negative moves it back) and returns the new now.
    pub fn advance(&self, ms: i64) -> i64 {
        self.offset.fetch_add(ms, Ordering::Relaxed);
        self.now_ms()
    }
}

/// The machine's clock in Unix milliseconds; used where the far side compares with the caller's own clock.
pub(crate) fn wall_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// `2026-11-20T10:00:00` in Chinese local time, the way the ERP prints dates (no zone, whole seconds).
pub(crate) fn local_text(ms: i64) -> String {
    format_local(ms, "%Y-%m-%dT%H:%M:%S")
}

/// `2026-11-20T00:00:00`: the local day of `ms`.
pub(crate) fn local_day(ms: i64) -> String {
    format_local(ms, "%Y-%m-%dT00:00:00")
}

/// Formats `ms` in the fixed +08:00 zone.
pub(crate) fn format_local(ms: i64, pattern: &str) -> String {
    let stamp = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let zone = tz::TimeZone::fixed(tz::offset(8));
    stamp.to_zoned(zone).strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_only_when_told() {
        let clock = Clock::new(Some(1_700_000_000_000));
        assert_eq!(clock.now_ms(), 1_700_000_000_000);
        assert_eq!(clock.advance(1_500), 1_700_000_001_500);
        assert_eq!(local_text(clock.now_ms()), "2023-11-15T06:13:21");
        assert_eq!(local_day(clock.now_ms()), "2023-11-15T00:00:00");
    }
}
