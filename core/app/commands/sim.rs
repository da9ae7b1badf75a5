//! `tongbao sim`: seeds through the simulation, on all cores.

use crate::cli::SimArgs;
use crate::output::{self, Exit};
use crate::sim::{self, Shipped, Tally, many};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tongbao_delivery::sim::{Bug, Verdict};

/// Violations shown in full.
const SHOWN: usize = 3;

/// Runs the seeds; an exit code other than 0 if an invariant did not hold.
pub fn run(args: &SimArgs, as_json: bool) -> Exit {
    let bug = match args.bug.as_deref().map(|name| (name, Bug::from_name(name))) {
        None => None,
        Some((_, Some(bug))) => Some(bug),
        Some((name, None)) => {
            let known: Vec<&str> = Bug::ALL.iter().map(|(name, _)| *name).collect();
            output::note(&format!("没有 {name} / no mistake is named `{name}`: {}", known.join(", ")));
            return Exit::Usage;
        }
    };
    let shipped = match Shipped::new() {
        Ok(shipped) => Arc::new(shipped),
        Err(why) => {
            output::note(&why);
            return Exit::Failed;
        }
    };
    if let Some(seed) = args.seed {
        return one(&shipped, seed, args, bug, as_json);
    }
    let begun = Instant::now();
    let tally = many(&shipped, args.from, args.seeds, bug);
    show(&tally, begun.elapsed(), args, as_json);
    if tally.violations.is_empty() { Exit::Ok } else { Exit::Failed }
}

/// One seed with every step.
fn one(shipped: &Arc<Shipped>, seed: u64, args: &SimArgs, bug: Option<Bug>, as_json: bool) -> Exit {
    let name = args.bug.as_deref();
    let verdict = match sim::run(shipped, seed, bug, true) {
        Ok(verdict) => verdict,
        Err(why) => {
            output::note(&why);
            return Exit::Failed;
        }
    };
    if as_json {
        output::json(&shown(&verdict));
    } else {
        verdict.trace.iter().for_each(|line| output::line(line));
        output::line(&headline(&verdict, name));
    }
    if verdict.violation.is_none() { Exit::Ok } else { Exit::Failed }
}

fn headline(verdict: &Verdict, bug: Option<&str>) -> String {
    let seed = verdict.seed;
    match &verdict.violation {
        None => format!("种子 {seed} 无违例 / seed {seed} holds; {:016x}", verdict.digest),
        Some(violation) => {
            let again = bug.map(|bug| format!(" --bug {bug}")).unwrap_or_default();
            format!("种子 {seed} 违例 / seed {seed} fails: {violation}; tongbao sim --seed {seed}{again}")
        }
    }
}

fn shown(verdict: &Verdict) -> serde_json::Value {
    json!({
        "seed": verdict.seed, "violation": verdict.violation, "steps": verdict.steps,
        "digest": format!("{:016x}", verdict.digest), "simulated_s": verdict.simulated.as_secs(),
        "trace": verdict.trace,
    })
}

fn show(tally: &Tally, took: Duration, args: &SimArgs, as_json: bool) {
    if as_json {
        output::json(&json!({
            "runs": tally.runs, "steps": tally.steps, "simulated_s": tally.simulated.as_secs(),
            "crashes": tally.crashes, "freezes": tally.freezes, "attempts": tally.attempts,
            "fenced": tally.fenced, "seconds": took.as_secs(),
            "violations": tally.violations.iter().map(shown).collect::<Vec<_>>(),
        }));
        return;
    }
    for verdict in tally.violations.iter().take(SHOWN) {
        verdict.trace.iter().for_each(|line| output::line(line));
    }
    for verdict in &tally.violations {
        output::line(&headline(verdict, args.bug.as_deref()));
    }
    output::line(&format!(
        "{} 个种子，{} 个违例 / {} seeds, {} fail; {} 小时 simulated hours, {} crashes, {} freezes, {} attempts, \
         {} fenced, {} s",
        tally.runs,
        tally.violations.len(),
        tally.runs,
        tally.violations.len(),
        tally.simulated.as_secs() / 3_600,
        tally.crashes,
        tally.freezes,
        tally.attempts,
        tally.fenced,
        took.as_secs(),
    ));
}
