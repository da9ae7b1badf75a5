//! `tongbao bank import`: statement files into the store.

use crate::cli::BankCommand;
use crate::files::{self, ImportError, Imported, Ledger};
use crate::mappings::Mappings;
use crate::output::{self, Exit};
use crate::service;
use crate::tables::TableCache;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tongbao_connect::Source;
use tongbao_delivery::Holds;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{Store, StoreError};
use tongbao_model::Fault;

/// Runs a `bank` command. A service that runs meanwhile delivers what is new.
pub async fn run(command: BankCommand, config: &Path, as_json: bool) -> Exit {
    let BankCommand::Import { connection, files } = command;
    let loaded = match super::load(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let of = |name: &str| loaded.connections.get(name).and_then(|built| built.source.as_ref());
    let source = match files::reader(of, &connection) {
        Ok(source) => source,
        Err(fault) => {
            tell_faults(&connection, &[fault], as_json);
            return Exit::Usage;
        }
    };
    let store = match super::open(&loaded).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let tables = match TableCache::load(store.clone()).await {
        Ok(tables) => Arc::new(tables),
        Err(error) => return super::store_failed(&error, as_json),
    };
    let intaker = service::intaker(&loaded, Arc::new(Mappings::new(loaded.mappings.clone())), tables);
    let result = import_all(&intaker, &connection, &source, store.as_ref(), &files, as_json).await;
    store.close().await;
    result.unwrap_or_else(|error| super::store_failed(&error, as_json))
}

async fn import_all(
    intaker: &crate::intake::Intaker,
    connection: &str,
    source: &Arc<dyn Source>,
    store: &dyn Store,
    paths: &[PathBuf],
    as_json: bool,
) -> Result<Exit, StoreError> {
    if Holds::new(store.holds(i64::MAX).await?).intake().is_some() {
        output::note(
            "排空中，暂不接收；先执行 tongbao drain --undo / draining: nothing is taken in until `tongbao drain --undo`",
        );
        return Ok(Exit::Failed);
    }
    let (mut list, mut exit) = (Vec::new(), Exit::Ok);
    for file in paths {
        let shown = file.display().to_string();
        let bytes = match files::bounded(file, source.as_ref()).await {
            Ok(bytes) => bytes,
            Err(error) => {
                output::note(&format!("✗ {shown}: {error}"));
                list.push(json!({"file": shown, "error": error.to_string()}));
                exit = Exit::Failed;
                continue;
            }
        };
        let now_ms = SystemClock.now_ms();
        let ledger = Ledger::Store(store, now_ms);
        match files::import(intaker, connection, source.clone(), bytes, ledger, now_ms).await {
            Ok(imported) => {
                if !as_json {
                    tell(&shown, &imported);
                }
                let mut told = json!(imported);
                if let Value::Object(members) = &mut told {
                    members.insert("file".to_owned(), shown.into());
                }
                list.push(told);
            }
            Err(ImportError::Refused(faults)) => {
                if !as_json {
                    tell_faults(&shown, &faults, false);
                }
                list.push(json!({"file": shown, "faults": faults}));
                exit = Exit::Failed;
            }
            Err(ImportError::Store(error)) => return Err(error),
        }
    }
    if as_json {
        output::json(&json!({"connection": connection, "files": list}));
    }
    Ok(exit)
}

fn tell(file: &str, imported: &Imported) {
    let Imported { new, known, changed, changed_keys, about } = imported;
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "—".to_owned(),
        Some(other) => other.to_string(),
    };
    let format = text(about.get("format"));
    output::line(&format!(
        "{file}（{format}）：新增 {new}，已有 {known}，变更 {changed} / {new} new, {known} known, {changed} changed"
    ));
    let rows: Vec<Vec<String>> = about
        .get("statements")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|one| {
            let paths = [
                "/account",
                "/currency",
                "/from",
                "/to",
                "/rows",
                "/in/sum",
                "/out/sum",
                "/opening",
                "/closing",
            ];
            paths.iter().map(|path| text(one.pointer(path))).collect()
        })
        .collect();
    let head = [
        "账户 account",
        "币种",
        "自 from",
        "至 to",
        "行 rows",
        "收入 in",
        "支出 out",
        "期初 opening",
        "期末 closing",
    ];
    output::line(output::table(&head, &rows).trim_end());
    let pairs = |path: &str| {
        let members = about.pointer(path).and_then(Value::as_object);
        let pairs: Vec<String> =
            members.into_iter().flatten().map(|(name, count)| format!("{name} {count}")).collect();
        if pairs.is_empty() { "—".to_owned() } else { pairs.join(" · ") }
    };
    output::line(&format!("跳过 / skipped: {}", pairs("/skipped/reasons")));
    output::line(&format!("核对 / checks: {}", pairs("/checks")));
    for key in changed_keys {
        output::line(&format!("~ {key}"));
    }
}

fn tell_faults(what: &str, faults: &[Fault], as_json: bool) {
    if as_json {
        return output::json(&json!({"connection": what, "faults": faults}));
    }
    for fault in faults {
        output::note(&format!("✗ {what}: {fault}\n    → {}", fault.remedy));
    }
}
