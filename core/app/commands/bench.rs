//! `tongbao bench …`: each figure beside a limit measured in the same run, interleaved.

mod backlog;
mod delivery;
mod mapping;

use crate::cli::BenchCommand;
use crate::output::{self, Exit};
use serde_json::{Value, json};

/// A measured ratio.
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// How many a second.
    pub rate: f64,
    /// What it is held against.
    pub limit_what: String,
    /// How many of those a second.
    pub limit: f64,
    /// Goal of the ratio, where one is set.
    pub goal: Option<f64>,
}

/// Runs a benchmark.
pub async fn run(command: BenchCommand, as_json: bool) -> Exit {
    let result = match command {
        BenchCommand::Mapping { seconds, contracts } => mapping::run(seconds, contracts.as_deref()),
        BenchCommand::Backlog { rows, store } => backlog::run(rows, store).await,
        BenchCommand::Delivery { contracts, clients, store, broker } => {
            delivery::run(contracts, clients, store, broker).await
        }
    };
    match result {
        Ok(figures) => {
            show(&figures, as_json);
            Exit::Ok
        }
        Err(why) => {
            output::note(&why);
            Exit::Failed
        }
    }
}

fn show(figures: &[Figure], as_json: bool) {
    if as_json {
        let list: Vec<Value> = figures
            .iter()
            .map(|figure| {
                json!({
                    "what": figure.what, "per_second": format!("{:.1}", figure.rate), "limit": figure.limit_what,
                    "limit_per_second": format!("{:.1}", figure.limit),
                    "ratio": format!("{:.3}", figure.rate / figure.limit), "goal": figure.goal.map(|goal| format!("{goal:.2}")),
                })
            })
            .collect();
        output::json(&Value::Array(list));
        return;
    }
    let rows: Vec<Vec<String>> = figures
        .iter()
        .map(|figure| {
            vec![
                figure.what.clone(),
                format!("{:.0}", figure.rate),
                figure.limit_what.clone(),
                format!("{:.0}", figure.limit),
                format!("{:.3}", figure.rate / figure.limit),
                figure.goal.map(|goal| format!("{goal:.2}")).unwrap_or_default(),
            ]
        })
        .collect();
    let head = ["测量 / measured", "每秒 /s", "对照 / limit", "每秒 /s", "比值 / ratio", "目标 / goal"];
    output::line(output::table(&head, &rows).trim_end());
}

/// The median of some rates.
pub fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}
