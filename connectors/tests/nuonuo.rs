//! `nuonuo`: invoices out, callbacks in.

use crate::kit::{
    Connection, already, calls, cannot_tell, change, connect, decimal, done, failed, foreign, found, partial,
    pending, reached, receive, said, sandbox, sandbox_with, searched, secret, task, until,
};
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::{Inbound, Lookup, Outcome, Task};
use tongbao_model::{Class, Code};
use tongbao_sandbox::{Fault, Lifecycle, Rule, Sandbox, SandboxConfig, System};

const ISSUE: &str = "nuonuo requestBillingNew";
const TOKEN: &str = "nuonuo accessToken";
const AGAIN: &str = "nuonuo reInvoice";

pub fn with(sandbox: &Sandbox, more: &str) -> Connection {
    let config = &sandbox.config().nuonuo;
    let settings = format!(
        "base_url: {url}/open/v1/services\ntoken_url: {url}/accessToken\napp_key: '{}'\ntax_number: '{}'\n\
         seller_phone: 0571-00000000\nseller_address: 杭州市示例路1号\nclerk: 开票员\n{more}",
        config.app_key,
        config.tax_number,
        url = sandbox.url(),
    );
    connect("nuonuo", &settings)
}

pub fn connection(sandbox: &Sandbox) -> Connection {
    with(sandbox, "app_secret: { env: NUONUO_SECRET }\n")
}

/// A platform that ends every invoice at once.
pub fn at_once(config: &mut SandboxConfig) {
    config.nuonuo.lifecycle = Lifecycle::Polls(0);
}

/// A platform that does not compare our clock with its own, for tests that move one of them.
pub fn any_clock(config: &mut SandboxConfig) {
    config.nuonuo.window_secs = None;
}

/// 1000.00 less 125.00 at 13 %, and 100.00 at 6 %.
pub fn invoice(key: &str) -> Task {
    let document = json!({
        "orderNo": key, "invoiceLine": "bs", "invoiceDate": "2026-11-01 10:00:00",
        "buyerName": "宁波样例贸易有限公司", "buyerTaxNum": "91330200MA0000000X", "remark": "合同",
        "invoiceDetail": [
            {"goodsName": "软件平台", "goodsCode": "1060201010000000000", "price": "1000", "num": "1", "unit": "套",
             "taxRate": "0.13", "taxIncludedAmount": "1000.00", "taxExcludedAmount": "884.96", "tax": "115.04",
             "discount": "-125.00"},
            {"goodsName": "实施服务", "taxRate": "0.06", "taxIncludedAmount": "100.00",
             "taxExcludedAmount": "94.34", "tax": "5.66"}
        ]
    });
    task("invoice", key, document, "975.00")
}

pub fn once(operation: &str, fault: Fault) -> Rule {
    Rule::new(fault).on(System::Nuonuo, operation).times(1)
}

/// The one invoice there is, issued, with the right amounts.
fn one_issued(sandbox: &Sandbox, key: &str) {
    let invoices = sandbox.invoices();
    assert_eq!(invoices.len(), 1, "{invoices:?}");
    let invoice = &invoices[0];
    assert_eq!((invoice.order_no.as_str(), invoice.status.as_str()), (key, "2"));
    assert_eq!(
        (invoice.net, invoice.tax, invoice.gross),
        (decimal("868.68"), decimal("106.32"), decimal("975.00"))
    );
}

#[tokio::test]
async fn an_invoice_is_submitted_once_and_asked_about_until_it_stands() {
    let sandbox = sandbox().await;
    let connection = connection(&sandbox);
    assert_eq!(connection.probe().await.unwrap(), "ok");
    let task = invoice("SO-1");
    assert_eq!(connection.lookup(&task).await, Lookup::Absent);
    let failure = failed(connection.apply(&task).await);
    assert!(matches!(failure.class, Class::Throttled(Some(_))), "{failure:?}");
    let submitted = failure.reached.unwrap();
    assert_eq!(submitted.id, sandbox.invoices()[0].serial);
    // Twice more: sealed, then issued. What is known of the submit stays known.
    assert_eq!(pending(connection.lookup(&reached(&task, &submitted)).await), submitted);
    let receipt = found(connection.lookup(&reached(&task, &submitted)).await);
    assert_eq!(receipt.total_tax_included, Some(decimal("975.00")));
    assert_eq!(receipt.currency.as_deref(), Some("CNY"));
    assert_eq!(Some(&receipt.remote.number), sandbox.invoices()[0].number.as_ref());
    assert_eq!((receipt.remote.number.len(), receipt.remote.step.as_str()), (20, "issued"));
    assert_eq!(receipt.facts["status"], "issued");
    assert_eq!(
        (&receipt.facts["total_tax_excluded"], &receipt.facts["total_tax"]),
        (&json!("868.68"), &json!("106.32"))
    );
    for fact in ["pdf_url", "ofd_url", "issued_at"] {
        assert!(receipt.facts[fact].as_str().is_some_and(|text| !text.is_empty()), "{fact}");
    }
    assert_eq!((calls(&sandbox, ISSUE), calls(&sandbox, TOKEN)), (1, 1));
    one_issued(&sandbox, "SO-1");
}

#[tokio::test]
async fn a_discount_is_a_pair_of_lines() {
    let sandbox = sandbox_with(at_once).await;
    done(connection(&sandbox).apply(&invoice("SO-1")).await);
    let lines: Vec<(String, String, String)> = sandbox.invoices()[0]
        .lines
        .iter()
        .map(|line| (line.name.clone(), line.property.clone(), line.gross.to_string()))
        .collect();
    let line =
        |name: &str, property: &str, gross: &str| (name.to_owned(), property.to_owned(), gross.to_owned());
    assert_eq!(
        lines,
        [line("软件平台", "2", "1000.00"), line("软件平台", "1", "-125.00"), line("实施服务", "0", "100.00")]
    );
}

#[tokio::test]
async fn wrong_amounts_are_refused_before_anything_is_sent() {
    let sandbox = sandbox_with(at_once).await;
    let connection = connection(&sandbox);
    let sum = Task { expected: task("", "", Value::Null, "975.01").expected, ..invoice("SO-1") };
    let mut tax = invoice("SO-1");
    change(&mut tax, |document| document["invoiceDetail"][1]["tax"] = json!("5.67"));
    let mut rate = invoice("SO-1");
    change(&mut rate, |document| document["invoiceDetail"][1]["taxRate"] = json!("0.13"));
    let mut discount = invoice("SO-1");
    change(&mut discount, |document| document["invoiceDetail"][0]["discount"] = json!("-1000.01"));
    for task in [sum, tax, rate, discount] {
        assert_eq!(said(&failed(connection.apply(&task).await)), (Class::Rejected, Code::CheckFailed));
    }
    assert_eq!((calls(&sandbox, ISSUE), calls(&sandbox, TOKEN)), (0, 0));
}

#[tokio::test]
async fn a_duplicate_of_our_own_is_adopted_and_anothers_is_not() {
    let sandbox = sandbox_with(at_once).await;
    let connection = connection(&sandbox);
    sandbox.fault(once("requestBillingNew", Fault::DuplicateAccepted));
    let receipt = already(connection.apply(&invoice("SO-1")).await);
    assert_eq!(receipt.total_tax_included, Some(decimal("975.00")));
    assert_eq!(already(connection.apply(&invoice("SO-1")).await).remote, receipt.remote);
    let mut other = invoice("SO-1");
    change(&mut other, |document| document["buyerName"] = json!("另一家公司"));
    assert_eq!(said(&failed(connection.apply(&other).await)), (Class::Conflict, Code::NumberTaken));
    assert_eq!(said(&foreign(connection.lookup(&other).await)), (Class::Conflict, Code::NumberTaken));
    one_issued(&sandbox, "SO-1");
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_look_up_knows() {
    for (fault, committed) in [
        (Fault::LostAnswerAfterCommit, true),
        (Fault::ResetMidBody, true),
        (Fault::TruncatedJson, true),
        (Fault::Http { status: 502, retry_after: None, after_commit: true }, true),
        (Fault::Http { status: 503, retry_after: Some(9), after_commit: true }, true),
        (Fault::Slow { ms: 60_000, after_commit: true }, true),
        (Fault::LostBeforeCommit, false),
        (Fault::ResponseErrorPrefix, false),
        (Fault::Http { status: 504, retry_after: None, after_commit: false }, false),
    ] {
        let sandbox = sandbox_with(at_once).await;
        let connection = with(&sandbox, "app_secret: { env: NUONUO_SECRET }\ntimeout_ms: 3000\n");
        sandbox.fault(once("requestBillingNew", fault.clone()));
        let task = invoice("SO-1");
        let failure = failed(connection.apply(&task).await);
        assert_eq!(said(&failure), (Class::Unknown, Code::OutcomeUnknown), "{fault:?}");
        match (connection.lookup(&task).await, committed) {
            (Lookup::Found(receipt), true) => assert_eq!(receipt.total_tax_included, Some(decimal("975.00"))),
            (Lookup::Absent, false) => drop(done(connection.apply(&task).await)),
            (other, _) => panic!("{fault:?}: {other:?}"),
        }
        one_issued(&sandbox, "SO-1");
    }
}

#[tokio::test]
async fn what_surely_did_nothing_is_not_unknown() {
    let sandbox = sandbox_with(at_once).await;
    let connection = connection(&sandbox);
    for (fault, class, code) in [
        (Fault::RedirectHtml, Class::Misconfigured, Code::TargetMisconfigured),
        (Fault::EmptyForbidden, Class::Unauthorized, Code::TargetUnauthorized),
        (
            Fault::Http { status: 413, retry_after: None, after_commit: false },
            Class::Misconfigured,
            Code::TargetMisconfigured,
        ),
        (
            Fault::Http { status: 429, retry_after: Some(7), after_commit: false },
            Class::Throttled(Some(Duration::from_secs(7))),
            Code::TargetThrottled,
        ),
        (Fault::Throttled { retry_after: None }, Class::Throttled(None), Code::TargetThrottled),
    ] {
        sandbox.fault(once("requestBillingNew", fault.clone()));
        assert_eq!(said(&failed(connection.apply(&invoice("SO-1")).await)), (class, code), "{fault:?}");
        assert!(sandbox.invoices().is_empty());
    }
    // The answer to the question after the submit is lost: it was submitted, and that is known.
    sandbox.fault(once("queryInvoiceResult", Fault::ResetMidBody));
    let failure = failed(connection.apply(&invoice("SO-1")).await);
    assert_eq!(failure.class, Class::Unknown);
    found(connection.lookup(&reached(&invoice("SO-1"), &failure.reached.unwrap())).await);
    sandbox.fault(once("queryInvoiceResult", Fault::ResetMidBody));
    assert_eq!(cannot_tell(connection.lookup(&invoice("SO-1")).await).class, Class::Unavailable);
    one_issued(&sandbox, "SO-1");
}

#[tokio::test]
async fn an_order_the_query_does_not_know_yet_is_waited_for() {
    let sandbox = sandbox_with(|config| {
        config.nuonuo.not_found_polls = 3;
        any_clock(config);
    })
    .await;
    let connection = connection(&sandbox);
    let task = invoice("SO-1");
    let failure = failed(connection.apply(&task).await);
    assert!(matches!(failure.class, Class::Throttled(Some(_))), "{failure:?}");
    let submitted = reached(&task, failure.reached.as_ref().unwrap());
    pending(connection.lookup(&submitted).await);
    connection.advance(Duration::from_secs(601));
    assert_eq!(connection.lookup(&submitted).await, Lookup::Absent, "after the grace it counts as lost");
    // Sending again is safe: the platform knows the number after all.
    let failure = failed(connection.apply(&task).await);
    assert!(matches!(failure.class, Class::Throttled(Some(_))), "{failure:?}");
    assert_eq!(sandbox.invoices().len(), 1);
}

#[tokio::test]
async fn a_token_is_fetched_once_and_renewed_once() {
    let sandbox = sandbox_with(|config| {
        at_once(config);
        any_clock(config);
    })
    .await;
    let connection = connection(&sandbox);
    let all = |round: usize| {
        let connection = &connection;
        futures::future::join_all((0..10).map(move |index| async move {
            done(connection.apply(&invoice(&format!("SO-{round}-{index}"))).await);
        }))
    };
    all(0).await;
    assert_eq!(calls(&sandbox, TOKEN), 1);
    sandbox.advance_ms(86_401_000);
    all(1).await;
    assert_eq!(calls(&sandbox, TOKEN), 2);
    // Before its end by our own clock it is renewed without a refusal.
    connection.advance(Duration::from_secs(86_350));
    all(2).await;
    assert_eq!(calls(&sandbox, TOKEN), 3);
}

#[tokio::test]
async fn the_token_quota_is_not_burnt() {
    // Dry: asked once, then answered from memory.
    let sandbox = sandbox_with(|config| config.nuonuo.token_quota = 0).await;
    let dry = connection(&sandbox);
    for key in ["SO-1", "SO-2", "SO-3"] {
        assert_eq!(
            said(&failed(dry.apply(&invoice(key)).await)),
            (Class::Unauthorized, Code::TargetUnauthorized)
        );
    }
    assert_eq!(calls(&sandbox, TOKEN), 1);
    dry.advance(Duration::from_secs(601));
    failed(dry.apply(&invoice("SO-1")).await);
    assert_eq!(calls(&sandbox, TOKEN), 2);

    // Every token is refused at the door: one renewal, then no more.
    let sandbox = sandbox_with(at_once).await;
    let refused = connection(&sandbox);
    sandbox.fault(Rule::new(Fault::SessionDropped).on(System::Nuonuo, "requestBillingNew"));
    for key in ["SO-1", "SO-2", "SO-3"] {
        assert_eq!(
            said(&failed(refused.apply(&invoice(key)).await)),
            (Class::Unauthorized, Code::TargetUnauthorized)
        );
    }
    assert_eq!(calls(&sandbox, TOKEN), 2);

    // A wrong secret.
    let wrong = with(&sandbox, "app_secret: { env: WRONG_SECRET }\n");
    for _ in 0..3 {
        assert_eq!(failed(wrong.apply(&invoice("SO-1")).await).class, Class::Unauthorized);
    }
    assert_eq!(calls(&sandbox, TOKEN), 3);
    assert!(sandbox.invoices().is_empty());
}

#[tokio::test]
async fn a_token_service_that_does_not_answer_leaves_no_doubt() {
    let sandbox = sandbox_with(at_once).await;
    let connection = connection(&sandbox);
    for (fault, class) in [
        (Fault::LostAnswerAfterCommit, Class::Unavailable),
        (Fault::TruncatedJson, Class::Unavailable),
        (Fault::Http { status: 502, retry_after: None, after_commit: false }, Class::Unavailable),
    ] {
        sandbox.fault(once("accessToken", fault.clone()));
        assert_eq!(failed(connection.apply(&invoice("SO-1")).await).class, class, "{fault:?}");
        connection.advance(Duration::from_secs(2));
    }
    done(connection.apply(&invoice("SO-1")).await);
    let gone = crate::kit::sandbox().await;
    let connection = self::connection(&gone);
    gone.shutdown().await;
    let failure = failed(connection.apply(&invoice("SO-1")).await);
    assert_eq!(said(&failure), (Class::Unavailable, Code::TargetUnavailable));
}

fn fails(cause: &str) -> Rule {
    once("requestBillingNew", Fault::InvoiceFails { cause: cause.into() })
}

#[tokio::test]
async fn a_failed_invoice_is_told_with_its_cause_and_issued_again_on_replay() {
    let sandbox = sandbox_with(at_once).await;
    let connection = connection(&sandbox);
    sandbox.fault(fails("购方税号不存在"));
    let failure = failed(connection.apply(&invoice("SO-1")).await);
    assert_eq!(said(&failure), (Class::Rejected, Code::InvoiceFailed));
    assert!(failure.fault.message.zh.contains("购方税号不存在"), "{failure:?}");
    let told = reached(&invoice("SO-1"), &failure.reached.unwrap());
    assert_eq!(calls(&sandbox, AGAIN), 0);
    // A replay asks first and issues the same order again.
    let remote = partial(connection.lookup(&told).await);
    done(connection.apply(&reached(&told, &remote)).await);
    assert_eq!((calls(&sandbox, AGAIN), calls(&sandbox, ISSUE)), (1, 1));
    one_issued(&sandbox, "SO-1");
}

#[tokio::test]
async fn a_failure_seen_by_a_look_up_is_told_before_it_is_tried_again() {
    let sandbox = sandbox().await;
    let connection = connection(&sandbox);
    sandbox.fault(fails("余额不足"));
    let failure = failed(connection.apply(&invoice("SO-1")).await);
    assert!(matches!(failure.class, Class::Throttled(_)));
    let submitted = reached(&invoice("SO-1"), &failure.reached.unwrap());
    pending(connection.lookup(&submitted).await);
    // What the engine does by itself: ask, and go on from what it learns. Nothing may be issued again by that.
    let failure = failed(connection.ask_then_apply(&submitted).await);
    assert_eq!(said(&failure), (Class::Rejected, Code::InvoiceFailed));
    assert!(failure.fault.message.zh.contains("余额不足"), "{failure:?}");
    assert_eq!(calls(&sandbox, AGAIN), 0);
    let told = reached(&invoice("SO-1"), &failure.reached.unwrap());
    let failure = failed(connection.ask_then_apply(&told).await);
    assert!(matches!(failure.class, Class::Throttled(_)), "{failure:?}");
    let again = reached(&invoice("SO-1"), &failure.reached.unwrap());
    assert_eq!(calls(&sandbox, AGAIN), 1);
    pending(connection.lookup(&again).await);
    found(connection.lookup(&again).await);
    one_issued(&sandbox, "SO-1");
}

#[tokio::test]
async fn an_invoice_without_a_file_is_sealed_again() {
    let sandbox = sandbox_with(at_once).await;
    let connection = connection(&sandbox);
    sandbox.fault(once("requestBillingNew", Fault::SealFails));
    let failure = failed(connection.apply(&invoice("SO-1")).await);
    assert!(matches!(failure.class, Class::Throttled(_)), "{failure:?}");
    let task = reached(&invoice("SO-1"), &failure.reached.unwrap());
    // The answer to the retry is lost: the look-up knows.
    sandbox.fault(once("reInvoice", Fault::LostAnswerAfterCommit));
    let failure = failed(connection.ask_then_apply(&task).await);
    assert_eq!(failure.class, Class::Unknown);
    let receipt = already(connection.ask_then_apply(&reached(&task, &failure.reached.unwrap())).await);
    assert_eq!(receipt.total_tax_included, Some(decimal("975.00")));
    assert_eq!((calls(&sandbox, AGAIN), calls(&sandbox, ISSUE)), (1, 1));
    one_issued(&sandbox, "SO-1");
}

#[tokio::test]
async fn callbacks_are_hints_and_need_the_token() {
    let sandbox = sandbox().await;
    let inbound =
        with(&sandbox, "app_secret: { env: NUONUO_SECRET }\ncallback_token: { env: CALLBACK_TOKEN }\n");
    let (address, taken) = receive(inbound.source()).await;
    let connection = with(
        &sandbox,
        &format!(
            "app_secret: {{ env: NUONUO_SECRET }}\ncallback_url: {address}/{}\n",
            secret("CALLBACK_TOKEN")
        ),
    );
    failed(connection.apply(&invoice("SO-1")).await);
    assert_eq!(sandbox.settle_invoices(None), 1);
    until("the callback", || async { !sandbox.callbacks().is_empty() }).await;
    assert_eq!(sandbox.callbacks(), [("SO-1".to_owned(), 200, true)]);
    let decoded = taken.lock().unwrap().remove(0).unwrap();
    assert_eq!((decoded.documents.len(), decoded.hints), (0, vec!["SO-1".to_owned()]));
    // Anyone can send one; without the token it is not even a hint.
    assert!(
        sandbox.forge_callback(&format!("{address}/guess"), &json!({"c_orderno": "SO-1", "c_status": "1"}))
    );
    until("the forged callback", || async { !taken.lock().unwrap().is_empty() }).await;
    assert_eq!(taken.lock().unwrap()[0].as_ref().unwrap_err().code, Code::SignatureInvalid);
    // One that cannot be read is answered all the same.
    let odd = Inbound { body: b"operater=invoiceInvalid&fpqqlsh=1".to_vec(), ..Inbound::default() };
    let decoded = searched(inbound.source().decode(&odd)).unwrap();
    assert_eq!((decoded.hints.len(), decoded.reply.unwrap()["status"].clone()), (0, json!("0000")));
}

#[tokio::test]
async fn many_invoices_under_faults_are_issued_once_each() {
    let sandbox = sandbox().await;
    let connection = connection(&sandbox);
    for fault in [
        Fault::LostAnswerAfterCommit,
        Fault::LostBeforeCommit,
        Fault::ResetMidBody,
        Fault::TruncatedJson,
        Fault::Http { status: 504, retry_after: None, after_commit: true },
    ] {
        for operation in ["requestBillingNew", "queryInvoiceResult"] {
            sandbox.fault(Rule::new(fault.clone()).on(System::Nuonuo, operation).per_million(50_000));
        }
    }
    sandbox.fault(
        Rule::new(Fault::DuplicateAccepted).on(System::Nuonuo, "requestBillingNew").per_million(50_000),
    );
    let deliver = |index: usize| {
        let connection = &connection;
        async move {
            let mut task = invoice(&format!("SO-{index}"));
            let mut outcome = connection.apply(&task).await;
            for _ in 0..40 {
                match outcome {
                    Outcome::Done(receipt) | Outcome::AlreadyThere(receipt) => {
                        assert_eq!(receipt.total_tax_included, Some(decimal("975.00")));
                        return;
                    }
                    Outcome::Failed(failure) => {
                        assert_ne!(failure.class, Class::Conflict, "{failure:?}");
                        task.reached = failure.reached;
                    }
                }
                outcome = match connection.lookup(&task).await {
                    Lookup::Found(receipt) => Outcome::AlreadyThere(receipt),
                    Lookup::Pending(remote) | Lookup::Partial(remote) => {
                        connection.apply(&reached(&task, &remote)).await
                    }
                    Lookup::Absent => connection.apply(&Task { reached: None, ..task.clone() }).await,
                    Lookup::CannotTell(failure) => {
                        Outcome::Failed(tongbao_connect::Failure { reached: task.reached.clone(), ..failure })
                    }
                    Lookup::Foreign(failure) | Lookup::NobodyToAsk(failure) => panic!("{failure:?}"),
                };
            }
            panic!("{} never stood: {outcome:?}", task.key);
        }
    };
    futures::future::join_all((0..40).map(deliver)).await;
    let invoices = sandbox.invoices();
    assert_eq!(invoices.len(), 40);
    assert!(invoices.iter().all(|invoice| invoice.status == "2" && invoice.gross == decimal("975.00")));
    assert_eq!(calls(&sandbox, TOKEN), 1);
}
