//! `mail`: notices by SMTP.

use crate::kit::{Connection, connect, connect_by, done, failed, install, said, sandbox_with, task, wrong};
use crate::robots::notice;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tongbao_connect::letter::{self, Attached};
use tongbao_connect::settings::{SecretString, Secrets};
use tongbao_connect::{EgressRules, Receipt, Task};
use tongbao_model::diagnostic::Findings;
use tongbao_model::{Class, Code, Text, yaml};
use tongbao_sandbox::{Fault, MailConfig, Rule, Sandbox, System};

const LOGIN: &str = "username: tongbao@example.com\npassword: { env: MAIL_PASSWORD }\n";
const PEOPLE: &str = "from: 通宝 <tongbao@example.com>\nto: [li@example.com, 财务 <cai@example.com>]\n";

async fn server(change: impl FnOnce(&mut MailConfig)) -> Sandbox {
    sandbox_with(|config| change(&mut config.mail)).await
}

fn settings(sandbox: &Sandbox, more: &str) -> String {
    format!("server: '{}'\n{PEOPLE}{more}", sandbox.mail_address())
}

async fn mail(more: &str, change: impl FnOnce(&mut MailConfig)) -> (Sandbox, Connection) {
    let sandbox = server(change).await;
    let connection = connect("mail", &settings(&sandbox, &format!("security: none\n{LOGIN}{more}")));
    (sandbox, connection)
}

fn calls(sandbox: &Sandbox, operation: &str) -> u64 {
    sandbox.calls().get(&format!("mail {operation}")).copied().unwrap_or(0)
}

async fn sent(connection: &Connection, task: &Task) -> Receipt {
    done(connection.apply(task).await)
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let base = format!("server: mail.example.com\n{LOGIN}");
    let people = "from: a@example.com\nto: [b@example.com]\n";
    for more in ["security: ssl", "language: fr", "on_unknown: maybe", "hello: 'a b'"] {
        assert_eq!(wrong("mail", &format!("{base}{people}{more}")), ["config-value"], "{more}");
    }
    for people in [
        "from: a\nto: [b@example.com]\n",
        "from: a@example.com\nto: []\n",
        "from: a@example.com\nto: [\"b@example.com\\r\\nBcc: c@evil.cn\"]\n",
        "from: a@example.com\nto: [b@example.com]\nsubject_prefix: \"x\\r\\nBcc: c@evil.cn\"\n",
    ] {
        assert_eq!(wrong("mail", &format!("{base}{people}")), ["config-value"], "{people}");
    }
    let alone = format!("server: mail.example.com\nusername: a@example.com\n{people}");
    assert_eq!(wrong("mail", &alone), ["config-value"]);
    for server in ["http://mail.example.com/", "'mail.example.com:99999'", "a b"] {
        let text = format!("server: {server}\n{people}");
        assert_eq!(wrong("mail", &text), ["config-value"], "{server}");
    }
    assert_eq!(wrong("mail", people), ["config-missing"]);
}

#[tokio::test]
async fn what_people_read_and_what_their_programs_see() {
    let (sandbox, connection) = mail("subject_prefix: '[通宝]'\nlanguage: both\n", |_| ()).await;
    let receipt = sent(&connection, &notice("ops-1", 3)).await;
    assert_eq!((receipt.remote.step.as_str(), receipt.remote.number.as_str()), ("sent", "ops-1"));
    let messages = sandbox.mail_messages();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message.user.as_deref(), Some("tongbao@example.com"));
    assert_eq!((message.from.as_str(), message.to.len()), ("tongbao@example.com", 2));
    let header = |name: &str| message.header(name).unwrap_or_default();
    let subject = header("subject");
    assert!(
        subject.starts_with("[通宝] 通宝：单据挂起") && subject.contains("documents are parked"),
        "{subject}"
    );
    assert_eq!(header("from").replace('"', ""), "通宝 <tongbao@example.com>");
    assert_eq!(header("to").replace('"', ""), "li@example.com, 财务 <cai@example.com>");
    assert_eq!(header("auto-submitted"), "auto-generated");
    assert_eq!(header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(Some(header("message-id")), Some(receipt.remote.id));
    let text = message.text();
    assert!(text.contains("erp-000：2 张单据挂起") && text.contains("编号 ops-1"), "{text}");
}

#[tokio::test]
async fn the_date_is_the_clocks_and_a_repeat_is_the_same_mail() {
    let (sandbox, connection) = mail("", |_| ()).await;
    sandbox.fault(Rule::new(Fault::LostAnswerAfterCommit).on(System::Mail, "content").times(1));
    let failure = failed(connection.apply(&notice("ops-1", 1)).await);
    assert_eq!(said(&failure), (Class::Unknown, Code::OutcomeUnknown));
    assert!(connection.repeats());
    connection.advance(Duration::from_secs(86_400));
    sent(&connection, &notice("ops-1", 1)).await;
    sent(&connection, &notice("ops-2", 1)).await;
    let of = |name: &str| -> Vec<String> {
        sandbox.mail_messages().iter().map(|message| message.header(name).unwrap()).collect()
    };
    let (ids, dates) = (of("message-id"), of("date"));
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    assert!(dates[0] != dates[1] && dates.iter().all(|date| date.ends_with(" +0000")), "{dates:?}");
    let (_, parked) = mail("on_unknown: park\n", |_| ()).await;
    assert!(!parked.repeats());
}

/// The word on the message has come: a goodbye that never ends makes nothing of it uncertain.
#[tokio::test]
async fn a_goodbye_without_an_end_changes_nothing() {
    for trouble in
        [Fault::Slow { ms: 60_000, after_commit: false }, Fault::LostAnswerAfterCommit, Fault::Garbage]
    {
        let (sandbox, connection) = mail("timeout_ms: 1500\n", |_| ()).await;
        sandbox.fault(Rule::new(trouble.clone()).on(System::Mail, "QUIT"));
        let begun = std::time::Instant::now();
        sent(&connection, &notice("ops-1", 1)).await;
        assert_eq!(sandbox.mail_messages().len(), 1, "{trouble:?}");
        assert_eq!(sandbox.faults_injected().values().sum::<u64>(), 1, "{trouble:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{trouble:?}: {:?}", begun.elapsed());
    }
}

/// Nothing is over there before the dot: whatever fails until then is said to have done nothing, and has.
#[tokio::test]
async fn before_the_dot_nothing_is_in_doubt() {
    let troubles = [
        Fault::LostAnswerAfterCommit,
        Fault::ResetMidBody,
        Fault::TruncatedJson,
        Fault::Garbage,
        Fault::Oversize,
        Fault::Http { status: 502, retry_after: None, after_commit: false },
    ];
    for operation in ["connect", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"] {
        let (sandbox, connection) = mail("", |_| ()).await;
        for (nth, trouble) in troubles.iter().enumerate() {
            sandbox.clear_faults();
            sandbox.fault(Rule::new(trouble.clone()).on(System::Mail, operation));
            let failure = failed(connection.apply(&notice(&format!("ops-{nth}"), 1)).await);
            assert_eq!(
                said(&failure),
                (Class::Unavailable, Code::TargetUnavailable),
                "{operation}: {trouble:?}: {failure:?}"
            );
            // A failed login is remembered for a moment.
            connection.advance(Duration::from_secs(2));
        }
        assert_eq!(sandbox.mail_messages(), [], "{operation}");
        sandbox.clear_faults();
        sent(&connection, &notice("ops-9", 1)).await;
    }
}

#[tokio::test]
async fn a_dripping_server_is_left_in_time() {
    for (operation, class) in
        [("connect", Class::Unavailable), ("AUTH", Class::Unavailable), ("content", Class::Unknown)]
    {
        let (sandbox, connection) = mail("timeout_ms: 1500\n", |_| ()).await;
        sandbox.fault(Rule::new(Fault::Drip { ms: 5_000 }).on(System::Mail, operation));
        let begun = std::time::Instant::now();
        assert_eq!(failed(connection.apply(&notice("ops-1", 1)).await).class, class, "{operation}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{operation}: {:?}", begun.elapsed());
    }
}

fn answer(status: u16, body: &str) -> Fault {
    Fault::Answer { status, content_type: String::new(), body: body.to_owned(), after_commit: false }
}

#[tokio::test]
async fn a_refusal_means_what_it_is_said_to() {
    for (operation, status, body, class) in [
        ("connect", 421, "4.7.0 too many connections", "throttled"),
        ("connect", 554, "5.7.1 you are on a list", "misconfigured"),
        ("EHLO", 502, "what?", "misconfigured"),
        ("AUTH", 454, "4.7.0 not now", "unavailable"),
        ("AUTH", 535, "5.7.8 no", "unauthorized"),
        ("MAIL", 421, "4.3.2 going down", "unavailable"),
        ("MAIL", 553, "5.7.1 not your address", "misconfigured"),
        ("RCPT", 450, "4.7.1 greylisted", "throttled"),
        ("RCPT", 550, "5.1.1 no such mailbox", "rejected"),
        ("DATA", 451, "4.3.0 later", "throttled"),
        ("DATA", 554, "5.5.1 nobody", "rejected"),
        ("content", 452, "4.2.2 full", "throttled"),
        ("content", 554, "5.7.1 spam", "rejected"),
        ("content", 354, "go on", "unknown"),
    ] {
        let (sandbox, connection) = mail("", |_| ()).await;
        sandbox.fault(Rule::new(answer(status, body)).on(System::Mail, operation));
        let failure = failed(connection.apply(&notice("ops-1", 1)).await);
        assert_eq!(failure.class.name(), class, "{operation} {status}: {failure:?}");
        assert_eq!(sandbox.mail_messages(), [], "{operation} {status}");
    }
}

#[tokio::test]
async fn some_recipients_are_enough_and_none_is_named() {
    let (sandbox, connection) = mail("", |config| config.unknown = vec!["cai@example.com".into()]).await;
    assert_eq!(sent(&connection, &notice("ops-1", 1)).await.remote.step, "sent to 1 of 2");
    assert_eq!(sandbox.mail_messages()[0].to, ["li@example.com"]);
    let both = vec!["cai@example.com".to_owned(), "li@example.com".to_owned()];
    let (sandbox, connection) = mail("", |config| config.unknown = both).await;
    let failure = failed(connection.apply(&notice("ops-1", 1)).await);
    assert_eq!(said(&failure), (Class::Rejected, Code::TargetRejected));
    assert!(failure.fault.message.en.starts_with("all 2 recipients were refused"), "{failure:?}");
    assert!(!format!("{failure:?}").contains("example.com"), "{failure:?}");
    // One that may be taken later is waited for.
    sandbox.fault(Rule::new(answer(450, "4.2.1 <li@example.com> busy")).on(System::Mail, "RCPT").nth(1));
    let failure = failed(connection.apply(&notice("ops-1", 1)).await);
    assert!(matches!(failure.class, Class::Throttled(_)), "{failure:?}");
    assert!(!format!("{failure:?}").contains("example.com"), "{failure:?}");
}

#[tokio::test]
async fn a_refused_login_is_not_hammered() {
    let (sandbox, connection) = mail("", |config| config.password = "another password".into()).await;
    for n in 0..3 {
        let failure = failed(connection.apply(&notice(&format!("ops-{n}"), 1)).await);
        assert_eq!(said(&failure), (Class::Unauthorized, Code::TargetUnauthorized));
        assert_eq!(
            said(&connection.probe().await.unwrap_err()),
            (Class::Unauthorized, Code::TargetUnauthorized)
        );
    }
    assert_eq!(calls(&sandbox, "AUTH"), 1);
    connection.advance(Duration::from_secs(301));
    failed(connection.apply(&notice("ops-9", 1)).await);
    assert_eq!(calls(&sandbox, "AUTH"), 2);
}

#[tokio::test]
async fn ways_to_log_in() {
    let (sandbox, connection) = mail("", |config| config.mechanisms = vec!["LOGIN"]).await;
    assert_eq!(connection.probe().await.unwrap(), "smtp");
    sent(&connection, &notice("ops-1", 1)).await;
    assert_eq!((sandbox.mail_messages().len(), calls(&sandbox, "DATA")), (1, 1), "the probe sends nothing");
    let (_none, connection) = mail("", |config| config.mechanisms = Vec::new()).await;
    assert_eq!(failed(connection.apply(&notice("ops-1", 1)).await).class, Class::Misconfigured);
    let open = server(|config| config.needs_login = false).await;
    let connection = connect("mail", &settings(&open, "security: none\n"));
    sent(&connection, &notice("ops-1", 1)).await;
    assert_eq!((open.mail_messages()[0].user.as_deref(), calls(&open, "AUTH")), (None, 0));
    let (_closed, connection) = {
        let closed = server(|_| ()).await;
        let connection = connect("mail", &settings(&closed, "security: none\n"));
        (closed, connection)
    };
    assert_eq!(failed(connection.apply(&notice("ops-1", 1)).await).class, Class::Unauthorized);
}

/// What may be the one file there is.
struct Pem(String);

impl Secrets for Pem {
    fn env(&self, name: &str) -> Result<SecretString, Text> {
        Err(Text::new(name, name))
    }

    fn file(&self, _: &str) -> Result<SecretString, Text> {
        Ok(self.0.clone().into())
    }
}

fn trusting(pem: &str) -> EgressRules {
    let mut findings = Findings::new("x");
    let node = yaml::parse("ca: { file: x }", &mut findings).unwrap();
    let rules = EgressRules::read(&node, &Pem(pem.to_owned()), &mut findings);
    assert!(!findings.has_errors());
    rules
}

fn certificate() -> (Arc<rustls::ServerConfig>, String) {
    install();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (Arc::new(config), made.cert.pem())
}

#[tokio::test]
async fn tls_from_the_first_byte_and_by_starttls() {
    let (config, pem) = certificate();
    let (_, unrelated) = certificate();
    for (security, at_once) in [("tls", true), ("starttls", false)] {
        let sandbox = server(|mail| (mail.tls, mail.tls_at_once) = (Some(config.clone()), at_once)).await;
        let text = settings(&sandbox, &format!("security: {security}\n{LOGIN}"));
        let connection = connect_by("mail", &text, trusting(&pem));
        assert_eq!(connection.probe().await.unwrap(), "smtp, tls");
        sent(&connection, &notice("ops-1", 1)).await;
        assert!(sandbox.mail_messages()[0].secure, "{security}");
        // A certificate that nobody we trust stands for: not even the login is said.
        let logins = calls(&sandbox, "AUTH");
        let stranger = connect_by("mail", &text, trusting(&unrelated));
        assert_eq!(failed(stranger.apply(&notice("ops-2", 1)).await).class, Class::Unavailable);
        assert_eq!((calls(&sandbox, "AUTH"), sandbox.mail_messages().len()), (logins, 1), "{security}");
    }
}

#[tokio::test]
async fn starttls_is_never_done_without() {
    let (config, pem) = certificate();
    // The server has none, or somebody in between takes the offer out of its answer.
    let bare = server(|_| ()).await;
    let stripped = server(|mail| mail.tls = Some(config)).await;
    stripped.fault(Rule::new(answer(200, "250-mail.sandbox\r\n250 AUTH PLAIN")).on(System::Mail, "EHLO"));
    for sandbox in [&bare, &stripped] {
        let text = settings(sandbox, &format!("security: starttls\n{LOGIN}"));
        let connection = connect_by("mail", &text, trusting(&pem));
        let failure = failed(connection.apply(&notice("ops-1", 1)).await);
        assert_eq!(said(&failure), (Class::Misconfigured, Code::TargetMisconfigured));
        assert_eq!((calls(sandbox, "AUTH"), calls(sandbox, "MAIL")), (0, 0));
    }
    // Somebody in between speaks on in the clear.
    stripped.clear_faults();
    stripped.fault(Rule::new(answer(200, "220 ready\r\n250 smuggled")).on(System::Mail, "STARTTLS"));
    let text = settings(&stripped, &format!("security: starttls\n{LOGIN}"));
    let connection = connect_by("mail", &text, trusting(&pem));
    assert_eq!(failed(connection.apply(&notice("ops-1", 1)).await).class, Class::Unavailable);
    assert_eq!((calls(&stripped, "AUTH"), stripped.mail_messages().len()), (0, 0));
}

/// What server says under the names of our secrets is not repeated.
#[tokio::test]
async fn a_server_that_repeats_the_password_is_not_repeated() {
    let coded = "AHRvbmdiYW9AZXhhbXBsZS5jb20AbWFpbC1zYW5kYm94LXBhc3N3b3Jk";
    for body in ["5.5.2 mail-sandbox-password?", &format!("5.5.2 AUTH PLAIN {coded}?")] {
        let (sandbox, connection) = mail("", |_| ()).await;
        sandbox.fault(Rule::new(answer(500, body)).on(System::Mail, "AUTH"));
        let failure = failed(connection.apply(&notice("ops-1", 1)).await);
        let shown = format!("{failure:?}");
        assert!(!shown.contains("mail-sandbox-password") && !shown.contains(coded), "{shown}");
    }
}

#[tokio::test]
async fn a_minute_takes_so_many() {
    let (sandbox, connection) = mail("per_minute: 2\n", |_| ()).await;
    for n in 0..2 {
        sent(&connection, &notice(&format!("ops-{n}"), 1)).await;
    }
    let failure = failed(connection.apply(&notice("ops-2", 1)).await);
    assert!(matches!(failure.class, Class::Throttled(Some(_))), "{failure:?}");
    assert_eq!(calls(&sandbox, "connect"), 2, "the third is not even tried");
}

/// A letter names its own recipients and brings files along, byte for byte; what is wrong with it is told without a word of it.
#[tokio::test]
async fn a_letter_goes_to_whom_it_names_with_its_files() {
    let (sandbox, connection) = mail("subject_prefix: '[通宝]'\n", |_| ()).await;
    let files: Vec<Vec<u8>> =
        vec![(0..=255).cycle().take(70_000).collect(), b"%PDF-\r\n.\r\n..\r\n".to_vec()];
    let attached = |(at, bytes): (usize, &Vec<u8>)| Attached {
        name: format!("a-{at}.pdf\r\nBcc: x@evil.cn"),
        media_type: "application/pdf".into(),
        bytes: Arc::new(bytes.clone()),
    };
    let letter = |to: Value, copy: Value| {
        let document = json!({"to": to, "copy": copy, "subject": "对账单\r\nBcc: x@evil.cn", "text": "正文\n.\n第二行\n"});
        Task {
            kind: letter::KIND.into(),
            files: files.iter().enumerate().map(attached).collect(),
            ..task(letter::KIND, "C1:2026-10:1", document, "0")
        }
    };
    sent(&connection, &letter(json!(["buyer@customer.example.com"]), json!(["cai@example.com"]))).await;
    let messages = sandbox.mail_messages();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message.to, ["buyer@customer.example.com", "cai@example.com"]);
    assert_eq!(message.header("cc").as_deref(), Some("cai@example.com"));
    assert_eq!(message.header("bcc"), None);
    let pieces = message.pieces();
    assert_eq!(pieces[0].text().trim_end(), "正文\n.\n第二行");
    let found: Vec<Vec<u8>> = pieces.iter().skip(1).map(tongbao_sandbox::MailMessage::bytes).collect();
    assert!(found == files, "the files are as they were");
    assert!(pieces.iter().all(|piece| piece.header("bcc").is_none()));
    for (to, copy, code) in [
        (json!([]), json!([]), Code::FieldMissing),
        (json!(["secret-name"]), json!([]), Code::FieldType),
        (json!(["a@example.com"]), json!(["b@example.com\r\nBcc: x@evil.cn"]), Code::FieldType),
    ] {
        let failure = failed(connection.apply(&letter(to, copy)).await);
        assert_eq!(said(&failure), (Class::Rejected, code));
        let told = format!("{failure:?}");
        assert!(!told.contains("secret-name") && !told.contains("example.com"), "{told}");
    }
    let heavy = Attached { bytes: Arc::new(vec![0; 15 * 1024 * 1024]), ..attached((0, &files[0])) };
    let failure = failed(
        connection.apply(&Task { files: vec![heavy], ..letter(json!(["a@example.com"]), json!([])) }).await,
    );
    assert_eq!(said(&failure), (Class::Rejected, Code::DocumentLimit));
    assert_eq!(sandbox.mail_messages().len(), 1);
}
