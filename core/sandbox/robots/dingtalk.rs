//! DingTalk: `POST /robot/send?access_token=…&timestamp=…&sign=…`. A robot checks signature, keyword or address, and answers
//! 310000 where one of them does not fit.

use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{RobotMessage, answer, content};
use crate::{
    clock,
    faults::{Fault, System},
    wire::{
        drive::html,
        message::{Incoming, Job, Reply, Step},
    },
    world::{World, lock},
};

/// Where the robot is.
pub(crate) const PATH: &str = "/robot/send";

/// Checks token, signature and its time, and prepares the work.
pub(crate) fn accept(world: &World, request: Incoming) -> Step {
    let config = &world.config.dingtalk;
    if request.method != Method::POST {
        return Step::Done(html(404, None));
    }
    let given = |name: &str| request.query_value(name).unwrap_or_default();
    if !bool::from(given("access_token").as_bytes().ct_eq(config.token.as_bytes())) {
        return Step::Done(answer(300_001, "token is not exist"));
    }
    if let Some(secret) = &config.secret {
        let timestamp = given("timestamp");
        let signed_ms: Option<i64> = timestamp.parse().ok();
        if signed_ms.is_none_or(|ms| (clock::wall_ms() - ms).abs() > config.window_ms) {
            return Step::Done(answer(310_000, "invalid timestamp"));
        }
        let wanted = signature(secret, &timestamp);
        if !bool::from(given("sign").as_bytes().ct_eq(wanted.as_bytes())) {
            return Step::Done(answer(310_000, "sign not match"));
        }
    }
    if config.addresses_refused {
        return Step::Done(answer(310_000, "ip 127.0.0.1 not in whitelist"));
    }
    Step::Work(Job {
        system: System::Dingtalk,
        operation: "send".to_owned(),
        keys: Vec::new(),
        run: Box::new(move |world, fault| match fault {
            Some(Fault::Throttled { .. }) => answer(130_101, "send too fast, exceed 20 times per minute"),
            _ => take(world, &request.body),
        }),
    })
}

/// The secret signs the time with itself behind it.
pub(crate) fn signature(secret: &str, timestamp: &str) -> String {
    let text = format!("{timestamp}\n{secret}");
    Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map(|mac| STANDARD.encode(mac.chain_update(text.as_bytes()).finalize().into_bytes()))
        .unwrap_or_default()
}

fn take(world: &World, body: &[u8]) -> Reply {
    let config = &world.config.dingtalk;
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some((kind, content)) = content(&body, "text") else {
        return answer(40_035, "不合法的参数");
    };
    let titled = body.get("markdown").and_then(|inner| inner.get("title")).is_some();
    if kind == "markdown" && !titled {
        return answer(40_035, "缺少参数 title");
    }
    if config.keyword.as_ref().is_some_and(|keyword| !content.contains(keyword.as_str())) {
        return answer(310_000, "keywords not in content");
    }
    let now_ms = world.clock.now_ms();
    let mut state = lock(&world.dingtalk);
    if state.too_many(now_ms, config.per_minute, config.penalty_ms) {
        return answer(130_101, "send too fast, exceed 20 times per minute");
    }
    state.keep(RobotMessage { at_ms: now_ms, kind: kind.to_owned(), content: content.to_owned() });
    answer(0, "ok")
}
