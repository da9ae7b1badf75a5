//! The stand-in by itself, over HTTP.

use encoding_rs::GBK;

use crate::{Fault, Rule, Sandbox, SandboxConfig, System, U8Charset, u8::U8Change};

async fn post(sandbox: &Sandbox, body: impl Into<Vec<u8>>) -> (u16, Vec<u8>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("{}/u8eai/IMPORT.asp", sandbox.url());
    let reply = reqwest::Client::new().post(url).body(body.into()).send().await.unwrap();
    let status = reply.status().as_u16();
    (status, reply.bytes().await.unwrap().to_vec())
}

async fn text(sandbox: &Sandbox, body: &str) -> String {
    String::from_utf8(post(sandbox, body).await.1).unwrap()
}

fn envelope(roottag: &str, operation: &str, inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><ufinterface sender=\"u8-sandbox-sender\" receiver=\"u8\" \
         roottag=\"{roottag}\" docid=\"M-1\" proc=\"{operation}\">{inner}</ufinterface>"
    )
}

fn order(code: &str, customer: &str) -> String {
    format!(
        "<saleorder><header><id/><typecode>01</typecode><date>2026-01-05</date><code>{code}</code>\
         <custcode>{customer}</custcode><deptcode>0201</deptcode><currency>人民币</currency><currencyrate>1</currencyrate>\
         <maker>demo</maker><memo>镕&amp;基</memo></header><body><entry><inventorycode>MAT0001</inventorycode>\
         <quantity>2</quantity><taxunitprice>50</taxunitprice><taxrate>13</taxrate></entry></body></saleorder>"
    )
}

async fn sandbox(change: impl FnOnce(&mut SandboxConfig)) -> Sandbox {
    let mut config = SandboxConfig::default();
    change(&mut config);
    Sandbox::start(config).await.unwrap()
}

#[tokio::test]
async fn an_order_is_stored_and_its_missing_amounts_follow_from_the_price() {
    let sandbox = sandbox(|_| ()).await;
    let answer = text(&sandbox, &envelope("saleorder", "ADD", &order("SO-1", "CUST0001"))).await;
    for part in ["roottag", "return", "M-1", "request-roottag", "saleorder", "SO-1"] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    let stored = sandbox.u8_order("SO-1").unwrap();
    let amounts = [stored.net, stored.tax, stored.gross].map(|amount| amount.to_string());
    assert_eq!(amounts, ["88.50", "11.50", "100"]);
    assert_eq!(stored.note, "镕&基");
    let answer = text(&sandbox, &envelope("saleorder", "add", &order("so-1", "CUST0001"))).await;
    assert!(answer.contains("不可重复") && sandbox.u8_orders().len() == 1, "{answer}");
    // Without a number of ours every repeat is another order.
    for _ in 0..2 {
        text(&sandbox, &envelope("saleorder", "add", &order("", "CUST0001"))).await;
    }
    assert_eq!(sandbox.u8_orders().len(), 3);
}

#[tokio::test]
async fn several_documents_stand_or_fail_each_on_its_own() {
    let sandbox = sandbox(|_| ()).await;
    let three = [order("SO-1", "CUST0001"), order("SO-2", "NOBODY"), order("SO-3", "CUST0001")].concat();
    let answer = text(&sandbox, &envelope("saleorder", "add", &three)).await;
    assert_eq!(answer.matches("<item").count(), 3, "{answer}");
    assert!(answer.contains("该客户不合法,请重新输入。;"), "{answer}");
    let numbers: Vec<String> = sandbox.u8_orders().into_iter().map(|order| order.number).collect();
    assert_eq!(numbers, ["SO-1", "SO-3"]);
}

#[tokio::test]
async fn what_the_template_does_not_have_is_named_in_lower_case() {
    let sandbox = sandbox(|_| ()).await;
    let odd =
        order("SO-1", "CUST0001").replace("<memo>", "<cMemo/><memo>").replace("<cMemo/>", "<cMemo>x</cMemo>");
    let answer = text(&sandbox, &envelope("saleorder", "add", &odd)).await;
    assert!(answer.contains("数据库没有提供的字段(cmemo)! 或者提供该字段的值格式不正确!;"), "{answer}");
    let wrong = order("SO-1", "CUST0001").replace("<quantity>2<", "<quantity>two<");
    assert!(text(&sandbox, &envelope("saleorder", "add", &wrong)).await.contains("(quantity)"));
    // Element names are case-sensitive: this is no sales order.
    assert!(text(&sandbox, &envelope("SaleOrder", "add", "")).await.contains("暂不提供此项功能"));
    assert!(sandbox.u8_orders().is_empty());
}

#[tokio::test]
async fn requests_and_answers_in_gbk() {
    let sandbox = sandbox(|config| {
        config.u8.response_charset = U8Charset::Gbk;
        config.u8.declare_encoding = true;
    })
    .await;
    let body = envelope("saleorder", "add", &order("SO-1", "CUST0001")).replace("utf-8", "gb2312");
    post(&sandbox, GBK.encode(&body).0.into_owned()).await;
    assert_eq!(sandbox.u8_order("SO-1").unwrap().note, "镕&基");
    let query = envelope(
        "saleorder",
        "query",
        "<saleorder><field name='cSOCode' operation='=' value='SO-1'/></saleorder>",
    );
    let (_, bytes) = post(&sandbox, query).await;
    assert!(bytes.windows(2).any(|two| two == b"\xE9\x46"), "镕 as GBK has it");
    let answer = GBK.decode(&bytes).0.into_owned();
    for part in ["encoding=", "gb2312", "镕&amp;基", "<sum>100.00</sum>", "2026-01-05 00:00:00"] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
}

#[tokio::test]
async fn the_page_behaves_like_a_page() {
    let sandbox = sandbox(|config| config.u8.request_limit = Some(2_000)).await;
    assert_eq!(post(&sandbox, "<a").await.0, 500);
    assert_eq!(post(&sandbox, "<!DOCTYPE a><ufinterface/>").await.0, 500);
    assert_eq!(post(&sandbox, " ".repeat(2_001)).await.0, 413);
    let answer = text(&sandbox, "<ufinterface sender='nobody' roottag='saleorder' proc='add'/>").await;
    assert!(answer.contains("外部系统未注册"), "{answer}");
    let reply = reqwest::get(format!("{}/U8EAI/import.asp", sandbox.url())).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.text().await.unwrap().as_str()), (200, "正常"));
}

#[tokio::test]
async fn its_own_faults_are_played() {
    let sandbox = sandbox(|_| ()).await;
    for (fault, part, stands) in [
        (Fault::NothingWritten, "succeed=", false),
        (Fault::RuntimeError { after_commit: false }, "With block", false),
        (Fault::RuntimeError { after_commit: true }, "With block", true),
        (Fault::DuplicateAccepted, "不可重复", true),
        (Fault::Throttled { retry_after: None }, "系统忙", false),
    ] {
        let code = format!("SO-{}", sandbox.faults_injected().values().sum::<u64>());
        sandbox.fault(Rule::new(fault.clone()).on(System::U8, "add saleorder").key(&code).times(1));
        let answer = text(&sandbox, &envelope("saleorder", "add", &order(&code, "CUST0001"))).await;
        assert!(answer.replace('\'', "\"").contains(part), "{fault:?}: {answer}");
        assert_eq!(sandbox.u8_order(&code).is_some(), stands, "{fault:?}");
    }
}

#[tokio::test]
async fn receipts_change_under_the_eyes_of_who_asks() {
    let sandbox = sandbox(|_| ()).await;
    text(&sandbox, &envelope("saleorder", "add", &order("SO-1", "CUST0001"))).await;
    sandbox.u8_pay("SO-1", "60.50".parse().unwrap(), "SK-1").unwrap();
    assert!(sandbox.u8_pay("SO-1", "1".parse().unwrap(), "SK-1").is_err());
    let query = envelope(
        "accept",
        "query",
        "<accept><field name='cCheckMan' operation='&lt;&gt;' value=''/></accept>",
    );
    let answer = text(&sandbox, &query).await;
    assert!(
        answer.contains("<originalamount>60.50</originalamount>") && !answer.contains("checker"),
        "{answer}"
    );
    sandbox.u8_change("SK-1", &U8Change::Amount(0, "0.5".parse().unwrap())).unwrap();
    assert!(text(&sandbox, &query).await.contains("<originalamount>.50</originalamount>"));
    sandbox.u8_change("SK-1", &U8Change::Unaudit).unwrap();
    assert!(!text(&sandbox, &query).await.contains("SK-1"));
    sandbox.u8_change("SK-1", &U8Change::Delete).unwrap();
    assert!(sandbox.u8_receipts().is_empty());
}
