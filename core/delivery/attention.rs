//! What people have to be told of, as the store counts it.

/// Parked deliveries to one connection that stopped for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Connection.
    pub target: String,
    /// Fault code they stopped with.
    pub code: Option<String>,
    /// Class of the last outcome.
    pub class: Option<String>,
    /// How many.
    pub count: u64,
    /// When the first of them stopped, in milliseconds since 1970.
    pub first_ms: i64,
}

/// How a connection is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Connection.
    pub target: String,
    /// Deliveries that wait because it could not be reached or refused our credentials.
    pub failing: u64,
    /// Which of the two; the first by name where it is both.
    pub class: Option<String>,
    /// Since when these are tried: the earliest of them, in milliseconds since 1970.
    pub tried_since_ms: Option<i64>,
    /// When something was last posted to it, looked for among the 200 accepted last.
    pub posted_at_ms: Option<i64>,
}

impl Health {
    /// Since when nothing gets through, in milliseconds since 1970; `None` while nothing fails.
    pub fn failing_since_ms(&self) -> Option<i64> {
        let since_ms = self.tried_since_ms.filter(|_| self.failing > 0)?;
        Some(self.posted_at_ms.map_or(since_ms, |posted_at_ms| since_ms.max(posted_at_ms)))
    }
}

/// Groups in one answer of [`crate::port::Store::parked`].
pub const GROUPS_MAX: u64 = 1_000;
/// Posted deliveries that are looked at for the last one.
pub const POSTED_LOOKED_AT: u64 = 200;
