//! Deliberate mistakes: what the simulation must be able to see.
//!
//! Each is made at a port, inside the simulated world; the code that ships has no switch for any of them.

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A delivery is marked as posted with the intent, before the far side was called.
    MarkerBeforeEffect,
    /// What came before an attempt is forgotten: an unknown outcome is sent again without asking.
    NoLookup,
    /// The intake is answered before its transaction is committed.
    AckBeforeCommit,
    /// The outcome of an attempt is stored even if another attempt has begun since.
    NoFencing,
    /// The business key is made anew for every attempt.
    FreshKey,
    /// A delivery begins although its predecessor is not final.
    NoOrder,
    /// Nobody looks for deliveries whose message was lost.
    NoSweeper,
    /// The sweeper takes whatever was published for waiting in line, for ever.
    EndlessLine,
}

impl Bug {
    /// All of them with their names.
    pub const ALL: [(&str, Bug); 8] = [
        ("marker-before-effect", Bug::MarkerBeforeEffect),
        ("no-lookup", Bug::NoLookup),
        ("ack-before-commit", Bug::AckBeforeCommit),
        ("no-fencing", Bug::NoFencing),
        ("fresh-key", Bug::FreshKey),
        ("no-order", Bug::NoOrder),
        ("no-sweeper", Bug::NoSweeper),
        ("endless-line", Bug::EndlessLine),
    ];

    /// The one of a name.
    pub fn from_name(name: &str) -> Option<Bug> {
        Bug::ALL.iter().find(|(known, _)| *known == name).map(|(_, bug)| *bug)
    }
}
