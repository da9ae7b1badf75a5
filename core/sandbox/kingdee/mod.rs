//! Kingdee Cloud Galaxy (云星空) WebAPI: `POST {base}/{Service}.common.kdsvc`.
//!
//! Sources: the vendor's Python and Java SDKs 8.2.0 (envelopes, signature, habits of the client), the per-form operation
//! descriptions of openapi.open.kingdee.com (fields, `MsgCode`), real replies in public engineering notes (texts). What
//! none of them settles is a setting of [`KingdeeConfig`](crate::KingdeeConfig).

mod amounts;
mod auth;
mod column;
mod envelope;
mod filter;
mod forms;
mod forms_data;
mod lifecycle;
mod push;
mod query;
pub(crate) mod receipts;
pub(crate) mod receivables;
mod reply;
mod save;
mod save_fields;
mod session;
mod store;
#[cfg(test)]
mod tests;
mod tokens;
mod view;

use std::sync::Mutex;

use axum::http::Method;
use serde_json::{Value, json};

use self::{
    envelope::{Envelope, Params},
    lifecycle::Step as LifeStep,
    reply::{CODE_LIMIT, CODE_PARAMETER, CODE_PERMISSION, CODE_VALIDATION, Failure, Shape, error},
    session::{Login, Refused},
    store::Task,
};
pub use receipts::{ReceiptLine, ReceiptSpec};
pub(crate) use {
    forms_data::SEED,
    push::rules,
    session::Sessions,
    store::{Bill, Fields, FieldsExt, Row, Store, Val},
};

use crate::{
    config::{KingdeeConfig, Refusal},
    faults::{Fault, System},
    wire::{
        drive::{html, response_error},
        message::{Incoming, JSON, Job, Reply, Step},
    },
    world::{World, lock},
};

/// State of the account set.
pub(crate) struct Kingdee {
    pub store: Mutex<Store>,
    pub sessions: Mutex<Sessions>,
}

impl Kingdee {
    pub fn new(config: &KingdeeConfig) -> Self {
        Self { store: Mutex::new(Store::new(config)), sessions: Mutex::new(Sessions::default()) }
    }
}

/// Operations with a form id, operations with data only, and the rest, in documented casing.
const OPERATIONS: [&str; 21] = [
    "View",
    "Save",
    "BatchSave",
    "Draft",
    "Submit",
    "Audit",
    "UnAudit",
    "Delete",
    "Push",
    "ExcuteOperation",
    "CancelAssign",
    "ExecuteBillQuery",
    "BillQuery",
    "QueryBusinessInfo",
    "WorkflowAudit",
    "SwitchOrg",
    "QueryAsyncResult",
    "Logout",
    "ValidateUser",
    "LoginByAppSecret",
    "LoginBySign",
];

/// Matches the last dotted component of the service name, any case.
fn operation(path: &str) -> Option<&'static str> {
    let service = path.rsplit('/').next()?;
    let suffix = ".common.kdsvc";
    let cut = service.len().checked_sub(suffix.len())?;
    if !service.get(cut..)?.eq_ignore_ascii_case(suffix) {
        return None;
    }
    let method = service.get(..cut)?.rsplit('.').next()?;
    if method.eq_ignore_ascii_case("GetDataCenterList") {
        return Some("GetDataCenterList");
    }
    OPERATIONS.iter().find(|known| known.eq_ignore_ascii_case(method)).copied()
}

fn shape(operation: &str) -> Shape {
    match operation {
        "ExecuteBillQuery" => Shape::Table,
        "BillQuery" => Shape::List,
        _ => Shape::Object,
    }
}

/// Checks path, body and caller, and prepares the work.
pub(crate) fn accept(world: &World, request: Incoming) -> Step {
    let Some(operation) = operation(&request.path) else { return Step::Done(html(404, None)) };
    if request.method != Method::POST {
        return Step::Done(html(405, None));
    }
    let form_encoded =
        request.header("content-type").is_some_and(|value| value.contains("x-www-form-urlencoded"));
    let envelope = match Envelope::read(&request.body) {
        Some(envelope) => envelope,
        None if form_encoded => Envelope::read_form(&request.body),
        None => return Step::Done(Reply::text(200, JSON, response_error())),
    };
    if operation == "GetDataCenterList" {
        return job(operation, Vec::new(), Box::new(|world, _| data_centers(world)));
    }
    if matches!(operation, "ValidateUser" | "LoginByAppSecret" | "LoginBySign") {
        let login = Login::read(operation, &envelope);
        return job(
            operation,
            vec![login.user.clone()],
            Box::new(move |world, _| session::login(world, &login)),
        );
    }
    let caller = match session::authenticate(world, &request) {
        Ok(caller) => caller,
        Err(refused) => return Step::Done(refuse(world, &refused, shape(operation))),
    };
    let sid = session::carried(&request);
    let call = Call::read(operation, envelope);
    let keys = call.keys();
    job(
        operation,
        keys,
        Box::new(move |world, fault| {
            let reply = match fault.and_then(|fault| call.play(world, fault, &caller.user)) {
                Some(reply) => {
                    if fault == Some(&Fault::SessionDropped) {
                        session::drop_current(world, sid.as_deref());
                    }
                    return reply;
                }
                None if call.operation == "Logout" => {
                    session::drop_current(world, sid.as_deref());
                    return Reply::json(200, &Value::Bool(true));
                }
                None => call.run(world, &caller.user, fault),
            };
            caller.finish(world, reply)
        }),
    )
}

fn job(operation: &str, keys: Vec<String>, run: crate::wire::message::Work) -> Step {
    Step::Work(Job { system: System::Kingdee, operation: operation.to_owned(), keys, run })
}

fn refuse(world: &World, refused: &Refused, shape: Shape) -> Reply {
    match (refused, world.config.kingdee.refusal) {
        (Refused::NoSession, _) | (_, Refusal::SessionLost) => error(shape, &[Failure::session_lost()]),
        (_, Refusal::ResponseError) => Reply::text(200, JSON, response_error()),
        (_, Refusal::Gateway519) => Reply::json(
            519,
            &json!({"errcode": 4002, "description": "invalid signature", "description_cn": "签名无效"}),
        ),
    }
}

fn data_centers(world: &World) -> Reply {
    let config = &world.config.kingdee;
    Reply::json(200, &json!([{"Id": config.acct_id, "Number": "001", "Name": "演示账套", "Version": "8.2"}]))
}

/// A business call with its arguments.
struct Call {
    operation: &'static str,
    form_id: String,
    op_number: String,
    data: Option<Params>,
    asynchronous: bool,
}

impl Call {
    fn read(operation: &'static str, envelope: Envelope) -> Self {
        let asynchronous = envelope.is_async();
        let (form_id, op_number, data) = match operation {
            "ExecuteBillQuery" | "BillQuery" | "QueryBusinessInfo" | "WorkflowAudit" | "SwitchOrg" => {
                (String::new(), String::new(), envelope.object(0, "data"))
            }
            "QueryAsyncResult" => (String::new(), String::new(), envelope.object(0, "queryInfo")),
            "ExcuteOperation" => {
                (envelope.text(0, "formid"), envelope.text(1, "opNumber"), envelope.object(2, "data"))
            }
            _ => (envelope.text(0, "formid"), String::new(), envelope.object(1, "data")),
        };
        Self { operation, form_id, op_number, data, asynchronous }
    }

    /// Business keys of the call, for fault scripts.
    fn keys(&self) -> Vec<String> {
        let Some(data) = &self.data else { return Vec::new() };
        let number = |model: &Value| {
            let map = model.as_object()?;
            let found = envelope::get(map, "FBillNo").or_else(|| envelope::get(map, "FNumber"))?;
            found.as_str().map(str::to_owned)
        };
        match self.operation {
            "Save" | "Draft" => data.get("Model").and_then(number).into_iter().collect(),
            "BatchSave" => match data.get("Model") {
                Some(Value::Array(models)) => models.iter().filter_map(number).collect(),
                _ => Vec::new(),
            },
            "View" => vec![data.text("Number")],
            // Every quoted text of the filter: the bill number is among them.
            "ExecuteBillQuery" | "BillQuery" => {
                data.text("FilterString").split('\'').skip(1).step_by(2).map(str::to_owned).collect()
            }
            _ => data.list("Numbers"),
        }
    }

    /// Faults the far side plays itself. `None` means: go on with the work.
    fn play(&self, world: &World, fault: &Fault, user: &str) -> Option<Reply> {
        let config = &world.config.kingdee;
        let number = self.keys().first().cloned().unwrap_or_default();
        let failure = match fault {
            Fault::SessionDropped => Failure::session_lost(),
            Fault::Throttled { .. } => Failure::new(None, "接口调用次数超过限制", CODE_LIMIT),
            Fault::NoPermission => {
                let message = format!("您没有该功能的操作权限：{}-{}", self.form_id, self.operation);
                Failure::new(None, message, CODE_PERMISSION)
            }
            Fault::WebApiForbidden => Failure::new(None, "当前用户未指定允许调用WebAPI接口", CODE_VALIDATION),
            Fault::EditLock => {
                let label = lock(&world.kingdee.store).form(&self.form_id).label.clone();
                Failure::edit_lock(user, &label, &number, config.edit_lock_code)
            }
            Fault::DuplicateAccepted => {
                let _ = self.run(world, user, None);
                let key = lock(&world.kingdee.store).form(&self.form_id).number_key.clone();
                Failure::duplicate(&key, &number)
            }
            _ => return None,
        };
        Some(error(shape(self.operation), &[failure]))
    }

    fn run(&self, world: &World, user: &str, fault: Option<&Fault>) -> Reply {
        let shape = shape(self.operation);
        let Some(data) = &self.data else {
            return error(shape, &[Failure::new(None, "接口参数data不能为空", CODE_PARAMETER)]);
        };
        let form = self.form_id.as_str();
        let needs_form = matches!(
            self.operation,
            "View"
                | "Save"
                | "BatchSave"
                | "Draft"
                | "Submit"
                | "Audit"
                | "UnAudit"
                | "Delete"
                | "Push"
                | "ExcuteOperation"
                | "CancelAssign"
        );
        if needs_form && form.is_empty() {
            return error(shape, &[Failure::new(None, "业务对象标识formid不能为空", 5)]);
        }
        let life = |step| lifecycle::run(world, form, data, user, step, fault);
        match self.operation {
            "Save" => save::save(world, form, data, user, false),
            "Draft" => save::save(world, form, data, user, true),
            "BatchSave" => {
                let reply = save::batch(world, form, data, user);
                if self.asynchronous { start_task(world, &reply, fault) } else { reply }
            }
            "Submit" => life(LifeStep::Submit),
            "Audit" => life(LifeStep::Audit),
            "UnAudit" => life(LifeStep::UnAudit),
            "CancelAssign" => life(LifeStep::CancelAssign),
            "Delete" => life(LifeStep::Delete),
            "WorkflowAudit" => lifecycle::workflow(world, data, user),
            "ExcuteOperation" => lifecycle::operate(world, form, &self.op_number, data),
            "View" => view::run(world, form, data),
            "ExecuteBillQuery" | "BillQuery" => query::run(world, data, shape),
            "QueryBusinessInfo" => view::info(world, data),
            "Push" => push::run(world, form, data, user),
            "QueryAsyncResult" => poll_task(world, data),
            "SwitchOrg" => switch_org(world, data),
            _ => html(404, None),
        }
    }
}

fn switch_org(world: &World, data: &Params) -> Reply {
    let number = data.text("OrgNumber");
    if lock(&world.kingdee.store).base("ORG_Organizations", &number).is_some() {
        reply::result(reply::status(&[], Vec::new(), Vec::new()), Vec::new())
    } else {
        error(Shape::Object, &[Failure::not_found(&number)])
    }
}

/// First answer of an asynchronous call: `Status` 0 pending, 1 running, 2 complete. The work itself is done at once, as
/// on a server whose worker is quick; how many polls still say "running" is a setting.
fn start_task(world: &World, done: &Reply, fault: Option<&Fault>) -> Reply {
    let result: Value = serde_json::from_slice(&done.body).unwrap_or(Value::Null);
    let polls = world.config.kingdee.async_polls;
    let never_ends = fault == Some(&Fault::TaskNeverEnds);
    if polls == 0 && !never_ends {
        return Reply::json(200, &json!({"Status": 2, "TaskId": "", "Result": result}));
    }
    let task = Task { result, polls_left: polls, never_ends };
    let id = lock(&world.kingdee.store).start_task(task, fault != Some(&Fault::TaskLost));
    Reply::json(200, &json!({"Status": 0, "TaskId": format!("task-{id}"), "Result": null}))
}

fn poll_task(world: &World, data: &Params) -> Reply {
    let task_id = data.text("TaskId");
    let mut store = lock(&world.kingdee.store);
    let found =
        task_id.strip_prefix("task-").and_then(|id| id.parse().ok()).and_then(|id| store.task_mut(id));
    let Some(task) = found else {
        return error(Shape::Object, &[Failure::not_found(&task_id)]);
    };
    if task.never_ends || task.polls_left > 1 {
        task.polls_left = task.polls_left.saturating_sub(1);
        return Reply::json(200, &json!({"Status": 1, "TaskId": task_id, "Result": null}));
    }
    Reply::json(200, &json!({"Status": 2, "TaskId": task_id, "Result": task.result}))
}

/// Hides a record from the integration user, or shows it again.
pub(crate) fn hide(world: &World, form: &str, number: &str, hidden: bool) {
    let mut store = lock(&world.kingdee.store);
    let table = store.table_mut(form);
    if hidden {
        table.hidden.insert(number.to_owned());
    } else {
        table.hidden.remove(number);
    }
}

/// Puts one cent on top of a sales order's total.
pub(crate) fn cent_off(world: &World, number: &str) {
    let mut store = lock(&world.kingdee.store);
    let table = store.table_mut("SAL_SaleOrder");
    let Some(bill) = table.by_number.get(number).and_then(|id| table.bills.get_mut(id)) else { return };
    for row in bill.entities.get_mut("FSALEORDERFINANCE").into_iter().flatten() {
        let total = row.fields.num_or_zero("FBILLALLAMOUNT");
        row.fields.put("FBILLALLAMOUNT", Val::Num(total + crate::money::CENT));
    }
}
