//! Sends statements: by hand, and by schedule; and reminds of them.
//!
//! What is sent is an event like any other, stored together with the note that it was: so several processes on one database
//! send each statement once, and a crash neither loses one nor repeats it. The event names the customer, the month and as of
//! when; the letter and its files are made from the books when it is posted, and the checksum in the event proves that they
//! are those that were meant. So no address, no amount and no file lies in the rows of delivery.

use super::compared::{Against, Bank, compared};
use super::history::Standing;
use super::schedule;
use super::{Books, Failed};
use crate::config::{STATEMENTS, StatementRules};
use crate::emit;
use crate::routes::Routes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_delivery::port::{Cursor, Intake, Store, Stored};
use tongbao_delivery::statements::{Note, NoteKind, Wanted};
use tongbao_model::event::kinds;
use tongbao_model::{Event, Month, Text, Tree, digest};
use tongbao_paper::checksum;
use tongbao_recon::statement::Question;

/// What was stored so lately may not be visible yet: the schedule reads the books as they were before it.
const SETTLED_MS: i64 = 120_000;
/// Customers that are asked for at once.
const PAGE: u64 = 200;
/// Times that a step is taken again when somebody else was first.
const TRIES: u32 = 8;
/// Pause between two looks at what is due.
const PAUSE: Duration = Duration::from_secs(30);
/// Pause after a look at which a statement could not be made, in milliseconds.
const AGAIN_MS: i64 = 600_000;
/// Characters of the business key: what is put behind it fits into the columns too.
const NUMBER_MAX: usize = 170;
/// Bounds of the pause between two looks at letters and reminders.
const FOLLOW_MS: (i64, i64) = (500, 600_000);
/// Who the schedule is, in the history.
pub(super) const SCHEDULE: &str = "schedule";
/// Streams of the cursors.
const SINCE: &str = "since";
const DONE: &str = "done";

/// Why a letter goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A new revision of the statement.
    Statement,
    /// Nobody has answered.
    Reminder,
}

/// The record of `statement.due`: everything that the letter is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Customer and month: the business key.
    pub number: String,
    /// Code of the customer.
    pub customer: String,
    /// The month, `2026-10`.
    pub month: String,
    /// Revision of the statement, from 1.
    pub revision: i64,
    /// Which letter of all for this statement, from 1.
    pub letter: i64,
    /// Why it goes out.
    pub purpose: Purpose,
    /// As far as was known then; milliseconds since 1970 UTC.
    pub as_of_ms: i64,
    /// Days after its date for which an invoice is not due.
    pub credit_days: u32,
    /// What the statement's checksum must be.
    pub checksum: String,
    /// Until when its link is good, in seconds since 1970 UTC.
    pub expires_s: i64,
}

/// What came of a wish to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Given to delivery: the revision and the event.
    Sent(i64, String),
    /// The schedule has nothing to do: it was sent, or there is nothing on it.
    Needless,
}

/// Sends statements.
pub struct Desk {
    /// How.
    pub rules: Arc<StatementRules>,
    /// Where everything is read and stored.
    pub store: Arc<dyn Store>,
    /// Flows.
    pub routes: Routes,
    /// Tells the relays that there is something to publish.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Now, in milliseconds since 1970.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Desk {
    /// Looks at what is due until told to stop.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let remind_ms = self.rules.remind.map_or(i64::MAX, |remind| remind.after_ms / 50);
        let follow_ms = remind_ms.clamp(FOLLOW_MS.0, FOLLOW_MS.1);
        let pause = PAUSE.min(Duration::from_millis(u64::try_from(follow_ms).unwrap_or(1_000)));
        let (mut failed_ms, mut followed_ms) = (i64::MIN, i64::MIN);
        loop {
            let now_ms = (self.clock)();
            // A clock that was set back must not hold anything up.
            let waits =
                |since_ms: i64, pause_ms: i64| (0..pause_ms).contains(&now_ms.saturating_sub(since_ms));
            let (looks, follows) = (!waits(failed_ms, AGAIN_MS), !waits(followed_ms, follow_ms));
            let step = async {
                let looked = if looks { self.look().await } else { Ok(true) };
                let followed = if follows { self.follow().await } else { Ok(()) };
                (looked, followed)
            };
            // What is under way when it is told to stop is whole or not there at all, and is done by the next process.
            let (looked, followed) = tokio::select! {
                () = stop.cancelled() => return,
                done = step => done,
            };
            if matches!(looked, Ok(false)) {
                failed_ms = now_ms;
            }
            if follows {
                followed_ms = now_ms;
            }
            for error in [looked.err(), followed.err()].into_iter().flatten() {
                tracing::warn!(%error, "statements could not be looked after");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Makes and sends the statements that are due. Answers whether all of them could be made.
    ///
    /// # Errors
    /// What the database said: the next look goes on where this one ended.
    pub async fn look(&self) -> Stored<bool> {
        let now_ms = (self.clock)();
        let Some(since) = self.since(now_ms).await? else { return Ok(true) };
        let Some(at) = self.rules.send else { return Ok(true) };
        let done = self.cursor(DONE).await?;
        for month in schedule::due(at, since, done, now_ms) {
            if !self.all_of(month).await? {
                // One that cannot be made is tried again, and the months after it wait: they begin with its closing.
                return Ok(false);
            }
            self.store_cursor(DONE, month).await?;
        }
        Ok(true)
    }

    /// The month in which sending was first switched on, whatever the schedule was since.
    async fn since(&self, now_ms: i64) -> Stored<Option<Month>> {
        if let Some(since) = self.cursor(SINCE).await? {
            return Ok(Some(since));
        }
        let Some(month) = Month::at(now_ms) else { return Ok(None) };
        self.store_cursor(SINCE, month).await?;
        Ok(Some(month))
    }

    async fn cursor(&self, stream: &str) -> Stored<Option<Month>> {
        let stored = self.store.cursor(STATEMENTS, stream).await?;
        Ok(stored.and_then(|text| text.parse().ok()))
    }

    async fn store_cursor(&self, stream: &str, month: Month) -> Stored<()> {
        let cursor = Cursor {
            connection: STATEMENTS.into(),
            stream: stream.into(),
            position: month.to_string(),
            only_if_new: false,
        };
        self.store.accept(Vec::new(), Some(cursor), (self.clock)()).await.map(drop)
    }

    /// Sends a month to everybody whom it is missing for. Answers whether all of them could be made.
    async fn all_of(&self, month: Month) -> Stored<bool> {
        let (mut after, mut is_whole) = (String::new(), true);
        let bank = Bank::load(self.store.as_ref()).await?;
        loop {
            let customers = self.store.customers(&after, PAGE).await?;
            let Some(last) = customers.last() else { return Ok(is_whole) };
            after = last.clone();
            for customer in &customers {
                let given = self.give(customer, month, SCHEDULE, true).await;
                let looked = self.held_against(customer, month, &bank).await;
                match given.and(looked) {
                    Ok(()) => {}
                    Err(Failed::Store(error)) => return Err(error),
                    Err(Failed::Unknown(why) | Failed::Told(why)) => {
                        is_whole = false;
                        tracing::warn!(month = %month, why = why.en, "a statement could not be made");
                        metrics::counter!("tongbao_statements_failed_total").increment(1);
                    }
                }
            }
        }
    }

    /// Sends a statement as it is now: a new revision, which takes the place of the one before it.
    ///
    /// # Errors
    /// What the database said; that nobody knows the customer; that the statement cannot be made.
    pub async fn send(&self, customer: &str, month: Month, who: &str) -> Result<Given, Failed> {
        self.give(customer, month, who, false).await
    }

    async fn give(
        &self,
        customer: &str,
        month: Month,
        who: &str,
        by_schedule: bool,
    ) -> Result<Given, Failed> {
        let as_of_ms = (self.clock)() - if by_schedule { SETTLED_MS } else { 0 };
        let credit_days = self.rules.credit_days;
        for _ in 0..TRIES {
            let notes = self.store.statement_notes(&Wanted::of(customer, &month.to_string())).await?;
            let standing = Standing::of(&notes);
            let is_left_out = || self.rules.customers.get(customer).is_some_and(|rule| !rule.send);
            if by_schedule && (is_left_out() || !schedule::is_missing(standing.as_ref(), month)) {
                return Ok(Given::Needless);
            }
            let books = Books::load(self.store.as_ref(), customer).await?;
            if books.is_empty() {
                return Err(Failed::Unknown(super::unknown(customer)));
            }
            let question = Question { customer, month, as_of_ms, credit_days };
            let statement = books.statement(question).map_err(Failed::Told)?;
            if by_schedule && statement.sections.is_empty() {
                return Ok(Given::Needless);
            }
            let due = self.due(customer, month, as_of_ms, checksum::of(&statement), standing.as_ref());
            let mut history: Vec<Note> = Vec::new();
            if let Some(standing) = &standing {
                history.push(standing.note(NoteKind::Superseded, 0, (self.clock)()));
            }
            let seq = notes.last().map_or(0, |note| note.seq);
            if let Some(event) = self.post(&due, NoteKind::Sent, who, history, seq).await? {
                return Ok(Given::Sent(due.revision, event));
            }
        }
        Err(Failed::Told(busy()))
    }

    /// Holds a customer's books against each other, and notes once for a month that they differ too much.
    async fn held_against(&self, customer: &str, month: Month, bank: &Bank) -> Result<(), Failed> {
        let (store, as_of_ms) = (self.store.as_ref(), (self.clock)() - SETTLED_MS);
        let against = self.against();
        let books = Books::load(store, customer).await?;
        let compared = compared(store, &books, (month, as_of_ms), &against, bank).await?;
        for _ in 0..TRIES {
            let notes = store.statement_notes(&Wanted::of(customer, &month.to_string())).await?;
            if !compared.is_over() || notes.iter().any(|note| note.kind == NoteKind::Drifted) {
                return Ok(());
            }
            let note = Note {
                month: month.to_string(),
                customer: customer.to_owned(),
                seq: notes.last().map_or(0, |note| note.seq) + 1,
                kind: NoteKind::Drifted,
                revision: notes.last().map_or(0, |note| note.revision),
                letter: 0,
                at_ms: (self.clock)(),
                as_of_ms,
                checksum: String::new(),
                who: SCHEDULE.to_owned(),
                remark: String::new(),
                event: String::new(),
            };
            if store.note_statement(vec![note], None, (self.clock)()).await? {
                return Ok(());
            }
        }
        Err(Failed::Told(busy()))
    }

    /// What a customer's books are held against each other by.
    pub fn against(&self) -> Against {
        Against::new(Some(self.rules.clone()), &self.routes)
    }

    fn due(
        &self,
        customer: &str,
        month: Month,
        as_of_ms: i64,
        checksum: String,
        standing: Option<&Standing>,
    ) -> Due {
        Due {
            number: number(customer, month),
            customer: customer.to_owned(),
            month: month.to_string(),
            revision: standing.map_or(1, |standing| standing.revision + 1),
            letter: standing.map_or(1, |standing| standing.letters + 1),
            purpose: Purpose::Statement,
            as_of_ms,
            credit_days: self.rules.credit_days,
            checksum,
            expires_s: self.expires_s(),
        }
    }

    pub(super) fn expires_s(&self) -> i64 {
        (self.clock)().div_euclid(1_000) + i64::from(self.rules.link_days) * 86_400
    }

    /// Stores the event of a letter with its note. `None`: somebody was first.
    pub(super) async fn post(
        &self,
        due: &Due,
        kind: NoteKind,
        who: &str,
        mut history: Vec<Note>,
        seq: i64,
    ) -> Result<Option<String>, Failed> {
        let now_ms = (self.clock)();
        let intake = self.intake(due, now_ms);
        if intake.deliveries.is_empty() {
            return Err(Failed::Told(Text::new("没有投递对账单的流程", "no flow carries statements")));
        }
        let event = intake.event.id.clone();
        let before = seq + i64::try_from(history.len()).unwrap_or(0);
        history.push(Note {
            month: due.month.clone(),
            customer: due.customer.clone(),
            seq: before + 1,
            kind,
            revision: due.revision,
            letter: due.letter,
            at_ms: now_ms,
            as_of_ms: due.as_of_ms,
            checksum: due.checksum.clone(),
            who: who.to_owned(),
            remark: String::new(),
            event: event.clone(),
        });
        if !self.store.note_statement(history, Some(intake), now_ms).await? {
            return Ok(None);
        }
        (self.wake)();
        metrics::counter!("tongbao_statement_letters_total", "kind" => kind.name()).increment(1);
        Ok(Some(event))
    }

    fn intake(&self, due: &Due, now_ms: i64) -> Intake {
        let record = emit::record(due);
        self.routes.intake(Event {
            id: String::new(),
            kind: kinds::STATEMENT_DUE.into(),
            source: STATEMENTS.into(),
            key: due.number.clone(),
            revision: due.letter,
            order_key: due.number.clone(),
            occurred_at_ms: now_ms,
            digest: digest::of_record(&Tree::from(&record)),
            record: record.to_string(),
            cause: None,
        })
    }
}

/// What the revision that stands was made from. `None`: its event is archived.
///
/// # Errors
/// What the database said.
pub async fn first_due(store: &dyn Store, standing: &Standing) -> Stored<Option<Due>> {
    let event = store.event(&standing.event).await?;
    Ok(event.and_then(|event| serde_json::from_str(&event.record).ok()))
}

/// The business key: customer and month. One that is too long is another one.
fn number(customer: &str, month: Month) -> String {
    let number = format!("{customer}:{month}");
    if number.chars().count() <= NUMBER_MAX { number } else { digest::of_bytes(number.as_bytes()) }
}

fn busy() -> Text {
    Text::new("对账单正由他人处理，请稍后再试", "others are at work on this statement: try again in a moment")
}

/// What requests need of statements.
pub struct Office {
    /// Sends them.
    pub desk: Arc<Desk>,
    /// Counts the requests by each link.
    pub gate: super::answers::Gate,
}
