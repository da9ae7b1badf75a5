//! `tongbao recon …`

use crate::cli::ReconCommand;
use crate::output::{self, Exit};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::time::Instant;
use tongbao_model::Exact;
use tongbao_recon::matching::planted::{Class, Score, plant, score};
use tongbao_recon::matching::{Fee, Policy, matched};

/// Runs a command.
pub fn run(command: &ReconCommand, as_json: bool) -> Exit {
    match command {
        ReconCommand::Bench { payments, seed } => bench(*payments, *seed, as_json),
    }
}

/// Payments whose truth is known through the shipped rules. Fails when one is matched wrongly without a person.
fn bench(payments: usize, seed: u64, as_json: bool) -> Exit {
    let planted = plant(seed, payments);
    let fee = Fee { name: "手续费".into(), currency: "CNY".into(), limit: Exact(Decimal::from(20)) };
    let policy = Policy { fees: vec![fee], ..Policy::default() };
    let begun = Instant::now();
    let verdicts = match matched(&planted.items, &planted.payments, &planted.payers, &policy) {
        Ok(verdicts) => verdicts,
        Err(error) => {
            output::note(&error.to_string());
            return Exit::Failed;
        }
    };
    let took = begun.elapsed();
    let scores = score(&planted, &verdicts);
    let sum = |of: fn(&Score) -> usize| scores.values().map(of).sum::<usize>();
    let (right, wrong) = (sum(|score| score.right), sum(|score| score.wrong));
    let matched = right + wrong;
    let precision = share(right, matched);
    if as_json {
        let classes: Vec<Value> = scores.iter().map(shown).collect();
        output::json(&json!({
            "payments": planted.payments.len(), "items": planted.items.len(), "seed": seed, "right": right, "wrong": wrong,
            "precision": precision, "milliseconds": u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "classes": classes,
        }));
    } else {
        let head = [
            "类别 / class",
            "笔数 / all",
            "自动对 / right",
            "自动错 / wrong",
            "待人工 / shown",
            "召回 / recall",
        ];
        let rows: Vec<Vec<String>> = scores.iter().map(row).collect();
        output::line(output::table(&head, &rows).trim_end());
        let (payments, items, seconds) = (planted.payments.len(), planted.items.len(), took.as_secs_f64());
        output::line(&format!(
            "\n{payments} 笔收款、{items} 笔应收，种子 {seed}，{seconds:.2} 秒；自动核销 {matched} 笔，准确率 {precision}\n\
             {payments} payments, {items} items, seed {seed}, {seconds:.2} s; {matched} matched without a person, precision {precision}",
        ));
    }
    if wrong == 0 { Exit::Ok } else { Exit::Failed }
}

/// A share with four decimals, cut and not rounded: one wrong of a million is not 1.0000.
fn share(part: usize, all: usize) -> String {
    let share = part.checked_mul(10_000).and_then(|part| part.checked_div(all));
    share.map(|share| format!("{}.{:04}", share / 10_000, share % 10_000)).unwrap_or_default()
}

fn row((class, score): (&Class, &Score)) -> Vec<String> {
    let (zh, en) = class.told();
    let recall = if class.is_near_miss() { String::new() } else { share(score.right, score.all) };
    let counts = [score.all, score.right, score.wrong, score.shown].map(|count| count.to_string());
    std::iter::once(format!("{zh} / {en}")).chain(counts).chain([recall]).collect()
}

fn shown((class, score): (&Class, &Score)) -> Value {
    json!({
        "class": class.told().1, "near_miss": class.is_near_miss(), "all": score.all, "right": score.right, "wrong": score.wrong,
        "shown": score.shown, "recall": if class.is_near_miss() { String::new() } else { share(score.right, score.all) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_cut() {
        assert_eq!(share(1, 1), "1.0000");
        assert_eq!(share(999_999, 1_000_000), "0.9999");
        assert_eq!(share(0, 0), "");
    }
}
