//! `tongbao query …`: live questions to an ERP.

use super::tables::propose::{masters_of, told};
use crate::cli::QueryCommand;
use crate::masters::{
    self,
    stock::{self, Line, Question},
};
use crate::output::{self, Exit};
use crate::tables::code_row;
use serde_json::Value;
use std::path::Path;
use tongbao_mapping::Tables;

/// The table that translates materials.
pub const MATERIALS: &str = "materials";

/// Runs a `query` command.
pub async fn run(command: QueryCommand, config: &Path, as_json: bool) -> Exit {
    let QueryCommand::Stock { connection, material, warehouse, crm } = command;
    let question = match Question::new(&material, warehouse, crm.then(|| MATERIALS.to_owned())) {
        Ok(question) => question,
        Err(refused) => {
            told(&refused, as_json);
            return Exit::Usage;
        }
    };
    let loaded = match super::load_without_mappings(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let line = match masters_of(&loaded, &connection) {
        Ok(masters) => Line::new(masters),
        Err(refused) => return told(&refused, as_json),
    };
    let store = match super::open(&loaded).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let (may_call, rows) =
        (masters::may_call(store.as_ref(), &connection).await, store.table_rows(Some(MATERIALS)).await);
    store.close().await;
    if let Err(refused) = may_call {
        return told(&refused, as_json);
    }
    let tables = match rows {
        Ok(rows) => Tables::of_rows(0, rows.into_iter().map(code_row)).0,
        Err(error) => return super::store_failed(&error, as_json),
    };
    match stock::ask(&line, &connection, &question, &tables).await {
        Ok(answer) if as_json => {
            output::json(&answer);
            Exit::Ok
        }
        Ok(answer) => {
            show(&answer);
            Exit::Ok
        }
        Err(refused) => told(&refused, as_json),
    }
}

fn show(answer: &Value) {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or("–").to_owned();
    let list =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for material in list(answer, "materials") {
        let (asked, code) = (text(&material, "asked"), text(&material, "material"));
        let name = if asked == code { code } else { format!("{asked} → {code}") };
        let stock = list(&material, "stock");
        if stock.is_empty() {
            let is_unknown = material.get("unknown") == Some(&Value::Bool(true));
            let why = if is_unknown {
                "ERP 中没有该物料 / not in the ERP"
            } else {
                "无库存 / none in stock"
            };
            rows.push(vec![name.clone(), why.to_owned(), String::new(), String::new(), String::new()]);
        }
        for one in stock {
            let warehouse = format!("{} {}", text(&one, "warehouse"), text(&one, "warehouse_name"));
            let cells = ["on_hand", "available", "unit"].map(|column| text(&one, column));
            rows.push([vec![name.clone(), warehouse], cells.to_vec()].concat());
        }
    }
    let head = ["物料 / material", "仓库 / warehouse", "现存 / on hand", "可用 / available", "单位 / unit"];
    output::line(output::table(&head, &rows).trim_end());
    output::line(&format!("截至 / as of {}", text(answer, "as_of")));
}
