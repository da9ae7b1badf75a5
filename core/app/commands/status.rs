//! `tongbao deliveries status`: what each connection has before it and what stands still.

use crate::output::{self, Exit, time};
use crate::overview::{self, Own};
use serde_json::Value;
use std::path::Path;
use tongbao_delivery::Holds;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{Overview, Store, Stored};

/// Runs the command. The numbers come from the database; the circuits from the service on this machine, if it runs.
pub async fn run(config: &Path, as_json: bool) -> Exit {
    let loaded = match super::load_without_mappings(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let store = match super::open(&loaded).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let asked = ask(store.as_ref(), &overview::targets(&loaded)).await;
    store.close().await;
    let (list, holds) = match asked {
        Ok(asked) => asked,
        Err(error) => return super::store_failed(&error, as_json),
    };
    let own = overview::told(&loaded.config).await.map(|told| Own {
        circuits: overview::circuits(&told).unwrap_or_default(),
        mappings_refused: told.get("mappings_refused").cloned().unwrap_or_default(),
        tables_refused: told.get("tables_refused").cloned().unwrap_or_default(),
    });
    let status = overview::status(&list, &holds, own.as_ref(), SystemClock.now_ms());
    if as_json {
        output::json(&status);
    } else {
        if let Some(hold) = status.get("draining").filter(|hold| !hold.is_null()) {
            output::line(&format!("排空中，不接收单据 / draining, nothing is taken in: {}", paused(hold)));
        }
        output::line(table(&status).trim_end());
        let refused = status.get("mappings_refused").and_then(Value::as_array);
        for refused in refused.into_iter().flatten() {
            output::line(&super::mapping::running::refused_text(refused));
        }
        super::mapping::running::tables(&status);
    }
    Exit::Ok
}

async fn ask(store: &dyn Store, targets: &[String]) -> Stored<(Vec<Overview>, Holds)> {
    Ok((overview::overview(store, targets).await?, Holds::new(store.holds(i64::MAX).await?)))
}

/// The status as a table.
pub fn table(status: &Value) -> String {
    let rows: Vec<Vec<String>> = status
        .get("connections")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|one| {
            let text = |key: &str| one.get(key).map(plain).unwrap_or_default();
            let parked: Vec<String> = one
                .get("parked")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(class, count)| format!("{class} {count}"))
                .collect();
            let oldest = one.get("oldest_seconds").and_then(Value::as_i64).map(age).unwrap_or_default();
            let circuit = match one.get("circuit").and_then(Value::as_str) {
                Some("open") => "断开 / open",
                Some(_) => "正常 / closed",
                None => "—",
            };
            vec![
                text("connection"),
                text("backlog"),
                oldest,
                parked.join(", "),
                text("rejected"),
                text("outbox"),
                circuit.into(),
                one.get("paused").filter(|paused| !paused.is_null()).map(paused).unwrap_or_default(),
            ]
        })
        .collect();
    let head = [
        "连接",
        "积压 backlog",
        "最早 oldest",
        "挂起 parked",
        "拒绝 rejected",
        "发件箱 outbox",
        "熔断 circuit",
        "暂停 paused",
    ];
    output::table(&head, &rows)
}

/// Since when, by whom and why, in a line.
pub fn paused(hold: &Value) -> String {
    let text = |key: &str| hold.get(key).and_then(Value::as_str).unwrap_or_default();
    let since = hold.get("since_ms").and_then(Value::as_i64).map(time).unwrap_or_default();
    format!("{since} {} {}", text("by"), text("reason")).trim_end().to_owned()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A number of seconds in the two largest units.
pub fn age(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn ages_are_short() {
        let ages = [0, 59, 60, 3_599, 3_600, 86_399, 90_000].map(age);
        assert_eq!(ages, ["0s", "59s", "1m 0s", "59m 59s", "1h 0m", "23h 59m", "1d 1h"]);
    }
}
