//! `tongbao deliveries …`

use crate::api::{Wanted, has_condition, would_replay};
use crate::cli::{DeliveriesCommand, Which};
use crate::commands::explain;
use crate::output::{self, Exit, time};
use serde_json::json;
use std::path::Path;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{AttemptView, DeliveryView, Filter, Replayable, State, Store, Stored};

/// Runs a `deliveries` command.
pub async fn run(command: DeliveriesCommand, config: &Path, as_json: bool) -> Exit {
    if matches!(command, DeliveriesCommand::Status) {
        return super::status::run(config, as_json).await;
    }
    let store = match super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let result = match command {
        DeliveriesCommand::Status => Ok(Exit::Ok),
        DeliveriesCommand::List(which) => list(store.as_ref(), which, as_json).await,
        DeliveriesCommand::Show { id } => show(store.as_ref(), &id, as_json).await,
        DeliveriesCommand::Replay { ids, which, dry_run, all } => {
            let how = How { dry_run, all, as_json };
            replay(store.as_ref(), ids, which, how).await
        }
    };
    store.close().await;
    result.unwrap_or_else(|error| super::store_failed(&error, as_json))
}

fn wanted(which: Which) -> Result<Filter, String> {
    Wanted {
        state: which.state,
        target: which.target,
        flow: which.flow,
        key: which.key,
        code: which.code,
        class: which.class,
        older_than: which.older_than,
        newer_than: which.newer_than,
        after: which.after,
        limit: which.limit,
    }
    .filter(SystemClock.now_ms())
}

async fn list(store: &dyn Store, which: Which, as_json: bool) -> Stored<Exit> {
    let filter = match wanted(which) {
        Ok(filter) => filter,
        Err(why) => {
            output::note(&why);
            return Ok(Exit::Failed);
        }
    };
    let list = store.deliveries(filter).await?;
    if as_json {
        output::json(&json!(list));
    } else {
        output::line(rows(&list).trim_end());
    }
    Ok(Exit::Ok)
}

/// A table of deliveries.
pub fn rows(list: &[DeliveryView]) -> String {
    let rows: Vec<Vec<String>> = list
        .iter()
        .map(|delivery| {
            let fault = delivery.fault.as_ref().filter(|_| delivery.state != State::Posted);
            vec![
                delivery.id.clone(),
                delivery.key.clone(),
                delivery.flow.clone(),
                delivery.target.clone(),
                delivery.state.name().into(),
                delivery.attempts.to_string(),
                delivery.remote.as_ref().map(|remote| remote.number.clone()).unwrap_or_default(),
                fault.map(|fault| format!("{}: {}", fault.code, fault.message.zh)).unwrap_or_default(),
            ]
        })
        .collect();
    output::table(&["投递", "业务键", "流程", "连接", "状态", "尝试", "对方编号", "原因"], &rows)
}

async fn show(store: &dyn Store, id: &str, as_json: bool) -> Stored<Exit> {
    let Some((delivery, attempts, event)) = store.delivery(id).await? else {
        output::note("没有该投递 / there is no such delivery");
        return Ok(Exit::Failed);
    };
    if as_json {
        output::json(&json!({"delivery": delivery, "attempts": attempts, "event": explain::shown(&event)}));
        return Ok(Exit::Ok);
    }
    output::line(rows(std::slice::from_ref(&delivery)).trim_end());
    for attempt in &attempts {
        output::line(&attempt_text(attempt));
    }
    if let Some(fault) = delivery.fault.as_ref().filter(|_| delivery.state != State::Posted) {
        output::line(&format!("→ {}", fault.remedy));
    }
    Ok(Exit::Ok)
}

/// An attempt in a few lines.
pub fn attempt_text(attempt: &AttemptView) -> String {
    let mut text = format!(
        "#{} {} → {}  {}",
        attempt.attempt,
        time(attempt.started_at_ms),
        attempt.ended_at_ms.map_or_else(|| "…".into(), time),
        attempt.class.as_deref().unwrap_or("（无结果 / no outcome）"),
    );
    if let Some(fault) = &attempt.fault {
        text.push_str(&format!("\n   {fault}"));
    }
    let made_by = attempt.mapping.as_ref().map(|mapping| match attempt.tables_revision {
        Some(revision) => format!("{mapping}, tables r{revision}"),
        None => mapping.clone(),
    });
    for (label, value) in
        [("mapping", &made_by), ("request", &attempt.request), ("response", &attempt.response)]
    {
        if let Some(value) = value {
            let short: String = value.chars().take(400).collect();
            text.push_str(&format!(
                "\n   {label}: {short}{}",
                if short.len() < value.len() { "…" } else { "" }
            ));
        }
    }
    text
}

/// How a replay is made.
#[derive(Debug, Clone, Copy)]
struct How {
    dry_run: bool,
    all: bool,
    as_json: bool,
}

/// Deliveries per call of `replay --all` when no limit is given.
const BATCH: u64 = 1_000;

async fn replay(store: &dyn Store, ids: Vec<String>, which: Which, how: How) -> Stored<Exit> {
    let filter = match wanted(which) {
        Ok(filter) => filter,
        Err(why) => {
            output::note(&why);
            return Ok(Exit::Failed);
        }
    };
    let mut filter = Filter { ids, ..filter };
    if !has_condition(&filter) {
        output::note("请给出投递编号或条件 / give ids or at least one condition");
        return Ok(Exit::Failed);
    }
    if how.dry_run {
        let would = store.replayable(filter).await?;
        if how.as_json {
            output::json(&would_replay(&would));
        } else {
            output::line(would_text(&would).trim_end());
        }
        return Ok(Exit::Ok);
    }
    if how.all && filter.limit == 0 {
        filter.limit = BATCH;
    }
    let mut replayed = Vec::new();
    let next = loop {
        let page = store.replay(filter.clone(), SystemClock.now_ms()).await?;
        replayed.extend(page.ids);
        filter.after_seq = page.next;
        if !how.all || page.next.is_none() {
            break page.next;
        }
    };
    if how.as_json {
        output::json(&json!({"replayed": replayed, "next": next}));
    } else {
        output::line(&format!("已重放 {} 个投递 / {} replayed", replayed.len(), replayed.len()));
        if let Some(after) = next {
            output::line(&format!(
                "可能还有：加 --all 或 --after {after} / there may be more: --all or --after {after}"
            ));
        }
    }
    Ok(if replayed.is_empty() { Exit::Failed } else { Exit::Ok })
}

fn would_text(would: &Replayable) -> String {
    let groups: Vec<Vec<String>> = would
        .groups
        .iter()
        .map(|group| {
            let (class, code) = (group.class.clone(), group.code.clone());
            vec![
                group.target.clone(),
                group.state.name().into(),
                class.unwrap_or_default(),
                code.unwrap_or_default(),
                group.count.to_string(),
            ]
        })
        .collect();
    let head = ["连接", "状态", "类别 class", "故障码 code", "个数 count"];
    format!(
        "将重放 {count} 个投递 / {count} would be replayed\n{}\n最早的几个 / the first few\n{}",
        output::table(&head, &groups),
        rows(&would.first),
        count = would.count(),
    )
}
