//! Connections against far sides that mean harm, each a real listener on loopback.

use super::*;
use crate::http::tests::{Names, install, rules};
use crate::{Client, HostPort};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A far side that says `first` to whoever comes, then does what it is told with the stream.
async fn speaker(first: Vec<u8>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let speaking = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let first = first.clone();
            tokio::spawn(async move {
                let _ = stream.write_all(&first).await;
                // Stays, and says nothing more.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    (port, speaking)
}

fn named(host: &str, port: u16) -> HostPort {
    HostPort { host: host.to_owned(), port: Some(port) }
}

fn client(to: &HostPort, text: &str, pem: &str) -> Client {
    Client::to(Egress::new(&[], rules(text, pem)).and([to.clone()]))
}

async fn dialled(port: u16) -> Wire {
    let to = named("127.0.0.1", port);
    client(&to, "{}", "").dial(&to, 1).await.unwrap_or_else(|error| panic!("{error:?}"))
}

fn error<T>(result: Result<T, TransportError>) -> TransportError {
    match result {
        Err(error) => error,
        Ok(_) => panic!("it came about"),
    }
}

#[tokio::test]
async fn only_the_host_and_port_that_are_named() {
    let (port, _far) = speaker(b"hello\r\n".to_vec()).await;
    let to = named("127.0.0.1", port);
    for other in [named("127.0.0.1", 1), named("127.0.0.2", port), named("localhost", port)] {
        let result = client(&other, "{}", "").dial(&to, 1).await;
        assert!(matches!(error(result), TransportError::Blocked(why) if why.en.contains("egress.hosts")));
    }
    assert!(matches!(error(Client::new().dial(&to, 1).await), TransportError::Blocked(_)));
    let mut wire = client(&to, "{}", "").dial(&to, 1).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(wire.line().await.unwrap(), b"hello");
    assert!(wire.is_inside() && !wire.is_secure());
    // A setting without a port goes to the one that the protocol has.
    let bare = HostPort { host: "127.0.0.1".into(), port: None };
    assert!(client(&bare, "{}", "").dial(&bare, port).await.is_ok());
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_and_cannot_change_its_mind() {
    let (port, _far) = speaker(b"hello\r\n".to_vec()).await;
    let to = named("mail.test", port);
    let with = |text: &str, names: Arc<Names>| {
        Client::with(Egress::new(&[], rules(text, "")).and([to.clone()]), names)
    };
    for text in ["{}", "allow_private: [10.0.0.0/8]"] {
        let result = with(text, Names::of("mail.test", &[&["127.0.0.1"]])).dial(&to, 1).await;
        assert!(matches!(error(result), TransportError::Blocked(why) if why.en.contains("allow_private")));
    }
    // What is dialled is what was checked: nothing is asked in between.
    let names = Names::of("mail.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let client = with("allow_private: [127.0.0.0/8]", names.clone());
    assert!(client.dial(&to, 1).await.is_ok());
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    assert!(matches!(error(client.dial(&to, 1).await), TransportError::Blocked(_)));
    // Of a mixed answer only the open part is dialled.
    let names = Names::of("mail.test", &[&["169.254.169.254", "127.0.0.1"]]);
    assert!(with("allow_private: [127.0.0.0/8]", names).dial(&to, 1).await.is_ok());
}

#[test]
fn what_is_inside() {
    for (address, inside) in [
        ("127.0.0.1", true),
        ("10.1.2.3", true),
        ("::1", true),
        ("8.8.8.8", false),
        ("2001:db8::1", false),
        ("169.254.169.254", false),
    ] {
        assert_eq!(is_inside(address.parse().unwrap()), inside, "{address}");
    }
}

#[tokio::test]
async fn lines_end_and_are_bounded_each_and_altogether() {
    let (port, _far) = speaker(b"a\r\nb\n\r\n".to_vec()).await;
    let mut wire = dialled(port).await;
    for line in [&b"a"[..], b"b", b""] {
        assert_eq!(wire.line().await.unwrap(), line);
    }
    let mut longest = vec![b'x'; LINE_BYTES_MAX - 2];
    longest.extend_from_slice(b"\r\n");
    let (port, _far) = speaker(longest.clone()).await;
    assert_eq!(dialled(port).await.line().await.unwrap().len(), LINE_BYTES_MAX - 2);
    let endless = vec![b'x'; 1 << 20];
    let many: Vec<u8> = longest.repeat(READ_BYTES_MAX / LINE_BYTES_MAX + 1);
    for hostile in [endless, many] {
        let (port, _far) = speaker(hostile).await;
        let mut wire = dialled(port).await;
        let mut lines = 0;
        let ended = loop {
            match wire.line().await {
                Ok(_) => lines += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(&ended, TransportError::Ambiguous(why) if why.contains("too long")), "{ended:?}");
        assert!(lines <= READ_BYTES_MAX / LINE_BYTES_MAX, "{lines}");
    }
}

#[tokio::test]
async fn a_line_that_is_cut_off_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"250 2.0").await.unwrap();
    });
    let cut = error(dialled(port).await.line().await);
    assert!(matches!(&cut, TransportError::Ambiguous(why) if why.contains("mid-answer")), "{cut:?}");
}

fn acceptor(host: &str) -> (TlsAcceptor, String) {
    install();
    let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

/// A far side that says hello under TLS.
async fn sealed(acceptor: TlsAcceptor) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.write_all(b"hello\r\n").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    port
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_the_hosts_own() {
    let (ours, pem) = acceptor("127.0.0.1");
    let (another_host, another_pem) = acceptor("mail.test");
    let (_, unrelated) = acceptor("127.0.0.1");
    let (right, wrong_host) = (sealed(ours).await, sealed(another_host).await);
    for (port, text, pem) in [
        (right, "{}", ""),
        (right, "ca: { file: x }", unrelated.as_str()),
        (wrong_host, "ca: { file: x }", &another_pem),
    ] {
        let to = named("127.0.0.1", port);
        let client = client(&to, text, pem);
        let wire = client.dial(&to, 1).await.unwrap_or_else(|error| panic!("{error:?}"));
        let refused = error(client.secure(wire).await);
        assert!(matches!(&refused, TransportError::NotSent(_)), "{refused:?}");
    }
    let to = named("127.0.0.1", right);
    let client = client(&to, "ca: { file: x }", &pem);
    let wire = client.dial(&to, 1).await.unwrap_or_else(|error| panic!("{error:?}"));
    let mut wire = client.secure(wire).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert!(wire.is_secure());
    assert_eq!(wire.line().await.unwrap(), b"hello");
}

/// TLS that trusts some certificate: these tests do not get as far as to look at one.
fn config() -> Arc<ClientConfig> {
    install();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    tls(&[made.cert.der().clone()]).unwrap()
}

/// What is said in the clear right behind the last line before TLS is not taken for something said under TLS.
#[tokio::test]
async fn nothing_is_smuggled_in_before_tls() {
    let (port, _far) = speaker(b"220 go ahead\r\n250 smuggled\r\n".to_vec()).await;
    let mut wire = dialled(port).await;
    assert_eq!(wire.line().await.unwrap(), b"220 go ahead");
    let refused = error(wire.secure(config(), CONNECT).await);
    assert!(matches!(&refused, TransportError::NotSent(why) if why.contains("in the clear")), "{refused:?}");
}

#[tokio::test]
async fn waiting_for_tls_is_bounded() {
    let (port, _far) = speaker(Vec::new()).await;
    let left = error(dialled(port).await.secure(config(), Duration::from_millis(200)).await);
    assert!(matches!(&left, TransportError::NotSent(why) if why.contains("in time")), "{left:?}");
}
