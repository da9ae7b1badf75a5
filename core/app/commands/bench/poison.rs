//! What a few bad documents cost the healthy ones: the same load without and with them by turns, each batch timed until
//! the last of its healthy orders stands audited. The ERP's stand-in answers at once except where it is scripted.

use super::{Figure, median};
use crate::cli::PoisonKind;
use crate::stage::{CRM_SECRET, Stage, StageOptions};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tongbao_sandbox::crm::WebhookSender;
use tongbao_sandbox::{Fault, Lifecycle, NuonuoConfig, Rule, SandboxConfig, System};

/// One bad document beside so many healthy ones.
const ONE_IN: usize = 100;
/// A call that takes longer than this has its outcome looked up later.
const HANGS: Fault = Fault::Slow { ms: 20_000, after_commit: false };
/// A batch that takes longer than this does not end.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is run.
#[derive(Debug)]
pub struct Load {
    /// Healthy contracts of a batch.
    pub contracts: usize,
    /// Batches of each side.
    pub rounds: usize,
    /// Clients that post at once.
    pub clients: usize,
    /// How documents are bad, by turns.
    pub kinds: Vec<PoisonKind>,
    /// Database; a temporary SQLite file by default.
    pub store: Option<String>,
    /// RabbitMQ; embedded by default.
    pub broker: Option<String>,
}

/// Runs it.
pub async fn run(load: Load) -> Result<Vec<Figure>, String> {
    let folder =
        tempfile::Builder::new().prefix("tongbao-bench-").tempdir().map_err(|error| error.to_string())?;
    let prefix = format!("tongbao-bench-{}.", std::process::id());
    let options = StageOptions {
        store: load.store.clone(),
        rabbit: load.broker.clone().map(|url| (url, prefix)),
        in_flight: 32,
        ..StageOptions::quick(folder.path())
    };
    let nuonuo = NuonuoConfig { lifecycle: Lifecycle::Clock(0, 0), ..NuonuoConfig::default() };
    let stage = Stage::start(&options, SandboxConfig { nuonuo, ..SandboxConfig::default() }).await?;
    let measured = measure(&stage, &load).await;
    stage.stop().await;
    let (healthy, poisoned) = measured?;
    let figure = |what: String, rate, goal| Figure {
        what,
        rate,
        limit_what: "同样负载，没有坏单据 / the same load without them".to_owned(),
        limit: median(healthy.clone()),
        goal,
    };
    let kinds: Vec<String> = load.kinds.iter().map(ToString::to_string).collect();
    let mut figures = vec![figure(
        format!("健康订单，另有 1 % 坏单据 / healthy orders beside 1 % poison: {}", kinds.join(", ")),
        median(poisoned.clone()),
        Some(0.95),
    )];
    // How far the machine is to be trusted: the ratio of each pair.
    for (round, (with, without)) in poisoned.iter().zip(&healthy).enumerate() {
        let one = figure(format!("第 {0} 轮 / round {0}", round + 1), *with, None);
        figures.push(Figure { limit: *without, ..one });
    }
    Ok(figures)
}

/// Rates without and with bad documents.
async fn measure(stage: &Stage, load: &Load) -> Result<(Vec<f64>, Vec<f64>), String> {
    let one = |code: &str, target: &str| [(code.to_owned(), target.to_owned())];
    stage.import("customers", one("C1001", "CUST0001")).await.map_err(|error| error.to_string())?;
    stage.import("materials", one("P-100", "MAT0001")).await.map_err(|error| error.to_string())?;
    // Nobody's: connections, sessions and pages that only the first have to wait for.
    batch(stage, load, "W", &[]).await?;
    let (mut healthy, mut poisoned) = (Vec::new(), Vec::new());
    for round in 0..load.rounds.max(1) {
        healthy.push(batch(stage, load, &format!("A{round}"), &[]).await?);
        poisoned.push(batch(stage, load, &format!("B{round}"), &load.kinds).await?);
    }
    Ok((healthy, poisoned))
}

/// Healthy orders a second of one batch. Leaves nothing behind for the next one: what was bad is mended and settles.
async fn batch(stage: &Stage, load: &Load, name: &str, kinds: &[PoisonKind]) -> Result<f64, String> {
    let healthy: Vec<String> = (0..load.contracts).map(|number| format!("{name}-{number:06}")).collect();
    let mut numbers = Vec::with_capacity(healthy.len());
    let mut turns = kinds.iter().cycle();
    for (index, number) in healthy.iter().enumerate() {
        if index % ONE_IN == ONE_IN / 2
            && let Some(kind) = turns.next()
        {
            let bad = format!("{name}-bad-{index:06}");
            rules(*kind, &bad).into_iter().for_each(|rule| stage.sandbox.fault(rule));
            numbers.push(bad);
        }
        numbers.push(number.clone());
    }
    let started = Instant::now();
    let posted = post(stage, numbers, load.clients);
    let (posted, done) = tokio::join!(posted, audited(stage, &healthy));
    posted?;
    let took = done?.duration_since(started);
    stage.sandbox.clear_faults();
    if !stage.settle(PATIENCE, |_| ()).await.map_err(|error| error.to_string())? {
        return Err(format!("batch {name} does not settle"));
    }
    let count = u32::try_from(healthy.len()).unwrap_or(u32::MAX);
    Ok(f64::from(count) / took.as_secs_f64())
}

/// What is scripted for a bad document.
fn rules(kind: PoisonKind, number: &str) -> Vec<Rule> {
    let on =
        |fault: &Fault, operation: &str| Rule::new(fault.clone()).on(System::Kingdee, operation).key(number);
    let all =
        |fault: Fault| ["Save", "View", "ExecuteBillQuery"].map(|operation| on(&fault, operation)).into();
    match kind {
        PoisonKind::Refused => vec![on(&Fault::AuditFails { message: String::new() }, "Audit")],
        PoisonKind::Garbage => all(Fault::Garbage),
        PoisonKind::Hanging => all(HANGS),
    }
}

/// When the last of these orders was found audited.
async fn audited(stage: &Stage, numbers: &[String]) -> Result<Instant, String> {
    let begun = Instant::now();
    for number in numbers {
        while stage.sandbox.order(number).is_none_or(|order| order.status != "C") {
            if begun.elapsed() > PATIENCE {
                return Err(format!("order {number} does not come"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(Instant::now())
}

/// Posts from some clients at once; each keeps one connection.
async fn post(stage: &Stage, numbers: Vec<String>, clients: usize) -> Result<(), String> {
    let (numbers, next) = (Arc::new(numbers), Arc::new(AtomicUsize::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients.max(1) {
        let sender =
            WebhookSender::new(&stage.inbound("contract"), CRM_SECRET).map_err(|error| error.to_string())?;
        let (numbers, next) = (numbers.clone(), next.clone());
        tasks.spawn(async move {
            while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answer = sender.send(contract(number)).await.map_err(|error| error.to_string())?;
                if answer.status != 202 {
                    return Err(format!("HTTP {}", answer.status));
                }
            }
            Ok(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.map_err(|error| error.to_string())??;
    }
    Ok(())
}

fn contract(number: &str) -> String {
    let line = |line: u64| {
        json!({"line": line, "product": {"code": "P-100", "name": "软件平台"}, "quantity": "2",
            "unit_price_tax_included": "113.00", "tax_rate": "0.13"})
    };
    json!({
        "number": number, "signed_at": "2026-11-20T10:00:00+08:00", "currency": "CNY",
        "customer": {"code": "C1001", "name": "宁波样例贸易有限公司"}, "lines": (1..=3).map(line).collect::<Vec<_>>(),
        "total_tax_included": "678.00",
    })
    .to_string()
}
