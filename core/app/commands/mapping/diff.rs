//! `tongbao mapping diff`: real documents through two versions of a mapping, money first.

use super::compile_file;
use crate::cli::DiffArgs;
use crate::output::{self, Exit};
use crate::tables::code_row;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::Path;
use tongbao_delivery::port::{Filter, Store};
use tongbao_mapping::{Compared, Mapping, Related, Tables, compare};
use tongbao_model::mask;

/// Deliveries read at once.
const PAGE: u64 = 10_000;

/// A document with the name it is told by.
struct Document {
    name: String,
    record: Value,
    /// What each of the two mappings looks up beside it.
    related: (Related, Related),
}

/// Compares.
pub async fn run(args: &DiffArgs, config: &Path, as_json: bool) -> Exit {
    let (Some(before), Some(after)) = (compiled(&args.from), compiled(&args.to)) else { return Exit::Config };
    let (documents, tables) = if args.inputs.is_empty() {
        match stored(args, (&before, &after), config).await {
            Ok(found) => found,
            Err(exit) => return exit,
        }
    } else {
        match from_files(args) {
            Ok(found) => (found, Tables::default()),
            Err(why) => {
                output::note(&why);
                return Exit::Failed;
            }
        }
    };
    let compared: Vec<(String, Compared)> = documents
        .into_iter()
        .map(|document| {
            let Document { name, record, related } = document;
            (name, compare((&before, &related.0), (&after, &related.1), &record, &tables))
        })
        .collect();
    if as_json {
        output::json(&as_value(&compared));
    } else {
        show(&compared);
    }
    if compared.iter().any(|(_, one)| one.is_money()) { Exit::MoneyChanged } else { Exit::Ok }
}

fn compiled(path: &Path) -> Option<Mapping> {
    let (mapping, found) = compile_file(path);
    if mapping.is_none() {
        crate::commands::show(&found);
    }
    mapping
}

/// The last documents that flows with the first mapping have carried, from the store.
async fn stored(
    args: &DiffArgs,
    (before, after): (&Mapping, &Mapping),
    config: &Path,
) -> Result<(Vec<Document>, Tables), Exit> {
    let loaded = crate::commands::load(config)?;
    let flows: Vec<String> = loaded
        .config
        .flows
        .iter()
        .filter(|flow| match &args.flow {
            Some(name) => flow.name == *name,
            None => flow.mapping.as_deref() == Some(before.name.as_str()),
        })
        .map(|flow| flow.name.clone())
        .collect();
    if flows.is_empty() {
        output::note(&format!(
            "没有使用映射 {} 的流程，请用 --flow 指定 / no flow uses the mapping `{}`; name one with --flow",
            before.name, before.name
        ));
        return Err(Exit::Usage);
    }
    let store = crate::commands::open(&loaded).await?;
    let read = read_stored(store.as_ref(), &flows, args.last, (before, after)).await;
    store.close().await;
    read.map_err(|error| crate::commands::store_failed(&error, false))
}

async fn read_stored(
    store: &dyn Store,
    flows: &[String],
    last: usize,
    (before, after): (&Mapping, &Mapping),
) -> tongbao_delivery::port::Stored<(Vec<Document>, Tables)> {
    let mut ids: VecDeque<(i64, String)> = VecDeque::new();
    for flow in flows {
        let mut after = None;
        loop {
            let filter =
                Filter { flow: Some(flow.clone()), after_seq: after, limit: PAGE, ..Filter::default() };
            let page = store.deliveries(filter).await?;
            after = page.last().map(|delivery| delivery.seq);
            ids.extend(page.into_iter().map(|delivery| (delivery.seq, delivery.id)));
            // Pages are in order: of each flow only the last ones can count.
            ids.make_contiguous().sort_unstable();
            while ids.len() > last {
                ids.pop_front();
            }
            if after.is_none() {
                break;
            }
        }
    }
    let mut documents = Vec::with_capacity(ids.len());
    for (_, id) in ids {
        if let Some((_, _, event)) = store.delivery(&id).await?
            && let Ok(record) = serde_json::from_str(&event.record)
        {
            let name = format!("{} r{}", event.key, event.revision);
            // As of now for both: what is compared is the files. A record that cannot be read is the mapping's to refuse.
            let of_now = async |mapping: &Mapping| {
                let found = crate::related::of(store, mapping, &event.record, i64::MAX).await?;
                Ok::<_, tongbao_delivery::port::StoreError>(found.unwrap_or_default())
            };
            let related = (of_now(before).await?, of_now(after).await?);
            documents.push(Document { name, record, related });
        }
    }
    let revision = store.tables_revision().await?;
    let rows = store.table_rows(None).await?;
    let tables = Tables::of_rows(revision, rows.into_iter().map(code_row)).0;
    Ok((documents, tables))
}

/// JSON files, or files with a JSON document a line.
fn from_files(args: &DiffArgs) -> Result<Vec<Document>, String> {
    let related = crate::related::from_files(&args.related)?;
    let related = (related.clone(), related);
    let mut documents = Vec::new();
    for path in &args.inputs {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
        if let Ok(record) = serde_json::from_str(&text) {
            documents.push(Document { name: shown.to_string(), record, related: related.clone() });
            continue;
        }
        for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let name = format!("{shown}:{}", line + 1);
            let record = serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))?;
            documents.push(Document { name, record, related: related.clone() });
        }
    }
    Ok(documents)
}

/// What kind of change it is, and how much it matters: money before refusals, those before other fields.
fn rank(one: &Compared) -> (u8, &'static str) {
    match one {
        Compared::Changed(_) if one.is_money() => (0, "金额变化 / money changed"),
        Compared::NewlyRefused(_) => (1, "新拒绝 / newly refused"),
        Compared::NewlyAccepted(_) => (2, "新通过 / newly accepted"),
        Compared::Changed(_) => (3, "字段变化 / fields changed"),
        Compared::OtherFault(_, _) => (4, "故障不同 / another fault"),
        Compared::Same => (5, "相同 / same"),
    }
}

fn show(compared: &[(String, Compared)]) {
    let mut sorted: Vec<_> = compared.iter().filter(|(_, one)| *one != Compared::Same).collect();
    sorted.sort_by_key(|(_, one)| rank(one).0);
    for (name, one) in sorted {
        output::line(&format!("● {name}: {}", rank(one).1));
        match one {
            Compared::Same => {}
            Compared::Changed(changes) => {
                for change in changes {
                    let side = |value: &Option<Value>| match value {
                        _ if mask::is_hidden(&change.target) => "***".to_owned(),
                        Some(value) => value.to_string(),
                        None => "∅".to_owned(),
                    };
                    let money = match &change.money {
                        Some(delta) if delta.is_sign_positive() => format!("  (+{delta})"),
                        Some(delta) => format!("  ({delta})"),
                        None => String::new(),
                    };
                    output::line(&format!(
                        "    {}: {} → {}{money}",
                        change.target,
                        side(&change.from),
                        side(&change.to)
                    ));
                }
            }
            Compared::NewlyRefused(stop) | Compared::NewlyAccepted(stop) => {
                output::line(&format!("    {}", stop.fault))
            }
            Compared::OtherFault(before, after) => {
                output::line(&format!("    {}\n    → {}", before.fault, after.fault));
            }
        }
    }
    let count = |wanted: u8| compared.iter().filter(|(_, one)| rank(one).0 == wanted).count();
    output::line(&format!(
        "{} 份单据：金额变化 {}，新拒绝 {}，新通过 {}，其他变化 {}，相同 {} / {} documents: {} with money changed, {} newly refused, {} newly accepted, {} changed otherwise, {} the same",
        compared.len(),
        count(0),
        count(1),
        count(2),
        count(3) + count(4),
        count(5),
        compared.len(),
        count(0),
        count(1),
        count(2),
        count(3) + count(4),
        count(5),
    ));
}

fn as_value(compared: &[(String, Compared)]) -> Value {
    let list: Vec<Value> = compared
        .iter()
        .map(|(name, one)| {
            let (kind, changes, faults) = match one {
                Compared::Same => ("same", json!([]), json!([])),
                Compared::Changed(changes) => {
                    let shown: Vec<Value> = changes
                        .iter()
                        .map(|change| {
                            let mut shown = json!(change);
                            if let (true, Value::Object(map)) = (mask::is_hidden(&change.target), &mut shown)
                            {
                                map.remove("from");
                                map.remove("to");
                            }
                            shown
                        })
                        .collect();
                    (if one.is_money() { "money" } else { "changed" }, json!(shown), json!([]))
                }
                Compared::NewlyRefused(stop) => ("newly-refused", json!([]), json!([stop.fault])),
                Compared::NewlyAccepted(stop) => ("newly-accepted", json!([]), json!([stop.fault])),
                Compared::OtherFault(a, b) => ("other-fault", json!([]), json!([a.fault, b.fault])),
            };
            json!({"document": name, "kind": kind, "changes": changes, "faults": faults})
        })
        .collect();
    json!({"documents": list})
}
