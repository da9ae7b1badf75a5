//! Mappings edited under a running service.

use super::*;

const ORDER: &str = "mappings/contract/contract__kingdee-cloud.yaml";
const NAME: &str = "contract-to-kingdee-sales-order";

fn version(told: &Value) -> String {
    let loaded = told["mappings"]["loaded"].as_array().unwrap();
    let one = loaded.iter().find(|one| one["name"] == NAME).unwrap();
    one["version"].as_str().unwrap().to_owned()
}

/// Posts a contract; answers the order's delivery, once it is posted, and the mapping that made it.
async fn posted(world: &World, number: &str) -> (String, String) {
    assert_eq!(world.sender().send(contract(number, "C1")).await.unwrap().status, 202);
    world.until("it is posted", async || world.state(number, "order").await == "posted").await;
    let list = world.json(&["deliveries", "list", "--key", number]);
    let one = list.as_array().unwrap().iter().find(|one| one["flow"] == "order").unwrap();
    let id = one["id"].as_str().unwrap().to_owned();
    let shown = world.json(&["deliveries", "show", &id]);
    let made_by = shown["attempts"].as_array().unwrap().last().unwrap()["mapping"].clone();
    (id, made_by.as_str().unwrap().to_owned())
}

/// Writes a file as editors do: whole or not at all, however busy the machine is.
fn put(file: &Path, text: &str) {
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, file).unwrap();
}

/// An edit takes over by itself, when asked and at SIGHUP; a mistake does not, is told where people look, and stops
/// nobody; and what was made before is explained by what made it.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_mapping_takes_over_and_a_mistake_does_not() {
    let world = World::new().await;
    world.know_one_customer();
    let text = std::fs::read_to_string(&world.config).unwrap();
    std::fs::write(&world.config, format!("{text}\nreload: {{ every_ms: 100 }}\n")).unwrap();
    let serving = world.serve();
    let file = world.folder.path().join(ORDER);
    let whole = std::fs::read_to_string(&file).unwrap();
    let loaded = || world.json(&["mapping", "status"]);
    let first = version(&loaded());
    let (before, made_by) = posted(&world, "HT-1").await;
    assert_eq!(made_by, format!("{NAME}@{first}"));
    // By itself.
    let edited = whole.replace("concat(\"合同 \", number", "concat(\"订单 \", number");
    assert_ne!(edited, whole);
    put(&file, &edited);
    world.until("it takes over", async || version(&loaded()) != first).await;
    let second = version(&loaded());
    let (after, made_by) = posted(&world, "HT-2").await;
    assert_eq!(made_by, format!("{NAME}@{second}"));
    // A mistake.
    put(&file, &edited.replacen("signed_at", "signed_on", 1));
    let output = world.run(&["mapping", "reload"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("source-unknown") && told.contains(&second), "{told}");
    let line = 1 + edited.lines().position(|line| line.contains("signed_at")).unwrap();
    let status = world.json(&["deliveries", "status"]);
    assert_eq!(status["mappings_refused"][0]["findings"][0]["line"], line, "{status}");
    let status = String::from_utf8(world.run(&["deliveries", "status"]).stdout).unwrap();
    assert!(status.contains("source-unknown"), "{status}");
    let ready: Value = serde_json::from_str(&world.get("/readyz").await.1).unwrap();
    assert_eq!((&ready["ready"], &ready["mappings_refused"]), (&json!(true), &json!(1)));
    assert!(world.get("/metrics").await.1.contains("tongbao_mappings_refused 1"));
    assert_eq!(posted(&world, "HT-3").await.1, format!("{NAME}@{second}"), "the old one goes on");
    // What made a document explains it.
    let note = |told: &Value| {
        let fields = told["fields"].as_array().unwrap();
        let one = fields.iter().find(|field| field["target"] == "FNote").unwrap();
        one["value"].as_str().unwrap().trim().to_owned()
    };
    let customers = write(world.folder.path(), "new.csv", "source,target\nC1,CUST9999\n");
    assert_eq!(world.run(&["tables", "import", "customers", &customers]).status.code(), Some(0));
    for (delivery, version, expected) in [(&before, &first, "合同 HT-1"), (&after, &second, "订单 HT-2")]
    {
        let told = world.json(&["mapping", "explain", "--delivery", delivery]);
        assert_eq!(
            (told["mapping"].as_str(), note(&told).as_str()),
            (Some(&*format!("{NAME}@{version}")), expected)
        );
        assert_eq!((&told["is_what_was_sent"], &told["notes"]), (&json!(true), &json!([])), "{told}");
        assert!(told["fields"].to_string().contains("customers: C1 → CUST0001"), "the row of then: {told}");
        let path = format!("/api/deliveries/{delivery}/explain?attempt=1");
        let told: Value = serde_json::from_str(&world.get(&path).await.1).unwrap();
        assert_eq!((note(&told).as_str(), &told["in_use"]), (expected, &json!(format!("{NAME}@{second}"))));
    }
    assert_eq!(world.run(&["mapping", "explain", "--delivery", "nothing"]).status.code(), Some(1));
    assert_eq!(world.get("/api/deliveries/nothing/explain").await.0, 404);
    // Mended, at a signal.
    put(&file, &format!("# 又改\n{whole}"));
    serving.signal("-HUP");
    // Not by the command, which fails as long as something is refused.
    let refused = async || {
        let told: Value = serde_json::from_str(&world.get("/api/mappings").await.1).unwrap();
        told["mappings"]["refused"].clone()
    };
    world.until("it is mended", async || refused().await == json!([])).await;
    assert!(![first, second].contains(&version(&loaded())));
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("a changed mapping does not take over").count(), 1, "told once: {log}");
    assert_eq!(world.run(&["mapping", "status"]).status.code(), Some(4), "nobody answers");
}

/// Files of an earlier version are refused; rewritten together with what they build on, they are as good as any.
#[test]
fn earlier_files_are_rewritten_with_what_they_build_on() {
    let folder = tempfile::tempdir().unwrap();
    let shipped =
        stage::MAPPINGS.iter().find(|(path, _)| path.ends_with("commission__webhook.yaml")).unwrap().1;
    let earlier = shipped.replace("version: 2\n", "version: 1\ndoc: 佣金\n");
    std::fs::create_dir(folder.path().join("parts")).unwrap();
    write(&folder.path().join("parts"), "base.yaml", &earlier);
    let own = write(folder.path(), "own.yaml", "mapping: own\nversion: 2\nextends: parts/base.yaml\n");
    let check = |more: &[&str]| {
        let output =
            Command::new(binary()).args(["--json", "mapping", "check", &own]).args(more).output().unwrap();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (code, told) = check(&[]);
    assert_eq!((code, &told["findings"][0]["code"]), (Some(3), &json!("version-old")), "{told}");
    let (code, told) = check(&["--fix"]);
    assert_eq!(
        (code, told["errors"].as_u64(), told["fixed"].as_array().unwrap().len()),
        (Some(0), Some(0), 2),
        "{told}"
    );
    let base = std::fs::read_to_string(folder.path().join("parts/base.yaml")).unwrap();
    assert_eq!(base, shipped.replace("version: 2\n", "version: 2\n# 佣金\n"));
    let (code, told) = check(&["--fix"]);
    assert_eq!((code, &told["fixed"]), (Some(0), &json!([])), "a second time changes nothing");
}
