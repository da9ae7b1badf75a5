//! `tongbao recon …`

mod closing;
mod commission;
mod compare;
mod invoices;
mod pack;
mod payments;
mod sending;
mod statement;

use crate::cli::{AsOf, ReconCommand};
use crate::output::{self, Exit};
use crate::receivables::{self, Owed, Sums};
use crate::statements::Failed;
use closing::Change;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tongbao_delivery::port::Holder;
use tongbao_model::Exact;
use tongbao_recon::matching::planted::{Class, Score, plant, score};
use tongbao_recon::matching::{Fee, Policy, matched};

/// Runs a command.
pub async fn run(command: &ReconCommand, config: &Path, as_json: bool) -> Exit {
    match command {
        ReconCommand::Contract { number, when } => {
            owed(Holder::Contract(number.clone()), when, config, as_json).await
        }
        ReconCommand::Customer { code, when } => {
            owed(Holder::Customer(code.clone()), when, config, as_json).await
        }
        ReconCommand::Statement(args) => statement::run(args, config, as_json).await,
        ReconCommand::Send(args) => sending::send(args, config, as_json).await,
        ReconCommand::Sent(args) => sending::sent(args, config, as_json).await,
        ReconCommand::Close { month, reason, by } => {
            closing::change(month, by.as_deref(), Change::Close { reason }, config, as_json).await
        }
        ReconCommand::Reopen { month, by } => {
            closing::change(month, by.as_deref(), Change::Reopen, config, as_json).await
        }
        ReconCommand::Closings => closing::list(config, as_json).await,
        ReconCommand::Verify { file } => statement::verify(file, config, as_json).await,
        ReconCommand::Compare(args) => compare::run(args, as_json),
        ReconCommand::Commission(args) => commission::run(args, config, as_json).await,
        ReconCommand::Pack(args) => pack::run(args, config, as_json).await,
        ReconCommand::Payments(command) => payments::run(command, config, as_json).await,
        ReconCommand::Invoices(command) => invoices::run(command, config, as_json).await,
        ReconCommand::Threeway(args) => invoices::three_way(args, config, as_json).await,
        ReconCommand::Bench { payments, seed } => bench(*payments, *seed, as_json),
    }
}

/// Tells why a command has come to nothing.
fn stopped(why: Failed, as_json: bool) -> Exit {
    match why {
        Failed::Store(error) => super::store_failed(&error, as_json),
        Failed::Unknown(why) | Failed::Told(why) => {
            output::note(&why.to_string());
            Exit::Failed
        }
    }
}

/// Shows what a contract or a customer owes.
async fn owed(of: Holder, when: &AsOf, config: &Path, as_json: bool) -> Exit {
    let as_of_ms = match when.as_of.as_deref().map(receivables::as_of_ms).transpose() {
        Ok(as_of_ms) => as_of_ms,
        Err(why) => {
            output::note(&why.to_string());
            return Exit::Usage;
        }
    };
    let store = match super::store(config).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let found = receivables::owed(store.as_ref(), &of, as_of_ms).await;
    store.close().await;
    match found {
        Err(error) => super::store_failed(&error, as_json),
        Ok(Err(why)) => {
            output::note(&why.to_string());
            Exit::Failed
        }
        Ok(Ok(owed)) if as_json => {
            output::json(&json!(owed));
            Exit::Ok
        }
        Ok(Ok(owed)) if owed.contracts.is_empty() => {
            output::note("没有找到账目 / nothing is on any account of that");
            Exit::Failed
        }
        Ok(Ok(owed)) => {
            show(&owed, matches!(of, Holder::Contract(_)));
            Exit::Ok
        }
    }
}

/// A table of contracts; with their entries where one contract was asked for, with totals otherwise.
fn show(owed: &Owed, with_entries: bool) {
    if let Some(as_of) = &owed.as_of {
        output::line(&format!("截至 {as_of} 所知 / as far as was known at {as_of}\n"));
    }
    let cells = |name: &str, sums: &Sums| {
        let amounts = [sums.ordered, sums.invoiced, sums.received, sums.receivable, sums.advance, sums.open]
            .map(|one| one.0);
        let mut row = vec![name.to_owned(), sums.currency.clone()];
        row.extend(amounts.map(|amount| amount.to_string()));
        row
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for one in &owed.contracts {
        match (&one.sums, &one.reason) {
            (Some(sums), _) => rows.push(cells(&one.contract, sums)),
            (None, reason) => {
                let why = reason.as_ref().map(ToString::to_string).unwrap_or_default();
                rows.push(vec![one.contract.clone(), why]);
            }
        }
    }
    if !with_entries {
        rows.extend(owed.totals.iter().map(|sums| cells("合计 / total", sums)));
    }
    let head = [
        "合同 / contract",
        "币别",
        "订货 / ordered",
        "开票 / invoiced",
        "收款 / received",
        "应收 / receivable",
        "预收 / advance",
        "未收 / open",
    ];
    output::line(output::table(&head, &rows).trim_end());
    if !with_entries {
        return;
    }
    let entries = owed.contracts.iter().flat_map(|one| &one.entries).map(|entry| {
        let revision = entry.revision.to_string();
        let cells =
            [&entry.at, &entry.kind, &entry.origin, &revision, &entry.amount, &entry.currency, &entry.event];
        cells.map(Clone::clone).to_vec()
    });
    let head = ["时间 / at", "类别 / kind", "单号 / number", "修订", "金额 / amount", "币别", "事件 / event"];
    output::line(&format!("\n{}", output::table(&head, &entries.collect::<Vec<_>>()).trim_end()));
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
