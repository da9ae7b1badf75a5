//! Outcome classes: what a try at a far side came to, as far as we know.
//!
//! Every reply of every system is reduced to one of these. Each class has exactly one decision in
//! delivery and one owner among people; both are matched without a catch-all, so that a new class
//! cannot be forgotten anywhere.

use std::time::Duration;

/// What came of one call to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The document stands in the far system as it was sent.
    Done,
    /// The far system had it already, and it is ours (same key, same content).
    AlreadyThere,
    /// The far system refused the content; sending the same again is pointless.
    Rejected,
    /// A document with our key exists there and is not ours, or its amounts differ.
    Conflict,
    /// The far system asks for patience; how long, if it said so.
    Throttled(Option<Duration>),
    /// The far system could not be reached or could not serve, and surely did nothing.
    Unavailable,
    /// Credentials or session were refused, and renewing the session once did not help.
    Unauthorized,
    /// Nobody can tell whether the call took effect. Must be asked about before it is sent again.
    Unknown,
    /// Our configuration of the connection or of the mapping is wrong.
    Misconfigured,
    /// A mistake in Tongbao or in a connector.
    Defect,
}

/// Who can do something about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The people who run the service and its connections.
    Operations,
    /// The people who own the documents and the code tables.
    Finance,
    /// The people who write connectors and mappings.
    Developer,
}

impl Class {
    /// Stable name, as stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Class::Done => "done",
            Class::AlreadyThere => "already-there",
            Class::Rejected => "rejected",
            Class::Conflict => "conflict",
            Class::Throttled(_) => "throttled",
            Class::Unavailable => "unavailable",
            Class::Unauthorized => "unauthorized",
            Class::Unknown => "unknown",
            Class::Misconfigured => "misconfigured",
            Class::Defect => "defect",
        }
    }

    /// The class of a stored name; a `throttled` read back has lost its duration, which was used up
    /// when the retry was scheduled.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "done" => Class::Done,
            "already-there" => Class::AlreadyThere,
            "rejected" => Class::Rejected,
            "conflict" => Class::Conflict,
            "throttled" => Class::Throttled(None),
            "unavailable" => Class::Unavailable,
            "unauthorized" => Class::Unauthorized,
            "unknown" => Class::Unknown,
            "misconfigured" => Class::Misconfigured,
            "defect" => Class::Defect,
            _ => return None,
        })
    }

    /// Who looks after a delivery that stopped with this class.
    pub fn owner(self) -> Owner {
        match self {
            Class::Done | Class::AlreadyThere | Class::Rejected | Class::Conflict => Owner::Finance,
            Class::Throttled(_) | Class::Unavailable | Class::Unauthorized | Class::Unknown => {
                Owner::Operations
            }
            Class::Misconfigured | Class::Defect => Owner::Developer,
        }
    }

    /// Whether the document is in the far system.
    pub fn is_success(self) -> bool {
        matches!(self, Class::Done | Class::AlreadyThere)
    }
}

impl Owner {
    /// Stable name, as stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Owner::Operations => "operations",
            Owner::Finance => "finance",
            Owner::Developer => "developer",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for class in [
            Class::Done,
            Class::AlreadyThere,
            Class::Rejected,
            Class::Conflict,
            Class::Throttled(None),
            Class::Unavailable,
            Class::Unauthorized,
            Class::Unknown,
            Class::Misconfigured,
            Class::Defect,
        ] {
            assert_eq!(Class::from_name(class.name()), Some(class));
        }
        assert_eq!(Class::from_name("fine"), None);
    }
}
