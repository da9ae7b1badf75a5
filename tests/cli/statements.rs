//! Statements of a month, by command: made, exported, and held against the books again.

use super::*;
use rust_decimal::Decimal;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A contract that is invoiced and partly paid.
async fn paid(world: &World, receipt: &str) {
    assert_eq!(world.sender().send(contract("HT-1", "C1")).await.unwrap().status, 202);
    world.until("it is invoiced", async || !entries(world, "invoiced").await.is_empty()).await;
    world
        .until("its order stands", async || world.sandbox.pay("HT-1", Decimal::from(13), receipt).is_ok())
        .await;
    world.until("its receipt is there", async || !entries(world, "received").await.is_empty()).await;
}

/// Entries of a kind on the contract's account.
async fn entries(world: &World, kind: &str) -> Vec<Value> {
    let (_, body) = world.get("/api/receivables/contracts/HT-1").await;
    let told: Value = serde_json::from_str(&body).unwrap();
    let entries = told["contracts"][0]["entries"].as_array().cloned().unwrap_or_default();
    entries.into_iter().filter(|entry| entry["kind"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_exported_and_proved() {
    let world = World::new().await;
    world.know_one_customer();
    let serving = world.serve();
    paid(&world, "SK-1").await;
    let month = entries(&world, "received").await[0]["at"].as_str().unwrap()[..7].to_owned();
    let made = |more: &[&str]| {
        let arguments = [&["recon", "statement", "C1", "--month", &month], more].concat();
        world.run(&arguments)
    };
    let statement = world.json(&["recon", "statement", "C1", "--month", &month]);
    let section = &statement["sections"][0];
    assert_eq!((&section["currency"], &section["opening"]), (&json!("CNY"), &json!("0.00")), "{statement}");
    assert_eq!((&section["credit"], &section["closing"]), (&json!("13.00"), &json!("326.00")), "{statement}");
    let kinds: Vec<&Value> = section["lines"].as_array().unwrap().iter().map(|line| &line["kind"]).collect();
    assert!(kinds.contains(&&json!("invoice")) && kinds.contains(&&json!("receipt")), "{kinds:?}");
    let sum = statement["checksum"].as_str().unwrap();

    let table = made(&[]);
    assert!(table.status.success() && told(&table).contains("期末 total") && told(&table).contains(sum));
    let mut files = Vec::new();
    for format in ["csv", "xlsx"] {
        let file = world.folder.path().join(format!("c1.{format}")).display().to_string();
        let written = made(&["--format", format, "--out", &file, "--seller", "某某科技有限公司"]);
        assert!(written.status.success() && told(&written).contains(sum), "{}", told(&written));
        let proved = world.run(&["recon", "verify", &file]);
        assert!(proved.status.success() && told(&proved).contains(sum), "{}", told(&proved));
        files.push(file);
    }
    // A PDF needs a font: the one that is named, or one that is installed; without one it says which package has it.
    let file = world.folder.path().join("c1.pdf").display().to_string();
    let no_font = made(&["--format", "pdf", "--out", &file, "--font", &files[0]]);
    assert_eq!(no_font.status.code(), Some(1));
    assert!(
        told(&no_font).contains("fonts-noto-cjk") && told(&no_font).contains("c1.csv"),
        "{}",
        told(&no_font)
    );
    let written = made(&["--format", "pdf", "--out", &file]);
    if written.status.success() {
        assert!(std::fs::read(&file).unwrap().starts_with(b"%PDF"));
        let proved = world.run(&["recon", "verify", &file]);
        assert!(proved.status.success() && told(&proved).contains(sum), "{}", told(&proved));
    } else {
        assert!(told(&written).contains("fonts-noto-cjk"), "{}", told(&written));
    }
    // A cent more is seen, with its row.
    let altered = std::fs::read_to_string(&files[0]).unwrap().replace("13.00", "13.01");
    let altered = write(world.folder.path(), "altered.csv", &altered);
    let refused = world.run(&["recon", "verify", &altered]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(told(&refused).contains("13.01") && told(&refused).contains("row"), "{}", told(&refused));
    // What comes later is no mistake of the file, and is told.
    world.sandbox.pay("HT-1", Decimal::from(50), "SK-2").unwrap();
    world.until("the second is there", async || entries(&world, "received").await.len() == 2).await;
    let proved: Value =
        serde_json::from_slice(&world.run(&["--json", "recon", "verify", &files[1]]).stdout).unwrap();
    assert_eq!((&proved["proved"], &proved["current"]), (&json!(true), &json!(false)), "{proved}");
    let now = world.json(&["recon", "statement", "C1", "--month", &month]);
    assert_eq!(now["sections"][0]["closing"], "276.00");

    assert_eq!(made(&["--format", "xlsx"]).status.code(), Some(2), "where to?");
    assert_eq!(world.run(&["recon", "statement", "C1", "--month", "2026/10"]).status.code(), Some(2));
    let nobody = world.run(&["recon", "statement", "C9", "--month", &month]);
    assert_eq!(nobody.status.code(), Some(1), "a mistyped code is no customer with nothing open");
    let before = world.json(&["recon", "statement", "C1", "--month", "2026-01"]);
    assert_eq!(before["sections"], json!([]));
    closed_and_opened_again(&world, &month).await;
    let other = write(world.folder.path(), "other.csv", "a,b\n1,2\n");
    assert_eq!(world.run(&["recon", "verify", &other]).status.code(), Some(1));
    assert_eq!(serving.stop().0, Some(0));
}

/// A month that is over is closed, by command and by API; the one that runs is not.
async fn closed_and_opened_again(world: &World, running: &str) {
    let early = world.run(&["recon", "close", running]);
    assert_eq!(early.status.code(), Some(1));
    assert!(told(&early).contains("is not over"), "{}", told(&early));
    assert_eq!(world.run(&["recon", "close", "2026-1"]).status.code(), Some(2));
    let closed = world.json(&["recon", "close", "2025-12", "--by", "财务", "--reason", "年结"]);
    assert_eq!(
        (&closed["closings"][0]["month"], &closed["closings"][0]["by"]),
        (&json!("2025-12"), &json!("财务"))
    );
    let (status, body) = world.post("/api/closings/2026-01", "{}").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(world.post("/api/closings/2025-11", "{}").await.0, 409);
    assert_eq!(world.post("/api/closings/2025", "{}").await.0, 400);
    assert_eq!(world.json(&["recon", "statement", "C1", "--month", "2026-01"])["is_closed"], true);
    let wrong = world.run(&["recon", "reopen", "2025-12"]);
    assert_eq!(wrong.status.code(), Some(1), "the last one first");
    let (status, body) = world.post("/api/closings/2026-01/reopen", r#"{"by":"复核"}"#).await;
    assert_eq!((status, body.contains("复核")), (200, true), "{body}");
    let list = told(&world.run(&["recon", "closings"]));
    assert!(list.contains("年结") && list.contains("复核"), "{list}");
    assert_eq!(world.json(&["recon", "statement", "C1", "--month", "2026-01"])["is_closed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn tax_invoices_are_held_against_receivables() {
    let world = World::new().await;
    let text = std::fs::read_to_string(&world.config).unwrap();
    std::fs::write(&world.config, flows::received(&text, "every_ms: 200")).unwrap();
    world.know_one_customer();
    let serving = world.serve();
    paid(&world, "SK-1").await;
    let month = entries(&world, "received").await[0]["at"].as_str().unwrap()[..7].to_owned();
    // Of what was invoiced: what ERP and tax platform say, and the difference.
    let drift = async || {
        let (_, body) = world.get(&format!("/api/statements/C1/{month}")).await;
        let told: Value = serde_json::from_str(&body).unwrap();
        let drifts = told["compared"]["drifts"].as_array().cloned().unwrap_or_default();
        let found = drifts.into_iter().find(|one| one["measure"] == "invoiced");
        found.map_or_else(String::new, |one| {
            let side = |side: &Value| format!("{}={}", side["book"], side["amount"]);
            let (left, right) = (side(&one["left"]), side(&one["right"]));
            format!("{left} {right} {} {}", one["difference"], one["documents"][0]["number"]).replace('"', "")
        })
    };
    world
        .until("the ERP has booked nothing", async || {
            drift().await == "erp-receivable=0.00 tax-invoice=339.00 -339.00 HT-1"
        })
        .await;
    world.sandbox.book_receivable("HT-1", Decimal::from(300), "YS-1").unwrap();
    world
        .until("it has booked too little", async || {
            drift().await == "erp-receivable=300.00 tax-invoice=339.00 -39.00 HT-1"
        })
        .await;
    world.sandbox.book_receivable("HT-1", Decimal::from(39), "YS-2").unwrap();
    world.until("they agree", async || drift().await.is_empty()).await;
    world.sandbox.void_receivable("YS-1").unwrap();
    world
        .until("one was voided", async || {
            drift().await == "erp-receivable=39.00 tax-invoice=339.00 -300.00 HT-1"
        })
        .await;
    // The account itself is what it was: receivables are looked at and never counted.
    let (_, body) = world.get("/api/receivables/contracts/HT-1").await;
    let told: Value = serde_json::from_str(&body).unwrap();
    let sums = &told["contracts"][0]["sums"];
    assert_eq!((&sums["invoiced"], &sums["open"]), (&json!("339.00"), &json!("326.00")), "{told}");
    assert_eq!(serving.stop().0, Some(0));
}
