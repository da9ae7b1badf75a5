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
    let (month, said) = match asked(&month, said) {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let (store, now_ms) = (service.store.as_ref(), SystemClock.now_ms());
    told(&service, closings::close(store, month, said.by(), said.reason(), now_ms).await).await
}

/// Opens the last closed month again.
pub async fn reopen(
    State(service): State<Arc<Service>>,
    Path(month): Path<String>,
    said: Option<Json<Said>>,
) -> Response {
    let (month, said) = match asked(&month, said) {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let (store, now_ms) = (service.store.as_ref(), SystemClock.now_ms());
    told(&service, closings::reopen(store, month, said.by(), now_ms).await).await
}

#[allow(clippy::result_large_err)]
fn asked(month: &str, said: Option<Json<Said>>) -> Result<(Month, Said), Response> {
    let month =
        closings::month(month).map_err(|why| answer(StatusCode::BAD_REQUEST, json!({"error": why})))?;
    Ok((month, said.map(|Json(said)| said).unwrap_or_default()))
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
