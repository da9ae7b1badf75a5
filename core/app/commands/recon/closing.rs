//! `tongbao recon close|reopen|closings`.

use crate::closings;
use crate::config::operator;
use crate::output::{self, Exit, time};
use serde_json::{Value, json};
use std::path::Path;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{Closure, StoreError};
use tongbao_model::Text;

/// What changes.
pub enum Change<'a> {
    Close { reason: &'a str },
    Reopen,
}

/// Closes a month or opens it again. Fails when the books do not allow it.
pub async fn change(month: &str, by: Option<&str>, change: Change<'_>, config: &Path, as_json: bool) -> Exit {
    let month = match closings::month(month) {
        Ok(month) => month,
        Err(why) => {
            output::note(&why.to_string());
            return Exit::Usage;
        }
    };
    let store = match super::super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let (now_ms, who) = (SystemClock.now_ms(), by.map_or_else(operator, str::to_owned));
    let done = match change {
        Change::Close { reason } => closings::close(store.as_ref(), month, &who, reason, now_ms).await,
        Change::Reopen => closings::reopen(store.as_ref(), month, &who, now_ms).await,
    };
    let all = store.closures().await;
    store.close().await;
    tell(done, all, as_json)
}

/// Lists all closings.
pub async fn list(config: &Path, as_json: bool) -> Exit {
    let store = match super::super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let all = store.closures().await;
    store.close().await;
    tell(Ok(Ok(())), all, as_json)
}

fn tell(
    done: Result<Result<(), Text>, StoreError>,
    all: Result<Vec<Closure>, StoreError>,
    as_json: bool,
) -> Exit {
    let (done, all) = match (done, all) {
        (Ok(done), Ok(all)) => (done, all),
        (Err(error), _) | (_, Err(error)) => return super::super::store_failed(&error, as_json),
    };
    if let Err(why) = done {
        output::note(&why.to_string());
        return Exit::Failed;
    }
    if as_json {
        output::json(&json!({"closings": all.iter().map(closings::told).collect::<Vec<Value>>()}));
        return Exit::Ok;
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            let reopened = one.reopened_ms.map(time).unwrap_or_default();
            let by = one.reopened_by.clone().unwrap_or_default();
            vec![one.month.clone(), time(one.at_ms), one.who.clone(), one.why.clone(), reopened, by]
        })
        .collect();
    let head =
        ["月份 / month", "结账 / closed", "经办 / by", "原因 / reason", "反结账 / reopened", "经办 / by"];
    output::line(output::table(&head, &rows).trim_end());
    Exit::Ok
}
