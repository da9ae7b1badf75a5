//! `tongbao bench …`: each figure beside a limit measured in the same run, interleaved.

mod backlog;
mod compare;
mod contracts;
mod delivery;
mod filling;
mod limits;
mod mapping;
mod memory;
mod poison;

use super::serve::stop_signal;
use crate::cli::BenchCommand;
use crate::output::{self, Exit};
use serde_json::{Map, Value, json};

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

/// What explains figures.
pub struct Table {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its title.
    pub title: String,
    /// Column heads.
    pub head: Vec<&'static str>,
    /// Rows.
    pub rows: Vec<Vec<String>>,
}

/// Runs a benchmark. Told to stop, it takes the services with it that it has started.
pub async fn run(command: BenchCommand, as_json: bool) -> Exit {
    if let BenchCommand::CompareOnce { engine, left, right } = command {
        return compare::once(engine, &left, &right);
    }
    let result = tokio::select! {
        () = stop_signal() => Err("中止 / stopped".to_owned()),
        result = measure(command) => result,
    };
    match result {
        Ok((figures, tables)) => {
            show(&figures, &tables, as_json);
            Exit::Ok
        }
        Err(why) => {
            output::note(&why);
            Exit::Failed
        }
    }
}

async fn measure(command: BenchCommand) -> Result<(Vec<Figure>, Vec<Table>), String> {
    let plain = |figures: Vec<Figure>| (figures, Vec::new());
    match command {
        BenchCommand::Mapping { seconds, contracts } => {
            mapping::run(seconds, contracts.as_deref()).map(plain)
        }
        BenchCommand::Backlog { rows, store } => backlog::run(rows, store).await.map(plain),
        BenchCommand::Contracts { contracts, clients, store, broker } => {
            contracts::run(contracts, clients, store, broker).await.map(plain)
        }
        BenchCommand::Delivery { documents, rounds, clients, store, broker } => {
            delivery::run(delivery::Options { documents, rounds, clients, store, broker }).await
        }
        BenchCommand::Compare(args) => compare::run(&args).await,
        // Taken in `run`.
        BenchCommand::CompareOnce { .. } => Ok((Vec::new(), Vec::new())),
        BenchCommand::Poison { contracts, rounds, clients, kinds, store, broker } => {
            poison::run(poison::Load { contracts, rounds, clients, kinds, store, broker }).await.map(plain)
        }
    }
}

fn show(figures: &[Figure], tables: &[Table], as_json: bool) {
    if as_json {
        let list: Vec<Value> = figures.iter().map(shown).collect();
        let mut all = Map::from_iter([("figures".to_owned(), Value::Array(list))]);
        for table in tables {
            all.insert(table.name.to_owned(), json!({"head": table.head, "rows": table.rows}));
        }
        return output::json(&Value::Object(all));
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
    for table in tables {
        output::line(&format!("\n{}", table.title));
        output::line(output::table(&table.head, &table.rows).trim_end());
    }
}

fn shown(figure: &Figure) -> Value {
    json!({
        "what": figure.what, "per_second": format!("{:.1}", figure.rate), "limit": figure.limit_what,
        "limit_per_second": format!("{:.1}", figure.limit),
        "ratio": format!("{:.3}", figure.rate / figure.limit),
        "goal": figure.goal.map(|goal| format!("{goal:.2}")),
    })
}

/// The median of some rates.
pub fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}
