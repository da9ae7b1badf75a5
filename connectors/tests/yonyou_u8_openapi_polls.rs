//! `yonyou-u8-openapi`: receipts in.

use crate::kit::{Connection, calls, cannot_tell, said, searched};
use crate::yonyou_u8_openapi::{connection, stand_in};
use std::collections::BTreeSet;
use std::time::Duration;
use tongbao_connect::{Inbound, Incoming, Polled};
use tongbao_model::{Class, Code};
use tongbao_sandbox::kingdee::{ReceiptLine, ReceiptSpec};
use tongbao_sandbox::u8::U8Change;
use tongbao_sandbox::{Fault, Rule, Sandbox, System};

const LIST: &str = "acceptlist/batch_get";
const DAY_MS: i64 = 86_400_000;

/// Books a receipt dated so many days before today, with an entry for each order and amount.
fn book(sandbox: &Sandbox, number: &str, days_ago: i64, entries: &[(&str, &str)], unaudited: bool) {
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
        unaudited,
        third_number: Some(format!("BANK-{number}")),
    };
    sandbox.u8_book(&spec).unwrap();
}

async fn poll(connection: &Connection, cursor: Option<&str>) -> Polled {
    searched(connection.source().poll("accept", cursor).await).unwrap()
}

fn text(incoming: &Incoming, name: &str) -> String {
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

fn gets(sandbox: &Sandbox) -> u64 {
    calls(sandbox, "u8-openapi accept/get")
}

#[tokio::test]
async fn receipts_come_with_their_fields_and_once() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "rows_per_page: 1\n");
    let nothing = poll(&connection, None).await;
    assert_eq!((nothing.documents.len(), nothing.more), (0, false));
    book(&sandbox, "SK-2", 0, &[("SO-1", "100.00"), ("SO-2", "0.05")], false);
    book(&sandbox, "SK-1", 1, &[("", "-5")], false);
    let polled = poll(&connection, Some(&nothing.cursor)).await;
    assert_eq!(rows(&polled), ["SK-1 1 -5.00 standing", "SK-2 1 100.00 standing", "SK-2 2 0.05 standing"]);
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
    let again = poll(&connection, Some(&polled.cursor)).await;
    assert_eq!((rows(&again), again.more), (Vec::new(), false));
}

#[tokio::test]
async fn changes_and_deletions_are_seen_and_rise() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "");
    book(&sandbox, "SK-1", 3, &[("SO-1", "100.00"), ("SO-2", "50.00")], false);
    let first = poll(&connection, None).await;
    let revision = |polled: &Polled| {
        let of = |one: &Incoming| one.document.value()["revision"].as_i64().unwrap();
        polled.documents.iter().map(of).collect::<BTreeSet<i64>>()
    };
    let (mut cursor, mut last) = (first.cursor.clone(), revision(&first));
    for (change, expected) in [
        (
            U8Change::Amount(1, "51".parse().unwrap()),
            &["SK-1 1 100.00 standing", "SK-1 2 51.00 standing"][..],
        ),
        (U8Change::DropRow(1), &["SK-1 2 51.00 gone", "SK-1 1 100.00 standing"]),
        // Out of the window by its date, and asked for by its number.
        (U8Change::Date("2020-01-05".into()), &["SK-1 1 100.00 standing"]),
    ] {
        sandbox.u8_change("SK-1", &change).unwrap();
        let polled = poll(&connection, Some(&cursor)).await;
        assert_eq!(rows(&polled), expected, "{change:?}");
        assert!(revision(&polled).first() > last.last(), "{change:?}");
        (cursor, last) = (polled.cursor.clone(), revision(&polled));
    }
    book(&sandbox, "SK-2", 1, &[("SO-3", "7.00")], false);
    let polled = poll(&connection, Some(&cursor)).await;
    sandbox.u8_change("SK-2", &U8Change::Delete).unwrap();
    let gone = poll(&connection, Some(&polled.cursor)).await;
    assert_eq!(rows(&gone), ["SK-2 1 7.00 gone"]);
    assert!(revision(&gone) > revision(&polled));
    assert_eq!(rows(&poll(&connection, Some(&gone.cursor)).await), Vec::<String>::new());
}

#[tokio::test]
async fn rows_that_change_under_the_same_header_are_seen_in_their_turn() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "");
    for index in 0..25 {
        book(&sandbox, &format!("SK-{index:02}"), 1, &[("SO-1", "3"), ("SO-2", "4")], false);
    }
    let first = poll(&connection, None).await;
    assert_eq!((first.documents.len(), gets(&sandbox)), (50, 25));
    // 3 and 4 become 4 and 3: the total, all that the list shows, stays.
    for (row, amount) in [(0, "4"), (1, "3")] {
        sandbox.u8_change("SK-24", &U8Change::Amount(row, amount.parse().unwrap())).unwrap();
    }
    let (mut cursor, mut told) = (first.cursor, Vec::new());
    for _ in 0..3 {
        let before = gets(&sandbox);
        let polled = poll(&connection, Some(&cursor)).await;
        assert!(gets(&sandbox) - before <= 10, "few in each poll");
        told.extend(rows(&polled));
        cursor = polled.cursor;
    }
    assert_eq!(told, ["SK-24 1 4.00 standing", "SK-24 2 3.00 standing"]);
}

#[tokio::test]
async fn many_new_receipts_are_read_in_steps_and_none_is_left_out() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "");
    for index in 0..230 {
        book(&sandbox, &format!("SK-{index:03}"), index % 40, &[("SO-1", "1")], false);
    }
    let (mut cursor, mut told, mut steps) = (None, BTreeSet::new(), 0);
    loop {
        let polled = poll(&connection, cursor.as_deref()).await;
        told.extend(rows(&polled));
        steps += 1;
        cursor = Some(polled.cursor);
        if !polled.more {
            break;
        }
    }
    assert_eq!((told.len(), steps), (230, 3));
    // History comes in strides.
    book(&sandbox, "SK-OLD", 300, &[("SO-1", "1")], false);
    let since = self::connection(&sandbox, "poll_since: 2020-01-01\n");
    let (mut cursor, mut found) = (None, false);
    for _ in 0..200 {
        let polled = poll(&since, cursor.as_deref()).await;
        found |= rows(&polled).contains(&"SK-OLD 1 1.00 standing".to_owned());
        cursor = Some(polled.cursor);
        if !polled.more {
            break;
        }
    }
    assert!(found);
}

#[tokio::test]
async fn approved_receipts_only_where_that_is_asked_for() {
    let sandbox = stand_in(|config| config.u8.ignore_conditions = true).await;
    let connection = connection(&sandbox, "poll_verified: true\n");
    book(&sandbox, "SK-1", 0, &[("SO-1", "1")], true);
    book(&sandbox, "SK-OLD", 400, &[("SO-1", "1")], false);
    let first = poll(&connection, None).await;
    assert_eq!(rows(&first), Vec::<String>::new(), "one unapproved, one outside whatever the filter does");
    sandbox.u8_change("SK-1", &U8Change::Audit).unwrap();
    let told = poll(&connection, Some(&first.cursor)).await;
    assert_eq!(rows(&told), ["SK-1 1 1.00 standing"]);
    sandbox.u8_change("SK-1", &U8Change::Unaudit).unwrap();
    let back = poll(&connection, Some(&told.cursor)).await;
    assert_eq!(rows(&back), ["SK-1 1 1.00 gone"]);
    sandbox.u8_change("SK-1", &U8Change::Audit).unwrap();
    assert_eq!(rows(&poll(&connection, Some(&back.cursor)).await), ["SK-1 1 1.00 standing"]);
}

#[tokio::test]
async fn a_poll_that_is_in_doubt_fails_and_is_repeated() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "");
    book(&sandbox, "SK-1", 0, &[("SO-1", "1")], false);
    for operation in [LIST, "accept/get"] {
        for fault in [Fault::LostBeforeCommit, Fault::TruncatedJson, Fault::Throttled { retry_after: None }] {
            sandbox.fault(Rule::new(fault).on(System::U8OpenApi, operation).times(1));
            let failure = searched(connection.source().poll("accept", None).await).unwrap_err();
            assert!(matches!(failure.class, Class::Unavailable | Class::Throttled(_)), "{failure:?}");
        }
    }
    assert_eq!(rows(&poll(&connection, None).await), ["SK-1 1 1.00 standing"]);
    for (stream, cursor) in [("accept_entry", None), ("accept", Some("2026-11-01"))] {
        let failure = searched(connection.source().poll(stream, cursor).await).unwrap_err();
        assert_eq!(said(&failure), (Class::Misconfigured, Code::TargetMisconfigured));
    }
    assert!(connection.source().verify(&Inbound::default(), 0).is_err());
    assert!(connection.source().decode(&Inbound::default()).is_err());
}

#[tokio::test]
async fn a_refused_login_is_told_and_not_repeated() {
    let sandbox = stand_in(|config| config.u8_openapi.app_secret = "another".to_owned()).await;
    let connection = connection(&sandbox, "");
    for _ in 0..3 {
        let failure = connection.source().poll("accept", None).await.unwrap_err();
        assert_eq!(said(&failure), (Class::Unauthorized, Code::TargetUnauthorized));
        let task = crate::kit::task("saleorder", "SO-1", serde_json::json!({}), "1");
        assert_eq!(cannot_tell(connection.lookup(&task).await).class, Class::Unauthorized);
    }
    assert_eq!(calls(&sandbox, "u8-openapi token"), 1);
    connection.advance(Duration::from_secs(601));
    connection.source().poll("accept", None).await.unwrap_err();
    assert_eq!(calls(&sandbox, "u8-openapi token"), 2);
}
