//! After a letter is on its way: whether a server took it, and whether to remind of it.

use super::desk::{Desk, Due, Purpose, SCHEDULE, first_due};
use super::history::{self, Standing};
use super::{Failed, schedule};
use tongbao_delivery::port::{State, Stored};
use tongbao_delivery::statements::{Note, NoteKind, Wanted};
use tongbao_model::Month;

/// Months back in which a statement may still be answered, besides those that its link is good for.
const BACK_DAYS: i64 = 92;

impl Desk {
    /// Notes which letters a server has taken, and reminds of those that nobody has answered.
    ///
    /// # Errors
    /// What the database said.
    pub async fn follow(&self) -> Stored<()> {
        let back_ms = (i64::from(self.rules.link_days) + BACK_DAYS) * 86_400_000;
        let from_month = Month::at((self.clock)().saturating_sub(back_ms)).map(|month| month.to_string());
        let mut wanted = Wanted { from_month, ..Wanted::default() };
        let mut open: Vec<Note> = Vec::new();
        loop {
            let page = self.store.statement_notes(&wanted).await?;
            let is_last = u64::try_from(page.len()).unwrap_or(0) < wanted.most();
            wanted.after = page.last().map(|note| (note.month.clone(), note.customer.clone(), note.seq));
            open.extend(page);
            // The last statement of a page may go on in the next one.
            let kept = if is_last { Vec::new() } else { history::last_statement(&mut open) };
            for notes in history::statements(&open) {
                if let Some(standing) = Standing::of(notes) {
                    self.follow_one(standing).await?;
                }
            }
            if is_last {
                return Ok(());
            }
            open = kept;
        }
    }

    async fn follow_one(&self, mut standing: Standing) -> Stored<()> {
        for (letter, event) in std::mem::take(&mut standing.under_way) {
            let deliveries = self.store.deliveries_of(&event).await?;
            let posted = deliveries.iter().find(|one| one.state == State::Posted);
            let Some(delivery) = posted else {
                standing.under_way.push((letter, event));
                continue;
            };
            let note = standing.note(NoteKind::Delivered, letter, delivery.changed_at_ms);
            if !self.store.note_statement(vec![note.clone()], None, (self.clock)()).await? {
                // Somebody was first: the next look sees what came of it.
                return Ok(());
            }
            standing.seq = note.seq;
            standing.delivered_ms = standing.delivered_ms.max(Some(note.at_ms));
        }
        let Some(remind) = self.rules.remind else { return Ok(()) };
        if schedule::reminds(&remind, &standing, (self.clock)()) {
            self.remind(&standing).await?;
        }
        Ok(())
    }

    async fn remind(&self, standing: &Standing) -> Stored<()> {
        let Some(first) = first_due(self.store.as_ref(), standing).await? else { return Ok(()) };
        let due = Due {
            letter: standing.letters + 1,
            purpose: Purpose::Reminder,
            expires_s: self.expires_s(),
            ..first
        };
        match self.post(&due, NoteKind::Reminded, SCHEDULE, Vec::new(), standing.seq).await {
            Ok(_) => Ok(()),
            Err(Failed::Store(error)) => Err(error),
            Err(Failed::Unknown(why) | Failed::Told(why)) => {
                tracing::warn!(why = why.en, "nobody could be reminded of a statement");
                Ok(())
            }
        }
    }
}
