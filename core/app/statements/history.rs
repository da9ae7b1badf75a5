//! Where a statement stands, from its history.

use crate::output;
use serde_json::{Value, json};
use tongbao_delivery::port::{Store, Stored};
use tongbao_delivery::statements::{Note, NoteKind, Wanted};

/// Notes that are read at once.
const PAGE: u64 = 5_000;

/// What a customer said last of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it agrees.
    pub is_confirmed: bool,
    /// Who, as they gave their name.
    pub who: String,
    /// What they remarked.
    pub remark: String,
    /// When.
    pub at_ms: i64,
}

/// Where a statement stands: its newest revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The month.
    pub month: String,
    /// Code of the customer.
    pub customer: String,
    /// The newest revision.
    pub revision: i64,
    /// Letters that went out for this statement, of all revisions.
    pub letters: i64,
    /// Place of the last note.
    pub seq: i64,
    /// As far as was known when the revision was made.
    pub as_of_ms: i64,
    /// Its checksum.
    pub checksum: String,
    /// Event that carried it first.
    pub event: String,
    /// When the revision's last letter was given to delivery.
    pub letter_ms: i64,
    /// Letters of this revision that no server has taken yet: number and event.
    pub under_way: Vec<(i64, String)>,
    /// When the server took a letter of this revision last.
    pub delivered_ms: Option<i64>,
    /// Reminders of this revision.
    pub reminders: i64,
    /// How often it was answered.
    pub answers: i64,
    /// The answer that stands: the newest.
    pub answer: Option<Answer>,
}

impl Standing {
    /// Of the whole history of one statement, in order. `None`: it was never sent.
    pub fn of(notes: &[Note]) -> Option<Standing> {
        let newest = notes.iter().rfind(|note| note.kind == NoteKind::Sent)?;
        let of_it = || notes.iter().filter(|note| note.revision == newest.revision);
        let is = |kind: NoteKind| move |note: &&Note| note.kind == kind;
        let is_letter = |note: &&Note| matches!(note.kind, NoteKind::Sent | NoteKind::Reminded);
        let is_answer = |note: &&Note| matches!(note.kind, NoteKind::Confirmed | NoteKind::Disputed);
        let taken: Vec<i64> = of_it().filter(is(NoteKind::Delivered)).map(|note| note.letter).collect();
        let answer = of_it().rfind(is_answer).map(|note| Answer {
            is_confirmed: note.kind == NoteKind::Confirmed,
            who: note.who.clone(),
            remark: note.remark.clone(),
            at_ms: note.at_ms,
        });
        let count = |all: usize| i64::try_from(all).unwrap_or(i64::MAX);
        Some(Standing {
            month: newest.month.clone(),
            customer: newest.customer.clone(),
            revision: newest.revision,
            letters: notes.iter().map(|note| note.letter).max().unwrap_or(0),
            seq: notes.last().map_or(0, |note| note.seq),
            as_of_ms: newest.as_of_ms,
            checksum: newest.checksum.clone(),
            event: newest.event.clone(),
            letter_ms: of_it().filter(is_letter).map(|note| note.at_ms).max().unwrap_or(newest.at_ms),
            under_way: of_it()
                .filter(is_letter)
                .filter(|note| !taken.contains(&note.letter))
                .map(|note| (note.letter, note.event.clone()))
                .collect(),
            delivered_ms: of_it().filter(is(NoteKind::Delivered)).map(|note| note.at_ms).max(),
            reminders: count(of_it().filter(is(NoteKind::Reminded)).count()),
            answers: count(of_it().filter(is_answer).count()),
            answer,
        })
    }

    /// The state in one word.
    pub fn state(&self) -> &'static str {
        match (&self.answer, self.delivered_ms) {
            (Some(answer), _) if answer.is_confirmed => "confirmed",
            (Some(_), _) => "disputed",
            (None, Some(_)) => "delivered",
            (None, None) => "sent",
        }
    }

    /// The next note of its history, about the revision that stands.
    pub fn note(&self, kind: NoteKind, letter: i64, at_ms: i64) -> Note {
        Note {
            month: self.month.clone(),
            customer: self.customer.clone(),
            seq: self.seq + 1,
            kind,
            revision: self.revision,
            letter,
            at_ms,
            as_of_ms: self.as_of_ms,
            checksum: self.checksum.clone(),
            who: String::new(),
            remark: String::new(),
            event: String::new(),
        }
    }
}

/// Histories of several statements, as they come in order, one by one.
pub fn statements(notes: &[Note]) -> impl Iterator<Item = &[Note]> {
    notes.chunk_by(|one, other| (&one.month, &one.customer) == (&other.month, &other.customer))
}

/// Takes the notes of the last statement off.
pub fn last_statement(notes: &mut Vec<Note>) -> Vec<Note> {
    let last = notes.last().map(|note| (note.month.clone(), note.customer.clone()));
    let is_last = |note: &Note| Some((&note.month, &note.customer)) == last.as_ref().map(|(m, c)| (m, c));
    let from = notes.iter().position(is_last).unwrap_or(notes.len());
    notes.split_off(from)
}

/// Notes of whole statements, and after which month and customer the next ones come.
pub struct Page {
    /// In order.
    pub notes: Vec<Note>,
    /// `None`: there are no more.
    pub next: Option<(String, String)>,
}

/// A page of what is wanted, after a month and customer.
///
/// # Errors
/// What the database said.
pub async fn page(store: &dyn Store, wanted: Wanted, after: Option<(String, String)>) -> Stored<Page> {
    let after = after.map(|(month, customer)| (month, customer, i64::MAX));
    let wanted = Wanted { after, limit: PAGE, ..wanted };
    let mut notes = store.statement_notes(&wanted).await?;
    if u64::try_from(notes.len()).unwrap_or(0) < wanted.most() {
        return Ok(Page { notes, next: None });
    }
    let cut = last_statement(&mut notes);
    if notes.is_empty() {
        notes = cut;
    }
    let next = notes.last().map(|note| (note.month.clone(), note.customer.clone()));
    Ok(Page { notes, next })
}

/// A note, for programs.
pub fn told(note: &Note) -> Value {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    json!({
        "month": note.month, "customer": note.customer, "what": note.kind.name(), "revision": note.revision,
        "letter": (note.letter > 0).then_some(note.letter), "at": output::time(note.at_ms),
        "as_of": output::time(note.as_of_ms), "checksum": note.checksum, "by": some(&note.who),
        "remark": some(&note.remark), "event": some(&note.event),
    })
}

/// What is told of statements: where each stands, and how it came there.
pub fn listed(notes: &[Note]) -> Vec<Value> {
    let one = |notes: &[Note]| {
        let (first, standing) = (notes.first()?, Standing::of(notes));
        let standing = standing.as_ref();
        Some(json!({
            "month": first.month, "customer": first.customer,
            "revision": standing.map(|standing| standing.revision),
            "state": standing.map(Standing::state), "reminders": standing.map(|standing| standing.reminders),
            "drifted": notes.iter().any(|note| note.kind == NoteKind::Drifted),
            "history": notes.iter().map(told).collect::<Vec<_>>(),
        }))
    };
    statements(notes).filter_map(one).collect()
}
