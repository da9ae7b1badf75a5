//! `tongbao archive`: moves what has been finished for long into files now.

use crate::archive::{self, ArchiveError, Summary};
use crate::cli::ArchiveArgs;
use crate::output::{self, Exit, time};
use serde_json::json;
use std::path::Path;
use tokio_util::sync::CancellationToken;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_model::china;

/// Runs the command. A service that runs meanwhile is not disturbed.
pub async fn run(args: ArchiveArgs, config: &Path, as_json: bool) -> Exit {
    let loaded = match super::load_without_mappings(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let retention = &loaded.config.retention;
    let now_ms = SystemClock.now_ms();
    let before_ms = match args.before.as_deref().map(day_ms).transpose() {
        // A day that is yet to come means everything that is finished.
        Ok(before) => before.map_or_else(|| archive::limit_ms(retention, now_ms), |at_ms| at_ms.min(now_ms)),
        Err(why) => {
            output::note(&why);
            return Exit::Failed;
        }
    };
    let folder = retention.archive.as_deref();
    if folder.is_none() && !args.dry_run {
        output::note(
            "未配置 retention.archive，不删除任何数据 / retention.archive is not set: nothing is removed",
        );
        return Exit::Failed;
    }
    let store = match super::open(&loaded).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let result = match folder {
        Some(folder) if !args.dry_run => {
            archive::run(store.as_ref(), folder, before_ms, &CancellationToken::new()).await
        }
        _ => archive::dry_run(store.as_ref(), before_ms).await,
    };
    store.close().await;
    match result {
        Ok(summary) => {
            tell(&summary, before_ms, args.dry_run, as_json);
            Exit::Ok
        }
        Err(ArchiveError::Store(error)) => super::store_failed(&error, as_json),
        Err(error) => {
            output::note(&error.to_string());
            Exit::Failed
        }
    }
}

/// Midnight in China at the beginning of a day.
fn day_ms(text: &str) -> Result<i64, String> {
    text.parse()
        .ok()
        .and_then(china::begin_ms)
        .ok_or_else(|| format!("日期 {text} 应如 2026-01-31 / `{text}` is no date such as 2026-01-31"))
}

fn tell(summary: &Summary, before_ms: i64, dry_run: bool, as_json: bool) {
    if as_json {
        return output::json(&json!({"dry_run": dry_run, "before_ms": before_ms, "archived": summary}));
    }
    let Summary { events, deliveries, files } = summary;
    let before = time(before_ms);
    output::line(&if dry_run {
        format!(
            "将归档 {before} 之前办结的 {events} 个事件、{deliveries} 个投递 / would archive {events} events with \
             {deliveries} deliveries finished before {before}"
        )
    } else {
        format!(
            "已归档 {before} 之前办结的 {events} 个事件、{deliveries} 个投递 / archived {events} events with \
             {deliveries} deliveries finished before {before}"
        )
    });
    if !files.is_empty() {
        let rows: Vec<Vec<String>> =
            files.iter().map(|(file, count)| vec![file.clone(), count.to_string()]).collect();
        output::line(output::table(&["文件 file", "事件 events"], &rows).trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::day_ms;

    #[test]
    fn days_begin_at_midnight_in_china() {
        assert_eq!(day_ms("1970-01-02"), Ok(16 * 3_600_000));
        assert!(day_ms("2026-02-30").is_err() && day_ms("yesterday").is_err());
    }
}
