//! The whole of it in one process: the example configuration's service against the stand-ins. The demo, the
//! benchmarks and the tests stand on it.

use crate::config::{self, Environment, Loaded};
use crate::service::{self, Running};
use rust_decimal::Decimal;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tongbao_delivery::port::{Count, ImportMode, State, Store, Stored, TableRow};
use tongbao_mapping::Files;
use tongbao_sandbox::{OrderState, Sandbox, SandboxConfig};

/// The example configuration, as shipped.
pub const EXAMPLE: &str = include_str!("../../deploy/tongbao.yaml");

/// What takes the place of parts of it where the ERP is Yonyou U8, as shipped.
pub const EXAMPLE_U8: &str = include_str!("../../deploy/erp-yonyou-u8.yaml");

/// The same where it is Yonyou U8 by its OpenAPI.
pub const EXAMPLE_U8_OPENAPI: &str = include_str!("../../deploy/erp-yonyou-u8-openapi.yaml");

/// The shipped mapping files and their fixtures, by their path below `mappings/`.
pub const MAPPINGS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/mappings.rs"));

/// Reads the shipped files that lie beside one of them, for a mapping that builds on another.
pub struct BesideShipped<'a>(pub &'a str);

impl Files for BesideShipped<'_> {
    fn read(&self, name: &str) -> Result<String, String> {
        let folder = self.0.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = format!("{folder}/{name}");
        let found = MAPPINGS.iter().find(|(known, _)| *known == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| format!("{path}: not shipped"))
    }
}

/// Secret the stand-in of the CRM signs with.
pub const CRM_SECRET: &str = "stage-webhook-secret";

/// Which ERP stands on the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Erp {
    /// Kingdee Cloud Galaxy: orders are audited by the connector.
    #[default]
    Kingdee,
    /// Yonyou U8 over EAI: orders stay unaudited.
    YonyouU8,
    /// The same U8 by its OpenAPI: orders are accepted first and imported behind that.
    YonyouU8OpenApi,
}

/// How a stage is set.
#[derive(Debug, Clone)]
pub struct StageOptions {
    /// Folder for configuration, mappings and the SQLite file.
    pub folder: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    pub listen: String,
    /// Database; the folder's SQLite file when absent.
    pub store: Option<String>,
    /// RabbitMQ address and prefix; embedded when absent.
    pub rabbit: Option<(String, String)>,
    /// First pause before a retry, in milliseconds.
    pub retry_ms: u64,
    /// Pause between polls, in milliseconds.
    pub poll_ms: u64,
    /// Deliveries under way at once per connection.
    pub in_flight: u16,
    /// The ERP.
    pub erp: Erp,
}

/// A running stage.
pub struct Stage {
    /// The far sides.
    pub sandbox: Sandbox,
    /// The service.
    pub running: Running,
    /// Where its configuration lies.
    pub config: PathBuf,
    /// The ERP.
    pub erp: Erp,
}

impl StageOptions {
    /// Quick retries and polls in a folder.
    pub fn quick(folder: impl Into<PathBuf>) -> Self {
        StageOptions {
            folder: folder.into(),
            listen: "127.0.0.1:0".into(),
            store: None,
            rabbit: None,
            retry_ms: 200,
            poll_ms: 250,
            in_flight: 16,
            erp: Erp::default(),
        }
    }
}

/// Writes the configuration and the mappings of a stage into its folder; answers the configuration's path.
pub fn write_files(options: &StageOptions, sandbox_url: &str, listen: &str) -> io::Result<PathBuf> {
    let mappings = options.folder.join("mappings");
    for (name, text) in MAPPINGS {
        let path = mappings.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    // Addresses of servers hold passwords: the file only ever refers to them.
    let store = if options.store.is_some() { "{ env: TONGBAO_DATABASE_URL }" } else { "sqlite://tongbao.db" };
    let delivery = format!(
        "delivery: {{ partitions: 8, in_flight: {}, call_timeout_ms: 8000, lease_ms: 10000 }}\n    retry: {{ first_ms: {}, max_ms: 5000 }}",
        options.in_flight, options.retry_ms
    );
    let mut text = example(options.erp)
        .replace("http://127.0.0.1:8490", sandbox_url)
        .replace("127.0.0.1:8480", listen)
        .replace("sqlite://tongbao-data/tongbao.db", store)
        .replace("mappings: [../mappings]", "mappings: [mappings]")
        .replace("every_ms: 10000", &format!("every_ms: {}", options.poll_ms))
        .replace("delivery: { partitions: 8, in_flight: 16 }", "delivery: { partitions: 8, in_flight: 8 }")
        .replace("delivery: { partitions: 8, in_flight: 8 }", &delivery)
        .replace(
            "      clerk: 开票员\n",
            &format!("      clerk: 开票员\n      callback_url: http://{listen}/in/tax/stage-callback\n      callback_token: {{ env: TONGBAO_NUONUO_CALLBACK }}\n"),
        );
    if let Some((_, prefix)) = &options.rabbit {
        let broker =
            format!("broker:\n  kind: rabbitmq\n  url: {{ env: TONGBAO_AMQP_URL }}\n  prefix: {prefix}\n");
        text = text.replace("broker:\n  kind: embedded\n", &broker);
    }
    let path = options.folder.join("tongbao.yaml");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// The example configuration for an ERP.
fn example(erp: Erp) -> String {
    let instead = match erp {
        Erp::Kingdee => return EXAMPLE.to_owned(),
        Erp::YonyouU8 => EXAMPLE_U8,
        Erp::YonyouU8OpenApi => EXAMPLE_U8_OPENAPI,
    };
    let section = |text: &str, from: &str, to: &str| -> String {
        let rest = text.split_once(from).map_or("", |(_, rest)| rest);
        rest.split_once(to).map_or(rest, |(section, _)| section).to_owned()
    };
    let connection = section(instead, "connections:\n", "\nflows:\n");
    let flows = section(instead, "\nflows:\n", "\n\n");
    let kingdee = section(EXAMPLE, "\n  # 金蝶云星空", "\n  # 诺诺");
    let lines = EXAMPLE.replace(&format!("  # 金蝶云星空{kingdee}"), &connection);
    let lines = lines.lines().filter(|line| !line.contains("name: return-order,"));
    let lines = lines.map(|line| if line.contains("name: order,") { flows.trim_end() } else { line });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Loads a stage's configuration with the stand-ins' credentials.
pub fn load(path: &Path, options: &StageOptions, sandbox: &Sandbox) -> Result<Loaded, String> {
    let given = secrets(options, sandbox);
    let environment = Environment {
        folder: path.parent().map(Path::to_owned).unwrap_or_default(),
        given: given.into_iter().collect(),
        pretend: false,
    };
    let (loaded, found) = config::load(path, &environment, &service::context());
    loaded.ok_or_else(|| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// Environment variables that a stage's configuration refers to.
pub fn secrets(options: &StageOptions, sandbox: &Sandbox) -> Vec<(String, String)> {
    let known = sandbox.config();
    let rabbit = options.rabbit.as_ref().map(|(url, _)| url.as_str()).unwrap_or_default();
    [
        ("TONGBAO_CRM_SECRET", CRM_SECRET),
        ("TONGBAO_CRM_TOKEN", &known.crm.token),
        ("TONGBAO_KINGDEE_APP_SECRET", &known.kingdee.app_secret),
        ("TONGBAO_U8_SENDER", &known.u8.sender),
        ("TONGBAO_U8_APP_SECRET", &known.u8_openapi.app_secret),
        ("TONGBAO_NUONUO_APP_SECRET", &known.nuonuo.app_secret),
        ("TONGBAO_NUONUO_CALLBACK", "stage-callback"),
        ("TONGBAO_ESIGN_SECRET", &known.esign.app_secret),
        ("TONGBAO_FADADA_SECRET", &known.fadada.app_secret),
        ("TONGBAO_WECOM_KEY", &known.wecom.key),
        ("TONGBAO_DINGTALK_TOKEN", &known.dingtalk.token),
        ("TONGBAO_DINGTALK_SECRET", known.dingtalk.secret.as_deref().unwrap_or_default()),
        ("TONGBAO_MAIL_PASSWORD", &known.mail.password),
        ("TONGBAO_LINK_SECRET", "the stage signs its links by this"),
        ("TONGBAO_DATABASE_URL", options.store.as_deref().unwrap_or_default()),
        ("TONGBAO_AMQP_URL", rabbit),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

impl Stage {
    /// Starts stand-ins and service.
    pub async fn start(options: &StageOptions, sandbox: SandboxConfig) -> Result<Stage, String> {
        service::install_crypto();
        std::fs::create_dir_all(&options.folder).map_err(|error| error.to_string())?;
        let sandbox = Sandbox::start(sandbox).await.map_err(|error| error.to_string())?;
        Stage::with(options, sandbox).await
    }

    /// Starts the service against stand-ins that run already.
    pub async fn with(options: &StageOptions, sandbox: Sandbox) -> Result<Stage, String> {
        let listen = concrete(&options.listen).map_err(|error| error.to_string())?;
        let config = write_files(options, &sandbox.url(), &listen).map_err(|error| error.to_string())?;
        let running =
            Running::start(load(&config, options, &sandbox)?).await.map_err(|error| error.to_string())?;
        Ok(Stage { sandbox, running, config, erp: options.erp })
    }

    /// Stops the service and leaves the stand-ins running.
    pub async fn stop_service(self) -> (Sandbox, bool) {
        let stopped = self.running.stop().await;
        (self.sandbox, stopped.clean)
    }

    /// Stops both.
    pub async fn stop(self) {
        let (sandbox, _) = self.stop_service().await;
        sandbox.shutdown().await;
    }

    /// Sales orders in the ERP.
    pub fn orders(&self) -> Vec<OrderState> {
        match self.erp {
            Erp::Kingdee => self.sandbox.orders(),
            Erp::YonyouU8 | Erp::YonyouU8OpenApi => self.sandbox.u8_orders(),
        }
    }

    /// Whether an order has come as far as the connector takes it.
    pub fn stands(&self, order: &OrderState) -> bool {
        order.status == if self.erp == Erp::Kingdee { "C" } else { "开立" }
    }

    /// Books a receipt of so many yuan on an order that stands.
    pub fn pay(&self, order: &str, amount: Decimal, receipt: &str) -> Result<i64, String> {
        match self.erp {
            Erp::Kingdee => self.sandbox.pay(order, amount, receipt),
            Erp::YonyouU8 | Erp::YonyouU8OpenApi => self.sandbox.u8_pay(order, amount, receipt),
        }
    }

    /// Address that contracts and other documents of the CRM are posted to.
    pub fn inbound(&self, kind: &str) -> String {
        format!("http://{}/in/crm/{kind}", self.running.address)
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        self.running.service.store.as_ref()
    }

    /// Imports rows into a code table and shows them to the running service.
    pub async fn import(&self, table: &str, rows: impl IntoIterator<Item = (String, String)>) -> Stored<()> {
        let rows = rows
            .into_iter()
            .map(|(source, target)| TableRow { table: table.into(), source, target, ..TableRow::default() })
            .collect();
        self.store().import_table(table, rows, ImportMode::Merge).await?;
        self.running.service.intaker.tables.refresh().await.map(|_| ())
    }

    /// Deliveries that are still on their way: pending ones behind a parked predecessor are not.
    pub async fn under_way(&self) -> Stored<u64> {
        let counts = self.store().counts().await?;
        let of = |state: State| -> u64 {
            counts.iter().filter(|count: &&Count| count.state == state).map(|count| count.count).sum()
        };
        let moving = of(State::Calling) + of(State::Waiting);
        // Pending ones count unless something is parked, behind which they may stand.
        Ok(if of(State::Parked) == 0 || moving > 0 {
            moving + of(State::Pending)
        } else {
            self.free_pending().await?
        })
    }

    /// Pending deliveries with no parked one before them in their lane.
    async fn free_pending(&self) -> Stored<u64> {
        use tongbao_delivery::port::Filter;
        let list = |state| Filter { states: vec![state], limit: 10_000, ..Filter::default() };
        let parked = self.store().deliveries(list(State::Parked)).await?;
        let pending = self.store().deliveries(list(State::Pending)).await?;
        let stuck = pending.iter().filter(|one| {
            parked.iter().any(|before| {
                before.target == one.target && before.order_key == one.order_key && before.seq < one.seq
            })
        });
        let stuck = u64::try_from(stuck.count()).unwrap_or(0);
        Ok(u64::try_from(pending.len()).unwrap_or(0).saturating_sub(stuck))
    }

    /// Waits until nothing is under way, as long as `limit`; answers whether it came to that. `tick` is told how many
    /// are left.
    pub async fn settle(&self, limit: Duration, mut tick: impl FnMut(u64)) -> Stored<bool> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut quiet = 0;
        loop {
            let left = self.under_way().await?;
            tick(left);
            quiet = if left == 0 { quiet + 1 } else { 0 };
            // Twice in a row: an outcome and the deliveries that follow from it are stored together, so zero is zero;
            // the second look covers a poll that was on its way.
            if quiet >= 2 {
                return Ok(true);
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// An address with a port: the configuration must name it before the service listens, for callbacks are told it.
fn concrete(listen: &str) -> io::Result<String> {
    let listener = std::net::TcpListener::bind(listen)?;
    Ok(listener.local_addr()?.to_string())
}
