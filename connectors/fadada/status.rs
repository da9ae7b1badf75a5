//! Asking where a task stands. Nothing is written: what the platform says now is the outcome, whatever a callback claimed.

use super::FadadaSettings;
use super::client::{FadadaClient, not_readable};
use super::detail;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;
use tongbao_connect::{Context, Failure, Lookup, Outcome, Receipt, Remote, Target, Task};
use tongbao_model::{Class, Code, Fault, SignatureState};

/// A task that cannot be: asked for by the probe.
const NOBODYS: &str = "0";

pub struct Status {
    client: FadadaClient,
    states: BTreeMap<String, SignatureState>,
    again: Duration,
}

impl Status {
    pub fn new(
        settings: FadadaSettings,
        states: BTreeMap<String, SignatureState>,
        context: Context,
    ) -> Status {
        let again = Duration::from_secs(settings.again_s);
        Status { client: FadadaClient::new(settings, context), states, again }
    }

    /// `Ok(None)`: the platform has no such task.
    async fn ask(&self, task: &Task) -> Result<Option<detail::Task>, Failure> {
        let data = match self.client.detail(&task.key).await {
            Ok(data) => data,
            Err(refusal) if refusal.absent => return Ok(None),
            Err(refusal) => return Err(refusal.failure),
        };
        detail::read(&data, &self.states, claimed(task))
            .map_err(Failure::new)?
            .map(Some)
            .ok_or_else(not_readable)
    }
}

/// Whether what stands is as far along as the callback claimed. One end in another's place is the truth, not a delay.
fn come_true(task: &Task, flow: &detail::Task) -> bool {
    claimed(task).is_none_or(|claimed| flow.state.rank() >= claimed.rank())
}

fn claimed(task: &Task) -> Option<SignatureState> {
    SignatureState::from_name(&text(task, "claimed")?)
}

fn text(task: &Task, name: &str) -> Option<String> {
    let tree = task.document.tree().ok()?;
    tree.get(name)?.text().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn remote(task: &Task, flow: &detail::Task) -> Remote {
    Remote { id: task.key.clone(), number: task.key.clone(), step: flow.state.name().to_owned() }
}

fn receipt(task: &Task, flow: &detail::Task) -> Receipt {
    let facts = flow.facts(&task.key, text(task, "contract_number").as_deref());
    Receipt { remote: remote(task, flow), facts, ..Receipt::default() }
}

fn absent(flow_id: &str) -> Failure {
    let fault = Fault::new(
        Code::TargetRejected,
        format!("法大大没有任务 {flow_id}"),
        format!("法大大 has no task `{flow_id}`"),
    );
    Failure::new(fault.at("flow_id"))
}

#[async_trait]
impl Target for Status {
    async fn apply(&self, task: &Task) -> Outcome {
        match self.ask(task).await {
            Ok(Some(flow)) if come_true(task, &flow) => Outcome::Done(receipt(task, &flow)),
            Ok(Some(flow)) => {
                let claimed = text(task, "claimed").unwrap_or_default();
                let fault = Fault::new(
                    Code::TargetThrottled,
                    format!("回调称 {claimed}，法大大的任务仍为 {}", flow.state.name()),
                    format!("the callback said {claimed}, the task at 法大大 is {}", flow.state.name()),
                );
                Outcome::Failed(Failure::new(fault).class(Class::Throttled(Some(self.again))))
            }
            Ok(None) => Outcome::Failed(absent(&task.key)),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        match self.ask(task).await {
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

    /// Asks for a task that is not there: "no such task" proves address, signature and token.
    async fn probe(&self) -> Result<String, Failure> {
        match self.client.detail(NOBODYS).await {
            Ok(_) => Ok("get-detail".to_owned()),
            Err(refusal) if refusal.absent => Ok("get-detail".to_owned()),
            Err(refusal) => Err(refusal.failure),
        }
    }
}
