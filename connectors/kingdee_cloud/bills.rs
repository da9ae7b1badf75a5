//! Bills out: Save → Submit → Audit, resumed at the step reached, read back at the end.

use super::client::{Intent, KingdeeClient};
use super::reply::{Done, Refusal, entity, plain, status_of};
use async_trait::async_trait;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tongbao_connect::{Failure, Lookup, Outcome, Receipt, Remote, Target, Task};
use tongbao_model::{Class, Code, Fault, decimal};

/// How far a bill has come, from its `FDocumentStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// `Z` draft, `A` created, `D` to be reviewed again: submit is next.
    Saved,
    /// `B` in review: audit is next.
    Submitted,
    /// `C`.
    Audited,
}

impl Step {
    fn of_status(status: &str) -> Option<Step> {
        match status {
            "Z" | "A" | "D" => Some(Step::Saved),
            "B" => Some(Step::Submitted),
            "C" => Some(Step::Audited),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Step::Saved => "saved",
            Step::Submitted => "submitted",
            Step::Audited => "audited",
        }
    }

    fn of_name(name: &str) -> Option<Step> {
        [Step::Saved, Step::Submitted, Step::Audited].into_iter().find(|step| step.name() == name)
    }
}

/// A bill as a query shows it.
struct Found {
    remote: Remote,
    step: Step,
    stamp: String,
    is_cancelled: bool,
    total: Option<Decimal>,
    currency: String,
}

/// Writes bills.
pub struct Bills {
    client: Arc<KingdeeClient>,
}

impl Bills {
    pub fn new(client: Arc<KingdeeClient>) -> Self {
        Bills { client }
    }

    /// Asks for the bill of a number: one row, or none.
    async fn find(&self, task: &Task) -> Result<Option<Found>, Failure> {
        let stamp = &self.client.settings.stamp_field;
        let keys =
            format!("FID,FBillNo,FDocumentStatus,FCancelStatus,FBillAllAmount,FSettleCurrId.FNumber,{stamp}");
        let body = json!({"data": {
            "FormId": task.kind,
            "FieldKeys": keys,
            "FilterString": format!("FBillNo='{}'", quoted(&task.key)),
            "OrderString": "", "TopRowCount": 0, "StartRow": 0, "Limit": 2,
        }});
        // Whatever comes back, a query did nothing: no answer to it leaves anything in doubt.
        let rows = match self.client.call("ExecuteBillQuery", &body, Intent::Read).await? {
            Done::Success(Value::Array(rows)) => rows,
            Done::Success(other) => return Err(strange("ExecuteBillQuery", &other).of_question()),
            Done::Refused(refusal) => return Err(refusal.failure().of_question()),
        };
        let Some(row) = rows.first() else { return Ok(None) };
        let cell = |at: usize| row.get(at).map(plain).unwrap_or_default();
        let status = cell(2);
        let step = Step::of_status(&status)
            .ok_or_else(|| strange("FDocumentStatus", &json!(status)).of_question())?;
        Ok(Some(Found {
            remote: Remote { id: cell(0), number: cell(1), step: step.name().into() },
            step,
            is_cancelled: cell(3) == "B",
            total: decimal::parse(&cell(4)).ok(),
            currency: cell(5),
            stamp: cell(6).trim().to_owned(),
        }))
    }

    /// What a found bill means to us.
    fn judge(&self, task: &Task, found: Found) -> Lookup {
        if found.stamp != task.origin {
            return Lookup::Foreign(taken(task, &found));
        }
        if found.is_cancelled {
            let fault = Fault::new(
                Code::NumberTaken,
                "本合同的订单已在金蝶作废",
                "the order of this contract was voided in Kingdee",
            );
            return Lookup::Foreign(Failure::new(fault.at("FCancelStatus")).reached(found.remote));
        }
        match found.step {
            Step::Audited => Lookup::Found(receipt(found)),
            Step::Saved | Step::Submitted => Lookup::Partial(found.remote),
        }
    }

    /// Saves a new bill. `Ok(None)`: the number is taken, by whom is to be asked.
    async fn save(&self, task: &Task) -> Result<Option<Remote>, Failure> {
        let mut model = task.document.members();
        // The same number and stamp in every attempt, whatever the mapping says.
        model.insert("FBillNo".into(), json!(task.key));
        model.insert(self.client.settings.stamp_field.clone(), json!(task.origin));
        // Unknown base-data codes must be errors: without the flag they silently become empty.
        let body = json!({"formid": task.kind, "data": {
            "NeedReturnFields": [], "IsVerifyBaseDataField": true, "Model": model,
        }});
        match self.client.call("Save", &body, Intent::Write).await? {
            Done::Success(body) => {
                let status = status_of(&body);
                let (id, number) = entity(&status, &task.key).ok_or_else(|| {
                    // It says yes and names another bill or none.
                    Failure::new(Fault::new(
                        Code::OutcomeUnknown,
                        "保存成功但答复中没有本单编号",
                        "the save succeeded and the answer does not name our number",
                    ))
                    .response(status.clone())
                })?;
                Ok(Some(Remote { id, number, step: Step::Saved.name().into() }))
            }
            Done::Refused(Refusal { class: Class::Conflict, .. }) => Ok(None),
            Done::Refused(refusal) => match entity(&refusal.status, &task.key) {
                Some((id, number)) => Ok(Some(Remote { id, number, step: Step::Saved.name().into() })),
                None => Err(refusal.failure()),
            },
        }
    }

    /// Takes one step further.
    async fn advance(
        &self,
        operation: &str,
        task: &Task,
        remote: &Remote,
        done: Step,
    ) -> Result<Remote, Failure> {
        let body = json!({"formid": task.kind, "data": {"Numbers": [remote.number]}});
        let answer =
            self.client.call(operation, &body, Intent::Write).await.map_err(|f| f.reached(remote.clone()))?;
        let next = Remote { step: done.name().into(), ..remote.clone() };
        match answer {
            Done::Success(body) => {
                let status = status_of(&body);
                // A number that is not there is left out without an error.
                match entity(&status, &remote.number) {
                    Some(_) => Ok(next),
                    None => Err(Failure::new(Fault::new(
                        Code::OutcomeUnknown,
                        format!("{operation} 的答复中没有本单编号"),
                        format!("the answer to {operation} does not name our number"),
                    ))
                    .reached(remote.clone())
                    .response(status)),
                }
            }
            Done::Refused(refusal) if matches!(refusal.class, Class::Rejected | Class::Conflict) => {
                // Perhaps somebody took the step before us: where the bill stands decides, not the wording.
                match self.find(task).await {
                    Ok(Some(found)) if found.step >= done && found.stamp == task.origin => Ok(found.remote),
                    Ok(_) => Err(refusal.failure().reached(remote.clone())),
                    Err(failure) => Err(failure.reached(remote.clone())),
                }
            }
            Done::Refused(refusal) => Err(refusal.failure().reached(remote.clone())),
        }
    }

    /// From a saved bill to an audited one, then read back.
    async fn complete(&self, task: &Task, remote: Remote, fresh: bool) -> Result<Outcome, Failure> {
        let mut remote = remote;
        let mut step = Step::of_name(&remote.step).unwrap_or(Step::Saved);
        if step == Step::Saved {
            remote = self.advance("Submit", task, &remote, Step::Submitted).await?;
            step = Step::of_name(&remote.step).unwrap_or(Step::Submitted);
        }
        if step == Step::Submitted {
            remote = self.advance("Audit", task, &remote, Step::Audited).await?;
        }
        let found = self.find(task).await.map_err(|failure| failure.reached(remote.clone()))?;
        let Some(found) = found else {
            let fault = Fault::new(
                Code::OutcomeUnknown,
                "审核后查询不到本单",
                "the bill is not found after its audit",
            );
            return Err(Failure::new(fault).reached(remote));
        };
        match self.judge(task, found) {
            Lookup::Found(receipt) if fresh => Ok(Outcome::Done(receipt)),
            Lookup::Found(receipt) => Ok(Outcome::AlreadyThere(receipt)),
            // The audit was accepted and runs on, e.g. as a workflow.
            Lookup::Partial(remote) | Lookup::Pending(remote) => {
                let fault = Fault::new(Code::TargetThrottled, "金蝶仍在审核", "Kingdee is still auditing");
                Err(Failure::new(fault).class(Class::Throttled(Some(Duration::from_secs(5)))).reached(remote))
            }
            Lookup::Foreign(failure) | Lookup::CannotTell(failure) | Lookup::NobodyToAsk(failure) => {
                Err(failure.reached(remote))
            }
            Lookup::Absent => Err(strange("lookup", &Value::Null).reached(remote)),
        }
    }

    async fn run(&self, task: &Task) -> Result<Outcome, Failure> {
        if let Some(remote) = task.reached.clone().filter(|remote| Step::of_name(&remote.step).is_some()) {
            return self.complete(task, remote, true).await;
        }
        if let Some(remote) = self.save(task).await? {
            return self.complete(task, remote, true).await;
        }
        let Some(found) = self.find(task).await? else {
            let fault = Fault::new(
                Code::NumberTaken,
                "金蝶称编号已被使用，但我们查询不到该单",
                "Kingdee says the number is used, and we cannot see the bill",
            )
            .at("FBillNo")
            .value(&task.key);
            return Err(Failure::new(fault));
        };
        match self.judge(task, found) {
            Lookup::Found(receipt) => Ok(Outcome::AlreadyThere(receipt)),
            Lookup::Partial(remote) => self.complete(task, remote, false).await,
            Lookup::Foreign(failure) | Lookup::CannotTell(failure) | Lookup::NobodyToAsk(failure) => {
                Err(failure)
            }
            Lookup::Absent | Lookup::Pending(_) => Err(strange("lookup", &Value::Null)),
        }
    }
}

#[async_trait]
impl Target for Bills {
    /// FBillNo is unique within the account.
    fn refuses_twice(&self) -> bool {
        true
    }

    async fn apply(&self, task: &Task) -> Outcome {
        self.run(task).await.unwrap_or_else(Outcome::Failed)
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        match self.find(task).await {
            Ok(Some(found)) => self.judge(task, found),
            Ok(None) => Lookup::Absent,
            Err(failure) => Lookup::CannotTell(failure),
        }
    }

    async fn probe(&self) -> Result<String, Failure> {
        // The Java SDK's own self check: the preset currency PRE001 has the code CNY.
        let body = json!({"data": {
            "FormId": "BD_Currency", "FieldKeys": "FCODE", "FilterString": "FNUMBER='PRE001'",
            "OrderString": "", "TopRowCount": 0, "StartRow": 0, "Limit": 1,
        }});
        match self.client.call("ExecuteBillQuery", &body, Intent::Read).await? {
            Done::Success(rows) => {
                let code = rows.pointer("/0/0").map(plain).unwrap_or_default();
                Ok(format!("{} · PRE001 = {code}", self.client.settings.auth))
            }
            Done::Refused(refusal) => Err(refusal.failure()),
        }
    }
}

fn receipt(found: Found) -> Receipt {
    Receipt {
        facts: json!({"id": found.remote.id, "number": found.remote.number, "status": found.remote.step}),
        remote: found.remote,
        total_tax_included: found.total,
        currency: Some(found.currency),
    }
}

fn taken(task: &Task, found: &Found) -> Failure {
    let fault = Fault::new(
        Code::NumberTaken,
        format!("金蝶中已有编号为 {} 的单据，且不是我们写入的", task.key),
        format!("Kingdee holds a bill numbered {} that is not ours", task.key),
    )
    .at("FBillNo")
    .value(&task.key);
    Failure::new(fault).response(json!({
        "FID": found.remote.id, "FBillNo": found.remote.number, "stamp": found.stamp, "step": found.step.name(),
    }))
}

/// An answer that fits nothing we know leaves the outcome open.
fn strange(what: &str, answer: &Value) -> Failure {
    Failure::new(Fault::new(
        Code::OutcomeUnknown,
        format!("{what} 的答复不是预期的形状"),
        format!("the answer to {what} has a shape we do not know"),
    ))
    .response(answer.clone())
}

/// A value inside the SQL-like filter string.
pub fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}
