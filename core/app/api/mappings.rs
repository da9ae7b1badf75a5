//! What the service says of its mappings, and of what they have made.

use super::failed;
use crate::ingress::answer;
use crate::mappings::{self, Told};
use crate::service::Service;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Which mappings and code tables this process works with.
pub async fn mappings_told(State(service): State<Arc<Service>>) -> Response {
    told(&service, service.intaker.mappings.told())
}

/// Takes over what has been edited, without waiting for the next look.
pub async fn reload(State(service): State<Arc<Service>>) -> Response {
    let told_now = service.reloader.reload().await;
    told(&service, told_now)
}

fn told(service: &Service, told: Told) -> Response {
    let revision = service.intaker.tables.current().revision;
    let refused = service.intaker.tables.refused();
    answer(StatusCode::OK, json!({"mappings": told, "tables_revision": revision, "tables_refused": refused}))
}

/// Which attempt.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    attempt: Option<u32>,
}

/// How each target field of a delivery's document came about, with what made it then.
pub async fn fields_explained(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Response {
    let in_use = service.intaker.mappings.all();
    match mappings::explain(service.store.as_ref(), &in_use, &id, which.attempt).await {
        Ok(Some(told)) => answer(StatusCode::OK, json!(told)),
        Ok(None) => answer(StatusCode::NOT_FOUND, json!({"error": "没有该投递 / there is no such delivery"})),
        Err(error) => failed(&error),
    }
}
