//! The HTTP API for operations: what the CLI shows, as JSON.

mod closings;
mod commission;
mod files;
mod invoices;
pub mod link;
mod mappings;
mod masters;
mod openapi;
mod pack;
mod payments;
mod receivables;
mod statements;

pub use statements::unconfigured;

use crate::commands::explain;
use crate::ingress::answer;
use crate::overview::{self, Left, Own};
use crate::service::Service;
use crate::statements::Failed;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
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
use tongbao_delivery::port::{Filter, Replayable, Replayed, State as DeliveryState, StoreError, Subject};
use tongbao_model::Class;

/// The routes below `/api`.
pub fn router(service: Arc<Service>) -> Router<Arc<Service>> {
    Router::new()
        .route("/deliveries", get(deliveries))
        .route("/deliveries/replay", post(replay))
        .route("/deliveries/{id}", get(delivery))
        .route("/deliveries/{id}/explain", get(mappings::fields_explained))
        .route("/explain/{number}", get(explained))
        .route("/receivables/contracts/{number}", get(receivables::contract))
        .route("/receivables/customers/{code}", get(receivables::customer))
        .route("/commission/{month}", get(commission::due))
        .route("/packs/{month}", get(pack::pack))
        .route("/invoices/contracts/{number}", get(invoices::contract))
        .route("/invoices/waiting", get(invoices::waiting))
        .route("/invoices/together", post(invoices::together))
        .route("/invoices/orders/{number}/withdraw", post(invoices::withdraw))
        .route("/threeway", get(invoices::three_way))
        .route("/payments", get(payments::list))
        .route("/payments/drift", get(payments::drift))
        .route("/payments/match", post(payments::look))
        .route("/payments/{number}", get(payments::one))
        .route("/payments/{number}/allocate", post(payments::allocate))
        .route("/payments/{number}/undo", post(payments::undo))
        .route("/statements/{customer}/{month}", get(statements::statement))
        .route("/statements/{customer}/{month}/send", post(statements::send))
        .route("/statements", get(statements::sent))
        .route("/closings", get(closings::list))
        .route("/closings/{month}", post(closings::close))
        .route("/closings/{month}/reopen", post(closings::reopen))
        .route("/openapi.json", get(openapi::description))
        .route("/counts", get(counts))
        .route("/status", get(status))
        .route("/mappings", get(mappings::mappings_told))
        .route("/mappings/reload", post(mappings::reload))
        .route("/drain", get(draining).post(drain))
        .route("/connections", get(connections))
        .route("/connections/{name}/stock", get(masters::stock))
        .route("/tables/{name}/proposals", get(masters::proposals))
        .route("/tables/{name}/confirm", post(masters::confirmed))
        .route("/connections/{name}/pause", post(pause))
        .route("/connections/{name}/resume", post(resume))
        .route(
            "/connections/{name}/import",
            post(files::import).layer(DefaultBodyLimit::max(crate::files::BYTES_MAX)),
        )
        .layer(middleware::from_fn_with_state(service, authorize))
}

/// Alive: the process answers.
pub async fn healthz() -> Response {
    answer(StatusCode::OK, json!({"status": "ok"}))
}

/// Ready: store and broker answer, it is not stopping, and its intake takes documents.
pub async fn readyz(State(service): State<Arc<Service>>) -> Response {
    let store = service.store.ping().await;
    let broker = service.broker.health();
    let ready = store.is_ok() && broker.ready && !service.is_stopping() && !service.is_draining();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(
        status,
        json!({
            "ready": ready,
            "store": store.map_or_else(|error| error.to_string(), |()| "ok".into()),
            "broker": if broker.ready { "ok" } else { &broker.detail },
            "stopping": service.is_stopping(),
            "draining": service.is_draining(),
            "mappings_refused": service.intaker.mappings.told().refused.len(),
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

/// Which deliveries. A misspelt condition is refused: without it, more would be replayed than was meant.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Class of the last outcome.
    pub class: Option<String>,
    /// Last changed longer ago than this, e.g. `30m`, `12h`, `7d`.
    pub older_than: Option<String>,
    /// Last changed not longer ago than this.
    pub newer_than: Option<String>,
    /// After this sequence number.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: Option<u64>,
}

impl Wanted {
    /// As the store takes it; an unknown state, class or time is an error that names it.
    pub fn filter(self, now_ms: i64) -> Result<Filter, String> {
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
        if let Some(name) = self.class.as_deref().filter(|name| Class::from_name(name).is_none()) {
            return Err(format!("没有结果类别 {name} / there is no class `{name}`"));
        }
        let ago = |text: &Option<String>| text.as_deref().map(|text| ago_ms(text, now_ms)).transpose();
        Ok(Filter {
            class: self.class.clone(),
            changed_from_ms: ago(&self.newer_than)?,
            changed_before_ms: ago(&self.older_than)?,
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

/// The time so long ago.
fn ago_ms(text: &str, now_ms: i64) -> Result<i64, String> {
    Ok(now_ms.saturating_sub(duration_ms(text)?))
}

/// A duration in milliseconds: a number and `s`, `m`, `h`, `d` or `w`.
pub fn duration_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("时长 {text} 应如 30m、12h、7d / `{text}` is no duration such as 30m, 12h or 7d");
    let (digits, unit) =
        text.trim().split_at_checked(text.trim().len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(wrong()),
    };
    let count: u32 = digits.parse().map_err(|_| wrong())?;
    Ok(i64::from(count).saturating_mul(seconds * 1_000))
}

/// Whether a filter names anything but how many: without a condition, everything would be replayed.
pub fn has_condition(filter: &Filter) -> bool {
    Filter { limit: 0, after_seq: None, ..filter.clone() } != Filter::default()
}

/// Why a statement, or what is made of statements, is not there.
fn not_made(why: Failed) -> Response {
    match why {
        Failed::Store(error) => failed(&error),
        Failed::Unknown(why) => answer(StatusCode::NOT_FOUND, json!({"error": why})),
        Failed::Told(why) => answer(StatusCode::UNPROCESSABLE_ENTITY, json!({"error": why})),
    }
}

fn failed(error: &StoreError) -> Response {
    let status = match error {
        StoreError::Invalid(_) => StatusCode::BAD_REQUEST,
        StoreError::Unavailable(_) | StoreError::Corrupt(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    answer(status, json!({"error": error.to_string()}))
}

async fn deliveries(State(service): State<Arc<Service>>, Query(wanted): Query<Wanted>) -> Response {
    let filter = match wanted.filter(service.now_ms()) {
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

/// How a replay is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mode {
    /// Only says what would be replayed.
    #[serde(default)]
    dry_run: bool,
}

/// Which parked or rejected deliveries to replay; at least one condition, so that nobody replays everything by an empty
/// body. When the limit was reached, `next` is the `after` of the next request.
async fn replay(
    State(service): State<Arc<Service>>,
    Query(mode): Query<Mode>,
    Json(wanted): Json<Wanted>,
) -> Response {
    let filter = match wanted.filter(service.now_ms()) {
        Ok(filter) => filter,
        Err(why) => return answer(StatusCode::BAD_REQUEST, json!({"error": why})),
    };
    if !has_condition(&filter) {
        let why = "请给出条件 / give at least one condition";
        return answer(StatusCode::BAD_REQUEST, json!({"error": why}));
    }
    if mode.dry_run {
        return match service.store.replayable(filter).await {
            Ok(would) => answer(StatusCode::OK, would_replay(&would)),
            Err(error) => failed(&error),
        };
    }
    match service.engine.replay(filter).await {
        Ok(Replayed { ids, next: None }) => answer(StatusCode::OK, json!({"replayed": ids})),
        Ok(Replayed { ids, next }) => answer(StatusCode::OK, json!({"replayed": ids, "next": next})),
        Err(error) => failed(&error),
    }
}

/// What a dry run answers.
pub fn would_replay(would: &Replayable) -> Value {
    json!({"dry_run": true, "count": would.count(), "groups": would.groups, "first": would.first})
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

/// What each connection has before it; circuits and mappings are this process's.
async fn status(State(service): State<Arc<Service>>) -> Response {
    match overview::overview(service.store.as_ref(), &service.targets).await {
        Ok(list) => {
            let own = Own {
                circuits: service.engine.circuits(),
                mappings_refused: json!(service.intaker.mappings.told().refused),
                tables_refused: json!(service.intaker.tables.refused()),
            };
            let holds = service.engine.holds();
            answer(StatusCode::OK, overview::status(&list, &holds, Some(&own), service.now_ms()))
        }
        Err(error) => failed(&error),
    }
}

/// Who wants something to stand still or go on, and why.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    by: Option<String>,
    reason: Option<String>,
}

impl Said {
    fn by(&self) -> &str {
        self.by.as_deref().unwrap_or("api")
    }

    fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }
}

async fn connections(State(service): State<Arc<Service>>) -> Response {
    let holds = service.engine.holds();
    let list: Vec<Value> = service
        .targets
        .iter()
        .map(|name| json!({"connection": name, "paused": holds.connection(name).map(overview::held)}))
        .collect();
    answer(StatusCode::OK, json!({"connections": list}))
}

fn unknown_connection(name: &str) -> Response {
    let why = format!("没有目标连接 {name} / nothing is delivered to a connection `{name}`");
    answer(StatusCode::NOT_FOUND, json!({"error": why}))
}

/// Whether the intake takes documents, and what is left to do.
async fn draining(State(service): State<Arc<Service>>) -> Response {
    match Left::of(service.store.as_ref()).await {
        Ok(left) => {
            let draining = service.engine.holds().intake().map(overview::held);
            answer(StatusCode::OK, json!({"draining": draining, "left": left}))
        }
        Err(error) => failed(&error),
    }
}

/// Draining, or its end.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drain {
    by: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    undo: bool,
}

/// The intake takes nothing more, in all processes, until this is undone; what is stored is worked off.
async fn drain(State(service): State<Arc<Service>>, said: Option<Json<Drain>>) -> Response {
    let Drain { by, reason, undo } = said.map(|Json(said)| said).unwrap_or_default();
    let said = Said { by, reason };
    let changed = if undo {
        service.engine.release(Subject::Intake, said.by()).await
    } else {
        service.engine.hold(Subject::Intake, said.by(), said.reason()).await
    };
    match changed {
        Ok(_) => draining(State(service)).await,
        Err(error) => failed(&error),
    }
}

/// No call to the connection any more, in all processes, until it is resumed.
async fn pause(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    said: Option<Json<Said>>,
) -> Response {
    if !service.targets.contains(&name) {
        return unknown_connection(&name);
    }
    let said = said.map(|Json(said)| said).unwrap_or_default();
    let changed = service.engine.hold(Subject::Connection(name.clone()), said.by(), said.reason()).await;
    match changed {
        Ok(changed) => {
            let paused = service.engine.holds().connection(&name).map(overview::held);
            answer(StatusCode::OK, json!({"connection": name, "changed": changed, "paused": paused}))
        }
        Err(error) => failed(&error),
    }
}

async fn resume(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    said: Option<Json<Said>>,
) -> Response {
    // One that is not configured any more can be resumed too.
    if !service.targets.contains(&name) && service.engine.holds().connection(&name).is_none() {
        return unknown_connection(&name);
    }
    let said = said.map(|Json(said)| said).unwrap_or_default();
    match service.engine.release(Subject::Connection(name.clone()), said.by()).await {
        Ok(changed) => {
            answer(StatusCode::OK, json!({"connection": name, "changed": changed, "paused": null}))
        }
        Err(error) => failed(&error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        let now_ms = 1_000_000_000_000;
        for (text, seconds) in
            [("0s", 0), ("90s", 90), ("15m", 900), (" 12h", 43_200), ("7d", 604_800), ("1w", 604_800)]
        {
            assert_eq!(ago_ms(text, now_ms), Ok(now_ms - seconds * 1_000), "{text}");
        }
        for text in ["", "h", "12", "1.5h", "-1h", "1y", "99999999999h", "1小"] {
            assert!(ago_ms(text, now_ms).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_alone_is_no_condition() {
        let of = |wanted: Wanted| has_condition(&wanted.filter(1_000).unwrap());
        assert!(!of(Wanted { limit: Some(5), after: Some(7), ..Wanted::default() }));
        assert!(of(Wanted { newer_than: Some("1h".into()), ..Wanted::default() }));
        let wrong = Wanted { class: Some("unknwon".into()), ..Wanted::default() };
        assert!(wrong.filter(1_000).is_err_and(|why| why.contains("unknwon")));
    }
}
