//! `tongbao recon pack`.

use super::super::opened;
use super::stopped;
use crate::cli::payments::{PackArgs, PackFormat};
use crate::config::allocates;
use crate::output::{self, Exit};
use crate::pack::{self, Asked, Pack};
use crate::{closings, paper};
use serde_json::json;
use std::path::Path;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_model::Exact;
use tongbao_paper::pack as sheets;

/// Makes the pack and prints or writes it.
pub async fn run(args: &PackArgs, config: &Path, as_json: bool) -> Exit {
    let month = match closings::month(&args.month) {
        Ok(month) => month,
        Err(why) => {
            output::note(&why.to_string());
            return Exit::Usage;
        }
    };
    let format = if as_json { PackFormat::Json } else { args.format };
    if format == PackFormat::Xlsx && args.out.is_none() {
        output::note("该格式须以 --out 指明文件 / this format needs a file: --out");
        return Exit::Usage;
    }
    let (loaded, store) = match opened(config).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let leading = allocates(&loaded.config).then_some(loaded.config.matching.book);
    let asked = Asked { month, credit_days: args.credit_days, leading, now_ms: SystemClock.now_ms() };
    let made = pack::made(store.as_ref(), asked).await;
    store.close().await;
    match made {
        Ok(pack) => written(&pack, args, format),
        Err(why) => stopped(why, as_json),
    }
}

fn written(pack: &Pack, args: &PackArgs, format: PackFormat) -> Exit {
    let bytes = match format {
        PackFormat::Table => table(pack).into_bytes(),
        PackFormat::Json => serde_json::to_vec_pretty(&json!(pack)).unwrap_or_default(),
        PackFormat::Html => pack.html().into_bytes(),
        PackFormat::Xlsx => match pack.xlsx() {
            Ok(bytes) => bytes,
            Err(why) => {
                output::note(&why.to_string());
                return Exit::Failed;
            }
        },
    };
    match &args.out {
        None => output::line(String::from_utf8_lossy(&bytes).trim_end()),
        Some(path) => {
            if let Err(error) = std::fs::write(path, bytes) {
                output::note(&paper::unwritten(&format!("{}: {error}", path.display())).to_string());
                return Exit::Failed;
            }
            output::note(&path.display().to_string());
        }
    }
    Exit::Ok
}

fn table(pack: &Pack) -> String {
    let state = if pack.is_closed { "已结账 / closed" } else { "未结账 / open" };
    let mut text = format!("月结包 / month-end pack {} ({state})\n", pack.month);
    let names = pack.names();
    for part in &pack.parts {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut blocks = vec![sheets::roll(part), sheets::payments(part)];
        blocks.extend(names.map(|names| sheets::walk(&part.walk, names)));
        for (name, count, amount) in blocks.into_iter().flatten() {
            rows.push(vec![
                name,
                count.map(|count| count.to_string()).unwrap_or_default(),
                amount.to_string(),
            ]);
        }
        for (zh, en, amount) in part.ageing.told() {
            rows.push(vec![format!("账龄 {zh} {en}"), String::new(), amount.to_string()]);
        }
        text.push_str(&format!("\n{}\n", output::table(&[&part.currency, "笔数", "金额 / amount"], &rows)));
        let days = |days: Option<Exact>| days.map_or_else(|| "—".to_owned(), |days| days.to_string());
        let trend: Vec<Vec<String>> = part
            .trend
            .iter()
            .map(|point| {
                let amounts = [point.invoiced, point.received, point.closing].map(|one| one.to_string());
                let mut row = vec![point.month.to_string()];
                row.extend(amounts);
                row.extend([days(point.dso.balance), days(point.dso.count_back)]);
                row
            })
            .collect();
        let head = ["月份", "开票", "收款", "期末", "DSO 余额法", "DSO 倒推法"];
        text.push_str(&output::table(&head, &trend));
        if let Some(point) = part.trend.last() {
            text.push_str(&format!("DSO {}：{}\n", sheets::DSO[0], point.dso.formula(part.roll.closing)));
            text.push_str(&format!("DSO {}\n", sheets::DSO[1]));
        }
    }
    text
}
