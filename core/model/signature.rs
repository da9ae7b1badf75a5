//! Where a signing flow stands, in our words, and how far along that is.

/// State of a signing flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureState {
    /// Somebody has yet to sign, or the flow has yet to be finished.
    Signing,
    /// Everybody signed and the flow is finished.
    Signed,
    /// Somebody refused to sign.
    Rejected,
    /// Taken back by whoever had begun it.
    Revoked,
    /// Not signed in time.
    Expired,
    /// Undone after it was signed.
    Annulled,
}

impl SignatureState {
    /// All of them.
    pub const ALL: [SignatureState; 6] = [
        SignatureState::Signing,
        SignatureState::Signed,
        SignatureState::Rejected,
        SignatureState::Revoked,
        SignatureState::Expired,
        SignatureState::Annulled,
    ];

    /// Stable name, as records and settings write it.
    pub fn name(self) -> &'static str {
        match self {
            SignatureState::Signing => "signing",
            SignatureState::Signed => "signed",
            SignatureState::Rejected => "rejected",
            SignatureState::Revoked => "revoked",
            SignatureState::Expired => "expired",
            SignatureState::Annulled => "annulled",
        }
    }

    /// The state of a name.
    pub fn from_name(name: &str) -> Option<SignatureState> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// How far along: 1 under way, 2 ended, 3 undone after its end. A flow never goes back, so this serves as the
    /// revision of what is confirmed of it.
    pub fn rank(self) -> i64 {
        match self {
            SignatureState::Signing => 1,
            SignatureState::Signed
            | SignatureState::Rejected
            | SignatureState::Revoked
            | SignatureState::Expired => 2,
            SignatureState::Annulled => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_ranks_rise() {
        for state in SignatureState::ALL {
            assert_eq!(SignatureState::from_name(state.name()), Some(state));
        }
        assert_eq!(SignatureState::from_name("Signed"), None);
        let ranks = SignatureState::ALL.map(SignatureState::rank);
        assert_eq!(ranks, [1, 2, 2, 2, 2, 3]);
    }
}
