//! What delivery asks of a store: the port that `tongbao-store` implements.
//!
//! All writes of one method happen in one transaction. All times are milliseconds since 1970 UTC and come
//! from the caller. Texts named `record` hold JSON with numbers as they were written.

use crate::attention::{Health, Parked};
use crate::invoicing::{InvoicePaper, PaperFilter};
use crate::payments::{
    Accounts, Allocation, LearnedPayer, Payment, PaymentBook, PaymentFilter, PaymentSaid, Settling,
};
use crate::stalled::Stalled;
use crate::statements::{Note, Wanted};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tongbao_model::{Class, Event, Fault};

/// Characters that a business key, and any other number, has room for.
pub const KEY_CHARACTERS: usize = 190;

/// A store failure. Callers treat every kind as "nothing is known to have been written".
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is busy or out of room: try again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database holds or returned something this program does not understand.
    #[error("the database content is not as expected: {0}")]
    Corrupt(String),
    /// What the caller gave cannot be stored as it is (a key longer than a key may be, a binding that
    /// contradicts the stored one): trying the same again is pointless.
    #[error("it cannot be stored: {0}")]
    Invalid(String),
}

/// Result of a store call.
pub type Stored<T> = Result<T, StoreError>;

/// A delivery to be created with an event: one event × one flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Made by the caller (UUID version 7).
    pub id: String,
    /// Name of the flow in the configuration.
    pub flow: String,
    /// Connection it goes to.
    pub target: String,
    /// Overrides the event's order key when the flow orders by something else.
    pub order_key: String,
}

/// An event and the deliveries its flows ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intake {
    /// The event.
    pub event: Event,
    /// Its deliveries; empty when no flow wants it (it is kept all the same).
    pub deliveries: Vec<NewDelivery>,
}

/// What became of one intake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Stored with its deliveries and their outbox rows.
    New,
    /// The same (source, kind, key, revision) with the same digest is stored already: nothing was written.
    Repeat {
        /// The event stored first.
        event: String,
    },
    /// The same (source, kind, key, revision) is stored with another digest: nothing was written.
    Conflict {
        /// The event stored first.
        event: String,
    },
    /// A higher revision of the same (source, kind, key) is stored: this one is kept, with its deliveries
    /// as [`State::Superseded`], and nothing will be sent.
    Late,
}

/// State of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepted, waiting for its first attempt or for its predecessor.
    Pending,
    /// An attempt has written its intent and not yet its outcome.
    Calling,
    /// Waiting for its next attempt at `due_at_ms`.
    Waiting,
    /// The document stands in the target.
    Posted,
    /// Refused for its content; final, its successors go on.
    Rejected,
    /// Stopped for a person; its successors wait.
    Parked,
    /// Not sent because newer news had come before it.
    Superseded,
}

impl State {
    /// Whether successors with the same order key may go on, and no attempt will follow by itself.
    pub fn is_final(self) -> bool {
        matches!(self, State::Posted | State::Rejected | State::Superseded)
    }

    /// Stable name, as stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Calling => "calling",
            State::Waiting => "waiting",
            State::Posted => "posted",
            State::Rejected => "rejected",
            State::Parked => "parked",
            State::Superseded => "superseded",
        }
    }

    /// The state of a stored name.
    pub fn from_name(name: &str) -> Option<State> {
        Some(match name {
            "pending" => State::Pending,
            "calling" => State::Calling,
            "waiting" => State::Waiting,
            "posted" => State::Posted,
            "rejected" => State::Rejected,
            "parked" => State::Parked,
            "superseded" => State::Superseded,
            _ => return None,
        })
    }
}

/// A row of the outbox: a delivery that is to be handed to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Position in the outbox.
    pub id: i64,
    /// The delivery.
    pub delivery: String,
    /// Its connection.
    pub target: String,
    /// Its order key.
    pub order_key: String,
    /// Not to be worked on before this time.
    pub due_at_ms: i64,
}

/// The far side's name for a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct RemoteRef {
    /// Internal id, as text.
    pub id: String,
    /// Number that people see.
    pub number: String,
    /// Step reached, for documents that take several (`saved`, `submitted`, `audited`); the connector's words.
    pub step: String,
}

/// Business key ↔ far-side id and number, once per (connection, document kind, key).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Connection.
    pub target: String,
    /// The target's document kind, e.g. `SAL_SaleOrder`.
    pub kind: String,
    /// Our business key.
    pub key: String,
    /// Theirs.
    pub remote: RemoteRef,
    /// Delivery that made it.
    pub delivery: String,
}

/// What an attempt needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The delivery.
    pub delivery: DeliveryView,
    /// Its event.
    pub event: Event,
    /// Number of this attempt, from 1, never used twice: the fencing token.
    pub attempt: u32,
    /// How many attempts have been made since acceptance or the last replay, this one included.
    pub tries: u32,
    /// When the retry window began: acceptance, or the last replay.
    pub window_start_ms: i64,
    /// How the previous attempt ended, if there was one.
    pub previous: Option<Previous>,
}

impl Work {
    /// Whether a person has seen that the outcome is unknown, and replayed it: the first attempt since. What was parked
    /// for something else (a missing code, say) was replayed for that.
    pub fn sent_again_by_a_person(&self) -> bool {
        self.tries == 1
            && self.previous.as_ref().is_some_and(|previous| previous.class == Some(Class::Unknown))
    }
}

/// How the attempt before ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// `None`: intent was written and no outcome, so nobody knows.
    pub class: Option<Class>,
    /// How far the document had come in the target, as last known.
    pub remote: Option<RemoteRef>,
    /// Some attempt before may have taken effect without anyone knowing, and no later one has succeeded: see
    /// [`crate::policy::doubt`].
    pub in_doubt: bool,
}

/// A delivery as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryView {
    /// Id.
    pub id: String,
    /// Order of acceptance over all deliveries.
    pub seq: i64,
    /// The event's id.
    pub event: String,
    /// The event's kind.
    pub kind: String,
    /// The event's business key.
    pub key: String,
    /// Flow.
    pub flow: String,
    /// Connection it goes to.
    pub target: String,
    /// Order key.
    pub order_key: String,
    /// State.
    pub state: State,
    /// Attempts made so far.
    pub attempts: u32,
    /// Next attempt not before, when [`State::Waiting`].
    pub due_at_ms: Option<i64>,
    /// Class of the last outcome.
    pub class: Option<String>,
    /// Fault of the last outcome.
    pub fault: Option<Fault>,
    /// Far-side reference as last known.
    pub remote: Option<RemoteRef>,
    /// Accepted at.
    pub created_at_ms: i64,
    /// Last change.
    pub changed_at_ms: i64,
}

/// Answer to "may I work on this delivery now?"
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// Yes: the intent is stored, the lease is yours.
    Run(Box<Work>),
    /// An earlier delivery with the same order key to the same target is not final; when it becomes final
    /// its finish puts this one into the outbox.
    Behind,
    /// Not before this time.
    NotDue(i64),
    /// Another worker holds the lease until this time.
    Leased(i64),
    /// Final, parked, or not known: the message can go.
    Settled,
}

/// The state an attempt leaves a delivery in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// In the target.
    Posted,
    /// Refused, final.
    Rejected,
    /// For a person.
    Parked,
    /// Again at this time.
    Retry {
        /// Not before.
        at_ms: i64,
    },
}

/// One movement on a contract's receivable account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Contract number.
    pub contract: String,
    /// `ordered`, `invoiced`, `received`, `credited`, `released`, `settled`.
    pub kind: String,
    /// What caused it: contract number, receipt number with entry, credit note number. Of each (contract, kind, origin)
    /// the newest revision counts; those before it stay, so that what was known at any time can be told again.
    pub origin: String,
    /// Revision of the cause.
    pub revision: i64,
    /// Decimal as text; never a float, in no column.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Event it comes from.
    pub event: String,
    /// When it happened.
    pub at_ms: i64,
    /// Code of the customer, where the document names one.
    pub customer: Option<String>,
    /// Free facts as a JSON object (opportunity, salesperson…).
    pub facts: String,
}

/// One revision of an entry and when it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// As it was stored.
    pub entry: LedgerEntry,
    /// When.
    pub at_ms: i64,
}

/// Whose entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A contract's.
    Contract(String),
    /// Those of all contracts that name this customer.
    Customer(String),
}

impl Holder {
    /// Of everything that was known, what is in force: of each origin the newest revision, and of a customer's contracts
    /// those that name it still. Oldest first.
    pub fn in_force(&self, known: impl IntoIterator<Item = LedgerEntry>) -> Vec<LedgerEntry> {
        let mut entries = LedgerEntry::newest(known);
        if let Holder::Customer(customer) = self {
            let names_it = |entry: &&LedgerEntry| {
                entry.kind == LedgerEntry::ORDERED && entry.customer.as_ref() == Some(customer)
            };
            let theirs: BTreeSet<String> =
                entries.iter().filter(names_it).map(|entry| entry.contract.clone()).collect();
            entries.retain(|entry| theirs.contains(&entry.contract));
        }
        entries.sort_by(|a, b| {
            (a.at_ms, &a.contract, &a.kind, &a.origin).cmp(&(b.at_ms, &b.contract, &b.kind, &b.origin))
        });
        entries
    }
}

impl LedgerEntry {
    /// Kind of the entry that a contract itself makes: it names the customer.
    pub const ORDERED: &'static str = "ordered";

    /// Of each origin the newest revision, by contract.
    pub fn newest(known: impl IntoIterator<Item = LedgerEntry>) -> Vec<LedgerEntry> {
        let mut newest: BTreeMap<(String, String, String), LedgerEntry> = BTreeMap::new();
        for entry in known {
            let key = (entry.contract.clone(), entry.kind.clone(), entry.origin.clone());
            if newest.get(&key).is_none_or(|stored| stored.revision < entry.revision) {
                newest.insert(key, entry);
            }
        }
        newest.into_values().collect()
    }
}

/// Outcome of an attempt with everything that must be true together with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// The delivery.
    pub delivery: String,
    /// The attempt that [`Begin::Run`] gave.
    pub attempt: u32,
    /// Now.
    pub now_ms: i64,
    /// What is next.
    pub next: Next,
    /// Class of the outcome.
    pub class: Class,
    /// What went wrong, if anything.
    pub fault: Option<Fault>,
    /// How far the document has come in the target.
    pub remote: Option<RemoteRef>,
    /// What was sent, masked, JSON text.
    pub request: Option<String>,
    /// What came back, masked, JSON text.
    pub response: Option<String>,
    /// Mapping name and version that made the document.
    pub mapping: Option<String>,
    /// Revision of the code tables that were used.
    pub tables_revision: Option<i64>,
    /// Binding to store; the same (target, kind, key) with another remote id is an error of the caller.
    pub binding: Option<Binding>,
    /// Events that follow from it. One already stored is skipped (exactly-once derivation).
    pub follow_on: Vec<Intake>,
    /// Movements on receivable accounts.
    pub entries: Vec<LedgerEntry>,
    /// What documents say of payments; of each the newest revision is kept, and is open.
    pub payments: Vec<PaymentSaid>,
    /// Papers for the control of invoices; of each the newest revision is kept.
    pub papers: Vec<InvoicePaper>,
}

impl Finish {
    /// The bare outcome of an attempt, with nothing that comes with it.
    pub fn new(work: &Work, now_ms: i64, next: Next, class: Class) -> Self {
        Finish {
            delivery: work.delivery.id.clone(),
            attempt: work.attempt,
            now_ms,
            next,
            class,
            fault: None,
            remote: None,
            request: None,
            response: None,
            mapping: None,
            tables_revision: None,
            binding: None,
            follow_on: Vec::new(),
            entries: Vec::new(),
            payments: Vec::new(),
            papers: Vec::new(),
        }
    }
}

/// What became of a finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// Stored, with the outbox row of the next delivery in the same lane where the state became final, and
    /// of this delivery where it is to be tried again.
    Stored,
    /// Somebody else has the delivery now (another attempt number, or no call is open): nothing was written.
    Fenced,
}

/// An attempt as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    /// Number, from 1.
    pub attempt: u32,
    /// Worker that made it.
    pub worker: String,
    /// Intent stored at.
    pub started_at_ms: i64,
    /// Outcome stored at; `None` when there is none.
    pub ended_at_ms: Option<i64>,
    /// Class of the outcome.
    pub class: Option<String>,
    /// Fault.
    pub fault: Option<Fault>,
    /// Far-side reference.
    pub remote: Option<RemoteRef>,
    /// Masked request.
    pub request: Option<String>,
    /// Masked reply.
    pub response: Option<String>,
    /// Mapping name and version.
    pub mapping: Option<String>,
    /// Code tables' revision.
    pub tables_revision: Option<i64>,
}

/// Which deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these; empty means any.
    pub ids: Vec<String>,
    /// In one of these states; empty means any.
    pub states: Vec<State>,
    /// To this connection.
    pub target: Option<String>,
    /// Of this flow.
    pub flow: Option<String>,
    /// Of events with this business key.
    pub key: Option<String>,
    /// With a fault of this code.
    pub code: Option<String>,
    /// Whose last outcome was of this class.
    pub class: Option<String>,
    /// Last changed at this time or later.
    pub changed_from_ms: Option<i64>,
    /// Last changed before this time.
    pub changed_before_ms: Option<i64>,
    /// After this sequence number (paging, ascending).
    pub after_seq: Option<i64>,
    /// At most so many; 0 means 100. Never more than 10,000.
    pub limit: u64,
}

/// What a replay did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Deliveries that were put back.
    pub ids: Vec<String>,
    /// Where to go on ([`Filter::after_seq`]) when the filter's limit was reached and there may be more.
    pub next: Option<i64>,
}

/// What a replay would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Replayable {
    /// How many, by connection, state, class and fault code; whatever the filter's limit.
    pub groups: Vec<ReplayGroup>,
    /// The first few.
    pub first: Vec<DeliveryView>,
}

impl Replayable {
    /// How many in all.
    pub fn count(&self) -> u64 {
        self.groups.iter().map(|group| group.count).sum()
    }
}

/// Deliveries that stopped for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayGroup {
    /// Connection.
    pub target: String,
    /// Parked or rejected.
    pub state: State,
    /// Class of the last outcome.
    pub class: Option<String>,
    /// Code of the last fault.
    pub code: Option<String>,
    /// How many.
    pub count: u64,
}

/// A row of a code table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRow {
    /// Table, e.g. `customers`.
    pub table: String,
    /// Source code; with `@yyyy-MM-dd` behind it the row holds from that day on.
    pub source: String,
    /// Target code.
    pub target: String,
    /// For people.
    pub note: String,
    /// The last day the row holds, `yyyy-MM-dd`; empty where it has no end.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub valid_to: String,
}

/// A version of a mapping with all that is needed to compile it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingVersion {
    /// The version, as attempts record it behind the name's `@`.
    pub version: String,
    /// The mapping's name.
    pub name: String,
    /// Its file and those that it builds on.
    pub files: Vec<MappingFile>,
}

/// A file of a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingFile {
    /// As diagnostics name it; of a file that another builds on, relative to the folder of the first.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// How an import treats rows that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// Add new rows, change rows with the same source code.
    Merge,
    /// The table holds exactly the imported rows afterwards.
    Replace,
}

/// How many deliveries are in each state, per connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Connection.
    pub target: String,
    /// State.
    pub state: State,
    /// How many.
    pub count: u64,
}

/// What may be told to stand still.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The intake: no requests, no polls.
    Intake,
    /// Calls to a connection.
    Connection(String),
}

/// That something stands still, or stood: who said so, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What.
    pub subject: Subject,
    /// From when.
    pub since_ms: i64,
    /// Until when; `None` while it stands.
    pub until_ms: Option<i64>,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// Who ended it.
    pub ended_by: Option<String>,
}

/// That the books of a month, and of all before it, are closed, or were: who said so, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// The month in China, `2026-10`.
    pub month: String,
    /// What was stored by then is in it; never earlier than that of a month before it.
    pub through_ms: i64,
    /// When it was closed.
    pub at_ms: i64,
    /// By whom.
    pub who: String,
    /// Why.
    pub why: String,
    /// When it was opened again; `None` while it is closed.
    pub reopened_ms: Option<i64>,
    /// By whom.
    pub reopened_by: Option<String>,
}

impl Closure {
    /// The closing as it is stored after all that were made before it, oldest first. `None`: neither this month may be
    /// closed, nor a later one, because it is. Its times are later than those before it, whatever the clocks say: a
    /// statement takes closings one after the other.
    pub fn after(self, all: &[Closure]) -> Option<Closure> {
        let last = Closure::last(all);
        if last.is_some_and(|one| one.month >= self.month) {
            return None;
        }
        let after = |before: Option<i64>, wanted: i64| {
            before.map_or(wanted, |before| before.saturating_add(1).max(wanted))
        };
        let through_ms = after(last.map(|one| one.through_ms), self.through_ms);
        let at_ms = after(all.last().map(|one| one.at_ms), self.at_ms);
        Some(Closure { through_ms, at_ms, ..self })
    }

    /// The last closing with its month opened again. `None`: it is not that of this month.
    pub fn reopened(all: &[Closure], month: &str, who: &str, now_ms: i64) -> Option<Closure> {
        let last = Closure::last(all).filter(|one| one.month == month)?;
        let reopened_ms = Some(now_ms.max(last.at_ms));
        Some(Closure { reopened_ms, reopened_by: Some(who.to_owned()), ..last.clone() })
    }

    /// The last one that stands.
    fn last(all: &[Closure]) -> Option<&Closure> {
        all.iter().rfind(|one| one.reopened_ms.is_none())
    }
}

/// The note of a process that takes from the queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The process, as named in its attempts.
    pub process: String,
    /// When it was last noted, by its own clock.
    pub seen_ms: i64,
}

/// How far looking for what can be archived has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivePlace {
    /// Acceptance of the last event looked at.
    pub accepted_at_ms: i64,
    /// Its id.
    pub event: String,
}

/// A page of events that can be archived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archivable {
    /// The finished ones of the page.
    pub bundles: Vec<Bundle>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<ArchivePlace>,
}

/// An event with all that came of it directly: a line of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bundle {
    /// The event, its record unmasked.
    pub event: Event,
    /// When it was accepted.
    pub accepted_at_ms: i64,
    /// Its deliveries.
    pub deliveries: Vec<BundledDelivery>,
}

/// A delivery with its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundledDelivery {
    /// The delivery.
    pub delivery: DeliveryView,
    /// Its attempts.
    pub attempts: Vec<AttemptView>,
}

/// What the database keeps of an archived event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tombstone {
    /// The event.
    pub event: String,
    /// Its kind.
    pub kind: String,
    /// Where it came from.
    pub source: String,
    /// Its business key.
    pub key: String,
    /// Its revision.
    pub revision: i64,
    /// Its digest.
    pub digest: String,
    /// When it was accepted.
    pub accepted_at_ms: i64,
    /// When it was archived.
    pub archived_at_ms: i64,
    /// Name of the file it is in.
    pub file: String,
}

/// What a connection has before it and what stands still: everything but what is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Connection.
    pub target: String,
    /// Waiting for their first attempt or for their predecessor.
    pub pending: u64,
    /// Being called.
    pub calling: u64,
    /// Waiting for their next attempt.
    pub waiting: u64,
    /// Stopped for a person, by class of the last outcome.
    pub parked: BTreeMap<String, u64>,
    /// Refused for good.
    pub rejected: u64,
    /// When the oldest of those pending, calling and waiting was accepted.
    pub oldest_at_ms: Option<i64>,
    /// Outbox rows.
    pub outbox: u64,
}

impl Overview {
    /// Deliveries that will be worked on without anybody's doing.
    pub fn backlog(&self) -> u64 {
        self.pending + self.calling + self.waiting
    }
}

/// The store as delivery and the application see it.
#[async_trait]
pub trait Store: Send + Sync {
    /// Accepts events once each, with deliveries and outbox rows, and moves a poll cursor if one is given:
    /// all or nothing. The answers are in the order of the intakes. Deliveries that stand parked for an older revision
    /// of a document, surely without effect, become [`State::Superseded`].
    async fn accept(
        &self,
        intakes: Vec<Intake>,
        cursor: Option<Cursor>,
        now_ms: i64,
    ) -> Stored<Vec<Accepted>>;

    /// The next outbox rows in order, not yet marked. Does not lock: with several relays a row may be
    /// published twice, which [`Store::begin`] makes harmless.
    async fn outbox(&self, limit: u64) -> Stored<Vec<OutboxRow>>;

    /// The next outbox rows of one connection that are due before `due_before_ms`, earliest first, without those of
    /// `but`. Like [`Store::outbox`] otherwise: each connection has its own relay, so that a full queue stops only its own.
    async fn outbox_of(
        &self,
        target: &str,
        due_before_ms: i64,
        but: &[i64],
        limit: u64,
    ) -> Stored<Vec<OutboxRow>>;

    /// How many rows wait in the outbox, without those of some targets. Counts them: not for every request.
    async fn outbox_count(&self, but: &[String]) -> Stored<u64>;

    /// How many rows there are in the outbox at most, told at once: how far the first and the last lie apart.
    async fn outbox_span(&self) -> Stored<u64>;

    /// Removes outbox rows that the broker has confirmed and notes on their deliveries when. Answers those whose
    /// delivery is being written by somebody else at this moment: they are as they were, and the caller asks again.
    async fn outbox_done(&self, ids: Vec<i64>, now_ms: i64) -> Stored<Vec<i64>>;

    /// Puts unfinished deliveries that were published and have no outbox row back into the outbox: those published
    /// before the time given for their order key that are pending with no unfinished predecessor, waiting and due before
    /// it, or calling with a lease that ran out before `now_ms`. What is held back by a pause, or was until then, is not
    /// stalled, unless the usual time is now or later: then all queues are known to be empty. Answers how many.
    async fn sweep(&self, stalled: &Stalled, now_ms: i64) -> Stored<u64>;

    /// Lets every lease on deliveries to these connections run out now. Only for a caller that knows that no other
    /// process works on this store (then whoever held one is gone), and for far sides that refuse a key twice (what
    /// the dead process had sent may still take effect). Answers how many.
    async fn expire_leases(&self, targets: Vec<String>, now_ms: i64) -> Stored<u64>;

    /// Takes a delivery for one attempt: checks order and due time, writes the intent (attempt row, state
    /// `calling`, lease) and answers what the attempt needs to know.
    async fn begin(&self, delivery: &str, worker: &str, lease_until_ms: i64, now_ms: i64) -> Stored<Begin>;

    /// Stores the outcome of an attempt, unless the attempt was fenced off.
    async fn finish(&self, finish: Finish) -> Stored<Finished>;

    /// Parked and rejected deliveries of the filter go back to pending with a new retry window and an
    /// outbox row, page by page in transactions of their own, ascending by sequence: what fails again meanwhile is not
    /// met twice. A rejected one whose event has a newer revision stays as it is: its successors have gone on, and
    /// old news must not overwrite theirs.
    async fn replay(&self, filter: Filter, now_ms: i64) -> Stored<Replayed>;

    /// What [`Store::replay`] would put back, with the first few of them.
    async fn replayable(&self, filter: Filter) -> Stored<Replayable>;

    /// Makes the waiting deliveries of a business key to a connection due now, with an outbox row: somebody hinted
    /// that there is news. Answers how many.
    async fn hasten(&self, target: &str, key: &str, now_ms: i64) -> Stored<u64>;

    /// Binds a key to a far-side document by hand and settles the parked delivery as posted.
    async fn bind(&self, delivery: &str, binding: Binding, now_ms: i64) -> Stored<bool>;

    /// Deliveries of a filter, ascending by sequence.
    async fn deliveries(&self, filter: Filter) -> Stored<Vec<DeliveryView>>;

    /// One delivery with its attempts and its event.
    async fn delivery(&self, id: &str) -> Stored<Option<(DeliveryView, Vec<AttemptView>, Event)>>;

    /// Events whose business key is `number`, or that led to a far-side document of that number or id.
    async fn find(&self, number: &str) -> Stored<Vec<Event>>;

    /// One event.
    async fn event(&self, id: &str) -> Stored<Option<Event>>;

    /// The newest state of a document that was accepted by a time: of the events of that kind under that key the one with
    /// the highest revision, of several sources' the one accepted last.
    async fn newest(&self, kind: &str, key: &str, until_ms: i64) -> Stored<Option<Event>>;

    /// The events of some kinds that were accepted last, the newest first.
    async fn latest(&self, kinds: &[&str], limit: u64) -> Stored<Vec<Event>>;

    /// Deliveries made by an event, ascending by sequence.
    async fn deliveries_of(&self, event: &str) -> Stored<Vec<DeliveryView>>;

    /// Events derived from a delivery.
    async fn caused_by(&self, delivery: &str) -> Stored<Vec<Event>>;

    /// Binding of a key.
    async fn binding(&self, target: &str, kind: &str, key: &str) -> Stored<Option<Binding>>;

    /// Entries in force on a contract's account, oldest first.
    async fn ledger(&self, contract: &str) -> Stored<Vec<LedgerEntry>> {
        self.ledger_as_of(&Holder::Contract(contract.to_owned()), i64::MAX).await
    }

    /// Entries that were in force at a time, as far as was known by then; oldest first.
    async fn ledger_as_of(&self, of: &Holder, until_ms: i64) -> Stored<Vec<LedgerEntry>>;

    /// Every revision of every entry, of a customer those on all contracts that ever named it. In no order.
    async fn journal(&self, of: &Holder) -> Stored<Vec<Recorded>>;

    /// Payments, by book and number.
    async fn payments(&self, filter: PaymentFilter) -> Stored<Vec<Payment>>;

    /// One payment with everything that it was ever allocated to, oldest first.
    async fn payment(&self, book: PaymentBook, number: &str) -> Stored<Option<(Payment, Vec<Allocation>)>>;

    /// Everything that so many payments were ever allocated to.
    async fn allocations(&self, book: PaymentBook, numbers: Vec<String>) -> Stored<Vec<Allocation>>;

    /// The accounts of some contracts, by number, after one of them.
    async fn accounts(&self, after: Option<String>, limit: u64) -> Stored<Accounts>;

    /// Under what names and accounts customers pay, as far as people have said so and not taken it back.
    async fn learned_payers(&self) -> Stored<Vec<LearnedPayer>>;

    /// How often something was decided about payments.
    async fn payments_turn(&self) -> Stored<i64>;

    /// Stores decisions with their events, all or none: answers whether nothing was decided since `turn`, and every payment is
    /// as it was looked at.
    async fn settle(&self, turn: i64, settlings: Vec<Settling>, now_ms: i64) -> Stored<bool>;

    /// Everything the control of invoices keeps of a contract, by kind and number.
    async fn invoice_papers(&self, contract: &str) -> Stored<Vec<InvoicePaper>>;

    /// Papers of any contract, by contract, kind and number.
    async fn invoice_papers_of(&self, filter: PaperFilter) -> Stored<Vec<InvoicePaper>>;

    /// Stores the next revision of papers with events, all or nothing: answers whether each paper stood at the revision right
    /// before its own (0: was not there), and no other event was stored under the key of one of these.
    async fn revise_invoice_papers(
        &self,
        papers: Vec<InvoicePaper>,
        intakes: Vec<Intake>,
        now_ms: i64,
    ) -> Stored<bool>;

    /// A stored poll cursor.
    async fn cursor(&self, connection: &str, stream: &str) -> Stored<Option<String>>;

    /// Counts by connection and state.
    async fn counts(&self) -> Stored<Vec<Count>>;

    /// What each connection has before it, by name; connections with nothing are left out. Reads no row that is done,
    /// and of the others only an index, so that it may be asked every few seconds.
    async fn overview(&self) -> Stored<Vec<Overview>>;

    /// Parked deliveries that changed from a time on and before another, of events of any kind but one, by connection and
    /// reason, most first; at most [`crate::attention::GROUPS_MAX`] groups.
    async fn parked(&self, from_ms: i64, before_ms: i64, but: &str) -> Stored<Vec<Parked>>;

    /// How these connections are doing, and all others that deliveries of events of any kind but one fail to get through to.
    async fn health(&self, targets: Vec<String>, but: &str) -> Stored<Vec<Health>>;

    /// Per connection, pending and waiting deliveries that stand behind a parked one and wait for a person with it.
    /// Looks at each unfinished delivery's lane: not to be asked as often as [`Store::overview`].
    async fn behind_parked(&self) -> Stored<BTreeMap<String, u64>>;

    /// Makes something stand still, for all processes and through restarts. Answers whether it did not already.
    async fn hold(&self, subject: Subject, who: &str, why: &str, now_ms: i64) -> Stored<bool>;

    /// Ends a hold. Answers whether there was one.
    async fn release(&self, subject: Subject, who: &str, now_ms: i64) -> Stored<bool>;

    /// Holds that stand, and the latest 1,000 of those that ended at this time or later, newest first.
    async fn holds(&self, ended_from_ms: i64) -> Stored<Vec<Hold>>;

    /// Closes the books of a month and of all before it. Answers whether neither it nor a later one was closed.
    async fn close_books(&self, closure: Closure) -> Stored<bool>;

    /// Opens a month again. Answers whether it was the last one that was closed.
    async fn reopen_books(&self, month: &str, who: &str, now_ms: i64) -> Stored<bool>;

    /// All closings, those that were taken back as well; oldest first.
    async fn closures(&self) -> Stored<Vec<Closure>>;

    /// Adds notes where the history of a statement ends, and accepts the event that belongs to them: all or nothing.
    /// Answers whether it ended there; if not, somebody was first and nothing is written.
    async fn note_statement(&self, notes: Vec<Note>, intake: Option<Intake>, now_ms: i64) -> Stored<bool>;

    /// Notes on statements, in the order of months, customers and places.
    async fn statement_notes(&self, wanted: &Wanted) -> Stored<Vec<Note>>;

    /// Codes of the customers whom contracts name or named, in the order of the database, after one of them.
    async fn customers(&self, after: &str, limit: u64) -> Stored<Vec<String>>;

    /// Notes that a process is at work; removes notes made before `forgotten_ms`.
    async fn attend(&self, process: &str, now_ms: i64, forgotten_ms: i64) -> Stored<()>;

    /// Removes the note of a process that ends.
    async fn depart(&self, process: &str) -> Stored<()>;

    /// The processes that are noted, by name.
    async fn present(&self) -> Stored<Vec<Presence>>;

    /// Of the next `limit` events accepted before a time, those whose deliveries are all final and unchanged since then.
    async fn archivable(&self, before_ms: i64, after: Option<ArchivePlace>, limit: u64)
    -> Stored<Archivable>;

    /// Removes events that are written to a file, with deliveries and attempts, if they are still as
    /// [`Store::archivable`] asks. Bindings and accounts stay, and so does what [`Store::accept`] needs to answer as
    /// if the event were there. Answers how many; the caller gives few at a time.
    async fn archive(&self, events: Vec<String>, before_ms: i64, file: &str, now_ms: i64) -> Stored<u64>;

    /// Archived events whose business key is `number`, or that of a far-side document of that number or id.
    async fn archived(&self, number: &str) -> Stored<Vec<Tombstone>>;

    /// Rows of a code table, by source code; of all tables when `None`.
    async fn table_rows(&self, table: Option<&str>) -> Stored<Vec<TableRow>>;

    /// Imports rows into one table and raises the revision; answers (added, changed, removed).
    async fn import_table(
        &self,
        table: &str,
        rows: Vec<TableRow>,
        mode: ImportMode,
    ) -> Stored<(u64, u64, u64)>;

    /// Revision of the code tables: rises with every import.
    async fn tables_revision(&self) -> Stored<i64>;

    /// Rows of a code table as they were at a revision, by source code; `None` where that is not known, because the
    /// revision is older than the history or has not been yet.
    async fn table_rows_at(&self, table: &str, revision: i64) -> Stored<Option<Vec<TableRow>>>;

    /// Keeps the texts of mappings that come into use; of those known already nothing is written.
    async fn keep_mappings(&self, mappings: Vec<MappingVersion>, now_ms: i64) -> Stored<()>;

    /// A version of a mapping that was kept.
    async fn mapping(&self, version: &str) -> Stored<Option<MappingVersion>>;

    /// A cheap round trip, for readiness.
    async fn ping(&self) -> Stored<()>;

    /// Waits for writes under way and closes connections.
    async fn close(&self);
}

/// A poll cursor to be stored together with what was polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Connection.
    pub connection: String,
    /// What is polled, e.g. `AR_RECEIVEBILL`.
    pub stream: String,
    /// The connector's own text.
    pub position: String,
    /// Stored only if every event that comes with it is new. Of two processes that go the same step at once one takes it,
    /// and the other looks again.
    pub only_if_new: bool,
}
