//! The month-end pack.

use super::not_made;
use crate::closings;
use crate::ingress::answer;
use crate::pack::{self, Asked};
use crate::service::Service;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tongbao_model::Text;

/// What a pack is asked for with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Days after its date for which an invoice is not due.
    #[serde(default)]
    credit_days: u32,
}

/// `{month}` as JSON; with `.html` or `.xlsx` behind it the page or the file.
pub async fn pack(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let (month, ending) = name.split_once('.').map_or((name.as_str(), ""), |(month, ending)| (month, ending));
    let month = match closings::month(month) {
        Ok(month) if ["", "html", "xlsx"].contains(&ending) => month,
        Ok(_) => {
            let why = Text::new(
                format!("没有格式 {ending}：可为 html、xlsx"),
                format!("there is no format `{ending}`: html or xlsx"),
            );
            return answer(StatusCode::BAD_REQUEST, json!({"error": why}));
        }
        Err(why) => return answer(StatusCode::BAD_REQUEST, json!({"error": why})),
    };
    let leading = service.matching.as_ref().map(|matching| matching.book);
    let asked = Asked { month, credit_days: wanted.credit_days, leading, now_ms: service.now_ms() };
    let made = match pack::made(service.store.as_ref(), asked).await {
        Ok(made) => made,
        Err(why) => return not_made(why),
    };
    match ending {
        "html" => {
            let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            (StatusCode::OK, kind, made.html()).into_response()
        }
        "xlsx" => match made.xlsx() {
            Ok(bytes) => {
                let kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet".to_owned();
                let name = format!("attachment; filename=\"pack-{month}.xlsx\"");
                let heads = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)];
                (StatusCode::OK, heads, bytes).into_response()
            }
            Err(why) => answer(StatusCode::UNPROCESSABLE_ENTITY, json!({"error": why})),
        },
        _ => answer(StatusCode::OK, json!(made)),
    }
}
