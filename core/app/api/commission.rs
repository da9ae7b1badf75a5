//! What commission is due on.

use super::not_made;
use crate::closings;
use crate::commission;
use crate::ingress::answer;
use crate::service::Service;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// `{month}` as JSON; with `.csv` behind it the file.
pub async fn due(State(service): State<Arc<Service>>, Path(name): Path<String>) -> Response {
    let (text, is_file) = name.strip_suffix(".csv").map_or((name.as_str(), false), |month| (month, true));
    let month = match closings::month(text) {
        Ok(month) => month,
        Err(why) => return answer(StatusCode::BAD_REQUEST, json!({"error": why})),
    };
    match commission::due(service.store.as_ref(), month, service.now_ms()).await {
        Err(why) => not_made(why),
        Ok(due) if is_file => {
            let name = format!("attachment; filename=\"commission-{month}.csv\"");
            let heads = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            (StatusCode::OK, heads, due.csv()).into_response()
        }
        Ok(due) => answer(StatusCode::OK, json!(due)),
    }
}
