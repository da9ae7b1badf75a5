//! Tests over HTTP: helpers shared by the systems' tests, faults, CRM, Jiandaoyun, control listener.

use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::{Fault, Rule, Sandbox, SandboxConfig, System, crm::WebhookSender, jdy::PushSender, wire::client};

/// A caller that logs in by session.
pub(crate) struct Caller {
    pub http: reqwest::Client,
    pub base: String,
    pub session: String,
}

pub(crate) fn service(operation: &str) -> String {
    let group = match operation {
        "ValidateUser" | "LoginByAppSecret" | "LoginBySign" | "Logout" => {
            "Kingdee.BOS.WebApi.ServicesStub.AuthService"
        }
        "GetDataCenterList" => "Kingdee.BOS.ServiceFacade.ServicesStub.Account.AccountService",
        _ => "Kingdee.BOS.WebApi.ServicesStub.DynamicFormService",
    };
    format!("k3cloud/{group}.{operation}.common.kdsvc")
}

impl Caller {
    pub async fn new(sandbox: &Sandbox) -> Self {
        let http = client::build(Duration::from_secs(10)).unwrap();
        let mut caller = Self { http, base: sandbox.url(), session: String::new() };
        let config = &sandbox.config().kingdee;
        let login = caller
            .raw(
                "ValidateUser",
                &json!({"parameters": [config.acct_id, config.user_name, config.password, 2052]}),
            )
            .await;
        assert_eq!(login["LoginResultType"], 1, "{login}");
        caller.session = login["KDSVCSessionId"].as_str().unwrap().to_owned();
        caller
    }

    pub async fn send(&self, operation: &str, body: &Value) -> Result<reqwest::Response, reqwest::Error> {
        self.http
            .post(format!("{}/{}", self.base, service(operation)))
            .header("kdservice-sessionid", &self.session)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
    }

    pub async fn raw(&self, operation: &str, body: &Value) -> Value {
        let response = self.send(operation, body).await.unwrap();
        assert_eq!(response.status(), 200);
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    /// A call on sales orders.
    pub async fn call(&self, operation: &str, data: Value) -> Value {
        self.raw(operation, &json!({"formid": "SAL_SaleOrder", "data": data})).await
    }

    /// `ResponseStatus` of a call on sales orders.
    pub async fn status(&self, operation: &str, data: Value) -> Value {
        self.call(operation, data).await["Result"]["ResponseStatus"].take()
    }

    pub async fn save(&self, number: &str) -> Value {
        self.status("Save", json!({"Model": order(number)})).await
    }

    /// Saves, submits and audits.
    pub async fn audited(&self, number: &str) {
        assert_eq!(self.save(number).await["IsSuccess"], true);
        for operation in ["Submit", "Audit"] {
            let status = self.status(operation, json!({"Numbers": [number]})).await;
            assert_eq!(status["IsSuccess"], true, "{operation} {status}");
        }
    }

    pub async fn query(&self, form: &str, keys: &str, filter: &str) -> Value {
        self.raw(
            "ExecuteBillQuery",
            &json!({"data": {"FormId": form, "FieldKeys": keys, "FilterString": filter}}),
        )
        .await
    }
}

/// A two-line order, 339.00 + 100.00 gross.
pub(crate) fn order(number: &str) -> Value {
    json!({
        "FBillTypeID": {"FNUMBER": "XSDD01_SYS"}, "FBillNo": number, "FDate": "2026-11-20",
        "FSaleOrgId": {"FNumber": "100"}, "FCustId": {"FNumber": "CUST0001"},
        "FSalerId": {"FNumber": "SP0001"}, "FNote": "合同",
        "FSaleOrderFinance": {"FSettleCurrId": {"FNumber": "PRE001"}},
        "FSaleOrderEntry": [
            {"FMaterialId": {"FNumber": "MAT0001"}, "FQty": 3, "FTaxPrice": 113, "FEntryTaxRate": 13,
             "FDeliveryDate": "2026-12-20"},
            {"FMaterialId": {"FNumber": "MAT0002"}, "FQty": 1, "FTaxPrice": "100.00", "FEntryTaxRate": 13,
             "FDeliveryDate": "2026-12-20"}
        ]
    })
}

pub(crate) fn d(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

async fn start() -> (Sandbox, Caller) {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let caller = Caller::new(&sandbox).await;
    (sandbox, caller)
}

fn on_save(fault: Fault) -> Rule {
    Rule::new(fault).on(System::Kingdee, "Save").times(1)
}

#[tokio::test]
async fn lost_answers_are_transport_errors() {
    let (sandbox, caller) = start().await;
    for (number, fault, committed) in [
        ("L1", Fault::LostAnswerAfterCommit, true),
        ("L2", Fault::LostBeforeCommit, false),
        ("L3", Fault::ResetMidBody, true),
    ] {
        sandbox.fault(on_save(fault.clone()).key(number));
        let body = json!({"formid": "SAL_SaleOrder", "data": {"Model": order(number)}});
        let sent = caller.send("Save", &body).await;
        let lost = match sent {
            Err(error) => error,
            Ok(response) => {
                assert_eq!(fault, Fault::ResetMidBody, "an answer came through");
                response.bytes().await.unwrap_err()
            }
        };
        assert!(!lost.is_timeout(), "{lost:?}");
        assert_eq!(sandbox.order(number).is_some(), committed, "{fault:?}");
    }
    // The same client goes on over a new connection.
    assert_eq!(caller.save("L2").await["IsSuccess"], true);
    assert_eq!(caller.save("L1").await["MsgCode"], 11);
    assert_eq!(sandbox.faults_injected().values().sum::<u64>(), 3);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn proxies_and_broken_bodies() {
    let (sandbox, caller) = start().await;
    let body = |number: &str| json!({"formid": "SAL_SaleOrder", "data": {"Model": order(number)}});
    for (number, status, after) in [("P1", 502, true), ("P2", 503, false), ("P3", 504, true)] {
        let fault = Fault::Http { status, retry_after: Some(7), after_commit: after };
        sandbox.fault(on_save(fault));
        let response = caller.send("Save", &body(number)).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["retry-after"], "7");
        assert!(response.text().await.unwrap().starts_with("<html>"));
        assert_eq!(sandbox.order(number).is_some(), after, "{number}");
    }
    sandbox.fault(on_save(Fault::EmptyForbidden));
    let response = caller.send("Save", &body("P4")).await.unwrap();
    assert_eq!((response.status().as_u16(), response.bytes().await.unwrap().len()), (403, 0));
    sandbox.fault(on_save(Fault::TruncatedJson));
    let bytes = caller.send("Save", &body("P5")).await.unwrap().bytes().await.unwrap();
    assert!(serde_json::from_slice::<Value>(&bytes).is_err());
    sandbox.fault(on_save(Fault::Garbage));
    let bytes = caller.send("Save", &body("P5b")).await.unwrap().bytes().await.unwrap();
    assert!(std::str::from_utf8(&bytes).is_err() && sandbox.order("P5b").is_some());
    sandbox.fault(on_save(Fault::Drip { ms: 5 }));
    let begun = std::time::Instant::now();
    let bytes = caller.send("Save", &body("P5c")).await.unwrap().bytes().await.unwrap();
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(value["Result"]["Number"], "P5c");
    assert!(begun.elapsed() >= Duration::from_millis(15 * 5), "{:?}", begun.elapsed());
    sandbox.fault(on_save(Fault::ResponseErrorPrefix));
    let text = caller.send("Save", &body("P6")).await.unwrap().text().await.unwrap();
    assert!(text.starts_with("response_error:{"));
    sandbox.fault(on_save(Fault::Bom));
    let bytes = caller.send("Save", &body("P7")).await.unwrap().bytes().await.unwrap();
    assert!(bytes.starts_with(&[0xEF, 0xBB, 0xBF]));
    sandbox.fault(on_save(Fault::BadCharset));
    let response = caller.send("Save", &body("P8")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json; charset=gb2312");
    sandbox.fault(on_save(Fault::Gzip));
    let response = caller.send("Save", &body("P9")).await.unwrap();
    let value: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(value["Result"]["Number"], "P9");
    sandbox.fault(on_save(Fault::RedirectHtml));
    // The client follows the redirect and is given a page instead of an answer.
    let page = caller.send("Save", &body("P10")).await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().starts_with("<html>"));
    assert!(sandbox.order("P10").is_none() && sandbox.order("P6").is_none());
    sandbox.shutdown().await;
}

#[tokio::test]
async fn slow_work_is_done_after_the_caller_has_gone() {
    let (sandbox, caller) = start().await;
    assert_eq!(caller.save("S1").await["IsSuccess"], true);
    caller.status("Submit", json!({"Numbers": ["S1"]})).await;
    sandbox.fault(Rule::new(Fault::Slow { ms: 400, after_commit: false }).on(System::Kingdee, "Audit"));
    let audit = caller
        .http
        .post(format!("{}/{}", caller.base, service("Audit")))
        .header("kdservice-sessionid", &caller.session)
        .timeout(Duration::from_millis(100))
        .body(json!({"formid": "SAL_SaleOrder", "data": {"Numbers": ["S1"]}}).to_string())
        .send()
        .await;
    assert!(audit.unwrap_err().is_timeout());
    assert_eq!(sandbox.order("S1").unwrap().status, "B");
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while sandbox.order("S1").unwrap().status != "C" {
        assert!(std::time::Instant::now() < deadline, "the audit was never committed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_slow_calls() {
    let (sandbox, caller) = start().await;
    sandbox.fault(on_save(Fault::Slow { ms: 60_000, after_commit: true }));
    let url = sandbox.url();
    let pending = tokio::spawn(async move { caller.save("X1").await });
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while sandbox.faults_injected().is_empty() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = std::time::Instant::now();
    sandbox.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(pending.await.unwrap()["IsSuccess"], true);
    assert!(reqwest_gone(&url).await, "the listener is still there");
}

async fn reqwest_gone(url: &str) -> bool {
    let http = client::build(Duration::from_secs(1)).unwrap();
    http.get(url).send().await.is_err_and(|error| error.is_connect())
}

#[tokio::test]
async fn crm_keeps_versions_and_history() {
    let (sandbox, caller) = start().await;
    let url = format!("{}/crm/opportunities/OPP-1", sandbox.url());
    let send = |method: &str, body: Value, more: &[(&str, &str)]| {
        let mut request = caller
            .http
            .request(method.parse().unwrap(), &url)
            .header("authorization", "Bearer crm-sandbox-token")
            .body(body.to_string());
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        request.send()
    };
    assert_eq!(caller.http.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(send("GET", json!({}), &[]).await.unwrap().status(), 404);
    let created =
        send("PATCH", serde_json::from_str(r#"{"stage":"won","paid":{"amount":1.10}}"#).unwrap(), &[])
            .await
            .unwrap();
    assert_eq!(created.status(), 200);
    assert_eq!(created.headers()["etag"], "\"1\"");
    let stale = send("PATCH", json!({"stage": "lost"}), &[("if-match", "\"7\"")]).await.unwrap();
    assert_eq!(stale.status(), 409);
    let merged =
        send("PATCH", json!({"paid": {"at": "2026-11-20"}}), &[("if-match", "\"1\"")]).await.unwrap();
    assert_eq!(merged.status(), 200);
    assert_eq!(
        sandbox.crm_record("opportunities", "OPP-1").unwrap().to_string(),
        r#"{"id":"OPP-1","version":2,"stage":"won","paid":{"amount":1.10,"at":"2026-11-20"}}"#
    );
    sandbox.fault(
        Rule::new(Fault::Throttled { retry_after: Some(3) }).on(System::Crm, "PATCH opportunities").times(1),
    );
    let throttled = send("PATCH", json!({}), &[]).await.unwrap();
    assert_eq!(
        (throttled.status().as_u16(), throttled.headers()["retry-after"].as_bytes()),
        (429, &b"3"[..])
    );
    let writes = sandbox.crm_writes_of("opportunities", "OPP-1");
    assert_eq!(writes.iter().map(|write| write.version).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(writes[1].before["stage"], "won");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn jiandaoyun_updates_known_records_only() {
    let (sandbox, caller) = start().await;
    sandbox.seed_jdy("app1", "form1", "6564a1", serde_json::Map::new());
    let url = format!("{}/jdy/api/v5/app/entry/data/update", sandbox.url());
    let update = |data_id: &str, key: &str| {
        let body = json!({"app_id": "app1", "entry_id": "form1", "data_id": data_id,
                          "data": {"_widget_1": {"value": "已到账"}, "amount": {"value": 12.50}}});
        caller.http.post(&url).header("authorization", format!("Bearer {key}")).body(body.to_string()).send()
    };
    assert_eq!(update("6564a1", "wrong").await.unwrap().status(), 401);
    assert_eq!(update("6564a1", "jdy-sandbox-key").await.unwrap().status(), 200);
    let unknown = update("nobody", "jdy-sandbox-key").await.unwrap();
    assert_eq!(unknown.status(), 400);
    assert!(unknown.text().await.unwrap().contains("4001"));
    assert_eq!(sandbox.jdy_record("6564a1").unwrap(), json!({"_widget_1": "已到账", "amount": 12.50}));
    assert_eq!(sandbox.jdy_writes().len(), 1);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn webhooks_and_pushes_arrive_signed() {
    // The control and CRM surfaces answer; what matters here is status and number of tries.
    let (sandbox, _caller) = start().await;
    let webhook = WebhookSender::new(&format!("{}/clock", sandbox.control_url()), "secret").unwrap();
    assert_eq!(webhook.send("{}").await.unwrap().status, 405);
    let good =
        PushSender::new(&format!("{}/clock/advance", sandbox.control_url()), "s", Duration::ZERO).unwrap();
    let (pushed, tries) = good.push("d-1", r#"{"ms":5}"#).await.unwrap();
    assert_eq!((pushed.status, tries), (200, 1));
    let bad = PushSender::new(&format!("{}/nowhere", sandbox.control_url()), "s", Duration::ZERO).unwrap();
    let (pushed, tries) = bad.push("d-2", "{}").await.unwrap();
    assert_eq!((pushed.status, tries), (404, 6));
    sandbox.shutdown().await;
}

#[tokio::test]
async fn control_listener_scripts_and_shows() {
    let (sandbox, caller) = start().await;
    let post = |path: &str, body: Value| {
        caller
            .http
            .post(format!("{}{path}", sandbox.control_url()))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
    };
    let seeded = post("/seed/customers", json!([["C1", "甲"], ["C2", "乙"], ["C1", "甲"]])).await.unwrap();
    assert_eq!(seeded.text().await.unwrap(), r#"{"added":2}"#);
    let rule = json!([{"system": "kingdee", "operation": "Save", "nth": 1, "fault": {"kind": "edit_lock"}}]);
    assert_eq!(post("/faults", rule).await.unwrap().status(), 200);
    let locked = caller.save("C-1").await;
    assert!(locked["Errors"][0]["Message"].as_str().unwrap().contains("冲突，请稍候再使用"), "{locked}");
    caller.audited("C-1").await;
    let paid =
        post("/kingdee/pay", json!({"order": "C-1", "amount": "339.00", "number": "R-1"})).await.unwrap();
    assert_eq!(paid.status(), 200);
    assert_eq!(
        post("/kingdee/pay", json!({"order": "NO", "amount": 1, "number": "R-2"})).await.unwrap().status(),
        409
    );
    let changed = post("/kingdee/receipts/R-1/amount", json!({"amount": 200.5})).await.unwrap();
    assert_eq!(changed.status(), 200);
    assert_eq!(sandbox.receipts()[0].amount, d("200.5"));
    assert_eq!(post("/kingdee/receipts/R-1/void", json!({})).await.unwrap().status(), 200);
    let get = |path: &str| caller.http.get(format!("{}{path}", sandbox.control_url())).send();
    let orders: Value =
        serde_json::from_str(&get("/state/orders").await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(orders[0]["gross"], "439.00", "{orders}");
    let state: Value = serde_json::from_str(&get("/state").await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(state["sale_orders"]["max_same_number"], 1);
    assert_eq!(state["faults"]["edit_lock"], 1);
    assert_eq!(state["calls"]["kingdee Save"], 2);
    assert_eq!(get("/state/bills/AR_RECEIVEBILL/R-1").await.unwrap().status(), 200);
    assert_eq!(get("/state/orders/none").await.unwrap().status(), 404);
    // Nothing of the control surface is on the protocol listener.
    assert_eq!(caller.http.get(format!("{}/state", sandbox.url())).send().await.unwrap().status(), 404);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn asking_before_repeating_gives_every_order_once_under_faults() {
    let (sandbox, caller) = start().await;
    for (fault, rate) in [
        (Fault::LostAnswerAfterCommit, 100_000),
        (Fault::LostBeforeCommit, 100_000),
        (Fault::Http { status: 504, retry_after: None, after_commit: true }, 100_000),
        (Fault::EditLock, 100_000),
        (Fault::DuplicateAccepted, 50_000),
    ] {
        sandbox.fault(Rule::new(fault).on(System::Kingdee, "Save").per_million(rate));
    }
    let caller = std::sync::Arc::new(caller);
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..100 {
        let caller = std::sync::Arc::clone(&caller);
        tasks.spawn(async move {
            let number = format!("M{index}");
            let body = json!({"formid": "SAL_SaleOrder", "data": {"Model": order(&number)}});
            for _ in 0..20 {
                let there = caller.query("SAL_SaleOrder", "FID", &format!("FBillNo='{number}'")).await;
                if there != json!([]) {
                    return;
                }
                // Whatever comes back: the next look tells what really happened.
                let _ = caller.send("Save", &body).await;
            }
            panic!("{number} never arrived");
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let orders = sandbox.orders();
    assert_eq!(orders.len(), 100);
    assert!(orders.iter().all(|order| order.same_number == 1 && order.gross == d("439.00")));
    // The plan is decided by seed and key: the same numbers in any order give the same counts.
    let injected = sandbox.faults_injected();
    assert!(injected.len() == 5 && injected.values().all(|count| *count > 0), "{injected:?}");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn racing_saves_of_one_number_make_one_bill() {
    let (sandbox, caller) = start().await;
    let caller = std::sync::Arc::new(caller);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let caller = std::sync::Arc::clone(&caller);
        tasks.spawn(async move { caller.save("RACE").await["IsSuccess"] == true });
    }
    let mut won = 0;
    while let Some(task) = tasks.join_next().await {
        won += usize::from(task.unwrap());
    }
    assert_eq!((won, sandbox.orders().len()), (1, 1));
    sandbox.shutdown().await;
}
