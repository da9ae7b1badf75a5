//! A month of finance, as the guide for finance tells it: the contracts of December 2011, what was paid for them, and every command
//! of the page `deploy/month-end/README.zh-CN.md` in its order.
//!
//! What is paid is made by a seed from the contracts, with the truth beside it: an automatic match that is not the truth is a
//! failure, whatever the numbers add up to.

use super::payments;
use super::*;
use flate2::read::GzDecoder;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use tongbao_sandbox::Lifecycle;

const GUIDE: &str = include_str!("../../deploy/month-end/README.zh-CN.md");
const SEED: u64 = 20_111_231;
/// 2011-12-01 08:00 in China.
const FIRST_MS: i64 = 1_322_697_600_000;
const DAY_MS: i64 = 86_400_000;

struct Contract {
    number: String,
    customer: String,
    name: String,
    total: Decimal,
    /// Day of December.
    day: i64,
    body: String,
}

/// How a payment came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    OnTime,
    Late,
    Short,
    Over,
    Merged,
    NameOnly,
    Fee,
    Refund,
}

/// A line of the bank's, with what it is for.
struct Line {
    class: Class,
    /// Days since the first of December.
    day: i64,
    amount: Decimal,
    party: String,
    text: String,
    /// By contract, with what the bank kept.
    truth: BTreeMap<String, Decimal>,
    reference: String,
}

fn contracts() -> Vec<Contract> {
    let file =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/retail-2011-12/contracts.jsonl.gz");
    let reader = BufReader::new(GzDecoder::new(std::fs::File::open(file).unwrap()));
    let read = |line: std::io::Result<String>| {
        let body = line.unwrap();
        let told: Value = serde_json::from_str(&body).unwrap();
        let signed = told["signed_at"].as_str().unwrap();
        Contract {
            number: told["number"].as_str().unwrap().to_owned(),
            customer: told["customer"]["code"].as_str().unwrap_or_default().to_owned(),
            name: told["customer"]["name"].as_str().unwrap_or_default().to_owned(),
            total: told["total_tax_included"].as_str().unwrap().parse().unwrap(),
            day: signed[8..10].parse::<i64>().unwrap() - 1,
            body,
        }
    };
    reader.lines().map(read).collect()
}

/// What is paid, from the seed alone.
fn paid(contracts: &[Contract]) -> Vec<Line> {
    let mut dice = fastrand::Rng::with_seed(SEED);
    let mut of_customer: BTreeMap<&str, Vec<&Contract>> = BTreeMap::new();
    for one in contracts.iter().filter(|one| !one.customer.is_empty() && one.total > Decimal::ZERO) {
        of_customer.entry(&one.customer).or_default().push(one);
    }
    let mut lines = Vec::new();
    for theirs in of_customer.values() {
        let mut left = theirs.iter().peekable();
        while let Some(one) = left.next() {
            let roll = dice.u32(0..100);
            let day = one.day + dice.i64(3..15);
            let text = format!("{} 货款", one.number);
            let line = |class, day, amount: Decimal, text: String, closed: Decimal| Line {
                class,
                day,
                amount,
                party: one.name.clone(),
                text,
                truth: BTreeMap::from([(one.number.clone(), closed)]),
                reference: String::new(),
            };
            match roll {
                0..40 => lines.push(line(Class::OnTime, day, one.total, text, one.total)),
                40..54 => lines.push(line(Class::Late, 31 + dice.i64(2..25), one.total, text, one.total)),
                // Less than a bank may keep is no short payment to anybody.
                54..62 if one.total > Decimal::from(250) => {
                    let short = (one.total * Decimal::new(9, 1)).round_dp(2);
                    lines.push(line(Class::Short, day, short, text, short));
                }
                62..70 => {
                    let Some(next) = left.next() else {
                        lines.push(line(Class::OnTime, day, one.total, text, one.total));
                        continue;
                    };
                    let both = format!("{}/{} 货款", one.number, next.number);
                    let day = next.day + dice.i64(1..10);
                    let mut merged = line(Class::Merged, day, one.total + next.total, both, one.total);
                    merged.truth.insert(next.number.clone(), next.total);
                    lines.push(merged);
                }
                70..76 => {
                    let over = one.total + Decimal::TEN;
                    lines.push(line(Class::Over, day, over, text, over));
                }
                76..82 => {
                    lines.push(line(Class::OnTime, day, one.total, text, one.total));
                    let back = -(one.total * Decimal::new(1, 1)).round_dp(2);
                    lines.push(line(Class::Refund, day + 4, back, "退款".to_owned(), back));
                }
                82..90 => lines.push(line(Class::NameOnly, day, one.total, "往来款".to_owned(), one.total)),
                90..94 if one.total > Decimal::from(200) => {
                    let kept = one.total - Decimal::from(15);
                    lines.push(line(Class::Fee, day, kept, text, one.total));
                }
                _ => {}
            }
        }
    }
    lines.sort_by(|one, other| (one.day, &one.text, one.amount).cmp(&(other.day, &other.text, other.amount)));
    for (place, line) in lines.iter_mut().enumerate() {
        line.reference = format!("B{:04}", place + 1);
    }
    lines
}

/// A bank's file of the lines of some days.
fn file(lines: &[Line], days: std::ops::Range<i64>, opening: Decimal) -> (String, Decimal) {
    let mut balance = opening;
    let mut rows = String::new();
    for line in lines.iter().filter(|line| days.contains(&line.day)) {
        balance += line.amount;
        let day = jiff::civil::date(2011, 12, 1).saturating_add(jiff::Span::new().days(line.day));
        let (income, expense) = match line.amount.is_sign_negative() {
            true => (String::new(), (-line.amount).to_string()),
            false => (line.amount.to_string(), String::new()),
        };
        let (party, text, reference) = (&line.party, &line.text, &line.reference);
        rows.push_str(&format!(
            "{},{income},{expense},{balance},{party},,{text},{reference}\n",
            day.strftime("%Y%m%d")
        ));
    }
    (super::bank::file(&[&rows]), balance)
}

impl World {
    async fn quiet(&self) {
        self.until("everything is delivered", async || {
            let (_, body) = self.get("/api/counts").await;
            let told: Value = serde_json::from_str(&body).unwrap();
            let busy = |one: &Value| {
                ["pending", "calling", "waiting"].contains(&one["state"].as_str().unwrap_or(""))
            };
            !told["counts"].as_array().unwrap().iter().any(busy)
        })
        .await;
    }
}

async fn world(contracts: &[Contract]) -> (World, Serving) {
    let mut config = SandboxConfig { fixed_clock_ms: Some(FIRST_MS), ..SandboxConfig::default() };
    config.nuonuo.lifecycle = Lifecycle::Polls(0);
    let world = payments::world_with(config, "every_ms: 0").await;
    for (table, file) in [("customers", "customers.csv"), ("materials", "materials.csv")] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/retail-2011-12").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let codes = text.lines().skip(1).filter_map(|line| line.split(',').next());
        let rows: String = codes.map(|code| format!("{code},X{code}\n")).collect();
        let rows = write(world.folder.path(), file, &format!("source,target\n{rows}"));
        assert_eq!(world.run(&["tables", "import", table, &rows]).status.code(), Some(0));
    }
    let serving = world.serve();
    let days: BTreeSet<i64> = contracts.iter().map(|one| one.day).collect();
    let mut today = 0;
    for day in days {
        world.sandbox.advance_ms((day - today) * DAY_MS);
        today = day;
        let sender = world.sender();
        for one in contracts.iter().filter(|one| one.day == day) {
            assert_eq!(sender.send(one.body.clone()).await.unwrap().status, 202, "{}", one.number);
        }
        world.quiet().await;
    }
    (world, serving)
}

/// What rules have decided against the truth, by class: right, left to a person. A wrong one fails.
fn judged(told: &Value, lines: &[Line]) -> BTreeMap<Class, (usize, usize)> {
    let mut scores: BTreeMap<Class, (usize, usize)> = BTreeMap::new();
    let by_reference: BTreeMap<&str, &Line> =
        lines.iter().map(|line| (line.reference.as_str(), line)).collect();
    for payment in told["payments"].as_array().unwrap() {
        let line = by_reference[payment["reference"].as_str().unwrap()];
        let mut found: BTreeMap<String, Decimal> = BTreeMap::new();
        for one in payment["allocations"].as_array().unwrap().iter().filter(|one| one["undone_ms"].is_null())
        {
            let amount = |name: &str| one[name].as_str().unwrap().parse::<Decimal>().unwrap();
            *found.entry(one["contract"].as_str().unwrap().to_owned()).or_default() +=
                amount("amount") + amount("fee");
        }
        let score = scores.entry(line.class).or_default();
        if found.is_empty() {
            score.1 += 1;
        } else {
            assert_eq!(found, line.truth, "{} {:?}", line.reference, line.class);
            score.0 += 1;
        }
    }
    scores
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_for_finance_as_it_stands() {
    let contracts = contracts();
    let (world, serving) = world(&contracts).await;
    let lines = paid(&contracts);
    let folder = world.folder.path();
    let (december, balance) = file(&lines, 0..31, Decimal::ZERO);
    write(folder, "bank-2011-12.csv", &december);
    write(folder, "bank-2012-01.csv", &file(&lines, 31..62, balance).0);
    let refund = lines.iter().find(|line| line.class == Class::Refund && line.day < 31).unwrap();
    let first = lines.iter().find(|line| line.class == Class::NameOnly).unwrap();
    let told = std::cell::RefCell::new(Vec::<(String, String)>::new());
    let number = |reference: &str| {
        let all = world.json(&["recon", "payments", "list", "--all", "--limit", "5000"]);
        let all = all["payments"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["reference"] == reference).unwrap()["number"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for line in commands(GUIDE, 10) {
        let mut line = line;
        if line.contains("REFUND") {
            let (contract, amount) = refund.truth.iter().next().unwrap();
            line = line.replace("REFUNDED=AMOUNT", &format!("{contract}={amount}"));
            line = line.replace("REFUND", &number(&refund.reference));
        }
        if line.contains("payments show") {
            line = format!("tongbao recon payments show {}", number(&first.reference));
        }
        if line.contains("recon close ") {
            ten_minutes_go_by(&world);
        }
        let output = shell(&world, &line);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{text}{why}");
        told.borrow_mut().push((line.clone(), text));
        world.quiet().await;
        if line == "tongbao recon payments list" {
            let all = world.json(&["recon", "payments", "list", "--all", "--limit", "5000"]);
            let scores = judged(&all, &lines);
            println!("{scores:?}");
            for class in [Class::OnTime, Class::Short, Class::Over, Class::Merged, Class::Fee] {
                assert_eq!(scores[&class].1, 0, "{class:?}: what names its contract is decided");
            }
            assert_eq!(scores[&Class::Refund].0, 0, "money out is for a person");
        }
    }
    let told = told.into_inner();
    is_consistent(&world, &told).await;
    is_as_described(&world).await;
    if let Ok(keep) = std::env::var("TONGBAO_KEEP_PACK") {
        std::fs::copy(folder.join("pack-2011-12.html"), keep).unwrap();
    }
    assert_eq!(serving.stop().0, Some(0));
}

/// The walk leads to the bank, statements come to what the pack says, and a closed month stays.
async fn is_consistent(world: &World, told: &[(String, String)]) {
    let pack = world.json(&["recon", "pack", "2011-12"]);
    let part = &pack["parts"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert_eq!(
        (text(&part["walk"]["left"]), text(&part["walk"]["unexplained"])),
        ("0.00".into(), "0.00".into())
    );
    assert_eq!(pack["is_closed"], true);
    let closings: Decimal = part["customers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| text(&row["closing"]).parse::<Decimal>().unwrap())
        .sum();
    assert_eq!(closings, text(&part["roll"]["closing"]).parse::<Decimal>().unwrap());
    let next = world.json(&["recon", "pack", "2012-01"]);
    assert_eq!(next["parts"][0]["roll"]["opening"], part["roll"]["closing"]);
    assert!(text(&next["parts"][0]["roll"]["received"]) != "0.00", "the late ones came in January");
    let table = &told.iter().find(|(line, _)| line == "tongbao recon pack 2011-12").unwrap().1;
    assert!(table.contains("DSO 余额法") && table.contains(&text(&part["roll"]["closing"])), "{table}");
    let commission = world.json(&["recon", "commission", "2011-12"]);
    let lines = commission["lines"].as_array().unwrap();
    let bases = |list: &[Value]| {
        list.iter().map(|one| text(&one["base"]).parse::<Decimal>().unwrap()).sum::<Decimal>()
    };
    assert_eq!(bases(lines), bases(commission["sums"].as_array().unwrap()));
    // All that came in but what was too much: what is above what is due earns nothing.
    let received: Decimal = text(&part["roll"]["received"]).parse().unwrap();
    let over: Decimal = text(&part["payments"]["over"]["amount"]).parse().unwrap();
    assert_eq!(bases(lines), received - over);
    let (status, file) = world.get("/api/commission/2011-12.csv").await;
    assert_eq!((status, file.lines().count()), (200, lines.len() + 1));
    let written = std::fs::read_to_string(world.folder.path().join("commission-2011-12.csv")).unwrap();
    assert!(written == file && world.get("/api/commission/2011.csv").await.0 == 400);
    let (status, page) = world.get("/api/packs/2011-12.html").await;
    assert!(status == 200 && page.contains("<svg") && !page.contains("<script"), "{status}");
    let (status, body) = world.get("/api/packs/2011-12").await;
    assert_eq!(
        (status, serde_json::from_str::<Value>(&body).unwrap()["parts"][0]["walk"].clone()),
        (200, part["walk"].clone())
    );
    assert_eq!(world.get("/api/packs/2011.html").await.0, 400);
    assert_eq!(world.get("/api/packs/2011-12.pdf").await.0, 400);
}

/// What the API answers is what it says that it answers.
async fn is_as_described(world: &World) {
    let payments: Value = serde_json::from_str(&world.get("/api/payments?limit=1").await.1).unwrap();
    let payment = payments["payments"][0]["number"].as_str().unwrap().to_owned();
    let contract = payments["payments"][0]["allocations"][0]["contract"].as_str().unwrap().to_owned();
    for (path, schema, status) in [
        ("/payments?limit=300".to_owned(), "Payments", 200),
        (format!("/payments/{payment}"), "Payment", 200),
        ("/payments/drift?month=2011-12".to_owned(), "Drifts", 200),
        (format!("/receivables/contracts/{contract}"), "Owed", 200),
        ("/receivables/customers/C15687".to_owned(), "Owed", 200),
        ("/statements/C15687/2011-12".to_owned(), "Statement", 200),
        ("/packs/2011-12".to_owned(), "Pack", 200),
        ("/commission/2011-12".to_owned(), "Commission", 200),
        ("/closings".to_owned(), "Closings", 200),
        ("/threeway".to_owned(), "ThreeWay", 200),
        ("/threeway?customer=C15687".to_owned(), "ThreeWay", 200),
        (format!("/invoices/contracts/{contract}"), "InvoiceControl", 200),
        ("/invoices/waiting".to_owned(), "WaitingRequests", 200),
        ("/payments/nobody".to_owned(), "Error", 404),
        ("/packs/12".to_owned(), "Error", 400),
    ] {
        world.answers_as_described(&path, schema, status).await;
    }
}

/// A closing leaves out what came in within its last two minutes, which at a month's end is nothing.
fn ten_minutes_go_by(world: &World) {
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=60); \
                  db.execute('UPDATE journal SET recorded_ms = recorded_ms - 600000'); db.commit()";
    let file = world.folder.path().join("tongbao.db");
    let status = Command::new("python3").args(["-c", script]).arg(file).status().unwrap();
    assert!(status.success());
}
