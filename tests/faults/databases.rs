//! PostgreSQL restarted, connections cut in the middle of transactions, a pool that is too small, a disk that
//! is full: the intake says 503 and when to come back, and nothing that got a 202 is lost.

use super::brokers::on_servers;
use super::crashing::undisturbed_leaves;
use super::digest;
use super::documents::Batch;
use super::process::{Household, Life};
use crate::Case;
use crate::proxy::Proxy;
use crate::servers::{End, Servers};
use crate::world::until;
use std::process::Command;
use std::time::{Duration, Instant};
use tongbao_app::stage::CRM_SECRET;
use tongbao_sandbox::crm::WebhookSender;

/// Contracts of a case.
pub const SOME: usize = 24;

/// How long senders commonly wait for an answer.
const SENDER_LIMIT: Duration = Duration::from_secs(10);

/// The cases.
pub fn cases() -> Vec<(String, Case)> {
    let case = |name: &str, case: Case| (format!("database::{name}"), case);
    let mut cases = vec![
        case("postgres_restarted_under_load", Box::new(|| Box::pin(postgres_restarted_under_load()))),
        case("postgres_cut_in_mid_transaction", Box::new(|| Box::pin(cut_in_mid_transaction("postgres")))),
        case("mariadb_cut_in_mid_transaction", Box::new(|| Box::pin(cut_in_mid_transaction("mariadb")))),
        case("a_pool_of_one", Box::new(|| Box::pin(a_pool_of_one()))),
        case("sqlite_file_limit", Box::new(|| Box::pin(sqlite_file_limit()))),
    ];
    // Elsewhere the limit on file sizes alone has to show it.
    if may_mount() {
        cases.push(case("sqlite_disk_full", Box::new(|| Box::pin(sqlite_disk_full()))));
    }
    cases
}

/// An answer to a contract that is in no batch, as a sender sees it.
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: String,
}

/// Posts a contract by hand, for what [`WebhookSender`] does not show.
pub async fn post(household: &Household, number: &str) -> Answer {
    let body = Batch::stray(number);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let signature = WebhookSender::signature(CRM_SECRET, i64::try_from(now).unwrap(), body.as_bytes());
    let response = household
        .client
        .post(format!("{}/in/crm/contract", household.url))
        .header("content-type", "application/json")
        .header("x-tongbao-timestamp", now.to_string())
        .header("x-tongbao-signature", signature)
        .body(body)
        .send()
        .await
        .unwrap();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    Answer { status: response.status().as_u16(), retry_after, body: response.text().await.unwrap() }
}

/// Asserts that the intake says "not now" in the way senders understand.
pub fn assert_comes_back(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    let seconds: u32 = answer.retry_after.as_deref().unwrap().parse().unwrap();
    assert!(seconds > 0);
    assert!(answer.body.contains(code), "{}", answer.body);
}

/// Settles the batch and compares with an undisturbed run. The process is the one of before.
pub async fn ends_as_undisturbed(household: &mut Household, mut life: Life, batch: &mut Batch, count: usize) {
    let expected = undisturbed_leaves(count).await;
    let deliveries = household.settle(&mut life, batch).await;
    let found = digest::of(&household.sandbox, &deliveries, &batch.prefix);
    println!("digest {} {}", found.short, household.name);
    digest::assert_same(&expected, &found, &household.name);
    life.stop();
}

async fn postgres_restarted_under_load() {
    let url = on_servers(|servers| servers.frail_postgres_url("restarted")).await;
    let mut household = Household::over("postgres restarted", Some(url), None).await;
    let mut life = household.start(None);
    life.ready(&household).await;
    let mut batch = Batch::new("P1", SOME);
    batch.send(&household.sender, &household.sandbox, SOME / 2).await;
    until("work is under way", async || household.sandbox.orders().len() > 3).await;
    on_servers(|servers| servers.stop_frail_postgres(End::Quit)).await;
    let asked = Instant::now();
    assert_comes_back(&post(&household, "HT-nobody").await, "target-unavailable");
    assert!(asked.elapsed() < SENDER_LIMIT, "answered after {:?}", asked.elapsed());
    let ready = household.client.get(format!("{}/readyz", household.url)).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    life.assert_alive();
    on_servers(Servers::resume_frail_postgres).await;
    ends_as_undisturbed(&mut household, life, &mut batch, SOME).await;
}

/// Cut off at moments that fall between any two bytes: whether a commit took place is then not known to the
/// client.
async fn cut_in_mid_transaction(server: &'static str) {
    let database = format!("cut_{server}");
    let url = on_servers(move |servers| match server {
        "postgres" => servers.postgres_url(&database),
        _ => servers.mariadb_url(&database),
    })
    .await;
    let port: u16 = url.rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap();
    let proxy = Proxy::start(port).await;
    let url = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
    let mut household = Household::over(&format!("{server} cut"), Some(url), None).await;
    let mut life = household.start(None);
    life.ready(&household).await;
    let mut batch = Batch::new("C1", SOME);
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..20 {
        proxy.cut_after(random.u32(200..30_000));
        batch.flood(&household.sender, &household.sandbox, 4).await;
        until("the connections are cut", async || proxy.has_cut()).await;
        life.assert_alive();
    }
    ends_as_undisturbed(&mut household, life, &mut batch, SOME).await;
}

async fn a_pool_of_one() {
    let url = on_servers(|servers| servers.postgres_url("pool_of_one")).await;
    let mut household = Household::over("pool of one", Some(url), None).await;
    household.rewrite(&[("store:\n", "store:\n  pool: 1\n")]);
    let mut life = household.start(None);
    life.ready(&household).await;
    let mut batch = Batch::new("P2", SOME);
    batch.flood(&household.sender, &household.sandbox, SOME).await;
    ends_as_undisturbed(&mut household, life, &mut batch, SOME).await;
}

/// Runs until the intake says 503, makes room in the process of this id, and goes on.
async fn full_and_room_again(
    mut household: Household,
    mut life: Life,
    make_room: impl FnOnce(&Household, u32),
) {
    life.ready(&household).await;
    let mut batch = Batch::new("D1", SOME);
    let mut strays = 0;
    until("there is no room left", async || {
        life.assert_alive();
        batch.send(&household.sender, &household.sandbox, 1).await;
        let answer = post(&household, &format!("HT-stray-{strays}")).await;
        if answer.status == 202 {
            strays += 1;
            return false;
        }
        assert_comes_back(&answer, "target-unavailable");
        true
    })
    .await;
    // Reading goes on.
    assert!(household.get("/api/counts").await.unwrap()["counts"].is_array());
    make_room(&household, life.id());
    household.expect_strays(strays);
    ends_as_undisturbed(&mut household, life, &mut batch, SOME).await;
}

/// A file system without room: a small one in memory, which only the service sees and which goes with it.
async fn sqlite_disk_full() {
    const MOUNT: &str = "mount -t tmpfs -o size=3m tmpfs \"$1/disk\" && \
        cp \"$1/tongbao.db\" \"$1/disk\" && shift && exec \"$@\"";
    let household = Household::over("disk full", None, None).await;
    household.rewrite(&[("sqlite://tongbao.db", "sqlite://disk/tongbao.db")]);
    std::fs::create_dir(household.folder.path().join("disk")).unwrap();
    let folder = household.folder.path().display().to_string();
    let life = household.start_through(&["unshare", "-m", "sh", "-c", MOUNT, "sh", &folder], None);
    full_and_room_again(household, life, |household, id| {
        let mut more = Command::new("nsenter");
        more.args(["-t", &id.to_string(), "-m", "mount", "-o", "remount,size=64m"]);
        assert!(more.arg(household.folder.path().join("disk")).status().unwrap().success());
    })
    .await;
}

/// A quota: files may not grow beyond a size.
async fn sqlite_file_limit() {
    let household = Household::over("file limit", None, None).await;
    let ignoring = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
    let life = household.start_through(&ignoring, None);
    limit_files(life.id(), "1500000");
    full_and_room_again(household, life, |_, id| limit_files(id, "unlimited")).await;
}

/// Changes what a running process may write.
fn limit_files(id: u32, soft: &str) {
    let mut limit = Command::new("prlimit");
    limit.args(["--pid", &id.to_string(), &format!("--fsize={soft}:unlimited")]);
    assert!(limit.status().unwrap().success());
}

/// Whether this user may mount a file system of its own.
fn may_mount() -> bool {
    let probe = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]).output();
    probe.is_ok_and(|probe| probe.status.success())
}
