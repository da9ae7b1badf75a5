//! JSON bytes in, Kingdee sales order bytes out: the shipped mapping against code written by hand for it.

use super::{Figure, median};
use crate::config::Documents;
use crate::stage::MAPPINGS;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use tongbao_mapping::{Mapping, Tables, compile};
use tongbao_model::{Exact, decimal};

const ROUNDS: u64 = 9;
const KINGDEE: &str = "contract/contract__kingdee-cloud.yaml";

/// Documents to translate, with the code tables they need, once for each side.
struct Case {
    what: String,
    inputs: Vec<Vec<u8>>,
    tables: Tables,
    codes: HashMap<String, String>,
}

impl Case {
    fn new(what: &str, records: Vec<Value>) -> Case {
        let mut rows = HashMap::new();
        for record in &records {
            let of =
                |path: &str, value: &Value| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
            let lines = record.get("lines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            rows.extend(of("/customer/code", record).map(|code| (code, "customers")));
            rows.extend(of("/salesperson/code", record).map(|code| (code, "salespersons")));
            rows.extend(lines.iter().filter_map(|line| Some((of("/product/code", line)?, "materials"))));
        }
        let row = |(code, table): (&String, &&str)| ((*table).to_owned(), code.clone(), format!("X{code}"));
        Case {
            what: what.to_owned(),
            tables: Tables::new(1, rows.iter().map(row)),
            codes: rows.keys().map(|code| (code.clone(), format!("X{code}"))).collect(),
            inputs: records.iter().map(|record| record.to_string().into_bytes()).collect(),
        }
    }
}

/// Runs it. `contracts` is a file of contracts as a CRM posts them, one JSON document a line.
pub fn run(seconds: u64, contracts: Option<&Path>) -> Result<Vec<Figure>, String> {
    let documents = Documents::all();
    let mapping = compiled(KINGDEE, &documents)?;
    let mut cases = vec![Case::new("10 行合同 / 10-line contract", vec![contract()])];
    if let Some(path) = contracts {
        let intake = compiled("contract/webhook__contract.yaml", &documents)?;
        let records = real(path, &intake)?;
        cases.push(Case::new(&format!("{} 份真实合同 / real contracts", records.len()), records));
    }
    let slice = Duration::from_millis(seconds * 1000 / ROUNDS);
    let mut figures = Vec::new();
    for case in &cases {
        agree(&mapping, case)?;
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            left.push(rate(slice, case, |input| declared(&mapping, &case.tables, input))?);
            right.push(rate(slice, case, |input| by_hand(input, &case.codes))?);
        }
        figures.push(Figure {
            what: format!("映射 / mapping, {}", case.what),
            rate: median(left),
            limit_what: "手写 / hand-written serde + rust_decimal".into(),
            limit: median(right),
            goal: Some(0.85),
        });
    }
    figures.extend(cases.first().map(|case| threads(&mapping, case, slice)).transpose()?);
    figures.push(compiling(&documents)?);
    Ok(figures)
}

fn compiled(name: &str, documents: &Documents) -> Result<Mapping, String> {
    let text = MAPPINGS.iter().find(|(file, _)| *file == name).map(|(_, text)| *text).ok_or("no mapping")?;
    let (mapping, found) = compile(name, text, documents);
    mapping.ok_or_else(|| found.iter().map(ToString::to_string).collect::<String>())
}

/// Contracts as the intake's mapping makes them; those without a customer make no order and are left out.
fn real(path: &Path, intake: &Mapping) -> Result<Vec<Value>, String> {
    let shown = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(|error| shown(&error))?;
    let text = if path.extension().is_some_and(|extension| extension == "gz") {
        std::io::read_to_string(flate2::read::GzDecoder::new(file))
    } else {
        std::io::read_to_string(file)
    };
    let mut records = Vec::new();
    for line in text.map_err(|error| shown(&error))?.lines() {
        if let Ok(mapped) = intake.run_text(line, &Tables::default())
            && mapped.document.pointer("/customer/code").is_some()
        {
            records.push(mapped.document);
        }
    }
    if records.is_empty() { Err(shown(&"no contract in it")) } else { Ok(records) }
}

/// Both sides make the same of every document, or neither makes one.
fn agree(mapping: &Mapping, case: &Case) -> Result<(), String> {
    let parse = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).map_err(|error| error.to_string());
    for input in &case.inputs {
        let (ours, theirs) = (declared(mapping, &case.tables, input), by_hand(input, &case.codes));
        let same = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => parse(ours)? == parse(theirs)?,
            (ours, theirs) => ours.is_err() && theirs.is_err(),
        };
        if !same {
            return Err(format!("the two sides do not make the same of {}", String::from_utf8_lossy(input)));
        }
    }
    Ok(())
}

fn rate(slice: Duration, case: &Case, run: impl Fn(&[u8]) -> Result<Vec<u8>, String>) -> Result<f64, String> {
    let started = Instant::now();
    let mut count = 0_u32;
    let mut inputs = case.inputs.iter().cycle();
    while started.elapsed() < slice {
        for input in inputs.by_ref().take(50) {
            // What a document without a total makes is a refusal, on both sides.
            let _ = black_box(run(input));
        }
        count += 50;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

/// Two threads against one, interleaved.
fn threads(mapping: &Mapping, case: &Case, slice: Duration) -> Result<Figure, String> {
    let one = || rate(slice, case, |input| declared(mapping, &case.tables, input));
    let (mut single, mut double) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        single.push(one()?);
        let both = std::thread::scope(|scope| {
            let other = scope.spawn(one);
            let here = one()?;
            other.join().map_err(|_| "a thread ended".to_owned())?.map(|there| here + there)
        });
        double.push(both?);
    }
    Ok(Figure {
        what: "两个线程 / two threads".into(),
        rate: median(double),
        limit_what: "一个线程 / one thread".into(),
        limit: median(single),
        goal: Some(1.8),
    })
}

/// The slowest of the shipped mappings to compile.
fn compiling(documents: &Documents) -> Result<Figure, String> {
    let mut slowest: (f64, &str) = (f64::MAX, "");
    for (name, text) in MAPPINGS.iter().filter(|(name, _)| name.ends_with(".yaml")) {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let (mapping, _) = black_box(compile(name, text, documents));
            rates.push(1.0 / started.elapsed().as_secs_f64().max(1e-9));
            mapping.ok_or_else(|| format!("{name} does not compile"))?;
        }
        let rate = median(rates);
        if rate < slowest.0 {
            slowest = (rate, name);
        }
    }
    Ok(Figure {
        what: format!("编译，最慢者 / compiling, the slowest: {}", slowest.1),
        rate: slowest.0,
        limit_what: "1 ms".into(),
        limit: 1000.0,
        goal: Some(1.0),
    })
}

fn declared(mapping: &Mapping, tables: &Tables, input: &[u8]) -> Result<Vec<u8>, String> {
    Ok(mapping.run_bytes(input, tables).map_err(|stop| stop.fault.to_string())?.document)
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
    let salesperson = match &contract.salesperson {
        Some(salesperson) => code(&salesperson.code)?,
        None => "SP0001",
    };
    let note = format!("合同 {} {}", contract.number, contract.note.as_deref().unwrap_or(""));
    let order = Order {
        FBillTypeID: Upper { FNUMBER: "XSDD01_SYS" },
        FBillNo: &contract.number,
        FDate: date.clone(),
        FSaleOrgId: Number { FNumber: "100" },
        FCustId: Number { FNumber: code(&contract.customer.code)? },
        FSalerId: Number { FNumber: salesperson },
        FNote: note.chars().take(255).collect(),
        FSaleOrderFinance: Finance { FSettleCurrId: Number { FNumber: currency }, FIsIncludedTax: true },
        FSaleOrderEntry: entries,
    };
    serde_json::to_vec(&order).map_err(|error| error.to_string())
}
