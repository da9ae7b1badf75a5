//! `tongbao recon send` and `tongbao recon sent`.

use super::stopped;
use crate::api::unconfigured;
use crate::cli::{SendArgs, SentArgs};
use crate::closings;
use crate::config::{Loaded, operator};
use crate::output::{self, Exit, time};
use crate::routes::{Ids, Routes};
use crate::statements::desk::{Desk, Given};
use crate::statements::history::{self, Standing};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{State, Store, Stored};
use tongbao_delivery::statements::{Note, NoteKind, Wanted};

/// Gives a statement to delivery; a running service posts it.
pub async fn send(args: &SendArgs, config: &Path, as_json: bool) -> Exit {
    let month = match closings::month(&args.month) {
        Ok(month) => month,
        Err(why) => {
            output::note(&why.to_string());
            return Exit::Usage;
        }
    };
    let (loaded, store) = match super::super::opened(config).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let Some(desk) = desk(&loaded, store.clone()) else {
        output::note(&unconfigured().to_string());
        store.close().await;
        return Exit::Config;
    };
    let who = args.by.clone().unwrap_or_else(operator);
    let given = desk.send(&args.customer, month, &who).await;
    store.close().await;
    match given {
        Ok(Given::Sent(revision, event)) if as_json => {
            output::json(&json!({
                "customer": args.customer, "month": month, "revision": revision, "event": event,
            }));
            Exit::Ok
        }
        Ok(Given::Sent(revision, event)) => {
            let customer = &args.customer;
            output::line(&format!(
                "{customer} {month} 第 {revision} 版已交付投递 / revision {revision} is given to delivery: {event}"
            ));
            Exit::Ok
        }
        Ok(Given::Needless) => Exit::Ok,
        Err(why) => stopped(why, as_json),
    }
}

fn desk(loaded: &Loaded, store: Arc<dyn Store>) -> Option<Desk> {
    Some(Desk {
        rules: Arc::new(loaded.config.statements.clone()?),
        store,
        routes: Routes::new(loaded.config.flows.clone(), Ids::Uuid),
        // The service looks for what others have stored.
        wake: Arc::new(|| ()),
        clock: Arc::new(|| SystemClock.now_ms()),
    })
}

/// Shows where statements stand and how they came there.
pub async fn sent(args: &SentArgs, config: &Path, as_json: bool) -> Exit {
    if let Some(Err(why)) = args.month.as_deref().map(closings::month) {
        output::note(&why.to_string());
        return Exit::Usage;
    }
    let store = match super::super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let wanted = Wanted { month: args.month.clone(), customer: args.customer.clone(), ..Wanted::default() };
    let found = found(store.as_ref(), wanted, as_json).await;
    store.close().await;
    match found {
        Err(error) => super::super::store_failed(&error, as_json),
        Ok(Found::Json(statements)) => {
            output::json(&json!({"statements": statements}));
            Exit::Ok
        }
        Ok(Found::Rows(rows)) => {
            output::line(output::table(&HEAD, &rows).trim_end());
            Exit::Ok
        }
    }
}

/// As it is shown.
enum Found {
    Json(Vec<Value>),
    Rows(Vec<Vec<String>>),
}

/// Page by page: the history of years is not held at once.
async fn found(store: &dyn Store, wanted: Wanted, as_json: bool) -> Stored<Found> {
    let (mut told, mut rows, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = history::page(store, wanted.clone(), after).await?;
        if as_json {
            told.extend(history::listed(&page.notes));
        } else {
            for notes in history::statements(&page.notes) {
                rows.extend(row(store, notes).await?);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(if as_json { Found::Json(told) } else { Found::Rows(rows) });
        }
    }
}

const HEAD: [&str; 10] = [
    "月份 / month",
    "客户 / customer",
    "版 / rev",
    "状态 / state",
    "发出 / sent",
    "提醒 / reminders",
    "答复 / answered",
    "答复人 / by",
    "说明 / remark",
    "账账 / books",
];

/// A statement's line.
async fn row(store: &dyn Store, notes: &[Note]) -> Stored<Option<Vec<String>>> {
    let drifted = notes.iter().any(|note| note.kind == NoteKind::Drifted);
    let books = if drifted { "不符 / differ" } else { "" }.to_owned();
    let Some(standing) = Standing::of(notes) else {
        // Nothing was sent: only that its books differ is known of it.
        let known = notes.first().map(|note| [note.month.clone(), note.customer.clone()].to_vec());
        return Ok(known.map(|mut row| {
            row.resize(HEAD.len() - 1, String::new());
            row.push(books);
            row
        }));
    };
    let (mut state, answer) = (standing.state().to_owned(), standing.answer.as_ref());
    if let Some((_, event)) = standing.under_way.last().filter(|_| answer.is_none()) {
        state = under_way(store, event).await?.unwrap_or(state);
    }
    Ok(Some(vec![
        standing.month.clone(),
        standing.customer.clone(),
        standing.revision.to_string(),
        state,
        time(standing.letter_ms),
        standing.reminders.to_string(),
        answer.map(|answer| time(answer.at_ms)).unwrap_or_default(),
        answer.map(|answer| answer.who.clone()).unwrap_or_default(),
        answer.map(|answer| answer.remark.replace('\n', " ")).unwrap_or_default(),
        books,
    ]))
}

/// How the delivery of a letter stands that no server is known to have taken: posted, parked…
async fn under_way(store: &dyn Store, event: &str) -> Stored<Option<String>> {
    let deliveries = store.deliveries_of(event).await?;
    Ok(deliveries.first().map(|one| match one.state {
        State::Posted => "delivered".to_owned(),
        other => other.name().to_owned(),
    }))
}
