//! What contracts and customers owe, by command and by API, now and as it was known before.

use super::*;

/// A contract of one line under a revision and for so many pieces of 113.00.
fn ordered(number: &str, revision: i64, pieces: u32) -> String {
    let mut contract: Value = serde_json::from_str(&contract(number, "C1")).unwrap();
    contract["revision"] = json!(revision);
    contract["lines"][0]["quantity"] = json!(pieces.to_string());
    contract["total_tax_included"] = json!(format!("{}.00", 113 * pieces));
    contract.to_string()
}

async fn is_on_account(world: &World, number: &str, ordered: &str) -> bool {
    let (_, body) = world.get(&format!("/api/receivables/contracts/{number}")).await;
    let told: Value = serde_json::from_str(&body).unwrap();
    told["contracts"][0]["sums"]["ordered"] == ordered
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_can_be_told_again_as_it_was_known() {
    let world = World::new().await;
    world.know_one_customer();
    let serving = world.serve();
    assert_eq!(world.get("/api/receivables/contracts/HT-1").await.0, 404);
    for (number, revision, pieces) in [("HT-1", 1, 3), ("HT-2", 1, 1)] {
        assert_eq!(world.sender().send(ordered(number, revision, pieces)).await.unwrap().status, 202);
    }
    world
        .until("both are on their accounts", async || {
            is_on_account(&world, "HT-1", "339.00").await && is_on_account(&world, "HT-2", "113.00").await
        })
        .await;
    let before = jiff::Timestamp::now().to_string();
    assert_eq!(world.sender().send(ordered("HT-1", 2, 5)).await.unwrap().status, 202);
    world.until("the amendment is", async || is_on_account(&world, "HT-1", "565.00").await).await;

    let now = world.json(&["recon", "customer", "C1"]);
    assert_eq!(
        now["totals"],
        json!([{"currency": "CNY", "ordered": "678.00", "invoiced": "0", "received": "0",
        "receivable": "0", "advance": "0", "open": "678.00"}])
    );
    let then = world.json(&["recon", "customer", "C1", "--as-of", &before]);
    assert_eq!(then["totals"][0]["open"], "452.00", "as it was known then: {then}");
    assert_eq!(then["contracts"][0]["entries"][0]["revision"], 1);
    let (status, body) = world.get(&format!("/api/receivables/customers/C1?as_of={before}")).await;
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (200, then));
    let (status, body) = world.get("/api/receivables/customers/C1?as_of=yesterday").await;
    assert!(status == 400 && body.contains("2026-11-30"), "{status} {body}");
    assert_eq!(world.get("/api/receivables/customers/C9").await.0, 404);

    let shown = world.run(&["recon", "contract", "HT-1"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && text.contains("565.00") && text.contains("ordered"), "{text}");
    assert_eq!(world.run(&["recon", "contract", "HT-9"]).status.code(), Some(1));
    assert_eq!(world.run(&["recon", "contract", "HT-1", "--as-of", "30.11."]).status.code(), Some(2));
    assert_eq!(serving.stop().0, Some(0));
}
