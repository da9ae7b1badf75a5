//! `tongbao serve` as a process of its own, over a database and a broker of its own, against stand-ins that
//! live here.

use super::documents::Batch;
use crate::servers::{Servers, lasting_port};
use crate::world::{BrokerKind, Combination, Database};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tongbao_app::stage::{self, CRM_SECRET, StageOptions};
use tongbao_delivery::port::{ImportMode, TableRow};
use tongbao_sandbox::crm::WebhookSender;
use tongbao_sandbox::{Lifecycle, NuonuoConfig, Sandbox, SandboxConfig};
use tongbao_store::StoreOptions;

/// Longest wait for anything, which only what fails uses up; the machine may be busy with builds.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// Pause between polls of the services.
pub const POLL_MS: u64 = 300;
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(60);

/// The binary that `cargo build` has made beside this test.
pub fn binary() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let binary = folder.join("tongbao");
    assert!(binary.exists(), "{} is not built: run tests/run, or `cargo build` first", binary.display());
    binary
}

/// Posts contracts to the process that listens there.
pub fn sender(listen: &str) -> WebhookSender {
    WebhookSender::new(&format!("http://{listen}/in/crm/contract"), CRM_SECRET).unwrap()
}

/// Everything a service needs that outlives its processes.
pub struct Household {
    pub name: String,
    pub sandbox: Sandbox,
    pub sender: WebhookSender,
    options: StageOptions,
    config: PathBuf,
    /// Where the service answers.
    pub url: String,
    pub client: reqwest::Client,
    /// Number of the last delivery of the batches that are through, and how many there were.
    last_seq: i64,
    through: u64,
    lives: AtomicU32,
    pub folder: TempDir,
}

/// Leases that a dead process leaves behind run out soon, retries come at once.
const HURRY: &[(&str, &str)] = &[
    (
        "delivery: { partitions: 8, in_flight: 4, call_timeout_ms: 8000, lease_ms: 10000 }",
        "delivery: { partitions: 2, in_flight: 4, lease_ms: 2500, call_timeout_ms: 2000, \
         circuit_cool_down_ms: 300 }",
    ),
    ("max_ms: 5000 }", "max_ms: 400 }"),
];
const MORE: &str = "\
relay: { idle_ms: 1000, sweep_ms: 500, stalled_ms: 5000 }
builtin:
  delivery: { partitions: 2, lease_ms: 2500, call_timeout_ms: 2000 }
  retry: { first_ms: 50, max_ms: 400 }
";

impl Household {
    /// On the servers that all cases share.
    pub async fn new(combination: Combination) -> Household {
        Household::called(combination.name(), combination).await
    }

    /// One for a purpose of its own.
    pub async fn named(combination: Combination, purpose: &str) -> Household {
        Household::called(format!("{}_{purpose}", combination.name()), combination).await
    }

    async fn called(name: String, combination: Combination) -> Household {
        let made = name.clone();
        let make = move || {
            let servers = Servers::get();
            let database = format!("faults_{made}");
            let store = match combination.database {
                Database::Sqlite => None,
                Database::Postgres => Some(servers.postgres_url(&database)),
                Database::MariaDb => Some(servers.mariadb_url(&database)),
                Database::Memory => panic!("a process needs a database"),
            };
            let rabbit = (combination.broker == BrokerKind::Rabbit)
                .then(|| (servers.rabbit_url(), format!("faults-{made}.")));
            (store, rabbit)
        };
        let (store, rabbit) = tokio::task::spawn_blocking(make).await.unwrap();
        Household::over(&name, store, rabbit).await
    }

    /// Over a database (SQLite without one) and a broker (embedded without one) that the caller has.
    pub async fn over(name: &str, store: Option<String>, rabbit: Option<(String, String)>) -> Household {
        let folder = tempfile::tempdir_in(Servers::get().folder()).unwrap();
        let listen = format!("127.0.0.1:{}", lasting_port());
        let quick = StageOptions::quick(folder.path());
        let options = StageOptions {
            listen: listen.clone(),
            store,
            rabbit,
            retry_ms: 50,
            poll_ms: POLL_MS,
            in_flight: 4,
            ..quick
        };
        // By the clock: a query right after the submit sees 20, one a little later the end state.
        let nuonuo = NuonuoConfig {
            lifecycle: Lifecycle::Clock(20, 60),
            token_quota: 10_000,
            ..NuonuoConfig::default()
        };
        let sandbox = Sandbox::start(SandboxConfig { nuonuo, ..SandboxConfig::default() }).await.unwrap();
        let config = stage::write_files(&options, &sandbox.url(), &listen).unwrap();
        let household = Household {
            name: name.to_owned(),
            sandbox,
            sender: sender(&listen),
            options,
            config,
            url: format!("http://{listen}"),
            client: reqwest::Client::new(),
            last_seq: 0,
            through: 0,
            lives: AtomicU32::new(0),
            folder,
        };
        household.rewrite(HURRY);
        let text = std::fs::read_to_string(&household.config).unwrap();
        std::fs::write(&household.config, text + MORE).unwrap();
        household.import().await;
        household
    }

    /// Changes the configuration of the processes to come.
    pub fn rewrite(&self, changes: &[(&str, &str)]) {
        let mut text = std::fs::read_to_string(&self.config).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "the configuration has no {from:?}");
            text = text.replace(from, to);
        }
        std::fs::write(&self.config, text).unwrap();
    }

    /// Writes the configuration anew.
    pub fn edit(&self, edit: impl Fn(&str) -> String) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, edit(&text)).unwrap();
    }

    /// URL of the database as another process has to write it.
    pub fn store_url(&self) -> String {
        let file = || format!("sqlite://{}", self.folder.path().join("tongbao.db").display());
        self.options.store.clone().unwrap_or_else(file)
    }

    async fn import(&self) {
        let store = tongbao_store::open(&self.store_url(), StoreOptions::default()).await.unwrap();
        for (table, source, target) in [("customers", "C1", "CUST0001"), ("materials", "P-100", "MAT0001")] {
            let row = TableRow {
                table: table.into(),
                source: source.into(),
                target: target.into(),
                ..TableRow::default()
            };
            store.import_table(table, vec![row], ImportMode::Merge).await.unwrap();
        }
        store.close().await;
    }

    /// Starts a process, armed if a failpoint is named. Does not wait for it.
    pub fn start(&self, failpoint: Option<&str>) -> Life {
        self.start_through(&[], failpoint)
    }

    /// Starts a process through a program that ends by running its arguments.
    pub fn start_through(&self, program: &[&str], failpoint: Option<&str>) -> Life {
        self.launch(&self.config, program, failpoint)
    }

    /// Starts one more process on the same database and broker; answers it with the address it listens on.
    pub fn start_beside(&self) -> (Life, String) {
        let port = lasting_port();
        let listen = format!("127.0.0.1:{port}");
        let text = std::fs::read_to_string(&self.config).unwrap().replace(&self.options.listen, &listen);
        let config = self.folder.path().join(format!("tongbao-{port}.yaml"));
        std::fs::write(&config, text).unwrap();
        (self.launch(&config, &[], None), listen)
    }

    /// From now on the process that listens there is asked and sent to.
    pub fn face(&mut self, listen: &str) {
        self.url = format!("http://{listen}");
        self.sender = sender(listen);
    }

    fn launch(&self, config: &Path, program: &[&str], failpoint: Option<&str>) -> Life {
        let number = self.lives.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.path().join(format!("life-{number}.log"));
        // Should this test process be killed, the service goes with it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(program);
        command.arg(binary()).arg("-c").arg(config).arg("serve");
        command.current_dir(self.folder.path()).envs(stage::secrets(&self.options, &self.sandbox));
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
        if let Some(failpoint) = failpoint {
            command.env("TONGBAO_FAILPOINT", failpoint);
        }
        Life { child: command.spawn().unwrap(), log }
    }

    pub async fn get(&self, path: &str) -> Option<Value> {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    /// How many deliveries have come to rest and how many have not, over all batches. Counted in the
    /// database: reading the rows again and again would be most of the work.
    async fn counts(&self) -> (u64, u64) {
        let (mut resting, mut moving) = (0, 0);
        let answer = self.get("/api/counts").await.unwrap_or_default();
        for count in answer["counts"].as_array().into_iter().flatten() {
            let state = count["state"].as_str().unwrap();
            let kind =
                if matches!(state, "pending" | "calling" | "waiting") { &mut moving } else { &mut resting };
            *kind += count["count"].as_u64().unwrap();
        }
        (resting, moving)
    }

    /// Tells that so many contracts were accepted which belong to no batch and are not paid.
    pub fn expect_strays(&mut self, count: u64) {
        // Order, invoice and account; both numbers back, and the invoice on the account.
        self.through += 6 * count;
    }

    /// Deliveries of the batch that is under way.
    async fn deliveries(&self) -> Vec<Value> {
        let path = format!("/api/deliveries?limit=10000&after={}", self.last_seq);
        let Some(answer) = self.get(&path).await else { return Vec::new() };
        answer["deliveries"].as_array().cloned().unwrap_or_default()
    }

    /// Sends what is left of a batch and waits until every delivery of it has come to rest; answers them.
    pub async fn settle(&mut self, life: &mut Life, batch: &mut Batch) -> Vec<Value> {
        let begun = Instant::now();
        let expected = self.through + u64::try_from(batch.deliveries).unwrap();
        loop {
            life.assert_alive();
            batch.send(&self.sender, &self.sandbox, usize::MAX).await;
            let (resting, moving) = self.counts().await;
            if batch.is_sent() && moving == 0 && resting >= expected {
                self.through = resting;
                break;
            }
            if begun.elapsed() > PATIENCE {
                let list = self.deliveries().await;
                let open = list.iter().filter(|delivery| delivery["state"] != "posted");
                let told: Vec<String> = open.map(|delivery| format!("  {delivery}\n")).collect();
                panic!(
                    "did not settle: all sent: {}, {} of {} deliveries\n{}{}",
                    batch.is_sent(),
                    list.len(),
                    batch.deliveries,
                    told.concat(),
                    life.said()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
        let mut list = self.deliveries().await;
        self.last_seq = list.iter().filter_map(|delivery| delivery["seq"].as_i64()).max().unwrap();
        list.retain(|delivery| delivery["order_key"].as_str().unwrap().starts_with(&batch.prefix));
        list
    }
}

/// One process from start to death.
pub struct Life {
    child: Child,
    log: PathBuf,
}

impl Life {
    /// The last it said.
    pub fn said(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn assert_alive(&mut self) {
        if let Some(status) = self.ended() {
            panic!("the service ended by itself: {status}\n{}", self.said());
        }
    }

    /// Asserts that it died as an armed failpoint kills: by SIGABRT, not in an orderly way.
    pub fn assert_aborted(&self, status: ExitStatus) {
        const SIGABRT: i32 = 6;
        assert_eq!(status.signal(), Some(SIGABRT), "{status}\n{}", self.said());
    }

    /// Waits until it answers.
    pub async fn ready(&mut self, household: &Household) {
        let begun = Instant::now();
        while household.get("/healthz").await.is_none() {
            self.assert_alive();
            assert!(begun.elapsed() < PATIENCE, "it does not answer\n{}", self.said());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// SIGKILL, and gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; asserts that it ends in good order.
    pub fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.said());
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // Of a case that panicked. Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
