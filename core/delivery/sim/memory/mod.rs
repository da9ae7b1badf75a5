//! The store port in memory: a model of what `tongbao-store` promises, one transaction at a time.
//!
//! Small enough to be read beside the port, and held to the same list of behaviours as the databases (the
//! transport suite runs on it too). Nothing of it is durable, which in a simulation is the point: the simulated
//! database outlives every simulated process.

mod accept;
mod attempt;
mod attention;
mod invoicing;
mod payments;
mod people;
mod queue;
mod statements;

use crate::attention::{Health, Parked};
use crate::invoicing::{InvoicePaper, PaperFilter};
use crate::payments::{Accounts, Allocation, LearnedPayer, Payment, PaymentBook, PaymentFilter, Settling};
use crate::port::{
    Accepted, Archivable, ArchivePlace, AttemptView, Begin, Binding, Closure, Count, Cursor, DeliveryView,
    Filter, Finish, Finished, Hold, Holder, ImportMode, Intake, LedgerEntry, MappingVersion, OutboxRow,
    Overview, Presence, Recorded, RemoteRef, Replayable, Replayed, State, Store, StoreError, Stored, Subject,
    TableRow, Tombstone,
};
use crate::stalled::Stalled;
use crate::statements::{Note, Wanted};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tongbao_model::{Class, Event, Fault};

/// Deliveries in one answer when the caller names no number, and at most: as in the databases.
const USUAL: u64 = 100;
const MOST: u64 = 10_000;

/// A delivery with what only the store knows about it.
#[derive(Debug, Clone)]
pub struct Row {
    /// Order of acceptance.
    pub seq: i64,
    /// Id.
    pub id: String,
    /// The event's id.
    pub event: String,
    /// Flow.
    pub flow: String,
    /// Connection.
    pub target: String,
    /// Order key.
    pub order_key: String,
    /// State.
    pub state: State,
    /// Attempts made so far: the fencing token of the last one.
    pub attempts: u32,
    /// Attempts since acceptance or the last replay.
    pub tries: u32,
    /// Begin of the retry window.
    pub window_start_ms: i64,
    /// Next attempt not before.
    pub due_at_ms: Option<i64>,
    /// End of the lease of the attempt under way.
    pub lease_until_ms: Option<i64>,
    /// Class of the last outcome.
    pub class: Option<Class>,
    /// An attempt may have taken effect without anyone knowing.
    pub in_doubt: bool,
    /// Fault of the last outcome.
    pub fault: Option<Fault>,
    /// Far-side reference as last known.
    pub remote: Option<RemoteRef>,
    /// When the broker last confirmed its message.
    pub published_at_ms: Option<i64>,
    /// Accepted at.
    pub created_at_ms: i64,
    /// Last change.
    pub changed_at_ms: i64,
}

/// (source, kind, key) of an event.
type Document = (String, String, String);
/// (target, order key).
type Lane = (String, String);
/// (contract, kind, origin) of an entry.
type EntryKey = (String, String, String, i64);

/// Everything stored.
#[derive(Debug, Default)]
pub struct Tables {
    pub(super) events: BTreeMap<String, (Event, i64)>,
    documents: HashMap<Document, BTreeMap<i64, String>>,
    pub(super) rows: BTreeMap<i64, Row>,
    seq_of: HashMap<String, i64>,
    /// Deliveries that are not final, per lane, in order.
    lanes: HashMap<Lane, BTreeSet<i64>>,
    pub(super) outbox: BTreeMap<i64, OutboxRow>,
    outbox_last: i64,
    attempts: HashMap<String, Vec<AttemptView>>,
    pub(super) bindings: BTreeMap<(String, String, String), Binding>,
    /// Each with when it was stored.
    pub(super) ledger: BTreeMap<EntryKey, (LedgerEntry, i64)>,
    cursors: HashMap<(String, String), String>,
    codes: BTreeMap<(String, String), TableRow>,
    codes_revision: i64,
    /// The rows at each revision but the first, which has none.
    codes_before: BTreeMap<i64, BTreeMap<(String, String), TableRow>>,
    mappings: BTreeMap<String, MappingVersion>,
    holds: Vec<Hold>,
    closures: Vec<Closure>,
    pool: payments::Pool,
    papers: invoicing::Papers,
    notes: BTreeMap<(String, String, i64), Note>,
    present: BTreeMap<String, i64>,
    /// Deliberate mistake: outcomes are stored whoever brings them.
    pub(super) without_fencing: bool,
    /// Deliberate mistake: predecessors are not looked at.
    pub(super) without_order: bool,
}

/// The store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// The tables, for looking at and for tests that break them.
    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts: see [`Store::accept`].
    pub(super) fn accept_now(
        &self,
        intakes: &[Intake],
        cursor: Option<Cursor>,
        now_ms: i64,
    ) -> Stored<Vec<Accepted>> {
        let mut tables = self.tables();
        let answers: Vec<Accepted> = intakes.iter().map(|intake| tables.accept(intake, now_ms)).collect();
        let all_new = answers.iter().all(|answer| *answer == Accepted::New);
        if let Some(cursor) = cursor.filter(|cursor| all_new || !cursor.only_if_new) {
            tables.cursors.insert((cursor.connection, cursor.stream), cursor.position);
        }
        Ok(answers)
    }
}

impl Tables {
    pub(super) fn row(&self, id: &str) -> Option<&Row> {
        self.rows.get(self.seq_of.get(id)?)
    }

    fn row_mut(&mut self, id: &str) -> Option<&mut Row> {
        self.rows.get_mut(self.seq_of.get(id)?)
    }

    fn lane(&self, row: &Row) -> Option<&BTreeSet<i64>> {
        self.lanes.get(&(row.target.clone(), row.order_key.clone()))
    }

    /// Sets a state and keeps the lane's list of what is not final.
    fn set_state(&mut self, id: &str, state: State) {
        let Some(row) = self.row_mut(id) else { return };
        row.state = state;
        let (seq, lane) = (row.seq, (row.target.clone(), row.order_key.clone()));
        let lane = self.lanes.entry(lane).or_default();
        if state.is_final() {
            lane.remove(&seq);
        } else {
            lane.insert(seq);
        }
    }

    fn put_out(&mut self, id: &str, due_at_ms: i64) {
        let Some(row) = self.row(id) else { return };
        let (target, order_key) = (row.target.clone(), row.order_key.clone());
        self.outbox_last += 1;
        let row = OutboxRow { id: self.outbox_last, delivery: id.to_owned(), target, order_key, due_at_ms };
        self.outbox.insert(row.id, row);
    }

    /// Puts the lane's head into the outbox if it waits for its turn and is not `but`.
    fn wake_head(&mut self, lane: &Lane, but: Option<&str>, now_ms: i64) {
        let head = self.lanes.get(lane).and_then(|lane| lane.first()).and_then(|seq| self.rows.get(seq));
        let Some(head) = head.filter(|head| but != Some(head.id.as_str())) else { return };
        let due_at_ms = match head.state {
            State::Pending => now_ms,
            State::Waiting => head.due_at_ms.unwrap_or(now_ms),
            _ => return,
        };
        let id = head.id.clone();
        self.put_out(&id, due_at_ms);
    }

    pub(super) fn view(&self, row: &Row) -> DeliveryView {
        let (kind, key) = self
            .events
            .get(&row.event)
            .map(|(event, _)| (event.kind.clone(), event.key.clone()))
            .unwrap_or_default();
        DeliveryView {
            id: row.id.clone(),
            seq: row.seq,
            event: row.event.clone(),
            kind,
            key,
            flow: row.flow.clone(),
            target: row.target.clone(),
            order_key: row.order_key.clone(),
            state: row.state,
            attempts: row.attempts,
            due_at_ms: row.due_at_ms.filter(|_| row.state == State::Waiting),
            class: row.class.map(|class| class.name().to_owned()),
            fault: row.fault.clone(),
            remote: row.remote.clone(),
            created_at_ms: row.created_at_ms,
            changed_at_ms: row.changed_at_ms,
        }
    }

    fn selected(&self, filter: &Filter) -> Vec<DeliveryView> {
        let limit = if filter.limit == 0 { USUAL } else { filter.limit.min(MOST) };
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|one| one == found);
        self.rows
            .values()
            .filter(|row| filter.after_seq.is_none_or(|after| row.seq > after))
            .filter(|row| filter.ids.is_empty() || filter.ids.contains(&row.id))
            .filter(|row| filter.states.is_empty() || filter.states.contains(&row.state))
            .filter(|row| same(&filter.target, &row.target) && same(&filter.flow, &row.flow))
            .filter(|row| filter.changed_from_ms.is_none_or(|from| row.changed_at_ms >= from))
            .filter(|row| filter.changed_before_ms.is_none_or(|before| row.changed_at_ms < before))
            .filter(|row| same(&filter.class, row.class.map_or("", Class::name)))
            .map(|row| self.view(row))
            .filter(|view| same(&filter.key, &view.key))
            .filter(|view| {
                let code = view.fault.as_ref().map(|fault| fault.code.as_str()).unwrap_or_default();
                same(&filter.code, code)
            })
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect()
    }

    fn events_sorted(&self, mut which: impl FnMut(&Event) -> bool) -> Vec<Event> {
        let mut found: Vec<&(Event, i64)> = self.events.values().filter(|(event, _)| which(event)).collect();
        found.sort_by(|(a, a_at), (b, b_at)| (a_at, &a.id).cmp(&(b_at, &b.id)));
        found.into_iter().map(|(event, _)| event.clone()).collect()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn accept(
        &self,
        intakes: Vec<Intake>,
        cursor: Option<Cursor>,
        now_ms: i64,
    ) -> Stored<Vec<Accepted>> {
        self.accept_now(&intakes, cursor, now_ms)
    }

    async fn outbox(&self, limit: u64) -> Stored<Vec<OutboxRow>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.tables().outbox.values().take(limit).cloned().collect())
    }

    async fn outbox_of(
        &self,
        target: &str,
        due_before_ms: i64,
        but: &[i64],
        limit: u64,
    ) -> Stored<Vec<OutboxRow>> {
        let tables = self.tables();
        let due = |row: &&OutboxRow| {
            row.target == target && row.due_at_ms <= due_before_ms && !but.contains(&row.id)
        };
        let mut rows: Vec<OutboxRow> = tables.outbox.values().filter(due).cloned().collect();
        rows.sort_by_key(|row| (row.due_at_ms, row.id));
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(rows)
    }

    async fn outbox_count(&self, but: &[String]) -> Stored<u64> {
        let tables = self.tables();
        let counted = tables.outbox.values().filter(|row| !but.contains(&row.target)).count();
        Ok(u64::try_from(counted).unwrap_or(u64::MAX))
    }

    async fn outbox_span(&self) -> Stored<u64> {
        self.outbox_count(&[]).await
    }

    async fn outbox_done(&self, ids: Vec<i64>, now_ms: i64) -> Stored<Vec<i64>> {
        let mut tables = self.tables();
        for id in ids {
            let Some(row) = tables.outbox.remove(&id) else { continue };
            if let Some(delivery) = tables.row_mut(&row.delivery) {
                delivery.published_at_ms = Some(now_ms);
            }
        }
        Ok(Vec::new())
    }

    async fn sweep(&self, stalled: &Stalled, now_ms: i64) -> Stored<u64> {
        Ok(self.tables().sweep(stalled, now_ms))
    }

    async fn expire_leases(&self, targets: Vec<String>, now_ms: i64) -> Stored<u64> {
        let mut count = 0;
        for row in self.tables().rows.values_mut().filter(|row| targets.contains(&row.target)) {
            if row.state == State::Calling && row.lease_until_ms.is_some_and(|until| until >= now_ms) {
                row.lease_until_ms = Some(now_ms.saturating_sub(1));
                count += 1;
            }
        }
        Ok(count)
    }

    async fn begin(&self, delivery: &str, worker: &str, lease_until_ms: i64, now_ms: i64) -> Stored<Begin> {
        Ok(self.tables().begin(delivery, worker, lease_until_ms, now_ms))
    }

    async fn finish(&self, finish: Finish) -> Stored<Finished> {
        self.tables().finish(&finish)
    }

    async fn replay(&self, filter: Filter, now_ms: i64) -> Stored<Replayed> {
        Ok(self.tables().replay(&filter, now_ms))
    }

    async fn replayable(&self, filter: Filter) -> Stored<Replayable> {
        Ok(self.tables().replayable(&filter))
    }

    async fn overview(&self) -> Stored<Vec<Overview>> {
        Ok(self.tables().overview())
    }

    async fn parked(&self, from_ms: i64, before_ms: i64, but: &str) -> Stored<Vec<Parked>> {
        Ok(self.tables().parked(from_ms, before_ms, but))
    }

    async fn health(&self, targets: Vec<String>, but: &str) -> Stored<Vec<Health>> {
        Ok(self.tables().health(&targets, but))
    }

    async fn behind_parked(&self) -> Stored<BTreeMap<String, u64>> {
        Ok(self.tables().behind_parked())
    }

    async fn hold(&self, subject: Subject, who: &str, why: &str, now_ms: i64) -> Stored<bool> {
        Ok(self.tables().hold(subject, who, why, now_ms))
    }

    async fn release(&self, subject: Subject, who: &str, now_ms: i64) -> Stored<bool> {
        Ok(self.tables().release(&subject, who, now_ms))
    }

    async fn close_books(&self, closure: Closure) -> Stored<bool> {
        Ok(self.tables().close_books(closure))
    }

    async fn reopen_books(&self, month: &str, who: &str, now_ms: i64) -> Stored<bool> {
        Ok(self.tables().reopen_books(month, who, now_ms))
    }

    async fn closures(&self) -> Stored<Vec<Closure>> {
        Ok(self.tables().closures.clone())
    }

    async fn note_statement(&self, notes: Vec<Note>, intake: Option<Intake>, now_ms: i64) -> Stored<bool> {
        self.tables().note_statement(notes, intake.as_ref(), now_ms)
    }

    async fn statement_notes(&self, wanted: &Wanted) -> Stored<Vec<Note>> {
        Ok(self.tables().statement_notes(wanted))
    }

    async fn customers(&self, after: &str, limit: u64) -> Stored<Vec<String>> {
        Ok(self.tables().customers(after, limit))
    }

    async fn holds(&self, ended_from_ms: i64) -> Stored<Vec<Hold>> {
        Ok(self.tables().holds_since(ended_from_ms))
    }

    async fn attend(&self, process: &str, now_ms: i64, forgotten_ms: i64) -> Stored<()> {
        let mut tables = self.tables();
        tables.present.retain(|_, seen_ms| *seen_ms >= forgotten_ms);
        tables.present.insert(process.to_owned(), now_ms);
        Ok(())
    }

    async fn depart(&self, process: &str) -> Stored<()> {
        self.tables().present.remove(process);
        Ok(())
    }

    async fn present(&self) -> Stored<Vec<Presence>> {
        let note =
            |(process, seen_ms): (&String, &i64)| Presence { process: process.clone(), seen_ms: *seen_ms };
        Ok(self.tables().present.iter().map(note).collect())
    }

    // Nothing is archived in a model that ends with its process.

    async fn archivable(&self, _: i64, _: Option<ArchivePlace>, _: u64) -> Stored<Archivable> {
        Ok(Archivable::default())
    }

    async fn archive(&self, _: Vec<String>, _: i64, _: &str, _: i64) -> Stored<u64> {
        Err(StoreError::Invalid("the model of a store has no archive".to_owned()))
    }

    async fn archived(&self, _: &str) -> Stored<Vec<Tombstone>> {
        Ok(Vec::new())
    }

    async fn hasten(&self, target: &str, key: &str, now_ms: i64) -> Stored<u64> {
        Ok(self.tables().hasten(target, key, now_ms))
    }

    async fn bind(&self, delivery: &str, binding: Binding, now_ms: i64) -> Stored<bool> {
        self.tables().bind_by_hand(delivery, &binding, now_ms)
    }

    async fn deliveries(&self, filter: Filter) -> Stored<Vec<DeliveryView>> {
        Ok(self.tables().selected(&filter))
    }

    async fn delivery(&self, id: &str) -> Stored<Option<(DeliveryView, Vec<AttemptView>, Event)>> {
        let tables = self.tables();
        let Some(row) = tables.row(id) else { return Ok(None) };
        let Some((event, _)) = tables.events.get(&row.event) else { return Ok(None) };
        let attempts = tables.attempts.get(id).cloned().unwrap_or_default();
        Ok(Some((tables.view(row), attempts, event.clone())))
    }

    async fn find(&self, number: &str) -> Stored<Vec<Event>> {
        let tables = self.tables();
        let bound = tables
            .bindings
            .values()
            .filter(|binding| binding.remote.number == number || binding.remote.id == number);
        let of: BTreeSet<&str> =
            bound.filter_map(|binding| Some(tables.row(&binding.delivery)?.event.as_str())).collect();
        Ok(tables.events_sorted(|event| event.key == number || of.contains(event.id.as_str())))
    }

    async fn event(&self, id: &str) -> Stored<Option<Event>> {
        Ok(self.tables().events.get(id).map(|(event, _)| event.clone()))
    }

    async fn newest(&self, kind: &str, key: &str, until_ms: i64) -> Stored<Option<Event>> {
        let tables = self.tables();
        let states = tables.events.values().filter(|(event, accepted_at_ms)| {
            event.kind == kind && event.key == key && *accepted_at_ms <= until_ms
        });
        let newest = states.max_by_key(|(event, at_ms)| (event.revision, *at_ms, event.id.clone()));
        Ok(newest.map(|(event, _)| event.clone()))
    }

    async fn latest(&self, kinds: &[&str], limit: u64) -> Stored<Vec<Event>> {
        let tables = self.tables();
        let mut found: Vec<_> =
            tables.events.values().filter(|(event, _)| kinds.contains(&event.kind.as_str())).collect();
        found.sort_by(|(one, at_ms), (other, other_ms)| (other_ms, &other.id).cmp(&(at_ms, &one.id)));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(found.into_iter().take(limit).map(|(event, _)| event.clone()).collect())
    }

    async fn deliveries_of(&self, event: &str) -> Stored<Vec<DeliveryView>> {
        let tables = self.tables();
        Ok(tables.rows.values().filter(|row| row.event == event).map(|row| tables.view(row)).collect())
    }

    async fn caused_by(&self, delivery: &str) -> Stored<Vec<Event>> {
        Ok(self.tables().events_sorted(|event| event.cause.as_deref() == Some(delivery)))
    }

    async fn binding(&self, target: &str, kind: &str, key: &str) -> Stored<Option<Binding>> {
        let key = (target.to_owned(), kind.to_owned(), key.to_owned());
        Ok(self.tables().bindings.get(&key).cloned())
    }

    async fn payments(&self, filter: PaymentFilter) -> Stored<Vec<Payment>> {
        Ok(self.tables().pool.list(&filter))
    }

    async fn payment(&self, book: PaymentBook, number: &str) -> Stored<Option<(Payment, Vec<Allocation>)>> {
        Ok(self.tables().pool.one(book, number))
    }

    async fn allocations(&self, book: PaymentBook, numbers: Vec<String>) -> Stored<Vec<Allocation>> {
        Ok(self.tables().pool.allocations_of(book, &numbers))
    }

    async fn accounts(&self, after: Option<String>, limit: u64) -> Stored<Accounts> {
        Ok(self.tables().accounts(after.as_deref(), limit))
    }

    async fn learned_payers(&self) -> Stored<Vec<LearnedPayer>> {
        Ok(self.tables().pool.learned())
    }

    async fn payments_turn(&self) -> Stored<i64> {
        Ok(self.tables().pool.turn())
    }

    async fn invoice_papers(&self, contract: &str) -> Stored<Vec<InvoicePaper>> {
        Ok(self.tables().papers.of_contract(contract))
    }

    async fn invoice_papers_of(&self, filter: PaperFilter) -> Stored<Vec<InvoicePaper>> {
        Ok(self.tables().papers.list(&filter))
    }

    async fn revise_invoice_papers(
        &self,
        papers: Vec<InvoicePaper>,
        intakes: Vec<Intake>,
        now_ms: i64,
    ) -> Stored<bool> {
        self.tables().revise_invoice_papers(&papers, &intakes, now_ms)
    }

    async fn settle(&self, turn: i64, settlings: Vec<Settling>, now_ms: i64) -> Stored<bool> {
        Ok(self.tables().settle(turn, &settlings, now_ms))
    }

    async fn ledger_as_of(&self, of: &Holder, until_ms: i64) -> Stored<Vec<LedgerEntry>> {
        let tables = self.tables();
        let known = tables.ledger.values().filter(|(entry, recorded_ms)| {
            *recorded_ms <= until_ms
                && match of {
                    Holder::Contract(contract) => entry.contract == *contract,
                    Holder::Customer(_) => true,
                }
        });
        Ok(of.in_force(known.map(|(entry, _)| entry.clone())))
    }

    async fn journal(&self, of: &Holder) -> Stored<Vec<Recorded>> {
        let tables = self.tables();
        let theirs: BTreeSet<&str> = match of {
            Holder::Contract(contract) => [contract.as_str()].into(),
            Holder::Customer(customer) => {
                let all = tables.ledger.values().map(|(entry, _)| entry);
                let named = all.filter(|entry| entry.customer.as_ref() == Some(customer));
                named.map(|entry| entry.contract.as_str()).collect()
            }
        };
        let known = tables.ledger.values().filter(|(entry, _)| theirs.contains(entry.contract.as_str()));
        Ok(known.map(|(entry, at_ms)| Recorded { entry: entry.clone(), at_ms: *at_ms }).collect())
    }

    async fn cursor(&self, connection: &str, stream: &str) -> Stored<Option<String>> {
        Ok(self.tables().cursors.get(&(connection.to_owned(), stream.to_owned())).cloned())
    }

    async fn counts(&self) -> Stored<Vec<Count>> {
        let mut counts: BTreeMap<(String, &str), (State, u64)> = BTreeMap::new();
        for row in self.tables().rows.values() {
            counts.entry((row.target.clone(), row.state.name())).or_insert((row.state, 0)).1 += 1;
        }
        let count = |((target, _), (state, count))| Count { target, state, count };
        Ok(counts.into_iter().map(count).collect())
    }

    async fn table_rows(&self, table: Option<&str>) -> Stored<Vec<TableRow>> {
        let tables = self.tables();
        let wanted = |row: &&TableRow| table.is_none_or(|table| row.table == table);
        Ok(tables.codes.values().filter(wanted).cloned().collect())
    }

    async fn import_table(
        &self,
        table: &str,
        rows: Vec<TableRow>,
        mode: ImportMode,
    ) -> Stored<(u64, u64, u64)> {
        Ok(self.tables().import(table, rows, mode))
    }

    async fn tables_revision(&self) -> Stored<i64> {
        Ok(self.tables().codes_revision)
    }

    async fn table_rows_at(&self, table: &str, revision: i64) -> Stored<Option<Vec<TableRow>>> {
        let tables = self.tables();
        if revision == 0 {
            return Ok(Some(Vec::new()));
        }
        let rows = |rows: &BTreeMap<(String, String), TableRow>| {
            rows.values().filter(|row| row.table == table).cloned().collect()
        };
        Ok(tables.codes_before.get(&revision).map(rows))
    }

    async fn keep_mappings(&self, mappings: Vec<MappingVersion>, _now_ms: i64) -> Stored<()> {
        let mut tables = self.tables();
        for mapping in mappings {
            tables.mappings.entry(mapping.version.clone()).or_insert(mapping);
        }
        Ok(())
    }

    async fn mapping(&self, version: &str) -> Stored<Option<MappingVersion>> {
        Ok(self.tables().mappings.get(version).cloned())
    }

    async fn ping(&self) -> Stored<()> {
        Ok(())
    }

    async fn close(&self) {}
}
