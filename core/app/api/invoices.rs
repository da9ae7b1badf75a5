//! What may be invoiced, and what was; orders, invoices and receipts held against each other.

use super::failed;
use crate::ingress::answer;
use crate::invoicing::{self, Asked};
use crate::service::Service;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tongbao_delivery::port::Holder;
use tongbao_model::Text;
use tongbao_model::event::kinds;

/// Of whom. A misspelt condition is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    customer: Option<String>,
}

/// Of what.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    contract: Option<String>,
    customer: Option<String>,
    after: Option<String>,
}

/// What a person puts together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Together {
    customer: String,
    #[serde(default)]
    requests: Vec<String>,
    by: Option<String>,
    reason: Option<String>,
}

/// What a person takes back.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    by: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    checked: bool,
}

/// A contract by line.
pub async fn contract(State(service): State<Arc<Service>>, Path(number): Path<String>) -> Response {
    match invoicing::show(service.store.as_ref(), &number).await {
        Err(error) => failed(&error),
        Ok(Ok(shown)) => answer(StatusCode::OK, json!(shown)),
        Ok(Err(fault)) => answer(StatusCode::NOT_FOUND, json!({"error": fault.message})),
    }
}

/// Requests that wait to be put together.
pub async fn waiting(State(service): State<Arc<Service>>, Query(whose): Query<Whose>) -> Response {
    match invoicing::waiting(service.store.as_ref(), whose.customer.as_deref()).await {
        Err(error) => failed(&error),
        Ok(found) => answer(StatusCode::OK, json!({"waiting": found})),
    }
}

/// Puts them together.
pub async fn together(State(service): State<Arc<Service>>, Json(wanted): Json<Together>) -> Response {
    let Some(rules) = &service.invoicing else { return not_configured() };
    let Together { customer, requests, by, reason } = wanted;
    let asked = asked(by, reason);
    let (store, routes) = (service.store.as_ref(), &service.intaker.routes);
    let now_ms = service.now_ms();
    match invoicing::together(store, routes, rules, &customer, &requests, &asked, now_ms).await {
        Err(error) => failed(&error),
        Ok(Err(why)) => answer(StatusCode::CONFLICT, json!({"error": why})),
        Ok(Ok(orders)) => {
            service.engine.wake();
            answer(StatusCode::OK, json!({"orders": orders}))
        }
    }
}

/// Takes back what will not be issued.
pub async fn withdraw(
    State(service): State<Arc<Service>>,
    Path(number): Path<String>,
    said: Option<Json<Withdraw>>,
) -> Response {
    if service.invoicing.is_none() {
        return not_configured();
    }
    let said = said.map(|Json(said)| said).unwrap_or_default();
    let asked = Asked { checked: said.checked, ..asked(said.by, said.reason) };
    match invoicing::withdraw(service.store.as_ref(), &number, &asked, service.now_ms()).await {
        Err(error) => failed(&error),
        Ok(Err(why)) => answer(StatusCode::CONFLICT, json!({"error": why})),
        Ok(Ok(())) => answer(StatusCode::OK, json!({"withdrawn": number})),
    }
}

/// Orders, invoices and receipts, a page at a time.
pub async fn three_way(State(service): State<Arc<Service>>, Query(which): Query<Which>) -> Response {
    let contract = which.contract.map(Holder::Contract);
    let of = contract.or(which.customer.map(Holder::Customer));
    let has_orders = service.intaker.routes.emits(kinds::SALES_ORDER_POSTED);
    match invoicing::three_way(service.store.as_ref(), of.as_ref(), which.after, has_orders).await {
        Err(error) => failed(&error),
        Ok(Err(why)) => answer(StatusCode::CONFLICT, json!({"error": why})),
        Ok(Ok((found, next))) => answer(StatusCode::OK, json!({"contracts": found, "next": next})),
    }
}

fn asked(by: Option<String>, reason: Option<String>) -> Asked {
    Asked { who: by.unwrap_or_else(|| "api".to_owned()), why: reason.unwrap_or_default(), checked: false }
}

fn not_configured() -> Response {
    let why = Text::new(
        "没有流程把开票申请送到 invoicing：见 deploy/invoicing.yaml",
        "no flow brings requests to `invoicing`: see deploy/invoicing.yaml",
    );
    answer(StatusCode::CONFLICT, json!({"error": why}))
}
