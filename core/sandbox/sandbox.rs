//! A running sandbox: its listeners and the functions tests and the demo use directly.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, sync::Mutex, time::Duration};

use axum::Router;
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    catalogue,
    clock::Clock,
    config::{Lifecycle, SandboxConfig},
    control,
    faults::{Faults, Rule},
    kingdee::{self, Kingdee, ReceiptSpec, receipts, receivables},
    mail,
    masters::{self, MasterSpec, StockSpec},
    nuonuo,
    state::{self, CrmWrite, InvoiceState, OrderState, ReceiptState},
    u8::{self, U8Change},
    wire::{
        conn::{ConnHandle, CutListener, Live},
        drive,
    },
    world::{World, lock},
};

/// Time running requests get at shutdown before their connections are cut.
const GRACE: Duration = Duration::from_secs(2);
/// How often invoices that move by the clock are looked at.
const TICK: Duration = Duration::from_millis(50);

/// Stand-ins of all far sides in this process.
///
/// Call [`Sandbox::shutdown`] to end it; dropping it ends the listeners too, without waiting.
pub struct Sandbox {
    pub(crate) world: Arc<World>,
    protocol: SocketAddr,
    control: SocketAddr,
    pub(crate) mail: SocketAddr,
    stop: watch::Sender<bool>,
    live: Live,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("protocol", &self.protocol).field("control", &self.control).finish()
    }
}

impl Sandbox {
    /// Binds all listeners and starts serving.
    ///
    /// # Errors
    /// When a port cannot be bound.
    pub async fn start(config: SandboxConfig) -> io::Result<Self> {
        let protocol = TcpListener::bind(("127.0.0.1", config.protocol_port)).await?;
        let control_listener = TcpListener::bind(("127.0.0.1", config.control_port)).await?;
        let (mail_listener, mail) = mail::bind(config.mail_port).await?;
        let (stop, stopped) = watch::channel(false);
        let (callbacks, queue) = mpsc::channel(config.nuonuo.callback_queue.max(1));
        let kingdee = Kingdee::new(&config.kingdee);
        if config.default_catalogue {
            catalogue::load_default(&kingdee);
        }
        let world = Arc::new(World {
            clock: Clock::new(config.fixed_clock_ms),
            faults: Faults::new(config.seed),
            calls: Mutex::default(),
            kingdee,
            nuonuo: Mutex::default(),
            crm: Mutex::default(),
            jdy: Mutex::default(),
            u8: Mutex::new(u8::State::new(config.default_catalogue)),
            esign: Mutex::default(),
            fadada: Mutex::default(),
            wecom: Mutex::default(),
            dingtalk: Mutex::default(),
            mail: Mutex::default(),
            callbacks,
            stop: stopped.clone(),
            config,
        });
        if world.config.default_catalogue {
            masters::load_default(&world);
        }
        let live = Live::default();
        let addresses = (protocol.local_addr()?, control_listener.local_addr()?);
        let mut tasks = vec![
            serve_protocol(protocol, live.clone(), Arc::clone(&world), stopped.clone()),
            serve_control(control_listener, live.clone(), Arc::clone(&world), stopped.clone()),
            mail::serve(mail_listener, Arc::clone(&world), stopped.clone()),
            tokio::spawn(nuonuo::run_callbacks(Arc::clone(&world), queue, stopped.clone())),
        ];
        if let Lifecycle::Clock(..) = world.config.nuonuo.lifecycle {
            tasks.push(tokio::spawn(tick(Arc::clone(&world), stopped)));
        }
        Ok(Self { world, protocol: addresses.0, control: addresses.1, mail, stop, live, tasks })
    }

    /// Base of the protocol listener, `http://127.0.0.1:<port>`. The Kingdee base is this plus `/k3cloud/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.protocol)
    }

    /// Base of the control listener.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// Stops accepting, lets running requests finish, cuts what does not end by itself and waits for every task.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let tasks = std::mem::take(&mut self.tasks);
        let live = self.live.clone();
        let cut = tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            live.cut_all();
        });
        for task in tasks {
            let _ = task.await;
        }
        cut.abort();
    }

    /// The settings it was started with.
    #[must_use]
    pub fn config(&self) -> &SandboxConfig {
        &self.world.config
    }

    /// The virtual clock, Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.world.clock.now_ms()
    }

    /// Moves the virtual clock and everything that hangs on it; the new now.
    pub fn advance_ms(&self, ms: i64) -> i64 {
        let now = self.world.clock.advance(ms);
        nuonuo::tick(&self.world);
        u8::tick(&self.world);
        now
    }

    /// Scripts a fault.
    pub fn fault(&self, rule: Rule) {
        self.world.faults.add(rule);
    }

    /// Removes all scripted faults; the counters stay.
    pub fn clear_faults(&self) {
        self.world.faults.clear();
    }

    /// Faults injected so far, by kind.
    #[must_use]
    pub fn faults_injected(&self) -> BTreeMap<String, u64> {
        self.world.faults.injected()
    }

    /// Calls so far, as `"kingdee Save" -> 3`.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        state::calls(&self.world)
    }

    /// Adds customers `(code, name)` to both ERPs; how many are new to Kingdee.
    pub fn seed_customers(&self, items: impl IntoIterator<Item = (String, String)>) -> usize {
        catalogue::load_both(&self.world, ("BD_Customer", "customer"), items)
    }

    /// Adds materials `(code, name)` to both ERPs; how many are new to Kingdee.
    pub fn seed_materials(&self, items: impl IntoIterator<Item = (String, String)>) -> usize {
        catalogue::load_both(&self.world, ("BD_MATERIAL", "inventory"), items)
    }

    /// Puts a customer or a material (`customers`, `materials`) into both ERPs, or changes it there.
    ///
    /// # Errors
    /// The list is neither of the two.
    pub fn put_master(&self, list: &str, spec: &MasterSpec) -> Result<(), String> {
        masters::put(&self.world, list, spec)
    }

    /// Takes a customer or a material out of both ERPs.
    ///
    /// # Errors
    /// It is not there.
    pub fn remove_master(&self, list: &str, code: &str) -> Result<(), String> {
        masters::remove(&self.world, list, code)
    }

    pub(crate) fn kingdee_masters(&self, list: &str) -> Result<Vec<(String, bool)>, String> {
        masters::kingdee_rows(&self.world, list)
    }

    pub(crate) fn u8_archive(&self, archive: &str) -> Vec<(String, bool)> {
        u8::archive_rows(&self.world, archive)
    }

    /// Puts a lot of a material into a warehouse of both ERPs.
    pub fn add_stock(&self, spec: &StockSpec) {
        masters::add_stock(&self.world, spec);
    }

    /// Adds audited base data to any form (`BD_Saler`, `BD_Department`, …); how many are new.
    pub fn seed_base(&self, form: &str, items: impl IntoIterator<Item = (String, String)>) -> usize {
        catalogue::load(&self.world.kingdee, form, items)
    }

    /// All sales orders, by id.
    #[must_use]
    pub fn orders(&self) -> Vec<OrderState> {
        state::orders(&self.world)
    }

    /// One sales order.
    #[must_use]
    pub fn order(&self, number: &str) -> Option<OrderState> {
        state::order(&self.world, number)
    }

    /// All receipts, by id.
    #[must_use]
    pub fn receipts(&self) -> Vec<ReceiptState> {
        state::receipts(&self.world, receipts::RECEIPT)
    }

    /// All refunds, by id.
    #[must_use]
    pub fn refunds(&self) -> Vec<ReceiptState> {
        state::receipts(&self.world, receipts::REFUND)
    }

    /// Any bill or base-data record with all its fields.
    #[must_use]
    pub fn bill(&self, form: &str, number: &str) -> Option<Value> {
        state::bill(&self.world, form, number)
    }

    /// Books an audited receipt of `amount` yuan on an audited order; its id.
    ///
    /// # Errors
    /// When the order is missing or not audited, or the receipt number is taken.
    pub fn pay(&self, order: &str, amount: Decimal, receipt: &str) -> Result<i64, String> {
        receipts::pay(&self.world, order, amount, receipt)
    }

    /// Books a receipt of any shape (several orders, fee, foreign currency, back-dated, unaudited); its id.
    ///
    /// # Errors
    /// When the number is taken or no customer can be found.
    pub fn book_receipt(&self, spec: &ReceiptSpec) -> Result<i64, String> {
        receipts::book(&self.world, spec)
    }

    /// Books an audited receivable of `amount` yuan with tax for a sales order; its id.
    ///
    /// # Errors
    /// When there is no such order, or the number is taken.
    pub fn book_receivable(&self, order: &str, amount: Decimal, number: &str) -> Result<i64, String> {
        receivables::book(&self.world, order, amount, number)
    }

    /// Voids a receivable.
    ///
    /// # Errors
    /// When there is no such receivable.
    pub fn void_receivable(&self, number: &str) -> Result<(), String> {
        receivables::void(&self.world, number)
    }

    /// Changes the amount of a receipt's first entry.
    ///
    /// # Errors
    /// When there is no such receipt.
    pub fn change_receipt(&self, receipt: &str, amount: Decimal) -> Result<(), String> {
        receipts::change(&self.world, receipt, receipts::Change::Amount(amount))
    }

    /// Audits a receipt.
    ///
    /// # Errors
    /// When there is no such receipt.
    pub fn audit_receipt(&self, receipt: &str) -> Result<(), String> {
        receipts::change(&self.world, receipt, receipts::Change::Audit)
    }

    /// Un-audits a receipt.
    ///
    /// # Errors
    /// When there is no such receipt.
    pub fn unaudit_receipt(&self, receipt: &str) -> Result<(), String> {
        receipts::change(&self.world, receipt, receipts::Change::Unaudit)
    }

    /// Voids a receipt (`FCancelStatus` `B`).
    ///
    /// # Errors
    /// When there is no such receipt.
    pub fn void_receipt(&self, receipt: &str) -> Result<(), String> {
        receipts::change(&self.world, receipt, receipts::Change::Void)
    }

    /// Deletes a receipt.
    ///
    /// # Errors
    /// When there is no such receipt.
    pub fn delete_receipt(&self, receipt: &str) -> Result<(), String> {
        receipts::change(&self.world, receipt, receipts::Change::Delete)
    }

    /// Books an audited refund of an order; its id.
    ///
    /// # Errors
    /// When the order is missing or the number is taken.
    pub fn refund(&self, order: &str, amount: Decimal, refund: &str) -> Result<i64, String> {
        receipts::refund(&self.world, order, amount, refund)
    }

    /// All sales orders of U8, in the order they came.
    #[must_use]
    pub fn u8_orders(&self) -> Vec<OrderState> {
        u8::orders(&self.world)
    }

    /// One sales order of U8.
    #[must_use]
    pub fn u8_order(&self, number: &str) -> Option<OrderState> {
        self.u8_orders().into_iter().find(|order| order.number == number)
    }

    /// All receipts of U8, in the order they came.
    #[must_use]
    pub fn u8_receipts(&self) -> Vec<ReceiptState> {
        u8::receipts(&self.world)
    }

    /// Any document of U8 with all its tags.
    #[must_use]
    pub fn u8_document(&self, roottag: &str, number: &str) -> Option<Value> {
        u8::document(&self.world, roottag, number)
    }

    /// Books a receipt of `amount` yuan on an order in U8; its id.
    ///
    /// # Errors
    /// When the order is missing, or the receipt number is taken.
    pub fn u8_pay(&self, order: &str, amount: Decimal, receipt: &str) -> Result<i64, String> {
        u8::pay(&self.world, order, amount, receipt)
    }

    /// Books a receipt of any shape in U8; its id.
    ///
    /// # Errors
    /// When the number is taken or no customer can be found.
    pub fn u8_book(&self, spec: &ReceiptSpec) -> Result<i64, String> {
        u8::book(&self.world, spec)
    }

    /// Changes or deletes a receipt in U8.
    ///
    /// # Errors
    /// When there is no such receipt or row.
    pub fn u8_change(&self, receipt: &str, change: &U8Change) -> Result<(), String> {
        u8::change(&self.world, receipt, change)
    }

    /// Hides a record from the integration user's queries and views, or shows it again (data permission).
    pub fn hide(&self, form: &str, number: &str, hidden: bool) {
        kingdee::hide(&self.world, form, number, hidden);
    }

    /// Ends all ERP sessions, as a restart of the site does.
    pub fn drop_sessions(&self) {
        lock(&self.world.kingdee.sessions).drop_all();
    }

    /// Ends all tokens of the e-invoice platform, of U8's OpenAPI and of 法大大.
    pub fn drop_tokens(&self) {
        lock(&self.world.nuonuo).tokens.clear();
        lock(&self.world.u8).drop_tokens();
        lock(&self.world.fadada).tokens.clear();
    }

    /// All invoices in the order they were accepted.
    #[must_use]
    pub fn invoices(&self) -> Vec<InvoiceState> {
        state::invoices(&self.world)
    }

    /// One invoice by its order number.
    #[must_use]
    pub fn invoice(&self, order_no: &str) -> Option<InvoiceState> {
        state::invoice(&self.world, order_no)
    }

    /// Brings one waiting invoice, or all, to the end at once; how many ended.
    pub fn settle_invoices(&self, order_no: Option<&str>) -> usize {
        nuonuo::settle(&self.world, order_no)
    }

    /// Sets the state new red-letter confirmations get (`01` unless set).
    pub fn red_bill_default(&self, status: &str) {
        lock(&self.world.nuonuo).new_bill_status = Some(status.to_owned());
    }

    /// Sets the state of one red-letter confirmation; false when there is none.
    pub fn set_red_bill(&self, bill_id: &str, status: &str) -> bool {
        nuonuo::set_bill_status(&self.world, bill_id, status)
    }

    /// Red-letter confirmations: the caller's number and the state of each.
    #[must_use]
    pub fn red_bills(&self) -> Vec<(String, String)> {
        let state = lock(&self.world.nuonuo);
        state.bills.values().map(|bill| (bill.bill_id.clone(), bill.status.clone())).collect()
    }

    /// Logs the seller out of (or back in to) the tax bureau: nothing can be issued meanwhile.
    pub fn bureau_logged_out(&self, logged_out: bool) {
        lock(&self.world.nuonuo).bureau_logged_out = logged_out;
    }

    /// Sends a forged callback; false when the queue is full.
    pub fn forge_callback(&self, url: &str, content: &Value) -> bool {
        nuonuo::forge(&self.world, url, content)
    }

    /// Callback tries so far: order number, HTTP status (0 without an answer), acknowledged.
    #[must_use]
    pub fn callbacks(&self) -> Vec<(String, u16, bool)> {
        lock(&self.world.nuonuo).callbacks_sent.clone()
    }

    /// Puts a CRM record in place.
    pub fn seed_crm(&self, collection: &str, id: &str, fields: Map<String, Value>) {
        lock(&self.world.crm).seed(collection, id, fields);
    }

    /// A CRM record.
    #[must_use]
    pub fn crm_record(&self, collection: &str, id: &str) -> Option<Value> {
        lock(&self.world.crm).record(collection, id)
    }

    /// All CRM writes, oldest first.
    #[must_use]
    pub fn crm_writes(&self) -> Vec<CrmWrite> {
        lock(&self.world.crm).history()
    }

    /// The writes of one CRM record, oldest first.
    #[must_use]
    pub fn crm_writes_of(&self, collection: &str, id: &str) -> Vec<CrmWrite> {
        lock(&self.world.crm).history_of(collection, id)
    }

    /// Puts a Jiandaoyun record in place.
    pub fn seed_jdy(&self, app_id: &str, entry_id: &str, data_id: &str, widgets: Map<String, Value>) {
        lock(&self.world.jdy).seed(app_id, entry_id, data_id, widgets);
    }

    /// The widgets of a Jiandaoyun record.
    #[must_use]
    pub fn jdy_record(&self, data_id: &str) -> Option<Value> {
        lock(&self.world.jdy).record(data_id)
    }

    /// All Jiandaoyun updates, oldest first.
    #[must_use]
    pub fn jdy_writes(&self) -> Vec<CrmWrite> {
        lock(&self.world.jdy).history()
    }

    /// Totals over everything in one object.
    #[must_use]
    pub fn summary(&self) -> Value {
        state::summary(&self.world)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        for task in &self.tasks {
            task.abort();
        }
        self.live.cut_all();
    }
}

async fn until_stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

fn serve_protocol(
    listener: TcpListener,
    live: Live,
    world: Arc<World>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let app = Router::new().fallback(drive::serve).with_state(world);
    run(listener, live, app, stop)
}

fn serve_control(
    listener: TcpListener,
    live: Live,
    world: Arc<World>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    run(listener, live, control::router(world), stop)
}

fn run(listener: TcpListener, live: Live, app: Router, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let listener = CutListener::new(listener, live);
        let service = app.into_make_service_with_connect_info::<ConnHandle>();
        let served = axum::serve(listener, service).with_graceful_shutdown(until_stopped(stop)).await;
        if let Err(error) = served {
            tracing::error!(%error, "sandbox listener ended");
        }
    })
}

async fn tick(world: Arc<World>, stop: watch::Receiver<bool>) {
    let mut stop = stop;
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => nuonuo::tick(&world),
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
    }
}
