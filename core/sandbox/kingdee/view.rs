//! View with ORM names, and QueryBusinessInfo.
//!
//! Properties lose the leading `F`, references appear as `X_Id` and `X{Id, Number, Name:[{Key, Value}]}`, object entities
//! are lists of one (public engineering notes and the 7.5.1800.6 documents).

use serde_json::{Map, Value, json};

use super::{
    envelope::Params,
    forms::{Entity, Field, Form, Kind, orm},
    reply::{CODE_PARAMETER, Failure, Shape, error, result, status},
    store::{Bill, Fields, FieldsExt, Row, Store, Val, print, print_id},
};
use crate::{
    config::KingdeeConfig,
    wire::message::Reply,
    world::{World, lock},
};

/// Language key of zh-CN in multi-language values.
const LANGUAGE: i32 = 2052;

/// Shows one bill by `Number` or `Id`.
pub(super) fn run(world: &World, form_id: &str, data: &Params) -> Reply {
    let config = &world.config.kingdee;
    let store = lock(&world.kingdee.store);
    let (number, id) = (data.text("Number"), data.text("Id"));
    if number.is_empty() && (id.is_empty() || id == "0") {
        return error(Shape::Object, &[Failure::new(None, "接口参数Number和Id不能同时为空", CODE_PARAMETER)]);
    }
    let found = store.table(form_id).and_then(|table| {
        let bill =
            if number.is_empty() { table.bills.get(&id.parse().ok()?) } else { table.by_number(&number) };
        bill.filter(|bill| !table.hidden.contains(&bill.number))
    });
    let Some(bill) = found else {
        let asked = if number.is_empty() { &id } else { &number };
        return error(Shape::Object, &[Failure::not_found(asked)]);
    };
    let printer = Printer { config, store: &store };
    let object = printer.bill(&store.form(form_id), bill);
    result(status(&[], Vec::new(), Vec::new()), vec![("Result", Value::Object(object))])
}

fn multi(text: &str) -> Value {
    json!([{"Key": LANGUAGE, "Value": text}])
}

struct Printer<'a> {
    config: &'a KingdeeConfig,
    store: &'a Store,
}

impl Printer<'_> {
    fn bill(&self, form: &Form, bill: &Bill) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("Id".to_owned(), print_id(self.config, bill.id));
        let number = orm(&form.number_key);
        out.insert(number, Value::from(bill.number.clone()));
        self.fields(&form.head, &bill.fields, form.is_base(), &mut out);
        for (key, rows) in &bill.entities {
            let Some(entity) = form.entity(key) else {
                let name = orm(key);
                let list = rows.iter().enumerate().map(|(seq, row)| self.row(&Entity::default(), row, seq));
                out.insert(name, list.collect());
                continue;
            };
            let list = rows.iter().enumerate().map(|(seq, row)| self.row(entity, row, seq));
            out.insert(orm(&entity.key), list.collect());
        }
        out
    }

    fn row(&self, entity: &Entity, row: &Row, seq: usize) -> Value {
        let mut out = Map::new();
        if !entity.single {
            out.insert("Id".to_owned(), print_id(self.config, row.id));
            out.insert("Seq".to_owned(), Value::from(seq + 1));
        }
        self.fields(entity, &row.fields, false, &mut out);
        for sub in &entity.subs {
            let rows = row.subs.get(&sub.key.to_ascii_uppercase()).map_or(&[][..], Vec::as_slice);
            let list = rows.iter().enumerate().map(|(seq, row)| self.row(sub, row, seq));
            out.insert(orm(&sub.key), list.collect());
        }
        Value::Object(out)
    }

    fn fields(&self, entity: &Entity, fields: &Fields, base: bool, out: &mut Map<String, Value>) {
        if entity.order.is_empty() {
            for (key, val) in fields.iter().filter(|(key, _)| !key.starts_with('_')) {
                out.insert(orm(key), print(self.config, &Kind::Any, val));
            }
            return;
        }
        for (key, field) in entity.order.iter().filter_map(|key| Some((key, entity.fields.get(key)?))) {
            let val = fields.val(key);
            match &field.kind {
                Kind::Base(form) => self.reference(field, form, val, out),
                _ if base && key == "FNAME" => {
                    out.insert(field.orm(), multi(val.text()));
                }
                kind => {
                    out.insert(field.orm(), print(self.config, kind, val));
                }
            }
        }
    }

    fn reference(&self, field: &Field, form: &str, val: &Val, out: &mut Map<String, Value>) {
        let name = field.orm();
        let record = self.store.base(form, val.text());
        let id = record.map_or(Value::from(0), |record| print_id(self.config, record.id));
        let object = record.map_or(Value::Null, |record| {
            json!({"Id": id, "Number": record.number, "Name": multi(record.fields.val("FNAME").text())})
        });
        out.insert(format!("{name}_Id"), id);
        out.insert(name, object);
    }
}

/// QueryBusinessInfo: keys and names of a known form.
pub(super) fn info(world: &World, data: &Params) -> Reply {
    let form_id = data.text("FormId");
    let store = lock(&world.kingdee.store);
    let form = store.form(&form_id);
    if !form.known {
        let failure =
            Failure::new(None, format!("标识为\"{form_id}\"的业务对象不存在"), super::reply::CODE_MISSING);
        return error(Shape::Object, &[failure]);
    }
    let entity = |entity: &Entity, key: &str, name: &str| {
        let fields: Vec<Value> = entity
            .order
            .iter()
            .filter_map(|key| entity.fields.get(key))
            .map(|field| {
                json!({"Key": field.key, "PropertyName": field.orm(), "Name": multi(&field.label),
                       "MustInput": i32::from(field.required)})
            })
            .collect();
        json!({"Key": key, "EntryName": name, "Name": multi(&entity.label), "Fields": fields})
    };
    let mut entries = vec![entity(&form.head, "FBillHead", "BillHead")];
    entries.extend(form.entities.iter().map(|one| entity(one, &one.key, &orm(&one.key))));
    let operations: Vec<Value> = ["Save", "Submit", "Audit", "UnAudit", "Delete", "View", "Push"]
        .iter()
        .map(|name| json!({"OperationNumber": name}))
        .collect();
    let description = json!({"Id": form.id, "Name": multi(&form.label), "PkFieldName": form.pk,
                             "Entrys": entries, "Operations": operations});
    result(status(&[], Vec::new(), Vec::new()), vec![("NeedReturnData", description)])
}
