//! Documents and those who send them.

use crate::stage::CRM_SECRET;
use serde_json::json;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tongbao_sandbox::crm::WebhookSender;

/// A contract of ten lines, about 3 KB.
pub fn contract(number: &str) -> String {
    let line = |line: u64| {
        json!({"line": line, "product": {"code": "P-100", "name": "企业协同软件平台标准版年度订阅服务（含实施）"},
            "quantity": "2", "unit_price_tax_included": "113.00", "tax_rate": "0.13",
            "delivery_date": "2026-12-20", "note": "按项目里程碑交付，验收后转入质保"})
    };
    json!({
        "number": number, "signed_at": "2026-11-20T10:00:00+08:00", "currency": "CNY",
        "customer": {"code": "C1001", "name": "宁波样例贸易有限公司"},
        "lines": (1..=10).map(line).collect::<Vec<_>>(),
        "total_tax_included": "2260.00", "note": "年度框架合同项下订单",
    })
    .to_string()
}

/// The business key of a document.
pub fn key(number: u64) -> String {
    format!("BN-{number:09}")
}

/// Posts documents from some clients at once, each over one connection, as fast as they are taken.
pub async fn post(url: &str, numbers: Range<u64>, clients: u64) -> Result<Duration, String> {
    let bodies: Arc<Vec<String>> = Arc::new(numbers.map(|number| contract(&key(number))).collect());
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks: JoinSet<Result<(), String>> = JoinSet::new();
    for _ in 0..clients.max(1) {
        let sender = WebhookSender::new(url, CRM_SECRET).map_err(|error| error.to_string())?;
        let (next, bodies) = (next.clone(), bodies.clone());
        tasks.spawn(async move {
            loop {
                let turn = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
                let Some(body) = bodies.get(turn) else { return Ok(()) };
                sent(&sender, body.clone()).await?;
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.map_err(|error| error.to_string())??;
    }
    Ok(begun.elapsed())
}

/// Posts at a steady rate whatever becomes of those before, and answers when each was sent, by business key.
pub async fn post_steadily(
    url: &str,
    numbers: Range<u64>,
    pause: Duration,
) -> Result<HashMap<String, Instant>, String> {
    let sender = WebhookSender::new(url, CRM_SECRET).map_err(|error| error.to_string())?;
    let mut turns = tokio::time::interval(pause);
    let mut times = HashMap::new();
    let mut tasks = JoinSet::new();
    for number in numbers {
        let (sender, key) = (sender.clone(), key(number));
        let body = contract(&key);
        // A turn missed is sent late and counts from when it was due: waiting is part of what is measured.
        let due = turns.tick().await;
        times.insert(key, due.into_std());
        tasks.spawn(async move { sent(&sender, body).await });
    }
    while let Some(result) = tasks.join_next().await {
        result.map_err(|error| error.to_string())??;
    }
    Ok(times)
}

async fn sent(sender: &WebhookSender, body: String) -> Result<(), String> {
    let answer = sender.send(body).await.map_err(|error| error.to_string())?;
    if answer.status == 202 { Ok(()) } else { Err(format!("HTTP {}", answer.status)) }
}
