//! `tongbao drain`: before maintenance, nothing more is taken in and what is stored is worked off.

use crate::api::duration_ms;
use crate::cli::DrainArgs;
use crate::config::operator;
use crate::output::{self, Exit};
use crate::overview::Left;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{Store, Stored, Subject};

/// By then every process has seen that nothing is to be taken in.
const FOLLOWED: Duration = Duration::from_secs(3);
/// Pause between looks; more when a look takes long.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the command.
pub async fn run(args: DrainArgs, config: &Path, as_json: bool) -> Exit {
    let limit = match args.timeout.as_deref().map(duration_ms).transpose() {
        Ok(limit) => limit.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        Err(why) => {
            output::note(&why);
            return Exit::Failed;
        }
    };
    let store = match super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let by = args.by.unwrap_or_else(operator);
    let result = if args.undo {
        undo(store.as_ref(), &by, as_json).await
    } else {
        drain(store.as_ref(), &by, &args.reason, limit, as_json).await
    };
    store.close().await;
    result.unwrap_or_else(|error| super::store_failed(&error, as_json))
}

async fn undo(store: &dyn Store, by: &str, as_json: bool) -> Stored<Exit> {
    let changed = store.release(Subject::Intake, by, SystemClock.now_ms()).await?;
    if as_json {
        output::json(&json!({"draining": null, "changed": changed}));
    } else if changed {
        output::line("已恢复接收 / documents are taken in again");
    } else {
        output::line("未在排空 / was not draining");
    }
    Ok(Exit::Ok)
}

async fn drain(
    store: &dyn Store,
    by: &str,
    reason: &str,
    limit: Option<Duration>,
    as_json: bool,
) -> Stored<Exit> {
    store.hold(Subject::Intake, by, reason, SystemClock.now_ms()).await?;
    let begun = Instant::now();
    let mut shown = None;
    let mut was_empty = false;
    loop {
        let asked = Instant::now();
        let left = Left::of(store).await?;
        if shown != Some(left) {
            output::note(&format!("剩余 / left: {}{}", left.left, standing(left)));
            shown = Some(left);
        }
        // What was being taken in when the others had not heard of it yet is stored by the second look.
        let is_empty = left.left == 0 && begun.elapsed() >= FOLLOWED;
        let is_over = limit.is_some_and(|limit| begun.elapsed() >= limit);
        if (is_empty && was_empty) || is_over {
            let drained = is_empty && was_empty;
            tell(left, drained, as_json);
            return Ok(if drained { Exit::Ok } else { Exit::Failed });
        }
        was_empty = is_empty;
        tokio::time::sleep(LOOK.max(asked.elapsed() * 5)).await;
    }
}

/// What does not move by itself, in brackets.
fn standing(left: Left) -> String {
    let parts: Vec<String> = [
        ("连接已暂停 / connection paused", left.paused),
        ("挂起 / parked", left.parked),
        ("在挂起者之后 / behind parked ones", left.behind_parked),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(what, count)| format!("{what}: {count}"))
    .collect();
    if parts.is_empty() { String::new() } else { format!("（{}）", parts.join("; ")) }
}

fn tell(left: Left, drained: bool, as_json: bool) {
    if as_json {
        return output::json(&json!({"drained": drained, "left": left}));
    }
    let standing = standing(left);
    if drained {
        output::line(&format!("已排空 / drained{standing}"));
        output::line(
            "维护后执行 tongbao drain --undo 恢复接收 / run `tongbao drain --undo` after the maintenance",
        );
    } else {
        output::line(&format!(
            "未能按时排空，仍不接收 / not drained in time; nothing is taken in: {}",
            left.left
        ));
    }
}
