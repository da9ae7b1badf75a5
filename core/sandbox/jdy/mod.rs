//! Jiandaoyun (简道云): the single-record update API and the data push.
//!
//! Push signature from the vendor's help page (hc.jiandaoyun.com/open/11507) and official sample code, certain. The error
//! codes of the update API are not; they are settings.

mod push;

use std::collections::{BTreeMap, VecDeque};

use axum::http::Method;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;

pub use self::push::PushSender;
use crate::{
    faults::{Fault, System},
    state::CrmWrite,
    wire::{
        drive::html,
        message::{Incoming, Job, Reply, Step},
    },
    world::{World, lock},
};

type Key = (String, String, String);

/// Records by application, form and `data_id`.
#[derive(Debug, Default)]
pub(crate) struct State {
    records: BTreeMap<Key, Map<String, Value>>,
    history: VecDeque<CrmWrite>,
    writes: u64,
}

impl State {
    /// Puts a record in place; widgets by name, values as they are.
    pub fn seed(&mut self, app_id: &str, entry_id: &str, data_id: &str, widgets: Map<String, Value>) {
        self.records.insert((app_id.to_owned(), entry_id.to_owned(), data_id.to_owned()), widgets);
    }

    /// The widgets of a record, wherever it is filed.
    pub fn record(&self, data_id: &str) -> Option<Value> {
        let found = self.records.iter().find(|((_, _, id), _)| id == data_id);
        found.map(|(_, widgets)| Value::Object(widgets.clone()))
    }

    /// Every update kept, oldest first.
    pub fn history(&self) -> Vec<CrmWrite> {
        self.history.iter().cloned().collect()
    }
}

fn failed(code: u32, message: &str) -> Reply {
    Reply::json(400, &json!({"code": code, "msg": message}))
}

/// Checks the key and the path, and prepares the work.
pub(crate) fn accept(world: &World, request: Incoming) -> Step {
    let known = matches!(
        request.path.as_str(),
        "/jdy/api/v5/app/entry/data/update" | "/jdy/api/v5/app/entry/data/get"
    );
    if !known || request.method != Method::POST {
        return Step::Done(html(404, None));
    }
    let token = request.bearer().unwrap_or("");
    if !bool::from(token.as_bytes().ct_eq(world.config.jdy.api_key.as_bytes())) {
        return Step::Done(Reply::json(401, &json!({"code": 8301, "msg": "API Key 无效"})));
    }
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(&request.body) else {
        return Step::Done(failed(3000, "请求参数不合法"));
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let key = (text("app_id"), text("entry_id"), text("data_id"));
    if key.0.is_empty() || key.1.is_empty() || key.2.is_empty() {
        return Step::Done(failed(3000, "app_id、entry_id、data_id不能为空"));
    }
    let update = request.path.ends_with("/update");
    Step::Work(Job {
        system: System::Jdy,
        operation: if update { "update" } else { "get" }.to_owned(),
        keys: vec![key.2.clone()],
        run: Box::new(move |world, fault| match fault {
            Some(Fault::Throttled { retry_after }) => {
                Reply::json(429, &json!({"code": 8303, "msg": "请求频率超限"}))
                    .with("retry-after", retry_after.unwrap_or(1).to_string())
            }
            Some(Fault::SessionDropped) => Reply::json(401, &json!({"code": 8301, "msg": "API Key 无效"})),
            _ if update => change(world, key, &body),
            _ => read(world, &key),
        }),
    })
}

fn read(world: &World, key: &Key) -> Reply {
    match lock(&world.jdy).records.get(key) {
        Some(widgets) => Reply::json(200, &json!({"data": shown(&key.2, widgets)})),
        None => failed(world.config.jdy.unknown_data_code, "数据不存在"),
    }
}

fn shown(data_id: &str, widgets: &Map<String, Value>) -> Value {
    let mut out = Map::new();
    out.insert("_id".to_owned(), Value::from(data_id));
    out.extend(widgets.clone());
    Value::Object(out)
}

/// `data` holds `{widget: {"value": …}}`; a bare value is taken as it is.
fn change(world: &World, key: Key, body: &Map<String, Value>) -> Reply {
    let config = &world.config.jdy;
    let Some(Value::Object(data)) = body.get("data") else { return failed(3000, "data不能为空") };
    let mut state = lock(&world.jdy);
    if !state.records.contains_key(&key) && !config.auto_create {
        return failed(config.unknown_data_code, "数据不存在");
    }
    let widgets = state.records.entry(key.clone()).or_default();
    let before = widgets.clone();
    for (name, value) in data {
        let value = value.as_object().and_then(|object| object.get("value")).unwrap_or(value);
        widgets.insert(name.clone(), value.clone());
    }
    let after = widgets.clone();
    let reply = Reply::json(200, &json!({"data": shown(&key.2, &after)}));
    state.writes += 1;
    let sequence = state.writes;
    state.history.push_back(CrmWrite {
        sequence,
        at_ms: world.clock.now_ms(),
        method: "update".to_owned(),
        collection: format!("{}/{}", key.0, key.1),
        id: key.2,
        version: sequence,
        idempotency_key: None,
        body: Value::Object(data.clone()),
        before: Value::Object(before),
        after: Value::Object(after),
    });
    while state.history.len() > config.history_limit {
        state.history.pop_front();
    }
    reply
}
