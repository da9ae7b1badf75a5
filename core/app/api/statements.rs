//! Statements: what they say as JSON, and as the files that people open.

use super::{Said, failed, not_made};
use crate::ingress::answer;
use crate::paper::{self, Format, Sheet};
use crate::service::Service;
use crate::statements::desk::Given;
use crate::statements::history::{self, Page};
use crate::{closings, receivables};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tongbao_delivery::statements::Wanted;
use tongbao_model::{Month, Text};
use tongbao_recon::statement::Question;

/// What a statement is asked for with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// As far as was known: a day to its end in China, or a time.
    as_of: Option<String>,
    /// Days after its date for which an invoice is not due.
    #[serde(default)]
    credit_days: u32,
    /// Who issues it.
    seller: Option<String>,
    /// The customer's name; as in its contracts unless given.
    buyer: Option<String>,
}

/// `{customer}/{month}`, and with `.xlsx`, `.pdf` or `.csv` behind the month the file.
pub async fn statement(
    State(service): State<Arc<Service>>,
    Path((customer, name)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let (month, format) = match named(&name) {
        Ok(named) => named,
        Err(why) => return answer(StatusCode::BAD_REQUEST, json!({"error": why})),
    };
    let as_of_ms = match asked.as_of.as_deref().map(receivables::as_of_ms).transpose() {
        Ok(as_of_ms) => as_of_ms.unwrap_or_else(|| service.now_ms()),
        Err(why) => return answer(StatusCode::BAD_REQUEST, json!({"error": why})),
    };
    let question = Question { customer: &customer, month, as_of_ms, credit_days: asked.credit_days };
    let against = format.compares().then(|| service.against());
    let store = service.store.as_ref();
    let made = paper::made(store, question, asked.seller, asked.buyer, against.as_ref()).await;
    match made {
        Ok(sheet) => shown(sheet, format).await,
        Err(why) => not_made(why),
    }
}

fn named(name: &str) -> Result<(Month, Format), Text> {
    let (month, format) = match name.split_once('.') {
        None => (name, Format::Json),
        Some((month, ending)) => {
            let format = Format::of_ending(ending).ok_or_else(|| {
                Text::new(
                    format!("没有格式 {ending}：可为 xlsx、pdf、csv"),
                    format!("there is no format `{ending}`: xlsx, pdf or csv"),
                )
            })?;
            (month, format)
        }
    };
    Ok((closings::month(month)?, format))
}

async fn shown(sheet: Sheet, format: Format) -> Response {
    let name = sheet.file_name(format);
    // Fonts are read and lines are set: nothing for the threads that answer requests.
    let bytes = tokio::task::spawn_blocking(move || sheet.bytes(format, None)).await;
    match bytes {
        Ok(Ok(bytes)) => {
            let attached = format!("attachment; filename=\"{name}\"");
            let kind = (header::CONTENT_TYPE, format.media_type().to_owned());
            match format {
                Format::Json => (StatusCode::OK, [kind], bytes).into_response(),
                Format::Csv | Format::Pdf | Format::Xlsx => {
                    (StatusCode::OK, [kind, (header::CONTENT_DISPOSITION, attached)], bytes).into_response()
                }
            }
        }
        Ok(Err(why)) => answer(StatusCode::UNPROCESSABLE_ENTITY, json!({"error": why})),
        Err(_) => {
            let why = Text::new("对账单无法写出", "the statement cannot be written");
            answer(StatusCode::INTERNAL_SERVER_ERROR, json!({"error": why}))
        }
    }
}

/// Sends a statement as it is now: 202 and its revision.
pub async fn send(
    State(service): State<Arc<Service>>,
    Path((customer, month)): Path<(String, String)>,
    said: Option<Json<Said>>,
) -> Response {
    let month = match closings::month(&month) {
        Ok(month) => month,
        Err(why) => return answer(StatusCode::BAD_REQUEST, json!({"error": why})),
    };
    let Some(office) = &service.statements else {
        return answer(StatusCode::CONFLICT, json!({"error": unconfigured()}));
    };
    let said = said.map(|Json(said)| said).unwrap_or_default();
    match office.desk.send(&customer, month, said.by()).await {
        Ok(Given::Sent(revision, event)) => {
            let told = json!({"customer": customer, "month": month, "revision": revision, "event": event});
            answer(StatusCode::ACCEPTED, told)
        }
        Ok(Given::Needless) => answer(StatusCode::OK, json!({"customer": customer, "month": month})),
        Err(why) => not_made(why),
    }
}

/// That there is nothing to send with.
pub fn unconfigured() -> Text {
    Text::new(
        "配置中没有 statements：对账单不会发送",
        "there is no `statements` in the configuration: nothing is sent",
    )
}

/// Which statements are listed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Of this month.
    month: Option<String>,
    /// Of this customer.
    customer: Option<String>,
    /// After the statement that the `next` of an answer names.
    after: Option<String>,
}

/// Where statements stand, each with its history; `next` is the `after` of the next request, where there are more.
pub async fn sent(State(service): State<Arc<Service>>, Query(which): Query<Which>) -> Response {
    if let Some(Err(why)) = which.month.as_deref().map(closings::month) {
        return answer(StatusCode::BAD_REQUEST, json!({"error": why}));
    }
    let after = which.after.as_deref().map(|after| after.split_once('/').unwrap_or((after, "")));
    let after = after.map(|(month, customer)| (month.to_owned(), customer.to_owned()));
    let wanted = Wanted { month: which.month, customer: which.customer, ..Wanted::default() };
    match history::page(service.store.as_ref(), wanted, after).await {
        Ok(Page { notes, next }) => {
            let next = next.map(|(month, customer)| format!("{month}/{customer}"));
            answer(StatusCode::OK, json!({"statements": history::listed(&notes), "next": next}))
        }
        Err(error) => failed(&error),
    }
}
