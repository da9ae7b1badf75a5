//! Mappings that look up related records.

use super::*;

const NOTICE: &str = "\
mapping: credit-note-to-return-notice
version: 2
from: credit_note
to: webhook/return_notice
key: number
related:
  original: { record: contract, key: contract_number }
fields: { number: text!, of: amount-tax-included!, back: amount-tax-included!, revision: decimal }
check:
  - sum(lines.amount_tax_included) + sum(lines, coalesce(discount_tax_included, 0)) == total_tax_included
  - currency == original.currency
set:
  number: number
  of: original.total_tax_included
  back: total_tax_included
  revision: { from: original.revision, default: 1 }
ignore: [revision]
tests:
  - { name: no contract, input: return.json, fault: related-missing }
";

/// A contract's return: what comes back of what it sold.
fn returned(number: &str, contract_number: &str) -> String {
    let note = json!({"number": number, "contract_number": contract_number, "signed_at": "2026-11-21T10:00:00+08:00",
        "currency": "CNY", "customer": {"code": "C1"}, "total_tax_included": "-113.00",
        "lines": [{"line": 1, "product": {"code": "P-100"}, "quantity": "-1", "unit_price_tax_included": "113.00",
            "tax_rate": "0.13", "amount_tax_included": "-113.00"}]});
    note.to_string()
}

/// A document that comes before the one it refers to waits for it, and is explained by what was known when it was made.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_waits_for_the_record_it_refers_to() {
    let world = World::new().await;
    world.know_one_customer();
    let folder = world.folder.path().join("mappings/credit_note");
    let notice = write(&folder, "credit_note__notice.yaml", NOTICE);
    write(&folder, "return.json", &returned("TH-1", "HT-1"));
    let text = std::fs::read_to_string(&world.config).unwrap();
    let flow =
        "  - { name: notice, on: credit_note.signed, to: crm, mapping: credit-note-to-return-notice }\n";
    let operation = "        commission: PUT /commissions/{key}\n";
    let text = text.replace(operation, &format!("{operation}        return_notice: PUT /returns/{{key}}\n"));
    std::fs::write(&world.config, format!("{}\n{flow}", text.trim_end())).unwrap();
    let checked = world.run(&["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stderr));
    let serving = world.serve();
    let sender =
        WebhookSender::new(&format!("http://{}/in/crm/credit_note", world.listen), CRM_SECRET).unwrap();
    let note = returned("TH-1", "HT-1");
    assert_eq!(sender.send(note.clone()).await.unwrap().status, 202);
    world.until("it waits", async || world.state("TH-1", "notice").await == "waiting").await;
    let list = world.json(&["deliveries", "list", "--key", "TH-1"]);
    let one = list.as_array().unwrap().iter().find(|one| one["flow"] == "notice").unwrap();
    assert_eq!((&one["fault"]["code"], &one["fault"]["value"]), (&json!("related-missing"), &json!("HT-1")));
    let id = one["id"].as_str().unwrap();
    assert_eq!(world.sandbox.crm_writes_of("returns", "TH-1").len(), 0, "nothing is sent before");
    // The contract comes.
    assert_eq!(world.sender().send(contract("HT-1", "C1")).await.unwrap().status, 202);
    world.until("it goes on", async || world.state("TH-1", "notice").await == "posted").await;
    let written = world.sandbox.crm_record("returns", "TH-1").unwrap();
    assert_eq!((&written["back"], &written["revision"]), (&json!("-113.00"), &json!("1")), "{written}");
    let sold = written["of"].clone();
    // A newer contract changes nothing about how this one came to be.
    let mut newer: Value = serde_json::from_str(&contract("HT-1", "C1")).unwrap();
    newer["revision"] = json!(2);
    assert_eq!(world.sender().send(newer.to_string()).await.unwrap().status, 202);
    let told = world.json(&["mapping", "explain", "--delivery", id]);
    assert_eq!((&told["is_what_was_sent"], &told["notes"]), (&json!(true), &json!([])), "{told}");
    let fields = told["fields"].as_array().unwrap();
    let of = fields.iter().find(|field| field["target"] == "of").unwrap();
    assert_eq!((&of["reads"], &of["value"]), (&json!(["original.total_tax_included"]), &sold));
    let first = world.json(&["mapping", "explain", "--delivery", id, "--attempt", "1"]);
    assert_eq!(first["fault"]["code"], "related-missing", "then it was not there: {first}");
    // The next one takes the newer.
    assert_eq!(sender.send(returned("TH-2", "HT-1")).await.unwrap().status, 202);
    world.until("it is posted", async || world.state("TH-2", "notice").await == "posted").await;
    assert_eq!(world.sandbox.crm_record("returns", "TH-2").unwrap()["revision"], "2");
    // Real documents through an edited file, with what they look up; and a document at hand.
    let edited = NOTICE
        .replace("of: original.total_tax_included", "of: total_tax_included")
        .replace("ignore: [revision]", "ignore: [revision, original.total_tax_included]");
    let edited = write(world.folder.path(), "edited.yaml", &edited);
    let output =
        world.run(&["--json", "mapping", "diff", "--from", &notice, "--to", &edited, "--flow", "notice"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds: Vec<&str> =
        told["documents"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["money", "money"], "{told}");
    let note = write(world.folder.path(), "note.json", &note);
    let original = write(world.folder.path(), "original.json", &newer.to_string());
    let explain = ["mapping", "explain", "credit-note-to-return-notice", &note];
    assert_eq!(world.run(&explain).status.code(), Some(1), "its contract is not there");
    let told = world.json(&[&explain[..], &["--related", &format!("original={original}")]].concat());
    assert_eq!(told["document"]["revision"], "2", "{told}");
    serving.kill();
}
