//! Group robots of WeCom (`wecom`) and DingTalk (`dingtalk`): messages that people would read.
//!
//! Limits, key, signature and its window from the vendors' pages, certain; the codes of what the reference names none for
//! (length, message type, unknown token, pace at DingTalk) are those of public clients.

pub(crate) mod dingtalk;
#[cfg(test)]
mod tests;
pub(crate) mod wecom;

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{sandbox::Sandbox, wire::message::Reply, world::lock};

/// Milliseconds in which messages are counted.
const MINUTE_MS: i64 = 60_000;
/// Messages kept.
const KEPT: usize = 10_000;

/// WeCom's robot.
#[derive(Clone)]
pub struct WecomConfig {
    /// Key of the webhook address.
    pub key: String,
    /// Messages a minute.
    pub per_minute: usize,
}

impl std::fmt::Debug for WecomConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WecomConfig").field("per_minute", &self.per_minute).finish_non_exhaustive()
    }
}

impl Default for WecomConfig {
    fn default() -> Self {
        Self { key: "wecom-sandbox-key".to_owned(), per_minute: 20 }
    }
}

/// DingTalk's robot.
#[derive(Clone)]
pub struct DingtalkConfig {
    /// Token of the webhook address.
    pub token: String,
    /// Secret of the signature; `None` takes unsigned messages.
    pub secret: Option<String>,
    /// Keyword that every message must hold.
    pub keyword: Option<String>,
    /// Takes messages from nobody's address.
    pub addresses_refused: bool,
    /// Largest distance of the signed time from the machine's clock in milliseconds.
    pub window_ms: i64,
    /// Messages a minute.
    pub per_minute: usize,
    /// How long it takes none after too many, in milliseconds (virtual clock).
    pub penalty_ms: i64,
}

impl std::fmt::Debug for DingtalkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DingtalkConfig").field("per_minute", &self.per_minute).finish_non_exhaustive()
    }
}

impl Default for DingtalkConfig {
    fn default() -> Self {
        Self {
            token: "dingtalk-sandbox-token".to_owned(),
            secret: Some("SECdingtalk-sandbox".to_owned()),
            keyword: None,
            addresses_refused: false,
            window_ms: 3_600_000,
            per_minute: 20,
            penalty_ms: 600_000,
        }
    }
}

/// A message that stands in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RobotMessage {
    /// Unix milliseconds (virtual clock).
    pub at_ms: i64,
    /// `text` or `markdown`.
    pub kind: String,
    /// What people read.
    pub content: String,
}

/// One robot.
#[derive(Debug, Default)]
pub(crate) struct State {
    messages: VecDeque<RobotMessage>,
    /// When the latest ones came, oldest first.
    recent: VecDeque<i64>,
    /// Takes none before.
    closed_until_ms: i64,
}

impl State {
    /// Everything that came, oldest first.
    pub fn messages(&self) -> Vec<RobotMessage> {
        self.messages.iter().cloned().collect()
    }

    /// Whether one more is too many; then none is taken for so long.
    fn too_many(&mut self, now_ms: i64, per_minute: usize, penalty_ms: i64) -> bool {
        if now_ms < self.closed_until_ms {
            return true;
        }
        self.recent.retain(|at_ms| now_ms - at_ms < MINUTE_MS);
        if self.recent.len() >= per_minute {
            self.closed_until_ms = now_ms + penalty_ms;
            return true;
        }
        false
    }

    fn keep(&mut self, message: RobotMessage) {
        self.recent.push_back(message.at_ms);
        self.messages.push_back(message);
        if self.messages.len() > KEPT {
            self.messages.pop_front();
        }
    }
}

fn answer(code: i64, text: &str) -> Reply {
    Reply::json(200, &json!({"errcode": code, "errmsg": text}))
}

/// Kind and content of a message that has both.
fn content<'b>(body: &'b Value, markdown: &str) -> Option<(&'b str, &'b str)> {
    let kind = body.get("msgtype")?.as_str()?;
    let inner = match kind {
        "text" => "content",
        "markdown" => markdown,
        _ => return None,
    };
    Some((kind, body.get(kind)?.get(inner)?.as_str().filter(|text| !text.is_empty())?))
}

impl Sandbox {
    /// Messages that WeCom's robot took, oldest first.
    #[must_use]
    pub fn wecom_messages(&self) -> Vec<RobotMessage> {
        lock(&self.world.wecom).messages()
    }

    /// Messages that DingTalk's robot took, oldest first.
    #[must_use]
    pub fn dingtalk_messages(&self) -> Vec<RobotMessage> {
        lock(&self.world.dingtalk).messages()
    }
}
