//! What both sides hold after a batch, without what may differ from run to run: ids, times, numbers drawn by
//! lot.

use serde_json::{Map, Value, json};
use tongbao_model::Tree;
use tongbao_model::digest::of_record;
use tongbao_sandbox::Sandbox;

/// The facts of one batch and a short text that stands for them.
#[derive(Clone)]
pub struct Digest {
    pub facts: Value,
    pub short: String,
}

/// Fields of CRM records that depend on when something happened or on a number drawn by lot.
const LEFT_OUT: &[&str] = &["erp_order_id", "invoice_pdf", "invoice_ofd", "invoiced_at", "released_at"];

/// Takes the digest of a batch: the far sides' documents and our deliveries.
pub fn of(sandbox: &Sandbox, deliveries: &[Value], prefix: &str) -> Digest {
    let invoices: Vec<_> =
        sandbox.invoices().into_iter().filter(|invoice| invoice.order_no.starts_with(prefix)).collect();
    let plain = |text: &str| -> String {
        let drawn = invoices.iter().find(|invoice| invoice.number.as_deref() == Some(text));
        let text = drawn.map_or(text.to_owned(), |invoice| format!("invoice of {}", invoice.order_no));
        text.replace(prefix, "")
    };
    let mut orders: Vec<Value> = sandbox
        .orders()
        .into_iter()
        .filter(|order| order.number.starts_with(prefix))
        .map(|order| {
            let gross = order.gross.normalize().to_string();
            json!([
                plain(&order.number),
                order.status,
                gross,
                plain(&order.note),
                order.lines,
                order.same_number
            ])
        })
        .collect();
    let mut issued: Vec<Value> = invoices
        .iter()
        .map(|invoice| {
            let gross = invoice.gross.normalize().to_string();
            json!([plain(&invoice.order_no), gross, invoice.status, invoice.number.is_some()])
        })
        .collect();
    let mut ours: Vec<Value> = deliveries
        .iter()
        .map(|delivery| {
            let text = |value: &Value| plain(value.as_str().unwrap_or_default());
            let flow = text(&delivery["flow"]);
            let mut key = text(&delivery["key"]);
            let mut remote = text(&delivery["remote"]["number"]);
            if matches!(flow.as_str(), "account-payment" | "commission") {
                (key, remote) = (receipt(&key), receipt(&remote));
            }
            json!([key, flow, text(&delivery["target"]), text(&delivery["state"]), remote])
        })
        .collect();
    for list in [&mut orders, &mut issued, &mut ours] {
        list.sort_by_key(Value::to_string);
    }
    let facts = json!({
        "orders": orders,
        "invoices": issued,
        "crm": crm(sandbox, prefix, &plain),
        "deliveries": ours,
    });
    let short = of_record(&Tree::from(&facts)).chars().take(16).collect();
    Digest { facts, short }
}

/// A number that ends with a receipt's entry id, without it: that id is drawn by the ERP.
fn receipt(number: &str) -> String {
    number.rsplit_once('-').map_or(number, |(receipt, _)| receipt).to_owned()
}

/// The CRM's records as its last writes left them.
fn crm(sandbox: &Sandbox, prefix: &str, plain: &dyn Fn(&str) -> String) -> Value {
    let mut records: Map<String, Value> = Map::new();
    for write in sandbox.crm_writes().into_iter().filter(|write| write.id.contains(prefix)) {
        let kept: Map<String, Value> = write
            .after
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()))
            .map(|(name, value)| {
                let told = |text: &str| {
                    let text = plain(text);
                    if name == "payment_number" { receipt(&text) } else { text }
                };
                (name.clone(), value.as_str().map_or(value.clone(), |text| told(text).into()))
            })
            .collect();
        let id = plain(&write.id);
        let id = if write.collection == "commissions" { receipt(&id) } else { id };
        records.insert(format!("{} {id}", write.collection), kept.into());
    }
    records.into()
}

/// Panics with what is different.
pub fn assert_same(expected: &Digest, found: &Digest, what: &str) {
    if expected.facts == found.facts {
        return;
    }
    let mut said = String::new();
    for part in ["orders", "invoices", "deliveries"] {
        let list = |digest: &Digest| -> Vec<String> {
            digest.facts[part].as_array().unwrap().iter().map(Value::to_string).collect()
        };
        let (before, after) = (list(expected), list(found));
        for row in before.iter().filter(|row| !after.contains(row)) {
            said.push_str(&format!("  {part}: missing {row}\n"));
        }
        for row in after.iter().filter(|row| !before.contains(row)) {
            said.push_str(&format!("  {part}: not expected {row}\n"));
        }
        if before.len() != after.len() {
            said.push_str(&format!("  {part}: {} rows instead of {}\n", after.len(), before.len()));
        }
    }
    if expected.facts["crm"] != found.facts["crm"] {
        said.push_str(&format!("  crm: {}\n  instead of {}\n", found.facts["crm"], expected.facts["crm"]));
    }
    panic!("{what}: not what an undisturbed run leaves:\n{said}");
}
