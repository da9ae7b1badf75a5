//! Proposals for code tables, and stock for tickets.

use crate::commands::query::MATERIALS;
use crate::ingress::answer;
use crate::masters::confirm::{self, By};
use crate::masters::stock::{self, Question};
use crate::masters::{self, Refused, Wanted};
use crate::routes::Ids;
use crate::service::Service;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

fn refused(refused: &Refused) -> Response {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = answer(status, masters::refused_json(refused));
    if let Some(seconds) = refused.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A paused connection gets no calls of any kind.
fn paused(service: &Service, connection: &str) -> Option<Refused> {
    let holds = service.engine.holds();
    holds.connection(connection).map(|hold| masters::paused(connection, hold))
}

/// Where proposals come from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct From {
    connection: String,
    list: Option<String>,
}

/// Reads the ERP and proposes rows for a table; they are remembered for a confirmation.
pub async fn proposals(
    State(service): State<Arc<Service>>,
    Path(table): Path<String>,
    Query(from): Query<From>,
) -> Response {
    let line = match service.desk.line(&from.connection) {
        Ok(line) => line,
        Err(why) => return refused(&why),
    };
    if let Some(why) = paused(&service, &from.connection) {
        return refused(&why);
    }
    let _place = match line.reading() {
        Ok(place) => place,
        Err(why) => return refused(&why),
    };
    let wanted = Wanted {
        table: &table,
        connection: &from.connection,
        list: from.list.as_deref(),
        name: Ids::Uuid.fresh(),
    };
    match masters::proposals(service.store.as_ref(), line.masters.as_ref(), wanted).await {
        Ok(made) => {
            let made = Arc::new(made);
            service.desk.keep(made.clone());
            answer(StatusCode::OK, json!(*made))
        }
        Err(why) => refused(&why),
    }
}

/// A confirmation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    proposal: String,
    rows: Vec<Row>,
    by: Option<String>,
    #[serde(default)]
    replay: bool,
}

/// A pair.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    source: String,
    target: String,
}

/// Rows of proposals that a person chose: all of them, or 409 with everything that is wrong.
pub async fn confirmed(
    State(service): State<Arc<Service>>,
    Path(table): Path<String>,
    Json(said): Json<Confirmation>,
) -> Response {
    let Some(kept) = service.desk.kept(&said.proposal).filter(|kept| kept.table == table) else {
        let (zh, en) =
            ("该提案已不在内存中，请重新提案", "these proposals are not remembered any more: propose again");
        return refused(&Refused::new(409, zh, en));
    };
    if said.rows.is_empty() {
        return refused(&Refused::new(
            400,
            "rows 为空：没有确认任何一行",
            "`rows` is empty: nothing is confirmed",
        ));
    }
    let rows = said.rows.into_iter().map(|row| (row.source, row.target)).collect();
    let today = crate::output::time(service.now_ms());
    let day = today.get(..10).unwrap_or_default();
    let by = By { who: said.by.as_deref().unwrap_or("api"), day, replay: said.replay };
    match confirm::confirm(service.store.as_ref(), &confirm::of_kept(&kept, rows), &by).await {
        Ok(Ok(done)) => {
            if done.replayed > 0 {
                service.engine.wake();
            }
            answer(StatusCode::OK, json!(done))
        }
        Ok(Err(wrong)) => answer(
            StatusCode::CONFLICT,
            json!({"error": Refused::of_all(&wrong).text.to_string(), "refused": wrong}),
        ),
        Err(error) => super::failed(&error),
    }
}

/// What is asked about stock.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    material: String,
    warehouse: Option<String>,
    by: Option<String>,
}

/// What is in stock, live or as told some seconds ago; `by=crm` translates the codes.
pub async fn stock(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let table = match asked.by.as_deref() {
        None | Some("erp") => None,
        Some("crm") => Some(MATERIALS.to_owned()),
        Some(_) => return refused(&Refused::new(400, "by 为 erp 或 crm", "`by` is `erp` or `crm`")),
    };
    let question = match Question::new(&asked.material, asked.warehouse, table) {
        Ok(question) => question,
        Err(why) => return refused(&why),
    };
    let line = match service.desk.line(&name) {
        Ok(line) => line,
        Err(why) => return refused(&why),
    };
    if let Some(why) = paused(&service, &name) {
        return refused(&why);
    }
    match stock::ask(line, &name, &question, &service.intaker.tables.current()).await {
        Ok(told) => answer(StatusCode::OK, told),
        Err(why) => refused(&why),
    }
}
