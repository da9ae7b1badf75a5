//! Submit, Audit, UnAudit, CancelAssign, Delete, WorkflowAudit and ExcuteOperation: the status machine.
//!
//! `Z` draft, `A` created, `B` in review, `C` audited, `D` to be reviewed again. Where `UnAudit` leads to is not
//! certain and is a setting, `D` by default.

use serde_json::{Value, json};

use super::{
    envelope::Params,
    forms::Form,
    reply::{CODE_PARAMETER, CODE_VALIDATION, Failure, Shape, error, result, status},
    store::{Bill, FieldsExt, Store, Val, print_id},
};
use crate::{
    clock,
    config::KingdeeConfig,
    faults::Fault,
    wire::message::Reply,
    world::{World, lock},
};

/// Own field: the bill was `D` before it was submitted. The underscore keeps it out of answers.
const REVIEW_AGAIN: &str = "_REVIEW_AGAIN";

/// Ids of the bills a call names by `Numbers` or `Ids`, and the numbers it named.
///
/// Of several numbers the missing ones are skipped without an error; only when none exists comes one (one public note).
pub(super) fn named(store: &Store, form_id: &str, data: &Params) -> Result<Vec<i64>, Failure> {
    let (numbers, ids) = (data.list("Numbers"), data.list("Ids"));
    let Some(first) = numbers.first().or(ids.first()) else {
        return Err(Failure::new(None, "接口参数Numbers和Ids不能同时为空", CODE_PARAMETER));
    };
    let missing = Failure::not_found(first);
    let Some(table) = store.table(form_id) else { return Err(missing) };
    let mut found: Vec<i64> =
        numbers.iter().filter_map(|number| table.by_number.get(number).copied()).collect();
    if numbers.is_empty() {
        found.extend(ids.iter().filter_map(|id| id.parse().ok()).filter(|id| table.bills.contains_key(id)));
    }
    found.dedup();
    if found.is_empty() { Err(missing) } else { Ok(found) }
}

/// One step of the status machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Submit,
    Audit,
    UnAudit,
    CancelAssign,
    Delete,
}

/// Runs a step over all named bills; each is its own transaction.
pub(super) fn run(
    world: &World,
    form_id: &str,
    data: &Params,
    user: &str,
    step: Step,
    fault: Option<&Fault>,
) -> Reply {
    let config = &world.config.kingdee;
    let now = clock::local_text(world.clock.now_ms());
    let mut store = lock(&world.kingdee.store);
    let ids = match named(&store, form_id, data) {
        Ok(ids) => ids,
        Err(failure) => return error(Shape::Object, &[failure]),
    };
    let (mut failures, mut done, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    for (index, id) in ids.into_iter().enumerate() {
        let table = store.table_mut(form_id);
        let form = table.form.clone();
        let Some(bill) = table.bills.get_mut(&id) else { continue };
        let refused = check(config, &form, bill, step).or_else(|| match fault {
            Some(Fault::AuditFails { message }) if step == Step::Audit => {
                Some(audit_failure(&form, bill, message))
            }
            _ => None,
        });
        if let Some(failure) = refused {
            failures.push(failure.at(index));
            continue;
        }
        done.push(json!({"Id": print_id(config, id), "Number": bill.number, "DIndex": index}));
        if step == Step::Audit {
            let text = format!("单据编号为“{}”的{}，审核成功！", bill.number, form.label);
            messages.push(json!({"FieldName": "", "Message": text, "DIndex": index}));
        }
        if step == Step::Delete {
            table.remove(id);
        } else if fault != Some(&Fault::AuditPending) || step != Step::Audit {
            apply(config, bill, step, user, &now);
        }
    }
    result(status(&failures, done, messages), Vec::new())
}

fn refusal(form: &Form, bill: &Bill, reason: &str, code: u32) -> Failure {
    Failure::new(Some(""), format!("单据编号为“{}”的{}，单据{reason}！", bill.number, form.label), code)
}

fn audit_failure(form: &Form, bill: &Bill, message: &str) -> Failure {
    // The text of a credit-limit refusal was not seen in a source.
    let reason = if message.is_empty() { "超出客户信用额度，审核不通过" } else { message };
    refusal(form, bill, reason, CODE_VALIDATION)
}

/// Why a step is not allowed on a bill. Only "already audited" is a real sample; the other texts are not.
fn check(config: &KingdeeConfig, form: &Form, bill: &Bill, step: Step) -> Option<Failure> {
    let code = config.not_operable_code;
    let refuse = |reason: &str, code: u32| Some(refusal(form, bill, reason, code));
    let voided = bill.fields.val("FCANCELSTATUS").text() == "B";
    match (step, bill.status()) {
        (Step::Submit | Step::Audit, _) if voided => refuse("已经作废", code),
        (Step::Submit, "A" | "D") | (Step::Audit | Step::CancelAssign, "B") => None,
        (Step::Submit, "Z") => refuse("为暂存状态，不能提交", code),
        (Step::Submit, "B") => refuse("已经提交", code),
        (Step::Submit, _) => refuse("已经审核", CODE_VALIDATION),
        (Step::Audit, "C") => refuse("已经审核", CODE_VALIDATION),
        (Step::Audit, "A" | "D") if !config.audit_needs_submit => None,
        (Step::Audit, _) => refuse("不是审核中状态，不能审核", code),
        (Step::CancelAssign, _) => refuse("不是审核中状态，不能撤销", code),
        (Step::UnAudit, "C") if bill.fields.val("FCLOSESTATUS").text() == "B" => {
            refuse("已经关闭，不能反审核", code)
        }
        (Step::UnAudit, "C") if !bill.pushed.is_empty() => refuse("已有下游单据，不能反审核", code),
        (Step::UnAudit, "C") | (Step::Delete, "Z" | "A" | "D") => None,
        (Step::UnAudit, _) => refuse("不是已审核状态，不能反审核", code),
        (Step::Delete, "B") => refuse("正在审核中，不能删除", code),
        (Step::Delete, _) => refuse("已经审核，不能删除", code),
    }
}

fn apply(config: &KingdeeConfig, bill: &mut Bill, step: Step, user: &str, now: &str) {
    match step {
        Step::Submit => {
            let again = if bill.status() == "D" { Val::Flag(true) } else { Val::Null };
            bill.fields.put(REVIEW_AGAIN, again);
            bill.set_status("B");
        }
        Step::Audit => {
            bill.set_status("C");
            bill.fields.put("FAPPROVEDATE", Val::Text(now.to_owned()));
            bill.fields.put("FAPPROVERID", Val::Ref(user.to_owned()));
        }
        Step::UnAudit => {
            bill.set_status(&config.unaudit_status);
            bill.fields.put("FAPPROVEDATE", Val::Null);
            bill.fields.put("FAPPROVERID", Val::Null);
        }
        Step::CancelAssign => {
            let back = if bill.fields.val(REVIEW_AGAIN) == &Val::Flag(true) { "D" } else { "A" };
            bill.set_status(back);
        }
        Step::Delete => {}
    }
    bill.fields.put("FMODIFYDATE", Val::Text(now.to_owned()));
}

/// WorkflowAudit: 1 pass, 2 reject (to `D`), 3 terminate (back to `A`).
pub(super) fn workflow(world: &World, data: &Params, user: &str) -> Reply {
    let form_id = data.text("FormId");
    let config = &world.config.kingdee;
    let now = clock::local_text(world.clock.now_ms());
    let mut store = lock(&world.kingdee.store);
    let ids = match named(&store, &form_id, data) {
        Ok(ids) => ids,
        Err(failure) => return error(Shape::Object, &[failure]),
    };
    let (mut failures, mut done) = (Vec::new(), Vec::new());
    let table = store.table_mut(&form_id);
    let form = table.form.clone();
    for (index, id) in ids.into_iter().enumerate() {
        let Some(bill) = table.bills.get_mut(&id) else { continue };
        if let Some(failure) = check(config, &form, bill, Step::Audit) {
            failures.push(failure.at(index));
            continue;
        }
        match data.text("ApprovalType").as_str() {
            "2" => bill.set_status("D"),
            "3" => bill.set_status("A"),
            _ => apply(config, bill, Step::Audit, user, &now),
        }
        bill.fields.put("FMODIFYDATE", Val::Text(now.clone()));
        done.push(json!({"Id": print_id(config, id), "Number": bill.number, "DIndex": index}));
    }
    result(status(&failures, done, Vec::new()), Vec::new())
}

/// What an operation number of ExcuteOperation sets: header or entry key and value.
fn effect(op_number: &str) -> Option<(&'static str, bool, &'static str)> {
    Some(match op_number.to_ascii_lowercase().as_str() {
        "cancel" => ("FCANCELSTATUS", false, "B"),
        "uncancel" => ("FCANCELSTATUS", false, "A"),
        "ylbillclose" | "billclose" => ("FCLOSESTATUS", false, "B"),
        "ylunbillclose" | "billunclose" => ("FCLOSESTATUS", false, "A"),
        "ylterminate" => ("FMRPTERMINATESTATUS", true, "B"),
        "ylunterminate" => ("FMRPTERMINATESTATUS", true, "A"),
        "ylfreeze" => ("FMRPFREEZESTATUS", true, "B"),
        "ylunfreeze" => ("FMRPFREEZESTATUS", true, "A"),
        "ylmrpclose" => ("FMRPCLOSESTATUS", true, "B"),
        "ylunmrpclose" => ("FMRPCLOSESTATUS", true, "A"),
        "forbid" => ("FFORBIDSTATUS", false, "B"),
        "enable" => ("FFORBIDSTATUS", false, "A"),
        _ => return None,
    })
}

/// ExcuteOperation (spelled so): closing, freezing, voiding, forbidding.
pub(super) fn operate(world: &World, form_id: &str, op_number: &str, data: &Params) -> Reply {
    let config = &world.config.kingdee;
    let now = clock::local_text(world.clock.now_ms());
    let Some((key, entries, value)) = effect(op_number) else {
        let failure = Failure::new(None, format!("操作编码{op_number}不存在"), 3);
        return error(Shape::Object, &[failure]);
    };
    let mut store = lock(&world.kingdee.store);
    let ids = match named(&store, form_id, data) {
        Ok(ids) => ids,
        Err(failure) => return error(Shape::Object, &[failure]),
    };
    let only = entry_ids(data);
    let (mut failures, mut done) = (Vec::new(), Vec::new());
    let table = store.table_mut(form_id);
    let form = table.form.clone();
    for (index, id) in ids.into_iter().enumerate() {
        let Some(bill) = table.bills.get_mut(&id) else { continue };
        let audited = bill.status() == "C";
        let refused = match key {
            "FCANCELSTATUS" if audited => Some("已经审核，不能作废"),
            "FCLOSESTATUS" | "FMRPCLOSESTATUS" | "FMRPFREEZESTATUS" | "FMRPTERMINATESTATUS" if !audited => {
                Some("未审核，不能执行该操作")
            }
            _ => None,
        };
        if let Some(reason) = refused {
            failures.push(refusal(&form, bill, reason, config.not_operable_code).at(index));
            continue;
        }
        if entries {
            for row in bill.entities.values_mut().flatten() {
                if row.fields.contains_key(key) && (only.is_empty() || only.contains(&row.id)) {
                    row.fields.put(key, Val::Text(value.to_owned()));
                }
            }
        } else {
            bill.fields.put(key, Val::Text(value.to_owned()));
        }
        bill.fields.put("FMODIFYDATE", Val::Text(now.clone()));
        done.push(json!({"Id": print_id(config, id), "Number": bill.number, "DIndex": index}));
    }
    result(status(&failures, done, Vec::new()), Vec::new())
}

/// Entry ids of `PkEntryIds:[{"Id":..,"EntryIds":"1,2"}]`.
fn entry_ids(data: &Params) -> Vec<i64> {
    let Some(Value::Array(items)) = data.get("PkEntryIds") else { return Vec::new() };
    items
        .iter()
        .filter_map(Value::as_object)
        .flat_map(|item| Params(item.clone()).list("EntryIds"))
        .filter_map(|id| id.parse().ok())
        .collect()
}
