//! `tongbao recon invoices …` and `tongbao recon threeway`

use super::super::{opened, store_failed};
use crate::cli::invoices::{InvoicesCommand, ThreeWayArgs};
use crate::config::{Loaded, controls_invoices, operator};
use crate::invoicing::{self, Asked, Matched, Shown};
use crate::output::{self, Exit};
use crate::routes::{Ids, Routes};
use serde_json::json;
use std::path::Path;
use tongbao_delivery::clock::{Clock, SystemClock};
use tongbao_delivery::port::{Holder, Store, StoreError};
use tongbao_model::event::kinds;
use tongbao_model::{Exact, Text};

/// Runs a command about invoices.
pub async fn run(command: &InvoicesCommand, config: &Path, as_json: bool) -> Exit {
    let (loaded, store) = match opened(config).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let exit = on(command, &loaded, store.as_ref(), as_json).await;
    store.close().await;
    exit.unwrap_or_else(|error| store_failed(&error, as_json))
}

/// Holds orders, invoices and receipts against each other. Fails where they do not agree, as other comparisons do.
pub async fn three_way(args: &ThreeWayArgs, config: &Path, as_json: bool) -> Exit {
    let (loaded, store) = match opened(config).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let routes = Routes::new(loaded.config.flows.clone(), Ids::Uuid);
    let has_orders = routes.emits(kinds::SALES_ORDER_POSTED);
    let exit = compare(args, store.as_ref(), has_orders, as_json).await;
    store.close().await;
    exit.unwrap_or_else(|error| store_failed(&error, as_json))
}

async fn on(
    command: &InvoicesCommand,
    loaded: &Loaded,
    store: &dyn Store,
    as_json: bool,
) -> Result<Exit, StoreError> {
    let now_ms = SystemClock.now_ms();
    let asked = |who: &Option<String>, why: &str, checked: bool| Asked {
        who: who.clone().unwrap_or_else(operator),
        why: why.to_owned(),
        checked,
    };
    match command {
        InvoicesCommand::Show { contract } => Ok(match invoicing::show(store, contract).await? {
            Ok(shown) => {
                show(&shown, as_json);
                Exit::Ok
            }
            Err(fault) => told(&fault.message),
        }),
        InvoicesCommand::Waiting { customer } => {
            show_waiting(&invoicing::waiting(store, customer.as_deref()).await?, as_json);
            Ok(Exit::Ok)
        }
        InvoicesCommand::Together { .. } | InvoicesCommand::Withdraw { .. }
            if !controls_invoices(&loaded.config) =>
        {
            output::note(
                "没有流程把开票申请送到 invoicing：见 deploy/invoicing.yaml / no flow brings requests to `invoicing`: see deploy/invoicing.yaml",
            );
            Ok(Exit::Config)
        }
        InvoicesCommand::Together { customer, request, reason, by } => {
            let routes = Routes::new(loaded.config.flows.clone(), Ids::Uuid);
            let (rules, asked) = (&loaded.config.invoicing, asked(by, reason, false));
            let done = invoicing::together(store, &routes, rules, customer, request, &asked, now_ms).await?;
            Ok(match done {
                Err(why) => told(&why),
                Ok(numbers) if as_json => {
                    output::json(&json!({"orders": numbers}));
                    Exit::Ok
                }
                Ok(numbers) => {
                    output::line(&format!("开票单 / invoice orders: {}", numbers.join(" ")));
                    Exit::Ok
                }
            })
        }
        InvoicesCommand::Withdraw { number, reason, checked, by } => {
            let asked = asked(by, reason, *checked);
            let done = invoicing::withdraw(store, number, &asked, now_ms).await?;
            Ok(match done {
                Err(why) => told(&why),
                Ok(()) if as_json => {
                    output::json(&json!({"withdrawn": number}));
                    Exit::Ok
                }
                Ok(()) => {
                    output::line(&format!("已撤回 {number} / withdrawn"));
                    Exit::Ok
                }
            })
        }
    }
}

fn told(why: &Text) -> Exit {
    output::note(&why.to_string());
    Exit::Failed
}

fn show(shown: &Shown, as_json: bool) {
    if as_json {
        output::json(&json!(shown));
        return;
    }
    let customer = shown.customer.as_deref().unwrap_or_default();
    let (contract, currency, left) = (&shown.contract, &shown.currency, shown.left);
    output::line(&format!("合同 / contract {contract} {customer} {currency}，可开 / left {left}\n"));
    if let Some(at) = &shown.annulled_at {
        output::line(&format!("{at} 已作废，不可再开票 / annulled: nothing more may be invoiced\n"));
    }
    let mut rows = Vec::new();
    for line in &shown.lines {
        let percent = (line.rate.0 * rust_decimal::Decimal::ONE_HUNDRED).normalize();
        let mut row = vec![line.line.to_string(), line.product.clone(), format!("{percent}%")];
        row.extend([&line.may, &line.asked, &line.invoiced, &line.red].map(|one| one.gross.to_string()));
        row.extend([line.left.quantity.to_string(), line.left.gross.to_string()]);
        rows.push(row);
    }
    let head = [
        "行",
        "产品 / product",
        "税率",
        "可开 / may",
        "已申请 / asked",
        "已开 / invoiced",
        "红冲 / red",
        "剩余数量",
        "剩余 / left",
    ];
    output::line(output::table(&head, &rows).trim_end());
    if !shown.unplaced.0.is_zero() {
        output::line(&format!(
            "\n另有 {} 的发票或红字单不知其明细行，按合同整体扣减 / {} of invoices or credit notes have no known lines and count against the whole",
            shown.unplaced, shown.unplaced
        ));
    }
    show_orders(shown);
    let rows: Vec<Vec<String>> = shown
        .invoices
        .iter()
        .map(|one| vec![one.number.clone(), one.order_number.clone(), one.amount.to_string(), one.at.clone()])
        .collect();
    if !rows.is_empty() {
        let head = ["发票 / invoice", "开票单 / order", "价税合计 / total", "开具 / issued"];
        output::line(&format!("\n{}", output::table(&head, &rows).trim_end()));
    }
}

fn show_orders(shown: &Shown) {
    let rows: Vec<Vec<String>> = shown
        .orders
        .iter()
        .map(|one| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let cells =
                [&one.number, &one.state, &one.invoice_kind, &one.total.to_string()].map(Clone::clone);
            let mut row = cells.to_vec();
            row.extend([one.requests.join(" "), text(&one.blue_invoice), text(&one.invoice)]);
            row.push(format!("{} {}", text(&one.who), text(&one.why)).trim().to_owned());
            row
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let head = [
        "开票单 / order",
        "状态 / state",
        "种类 / kind",
        "价税合计 / total",
        "申请 / requests",
        "红冲发票 / takes back",
        "发票 / invoice",
        "经办与原因 / by",
    ];
    output::line(&format!("\n{}", output::table(&head, &rows).trim_end()));
}

fn show_waiting(found: &[invoicing::Waiting], as_json: bool) {
    if as_json {
        output::json(&json!({"waiting": found}));
        return;
    }
    if found.is_empty() {
        output::line("没有 / none");
        return;
    }
    let row = |one: &invoicing::Waiting| {
        let customer = one.customer.clone().unwrap_or_default();
        let total = one.total.to_string();
        [&one.number, &one.contract, &customer, &one.invoice_kind, &total, &one.currency, &one.at]
            .map(Clone::clone)
            .to_vec()
    };
    let head = [
        "申请 / request",
        "合同 / contract",
        "客户 / customer",
        "种类 / kind",
        "价税合计 / total",
        "币别",
        "自 / since",
    ];
    output::line(output::table(&head, &found.iter().map(row).collect::<Vec<_>>()).trim_end());
}

async fn compare(
    args: &ThreeWayArgs,
    store: &dyn Store,
    has_orders: bool,
    as_json: bool,
) -> Result<Exit, StoreError> {
    let contract = args.contract.clone().map(Holder::Contract);
    let of = contract.or_else(|| args.customer.clone().map(Holder::Customer));
    let (mut found, mut after, mut seen) = (Vec::new(), None, 0_usize);
    loop {
        let (page, next) = match invoicing::three_way(store, of.as_ref(), after, has_orders).await? {
            Ok(page) => page,
            Err(why) => return Ok(told(&why)),
        };
        seen += page.len();
        found.extend(page.into_iter().filter(|one| args.all || !one.matches.is_empty()));
        after = next;
        if after.is_none() {
            break;
        }
    }
    if of.is_some() && seen == 0 {
        output::note("没有找到账目 / nothing is on any account of that");
        return Ok(Exit::Failed);
    }
    if as_json {
        output::json(&json!({"contracts": found, "compared": seen}));
    } else {
        show_compared(&found, seen);
    }
    let agrees = found.iter().all(|one| one.matches.is_empty());
    Ok(if agrees { Exit::Ok } else { Exit::Failed })
}

fn show_compared(found: &[Matched], seen: usize) {
    let row = |one: &Matched| {
        let amount = |amount: Option<Exact>| amount.map(|amount| amount.to_string()).unwrap_or_default();
        let told: Vec<String> = one.matches.iter().map(|one| one.told().to_string()).collect();
        let mut row =
            vec![one.contract.clone(), one.customer.clone().unwrap_or_default(), one.currency.clone()];
        row.push(one.contracted.to_string());
        row.extend([one.order.clone().unwrap_or_default(), amount(one.ordered)]);
        row.extend([one.credited, one.invoiced, one.received].map(|amount| amount.to_string()));
        row.push(if told.is_empty() { "一致 / agree".to_owned() } else { told.join("；") });
        row
    };
    if !found.is_empty() {
        let head = [
            "合同 / contract",
            "客户",
            "币别",
            "合同额 / contracted",
            "ERP 订单",
            "订单额 / ordered",
            "红字 / credited",
            "已开票 / invoiced",
            "已收款 / received",
            "三单匹配 / three-way",
        ];
        output::line(output::table(&head, &found.iter().map(row).collect::<Vec<_>>()).trim_end());
        output::line("");
    }
    let differ = found.iter().filter(|one| !one.matches.is_empty()).count();
    output::line(&format!(
        "{seen} 份合同，{differ} 份的订单、发票、收款不一致 / {seen} contracts, {differ} of which do not agree"
    ));
}
