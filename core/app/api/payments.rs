//! Payments, and what they are allocated to.

use super::failed;
use crate::config::Matching;
use crate::ingress::answer;
use crate::payments::{self, Asked, Part};
use crate::service::Service;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tongbao_delivery::payments::{PaymentBook, PaymentFilter};
use tongbao_delivery::port::Stored;
use tongbao_model::{Exact, Text};

/// Which payments. A misspelt condition is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    book: Option<PaymentBook>,
    open: Option<bool>,
    limit: Option<u64>,
    after_book: Option<PaymentBook>,
    after: Option<String>,
}

/// In which book.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Where {
    book: Option<PaymentBook>,
}

/// In which month.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    month: Option<String>,
}

/// What a person has decided.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocate {
    #[serde(default)]
    parts: Vec<Wish>,
    choice: Option<usize>,
    by: Option<String>,
    reason: Option<String>,
}

/// A part of a payment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    contract: String,
    invoice: Option<String>,
    amount: Exact,
    fee: Option<Exact>,
}

/// Payments with what is said of them.
pub async fn list(State(service): State<Arc<Service>>, Query(wanted): Query<Wanted>) -> Response {
    let Wanted { book, open, limit, after_book, after } = wanted;
    let after = after_book.zip(after);
    let filter = PaymentFilter { book, open, after, limit: limit.unwrap_or(200), ..PaymentFilter::default() };
    match payments::list(service.store.as_ref(), filter).await {
        Err(error) => failed(&error),
        Ok(found) => {
            let next = found
                .last()
                .map(|one| json!({"after_book": one.payment.said.book, "after": one.payment.said.number}));
            answer(StatusCode::OK, json!({"payments": found, "next": next}))
        }
    }
}

/// One payment.
pub async fn one(
    State(service): State<Arc<Service>>,
    Path(number): Path<String>,
    Query(place): Query<Where>,
) -> Response {
    shown(&service, place.book, &number).await
}

/// Where bank and ERP do not agree.
pub async fn drift(State(service): State<Arc<Service>>, Query(when): Query<When>) -> Response {
    let (from_ms, before_ms) = match payments::span(when.month.as_deref()) {
        Ok(span) => span,
        Err(why) => return answer(StatusCode::BAD_REQUEST, json!({"error": why})),
    };
    match payments::drifts(service.store.as_ref(), from_ms, before_ms).await {
        Err(error) => failed(&error),
        Ok(found) => answer(StatusCode::OK, json!({"drifts": found})),
    }
}

/// Looks once, now.
pub async fn look(State(service): State<Arc<Service>>) -> Response {
    let Some(matching) = &service.matching else { return not_configured() };
    let routes = &service.intaker.routes;
    match payments::look(service.store.as_ref(), routes, matching, service.now_ms()).await {
        Err(error) => failed(&error),
        Ok(looked) if looked.overtaken => {
            let why = Text::new("其间不断有其他核销，请重试", "somebody else kept deciding: try again");
            answer(StatusCode::CONFLICT, json!({"error": why}))
        }
        Ok(looked) => {
            service.engine.wake();
            answer(StatusCode::OK, json!({"news": looked.news}))
        }
    }
}

/// Allocates a payment.
pub async fn allocate(
    State(service): State<Arc<Service>>,
    Path(number): Path<String>,
    Json(wanted): Json<Allocate>,
) -> Response {
    let Some(matching) = &service.matching else { return not_configured() };
    let asked = asked(matching, &number, wanted.by, wanted.reason);
    let (store, routes, now_ms) = (service.store.as_ref(), &service.intaker.routes, service.now_ms());
    let part = |wish: Wish| Part {
        contract: wish.contract,
        invoice: wish.invoice,
        amount: wish.amount.0,
        fee: wish.fee.map_or(Decimal::ZERO, |fee| fee.0),
        customer: None,
    };
    let done = match wanted.choice {
        Some(choice) => payments::choose(store, routes, &asked, choice, now_ms).await,
        None => {
            let parts = wanted.parts.into_iter().map(part).collect();
            payments::allocate(store, routes, &asked, parts, now_ms).await
        }
    };
    told(&service, done, &asked).await
}

/// Takes back what a payment was allocated to.
pub async fn undo(
    State(service): State<Arc<Service>>,
    Path(number): Path<String>,
    said: Option<Json<super::Said>>,
) -> Response {
    let Some(matching) = &service.matching else { return not_configured() };
    let said = said.map(|Json(said)| said).unwrap_or_default();
    let asked = asked(matching, &number, said.by, said.reason);
    let now_ms = service.now_ms();
    let done = payments::undo(service.store.as_ref(), &service.intaker.routes, &asked, now_ms).await;
    told(&service, done, &asked).await
}

fn asked(matching: &Matching, number: &str, by: Option<String>, why: Option<String>) -> Asked {
    Asked {
        book: matching.book,
        number: number.to_owned(),
        who: by.unwrap_or_else(|| "api".to_owned()),
        why: why.unwrap_or_default(),
    }
}

async fn told(service: &Service, done: Stored<Result<(), Text>>, asked: &Asked) -> Response {
    match done {
        Err(error) => failed(&error),
        Ok(Err(why)) => answer(StatusCode::CONFLICT, json!({"error": why})),
        Ok(Ok(())) => {
            service.engine.wake();
            shown(service, Some(asked.book), &asked.number).await
        }
    }
}

async fn shown(service: &Service, book: Option<PaymentBook>, number: &str) -> Response {
    match payments::one(service.store.as_ref(), book, number).await {
        Err(error) => failed(&error),
        Ok(Some(found)) => answer(StatusCode::OK, json!(found)),
        Ok(None) => {
            let why = Text::new(format!("没有收款 {number}"), format!("there is no payment {number}"));
            answer(StatusCode::NOT_FOUND, json!({"error": why}))
        }
    }
}

fn not_configured() -> Response {
    let why = Text::new(
        "没有流程把收款送到 payments：见 deploy/matching.yaml",
        "no flow brings payments to `payments`: see deploy/matching.yaml",
    );
    answer(StatusCode::CONFLICT, json!({"error": why}))
}
