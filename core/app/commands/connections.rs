//! `tongbao connections …`: what gets no calls for a while, because somebody said so.

use crate::cli::ConnectionsCommand;
use crate::commands::status::paused;
use crate::config::{Loaded, operator};
use crate::output::{self, Exit, time};
use crate::overview;
use serde_json::{Value, json};
use std::path::Path;
use tongbao_delivery::Holds;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{Store, Stored, Subject};

/// Runs a `connections` command. All processes of the service follow within two seconds.
pub async fn run(command: ConnectionsCommand, config: &Path, as_json: bool) -> Exit {
    let loaded = match super::load_without_mappings(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let store = match super::open(&loaded).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let result = match command {
        ConnectionsCommand::List => list(store.as_ref(), &loaded, as_json).await,
        ConnectionsCommand::Pause { name, reason, by } => {
            let by = by.unwrap_or_else(operator);
            pause(store.as_ref(), &loaded, Pause { name, reason, by }, as_json).await
        }
        ConnectionsCommand::Resume { name, by } => {
            resume(store.as_ref(), &name, &by.unwrap_or_else(operator), as_json).await
        }
    };
    store.close().await;
    result.unwrap_or_else(|error| super::store_failed(&error, as_json))
}

struct Pause {
    name: String,
    reason: String,
    by: String,
}

async fn list(store: &dyn Store, loaded: &Loaded, as_json: bool) -> Stored<Exit> {
    let holds = Holds::new(store.holds(i64::MAX).await?);
    let targets = overview::targets(loaded);
    let connector = |name: &str| {
        let configured = loaded.config.connections.iter().find(|connection| connection.name == name);
        configured.map_or("（内置 / built in）", |connection| connection.connector.as_str())
    };
    let sources = loaded.config.connections.iter().map(|connection| &connection.name);
    let only_sources = sources.filter(|name| !targets.contains(name));
    let list: Vec<Value> = targets
        .iter()
        .chain(only_sources)
        .map(|name| {
            json!({
                "connection": name,
                "connector": connector(name),
                "target": targets.contains(name),
                "paused": holds.connection(name).map(overview::held),
            })
        })
        .collect();
    if as_json {
        output::json(&Value::Array(list));
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = list
        .iter()
        .map(|one| {
            let text = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let role =
                if one.get("target") == Some(&Value::Bool(true)) { "" } else { "仅作来源 / source only" };
            let held =
                one.get("paused").filter(|held| !held.is_null()).map_or_else(|| role.to_owned(), paused);
            vec![text("connection"), text("connector"), held]
        })
        .collect();
    output::line(output::table(&["连接", "连接器 connector", "暂停 paused"], &rows).trim_end());
    Ok(Exit::Ok)
}

async fn pause(store: &dyn Store, loaded: &Loaded, pause: Pause, as_json: bool) -> Stored<Exit> {
    let Pause { name, reason, by } = pause;
    if !overview::targets(loaded).contains(&name) {
        output::note(&format!("没有目标连接 {name} / nothing is delivered to a connection `{name}`"));
        return Ok(Exit::Failed);
    }
    let subject = Subject::Connection(name.clone());
    let changed = store.hold(subject, &by, &reason, SystemClock.now_ms()).await?;
    let holds = Holds::new(store.holds(i64::MAX).await?);
    let held = holds.connection(&name);
    if as_json {
        output::json(&json!({"connection": name, "changed": changed, "paused": held.map(overview::held)}));
    } else if changed {
        output::line(&format!(
            "{name} 已暂停：收单照常，投递等待 / is paused: the intake goes on, deliveries wait"
        ));
    } else {
        let since = held.map(|hold| format!("{} {}", time(hold.since_ms), hold.who)).unwrap_or_default();
        output::line(&format!("{name} 此前已暂停 / was paused already: {since}"));
    }
    Ok(Exit::Ok)
}

async fn resume(store: &dyn Store, name: &str, by: &str, as_json: bool) -> Stored<Exit> {
    let subject = Subject::Connection(name.to_owned());
    let changed = store.release(subject, by, SystemClock.now_ms()).await?;
    if as_json {
        output::json(&json!({"connection": name, "changed": changed, "paused": null}));
    } else if changed {
        output::line(&format!("{name} 已恢复 / goes on"));
    } else {
        output::note(&format!("{name} 未暂停 / is not paused"));
    }
    Ok(if changed { Exit::Ok } else { Exit::Failed })
}
