//! `nuonuo`: red invoices by the confirmation form.

use crate::kit::{
    Connection, already, decimal, done, failed, foreign, found, reached, said, sandbox_with, task,
};
use crate::nuonuo::{any_clock, at_once, connection, invoice, once, with};
use serde_json::{Value, json};
use std::time::Duration;
use tongbao_connect::{Failure, Lookup, Outcome, Receipt, Task};
use tongbao_model::{Class, Code};
use tongbao_sandbox::{Fault, Rule, Sandbox, System};

const SAVE: &str = "saveInvoiceRedConfirm";
const FORM: &str = "queryInvoiceRedConfirm";
const RED: &str = "fastInvoiceRed";
const QUERY: &str = "queryInvoiceResult";

/// The blue invoice of 975.00, issued; answers its number.
async fn issued(connection: &Connection) -> String {
    done(connection.apply(&invoice("SO-1")).await).remote.number
}

/// Takes 100.00 at 6 % back, or everything.
fn red(key: &str, blue: &str, whole: bool) -> Task {
    let mut lines =
        vec![json!({"goodsName": "实施服务", "num": "-1", "taxRate": "0.06", "taxIncludedAmount": "-100.00",
        "taxExcludedAmount": "-94.34", "tax": "-5.66"})];
    if whole {
        lines.push(
            json!({"goodsName": "软件平台", "num": "-1", "taxRate": "0.13", "taxIncludedAmount": "-875.00",
            "taxExcludedAmount": "-774.34", "tax": "-100.66"}),
        );
    }
    let document = json!({"orderNo": key, "invoiceLine": "bs", "blueInvoice": blue, "redReason": "1",
        "whole": if whole { "1" } else { "0" }, "buyerName": "宁波样例贸易有限公司",
        "buyerTaxNum": "91330200MA0000000X", "invoiceDetail": lines});
    task("red_invoice", key, document, if whole { "-975.00" } else { "-100.00" })
}

/// As the engine does it: asks before it goes on, until the invoice stands or somebody has to look.
async fn deliver(connection: &Connection, mut task: Task) -> Result<Receipt, Failure> {
    let mut outcome = connection.apply(&task).await;
    for _ in 0..30 {
        match outcome {
            Outcome::Done(receipt) | Outcome::AlreadyThere(receipt) => return Ok(receipt),
            Outcome::Failed(failure) if matches!(failure.class, Class::Rejected | Class::Conflict) => {
                return Err(failure);
            }
            Outcome::Failed(failure) => task.reached = failure.reached,
        }
        outcome = match connection.lookup(&task).await {
            Lookup::Found(receipt) => Outcome::AlreadyThere(receipt),
            Lookup::Pending(remote) | Lookup::Partial(remote) => {
                connection.apply(&reached(&task, &remote)).await
            }
            Lookup::Absent => connection.apply(&Task { reached: None, ..task.clone() }).await,
            Lookup::CannotTell(failure) => {
                let reached = failure.reached.clone().or(task.reached.clone());
                Outcome::Failed(Failure { reached, ..failure })
            }
            Lookup::Foreign(failure) | Lookup::NobodyToAsk(failure) => return Err(failure),
        };
    }
    panic!("it never stood: {outcome:?}");
}

/// Red invoices at the stand-in, as order number and gross.
fn reds(sandbox: &Sandbox) -> Vec<(String, String)> {
    let reds = sandbox.invoices().into_iter().filter(|one| one.red_of.is_some());
    reds.map(|one| (one.order_no, one.gross.to_string())).collect()
}

#[tokio::test]
async fn a_part_and_then_the_rest_are_taken_back() {
    let sandbox = sandbox_with(at_once).await;
    let connection = connection(&sandbox);
    let blue = issued(&connection).await;
    let part = done(connection.apply(&red("HZ-1", &blue, false)).await);
    assert_eq!(part.total_tax_included, Some(decimal("-100.00")));
    assert_eq!(
        (&part.facts["total_tax_excluded"], &part.facts["total_tax"], &part.facts["status"]),
        (&json!("-94.34"), &json!("-5.66"), &json!("issued"))
    );
    assert_eq!((part.remote.number.len(), part.remote.step.as_str()), (20, "issued"));
    // The same once more is there; its number is known over there too.
    already(connection.apply(&red("HZ-1", &blue, false)).await);
    found(connection.lookup(&red("HZ-1", &blue, false)).await);
    // More than is left: nothing is issued.
    let failure = failed(connection.apply(&red("HZ-2", &blue, true)).await);
    assert_eq!(said(&failure), (Class::Conflict, Code::AmountMismatch), "the form is over what is left");
    assert_eq!(reds(&sandbox), [("HZ-1".to_owned(), "-100.00".to_owned())]);
}

#[tokio::test]
async fn whatever_is_lost_there_is_one_form_and_one_invoice() {
    for operation in [SAVE, FORM, RED, QUERY] {
        for fault in [
            Fault::LostAnswerAfterCommit,
            Fault::LostBeforeCommit,
            Fault::ResetMidBody,
            Fault::TruncatedJson,
            Fault::Http { status: 502, retry_after: None, after_commit: true },
            Fault::Throttled { retry_after: None },
            Fault::SessionDropped,
        ] {
            let sandbox = sandbox_with(at_once).await;
            let connection = connection(&sandbox);
            let blue = issued(&connection).await;
            sandbox.fault(once(operation, fault.clone()));
            let receipt = deliver(&connection, red("HZ-1", &blue, true)).await.unwrap();
            assert_eq!(receipt.total_tax_included, Some(decimal("-975.00")), "{operation} {fault:?}");
            assert_eq!(reds(&sandbox), [("HZ-1".to_owned(), "-975.00".to_owned())], "{operation} {fault:?}");
            assert_eq!(sandbox.red_bills(), [("HZ-1".to_owned(), "01".to_owned())], "{operation} {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_slow_platform_and_one_that_forgets_for_a_while() {
    let sandbox = sandbox_with(|config| {
        config.nuonuo.not_found_polls = 2;
        any_clock(config);
    })
    .await;
    let connection = connection(&sandbox);
    for _ in 0..2 {
        let _ = connection.apply(&invoice("SO-1")).await;
    }
    sandbox.settle_invoices(None);
    let blue = sandbox.invoices()[0].number.clone().unwrap();
    let receipt = deliver(&connection, red("HZ-1", &blue, false)).await.unwrap();
    assert_eq!(receipt.total_tax_included, Some(decimal("-100.00")));
    assert_eq!(reds(&sandbox).len(), 1);
}

#[tokio::test]
async fn a_form_that_waits_for_the_buyer_is_asked_about_now_and_then() {
    let sandbox = sandbox_with(|config| {
        at_once(config);
        any_clock(config);
    })
    .await;
    let connection =
        with(&sandbox, "app_secret: { env: NUONUO_SECRET }\nred_wait_s: 900\nseller_name: 示例软件公司\n");
    let blue = issued(&connection).await;
    sandbox.red_bill_default("02");
    let task = red("HZ-1", &blue, false);
    let failure = failed(connection.apply(&task).await);
    let waits = Class::Throttled(Some(Duration::from_secs(900)));
    assert_eq!((failure.class, reds(&sandbox).len()), (waits, 0));
    let waiting = reached(&task, &failure.reached.unwrap());
    let Lookup::CannotTell(failure) = connection.lookup(&waiting).await else { panic!("it waits") };
    assert_eq!((failure.class, failure.reached), (waits, waiting.reached.clone()));
    // The buyer agrees.
    assert!(sandbox.set_red_bill("HZ-1", "04"));
    let Lookup::Partial(form) = connection.lookup(&waiting).await else { panic!("it may be issued") };
    done(connection.apply(&reached(&task, &form)).await);
    assert_eq!(reds(&sandbox).len(), 1);
}

#[tokio::test]
async fn forms_that_come_to_nothing_are_told_and_left() {
    let sandbox = sandbox_with(at_once).await;
    let connection = connection(&sandbox);
    let blue = issued(&connection).await;
    for (place, (status, zh)) in [
        ("05", "购方否认"),
        ("06", "销方否认"),
        ("07", "72 小时"),
        ("08", "撤销"),
        ("09", "撤销"),
        ("10", "异常凭证"),
        ("16", "申请失败"),
    ]
    .into_iter()
    .enumerate()
    {
        sandbox.red_bill_default(status);
        let task = red(&format!("HZ-{place}"), &blue, false);
        let failure = failed(connection.apply(&task).await);
        assert_eq!(said(&failure), (Class::Rejected, Code::TargetRejected), "{status}");
        assert!(failure.fault.message.zh.contains(zh), "{failure:?}");
        assert_eq!(said(&foreign(connection.lookup(&task).await)), (Class::Rejected, Code::TargetRejected));
    }
    sandbox.red_bill_default("99");
    let failure = failed(connection.apply(&red("HZ-X", &blue, false)).await);
    assert_eq!(said(&failure), (Class::Unknown, Code::OutcomeUnknown));
    sandbox.red_bill_default("15");
    let failure = failed(connection.apply(&red("HZ-Y", &blue, false)).await);
    assert!(matches!(failure.class, Class::Throttled(Some(_))), "{failure:?}");
    assert!(reds(&sandbox).is_empty());
}

#[tokio::test]
async fn an_unconfirmed_form_ends_after_72_hours() {
    let sandbox = sandbox_with(|config| {
        at_once(config);
        any_clock(config);
    })
    .await;
    let connection = connection(&sandbox);
    let blue = issued(&connection).await;
    sandbox.red_bill_default("02");
    let task = red("HZ-1", &blue, false);
    failed(connection.apply(&task).await);
    sandbox.advance_ms(73 * 3_600_000);
    assert_eq!(said(&foreign(connection.lookup(&task).await)), (Class::Rejected, Code::TargetRejected));
}

#[tokio::test]
async fn what_the_bureau_has_issued_by_itself_is_found_at_the_form() {
    for fault in [None, Some(Fault::LostAnswerAfterCommit)] {
        let sandbox = sandbox_with(|config| {
            at_once(config);
            config.nuonuo.bureau_issues_red = true;
        })
        .await;
        let connection = connection(&sandbox);
        let blue = issued(&connection).await;
        if let Some(fault) = fault {
            sandbox.fault(Rule::new(fault).on(System::Nuonuo, SAVE).times(1));
        }
        let receipt = deliver(&connection, red("HZ-1", &blue, true)).await.unwrap();
        assert_eq!(receipt.total_tax_included, Some(decimal("-975.00")));
        assert_eq!(receipt.remote.number.len(), 20);
        assert_eq!(reds(&sandbox).len(), 1);
    }
}

#[tokio::test]
async fn wrong_amounts_are_refused_before_anything_is_asked() {
    let sandbox = sandbox_with(at_once).await;
    let connection = connection(&sandbox);
    let blue = issued(&connection).await;
    let mut wrong = red("HZ-1", &blue, false);
    crate::kit::change(&mut wrong, |document: &mut Value| {
        document["invoiceDetail"][0]["tax"] = json!("-5.67");
    });
    assert_eq!(said(&failed(connection.apply(&wrong).await)), (Class::Rejected, Code::CheckFailed));
    assert!(sandbox.red_bills().is_empty());
}
