//! U8's archives of customers and materials, and what is in stock, as both doors show them.
//!
//! `currentstock/batch_get`: parameters by the vendor's Java examples (`whcode_begin`, `invcode_begin`, …), members by
//! integrators (`invcode`, `invname`, `invstd`, `whname`, `qty`, `availqty`). One row for each warehouse, material and lot.

use serde_json::{Map, Value, json};

use super::{
    openapi::Asked,
    store::{Document, Fields, get, put},
    templates::template,
};
use crate::{
    masters::{MasterSpec, StockSpec},
    money,
    wire::message::Reply,
    world::{World, lock},
};

/// The day on which archives of the sandbox end.
const ENDED: &str = "2020-01-01";

fn fields(archive: &str, spec: &MasterSpec) -> Fields {
    let mut fields = Fields::new();
    put(&mut fields, "code", spec.code.as_str());
    put(&mut fields, "name", spec.name.as_str());
    let more = match archive {
        "customer" => [("abbrname", &spec.short_name), ("tax_reg_code", &spec.tax_number)],
        _ => [("specs", &spec.specification), ("main_measure", &spec.unit)],
    };
    for (tag, text) in more {
        put(&mut fields, tag, text.as_str());
    }
    if spec.disabled {
        put(&mut fields, "end_date", ENDED);
    }
    fields
}

/// A document for a code of an archive that has documents.
pub(super) fn document(id: i64, archive: &str, spec: &MasterSpec) -> Document {
    Document { id, head: fields(archive, spec), lines: Vec::new() }
}

/// Puts a row into an archive, or changes it there.
pub(crate) fn put_archive(world: &World, archive: &str, spec: &MasterSpec) {
    let mut state = lock(&world.u8);
    state.seed(archive, &spec.code, &spec.name);
    let found = template(archive).and_then(|known| state.by_number_mut(known, &spec.code));
    if let Some(found) = found {
        found.head = fields(archive, spec);
    }
}

/// Takes a row out of an archive.
pub(crate) fn remove_archive(world: &World, archive: &str, code: &str) {
    let mut state = lock(&world.u8);
    state.drop_code(archive, code);
    if let Some(known) = template(archive) {
        state.remove(known, code);
    }
}

/// Codes of an archive, each with whether it has ended.
pub(crate) fn archive_rows(world: &World, archive: &str) -> Vec<(String, bool)> {
    let state = lock(&world.u8);
    let rows = state.all(archive).iter();
    rows.map(|one| (get(&one.head, "code").to_owned(), !get(&one.head, "end_date").is_empty())).collect()
}

/// Puts a lot into a warehouse.
pub(crate) fn add_stock(world: &World, spec: &StockSpec) {
    let mut state = lock(&world.u8);
    let batch = state.next_id().to_string();
    let mut row = Fields::new();
    for (tag, text) in [
        ("whcode", spec.warehouse.clone()),
        ("whname", format!("仓库 {}", spec.warehouse)),
        ("invcode", spec.material.clone()),
        ("batch", batch),
        ("qty", printed(spec.on_hand)),
        ("availqty", printed(spec.available)),
    ] {
        put(&mut row, tag, text);
    }
    state.stock.push(row);
}

/// A quantity as the database has it: six places, below one without the zero in front.
fn printed(value: rust_decimal::Decimal) -> String {
    let mut value = money::round(value, 6);
    value.rescale(6);
    let text = value.to_string();
    match text.strip_prefix("0.") {
        Some(rest) => format!(".{rest}"),
        None => text.replace("-0.", "-."),
    }
}

/// `currentstock/batch_get`, newest first.
pub(super) fn stock(stock: &[Fields], asked: &Asked, ignores_conditions: bool) -> Reply {
    let number =
        |name: &str, usual: usize| asked.value(name).parse().ok().filter(|n| *n > 0).unwrap_or(usual);
    let (page, rows): (usize, usize) = (number("page_index", 1), number("rows_per_page", 20));
    let within = |row: &&Fields| {
        ["whcode", "invcode"].into_iter().all(|tag| {
            let (begin, end) = (asked.value(&format!("{tag}_begin")), asked.value(&format!("{tag}_end")));
            let code = get(row, tag);
            (begin.is_empty() || code >= begin.as_str()) && (end.is_empty() || code <= end.as_str())
        })
    };
    let taken: Vec<&Fields> = stock.iter().rev().filter(|row| ignores_conditions || within(row)).collect();
    let shown = taken.iter().skip((page - 1).saturating_mul(rows)).take(rows).map(|row| {
        let texts = row.iter().filter(|(_, text)| !text.is_empty());
        Value::Object(texts.map(|(tag, text)| (tag.clone(), text.clone().into())).collect::<Map<_, _>>())
    });
    let answer = json!({
        "errcode": "0", "errmsg": "", "page_index": page.to_string(), "rows_per_page": rows.to_string(),
        "page_count": taken.len().div_ceil(rows).to_string(), "row_count": taken.len().to_string(),
        "currentstock": shown.collect::<Vec<_>>(),
    });
    Reply::json(200, &answer)
}
