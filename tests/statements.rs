//! Do statements reach customers once each, and do their answers come back?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/browser.rs"]
mod browser;
#[path = "support/flows.rs"]
#[allow(dead_code, reason = "shared by several test binaries, each of which uses a part")]
mod flows;
#[path = "support/staged.rs"]
mod staged;

use browser::Browser;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use staged::{contract, send, started};
use std::process::Command;
use std::time::{Duration, Instant};
use tongbao_app::service::Running;
use tongbao_app::stage::{self, Stage, StageOptions};
use tongbao_app::statements::link::{self, Link, LinkKey};
use tongbao_model::Month;
use tongbao_sandbox::{Fault, MailMessage, Rule, Sandbox, System};

struct World {
    folder: tempfile::TempDir,
    stage: Stage,
    http: reqwest::Client,
}

impl World {
    async fn new(remind: Option<&str>) -> World {
        World::with(remind, "").await
    }

    /// A customer with an invoice; `more` stands at the end of the configuration.
    async fn with(remind: Option<&str>, more: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        let remind = remind.unwrap_or("remind: { after: 31d, times: 1 }");
        let change =
            |text: &str, sandbox: &Sandbox| flows::stating(text, &sandbox.mail_address(), remind) + more;
        let stage = started(folder.path(), change).await;
        let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        let world = World { folder, stage, http };
        let mut one = contract("HT-1", "C1");
        one["customer"]["email"] = "buyer@customer.example.com".into();
        send(&world.stage, &json!([one])).await;
        world
            .until("the invoice is on the statement", async || {
                let (status, body) = world.get(&world.path("")).await;
                status == 200 && body.contains("\"kind\": \"invoice\"")
            })
            .await;
        world
    }

    fn month() -> Month {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Month::at(i64::try_from(now.as_millis()).unwrap()).unwrap()
    }

    fn path(&self, more: &str) -> String {
        format!("/api/statements/C1/{}{more}", World::month())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.stage.running.address)
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn give(&self) -> Value {
        let response = self.http.post(self.url(&self.path("/send"))).send().await.unwrap();
        assert_eq!(response.status(), 202);
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds().await {
            assert!(Instant::now() < deadline, "never: {what}; {}", self.get("/api/statements").await.1);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn mails(&self) -> Vec<MailMessage> {
        self.stage.sandbox.mail_messages()
    }

    async fn mailed(&self, count: usize) -> MailMessage {
        self.until("the mail is there", async || self.mails().len() >= count).await;
        self.mails().remove(count - 1)
    }

    async fn told(&self) -> Value {
        let (status, body) = self.get("/api/statements?customer=C1").await;
        assert_eq!(status, 200, "{body}");
        let told: Value = serde_json::from_str(&body).unwrap();
        told["statements"][0].clone()
    }

    /// What a browser sends for a form.
    async fn answer(&self, address: &str, body: &'static str) -> (u16, Option<String>, String) {
        let request = self.http.post(address).header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(body).send().await.unwrap();
        let place = response.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
        (response.status().as_u16(), place, response.text().await.unwrap())
    }

    fn tongbao(&self, arguments: &[&str]) -> std::process::Output {
        let binary = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("tongbao");
        assert!(binary.exists(), "{} is not built: `cargo build` first", binary.display());
        let options = StageOptions::quick(self.folder.path());
        let mut command = Command::new(binary);
        command.arg("-c").arg(&self.stage.config).args(arguments);
        command.envs(stage::secrets(&options, &self.stage.sandbox)).output().unwrap()
    }

    fn key(&self) -> LinkKey {
        let options = StageOptions::quick(self.folder.path());
        let loaded = stage::load(&self.stage.config, &options, &self.stage.sandbox).unwrap();
        loaded.config.statements.unwrap().keys.remove(0)
    }
}

/// The address in a letter.
fn address(mail: &MailMessage) -> String {
    let text = mail.pieces()[0].text();
    text.lines().find(|line| line.starts_with("http://")).unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_mailed_and_what_is_attached_is_what_the_books_say() {
    let world = World::new(None).await;
    let sum = {
        let (_, body) = world.get(&world.path("")).await;
        serde_json::from_str::<Value>(&body).unwrap()
    };
    assert_eq!(sum["sections"][0]["closing"], "339.00", "{sum}");
    assert_eq!(world.give().await["revision"], 1);
    let mail = world.mailed(1).await;
    assert_eq!(mail.to, ["buyer@customer.example.com", "finance@example.com"]);
    let subject = mail.header("subject").unwrap();
    assert!(subject.contains("月对账单") && subject.contains("某某科技有限公司"), "{subject}");
    let pieces = mail.pieces();
    let names: Vec<String> =
        pieces.iter().skip(1).map(|one| one.header("content-disposition").unwrap()).collect();
    assert!(names[0].contains(".pdf") && names[1].contains(".xlsx") && names.len() == 2, "{names:?}");
    assert!(pieces[0].text().contains("CNY 339.00"), "{}", pieces[0].text());
    for (piece, name) in pieces.iter().skip(1).zip(["c1.pdf", "c1.xlsx"]) {
        let file = world.folder.path().join(name);
        std::fs::write(&file, piece.bytes()).unwrap();
        let proved = world.tongbao(&["recon", "verify", &file.display().to_string()]);
        assert!(proved.status.success(), "{name}: {}", String::from_utf8_lossy(&proved.stderr));
    }
    // The API gives the same files, and says what it does not know.
    for (ending, kind) in [("csv", "text/csv"), ("pdf", "application/pdf"), ("xlsx", "spreadsheetml.sheet")] {
        let response = world.http.get(world.url(&world.path(&format!(".{ending}")))).send().await.unwrap();
        let found = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(response.status() == 200 && found.contains(kind), "{ending}: {found}");
        assert!(!response.bytes().await.unwrap().is_empty());
    }
    for (path, status) in [
        (world.path(".docx"), 400),
        ("/api/statements/C1/2026-13".to_owned(), 400),
        (world.path("?as_of=yesterday"), 400),
        (format!("/api/statements/C9/{}", World::month()), 404),
    ] {
        assert_eq!(world.get(&path).await.0, status, "{path}");
    }
    // Neither address nor amount nor link lies in what is kept of the delivery.
    let (_, explained) = world.get(&format!("/api/explain/C1:{}", World::month())).await;
    assert!(explained.contains("statement.due") && explained.contains("\"posted\""), "{explained}");
    let token = address(&mail).rsplit('/').next().unwrap().to_owned();
    for secret in ["customer.example.com", "339.00", &token] {
        assert!(!explained.contains(secret), "{secret} in {explained}");
    }
    let listed = String::from_utf8(world.tongbao(&["recon", "sent"]).stdout).unwrap();
    assert!(listed.contains("C1") && listed.contains("delivered"), "{listed}");
    // By the command too: a newer revision.
    let month = World::month().to_string();
    let given = world.tongbao(&["--json", "recon", "send", "C1", &month, "--by", "li"]);
    let given: Value = serde_json::from_slice(&given.stdout).unwrap();
    assert_eq!(given["revision"], 2, "{given}");
    world.mailed(2).await;
    for (arguments, code) in
        [(["send", "C1", "2026/10"], 2), (["send", "C9", &month], 1), (["sent", "--month", "x"], 2)]
    {
        let told = world.tongbao(&[&["recon"], &arguments[..]].concat());
        assert_eq!(told.status.code(), Some(code), "{arguments:?}");
    }
    world.stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_shows_confirms_and_disputes_and_looking_changes_nothing() {
    let world = World::new(None).await;
    world.give().await;
    let link = address(&world.mailed(1).await);
    let before = world.told().await["history"].clone();
    let response = world.http.get(&link).send().await.unwrap();
    let headers = response.headers().clone();
    assert_eq!(response.status(), 200);
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    let page = response.text().await.unwrap();
    assert!(
        page.contains("339.00") && page.contains("HT-1") && page.contains("宁波样例贸易有限公司"),
        "{page}"
    );
    assert!(!page.contains("<script") && !page.contains("http://"), "{page}");
    let of = |history: &Value, what: &str| {
        history.as_array().unwrap().iter().filter(|one| one["what"] == what).count()
    };
    assert_eq!(of(&before, "confirmed") + of(&before, "disputed"), 0);
    assert_eq!(of(&world.told().await["history"], "confirmed"), 0, "looking is no answer");
    // A remark is shown as it was written, and never as markup.
    let (status, place, _) = world
        .answer(&link, "answer=dispute&name=%E6%9D%8E%E5%9B%9B&remark=%3Cscript%3Ealert(1)%3C%2Fscript%3E%0D%0A%E5%B0%91%E4%B8%80%E7%AC%94")
        .await;
    assert_eq!((status, place.as_deref()), (303, link.rsplit('/').next()));
    let page = world.http.get(&link).send().await.unwrap().text().await.unwrap();
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;\n少一笔") && !page.contains("<script"),
        "{page}"
    );
    let told = world.told().await;
    assert_eq!((&told["state"], of(&told["history"], "disputed")), (&json!("disputed"), 1), "{told}");
    let remark = told["history"].as_array().unwrap().iter().find(|one| one["what"] == "disputed").unwrap();
    assert_eq!((&remark["by"], &remark["revision"]), (&json!("李四"), &json!(1)));
    // The newest answer stands.
    assert_eq!(world.answer(&link, "answer=confirm&name=Zhang").await.0, 303);
    let told = world.told().await;
    assert_eq!((&told["state"], of(&told["history"], "disputed")), (&json!("confirmed"), 1), "{told}");
    // What is wrong with an answer is said, and it changes nothing.
    let (status, _, page) = world.answer(&link, "answer=dispute&name=Zhang&remark=").await;
    assert!(status == 422 && page.contains("请说明异议"), "{page}");
    let long = world.http.post(&link).body("x".repeat(64 * 1024)).send().await.unwrap();
    assert_eq!(long.status(), 413);
    assert_eq!(world.told().await["history"], told["history"]);
    forged_expired_and_superseded(&world, &link).await;
    world.stage.stop().await;
}

async fn forged_expired_and_superseded(world: &World, link: &str) {
    let told = world.told().await;
    let (base, token) = link.rsplit_once('/').unwrap();
    let forged = format!("{base}/{}x", &token[..token.len() - 1]);
    let of = |expires_s| Link { customer: "C1".into(), month: World::month(), revision: 1, expires_s };
    let expired = format!("{base}/{}", link::token(&of(1), &world.key()));
    for (address, status, said) in [(&forged, 404, "链接无效"), (&expired, 410, "链接已过期")] {
        let (found, body) = {
            let response = world.http.get(address).send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        assert!(found == status && body.contains(said) && !body.contains("339.00"), "{found}: {body}");
        assert_eq!(world.answer(address, "answer=confirm&name=Eve").await.0, status);
    }
    assert_eq!(world.told().await, told);
    assert_eq!(world.give().await["revision"], 2);
    let newer = address(&world.mailed(2).await);
    let response = world.http.get(link).send().await.unwrap();
    assert_eq!(response.status(), 410);
    assert!(response.text().await.unwrap().contains("已被新的一份取代"));
    assert_eq!(world.answer(link, "answer=confirm&name=Late").await.0, 410);
    let told = world.told().await;
    assert!(told["revision"] == 2 && told["state"] != "confirmed", "{told}");
    assert!(told["history"].as_array().unwrap().iter().any(|one| one["what"] == "superseded"), "{told}");
    assert_eq!(world.http.get(&newer).send().await.unwrap().status(), 200);
    // No link is asked for more than so often a minute.
    let mut last = 200;
    for _ in 0..61 {
        last = world.http.get(&newer).send().await.unwrap().status().as_u16();
    }
    assert_eq!(last, 429);
}

/// Finance is told of a dispute, once, and by which statement it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_tells_finance() {
    let world =
        World::with(None, "notices:\n  - { name: finance, on: disputed, to: post, every: 1s }\n").await;
    world.give().await;
    let link = address(&world.mailed(1).await);
    assert_eq!(world.answer(&link, "answer=dispute&name=Li&remark=no").await.0, 303);
    let told = world.mailed(2).await;
    assert_eq!(told.to, ["finance@example.com"]);
    assert!(told.header("subject").unwrap().contains("1 份对账单有异议"), "{:?}", told.header("subject"));
    assert!(told.text().contains(&format!("C1:{}", World::month())), "{}", told.text());
    // A confirmation is no news for them: the next mail is of the next dispute.
    assert_eq!(world.answer(&link, "answer=confirm&name=Li").await.0, 303);
    assert_eq!(world.answer(&link, "answer=dispute&name=Li&remark=again").await.0, 303);
    let told = world.mailed(3).await;
    assert!(told.header("subject").unwrap().contains("1 份对账单有异议"), "{:?}", told.header("subject"));
    world.stage.stop().await;
}

/// The mail server is busy, the service stops, and starts again when it is not: one mail.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_waits_is_sent_once_after_a_restart() {
    let world = World::new(None).await;
    let busy = Fault::Http { status: 502, retry_after: None, after_commit: false };
    world.stage.sandbox.fault(Rule::new(busy).on(System::Mail, "DATA"));
    world.give().await;
    world
        .until("it was tried", async || world.stage.sandbox.faults_injected().values().sum::<u64>() > 0)
        .await;
    let World { folder, stage, http } = world;
    let config = stage.config.clone();
    let (sandbox, _) = stage.stop_service().await;
    assert_eq!(sandbox.mail_messages().len(), 0);
    sandbox.clear_faults();
    let options = StageOptions::quick(folder.path());
    let running = Running::start(stage::load(&config, &options, &sandbox).unwrap()).await.unwrap();
    let stage = Stage { sandbox, running, config, erp: tongbao_app::stage::Erp::Kingdee };
    let world = World { folder, stage, http };
    let first = world.mailed(1).await;
    // The next one is the second mail, so nothing came in between.
    assert_eq!(world.give().await["revision"], 2);
    let second = world.mailed(2).await;
    assert_ne!(first.header("message-id"), second.header("message-id"));
    assert_ne!(address(&first), address(&second));
    assert_eq!(world.mails().len(), 2);
    world.stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_is_reminded_and_who_has_is_not() {
    let world = World::new(Some("remind: { after: 2s, times: 2 }")).await;
    world.give().await;
    let reminder = world.mailed(2).await;
    assert!(reminder.header("subject").unwrap().starts_with("提醒："), "{:?}", reminder.header("subject"));
    // Either link confirms: both are of the same revision.
    assert_eq!(world.answer(&address(&reminder), "answer=confirm&name=Zhang").await.0, 303);
    let told = world.told().await;
    assert_eq!((&told["state"], &told["revision"]), (&json!("confirmed"), &json!(1)), "{told}");
    let reminders = told["reminders"].as_i64().unwrap();
    // A statement of another customer, sent later and reminded of, shows that the first had its time.
    let mut other = contract("HT-2", "C-OTHER");
    other["customer"]["email"] = "other@customer.example.com".into();
    send(&world.stage, &json!([other])).await;
    let path = format!("/api/statements/C-OTHER/{}", World::month());
    world.until("the other is known", async || world.get(&path).await.0 == 200).await;
    assert_eq!(world.http.post(world.url(&format!("{path}/send"))).send().await.unwrap().status(), 202);
    let of_other = || world.mails().iter().filter(|mail| mail.to[0].starts_with("other@")).count();
    world.until("the other is reminded", async || of_other() >= 2).await;
    assert_eq!(world.told().await["reminders"].as_i64().unwrap(), reminders, "the first is not, any more");
    world.stage.stop().await;
}

/// Without an address nothing is sent, and it is seen why; once there is one, a replay sends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_customer_without_an_address_is_parked() {
    let world = World::new(None).await;
    send(&world.stage, &json!([contract("HT-2", "C-MUTE")])).await;
    let path = format!("/api/statements/C-MUTE/{}", World::month());
    world.until("it is known", async || world.get(&path).await.0 == 200).await;
    assert_eq!(world.http.post(world.url(&format!("{path}/send"))).send().await.unwrap().status(), 202);
    let key = format!("C-MUTE:{}", World::month());
    let state = async || {
        let (_, body) = world.get(&format!("/api/deliveries?key={key}")).await;
        let told: Value = serde_json::from_str(&body).unwrap();
        told["deliveries"][0].clone()
    };
    world.until("it is parked", async || state().await["state"] == "parked").await;
    assert_eq!(state().await["fault"]["code"], "field-missing");
    // The ERP does not know that customer, so it has no order of theirs: the books differ by all of it.
    let compared = async |path: &str| -> Value {
        let (_, body) = world.get(path).await;
        serde_json::from_str::<Value>(&body).unwrap()["compared"].clone()
    };
    let drift = &compared(&path).await["drifts"][0];
    assert_eq!(
        (&drift["left"]["book"], &drift["right"]["book"]),
        (&json!("crm-contract"), &json!("erp-order"))
    );
    assert_eq!((&drift["difference"], &drift["over"]), (&json!("339.00"), &json!(true)), "{drift}");
    assert_eq!(drift["documents"], json!([{"number": "HT-2", "left": "339.00", "right": null}]));
    world
        .until("the first customer's books agree", async || {
            compared(&world.path("")).await["drifts"] == json!([])
        })
        .await;
    assert_eq!(world.mails().len(), 0);
    let mut amended = contract("HT-2", "C-MUTE");
    amended["revision"] = 2.into();
    amended["customer"]["email"] = "mute@customer.example.com".into();
    send(&world.stage, &json!([amended])).await;
    world
        .until("the address is known", async || {
            let replay = world.http.post(world.url("/api/deliveries/replay"));
            let replay =
                replay.header("content-type", "application/json").body(json!({"key": key}).to_string());
            replay.send().await.unwrap();
            world.mails().len() == 1
        })
        .await;
    assert_eq!(world.mails()[0].to[0], "mute@customer.example.com");
    world.stage.stop().await;
}

/// The section as shipped is taken; each mistake is told with its line, all of them in one run.
#[tokio::test]
async fn wrong_settings_are_told_of_with_their_lines() {
    tongbao_app::service::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let options = StageOptions::quick(folder.path());
    let sandbox = Sandbox::start(tongbao_sandbox::SandboxConfig::default()).await.unwrap();
    let config = stage::write_files(&options, &sandbox.url(), "127.0.0.1:8999").unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let good = flows::stating(&text, &sandbox.mail_address(), "remind: { after: 31d, times: 1 }");
    std::fs::write(&config, &good).unwrap();
    stage::load(&config, &options, &sandbox).unwrap();
    let wrong = [
        ("to: post", "to: erp", "must be a connection by `mail`"),
        ("url: http://127.0.0.1:8999/", "url: ftp://x/", "url: expected an absolute http or https address"),
        ("link_days: 30", "link_days: 0", "`link_days` must be from 1 to 366"),
        ("day: 3, hour: 9", "day: 31, hour: 24", "`hour` must be from 0 to 23"),
        ("after: 31d, times: 1", "after: soon, times: 0", "`after` must be a time such as 5d"),
        ("copy: [finance@example.com]", "copy: [finance]", "`copy` must be mail addresses"),
        ("C-0002: { send: false }", "C-0002: { send: maybe }", "`send` must be true or false"),
        ("credit_days: 30", "credit_dys: 30", "did you mean `credit_days`?"),
        ("drift_limit: 5%", "drift_limit: 5", "`drift_limit` must be a percentage such as 5%"),
        ("id: k1", "id: K 1", "`id` must be lower-case letters"),
    ];
    let text = wrong.iter().fold(good, |text, (from, to, _)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    std::fs::write(&config, &text).unwrap();
    let Err(told) = stage::load(&config, &options, &sandbox) else { panic!("these settings are taken") };
    for (_, to, expected) in wrong {
        // Of the section alone: connections say `to` and `customers` too.
        let section = text.find("\nstatements:\n").unwrap();
        let line = 1 + text[..section + text[section..].find(to).unwrap()].matches('\n').count();
        let said = told.lines().any(|said| said.contains(&format!(":{line}:")));
        assert!(told.contains(expected) && (said || to == "to: erp"), "{to}: line {line} in {told}");
    }
    sandbox.shutdown().await;
}

/// As a customer does it on a telephone: the letter's link, a form that is not filled in, an answer, another answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_customer_answers_in_a_real_browser() {
    let world = World::new(None).await;
    world.give().await;
    let address = address(&world.mailed(1).await);
    let mut browser = tokio::task::spawn_blocking(move || {
        let mut browser = Browser::new(390, 844);
        browser.open(&address);
        let text = browser.look("document.body.innerText");
        assert!(text.as_str().unwrap().contains("339.00"), "{text}");
        assert_eq!(browser.look("document.scripts.length"), 0);
        // Its own style is in force, and nothing hangs over the edge of a small screen.
        assert_ne!(browser.look("getComputedStyle(document.querySelector('.card')).borderRadius"), "0px");
        assert_eq!(browser.look("document.documentElement.scrollWidth <= 390"), true);
        // Nobody has said who he is: the browser sends nothing.
        browser.click("form button");
        assert_eq!(browser.look("document.querySelector('form').checkValidity()"), false);
        browser
    })
    .await
    .unwrap();
    assert_ne!(world.told().await["state"], "confirmed", "looking is no answer");
    browser = tokio::task::spawn_blocking(move || {
        browser.write("form input[required]", "王出纳");
        browser.follow("form button");
        let text = browser.look("document.body.innerText");
        assert!(text.as_str().unwrap().contains("王出纳"), "{text}");
        browser
    })
    .await
    .unwrap();
    world.until("it is confirmed", async || world.told().await["state"] == "confirmed").await;
    tokio::task::spawn_blocking(move || {
        // Another answer, which would be a script if it were let.
        browser.write("form:nth-of-type(2) input[required]", "李会计");
        browser.write("textarea", "<script>document.title='x'</script>少一笔");
        browser.follow("form:nth-of-type(2) button");
        assert_eq!(browser.look("document.scripts.length"), 0);
        assert_ne!(browser.look("document.title"), "x");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    })
    .await
    .unwrap();
    world.until("it is disputed", async || world.told().await["state"] == "disputed").await;
    let told = world.told().await.to_string();
    assert!(told.contains("王出纳") && told.contains("李会计") && told.contains("少一笔"), "{told}");
    world.stage.stop().await;
}
