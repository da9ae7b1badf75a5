//! The second door by itself, over HTTP.

use serde_json::{Value, json};

use crate::{Fault, Rule, Sandbox, SandboxConfig, System};

async fn sandbox(change: impl FnOnce(&mut SandboxConfig)) -> Sandbox {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = SandboxConfig::default();
    change(&mut config);
    Sandbox::start(config).await.unwrap()
}

async fn call(sandbox: &Sandbox, path: &str, body: Option<Value>) -> Value {
    let url = format!("{}/u8open/{path}", sandbox.url());
    let client = reqwest::Client::new();
    let request = match &body {
        Some(body) => client.post(url).body(body.to_string()),
        None => client.get(url),
    };
    let reply = request.send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 200);
    serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap()
}

/// Parameters of every business call.
async fn who(sandbox: &Sandbox) -> String {
    let base = "from_account=sandbox-caller&app_key=opa0123456789abcdef";
    let answer =
        call(sandbox, &format!("system/token?{base}&app_secret=u8-openapi-sandbox-secret"), None).await;
    assert_eq!((&answer["errcode"], &answer["token"]["expiresIn"]), (&json!("0"), &json!(7_200)));
    format!("{base}&to_account=test_sandbox&token={}", answer["token"]["id"].as_str().unwrap())
}

/// The least that the vendor's example states, with a price.
fn order(code: &str, line: Value) -> Value {
    let mut entry =
        json!({"inventorycode": "MAT0001", "quantity": "2", "irowno": "1", "dpredate": "2026-01-12"});
    entry.as_object_mut().unwrap().extend(line.as_object().unwrap().clone());
    json!({"saleorder": {"code": code, "custcode": "CUST0001", "deptcode": "0201", "entry": [entry]}})
}

#[tokio::test]
async fn an_add_is_accepted_without_a_code_and_ends_at_its_address() {
    let sandbox = sandbox(|config| config.u8_openapi.polls = 1).await;
    let who = who(&sandbox).await;
    let body = order("SO-1", json!({"taxunitprice": "50", "taxrate": "13"}));
    let accepted = call(&sandbox, &format!("api/saleorder/add?{who}&biz_id=SO-1&sync=0"), Some(body)).await;
    assert!(accepted.get("errcode").is_none() && accepted["ping_after"] == 0, "{accepted}");
    let path = accepted["url"].as_str().unwrap().split_once("/u8open/").unwrap().1.to_owned();
    assert!(call(&sandbox, &path, None).await.get("url").is_some());
    let result = call(&sandbox, &path, None).await;
    assert_eq!((&result["errcode"], &result["id"]), (&json!("0"), &json!("SO-1")));
    let got = call(&sandbox, &format!("api/saleorder/get?{who}&id=SO-1"), None).await;
    let (got, line) = (&got["saleorder"], &got["saleorder"]["entry"][0]);
    // Every value is a text, with the digits of its column; nothing is empty.
    assert_eq!((&got["currency"], &got["state"]), (&json!("人民币"), &json!("Opening")));
    assert_eq!(
        (&line["quantity"], &line["sum"], &line["tax"]),
        (&json!("2.000000"), &json!("100.00"), &json!("11.50"))
    );
    assert!(got.get("verifier").is_none() && got.get("memo").is_none());
    let approve = json!({"saleorder": {"voucher_code": "SO-1"}});
    for code in ["0", "20005"] {
        let answer = call(&sandbox, &format!("api/saleorder/verify?{who}"), Some(approve.clone())).await;
        assert_eq!(answer["errcode"], code);
    }
    let list = call(&sandbox, &format!("api/saleorderlist/batch_get?{who}&state=Approved"), None).await;
    assert_eq!((&list["row_count"], &list["saleorderlist"][0]["verifier"]), (&json!("1"), &json!("demo")));
    assert!(list["saleorderlist"][0].get("entry").is_none());
    let refused = call(&sandbox, &format!("api/saleorder/batch_get?{who}"), None).await;
    assert_eq!(refused["errcode"], "10001");
}

#[tokio::test]
async fn prices_without_tax_have_the_amounts_worked_out_anew() {
    let sandbox = sandbox(|_| ()).await;
    let who = who(&sandbox).await;
    for (index, (line, sum)) in [
        // Amounts that are stated beside a price with tax stand as stated.
        (
            json!({"taxunitprice": "50", "taxrate": "13", "sum": "99.99", "money": "88.49", "tax": "11.50"}),
            "99.99",
        ),
        (json!({"unitprice": "50", "taxrate": "13", "sum": "1"}), "113.00"),
        (json!({"unitprice": "50", "taxunitprice": "60", "taxrate": "13"}), "120"),
        // The platform's own rate is an old one.
        (json!({"unitprice": "50"}), "116.00"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("api/saleorder/add?{who}&biz_id=SO-{index}&sync=1");
        let answer = call(&sandbox, &path, Some(order(&format!("SO-{index}"), line))).await;
        assert_eq!(answer["errcode"], "0", "{answer}");
        let gross = sandbox.u8_order(&format!("SO-{index}")).unwrap().gross;
        assert_eq!(gross, sum.parse().unwrap(), "{index}");
    }
}

#[tokio::test]
async fn keys_are_used_once_and_tokens_end() {
    let sandbox = sandbox(|config| config.u8_openapi.run_ms = 1_000).await;
    let who = who(&sandbox).await;
    let price = json!({"taxunitprice": "50", "taxrate": "13"});
    let trade = call(&sandbox, &format!("system/tradeid?{who}"), None).await;
    let trade = trade["trade"]["id"].as_str().unwrap().to_owned();
    let add = async |key: &str, code: &str| {
        let path = format!("api/saleorder/add?{who}&{key}");
        call(&sandbox, &path, Some(order(code, price.clone()))).await["errcode"].clone()
    };
    assert_eq!(add("", "SO-1").await, "10001", "neither");
    assert_eq!(add(&format!("tradeid={trade}&biz_id=SO-1"), "SO-1").await, "10001", "both");
    assert_eq!(add("tradeid=unknown", "SO-1").await, "10001");
    assert_eq!(add(&format!("tradeid={trade}"), "SO-1").await, Value::Null, "accepted");
    assert_eq!(add(&format!("tradeid={trade}"), "SO-1").await, "30025", "still executing");
    assert_eq!(add("biz_id=SO-2", "SO-2").await, Value::Null);
    assert_eq!(add("biz_id=SO-2", "SO-2").await, "30025");
    assert_eq!(sandbox.u8_orders().len(), 0);
    sandbox.advance_ms(1_000);
    assert_eq!(sandbox.u8_orders().len(), 2, "imported when their time has come, asked about or not");
    assert_eq!(add(&format!("tradeid={trade}"), "SO-3").await, "20005");
    assert_eq!(add("biz_id=SO-2", "SO-2").await, "20005");
    sandbox.fault(Rule::new(Fault::SessionDropped).on(System::U8OpenApi, "saleorder/add").times(1));
    assert_eq!(add("biz_id=SO-4", "SO-4").await, "90002");
    sandbox.advance_ms(7_200_000);
    assert_eq!(add("biz_id=SO-4", "SO-4").await, "90002");
    assert_eq!(
        call(&sandbox, "system/token?from_account=x&app_key=y&app_secret=z", None).await["errcode"],
        "90001"
    );
}

#[tokio::test]
async fn eai_refuses_inside_the_platforms_error() {
    let sandbox = sandbox(|_| ()).await;
    let who = who(&sandbox).await;
    let mut body = order("SO-1", json!({"taxunitprice": "50"}));
    body["saleorder"]["personcode"] = json!("NOBODY");
    let answer = call(&sandbox, &format!("api/saleorder/add?{who}&biz_id=1&sync=1"), Some(body)).await;
    assert_eq!(answer["errcode"], "20005");
    assert_eq!(answer["errmsg"], "U8 服务调用失败:key='SO-1';该业务员不合法,请重新输入。;;");
}
