//! Nuonuo over HTTP: transport, checks, life cycle, callbacks, red letters.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::sign;
use crate::{Fault, Lifecycle, NuonuoConfig, Rule, Sandbox, SandboxConfig, System, tests::d, wire::client};

struct Seller {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Seller {
    async fn new(sandbox: &Sandbox) -> Self {
        let http = client::build(Duration::from_secs(10)).unwrap();
        let mut seller = Self { http, url: sandbox.url(), token: String::new() };
        seller.token = seller.fetch_token().await["access_token"].as_str().unwrap().to_owned();
        seller
    }

    async fn fetch_token(&self) -> Value {
        let response = self
            .http
            .post(format!("{}/accessToken", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("client_id=94729384&client_secret=A1B2C3D4E5F60718&grant_type=client_credentials")
            .send()
            .await
            .unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    async fn send(&self, method: &str, signed: &str, body: &str) -> Value {
        let (senid, nonce) = ("0123456789abcdef0123456789abcdef", "48151623");
        let time = (crate::clock::wall_ms() / 1000).to_string();
        let text = sign::message("/open/v1/services", "94729384", senid, nonce, &time, signed.as_bytes());
        let url = format!(
            "{}/open/v1/services?senid={senid}&nonce={nonce}&timestamp={time}&appkey=94729384",
            self.url
        );
        let response = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("accesstoken", &self.token)
            .header("x-nuonuo-sign", sign::sign("A1B2C3D4E5F60718", &text))
            .header("usertax", "339902999999789113")
            .header("method", format!("nuonuo.OpeMplatform.{method}"))
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    async fn call(&self, method: &str, body: Value) -> Value {
        let text = body.to_string();
        self.send(method, &text, &text).await
    }

    async fn issue(&self, order_no: &str) -> Value {
        self.call("requestBillingNew", order(order_no)).await
    }

    async fn status(&self, order_no: &str) -> String {
        let answer = self.call("queryInvoiceResult", json!({"orderNos": [order_no]})).await;
        answer["result"][0]["status"].as_str().unwrap_or_else(|| answer["code"].as_str().unwrap()).to_owned()
    }
}

fn order(order_no: &str) -> Value {
    json!({"order": {
        "orderNo": order_no, "salerTaxNum": "339902999999789113", "salerTel": "0571-00000000",
        "salerAddress": "杭州市示例路1号", "buyerName": "宁波样例贸易有限公司", "buyerTaxNum": "91330200MA0000000X",
        "invoiceDate": "2026-11-01 10:00:00", "clerk": "开票员", "invoiceType": "1", "invoiceLine": "bs",
        "pushMode": "-1", "remark": "",
        "invoiceDetail": [
            {"goodsName": "软件平台", "goodsCode": "1060201010000000000", "withTaxFlag": "1", "price": "1000",
             "num": "1", "taxRate": "0.13", "taxIncludedAmount": "1000.00", "taxExcludedAmount": "884.96",
             "tax": "115.04", "invoiceLineProperty": "2"},
            {"goodsName": "软件平台", "goodsCode": "1060201010000000000", "withTaxFlag": "1", "taxRate": "0.13",
             "taxIncludedAmount": "-125.00", "taxExcludedAmount": "-110.62", "tax": "-14.38",
             "invoiceLineProperty": "1"}
        ]
    }})
}

async fn start(change: impl FnOnce(&mut NuonuoConfig)) -> (Sandbox, Seller) {
    let mut config = SandboxConfig::default();
    change(&mut config.nuonuo);
    let sandbox = Sandbox::start(config).await.unwrap();
    let seller = Seller::new(&sandbox).await;
    (sandbox, seller)
}

#[tokio::test]
async fn issues_in_three_steps_and_once() {
    let (sandbox, seller) = start(|config| config.not_found_polls = 1).await;
    let answer = seller.issue("SO-1").await;
    assert_eq!(answer["code"], "E0000");
    assert_eq!(answer["result"]["invoiceSerialNum"].as_str().unwrap().len(), 20);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(seller.status("SO-1").await);
    }
    assert_eq!(seen, ["E9500", "20", "21", "2"]);
    assert_eq!(seller.issue("SO-1").await["code"], "E9106");
    let shown =
        seller.call("queryInvoiceResult", json!({"orderNos": ["SO-1"], "isOfferInvoiceDetail": "1"})).await;
    let shown = &shown["result"][0];
    let number = shown["invoiceNo"].as_str().unwrap();
    assert!(number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(shown["pdfUrl"], format!("https://files.example.com/{number}.pdf"));
    assert_eq!(
        [&shown["orderAmount"], &shown["exTaxAmount"], &shown["taxAmount"]],
        ["875.00", "774.34", "100.66"]
    );
    assert_eq!(shown["invoiceItems"].as_array().unwrap().len(), 2);
    assert_eq!(sandbox.invoice("SO-1").unwrap().gross, d("875.00"));
    sandbox.shutdown().await;
}

#[tokio::test]
async fn signs_the_exact_bytes() {
    let (sandbox, seller) = start(|_| {}).await;
    let text = order("SO-1").to_string();
    let other = text.replacen(':', ": ", 1);
    let refused = seller.send("requestBillingNew", &text, &other).await;
    assert_eq!((&refused["code"], &refused["describe"]), (&json!("E9999"), &json!("签名验证失败")));
    assert!(sandbox.invoices().is_empty());
    sandbox.shutdown().await;
}

#[tokio::test]
async fn tokens_expire_and_run_out() {
    let (sandbox, mut seller) = start(|config| config.token_quota = 2).await;
    sandbox.advance_ms(86_400_001);
    assert_eq!(seller.issue("SO-1").await["code"], "070305");
    seller.token = seller.fetch_token().await["access_token"].as_str().unwrap().to_owned();
    assert_eq!(seller.issue("SO-1").await["code"], "E0000");
    assert_eq!(seller.fetch_token().await["error"], "070306");
    seller.token = "nothing".to_owned();
    assert_eq!(seller.issue("SO-2").await["code"], "070304");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn checks_fields() {
    let (sandbox, seller) = start(|_| {}).await;
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        ("/order/buyerName", json!(""), "E9999", "buyerName不能为空"),
        ("/order/orderNo", json!("X".repeat(21)), "E9999", "orderNo长度"),
        ("/order/remark", json!("注".repeat(201)), "E9999", "remark长度"),
        ("/order/pushMode", json!("1"), "E9999", "buyerPhone"),
        ("/order/pushMode", json!("0"), "E9999", "email"),
        ("/order/buyerTaxNum", json!(""), "E9999", "buyerTaxNum"),
        ("/order/invoiceDate", json!("2026-11-01"), "E9999", "invoiceDate"),
        ("/order/salerTaxNum", json!("1"), "E9999", "salerTaxNum"),
        ("/order/invoiceType", json!("2"), "E9999", "红字"),
        ("/order/invoiceDetail", json!([]), "E9999", "invoiceDetail"),
        ("/order/invoiceDetail/0/num", json!(""), "E9999", "price和num"),
        ("/order/invoiceDetail/0/tax", json!("115.05"), "E9999", "之和"),
        ("/order/invoiceDetail/0/taxRate", json!("13"), "E9999", "taxRate"),
        ("/order/invoiceDetail/0/taxIncludedAmount", json!("1000.001"), "E9999", "小数位数"),
        ("/order/invoiceDetail/0/goodsCode", json!("12"), "E9999", "19位"),
        ("/order/invoiceDetail/1/goodsName", json!("别的"), "E9105", "名称不一致"),
        ("/order/invoiceDetail/1/taxRate", json!("0.14"), "E9999", "0.06"),
        ("/order/invoiceDetail/0/invoiceLineProperty", json!("0"), "E9105", "没有被折扣行"),
        ("/order/invoiceDetail/1/invoiceLineProperty", json!("0"), "E9105", "没有折扣行"),
    ];
    for (pointer, value, code, text) in cases {
        let mut body = order("SO-1");
        *body.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        let answer = seller.call("requestBillingNew", body).await;
        assert_eq!(answer["code"], code, "{pointer}: {answer}");
        assert!(answer["describe"].as_str().unwrap().contains(text), "{pointer}: {answer}");
    }
    // Amounts are computed when one is missing.
    let mut body = order("SO-2");
    body["order"]["invoiceDetail"] = json!([{"goodsName": "服务", "withTaxFlag": "1", "price": "100", "num": "3",
                                             "taxRate": "0.13"}]);
    assert_eq!(seller.call("requestBillingNew", body).await["code"], "E0000");
    let invoice = sandbox.invoice("SO-2").unwrap();
    assert_eq!((invoice.net, invoice.tax, invoice.gross), (d("265.49"), d("34.51"), d("300.00")));
    let mut body = order("SO-3");
    let line = body["order"]["invoiceDetail"][0].clone();
    body["order"]["invoiceDetail"] = Value::Array(vec![line; 2001]);
    assert!(seller.call("requestBillingNew", body).await["describe"].as_str().unwrap().contains("2000"));
    assert_eq!(sandbox.invoices().len(), 1);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn failures_and_retries() {
    let (sandbox, seller) = start(|config| {
        config.lifecycle = Lifecycle::Polls(0);
        config.daily_tries = 3;
    })
    .await;
    let on = |fault| Rule::new(fault).on(System::Nuonuo, "requestBillingNew").times(1);
    sandbox.fault(on(Fault::InvoiceFails { cause: "授信额度不足".into() }));
    seller.issue("F-1").await;
    let shown = seller.call("queryInvoiceResult", json!({"orderNos": ["F-1"]})).await;
    assert_eq!(
        (&shown["result"][0]["status"], &shown["result"][0]["failCause"]),
        (&json!("22"), &json!("授信额度不足"))
    );
    assert_eq!(seller.call("reInvoice", json!({"orderno": "F-1"})).await["code"], "E0000");
    assert_eq!(seller.status("F-1").await, "2");
    sandbox.fault(on(Fault::SealFails));
    seller.issue("F-2").await;
    assert_eq!(seller.status("F-2").await, "24");
    let number = sandbox.invoice("F-2").unwrap().number;
    seller.call("reInvoice", json!({"orderno": "F-2"})).await;
    assert_eq!(seller.status("F-2").await, "2");
    assert_eq!(sandbox.invoice("F-2").unwrap().number, number, "the number stays");
    sandbox.fault(on(Fault::DuplicateAccepted));
    assert_eq!(seller.issue("F-3").await["code"], "E9106");
    assert!(sandbox.invoice("F-3").is_some());
    assert_eq!(seller.issue("F-3").await["code"], "E9106");
    assert_eq!(seller.issue("F-3").await["code"], "E9106");
    assert_eq!(seller.issue("F-3").await["code"], "E9613");
    sandbox.bureau_logged_out(true);
    assert!(seller.issue("F-4").await["describe"].as_str().unwrap().contains("登录"));
    sandbox.bureau_logged_out(false);
    assert_eq!(seller.issue("F-4").await["code"], "E0000");
    assert_eq!(seller.call("queryInvoiceResult", json!({"orderNos": ["none"]})).await["code"], "E9500");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn red_letters_never_exceed_the_blue() {
    let (sandbox, seller) = start(|config| config.lifecycle = Lifecycle::Polls(0)).await;
    seller.issue("B-1").await;
    let blue = sandbox.invoice("B-1").unwrap().number.unwrap();
    let form = |id: &str, details: Value| {
        json!({"billId": id, "blueInvoiceLine": "bs", "applySource": "0", "blueElecInvoiceNumber": blue,
               "sellerTaxNo": "339902999999789113", "sellerName": "甲", "buyerName": "乙", "redReason": "4",
               "invoiceDetail": details})
    };
    let part = json!([{"taxExcludedAmount": "-100.00", "tax": "-13.00"}]);
    assert_eq!(seller.call("saveInvoiceRedConfirm", form("RB-1", part)).await["result"], "RB-1");
    let bill = seller.call("queryInvoiceRedConfirm", json!({"identity": "0", "billId": "RB-1"})).await;
    let bill = &bill["result"]["list"][0];
    assert_eq!((&bill["billStatus"], &bill["taxExcludedAmount"]), (&json!("01"), &json!("-100.00")));
    let red = json!({"orderNo": "RED-1", "taxNum": "339902999999789113", "billNo": bill["billNo"], "invoiceLine": "bs"});
    assert_eq!(seller.call("fastInvoiceRed", red).await["code"], "E0000");
    assert_eq!(seller.status("RED-1").await, "2");
    assert_eq!(sandbox.invoice("RED-1").unwrap().gross, d("-113.00"));
    let over = json!([{"taxExcludedAmount": "700.00", "tax": "90.00"}]);
    let refused = seller.call("saveInvoiceRedConfirm", form("RB-2", over)).await;
    assert!(refused["describe"].as_str().unwrap().contains("超过"), "{refused}");
    // The rest takes the remainder to the cent.
    let rest = json!({"orderNo": "RED-2", "elecInvoiceNumber": blue, "invoiceLine": "bs"});
    assert_eq!(seller.call("fastInvoiceRed", rest.clone()).await["code"], "E0000");
    assert_eq!(sandbox.invoice("RED-2").unwrap().gross, d("-762.00"));
    let mut third = rest;
    third["orderNo"] = json!("RED-3");
    assert_eq!(seller.call("fastInvoiceRed", third).await["code"], "E9103");
    let sum: rust_decimal::Decimal = sandbox.invoices().iter().map(|invoice| invoice.gross).sum();
    assert_eq!(sum, d("0.00"));
    // An unconfirmed form runs out after 72 hours.
    seller.issue("B-2").await;
    let blue = sandbox.invoice("B-2").unwrap().number.unwrap();
    sandbox.red_bill_default("02");
    let mut waiting = form("RB-3", json!([]));
    waiting["blueElecInvoiceNumber"] = json!(blue);
    assert_eq!(seller.call("saveInvoiceRedConfirm", waiting).await["code"], "E0000");
    sandbox.advance_ms(20 * 3600 * 1000);
    let status = |answer: Value| answer["result"]["list"][0]["billStatus"].as_str().unwrap().to_owned();
    let ask = json!({"identity": "0", "billId": "RB-3"});
    assert_eq!(status(seller.call("queryInvoiceRedConfirm", ask.clone()).await), "02");
    let fresh = seller.fetch_token().await["access_token"].as_str().unwrap().to_owned();
    assert!(!fresh.is_empty());
    sandbox.advance_ms(53 * 3600 * 1000);
    let seller =
        Seller { token: seller.fetch_token().await["access_token"].as_str().unwrap().to_owned(), ..seller };
    assert_eq!(status(seller.call("queryInvoiceRedConfirm", ask).await), "07");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn the_bureau_may_issue_the_red_by_itself_and_replays_may_be_refused() {
    let (sandbox, seller) = start(|config| {
        config.lifecycle = Lifecycle::Polls(0);
        config.bureau_issues_red = true;
    })
    .await;
    seller.issue("B-1").await;
    let blue = sandbox.invoice("B-1").unwrap().number.unwrap();
    let form = json!({"billId": "RB-1", "blueInvoiceLine": "bs", "applySource": "0", "blueElecInvoiceNumber": blue,
                      "sellerTaxNo": "339902999999789113", "redReason": "1"});
    assert_eq!(seller.call("saveInvoiceRedConfirm", form).await["code"], "E0000");
    let bill = seller.call("queryInvoiceRedConfirm", json!({"identity": "0", "billId": "RB-1"})).await;
    let bill = &bill["result"]["list"][0];
    assert_eq!((&bill["openStatus"], bill["redInvoiceNumber"].as_str().unwrap().len()), (&json!(1), 20));
    let again = json!({"orderNo": "RED-1", "taxNum": "339902999999789113", "billNo": bill["billNo"]});
    assert_eq!(seller.call("fastInvoiceRed", again).await["code"], "E9103");
    assert_eq!(
        sandbox.invoices().iter().map(|invoice| invoice.gross).sum::<rust_decimal::Decimal>(),
        d("0.00")
    );
    sandbox.shutdown().await;
    let (sandbox, seller) = start(|config| config.reject_replay = true).await;
    assert_eq!(seller.issue("R-1").await["code"], "E0000");
    assert_eq!(seller.issue("R-2").await["describe"], "重复的请求");
    sandbox.shutdown().await;
}

/// A receiver that answers with the given bodies in turn and passes on what it got.
async fn receiver(answers: &'static [&'static str]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/cb", listener.local_addr().unwrap());
    let (send, got) = mpsc::channel(16);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            let mut buffer = [0_u8; 4096];
            loop {
                let read = stream.read(&mut buffer).await.unwrap();
                text.extend_from_slice(&buffer[..read]);
                let all = String::from_utf8_lossy(&text).into_owned();
                let Some((head, body)) = all.split_once("\r\n\r\n") else { continue };
                let length: usize = head
                    .lines()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                    .unwrap();
                if body.len() >= length {
                    send.send(body.to_owned()).await.unwrap();
                    break;
                }
            }
            let reply = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            );
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    (url, got)
}

#[tokio::test]
async fn callbacks_repeat_until_acknowledged() {
    let (sandbox, seller) = start(|config| {
        config.lifecycle = Lifecycle::Polls(0);
        config.callback_retries = vec![Duration::ZERO; 3];
        config.callback_before_reply = true;
    })
    .await;
    let (url, mut got) =
        receiver(&["busy", r#"{"status":"9999"}"#, r#"{"status":"0000","message":"ok"}"#]).await;
    let mut body = order("CB-1");
    body["order"]["callBackUrl"] = json!(url);
    assert_eq!(seller.call("requestBillingNew", body).await["code"], "E0000");
    // The first try was made before the answer.
    let first = got.try_recv().expect("callback came before the answer");
    let fields: Vec<(String, String)> = form_urlencoded::parse(first.as_bytes()).into_owned().collect();
    assert_eq!(fields[0], ("operater".to_owned(), "callback".to_owned()));
    assert_eq!(fields[1], ("orderno".to_owned(), "CB-1".to_owned()));
    let content: Value = serde_json::from_str(&fields[2].1).unwrap();
    assert_eq!(
        (&content["c_status"], &content["c_bhsje"], &content["c_hjse"]),
        (&json!("1"), &json!("774.34"), &json!("100.66"))
    );
    assert_eq!(got.recv().await.unwrap(), first);
    assert_eq!(got.recv().await.unwrap(), first);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while sandbox.callbacks().len() < 3 {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let acknowledged: Vec<bool> = sandbox.callbacks().iter().map(|(_, _, done)| *done).collect();
    assert_eq!(acknowledged, [false, false, true]);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn forged_callbacks_do_not_change_anything() {
    let (sandbox, seller) = start(|_| {}).await;
    seller.issue("FG-1").await;
    let (url, mut got) = receiver(&[r#"{"status":"0000"}"#]).await;
    assert!(sandbox.forge_callback(&url, &json!({"c_orderno": "FG-1", "c_status": "1", "c_fphm": "1"})));
    assert!(got.recv().await.unwrap().contains("FG-1"));
    assert_eq!(sandbox.invoice("FG-1").unwrap().status, "20");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn invoices_move_with_the_clock() {
    let (sandbox, seller) = start(|config| config.lifecycle = Lifecycle::Clock(60_000, 120_000)).await;
    seller.issue("T-1").await;
    assert_eq!(seller.status("T-1").await, "20");
    sandbox.advance_ms(60_000);
    assert_eq!(seller.status("T-1").await, "21");
    sandbox.advance_ms(60_000);
    assert_eq!(sandbox.invoice("T-1").unwrap().status, "2");
    sandbox.shutdown().await;
}
