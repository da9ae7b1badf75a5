//! What parked documents wait for in the code tables, who uses a table, and replaying exactly those that a row helps.

use crate::output::{self, Exit};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{DeliveryView, Filter, State, Store, Stored};
use tongbao_mapping::missed;
use tongbao_model::Code;

/// Deliveries read at once.
const PAGE: u64 = 10_000;

/// Parked and rejected deliveries that lack a row, by table and code.
pub type Waiting = BTreeMap<(String, String), Vec<DeliveryView>>;

/// What parked and rejected deliveries lack.
pub async fn waiting(store: &dyn Store) -> Stored<Waiting> {
    let mut found = Waiting::new();
    let mut after = None;
    loop {
        let filter = Filter {
            code: Some(Code::CodeTableMiss.as_str().to_owned()),
            states: vec![State::Parked, State::Rejected],
            after_seq: after,
            limit: PAGE,
            ..Filter::default()
        };
        let page = store.deliveries(filter).await?;
        after = page.last().map(|delivery| delivery.seq);
        for delivery in page {
            let key = delivery.fault.as_ref().and_then(missed);
            if let Some((table, code)) = key.map(|(table, code)| (table.to_owned(), code.to_owned())) {
                found.entry((table, code)).or_default().push(delivery);
            }
        }
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Prints the codes that documents wait for, the most awaited first.
pub async fn show(store: &dyn Store, table: Option<&str>, as_json: bool) -> Stored<()> {
    let found = waiting(store).await?;
    let mut rows: Vec<_> =
        found.into_iter().filter(|((name, _), _)| table.is_none_or(|table| table == name)).collect();
    rows.sort_by_key(|(_, deliveries)| std::cmp::Reverse(deliveries.len()));
    if as_json {
        let list: Vec<Value> = rows
            .iter()
            .map(|((table, code), deliveries)| {
                let keys: BTreeSet<&str> = deliveries.iter().map(|delivery| delivery.key.as_str()).collect();
                json!({"table": table, "code": code, "deliveries": deliveries.len(), "keys": keys})
            })
            .collect();
        output::json(&json!(list));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|((table, code), deliveries)| {
            let keys: Vec<&str> = deliveries.iter().take(3).map(|delivery| delivery.key.as_str()).collect();
            let more = if deliveries.len() > keys.len() { " …" } else { "" };
            vec![table, code, deliveries.len().to_string(), format!("{}{more}", keys.join(", "))]
        })
        .collect();
    let head = ["对照表 / table", "缺少的编码 / missing code", "等待 / waiting", "单据 / documents"];
    output::line(output::table(&head, &rows).trim_end());
    Ok(())
}

/// Replays the deliveries that lacked one of these codes, and no others. Answers how many.
pub async fn replay(store: &dyn Store, table: &str, codes: &BTreeSet<String>) -> Stored<usize> {
    let found = waiting(store).await?;
    let ids: Vec<String> = found
        .into_iter()
        .filter(|((name, code), _)| name == table && codes.contains(code))
        .flat_map(|(_, deliveries)| deliveries.into_iter().map(|delivery| delivery.id))
        .collect();
    let mut replayed = 0;
    // In pages: a filter names its deliveries one by one.
    for page in ids.chunks(500) {
        let filter = Filter { ids: page.to_vec(), limit: PAGE, ..Filter::default() };
        replayed += store.replay(filter, SystemClock.now_ms()).await?.ids.len();
    }
    Ok(replayed)
}

/// Prints which mappings look into a table, and of one code which of its documents are at hand.
pub async fn users(store: &dyn Store, table: &str, code: Option<&str>, config: &Path, as_json: bool) -> Exit {
    let loaded = match crate::commands::load(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let mut mappings: Vec<&str> = loaded
        .mappings
        .values()
        .filter(|mapping| mapping.tables.iter().any(|used| used == table))
        .map(|mapping| mapping.name.as_str())
        .collect();
    mappings.sort_unstable();
    let flows: Vec<&str> = loaded
        .config
        .flows
        .iter()
        .filter(|flow| flow.mapping.as_deref().is_some_and(|name| mappings.contains(&name)))
        .map(|flow| flow.name.as_str())
        .collect();
    let (rows, found) = match (store.table_rows(Some(table)).await, waiting(store).await) {
        (Ok(rows), Ok(found)) => (rows, found),
        (Err(error), _) | (_, Err(error)) => return crate::commands::store_failed(&error, as_json),
    };
    let row = code.and_then(|code| rows.iter().find(|row| row.source == code));
    let waits = |code: &str| found.get(&(table.to_owned(), code.to_owned())).map_or(0, Vec::len);
    if as_json {
        output::json(
            &json!({"table": table, "rows": rows.len(), "mappings": mappings, "flows": flows, "row": row,
            "waiting": code.map(waits)}),
        );
        return Exit::Ok;
    }
    output::line(&format!("{table}: {} 行 / {} rows", rows.len(), rows.len()));
    output::line(&format!("映射 / mappings: {}", mappings.join(", ")));
    output::line(&format!("流程 / flows: {}", flows.join(", ")));
    if let Some(code) = code {
        let target = row.map_or("∅", |row| row.target.as_str());
        let count = waits(code);
        output::line(&format!("{code} → {target}: {count} 份单据在等 / {count} documents wait for it"));
    }
    Exit::Ok
}
