//! JSON bytes in, Kingdee sales order bytes out: the shipped mapping against code written by hand for it.

use super::{Figure, median};
use crate::config::Documents;
use crate::stage::MAPPINGS;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tongbao_mapping::{Mapping, Tables, compile};
use tongbao_model::{Exact, decimal};

const ROUNDS: u64 = 9;

/// Runs it.
pub fn run(seconds: u64) -> Result<Vec<Figure>, String> {
    let name = "contract/contract__kingdee-cloud.yaml";
    let text = MAPPINGS.iter().find(|(file, _)| *file == name).map(|(_, text)| *text).ok_or("no mapping")?;
    let started = Instant::now();
    let (mapping, found) = compile(name, text, &Documents::all());
    let compiled = started.elapsed();
    let mapping = mapping.ok_or_else(|| found.iter().map(ToString::to_string).collect::<String>())?;
    let input = contract().to_string().into_bytes();
    let rows = [("customers", "C1"), ("materials", "P1"), ("salespersons", "S1")];
    let tables = Tables::new(
        1,
        rows.iter().map(|(table, code)| ((*table).to_owned(), (*code).to_owned(), format!("X{code}"))),
    );
    let codes: HashMap<String, String> =
        ["C1", "P1", "S1"].into_iter().map(|code| (code.to_owned(), format!("X{code}"))).collect();
    let (ours, theirs) = (declared(&mapping, &tables, &input)?, by_hand(&input, &codes)?);
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|error| error.to_string());
    if parse(&ours)? != parse(&theirs)? {
        return Err("the two sides do not make the same document".into());
    }
    let slice = Duration::from_millis(seconds * 1000 / ROUNDS);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        left.push(rate(slice, || declared(&mapping, &tables, &input))?);
        right.push(rate(slice, || by_hand(&input, &codes))?);
    }
    let per_compile = 1.0 / compiled.as_secs_f64().max(1e-9);
    Ok(vec![
        Figure {
            what: "映射 10 行合同 / mapping, 10-line contract".into(),
            rate: median(left),
            limit_what: "手写 / hand-written serde + rust_decimal".into(),
            limit: median(right),
            goal: Some(0.85),
        },
        Figure {
            what: "编译一个映射 / compiling one mapping".into(),
            rate: per_compile,
            limit_what: "1 ms".into(),
            limit: 1000.0,
            goal: Some(1.0),
        },
    ])
}

fn rate(slice: Duration, mut run: impl FnMut() -> Result<Vec<u8>, String>) -> Result<f64, String> {
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < slice {
        for _ in 0..50 {
            black_box(run()?);
        }
        count += 50;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

fn declared(mapping: &Mapping, tables: &Tables, input: &[u8]) -> Result<Vec<u8>, String> {
    let document: Value = serde_json::from_slice(input).map_err(|error| error.to_string())?;
    let mapped = mapping.run(&document, tables).map_err(|stop| stop.fault.to_string())?;
    serde_json::to_vec(&mapped.document).map_err(|error| error.to_string())
}

fn contract() -> Value {
    let line = |number: u32| {
        json!({
            "line": number, "product": {"code": "P1", "name": "传感器 TS-200 工业级"}, "quantity": format!("{}", number * 3),
            "unit_price_tax_included": "113.00", "tax_rate": "0.13",
            "amount_tax_included": format!("{}.00", number * 3 * 113), "note": "随货同行",
        })
    };
    let total: u32 = (1..=10).map(|number| number * 3 * 113).sum();
    json!({
        "number": "HT-2026-0001", "signed_at": "2026-11-20T10:00:00+08:00", "customer": {"code": "C1", "name": "宁波样例贸易有限公司"},
        "salesperson": {"code": "S1"}, "currency": "CNY", "lines": (1..=10).map(line).collect::<Vec<_>>(),
        "total_tax_included": format!("{total}.00"), "note": "首批",
    })
}

#[derive(Deserialize)]
struct Contract {
    number: String,
    signed_at: jiff::Timestamp,
    customer: Coded,
    salesperson: Coded,
    currency: String,
    lines: Vec<Line>,
    total_tax_included: Exact,
    note: Option<String>,
}

#[derive(Deserialize)]
struct Coded {
    code: String,
}

#[derive(Deserialize)]
struct Line {
    product: Coded,
    quantity: Exact,
    unit_price_tax_included: Exact,
    tax_rate: Exact,
    amount_tax_included: Exact,
    delivery_date: Option<String>,
    note: Option<String>,
}

/// A decimal written as a JSON number with its own digits.
struct Digits(Decimal);

impl Serialize for Digits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: serde_json::Number = self.0.to_string().parse().map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

#[derive(Serialize)]
#[allow(non_snake_case, reason = "the target's own field names")]
struct Number<'a> {
    FNumber: &'a str,
}

#[derive(Serialize)]
#[allow(non_snake_case, reason = "the target's own field names")]
struct Upper<'a> {
    FNUMBER: &'a str,
}

#[derive(Serialize)]
#[allow(non_snake_case, reason = "the target's own field names")]
struct Finance<'a> {
    FSettleCurrId: Number<'a>,
    FIsIncludedTax: bool,
}

#[derive(Serialize)]
#[allow(non_snake_case, reason = "the target's own field names")]
struct Entry<'a> {
    FMaterialId: Number<'a>,
    FUnitID: Number<'a>,
    FQty: Digits,
    FTaxPrice: Digits,
    FEntryTaxRate: Digits,
    FIsFree: bool,
    FDeliveryDate: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    FEntryNote: Option<&'a str>,
}

#[derive(Serialize)]
#[allow(non_snake_case, reason = "the target's own field names")]
struct Order<'a> {
    FBillTypeID: Upper<'a>,
    FBillNo: &'a str,
    FDate: String,
    FSaleOrgId: Number<'a>,
    FCustId: Number<'a>,
    FSalerId: Number<'a>,
    FNote: String,
    FSaleOrderFinance: Finance<'a>,
    FSaleOrderEntry: Vec<Entry<'a>>,
}

fn by_hand(input: &[u8], codes: &HashMap<String, String>) -> Result<Vec<u8>, String> {
    let contract: Contract = serde_json::from_slice(input).map_err(|error| error.to_string())?;
    let sum: Decimal = contract.lines.iter().map(|line| line.amount_tax_included.0).sum();
    if sum != contract.total_tax_included.0 || sum.is_zero() {
        return Err("total".into());
    }
    let code = |code: &str| codes.get(code).map(String::as_str).ok_or("code");
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::Offset::constant(8));
    let date = contract.signed_at.to_zoned(zone).date().to_string();
    let mut entries = Vec::with_capacity(contract.lines.len());
    for line in &contract.lines {
        let rate = decimal::multiply(line.tax_rate.0, Decimal::ONE_HUNDRED).ok_or("range")?;
        entries.push(Entry {
            FMaterialId: Number { FNumber: code(&line.product.code)? },
            FUnitID: Number { FNumber: "Pcs" },
            FQty: Digits(line.quantity.0),
            FTaxPrice: Digits(line.unit_price_tax_included.0),
            FEntryTaxRate: Digits(rate),
            FIsFree: line.unit_price_tax_included.0.is_zero(),
            FDeliveryDate: line.delivery_date.as_deref().unwrap_or(&date),
            FEntryNote: line.note.as_deref(),
        });
    }
    let currency = match contract.currency.as_str() {
        "CNY" => "PRE001",
        "USD" => "PRE007",
        _ => return Err("currency".into()),
    };
    let note = format!("合同 {} {}", contract.number, contract.note.as_deref().unwrap_or(""));
    let order = Order {
        FBillTypeID: Upper { FNUMBER: "XSDD01_SYS" },
        FBillNo: &contract.number,
        FDate: date.clone(),
        FSaleOrgId: Number { FNumber: "100" },
        FCustId: Number { FNumber: code(&contract.customer.code)? },
        FSalerId: Number { FNumber: code(&contract.salesperson.code)? },
        FNote: note.chars().take(255).collect(),
        FSaleOrderFinance: Finance { FSettleCurrId: Number { FNumber: currency }, FIsIncludedTax: true },
        FSaleOrderEntry: entries,
    };
    serde_json::to_vec(&order).map_err(|error| error.to_string())
}
