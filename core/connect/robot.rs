//! Group robots: a JSON message is posted, HTTP 200 holds an `errcode`, and nobody can be asked afterwards what arrived.

use crate::http::{Client, Sent};
use crate::kit::Writes;
use crate::notice::{self, Language, Pace, Words};
use crate::outcome::{Failure, Lookup, Outcome, Receipt, Remote};
use crate::rules::{Rule, Said, first};
use crate::target::{Target, Task};
use crate::{Context, Reply};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_model::{Class, Code, Fault};

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Plain text.
    Text,
    /// The platform's Markdown.
    Markdown,
}

/// What `format` may say.
pub const FORMATS: &[(&str, Format)] = &[("text", Format::Text), ("markdown", Format::Markdown)];

/// What the kit has a robot write: a notice of one line.
pub const WRITES: Writes = Writes {
    kind: notice::KIND,
    document: r#"{"number":"{key}","rule":"ops","severity":"warning","title":"通宝：2 张单据挂起",
    "title_en":"Tongbao: 2 documents are parked","from":"2026-11-22T15:00:00+08:00","to":"2026-11-22T15:05:00+08:00",
    "total":2,"lines":[{"what":"parked","connection":"erp","code":"code-table-miss","owner":"finance","count":2,
    "examples":"HT-1, HT-2","since":"2026-11-22T15:00:00+08:00"}],"more":0}"#,
    total: None,
    writes: &["send"],
    reads: &[],
    enough: &[],
    repeats: Some((
        "机器人不能查询：可能丢失的消息会再发一次",
        "a robot cannot be asked: what may be lost is sent again",
    )),
};

/// The body of a robot's refusals.
pub const REFUSAL: &str = r#"{"errcode":{code},"errmsg":"{text}"}"#;

/// One platform's robots.
pub trait Robot: Send + Sync {
    /// Name of the platform: Chinese, English.
    const NAME: (&'static str, &'static str);
    /// What refusals mean, in order.
    const RULES: &'static [Rule];

    /// Where to post now. It holds the robot's secret: it is shown nowhere.
    fn address(&self, now_ms: i64) -> Result<url::Url, Fault>;

    /// The message.
    fn message(&self, words: &Words) -> Value;

    /// How long to wait after a refusal of this code, where it means that.
    fn slow(&self, code: &str) -> Option<Duration>;
}

/// What a connection to a robot is made of besides the robot.
pub struct Wiring {
    /// Language of messages.
    pub language: Language,
    /// Messages a minute.
    pub per_minute: u32,
    /// Whether a message that may have been lost is sent again.
    pub again: bool,
    /// Time for one call.
    pub timeout: Duration,
}

/// The target of a robot.
pub struct Posts<R> {
    robot: R,
    context: Context,
    http: Client,
    pace: Pace,
    wiring: Wiring,
}

impl<R: Robot> Posts<R> {
    /// Of a robot.
    pub fn new(robot: R, context: Context, wiring: Wiring) -> Self {
        let pace = Pace::new(wiring.per_minute);
        Posts { robot, http: context.http.clone(), context, pace, wiring }
    }

    async fn post(&self, message: &Value) -> Result<Reply, Failure> {
        let url = self.robot.address(self.context.now_ms()).map_err(Failure::new)?;
        let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
        let body = message.to_string().into_bytes().into();
        let sent = Sent { method: reqwest::Method::POST, url, headers, body, timeout: self.wiring.timeout };
        self.http.send(sent).await.map_err(|error| Failure::new(error.fault()))
    }

    /// `Ok` where it was taken. Anything that is not the platform's own answer leaves open whether it was.
    fn judge(&self, reply: &Reply) -> Result<(), Failure> {
        let (zh, en) = R::NAME;
        let body = reply.json().unwrap_or_default();
        let text = body.get("errmsg").and_then(Value::as_str).unwrap_or_default();
        let code = match body.get("errcode") {
            Some(Value::Number(code)) => code.to_string(),
            Some(_) | None => String::new(),
        };
        let status = reply.status;
        if status == 200 && code == "0" {
            return Ok(());
        }
        let said = Said { status, code: &code, text };
        let (class, fault_code) = if status != 200 || code.is_empty() {
            by_status(reply)
        } else if let Some(after) = self.robot.slow(&code) {
            (Class::Throttled(Some(after)), Code::TargetThrottled)
        } else {
            first(R::RULES, said)
                .map_or((Class::Unknown, Code::OutcomeUnknown), |rule| (rule.class, rule.fault))
        };
        let fault = Fault::new(
            fault_code,
            format!("{zh}（HTTP {status}）{code}：{}", notice::cut(text, 200)),
            format!("{en} (HTTP {status}) {code}: {}", notice::cut(text, 200)),
        );
        Err(Failure::new(fault).class(class).response(json!({"errcode": code})))
    }
}

/// What an answer means that is not the platform's own.
fn by_status(reply: &Reply) -> (Class, Code) {
    match reply.class_of_status() {
        Class::Unauthorized => (Class::Unauthorized, Code::TargetUnauthorized),
        Class::Throttled(after) => (Class::Throttled(after), Code::TargetThrottled),
        Class::Misconfigured => (Class::Misconfigured, Code::TargetMisconfigured),
        Class::Rejected => (Class::Rejected, Code::TargetRejected),
        Class::Done
        | Class::AlreadyThere
        | Class::Conflict
        | Class::Unavailable
        | Class::Unknown
        | Class::Defect => (Class::Unknown, Code::OutcomeUnknown),
    }
}

#[async_trait]
impl<R: Robot> Target for Posts<R> {
    async fn apply(&self, task: &Task) -> Outcome {
        let ready = notice::read(task).and_then(|notice| {
            self.pace.take(self.context.now_ms())?;
            Ok(Words::of(&notice, self.wiring.language))
        });
        let sent = match ready {
            Ok(words) => self.post(&self.robot.message(&words)).await,
            Err(failure) => Err(failure),
        };
        match sent.and_then(|reply| self.judge(&reply)) {
            // The platform names no id: the number in the message is all there is to know it by.
            Ok(()) => {
                let remote = Remote { number: task.key.clone(), step: "sent".into(), ..Remote::default() };
                Outcome::Done(Receipt { remote, ..Receipt::default() })
            }
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn lookup(&self, _: &Task) -> Lookup {
        notice::cannot_ask()
    }

    fn repeats(&self) -> bool {
        self.wiring.again
    }

    /// Posts a message of a kind that there is not: whoever refuses it for that has let us in, and nobody reads anything.
    async fn probe(&self) -> Result<String, Failure> {
        let reply = self.post(&json!({"msgtype": "probe"})).await.map_err(Failure::of_question)?;
        match self.judge(&reply) {
            Ok(()) => Ok("robot".to_owned()),
            Err(failure) if failure.class == Class::Rejected && reply.status == 200 => Ok("robot".to_owned()),
            Err(failure) => Err(failure.of_question()),
        }
    }
}
