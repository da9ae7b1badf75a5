//! 法大大 FASC 5.1: `POST /api/v5/service/get-access-token` and `POST /api/v5/sign-task/…`, a form with one field, signed over
//! its headers.
//!
//! Sources: ports of the vendor's SDK (Java, PHP, Go, TypeScript; transport and signature, certain), a public copy of the
//! vendor's list of events and task states (one source). Codes of refusals without a published one are 100001, its code for
//! anything else; that of an unknown task is made up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use axum::http::Method;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{FlowState, FlowView, Flows};
use crate::{
    clock,
    faults::{Fault, System},
    wire::{
        drive::html,
        message::{Incoming, Job, Reply, Step},
    },
    world::{World, lock},
};

const BASE: &str = "/api/v5/";
const TOKEN: &str = "service/get-access-token";
/// Nonces remembered; the platform remembers ten minutes of them.
const NONCES: usize = 10_000;

/// Everything of the platform that changes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub flows: Flows,
    /// Tokens with their ends, Unix milliseconds.
    pub tokens: BTreeMap<String, i64>,
    token_calls: u64,
    seen: BTreeSet<String>,
    order: VecDeque<String>,
}

impl State {
    /// Notes a nonce; false when it was there.
    fn fresh(&mut self, nonce: &str) -> bool {
        if !self.seen.insert(nonce.to_owned()) {
            return false;
        }
        self.order.push_back(nonce.to_owned());
        if self.order.len() > NONCES
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }
}

/// Whether a path belongs to this platform.
pub(crate) fn serves(path: &str) -> bool {
    path.starts_with(BASE)
}

fn answer(status: u16, code: &str, msg: &str, data: &Value) -> Reply {
    Reply::json(status, &json!({"code": code, "msg": msg, "data": data}))
}

/// Checks headers, signature and token, and prepares the work.
pub(crate) fn accept(world: &World, request: Incoming) -> Step {
    let operation = request.path.strip_prefix(BASE).unwrap_or_default().to_owned();
    let known = matches!(operation.as_str(), TOKEN | "sign-task/app/get-detail" | "sign-task/get-detail");
    if !known {
        return Step::Done(html(404, None));
    }
    if request.method != Method::POST {
        return Step::Done(html(405, None));
    }
    if operation == TOKEN {
        return Step::Work(Job {
            system: System::Fadada,
            operation: "get-access-token".to_owned(),
            keys: Vec::new(),
            run: Box::new(move |world, _| token(world, &request)),
        });
    }
    if let Err(reply) = admit(world, &request) {
        return Step::Done(reply);
    }
    let body: Value = serde_json::from_str(&content(&request)).unwrap_or(Value::Null);
    let id = body.get("signTaskId").and_then(Value::as_str).unwrap_or_default().to_owned();
    Step::Work(Job {
        system: System::Fadada,
        operation: "get-detail".to_owned(),
        keys: vec![id.clone()],
        run: Box::new(move |world, fault| match fault {
            Some(Fault::Throttled { retry_after }) => answer(429, "100018", "请求频率超限", &Value::Null)
                .with("retry-after", retry_after.unwrap_or(1).to_string()),
            Some(Fault::SessionDropped) => answer(401, "100002", "accessToken已过期", &Value::Null),
            _ => detail(world, &id),
        }),
    })
}

/// The form's one field.
fn content(request: &Incoming) -> String {
    form_urlencoded::parse(&request.body)
        .find(|(name, _)| name == "bizContent")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// Signs pairs: sorted by name, empty ones left out, joined without encoding; the key is made of secret and time.
pub(crate) fn sign(secret: &str, timestamp: &str, pairs: &[(&str, &str)]) -> String {
    let mut pairs: Vec<&(&str, &str)> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    pairs.sort();
    let text = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let mac = |key: &[u8], message: &[u8]| {
        Hmac::<Sha256>::new_from_slice(key)
            .map(|mut mac| {
                mac.update(message);
                mac.finalize().into_bytes().to_vec()
            })
            .unwrap_or_default()
    };
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    hex::encode(mac(&mac(secret.as_bytes(), timestamp.as_bytes()), digest.as_bytes()))
}

/// Headers and signature of any call.
fn signed(world: &World, request: &Incoming) -> Result<(), Reply> {
    let config = &world.config.fadada;
    let header = |name: &str| request.header(name).unwrap_or_default();
    let refuse = |code: &str, msg: &str| Err(answer(200, code, msg, &Value::Null));
    let (timestamp, nonce) = (header("X-FASC-Timestamp"), header("X-FASC-Nonce"));
    if [timestamp, nonce, header("X-FASC-App-Id"), header("X-FASC-Sign")].contains(&"") {
        return refuse("100012", "请求头缺少参数");
    }
    if header("X-FASC-App-Id") != config.app_id || nonce.len() > 32 {
        return refuse("100001", "X-FASC-App-Id或X-FASC-Nonce不合法");
    }
    let content = content(request);
    let names = [
        "X-FASC-AccessToken",
        "X-FASC-Api-SubVersion",
        "X-FASC-App-Id",
        "X-FASC-Grant-Type",
        "X-FASC-Nonce",
        "X-FASC-Sign-Type",
        "X-FASC-Timestamp",
    ];
    let mut pairs: Vec<(&str, &str)> = names.iter().map(|name| (*name, header(name))).collect();
    pairs.push(("bizContent", &content));
    let expected = sign(&config.app_secret, timestamp, &pairs);
    if !bool::from(expected.as_bytes().ct_eq(header("X-FASC-Sign").as_bytes())) {
        return refuse("100001", "签名错误");
    }
    let sent: i64 = timestamp.parse().unwrap_or_default();
    if (clock::wall_ms() - sent).abs() > config.window_secs * 1000 {
        return refuse("100001", "X-FASC-Timestamp超出范围");
    }
    if !lock(&world.fadada).fresh(nonce) {
        return refuse("100001", "X-FASC-Nonce重复");
    }
    Ok(())
}

fn token(world: &World, request: &Incoming) -> Reply {
    let config = &world.config.fadada;
    if let Err(reply) = signed(world, request) {
        return reply;
    }
    if request.header("X-FASC-Grant-Type") != Some("client_credential") {
        return answer(200, "100012", "请求头缺少参数", &Value::Null);
    }
    let now = world.clock.now_ms();
    let mut state = lock(&world.fadada);
    state.token_calls += 1;
    let token = world.hex(32, &["fadada-token", &state.token_calls.to_string()]);
    state.tokens.retain(|_, end| *end > now);
    state.tokens.insert(token.clone(), now.saturating_add(config.token_secs * 1000));
    answer(
        200,
        "100000",
        "请求成功",
        &json!({"accessToken": token, "expiresIn": config.token_secs.to_string()}),
    )
}

fn admit(world: &World, request: &Incoming) -> Result<(), Reply> {
    signed(world, request)?;
    let token = request.header("X-FASC-AccessToken").unwrap_or_default();
    let now = world.clock.now_ms();
    match lock(&world.fadada).tokens.get(token) {
        Some(end) if *end > now => Ok(()),
        _ => Err(answer(401, "100002", "accessToken已过期", &Value::Null)),
    }
}

/// The platform's word for a state.
pub(crate) fn status(flow: &FlowView) -> &'static str {
    match flow.state {
        FlowState::Signing if flow.signed >= flow.spec.signers => "sign_completed",
        FlowState::Signing => "sign_progress",
        FlowState::Signed => "task_finished",
        FlowState::Rejected | FlowState::Revoked => "task_terminated",
        FlowState::Expired => "expired",
        FlowState::Annulled => "revoked",
    }
}

fn detail(world: &World, id: &str) -> Reply {
    let now = world.clock.now_ms();
    let mut state = lock(&world.fadada);
    let Some(flow) = state.flows.find(id, world.config.fadada.auto_create, now) else {
        return answer(200, "210001", "签署任务不存在", &Value::Null);
    };
    let ended = flow.state != FlowState::Signing;
    let data = json!({
        "signTaskId": flow.spec.id,
        "signTaskSubject": flow.spec.title,
        "transReferenceId": flow.spec.number,
        "signTaskStatus": status(flow),
        "createTime": flow.begun_ms.to_string(),
        "finishTime": ended.then(|| flow.changed_ms.to_string()),
    });
    answer(200, "100000", "请求成功", &data)
}

/// The news of a flow as it stands at `at_ms`: event and content. The last signature can carry the end with it.
pub(crate) fn news(flow: &FlowView, within_signed: bool, at_ms: i64) -> (&'static str, Value) {
    let event = match flow.state {
        FlowState::Signed if within_signed => "sign-task-signed",
        FlowState::Signing if flow.signed == 0 => "sign-task-start",
        FlowState::Signing => "sign-task-signed",
        FlowState::Signed => "sign-task-finished",
        FlowState::Rejected => "sign-task-sign-rejected",
        FlowState::Revoked => "sign-task-canceled",
        FlowState::Expired => "sign-task-expire",
        FlowState::Annulled => "sign-task-abolish",
    };
    let content = json!({
        "eventTime": at_ms.to_string(), "signTaskId": flow.spec.id, "signTaskStatus": status(flow),
        "transReferenceId": flow.spec.number,
    });
    (event, content)
}
