//! What tests, the demo and the control listener do with signing flows.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, State},
    response::Response,
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{EsignSender, FadadaSender, FlowChange, FlowSpec, FlowView, esign, fadada};
use crate::{
    clock,
    control::{Shared, done, missing, outcome, refused},
    sandbox::Sandbox,
    world::{World, lock},
};

impl Sandbox {
    /// Begins a signing flow at e签宝.
    ///
    /// # Errors
    /// When there is one of that id.
    pub fn esign_begin(&self, spec: FlowSpec) -> Result<(), String> {
        lock(&self.world.esign).begin(spec, self.now_ms())
    }

    /// Lets something happen to a flow at e签宝.
    ///
    /// # Errors
    /// When there is no such flow, or it stands where that cannot happen.
    pub fn esign_change(&self, id: &str, change: FlowChange) -> Result<(), String> {
        lock(&self.world.esign).change(id, change, self.now_ms())
    }

    /// All flows at e签宝, by id.
    #[must_use]
    pub fn esign_flows(&self) -> Vec<FlowView> {
        lock(&self.world.esign).all.values().cloned().collect()
    }

    /// The body of the callback that e签宝 sends of a flow as it stands, with its time in Unix milliseconds.
    #[must_use]
    pub fn esign_news(&self, id: &str, at_ms: i64) -> Option<String> {
        let state = lock(&self.world.esign);
        state.all.get(id).map(|flow| esign::news(flow, at_ms).to_string())
    }

    /// Begins a sign task at 法大大.
    ///
    /// # Errors
    /// When there is one of that id.
    pub fn fadada_begin(&self, spec: FlowSpec) -> Result<(), String> {
        lock(&self.world.fadada).flows.begin(spec, self.now_ms())
    }

    /// Lets something happen to a task at 法大大.
    ///
    /// # Errors
    /// When there is no such task, or it stands where that cannot happen.
    pub fn fadada_change(&self, id: &str, change: FlowChange) -> Result<(), String> {
        lock(&self.world.fadada).flows.change(id, change, self.now_ms())
    }

    /// All sign tasks at 法大大, by id.
    #[must_use]
    pub fn fadada_flows(&self) -> Vec<FlowView> {
        lock(&self.world.fadada).flows.all.values().cloned().collect()
    }

    /// Event and content of the callback that 法大大 sends of a task as it stands. With `within_signed` the end comes within
    /// the last signature's event.
    #[must_use]
    pub fn fadada_news(&self, id: &str, within_signed: bool, at_ms: i64) -> Option<(&'static str, String)> {
        let state = lock(&self.world.fadada);
        let (event, content) = fadada::news(state.flows.all.get(id)?, within_signed, at_ms);
        Some((event, content.to_string()))
    }
}

/// The control listener's routes.
pub(crate) fn routes() -> Router<std::sync::Arc<World>> {
    Router::new()
        .route("/esign/flows", post(esign_begin))
        .route("/esign/flows/{id}/{change}", post(esign_change))
        .route("/esign/push", post(esign_push))
        .route("/fadada/flows", post(fadada_begin))
        .route("/fadada/flows/{id}/{change}", post(fadada_change))
        .route("/fadada/push", post(fadada_push))
}

async fn esign_begin(State(world): Shared, Json(spec): Json<FlowSpec>) -> Response {
    let now = world.clock.now_ms();
    outcome(lock(&world.esign).begin(spec, now))
}

async fn esign_change(State(world): Shared, Path((id, change)): Path<(String, String)>) -> Response {
    let Some(change) = flow_change(change) else { return missing() };
    let now = world.clock.now_ms();
    outcome(lock(&world.esign).change(&id, change, now))
}

async fn fadada_begin(State(world): Shared, Json(spec): Json<FlowSpec>) -> Response {
    let now = world.clock.now_ms();
    outcome(lock(&world.fadada).flows.begin(spec, now))
}

async fn fadada_change(State(world): Shared, Path((id, change)): Path<(String, String)>) -> Response {
    let Some(change) = flow_change(change) else { return missing() };
    let now = world.clock.now_ms();
    outcome(lock(&world.fadada).flows.change(&id, change, now))
}

fn flow_change(name: String) -> Option<FlowChange> {
    serde_json::from_value(Value::String(name)).ok()
}

/// Where a callback goes and what it says: the flow as it stands unless `body` says otherwise.
#[derive(Deserialize)]
struct Push {
    url: String,
    flow: String,
    body: Option<String>,
    event: Option<String>,
}

/// Pause between repeats of a callback sent by hand.
const PAUSE: Duration = Duration::from_millis(200);

async fn esign_push(State(world): Shared, Json(push): Json<Push>) -> Response {
    let config = &world.config.esign;
    let news = lock(&world.esign).all.get(&push.flow).map(|flow| esign::news(flow, clock::wall_ms()));
    let Some(body) = push.body.or_else(|| news.map(|news| news.to_string())) else { return missing() };
    match EsignSender::new(&push.url, &config.app_id, &config.app_secret, PAUSE) {
        Ok(sender) => sent(sender.push(body).await),
        Err(error) => refused(&error.to_string()),
    }
}

async fn fadada_push(State(world): Shared, Json(push): Json<Push>) -> Response {
    let config = &world.config.fadada;
    let news =
        lock(&world.fadada).flows.all.get(&push.flow).map(|flow| fadada::news(flow, false, clock::wall_ms()));
    let (usual, content) = news.map_or(("", None), |(event, content)| (event, Some(content.to_string())));
    let Some(content) = push.body.or(content) else { return missing() };
    let event = push.event.as_deref().unwrap_or(usual);
    match FadadaSender::new(&push.url, &config.app_id, &config.app_secret, 1_000) {
        Ok(sender) => sent(sender.push(event, &content).await),
        Err(error) => refused(&error.to_string()),
    }
}

fn sent(outcome: Result<(crate::crm::Pushed, u32), reqwest::Error>) -> Response {
    match outcome {
        Ok((pushed, tries)) => {
            let body = String::from_utf8_lossy(&pushed.body);
            done(&json!({"status": pushed.status, "body": body, "tries": tries}))
        }
        Err(error) => refused(&error.to_string()),
    }
}
