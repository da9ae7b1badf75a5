//! Code tables filled from the ERP's master data, and stock for tickets.

use super::*;
use tongbao_sandbox::{MasterSpec, StockSpec};

/// A contract of a customer under a code and a name.
fn of_customer(number: &str, code: &str, name: &str) -> String {
    let mut contract: Value = serde_json::from_str(&contract(number, code)).unwrap();
    contract["customer"]["name"] = json!(name);
    contract.to_string()
}

/// A world whose documents lack customers: one whose name the ERP has once, one twice, one disabled.
async fn lacking() -> (World, Serving) {
    let world = World::new().await;
    let materials = write(world.folder.path(), "materials.csv", "source,target\nP-100,MAT0001\n");
    assert_eq!(world.run(&["tables", "import", "materials", &materials]).status.code(), Some(0));
    for (code, name, disabled) in [
        ("E-21", "同名样例有限公司", false),
        ("E-22", " 同名样例 有限责任公司", false),
        ("E-31", "停用样例有限公司", true),
    ] {
        let spec = MasterSpec { disabled, ..MasterSpec::new(code, name) };
        world.sandbox.put_master("customers", &spec).unwrap();
    }
    let serving = world.serve();
    for (number, code, name) in [
        ("HT-1", "C1", "宁波样例贸易有限责任公司"),
        ("HT-2", "C2", "同名样例有限公司"),
        ("HT-3", "C3", "停用样例有限公司"),
    ] {
        assert_eq!(world.sender().send(of_customer(number, code, name)).await.unwrap().status, 202);
    }
    world
        .until("all wait", async || {
            let mut parked = 0;
            for number in ["HT-1", "HT-2", "HT-3"] {
                parked += usize::from(world.state(number, "order").await == "parked");
            }
            parked == 3
        })
        .await;
    (world, serving)
}

/// A file of proposals in which lines are confirmed, and targets filled in, by their source.
fn marked(text: &str, marks: &[(&str, &str, &str)]) -> String {
    let lines = text.lines().map(|line| {
        let mut cells: Vec<&str> = line.split(',').collect();
        for (source, target, mark) in marks {
            if cells[1] == *source && (cells[4] == *target || cells[4].is_empty()) {
                (cells[0], cells[4]) = (mark, target);
            }
        }
        cells.join(",")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_proposed_confirmed_by_a_person_and_their_documents_go_on() {
    let (world, serving) = lacking().await;
    let file = world.folder.path().join("customers.csv");
    let path = file.to_str().unwrap();
    let told = world.run(&["tables", "propose", "customers", "--connection", "erp", "--out", path]);
    assert_eq!(told.status.code(), Some(0), "{}", said(&told));
    assert!(said(&told).contains("1 pairs, 1 ties, 0 conflicts, 1 not found"), "{}", said(&told));
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = |code: &str| text.lines().filter(|line| line.split(',').nth(1) == Some(code)).count();
    assert_eq!((lines("C1"), lines("C2"), lines("C3")), (1, 2, 1), "{text}");
    let offered = |code: &str| text.lines().any(|line| line.split(',').nth(4) == Some(code));
    assert!(offered("CUST0002") && offered("E-21") && !offered("E-31"), "{text}");

    let confirm = |marks: &[(&str, &str, &str)], more: &[&str]| {
        let file = write(world.folder.path(), "confirmed.csv", &marked(&text, marks));
        world.run(&[&["tables", "confirm", &file], more].concat())
    };
    let rows = || world.json(&["tables", "export", "customers"]).as_array().unwrap().len();
    for (marks, why) in [
        (&[][..], "no row is confirmed"),
        (&[("C2", "E-21", "y"), ("C2", "E-22", "y")], "choose one"),
        // Not in the ERP; not to be used any more; no word that means yes.
        (&[("C3", "E-99", "y")], "no code `E-99`"),
        (&[("C3", "E-31", "y")], "no code `E-31`"),
        (&[("C1", "CUST0002", "vielleicht")], "`confirm` is y"),
    ] {
        let refused = confirm(marks, &[]);
        assert_eq!(refused.status.code(), Some(1), "{marks:?}");
        assert!(said(&refused).contains(why), "{marks:?}: {}", said(&refused));
        assert_eq!(rows(), 0, "{marks:?}");
    }
    // Another's row for one of the codes came in between: that one is refused, and so is the file.
    let other = write(world.folder.path(), "other.csv", "source,target\nC2,E-22\n");
    assert_eq!(world.run(&["tables", "import", "customers", &other]).status.code(), Some(0));
    let refused = confirm(&[("C1", "CUST0002", "是"), ("C2", "E-21", "y")], &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("`C2` of the table `customers` has changed"), "{}", said(&refused));

    let done = confirm(&[("C1", "CUST0002", "是")], &["--by", "li"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(said(&done).contains("deliveries replay --code code-table-miss"), "{}", said(&done));
    let list = world.json(&["tables", "export", "customers"]);
    let row = list.as_array().unwrap().iter().find(|row| row["source"] == "C1").unwrap();
    assert!(row["target"] == "CUST0002" && row["note"].as_str().unwrap().starts_with("li 确认于 "), "{row}");
    let replayed = world.run(&["deliveries", "replay", "--code", "code-table-miss"]);
    assert_eq!(replayed.status.code(), Some(0), "{}", said(&replayed));
    world.until("it goes on", async || world.state("HT-1", "order").await == "posted").await;
    assert_eq!(world.sandbox.order("HT-1").unwrap().customer, "CUST0002");
    assert_eq!(world.state("HT-3", "order").await, "parked");
    // What has a row gets no proposal any more.
    let again = world.json(&["tables", "propose", "customers", "--connection", "erp"]);
    let left: Vec<&Value> =
        again["proposals"].as_array().unwrap().iter().map(|one| &one["ours"]["code"]).collect();
    assert_eq!(left, [&json!("C3")]);

    // In Excel the same columns are read back, and nothing is confirmed by itself.
    let sheet = world.folder.path().join("customers.xlsx");
    let sheet = sheet.to_str().unwrap();
    assert_eq!(
        world.run(&["tables", "propose", "customers", "--connection", "erp", "--out", sheet]).status.code(),
        Some(0)
    );
    let unmarked = world.run(&["tables", "confirm", sheet]);
    assert!(unmarked.status.code() == Some(1) && said(&unmarked).contains("no row is confirmed"));
    let wrong = world.run(&["tables", "propose", "customers", "--connection", "crm"]);
    assert!(
        wrong.status.code() == Some(1) && said(&wrong).contains("those that do: erp"),
        "{}",
        said(&wrong)
    );
    let wrong = world.run(&["tables", "propose", "kunden", "--connection", "erp"]);
    assert!(wrong.status.code() == Some(1) && said(&wrong).contains("customers or materials"));
    assert_eq!(serving.stop().0, Some(0));
    world.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_proposes_and_confirms() {
    let (world, serving) = lacking().await;
    let (status, body) = world.get("/api/tables/customers/proposals?connection=erp").await;
    assert_eq!(status, 200, "{body}");
    let made: Value = serde_json::from_str(&body).unwrap();
    let verdicts: Vec<&str> =
        made["proposals"].as_array().unwrap().iter().map(|one| one["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["pair", "tie", "nothing"]);
    assert_eq!(made["proposals"][0]["theirs"]["code"], "CUST0002");
    let confirm = async |proposal: &Value, rows: Value, replay: bool| {
        let body = json!({"proposal": proposal, "rows": rows, "by": "wang", "replay": replay});
        let address = format!("http://{}/api/tables/customers/confirm", world.listen);
        let sent = reqwest::Client::new().post(address).header("content-type", "application/json");
        let response = sent.body(body.to_string()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let one = |source: &str, target: &str| json!({"source": source, "target": target});
    for (proposal, rows, status) in [
        (json!("none"), json!([one("C1", "CUST0002")]), 409),
        (made["proposal"].clone(), json!([]), 400),
        (made["proposal"].clone(), json!([one("C2", "E-21"), one("C2", "E-22")]), 409),
        (made["proposal"].clone(), json!([one("C1", "E-31")]), 409),
    ] {
        let told = confirm(&proposal, rows.clone(), false).await;
        assert_eq!(told.0, status, "{rows}: {}", told.1);
    }
    let (status, body) = confirm(&made["proposal"], json!([one("C1", "CUST0002")]), true).await;
    assert_eq!(status, 200, "{body}");
    let done: Value = serde_json::from_str(&body).unwrap();
    assert!(done["confirmed"] == 1 && done["replayed"].as_u64() >= Some(1), "{done}");
    world.until("it goes on", async || world.state("HT-1", "order").await == "posted").await;
    let again = confirm(&made["proposal"], json!([one("C1", "CUST0002")]), false).await;
    assert!(again.0 == 409 && again.1.contains("has changed since"), "{}", again.1);
    assert_eq!(world.get("/api/tables/customers/proposals?connection=crm").await.0, 404);
    assert_eq!(serving.stop().0, Some(0));
    world.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_is_asked_by_either_code_and_the_erp_is_not_hammered() {
    let world = World::new().await;
    world.know_one_customer();
    let lot = StockSpec {
        material: "MAT0001".into(),
        warehouse: "CK002".into(),
        on_hand: "0.125".parse().unwrap(),
        available: "0".parse().unwrap(),
    };
    world.sandbox.add_stock(&lot);
    world.sandbox.add_stock(&lot);
    let ask = |more: &[&str]| {
        world.json(&[&["query", "stock", "--connection", "erp", "--material"], more].concat())
    };
    let told = ask(&["MAT0001,MAT0002,NONE"]);
    let stock = &told["materials"][0]["stock"];
    assert_eq!(
        (&stock[0]["warehouse"], &stock[0]["on_hand"], &stock[0]["available"], &stock[0]["unit"]),
        (&json!("CK001"), &json!("120"), &json!("100.5"), &json!("TAO"))
    );
    assert_eq!((&stock[1]["on_hand"], &stock[1]["available"]), (&json!("0.25"), &json!("0")));
    assert_eq!(
        (&told["materials"][1]["unknown"], &told["materials"][2]["unknown"]),
        (&json!(false), &json!(true))
    );
    let by_crm = ask(&["P-100", "--crm", "--warehouse", "CK002"]);
    assert_eq!(by_crm["materials"][0]["material"], "MAT0001");
    assert_eq!(by_crm["materials"][0]["stock"].as_array().unwrap().len(), 1);
    let shown = world.run(&["query", "stock", "--connection", "erp", "--material", "P-100,", "--crm"]);
    assert!(said(&shown).contains("P-100 → MAT0001") && said(&shown).contains("as of"), "{}", said(&shown));
    let missed = world.run(&["query", "stock", "--connection", "erp", "--material", "P-999", "--crm"]);
    assert_eq!(missed.status.code(), Some(1));
    assert!(said(&missed).contains("tables propose materials --connection erp"), "{}", said(&missed));

    let serving = world.serve();
    let get = async |question: &str| {
        let (status, body) = world.get(&format!("/api/connections/{question}")).await;
        (status, serde_json::from_str::<Value>(&body).unwrap_or_default())
    };
    let (status, first) = get("erp/stock?material=P-100&by=crm").await;
    assert!(status == 200 && first["cached"] == false, "{first}");
    let (_, second) = get("erp/stock?material=P-100&by=crm").await;
    assert!(second["cached"] == true && second["as_of_ms"] == first["as_of_ms"], "{second}");
    for (question, expected) in [
        ("nowhere/stock?material=A", 404),
        ("tax/stock?material=A", 404),
        ("erp/stock?material=", 400),
        ("erp/stock?material=A&by=both", 400),
        ("erp/stock?material=A&warehous=B", 400),
        ("erp/stock?material=P-999&by=crm", 422),
    ] {
        let (status, told) = get(question).await;
        assert_eq!(status, expected, "{question}: {told}");
    }
    // Busy over there is told as such, and a paused connection is not called at all.
    let busy = Rule::new(Fault::Throttled { retry_after: None }).on(System::Kingdee, "ExecuteBillQuery");
    world.sandbox.fault(busy.times(u64::MAX));
    assert_eq!(get("erp/stock?material=MAT0002").await.0, 429);
    world.sandbox.clear_faults();
    assert_eq!(world.run(&["connections", "pause", "erp", "--reason", "盘点"]).status.code(), Some(0));
    world.until("it is paused", async || get("erp/stock?material=MAT0001").await.0 == 409).await;
    for command in [
        &["query", "stock", "--connection", "erp", "--material", "MAT0001"][..],
        &["tables", "propose", "customers", "--connection", "erp"],
    ] {
        let refused = world.run(command);
        assert!(refused.status.code() == Some(1) && said(&refused).contains("盘点"), "{}", said(&refused));
    }
    assert_eq!(serving.stop().0, Some(0));
    world.sandbox.shutdown().await;
}
