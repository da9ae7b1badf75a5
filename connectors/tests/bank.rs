//! Statement files: each format on files made by hand, hostile ones, and every format on statements made at random.

use encoding_rs::GB18030;
use rust_decimal::Decimal;
use serde_json::Value;
use std::sync::Arc;
use tongbao_connect::{Contents, Source};
use tongbao_model::{Code, Fault};

use crate::kit::{connect, wrong};

const ACCOUNT: &str = "3301040160000000001";

fn source() -> Arc<dyn Source> {
    connect("bank", "accounts: []").source()
}

fn read_by(settings: &str, bytes: &[u8]) -> Result<Contents, Fault> {
    connect("bank", settings).source().files().unwrap().read(bytes)
}

fn read(bytes: &[u8]) -> Result<Contents, Fault> {
    let first = source().files().unwrap().read(bytes);
    assert_eq!(first, source().files().unwrap().read(bytes), "the same bytes give the same");
    first
}

fn entries(contents: &Contents) -> Vec<Value> {
    contents.documents.iter().map(|incoming| incoming.document.value()).collect()
}

/// `direction amount kind` of each entry.
fn moved(contents: &Contents) -> Vec<String> {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or("").to_owned();
    let line = |entry: &Value| {
        format!("{} {} {}", text(entry, "direction"), text(entry, "amount"), text(entry, "kind"))
    };
    entries(contents).iter().map(line).collect()
}

fn refused(bytes: &[u8]) -> (Code, String) {
    let fault = read(bytes).unwrap_err();
    let (zh, en) = (&fault.message.zh, &fault.message.en);
    assert!(!zh.is_ascii() && en.is_ascii() && !fault.remedy.en.is_empty(), "{fault}");
    (fault.code, format!("{fault}"))
}

fn gbk(text: &str) -> Vec<u8> {
    let (bytes, _, lossy) = GB18030.encode(text);
    assert!(!lossy);
    bytes.into_owned()
}

const TWO: &str = "对公账户明细查询\r\n账号：,3301040160000000001\r\n查询日期,20251101-20251104\r\n\
    交易日期,交易时间,收入金额,支出金额,账户余额,对方户名,对方账号,摘要,交易流水号\r\n\
    20251103,09:05:01,\"20,340.50\",,\"1,020,340.50\",宁波样例贸易有限公司,'3901120019200099999\t,货款,B202511030001\r\n\
    2025-11-03,10:00:00,,100.00,\"1,020,240.50\",,,手续费,B202511030002\r\n\
    2025/11/4,,,\"-100.00\",\"1,020,340.50\",,,冲正,B202511040001\r\n\
    合计,,\"20,340.50\",0.00,,,,,\r\n制表：系统\r\n";

#[test]
fn a_counter_csv_in_gbk_with_two_columns() {
    let contents = read(&gbk(TWO)).unwrap();
    assert_eq!(moved(&contents), ["in 20340.50 ordinary", "out 100.00 ordinary", "in 100.00 reversal"]);
    assert_eq!(read(TWO.as_bytes()).unwrap(), contents, "UTF-8 gives the same");
    let first = &entries(&contents)[0];
    for (key, value) in [
        ("account", ACCOUNT),
        ("booking_date", "2025-11-03"),
        ("booked_at", "2025-11-03T09:05:01+08:00"),
        ("balance_after", "1020340.50"),
        ("other_name", "宁波样例贸易有限公司"),
        ("other_account", "3901120019200099999"),
        ("text", "货款"),
        ("bank_reference", "B202511030001"),
        ("currency", "CNY"),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert!(first["number"].as_str().unwrap().ends_with("-20251103-B202511030001"));
    assert!(!first["number"].as_str().unwrap().contains(ACCOUNT), "a key is shown everywhere");
    let about = contents.about;
    assert_eq!(about["format"], "counter-two-columns");
    assert_eq!(about["checks"]["running-balance"], 2);
    assert_eq!((&about["checks"]["total-in"], &about["checks"]["total-out"]), (&1.into(), &1.into()));
    assert_eq!(about["skipped"]["reasons"]["head"], 4);
    assert_eq!(about["skipped"]["reasons"]["foot"], 2);
    assert!(!about.to_string().contains(ACCOUNT), "{about}");
}

#[test]
fn descending_files_come_out_oldest_first() {
    let head = "账号,3301040160000000001\n交易日期,交易金额,余额,摘要\n";
    let rows = ["20251103,100.00,100.00,一", "20251103,-30.00,70.00,二", "20251104,5.00,75.00,三"];
    let up = read(format!("{head}{}\n", rows.join("\n")).as_bytes()).unwrap();
    let down: Vec<&str> = rows.iter().rev().copied().collect();
    let down = read(format!("{head}{}\n", down.join("\n")).as_bytes()).unwrap();
    assert_eq!(moved(&up), ["in 100.00 ordinary", "out 30.00 ordinary", "in 5.00 ordinary"]);
    let numbers = |contents: &Contents| -> Vec<String> {
        entries(contents).iter().map(|entry| entry["number"].to_string()).collect()
    };
    assert_eq!(numbers(&up), numbers(&down));
    let (code, why) = refused(format!("{head}{}\n", rows.join("\n").replace("70.00", "70.01")).as_bytes());
    assert_eq!(code, Code::StatementMismatch);
    assert!(why.contains("row 4") && why.contains("70.00") && why.contains("70.01"), "{why}");
}

#[test]
fn a_flag_column_says_which_way() {
    let file = "账号：3301040160000000001\n交易日期,借贷标志,交易金额,余额,摘要\n\
        20251103,贷,200.00,200.00,a\n20251103,借,50.00,150.00,b\n20251104,借,-50.00,200.00,c\n\
        20251104,贷,-200.00,0.00,d\n20251105,贷,8.00,8.00,退汇\n20251105,贷,0.00,8.00,零\n";
    let contents = read(file.as_bytes()).unwrap();
    assert_eq!(
        moved(&contents),
        [
            "in 200.00 ordinary",
            "out 50.00 ordinary",
            "in 50.00 reversal",
            "out 200.00 reversal",
            "in 8.00 refund"
        ]
    );
    assert_eq!(contents.about["format"], "counter-flag");
    assert_eq!(contents.about["skipped"]["reasons"]["zero"], 1);
    let (code, why) = refused(file.replace(",借,50", ",往,50").as_bytes());
    assert_eq!(code, Code::ValueUnmapped);
    assert!(why.contains("row 4"), "{why}");
}

const ALIPAY: &str = "#支付宝账务明细查询\n#账号：[20885010000000000156]\n#起始日期：[2025年11月03日 00:00:00]\n#-----账务明细列表----\n\
    账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注\n\
    1001\t,2001\t,SO-1\t,课程\t,2025-11-03 09:05:01\t,yb***@example.com\t,200.00\t,0.00\t,200.00\t,支付宝\t,交易付款\t,\t\n\
    1002\t,2001\t,SO-1\t,课程\t,2025-11-03 10:00:00\t,yb***@example.com\t,0.00\t,-50.00\t,150.00\t,支付宝\t,交易退款\t,\t\n\
    #-----账务明细列表结束----\n#支出合计：1笔，共-50.00元\n#收入合计：1笔，共200.00元\n#导出时间：[2025年11月04日 08:00:00]\n";

#[test]
fn alipay_details_hold_to_their_foot() {
    let contents = read(&gbk(ALIPAY)).unwrap();
    assert_eq!(moved(&contents), ["in 200.00 ordinary", "out 50.00 refund"]);
    assert_eq!(entries(&contents)[0]["account"], "20885010000000000156");
    for check in ["total-in", "total-out", "count-in", "count-out", "running-balance"] {
        assert_eq!(contents.about["checks"][check], 1, "{check}");
    }
    for (from, to) in [("1笔，共-50", "2笔，共-50"), ("共200.00", "共200.01"), ("共-50.00", "共-5.00")]
    {
        assert_eq!(refused(&gbk(&ALIPAY.replace(from, to))).0, Code::StatementMismatch, "{to}");
    }
    assert_eq!(refused(&gbk(&ALIPAY.replace("0.00\t,-50.00", "0.00\t,50.00"))).0, Code::FieldType);
}

const WECHAT: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\n\
    `2025-11-03 09:05:01,`wx1,`1900000109,`0,`,`4200001,`SO-1,`o1,`NATIVE,`SUCCESS,`OTHERS,`CNY,`100.00,`0.00,`0,`0,`0.00,`0.00,`,`,`课程,A,\"x\",`,`0.60000,`0.60%,`100.00,`0.00,`\n\
    `2025-11-03 10:05:01,`wx1,`1900000109,`0,`,`4200001,`SO-1,`o1,`NATIVE,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`5030001,`R-1,`40.00,`0.00,`ORIGINAL,`SUCCESS,`课程,`,`-0.24000,`0.60%,`0.00,`40.00,`\n\
    `2025-11-03 11:05:01,`wx1,`1900000109,`0,`,`4200002,`SO-2,`o2,`NATIVE,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`5030002,`R-2,`7.00,`0.00,`ORIGINAL,`FAIL,`课程,`,`0.00000,`0.60%,`0.00,`7.00,`\n\
    总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\n\
    `3,`100.00,`47.00,`0.00,`0.36000,`100.00,`47.00\n";

#[test]
fn wechat_bills_hold_to_their_totals() {
    let contents = read(format!("\u{feff}{WECHAT}").as_bytes()).unwrap();
    assert_eq!(moved(&contents), ["in 100.00 ordinary", "out 40.00 refund"]);
    let entries = entries(&contents);
    assert_eq!((&entries[0]["fee"], &entries[1]["fee"]), (&"0.60".into(), &"-0.24".into()));
    assert_eq!(
        (&entries[0]["bank_reference"], &entries[1]["bank_reference"]),
        (&"4200001".into(), &"5030001".into())
    );
    assert_eq!(entries[0]["text"], "课程,A,\"x\"");
    assert_eq!(contents.about["skipped"]["reasons"]["not-successful"], 1);
    for check in ["total-count", "total-in", "total-out", "total-fee"] {
        assert_eq!(contents.about["checks"][check], 1, "{check}");
    }
    for (from, to) in [
        ("`3,`100", "`4,`100"),
        ("`3,`100.00", "`3,`100.01"),
        ("`0.36000", "`0.35000"),
        ("`47.00,`0", "`46.00,`0"),
    ] {
        assert_eq!(refused(WECHAT.replace(from, to).as_bytes()).0, Code::StatementMismatch, "{to}");
    }
}

const MT940: &str = "{1:F01BANKCNBJAXXX0000000000}{2:I940X}{4:\r\n:20:STMT251231\r\n:25:3301040160000000001\r\n:28C:00211/001\r\n\
    :60F:C251230CNY1000000,00\r\n:61:2512311231C20340,50NTRFFP0001//B202512310001\r\n:86:宁波样例贸易有限公司\r\n货款第二行\r\n\
    :61:2512310102D40,NCHGNONREF//B202601020001\r\n:61:251231RC340,50NTRFFP0001\r\nextra details\r\n\
    :61:251231RDY40,00NCHGNONREF//B4\r\n:62M:C251231CNY1020000,00\r\n:86:about the statement\r\n-}\r\n\
    :20:STMT251231\r\n:25:3301040160000000001\r\n:28C:00211/002\r\n:60M:C251231CNY1020000,00\r\n:61:251231C1,NTRFNONREF//B5\r\n:62F:C251231CNY1020001,00\r\n-}\r\n";

#[test]
fn mt940_with_reversals_pages_and_the_turn_of_the_year() {
    let contents = read(MT940.as_bytes()).unwrap();
    assert_eq!(
        moved(&contents),
        [
            "in 20340.50 ordinary",
            "out 40.00 ordinary",
            "out 340.50 reversal",
            "in 40.00 reversal",
            "in 1.00 ordinary"
        ]
    );
    let entries = entries(&contents);
    assert_eq!(entries[0]["text"], "宁波样例贸易有限公司货款第二行");
    assert_eq!(
        (&entries[0]["statement"], &entries[0]["own_reference"]),
        (&"00211/001".into(), &"FP0001".into())
    );
    assert_eq!(
        (&entries[1]["booking_date"], &entries[1]["value_date"]),
        (&"2026-01-02".into(), &"2025-12-31".into())
    );
    assert_eq!(entries[1]["own_reference"], Value::Null);
    assert_eq!(
        (&contents.about["checks"]["closing-balance"], &contents.about["checks"]["pages"]),
        (&2.into(), &1.into())
    );
    let changes = [
        ("D40,", "D41,", Code::StatementMismatch),
        ("RC340,50", "C340,50", Code::StatementMismatch),
        (":60M:C251231CNY1020000,00", ":60M:C251231CNY1020000,01", Code::StatementMismatch),
        (":62F:C251231CNY1020001,00\r\n", "", Code::BodyInvalid),
        ("C20340,50N", "C20340.50N", Code::BodyInvalid),
        (":62M:C251231CNY", ":62M:C251231USD", Code::CurrencyMismatch),
    ];
    for (from, to, code) in changes {
        assert_eq!(refused(MT940.replace(from, to).as_bytes()).0, code, "{to}");
    }
}

fn camt(version: &str, party: (&str, &str), status: (&str, &str)) -> String {
    let (open, close) = party;
    let status = |name: &str| format!("<Sts>{}{name}{}</Sts>", status.0, status.1);
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt><GrpHdr><MsgId>1</MsgId></GrpHdr><Stmt><Id>S-1</Id><Acct><Id><Othr><Id>3301040160000000001</Id></Othr></Id><Ccy>CNY</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">1000.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2025-11-02</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">1250.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2025-11-03</Dt></Dt></Bal>
<TxsSummry><TtlCdtNtries><NbOfNtries>1</NbOfNtries><Sum>300.00</Sum></TtlCdtNtries></TxsSummry>
<Ntry><Amt Ccy="CNY">300.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>{}<BookgDt><DtTm>2025-11-02T17:05:01Z</DtTm></BookgDt><ValDt><Dt>2025-11-03</Dt></ValDt><AcctSvcrRef>B1</AcctSvcrRef><Chrgs><Rcrd><Amt Ccy="CNY">1.50</Amt></Rcrd></Chrgs><NtryDtls><Btch><NbOfTxs>2</NbOfTxs></Btch>
<TxDtls><Refs><EndToEndId>E1</EndToEndId></Refs><AmtDtls><TxAmt><Amt Ccy="CNY">100.00</Amt></TxAmt></AmtDtls><RltdPties><Dbtr>{open}<Nm>宁波样例贸易有限公司</Nm>{close}</Dbtr><DbtrAcct><Id><Othr><Id>3901</Id></Othr></Id></DbtrAcct></RltdPties><RmtInf><Ustrd>货款</Ustrd><Strd><CdtrRefInf><Ref>RF1</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>
<TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs><AmtDtls><TxAmt><Amt Ccy="CNY">200.00</Amt></TxAmt></AmtDtls></TxDtls></NtryDtls></Ntry>
<Ntry><Amt Ccy="CNY">50.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><RvslInd>true</RvslInd>{}<BookgDt><Dt>2025-11-03</Dt></BookgDt><AcctSvcrRef>B2</AcctSvcrRef></Ntry>
<Ntry><Amt Ccy="CNY">999.00</Amt><CdtDbtInd>DBIT</CdtDbtInd>{}<BookgDt><Dt>2025-11-03</Dt></BookgDt></Ntry>
</Stmt></BkToCstmrStmt></Document>"#,
        status("BOOK"),
        status("BOOK"),
        status("PDNG")
    )
}

#[test]
fn camt_of_both_versions() {
    let old = camt("02", ("", ""), ("", ""));
    let new = camt("08", ("<Pty>", "</Pty>"), ("<Cd>", "</Cd>"));
    let contents = read(old.as_bytes()).unwrap();
    assert_eq!(read(new.as_bytes()).unwrap(), contents);
    assert_eq!(moved(&contents), ["in 100.00 ordinary", "in 200.00 ordinary", "out 50.00 reversal"]);
    let entries = entries(&contents);
    assert_eq!(
        (&entries[0]["booking_date"], &entries[0]["text"]),
        (&"2025-11-03".into(), &"货款 RF1".into()),
        "China's day"
    );
    assert_eq!(
        (&entries[0]["other_name"], &entries[0]["own_reference"]),
        (&"宁波样例贸易有限公司".into(), &"E1".into())
    );
    assert_eq!((&entries[0]["fee"], &entries[1]["fee"]), (&"1.50".into(), &Value::Null), "charged once");
    assert_ne!(entries[0]["number"], entries[1]["number"], "one reference, two payments");
    assert_eq!(contents.about["skipped"]["reasons"]["pending"], 1);
    let prefixed =
        old.replace("<Document xmlns=", "<c:Document xmlns:c=").replace("</Document>", "</c:Document>");
    assert_eq!(read(prefixed.as_bytes()).unwrap(), contents);
    for (from, to, code) in [
        ("\"CNY\">200.00", "\"CNY\">200.01", Code::StatementMismatch),
        ("1250.00", "1250.01", Code::StatementMismatch),
        ("<Sum>300.00", "<Sum>301.00", Code::StatementMismatch),
        ("<NbOfNtries>1", "<NbOfNtries>3", Code::StatementMismatch),
        ("<Amt Ccy=\"CNY\">50.00", "<Amt Ccy=\"USD\">50.00", Code::CurrencyMismatch),
        ("</Document>", "", Code::BodyInvalid),
        ("BkToCstmrStmt>", "BkToCstmrAcctRpt>", Code::LayoutUnknown),
        ("50.00</Amt>", "5,0.00</Amt>", Code::FieldMissing),
    ] {
        assert_eq!(refused(old.replace(from, to).as_bytes()).0, code, "{to}");
    }
}

#[test]
fn files_that_are_none_are_refused_with_a_way_out() {
    let head = "账号,3301040160000000001\n交易日期,交易金额,余额,摘要\n";
    let row = |row: &str| format!("{head}{row}\n").into_bytes();
    let long = format!("{head}20251103,1.00,1.00,{}\n", "x".repeat(20 * 1024 * 1024));
    let mut bad = gbk(TWO);
    bad.extend([0x81, 0x20, 0xff]);
    let cases: Vec<(Vec<u8>, Code)> = vec![
        (b"PK\x03\x04".to_vec(), Code::LayoutUnknown),
        (b"%PDF-1.4".to_vec(), Code::LayoutUnknown),
        (b" \r\n".to_vec(), Code::LayoutUnknown),
        ("甲,乙\n1,2\n".as_bytes().to_vec(), Code::LayoutUnknown),
        (long.into_bytes(), Code::DocumentLimit),
        (bad, Code::BodyInvalid),
        (b"\xff\xfe\x41".to_vec(), Code::BodyInvalid),
        (row("20251103,=1+2,1.00,a"), Code::FieldType),
        (row("20251103,\"1,23.00\",1.00,a"), Code::FieldType),
        (row("20251103,\"1234,567.00\",1.00,a"), Code::FieldType),
        (row("20251103,１２.00,1.00,a"), Code::FieldType),
        (row("20251103,1e3,1.00,a"), Code::FieldType),
        (row("20251103,1.23456,1.00,a"), Code::ScaleLoss),
        (row("20251103,12345678901234567890123456789.00,1.00,a"), Code::NumberRange),
        (row("20251103,3901120019200099999x,1.00,a"), Code::FieldType),
        (row("20251103,1.00"), Code::BodyInvalid),
        (format!("{head}20251103,1.00,1.00").into_bytes(), Code::BodyInvalid),
        (row("20251103,,1.00,a"), Code::FieldMissing),
        (row("20251332,1.00,1.00,a"), Code::DateInvalid),
        (row("3/11/2025,1.00,1.00,a"), Code::DateInvalid),
        (b"<!DOCTYPE x><Document/>".to_vec(), Code::BodyInvalid),
        ("交易日期,交易金额\n20251103,1.00\n".as_bytes().to_vec(), Code::FieldMissing),
    ];
    for (bytes, code) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let (found, why) = refused(&bytes);
        assert_eq!(found, code, "{shown}: {why}");
        assert!(!why.contains(ACCOUNT) && !why.contains("3901120019200099999") && why.len() < 600, "{why}");
    }
    // A formula in a text stays what it is: text.
    let contents = read(&row("20251103,1.00,1.00,=cmd|' /C calc'!A0")).unwrap();
    assert_eq!(entries(&contents)[0]["text"], "=cmd|' /C calc'!A0");
}

#[test]
fn accounts_are_held_to() {
    let none = "交易日期,交易金额,余额\n20251103,1.00,1.00\n".as_bytes();
    let contents = read_by("accounts: ['6222000000000000017']", none).unwrap();
    assert_eq!(entries(&contents)[0]["account"], "6222000000000000017");
    let two = read_by("accounts: ['6222000000000000017', '6222000000000000025']", none).unwrap_err();
    assert_eq!(two.code, Code::FieldMissing);
    let other = read_by("accounts: ['6222000000000000017']", TWO.as_bytes()).unwrap_err();
    assert_eq!(other.code, Code::Refused);
    assert!(!format!("{other:?}").contains(ACCOUNT), "{other:?}");
    assert_eq!(read_by("file_bytes_max: 10", TWO.as_bytes()).unwrap_err().code, Code::BodyTooLarge);
}

#[test]
fn rows_that_are_alike_are_told_apart_and_stay_the_same_in_longer_files() {
    let head = "账号,3301040160000000001\n交易日期,交易金额,摘要\n";
    let numbers = |rows: &str| -> Vec<String> {
        let contents = read(format!("{head}{rows}").as_bytes()).unwrap();
        entries(&contents).iter().map(|entry| entry["number"].to_string()).collect()
    };
    let short = numbers("20251103,1.00,a\n20251103,1.00,a\n20251103,2.00,a\n");
    let long =
        numbers("20251102,1.00,a\n20251103,1.00,a\n20251103,1.00,a\n20251103,2.00,a\n20251104,1.00,a\n");
    assert_eq!(long[1..4], short);
    assert_eq!(long.iter().collect::<std::collections::BTreeSet<_>>().len(), 5);
}

#[test]
fn own_layouts_are_data_and_are_checked_at_start() {
    let own = "accounts: ['6222000000000000017']\nlayouts:\n  village:\n    columns: { date: 日子, in: 进, out: 出, text: 说明 }\n    currency: CNY\n";
    let contents = read_by(own, "日子,进,出,说明\n2025.11.3,5.00,,甲\n".as_bytes()).unwrap();
    assert_eq!(
        (moved(&contents), &contents.about["format"]),
        (vec!["in 5.00 ordinary".to_owned()], &"village".into())
    );
    for (layout, code) in [
        ("{ columns: { date: a } }", "layout-value"),
        ("{ columns: { date: a, amount: b, in: c } }", "layout-value"),
        ("{ columns: { date: a, amount: a } }", "layout-value"),
        ("{ columns: { date: a, amount: b, direction: c } }", "layout-value"),
        ("{ columns: { date: a, amount: b, ammount: c } }", "layout-role"),
        ("{ columns: { date: a, amount: b }, colour: red }", "config-unknown-key"),
        ("{ columns: { date: a, amount: b }, currency: yuan }", "layout-value"),
        ("{ columns: { date: a, amount: b }, out_sign: minus }", "layout-value"),
        ("{ columns: { date: a, amount: b }, totals: { columns: { c: sum } } }", "layout-value"),
    ] {
        assert_eq!(wrong("bank", &format!("layouts:\n  mine: {layout}\n")), [code], "{layout}");
    }
    assert_eq!(wrong("bank", "every_ms: 0"), ["config-value"]);
}

/// What a test makes up: days, cents (never 0), whether it has a reference.
type Made = Vec<(u8, i64, bool)>;

fn yuan(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

/// Thousands parted by commas.
fn grouped(cents: i64) -> String {
    let plain = yuan(cents.abs()).to_string();
    let (whole, fraction) = plain.split_once('.').unwrap();
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    format!("{}{out}.{fraction}", if cents < 0 { "-" } else { "" })
}

fn csv_of(made: &Made, style: u8, is_descending: bool) -> String {
    let (mut balance, mut rows) = (0_i64, Vec::new());
    for (index, (day, cents, has_reference)) in made.iter().enumerate() {
        balance += cents;
        let amounts = match style {
            0 if *cents > 0 => format!("\"{}\",", grouped(*cents)),
            0 => format!(",\"{}\"", grouped(-cents)),
            1 => format!("\"{}\"", grouped(*cents)),
            _ => format!("{},{}", if *cents > 0 { "贷" } else { "借" }, yuan(cents.abs())),
        };
        let reference = if *has_reference { format!("R{index}") } else { String::new() };
        rows.push(format!("2025-11-{day:02},{amounts},\"{}\",用途{index},{reference}\n", grouped(balance)));
    }
    if is_descending {
        rows.reverse();
    }
    let amounts = ["收入金额,支出金额", "交易金额", "借贷标志,交易金额"][usize::from(style)];
    let (money_in, out) = sums(made);
    let foot = if style == 0 {
        format!("合计,\"{}\",\"{}\"\n", grouped(money_in), grouped(out))
    } else {
        String::new()
    };
    format!("账号,{ACCOUNT}\n交易日期,{amounts},余额,摘要,流水号\n{}{foot}", rows.concat())
}

fn sums(made: &Made) -> (i64, i64) {
    let side = |sign: i64| made.iter().map(|(_, cents, _)| (cents * sign).max(0)).sum::<i64>();
    (side(1), side(-1))
}

fn mt940_of(made: &Made) -> String {
    let comma = |cents: i64| yuan(cents.abs()).to_string().replace('.', ",");
    let balance = |cents: i64| format!("{}251101CNY{}", if cents < 0 { "D" } else { "C" }, comma(cents));
    let rows: String = made
        .iter()
        .enumerate()
        .map(|(index, (day, cents, has_reference))| {
            let mark = if *cents > 0 { "C" } else { "D" };
            let reference = if *has_reference { format!("NONREF//R{index}") } else { "NONREF".to_owned() };
            format!(":61:2511{day:02}{mark}{}NTRF{reference}\n:86:用途{index}\n", comma(*cents))
        })
        .collect();
    let closing = made.iter().map(|(_, cents, _)| cents).sum::<i64>() - 500;
    format!(":20:X\n:25:{ACCOUNT}\n:28C:1/1\n:60F:{}\n{rows}:62F:{}\n-}}\n", balance(-500), balance(closing))
}

fn camt_of(made: &Made) -> String {
    let side = |cents: i64| if cents < 0 { "DBIT" } else { "CRDT" };
    let amount = |cents: i64| {
        format!("<Amt Ccy=\"CNY\">{}</Amt><CdtDbtInd>{}</CdtDbtInd>", yuan(cents.abs()), side(cents))
    };
    let balance = |code: &str, cents: i64| {
        format!("<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{}</Bal>", amount(cents))
    };
    let rows: String = made
        .iter()
        .enumerate()
        .map(|(index, (day, cents, has_reference))| {
            let reference =
                if *has_reference { format!("<AcctSvcrRef>R{index}</AcctSvcrRef>") } else { String::new() };
            format!(
                "<Ntry>{}<Sts>BOOK</Sts><BookgDt><Dt>2025-11-{day:02}</Dt></BookgDt>{reference}<AddtlNtryInf>用途{index}</AddtlNtryInf></Ntry>",
                amount(*cents)
            )
        })
        .collect();
    let total: i64 = made.iter().map(|(_, cents, _)| cents).sum();
    format!(
        "<Document><BkToCstmrStmt><Stmt><Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr></Id><Ccy>CNY</Ccy></Acct>{}{}{rows}</Stmt></BkToCstmrStmt></Document>",
        balance("OPBD", 700),
        balance("CLBD", total + 700)
    )
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    /// Every format gives back what was written into it, row by row, and the same rows under the same keys.
    #[test]
    fn every_format_gives_back_what_was_written(
        drawn in proptest::collection::vec((1_u8..=30, 1_i64..=900_000_000_000, proptest::bool::ANY, proptest::bool::ANY), 1..40)
    ) {
        let mut made: Made = drawn.into_iter()
            .map(|(day, cents, is_in, has_reference)| (day, if is_in { cents } else { -cents }, has_reference))
            .collect();
        made.sort_by_key(|(day, _, _)| *day);
        let expected: Vec<String> = made.iter()
            .map(|(day, cents, _)| format!("2025-11-{day:02} {} {}", if *cents > 0 { "in" } else { "out" }, yuan(cents.abs())))
            .collect();
        let files = [
            csv_of(&made, 0, false), csv_of(&made, 0, true), csv_of(&made, 1, false), csv_of(&made, 1, true),
            csv_of(&made, 2, false), csv_of(&made, 2, true), mt940_of(&made), camt_of(&made),
        ];
        let mut with_references = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let bytes = if index % 2 == 0 && index < 6 { gbk(file) } else { file.clone().into_bytes() };
            let contents = source().files().unwrap().read(&bytes).map_err(|fault| proptest::test_runner::TestCaseError::fail(format!("{index}: {fault}")))?;
            let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let entries = entries(&contents);
            let found: Vec<String> = entries.iter()
                .map(|entry| format!("{} {} {}", text(entry, "booking_date"), text(entry, "direction"), text(entry, "amount")))
                .collect();
            proptest::prop_assert_eq!(&found, &expected, "file {}", index);
            let (money_in, out) = sums(&made);
            proptest::prop_assert_eq!(text(&contents.about["statements"][0]["in"], "sum"), if money_in == 0 { "0".to_owned() } else { yuan(money_in).to_string() });
            proptest::prop_assert_eq!(text(&contents.about["statements"][0]["out"], "sum"), if out == 0 { "0".to_owned() } else { yuan(out).to_string() });
            let numbers: Vec<String> = entries.iter().filter(|entry| entry["bank_reference"].is_string()).map(|entry| text(entry, "number")).collect();
            with_references.push(numbers);
        }
        for numbers in &with_references {
            proptest::prop_assert_eq!(numbers, &with_references[0]);
        }
    }

    /// Bytes changed at random never panic, and never give other money without the file's own figures saying so.
    #[test]
    fn damaged_files_do_not_panic(which in 0_usize..5, at in proptest::collection::vec((0_usize..4_000, proptest::num::u8::ANY), 1..6), keep in 0_usize..4_000) {
        let camt = camt("02", ("", ""), ("", ""));
        let mut bytes = [gbk(TWO), gbk(ALIPAY), WECHAT.as_bytes().to_vec(), MT940.as_bytes().to_vec(), camt.into_bytes()][which].clone();
        let length = bytes.len();
        for (place, byte) in at {
            bytes[place % length] = byte;
        }
        bytes.truncate(keep.max(1) * length / 2_000 + 1);
        let _ = source().files().unwrap().read(&bytes);
    }
}
