//! Delivery against what the same database and broker do at most, everything measured by turns in one run.

mod load;
mod publish;
mod rig;

use super::limits::Limits;
use super::{Figure, Table, median};
use load::{post, post_steadily};
use rig::{Metrics, Place, Rig, SLOW, SLOW_IN_FLIGHT, number};
use std::time::{Duration, Instant};
use tongbao_delivery::RabbitSettings;

/// Documents a second while the time of one is measured.
const STEADY: u64 = 100;

/// What is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Documents a round.
    pub documents: u64,
    /// Rounds.
    pub rounds: u64,
    /// Clients at once.
    pub clients: u64,
    /// Database; a temporary SQLite file when absent.
    pub store: Option<String>,
    /// RabbitMQ; embedded when absent.
    pub broker: Option<String>,
}

/// Rates by round, and what they are held against.
#[derive(Default)]
struct Rounds {
    intake: Vec<f64>,
    backlog: Vec<f64>,
    through: Vec<f64>,
    slow: Vec<f64>,
    publish: Vec<f64>,
    limits: Limits,
}

/// Where the time of the measured documents went.
struct Spent {
    documents: f64,
    wall: f64,
    cpu: [f64; 3],
    before: Metrics,
    after: Metrics,
}

/// Runs it.
pub async fn run(options: Options) -> Result<(Vec<Figure>, Vec<Table>), String> {
    let folder =
        tempfile::Builder::new().prefix("tongbao-bench-").tempdir().map_err(|error| error.to_string())?;
    let file = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    let prefix = format!("tongbao-bench-{}.", std::process::id());
    let rabbit = options.broker.as_ref().map(|url| (url.clone(), prefix.clone()));
    let place = Place {
        folder: folder.path().to_owned(),
        store: options.store.clone().unwrap_or_else(|| file("bench.db")),
        rabbit: rabbit.clone(),
    };
    let scratch = options.store.clone().unwrap_or_else(|| file("limit.db"));
    let settings = rabbit
        .map(|(url, _)| RabbitSettings { prefix: format!("{prefix}limit."), ..RabbitSettings::new(url) });
    let rig = Rig::start(&place).await?;
    let idle_mib = rig.memory_mib("VmRSS");
    let measured = measure(&rig, &options, &scratch, settings.as_ref()).await;
    let loaded_mib = rig.memory_mib("VmHWM");
    let starts = rig.starts;
    drop(rig);
    if let Some((url, prefix)) = &place.rabbit {
        let settings = RabbitSettings { prefix: prefix.clone(), ..RabbitSettings::new(url) };
        publish::delete_queues(settings, &["far", "slow"]).await?;
    }
    let (rounds, latency, spent) = measured?;
    let is_sqlite = scratch.starts_with("sqlite");
    let mut tables = vec![bounds(latency, [idle_mib, loaded_mib], starts)];
    tables.extend(explained(&spent));
    Ok((figures(&rounds, is_sqlite), tables))
}

async fn measure(
    rig: &Rig,
    options: &Options,
    scratch: &str,
    rabbit: Option<&RabbitSettings>,
) -> Result<(Rounds, [f64; 2], Spent), String> {
    let (url, slow_url) = (format!("{}/in/crm/contract", rig.url), format!("{}/in/crm2/contract", rig.url));
    let count = options.documents;
    let mut next = 0;
    let mut numbers = |count: u64| {
        next += count;
        next - count..next
    };
    // What is done for the first time is done more slowly: connections are made, statements prepared.
    post(&url, numbers(200), options.clients).await?;
    rig.posted(200).await?;
    let mut rounds = Rounds::default();
    let (mut documents, mut wall, mut cpu) = (0.0, 0.0, [0.0; 3]);
    let before = rig.metrics().await?;
    for _ in 0..options.rounds.max(1) {
        rounds.limits.measure(scratch, options.clients, rabbit).await?;
        rig.set_paused("far", true).await?;
        let took = post(&url, numbers(count), options.clients).await?;
        rounds.intake.push(number(count) / took.as_secs_f64());
        let resumed = Instant::now();
        let known = rig.far.arrived();
        rig.set_paused("far", false).await?;
        rig.posted(known + count).await?;
        rounds.backlog.push(number(count) / resumed.elapsed().as_secs_f64());

        let (begun, used) = (Instant::now(), rig.cpu());
        let known = rig.far.arrived();
        post(&url, numbers(count), options.clients).await?;
        rig.posted(known + count).await?;
        let took = begun.elapsed().as_secs_f64();
        rounds.through.push(number(count) / took);
        documents += number(count);
        wall += took;
        for ((sum, now), then) in cpu.iter_mut().zip(rig.cpu()).zip(used) {
            *sum += now - then;
        }
        rounds.slow.push(slow(rig, &slow_url, numbers(count / 2), options.clients).await?);
        if let Some(settings) = rabbit {
            rounds.publish.push(publish::per_second(scratch, settings, count).await?);
        }
    }
    let spent = Spent { documents, wall, cpu, before, after: rig.metrics().await? };
    let latency = latency(rig, &url, numbers(STEADY * 8)).await?;
    Ok((rounds, latency, spent))
}

/// Deliveries a second to a far side that takes its time, from a backlog.
async fn slow(rig: &Rig, url: &str, numbers: std::ops::Range<u64>, clients: u64) -> Result<f64, String> {
    let count = numbers.end - numbers.start;
    rig.set_paused("slow", true).await?;
    post(url, numbers, clients).await?;
    let known = rig.far.arrived();
    rig.set_paused("slow", false).await?;
    // From the first to arrive to the last: getting under way is another figure's.
    rig.far.reached(known + 1).await?;
    let begun = Instant::now();
    rig.far.reached(known + count).await?;
    let took = begun.elapsed().as_secs_f64();
    rig.posted(known + count).await?;
    Ok(number(count.saturating_sub(1)) / took)
}

/// Milliseconds from the moment a document is due to be sent until it is at the far side: half of them within the
/// first, 99 of 100 within the second.
async fn latency(rig: &Rig, url: &str, numbers: std::ops::Range<u64>) -> Result<[f64; 2], String> {
    let known = rig.far.arrived();
    let count = numbers.end - numbers.start;
    rig.far.note_times();
    let sent =
        post_steadily(url, numbers, Duration::from_secs(1) / u32::try_from(STEADY).unwrap_or(1)).await?;
    rig.far.reached(known + count).await?;
    let arrived = rig.far.take_times();
    let mut took: Vec<f64> = sent
        .iter()
        .filter_map(|(key, at)| Some((*arrived.get(key)? - *at).as_secs_f64() * 1_000.0))
        .collect();
    took.sort_by(f64::total_cmp);
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(f64::NAN);
    Ok([at(50), at(99)])
}

fn figures(rounds: &Rounds, is_sqlite: bool) -> Vec<Figure> {
    let commit = "单行提交 / single-row commits, same database";
    let confirm = "确认发布 / confirmed publishes, bare, window 100";
    let figure = |what: &str, rate: &[f64], limit_what: &str, limit: f64, goal: Option<f64>| Figure {
        what: what.to_owned(),
        rate: median(rate.to_vec()),
        limit_what: limit_what.to_owned(),
        limit,
        goal,
    };
    let commits = median(rounds.limits.commits.clone());
    let confirms = median(rounds.limits.confirms.clone());
    let intake = figure(
        "接收 HTTP→提交→202 / intake",
        &rounds.intake,
        commit,
        commits,
        Some(if is_sqlite { 0.5 } else { 0.4 }),
    );
    let mut figures = vec![intake];
    let (mut least_what, mut least, mut goal) = (commit, commits, 0.2);
    if !rounds.publish.is_empty() {
        let what = "发件箱→确认 / outbox to confirmed publish";
        figures.push(figure(what, &rounds.publish, confirm, confirms, Some(0.7)));
        goal = 0.15;
        if confirms < commits {
            (least_what, least) = (confirm, confirms);
        }
    }
    let what = "端到端 HTTP→提交→确认→映射→对方→提交 / end to end";
    figures.push(figure(what, &rounds.through, least_what, least, Some(goal)));
    figures.push(figure("积压投递 / deliveries from a backlog", &rounds.backlog, least_what, least, None));
    let ideal = f64::from(SLOW_IN_FLIGHT) / SLOW.as_secs_f64();
    let what = format!("{} ms 的对方 / to a far side of {} ms", SLOW.as_millis(), SLOW.as_millis());
    let held = format!("{SLOW_IN_FLIGHT} 路并发的理论值 / {SLOW_IN_FLIGHT} in flight, ideal");
    figures.push(figure(&what, &rounds.slow, &held, ideal, Some(0.85)));
    figures
}

/// What has a bound and no peer.
fn bounds([median, p99]: [f64; 2], [idle, loaded]: [f64; 2], [first, later]: [Duration; 2]) -> Table {
    let bytes = std::env::current_exe().and_then(std::fs::metadata).map_or(0, |file| file.len());
    let megabytes = number(bytes / 1_000) / 1_000.0;
    let row = |what: &str, measured: f64, bound: &str| {
        vec![what.to_owned(), format!("{measured:.1}"), bound.to_owned()]
    };
    Table {
        name: "bounds",
        title: "有上限的指标 / what has a bound".to_owned(),
        head: vec!["测量 / measured", "值 / value", "上限 / bound"],
        rows: vec![
            row("每秒 100 笔时附加时延 p50，毫秒 / added at 100/s, median, ms", median, ""),
            row("每秒 100 笔时附加时延 p99，毫秒 / added at 100/s, p99, ms", p99, "50"),
            row("空闲内存，MiB / memory when idle", idle, "30"),
            row("负载内存峰值，MiB / memory under load, at most", loaded, "100"),
            row("启动到就绪，毫秒 / start to ready, ms", later.as_secs_f64() * 1_000.0, "100"),
            row("首次启动（建队列），毫秒 / first start, queues are made", first.as_secs_f64() * 1_000.0, ""),
            row("程序大小，MB / binary", megabytes, "25"),
        ],
    }
}

/// Stages of the service, in the order in which a document passes them.
const STAGES: [(&str, &str); 7] = [
    ("verify", "验签 / signature"),
    ("translate", "解析与入站映射 / decode and inbound mapping"),
    ("accept", "入库（等待与提交）/ accept: wait and commit"),
    ("publish", "发布一批 / publishing a batch"),
    ("begin", "登记意图（等待与提交）/ intent: wait and commit"),
    ("map", "出站映射 / outbound mapping"),
    ("finish", "登记结果（等待与提交）/ outcome: wait and commit"),
];

/// Where the time went.
fn explained(spent: &Spent) -> Vec<Table> {
    let [service, this, machine] = spent.cpu.map(|seconds| seconds / spent.documents * 1e6);
    let row = |what: &str, micros: f64| vec![what.to_owned(), format!("{micros:.0}")];
    let cpu = Table {
        name: "cpu",
        title: "端到端每笔所用 CPU / CPU a document, end to end".to_owned(),
        head: vec!["谁 / who", "微秒 / µs"],
        rows: vec![
            row("通宝 / the service", service),
            row("发送方与对方（本进程）/ sender and far side, this process", this),
            row("其余：数据库、消息中间件等 / the rest: database, broker, others", machine - service - this),
            row("两核一笔的时长 ×2 / wall time of one, times two cores", spent.wall / spent.documents * 2e6),
        ],
    };
    let rows = STAGES.iter().filter_map(|(stage, what)| {
        let label = format!("stage=\"{stage}\"");
        let of = |name: &str| spent.after.sum(name, &label) - spent.before.sum(name, &label);
        let (count, sum) = (of("tongbao_stage_seconds_count"), of("tongbao_stage_seconds_sum"));
        (count > 0.0)
            .then(|| vec![(*what).to_owned(), format!("{count:.0}"), format!("{:.3}", sum / count * 1_000.0)])
    });
    let stages = Table {
        name: "stages",
        title: "各阶段时长（全部各轮）/ time by stage, all rounds".to_owned(),
        head: vec!["阶段 / stage", "次数 / count", "平均毫秒 / mean ms"],
        rows: rows.collect(),
    };
    vec![cpu, stages]
}
