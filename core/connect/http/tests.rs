//! The client against servers that mean harm. Each is a real listener on loopback.

use super::egress::Lookup;
use super::*;
use std::collections::HashMap;
use std::future::Future;
use std::io::Write as _;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tongbao_model::diagnostic::Findings;
use tongbao_model::yaml;
use url::Url;

/// A listener that answers every request with the same bytes and keeps what it was sent.
struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn on(address: &str, answer: Vec<u8>) -> Server {
        install();
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_one(stream, answer.clone(), Arc::clone(&kept)));
            }
        });
        Server { port, heard }
    }

    async fn new(answer: impl Into<Vec<u8>>) -> Server {
        Server::on("127.0.0.1:0", answer.into()).await
    }

    fn url(&self) -> Url {
        format!("http://127.0.0.1:{}/start", self.port).parse().unwrap()
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn answer_one(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Vec<u8>,
    kept: Arc<Mutex<Vec<String>>>,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    kept.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

pub(crate) fn install() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn to(place: &str, status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

struct Files(String);

impl crate::settings::Secrets for Files {
    fn env(&self, name: &str) -> Result<secrecy::SecretString, Text> {
        Err(Text::new(name, name))
    }

    fn file(&self, _: &str) -> Result<secrecy::SecretString, Text> {
        Ok(self.0.clone().into())
    }
}

pub(crate) fn rules(text: &str, file: &str) -> EgressRules {
    let mut findings = Findings::new("x");
    let node = yaml::parse(text, &mut findings).unwrap();
    let rules = EgressRules::read(&node, &Files(file.to_owned()), &mut findings);
    assert!(!findings.has_errors());
    rules
}

fn client(named: &[&Url]) -> Client {
    let named: Vec<Url> = named.iter().map(|url| (*url).clone()).collect();
    Client::to(Egress::new(&named, EgressRules::default()))
}

fn get(url: &Url) -> Sent {
    Sent {
        method: reqwest::Method::GET,
        url: url.clone(),
        headers: [("authorization", "Bearer s3cret"), ("x-vendor-token", "s3cret"), ("accept", "a/b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        body: Bytes::new(),
        timeout: Duration::from_secs(20),
    }
}

fn blocked<T: std::fmt::Debug>(result: Result<T, TransportError>) -> Text {
    match result {
        Err(TransportError::Blocked(why)) => why,
        other => panic!("not blocked: {other:?}"),
    }
}

/// Names that answer what the test says, one look-up after the other; the last answer stays.
#[derive(Default)]
pub(crate) struct Names {
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    pub(crate) asked: AtomicUsize,
}

impl Names {
    pub(crate) fn of(name: &str, answers: &[&[&str]]) -> Arc<Names> {
        let answers =
            answers.iter().map(|all| all.iter().map(|one| one.parse().unwrap()).collect()).collect();
        Arc::new(Names { answers: HashMap::from([(name.to_owned(), answers)]), asked: AtomicUsize::new(0) })
    }
}

impl Lookup for Names {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        let at = self.asked.fetch_add(1, Ordering::SeqCst);
        let all = self.answers.get(&name).cloned().unwrap_or_default();
        let found = all.get(at.min(all.len().saturating_sub(1))).cloned().unwrap_or_default();
        Box::pin(async move { Ok(found) })
    }
}

#[tokio::test]
async fn a_host_that_is_not_named_is_not_called() {
    let (named, other) = (Server::new(ok("a")).await, Server::new(ok("b")).await);
    let client = client(&[&named.url()]);
    assert_eq!(client.send(get(&named.url())).await.unwrap().body, "a");
    let error = client.send(get(&other.url())).await.unwrap_err();
    let fault = error.fault();
    assert_eq!((fault.code, fault.field.as_deref()), (Code::TargetMisconfigured, Some("egress")));
    assert!(blocked(Err::<(), _>(error)).en.contains("egress.hosts"));
    blocked(Client::new().send(get(&named.url())).await);
    assert_eq!((named.heard().len(), other.heard().len()), (1, 0));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_unless_that_is_allowed() {
    let server = Server::new(ok("inside")).await;
    let url: Url = format!("http://erp.test:{}/", server.port).parse().unwrap();
    for (text, open) in [
        ("{}", false),
        ("allow_private: [10.0.0.0/8]", false),
        ("allow_private: [127.0.0.0/8]", true),
        ("allow_private: true", true),
    ] {
        for answer in ["127.0.0.1", "::ffff:127.0.0.1"] {
            let egress = Egress::new(std::slice::from_ref(&url), rules(text, ""));
            let client = Client::with(egress, Names::of("erp.test", &[&[answer]]));
            match client.send(get(&url)).await {
                Ok(reply) => assert!(open && reply.body == "inside", "{text} {answer}"),
                // A mapped address may not be dialled by every system; refused by us it is only where it must be.
                Err(TransportError::NotSent(_)) if open && answer.starts_with("::") => {}
                other => assert!(!open && blocked(other).en.contains("allow_private"), "{text} {answer}"),
            }
        }
    }
    assert!(server.heard().len() >= 2);
}

/// The name first leads where it may and then where it may not: what is dialled is what was checked.
#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let open = Server::new(ok("open")).await;
    let inner = Server::on(&format!("127.0.0.2:{}", open.port), ok("inner").into_bytes()).await;
    let url: Url = format!("http://erp.test:{}/", open.port).parse().unwrap();
    let names = Names::of("erp.test", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let egress = Egress::new(std::slice::from_ref(&url), rules("allow_private: [127.0.0.1/32]", ""));
    let client = Client::with(egress, names.clone());
    assert_eq!(client.send(get(&url)).await.unwrap().body, "open");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1, "nothing is asked between check and connect");
    blocked(client.send(get(&url)).await);
    // Of a mixed answer only the open part is dialled.
    let names = Names::of("erp.test", &[&["127.0.0.2", "127.0.0.1"]]);
    let egress = Egress::new(std::slice::from_ref(&url), rules("allow_private: [127.0.0.1/32]", ""));
    assert_eq!(Client::with(egress, names).send(get(&url)).await.unwrap().body, "open");
    assert_eq!((open.heard().len(), inner.heard().len()), (2, 0));
}

#[tokio::test]
async fn redirects_are_answers_unless_asked_for() {
    let last = Server::new(ok("there")).await;
    let first = Server::new(to(last.url().as_str(), 302)).await;
    let client = client(&[&first.url(), &last.url()]);
    assert_eq!(client.send(get(&first.url())).await.unwrap().status, 302);
    assert!(last.heard().is_empty());
    assert_eq!(client.send_following(get(&first.url()), 1).await.unwrap().body, "there");
    // Another port is another server: what names us stays behind.
    let heard = last.heard().remove(0);
    assert!(heard.contains("a/b") && !heard.contains("s3cret"), "{heard}");
    assert!(first.heard().iter().all(|heard| heard.contains("s3cret")));
}

#[tokio::test]
async fn a_redirect_gets_nowhere_the_connection_may_not_go() {
    let inner = Server::new(ok("inner")).await;
    for place in
        [inner.url().as_str(), "http://169.254.169.254/latest/", "file:///etc/passwd", "http://[::1]/"]
    {
        let first = Server::new(to(place, 302)).await;
        blocked(client(&[&first.url()]).send_following(get(&first.url()), 5).await);
    }
    assert!(inner.heard().is_empty());
    // After a write nobody knows what the redirecting side has done.
    let first = Server::new(to(inner.url().as_str(), 303)).await;
    let write = Sent { method: reqwest::Method::POST, body: "x".into(), ..get(&first.url()) };
    let result = client(&[&first.url()]).send_following(write.clone(), 1).await;
    assert!(matches!(result, Err(TransportError::Ambiguous(_))), "{result:?}");
    // Nor does a body go to another host.
    let first = Server::new(to(inner.url().as_str(), 307)).await;
    let write = Sent { url: first.url(), ..write };
    let result = client(&[&first.url(), &inner.url()]).send_following(write, 1).await;
    assert!(matches!(result, Err(TransportError::Ambiguous(_))), "{result:?}");
    assert!(inner.heard().is_empty());
}

#[tokio::test]
async fn redirects_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let round = Server::on(&format!("127.0.0.1:{port}"), to("/start", 302).into_bytes()).await;
    let reply = client(&[&round.url()]).send_following(get(&round.url()), u8::MAX).await.unwrap();
    assert_eq!((reply.status, round.heard().len()), (302, usize::from(follow::HOPS_MAX) + 1));
}

fn too_large(result: Result<Reply, TransportError>) {
    match result {
        Err(TransportError::Ambiguous(why)) => assert!(why.contains("exceeds"), "{why}"),
        Err(other) => panic!("{other:?}"),
        Ok(reply) => panic!("{} bytes were read", reply.body.len()),
    }
}

#[tokio::test]
async fn an_answer_is_bounded_inflated_or_not() {
    let zeros = vec![0; REPLY_BYTES_MAX + 1];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&zeros).unwrap();
    let packed = encoder.finish().unwrap();
    assert!(packed.len() < REPLY_BYTES_MAX / 50);
    for (head, body) in [("content-encoding: gzip\r\n", packed), ("", zeros)] {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(&body);
        let server = Server::new(answer).await;
        too_large(client(&[&server.url()]).send(get(&server.url())).await);
    }
}

/// A head without an end and a body without one: both are left at the bound.
#[tokio::test]
async fn waiting_is_bounded() {
    for answer in ["HTTP/1.1 200 OK\r\nx-", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        install();
        let held = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        });
        let sent = Sent { timeout: Duration::from_millis(300), ..get(&url) };
        let result = client(&[&url]).send(sent).await;
        assert!(matches!(result, Err(TransportError::Ambiguous(_))), "{result:?}");
        held.abort();
    }
}

#[tokio::test]
async fn a_certificate_is_verified_and_an_own_authority_can_be_named() {
    install();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer_one(stream, ok("sealed").into_bytes(), Arc::default()).await;
            }
        }
    });
    let with = |text: &str, pem: &str| Client::to(Egress::new(std::slice::from_ref(&url), rules(text, pem)));
    for client in [with("{}", ""), with("ca: { file: x }", &other.cert.pem())] {
        let result = client.send(get(&url)).await;
        assert!(matches!(result, Err(TransportError::NotSent(_))), "{result:?}");
    }
    assert_eq!(with("ca: { file: x }", &made.cert.pem()).send(get(&url)).await.unwrap().body, "sealed");
}
