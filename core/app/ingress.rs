//! Bytes in: size limit, connection by path, verify, decode, accept, answer.

use crate::intake::Intaker;
use crate::service::Service;
use crate::telemetry;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tongbao_connect::{Inbound, Incoming, Source};
use tongbao_delivery::port::{Accepted, Intake, StoreError};
use tongbao_model::{Code, Fault};

/// Longest wait for the store. Senders commonly give up after ten seconds, and then know neither that nothing
/// was accepted nor when to come back. Should it be stored after all, what they send again is a repeat.
const STORE_LIMIT: Duration = Duration::from_secs(8);

/// `POST /in/{connection}` and below: 202 once everything is committed.
pub async fn receive(
    State(service): State<Arc<Service>>,
    Path(path): Path<Vec<(String, String)>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut path = path.into_iter().map(|(_, value)| value);
    let connection = path.next().unwrap_or_default();
    let request = inbound(path.next().unwrap_or_default(), query.as_deref(), &headers, &body);
    let Some(source) = service.sources.get(&connection) else {
        let fault = Fault::new(
            Code::ConnectionUnknown,
            format!("没有来源连接 {connection}"),
            format!("there is no source connection `{connection}`"),
        );
        return refuse(StatusCode::NOT_FOUND, &[fault]);
    };
    if let Some(later) = draining(&service) {
        return later;
    }
    let now_ms = service.now_ms();
    let begun = Instant::now();
    let verified = source.verify(&request, now_ms);
    telemetry::stage("verify", begun.elapsed());
    if let Err(fault) = verified {
        metrics::counter!("tongbao_refused_total", "connection" => connection, "code" => fault.code.as_str())
            .increment(1);
        return refuse(StatusCode::UNAUTHORIZED, &[fault]);
    }
    if let Some(later) = full(&service, &connection) {
        return later;
    }
    accept(&service, &connection, source.as_ref(), &request, now_ms).await
}

async fn accept(
    service: &Service,
    connection: &str,
    source: &dyn Source,
    request: &Inbound,
    now_ms: i64,
) -> Response {
    let begun = Instant::now();
    let decoded = match source.decode(request) {
        Ok(decoded) => decoded,
        Err(fault) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, &[fault]),
    };
    for hint in decoded.hints {
        service.hasten(connection, &hint).await;
    }
    let intakes = match translate(&service.intaker, connection, decoded.documents, now_ms) {
        Ok(intakes) => intakes,
        Err(faults) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, &faults),
    };
    telemetry::stage("translate", begun.elapsed());
    if intakes.is_empty() {
        return answer(StatusCode::OK, decoded.reply.unwrap_or_else(|| json!({"accepted": []})));
    }
    let told: Vec<(String, String, String)> = intakes
        .iter()
        .map(|intake| (intake.event.id.clone(), intake.event.kind.clone(), intake.event.key.clone()))
        .collect();
    let stored = tokio::time::timeout(STORE_LIMIT, service.engine.accept(intakes, None)).await;
    match stored.unwrap_or_else(|_| Err(StoreError::Unavailable("it takes too long".to_owned()))) {
        Ok(accepted) => outcome(&told, &accepted, decoded.reply),
        Err(error) => {
            tracing::warn!(%error, connection, "nothing accepted: the store failed");
            let fault = Fault::new(
                Code::TargetUnavailable,
                "数据库暂不可用，请稍后重发",
                "the database is not available: send again later",
            );
            come_back(fault, "5")
        }
    }
}

/// Translates a request's documents: all of them, or the faults of those that cannot be.
fn translate(
    intaker: &Intaker,
    connection: &str,
    documents: Vec<Incoming>,
    now_ms: i64,
) -> Result<Vec<Intake>, Vec<Fault>> {
    let (mut intakes, mut faults) = (Vec::with_capacity(documents.len()), Vec::new());
    for incoming in documents {
        match intaker.translate(connection, &incoming, now_ms) {
            Ok(intake) => intakes.push(intake),
            Err(_) if intaker.rule(connection, &incoming.kind).is_some_and(|rule| rule.park_faults) => {
                intakes.push(intaker.keep(connection, &incoming, now_ms));
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(intakes) } else { Err(faults) }
}

fn outcome(told: &[(String, String, String)], accepted: &[Accepted], reply: Option<Value>) -> Response {
    let conflict = accepted.iter().any(|one| matches!(one, Accepted::Conflict { .. }));
    let list: Vec<Value> = told
        .iter()
        .zip(accepted)
        .map(|((id, kind, key), accepted)| {
            let (status, event) = match accepted {
                Accepted::New => ("new", id),
                Accepted::Repeat { event } => ("repeat", event),
                Accepted::Late => ("late", id),
                Accepted::Conflict { event } => ("conflict", event),
            };
            json!({"event": event, "kind": kind, "key": key, "status": status})
        })
        .collect();
    if conflict {
        let fault = Fault::new(
            Code::EventConflict,
            "同一单号与修订号此前以不同内容收到",
            "the same key and revision came before with other content",
        );
        return answer(StatusCode::CONFLICT, json!({"accepted": list, "faults": [fault]}));
    }
    match reply {
        // A platform that looks for words of its own looks for 200 as well.
        Some(reply) => answer(StatusCode::OK, reply),
        None => answer(StatusCode::ACCEPTED, json!({"accepted": list})),
    }
}

fn inbound(path: String, query: Option<&str>, headers: &HeaderMap, body: &Bytes) -> Inbound {
    Inbound {
        path: format!("/{path}"),
        query: form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect(),
        headers: headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect(),
        body: body.to_vec(),
    }
}

/// What is answered while nothing is taken in.
pub fn draining(service: &Service) -> Option<Response> {
    service.is_draining().then(|| {
        let fault = Fault::new(
            Code::TargetUnavailable,
            "系统维护中，暂不接收，请稍后重发",
            "nothing is taken in during maintenance: send again later",
        );
        come_back(fault, "60")
    })
}

/// What is answered while too much waits.
pub fn full(service: &Service, connection: &str) -> Option<Response> {
    service.engine.is_full().then(|| {
        let fault = Fault::new(
            Code::BacklogFull,
            "积压已达上限，请稍后重发",
            "too much is waiting to be delivered: send again later",
        );
        let (connection, code) = (connection.to_owned(), fault.code.as_str());
        metrics::counter!("tongbao_refused_total", "connection" => connection, "code" => code).increment(1);
        come_back(fault, "5")
    })
}

/// 503: nothing was stored, the sender keeps the document and sends it again after so many seconds.
pub fn come_back(fault: Fault, after: &'static str) -> Response {
    let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, &[fault]);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(after));
    response
}

fn refuse(status: StatusCode, faults: &[Fault]) -> Response {
    answer(status, json!({"faults": faults}))
}

/// A JSON answer.
pub fn answer(status: StatusCode, body: Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}
