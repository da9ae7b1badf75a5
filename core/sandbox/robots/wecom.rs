//! WeCom: `POST /cgi-bin/webhook/send?key=…`, at most 2048 bytes of text or 4096 of Markdown.

use axum::http::Method;
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::{RobotMessage, answer, content};
use crate::{
    faults::{Fault, System},
    wire::{
        drive::html,
        message::{Incoming, Job, Reply, Step},
    },
    world::{World, lock},
};

/// Where the robot is.
pub(crate) const PATH: &str = "/cgi-bin/webhook/send";

/// Checks the key and prepares the work.
pub(crate) fn accept(world: &World, request: Incoming) -> Step {
    if request.method != Method::POST {
        return Step::Done(html(404, None));
    }
    let key = request.query_value("key").unwrap_or_default();
    if !bool::from(key.as_bytes().ct_eq(world.config.wecom.key.as_bytes())) {
        return Step::Done(answer(93_000, "invalid webhook url"));
    }
    Step::Work(Job {
        system: System::Wecom,
        operation: "send".to_owned(),
        keys: Vec::new(),
        run: Box::new(move |world, fault| match fault {
            Some(Fault::Throttled { .. }) => answer(45_009, "api freq out of limit"),
            _ => take(world, &request.body),
        }),
    })
}

fn take(world: &World, body: &[u8]) -> Reply {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some((kind, content)) = content(&body, "content") else {
        return answer(40_008, "invalid message type");
    };
    let most = if kind == "text" { 2_048 } else { 4_096 };
    if content.len() > most {
        return answer(45_002, "content size out of limit");
    }
    let now_ms = world.clock.now_ms();
    let mut state = lock(&world.wecom);
    if state.too_many(now_ms, world.config.wecom.per_minute, 0) {
        return answer(45_009, "api freq out of limit");
    }
    state.keep(RobotMessage { at_ms: now_ms, kind: kind.to_owned(), content: content.to_owned() });
    answer(0, "ok")
}
