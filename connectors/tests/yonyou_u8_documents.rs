//! `yonyou-u8-eai`: customers, receipts, invoices and vouchers out.

use crate::kit::{already, cannot_tell, change, decimal, done, failed, found, said, task};
use crate::yonyou_u8_eai::{connection, document, once, order, stand_in};
use serde_json::{Value, json};
use tongbao_connect::Task;
use tongbao_model::{Class, Code};
use tongbao_sandbox::Fault;

fn shape(kind: &str) -> tongbao_model::shape::Shape {
    let connector = tongbao_connectors::find("yonyou-u8-eai").unwrap();
    (connector.documents)().into_iter().find(|document| document.shape.name == kind).unwrap().shape
}

/// Every required field is there and every field is known: what a mapping checks before anything is sent.
fn fits(kind: &str, document: &Value) {
    let shape = shape(kind);
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    for key in &keys {
        assert!(shape.find(key).is_some(), "{kind} has no {key}");
    }
    let number = ["code", "vouchcode", "invoiceno", "reserve2"];
    let missing = shape.fields.iter().filter(|field| field.required && !number.contains(&&*field.name));
    for field in missing {
        assert!(keys.iter().any(|key| **key == *field.name), "{kind} lacks {}", field.name);
    }
}

#[tokio::test]
async fn the_other_documents_are_written_and_read_back() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    fits("saleorder", &document());
    let customer = json!({
        "name": "宁波样例", "abbrname": "样例", "sort_code": "01", "seed_date": "2026-01-01", "ccusexch_name": "人民币",
        "ccusmngtypecode": "999", "tax_reg_code": "91330200MA0000000X"
    });
    let accept = json!({
        "vouchtype": "48", "vouchdate": "2026-11-25", "period": 11, "flag": "AR", "customercode": "CUST0001",
        "foreigncurrency": "人民币", "currencyrate": 1, "originalamount": "60.50", "amount": "60.50", "operator": "demo",
        "entry": [{"type": "0", "customercode": "CUST0001", "originalamount": "60.50", "amount": "60.50", "orderid": "SO-1"}]
    });
    let invoice = json!({
        "vouchertype": "26", "date": "2026-11-25", "saletypecode": "01", "customercode": "CUST0001",
        "departmentcode": "0201", "foreigncurrency": "人民币", "currencyrate": 1, "maker": "demo",
        "entry": [
            {"warehousecode": "01", "inventorycode": "MAT0001", "quantity": 1, "originalmoney": "0.04",
             "originaltax": "0.01", "originalsum": "0.05", "taxrate": 13},
            {"warehousecode": "01", "inventorycode": "MAT0002", "quantity": 1, "originalmoney": "100.00",
             "originaltax": "13.00", "originalsum": "113.00", "taxrate": 13}
        ]
    });
    for (kind, key, document, total, currency) in [
        ("customer", "C-1", customer, None, None),
        ("accept", "SK-1", accept, Some("60.50"), Some("人民币")),
        ("saleinvoice", "FP-1", invoice, Some("113.05"), Some("人民币")),
    ] {
        fits(kind, &document);
        let task = task(kind, key, document, total.unwrap_or_default());
        let receipt = done(connection.apply(&task).await);
        assert_eq!(receipt.total_tax_included, total.map(decimal), "{kind}");
        assert_eq!(receipt.currency.as_deref(), currency, "{kind}");
        assert_eq!(found(connection.lookup(&task).await).remote, receipt.remote, "{kind}");
        assert_eq!(already(connection.apply(&task).await).remote, receipt.remote, "{kind}");
        let other = Task { origin: "by hand".into(), ..task.clone() };
        assert_eq!(
            said(&failed(connection.apply(&other).await)),
            (Class::Conflict, Code::NumberTaken),
            "{kind}"
        );
        let operation = format!("add {kind}");
        let again = Task { key: format!("{key}0"), origin: "x".into(), ..task };
        sandbox.fault(once(&operation, Fault::LostAnswerAfterCommit));
        assert_eq!(failed(connection.apply(&again).await).class, Class::Unknown, "{kind}");
        assert_eq!(
            already(connection.ask_then_apply(&again).await).total_tax_included,
            total.map(decimal),
            "{kind}"
        );
    }
    assert_eq!(
        sandbox.u8_document("customer", "C-1").unwrap()["header"]["self_define11"],
        "crm/contract/C-1"
    );
    assert_eq!(sandbox.u8_receipts().len(), 2);
    // A customer that was written may be ordered for.
    let mut order = order("SO-1");
    change(&mut order, |document| document["custcode"] = json!("C-1"));
    done(connection.apply(&order).await);
}

#[tokio::test]
async fn a_voucher_is_written_once_or_parked() {
    let sandbox = stand_in().await;
    let connection = connection(&sandbox, "");
    let entry = |id: u32, account: &str, side: &str, amount: &str| {
        json!({"entry_id": id, "account_code": account, "abstract": "收款", side: amount,
               "auxiliary_accounting": {"cust_id": "CUST0001"}})
    };
    let voucher = |amount: &str| {
        json!({
            "voucher_type": "记", "fiscal_year": 2026, "accounting_period": 11, "date": "2026-11-25", "enter": "demo",
            "entry": [entry(1, "1002", "natural_debit_currency", "60.50"), entry(2, "1122", "natural_credit_currency", amount)]
        })
    };
    fits("voucher", &voucher("60.50"));
    let task = task("voucher", "PZ-1", voucher("60.50"), "");
    let receipt = done(connection.apply(&task).await);
    assert_eq!(receipt.total_tax_included, None);
    let stored = sandbox.u8_document("voucher", "PZ-1").unwrap();
    assert_eq!(stored["id"].to_string(), receipt.remote.id);
    assert_eq!(stored["entry"].as_array().unwrap().len(), 2);
    let open = Task { key: "PZ-2".into(), document: voucher("60.00").into(), ..task.clone() };
    let failure = failed(connection.apply(&open).await);
    assert_eq!(failure.class, Class::Rejected);
    assert!(failure.fault.message.zh.contains("借贷不平衡"), "{failure:?}");
    let mut wrong = open.clone();
    change(&mut wrong, |document| document["entry"][1]["account_code"] = json!("9"));
    let failure = failed(connection.apply(&wrong).await);
    assert!(failure.fault.message.zh.contains("该科目不合法,请重新输入。;；凭证分录数据有错"), "{failure:?}");
    // Lost: nobody can ask, so it is never sent again.
    let lost = Task { key: "PZ-3".into(), ..task };
    sandbox.fault(once("add voucher", Fault::LostAnswerAfterCommit));
    assert_eq!(failed(connection.apply(&lost).await).class, Class::Unknown);
    assert_eq!(said(&cannot_tell(connection.lookup(&lost).await)), (Class::Unknown, Code::OutcomeUnknown));
    assert!(sandbox.u8_document("voucher", "PZ-3").is_some());
}
