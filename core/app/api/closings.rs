//! Months whose books are closed.

use super::{Said, failed};
use crate::closings;
use crate::ingress::answer;
use crate::service::Service;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::Stored;
use tongbao_model::{Month, Text};

/// All closings, oldest first.
pub async fn list(State(service): State<Arc<Service>>) -> Response {
    listed(&service).await
}

/// Closes a month and all before it.
pub async fn close(
    State(service): State<Arc<Service>>,
    Path(month): Path<String>,
    said: Option<Json<Said>>,
) -> Response {
    let Ok(month) = month.parse::<Month>() else { return no_month(&month) };
    let said = said.map(|Json(said)| said).unwrap_or_default();
    let now_ms = SystemClock.now_ms();
    let done = closings::close(service.store.as_ref(), month, said.by(), said.reason(), now_ms).await;
    told(&service, done).await
}

/// Opens the last closed month again.
pub async fn reopen(
    State(service): State<Arc<Service>>,
    Path(month): Path<String>,
    said: Option<Json<Said>>,
) -> Response {
    let Ok(month) = month.parse::<Month>() else { return no_month(&month) };
    let said = said.map(|Json(said)| said).unwrap_or_default();
    let done = closings::reopen(service.store.as_ref(), month, said.by(), SystemClock.now_ms()).await;
    told(&service, done).await
}

async fn told(service: &Service, done: Stored<Result<(), Text>>) -> Response {
    match done {
        Err(error) => failed(&error),
        Ok(Err(why)) => answer(StatusCode::CONFLICT, json!({"error": why})),
        Ok(Ok(())) => listed(service).await,
    }
}

async fn listed(service: &Service) -> Response {
    match service.store.closures().await {
        Err(error) => failed(&error),
        Ok(all) => {
            let all: Vec<Value> = all.iter().map(closings::told).collect();
            answer(StatusCode::OK, json!({"closings": all}))
        }
    }
}

fn no_month(text: &str) -> Response {
    let why = Text::new(format!("月份 {text} 应如 2026-10"), format!("`{text}` is no month such as 2026-10"));
    answer(StatusCode::BAD_REQUEST, json!({"error": why}))
}
