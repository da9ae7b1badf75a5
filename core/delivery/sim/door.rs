//! The way of a process to the database: latency, failures before and after the commit, death in between, and
//! the invariants after every step.

use super::bugs::Bug;
use super::memory::MemoryStore;
use super::process::Fate;
use crate::attention::{Health, Parked};
use crate::clock::Clock;
use crate::invoicing::{InvoicePaper, PaperFilter};
use crate::payments::{Accounts, Allocation, LearnedPayer, Payment, PaymentBook, PaymentFilter, Settling};
use crate::port::{
    Accepted, Archivable, ArchivePlace, AttemptView, Begin, Binding, Closure, Count, Cursor, DeliveryView,
    Filter, Finish, Finished, Hold, Holder, ImportMode, Intake, LedgerEntry, MappingVersion, Next, OutboxRow,
    Overview, Presence, Recorded, Replayable, Replayed, Store, StoreError, Stored, Subject, TableRow,
    Tombstone,
};
use crate::stalled::Stalled;
use crate::statements::{Note, Wanted};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use tongbao_model::{Class, Event};

/// The store as one process sees it.
pub struct StoreDoor {
    fate: Arc<Fate>,
}

fn refused() -> StoreError {
    StoreError::Unavailable("the connection was reset".to_owned())
}

impl StoreDoor {
    pub(super) fn new(fate: Arc<Fate>) -> Self {
        StoreDoor { fate }
    }

    fn memory(&self) -> &MemoryStore {
        &self.fate.sim.store
    }

    /// One transaction: it may fail, the process may die before or after it, its answer may be lost.
    async fn write<T: Send>(
        &self,
        place: &str,
        transaction: impl Future<Output = Stored<T>> + Send,
    ) -> Stored<T> {
        let sim = &self.fate.sim;
        self.fate.point(place).await;
        tokio::time::sleep(sim.dice.millis(0, 3)).await;
        self.fate.gate().await;
        let chaos = sim.chaos();
        if sim.dice.per_mille(chaos.store_refuses) {
            sim.trace.note(&format!("{} {place}: refused", self.fate.name));
            return Err(refused());
        }
        let result = transaction.await;
        sim.check_step();
        self.fate.point(place).await;
        if sim.dice.per_mille(chaos.store_mute) {
            sim.trace.note(&format!("{} {place}: answer lost", self.fate.name));
            return Err(refused());
        }
        result
    }

    async fn read<T: Send>(&self, question: impl Future<Output = Stored<T>> + Send) -> Stored<T> {
        let sim = &self.fate.sim;
        self.fate.gate().await;
        if sim.dice.per_mille(sim.chaos().store_refuses) {
            return Err(refused());
        }
        question.await
    }

    /// The mistake of marking first and acting later: the outcome is stored with the intent.
    async fn mark_early(&self, begun: &Begin) {
        let Begin::Run(work) = begun else { return };
        let finish = Finish::new(work, self.fate.now_ms(), Next::Posted, Class::Done);
        drop(self.memory().finish(finish).await);
        self.fate.sim.check_step();
    }

    /// The mistake of answering before the commit: the rest happens a little later, if the process lives.
    async fn accept_late(&self, intakes: Vec<Intake>, cursor: Option<Cursor>, now_ms: i64) -> Vec<Accepted> {
        let answers = vec![Accepted::New; intakes.len()];
        let fate = self.fate.clone();
        tokio::spawn(async move {
            tokio::time::sleep(fate.sim.dice.millis(1, 50)).await;
            fate.point("late accept").await;
            // Nobody is left to be told.
            drop(fate.sim.store.accept_now(&intakes, cursor, now_ms));
        });
        answers
    }
}

#[async_trait]
impl Store for StoreDoor {
    async fn accept(
        &self,
        intakes: Vec<Intake>,
        cursor: Option<Cursor>,
        now_ms: i64,
    ) -> Stored<Vec<Accepted>> {
        let sim = &self.fate.sim;
        for intake in &intakes {
            sim.trace.note(&format!(
                "{} accept {} {} r{}",
                self.fate.name, intake.event.kind, intake.event.key, intake.event.revision
            ));
        }
        if sim.bug == Some(Bug::AckBeforeCommit) {
            return Ok(self.accept_late(intakes, cursor, now_ms).await);
        }
        self.write("accept", self.memory().accept(intakes, cursor, now_ms)).await
    }

    async fn outbox(&self, limit: u64) -> Stored<Vec<OutboxRow>> {
        self.read(self.memory().outbox(limit)).await
    }

    async fn outbox_of(
        &self,
        target: &str,
        due_before_ms: i64,
        but: &[i64],
        limit: u64,
    ) -> Stored<Vec<OutboxRow>> {
        self.read(self.memory().outbox_of(target, due_before_ms, but, limit)).await
    }

    async fn outbox_count(&self, but: &[String]) -> Stored<u64> {
        self.read(self.memory().outbox_count(but)).await
    }

    async fn outbox_span(&self) -> Stored<u64> {
        self.read(self.memory().outbox_span()).await
    }

    async fn outbox_done(&self, ids: Vec<i64>, now_ms: i64) -> Stored<Vec<i64>> {
        self.write("outbox-done", self.memory().outbox_done(ids, now_ms)).await
    }

    async fn sweep(&self, stalled: &Stalled, now_ms: i64) -> Stored<u64> {
        if self.fate.sim.bug == Some(Bug::NoSweeper) {
            return Ok(0);
        }
        self.write("sweep", self.memory().sweep(stalled, now_ms)).await
    }

    async fn expire_leases(&self, targets: Vec<String>, now_ms: i64) -> Stored<u64> {
        self.write("expire-leases", self.memory().expire_leases(targets, now_ms)).await
    }

    async fn begin(&self, delivery: &str, worker: &str, lease_until_ms: i64, now_ms: i64) -> Stored<Begin> {
        let begun =
            self.write("begin", self.memory().begin(delivery, worker, lease_until_ms, now_ms)).await?;
        if self.fate.sim.bug == Some(Bug::MarkerBeforeEffect) {
            self.mark_early(&begun).await;
        }
        Ok(begun)
    }

    async fn finish(&self, finish: Finish) -> Stored<Finished> {
        let (id, attempt, next) = (finish.delivery.clone(), finish.attempt, finish.next.clone());
        let name = finish.class.name();
        let result = self.write("finish", self.memory().finish(finish)).await;
        let sim = &self.fate.sim;
        sim.trace.note(&format!("{} finish {id}#{attempt} {name} {next:?}: {result:?}", self.fate.name));
        if matches!(result, Ok(Finished::Fenced)) {
            sim.count(|counts| counts.fenced += 1);
        }
        result
    }

    async fn replay(&self, filter: Filter, now_ms: i64) -> Stored<Replayed> {
        self.write("replay", self.memory().replay(filter, now_ms)).await
    }

    async fn replayable(&self, filter: Filter) -> Stored<Replayable> {
        self.read(self.memory().replayable(filter)).await
    }

    async fn overview(&self) -> Stored<Vec<Overview>> {
        self.read(self.memory().overview()).await
    }

    async fn parked(&self, from_ms: i64, before_ms: i64, but: &str) -> Stored<Vec<Parked>> {
        self.read(self.memory().parked(from_ms, before_ms, but)).await
    }

    async fn health(&self, targets: Vec<String>, but: &str) -> Stored<Vec<Health>> {
        self.read(self.memory().health(targets, but)).await
    }

    async fn behind_parked(&self) -> Stored<BTreeMap<String, u64>> {
        self.read(self.memory().behind_parked()).await
    }

    async fn hold(&self, subject: Subject, who: &str, why: &str, now_ms: i64) -> Stored<bool> {
        self.write("hold", self.memory().hold(subject, who, why, now_ms)).await
    }

    async fn release(&self, subject: Subject, who: &str, now_ms: i64) -> Stored<bool> {
        self.write("release", self.memory().release(subject, who, now_ms)).await
    }

    async fn close_books(&self, closure: Closure) -> Stored<bool> {
        self.write("close-books", self.memory().close_books(closure)).await
    }

    async fn reopen_books(&self, month: &str, who: &str, now_ms: i64) -> Stored<bool> {
        self.write("reopen-books", self.memory().reopen_books(month, who, now_ms)).await
    }

    async fn closures(&self) -> Stored<Vec<Closure>> {
        self.read(self.memory().closures()).await
    }

    async fn note_statement(&self, notes: Vec<Note>, intake: Option<Intake>, now_ms: i64) -> Stored<bool> {
        self.write("note-statement", self.memory().note_statement(notes, intake, now_ms)).await
    }

    async fn statement_notes(&self, wanted: &Wanted) -> Stored<Vec<Note>> {
        self.read(self.memory().statement_notes(wanted)).await
    }

    async fn customers(&self, after: &str, limit: u64) -> Stored<Vec<String>> {
        self.read(self.memory().customers(after, limit)).await
    }

    async fn holds(&self, ended_from_ms: i64) -> Stored<Vec<Hold>> {
        self.read(self.memory().holds(ended_from_ms)).await
    }

    async fn attend(&self, process: &str, now_ms: i64, forgotten_ms: i64) -> Stored<()> {
        self.write("attend", self.memory().attend(process, now_ms, forgotten_ms)).await
    }

    async fn depart(&self, process: &str) -> Stored<()> {
        self.write("depart", self.memory().depart(process)).await
    }

    async fn present(&self) -> Stored<Vec<Presence>> {
        self.read(self.memory().present()).await
    }

    async fn archivable(
        &self,
        before_ms: i64,
        after: Option<ArchivePlace>,
        limit: u64,
    ) -> Stored<Archivable> {
        self.read(self.memory().archivable(before_ms, after, limit)).await
    }

    async fn archive(&self, events: Vec<String>, before_ms: i64, file: &str, now_ms: i64) -> Stored<u64> {
        self.write("archive", self.memory().archive(events, before_ms, file, now_ms)).await
    }

    async fn archived(&self, number: &str) -> Stored<Vec<Tombstone>> {
        self.read(self.memory().archived(number)).await
    }

    async fn hasten(&self, target: &str, key: &str, now_ms: i64) -> Stored<u64> {
        self.write("hasten", self.memory().hasten(target, key, now_ms)).await
    }

    async fn bind(&self, delivery: &str, binding: Binding, now_ms: i64) -> Stored<bool> {
        self.write("bind", self.memory().bind(delivery, binding, now_ms)).await
    }

    async fn deliveries(&self, filter: Filter) -> Stored<Vec<DeliveryView>> {
        self.read(self.memory().deliveries(filter)).await
    }

    async fn delivery(&self, id: &str) -> Stored<Option<(DeliveryView, Vec<AttemptView>, Event)>> {
        self.read(self.memory().delivery(id)).await
    }

    async fn find(&self, number: &str) -> Stored<Vec<Event>> {
        self.read(self.memory().find(number)).await
    }

    async fn event(&self, id: &str) -> Stored<Option<Event>> {
        self.read(self.memory().event(id)).await
    }

    async fn newest(&self, kind: &str, key: &str, until_ms: i64) -> Stored<Option<Event>> {
        self.read(self.memory().newest(kind, key, until_ms)).await
    }

    async fn latest(&self, kinds: &[&str], limit: u64) -> Stored<Vec<Event>> {
        self.read(self.memory().latest(kinds, limit)).await
    }

    async fn deliveries_of(&self, event: &str) -> Stored<Vec<DeliveryView>> {
        self.read(self.memory().deliveries_of(event)).await
    }

    async fn caused_by(&self, delivery: &str) -> Stored<Vec<Event>> {
        self.read(self.memory().caused_by(delivery)).await
    }

    async fn binding(&self, target: &str, kind: &str, key: &str) -> Stored<Option<Binding>> {
        self.read(self.memory().binding(target, kind, key)).await
    }

    async fn ledger_as_of(&self, of: &Holder, until_ms: i64) -> Stored<Vec<LedgerEntry>> {
        self.read(self.memory().ledger_as_of(of, until_ms)).await
    }

    async fn journal(&self, of: &Holder) -> Stored<Vec<Recorded>> {
        self.read(self.memory().journal(of)).await
    }

    async fn payments(&self, filter: PaymentFilter) -> Stored<Vec<Payment>> {
        self.read(self.memory().payments(filter)).await
    }

    async fn payment(&self, book: PaymentBook, number: &str) -> Stored<Option<(Payment, Vec<Allocation>)>> {
        self.read(self.memory().payment(book, number)).await
    }

    async fn allocations(&self, book: PaymentBook, numbers: Vec<String>) -> Stored<Vec<Allocation>> {
        self.read(self.memory().allocations(book, numbers)).await
    }

    async fn accounts(&self, after: Option<String>, limit: u64) -> Stored<Accounts> {
        self.read(self.memory().accounts(after, limit)).await
    }

    async fn learned_payers(&self) -> Stored<Vec<LearnedPayer>> {
        self.read(self.memory().learned_payers()).await
    }

    async fn payments_turn(&self) -> Stored<i64> {
        self.read(self.memory().payments_turn()).await
    }

    async fn invoice_papers(&self, contract: &str) -> Stored<Vec<InvoicePaper>> {
        self.read(self.memory().invoice_papers(contract)).await
    }

    async fn invoice_papers_of(&self, filter: PaperFilter) -> Stored<Vec<InvoicePaper>> {
        self.read(self.memory().invoice_papers_of(filter)).await
    }

    async fn revise_invoice_papers(
        &self,
        papers: Vec<InvoicePaper>,
        intakes: Vec<Intake>,
        now_ms: i64,
    ) -> Stored<bool> {
        let revising = self.memory().revise_invoice_papers(papers, intakes, now_ms);
        self.write("revise-invoices", revising).await
    }

    async fn settle(&self, turn: i64, settlings: Vec<Settling>, now_ms: i64) -> Stored<bool> {
        self.write("settle", self.memory().settle(turn, settlings, now_ms)).await
    }

    async fn cursor(&self, connection: &str, stream: &str) -> Stored<Option<String>> {
        self.read(self.memory().cursor(connection, stream)).await
    }

    async fn counts(&self) -> Stored<Vec<Count>> {
        self.read(self.memory().counts()).await
    }

    async fn table_rows(&self, table: Option<&str>) -> Stored<Vec<TableRow>> {
        self.read(self.memory().table_rows(table)).await
    }

    async fn import_table(
        &self,
        table: &str,
        rows: Vec<TableRow>,
        mode: ImportMode,
    ) -> Stored<(u64, u64, u64)> {
        self.write("import", self.memory().import_table(table, rows, mode)).await
    }

    async fn tables_revision(&self) -> Stored<i64> {
        self.read(self.memory().tables_revision()).await
    }

    async fn table_rows_at(&self, table: &str, revision: i64) -> Stored<Option<Vec<TableRow>>> {
        self.read(self.memory().table_rows_at(table, revision)).await
    }

    async fn keep_mappings(&self, mappings: Vec<MappingVersion>, now_ms: i64) -> Stored<()> {
        self.write("keep_mappings", self.memory().keep_mappings(mappings, now_ms)).await
    }

    async fn mapping(&self, version: &str) -> Stored<Option<MappingVersion>> {
        self.read(self.memory().mapping(version)).await
    }

    async fn ping(&self) -> Stored<()> {
        self.read(self.memory().ping()).await
    }

    async fn close(&self) {}
}
