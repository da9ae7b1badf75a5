//! `tongbao mapping status` and `reload`: what the running service works with, and taking edited files over at once.

use crate::ask::ask;
use crate::output::{self, Exit, time};
use reqwest::Method;
use serde_json::Value;
use std::path::Path;

/// Asks the service on this machine. Fails when an edited file did not take over.
pub async fn run(config: &Path, is_reload: bool, as_json: bool) -> Exit {
    let loaded = match crate::commands::load_without_mappings(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let asked = if is_reload {
        ask(&loaded.config, Method::POST, "/mappings/reload").await
    } else {
        ask(&loaded.config, Method::GET, "/mappings").await
    };
    let told = match asked {
        Ok(told) => told,
        Err(why) => {
            output::note(&why);
            return Exit::Unavailable;
        }
    };
    let list = |path: &str| told.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
    let refused = list("/mappings/refused");
    if as_json {
        output::json(&told);
    } else {
        let rows: Vec<Vec<String>> = list("/mappings/loaded").iter().map(row).collect();
        let head = ["映射 / mapping", "版本 / version", "自 / since", "文件 / file"];
        output::line(output::table(&head, &rows).trim_end());
        let revision = told.get("tables_revision").map(Value::to_string).unwrap_or_default();
        output::line(&format!("对照表版本 / code tables at revision {revision}"));
        for file in list("/mappings/changing") {
            let file = file.as_str().unwrap_or_default();
            output::line(&format!("… {file}: 仍在变化 / still changing"));
        }
        if let Some(problem) = told.pointer("/mappings/problem").and_then(Value::as_str) {
            output::line(&format!("✗ {problem}"));
        }
        for one in &refused {
            output::line(&refused_text(one));
        }
        tables(&told);
    }
    let has_tables = list("/tables_refused").is_empty();
    if refused.is_empty() && has_tables { Exit::Ok } else { Exit::Failed }
}

/// Prints what is wrong with the latest code tables.
pub fn tables(told: &Value) {
    for why in told.get("tables_refused").and_then(Value::as_array).into_iter().flatten() {
        let text = |language: &str| why.get(language).and_then(Value::as_str).unwrap_or_default();
        output::line(&format!(
            "✗ 对照表未生效 / code tables did not take over: {} / {}",
            text("zh"),
            text("en")
        ));
    }
}

fn row(one: &Value) -> Vec<String> {
    let text = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let since = one.get("since_ms").and_then(Value::as_i64).map(time).unwrap_or_default();
    vec![text("name"), text("version"), since, text("file")]
}

/// A file that did not take over, with what is wrong.
pub fn refused_text(refused: &Value) -> String {
    let text =
        |at: &Value, path: &str| at.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let goes_on = text(refused, "/goes_on");
    let goes_on = if goes_on.is_empty() { "—".to_owned() } else { goes_on };
    let file = text(refused, "/file");
    let mut out = format!("✗ {file}: 未生效，沿用 {goes_on} / did not take over, {goes_on} goes on");
    for finding in refused.get("findings").and_then(Value::as_array).into_iter().flatten() {
        let number = |key: &str| finding.get(key).map(Value::to_string).unwrap_or_default();
        out.push_str(&format!(
            "\n    {}:{}:{}: [{}] {} / {}",
            text(finding, "/file"),
            number("line"),
            number("column"),
            text(finding, "/code"),
            text(finding, "/message/zh"),
            text(finding, "/message/en"),
        ));
        if finding.get("suggestion").is_some() {
            out.push_str(&format!(
                "\n      → {} / {}",
                text(finding, "/suggestion/zh"),
                text(finding, "/suggestion/en")
            ));
        }
    }
    out
}
