//! The service: everything wired together, started in order, stopped in order.

use crate::config::{
    self, BUILTIN, BrokerConfig, Config, INVOICING, InvoicingRules, Loaded, Matching, PAYMENTS,
    StatementRules,
};
use crate::files::watch::Watcher;
use crate::intake::Intaker;
use crate::mappings::{Mappings, Reloader};
use crate::masters;
use crate::notices::Notifier;
use crate::payments::Matcher;
use crate::pipeline::Pipeline;
use crate::poller::Poller;
use crate::routes::{Ids, Routes};
use crate::statements::answers::Gate;
use crate::statements::compared::Against;
use crate::statements::desk::{Desk, Office};
use crate::tables::TableCache;
use crate::telemetry::{self, Counters};
use crate::{api, archive, ingress, overview};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tongbao_connect::{Client, Context, Source};
use tongbao_delivery::broker::Broker;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::embedded::{Embedded, EmbeddedSettings};
use tongbao_delivery::engine::{Engine, EngineError, EngineParts, Stopped};
use tongbao_delivery::port::Store;
use tongbao_delivery::rabbit::{Rabbit, RabbitSettings};
use tongbao_delivery::settings::TargetSettings;

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error("数据库 / database: {0}")]
    Store(#[from] tongbao_delivery::port::StoreError),
    /// The broker or the engine's settings.
    #[error("消息中间件 / broker: {0}")]
    Engine(#[from] EngineError),
    /// Another process works on the same SQLite file.
    #[error("{0} 已被另一个 tongbao serve 占用 / is held by another `tongbao serve`: {1}")]
    Lock(String, String),
    /// The listening address.
    #[error("监听 {0} 失败 / cannot listen on {0}: {1}")]
    Listen(String, std::io::Error),
}

/// What requests see.
pub struct Service {
    /// Delivery.
    pub engine: Arc<Engine>,
    /// Store.
    pub store: Arc<dyn Store>,
    /// Broker, for health.
    pub broker: Arc<dyn Broker>,
    /// Intake.
    pub intaker: Arc<Intaker>,
    /// Sources by connection name.
    pub sources: HashMap<String, Arc<dyn Source>>,
    /// Reads master data and stock.
    pub desk: masters::Desk,
    /// Sends statements and takes their answers; `None`: it is not configured.
    pub statements: Option<Office>,
    /// Takes edited mappings over.
    pub reloader: Arc<Reloader>,
    /// Connections that deliveries go to.
    pub targets: Vec<String>,
    /// How payments are allocated, if they are.
    pub matching: Option<Matching>,
    /// What the control of invoices goes by, if there is any.
    pub invoicing: Option<InvoicingRules>,
    /// API token, if one is set.
    pub api_token: Option<SecretString>,
    /// Whether the API may answer without a token: it listens on loopback only.
    pub is_local: bool,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
}

impl Service {
    /// Now, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Whether it is being stopped.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Whether the intake takes nothing, because somebody said so.
    pub fn is_draining(&self) -> bool {
        self.engine.holds().intake().is_some()
    }

    /// What customers' books are held against each other by.
    pub fn against(&self) -> Against {
        let rules = self.statements.as_ref().map(|office| office.desk.rules.clone());
        Against::new(rules, &self.intaker.routes)
    }

    /// Looks at a key's waiting deliveries to a connection now instead of later. A failure changes nothing: they are
    /// looked at when they are due.
    pub async fn hasten(&self, connection: &str, key: &str) {
        match self.store.hasten(connection, key, self.now_ms()).await {
            Ok(0) => {}
            Ok(_) => self.engine.wake(),
            Err(error) => tracing::debug!(%error, connection, "hint not taken"),
        }
    }
}

/// A started service.
pub struct Running {
    /// What requests see.
    pub service: Arc<Service>,
    /// Where it listens.
    pub address: SocketAddr,
    stop_ms: u64,
    tasks: JoinSet<()>,
    /// Held as long as the service runs.
    _lock: Option<std::fs::File>,
}

/// The context connections are built with.
pub fn context() -> Context {
    install_crypto();
    let random = || fastrand::u64(..);
    Context {
        connection: String::new(),
        http: Client::new(),
        clock: Arc::new(|| SystemClock.now_ms()),
        random: Arc::new(random),
    }
}

/// One TLS provider for the whole process; a second call changes nothing.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Opens the store of a configuration.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, StartError> {
    let url = config.store.url.expose_secret();
    let url = sqlite_path(url, &config.folder);
    let options = tongbao_store::StoreOptions {
        connections: config.store.pool,
        ..tongbao_store::StoreOptions::default()
    };
    make_folder(&url);
    Ok(tongbao_store::open(&url, options).await?)
}

/// A relative SQLite path counts from the configuration's folder, whatever folder the process was started in.
fn sqlite_path(url: &str, folder: &Path) -> String {
    match url.strip_prefix("sqlite://") {
        Some(path) if !path.starts_with('/') && !path.starts_with(':') => {
            format!("sqlite://{}", folder.join(path).display())
        }
        _ => url.to_owned(),
    }
}

/// Folders whose disk must not fill up: of the database file, if it is one, and of the archive.
fn disks(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let url = sqlite_path(config.store.url.expose_secret(), &config.folder);
    let file = url.strip_prefix("sqlite://").map(|path| path.split('?').next().unwrap_or(path));
    let database = file.and_then(|file| Some(("database", Path::new(file).parent()?.to_owned())));
    let archive = config.retention.archive.clone().map(|folder| ("archive", folder));
    database.into_iter().chain(archive).collect()
}

/// With the embedded broker one process works on a SQLite file. The lock proves it, goes with the process however it
/// ends, and keeps a second one from starting.
fn lock_file(config: &Config) -> Result<Option<std::fs::File>, StartError> {
    let url = sqlite_path(config.store.url.expose_secret(), &config.folder);
    let (Some(path), BrokerConfig::Embedded) = (url.strip_prefix("sqlite://"), &config.broker) else {
        return Ok(None);
    };
    make_folder(&url);
    let path = format!("{}.lock", path.split('?').next().unwrap_or(path));
    let file =
        std::fs::File::create(&path).map_err(|error| StartError::Lock(path.clone(), error.to_string()))?;
    file.try_lock().map_err(|error| StartError::Lock(path, error.to_string()))?;
    Ok(Some(file))
}

/// Leases are not waited for when their holder is surely gone, and nothing it had sent can do harm any more. Before the
/// engine starts, which puts back what the earlier process had in memory.
async fn take_over(store: &dyn Store, targets: &[TargetSettings], now_ms: i64) -> Result<(), StartError> {
    let safe = targets.iter().filter(|target| target.refuses_twice);
    store.expire_leases(safe.map(|target| target.name.clone()).collect(), now_ms).await?;
    Ok(())
}

/// The folder of a SQLite file. What goes wrong here is told by the open that follows.
fn make_folder(url: &str) {
    let path = url.strip_prefix("sqlite://").map(|path| path.split('?').next().unwrap_or(path));
    if let Some(parent) = path.and_then(|path| Path::new(path).parent()) {
        let _ = std::fs::create_dir_all(parent);
    }
}

/// Whether the broker can be reached, in words.
pub async fn probe_broker(config: &Config) -> Result<String, String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let broker = open_broker(config, &clock).map_err(|error| error.to_string())?;
    // A broker connects in the background; it has this long to say that it did.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let health = broker.health();
        if health.ready || tokio::time::Instant::now() >= deadline {
            broker.close().await;
            return if health.ready { Ok(health.detail) } else { Err(health.detail) };
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn open_broker(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Broker>, StartError> {
    Ok(match &config.broker {
        BrokerConfig::Embedded => Arc::new(Embedded::new(EmbeddedSettings::default(), clock.clone())),
        BrokerConfig::Rabbit { url, more_urls, prefix, ca_pem } => {
            let settings = RabbitSettings {
                more_urls: more_urls.iter().map(|url| url.expose_secret().to_owned()).collect(),
                prefix: prefix.clone(),
                ca_pem: ca_pem.as_ref().map(|pem| pem.expose_secret().to_owned()),
                ..RabbitSettings::new(url.expose_secret())
            };
            Arc::new(Rabbit::start(settings, clock.clone()).map_err(EngineError::from)?)
        }
    })
}

impl Running {
    /// Starts everything: store, broker, engine, HTTP server, pollers.
    pub async fn start(loaded: Loaded) -> Result<Running, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let lock = lock_file(&loaded.config)?;
        let store = open_store(&loaded.config).await?;
        let tables = Arc::new(TableCache::load(store.clone()).await?);
        let mappings = Arc::new(Mappings::new(loaded.mappings.clone()));
        let reloader =
            Reloader::start(&loaded, mappings.clone(), tables.clone(), store.clone(), clock.clone()).await?;
        let reloader = Arc::new(reloader);
        let intaker = Arc::new(intaker(&loaded, mappings, tables.clone()));
        let targets =
            loaded.connections.iter().filter_map(|(name, built)| Some((name.clone(), built.target.clone()?)));
        let statements = loaded.config.statements.clone().map(Arc::new);
        let pipeline = Pipeline {
            store: store.clone(),
            intaker: intaker.clone(),
            targets: targets.collect(),
            invoicing: loaded.config.invoicing.clone(),
            statements: statements.clone(),
        };
        let broker = open_broker(&loaded.config, &clock)?;
        let settings = target_settings(&loaded);
        if lock.is_some() {
            take_over(store.as_ref(), &settings, clock.now_ms()).await?;
        }
        let engine = Engine::start(EngineParts {
            store: store.clone(),
            broker: broker.clone(),
            handler: Arc::new(pipeline),
            clock: clock.clone(),
            observer: Arc::new(Counters),
            targets: settings,
            worker_name: format!("{}-{}", std::process::id(), Ids::Uuid.fresh()),
            relay: loaded.config.relay.clone(),
        })
        .await?;
        let listen = loaded.config.server.listen.clone();
        let listener = tokio::net::TcpListener::bind(&listen)
            .await
            .map_err(|error| StartError::Listen(listen.clone(), error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(listen, error))?;
        let stopping = CancellationToken::new();
        let sources =
            loaded.connections.iter().filter_map(|(name, built)| Some((name.clone(), built.source.clone()?)));
        let masters = loaded
            .connections
            .iter()
            .filter_map(|(name, built)| Some((name.clone(), built.masters.clone()?)));
        let engine = Arc::new(engine);
        let office = statements.map(|rules| office(rules, &store, &intaker, &engine, &clock));
        let service = Arc::new(Service {
            engine,
            store,
            broker,
            intaker,
            sources: sources.collect(),
            desk: masters::Desk::new(masters),
            reloader: reloader.clone(),
            statements: office,
            targets: overview::targets(&loaded),
            api_token: loaded.config.server.api_token.clone(),
            matching: config::allocates(&loaded.config).then(|| loaded.config.matching.clone()),
            invoicing: config::controls_invoices(&loaded.config).then(|| loaded.config.invoicing.clone()),
            is_local: address.ip().is_loopback(),
            clock,
            stopping: stopping.clone(),
        });
        if let Some(hold) = service.engine.holds().intake() {
            let (by, reason) = (&hold.who, &hold.why);
            tracing::warn!(by, reason, "draining: nothing is taken in until `tongbao drain --undo`");
        }
        let polled = loaded.config.connections.iter().filter(|connection| !connection.polls.is_empty());
        telemetry::zero(&service.targets, polled.map(|connection| &connection.name));
        let mut tasks = JoinSet::new();
        let router = router(service.clone(), loaded.config.server.body_bytes_max);
        let graceful = stopping.clone();
        tasks.spawn(async move {
            let serve = axum::serve(listener, router)
                .with_graceful_shutdown(async move { graceful.cancelled().await });
            if let Err(error) = serve.await {
                tracing::error!(%error, "the HTTP server stopped");
            }
        });
        spawn_pollers(&service, &loaded, &stopping, &mut tasks);
        spawn_watchers(&service, &loaded.config.folder, &stopping, &mut tasks);
        tasks.spawn(notifier(&service, &loaded.config).keep(stopping.clone()));
        if config::allocates(&loaded.config) {
            tasks.spawn(matcher(&service, &loaded.config).keep(stopping.clone()));
        }
        if let Some(office) = &service.statements {
            tasks.spawn(office.desk.clone().keep(stopping.clone()));
        }
        tasks.spawn(follow_tables(tables, stopping.clone()));
        tasks.spawn(reloader.keep(stopping.clone()));
        let retention = loaded.config.retention.clone();
        tasks.spawn(archive::keep(service.store.clone(), retention, stopping.clone()));
        tasks.spawn(overview::keep(service.clone(), disks(&loaded.config), stopping.clone()));
        tasks.spawn(telemetry::keep(stopping));
        Ok(Running { service, address, stop_ms: loaded.config.server.stop_ms, tasks, _lock: lock })
    }

    /// Stops in order: no new requests or polls, calls under way finish and are stored, then broker and store close.
    pub async fn stop(mut self) -> Stopped {
        self.service.stopping.cancel();
        let deadline = Duration::from_millis(self.stop_ms);
        let quiet =
            tokio::time::timeout(deadline, async { while self.tasks.join_next().await.is_some() {} }).await;
        self.tasks.shutdown().await;
        let stopped = self.service.engine.stop(deadline).await;
        self.service.store.close().await;
        Stopped { clean: stopped.clean && quiet.is_ok() }
    }
}

/// Intake of a loaded configuration.
pub fn intaker(loaded: &Loaded, mappings: Arc<Mappings>, tables: Arc<TableCache>) -> Intaker {
    let receives = loaded
        .config
        .connections
        .iter()
        .map(|connection| {
            let polled = connection.polls.iter().map(|polls| polls.receives.clone());
            (connection.name.clone(), connection.receives.iter().cloned().chain(polled).collect())
        })
        .collect();
    Intaker { receives, mappings, tables, routes: Routes::new(loaded.config.flows.clone(), Ids::Uuid) }
}

/// How each connection that deliveries go to is served, the built-in ones included.
pub fn target_settings(loaded: &Loaded) -> Vec<TargetSettings> {
    let built = |name: &str| loaded.connections.get(name).and_then(|built| built.target.as_ref());
    let mut targets: Vec<TargetSettings> = loaded
        .config
        .connections
        .iter()
        .filter_map(|connection| {
            let target = built(&connection.name)?;
            // Where nobody is asked, nothing is gained by waiting for a lost call to take effect.
            let refuses_twice = target.refuses_twice() || target.repeats();
            Some(TargetSettings { refuses_twice, ..connection.target.clone() })
        })
        .collect();
    let is_needed = |name: &&str| match *name {
        PAYMENTS => config::allocates(&loaded.config),
        INVOICING => config::controls_invoices(&loaded.config),
        _ => true,
    };
    let builtin = BUILTIN.into_iter().filter(is_needed);
    targets.extend(
        builtin.map(|name| TargetSettings { name: name.to_owned(), ..loaded.config.builtin.clone() }),
    );
    targets
}

fn office(
    rules: Arc<StatementRules>,
    store: &Arc<dyn Store>,
    intaker: &Intaker,
    engine: &Arc<Engine>,
    clock: &Arc<dyn Clock>,
) -> Office {
    let (clock, engine) = (clock.clone(), engine.clone());
    let desk = Desk {
        rules,
        store: store.clone(),
        routes: intaker.routes.clone(),
        wake: Arc::new(move || engine.wake()),
        clock: Arc::new(move || clock.now_ms()),
    };
    Office { desk: Arc::new(desk), gate: Gate::default() }
}

fn notifier(service: &Arc<Service>, config: &Config) -> Notifier {
    let (clock, engine) = (service.clock.clone(), service.engine.clone());
    let polled = config.connections.iter().flat_map(|connection| {
        connection.polls.iter().map(|polls| (connection.name.clone(), polls.receives.kind.clone()))
    });
    Notifier {
        rules: config.notices.clone(),
        store: service.store.clone(),
        polled: polled.collect(),
        routes: service.intaker.routes.clone(),
        link: config.server.public_url.clone(),
        wake: Arc::new(move || engine.wake()),
        clock: Arc::new(move || clock.now_ms()),
    }
}

fn matcher(service: &Arc<Service>, config: &Config) -> Matcher {
    let (clock, engine) = (service.clock.clone(), service.engine.clone());
    Matcher {
        matching: config.matching.clone(),
        store: service.store.clone(),
        routes: service.intaker.routes.clone(),
        wake: Arc::new(move || engine.wake()),
        clock: Arc::new(move || clock.now_ms()),
    }
}

fn spawn_pollers(
    service: &Arc<Service>,
    loaded: &Loaded,
    stopping: &CancellationToken,
    tasks: &mut JoinSet<()>,
) {
    for connection in &loaded.config.connections {
        let Some(source) = service.sources.get(&connection.name) else { continue };
        for polls in &connection.polls {
            let clock = service.clock.clone();
            let poller = Poller {
                connection: connection.name.clone(),
                polls: polls.clone(),
                source: source.clone(),
                intaker: service.intaker.clone(),
                store: service.store.clone(),
                engine: service.engine.clone(),
                clock: Arc::new(move || clock.now_ms()),
            };
            tasks.spawn(poller.run(stopping.clone()));
        }
    }
}

fn spawn_watchers(
    service: &Arc<Service>,
    folder: &Path,
    stopping: &CancellationToken,
    tasks: &mut JoinSet<()>,
) {
    for (connection, source) in &service.sources {
        let Some(watch) = source.files().and_then(tongbao_connect::Files::watch) else { continue };
        let clock = service.clock.clone();
        let watcher = Watcher {
            connection: connection.clone(),
            folder: folder.join(watch.folder),
            pause: Duration::from_millis(watch.every_ms),
            source: source.clone(),
            intaker: service.intaker.clone(),
            engine: service.engine.clone(),
            clock: Arc::new(move || clock.now_ms()),
        };
        tasks.spawn(watcher.run(stopping.clone()));
    }
}

/// Follows imports made by other processes.
async fn follow_tables(tables: Arc<TableCache>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
        if let Err(error) = tables.refresh().await {
            tracing::debug!(%error, "code tables not refreshed");
        }
    }
}

fn router(service: Arc<Service>, body_bytes_max: usize) -> Router {
    Router::new()
        .route("/in/{connection}", post(ingress::receive))
        .route("/in/{connection}/{*path}", post(ingress::receive))
        .route(
            "/s/{token}",
            get(api::link::look)
                .post(api::link::answer)
                .layer(DefaultBodyLimit::max(api::link::BODY_BYTES_MAX)),
        )
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .route("/metrics", get(|| async { telemetry::metrics().render() }))
        .nest("/api", api::router(service.clone()))
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .with_state(service)
}
