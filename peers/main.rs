//! The shipped mapping of contracts beside the same translation in other languages, by turns in one run.
//!
//! No figure is printed before every side has made the same of the same documents.

mod agree;
mod engine;
mod jaq;
mod ours;
mod vrl;
mod zen;

use engine::Engine;
use serde_json::Value;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tongbao_yardstick::{Codes, ten_lines};

/// The allocator of the `tongbao` binary, for every side.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 11;
const SLICE: Duration = Duration::from_millis(300);
/// How many times VRL's rate the mapping is to reach.
const GOAL: f64 = 4.0;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    measure("10 行合同 / the 10-line contract", &[ten_lines()])?;
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else { return Ok(()) };
    let contracts = ours::real(&read(&path).map_err(|error| format!("{}: {error}", path.display()))?)?;
    println!();
    measure(&format!("{} 份真实合同 / {} real contracts", contracts.len(), contracts.len()), &contracts)
}

/// The lines of a file, packed or not.
fn read(path: &Path) -> std::io::Result<String> {
    let file = std::fs::File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        std::io::read_to_string(flate2::read::GzDecoder::new(file))
    } else {
        std::io::read_to_string(file)
    }
}

fn measure(what: &str, contracts: &[Value]) -> Result<(), String> {
    let mut known = contracts.to_vec();
    known.push(ten_lines());
    let codes = Codes::of(&known);
    let mut engines: Vec<Box<dyn Engine>> = vec![
        Box::new(ours::Tongbao::new(&codes)?),
        Box::new(ours::ByHand::new(&codes)),
        Box::new(vrl::Vrl::new(&codes)?),
        Box::new(jaq::Jaq::new(&codes)?),
        Box::new(zen::Zen::new(&codes)?),
    ];
    agree::all(&mut engines)?;
    let inputs: Vec<Vec<u8>> = contracts.iter().map(|contract| contract.to_string().into_bytes()).collect();
    let exact: Vec<String> = match inputs.as_slice() {
        [_] => engines.iter_mut().map(|engine| agree::exact(engine.as_mut())).collect(),
        many => agree::kept(&mut engines, many)?,
    };
    let mut rates = vec![Vec::with_capacity(ROUNDS); engines.len()];
    for _ in 0..ROUNDS {
        for (engine, rates) in engines.iter_mut().zip(&mut rates) {
            rates.push(rate(engine.as_mut(), &inputs));
        }
    }
    let rates: Vec<f64> = rates.into_iter().map(median).collect();
    let (ours, by_hand) = (rates[0], rates[1]);
    println!("{what}，JSON 字节 → 金蝶销售订单字节 / JSON bytes to a Kingdee sales order's bytes\n");
    println!(
        "| | 每秒 /s | 对手写 / of by hand | 通宝为其倍数 / tongbao is | 目标 / goal | 精确小数 / exact decimals |"
    );
    println!("|---|---:|---:|---:|---:|---|");
    for ((engine, rate), exact) in engines.iter().zip(&rates).zip(&exact) {
        let name = engine.name();
        let goal = if name.starts_with("VRL") { format!("≥ {GOAL:.0} ×") } else { String::new() };
        println!("| {name} | {rate:.0} | {:.3} | {:.2} × | {goal} | {exact} |", rate / by_hand, ours / rate);
    }
    Ok(())
}

/// How many documents a second, over a slice of time. What a side refuses has cost it time too.
fn rate(engine: &mut dyn Engine, inputs: &[Vec<u8>]) -> f64 {
    let started = Instant::now();
    let mut count = 0_u32;
    let mut inputs = inputs.iter().cycle();
    while started.elapsed() < SLICE {
        for input in inputs.by_ref().take(50) {
            let _ = black_box(engine.run(black_box(input)));
        }
        count += 50;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
