//! Messages to people: parked documents, amounts that differ, statements that are disputed, broken connections.
//!
//! What there is to tell is read from the database alone, and what was told is stored with the event that tells it, in one
//! transaction. So several processes on one database tell each thing once, and a crash neither loses a notice nor repeats
//! one. From there on a notice is an event like any other: delivered, retried and seen like one. Its own deliveries are
//! never told of, or a robot that is broken would be told about to itself.

mod fold;
#[cfg(test)]
mod tests;

use crate::config::{NoticeRule, source};
use crate::emit;
use crate::hearing::{self, CURSORS};
use crate::routes::Routes;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_delivery::port::{Accepted, Cursor, Filter, State, Store, Stored};
use tongbao_delivery::statements::{NoteKind, Wanted};
use tongbao_model::event::kinds;
use tongbao_model::record::Notice;
use tongbao_model::{Event, Tree, digest};

use fold::{Due, Line, Read, Seen, Told};

/// What was parked so lately may not be visible yet, or stamped by a machine whose clock is a little behind: it is told of
/// the next time. Milliseconds.
const SETTLED_MS: i64 = 3_000;
/// Notes on statements that one notice counts.
const NOTES_MAX: u64 = 10_000;
/// Bounds of the pause between two looks.
const PAUSE_MS: (i64, i64) = (500, 15_000);

/// Watches and tells.
pub struct Notifier {
    /// Rules, in the order of the file.
    pub rules: Vec<NoticeRule>,
    /// Where everything is read and stored.
    pub store: Arc<dyn Store>,
    /// Streams that are polled, each with its connection.
    pub polled: Vec<(String, String)>,
    /// Flows.
    pub routes: Routes,
    /// Address of the service as people reach it.
    pub link: Option<String>,
    /// Tells the relays that there is something to publish.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Now, in milliseconds since 1970.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Notifier {
    /// Looks at every rule until told to stop.
    pub async fn keep(self, stop: CancellationToken) {
        let shortest = self.rules.iter().map(|rule| rule.every_ms / 4).min();
        let Some(pause_ms) = shortest.map(|ms| ms.clamp(PAUSE_MS.0, PAUSE_MS.1)) else { return };
        let pause = Duration::from_millis(u64::try_from(pause_ms).unwrap_or(1_000));
        loop {
            for rule in &self.rules {
                if let Err(error) = self.look(rule).await {
                    tracing::warn!(%error, rule = rule.name, "notices could not be looked for");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Tells what a rule has to tell now. Answers whether it told anything.
    pub async fn look(&self, rule: &NoticeRule) -> Stored<bool> {
        let told = self.told(rule).await?;
        let now_ms = (self.clock)();
        let seen = self.seen(&told, now_ms).await?;
        let Some(due) = fold::due(rule, &told, &seen, now_ms) else { return Ok(false) };
        let mut examples = Vec::with_capacity(due.lines.len());
        for line in &due.lines {
            examples.push(self.examples(rule, line, &told, &seen).await?);
        }
        let notice = due.notice(rule, examples, self.link.as_deref(), now_ms);
        self.tell(rule, &due, &notice, now_ms).await
    }

    async fn told(&self, rule: &NoticeRule) -> Stored<Told> {
        let stored = self.store.cursor(CURSORS, &source(&rule.name)).await?;
        // Only this program writes it. What another version wrote otherwise is told once more, under numbers that are new.
        let fresh = || Told { count: u64::try_from((self.clock)()).unwrap_or(0), ..Told::default() };
        Ok(stored.map(|text| serde_json::from_str(&text).unwrap_or_else(|_| fresh())).unwrap_or_default())
    }

    async fn seen(&self, told: &Told, now_ms: i64) -> Stored<Seen> {
        let until_ms = now_ms.saturating_sub(SETTLED_MS);
        let known = told.broken.keys().cloned().collect();
        let mut reads = Vec::with_capacity(self.polled.len());
        for (connection, stream) in &self.polled {
            let hearing = hearing::of(self.store.as_ref(), connection, stream).await?;
            reads.push(Read { connection: connection.clone(), hearing });
        }
        let noted = async |kind: NoteKind| -> Stored<Vec<(String, i64)>> {
            let wanted = Wanted {
                kinds: vec![kind],
                from_ms: Some(told.until_ms),
                before_ms: Some(until_ms),
                limit: NOTES_MAX,
                ..Wanted::default()
            };
            let notes = self.store.statement_notes(&wanted).await?;
            Ok(notes
                .into_iter()
                .map(|note| (format!("{}:{}", note.customer, note.month), note.at_ms))
                .collect())
        };
        Ok(Seen {
            disputed: noted(NoteKind::Disputed).await?,
            drifted: noted(NoteKind::Drifted).await?,
            parked: self.store.parked(told.until_ms, until_ms, kinds::NOTICE_DUE).await?,
            until_ms,
            health: self.store.health(known, kinds::NOTICE_DUE).await?,
            reads,
        })
    }

    /// Numbers of the first few documents of a line.
    async fn examples(
        &self,
        rule: &NoticeRule,
        line: &Line,
        told: &Told,
        seen: &Seen,
    ) -> Stored<Option<String>> {
        let noted = match line.what {
            "disputed" => Some(&seen.disputed),
            "books" => Some(&seen.drifted),
            _ => None,
        };
        if let Some(noted) = noted.filter(|_| rule.examples > 0) {
            let shown = noted.iter().take(usize::try_from(rule.examples).unwrap_or(0));
            return Ok(Some(shown.map(|(number, _)| number.as_str()).collect::<Vec<_>>().join(", ")));
        }
        if rule.examples == 0 || !matches!(line.what, "parked" | "drift") {
            return Ok(None);
        }
        let filter = Filter {
            states: vec![State::Parked],
            target: Some(line.connection.clone()),
            code: line.code.clone(),
            changed_from_ms: Some(told.until_ms),
            changed_before_ms: Some(seen.until_ms),
            limit: rule.examples,
            ..Filter::default()
        };
        let found = self.store.deliveries(filter).await?;
        let numbers: Vec<String> = found.into_iter().map(|delivery| delivery.key).collect();
        Ok(Some(numbers.join(", ")).filter(|list| !list.is_empty()))
    }

    async fn tell(&self, rule: &NoticeRule, due: &Due, notice: &Notice, now_ms: i64) -> Stored<bool> {
        let record = emit::record(notice);
        let event = Event {
            id: String::new(),
            kind: kinds::NOTICE_DUE.into(),
            source: source(&rule.name),
            key: notice.number.clone(),
            revision: 1,
            order_key: notice.number.clone(),
            occurred_at_ms: now_ms,
            digest: digest::of_record(&Tree::from(&record)),
            record: record.to_string(),
            cause: None,
        };
        let cursor = Cursor {
            connection: CURSORS.into(),
            stream: source(&rule.name),
            position: serde_json::to_string(&due.told).unwrap_or_default(),
            only_if_new: true,
        };
        let accepted = self.store.accept(vec![self.routes.intake(event)], Some(cursor), now_ms).await?;
        // Another process was first: what it told is stored, and the next look goes on from there.
        let is_new = accepted.first() == Some(&Accepted::New);
        if is_new {
            (self.wake)();
            metrics::counter!("tongbao_notices_total", "rule" => rule.name.clone()).increment(1);
        }
        Ok(is_new)
    }
}
