//! `tongbao mapping explain`: of each target field how it came about, in a document at hand or in a stored delivery.

use super::compile_file;
use crate::cli::Named;
use crate::config::mapping_files;
use crate::mappings::{self, ByName, Explained};
use crate::output::{self, Exit};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tongbao_mapping::{Tables, Trace};
use tongbao_model::Fault;

fn read_json(path: &Path) -> Result<Value, String> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    } else {
        text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The file of a mapping.
fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    mapping_files(folders).ok()?.into_iter().find(|file| {
        let text = std::fs::read_to_string(file).ok();
        text.and_then(|text| tongbao_mapping::head(&text)).is_some_and(|head| head.name == name)
    })
}

/// Explains a document at hand.
pub fn run(
    name: &str,
    (input, related): (&Path, &[Named]),
    folders: &[PathBuf],
    tables: &Tables,
    as_json: bool,
) -> Exit {
    let Some(file) = find(name, folders) else {
        output::note(&format!("没有映射 {name} / there is no mapping `{name}`"));
        return Exit::Config;
    };
    let (Some(mapping), _) = compile_file(&file) else {
        crate::commands::show(&compile_file(&file).1);
        return Exit::Config;
    };
    let read = read_json(input).and_then(|document| Ok((document, crate::related::from_files(related)?)));
    let (document, related) = match read {
        Ok(read) => read,
        Err(why) => {
            output::note(&why);
            return Exit::Failed;
        }
    };
    let (result, traces) = mapping.explain(&document, &related, tables);
    if as_json {
        output::json(&json!({
            "mapping": mapping.name, "version": mapping.version, "fields": traces,
            "document": result.as_ref().ok().map(|mapped| &mapped.document),
            "fault": result.as_ref().err().map(|stop| &stop.fault),
        }));
    } else {
        show(&traces, result.as_ref().err().map(|stop| &stop.fault));
    }
    if result.is_ok() { Exit::Ok } else { Exit::Failed }
}

/// Explains a stored delivery. Fails where its fields cannot be explained.
pub async fn stored(delivery: &str, attempt: Option<u32>, config: &Path, as_json: bool) -> Exit {
    let loaded = match crate::commands::load_without_mappings(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let store = match crate::commands::open(&loaded).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let mut in_use = ByName::new();
    for file in mapping_files(&loaded.config.mappings).unwrap_or_default() {
        if let (Some(mapping), _) = compile_file(&file) {
            in_use.insert(mapping.name.clone(), Arc::new(mapping));
        }
    }
    let told = mappings::explain(store.as_ref(), &in_use, delivery, attempt).await;
    store.close().await;
    match told {
        Err(error) => crate::commands::store_failed(&error, as_json),
        Ok(None) => {
            output::note("没有该投递 / there is no such delivery");
            Exit::Failed
        }
        Ok(Some(told)) => {
            if as_json {
                output::json(&json!(told));
            } else {
                tell(&told);
            }
            if told.fields.is_empty() && told.fault.is_none() { Exit::Failed } else { Exit::Ok }
        }
    }
}

fn tell(told: &Explained) {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "—".to_owned());
    let attempt = told.attempt.map(|number| format!(" #{number}")).unwrap_or_default();
    let revision = told.tables_revision.map(|revision| format!(", tables r{revision}")).unwrap_or_default();
    output::line(&format!("{}{attempt}: {}{revision}", told.delivery, text(&told.mapping)));
    if told.in_use != told.mapping {
        let now = text(&told.in_use);
        output::line(&format!(
            "现在的文件是 {now}，以下按当时的版本 / the file now is {now}; this is by the one of then"
        ));
    }
    for note in &told.notes {
        output::line(&format!("! {note}"));
    }
    show(&told.fields, told.fault.as_ref());
    if told.is_what_was_sent == Some(true) {
        output::line("✓ 与当时发送的一致 / this is what was sent");
    }
}

fn show(traces: &[Trace], fault: Option<&Fault>) {
    let rows: Vec<Vec<String>> = traces
        .iter()
        .map(|trace| {
            let source = trace.table.clone().unwrap_or_else(|| trace.source.clone());
            vec![
                trace.target.clone(),
                trace.value.to_string(),
                trace.rule.clone(),
                trace.reads.join(", "),
                source,
                trace.line.to_string(),
            ]
        })
        .collect();
    let head = [
        "目标字段 / target",
        "值 / value",
        "规则 / rule",
        "来源路径 / reads",
        "来源值 / source",
        "行 / line",
    ];
    output::line(output::table(&head, &rows).trim_end());
    if let Some(fault) = fault {
        output::line(&format!("✗ {fault}\n  → {}", fault.remedy));
    }
}
