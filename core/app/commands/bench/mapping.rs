//! JSON bytes in, Kingdee sales order bytes out: the shipped mapping against code written by hand for it.

use super::{Figure, median};
use crate::config::Documents;
use crate::stage::{BesideShipped, MAPPINGS};
use serde_json::Value;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};
use tongbao_mapping::{Mapping, Tables, compile, compile_with};
use tongbao_yardstick::{Codes, KINGDEE, by_hand, ten_lines};

const ROUNDS: u64 = 9;

/// Documents to translate, with the code tables they need, once for each side.
struct Case {
    what: String,
    inputs: Vec<Vec<u8>>,
    tables: Tables,
    codes: Codes,
}

impl Case {
    fn new(what: &str, records: &[Value]) -> Case {
        let codes = Codes::of(records);
        Case {
            what: what.to_owned(),
            tables: Tables::new(1, codes.rows()),
            codes,
            inputs: records.iter().map(|record| record.to_string().into_bytes()).collect(),
        }
    }
}

/// Runs it. `contracts` is a file of contracts as a CRM posts them, one JSON document a line.
pub fn run(seconds: u64, contracts: Option<&Path>) -> Result<Vec<Figure>, String> {
    let documents = Documents::all();
    let mapping = compiled(KINGDEE, &documents)?;
    let mut cases = vec![Case::new("10 行合同 / 10-line contract", &[ten_lines()])];
    if let Some(path) = contracts {
        let intake = compiled("contract/webhook__contract.yaml", &documents)?;
        let records = real(path, &intake)?;
        cases.push(Case::new(&format!("{} 份真实合同 / real contracts", records.len()), &records));
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
            let (mapping, _) = black_box(compile_with(name, text, documents, &BesideShipped(name)));
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
    Ok(mapping
        .run_bytes(input, tables)
        .map_err(|stop| stop.fault.to_string())?
        .document
        .into_text()
        .into_bytes())
}
