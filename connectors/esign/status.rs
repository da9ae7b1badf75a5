//! Asking where a flow stands. Nothing is written: what the platform says now is the outcome, whatever a callback claimed.

use super::EsignSettings;
use super::client::{EsignClient, NO_FLOW, not_readable};
use super::detail::{self, Flow};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;
use tongbao_connect::{Context, Failure, Lookup, Outcome, Receipt, Remote, Target, Task};
use tongbao_model::{Class, Code, Fault, SignatureState};

/// A flow that cannot be: asked for by the probe.
const NOBODYS: &str = "00000000000000000000000000000000";

pub struct Status {
    client: EsignClient,
    states: BTreeMap<String, SignatureState>,
    again: Duration,
}

impl Status {
    pub fn new(
        settings: EsignSettings,
        states: BTreeMap<String, SignatureState>,
        context: Context,
    ) -> Status {
        let again = Duration::from_secs(settings.again_s);
        Status { client: EsignClient { settings, context }, states, again }
    }

    /// `Ok(None)`: the platform has no such flow.
    async fn ask(&self, flow_id: &str) -> Result<Option<Flow>, Failure> {
        let data = match self.client.detail(flow_id).await {
            Ok(data) => data,
            Err(refusal) if refusal.code == NO_FLOW => return Ok(None),
            Err(refusal) => return Err(refusal.failure),
        };
        detail::read(&data, &self.states).map_err(Failure::new)?.map(Some).ok_or_else(not_readable)
    }
}

/// Whether what stands is as far along as the callback claimed. One end in another's place is the truth, not a delay.
fn come_true(task: &Task, flow: &Flow) -> bool {
    let claimed = text(task, "claimed").and_then(|name| SignatureState::from_name(&name));
    claimed.is_none_or(|claimed| flow.state.rank() >= claimed.rank())
}

fn text(task: &Task, name: &str) -> Option<String> {
    let tree = task.document.tree().ok()?;
    tree.get(name)?.text().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn remote(task: &Task, flow: &Flow) -> Remote {
    Remote { id: task.key.clone(), number: task.key.clone(), step: flow.state.name().to_owned() }
}

fn receipt(task: &Task, flow: &Flow) -> Receipt {
    let facts = flow.facts(&task.key, text(task, "contract_number").as_deref());
    Receipt { remote: remote(task, flow), facts, ..Receipt::default() }
}

fn absent(flow_id: &str) -> Failure {
    let fault = Fault::new(
        Code::TargetRejected,
        format!("e签宝没有流程 {flow_id}"),
        format!("e签宝 has no flow `{flow_id}`"),
    );
    Failure::new(fault.at("flow_id"))
}

#[async_trait]
impl Target for Status {
    async fn apply(&self, task: &Task) -> Outcome {
        match self.ask(&task.key).await {
            Ok(Some(flow)) if come_true(task, &flow) => Outcome::Done(receipt(task, &flow)),
            Ok(Some(flow)) => {
                let claimed = text(task, "claimed").unwrap_or_default();
                let fault = Fault::new(
                    Code::TargetThrottled,
                    format!("回调称 {claimed}，e签宝的流程仍为 {}", flow.state.name()),
                    format!("the callback said {claimed}, the flow at e签宝 is {}", flow.state.name()),
                );
                Outcome::Failed(Failure::new(fault).class(Class::Throttled(Some(self.again))))
            }
            Ok(None) => Outcome::Failed(absent(&task.key)),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        match self.ask(&task.key).await {
            Ok(Some(flow)) if come_true(task, &flow) => Lookup::Found(receipt(task, &flow)),
            Ok(Some(flow)) => Lookup::Pending(remote(task, &flow)),
            Ok(None) => Lookup::Absent,
            Err(failure) => Lookup::CannotTell(failure),
        }
    }

    /// Asking twice is asking.
    fn refuses_twice(&self) -> bool {
        true
    }

    /// Asks for a flow that is not there: "no such flow" proves address and signature.
    async fn probe(&self) -> Result<String, Failure> {
        match self.client.detail(NOBODYS).await {
            Ok(_) => Ok("detail".to_owned()),
            Err(refusal) if refusal.code == NO_FLOW => Ok("detail".to_owned()),
            Err(refusal) => Err(refusal.failure),
        }
    }
}
