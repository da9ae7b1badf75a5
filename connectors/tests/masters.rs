//! Customers, materials and stock: what is each system's own. What all share is the conformance kit's matter.

use crate::kit::{Connection, connect, decimal, said, sandbox, sandbox_with, searched};
use crate::{kingdee, yonyou_u8_eai, yonyou_u8_openapi};
use tongbao_connect::masters::read_all;
use tongbao_connect::{Failure, Master, MasterKind, StockQuery};
use tongbao_model::{Class, Code};
use tongbao_sandbox::{MasterSpec, Sandbox, StockSpec};

async fn read(connection: &Connection, kind: MasterKind) -> Result<Vec<Master>, Failure> {
    searched(read_all(connection.masters().as_ref(), kind).await)
}

async fn codes(connection: &Connection, kind: MasterKind) -> Result<Vec<String>, Failure> {
    let mut codes: Vec<String> = read(connection, kind).await?.into_iter().map(|row| row.code).collect();
    codes.sort();
    Ok(codes)
}

fn kingdee_connection(sandbox: &Sandbox, more: &str) -> Connection {
    connect("kingdee-cloud", &kingdee::settings(sandbox, &format!("{}{more}", kingdee::SIGNATURE)))
}

fn asked(materials: &[&str], warehouse: Option<&str>) -> StockQuery {
    StockQuery {
        materials: materials.iter().map(|code| (*code).to_owned()).collect(),
        warehouse: warehouse.map(str::to_owned),
    }
}

fn lot(material: &str, warehouse: &str, on_hand: &str) -> StockSpec {
    let on_hand = decimal(on_hand);
    StockSpec { material: material.into(), warehouse: warehouse.into(), on_hand, available: on_hand }
}

#[tokio::test]
async fn a_site_that_caps_pages_is_read_to_its_end() {
    // The site gives two rows, whatever is asked for: a page shorter than the wish is not the last one.
    let sandbox = sandbox_with(|config| config.kingdee.max_limit = 2).await;
    for nth in 0..3 {
        sandbox.put_master("customers", &MasterSpec::new(&format!("E-{nth}"), "甲")).unwrap();
    }
    let all = ["CUST0001", "CUST0002", "E-0", "E-1", "E-2"];
    assert_eq!(codes(&kingdee_connection(&sandbox, ""), MasterKind::Customers).await.unwrap(), all);
    assert_eq!(
        codes(&kingdee_connection(&sandbox, "use_org: 100\n"), MasterKind::Customers).await.unwrap(),
        all
    );
    let none = codes(&kingdee_connection(&sandbox, "use_org: 200\n"), MasterKind::Customers).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn rows_have_what_the_systems_say_of_them() {
    let sandbox = yonyou_u8_openapi::stand_in(|_| {}).await;
    let customer = MasterSpec {
        short_name: "甲".into(),
        tax_number: "91330200MA2EXAMP33".into(),
        disabled: true,
        ..MasterSpec::new("E-1", " 甲（贸易）有限公司 ")
    };
    let material = MasterSpec {
        specification: "V2".into(),
        unit: "Pcs".into(),
        ..MasterSpec::new("E-M", "<软件> & 平台")
    };
    sandbox.put_master("customers", &customer).unwrap();
    sandbox.put_master("materials", &material).unwrap();
    let eai = sandbox_with(yonyou_u8_eai::registered).await;
    eai.put_master("customers", &customer).unwrap();
    eai.put_master("materials", &material).unwrap();
    for connection in [
        kingdee_connection(&sandbox, ""),
        yonyou_u8_openapi::connection(&sandbox, ""),
        yonyou_u8_eai::connection(&eai, ""),
    ] {
        let rows = read(&connection, MasterKind::Customers).await.unwrap();
        let row = rows.iter().find(|row| row.code == "E-1").unwrap();
        assert_eq!(
            (row.name.trim(), row.short_name.as_str(), row.tax_number.as_str(), row.disabled),
            ("甲（贸易）有限公司", "甲", "91330200MA2EXAMP33", true)
        );
        assert!(!rows.iter().find(|row| row.code == "CUST0001").unwrap().disabled);
        let rows = read(&connection, MasterKind::Materials).await.unwrap();
        let row = rows.iter().find(|row| row.code == "E-M").unwrap();
        assert_eq!(
            (row.name.as_str(), row.specification.as_str(), row.unit.as_str()),
            ("<软件> & 平台", "V2", "Pcs")
        );
    }
    eai.shutdown().await;
    sandbox.shutdown().await;
}

#[tokio::test]
async fn codes_with_quotes_and_small_pages_of_stock() {
    let sandbox = sandbox().await;
    let codes = ["O'Neil", "A,B", "M 1"];
    for code in codes {
        for on_hand in ["0.1", "0.2", "1000000000.0000000001"] {
            sandbox.add_stock(&lot(code, "W", on_hand));
        }
    }
    sandbox.put_master("materials", &MasterSpec::new("EMPTY", "无库存")).unwrap();
    // Nine lots in pages of two.
    let connection = kingdee_connection(&sandbox, "page_rows: 2\n");
    let query = asked(&["O'Neil", "A,B", "M 1", "EMPTY", "NONE"], None);
    let stock = searched(connection.masters().stock(&query).await).unwrap();
    let told: Vec<(&str, String)> =
        stock.rows.iter().map(|row| (row.material.as_str(), row.on_hand.to_string())).collect();
    let sum = "1000000000.3000000001".to_owned();
    assert_eq!(told, [("A,B", sum.clone()), ("M 1", sum.clone()), ("O'Neil", sum)]);
    assert_eq!(stock.unknown, ["NONE"], "none in stock and not there are told apart");
    let elsewhere = kingdee_connection(&sandbox, "stock_org: 200\n");
    assert!(elsewhere.masters().stock(&asked(&["M 1"], None)).await.unwrap().rows.is_empty());
    // A field the form does not have is a mistake in the settings, and no stock of nought.
    let wrong = kingdee_connection(&sandbox, "stock_quantity_field: FNoSuch\n");
    let failure = searched(wrong.masters().stock(&asked(&["M 1"], None)).await).unwrap_err();
    assert_eq!(said(&failure), (Class::Misconfigured, Code::TargetMisconfigured));
    sandbox.shutdown().await;
}

#[tokio::test]
async fn an_archive_that_may_be_cut_off_is_not_believed() {
    let sandbox = yonyou_u8_eai::stand_in().await;
    let full = yonyou_u8_eai::connection(&sandbox, "archive_items_max: 2\n");
    let failure = read(&full, MasterKind::Customers).await.unwrap_err();
    assert_eq!(failure.fault.field.as_deref(), Some("archive_items_max"));
    let enough = yonyou_u8_eai::connection(&sandbox, "archive_items_max: 3\n");
    assert_eq!(codes(&enough, MasterKind::Customers).await.unwrap(), ["CUST0001", "CUST0002"]);
    let failure = searched(enough.masters().stock(&asked(&["MAT0001"], None)).await).unwrap_err();
    assert_eq!(said(&failure), (Class::Misconfigured, Code::TargetMisconfigured));
    sandbox.shutdown().await;
}

#[tokio::test]
async fn filters_that_are_not_honoured_change_nothing() {
    let sandbox = yonyou_u8_openapi::stand_in(|config| config.u8.ignore_conditions = true).await;
    for spec in [lot("M1", "W1", "5"), lot("M1", "W2", "7"), lot("M10", "W1", "9")] {
        sandbox.add_stock(&spec);
    }
    let connection = yonyou_u8_openapi::connection(&sandbox, "rows_per_page: 2\n");
    let stock = searched(connection.masters().stock(&asked(&["M1"], Some("W1"))).await).unwrap();
    let told: Vec<(&str, String)> =
        stock.rows.iter().map(|row| (row.warehouse.as_str(), row.on_hand.normalize().to_string())).collect();
    assert_eq!(told, [("W1", "5".to_owned())]);
    sandbox.shutdown().await;
}
