//! What contracts and customers owe.

use super::failed;
use crate::ingress::answer;
use crate::receivables;
use crate::service::Service;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tongbao_delivery::port::Holder;

/// As far as was known when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// A day to its end in China, or a time.
    as_of: Option<String>,
}

/// One contract's account with its entries.
pub async fn contract(
    State(service): State<Arc<Service>>,
    Path(number): Path<String>,
    Query(when): Query<When>,
) -> Response {
    owed(&service, Holder::Contract(number), &when).await
}

/// The accounts of a customer's contracts.
pub async fn customer(
    State(service): State<Arc<Service>>,
    Path(code): Path<String>,
    Query(when): Query<When>,
) -> Response {
    owed(&service, Holder::Customer(code), &when).await
}

async fn owed(service: &Service, of: Holder, when: &When) -> Response {
    let as_of_ms = match when.as_of.as_deref().map(receivables::as_of_ms).transpose() {
        Ok(as_of_ms) => as_of_ms,
        Err(why) => return answer(StatusCode::BAD_REQUEST, json!({"error": why})),
    };
    match receivables::owed(service.store.as_ref(), &of, as_of_ms).await {
        Err(error) => failed(&error),
        Ok(Err(why)) => answer(StatusCode::UNPROCESSABLE_ENTITY, json!({"error": why})),
        Ok(Ok(owed)) if owed.contracts.is_empty() => answer(StatusCode::NOT_FOUND, json!(owed)),
        Ok(Ok(owed)) => answer(StatusCode::OK, json!(owed)),
    }
}
