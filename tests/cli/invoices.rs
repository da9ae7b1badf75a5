//! Invoices under control: in parts, too much, taken back, put together, withdrawn; the commands of
//! `deploy/month-end/invoices.zh-CN.md` in its order.

use super::*;
use tongbao_sandbox::Lifecycle;

const GUIDE: &str = include_str!("../../deploy/month-end/invoices.zh-CN.md");

/// A world whose invoices are controlled; those of C1 wait to be put together if so wanted.
async fn world(together: &str, config: SandboxConfig) -> World {
    let world = World::with(config).await;
    let text = std::fs::read_to_string(&world.config).unwrap();
    std::fs::write(&world.config, flows::controlled(&text, together)).unwrap();
    world
}

fn at_once() -> SandboxConfig {
    let mut config = SandboxConfig::default();
    config.nuonuo.lifecycle = Lifecycle::Polls(0);
    config
}

fn request(number: &str, contract: &str, quantity: &str, total: &str) -> String {
    json!({
        "number": number, "contract_number": contract, "requested_at": "2026-11-21T10:00:00+08:00", "kind": "专票",
        "currency": "CNY",
        "customer": {"code": "C1", "name": "宁波样例贸易有限公司", "tax_number": "91330200MA0000000X"},
        "lines": [{"line": 1, "product": {"code": "P-100", "name": "软件平台"}, "quantity": quantity,
            "unit_price_tax_included": "113.00", "tax_rate": "0.13"}],
        "total_tax_included": total,
    })
    .to_string()
}

fn red(number: &str, contract: &str, invoice: &str, lines: Value) -> String {
    let mut body = json!({
        "number": number, "contract_number": contract, "blue_invoice": invoice,
        "requested_at": "2026-11-22T10:00:00+08:00", "reason": "退货", "currency": "CNY",
    });
    if !lines.is_null() {
        body["lines"] = lines;
    }
    body.to_string()
}

impl World {
    async fn push(&self, kind: &str, body: String) {
        let url = format!("http://{}/in/crm/{kind}", self.listen);
        let pushed = WebhookSender::new(&url, CRM_SECRET).unwrap().send(body).await.unwrap();
        assert_eq!(pushed.status, 202, "{}", String::from_utf8_lossy(&pushed.body));
    }

    /// Number of the invoice that was issued under an order number, once it is booked here.
    async fn invoiced(&self, contract: &str, order: &str) -> String {
        let number = async || {
            let shown = self.shown(contract).await;
            let orders = shown["orders"].as_array().cloned().unwrap_or_default();
            let found = orders.iter().find(|one| one["number"] == order && one["kind"] == "order").cloned();
            found.and_then(|one| one["invoice"].as_str().map(str::to_owned)).unwrap_or_default()
        };
        self.until(&format!("{order} is issued"), async || !number().await.is_empty()).await;
        number().await
    }

    async fn shown(&self, contract: &str) -> Value {
        let (_, body) = self.get(&format!("/api/invoices/contracts/{contract}")).await;
        serde_json::from_str(&body).unwrap()
    }

    async fn left(&self, contract: &str) -> String {
        self.shown(contract).await["left"].as_str().unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_is_invoiced_in_parts_and_taken_back_and_never_beyond() {
    let world = world("", at_once()).await;
    world.know_one_customer();
    let check = world.run(&["check"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    let serving = world.serve();
    world.push("contract", contract("HT-1", "C1")).await;
    world.push("invoice_request", request("KP-1", "HT-1", "1", "113.00")).await;
    let first = world.invoiced("HT-1", "KP-1").await;
    world.push("invoice_request", request("KP-2", "HT-1", "3", "339.00")).await;
    world
        .until("too much is refused", async || world.state("KP-2", "control-invoice").await == "rejected")
        .await;
    world.until("the CRM is told", async || world.state("KP-2", "refusal-back").await == "posted").await;
    let told = world.sandbox.crm_writes_of("invoice_refusals", "KP-2");
    assert!(told.len() == 1 && told[0].body.to_string().contains("226.00"), "{told:?}");
    let told = world.run(&["deliveries", "list", "--flow", "control-invoice", "--state", "rejected"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("over-invoiced"), "{told}");
    world.push("invoice_request", request("KP-3", "HT-1", "2", "226.00")).await;
    let second = world.invoiced("HT-1", "KP-3").await;
    assert_eq!(world.left("HT-1").await, "0.00");

    // A part of the second is taken back, then what is left of it, then the first wholly.
    world.push("red_request", red("HZ-1", "HT-1", &second, json!([{"line": 1, "quantity": "1"}]))).await;
    world.invoiced("HT-1", "HZ-1").await;
    assert_eq!(world.left("HT-1").await, "113.00");
    world.push("red_request", red("HZ-2", "HT-1", &second, Value::Null)).await;
    world.push("red_request", red("HZ-3", "HT-1", &first, Value::Null)).await;
    world.invoiced("HT-1", "HZ-2").await;
    world.invoiced("HT-1", "HZ-3").await;
    world.push("red_request", red("HZ-4", "HT-1", &first, Value::Null)).await;
    world
        .until("there is nothing left to take back", async || {
            world.state("HZ-4", "control-red").await == "rejected"
        })
        .await;
    assert_eq!(world.left("HT-1").await, "339.00");
    let mut platform: Vec<(String, String, bool)> = world
        .sandbox
        .invoices()
        .into_iter()
        .map(|one| (one.order_no, one.gross.to_string(), one.red_of.is_some()))
        .collect();
    platform.sort();
    let issued = |number: &str, gross: &str, is_red: bool| (number.to_owned(), gross.to_owned(), is_red);
    assert_eq!(
        platform,
        [
            issued("HZ-1", "-113.00", true),
            issued("HZ-2", "-113.00", true),
            issued("HZ-3", "-113.00", true),
            issued("KP-1", "113.00", false),
            issued("KP-3", "226.00", false),
        ]
    );
    // The account agrees, and so does the comparison.
    let (_, owed) = world.get("/api/receivables/contracts/HT-1").await;
    let owed: Value = serde_json::from_str(&owed).unwrap();
    assert_eq!(owed["contracts"][0]["sums"]["invoiced"], "0.00", "{owed}");
    let (status, ways) = world.get("/api/threeway?contract=HT-1").await;
    let ways: Value = serde_json::from_str(&ways).unwrap();
    assert_eq!((status, &ways["contracts"][0]["ordered"]), (200, &json!("339.00")), "{ways}");
    assert_eq!(ways["contracts"][0]["matches"], json!(["to-invoice"]), "{ways}");
    world.answers_as_described("/invoices/contracts/HT-1", "InvoiceControl", 200).await;
    world.answers_as_described("/invoices/contracts/HT-7", "Error", 404).await;
    world.answers_as_described("/threeway", "ThreeWay", 200).await;
    let (code, log) = serving.stop();
    assert_eq!(code, Some(0));
    for secret in ["91330200MA0000000X", "宁波样例贸易有限公司", "0574-12345678"] {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_invoices_works() {
    let world = world("C1", at_once()).await;
    world.know_one_customer();
    let serving = world.serve();
    for number in ["HT-1", "HT-2", "HT-3"] {
        world.push("contract", contract(number, "C1")).await;
    }
    world.push("invoice_request", request("KP-1", "HT-1", "1", "113.00")).await;
    world.push("invoice_request", request("KP-2", "HT-2", "3", "339.00")).await;
    world.push("invoice_request", request("KP-9", "HT-3", "3", "339.00")).await;
    let waiting = async || {
        let (_, body) = world.get("/api/invoices/waiting?customer=C1").await;
        serde_json::from_str::<Value>(&body).unwrap()["waiting"].as_array().unwrap().len()
    };
    world.until("three requests wait", async || waiting().await == 3).await;
    world.answers_as_described("/invoices/waiting", "WaitingRequests", 200).await;
    for line in commands(GUIDE, 7) {
        let done = shell(&world, &line);
        let shown = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{line}: {shown}{}", String::from_utf8_lossy(&done.stderr));
        assert!(!shown.trim().is_empty(), "{line} shows nothing");
    }
    assert_eq!(waiting().await, 0);
    assert_eq!(world.left("HT-3").await, "339.00", "KP-9 was withdrawn");
    // One invoice for two contracts: each has its share, and the account too.
    let number = world.invoiced("HT-1", "KP-1").await;
    assert_eq!(world.invoiced("HT-2", "KP-1").await, number);
    let invoices = world.sandbox.invoices();
    assert_eq!((invoices.len(), invoices[0].gross.to_string()), (1, "452.00".to_owned()));
    for (contract, share) in [("HT-1", "113.00"), ("HT-2", "339.00")] {
        let (_, owed) = world.get(&format!("/api/receivables/contracts/{contract}")).await;
        let owed: Value = serde_json::from_str(&owed).unwrap();
        assert_eq!(owed["contracts"][0]["sums"]["invoiced"], share, "{owed}");
    }
    // What was issued is not withdrawn, what is nobody's is not put together, and wrong bodies are told so.
    let body = r#"{"by": "李会计", "reason": "x"}"#;
    assert_eq!(world.post("/api/invoices/orders/KP-1/withdraw", body).await.0, 409);
    assert_eq!(world.post("/api/invoices/together", r#"{"customer": "C1"}"#).await.0, 409);
    assert_eq!(world.get("/api/invoices/waiting?costumer=C1").await.0, 400);
    assert_eq!(world.run(&["recon", "invoices", "show", "HT-7"]).status.code(), Some(1));
    assert_eq!(world.run(&["recon", "threeway"]).status.code(), Some(1));
    // Taken back of one contract: the other keeps its share.
    world.push("red_request", red("HZ-1", "HT-2", &number, Value::Null)).await;
    world.invoiced("HT-2", "HZ-1").await;
    assert_eq!((world.left("HT-1").await, world.left("HT-2").await), ("226.00".into(), "339.00".into()));
    assert_eq!(serving.stop().0, Some(0));
}

/// Nobody asks: what is signed is invoiced, and of an amendment what it adds.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_invoiced_under_control() {
    let world = world("", at_once()).await;
    let text = std::fs::read_to_string(&world.config).unwrap();
    let flow = text.lines().find(|line| line.contains("# - { name: control-contract,")).unwrap();
    std::fs::write(&world.config, text.replace(flow, &flow.replace("# -", "-"))).unwrap();
    world.know_one_customer();
    let serving = world.serve();
    world.push("contract", contract("HT-1", "C1")).await;
    world.invoiced("HT-1", "HT-1").await;
    assert_eq!(world.left("HT-1").await, "0.00");
    let mut amended: Value = serde_json::from_str(&contract("HT-1", "C1")).unwrap();
    amended["revision"] = json!(2);
    amended["lines"][0]["quantity"] = json!("5");
    amended["total_tax_included"] = json!("565.00");
    world.push("contract", amended.to_string()).await;
    world.invoiced("HT-1", "HT-1-R2").await;
    assert_eq!(world.left("HT-1").await, "0.00");
    // A request beside it finds nothing left.
    world.push("invoice_request", request("KP-1", "HT-1", "1", "113.00")).await;
    world
        .until("nothing is left to ask for", async || {
            world.state("KP-1", "control-invoice").await == "rejected"
        })
        .await;
    let mut issued: Vec<(String, String)> =
        world.sandbox.invoices().into_iter().map(|one| (one.order_no, one.gross.to_string())).collect();
    issued.sort();
    assert_eq!(issued, [("HT-1".into(), "339.00".into()), ("HT-1-R2".into(), "226.00".into())]);
    assert_eq!(serving.stop().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_that_pass_the_control_by_are_refused() {
    let world = world("", SandboxConfig::default()).await;
    let text = std::fs::read_to_string(&world.config).unwrap();
    let check = |edited: String| {
        std::fs::write(&world.config, edited).unwrap();
        let output = world.run(&["check"]);
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let past = "  - { name: past, on: contract.signed, to: tax, mapping: contract-to-nuonuo-invoice, emits: invoice.issued }\n";
    for (from, to, told) in [
        ("\nflows:\n", format!("\nflows:\n{past}"), "绕过开票控制"),
        ("  - { name: red-invoice,", "  # - { name: red-invoice,".to_owned(), "不会开票"),
        ("  - { name: account-invoice,", "  # - { name: account-invoice,".to_owned(), "不会入账"),
        ("event: red_invoice.requested", "event: red_invoice.approved".to_owned(), "只能由开票控制产生"),
        (
            "on: invoice.requested, to: invoicing",
            "on: payment.received, to: invoicing".to_owned(),
            "invoicing 只处理",
        ),
        ("tolerance: \"0.05\"", "tolerance: \"2\"".to_owned(), "tolerance"),
        ("rows_max: 2000", "rows_max: 1".to_owned(), "rows_max"),
        ("together: []", "together: [[]]".to_owned(), "together"),
    ] {
        assert!(text.contains(from), "{from}");
        let (code, shown) = check(text.replacen(from, &to, 1));
        assert!(code == Some(3) && shown.contains(told), "{told}: {code:?} {shown}");
    }
    assert_eq!(check(text.clone()).0, Some(0));
}
