//! Statement files by the command line, the API and a watched folder: each row once, whatever way it comes in.

use super::*;

/// The example configuration, as shipped.
const BANK: &str = include_str!("../../deploy/bank.yaml");

const STATEMENT: &str =
    "账号,3301040160000000001\n交易日期,收入金额,支出金额,余额,对方户名,对方账号,摘要,流水号\n";
const ROWS: [&str; 4] = [
    "20251103,\"1,200.00\",,\"1,200.00\",宁波样例贸易有限公司,3901120019200099999,货款,B1\n",
    "20251103,,200.00,\"1,000.00\",,,手续费,B2\n",
    "20251104,50.00,,\"1,050.00\",甲,,货款,B3\n",
    "20251105,,50.00,\"1,000.00\",甲,,退汇,B4\n",
];
const TO_CRM: &str = "mapping: bank-entry-to-crm\nversion: 2\nfrom: bank_entry\nto: webhook/entry_back\nkey: number\n\
    fields: { amount: money!, direction: text!, currency: text! }\nset: { amount: amount, direction: direction, currency: currency }\nignore: [fee, balance_after]\n";

pub fn file(rows: &[&str]) -> String {
    format!("{STATEMENT}{}", rows.concat())
}

/// A world with a bank, whose entries flow to the CRM like any event.
pub async fn world(config: SandboxConfig) -> World {
    let world = World::with(config).await;
    let text = std::fs::read_to_string(&world.config).unwrap();
    let bank = BANK.split_once("\nconnections:\n").unwrap().1;
    let bank = bank.replace("folder: statements\n", "folder: statements\n      every_ms: 100\n");
    let bank = format!("\nconnections:\n{bank}\n");
    let flow = "\nflows:\n  - { name: entry-back, on: bank.booked, to: crm, mapping: bank-entry-to-crm }\n";
    let edited = text.replacen("\nconnections:\n", &bank, 1).replacen("\nflows:\n", flow, 1).replacen(
        "      operations:\n",
        "      operations:\n        entry_back: PUT /entries/{key}\n",
        1,
    );
    assert!(edited.len() > text.len() + bank.len() + flow.len() - 40, "{edited}");
    std::fs::write(&world.config, edited).unwrap();
    std::fs::create_dir_all(world.folder.path().join("mappings/entry")).unwrap();
    write(world.folder.path(), "mappings/entry/entry__webhook.yaml", TO_CRM);
    world
}

fn counts(told: &Value) -> (u64, u64, u64) {
    let of = |key: &str| told[key].as_u64().unwrap_or_else(|| panic!("{told}"));
    (of("new"), of("known"), of("changed"))
}

impl World {
    pub async fn import(&self, text: &str) -> (u16, Value) {
        let url = format!("http://{}/api/connections/bank/import", self.listen);
        let response = reqwest::Client::new().post(url).body(text.to_owned()).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_come_in_three_ways_and_every_row_once() {
    let world = world(SandboxConfig::default()).await;
    let folder = world.folder.path();
    // The command line, nobody serving.
    let first = write(folder, "first.csv", &file(&ROWS[..2]));
    let import = |path: &str| world.run(&["--json", "bank", "import", "--connection", "bank", path]);
    let told = |output: &Output| -> Value { serde_json::from_slice(&output.stdout).unwrap() };
    let output = import(&first);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report = &told(&output)["files"][0];
    assert_eq!(counts(report), (2, 0, 0));
    assert_eq!(
        (&report["checks"]["running-balance"], &report["skipped"]["reasons"]["head"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(report["statements"][0]["in"], json!({"count": 1, "sum": "1200.00"}));
    assert_eq!(counts(&told(&import(&first))["files"][0]), (0, 2, 0), "again adds nothing");
    let shown = world.run(&["bank", "import", "--connection", "bank", &first]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("已有 2") && !shown.contains("3301040160000000001"), "{shown}");
    // What is wrong is told, with its exit code, and nothing of it comes in.
    let wrong = write(folder, "wrong.csv", &file(&ROWS).replace("\"1,050.00\"", "\"1,050.01\""));
    let output = import(&wrong);
    assert_eq!(output.status.code(), Some(1));
    let fault = told(&output)["files"][0]["faults"][0].clone();
    assert_eq!((&fault["code"], &fault["field"]), (&json!("statement-mismatch"), &json!("row 5")));
    let nobody = world.run(&["bank", "import", "--connection", "banc", &first]);
    assert_eq!(nobody.status.code(), Some(2));
    // The API takes a longer file: only what is new is added. The CSV in GBK is the same statement.
    let serving = world.serve();
    let (status, report) = world.import(&file(&ROWS[..3])).await;
    assert_eq!((status, counts(&report)), (200, (1, 2, 0)), "{report}");
    let (status, report) = world.import(&file(&ROWS).replace(",50.00,\"1,000", ",51.00,\"1,000")).await;
    assert_eq!((status, &report["faults"][0]["code"]), (422, &json!("statement-mismatch")));
    // An entry that comes with another amount under its key is a new revision, and told.
    let corrected = file(&ROWS[..3]).replace("50.00,,\"1,050.00\"", "60.00,,\"1,060.00\"");
    let (_, report) = world.import(&corrected).await;
    assert_eq!(counts(&report), (0, 2, 1), "{report}");
    assert!(report["changed_keys"][0].as_str().unwrap().ends_with("-20251104-B3"));
    assert_eq!(counts(&world.import(&corrected).await.1), (0, 3, 0));
    assert_eq!(
        counts(&world.import(&file(&ROWS[..3])).await.1),
        (0, 3, 0),
        "the earlier state does not come back"
    );
    // The folder: a whole file, a wrong one, and one that has been there already.
    let statements = folder.join("statements");
    let there = |path: &str| statements.join(path).exists();
    world.until("the folders are there", async || there("done") && there("refused")).await;
    for (name, text) in
        [("a.csv", file(&ROWS)), ("b.csv", file(&ROWS).replace("B4", "B5")), ("c.csv", "x".to_owned())]
    {
        std::fs::write(statements.join(format!(".{name}")), text).unwrap();
        std::fs::rename(statements.join(format!(".{name}")), statements.join(name)).unwrap();
    }
    let all = ["done/a.csv", "done/b.csv", "refused/c.csv"];
    world.until("the files are put away", async || all.iter().all(|path| there(path))).await;
    let report = |path: &str| -> Value {
        let text = std::fs::read_to_string(statements.join(format!("{path}.report.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(counts(&report(all[0])), (1, 3, 0));
    assert_eq!(counts(&report(all[1])), (1, 3, 0));
    assert_eq!(report(all[2])["faults"][0]["code"], "layout-unknown");
    std::fs::write(statements.join("a.csv"), file(&ROWS)).unwrap();
    world.until("the copy is put away", async || there("done/a.csv.2")).await;
    assert_eq!(counts(&report("done/a.csv.2")), (0, 4, 0));
    // Five entries, one of them in two states, delivered like any event.
    world.until("they are delivered", async || world.sandbox.crm_writes().len() >= 5).await;
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0));
    for secret in ["3301040160000000001", "3901120019200099999", "宁波样例贸易有限公司"] {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
}

/// A file that was stored and not yet moved, for the process died, is taken again and adds nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_file_is_moved_adds_nothing_twice() {
    let world = world(SandboxConfig::default()).await;
    let statements = world.folder.path().join("statements");
    std::fs::create_dir_all(&statements).unwrap();
    std::fs::write(statements.join("a.csv"), file(&ROWS)).unwrap();
    // It dies between the transaction's last statement and its commit: nothing is stored, the file stays.
    let mut command = world.command(&["serve"]);
    let mut child =
        command.env("TONGBAO_FAILPOINT", "accepted-before-commit=1").stderr(Stdio::null()).spawn().unwrap();
    child.wait().unwrap();
    assert!(statements.join("a.csv").exists());
    // As after a crash once all is stored: the same rows by another way, the file still there.
    let copy = write(world.folder.path(), "copy.csv", &file(&ROWS));
    let told = world.json(&["bank", "import", "--connection", "bank", &copy]);
    assert_eq!(counts(&told["files"][0]), (4, 0, 0));
    let serving = world.serve();
    world.until("it is put away", async || statements.join("done/a.csv").exists()).await;
    let text = std::fs::read_to_string(statements.join("done/a.csv.report.json")).unwrap();
    assert_eq!(counts(&serde_json::from_str(&text).unwrap()), (0, 4, 0));
    assert_eq!(serving.stop().0, Some(0));
}
