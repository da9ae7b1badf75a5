//! Contracts posted over HTTP until their orders stand audited in a stand-in with zero latency, against what the
//! same database commits and the same broker confirms in the same run, whichever is less.

use super::limits::Limits;
use super::{Figure, median};
use crate::stage::{CRM_SECRET, Stage, StageOptions};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tongbao_delivery::RabbitSettings;
use tongbao_sandbox::crm::WebhookSender;
use tongbao_sandbox::{Lifecycle, NuonuoConfig, SandboxConfig};

/// Runs it.
pub async fn run(
    contracts: u64,
    clients: u64,
    store: Option<String>,
    broker: Option<String>,
) -> Result<Vec<Figure>, String> {
    let folder =
        tempfile::Builder::new().prefix("tongbao-bench-").tempdir().map_err(|error| error.to_string())?;
    let prefix = format!("tongbao-bench-{}.", std::process::id());
    let rabbit =
        broker.as_ref().map(|url| RabbitSettings { prefix: prefix.clone(), ..RabbitSettings::new(url) });
    let options = StageOptions {
        store: store.clone(),
        rabbit: broker.map(|url| (url, prefix)),
        in_flight: 32,
        ..StageOptions::quick(folder.path())
    };
    let scratch = store.unwrap_or_else(|| format!("sqlite://{}", folder.path().join("limit.db").display()));
    let nuonuo = NuonuoConfig { lifecycle: Lifecycle::Clock(0, 0), ..NuonuoConfig::default() };
    let stage = Stage::start(&options, SandboxConfig { nuonuo, ..SandboxConfig::default() }).await?;
    prepare(&stage).await?;
    // The limits before and after, so that a machine that changes speed in between shows in both.
    let mut limits = Limits::default();
    limits.measure(&scratch, clients, rabbit.as_ref()).await?;
    let started = Instant::now();
    post(&stage, contracts, clients).await?;
    let accepted = started.elapsed();
    let settled = stage.settle(Duration::from_secs(600), |_| ()).await.map_err(|error| error.to_string())?;
    let done = started.elapsed();
    limits.measure(&scratch, clients, rabbit.as_ref()).await?;
    let orders = stage.sandbox.orders();
    let audited = orders.iter().filter(|order| order.status == "C").count();
    let invoices = stage.sandbox.invoices().iter().filter(|invoice| invoice.number.is_some()).count();
    stage.stop().await;
    let expected = usize::try_from(contracts).unwrap_or(usize::MAX);
    if !settled || audited != expected || invoices != expected {
        return Err(format!("{audited} orders and {invoices} invoices of {contracts}; settled: {settled}"));
    }
    let per_second = |count: u64, time: Duration| seconds(count) / time.as_secs_f64();
    // A contract is six deliveries here: order, invoice, account, both numbers back, and the account again.
    let deliveries = per_second(contracts * 6, done);
    let (commits, confirms) = (median(limits.commits), median(limits.confirms));
    let commit = "单行提交 / single-row commits, same database";
    let figure = |what: &str, rate, limit_what: &str, limit, goal| Figure {
        what: what.to_owned(),
        rate,
        limit_what: limit_what.to_owned(),
        limit,
        goal,
    };
    let intake_goal = if scratch.starts_with("sqlite") { 0.5 } else { 0.4 };
    let mut figures = vec![
        figure(
            "接收 HTTP→提交→202 / intake",
            per_second(contracts, accepted),
            commit,
            commits,
            Some(intake_goal),
        ),
        figure("合同端到端 / contracts end to end", per_second(contracts, done), commit, commits, None),
    ];
    let what = "投递端到端 / deliveries end to end";
    if rabbit.is_some() {
        let confirm = "确认发布 / confirmed publishes, bare, window 100";
        let (less, least) = if commits < confirms { (commit, commits) } else { (confirm, confirms) };
        figures.push(figure("确认发布 / the broker alone", confirms, commit, commits, None));
        figures.push(figure(what, deliveries, less, least, Some(0.15)));
    } else {
        figures.push(figure(what, deliveries, commit, commits, Some(0.2)));
    }
    Ok(figures)
}

fn seconds(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

async fn prepare(stage: &Stage) -> Result<(), String> {
    let one = |code: &str, target: &str| [(code.to_owned(), target.to_owned())];
    stage.import("customers", one("C1001", "CUST0001")).await.map_err(|error| error.to_string())?;
    stage.import("materials", one("P-100", "MAT0001")).await.map_err(|error| error.to_string())
}

/// Posts from some clients at once; each keeps one connection.
async fn post(stage: &Stage, contracts: u64, clients: u64) -> Result<(), String> {
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients.max(1) {
        let sender =
            WebhookSender::new(&stage.inbound("contract"), CRM_SECRET).map_err(|error| error.to_string())?;
        let next = next.clone();
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= contracts {
                    return Ok(());
                }
                let answer = sender.send(contract(number)).await.map_err(|error| error.to_string())?;
                if answer.status != 202 {
                    return Err(format!("HTTP {}", answer.status));
                }
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.map_err(|error| error.to_string())??;
    }
    Ok(())
}

fn contract(number: u64) -> String {
    let line = |line: u64| {
        json!({"line": line, "product": {"code": "P-100", "name": "软件平台"}, "quantity": "2",
            "unit_price_tax_included": "113.00", "tax_rate": "0.13"})
    };
    json!({
        "number": format!("BN-{number:08}"), "signed_at": "2026-11-20T10:00:00+08:00", "currency": "CNY",
        "customer": {"code": "C1001", "name": "宁波样例贸易有限公司"}, "lines": (1..=10).map(line).collect::<Vec<_>>(),
        "total_tax_included": "2260.00",
    })
    .to_string()
}
