//! `tongbao recon commission`.

use super::super::store;
use super::stopped;
use crate::cli::payments::CommissionArgs;
use crate::commission::{self, Due};
use crate::output::{self, Exit};
use crate::{closings, paper};
use serde_json::json;
use std::path::Path;
use tongbao_delivery::clock::{Clock, SystemClock};

/// Tells what commission is due on in a month.
pub async fn run(args: &CommissionArgs, config: &Path, as_json: bool) -> Exit {
    let month = match closings::month(&args.month) {
        Ok(month) => month,
        Err(why) => {
            output::note(&why.to_string());
            return Exit::Usage;
        }
    };
    let store = match store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let due = commission::due(store.as_ref(), month, SystemClock.now_ms()).await;
    store.close().await;
    match due {
        Ok(due) => told(&due, args, as_json),
        Err(why) => stopped(why, as_json),
    }
}

fn told(due: &Due, args: &CommissionArgs, as_json: bool) -> Exit {
    if let Some(path) = &args.out {
        if let Err(error) = std::fs::write(path, due.csv()) {
            output::note(&paper::unwritten(&format!("{}: {error}", path.display())).to_string());
            return Exit::Failed;
        }
        output::note(&path.display().to_string());
    }
    if as_json {
        output::json(&json!(due));
        return Exit::Ok;
    }
    let rows: Vec<Vec<String>> = due
        .sums
        .iter()
        .map(|sum| {
            let who = sum.salesperson.clone().unwrap_or_else(|| "—".to_owned());
            vec![who, sum.currency.clone(), sum.base.to_string()]
        })
        .collect();
    output::line(&format!("{}：{} 笔 / {} lines\n", due.month, due.lines.len(), due.lines.len()));
    output::line(output::table(&["业务员 / salesperson", "币别", "提成基数 / base"], &rows).trim_end());
    Exit::Ok
}
