//! `tongbao explain <number>`: from any number back to the source document and forth to everything that came of it.

use crate::output::{self, Exit, time};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use tongbao_delivery::port::{AttemptView, Store, Stored};
use tongbao_model::{Event, mask};

/// Longest chain followed.
const EVENTS_MAX: usize = 500;

/// An event as it is shown: the record masked.
pub fn shown(event: &Event) -> Value {
    let record = serde_json::from_str(&event.record).map_or(Value::Null, |record| mask::document(&record));
    json!({
        "id": event.id, "kind": event.kind, "source": event.source, "key": event.key, "revision": event.revision,
        "occurred_at_ms": event.occurred_at_ms, "digest": event.digest, "cause": event.cause, "record": record,
    })
}

/// Everything known about a number: its root events with deliveries, attempts and derived events, nested. Of archived
/// events, in which file they are.
pub async fn chains(store: &dyn Store, number: &str) -> Stored<Vec<Value>> {
    let mut roots: Vec<Event> = Vec::new();
    for event in store.find(number).await? {
        let root = root(store, event).await?;
        if roots.iter().all(|known| known.id != root.id) {
            roots.push(root);
        }
    }
    let mut seen = HashSet::new();
    let mut chains = Vec::new();
    for event in roots {
        chains.push(chain(store, event, &mut seen).await?);
    }
    let archived = store.archived(number).await?;
    Ok(archived.iter().map(|tombstone| json!({"archived": tombstone})).chain(chains).collect())
}

/// Follows causes back to the event that came from outside.
async fn root(store: &dyn Store, mut event: Event) -> Stored<Event> {
    for _ in 0..EVENTS_MAX {
        let Some(cause) = event.cause.clone() else { break };
        let Some((_, _, before)) = store.delivery(&cause).await? else { break };
        event = before;
    }
    Ok(event)
}

/// An event with all that came of it. Boxed, for it calls itself.
fn chain<'a>(
    store: &'a dyn Store,
    event: Event,
    seen: &'a mut HashSet<String>,
) -> std::pin::Pin<Box<dyn Future<Output = Stored<Value>> + Send + 'a>> {
    Box::pin(async move {
        let mut deliveries = Vec::new();
        if seen.len() < EVENTS_MAX && seen.insert(event.id.clone()) {
            for delivery in store.deliveries_of(&event.id).await? {
                let attempts: Vec<AttemptView> =
                    store.delivery(&delivery.id).await?.map(|(_, attempts, _)| attempts).unwrap_or_default();
                let mut followed = Vec::new();
                for next in store.caused_by(&delivery.id).await? {
                    followed.push(chain(store, next, seen).await?);
                }
                deliveries.push(json!({"delivery": delivery, "attempts": attempts, "led_to": followed}));
            }
        }
        Ok(json!({"event": shown(&event), "deliveries": deliveries}))
    })
}

/// Runs the command.
pub async fn run(number: &str, config: &Path, as_json: bool) -> Exit {
    let store = match super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let found = chains(store.as_ref(), number).await;
    store.close().await;
    match found {
        Err(error) => super::store_failed(&error, as_json),
        Ok(chains) if chains.is_empty() => {
            output::note(&format!("没有编号 {number} 的记录 / nothing is known under {number}"));
            Exit::Failed
        }
        Ok(chains) => {
            if as_json {
                output::json(&Value::Array(chains));
            } else {
                for chain in &chains {
                    output::line(text(chain, 0).trim_end());
                }
            }
            Exit::Ok
        }
    }
}

/// A chain as an indented text.
pub fn text(chain: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    if let Some(archived) = chain.get("archived") {
        return archived_text(archived);
    }
    let get = |path: &str| chain.pointer(path).map(plain).unwrap_or_default();
    let at = chain.pointer("/event/occurred_at_ms").and_then(Value::as_i64).map(time).unwrap_or_default();
    let mut out = format!(
        "{indent}● {} {}  r{}  {at}  ← {}\n",
        get("/event/kind"),
        get("/event/key"),
        get("/event/revision"),
        get("/event/source")
    );
    for delivery in chain.get("deliveries").and_then(Value::as_array).into_iter().flatten() {
        out.push_str(&delivery_text(delivery, &indent));
        for next in delivery.get("led_to").and_then(Value::as_array).into_iter().flatten() {
            out.push_str(&text(next, depth + 2));
        }
    }
    out
}

fn archived_text(archived: &Value) -> String {
    let get = |key: &str| archived.get(key).map(plain).unwrap_or_default();
    let at = archived.get("accepted_at_ms").and_then(Value::as_i64).map(time).unwrap_or_default();
    format!(
        "● {} {}  r{}  {at}  ← {}\n  已办结并归档 / finished and archived: {} ({})\n",
        get("kind"),
        get("key"),
        get("revision"),
        get("source"),
        get("file"),
        get("event"),
    )
}

fn delivery_text(delivery: &Value, indent: &str) -> String {
    let get = |path: &str| delivery.pointer(path).map(plain).unwrap_or_default();
    let mut out = format!(
        "{indent}  → {} [{}] {} {}",
        get("/delivery/target"),
        get("/delivery/flow"),
        get("/delivery/state"),
        get("/delivery/remote/number")
    );
    out.push('\n');
    let attempts = delivery.get("attempts").and_then(Value::as_array);
    for attempt in attempts.into_iter().flatten() {
        let get = |path: &str| attempt.pointer(path).map(plain).unwrap_or_default();
        let class = attempt.get("class").and_then(Value::as_str).unwrap_or("（无结果）");
        let at = attempt.get("started_at_ms").and_then(Value::as_i64).map(time).unwrap_or_default();
        out.push_str(&format!("{indent}      #{} {at} {class}", get("/attempt")));
        for (label, path) in [
            ("", "/fault/code"),
            ("", "/fault/message/zh"),
            ("mapping ", "/mapping"),
            ("tables r", "/tables_revision"),
        ] {
            let value = get(path);
            if !value.is_empty() {
                out.push_str(&format!("  {label}{value}"));
            }
        }
        out.push('\n');
    }
    if get("/delivery/state") != "posted" {
        let remedy = get("/delivery/fault/remedy/zh");
        if !remedy.is_empty() {
            out.push_str(&format!("{indent}      ⇒ {remedy}\n"));
        }
    }
    out
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
