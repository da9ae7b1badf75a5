//! `tongbao demo`: the main job, seen in half a minute on a machine with nothing else on it.

use crate::cli::DemoArgs;
use crate::output::{self, Exit};
use crate::stage::{CRM_SECRET, Stage, StageOptions};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;
use tongbao_delivery::port::{DeliveryView, Filter, State};
use tongbao_model::decimal;
use tongbao_sandbox::crm::WebhookSender;
use tongbao_sandbox::{Fault, Lifecycle, NuonuoConfig, Rule, SandboxConfig, System};

/// Longest wait for the whole.
const LIMIT: Duration = Duration::from_secs(90);

/// A contract of the demo.
struct Contract {
    number: &'static str,
    customer: (&'static str, &'static str),
    /// Product, quantity, price with tax.
    lines: &'static [(&'static str, &'static str, &'static str)],
    /// How much of it the customer pays, in percent, in one or more receipts.
    pays: &'static [u32],
    /// What is planted.
    story: (&'static str, &'static str),
}

const CONTRACTS: &[Contract] = &[
    Contract {
        number: "HT-2026-0101",
        customer: ("C1001", "宁波样例贸易有限公司"),
        lines: &[("P-100", "3", "1130.00"), ("P-200", "1", "5000.00")],
        pays: &[100],
        story: ("推送重复三次", "webhook sent three times"),
    },
    Contract {
        number: "HT-2026-0102",
        customer: ("C1002", "杭州演示科技有限公司"),
        lines: &[("P-100", "10", "1017.00")],
        pays: &[40, 60],
        story: ("保存订单后答复丢失", "answer lost after the order was saved"),
    },
    Contract {
        number: "HT-2026-0103",
        customer: ("C1003", "苏州示例制造有限公司"),
        lines: &[("P-300", "120", "19.90")],
        pays: &[30],
        story: ("提交时会话丢失", "session lost at submit"),
    },
    Contract {
        number: "HT-2026-0104",
        customer: ("C1004", "温州范例商贸有限公司"),
        lines: &[("P-200", "2", "3333.33")],
        pays: &[100],
        story: ("审核答复中断、编辑锁", "audit answer cut off, then an edit lock"),
    },
    Contract {
        number: "HT-2026-0105",
        customer: ("C9999", "尚未建档的客户"),
        lines: &[("P-100", "1", "1130.00")],
        pays: &[],
        story: ("客户编码不在对照表", "customer code not in the table"),
    },
    Contract {
        number: "HT-2026-0106",
        customer: ("C1001", "宁波样例贸易有限公司"),
        lines: &[("P-300", "7", "0.05"), ("P-100", "0.5", "2260.00")],
        pays: &[100],
        story: ("开票申请答复丢失", "answer lost after the invoice was submitted"),
    },
    Contract {
        number: "HT-2026-0107",
        customer: ("C1002", "杭州演示科技有限公司"),
        lines: &[("P-200", "1", "0")],
        pays: &[],
        story: ("零金额合同", "contract of total zero"),
    },
];

fn sandbox_config() -> SandboxConfig {
    SandboxConfig {
        nuonuo: NuonuoConfig { lifecycle: Lifecycle::Clock(150, 400), ..NuonuoConfig::default() },
        ..SandboxConfig::default()
    }
}

fn plant(stage: &Stage) {
    let once =
        |fault, operation: &str, key: &str| Rule::new(fault).on(System::Kingdee, operation).key(key).times(1);
    stage.sandbox.fault(once(Fault::LostAnswerAfterCommit, "Save", "HT-2026-0102"));
    stage.sandbox.fault(once(Fault::SessionDropped, "Submit", "HT-2026-0103"));
    stage.sandbox.fault(once(Fault::ResetMidBody, "Audit", "HT-2026-0104"));
    stage.sandbox.fault(once(Fault::EditLock, "Submit", "HT-2026-0104"));
    let lost = Rule::new(Fault::LostAnswerAfterCommit).on(System::Nuonuo, "requestBillingNew");
    stage.sandbox.fault(lost.key("HT-2026-0106").times(1));
}

/// Runs the demo.
pub async fn run(args: DemoArgs, as_json: bool) -> Exit {
    // Kept until the end: dropping it removes the folder.
    let temporary = match tempfile::Builder::new().prefix("tongbao-demo-").tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            output::note(&format!("无法建立临时目录 / no temporary folder: {error}"));
            return Exit::Unavailable;
        }
    };
    let folder = args.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let options = StageOptions { listen: args.listen.clone(), ..StageOptions::quick(folder) };
    crate::telemetry::metrics();
    let stage = match Stage::start(&options, sandbox_config()).await {
        Ok(stage) => stage,
        Err(why) => {
            output::note(&why);
            return Exit::Unavailable;
        }
    };
    let told = play(&stage, as_json).await;
    let exit = match told {
        Ok(report) => {
            if as_json {
                output::json(&report.json);
            } else {
                output::line(report.text.trim_end());
            }
            if report.is_complete { Exit::Ok } else { Exit::Failed }
        }
        Err(why) => {
            output::note(&why);
            Exit::Failed
        }
    };
    if !args.exit && exit == Exit::Ok {
        super::serve::stop_signal().await;
    }
    stage.stop().await;
    exit
}

/// What the demo shows.
struct DemoReport {
    text: String,
    json: Value,
    is_complete: bool,
}

async fn play(stage: &Stage, quiet: bool) -> Result<DemoReport, String> {
    let bar = bar(quiet);
    prepare(stage).await?;
    plant(stage);
    bar.set_message("推送合同 / contracts signed in the CRM");
    let repeats = send(stage).await?;
    wait(stage, &bar, "订单与发票 / orders and invoices").await?;
    pay(stage)?;
    // The poller brings the receipts; they count once their deliveries are there.
    receipts_seen(stage).await?;
    wait(stage, &bar, "收款与商机 / payments and opportunities").await?;
    bar.finish_and_clear();
    report(stage, repeats).await
}

fn bar(quiet: bool) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if quiet || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

async fn prepare(stage: &Stage) -> Result<(), String> {
    let pair = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
    let customers = [
        ("CUST-1001", "宁波样例"),
        ("CUST-1002", "杭州演示"),
        ("CUST-1003", "苏州示例"),
        ("CUST-1004", "温州范例"),
    ];
    stage.sandbox.seed_customers(customers.map(pair));
    stage
        .sandbox
        .seed_materials([("MAT-100", "软件平台"), ("MAT-200", "实施服务"), ("MAT-300", "传感器")].map(pair));
    // C9999 is left out on purpose: its contract is to park.
    let codes =
        [("C1001", "CUST-1001"), ("C1002", "CUST-1002"), ("C1003", "CUST-1003"), ("C1004", "CUST-1004")];
    stage.import("customers", codes.map(pair)).await.map_err(|error| error.to_string())?;
    let codes = [("P-100", "MAT-100"), ("P-200", "MAT-200"), ("P-300", "MAT-300")];
    stage.import("materials", codes.map(pair)).await.map_err(|error| error.to_string())
}

fn contract(one: &Contract) -> Result<(Value, Decimal), String> {
    let mut total = Decimal::ZERO;
    let mut lines = Vec::new();
    for (index, (product, quantity, price)) in one.lines.iter().enumerate() {
        let parse = |text: &str| decimal::parse(text).map_err(|error| error.to_string());
        let exact = decimal::multiply(parse(quantity)?, parse(price)?).ok_or("range")?;
        total += decimal::round_half_up(exact, 2);
        let name = match *product {
            "P-100" => "软件平台",
            "P-200" => "实施服务",
            _ => "传感器",
        };
        lines.push(
            json!({"line": index + 1, "product": {"code": product, "name": name}, "quantity": quantity,
            "unit_price_tax_included": price, "tax_rate": "0.13"}),
        );
    }
    let mut shown = total;
    shown.rescale(2);
    let body = json!({
        "number": one.number, "signed_at": "2026-11-20T10:00:00+08:00", "currency": "CNY",
        "customer": {"code": one.customer.0, "name": one.customer.1},
        "opportunity": {"id": one.number.replace("HT", "OPP")}, "lines": lines, "total_tax_included": shown.to_string(),
    });
    Ok((body, shown))
}

/// Posts the contracts; answers how many repeats were recognised.
async fn send(stage: &Stage) -> Result<u64, String> {
    let sender =
        WebhookSender::new(&stage.inbound("contract"), CRM_SECRET).map_err(|error| error.to_string())?;
    let mut repeats = 0;
    for (index, one) in CONTRACTS.iter().enumerate() {
        let body = contract(one)?.0.to_string();
        let times = if index == 0 { 3 } else { 1 };
        for _ in 0..times {
            let answer = sender.send(body.clone()).await.map_err(|error| error.to_string())?;
            if answer.status != 202 {
                return Err(format!(
                    "{}: HTTP {} {}",
                    one.number,
                    answer.status,
                    String::from_utf8_lossy(&answer.body)
                ));
            }
            repeats += u64::from(String::from_utf8_lossy(&answer.body).contains("\"repeat\""));
        }
    }
    Ok(repeats)
}

fn pay(stage: &Stage) -> Result<(), String> {
    for one in CONTRACTS {
        let (_, total) = contract(one)?;
        let mut left = total;
        for (index, percent) in one.pays.iter().enumerate() {
            let share = decimal::round_half_up(total * Decimal::new(i64::from(*percent), 2), 2);
            // The last of several takes the remainder.
            let is_rest = index + 1 == one.pays.len() && one.pays.iter().sum::<u32>() == 100;
            let amount = if is_rest { left } else { share };
            left -= amount;
            let receipt = format!("SK-{}-{}", one.number.trim_start_matches("HT-"), index + 1);
            stage.sandbox.pay(one.number, amount, &receipt)?;
        }
    }
    Ok(())
}

async fn receipts_seen(stage: &Stage) -> Result<(), String> {
    let expected: usize = CONTRACTS.iter().map(|one| one.pays.len()).sum();
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let filter = Filter { flow: Some("account-payment".into()), limit: 1_000, ..Filter::default() };
        let seen = stage.store().deliveries(filter).await.map_err(|error| error.to_string())?;
        if seen.len() >= expected {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err("收款未到齐 / not all receipts were polled".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn wait(stage: &Stage, bar: &ProgressBar, what: &str) -> Result<(), String> {
    let settled = stage
        .settle(LIMIT, |left| {
            bar.set_message(format!("{what} · {left}"));
            bar.tick();
        })
        .await
        .map_err(|error| error.to_string())?;
    if settled { Ok(()) } else { Err(format!("{what}: 未在 {LIMIT:?} 内完成 / not settled in time")) }
}

async fn report(stage: &Stage, repeats: u64) -> Result<DemoReport, String> {
    let all = stage
        .store()
        .deliveries(Filter { limit: 10_000, ..Filter::default() })
        .await
        .map_err(|error| error.to_string())?;
    let mut by_key: BTreeMap<&str, Vec<&DeliveryView>> = BTreeMap::new();
    for delivery in &all {
        by_key.entry(delivery.order_key.as_str()).or_default().push(delivery);
    }
    let (mut rows, mut list, mut told, mut problems) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in CONTRACTS {
        let deliveries = by_key.get(one.number).cloned().unwrap_or_default();
        let row = row(stage, one, &deliveries)?;
        problems.extend(row.problems.iter().cloned());
        list.push(row.json);
        rows.push(row.cells);
        told.push(row.notes);
    }
    let orders = stage.sandbox.orders();
    let twice = orders.iter().filter(|order| order.same_number > 1).count();
    if twice > 0 {
        problems.push(format!("{twice} orders exist twice"));
    }
    let head = [
        "合同 contract",
        "金额 total",
        "订单 ERP order",
        "发票 invoice",
        "回款 received",
        "商机 opportunity",
    ];
    let mut text = format!("\n{}\n", output::table(&head, &rows));
    text.push_str("植入了什么，结果如何 / what was planted, what came of it\n");
    for (one, notes) in CONTRACTS.iter().zip(&told) {
        text.push_str(&format!("  {}  {} / {}\n", one.number, one.story.0, one.story.1));
        for note in notes {
            text.push_str(&format!("                → {note}\n"));
        }
    }
    text.push('\n');
    text.push_str(&format!(
        "重复推送识别 {repeats} 次；注入故障 {} 次；重复订单 {twice} 张。\n{repeats} repeated webhooks recognised, {} faults injected, {twice} orders twice.\n\n",
        stage.sandbox.faults_injected().values().sum::<u64>(), stage.sandbox.faults_injected().values().sum::<u64>(),
    ));
    text.push_str(&where_next(stage));
    for problem in &problems {
        text.push_str(&format!("✗ {problem}\n"));
    }
    let json = json!({"contracts": list, "repeats": repeats, "faults": stage.sandbox.faults_injected(), "orders_twice": twice, "problems": problems});
    Ok(DemoReport { text, json, is_complete: problems.is_empty() })
}

fn where_next(stage: &Stage) -> String {
    let address = stage.running.address;
    format!(
        "接着看 / where to look next\n  http://{address}/api/deliveries?state=parked   挂起的投递 / what is parked and why\n  http://{address}/api/explain/HT-2026-0102      一份合同的全程 / one contract's whole story\n  http://{address}/metrics                       指标 / metrics\n  {}   对方系统的状态 / the far sides' state\n  {}   配置与映射 / configuration and mappings\n  tongbao mapping explain …                       逐字段说明 / every field explained\n",
        format_args!("{}/state", stage.sandbox.control_url()),
        stage.config.display(),
    )
}

struct Row {
    cells: Vec<String>,
    notes: Vec<String>,
    json: Value,
    problems: Vec<String>,
}

fn row(stage: &Stage, one: &Contract, deliveries: &[&DeliveryView]) -> Result<Row, String> {
    let (_, total) = contract(one)?;
    let order = stage.sandbox.order(one.number);
    let invoice = stage.sandbox.invoice(one.number);
    let crm =
        stage.sandbox.crm_record("opportunities", &one.number.replace("HT", "OPP")).unwrap_or(Value::Null);
    let stage_name = crm.get("stage").and_then(Value::as_str).unwrap_or("–").to_owned();
    let received = crm.get("received").and_then(Value::as_str).unwrap_or("–").to_owned();
    let mut problems = Vec::new();
    if let Some(order) = &order
        && (order.gross != total || order.status != "C")
    {
        problems.push(format!("{}: order {} {}", one.number, order.gross, order.status));
    }
    if let Some(invoice) = &invoice
        && invoice.gross != total
    {
        problems.push(format!("{}: invoice {}", one.number, invoice.gross));
    }
    let mut notes = Vec::new();
    for delivery in deliveries {
        match (delivery.state, &delivery.fault) {
            (State::Parked, Some(fault)) => {
                notes.push(format!("{} 挂起 / parked: {} {}", delivery.flow, fault.code, fault.message));
            }
            (State::Rejected, Some(fault)) => {
                notes.push(format!("{} 拒绝 / rejected: {}", delivery.flow, fault.message));
            }
            // An invoice is always asked about at least once more: it is issued after it was submitted.
            (State::Posted, _) if delivery.attempts > if delivery.target == "tax" { 2 } else { 1 } => {
                let tries = delivery.attempts;
                notes.push(format!(
                    "{} 第 {tries} 次完成，先查询后续传 / done at try {tries}, asked first",
                    delivery.flow
                ));
            }
            (State::Posted | State::Superseded | State::Pending, _) => {}
            (state, _) => problems.push(format!("{}: {} is {}", one.number, delivery.flow, state.name())),
        }
    }
    if notes.is_empty() {
        notes.push("一次完成，没有重复 / done in one attempt, nothing twice".to_owned());
    }
    let erp = order.as_ref().map_or("–".to_owned(), |order| {
        format!("{} {}", order.number, if order.status == "C" { "✓" } else { &order.status })
    });
    let number = invoice.as_ref().and_then(|invoice| invoice.number.clone()).unwrap_or_else(|| "–".into());
    let json = json!({
        "contract": one.number, "total": total.to_string(), "order": order.as_ref().map(|order| order.gross.to_string()),
        "invoice": number, "received": received, "stage": stage_name, "notes": notes,
    });
    let cells = vec![one.number.to_owned(), total.to_string(), erp, number, received, stage_name];
    Ok(Row { cells, notes, json, problems })
}
