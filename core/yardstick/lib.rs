//! What the shipped mapping of contracts to Kingdee sales orders is measured against: the same translation written
//! by hand with serde and rust_decimal, the contract of ten lines, and the codes that contracts need. And what comparing
//! two files is measured against: [`join`].
//!
//! `tongbao bench mapping` and the comparison with other languages (`peers/`) hold against the same code and the same
//! bytes. It does not know the mapping language; whoever measures runs both and sees that they make the same.

pub mod join;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use tongbao_model::{Exact, china, decimal};

/// The mapping that says the same.
pub const KINGDEE: &str = "contract/contract__kingdee-cloud.yaml";

/// Code tables that translate every code of some contracts.
#[derive(Debug, Clone, Default)]
pub struct Codes {
    customers: HashMap<String, String>,
    salespersons: HashMap<String, String>,
    materials: HashMap<String, String>,
}

impl Codes {
    /// For every code in these contracts.
    pub fn of(records: &[Value]) -> Codes {
        let mut codes = Codes::default();
        let pair = |path: &str, value: &Value| {
            let code = value.pointer(path).and_then(Value::as_str)?;
            Some((code.to_owned(), format!("X{code}")))
        };
        for record in records {
            let lines = record.get("lines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            codes.customers.extend(pair("/customer/code", record));
            codes.salespersons.extend(pair("/salesperson/code", record));
            codes.materials.extend(lines.iter().filter_map(|line| pair("/product/code", line)));
        }
        codes
    }

    /// The same as rows (table, source code, target code).
    pub fn rows(&self) -> impl Iterator<Item = (String, String, String)> + '_ {
        let tables = [
            ("customers", &self.customers),
            ("salespersons", &self.salespersons),
            ("materials", &self.materials),
        ];
        tables.into_iter().flat_map(|(table, codes)| {
            codes.iter().map(move |(source, target)| (table.to_owned(), source.clone(), target.clone()))
        })
    }
}

/// A contract of ten lines.
pub fn ten_lines() -> Value {
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
    salesperson: Option<Coded>,
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
    discount_tax_included: Option<Exact>,
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

/// What the price comes to after a discount, at ten places.
fn price(line: &Line) -> Result<Decimal, &'static str> {
    let Some(discount) = line.discount_tax_included else { return Ok(line.unit_price_tax_included.0) };
    let paid = decimal::add(line.amount_tax_included.0, discount.0).ok_or("range")?;
    let price = paid.checked_div(line.quantity.0).ok_or("quantity")?;
    Ok(decimal::round_half_up(price, 10).normalize())
}

/// The sales order of a contract, as bytes; refused as the mapping refuses it.
pub fn by_hand(input: &[u8], codes: &Codes) -> Result<Vec<u8>, String> {
    let contract: Contract = serde_json::from_slice(input).map_err(|error| error.to_string())?;
    let mut sum = Decimal::ZERO;
    for line in &contract.lines {
        sum += line.amount_tax_included.0;
        sum += line.discount_tax_included.map_or(Decimal::ZERO, |discount| discount.0);
    }
    if sum != contract.total_tax_included.0 || sum.is_zero() {
        return Err("total".into());
    }
    let date = contract.signed_at.to_zoned(china::zone()).date().to_string();
    let mut entries = Vec::with_capacity(contract.lines.len());
    for line in &contract.lines {
        let rate = decimal::multiply(line.tax_rate.0, Decimal::ONE_HUNDRED).ok_or("range")?;
        entries.push(Entry {
            FMaterialId: Number { FNumber: known(&codes.materials, &line.product.code)? },
            FUnitID: Number { FNumber: "Pcs" },
            FQty: Digits(line.quantity.0),
            FTaxPrice: Digits(price(line)?),
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
    let salesperson = match &contract.salesperson {
        Some(salesperson) => known(&codes.salespersons, &salesperson.code)?,
        None => "SP0001",
    };
    let note = format!("合同 {} {}", contract.number, contract.note.as_deref().unwrap_or(""));
    let order = Order {
        FBillTypeID: Upper { FNUMBER: "XSDD01_SYS" },
        FBillNo: &contract.number,
        FDate: date.clone(),
        FSaleOrgId: Number { FNumber: "100" },
        FCustId: Number { FNumber: known(&codes.customers, &contract.customer.code)? },
        FSalerId: Number { FNumber: salesperson },
        FNote: note.chars().take(255).collect(),
        FSaleOrderFinance: Finance { FSettleCurrId: Number { FNumber: currency }, FIsIncludedTax: true },
        FSaleOrderEntry: entries,
    };
    serde_json::to_vec(&order).map_err(|error| error.to_string())
}

fn known<'a>(table: &'a HashMap<String, String>, code: &str) -> Result<&'a str, String> {
    table.get(code).map(String::as_str).ok_or_else(|| "code".to_owned())
}
