//! `kingdee-cloud`: receipts in.

use crate::kingdee::{SIGNATURE, settings};
use crate::kit::{Connection, calls, connect, done, said, sandbox_with, searched, until};
use serde_json::Value;
use tongbao_connect::{Inbound, Incoming, Polled};
use tongbao_model::{Class, Code};
use tongbao_sandbox::kingdee::{ReceiptLine, ReceiptSpec};
use tongbao_sandbox::{Fault, Rule, Sandbox, System};

/// 2026-11-20 10:00:00 in China.
const TEN: i64 = 1_795_140_000_000;
const FORM: &str = "AR_RECEIVEBILL";

async fn at_ten() -> Sandbox {
    sandbox_with(|config| config.fixed_clock_ms = Some(TEN)).await
}

fn connection(sandbox: &Sandbox, more: &str) -> Connection {
    connect("kingdee-cloud", &settings(sandbox, &format!("{SIGNATURE}page_rows: 2\n{more}")))
}

/// Books a receipt `seconds` after ten, with one entry for each amount.
fn book(sandbox: &Sandbox, number: &str, seconds: i64, amounts: &[&str]) {
    let lines = amounts.iter().map(|amount| ReceiptLine {
        order_number: "SO-1".into(),
        amount: amount.parse().unwrap(),
        fee: "0".parse().unwrap(),
    });
    let spec = ReceiptSpec {
        number: number.into(),
        customer: Some("CUST0001".into()),
        currency: None,
        lines: lines.collect(),
        approved_ms: Some(TEN + seconds * 1000),
        date_ms: None,
        unaudited: false,
        third_number: Some(format!("BANK-{number}")),
    };
    sandbox.book_receipt(&spec).unwrap();
}

async fn poll(connection: &Connection, cursor: Option<&str>) -> Polled {
    searched(connection.source().poll(FORM, cursor).await).unwrap()
}

fn text(incoming: &Incoming, name: &str) -> String {
    assert_eq!(incoming.kind, FORM);
    incoming.document.value().pointer(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn numbers(polled: &Polled) -> Vec<String> {
    polled.documents.iter().map(|incoming| text(incoming, "/FBillNo")).collect()
}

#[tokio::test]
async fn receipts_come_page_by_page_with_their_fields() {
    let sandbox = at_ten().await;
    let connection = connection(&sandbox, "");
    let nothing = poll(&connection, None).await;
    assert_eq!((nothing.documents.len(), nothing.cursor.as_str(), nothing.more), (0, "", false));
    book(&sandbox, "R-1", 0, &["100.00", "239.10"]);
    book(&sandbox, "R-2", 60, &["0.01"]);
    book(&sandbox, "R-3", 120, &["-5.00"]);
    book(&sandbox, "R-4", 180, &["1", "2", "3", "4", "5"]);
    let polled = poll(&connection, Some(&nothing.cursor)).await;
    assert_eq!(numbers(&polled), ["R-1", "R-1", "R-2", "R-3", "R-4", "R-4", "R-4", "R-4", "R-4"]);
    assert_eq!((polled.cursor.as_str(), polled.more), ("2026-11-20T10:03:00", false));
    let first = &polled.documents[1];
    for (name, value) in [
        ("/FDATE", "2026-11-20T00:00:00"),
        ("/FDOCUMENTSTATUS", "C"),
        ("/FCancelStatus", "A"),
        ("/FCONTACTUNIT/FNumber", "CUST0001"),
        ("/FCURRENCYID/FNumber", "PRE001"),
        ("/FModifyDate", "2026-11-20T10:00:00"),
        ("/FTHIRDBILLNO", "BANK-R-1"),
        ("/FSALEORDERNO", "SO-1"),
    ] {
        assert_eq!(text(first, name), value, "{name}");
    }
    assert_eq!(first.document.value()["FRECTOTALAMOUNTFOR"].to_string(), "239.1");
    let entries: std::collections::BTreeSet<String> =
        polled.documents.iter().map(|incoming| text(incoming, "/FRECEIVEBILLENTRY_FEntryID")).collect();
    assert_eq!(entries.len(), 9, "each entry once");
}

#[tokio::test]
async fn the_overlap_brings_late_receipts_and_the_boundary_loses_none() {
    let sandbox = at_ten().await;
    let connection = connection(&sandbox, "poll_overlap_s: 300\n");
    book(&sandbox, "R-1", 0, &["1"]);
    book(&sandbox, "R-2", 600, &["2"]);
    let first = poll(&connection, None).await;
    assert_eq!(numbers(&first), ["R-1", "R-2"]);
    // One of the same second, and one that was saved late with an earlier time.
    book(&sandbox, "R-3", 600, &["3"]);
    book(&sandbox, "R-4", 301, &["4"]);
    let second = poll(&connection, Some(&first.cursor)).await;
    assert_eq!(numbers(&second), ["R-4", "R-2", "R-3"]);
    assert_eq!(second.cursor, first.cursor);
    assert_eq!(numbers(&poll(&connection, Some(&second.cursor)).await), ["R-4", "R-2", "R-3"]);
}

#[tokio::test]
async fn more_rows_of_one_second_than_a_page_holds() {
    let sandbox = at_ten().await;
    let connection = connection(&sandbox, "poll_overlap_s: 0\n");
    let expected: Vec<String> = (0..9).map(|index| format!("R-{index}")).collect();
    for number in &expected {
        book(&sandbox, number, 0, &["1"]);
    }
    let polled = poll(&connection, None).await;
    assert_eq!(numbers(&polled), expected);
    assert_eq!(numbers(&poll(&connection, Some(&polled.cursor)).await), expected);
}

#[tokio::test]
async fn a_long_history_comes_in_several_polls_without_a_gap() {
    let sandbox = at_ten().await;
    // The overlap covers everything: looking back again would never get anywhere.
    let connection = connection(&sandbox, "poll_overlap_s: 100000\n");
    for index in 0..80 {
        book(&sandbox, &format!("R-{index:02}"), index, &["1"]);
    }
    let (mut cursor, mut seen, mut polls) = (None, Vec::new(), 0);
    loop {
        let polled = poll(&connection, cursor.as_deref()).await;
        seen.extend(numbers(&polled));
        polls += 1;
        assert!(polls < 10, "no progress: {}", polled.cursor);
        cursor = Some(polled.cursor);
        if !polled.more {
            break;
        }
    }
    assert!(polls > 1);
    assert_eq!(cursor.as_deref(), Some("2026-11-20T10:01:19"));
    seen.dedup();
    assert_eq!(seen, (0..80).map(|index| format!("R-{index:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn changes_are_seen_again_with_their_new_time() {
    let sandbox = at_ten().await;
    let connection = connection(&sandbox, "poll_overlap_s: 0\n");
    book(&sandbox, "R-1", 0, &["100.00"]);
    book(&sandbox, "R-2", 1, &["200.00"]);
    let mut cursor = poll(&connection, None).await.cursor;
    let mut next = async |change: &dyn Fn()| {
        sandbox.advance_ms(60_000);
        change();
        let polled = poll(&connection, Some(&cursor)).await;
        cursor = polled.cursor.clone();
        let last = polled.documents.last().unwrap().clone();
        assert_eq!(text(&last, "/FModifyDate"), cursor);
        (
            text(&last, "/FBillNo"),
            text(&last, "/FDOCUMENTSTATUS"),
            text(&last, "/FCancelStatus"),
            last.document.value()["FRECTOTALAMOUNTFOR"].to_string(),
        )
    };
    let row = |number: &str, status: &str, cancel: &str, amount: &str| {
        (number.to_owned(), status.to_owned(), cancel.to_owned(), amount.to_owned())
    };
    assert_eq!(next(&|| sandbox.unaudit_receipt("R-1").unwrap()).await, row("R-1", "D", "A", "100.0"));
    let change = || sandbox.change_receipt("R-1", "150.5".parse().unwrap()).unwrap();
    assert_eq!(next(&change).await, row("R-1", "D", "A", "150.5"));
    assert_eq!(next(&|| sandbox.audit_receipt("R-1").unwrap()).await, row("R-1", "C", "A", "150.5"));
    assert_eq!(next(&|| sandbox.void_receipt("R-2").unwrap()).await, row("R-2", "A", "B", "200.0"));
}

/// While the second page is on its way, a receipt of the first page is changed: it moves to the end, and every row
/// after it moves up by one.
async fn changed_while_reading(seconds_apart: i64) {
    let sandbox = at_ten().await;
    let connection = connection(&sandbox, "");
    for index in 0..7 {
        book(&sandbox, &format!("R-{index}"), index * seconds_apart, &["1"]);
    }
    sandbox.advance_ms(3_600_000);
    let slow = Fault::Slow { ms: 1_500, after_commit: false };
    sandbox.fault(Rule::new(slow).on(System::Kingdee, "ExecuteBillQuery").nth(2));
    let change = async {
        until("the second page", || async { calls(&sandbox, "kingdee ExecuteBillQuery") == 2 }).await;
        sandbox.change_receipt("R-0", "2".parse().unwrap()).unwrap();
    };
    let (polled, ()) = futures::join!(poll(&connection, None), change);
    let seen = numbers(&polled);
    for index in 0..7 {
        let number = format!("R-{index}");
        let times = seen.iter().filter(|seen| **seen == number).count();
        assert_eq!(times, if index == 0 { 2 } else { 1 }, "{number} in {seen:?}");
    }
    assert_eq!(polled.cursor, "2026-11-20T11:00:00");
}

#[tokio::test]
async fn rows_that_move_while_we_read_are_not_skipped() {
    changed_while_reading(10).await;
}

#[tokio::test]
async fn rows_that_move_within_a_second_are_not_skipped() {
    changed_while_reading(0).await;
}

#[tokio::test]
async fn a_poll_that_fails_says_so_and_keeps_nothing() {
    let sandbox = at_ten().await;
    let connection = connection(&sandbox, "");
    for index in 0..5 {
        book(&sandbox, &format!("R-{index}"), index, &["1"]);
    }
    let source = connection.source();
    for (fault, class) in [
        (Fault::ResetMidBody, Class::Unavailable),
        (Fault::TruncatedJson, Class::Unavailable),
        (Fault::NoPermission, Class::Unauthorized),
        (Fault::Throttled { retry_after: None }, Class::Throttled(None)),
    ] {
        sandbox.fault(Rule::new(fault.clone()).on(System::Kingdee, "ExecuteBillQuery").nth(2));
        let failure = searched(source.poll(FORM, None).await).unwrap_err();
        assert_eq!(failure.class, class, "{fault:?}");
        sandbox.clear_faults();
    }
    assert_eq!(numbers(&poll(&connection, None).await).len(), 5);
    let failure = source.poll("GL_VOUCHER", None).await.unwrap_err();
    assert_eq!(said(&failure), (Class::Misconfigured, Code::TargetMisconfigured));
    assert!(source.verify(&Inbound::default(), TEN).is_err());
    assert!(source.decode(&Inbound::default()).is_err());
}

#[tokio::test]
async fn receivables_come_as_receipts_do() {
    let sandbox = at_ten().await;
    let connection = connection(&sandbox, "");
    done(connection.apply(&crate::kingdee::order("SO-1")).await);
    sandbox.book_receivable("SO-1", "200.00".parse().unwrap(), "YS-1").unwrap();
    sandbox.advance_ms(60_000);
    sandbox.book_receivable("SO-1", "139.00".parse().unwrap(), "YS-2").unwrap();
    sandbox.void_receivable("YS-1").unwrap();
    let polled = searched(connection.source().poll("AR_receivable", None).await).unwrap();
    let told: Vec<String> = polled
        .documents
        .iter()
        .map(|incoming| {
            assert_eq!(incoming.kind, "AR_receivable");
            let bill = incoming.document.value();
            assert!(!bill["FEntityDetail_FEntryID"].as_str().unwrap().is_empty());
            let texts = ["FBillNo", "FDOCUMENTSTATUS", "FCancelStatus", "FORDERNUMBER"];
            let texts = texts.map(|name| bill[name].as_str().unwrap_or_default().to_owned());
            format!("{} {} {}", texts.join(" "), bill["FCUSTOMERID"]["FNumber"], bill["FALLAMOUNTFOR_D"])
        })
        .collect();
    let expected = [r#"YS-1 A B SO-1 "CUST0001" 200.0"#, r#"YS-2 C A SO-1 "CUST0001" 139.0"#];
    let is_as = |(one, other): (&String, &&str)| one.starts_with(*other);
    assert!(told.len() == 2 && told.iter().zip(&expected).all(is_as), "{told:?}");
    let nothing = connection.source().poll("SAL_OUTSTOCK", None).await.unwrap_err();
    assert_eq!(said(&nothing), (Class::Misconfigured, Code::TargetMisconfigured));
}
