//! `yonyou-u8-eai`: receipts in.

use crate::kit::{Connection, calls, connect, said, sandbox_with, searched};
use crate::yonyou_u8_eai::{registered, settings};
use std::collections::BTreeMap;
use std::time::Duration;
use tongbao_connect::{Inbound, Incoming, Polled};
use tongbao_model::{Class, Code};
use tongbao_sandbox::kingdee::{ReceiptLine, ReceiptSpec};
use tongbao_sandbox::u8::U8Change;
use tongbao_sandbox::{Fault, Rule, Sandbox, System, U8Charset};

const STREAM: &str = "accept_entry";
const QUERY: &str = "query accept";
const DAY_MS: i64 = 86_400_000;

async fn stand_in() -> Sandbox {
    sandbox_with(registered).await
}

/// Books a receipt dated so many days before today, with an entry for each order and amount.
fn book(sandbox: &Sandbox, number: &str, days_ago: i64, entries: &[(&str, &str)]) {
    let line = |(order, amount): &(&str, &str)| ReceiptLine {
        order_number: (*order).to_owned(),
        amount: amount.parse().unwrap(),
        fee: "0".parse().unwrap(),
    };
    let spec = ReceiptSpec {
        number: number.into(),
        customer: Some("CUST0001".into()),
        currency: None,
        lines: entries.iter().map(line).collect(),
        approved_ms: None,
        date_ms: Some(sandbox.now_ms() - days_ago * DAY_MS),
        unaudited: false,
        third_number: Some(format!("BANK-{number}")),
    };
    sandbox.u8_book(&spec).unwrap();
}

async fn poll(connection: &Connection, cursor: Option<&str>) -> Polled {
    searched(connection.source().poll(STREAM, cursor).await).unwrap()
}

fn text(incoming: &Incoming, name: &str) -> String {
    assert_eq!(incoming.kind, STREAM);
    incoming.document.value()[name].as_str().unwrap_or_default().to_owned()
}

/// Number, row, amount and state of each document.
fn rows(polled: &Polled) -> Vec<String> {
    let row = |one: &Incoming| {
        let parts = ["vouchcode", "row", "originalamount", "state"].map(|name| text(one, name));
        parts.join(" ")
    };
    polled.documents.iter().map(row).collect()
}

fn revision(incoming: &Incoming) -> i64 {
    incoming.document.value()["revision"].as_i64().unwrap()
}

#[tokio::test]
async fn receipts_come_with_their_fields_and_once() {
    for charset in [U8Charset::Utf8, U8Charset::Gbk] {
        let sandbox = sandbox_with(|config| {
            registered(config);
            config.u8.response_charset = charset;
        })
        .await;
        let connection = connect("yonyou-u8-eai", &settings(&sandbox, ""));
        let nothing = poll(&connection, None).await;
        assert_eq!((nothing.documents.len(), nothing.more), (0, false));
        book(&sandbox, "SK-2", 0, &[("SO-1", "100.00"), ("SO-2", "0.05")]);
        book(&sandbox, "SK-1", 1, &[("", "-5")]);
        let polled = poll(&connection, Some(&nothing.cursor)).await;
        assert_eq!(
            rows(&polled),
            ["SK-1 1 -5.00 standing", "SK-2 1 100.00 standing", "SK-2 2 0.05 standing"]
        );
        let second = &polled.documents[2];
        for (name, value) in [
            ("customercode", "CUST0001"),
            ("foreigncurrency", "人民币"),
            ("orderid", "SO-2"),
            ("type", "0"),
            ("vouchtype", "48"),
            ("notecode", "BANK-SK-2"),
            ("amount", "0.05"),
        ] {
            assert_eq!(text(second, name), value, "{name}");
        }
        assert!(text(second, "vouchdate").ends_with("T00:00:00"), "{second:?}");
        assert!(polled.documents[0].document.members().get("orderid").is_none(), "what is empty is left out");
        // Nothing new: the same cursor, no document.
        let again = poll(&connection, Some(&polled.cursor)).await;
        assert_eq!((rows(&again).len(), &again.cursor), (0, &polled.cursor));
    }
}

#[tokio::test]
async fn payments_and_strange_ledgers_are_left_aside() {
    let sandbox = stand_in().await;
    let connection = connect("yonyou-u8-eai", &settings(&sandbox, ""));
    let document = |kind: &str, flag: &str| {
        serde_json::json!({
            "vouchtype": kind, "vouchdate": "2026-11-25", "period": 11, "flag": flag, "customercode": "CUST0001",
            "foreigncurrency": "人民币", "currencyrate": 1, "originalamount": 1, "amount": 1, "operator": "demo",
            "entry": [{"type": "0", "customercode": "CUST0001", "originalamount": 1, "amount": 1}]
        })
    };
    for (key, kind, flag) in [("SK-1", "48", "AR"), ("FK-1", "49", "AR"), ("FK-2", "48", "AP")] {
        let task = crate::kit::task("accept", key, document(kind, flag), "1");
        crate::kit::done(connection.apply(&task).await);
    }
    let since = connect("yonyou-u8-eai", &settings(&sandbox, "poll_since: 2026-11-01\npoll_days: 36500\n"));
    assert_eq!(rows(&poll(&since, None).await), ["SK-1 1 1.00 standing"]);
}

#[tokio::test]
async fn changes_and_deletions_are_seen_and_rise() {
    let sandbox = stand_in().await;
    let connection = connect("yonyou-u8-eai", &settings(&sandbox, ""));
    book(&sandbox, "SK-1", 3, &[("SO-1", "100.00"), ("SO-2", "50.00")]);
    book(&sandbox, "SK-2", 3, &[("SO-3", "7.00")]);
    let first = poll(&connection, None).await;
    assert_eq!(first.documents.len(), 3);
    let mut cursor = first.cursor.clone();
    let number_of = |one: &Incoming| one.document.value()["vouchcode"].to_string();
    let mut last: BTreeMap<String, i64> =
        first.documents.iter().map(|one| (number_of(one), revision(one))).collect();
    let mut next = async |number: &str, change: U8Change, expected: &[&str]| {
        sandbox.u8_change(number, &change).unwrap();
        let polled = poll(&connection, Some(&cursor)).await;
        assert_eq!(rows(&polled), expected, "{change:?}");
        for one in &polled.documents {
            let before = last[&number_of(one)];
            assert!(revision(one) > before, "{change:?}: {} after {before}", revision(one));
        }
        last.extend(polled.documents.iter().map(|one| (number_of(one), revision(one))));
        cursor = polled.cursor.clone();
        polled
    };
    // There and back again: each is news.
    let amount = |text: &str| U8Change::Amount(0, text.parse().unwrap());
    next("SK-1", amount("90"), &["SK-1 1 90.00 standing", "SK-1 2 50.00 standing"]).await;
    next("SK-1", amount("100"), &["SK-1 1 100.00 standing", "SK-1 2 50.00 standing"]).await;
    // The row behind moves up: what stood in the last row is taken back.
    let dropped = next("SK-1", U8Change::DropRow(0), &["SK-1 2 50.00 gone", "SK-1 1 50.00 standing"]).await;
    assert_eq!(
        (text(&dropped.documents[0], "orderid"), text(&dropped.documents[1], "orderid")),
        ("SO-2".into(), "SO-2".into())
    );
    let gone = next("SK-2", U8Change::Delete, &["SK-2 1 7.00 gone"]).await;
    assert_eq!(
        (text(&gone.documents[0], "orderid"), text(&gone.documents[0], "foreigncurrency")),
        ("SO-3".into(), "人民币".into())
    );
    // Told once.
    assert!(rows(&poll(&connection, Some(&gone.cursor)).await).is_empty());
    // The number is used again: another revision, not the one that is known.
    book(&sandbox, "SK-2", 3, &[("SO-3", "7.00")]);
    let back = poll(&connection, Some(&gone.cursor)).await;
    assert_eq!(rows(&back), ["SK-2 1 7.00 standing"]);
    assert!(revision(&back.documents[0]) > revision(&gone.documents[0]));
}

#[tokio::test]
async fn a_receipt_moved_out_of_the_window_is_not_gone() {
    let sandbox = stand_in().await;
    let connection = connect("yonyou-u8-eai", &settings(&sandbox, "poll_days: 10\n"));
    book(&sandbox, "SK-1", 3, &[("SO-1", "100.00")]);
    let first = poll(&connection, None).await;
    sandbox.u8_change("SK-1", &U8Change::Date("2020-01-01".into())).unwrap();
    let moved = poll(&connection, Some(&first.cursor)).await;
    assert_eq!(rows(&moved), ["SK-1 1 100.00 standing"]);
    assert_eq!(text(&moved.documents[0], "vouchdate"), "2020-01-01T00:00:00");
    assert!(rows(&poll(&connection, Some(&moved.cursor)).await).is_empty());
}

#[tokio::test]
async fn history_comes_in_strides_without_a_gap() {
    let sandbox = stand_in().await;
    let since =
        jiff::Timestamp::from_millisecond(sandbox.now_ms() - 200 * DAY_MS).unwrap().strftime("%Y-%m-%d");
    let connection =
        connect("yonyou-u8-eai", &settings(&sandbox, &format!("poll_since: {since}\npoll_days: 20\n")));
    for index in 0..40 {
        book(&sandbox, &format!("SK-{index:02}"), 199 - index * 5, &[("SO-1", "1")]);
    }
    let (mut cursor, mut seen, mut polls) = (None, Vec::new(), 0);
    loop {
        let polled = poll(&connection, cursor.as_deref()).await;
        assert!(polled.documents.len() <= 12, "{} in one poll", polled.documents.len());
        seen.extend(polled.documents.iter().map(|one| text(one, "vouchcode")));
        polls += 1;
        assert!(polls < 20, "no progress: {}", polled.cursor);
        cursor = Some(polled.cursor);
        if !polled.more {
            break;
        }
    }
    assert!(polls > 4, "{polls}");
    assert_eq!(seen, (0..40).map(|index| format!("SK-{index:02}")).collect::<Vec<_>>());
    // After a standstill the window goes back to where the last poll ended.
    connection.advance(Duration::from_secs(60 * 86_400));
    sandbox.advance_ms(60 * DAY_MS);
    book(&sandbox, "SK-99", 59, &[("SO-1", "1")]);
    let late = poll(&connection, cursor.as_deref()).await;
    assert_eq!((rows(&late), late.more), (vec!["SK-99 1 1.00 standing".to_owned()], true));
}

#[tokio::test]
async fn filters_that_are_ignored_do_not_deceive() {
    let sandbox = sandbox_with(|config| {
        registered(config);
        config.u8.ignore_conditions = true;
    })
    .await;
    let connection = connect("yonyou-u8-eai", &settings(&sandbox, "poll_days: 10\nmax_items: 4\n"));
    book(&sandbox, "SK-1", 100, &[("SO-1", "1")]);
    book(&sandbox, "SK-2", 1, &[("SO-1", "2")]);
    let polled = poll(&connection, None).await;
    assert_eq!(rows(&polled), ["SK-2 1 2.00 standing"]);
    // A full answer may be cut off: nothing is concluded from it, least of all that something is gone.
    book(&sandbox, "SK-3", 1, &[("SO-1", "3")]);
    book(&sandbox, "SK-4", 1, &[("SO-1", "4")]);
    let failure = searched(connection.source().poll(STREAM, Some(&polled.cursor)).await).unwrap_err();
    assert_eq!(
        (said(&failure), failure.fault.field.as_deref()),
        ((Class::Misconfigured, Code::TargetMisconfigured), Some("max_items"))
    );
}

#[tokio::test]
async fn only_audited_ones_where_the_site_knows_the_column() {
    let sandbox = stand_in().await;
    let connection =
        connect("yonyou-u8-eai", &settings(&sandbox, "poll_conditions: [\"cCheckMan <> ''\"]\n"));
    book(&sandbox, "SK-1", 1, &[("SO-1", "1")]);
    sandbox.u8_change("SK-1", &U8Change::Unaudit).unwrap();
    let first = poll(&connection, None).await;
    assert!(rows(&first).is_empty());
    sandbox.u8_change("SK-1", &U8Change::Audit).unwrap();
    let second = poll(&connection, Some(&first.cursor)).await;
    assert_eq!(rows(&second), ["SK-1 1 1.00 standing"]);
    // It still stands by its number: nothing is taken back.
    sandbox.u8_change("SK-1", &U8Change::Unaudit).unwrap();
    assert!(rows(&poll(&connection, Some(&second.cursor)).await).is_empty());
}

#[tokio::test]
async fn a_poll_that_fails_says_so_and_keeps_nothing() {
    let sandbox = stand_in().await;
    let connection = connect("yonyou-u8-eai", &settings(&sandbox, ""));
    book(&sandbox, "SK-1", 1, &[("SO-1", "1")]);
    let source = connection.source();
    for (fault, class) in [
        (Fault::ResetMidBody, Class::Unavailable),
        (Fault::TruncatedJson, Class::Unavailable),
        (Fault::Garbage, Class::Unavailable),
        (Fault::Throttled { retry_after: None }, Class::Throttled(None)),
        (Fault::Http { status: 404, retry_after: None, after_commit: false }, Class::Misconfigured),
    ] {
        sandbox.fault(Rule::new(fault.clone()).on(System::U8, QUERY).times(1));
        assert_eq!(searched(source.poll(STREAM, None).await).unwrap_err().class, class, "{fault:?}");
    }
    let first = poll(&connection, None).await;
    // The question whether a missing receipt is gone gets no answer: it is not called gone.
    sandbox.u8_change("SK-1", &U8Change::Delete).unwrap();
    let before = calls(&sandbox, "u8 query accept");
    sandbox.fault(Rule::new(Fault::ResetMidBody).on(System::U8, QUERY).key("SK-1").times(1));
    assert_eq!(
        searched(source.poll(STREAM, Some(&first.cursor)).await).unwrap_err().class,
        Class::Unavailable
    );
    assert_eq!(calls(&sandbox, "u8 query accept"), before + 2);
    assert_eq!(rows(&poll(&connection, Some(&first.cursor)).await), ["SK-1 1 1.00 gone"]);
    for (stream, cursor) in [("saleorder", None), (STREAM, Some("2026-11-20"))] {
        let failure = source.poll(stream, cursor).await.unwrap_err();
        assert_eq!(said(&failure), (Class::Misconfigured, Code::TargetMisconfigured), "{stream}");
    }
    assert!(source.verify(&Inbound::default(), 0).is_err());
    assert!(source.decode(&Inbound::default()).is_err());
}
