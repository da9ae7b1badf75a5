//! The HTTP API for operations: what the CLI shows, as JSON.

use crate::commands::explain;
use crate::ingress::answer;
use crate::overview;
use crate::service::Service;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tongbao_delivery::port::{Filter, State as DeliveryState, StoreError};

/// The routes below `/api`.
pub fn router(service: Arc<Service>) -> Router<Arc<Service>> {
    Router::new()
        .route("/deliveries", get(deliveries))
        .route("/deliveries/replay", post(replay))
        .route("/deliveries/{id}", get(delivery))
        .route("/explain/{number}", get(explained))
        .route("/counts", get(counts))
        .route("/status", get(status))
        .layer(middleware::from_fn_with_state(service, authorize))
}

/// Alive: the process answers.
pub async fn healthz() -> Response {
    answer(StatusCode::OK, json!({"status": "ok"}))
}

/// Ready: store and broker answer, and it is not stopping.
pub async fn readyz(State(service): State<Arc<Service>>) -> Response {
    let store = service.store.ping().await;
    let broker = service.broker.health();
    let ready = store.is_ok() && broker.ready && !service.is_stopping();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(
        status,
        json!({
            "ready": ready,
            "store": store.map_or_else(|error| error.to_string(), |()| "ok".into()),
            "broker": if broker.ready { "ok" } else { &broker.detail },
            "stopping": service.is_stopping(),
        }),
    )
}

async fn authorize(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let allowed = match &service.api_token {
        None => service.is_local,
        Some(token) => headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .is_some_and(|given| given.as_bytes().ct_eq(token.expose_secret().as_bytes()).into()),
    };
    if allowed {
        return next.run(request).await;
    }
    let message = if service.api_token.is_some() {
        "缺少或错误的令牌 / the bearer token is missing or wrong"
    } else {
        "请设置 server.api_token / set server.api_token to use the API from other machines"
    };
    answer(StatusCode::UNAUTHORIZED, json!({"error": message}))
}

/// Query of a list.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// States, separated by commas.
    pub state: Option<String>,
    /// Connection.
    pub target: Option<String>,
    /// Flow.
    pub flow: Option<String>,
    /// Business key.
    pub key: Option<String>,
    /// Fault code.
    pub code: Option<String>,
    /// After this sequence number.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: Option<u64>,
}

impl Wanted {
    /// As the store takes it; an unknown state is an error that names it.
    pub fn filter(self) -> Result<Filter, String> {
        let states = self
            .state
            .iter()
            .flat_map(|list| list.split(','))
            .filter(|name| !name.is_empty())
            .map(|name| {
                DeliveryState::from_name(name)
                    .ok_or_else(|| format!("没有状态 {name} / there is no state `{name}`"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Filter {
            states,
            target: self.target,
            flow: self.flow,
            key: self.key,
            code: self.code,
            after_seq: self.after,
            limit: self.limit.unwrap_or(0),
            ..Filter::default()
        })
    }
}

fn failed(error: &StoreError) -> Response {
    answer(StatusCode::SERVICE_UNAVAILABLE, json!({"error": error.to_string()}))
}

async fn deliveries(State(service): State<Arc<Service>>, Query(wanted): Query<Wanted>) -> Response {
    let filter = match wanted.filter() {
        Ok(filter) => filter,
        Err(why) => return answer(StatusCode::BAD_REQUEST, json!({"error": why})),
    };
    match service.store.deliveries(filter).await {
        Ok(list) => answer(StatusCode::OK, json!({"deliveries": list})),
        Err(error) => failed(&error),
    }
}

async fn delivery(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    match service.store.delivery(&id).await {
        Ok(Some((delivery, attempts, event))) => answer(
            StatusCode::OK,
            json!({"delivery": delivery, "attempts": attempts, "event": explain::shown(&event)}),
        ),
        Ok(None) => answer(StatusCode::NOT_FOUND, json!({"error": "没有该投递 / there is no such delivery"})),
        Err(error) => failed(&error),
    }
}

/// Which parked or rejected deliveries to replay; at least one condition, so that nobody replays everything by an empty
/// body.
async fn replay(State(service): State<Arc<Service>>, Json(wanted): Json<Wanted>) -> Response {
    let filter = match wanted.filter() {
        Ok(filter) => filter,
        Err(why) => return answer(StatusCode::BAD_REQUEST, json!({"error": why})),
    };
    if filter == Filter::default() {
        let why = "请给出条件 / give at least one condition";
        return answer(StatusCode::BAD_REQUEST, json!({"error": why}));
    }
    match service.engine.replay(filter).await {
        Ok(ids) => answer(StatusCode::OK, json!({"replayed": ids})),
        Err(error) => failed(&error),
    }
}

async fn explained(State(service): State<Arc<Service>>, Path(number): Path<String>) -> Response {
    match explain::chains(service.store.as_ref(), &number).await {
        Ok(chains) if chains.is_empty() => {
            answer(StatusCode::NOT_FOUND, json!({"error": "没有该编号 / nothing is known under this number"}))
        }
        Ok(chains) => answer(StatusCode::OK, Value::Array(chains)),
        Err(error) => failed(&error),
    }
}

async fn counts(State(service): State<Arc<Service>>) -> Response {
    match service.store.counts().await {
        Ok(counts) => answer(StatusCode::OK, json!({"counts": counts})),
        Err(error) => failed(&error),
    }
}

/// What each connection has before it; circuits are this process's.
async fn status(State(service): State<Arc<Service>>) -> Response {
    match overview::overview(service.store.as_ref(), &service.targets).await {
        Ok(list) => {
            let circuits = service.engine.circuits();
            answer(StatusCode::OK, overview::status(&list, Some(&circuits), service.now_ms()))
        }
        Err(error) => failed(&error),
    }
}
