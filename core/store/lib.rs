//! The only package that speaks SQL: the delivery store on SQLite, PostgreSQL, MySQL and MariaDB.
//!
//! [`open`] connects, brings the schema up to date and answers a [`Store`]. Every write is one transaction; what
//! each promises is written at the port, why it holds on every database is written at the function that does it.

mod accept;
mod archive;
mod attention;
mod begin;
mod closures;
mod columns;
mod convert;
mod db;
mod entity;
mod error;
mod finish;
mod group;
mod hasten;
mod holds;
mod invoicing;
mod lane;
pub mod limit;
mod limits;
mod mappings;
mod migration;
mod open;
mod payments;
mod presence;
mod queue;
mod read;
mod replay;
mod rows;
mod statements;
mod sweep;
mod tables;

pub use open::StoreOptions;

use async_trait::async_trait;
use db::{Db, Task, task};
use group::Group;
use std::collections::BTreeMap;
use std::sync::Arc;
use tongbao_delivery::attention::{Health, Parked};
use tongbao_delivery::invoicing::{InvoicePaper, PaperFilter};
use tongbao_delivery::payments::{
    Accounts, Allocation, LearnedPayer, Payment, PaymentBook, PaymentFilter, Settling,
};
use tongbao_delivery::port::{
    Accepted, Archivable, ArchivePlace, AttemptView, Begin, Binding, Closure, Count, Cursor, DeliveryView,
    Filter, Finish, Finished, Hold, Holder, ImportMode, Intake, LedgerEntry, MappingVersion, OutboxRow,
    Overview, Presence, Recorded, Replayable, Replayed, Store, Stored, Subject, TableRow, Tombstone,
};
use tongbao_delivery::stalled::Stalled;
use tongbao_delivery::statements::{Note, Wanted};
use tongbao_model::Event;

/// Opens the database of a URL (`sqlite://file`, `postgres://…`, `mysql://…`, `mariadb://…`) and brings its
/// schema up to date; several processes may do so at once. A SQLite file is made if it is not there.
pub async fn open(url: &str, options: StoreOptions) -> Stored<Arc<dyn Store>> {
    let db = Arc::new(open::connect(url, options).await?);
    let (accepts, begins, finishes) =
        (Group::start(db.clone()), Group::start(db.clone()), Group::start(db.clone()));
    Ok(Arc::new(Sql { db, accepts, begins, finishes }))
}

struct Sql {
    db: Arc<Db>,
    accepts: Group<accept::Call>,
    begins: Group<begin::Ask>,
    finishes: Group<Arc<Finish>>,
}

#[async_trait]
impl Store for Sql {
    async fn accept(
        &self,
        intakes: Vec<Intake>,
        cursor: Option<Cursor>,
        now_ms: i64,
    ) -> Stored<Vec<Accepted>> {
        intakes.iter().try_for_each(limits::intake)?;
        if let Some(cursor) = &cursor {
            limits::fits("cursor connection", &cursor.connection, limits::NAME)?;
            limits::fits("cursor stream", &cursor.stream, limits::KEY)?;
            limits::whole("cursor position", &cursor.position)?;
        }
        self.accepts.call(accept::Call { intakes, cursor, now_ms }).await
    }

    async fn outbox(&self, limit: u64) -> Stored<Vec<OutboxRow>> {
        self.db.ask(|db| async move { queue::rows(&db, limit).await }).await
    }

    async fn outbox_of(
        &self,
        target: &str,
        due_before_ms: i64,
        but: &[i64],
        limit: u64,
    ) -> Stored<Vec<OutboxRow>> {
        let (target, but) = (target.to_owned(), but.to_vec());
        self.db.ask(|db| async move { queue::rows_of(&db, &target, due_before_ms, but, limit).await }).await
    }

    async fn outbox_count(&self, but: &[String]) -> Stored<u64> {
        let but = but.to_vec();
        self.db.ask(|db| async move { queue::count(&db, &but).await }).await
    }

    async fn outbox_span(&self) -> Stored<u64> {
        self.db.ask(|db| async move { queue::span(&db).await }).await
    }

    async fn outbox_done(&self, ids: Vec<i64>, now_ms: i64) -> Stored<Vec<i64>> {
        self.db.write(task!(ids; |txn| queue::done(txn, &ids, now_ms).await)).await
    }

    async fn sweep(&self, stalled: &Stalled, now_ms: i64) -> Stored<u64> {
        let stalled = Arc::new(stalled.clone());
        let (mut total, mut from) = (0, Some(sweep::Place::first()));
        while let Some(place) = from {
            let stalled = stalled.clone();
            let page: Task<_> = task!(stalled; |txn| sweep::page(txn, place, &stalled, now_ms).await);
            let swept = self.db.write(page).await?;
            total += swept.count;
            from = swept.next;
        }
        Ok(total)
    }

    async fn expire_leases(&self, targets: Vec<String>, now_ms: i64) -> Stored<u64> {
        self.db.write(task!(targets; |txn| hasten::expire_leases(txn, &targets, now_ms).await)).await
    }

    async fn begin(&self, delivery: &str, worker: &str, lease_until_ms: i64, now_ms: i64) -> Stored<Begin> {
        limits::fits("worker", worker, limits::KEY)?;
        let (delivery, worker) = (delivery.to_owned(), worker.to_owned());
        self.begins.call(begin::Ask { delivery, worker, lease_until_ms, now_ms }).await
    }

    async fn finish(&self, finish: Finish) -> Stored<Finished> {
        finish.binding.iter().try_for_each(limits::binding)?;
        finish.follow_on.iter().try_for_each(limits::intake)?;
        finish.entries.iter().try_for_each(limits::entry)?;
        finish.papers.iter().try_for_each(invoicing::keepable)?;
        for (what, text) in
            [("request", &finish.request), ("response", &finish.response), ("mapping", &finish.mapping)]
        {
            limits::whole(what, text.as_deref().unwrap_or_default())?;
        }
        self.finishes.call(Arc::new(finish)).await
    }

    async fn replay(&self, filter: Filter, now_ms: i64) -> Stored<Replayed> {
        let Some(mut filter) = replay::stopped(filter) else { return Ok(Replayed::default()) };
        let mut left = read::limit_of(&filter);
        let mut replayed = Replayed::default();
        while left > 0 {
            filter.limit = left.min(replay::PAGE);
            let asked = filter.clone();
            let page = self.db.write(task!(asked; |txn| replay::page(txn, &asked, now_ms).await)).await?;
            replayed.ids.extend(page.ids);
            replayed.next = page.next;
            if page.next.is_none() {
                break;
            }
            filter.after_seq = page.next;
            left -= filter.limit;
        }
        Ok(replayed)
    }

    async fn replayable(&self, filter: Filter) -> Stored<Replayable> {
        let Some(filter) = replay::stopped(filter) else { return Ok(Replayable::default()) };
        self.db.ask(|db| async move { replay::replayable(&db, filter).await }).await
    }

    async fn hasten(&self, target: &str, key: &str, now_ms: i64) -> Stored<u64> {
        let (target, key) = (target.to_owned(), key.to_owned());
        self.db.write(task!(target, key; |txn| hasten::hasten(txn, &target, &key, now_ms).await)).await
    }

    async fn bind(&self, delivery: &str, binding: Binding, now_ms: i64) -> Stored<bool> {
        limits::binding(&binding)?;
        let delivery = delivery.to_owned();
        self.db
            .write(task!(delivery, binding; |txn| {
                queue::bind_by_hand(txn, &delivery, &binding, now_ms).await
            }))
            .await
    }

    async fn deliveries(&self, filter: Filter) -> Stored<Vec<DeliveryView>> {
        self.db.ask(|db| async move { read::deliveries_by(&db, &filter).await }).await
    }

    async fn delivery(&self, id: &str) -> Stored<Option<(DeliveryView, Vec<AttemptView>, Event)>> {
        let id = id.to_owned();
        self.db.ask(|db| async move { read::one(&db, &id).await }).await
    }

    async fn find(&self, number: &str) -> Stored<Vec<Event>> {
        let number = number.to_owned();
        self.db.ask(|db| async move { read::find(&db, &number).await }).await
    }

    async fn event(&self, id: &str) -> Stored<Option<Event>> {
        let id = id.to_owned();
        self.db.ask(|db| async move { read::event(&db, &id).await }).await
    }

    async fn newest(&self, kind: &str, key: &str, until_ms: i64) -> Stored<Option<Event>> {
        let (kind, key) = (kind.to_owned(), key.to_owned());
        self.db.ask(|db| async move { read::newest(&db, &kind, &key, until_ms).await }).await
    }

    async fn latest(&self, kinds: &[&str], limit: u64) -> Stored<Vec<Event>> {
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        self.db.ask(|db| async move { read::latest(&db, kinds, limit).await }).await
    }

    async fn deliveries_of(&self, event: &str) -> Stored<Vec<DeliveryView>> {
        let event = event.to_owned();
        self.db.ask(|db| async move { read::deliveries_of(&db, &event).await }).await
    }

    async fn caused_by(&self, delivery: &str) -> Stored<Vec<Event>> {
        let delivery = delivery.to_owned();
        self.db.ask(|db| async move { read::caused_by(&db, &delivery).await }).await
    }

    async fn binding(&self, target: &str, kind: &str, key: &str) -> Stored<Option<Binding>> {
        let (target, kind, key) = (target.to_owned(), kind.to_owned(), key.to_owned());
        self.db.ask(|db| async move { read::binding(&db, &target, &kind, &key).await }).await
    }

    async fn ledger_as_of(&self, of: &Holder, until_ms: i64) -> Stored<Vec<LedgerEntry>> {
        let of = of.clone();
        self.db.ask(|db| async move { read::account(&db, &of, until_ms).await }).await
    }

    async fn journal(&self, of: &Holder) -> Stored<Vec<Recorded>> {
        let of = of.clone();
        self.db.ask(|db| async move { read::journal(&db, &of).await }).await
    }

    async fn payments(&self, filter: PaymentFilter) -> Stored<Vec<Payment>> {
        self.db.ask(|db| async move { payments::list(&db, &filter).await }).await
    }

    async fn payment(&self, book: PaymentBook, number: &str) -> Stored<Option<(Payment, Vec<Allocation>)>> {
        let number = number.to_owned();
        self.db.ask(|db| async move { payments::one(&db, book, &number).await }).await
    }

    async fn allocations(&self, book: PaymentBook, numbers: Vec<String>) -> Stored<Vec<Allocation>> {
        self.db.ask(|db| async move { payments::allocations_of(&db, book, &numbers).await }).await
    }

    async fn accounts(&self, after: Option<String>, limit: u64) -> Stored<Accounts> {
        self.db.ask(|db| async move { payments::accounts(&db, after.as_deref(), limit).await }).await
    }

    async fn learned_payers(&self) -> Stored<Vec<LearnedPayer>> {
        self.db.ask(|db| async move { payments::learned(&db).await }).await
    }

    async fn payments_turn(&self) -> Stored<i64> {
        self.db.ask(|db| async move { payments::turn(&db).await }).await
    }

    async fn invoice_papers(&self, contract: &str) -> Stored<Vec<InvoicePaper>> {
        let contract = contract.to_owned();
        self.db.ask(|db| async move { invoicing::of_contract(&db, &contract).await }).await
    }

    async fn invoice_papers_of(&self, filter: PaperFilter) -> Stored<Vec<InvoicePaper>> {
        self.db.ask(|db| async move { invoicing::list(&db, &filter).await }).await
    }

    async fn revise_invoice_papers(
        &self,
        papers: Vec<InvoicePaper>,
        intakes: Vec<Intake>,
        now_ms: i64,
    ) -> Stored<bool> {
        papers.iter().try_for_each(invoicing::keepable)?;
        intakes.iter().try_for_each(limits::intake)?;
        let ask = Arc::new((papers, intakes));
        self.db.write(task!(ask; |txn| invoicing::revise(txn, &ask.0, &ask.1, now_ms).await)).await
    }

    async fn settle(&self, turn: i64, settlings: Vec<Settling>, now_ms: i64) -> Stored<bool> {
        settlings.iter().try_for_each(payments::settleable)?;
        let settlings = Arc::new(settlings);
        self.db.write(task!(settlings; |txn| payments::settle(txn, turn, &settlings, now_ms).await)).await
    }

    async fn cursor(&self, connection: &str, stream: &str) -> Stored<Option<String>> {
        let (connection, stream) = (connection.to_owned(), stream.to_owned());
        self.db.ask(|db| async move { read::cursor(&db, &connection, &stream).await }).await
    }

    async fn counts(&self) -> Stored<Vec<Count>> {
        self.db.ask(|db| async move { read::counts(&db).await }).await
    }

    async fn overview(&self) -> Stored<Vec<Overview>> {
        self.db.ask(|db| async move { read::overview(&db).await }).await
    }

    async fn parked(&self, from_ms: i64, before_ms: i64, but: &str) -> Stored<Vec<Parked>> {
        let but = but.to_owned();
        self.db.ask(|db| async move { attention::parked(&db, from_ms, before_ms, &but).await }).await
    }

    async fn health(&self, targets: Vec<String>, but: &str) -> Stored<Vec<Health>> {
        let but = but.to_owned();
        self.db.ask(|db| async move { attention::health(&db, &targets, &but).await }).await
    }

    async fn behind_parked(&self) -> Stored<BTreeMap<String, u64>> {
        self.db.ask(|db| async move { read::behind_parked(&db).await }).await
    }

    async fn hold(&self, subject: Subject, who: &str, why: &str, now_ms: i64) -> Stored<bool> {
        let ask = Arc::new(holds::Ask::new(&subject, who, why, now_ms)?);
        self.db.write(task!(ask; |txn| holds::hold(txn, &ask).await)).await
    }

    async fn release(&self, subject: Subject, who: &str, now_ms: i64) -> Stored<bool> {
        let ask = Arc::new(holds::Ask::new(&subject, who, "", now_ms)?);
        self.db.write(task!(ask; |txn| holds::release(txn, &ask).await)).await
    }

    async fn close_books(&self, closure: Closure) -> Stored<bool> {
        closures::check(&closure)?;
        let closure = Arc::new(closure);
        self.db.write(task!(closure; |txn| closures::close(txn, &closure).await)).await
    }

    async fn reopen_books(&self, month: &str, who: &str, now_ms: i64) -> Stored<bool> {
        limits::fits("who", who, limits::KEY)?;
        let (month, who) = (month.to_owned(), who.to_owned());
        self.db.write(task!(month, who; |txn| closures::reopen(txn, &month, &who, now_ms).await)).await
    }

    async fn closures(&self) -> Stored<Vec<Closure>> {
        self.db.ask(|db| async move { closures::list(&db).await }).await
    }

    async fn note_statement(&self, notes: Vec<Note>, intake: Option<Intake>, now_ms: i64) -> Stored<bool> {
        let ask = Arc::new(statements::Ask::new(notes, intake, now_ms)?);
        self.db.write(task!(ask; |txn| statements::add(txn, &ask).await)).await
    }

    async fn statement_notes(&self, wanted: &Wanted) -> Stored<Vec<Note>> {
        let wanted = wanted.clone();
        self.db.ask(|db| async move { statements::list(&db, &wanted).await }).await
    }

    async fn customers(&self, after: &str, limit: u64) -> Stored<Vec<String>> {
        let after = after.to_owned();
        self.db.ask(|db| async move { statements::customers(&db, &after, limit).await }).await
    }

    async fn holds(&self, ended_from_ms: i64) -> Stored<Vec<Hold>> {
        self.db.ask(|db| async move { holds::list(&db, ended_from_ms).await }).await
    }

    async fn attend(&self, process: &str, now_ms: i64, forgotten_ms: i64) -> Stored<()> {
        limits::fits("process", process, limits::KEY)?;
        let process = process.to_owned();
        self.db.write(task!(process; |txn| presence::attend(txn, &process, now_ms, forgotten_ms).await)).await
    }

    async fn depart(&self, process: &str) -> Stored<()> {
        let process = process.to_owned();
        self.db.write(task!(process; |txn| presence::depart(txn, &process).await)).await
    }

    async fn present(&self) -> Stored<Vec<Presence>> {
        self.db.ask(|db| async move { presence::list(&db).await }).await
    }

    async fn archivable(
        &self,
        before_ms: i64,
        after: Option<ArchivePlace>,
        limit: u64,
    ) -> Stored<Archivable> {
        self.db.ask(|db| async move { archive::archivable(&db, before_ms, after, limit).await }).await
    }

    async fn archive(&self, events: Vec<String>, before_ms: i64, file: &str, now_ms: i64) -> Stored<u64> {
        let ask = Arc::new(archive::Ask::new(events, before_ms, file, now_ms)?);
        self.db.write(task!(ask; |txn| archive::archive(txn, &ask).await)).await
    }

    async fn archived(&self, number: &str) -> Stored<Vec<Tombstone>> {
        let number = number.to_owned();
        self.db.ask(|db| async move { archive::find(&db, &number).await }).await
    }

    async fn table_rows(&self, table: Option<&str>) -> Stored<Vec<TableRow>> {
        let table = table.map(str::to_owned);
        self.db.ask(|db| async move { read::table_rows(&db, table.as_deref()).await }).await
    }

    async fn import_table(
        &self,
        table: &str,
        rows: Vec<TableRow>,
        mode: ImportMode,
    ) -> Stored<(u64, u64, u64)> {
        let import = Arc::new(tables::Import::new(table, rows, mode)?);
        self.db.write(task!(import; |txn| tables::import(txn, &import).await)).await
    }

    async fn tables_revision(&self) -> Stored<i64> {
        self.db.ask(|db| async move { tables::revision(&db).await }).await
    }

    async fn table_rows_at(&self, table: &str, revision: i64) -> Stored<Option<Vec<TableRow>>> {
        let table = table.to_owned();
        self.db.ask(|db| async move { tables::rows_at(&db, &table, revision).await }).await
    }

    async fn keep_mappings(&self, mappings: Vec<MappingVersion>, now_ms: i64) -> Stored<()> {
        mappings.iter().try_for_each(mappings::keepable)?;
        self.db.write(task!(mappings; |txn| mappings::keep(txn, &mappings, now_ms).await)).await
    }

    async fn mapping(&self, version: &str) -> Stored<Option<MappingVersion>> {
        let version = version.to_owned();
        self.db.ask(|db| async move { mappings::find(&db, &version).await }).await
    }

    async fn ping(&self) -> Stored<()> {
        self.db.ask(|db| async move { Ok(db.ping().await?) }).await
    }

    async fn close(&self) {
        self.accepts.close().await;
        self.begins.close().await;
        self.finishes.close().await;
        self.db.close().await;
    }
}
