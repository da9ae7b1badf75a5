//! What platforms on which contracts are signed have in common: they are asked where a flow stands, and what they say now is
//! the outcome, whatever a callback claimed. Nothing is written over there.

use crate::outcome::{Failure, Lookup, Outcome, Receipt, Remote};
use crate::settings::Settings;
use crate::target::{Target, Task};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tongbao_model::diagnostic::Findings;
use tongbao_model::{Class, Code, Fault, SignatureState};

/// Kind of the documents that ask where a signing flow stands: what they find is confirmed, and nothing else.
pub const STATUS: &str = "signature-status";

/// A flow as its platform sees it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Where it stands.
    pub state: SignatureState,
    /// Our number; `None` where the flow carries none.
    pub number: Option<String>,
    /// RFC 3339; only of an end.
    pub at: Option<String>,
    /// Its title.
    pub title: Option<String>,
}

/// How a platform is called, and what it calls a flow, in Chinese and English.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// Name of the connector.
    pub connector: &'static str,
    /// Name of the platform.
    pub platform: &'static str,
    /// What a flow is called there.
    pub flow: (&'static str, &'static str),
}

impl Words {
    /// Our word for a status; a fault names the setting that takes a status nobody has listed.
    pub fn state(
        &self,
        status: &str,
        states: &BTreeMap<String, SignatureState>,
    ) -> Result<SignatureState, Fault> {
        let Words { platform, flow: (zh, en), .. } = self;
        states.get(status).copied().ok_or_else(|| {
            Fault::new(
                Code::TargetMisconfigured,
                format!("{platform}的{zh}状态 {status} 没有登记"),
                format!("the {en} status `{status}` of {platform} is not listed"),
            )
            .at("states")
            .value(status)
            .remedy("在连接设置的 states 中登记该状态。", "List the status under the connection's `states`.")
        })
    }

    /// An answer that is not the platform's own, or that says nothing of the flow.
    pub fn not_readable(&self) -> Failure {
        let platform = self.platform;
        Failure::new(Fault::new(
            Code::TargetUnavailable,
            format!("{platform}的答复无法读取"),
            format!("the answer of {platform} cannot be read"),
        ))
    }
}

/// A platform's states in our words, the settings' over the known ones. `None` where the settings name none of ours: the
/// findings say which.
pub fn states(
    known: &[(&str, SignatureState)],
    more: &BTreeMap<String, String>,
    settings: &Settings<'_>,
    findings: &mut Findings,
) -> Option<BTreeMap<String, SignatureState>> {
    let known = known.iter().map(|(status, state)| ((*status).to_owned(), *state));
    let mut states: BTreeMap<String, SignatureState> = known.collect();
    let mut sound = true;
    for (status, name) in more {
        match SignatureState::from_name(name) {
            Some(state) => {
                states.insert(status.clone(), state);
            }
            None => {
                let at = settings.node.get("states").and_then(|inner| inner.get(status));
                findings.error(
                    "config-value",
                    at.map_or(settings.node.place, |inner| inner.place),
                    format!("状态 {name} 应为 signing、signed、rejected、revoked、expired、annulled 之一"),
                    format!("the state `{name}` must be one of signing, signed, rejected, revoked, expired, annulled"),
                );
                sound = false;
            }
        }
    }
    sound.then_some(states)
}

/// A platform that can be asked.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Its words.
    const WORDS: Words;
    /// The operation that tells of a flow, as the probe shows it.
    const OPERATION: &'static str;
    /// Id of a flow that cannot be: asked for by the probe, for "no such flow" proves that we were let in.
    const NOBODYS: &'static str;

    /// What it says of a flow; `None` where it has no such flow. A question that got no answer did nothing.
    async fn detail(&self, flow_id: &str) -> Result<Option<Value>, Failure>;

    /// Reads that. `Ok(None)` where it says nothing of a flow's state.
    fn read(&self, detail: &Value, claimed: Option<SignatureState>) -> Result<Option<Flow>, Fault>;
}

/// The target of a platform: asks, and is done when a flow is as far along as was claimed.
pub struct Status<P> {
    platform: P,
    /// How soon a flow is asked about again whose callback claimed what is not so yet.
    again: Duration,
}

impl<P: Platform> Status<P> {
    /// Of a platform; `again_s` in seconds.
    pub fn new(platform: P, again_s: u64) -> Self {
        Status { platform, again: Duration::from_secs(again_s) }
    }

    async fn ask(&self, task: &Task) -> Result<Option<Flow>, Failure> {
        let Some(detail) = self.platform.detail(&task.key).await? else { return Ok(None) };
        let flow = self.platform.read(&detail, claimed(task)).map_err(Failure::new)?;
        flow.map(Some).ok_or_else(|| P::WORDS.not_readable())
    }
}

/// Whether what stands is as far along as the callback claimed. One end in another's place is the truth, not a delay.
fn come_true(task: &Task, flow: &Flow) -> bool {
    claimed(task).is_none_or(|claimed| flow.state.rank() >= claimed.rank())
}

fn claimed(task: &Task) -> Option<SignatureState> {
    SignatureState::from_name(&text(task, "claimed")?)
}

fn text(task: &Task, name: &str) -> Option<String> {
    let tree = task.document.tree().ok()?;
    tree.get(name)?.text().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn remote(task: &Task, flow: &Flow) -> Remote {
    Remote { id: task.key.clone(), number: task.key.clone(), step: flow.state.name().to_owned() }
}

/// With the facts that the follow-on event is made of.
fn receipt(words: Words, task: &Task, flow: &Flow) -> Receipt {
    let told = text(task, "contract_number");
    let facts = json!({
        "provider": words.connector,
        "flow_id": task.key,
        "state": flow.state.name(),
        "contract_number": flow.number.as_ref().or(told.as_ref()),
        "at": flow.at,
        "title": flow.title,
    });
    Receipt { remote: remote(task, flow), facts, ..Receipt::default() }
}

#[async_trait]
impl<P: Platform> Target for Status<P> {
    async fn apply(&self, task: &Task) -> Outcome {
        let Words { platform, flow: (zh, en), .. } = P::WORDS;
        match self.ask(task).await {
            Ok(Some(flow)) if come_true(task, &flow) => Outcome::Done(receipt(P::WORDS, task, &flow)),
            Ok(Some(flow)) => {
                let (claimed, state) = (text(task, "claimed").unwrap_or_default(), flow.state.name());
                let fault = Fault::new(
                    Code::TargetThrottled,
                    format!("回调称 {claimed}，{platform}的{zh}仍为 {state}"),
                    format!("the callback said {claimed}, the {en} at {platform} is {state}"),
                );
                Outcome::Failed(Failure::new(fault).class(Class::Throttled(Some(self.again))))
            }
            Ok(None) => {
                let fault = Fault::new(
                    Code::TargetRejected,
                    format!("{platform}没有{zh} {}", task.key),
                    format!("{platform} has no {en} `{}`", task.key),
                );
                Outcome::Failed(Failure::new(fault.at("flow_id")))
            }
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        match self.ask(task).await {
            Ok(Some(flow)) if come_true(task, &flow) => Lookup::Found(receipt(P::WORDS, task, &flow)),
            Ok(Some(flow)) => Lookup::Pending(remote(task, &flow)),
            Ok(None) => Lookup::Absent,
            Err(failure) => Lookup::CannotTell(failure),
        }
    }

    /// Asking twice is asking.
    fn refuses_twice(&self) -> bool {
        true
    }

    async fn probe(&self) -> Result<String, Failure> {
        self.platform.detail(P::NOBODYS).await.map(|_| P::OPERATION.to_owned())
    }
}
