//! A generic REST CRM: `GET`, `PATCH`, `PUT` on `/crm/{collection}/{id}` with a bearer token, and the sender of its
//! signed webhooks.
//!
//! No vendor is imitated; the habits are those of plain REST systems: 401, 404, 409 on a version conflict, 422 for
//! fields that may not be empty, 429 with `Retry-After` when scripted, `ETag` and `If-Match`.

mod webhook;

use std::collections::{BTreeMap, VecDeque};

use axum::http::Method;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;

pub use self::webhook::{Pushed, WebhookSender};
use crate::{
    faults::{Fault, System},
    state::CrmWrite,
    wire::message::{Incoming, Job, Reply, Step},
    world::{World, lock},
};

#[derive(Debug, Default, Clone)]
struct Record {
    version: u64,
    fields: Map<String, Value>,
}

/// All records and the history of their writes.
#[derive(Debug, Default)]
pub(crate) struct State {
    records: BTreeMap<(String, String), Record>,
    history: VecDeque<CrmWrite>,
    writes: u64,
}

impl State {
    /// Puts a record in place without history.
    pub fn seed(&mut self, collection: &str, id: &str, fields: Map<String, Value>) {
        self.records.insert((collection.to_owned(), id.to_owned()), Record { version: 1, fields });
    }

    /// A record as the API shows it.
    pub fn record(&self, collection: &str, id: &str) -> Option<Value> {
        self.records.get(&(collection.to_owned(), id.to_owned())).map(|record| show(id, record))
    }

    /// Every write kept, oldest first.
    pub fn history(&self) -> Vec<CrmWrite> {
        self.history.iter().cloned().collect()
    }

    /// Writes of one record, oldest first.
    pub fn history_of(&self, collection: &str, id: &str) -> Vec<CrmWrite> {
        self.history
            .iter()
            .filter(|write| write.collection == collection && write.id == id)
            .cloned()
            .collect()
    }
}

fn show(id: &str, record: &Record) -> Value {
    let mut out = Map::new();
    out.insert("id".to_owned(), Value::from(id));
    out.insert("version".to_owned(), Value::from(record.version));
    for (key, value) in &record.fields {
        out.insert(key.clone(), value.clone());
    }
    Value::Object(out)
}

fn problem(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"error": {"code": code, "message": message}}))
}

/// Checks the token and the path, and prepares the work.
pub(crate) fn accept(world: &World, request: Incoming) -> Step {
    let token = request.bearer().unwrap_or("");
    if !bool::from(token.as_bytes().ct_eq(world.config.crm.token.as_bytes())) {
        let reply = problem(401, "unauthorized", "missing or wrong bearer token");
        return Step::Done(reply.with("www-authenticate", "Bearer"));
    }
    let parts: Vec<String> = request
        .path
        .trim_start_matches("/crm/")
        .splitn(2, '/')
        .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let [collection, id] = parts.as_slice() else {
        return Step::Done(problem(404, "not_found", "no such resource"));
    };
    if collection.is_empty() || id.is_empty() {
        return Step::Done(problem(404, "not_found", "no such resource"));
    }
    let (collection, id) = (collection.clone(), id.clone());
    Step::Work(Job {
        system: System::Crm,
        operation: format!("{} {collection}", request.method),
        keys: vec![id.clone()],
        run: Box::new(move |world, fault| {
            let run = |world: &World| match request.method {
                Method::GET => get(world, &collection, &id),
                Method::PATCH => write(world, &request, &collection, &id, true),
                Method::PUT => write(world, &request, &collection, &id, false),
                _ => problem(405, "method_not_allowed", "use GET, PATCH or PUT"),
            };
            match fault {
                Some(Fault::Throttled { retry_after }) => problem(429, "too_many_requests", "slow down")
                    .with("retry-after", retry_after.unwrap_or(1).to_string()),
                Some(Fault::SessionDropped) => problem(401, "unauthorized", "token expired"),
                Some(Fault::NoPermission) => problem(403, "forbidden", "not allowed"),
                Some(Fault::EditLock) => problem(409, "conflict", "the record is being edited"),
                Some(Fault::DuplicateAccepted) => {
                    let _ = run(world);
                    problem(409, "conflict", "the same change was already made")
                }
                _ => run(world),
            }
        }),
    })
}

fn get(world: &World, collection: &str, id: &str) -> Reply {
    let state = lock(&world.crm);
    match state.records.get(&(collection.to_owned(), id.to_owned())) {
        Some(record) => Reply::json(200, &show(id, record)).with("etag", format!("\"{}\"", record.version)),
        None => problem(404, "not_found", "no such record"),
    }
}

/// Merges as RFC 7396 (`null` removes), or replaces.
fn write(world: &World, request: &Incoming, collection: &str, id: &str, merge: bool) -> Reply {
    let config = &world.config.crm;
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(&request.body) else {
        return problem(400, "bad_request", "the body is no JSON object");
    };
    for field in &config.required_fields {
        let empty = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
        if body.get(field).map_or(!merge, empty) {
            return problem(422, "unprocessable", &format!("{field} must not be empty"));
        }
    }
    let mut state = lock(&world.crm);
    let key = (collection.to_owned(), id.to_owned());
    if !state.records.contains_key(&key) && !config.auto_create {
        return problem(404, "not_found", "no such record");
    }
    let record = state.records.entry(key).or_default();
    let wanted = request.header("if-match").map(|value| value.trim_matches('"').to_owned());
    if wanted.is_some_and(|wanted| wanted != "*" && wanted != record.version.to_string()) {
        return problem(409, "version_conflict", "the record was changed meanwhile");
    }
    let before = record.fields.clone();
    if merge {
        merge_into(&mut record.fields, &body);
    } else {
        record.fields = body.clone();
    }
    record.version += 1;
    let (version, shown, after) = (record.version, show(id, record), record.fields.clone());
    state.writes += 1;
    let write = CrmWrite {
        sequence: state.writes,
        at_ms: world.clock.now_ms(),
        method: request.method.to_string(),
        collection: collection.to_owned(),
        id: id.to_owned(),
        version,
        idempotency_key: request.header("idempotency-key").map(str::to_owned),
        body: Value::Object(body),
        before: Value::Object(before),
        after: Value::Object(after),
    };
    state.history.push_back(write);
    while state.history.len() > config.history_limit {
        state.history.pop_front();
    }
    Reply::json(200, &shown).with("etag", format!("\"{version}\""))
}

fn merge_into(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(inner) => {
                let slot = target.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = slot {
                    merge_into(map, inner);
                } else {
                    *slot = value.clone();
                }
            }
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}
