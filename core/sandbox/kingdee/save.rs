//! Save, Draft and BatchSave.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    amounts,
    envelope::Params,
    forms::{Entity, Form},
    query,
    reply::{CODE_PARAMETER, CODE_VALIDATION, Failure, Shape, error, result, status},
    save_fields::{Reader, Rows},
    store::{Bill, Fields, FieldsExt, Row, Store, Val, print_id},
};
use crate::{
    clock,
    config::KingdeeConfig,
    money,
    wire::message::Reply,
    world::{World, lock},
};

/// What of `data` steers a save.
struct Options {
    update_fields: BTreeSet<String>,
    return_fields: Vec<String>,
    delete_entries: bool,
    verify: bool,
    validate: bool,
    draft: bool,
    audit: bool,
}

impl Options {
    fn read(config: &KingdeeConfig, data: &Params, draft: bool) -> Self {
        Self {
            update_fields: data
                .list("NeedUpDateFields")
                .iter()
                .map(|key| key.rsplit('.').next().unwrap_or(key).to_ascii_uppercase())
                .collect(),
            return_fields: data.list("NeedReturnFields"),
            delete_entries: data.flag("IsDeleteEntry", true),
            verify: data.flag("IsVerifyBaseDataField", false),
            validate: !draft && data.flag("ValidateFlag", true),
            draft,
            audit: config.auto_submit_and_audit && data.flag("IsAutoSubmitAndAudit", false),
        }
    }
}

/// Who saves, and when.
struct Context<'a> {
    config: &'a KingdeeConfig,
    user: &'a str,
    now: String,
    options: Options,
}

/// A committed bill.
struct Saved {
    id: i64,
    number: String,
    returned: Value,
}

/// Save (or Draft) of one model.
pub(super) fn save(world: &World, form_id: &str, data: &Params, user: &str, draft: bool) -> Reply {
    let config = &world.config.kingdee;
    let context = context(world, data, user, draft);
    let Some(Value::Object(model)) = data.get("Model") else {
        return error(Shape::Object, &[Failure::new(None, "接口参数Model不能为空", CODE_PARAMETER)]);
    };
    let mut store = lock(&world.kingdee.store);
    match one(&context, &mut store, form_id, model) {
        Err(failures) => {
            result(status(&failures, Vec::new(), Vec::new()), vec![("Id", json!("")), ("Number", json!(""))])
        }
        Ok(saved) => {
            let id = print_id(config, saved.id);
            let entity = json!({"Id": id, "Number": saved.number, "DIndex": 0});
            result(
                status(&[], vec![entity], Vec::new()),
                vec![
                    ("Id", id),
                    ("Number", Value::from(saved.number)),
                    ("NeedReturnData", Value::Array(vec![saved.returned])),
                ],
            )
        }
    }
}

/// BatchSave: every model is its own transaction; good ones are committed whatever happens to the others.
pub(super) fn batch(world: &World, form_id: &str, data: &Params, user: &str) -> Reply {
    let config = &world.config.kingdee;
    let context = context(world, data, user, false);
    let Some(Value::Array(models)) = data.get("Model") else {
        return error(Shape::Object, &[Failure::new(None, "接口参数Model不能为空", CODE_PARAMETER)]);
    };
    let (mut failures, mut done, mut returned) = (Vec::new(), Vec::new(), Vec::new());
    for (index, model) in models.iter().enumerate() {
        let empty = Map::new();
        let model = model.as_object().unwrap_or(&empty);
        // The lock is taken per bill, so that a large batch does not keep everybody else out.
        let outcome = one(&context, &mut lock(&world.kingdee.store), form_id, model);
        match outcome {
            Err(list) => failures.extend(list.into_iter().map(|failure| failure.at(index))),
            Ok(saved) => {
                done.push(json!({"Id": print_id(config, saved.id), "Number": saved.number, "DIndex": index}));
                returned.push(saved.returned);
            }
        }
    }
    result(status(&failures, done, Vec::new()), vec![("NeedReturnData", Value::Array(returned))])
}

fn context<'a>(world: &'a World, data: &Params, user: &'a str, draft: bool) -> Context<'a> {
    let config = &world.config.kingdee;
    Context {
        config,
        user,
        now: clock::local_text(world.clock.now_ms()),
        options: Options::read(config, data, draft),
    }
}

fn one(
    context: &Context<'_>,
    store: &mut Store,
    form_id: &str,
    model: &Map<String, Value>,
) -> Result<Saved, Vec<Failure>> {
    let form = store.form(form_id);
    let given_id = ["FID", form.pk.as_str()].iter().find_map(|key| {
        let id = super::envelope::get(model, key).and_then(money::decimal)?;
        i64::try_from(id).ok().filter(|id| *id != 0)
    });
    let old = match given_id {
        Some(id) => Some(existing(context, store, &form, id).map_err(|failure| vec![failure])?),
        None => None,
    };
    let mut reader =
        Reader { config: context.config, store, verify: context.options.verify, failures: Vec::new() };
    let mut fields = reader.header(&form, model);
    let mut entities = reader.entities(&form, model);
    let mut failures = reader.failures;
    if old.is_some() && !context.options.update_fields.is_empty() {
        keep_listed(&context.options.update_fields, &mut fields, &mut entities);
    }
    // The status and the approval are the server's own; a caller cannot set them.
    for key in ["FDOCUMENTSTATUS", "FAPPROVEDATE", "FAPPROVERID", "FCREATEDATE", "FMODIFYDATE", "FCREATORID"]
    {
        fields.remove(key);
    }
    let mut bill = old.clone().unwrap_or_default();
    bill.fields.extend(fields);
    for (key, rows) in entities {
        let single = form.entity(&key).is_some_and(|entity| entity.single);
        let old_rows = bill.entities.remove(&key).unwrap_or_default();
        let rows = merge(store, old_rows, rows, single, context.options.delete_entries);
        bill.entities.insert(key, rows);
    }
    let given = super::envelope::get(model, &form.number_key)
        .and_then(Value::as_str)
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    if let Some(number) = given {
        let taken = store
            .table(form_id)
            .and_then(|table| table.by_number.get(&number))
            .is_some_and(|id| *id != bill.id);
        if taken {
            failures.push(Failure::duplicate(&form.number_key, &number));
        }
        bill.number = number;
    }
    amounts::defaults(store, context.config, &form, &mut bill);
    if context.options.validate {
        required(&form, &bill, &mut failures);
    }
    if !failures.is_empty() {
        return Err(failures);
    }
    amounts::compute(&form, &mut bill);
    Ok(commit(context, store, &form, bill))
}

/// The bill an update means, if it may be changed.
fn existing(context: &Context<'_>, store: &Store, form: &Form, id: i64) -> Result<Bill, Failure> {
    let found = store.table(&form.id).and_then(|table| table.bills.get(&id));
    let Some(bill) = found else { return Err(Failure::not_found(&id.to_string())) };
    let code = context.config.not_operable_code;
    // These texts were not seen in a source.
    let reason = match bill.status() {
        "B" => Some("正在审核中，不能修改"),
        "C" => Some("已经审核，不能修改"),
        _ if bill.fields.val("FCLOSESTATUS").text() == "B" => Some("已经关闭，不能修改"),
        _ if bill.fields.val("FCANCELSTATUS").text() == "B" => Some("已经作废，不能修改"),
        _ if !bill.pushed.is_empty() => Some("已有下游单据，不能修改"),
        _ => None,
    };
    match reason {
        None => Ok(bill.clone()),
        Some(reason) => {
            let message = format!("单据编号为“{}”的{}，单据{reason}！", bill.number, form.label);
            Err(Failure::new(Some(""), message, code))
        }
    }
}

/// `NeedUpDateFields`: keys not listed are dropped; an entity must be listed itself, else its rows are dropped too.
fn keep_listed(listed: &BTreeSet<String>, fields: &mut Fields, entities: &mut BTreeMap<String, Rows>) {
    fields.retain(|key, _| listed.contains(key));
    entities.retain(|key, _| listed.contains(key));
    for (_, row) in entities.values_mut().flatten() {
        row.fields.retain(|key, _| listed.contains(key));
    }
}

/// Rows of an update: those with a known entry id change, those without are new; rows not named go away only with
/// `IsDeleteEntry`.
fn merge(store: &mut Store, old: Vec<Row>, given: Rows, single: bool, delete: bool) -> Vec<Row> {
    if single {
        let mut row = old.into_iter().next().unwrap_or_default();
        for (_, given) in given.into_iter().take(1) {
            row.fields.extend(given.fields);
        }
        return vec![row];
    }
    let mut old: BTreeMap<i64, Row> = old.into_iter().map(|row| (row.id, row)).collect();
    let mut kept = Vec::new();
    for (id, mut row) in given {
        match old.remove(&id) {
            Some(mut known) => {
                known.fields.extend(row.fields);
                known.subs.extend(row.subs);
                kept.push(known);
            }
            None => {
                row.id = store.new_entry_id();
                kept.push(row);
            }
        }
    }
    if !delete {
        let mut all: Vec<Row> = old.into_values().collect();
        all.extend(kept);
        return all;
    }
    kept
}

/// Required fields, with the product's texts for header and entry fields; all failures in one reply.
fn required(form: &Form, bill: &Bill, failures: &mut Vec<Failure>) {
    check_head(&form.head, &bill.fields, failures);
    for entity in &form.entities {
        let rows = bill.rows(&entity.key.to_ascii_uppercase());
        if entity.single {
            let empty = Fields::new();
            check_head(entity, rows.first().map_or(&empty, |row| &row.fields), failures);
            continue;
        }
        let main = matches!(entity.key.as_str(), "FSaleOrderEntry" | "FRECEIVEBILLENTRY");
        if main && rows.is_empty() {
            // This text was not seen in a source.
            let message = format!("单据体【{}】至少需要一行分录", entity.label);
            failures.push(Failure::new(Some(&entity.key), message, CODE_VALIDATION));
        }
        for (index, row) in rows.iter().enumerate() {
            for field in entity.order.iter().filter_map(|key| entity.fields.get(key)) {
                if field.required && row.fields.val(&field.key.to_ascii_uppercase()).is_empty() {
                    let message = format!(
                        "单据体实体【{}】第【{}】行分录，【{}】字段必录",
                        entity.label,
                        index + 1,
                        field.label
                    );
                    failures.push(Failure::new(Some(&field.key), message, CODE_VALIDATION));
                }
            }
        }
    }
}

fn check_head(entity: &Entity, fields: &Fields, failures: &mut Vec<Failure>) {
    for field in entity.order.iter().filter_map(|key| entity.fields.get(key)) {
        if field.required && fields.val(&field.key.to_ascii_uppercase()).is_empty() {
            let message = format!("字段“{}”是必填项", field.label);
            failures.push(Failure::new(Some(&field.key), message, CODE_VALIDATION));
        }
    }
}

fn commit(context: &Context<'_>, store: &mut Store, form: &Form, mut bill: Bill) -> Saved {
    let new = bill.id == 0;
    if new {
        bill.id = store.new_id();
        bill.fields.put("FCREATEDATE", Val::Text(context.now.clone()));
        bill.fields.put("FCREATORID", Val::Ref(context.user.to_owned()));
    }
    bill.fields.put("FMODIFYDATE", Val::Text(context.now.clone()));
    if bill.number.is_empty() && !context.options.draft {
        bill.number = store.new_number(&form.id);
    }
    let target = if context.options.draft { "Z" } else { "A" };
    // A bill that was un-audited stays D when it is saved again.
    if bill.status() != "D" {
        bill.set_status(target);
    }
    if context.options.audit {
        bill.set_status("C");
        bill.fields.put("FAPPROVEDATE", Val::Text(context.now.clone()));
        bill.fields.put("FAPPROVERID", Val::Ref(context.user.to_owned()));
    }
    let returned = query::returned(context.config, store, &form.id, &bill, &context.options.return_fields);
    let saved = Saved { id: bill.id, number: bill.number.clone(), returned };
    let table = store.table_mut(&form.id);
    // A renamed bill gives its old number free.
    if !new {
        table.remove(bill.id);
    }
    table.insert(bill);
    saved
}
