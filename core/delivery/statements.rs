//! The history of statements: what was sent of each, and what its customer said. Rows are added and never changed.

use serde::Serialize;

/// What happened to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteKind {
    /// It was made and a letter with it was given to delivery.
    Sent,
    /// A letter that reminds of it was given to delivery.
    Reminded,
    /// The mail server has taken a letter.
    Delivered,
    /// The customer agrees.
    Confirmed,
    /// The customer does not.
    Disputed,
    /// A newer revision took its place.
    Superseded,
    /// The customer's books differ by more than is allowed.
    Drifted,
}

impl NoteKind {
    /// All of them.
    pub const ALL: [NoteKind; 7] = [
        NoteKind::Sent,
        NoteKind::Reminded,
        NoteKind::Delivered,
        NoteKind::Confirmed,
        NoteKind::Disputed,
        NoteKind::Superseded,
        NoteKind::Drifted,
    ];

    /// Stable name, as stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            NoteKind::Sent => "sent",
            NoteKind::Reminded => "reminded",
            NoteKind::Delivered => "delivered",
            NoteKind::Confirmed => "confirmed",
            NoteKind::Disputed => "disputed",
            NoteKind::Superseded => "superseded",
            NoteKind::Drifted => "drifted",
        }
    }

    /// The kind of a stored name.
    pub fn from_name(name: &str) -> Option<NoteKind> {
        NoteKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One line of a statement's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The month in China, `2026-10`.
    pub month: String,
    /// Code of the customer.
    pub customer: String,
    /// Place in the history, from 1 without gaps.
    pub seq: i64,
    /// What happened.
    pub kind: NoteKind,
    /// Which revision of the statement it is about, from 1.
    pub revision: i64,
    /// Which letter, of all that went out for this statement, from 1; 0 where it is about none.
    pub letter: i64,
    /// When; milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// As far as was known when the revision was made; milliseconds since 1970 UTC.
    pub as_of_ms: i64,
    /// Checksum of the revision.
    pub checksum: String,
    /// Who did it: a user, `schedule`, or the name that the customer gave.
    pub who: String,
    /// What the customer remarked.
    pub remark: String,
    /// Event that carries the letter; empty where there is none.
    pub event: String,
}

/// Which notes, in the order of months, customers and places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of this customer.
    pub customer: Option<String>,
    /// Of this month.
    pub month: Option<String>,
    /// Of this month or a later one.
    pub from_month: Option<String>,
    /// Of these kinds; empty means any.
    pub kinds: Vec<NoteKind>,
    /// Made at this time or later.
    pub from_ms: Option<i64>,
    /// Made before this time.
    pub before_ms: Option<i64>,
    /// After this one: month, customer, place.
    pub after: Option<(String, String, i64)>,
    /// At most so many; 0 means 1,000. Never more than 10,000.
    pub limit: u64,
}

impl Wanted {
    /// The history of one statement, whole as far as one answer holds it.
    pub fn of(customer: &str, month: &str) -> Wanted {
        Wanted {
            customer: Some(customer.to_owned()),
            month: Some(month.to_owned()),
            limit: 10_000,
            ..Wanted::default()
        }
    }

    /// How many are answered at most.
    pub fn most(&self) -> u64 {
        if self.limit == 0 { 1_000 } else { self.limit.min(10_000) }
    }

    /// Whether a note is one of them.
    pub fn takes(&self, note: &Note) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|one| one == value);
        let place = || (note.month.clone(), note.customer.clone(), note.seq);
        is(&self.customer, &note.customer)
            && is(&self.month, &note.month)
            && self.from_month.as_deref().is_none_or(|from| note.month.as_str() >= from)
            && (self.kinds.is_empty() || self.kinds.contains(&note.kind))
            && self.from_ms.is_none_or(|from_ms| note.at_ms >= from_ms)
            && self.before_ms.is_none_or(|before_ms| note.at_ms < before_ms)
            && self.after.as_ref().is_none_or(|after| place() > *after)
    }
}

/// Whether notes go on where a history ends: all of one statement, one after the other. `last` is the place of the last
/// that is stored, 0 for none.
pub fn goes_on(notes: &[Note], last: i64) -> bool {
    let Some(first) = notes.first() else { return false };
    let same = |note: &Note| (&note.month, &note.customer) == (&first.month, &first.customer);
    notes.iter().all(same) && notes.iter().zip(last.saturating_add(1)..).all(|(note, seq)| note.seq == seq)
}
