//! Two files by key: `recon compare` against a hash join written by hand and against DuckDB, by turns, each time in a
//! process of its own. Their results have to be the same.

mod files;
mod once;

pub use once::once;

use super::{Figure, Table, median};
use crate::cli::BenchCompareArgs;
use files::{Case, write};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tokio::process::Command;
use tongbao_yardstick::join::DUCKDB;

/// Rows a second, as parts of the hash join's: 1.3 times its time at most.
const OF_JOIN: f64 = 1.0 / 1.3;
/// As parts of DuckDB's; 0.6 times its time is 1.67.
const OF_DUCKDB: f64 = 1.0;
/// MiB at most.
const MEMORY: f64 = 400.0;

/// What a process tells of its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    /// Microseconds from opening the files to the result.
    micros: u32,
    /// KiB of memory at most.
    peak_kib: u32,
    /// Keys: equal, different, left only, right only.
    keys: [u64; 4],
    /// Their sums, left and right.
    sums: [[String; 2]; 4],
}

/// Who compares.
enum Engine {
    Ours,
    Join,
    DuckDb(PathBuf),
}

impl Engine {
    fn name(&self) -> &'static str {
        match self {
            Engine::Ours => "通宝 / recon compare",
            Engine::Join => "手写哈希连接 / hand-written hash join",
            Engine::DuckDb(_) => "DuckDB, DECIMAL, 2 threads",
        }
    }

    async fn run(&self, case: &Case) -> Result<Run, String> {
        let mut command = match self {
            Engine::Ours | Engine::Join => {
                let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
                command.args(["bench", "compare-once"]);
                command.arg(if matches!(self, Engine::Ours) { "ours" } else { "join" });
                command.args(&case.files);
                command
            }
            Engine::DuckDb(python) => {
                let mut command = Command::new(python);
                command.arg("-c").arg(DUCKDB).args(&case.files);
                command.arg(if case.has_several { "several" } else { "one" });
                command
            }
        };
        let output = command.kill_on_drop(true).output().await;
        let output = output.map_err(|error| format!("{}: {error}", self.name()))?;
        if !output.status.success() {
            return Err(format!("{}: {}", self.name(), String::from_utf8_lossy(&output.stderr)));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{}: {error}", self.name()))
    }
}

/// Runs it.
pub async fn run(args: &BenchCompareArgs) -> Result<(Vec<Figure>, Vec<Table>), String> {
    let folder =
        tempfile::Builder::new().prefix("tongbao-bench-").tempdir().map_err(|error| error.to_string())?;
    let mut engines = vec![Engine::Ours, Engine::Join];
    engines.extend(args.python.clone().map(Engine::DuckDb));
    let (mut figures, mut rows) = (Vec::new(), Vec::new());
    for has_several in [false, true] {
        let case = made(folder.path(), has_several, args)?;
        let measured = measure(&case, &engines, args.rounds.max(1)).await?;
        let Some((ours, others)) = measured.split_first() else { continue };
        let millions = f64::from(args.rows) * 2.0;
        for (other, goal) in others.iter().zip([OF_JOIN, OF_DUCKDB]) {
            figures.push(Figure {
                what: case.name.to_owned(),
                rate: millions / ours.seconds(),
                limit_what: other.name.to_owned(),
                limit: millions / other.seconds(),
                goal: Some(goal),
            });
        }
        rows.extend(measured.iter().map(|one| one.row(case.name, ours)));
    }
    Ok((figures, vec![table(rows)]))
}

fn made(folder: &Path, has_several: bool, args: &BenchCompareArgs) -> Result<Case, String> {
    write(folder, has_several, args.rows, args.seed).map_err(|error| error.to_string())
}

/// Runs of one engine.
struct Measured {
    name: &'static str,
    runs: Vec<Run>,
}

impl Measured {
    fn seconds(&self) -> f64 {
        median(self.runs.iter().map(|run| f64::from(run.micros) / 1e6).collect())
    }

    fn peak_mib(&self) -> f64 {
        f64::from(self.runs.iter().map(|run| run.peak_kib).max().unwrap_or(0)) / 1024.0
    }

    fn row(&self, case: &str, ours: &Measured) -> Vec<String> {
        let is_ours = self.name == ours.name;
        vec![
            case.to_owned(),
            self.name.to_owned(),
            format!("{:.3}", self.seconds()),
            if is_ours { String::new() } else { format!("{:.2}", ours.seconds() / self.seconds()) },
            format!("{:.0}", self.peak_mib()),
            if is_ours { format!("{MEMORY:.0}") } else { String::new() },
        ]
    }
}

/// By turns; the first round, in which the files come to be in memory, does not count.
async fn measure(case: &Case, engines: &[Engine], rounds: usize) -> Result<Vec<Measured>, String> {
    let mut measured: Vec<Measured> =
        engines.iter().map(|engine| Measured { name: engine.name(), runs: Vec::new() }).collect();
    for round in 0..=rounds {
        let mut first: Option<Run> = None;
        for (engine, measured) in engines.iter().zip(&mut measured) {
            let run = engine.run(case).await?;
            let first = first.get_or_insert_with(|| run.clone());
            if (&run.keys, &run.sums) != (&first.keys, &first.sums) {
                return Err(format!("{} does not find the same: {run:?}, {first:?}", engine.name()));
            }
            if round > 0 {
                measured.runs.push(run);
            }
        }
    }
    Ok(measured)
}

fn table(rows: Vec<Vec<String>>) -> Table {
    Table {
        name: "compare",
        title: "中位用时与内存峰值 / median time and most memory".to_owned(),
        head: vec![
            "文件 / files",
            "谁 / who",
            "秒 / s",
            "通宝用时之比 / ours to it",
            "内存 MiB / memory",
            "上限 / bound",
        ],
        rows,
    }
}
