//! The binary as a user meets it: configuration mistakes, tables, serving, stopping, being killed, replaying, exit codes.

#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "cli/bank.rs"]
mod bank;
#[path = "cli/compare.rs"]
mod compare;
#[path = "cli/connectors.rs"]
mod connectors;
#[path = "cli/editing.rs"]
mod editing;
#[path = "support/flows.rs"]
#[allow(dead_code, reason = "shared by several test binaries, each of which uses a part")]
mod flows;
#[path = "cli/invoices.rs"]
mod invoices;
#[path = "cli/masters.rs"]
mod masters;
#[path = "cli/month_end.rs"]
mod month_end;
#[path = "cli/payments.rs"]
mod payments;
#[path = "cli/receivables.rs"]
mod receivables;
#[path = "cli/related.rs"]
mod related;
#[path = "cli/statements.rs"]
mod statements;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tongbao_app::stage::{self, CRM_SECRET, StageOptions};
use tongbao_sandbox::crm::WebhookSender;
use tongbao_sandbox::{Fault, Rule, Sandbox, SandboxConfig, System};

/// The binary that `cargo build` has made beside this test.
fn binary() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let binary = folder.join("tongbao");
    assert!(binary.exists(), "{} is not built: run tests/run, or `cargo build` first", binary.display());
    binary
}

struct World {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    options: StageOptions,
    listen: String,
    config: PathBuf,
}

impl World {
    async fn new() -> World {
        World::with(SandboxConfig::default()).await
    }

    async fn with(config: SandboxConfig) -> World {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(config).await.unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listen = format!("127.0.0.1:{port}");
        let options = StageOptions { listen: listen.clone(), ..StageOptions::quick(folder.path()) };
        let config = stage::write_files(&options, &sandbox.url(), &listen).unwrap();
        World { folder, sandbox, options, listen, config }
    }

    /// Rows for the customer and the material that most contracts name.
    fn know_one_customer(&self) {
        let tables =
            [("customers", "source,target\nC1,CUST0001\n"), ("materials", "source,target\nP-100,MAT0001\n")];
        for (table, text) in tables {
            let file = write(self.folder.path(), &format!("{table}.csv"), text);
            assert_eq!(self.run(&["tables", "import", table, &file]).status.code(), Some(0));
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(&self.config, arguments)
    }

    fn command_with(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("-c").arg(config).args(arguments).current_dir(self.folder.path());
        command.envs(stage::secrets(&self.options, &self.sandbox));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn serve(&self) -> Serving {
        let mut child = self.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while log.read_line(&mut line).unwrap() > 0 {
            if line.contains("\"serving\"") {
                // What follows is read on, or the pipe would fill and the service stand still.
                let rest = std::thread::spawn(move || {
                    let mut rest = String::new();
                    std::io::Read::read_to_string(&mut log, &mut rest).unwrap();
                    rest
                });
                return Serving { child, rest: Some(rest) };
            }
            line.clear();
        }
        panic!("it did not start: {:?}", child.wait());
    }

    fn sender(&self) -> WebhookSender {
        WebhookSender::new(&format!("http://{}/in/crm/contract", self.listen), CRM_SECRET).unwrap()
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.listen)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn post(&self, path: &str, body: &str) -> (u16, String) {
        let request = reqwest::Client::new().post(format!("http://{}{path}", self.listen));
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// What the API answers is what it says that it answers.
    async fn answers_as_described(&self, path: &str, schema: &str, status: u16) {
        let described: Value = serde_json::from_str(&self.get("/api/openapi.json").await.1).unwrap();
        let (found, body) = self.get(&format!("/api{path}")).await;
        assert_eq!(found, status, "{path}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let schema =
            json!({"$ref": format!("#/components/schemas/{schema}"), "components": described["components"]});
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<String> = validator
            .iter_errors(&body)
            .take(3)
            .map(|one| format!("{}: {one}", one.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{path}: {wrong:?}");
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds().await {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn state(&self, key: &str, flow: &str) -> String {
        let (_, body) = self.get(&format!("/api/deliveries?key={key}&flow={flow}")).await;
        let list: Value = serde_json::from_str(&body).unwrap();
        list["deliveries"][0]["state"].as_str().unwrap_or_default().to_owned()
    }
}

struct Serving {
    child: Child,
    rest: Option<std::thread::JoinHandle<String>>,
}

impl Serving {
    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// SIGTERM; the exit code and what it had logged.
    fn stop(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let code = self.child.wait().unwrap().code();
        (code, self.rest.take().unwrap().join().unwrap())
    }

    fn kill(mut self) {
        self.signal("-KILL");
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Of a test that panicked: nothing may be left running. Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn contract(number: &str, customer: &str) -> String {
    json!({
        "number": number, "signed_at": "2026-11-20T10:00:00+08:00", "currency": "CNY",
        "customer": {"code": customer, "name": "宁波样例贸易有限公司", "phone": "0574-12345678"},
        "lines": [{"line": 1, "product": {"code": "P-100", "name": "软件平台"}, "quantity": "3",
            "unit_price_tax_included": "113.00", "tax_rate": "0.13"}],
        "total_tax_included": "339.00",
    })
    .to_string()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The commands of a guide, which has more than so many.
fn commands(guide: &str, more_than: usize) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in guide.lines() {
        match (inside, line) {
            (false, "```sh") => inside = true,
            (true, "```") => inside = false,
            (true, line) => lines.push(line.to_owned()),
            (false, _) => {}
        }
    }
    assert!(lines.len() > more_than, "the page has lost its commands");
    lines
}

/// Runs a line of a guide as it stands there, with the world's configuration.
fn shell(world: &World, line: &str) -> Output {
    let binary = binary();
    let line = line.replacen("tongbao ", &format!("{} -c {} ", binary.display(), world.config.display()), 1);
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).current_dir(world.folder.path());
    command.envs(stage::secrets(&world.options, &world.sandbox));
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_in_one_run_with_its_line() {
    let world = World::new().await;
    let text = std::fs::read_to_string(&world.config).unwrap();
    let wrong = text
        .replace("connector: nuonuo", "connector: nuonou")
        .replace("mapping: sales-order-to-crm", "mapping: sales-order-to-crn")
        .replace("secret: { env: TONGBAO_CRM_SECRET }", "secret: hunter2hunter2")
        .replace("emits: invoice.issued", "emits: invoice.isued")
        .replace("acct_id:", "acct_idd:")
        .replace("to: ledger }\n", "too: ledger }\n");
    let path = write(world.folder.path(), "wrong.yaml", &wrong);
    let with_wrong = |command: &str| world.command_with(Path::new(&path), &[command]).output().unwrap();
    let output = with_wrong("check");
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8(output.stderr).unwrap();
    for code in
        ["connector-unknown", "mapping-unknown", "config-value", "config-unknown-key", "config-missing"]
    {
        assert!(told.contains(code), "{code} in {told}");
    }
    assert!(told.contains("did you mean `nuonuo`?") && told.contains("did you mean `acct_id`?"), "{told}");
    let line = 1 + wrong.lines().position(|line| line.contains("connector: nuonou")).unwrap();
    assert!(
        told.lines()
            .any(|said| said.contains("connector-unknown") && said.contains(&format!(":{}:", line - 1))),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "a secret is shown");
    assert_eq!(with_wrong("serve").status.code(), Some(3), "a wrong configuration is not started");
    assert_eq!(world.run(&["check"]).status.code(), Some(0));
    assert_eq!(world.run(&["nonsense"]).status.code(), Some(2));
    assert_eq!(world.run(&["deliveries", "show", "nothing"]).status.code(), Some(1));
}

/// What documents wait for, who uses it, what an import would do, replaying those it helps, and a mapping's change seen
/// on what was really carried.
#[tokio::test(flavor = "multi_thread")]
async fn tables_and_mappings_over_real_documents() {
    let world = World::new().await;
    let folder = world.folder.path();
    let materials = write(folder, "materials.csv", "source,target,note\nP-100,MAT0001,软件平台\n");
    assert_eq!(world.json(&["tables", "import", "materials", &materials])["added"], 1);
    let serving = world.serve();
    for (number, customer) in [("HT-1", "C1"), ("HT-2", "C2")] {
        assert_eq!(world.sender().send(contract(number, customer)).await.unwrap().status, 202);
        world.until("it parks", async || world.state(number, "order").await == "parked").await;
    }
    assert_eq!(
        world.json(&["tables", "missing"]),
        json!([{"table": "customers", "code": "C1", "deliveries": 1, "keys": ["HT-1"]},
            {"table": "customers", "code": "C2", "deliveries": 1, "keys": ["HT-2"]}])
    );
    let users = world.json(&["tables", "users", "customers", "C1"]);
    assert_eq!((&users["waiting"], &users["row"]), (&json!(1), &Value::Null));
    assert!(users["mappings"].to_string().contains("contract-to-kingdee-sales-order"), "{users}");
    let customers = write(folder, "customers.csv", "source,target,note\nC1,CUST0001,\n");
    let import = ["tables", "import", "customers", &customers];
    let would = world.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!((&would["added"], &would["changes"]), (&json!(1), &json!(["+ C1 → CUST0001"])));
    assert_eq!(world.json(&["tables", "missing"]).as_array().unwrap().len(), 2, "nothing was written");
    assert_eq!(world.json(&[&import[..], &["--replay"]].concat())["replayed"], 1);
    world.until("the order is posted", async || world.state("HT-1", "order").await == "posted").await;
    assert_eq!(world.state("HT-2", "order").await, "parked", "it waits for another code");
    // A change of the mapping, seen on both: one shows another amount, the other waits as before.
    let before = folder.join("mappings/contract/contract__kingdee-cloud.yaml").display().to_string();
    let text = "mapping: changed\nversion: 2\nextends: contract__kingdee-cloud.yaml\nset:\n  FSaleOrderEntry: { set: { FAllAmount: { from: amount_tax_included, scale: 2 } } }\n";
    let after = write(&folder.join("mappings/contract"), "changed.yaml", text);
    let diff = world.run(&["--json", "mapping", "diff", "--from", &before, "--to", &after, "--last", "10"]);
    assert_eq!(diff.status.code(), Some(5), "{}", String::from_utf8_lossy(&diff.stderr));
    let told: Value = serde_json::from_slice(&diff.stdout).unwrap();
    let kinds: Vec<_> = told["documents"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["money", "same"], "{told}");
    assert_eq!(told["documents"][0]["changes"][0]["target"], "FSaleOrderEntry[1].FAllAmount");
    let same = world.run(&["mapping", "diff", "--from", &before, "--to", &before, "--last", "10"]);
    assert_eq!(same.status.code(), Some(0));
    assert_eq!(serving.stop().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_park_mend_replay_and_stop() {
    let world = World::new().await;
    let folder = world.folder.path();
    let materials = write(folder, "materials.csv", "source,target,note\nP-100,MAT0001,软件平台\n");
    assert_eq!(world.json(&["tables", "import", "materials", &materials])["added"], 1);
    let serving = world.serve();
    assert_eq!(world.get("/healthz").await.0, 200);
    assert_eq!(world.get("/readyz").await.0, 200);
    let doctor = world.json(&["doctor"]);
    assert_eq!(doctor["ok"], true, "{doctor}");
    // Unsigned and wrongly signed requests are refused and leave nothing.
    let client = reqwest::Client::new();
    let address = format!("http://{}/in/crm/contract", world.listen);
    assert_eq!(client.post(&address).body(contract("HT-1", "C1")).send().await.unwrap().status(), 401);
    let forged = WebhookSender::new(&address, "another-secret").unwrap();
    assert_eq!(forged.send(contract("HT-1", "C1")).await.unwrap().status, 401);
    assert_eq!(world.sender().send_at(contract("HT-1", "C1"), 1_764_561_600).await.unwrap().status, 401);
    assert_eq!(world.json(&["deliveries", "list"]), json!([]));
    // A contract of an unknown customer parks; the invoice goes its way.
    assert_eq!(world.sender().send(contract("HT-1", "C1")).await.unwrap().status, 202);
    world.until("the order parks", async || world.state("HT-1", "order").await == "parked").await;
    let parked = world.json(&["deliveries", "list", "--state", "parked"]);
    assert_eq!(parked[0]["fault"]["code"], "code-table-miss");
    assert_eq!(parked[0]["fault"]["field"], "customer.code");
    overviewed(&world).await;
    let metrics = world.get("/metrics").await.1;
    assert!(metrics.contains("# HELP tongbao_parked ") && metrics.contains(r#"free_bytes{disk="database"}"#));
    for counter in [
        r#"panics_total{connection="tax"} 0"#,
        r#"poll_failures_total{connection="erp"} 0"#,
        r#"attempts_total{connection="crm",class="defect",next="parked"} 0"#,
    ] {
        assert!(metrics.contains(counter), "the first one is to be seen as a rise: {counter}");
    }
    // Other content under the same number is a conflict, the same content is not.
    assert_eq!(world.sender().send(contract("HT-1", "C1")).await.unwrap().status, 202);
    assert_eq!(world.sender().send(contract("HT-1", "C2")).await.unwrap().status, 409);
    let customers = write(folder, "customers.csv", "source,target,note\nC1,CUST0001,\n");
    assert_eq!(world.run(&["tables", "import", "customers", &customers]).status.code(), Some(0));
    let client = reqwest::Client::new();
    replayed(&world, &client).await;
    world
        .until("the order is posted", async || {
            world.state("HT-1", "order-back").await == "posted"
                || world.state("HT-1", "order").await == "posted"
        })
        .await;
    world
        .until("the number is back", async || {
            world
                .sandbox
                .crm_record("contracts", "HT-1")
                .is_some_and(|record| record["erp_order_number"] == "HT-1")
        })
        .await;
    explained(&world).await;
    paused(&world, &client).await;
    let replay = format!("http://{}/api/deliveries/replay", world.listen);
    let post = |body: &'static str| {
        client.post(&replay).header("content-type", "application/json").body(body).send()
    };
    assert_eq!(post("{}").await.unwrap().status(), 400, "nobody replays everything by an empty body");
    let answer = post(r#"{"key":"HT-1"}"#).await.unwrap().text().await.unwrap();
    assert_eq!(answer, r#"{"replayed":[]}"#, "what is posted is not replayed");
    let metrics = world.get("/metrics").await.1;
    assert!(
        metrics.contains("tongbao_attempts_total") && metrics.contains("tongbao_events_accepted_total"),
        "{metrics}"
    );
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"clean\":true"), "{log}");
    for line in log.lines() {
        let _: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("a log line is no JSON: {line}"));
    }
    for secret in stage::secrets(&world.options, &world.sandbox) {
        assert!(secret.1.is_empty() || !log.contains(&secret.1), "a secret is in the log");
    }
    assert_eq!(world.sandbox.orders().len(), 2);
    world.sandbox.shutdown().await;
}

/// Paused from outside, the running service follows; resumed over HTTP, it goes on.
async fn paused(world: &World, client: &reqwest::Client) {
    let erp = |status: Value| status["connections"].as_array().unwrap()[1].clone();
    let shown = async || erp(serde_json::from_str(&world.get("/api/status").await.1).unwrap());
    assert_eq!(world.run(&["connections", "pause", "nothing"]).status.code(), Some(1));
    assert_eq!(world.run(&["connections", "resume", "erp"]).status.code(), Some(1), "it is not paused");
    let told = world.json(&["connections", "pause", "erp", "--reason", "月末结账", "--by", "陈"]);
    assert_eq!((&told["changed"], &told["paused"]["by"]), (&json!(true), &json!("陈")));
    assert_eq!(
        world.json(&["connections", "pause", "erp"])["paused"]["reason"],
        "月末结账",
        "who came first"
    );
    world.until("the service follows", async || shown().await["paused"]["reason"] == "月末结账").await;
    assert_eq!(shown().await["connection"], "erp");
    assert_eq!(world.sender().send(contract("HT-9", "C1")).await.unwrap().status, 202, "the intake goes on");
    world.until("the invoice goes out", async || world.state("HT-9", "invoice").await == "posted").await;
    assert_eq!(world.state("HT-9", "order").await, "pending");
    for (arguments, part) in [(["connections", "list"], "月末结账"), (["deliveries", "status"], "陈")] {
        let text = String::from_utf8(world.run(&arguments).stdout).unwrap();
        assert!(text.contains(part), "{text}");
    }
    let connections = format!("http://{}/api/connections", world.listen);
    let resume = client.post(format!("{connections}/erp/resume")).send().await.unwrap();
    assert_eq!(resume.status(), 200);
    let listed = world.get("/api/connections").await.1;
    assert!(listed.contains(r#"{"connection":"erp","paused":null}"#), "{listed}");
    world.until("the order goes out", async || world.state("HT-9", "order").await == "posted").await;
    let pause = client.post(format!("{connections}/nothing/pause")).send().await.unwrap();
    assert_eq!(pause.status(), 404);
    let long = json!({"by": "x".repeat(300)}).to_string();
    let pause = client.post(format!("{connections}/tax/pause")).header("content-type", "application/json");
    assert_eq!(pause.body(long).send().await.unwrap().status(), 400);
}

/// Looked at first, from the command line and over HTTP; then replayed.
async fn replayed(world: &World, client: &reqwest::Client) {
    let asked = ["deliveries", "replay", "--dry-run", "--class", "rejected", "--newer-than", "1h"];
    let would = world.json(&asked);
    assert_eq!((&would["count"], &would["first"][0]["key"]), (&json!(1), &json!("HT-1")), "{would}");
    assert_eq!(would["groups"][0]["code"], "code-table-miss");
    let text = String::from_utf8(world.run(&asked).stdout).unwrap();
    assert!(text.contains("1 would be replayed") && text.contains("HT-1"), "{text}");
    let before = ["deliveries", "replay", "--dry-run", "--class", "rejected", "--older-than", "1h"];
    assert_eq!(world.json(&before)["count"], 0);
    for wrong in [&["--newer-than", "soon"][..], &["--class", "nonsense"], &["--limit", "5"], &["--all"]] {
        let asked = [&["deliveries", "replay"], wrong].concat();
        assert_eq!(world.run(&asked).status.code(), Some(1), "{wrong:?}");
    }
    let replay = format!("http://{}/api/deliveries/replay", world.listen);
    let post = |query: &'static str, body: &'static str| {
        let request = client.post(format!("{replay}{query}")).header("content-type", "application/json");
        request.body(body).send()
    };
    let answer = post("?dry_run=true", r#"{"class":"rejected","newer_than":"1h"}"#).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap()["count"], 1);
    for (query, body) in [("", r#"{"key":"HT-1","clas":"unknown"}"#), ("?dryrun=true", r#"{"key":"HT-1"}"#)] {
        let refused = post(query, body).await.unwrap().status();
        assert!(refused.is_client_error(), "a misspelt word must not replay more than was meant: {refused}");
    }
    assert_eq!(world.state("HT-1", "order").await, "parked", "nothing was replayed so far");
    let replayed = world.json(&["deliveries", "replay", "--code", "code-table-miss", "--all"]);
    assert_eq!(replayed["replayed"].as_array().unwrap().len(), 1);
}

/// The same overview from the command line and over HTTP, and as metrics.
async fn overviewed(world: &World) {
    let of = |status: &Value, name: &str| {
        let list = status["connections"].as_array().unwrap().clone();
        list.into_iter().find(|one| one["connection"] == name).unwrap()
    };
    // What was published rests there for a moment before it is noted.
    let is_noted = async || of(&world.json(&["deliveries", "status"]), "erp")["outbox"] == 0;
    world.until("nothing is left in the outbox", is_noted).await;
    let status = world.json(&["deliveries", "status"]);
    let erp = of(&status, "erp");
    assert_eq!((&erp["parked"]["rejected"], &erp["backlog"]), (&json!(1), &json!(0)), "{status}");
    assert_eq!(erp["circuit"], "closed", "the running service was asked: {status}");
    assert_eq!(of(&status, "ledger")["rejected"], 0, "built-in targets are connections too");
    let (code, body) = world.get("/api/status").await;
    assert_eq!(code, 200);
    assert_eq!(of(&serde_json::from_str(&body).unwrap(), "erp"), erp);
    let text = String::from_utf8(world.run(&["deliveries", "status"]).stdout).unwrap();
    assert!(text.contains("rejected 1"), "{text}");
    world
        .until("the gauges are set", async || {
            let metrics = world.get("/metrics").await.1;
            metrics.contains(r#"tongbao_parked{connection="erp",class="rejected"} 1"#)
                && metrics.contains(r#"tongbao_backlog{connection="erp"} 0"#)
                && metrics.contains(r#"tongbao_backlog_oldest_seconds{connection="erp"} 0"#)
        })
        .await;
}

/// Nothing comes in, what is there is worked off, restarts change nothing, and then it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn drained_for_maintenance_and_taken_back() {
    let world = World::new().await;
    world.know_one_customer();
    let serving = world.serve();
    assert_eq!(world.get("/readyz").await.0, 200);
    assert_eq!(world.run(&["connections", "pause", "erp"]).status.code(), Some(0));
    world
        .until("the pause is known", async || {
            world.get("/api/connections").await.1.contains(r#"{"connection":"erp","paused":{"#)
        })
        .await;
    for number in ["HT-1", "HT-2", "HT-3"] {
        assert_eq!(world.sender().send(contract(number, "C1")).await.unwrap().status, 202);
    }
    let drained = world.json(&["drain", "--reason", "升级", "--timeout", "5m"]);
    assert_eq!((&drained["drained"], &drained["left"]["left"]), (&json!(true), &json!(0)), "{drained}");
    assert_eq!(drained["left"]["paused"], 3, "orders wait for the paused connection: {drained}");
    for number in ["HT-1", "HT-2", "HT-3"] {
        assert_eq!(world.state(number, "invoice").await, "posted");
    }
    let text = String::from_utf8(world.run(&["deliveries", "status"]).stdout).unwrap();
    assert!(text.lines().next().unwrap().contains("升级"), "{text}");
    assert_eq!(world.json(&["deliveries", "status"])["draining"]["reason"], "升级");
    let (code, body) = world.get("/readyz").await;
    assert!(code == 503 && body.contains(r#""draining":true"#), "{body}");
    let address = format!("http://{}/in/crm/contract", world.listen);
    let client = reqwest::Client::new();
    let refused = client.post(&address).body("{}").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()), (503, &b"60"[..]));
    // A poll would come every quarter of a second.
    let polled = || world.sandbox.calls().values().sum::<u64>();
    let before = polled();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(polled(), before, "the far sides are left in peace");
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    // Nobody works on it: time runs out, and it stays drained.
    assert_eq!(world.run(&["connections", "resume", "erp"]).status.code(), Some(0));
    let told = world.run(&["drain", "--timeout", "1s"]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    assert_eq!(world.run(&["drain", "--timeout", "soon"]).status.code(), Some(1));
    let serving = world.serve();
    assert_eq!(
        world.sender().send(contract("HT-4", "C1")).await.unwrap().status,
        503,
        "from the first request on"
    );
    world.until("what was paused is worked off", async || world.sandbox.orders().len() == 3).await;
    let undo = client
        .post(format!("http://{}/api/drain", world.listen))
        .header("content-type", "application/json")
        .body(r#"{"undo":true}"#);
    let answer: Value = serde_json::from_str(&undo.send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(answer["draining"], Value::Null, "{answer}");
    assert_eq!(world.sender().send(contract("HT-4", "C1")).await.unwrap().status, 202);
    assert_eq!(world.get("/readyz").await.0, 200);
    assert_eq!(client.post(format!("http://{}/api/drain", world.listen)).send().await.unwrap().status(), 200);
    assert_eq!(world.sender().send(contract("HT-5", "C1")).await.unwrap().status, 503);
    assert_eq!(world.run(&["drain", "--undo"]).status.code(), Some(0));
    world
        .until("the intake opens", async || {
            world.sender().send(contract("HT-5", "C1")).await.unwrap().status == 202
        })
        .await;
    drop(serving);
    world.sandbox.shutdown().await;
}

/// What is done moves into a file; sent again, it is still a repeat, and its number still leads somewhere.
#[tokio::test(flavor = "multi_thread")]
async fn archived_and_still_recognised() {
    let world = World::new().await;
    let folder = world.folder.path();
    world.know_one_customer();
    let everything = ["archive", "--before", "2999-01-01"];
    assert_eq!(world.run(&everything).status.code(), Some(1), "without a folder nothing is removed");
    let text = std::fs::read_to_string(&world.config).unwrap();
    let short = write(folder, "short.yaml", &format!("{text}retention: {{ keep_days: 3, archive: old }}\n"));
    let output = world.command_with(Path::new(&short), &["check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "three days are no archive");
    // The service starts without it, so that nobody but the commands below archives.
    let serving = world.serve();
    std::fs::write(&world.config, format!("{text}retention: {{ keep_days: 400, archive: old }}\n")).unwrap();
    let lines = || {
        let mut lines = std::collections::BTreeMap::new();
        for entry in std::fs::read_dir(folder.join("old")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "gz") {
                let mut text = String::new();
                let file = std::fs::File::open(&path).unwrap();
                std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(file), &mut text)
                    .unwrap();
                for line in text.lines() {
                    let line: Value = serde_json::from_str(line).unwrap();
                    lines.insert(line["event"]["id"].as_str().unwrap().to_owned(), line);
                }
            }
        }
        lines
    };
    // Where no file can be written, or another process is at it, no row is removed.
    let blocked = || {
        assert_eq!(world.run(&["drain", "--timeout", "5m"]).status.code(), Some(0));
        let path = folder.join("old");
        std::fs::write(&path, "not a folder").unwrap();
        assert_eq!(world.run(&everything).status.code(), Some(1));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let lock = std::fs::File::create(path.join(".lock")).unwrap();
        lock.try_lock().unwrap();
        assert_eq!(world.run(&everything).status.code(), Some(1));
        assert_ne!(world.json(&["deliveries", "list"]), json!([]));
    };
    let mut known = 0;
    for number in ["HT-1", "HT-2"] {
        let sent = async || world.sender().send(contract(number, "C1")).await.unwrap().status;
        world.until("it is accepted", async || sent().await == 202).await;
        if known == 0 {
            blocked();
        }
        let drained = world.json(&["drain", "--timeout", "5m"]);
        assert_eq!((&drained["drained"], &drained["left"]["parked"]), (&json!(true), &json!(0)));
        assert_eq!(world.json(&["archive"])["archived"]["events"], 0, "nothing is 400 days old");
        let would = world.json(&["archive", "--dry-run", "--before", "2999-01-01"])["archived"].clone();
        let done = world.json(&everything)["archived"].clone();
        assert_eq!(would, done);
        let events = done["events"].as_u64().unwrap();
        assert!(events >= 3, "the contract, its order, its invoice: {done}");
        known += usize::try_from(events).unwrap();
        assert_eq!(lines().len(), known, "the second run keeps what the first has written");
        assert_eq!(world.json(&["deliveries", "list"]), json!([]));
        assert_eq!(world.run(&["drain", "--undo"]).status.code(), Some(0));
    }
    let lines = lines();
    let of_contract = lines.values().find(|line| line["event"]["kind"] == "contract.signed").unwrap();
    assert_eq!(of_contract["event"]["key"], "HT-1");
    assert_eq!(of_contract["deliveries"][0]["delivery"]["state"], "posted");
    assert_eq!(of_contract["deliveries"][0]["attempts"][0]["class"], "done");
    world
        .until("it is sent again", async || {
            world.sender().send(contract("HT-1", "C1")).await.unwrap().status == 202
        })
        .await;
    assert_eq!(world.sender().send(contract("HT-1", "C2")).await.unwrap().status, 409, "other content");
    assert_eq!(
        world.json(&["deliveries", "list"]),
        json!([]),
        "a repeat of an archived contract is a repeat"
    );
    let text = String::from_utf8(world.run(&["explain", "HT-1"]).stdout).unwrap();
    assert!(text.contains("● contract.signed HT-1") && text.contains(".jsonl.gz"), "{text}");
    let (code, body) = world.get("/api/explain/HT-1").await;
    assert!(code == 200 && body.contains("archived"), "{body}");
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(world.sandbox.orders().len(), 2);
    world.sandbox.shutdown().await;
}

async fn explained(world: &World) {
    let text = String::from_utf8(world.run(&["explain", "HT-1"]).stdout).unwrap();
    for part in [
        "contract.signed HT-1",
        "code-table-miss",
        "sales_order.posted HT-1",
        "contract-to-kingdee-sales-order@2-",
        "crm [order-back] posted",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let chain = world.json(&["explain", "HT-1"]).to_string();
    assert!(!chain.contains("0574-12345678"), "personal data is shown");
    // From the far side's number back to the contract.
    let number = || world.sandbox.invoice("HT-1").and_then(|invoice| invoice.number);
    world
        .until("the invoice is issued and known here", async || {
            world.state("HT-1", "invoice").await == "posted"
        })
        .await;
    let invoice = number().unwrap();
    let text = String::from_utf8(world.run(&["explain", &invoice]).stdout).unwrap();
    assert!(text.contains("● contract.signed HT-1"), "{text}");
    assert_eq!(world.run(&["explain", "HT-404"]).status.code(), Some(1));
}

/// Killed in the middle of work, again and again, with answers getting lost: after the last start every contract is one
/// order and one invoice.
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again_nothing_is_lost_or_twice() {
    let world = World::new().await;
    world.know_one_customer();
    for operation in ["Save", "Submit", "Audit"] {
        world.sandbox.fault(
            Rule::new(Fault::LostAnswerAfterCommit).on(System::Kingdee, operation).per_million(150_000),
        );
    }
    let mut accepted = Vec::new();
    for round in 0..4 {
        let serving = world.serve();
        for number in 0..12 {
            let number = format!("HT-{round}-{number:02}");
            // A connection that dies with the process leaves it open whether the contract was accepted: sent again.
            if world.sender().send(contract(&number, "C1")).await.is_ok_and(|answer| answer.status == 202) {
                accepted.push(number);
            }
        }
        let started = world.sandbox.calls().values().sum::<u64>();
        world
            .until("work is under way", async || world.sandbox.calls().values().sum::<u64>() > started + 5)
            .await;
        serving.kill();
    }
    let serving = world.serve();
    world
        .until("all is posted", async || {
            let counts = world.get("/api/counts").await.1;
            let counts: Value = serde_json::from_str(&counts).unwrap();
            counts["counts"].as_array().unwrap().iter().all(|count| count["state"] == "posted")
                && world.sandbox.orders().len() == accepted.len()
                && world.sandbox.orders().iter().all(|order| order.status == "C")
        })
        .await;
    assert_eq!(accepted.len(), 48);
    let orders = world.sandbox.orders();
    assert!(orders.iter().all(|order| order.same_number == 1 && order.gross.to_string().starts_with("339")));
    let invoices = world.sandbox.invoices();
    assert_eq!(invoices.len(), 48);
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    world.sandbox.shutdown().await;
}

#[test]
fn the_demo_ends_with_a_complete_table() {
    let output = Command::new(binary()).args(["demo", "--exit", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["contracts"].as_array().unwrap().len(), 7);
    assert_eq!((told["orders_twice"].as_u64(), told["repeats"].as_u64()), (Some(0), Some(2)));
    assert_eq!(told["contracts"][1]["stage"], "全额回款");
    assert!(told["contracts"][4]["notes"].to_string().contains("code-table-miss"));
}
