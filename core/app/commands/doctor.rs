//! `tongbao doctor`: asks every connection, the database and the broker, live.

use crate::output::{self, Exit};
use crate::service;
use serde_json::json;
use std::path::Path;

/// Checks what the configuration points at.
pub async fn run(config: &Path, as_json: bool) -> Exit {
    let loaded = match super::load_without_mappings(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let mut rows: Vec<(String, bool, String)> = Vec::new();
    match service::open_store(&loaded.config).await {
        Ok(store) => {
            let ping = store.ping().await;
            rows.push((
                "database".into(),
                ping.is_ok(),
                ping.map_or_else(|error| error.to_string(), |()| "ok".into()),
            ));
            store.close().await;
        }
        Err(error) => rows.push(("database".into(), false, error.to_string())),
    }
    rows.push(match service::probe_broker(&loaded.config).await {
        Ok(detail) => ("broker".into(), true, detail),
        Err(why) => ("broker".into(), false, why),
    });
    for connection in &loaded.config.connections {
        let Some(target) = loaded.connections.get(&connection.name).and_then(|built| built.target.clone())
        else {
            rows.push((connection.name.clone(), true, "仅作来源 / source only".into()));
            continue;
        };
        rows.push(match target.probe().await {
            Ok(detail) => (connection.name.clone(), true, detail),
            Err(failure) => {
                (connection.name.clone(), false, format!("{} → {}", failure.fault, failure.fault.remedy))
            }
        });
    }
    let failed = rows.iter().any(|(_, ok, _)| !ok);
    if as_json {
        let list: Vec<_> =
            rows.iter().map(|(name, ok, detail)| json!({"name": name, "ok": ok, "detail": detail})).collect();
        output::json(&json!({"ok": !failed, "checks": list}));
    } else {
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(name, ok, detail)| vec![if ok { "✓" } else { "✗" }.into(), name, detail])
            .collect();
        output::line(output::table(&["", "对象 / what", "结果 / result"], &rows).trim_end());
    }
    if failed { Exit::Failed } else { Exit::Ok }
}
