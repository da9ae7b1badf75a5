//! ExecuteBillQuery and BillQuery: filter, entry expansion, order, paging.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{
    column::{Column, Place, Resolver, Spot},
    envelope::Params,
    filter::{self, Expr},
    reply::{CODE_MISSING, CODE_PARAMETER, Failure, Shape, error},
    store::{Bill, Row, Store, Table, Val},
};
use crate::{
    config::KingdeeConfig,
    wire::message::Reply,
    world::{World, lock},
};

struct Plan {
    keys: Vec<String>,
    columns: Vec<Column>,
    filter: Option<Expr>,
    order: Vec<(Column, bool)>,
    touched: Vec<String>,
    start: usize,
    end: usize,
}

/// Runs a query and answers in its shape.
pub(super) fn run(world: &World, data: &Params, shape: Shape) -> Reply {
    let config = &world.config.kingdee;
    let store = lock(&world.kingdee.store);
    let form_id = data.text("FormId");
    if form_id.is_empty() {
        return error(shape, &[Failure::new(None, "业务对象标识FormId不能为空", 5)]);
    }
    let plan = match plan(config, &store, &form_id, data) {
        Ok(plan) => plan,
        Err(failure) => return error(shape, &[failure]),
    };
    let rows = store.table(&form_id).map(|table| collect(config, &store, table, &plan)).unwrap_or_default();
    let rows: Vec<Value> = match shape {
        Shape::List => rows
            .into_iter()
            .map(|row| Value::Object(plan.keys.iter().cloned().zip(row).collect::<Map<_, _>>()))
            .collect(),
        _ => rows.into_iter().map(Value::Array).collect(),
    };
    Reply::json(200, &Value::Array(rows))
}

fn plan(config: &KingdeeConfig, store: &Store, form_id: &str, data: &Params) -> Result<Plan, Failure> {
    let form = store.form(form_id);
    // A form without description and without data is unknown.
    if !form.known && store.table(form_id).is_none() {
        return Err(Failure::new(None, format!("标识为\"{form_id}\"的业务对象不存在"), CODE_MISSING));
    }
    let mut resolver = Resolver::new(form);
    let keys = data.list("FieldKeys");
    if keys.is_empty() {
        return Err(Failure::new(None, "查询字段FieldKeys不能为空", CODE_PARAMETER));
    }
    let columns = keys.iter().map(|key| resolver.resolve(key)).collect::<Result<Vec<_>, _>>()?;
    let text = match data.get("FilterString") {
        Some(Value::Array(items)) => filter::array_text(items, &config.compare_codes)?,
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    let filter = filter::parse(&text, &mut resolver)?;
    let mut order = Vec::new();
    for part in data.list("OrderString") {
        let (key, direction) = part.split_once(char::is_whitespace).unwrap_or((&part, "asc"));
        order.push((resolver.resolve(key)?, direction.trim().eq_ignore_ascii_case("desc")));
    }
    let start = data.count("StartRow");
    let limit = match data.count("Limit") {
        0 => config.default_limit,
        asked => asked.min(config.max_limit),
    };
    // TopRowCount is the last row of the whole result, not a page size: pages behind it come back short.
    let end = match data.count("TopRowCount") {
        0 => start.saturating_add(limit),
        top => start.saturating_add(limit).min(top),
    };
    Ok(Plan { keys, columns, filter, order, touched: resolver.touched, start, end })
}

fn collect(config: &KingdeeConfig, store: &Store, table: &Table, plan: &Plan) -> Vec<Vec<Value>> {
    let natural = matches!(plan.order.as_slice(), [] | [(Column { place: Place::Id, .. }, false)]);
    let mut found: Vec<(Vec<Val>, Vec<Value>)> = Vec::new();
    let mut seen = 0;
    for bill in candidates(table, plan.filter.as_ref()) {
        if table.hidden.contains(&bill.number) {
            continue;
        }
        for rows in expand(bill, &plan.touched) {
            let spot = Spot { bill, rows: &rows };
            if plan.filter.as_ref().is_some_and(|filter| !filter.holds(store, &spot)) {
                continue;
            }
            if natural {
                seen += 1;
                if seen <= plan.start {
                    continue;
                }
                if seen > plan.end {
                    return found.into_iter().map(|(_, cells)| cells).collect();
                }
            }
            let keys = plan.order.iter().map(|(column, _)| column.val(store, &spot)).collect();
            let cells = plan.columns.iter().map(|column| column.print(config, store, &spot)).collect();
            found.push((keys, cells));
        }
    }
    if natural {
        return found.into_iter().map(|(_, cells)| cells).collect();
    }
    found.sort_by(|(left, _), (right, _)| {
        let pairs = left.iter().zip(right).zip(&plan.order);
        pairs.fold(Ordering::Equal, |order, ((left, right), (_, descending))| {
            order.then_with(|| {
                let order = filter::order(left, right);
                if *descending { order.reverse() } else { order }
            })
        })
    });
    let count = plan.end.saturating_sub(plan.start);
    found.into_iter().skip(plan.start).take(count).map(|(_, cells)| cells).collect()
}

/// The bills that can pass, by id; looked up when the filter pins numbers or ids.
fn candidates<'a>(table: &'a Table, filter: Option<&Expr>) -> Vec<&'a Bill> {
    if let Some(values) = filter.and_then(|filter| filter.pinned(&Place::Number)) {
        let mut bills: Vec<&Bill> = values.iter().filter_map(|value| table.by_number(value.text())).collect();
        bills.sort_by_key(|bill| bill.id);
        bills.dedup_by_key(|bill| bill.id);
        // Drafts without a number are in no index; a filter for the empty number has to look at all.
        if !values.iter().any(|value| value.text().trim().is_empty()) {
            return bills;
        }
    }
    if let Some(values) = filter.and_then(|filter| filter.pinned(&Place::Id)) {
        let ids = values.iter().filter_map(Val::num).filter_map(|id: Decimal| i64::try_from(id).ok());
        let mut bills: Vec<&Bill> = ids.filter_map(|id| table.bills.get(&id)).collect();
        bills.sort_by_key(|bill| bill.id);
        bills.dedup_by_key(|bill| bill.id);
        return bills;
    }
    table.bills.values().collect()
}

type Rows<'a> = Vec<Option<(usize, &'a Row)>>;

/// One result row per combination of rows of the touched entities; an empty entity keeps the bill with nulls.
fn expand<'a>(bill: &'a Bill, touched: &[String]) -> Vec<Rows<'a>> {
    let mut out: Vec<Rows<'a>> = vec![Vec::new()];
    for entity in touched {
        let rows = bill.rows(entity);
        let mut next = Vec::with_capacity(out.len() * rows.len().max(1));
        for base in &out {
            if rows.is_empty() {
                let mut row = base.clone();
                row.push(None);
                next.push(row);
            }
            for (seq, entry) in rows.iter().enumerate() {
                let mut row = base.clone();
                row.push(Some((seq, entry)));
                next.push(row);
            }
        }
        out = next;
    }
    out
}

/// The members of `NeedReturnData` for one saved bill: header fields by key, entry fields as lists under the entity.
pub(super) fn returned(
    config: &KingdeeConfig,
    store: &Store,
    form_id: &str,
    bill: &Bill,
    keys: &[String],
) -> Value {
    let mut out = Map::new();
    for key in keys {
        let mut resolver = Resolver::new(store.form(form_id));
        let Ok(column) = resolver.resolve(key) else { continue };
        let name = key.rsplit('.').next().unwrap_or(key);
        let Some(entity) = resolver.touched.first() else {
            out.insert(key.clone(), column.print(config, store, &Spot { bill, rows: &[] }));
            continue;
        };
        let label = resolver.form.entity(entity).map_or_else(|| entity.clone(), |entity| entity.key.clone());
        let list = out.entry(label).or_insert_with(|| Value::Array(Vec::new()));
        for (index, row) in expand(bill, &resolver.touched).iter().enumerate() {
            let value = column.print(config, store, &Spot { bill, rows: row });
            let Value::Array(list) = list else { continue };
            if list.len() <= index {
                list.push(Value::Object(Map::new()));
            }
            if let Some(Value::Object(object)) = list.get_mut(index) {
                object.insert(name.to_owned(), value);
            }
        }
    }
    Value::Object(out)
}
