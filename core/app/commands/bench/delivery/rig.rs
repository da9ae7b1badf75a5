//! What is measured: `tongbao serve` in a process of its own between this one, which sends, and a far side here that
//! takes everything at once. Documents are signed JSON contracts of ten lines; each becomes one sales order, put to the
//! far side over HTTP.

use crate::commands::bench::memory;
use crate::stage::CRM_SECRET;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::put;
use std::collections::HashMap;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tongbao_delivery::port::{ImportMode, TableRow};
use tongbao_store::StoreOptions;

/// How long the slow far side takes over each document.
pub const SLOW: Duration = Duration::from_millis(20);
/// Calls under way at once to the slow far side.
pub const SLOW_IN_FLIGHT: u32 = 16;
/// What the service logs.
const LOG: &str = "serve.log";
/// Nothing measured here takes longer.
const LIMIT: Duration = Duration::from_secs(300);

/// The far side: counts what arrives.
#[derive(Default)]
pub struct Far {
    arrived: AtomicU64,
    news: Notify,
    /// Arrival by business key, where somebody wants to know.
    times: Mutex<Option<HashMap<String, Instant>>>,
}

impl Far {
    /// How many have arrived in all.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Waits until so many have arrived in all.
    pub async fn reached(&self, count: u64) -> Result<(), String> {
        let waiting = async {
            loop {
                let news = self.news.notified();
                if self.arrived() >= count {
                    return;
                }
                news.await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, waiting).await;
        waited.map_err(|_| format!("{} of {count} documents arrived in {LIMIT:?}", self.arrived()))
    }

    /// Notes from now on when each arrives.
    pub fn note_times(&self) {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashMap::new());
    }

    /// What was noted.
    pub fn take_times(&self) -> HashMap<String, Instant> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    fn take(&self, key: String) {
        if let Some(times) = self.times.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            times.insert(key, Instant::now());
        }
        self.arrived.fetch_add(1, Ordering::Relaxed);
        self.news.notify_waiters();
    }
}

async fn order(State(far): State<Arc<Far>>, Path(key): Path<String>) -> &'static str {
    far.take(key);
    "{}"
}

async fn slow_order(State(far): State<Arc<Far>>, Path(key): Path<String>) -> &'static str {
    tokio::time::sleep(SLOW).await;
    far.take(key);
    "{}"
}

/// Where the service keeps things.
#[derive(Debug, Clone)]
pub struct Place {
    /// Folder for configuration and SQLite file.
    pub folder: PathBuf,
    /// Database.
    pub store: String,
    /// RabbitMQ address and prefix; embedded when absent.
    pub rabbit: Option<(String, String)>,
}

/// The running service and what stands around it.
pub struct Rig {
    /// The far side.
    pub far: Arc<Far>,
    child: Child,
    /// `http://…` of the service.
    pub url: String,
    /// From start to the first answer of `/readyz`: the first time, when queues are made, and after that.
    pub starts: [Duration; 2],
    http: reqwest::Client,
}

/// How long a service may take to end.
const END: Duration = Duration::from_secs(30);

/// Starts the service.
fn spawn(place: &Place, config: &FilePath) -> Result<Child, String> {
    Command::new(std::env::current_exe().map_err(text)?)
        .args(["-c", &config.display().to_string(), "serve"])
        .env("TONGBAO_BENCH_SECRET", CRM_SECRET)
        .env("TONGBAO_BENCH_DATABASE", &place.store)
        .env("TONGBAO_BENCH_AMQP", place.rabbit.as_ref().map_or("", |(url, _)| url))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(place.folder.join(LOG)).map_err(text)?)
        .spawn()
        .map_err(text)
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Rig {
    /// Starts it over an empty database.
    pub async fn start(place: &Place) -> Result<Rig, String> {
        import(&place.store).await?;
        let far = Arc::new(Far::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
        let far_address = listener.local_addr().map_err(text)?;
        let router = Router::new()
            .route("/orders/{key}", put(order))
            .route("/slow/{key}", put(slow_order))
            .with_state(far.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let listen = free_address().map_err(text)?;
        let config = write(place, &listen, &format!("http://{far_address}")).map_err(text)?;
        let http = reqwest::Client::builder().no_proxy().build().map_err(text)?;
        let begun = Instant::now();
        let (child, url) = (spawn(place, &config)?, format!("http://{listen}"));
        let mut rig = Rig { far, child, url, starts: [Duration::ZERO; 2], http };
        let first = rig.await_ready(place, begun).await?;
        rig.end().await?;
        let begun = Instant::now();
        rig.child = spawn(place, &config)?;
        rig.starts = [first, rig.await_ready(place, begun).await?];
        Ok(rig)
    }

    /// Waits until the service that was just started is ready; answers how long that took.
    async fn await_ready(&mut self, place: &Place, begun: Instant) -> Result<Duration, String> {
        if let Err(why) = self.ready().await {
            let said = std::fs::read_to_string(place.folder.join(LOG)).unwrap_or_default();
            return Err(format!("{why}\n{}", said.trim_end()));
        }
        Ok(begun.elapsed())
    }

    /// Ends the service in good order.
    async fn end(&mut self) -> Result<(), String> {
        let pid = self.child.id().to_string();
        let told = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().map_err(text)?;
        let deadline = Instant::now() + END;
        while told.success() && Instant::now() < deadline {
            if self.child.try_wait().map_err(text)?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err("the service does not end".to_owned())
    }

    async fn ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the service ended at its start: {status}"));
            }
            let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err("the service is not ready after a minute".to_owned())
    }

    /// Makes a connection stand still, or go on.
    pub async fn set_paused(&self, connection: &str, paused: bool) -> Result<(), String> {
        let verb = if paused { "pause" } else { "resume" };
        let url = format!("{}/api/connections/{connection}/{verb}", self.url);
        let answer = self.http.post(url).send().await.map_err(text)?;
        if answer.status() == 200 { Ok(()) } else { Err(format!("{verb}: HTTP {}", answer.status())) }
    }

    /// Waits until so many deliveries are posted in all.
    pub async fn posted(&self, count: u64) -> Result<(), String> {
        self.far.reached(count).await?;
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            let posted = self.metrics().await?.sum("tongbao_attempts_total", "next=\"posted\"");
            if posted >= number(count) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err("arrived, and not stored as posted".to_owned())
    }

    /// What the service exports now.
    pub async fn metrics(&self) -> Result<Metrics, String> {
        let answer = self.http.get(format!("{}/metrics", self.url)).send().await.map_err(text)?;
        Ok(Metrics(answer.text().await.map_err(text)?))
    }

    /// A line of the service's `/proc` status in MiB: `VmRSS` now, `VmHWM` at most so far.
    pub fn memory_mib(&self, what: &str) -> f64 {
        memory::mib(&self.child.id().to_string(), what)
    }

    /// CPU time spent so far, in seconds: by the service, by this process, by the machine.
    pub fn cpu(&self) -> [f64; 3] {
        [cpu_of(&self.child.id().to_string()), cpu_of("self"), cpu_of_machine()]
    }
}

/// A scrape.
pub struct Metrics(String);

impl Metrics {
    /// Sum of a metric over the series whose labels contain a text.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let lines = self.0.lines().filter(|line| line.starts_with(name) && line.contains(label));
        let ours = lines.filter(|line| line[name.len()..].starts_with(['{', ' ']));
        ours.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// For arithmetic with measured times; exact for every count that occurs here.
pub fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn import(store: &str) -> Result<(), String> {
    let store = tongbao_store::open(store, StoreOptions::default()).await.map_err(text)?;
    let overview = store.overview().await.map_err(text)?;
    if overview.iter().any(|one| one.backlog() > 0) {
        store.close().await;
        return Err("数据库不是空的，其中有未完成的投递，会一并计入；请给一个空库 / the database is not empty: deliveries wait in \
                    it and would be measured too; give an empty one"
            .to_owned());
    }
    for (table, source, target) in [("customers", "C1001", "CUST0001"), ("materials", "P-100", "MAT0001")] {
        let row = TableRow {
            table: table.into(),
            source: source.into(),
            target: target.into(),
            ..TableRow::default()
        };
        store.import_table(table, vec![row], ImportMode::Merge).await.map_err(text)?;
    }
    store.close().await;
    Ok(())
}

fn free_address() -> std::io::Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// The fields of an order that the shipped mapping sets.
const ORDER: &str = "fields:
  FBillTypeID: { FNUMBER: text! }
  FBillNo: text!
  FDate: datetime!
  FSaleOrgId: { FNumber: text! }
  FCustId: { FNumber: text! }
  FSalerId: { FNumber: text! }
  FNote: text
  FSaleOrderFinance: { FSettleCurrId: { FNumber: text! }, FIsIncludedTax: bool! }
  FSaleOrderEntry:
    - FMaterialId: { FNumber: text! }
      FUnitID: { FNumber: text! }
      FQty: quantity!
      FTaxPrice: price-tax-included!
      FEntryTaxRate: decimal!
      FIsFree: bool!
      FDeliveryDate: date!
      FEntryNote: text
";

/// Configuration and mappings: what is shipped for Kingdee, put to a plain JSON API.
fn write(place: &Place, listen: &str, far: &str) -> std::io::Result<PathBuf> {
    let mappings = place.folder.join("mappings");
    std::fs::create_dir_all(&mappings)?;
    let shipped = |name: &str| {
        let found = crate::stage::MAPPINGS.iter().find(|(path, _)| FilePath::new(path).ends_with(name));
        found.map(|(_, text)| text.split("\ntests:").next().unwrap_or(text)).unwrap_or_default()
    };
    std::fs::write(mappings.join("in.yaml"), shipped("webhook__contract.yaml"))?;
    let out = shipped("contract__kingdee-cloud.yaml");
    for name in ["order", "slow"] {
        let mapping = out
            .replace("\nset:\n", &format!("\n{ORDER}set:\n"))
            .replace("mapping: contract-to-kingdee-sales-order", &format!("mapping: contract-to-{name}"))
            .replace("to: kingdee-cloud/SAL_SaleOrder", &format!("to: webhook/{name}"));
        std::fs::write(mappings.join(format!("{name}.yaml")), mapping)?;
    }
    let broker = match &place.rabbit {
        None => "broker: { kind: embedded }".to_owned(),
        Some((_, prefix)) => {
            format!("broker: {{ kind: rabbitmq, url: {{ env: TONGBAO_BENCH_AMQP }}, prefix: {prefix} }}")
        }
    };
    let config = format!(
        "version: 1
server: {{ listen: {listen} }}
store: {{ url: {{ env: TONGBAO_BENCH_DATABASE }} }}
{broker}
mappings: [mappings]
connections:
  crm:
    connector: webhook
    settings: {{ secret: {{ env: TONGBAO_BENCH_SECRET }} }}
    receives:
      contract: {{ event: contract.signed, mapping: webhook-contract }}
  crm2:
    connector: webhook
    settings: {{ secret: {{ env: TONGBAO_BENCH_SECRET }} }}
    receives:
      contract: {{ event: contract.slow, mapping: webhook-contract }}
  far:
    connector: webhook
    settings: {{ base_url: '{far}', operations: {{ order: 'PUT /orders/{{key}}' }} }}
    delivery: {{ partitions: 8, in_flight: 64 }}
  slow:
    connector: webhook
    settings: {{ base_url: '{far}', operations: {{ slow: 'PUT /slow/{{key}}' }} }}
    delivery: {{ partitions: 8, in_flight: {SLOW_IN_FLIGHT} }}
flows:
  - {{ name: order, on: contract.signed, to: far, mapping: contract-to-order }}
  - {{ name: slow, on: contract.slow, to: slow, mapping: contract-to-slow }}
"
    );
    let path = place.folder.join("tongbao.yaml");
    std::fs::write(&path, config)?;
    Ok(path)
}

/// Clock ticks a second that `/proc` counts in; the same on every Linux one meets.
const TICKS: f64 = 100.0;

fn cpu_of(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold blanks: state is field 3, user and system time are 14 and 15.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

fn cpu_of_machine() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    // user, nice, system; then idle and waiting, which are not work; then interrupts.
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    let busy = ticks.iter().take(3).sum::<f64>() + ticks.iter().skip(5).take(2).sum::<f64>();
    busy / TICKS
}
