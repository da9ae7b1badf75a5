//! Our side of a table: codes that documents wait for, and those of contracts that were taken in.

use crate::commands::tables::waiting::waiting;
use serde_json::Value;
use std::collections::BTreeMap;
use tongbao_connect::MasterKind;
use tongbao_delivery::port::{Store, Stored};
use tongbao_model::Event;
use tongbao_model::event::kinds;
use tongbao_recon::codes::Ours;

/// Documents whose names are looked at: the newest.
const DOCUMENTS_MAX: u64 = 2_000;

/// Documents of one awaited code that are looked at for its names.
const OF_ONE_MAX: usize = 5;

/// Events that name customers and products.
const KINDS: [&str; 4] =
    [kinds::CONTRACT_SIGNED, kinds::CONTRACT_DRAFTED, kinds::CREDIT_NOTE_SIGNED, kinds::INVOICE_REQUESTED];

/// Codes of ours, each with what documents say of it.
pub async fn ours(store: &dyn Store, table: &str, kind: MasterKind) -> Stored<Vec<Ours>> {
    let mut found: BTreeMap<String, Ours> = BTreeMap::new();
    let mut events: BTreeMap<String, Event> = BTreeMap::new();
    for event in store.latest(&KINDS, DOCUMENTS_MAX).await? {
        events.insert(event.id.clone(), event);
    }
    for ((name, code), deliveries) in waiting(store).await? {
        if name == table {
            found.insert(code.clone(), Ours { code, ..Ours::default() });
            for delivery in deliveries.into_iter().take(OF_ONE_MAX) {
                if !events.contains_key(&delivery.event)
                    && let Some(event) = store.event(&delivery.event).await?
                {
                    events.insert(event.id.clone(), event);
                }
            }
        }
    }
    for event in events.into_values() {
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
