//! 839 contracts and 146 credit notes, 5 % of all calls to the far sides going wrong.

mod judge;

use crate::servers::Servers;
use flate2::read::GzDecoder;
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tongbao_app::stage::{CRM_SECRET, Erp, Stage, StageOptions};
use tongbao_delivery::port::Filter;
use tongbao_sandbox::crm::WebhookSender;
use tongbao_sandbox::{Fault, Lifecycle, NuonuoConfig, Rule, SandboxConfig, System};

/// Which database and broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetUp {
    /// SQLite and the embedded broker.
    Embedded,
    /// PostgreSQL and RabbitMQ.
    Production,
}

/// A contract or credit note as it is posted.
pub struct Document {
    pub number: String,
    pub customer: Option<String>,
    pub materials: BTreeSet<String>,
    pub total: Decimal,
    pub body: String,
}

/// Seed of the faults; a failing run names it.
const SEED: u64 = 20_111_201;
/// Longest wait for one phase.
const LIMIT: Duration = Duration::from_secs(900);

/// Contracts of a run over a part of the data.
const PART: usize = 120;

/// Codes left out of the tables by choice: every hundredth or so of those that occur.
pub struct LeftOut {
    pub customers: BTreeSet<String>,
    pub materials: BTreeSet<String>,
}

pub async fn run(set_up: SetUp, erp: Erp) -> Result<(), String> {
    let mut contracts = documents("contracts.jsonl.gz");
    let mut notes = documents("credit-notes.jsonl.gz");
    assert_eq!((contracts.len(), notes.len()), (839, 146));
    if erp == Erp::YonyouU8OpenApi {
        // Its store and its mapping are those of the other door.
        contracts.truncate(PART);
        notes.clear();
    }
    let (customers, materials) = (codes("customers.csv"), codes("materials.csv"));
    let left_out = LeftOut { customers: every(&customers, 120, 5), materials: every(&materials, 480, 5) };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let stage = stage(set_up, erp, folder.path().to_owned()).await?;
    prepare(&stage, &customers, &materials, &left_out).await?;
    plant(&stage);
    let started = Instant::now();
    post(&stage, "contract", &contracts).await?;
    post(&stage, "credit_note", &notes).await?;
    settle(&stage, "orders and invoices").await?;
    let posted = started.elapsed();
    let paid = pay(&stage, &contracts)?;
    receipts_seen(&stage, paid.values().map(|(_, receipts)| receipts).sum()).await?;
    settle(&stage, "payments").await?;
    println!(
        "{set_up:?} {erp:?}: posted after {posted:.1?}, paid after {:.1?}, seed {SEED}",
        started.elapsed()
    );
    // U8 takes returns as another document: there credit notes go to the ledger only.
    let notes = if erp == Erp::Kingdee { notes } else { Vec::new() };
    judge::judge(&stage, &contracts, &notes, &left_out, &paid).await?;
    stage.stop().await;
    Ok(())
}

async fn stage(set_up: SetUp, erp: Erp, folder: PathBuf) -> Result<Stage, String> {
    let mut options = StageOptions { retry_ms: 50, erp, ..StageOptions::quick(folder) };
    if set_up == SetUp::Production {
        let servers = Servers::get();
        options.store = Some(servers.postgres_url("retail"));
        options.rabbit = Some((servers.rabbit_url(), format!("retail-{}.", std::process::id())));
    }
    // By the clock: a query right after the submit sees 20, one a little later the end state.
    let nuonuo =
        NuonuoConfig { lifecycle: Lifecycle::Clock(20, 60), token_quota: 1_000, ..NuonuoConfig::default() };
    Stage::start(&options, SandboxConfig { seed: SEED, nuonuo, ..SandboxConfig::default() }).await
}

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/retail-2011-12").join(name)
}

fn documents(name: &str) -> Vec<Document> {
    let reader = BufReader::new(GzDecoder::new(std::fs::File::open(data(name)).unwrap()));
    reader
        .lines()
        .map(|line| {
            let body = line.unwrap();
            let document: Value = serde_json::from_str(&body).unwrap();
            let code = |value: &Value| value["code"].as_str().map(str::to_owned);
            Document {
                number: document["number"].as_str().unwrap().to_owned(),
                customer: code(&document["customer"]),
                materials: document["lines"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|line| code(&line["product"]))
                    .collect(),
                total: Decimal::from_str_exact(document["total_tax_included"].as_str().unwrap()).unwrap(),
                body,
            }
        })
        .collect()
}

fn codes(name: &str) -> Vec<(String, String)> {
    let mut reader = csv::Reader::from_path(data(name)).unwrap();
    reader.records().map(|row| row.map(|row| (row[0].to_owned(), row[1].to_owned())).unwrap()).collect()
}

fn every(codes: &[(String, String)], step: usize, count: usize) -> BTreeSet<String> {
    codes.iter().step_by(step).skip(1).take(count).map(|(code, _)| code.clone()).collect()
}

/// ERP codes of the test set-up: the CRM's with a letter before them.
async fn prepare(
    stage: &Stage,
    customers: &[(String, String)],
    materials: &[(String, String)],
    left_out: &LeftOut,
) -> Result<(), String> {
    stage.sandbox.seed_customers(customers.iter().map(|(code, name)| (format!("K{code}"), name.clone())));
    stage.sandbox.seed_materials(materials.iter().map(|(code, name)| (format!("M{code}"), name.clone())));
    let rows = |codes: &[(String, String)], letter: char, out: &BTreeSet<String>| -> Vec<(String, String)> {
        codes
            .iter()
            .filter(|(code, _)| !out.contains(code))
            .map(|(code, _)| (code.clone(), format!("{letter}{code}")))
            .collect()
    };
    assert_eq!((left_out.customers.len(), left_out.materials.len()), (5, 5));
    stage
        .import("customers", rows(customers, 'K', &left_out.customers))
        .await
        .map_err(|error| error.to_string())?;
    stage
        .import("materials", rows(materials, 'M', &left_out.materials))
        .await
        .map_err(|error| error.to_string())
}

/// Five in a hundred calls go wrong, in every way that a call can go wrong by itself.
fn plant(stage: &Stage) {
    let http = |status, after_commit| Fault::Http { status, retry_after: None, after_commit };
    let add = |system, operation: &str, faults: Vec<Fault>| {
        let share = 50_000 / u32::try_from(faults.len()).unwrap();
        for fault in faults {
            stage.sandbox.fault(Rule::new(fault).on(system, operation).per_million(share));
        }
    };
    let transport = || {
        vec![
            Fault::LostAnswerAfterCommit,
            Fault::LostBeforeCommit,
            Fault::ResetMidBody,
            Fault::TruncatedJson,
            http(502, true),
            http(500, false),
        ]
    };
    let with = |more: Vec<Fault>| transport().into_iter().chain(more).collect::<Vec<_>>();
    let busy = || Fault::Throttled { retry_after: None };
    match stage.erp {
        Erp::Kingdee => {
            let save = vec![Fault::DuplicateAccepted, Fault::SessionDropped, busy(), Fault::EditLock];
            add(System::Kingdee, "Save", with(save));
            add(System::Kingdee, "Submit", with(vec![Fault::EditLock, Fault::SessionDropped, busy()]));
            let audit = vec![Fault::EditLock, Fault::AuditPending, Fault::ResponseErrorPrefix];
            add(System::Kingdee, "Audit", with(audit));
            add(System::Kingdee, "ExecuteBillQuery", with(vec![Fault::SessionDropped]));
        }
        Erp::YonyouU8 => {
            let page = |after_commit| Fault::RuntimeError { after_commit };
            let write =
                vec![Fault::DuplicateAccepted, Fault::NothingWritten, page(true), page(false), busy()];
            add(System::U8, "add saleorder", with(write));
            add(System::U8, "query saleorder", with(vec![page(false), busy()]));
            add(System::U8, "query accept", with(vec![page(false), busy()]));
        }
        Erp::YonyouU8OpenApi => {
            let page = |after_commit| Fault::RuntimeError { after_commit };
            let write = vec![
                Fault::DuplicateAccepted,
                Fault::NothingWritten,
                Fault::TaskLost,
                Fault::SessionDropped,
                page(true),
                busy(),
            ];
            add(System::U8OpenApi, "saleorder/add", with(write));
            add(System::U8OpenApi, "saleorder/get", with(vec![page(false), busy()]));
            for operation in ["result", "saleorderlist/batch_get", "acceptlist/batch_get", "accept/get"] {
                add(System::U8OpenApi, operation, transport());
            }
        }
    }
    add(System::Nuonuo, "requestBillingNew", with(vec![Fault::SealFails]));
    add(System::Nuonuo, "queryInvoiceResult", transport());
    let crowded = Fault::Throttled { retry_after: Some(1) };
    add(System::Crm, "PATCH contracts", with(vec![crowded.clone()]));
    add(System::Crm, "PATCH opportunities", with(vec![crowded]));
}

async fn post(stage: &Stage, kind: &str, documents: &[Document]) -> Result<(), String> {
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let bodies: Arc<Vec<String>> = Arc::new(documents.iter().map(|document| document.body.clone()).collect());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let sender =
            WebhookSender::new(&stage.inbound(kind), CRM_SECRET).map_err(|error| error.to_string())?;
        let (next, bodies) = (next.clone(), bodies.clone());
        tasks.spawn(async move {
            loop {
                let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(body) = bodies.get(index) else { return Ok(()) };
                // Every tenth is pushed twice, as platforms do that missed an answer.
                for _ in 0..if index % 10 == 0 { 2 } else { 1 } {
                    let answer = sender.send(body.clone()).await.map_err(|error| error.to_string())?;
                    if answer.status != 202 {
                        return Err(format!(
                            "HTTP {}: {}",
                            answer.status,
                            String::from_utf8_lossy(&answer.body)
                        ));
                    }
                }
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.map_err(|error| error.to_string())??;
    }
    Ok(())
}

async fn settle(stage: &Stage, what: &str) -> Result<(), String> {
    let settled = stage.settle(LIMIT, |_| ()).await.map_err(|error| error.to_string())?;
    if settled { Ok(()) } else { Err(format!("{what} did not settle within {LIMIT:?}; seed {SEED}")) }
}

/// Customers pay what stands: most in full, some in two receipts, every seventh in part. Answers amount and
/// number of receipts by contract.
fn pay(stage: &Stage, contracts: &[Document]) -> Result<BTreeMap<String, (Decimal, usize)>, String> {
    let orders: BTreeMap<_, _> =
        stage.orders().into_iter().map(|order| (order.number.clone(), order)).collect();
    let mut paid = BTreeMap::new();
    for (index, contract) in contracts.iter().enumerate() {
        let Some(order) = orders.get(&contract.number).filter(|order| stage.stands(order)) else { continue };
        let half = (order.gross / Decimal::TWO).round_dp(2);
        let parts = match index % 7 {
            0 => vec![half],
            1 => vec![half, order.gross - half],
            _ => vec![order.gross],
        };
        let parts: Vec<Decimal> = parts.into_iter().filter(|part| !part.is_zero()).collect();
        for (part, amount) in parts.iter().enumerate() {
            stage.pay(&order.number, *amount, &format!("SK{}-{part}", contract.number))?;
        }
        paid.insert(contract.number.clone(), (parts.iter().sum(), parts.len()));
    }
    Ok(paid)
}

async fn receipts_seen(stage: &Stage, expected: usize) -> Result<(), String> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let filter = Filter { flow: Some("account-payment".into()), limit: 10_000, ..Filter::default() };
        let seen = stage.store().deliveries(filter).await.map_err(|error| error.to_string())?.len();
        if seen >= expected {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{seen} of {expected} receipts were polled; seed {SEED}"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
