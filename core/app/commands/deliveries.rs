//! `tongbao deliveries …`

use crate::api::Wanted;
use crate::cli::{DeliveriesCommand, Which};
use crate::commands::explain;
use crate::output::{self, Exit, time};
use serde_json::json;
use std::path::Path;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{AttemptView, DeliveryView, Filter, State, Store, Stored};

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
        DeliveriesCommand::Replay { ids, which } => replay(store.as_ref(), ids, which, as_json).await,
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
        after: which.after,
        limit: which.limit,
    }
    .filter()
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
    for (label, value) in
        [("mapping", &attempt.mapping), ("request", &attempt.request), ("response", &attempt.response)]
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

async fn replay(store: &dyn Store, ids: Vec<String>, which: Which, as_json: bool) -> Stored<Exit> {
    let filter = match wanted(which) {
        Ok(filter) => filter,
        Err(why) => {
            output::note(&why);
            return Ok(Exit::Failed);
        }
    };
    if ids.is_empty() && filter == Filter::default() {
        output::note("请给出投递编号或条件 / give ids or at least one condition");
        return Ok(Exit::Failed);
    }
    let filter = Filter { ids, ..filter };
    let replayed = store.replay(filter, SystemClock.now_ms()).await?;
    if as_json {
        output::json(&json!({"replayed": replayed}));
    } else {
        output::line(&format!("已重放 {} 个投递 / {} replayed", replayed.len(), replayed.len()));
    }
    Ok(if replayed.is_empty() { Exit::Failed } else { Exit::Ok })
}
