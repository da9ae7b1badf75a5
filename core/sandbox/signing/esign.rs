//! e签宝 v3: `GET /v3/sign-flow/{id}/detail`, `POST /v3/sign-flow/{id}/finish`, each signed.
//!
//! Sources: the vendor's v3 pages and their public copies, public PHP and C# clients (signature, states, `detail`'s fields:
//! certain); the code of an unknown flow is from one public copy.

use axum::http::Method;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{FlowChange, FlowState, FlowView};
use crate::{
    clock,
    faults::{Fault, System},
    wire::{
        drive::html,
        message::{Incoming, Job, Reply, Step},
    },
    world::{World, lock},
};

const FLOWS: &str = "/v3/sign-flow/";

/// Whether a path belongs to this platform.
pub(crate) fn serves(path: &str) -> bool {
    path.starts_with(FLOWS)
}

fn answer(code: u32, message: &str, data: &Value) -> Reply {
    Reply::json(200, &json!({"code": code, "message": message, "data": data}))
}

/// Checks the signature and prepares the work.
pub(crate) fn accept(world: &World, request: Incoming) -> Step {
    let rest = request.path.strip_prefix(FLOWS).unwrap_or_default().to_owned();
    let Some((id, operation)) = rest.split_once('/') else { return Step::Done(html(404, None)) };
    let wanted = match operation {
        "detail" => Method::GET,
        "finish" => Method::POST,
        _ => return Step::Done(html(404, None)),
    };
    if request.method != wanted {
        return Step::Done(html(405, None));
    }
    if let Err(reply) = admit(world, &request) {
        return Step::Done(reply);
    }
    let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy().into_owned();
    let finish = operation == "finish";
    Step::Work(Job {
        system: System::Esign,
        operation: operation.to_owned(),
        keys: vec![id.clone()],
        run: Box::new(move |world, fault| match fault {
            Some(Fault::Throttled { retry_after }) => {
                Reply::json(429, &json!({"code": 429, "message": "请求过于频繁", "data": null}))
                    .with("retry-after", retry_after.unwrap_or(1).to_string())
            }
            _ if finish => end(world, &id),
            _ => detail(world, &id),
        }),
    })
}

/// String to sign: method, accept, body digest, content type and date, each on its line, then path and query.
pub(crate) fn string_to_sign(request: &Incoming) -> String {
    let header = |name: &str| request.header(name).unwrap_or_default();
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let lines = [
        request.method.as_str(),
        header("accept"),
        header("content-md5"),
        header("content-type"),
        header("date"),
    ];
    format!("{}\n{}{query}", lines.join("\n"), request.path)
}

/// Base64 of HMAC-SHA256.
pub(crate) fn sign(secret: &str, text: &str) -> String {
    Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map(|mut mac| {
            mac.update(text.as_bytes());
            STANDARD.encode(mac.finalize().into_bytes())
        })
        .unwrap_or_default()
}

fn admit(world: &World, request: &Incoming) -> Result<(), Reply> {
    let config = &world.config.esign;
    let header = |name: &str| request.header(name).unwrap_or_default();
    let refuse = |message: &str| Err(Reply::json(401, &json!({"code": 401, "message": message})));
    // Without the mode the gateway expects a token.
    if header("x-tsign-open-auth-mode") != "Signature" {
        return refuse("TOKEN_CANT_BE_NULL");
    }
    if header("x-tsign-open-app-id") != config.app_id {
        return refuse("INVALID_APP_ID");
    }
    let digest =
        if request.body.is_empty() { String::new() } else { STANDARD.encode(Md5::digest(&request.body)) };
    if header("content-md5") != digest {
        return refuse("INVALID_CONTENT_MD5");
    }
    let expected = sign(&config.app_secret, &string_to_sign(request));
    if !bool::from(expected.as_bytes().ct_eq(header("x-tsign-open-ca-signature").as_bytes())) {
        return refuse("INVALID_SIGNATURE");
    }
    let sent: Option<i64> = header("x-tsign-open-ca-timestamp").parse().ok();
    match (sent, config.window_secs) {
        (None, _) => refuse("INVALID_TIMESTAMP"),
        (Some(sent), Some(window)) if (clock::wall_ms() - sent).abs() > window * 1000 => {
            refuse("INVALID_TIMESTAMP")
        }
        (Some(_), _) => Ok(()),
    }
}

/// The platform's number for a state; an undone flow stays finished and says so elsewhere.
pub(crate) fn status(state: FlowState) -> u8 {
    match state {
        FlowState::Signing => 1,
        FlowState::Signed | FlowState::Annulled => 2,
        FlowState::Revoked => 3,
        FlowState::Expired => 5,
        FlowState::Rejected => 7,
    }
}

/// In the platform's words.
pub(crate) fn words(state: FlowState) -> &'static str {
    match state {
        FlowState::Signing => "签署中",
        FlowState::Signed | FlowState::Annulled => "完成",
        FlowState::Revoked => "撤销",
        FlowState::Expired => "过期",
        FlowState::Rejected => "拒签",
    }
}

fn unknown(id: &str) -> Reply {
    answer(1_435_011, &format!("流程不存在:{id}"), &Value::Null)
}

fn detail(world: &World, id: &str) -> Reply {
    let now = world.clock.now_ms();
    let mut state = lock(&world.esign);
    match state.find(id, world.config.esign.auto_create, now) {
        Some(flow) => answer(0, "成功", &shown(flow)),
        None => unknown(id),
    }
}

fn shown(flow: &FlowView) -> Value {
    let ended = flow.state != FlowState::Signing;
    let signers: Vec<Value> = (0..flow.spec.signers)
        .map(|index| {
            let done = index < flow.signed;
            json!({
                "signOrder": index + 1, "signerType": 1, "signStatus": if done { 2 } else { 1 },
                "signFields": [{"signFieldStatus": if done { "4" } else { "1" }, "customBizNum": flow.spec.number}],
            })
        })
        .collect();
    json!({
        "signFlowId": flow.spec.id,
        "signFlowStatus": status(flow.state),
        "signFlowDescription": words(flow.state),
        "rescissionStatus": if flow.state == FlowState::Annulled { 3 } else { 0 },
        "signFlowCreateTime": flow.begun_ms,
        "signFlowStartTime": flow.begun_ms,
        "signFlowFinishTime": ended.then_some(flow.changed_ms),
        "signFlowConfig": {"signFlowTitle": flow.spec.title, "autoFinish": flow.spec.auto_finish},
        "signers": signers,
    })
}

fn end(world: &World, id: &str) -> Reply {
    let now = world.clock.now_ms();
    let mut state = lock(&world.esign);
    if !state.all.contains_key(id) {
        return unknown(id);
    }
    match state.change(id, FlowChange::Finish, now) {
        Ok(()) => answer(0, "成功", &Value::Null),
        Err(_) => answer(1_437_102, "流程状态不允许该操作", &Value::Null),
    }
}

/// The news of a flow as it stands: the body of its callback at `at_ms`.
pub(crate) fn news(flow: &FlowView, at_ms: i64) -> Value {
    let mut news = json!({
        "timestamp": at_ms, "signFlowId": flow.spec.id, "signFlowTitle": flow.spec.title,
    });
    let more = if flow.state == FlowState::Signing {
        json!({
            "action": "SIGN_MISSON_COMPLETE", "signOrder": flow.signed, "operateTime": flow.changed_ms,
            "signResult": 2, "customBizNum": flow.spec.number,
            "organization": {"orgId": "org-1", "orgName": "宁波样例贸易有限公司"},
        })
    } else {
        json!({
            "action": "SIGN_FLOW_COMPLETE", "signFlowStatus": status(flow.state).to_string(),
            "statusDescription": words(flow.state), "signFlowFinishTime": flow.changed_ms,
        })
    };
    if let (Value::Object(all), Value::Object(more)) = (&mut news, more) {
        all.extend(more);
    }
    news
}
