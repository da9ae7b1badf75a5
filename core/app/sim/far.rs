//! A connector's target over a simulated far side: the manners the real connectors have, without their protocols.

use super::Story;
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tongbao_connect::{Failure, Lookup, Outcome, Receipt, Remote, Target, Task};
use tongbao_delivery::sim::{Answer, Bug, FarDocument, FarDoor, Nature, STEPS, Sent};
use tongbao_model::{Class, Code, Fault, decimal};

/// The target of one connection.
pub struct SimTarget {
    pub target: String,
    pub far: FarDoor,
    pub story: Arc<Story>,
}

fn fault(code: Code) -> Failure {
    Failure::new(Fault::new(code, "模拟", "simulated"))
}

fn remote(document: &FarDocument) -> Remote {
    Remote { id: document.id.clone(), number: document.key.clone(), step: document.step.clone() }
}

fn receipt(document: &FarDocument) -> Receipt {
    Receipt {
        remote: remote(document),
        total_tax_included: document.total.as_deref().and_then(|total| decimal::parse(total).ok()),
        currency: None,
        facts: Value::Null,
    }
}

/// What an answer that is no document means for a call that was to act.
fn failure(answer: &Answer) -> Failure {
    match answer {
        Answer::Foreign => fault(Code::NumberTaken),
        Answer::Throttled(after) => fault(Code::TargetThrottled).class(Class::Throttled(Some(*after))),
        Answer::Unavailable => fault(Code::TargetUnavailable),
        Answer::Nothing | Answer::Absent | Answer::Stands(_, _) => fault(Code::OutcomeUnknown),
    }
}

impl SimTarget {
    fn sent(&self, task: &Task) -> Sent {
        let key = if self.story.bug == Some(Bug::FreshKey) {
            format!("{}-{}", task.key, self.story.fresh.fetch_add(1, Ordering::Relaxed))
        } else {
            task.key.clone()
        };
        Sent {
            target: self.target.clone(),
            kind: task.kind.clone(),
            key,
            origin: task.origin.clone(),
            total: task.expected.total_tax_included.map(|total| total.to_string()),
            body: task.document.text().to_owned(),
        }
    }

    fn nature(&self, task: &Task) -> Nature {
        self.far.sim().far.nature(&self.target, &task.kind)
    }

    /// Save, submit, audit: from where an earlier attempt came to.
    async fn steps(&self, task: &Task) -> Outcome {
        let sent = self.sent(task);
        let (mut at, mut made) = (task.reached.clone(), true);
        let mut last = None;
        if at.is_none() {
            match self.far.create(sent.clone()).await {
                Answer::Stands(document, created) => {
                    made = created;
                    at = Some(remote(&document));
                    last = Some(document);
                }
                other => return Outcome::Failed(failure(&other)),
            }
        }
        let reached = at.as_ref().and_then(|at| STEPS.iter().position(|step| *step == at.step)).unwrap_or(0);
        for step in STEPS.iter().skip(reached + 1) {
            match self.far.step(sent.clone(), step).await {
                Answer::Stands(document, _) => {
                    at = Some(remote(&document));
                    last = Some(document);
                }
                other => {
                    let failed = failure(&other);
                    return Outcome::Failed(match at {
                        Some(at) => failed.reached(at),
                        None => failed,
                    });
                }
            }
        }
        match last {
            Some(document) if made => Outcome::Done(receipt(&document)),
            Some(document) => Outcome::AlreadyThere(receipt(&document)),
            // All steps had been taken: the document is read for its amounts.
            None => match self.far.look(sent).await {
                Answer::Stands(document, _) => Outcome::AlreadyThere(receipt(&document)),
                _ => Outcome::Failed(fault(Code::OutcomeUnknown)),
            },
        }
    }
}

#[async_trait]
impl Target for SimTarget {
    async fn apply(&self, task: &Task) -> Outcome {
        if self.story.refuses(&self.target, &task.key) {
            return Outcome::Failed(fault(Code::TargetRejected));
        }
        match self.nature(task) {
            Nature::Steps => self.steps(task).await,
            Nature::Issued => match self.far.create(self.sent(task)).await {
                Answer::Stands(document, _) if self.far.sim().far.is_complete(&document) => {
                    Outcome::Done(receipt(&document))
                }
                Answer::Stands(document, _) => {
                    let patience = std::time::Duration::from_secs(3);
                    let failure = fault(Code::TargetThrottled).class(Class::Throttled(Some(patience)));
                    Outcome::Failed(failure.reached(remote(&document)))
                }
                other => Outcome::Failed(failure(&other)),
            },
            Nature::Append | Nature::Put => match self.far.create(self.sent(task)).await {
                Answer::Stands(document, _) => Outcome::Done(receipt(&document)),
                other => Outcome::Failed(failure(&other)),
            },
        }
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        let nature = self.nature(task);
        if nature == Nature::Put {
            // Writing the same state again changes nothing.
            return Lookup::Absent;
        }
        match self.far.look(self.sent(task)).await {
            Answer::Stands(document, _) if self.far.sim().far.is_complete(&document) => {
                Lookup::Found(receipt(&document))
            }
            Answer::Stands(document, _) if nature == Nature::Issued => Lookup::Pending(remote(&document)),
            Answer::Stands(document, _) => Lookup::Partial(remote(&document)),
            Answer::Absent => Lookup::Absent,
            Answer::Foreign => Lookup::Foreign(fault(Code::NumberTaken)),
            other => Lookup::CannotTell(failure(&other).of_question()),
        }
    }

    async fn probe(&self) -> Result<String, Failure> {
        Ok("simulated".to_owned())
    }
}
