//! The mail server as somebody sees it who types.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::MailConfig;
use crate::{
    config::SandboxConfig,
    faults::{Fault, Rule, System},
    sandbox::Sandbox,
};

/// Types everything and hangs up; what was answered.
async fn typed(sandbox: &Sandbox, lines: &str) -> String {
    let mut stream = TcpStream::connect(sandbox.mail_address()).await.unwrap();
    stream.write_all(lines.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn sandbox(mail: MailConfig) -> Sandbox {
    Sandbox::start(SandboxConfig { mail, ..SandboxConfig::default() }).await.unwrap()
}

/// "\0tongbao@example.com\0mail-sandbox-password", encoded by another program.
const LOGIN: &str =
    "EHLO me.example\r\nAUTH PLAIN AHRvbmdiYW9AZXhhbXBsZS5jb20AbWFpbC1zYW5kYm94LXBhc3N3b3Jk\r\n";
const ENVELOPE: &str =
    "MAIL FROM:<tongbao@example.com>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";
/// `printf 通宝 | base64`, and the same quoted.
const MESSAGE: &str = "From: tongbao@example.com\r\nTo: a@example.com\r\nDate: Sun, 22 Nov 2026 07:00:00 +0000\r\n\
    Message-ID: <1@example.com>\r\nSubject: =?utf-8?b?6YCa?=\r\n =?utf-8?q?=E5=AE=9D!?=\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\n..=E9=80=9A=E5=\r\n=AE=9D\r\n.\r\n";

fn codes(answer: &str) -> Vec<&str> {
    answer.lines().filter(|line| line.get(3..4) == Some(" ")).filter_map(|line| line.get(..3)).collect()
}

#[tokio::test]
async fn a_message_is_taken_and_read() {
    let mail = MailConfig { unknown: vec!["b@example.com".to_owned()], ..MailConfig::default() };
    let sandbox = sandbox(mail).await;
    let answer = typed(&sandbox, &format!("{LOGIN}{ENVELOPE}{MESSAGE}QUIT\r\n")).await;
    assert_eq!(codes(&answer), ["220", "250", "235", "250", "250", "550", "354", "250", "221"], "{answer}");
    let messages = sandbox.mail_messages();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((message.header("subject").as_deref(), message.text().as_str()), (Some("通宝!"), ".通宝\n"));
    assert_eq!(
        (message.from.as_str(), message.to.as_slice()),
        ("tongbao@example.com", &["a@example.com".to_owned()][..])
    );
    assert!(!message.secure && message.user.is_some());
}

#[tokio::test]
async fn order_logins_and_line_ends_are_checked() {
    let sandbox = sandbox(MailConfig::default()).await;
    for (lines, expected) in [
        ("MAIL FROM:<a@b.cn>\r\n".to_owned(), "503"),
        ("EHLO me\r\nMAIL FROM:<a@b.cn>\r\n".to_owned(), "530"),
        ("EHLO me\r\nAUTH PLAIN AGEAYg==\r\n".to_owned(), "535"),
        ("EHLO me\r\nAUTH CRAM-MD5\r\n".to_owned(), "504"),
        ("EHLO me\r\nSTARTTLS\r\n".to_owned(), "502"),
        (format!("{LOGIN}MAIL FROM:<other@example.com>\r\n"), "553"),
        (format!("{LOGIN}MAIL FROM:<a@b.cn> BODY=8BITMIME\r\n"), "501"),
        (format!("{LOGIN}DATA\r\n"), "503"),
        (format!("{LOGIN}{ENVELOPE}Subject: x\r\n\r\nx\r\n.\r\n"), "550"),
        (format!("{LOGIN}{ENVELOPE}{}", MESSAGE.replace("=E9", "\n=E9")), "554"),
        (format!("{LOGIN}{ENVELOPE}{}", MESSAGE.replace("=E9", "通")), "554"),
        (format!("{LOGIN}{ENVELOPE}{}", MESSAGE.replace("..", &"x".repeat(1_000))), "554"),
        ("EHLO me\n".to_owned(), "500"),
        (format!("EHLO {}\r\n", "x".repeat(600)), "500"),
    ] {
        let answer = typed(&sandbox, &lines).await;
        assert_eq!(codes(&answer).last(), Some(&expected), "{lines}: {answer}");
    }
    assert_eq!(sandbox.mail_messages(), []);
}

#[tokio::test]
async fn faults_strike_before_the_commit_and_after_it() {
    let body = || "421 4.3.2 going down".to_owned();
    for (fault, kept, last) in [
        (Fault::LostBeforeCommit, 0, "354 go ahead"),
        (Fault::LostAnswerAfterCommit, 1, "354 go ahead"),
        (Fault::ResetMidBody, 1, "250 2.0."),
        (Fault::TruncatedJson, 1, "250-2.0.0 queued"),
        (Fault::Throttled { retry_after: None }, 0, "450 4.7.1 too many messages, slow down"),
        (Fault::Http { status: 502, retry_after: None, after_commit: true }, 1, "<html></html>"),
        (
            Fault::Answer { status: 200, content_type: String::new(), body: body(), after_commit: false },
            0,
            "421 4.3.2 going down",
        ),
    ] {
        let sandbox = sandbox(MailConfig::default()).await;
        sandbox.fault(Rule::new(fault.clone()).on(System::Mail, "content"));
        let answer = typed(&sandbox, &format!("{LOGIN}{ENVELOPE}{MESSAGE}")).await;
        assert_eq!(answer.lines().last(), Some(last), "{fault:?}: {answer}");
        assert_eq!(sandbox.mail_messages().len(), kept, "{fault:?}");
    }
}
