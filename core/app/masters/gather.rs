//! Our side of a table: codes that documents wait for, and those of contracts that were taken in.

use crate::commands::tables::waiting::waiting;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tongbao_connect::MasterKind;
use tongbao_delivery::port::{Filter, Store, Stored};
use tongbao_model::event::kinds;
use tongbao_recon::codes::Ours;

/// Deliveries read at once.
const PAGE: u64 = 10_000;

/// Documents whose names are looked at: the newest.
const DOCUMENTS_MAX: usize = 2_000;

/// Documents of one awaited code that are looked at for its names.
const OF_ONE_MAX: usize = 5;

/// Events that name customers and products.
const KINDS: [&str; 4] =
    [kinds::CONTRACT_SIGNED, kinds::CONTRACT_DRAFTED, kinds::CREDIT_NOTE_SIGNED, kinds::INVOICE_REQUESTED];

/// Codes of ours, each with what documents say of it.
pub async fn ours(store: &dyn Store, table: &str, kind: MasterKind) -> Stored<Vec<Ours>> {
    let mut found: BTreeMap<String, Ours> = BTreeMap::new();
    let mut events: BTreeSet<String> = newest(store).await?.into_iter().collect();
    for ((name, code), deliveries) in waiting(store).await? {
        if name == table {
            found.insert(code.clone(), Ours { code, ..Ours::default() });
            events.extend(deliveries.into_iter().take(OF_ONE_MAX).map(|delivery| delivery.event));
        }
    }
    for id in events {
        let Some(event) = store.event(&id).await? else { continue };
        // A record that cannot be read is the mapping's to refuse.
        let Ok(record) = serde_json::from_str::<Value>(&event.record) else { continue };
        for one in named(&record, kind) {
            let known =
                found.entry(one.code.clone()).or_insert_with(|| Ours { code: one.code, ..Ours::default() });
            known.names.extend(one.names);
            known.tax_numbers.extend(one.tax_numbers);
        }
    }
    Ok(found.into_values().collect())
}

/// Ids of the newest events that name customers and products.
async fn newest(store: &dyn Store) -> Stored<VecDeque<String>> {
    let mut ids: VecDeque<String> = VecDeque::new();
    let mut after = None;
    loop {
        let page = store.deliveries(Filter { after_seq: after, limit: PAGE, ..Filter::default() }).await?;
        after = page.last().map(|delivery| delivery.seq);
        for delivery in page.into_iter().filter(|delivery| KINDS.contains(&delivery.kind.as_str())) {
            // An event's deliveries follow each other.
            if ids.back() != Some(&delivery.event) {
                ids.push_back(delivery.event);
            }
            if ids.len() > DOCUMENTS_MAX {
                ids.pop_front();
            }
        }
        if after.is_none() {
            return Ok(ids);
        }
    }
}

/// Customers or products that a record names.
fn named(record: &Value, kind: MasterKind) -> Vec<Ours> {
    let one = |value: &Value| {
        let text = |name: &str| {
            value.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
        };
        let set = |name: &str| text(name).into_iter().map(str::to_owned).collect();
        Some(Ours { code: text("code")?.to_owned(), names: set("name"), tax_numbers: set("tax_number") })
    };
    match kind {
        MasterKind::Customers => record.get("customer").and_then(one).into_iter().collect(),
        MasterKind::Materials => {
            let lines = record.get("lines").and_then(Value::as_array).into_iter().flatten();
            lines.filter_map(|line| one(line.get("product")?)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_name_customers_and_products() {
        let record = json!({
            "customer": {"code": " C1 ", "name": "甲", "tax_number": ""},
            "lines": [{"product": {"code": "P1", "name": "乙"}}, {"product": {"name": "无编码"}}, {}],
        });
        let codes = |kind| named(&record, kind).into_iter().map(|one| one.code).collect::<Vec<_>>();
        assert_eq!(codes(MasterKind::Customers), ["C1"]);
        assert!(named(&record, MasterKind::Customers)[0].tax_numbers.is_empty());
        assert_eq!(codes(MasterKind::Materials), ["P1"]);
        assert!(named(&json!([1]), MasterKind::Materials).is_empty());
    }
}
