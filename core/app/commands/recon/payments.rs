//! `tongbao recon payments …`

use super::super::{opened, store_failed};
use crate::cli::payments::{AllocateArgs, PaymentsCommand};
use crate::config::{Loaded, allocates, operator};
use crate::output::{self, Exit};
use crate::payments::{self, Asked, Kind, Part, Shown, Told};
use crate::routes::{Ids, Routes};
use rust_decimal::Decimal;
use serde_json::json;
use std::path::Path;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::payments::{PaymentBook, PaymentFilter};
use tongbao_delivery::port::{Store, StoreError};
use tongbao_model::{Text, decimal};

/// Runs a command.
pub async fn run(command: &PaymentsCommand, config: &Path, as_json: bool) -> Exit {
    let (loaded, store) = match opened(config).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let exit = on(command, &loaded, store.as_ref(), as_json).await;
    store.close().await;
    exit.unwrap_or_else(|error| store_failed(&error, as_json))
}

async fn on(
    command: &PaymentsCommand,
    loaded: &Loaded,
    store: &dyn Store,
    as_json: bool,
) -> Result<Exit, StoreError> {
    let now_ms = SystemClock.now_ms();
    let routes = Routes::new(loaded.config.flows.clone(), Ids::Uuid);
    let lead = loaded.config.matching.book;
    let asked = |number: &str, who: &Option<String>, why: &str| Asked {
        book: lead,
        number: number.to_owned(),
        who: who.clone().unwrap_or_else(operator),
        why: why.to_owned(),
    };
    match command {
        PaymentsCommand::List { all, book, limit } => {
            let open = (!all).then_some(true);
            let book = book.map(PaymentBook::from);
            let filter = PaymentFilter { book, open, limit: *limit, ..PaymentFilter::default() };
            let found = payments::list(store, filter).await?;
            show_list(&found, as_json);
            Ok(Exit::Ok)
        }
        PaymentsCommand::Show { number, book } => {
            let found = payments::one(store, book.map(PaymentBook::from), number).await?;
            Ok(show_one(found.as_ref(), number, as_json))
        }
        PaymentsCommand::Drift { month } => drift(store, month.as_deref(), as_json).await,
        PaymentsCommand::Match if !allocates(&loaded.config) => Ok(not_configured()),
        PaymentsCommand::Match => {
            let looked = payments::look(store, &routes, &loaded.config.matching, now_ms).await?;
            Ok(show_looked(&looked, as_json))
        }
        PaymentsCommand::Allocate(_) | PaymentsCommand::Undo { .. } if !allocates(&loaded.config) => {
            Ok(not_configured())
        }
        PaymentsCommand::Allocate(args) => {
            let asked = asked(&args.number, &args.by, &args.reason);
            let done = match wanted(args) {
                Err(why) => {
                    output::note(&why.to_string());
                    return Ok(Exit::Usage);
                }
                Ok(Wanted::Choice(choice)) => {
                    payments::choose(store, &routes, &asked, choice, now_ms).await?
                }
                Ok(Wanted::Parts(parts)) => payments::allocate(store, &routes, &asked, parts, now_ms).await?,
            };
            after(store, done, &asked, as_json).await
        }
        PaymentsCommand::Undo { number, reason, by } => {
            let asked = asked(number, by, reason);
            let done = payments::undo(store, &routes, &asked, now_ms).await?;
            after(store, done, &asked, as_json).await
        }
    }
}

fn not_configured() -> Exit {
    output::note(
        "没有流程把收款送到 payments：见 deploy/matching.yaml / no flow brings payments to `payments`: see deploy/matching.yaml",
    );
    Exit::Config
}

/// Shows the payment that something was done about.
async fn after(
    store: &dyn Store,
    done: Result<(), Text>,
    asked: &Asked,
    as_json: bool,
) -> Result<Exit, StoreError> {
    if let Err(why) = done {
        output::note(&why.to_string());
        return Ok(Exit::Failed);
    }
    let found = payments::one(store, Some(asked.book), &asked.number).await?;
    Ok(show_one(found.as_ref(), &asked.number, as_json))
}

enum Wanted {
    Choice(usize),
    Parts(Vec<Part>),
}

fn wanted(args: &AllocateArgs) -> Result<Wanted, Text> {
    if let Some(choice) = args.choice {
        return Ok(Wanted::Choice(choice));
    }
    args.to.iter().map(|text| part(text)).collect::<Result<_, _>>().map(Wanted::Parts)
}

/// `contract=amount`, `contract:invoice=amount`, either with `+fee`.
fn part(text: &str) -> Result<Part, Text> {
    let wrong = || {
        Text::new(
            format!("{text} 应如 HT-1=100.00、HT-1:FP-9=100.00 或 HT-1:FP-9=99.50+0.50"),
            format!("`{text}` is not like HT-1=100.00, HT-1:FP-9=100.00 or HT-1:FP-9=99.50+0.50"),
        )
    };
    let (what, amounts) = text.rsplit_once('=').ok_or_else(wrong)?;
    let (amount, fee) = amounts.split_once('+').unwrap_or((amounts, "0"));
    let (contract, invoice) = match what.split_once(':') {
        Some((contract, invoice)) => (contract, Some(invoice)),
        None => (what, None),
    };
    let exact = |text: &str| decimal::parse(text.trim()).map_err(|_| wrong());
    let fee: Decimal = exact(fee)?;
    if contract.is_empty() || invoice == Some("") || fee.is_sign_negative() {
        return Err(wrong());
    }
    let invoice = invoice.map(str::to_owned);
    Ok(Part { contract: contract.to_owned(), invoice, amount: exact(amount)?, fee, customer: None })
}

async fn drift(store: &dyn Store, month: Option<&str>, as_json: bool) -> Result<Exit, StoreError> {
    let span = match payments::span(month) {
        Ok(span) => span,
        Err(why) => {
            output::note(&why.to_string());
            return Ok(Exit::Usage);
        }
    };
    let found = payments::drifts(store, span.0, span.1).await?;
    if as_json {
        output::json(&json!({"drifts": found}));
    } else if found.is_empty() {
        output::line("银行与 ERP 的收款一致 / bank and ERP agree on what came in");
    } else {
        let amount = |one: Option<tongbao_model::Exact>| one.map(|one| one.to_string()).unwrap_or_default();
        let rows: Vec<Vec<String>> = found
            .iter()
            .map(|one| {
                vec![
                    output::time(one.at_ms),
                    one.bank.clone().unwrap_or_default(),
                    one.erp.clone().unwrap_or_default(),
                    one.currency.clone(),
                    amount(one.bank_amount),
                    amount(one.erp_amount),
                    one.drift.to_string(),
                ]
            })
            .collect();
        let head = ["时间 / at", "银行 / bank", "ERP", "币别", "银行金额", "ERP 金额", "差异 / drift"];
        output::line(output::table(&head, &rows).trim_end());
    }
    Ok(if found.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn show_looked(looked: &payments::Looked, as_json: bool) -> Exit {
    if looked.overtaken {
        output::note("其间不断有其他核销，请重试 / somebody else kept deciding: try again");
        return Exit::Failed;
    }
    if as_json {
        output::json(&json!({"news": looked.news}));
        return Exit::Ok;
    }
    if looked.news.is_empty() {
        output::line("没有新情况 / nothing new");
    }
    for (kind, count) in &looked.news {
        output::line(&format!("{count:>6}  {}", both(*kind)));
    }
    Exit::Ok
}

fn both(kind: Kind) -> String {
    let (zh, en) = kind.told();
    format!("{zh} / {en}")
}

fn show_list(found: &[Shown], as_json: bool) {
    if as_json {
        output::json(&json!({"payments": found}));
        return;
    }
    if found.is_empty() {
        output::line("没有 / none");
        return;
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|one| {
            let said = &one.payment.said;
            let kind = one.told.as_ref().map(|told| both(told.kind)).unwrap_or_default();
            let contracts: Vec<String> =
                one.allocations.iter().filter(|one| one.stands()).map(paid).collect();
            vec![
                said.number.clone(),
                said.book.name().to_owned(),
                output::time(said.at_ms),
                said.amount.clone(),
                said.currency.clone(),
                said.party.clone().unwrap_or_default(),
                kind,
                contracts.join(" "),
            ]
        })
        .collect();
    let head = [
        "收款 / payment",
        "账簿",
        "时间 / at",
        "金额",
        "币别",
        "付款方 / payer",
        "状态 / state",
        "付给 / pays",
    ];
    output::line(output::table(&head, &rows).trim_end());
}

fn paid(one: &tongbao_delivery::payments::Allocation) -> String {
    let what =
        one.paper.as_ref().map_or_else(|| one.contract.clone(), |paper| format!("{}:{paper}", one.contract));
    let fee = decimal::parse(&one.fee).is_ok_and(|fee| !fee.is_zero());
    if fee { format!("{what}={}+{}", one.amount, one.fee) } else { format!("{what}={}", one.amount) }
}

fn show_one(found: Option<&Shown>, number: &str, as_json: bool) -> Exit {
    let Some(one) = found else {
        output::note(&format!("没有收款 {number} / there is no payment {number}"));
        return Exit::Failed;
    };
    if as_json {
        output::json(&json!(one));
        return Exit::Ok;
    }
    let said = &one.payment.said;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let facts = [
        ("收款 / payment", format!("{} ({})", said.number, said.book.name())),
        ("时间 / at", output::time(said.at_ms)),
        ("金额 / amount", format!("{} {}", said.amount, said.currency)),
        ("付款方 / payer", format!("{} {}", text(&said.party), text(&said.party_account))),
        ("摘要 / text", text(&said.text)),
        ("银行流水号 / reference", text(&said.reference)),
        ("单据合同 / contract", text(&said.contract)),
        ("另一账簿 / pair", text(&one.payment.pair)),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.trim().is_empty()) {
        output::line(&format!("{name}: {}", value.trim()));
    }
    if let Some(told) = &one.told {
        show_told(told);
    }
    let rows: Vec<Vec<String>> = one
        .allocations
        .iter()
        .map(|one| {
            vec![
                output::time(one.at_ms),
                paid(one),
                one.rule.clone(),
                one.who.clone().unwrap_or_default(),
                one.undone_ms.map(output::time).unwrap_or_default(),
                one.undone_by.clone().unwrap_or_default(),
                one.undone_why.clone().unwrap_or_default(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let head = [
            "决定 / decided",
            "付给 / pays",
            "规则 / rule",
            "经办 / by",
            "撤销 / undone",
            "经办 / by",
            "原因 / why",
        ];
        output::line("");
        output::line(output::table(&head, &rows).trim_end());
    }
    Exit::Ok
}

fn show_told(told: &Told) {
    let numbers =
        if told.numbers.is_empty() { String::new() } else { format!(" {}", told.numbers.join(" ")) };
    output::line(&format!("状态 / state: {}{numbers}", both(told.kind)));
    for reason in &told.reasons {
        output::line(&format!("  · {reason}"));
    }
    for (place, way) in told.ways.iter().enumerate() {
        let takes: Vec<String> = way
            .takes
            .iter()
            .map(|take| {
                let what = take
                    .invoice
                    .as_ref()
                    .map_or_else(|| take.contract.clone(), |invoice| format!("{}:{invoice}", take.contract));
                format!("{what}={}", take.amount)
            })
            .collect();
        let mut line = format!("  {}. [{}] {}", place + 1, way.rule, takes.join(" "));
        if !way.fee.0.is_zero() {
            line.push_str(&format!(" 手续费 / fee {}", way.fee));
        }
        if !way.advance.0.is_zero() {
            line.push_str(&format!(" 预收 / advance {}", way.advance));
        }
        output::line(&line);
        for reason in &way.reasons {
            output::line(&format!("     · {reason}"));
        }
    }
}
