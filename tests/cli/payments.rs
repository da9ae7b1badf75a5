//! Payments that are allocated: by rule, by hand and taken back again, by the command line and the API, with a bank's statement as
//! the leading book.

use super::bank;
use super::*;

/// A world whose bank statements are allocated.
async fn world() -> World {
    world_with(SandboxConfig::default(), "every_ms: 200").await
}

/// The same with far sides of their own, looked at as often as is said.
pub async fn world_with(config: SandboxConfig, every: &str) -> World {
    let world = bank::world(config).await;
    let text = std::fs::read_to_string(&world.config).unwrap();
    std::fs::write(&world.config, flows::pooled(&text, "bank", every)).unwrap();
    world
}

fn rows(rows: &[(&str, &str, &str, &str)]) -> String {
    let mut balance = 0;
    let rows = rows.iter().map(|(reference, amount, party, text)| {
        balance += amount.parse::<i64>().unwrap();
        let (income, expense) = amount.strip_prefix('-').map_or((*amount, ""), |paid| ("", paid));
        let of = |amount: &str| if amount.is_empty() { String::new() } else { format!("{amount}.00") };
        format!("20251103,{},{},{balance}.00,{party},,{text},{reference}\n", of(income), of(expense))
    });
    bank::file(&rows.collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>())
}

impl World {
    async fn payments(&self) -> Vec<String> {
        let told = self.json(&["recon", "payments", "list", "--all"]);
        let mut all: Vec<String> = told["payments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let standing = one["allocations"].as_array().unwrap().iter();
                let standing = standing.filter(|one| one["undone_ms"].is_null());
                let paid: Vec<String> = standing
                    .map(|one| format!("{}={}", text(&one["contract"]), text(&one["amount"])))
                    .collect();
                format!("{} {} {}", text(&one["reference"]), text(&one["told"]["kind"]), paid.join(" "))
            })
            .collect();
        all.sort();
        all
    }

    async fn number(&self, reference: &str) -> String {
        let told = self.json(&["recon", "payments", "list", "--all"]);
        let all = told["payments"].as_array().unwrap();
        text(&all.iter().find(|one| one["reference"] == reference).unwrap()["number"]).to_owned()
    }

    async fn open(&self, contract: &str) -> String {
        let (_, body) = self.get(&format!("/api/receivables/contracts/{contract}")).await;
        let told: Value = serde_json::from_str(&body).unwrap();
        text(&told["contracts"][0]["sums"]["open"]).to_owned()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_allocated_by_rule_and_by_hand_and_taken_back() {
    let world = world().await;
    world.know_one_customer();
    let serving = world.serve();
    for number in ["HT-1001", "HT-1002", "HT-1003"] {
        assert_eq!(world.sender().send(contract(number, "C1")).await.unwrap().status, 202);
    }
    world.until("the accounts are there", async || world.open("HT-1003").await == "339.00").await;
    let file = rows(&[
        ("B1", "339", "某某代付公司", "HT-1001 货款"),
        ("B2", "400", "宁波样例贸易有限公司", "货款"),
        ("B3", "120", "", "付 HT-1002"),
        ("B4", "-77", "房东", "房租"),
    ]);
    let (status, told) = world.import(&file).await;
    assert_eq!(status, 200, "{told}");
    let settled = ["B1 matched HT-1001=339.00", "B2 open ", "B3 matched HT-1002=120.00"];
    world.until("the look was taken", async || world.payments().await == settled).await;
    world.until("HT-1001 is paid", async || world.open("HT-1001").await == "0.00").await;

    // By hand: everything of it, for what is there.
    let number = world.number("B2").await;
    let wrong = world.run(&["recon", "payments", "allocate", &number, "--to", "HT-1002=339.00"]);
    assert_eq!(wrong.status.code(), Some(1));
    let why = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(why.contains("339.00") && why.contains("400"), "{why}");
    assert_eq!(
        world.run(&["recon", "payments", "allocate", &number, "--to", "HT-1002"]).status.code(),
        Some(2)
    );
    let parts =
        ["--to", "HT-1002=219.00", "--to", "HT-1003=181.00", "--by", "王会计", "--reason", "电话确认"];
    let done = world.run(&[&["recon", "payments", "allocate", &number][..], &parts].concat());
    let shown = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && shown.contains("by-hand") && shown.contains("王会计"), "{shown}");
    world
        .until("both are booked", async || {
            world.open("HT-1002").await == "0.00" && world.open("HT-1003").await == "158.00"
        })
        .await;

    // Taken back by the API: as before; then only a person decides.
    let body = r#"{"by": "李会计", "reason": "付款人弄错"}"#;
    let (status, told) = world.post(&format!("/api/payments/{number}/undo"), body).await;
    assert_eq!(status, 200, "{told}");
    world
        .until("both are as before", async || {
            world.open("HT-1002").await == "219.00" && world.open("HT-1003").await == "339.00"
        })
        .await;
    assert_eq!(world.post(&format!("/api/payments/{number}/undo"), body).await.0, 409);
    let (status, told) = world.get(&format!("/api/payments/{number}")).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (status, &told["by_hand"], &told["allocations"][0]["undone_by"]),
        (200, &json!(true), &json!("李会计"))
    );
    let parts = r#"{"parts": [{"contract": "HT-1003", "amount": "400.00"}], "by": "李会计"}"#;
    assert_eq!(world.post(&format!("/api/payments/{number}/allocate"), parts).await.0, 200);
    world.until("the rest is an advance", async || world.open("HT-1003").await == "-61.00").await;

    // The bank takes one back.
    let more = rows(&[("B1", "339", "某某代付公司", "HT-1001 货款")]);
    assert_eq!(world.import(&more).await.0, 200, "again adds nothing");
    assert_eq!(world.post("/api/payments/match", "").await.0, 200);
    let drift = world.run(&["--json", "recon", "payments", "drift", "--month", "2025-11"]);
    let told: Value = serde_json::from_slice(&drift.stdout).unwrap();
    assert_eq!(
        (drift.status.code(), told["drifts"].as_array().unwrap().len()),
        (Some(1), 3),
        "the ERP has none"
    );
    assert_eq!(world.run(&["recon", "payments", "drift", "--month", "11"]).status.code(), Some(2));
    assert_eq!(world.run(&["recon", "payments", "show", "nobody"]).status.code(), Some(1));
    assert_eq!(world.get("/api/payments/nobody").await.0, 404);
    assert_eq!(serving.stop().0, Some(0));
}

/// What would count payments twice or never is refused before anything starts.
#[tokio::test(flavor = "multi_thread")]
async fn flows_that_count_twice_or_never_are_refused() {
    let world = world().await;
    let right = std::fs::read_to_string(&world.config).unwrap();
    for (from, to, why) in [
        (
            "to: payments }\n",
            "to: payments }\n  - { name: twice, on: payment.received, to: ledger }\n",
            "twice",
        ),
        ("  - { name: account-allocation, on: payment.allocated, to: ledger }\n", "", "payment.allocated"),
        ("on: bank.booked, to: payments", "on: contract.signed, to: payments", "bank.booked"),
        ("book: bank", "book: cash", "erp"),
        ("pair_days: 5", "pair_days: 99", "31"),
        ("currency: USD, limit", "currency: CNY, limit", "CNY"),
        ("  # rules:\n", "  rules: [{ name: x, by: luck, fit: one, confirm: maybe }]\n", "luck|reference"),
    ] {
        let wrong = right.replacen(from, to, 1);
        assert_ne!(wrong, right, "{from}");
        let path = write(world.folder.path(), "wrong.yaml", &wrong);
        let output = world.command_with(Path::new(&path), &["check"]).output().unwrap();
        let told =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{to}: {told}");
        assert!(why.split('|').any(|why| told.contains(why)), "{to}: {told}");
    }
}
