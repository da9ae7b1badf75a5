//! Builds connections, calls them, receives what is pushed.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use rust_decimal::Decimal;
use secrecy::SecretString;
use serde_json::Value;
use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};
use tongbao_connect::settings::Secrets;
use tongbao_connect::target::Expected;
use tongbao_connect::{
    Built, Client, Context, Decoded, EgressRules, Failure, Inbound, Lookup, Masters, Outcome, Receipt,
    Remote, Settings, Source, Target, Task,
};
use tongbao_model::diagnostic::Findings;
use tongbao_model::{Class, Code, Fault, Text, yaml};
use tongbao_sandbox::{Sandbox, SandboxConfig};

/// Everything that may appear in no fault, no `Debug` text and no kept answer. `{ env: NAME }` in settings resolves to
/// the secret of that name.
const SECRETS: &[(&str, &str)] = &[
    ("PASSWORD", "sandbox-password"),
    ("WRONG_PASSWORD", "no-such-password"),
    ("APP_SECRET", "0123456789abcdef0123456789abcdef"),
    ("WRONG_SECRET", "ffffffffffffffffffffffffffffffff"),
    ("NUONUO_SECRET", "A1B2C3D4E5F60718"),
    ("CALLBACK_TOKEN", "cb-6f1d0a"),
    ("CRM_TOKEN", "crm-sandbox-token"),
    ("CRM_SECRET", "crm-push-secret"),
    ("JDY_KEY", "jdy-sandbox-key"),
    ("JDY_SECRET", "jdy-secret"),
    ("ESIGN_SECRET", "esign-sandbox-secret"),
    ("FADADA_SECRET", "fadada-sandbox-secret"),
    ("WECOM_KEY", "wecom-sandbox-key"),
    ("DINGTALK_TOKEN", "dingtalk-sandbox-token"),
    ("DINGTALK_SECRET", "SECdingtalk-sandbox"),
    ("MAIL_PASSWORD", "mail-sandbox-password"),
];

/// The secret of a name.
pub fn secret(name: &str) -> &'static str {
    SECRETS.iter().find(|(known, _)| *known == name).unwrap().1
}

struct Env;

impl Secrets for Env {
    fn env(&self, name: &str) -> Result<SecretString, Text> {
        Ok(SecretString::from(secret(name)))
    }

    fn file(&self, path: &str) -> Result<SecretString, Text> {
        Err(Text::new(path, path))
    }
}

/// A connection with a clock of its own: the machine's, moved by the test.
pub struct Connection {
    built: Built,
    offset_ms: Arc<AtomicI64>,
}

/// The process's TLS provider.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn wall_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// The findings of settings that must be wrong.
pub fn wrong(connector: &str, settings: &str) -> Vec<String> {
    match build(connector, settings, EgressRules::default()) {
        Ok(_) => panic!("these settings are taken:\n{settings}"),
        Err(codes) => codes,
    }
}

fn build(connector: &str, settings: &str, rules: EgressRules) -> Result<Connection, Vec<String>> {
    install();
    let mut findings = Findings::new("test.yaml");
    let node = yaml::parse(settings, &mut findings).unwrap();
    let offset_ms = Arc::new(AtomicI64::new(0));
    let offset = Arc::clone(&offset_ms);
    let context = Context {
        connection: "test".into(),
        http: Client::new(),
        clock: Arc::new(move || wall_ms() + offset.load(Ordering::SeqCst)),
        random: Arc::new(|| fastrand::u64(..)),
    };
    let settings = Settings { node: &node, secrets: &Env };
    let connector = tongbao_connectors::find(connector).unwrap();
    let built = connector.connect(&settings, rules, context, &mut findings);
    match built {
        Some(built) if !findings.has_errors() => Ok(Connection { built, offset_ms }),
        _ => Err(findings.into_sorted().iter().map(|found| found.code.to_owned()).collect()),
    }
}

/// A connection of settings that must be right.
pub fn connect(connector: &str, settings: &str) -> Connection {
    connect_by(connector, settings, EgressRules::default())
}

/// The same with rules about where it may lead and whom it trusts.
pub fn connect_by(connector: &str, settings: &str, rules: EgressRules) -> Connection {
    build(connector, settings, rules).unwrap_or_else(|codes| panic!("{codes:?}\n{settings}"))
}

impl Connection {
    fn target(&self) -> &Arc<dyn Target> {
        self.built.target.as_ref().unwrap()
    }

    pub fn source(&self) -> Arc<dyn Source> {
        Arc::clone(self.built.source.as_ref().unwrap())
    }

    pub fn masters(&self) -> Arc<dyn Masters> {
        Arc::clone(self.built.masters.as_ref().unwrap())
    }

    /// Whether what may be lost is sent again.
    pub fn repeats(&self) -> bool {
        self.target().repeats()
    }

    /// Whether it can write.
    pub fn writes(&self) -> bool {
        self.built.target.is_some()
    }

    /// Moves its clock.
    pub fn advance(&self, by: Duration) {
        self.offset_ms.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub async fn apply(&self, task: &Task) -> Outcome {
        searched(self.target().apply(task).await)
    }

    pub async fn lookup(&self, task: &Task) -> Lookup {
        searched(self.target().lookup(task).await)
    }

    pub async fn probe(&self) -> Result<String, Failure> {
        searched(self.target().probe().await)
    }

    /// As the engine does after an outcome that is not certain: asks, and goes on from what it learns.
    pub async fn ask_then_apply(&self, task: &Task) -> Outcome {
        let reached = match self.lookup(task).await {
            Lookup::Found(receipt) => return Outcome::AlreadyThere(receipt),
            Lookup::Partial(remote) => Some(remote),
            Lookup::Absent => None,
            Lookup::Foreign(failure) | Lookup::CannotTell(failure) | Lookup::NobodyToAsk(failure) => {
                return Outcome::Failed(failure);
            }
            Lookup::Pending(remote) => panic!("{remote:?}"),
        };
        self.apply(&Task { reached, ..task.clone() }).await
    }
}

/// Fails when a secret shows.
pub fn searched<T: Debug>(value: T) -> T {
    let text = format!("{value:?}");
    for (name, secret) in SECRETS {
        assert!(!text.contains(secret), "{name} shows in {text}");
    }
    value
}

/// A task of a fixed origin.
pub fn task(kind: &str, key: &str, document: Value, total: &str) -> Task {
    Task {
        kind: kind.into(),
        key: key.into(),
        origin: format!("crm/contract/{key}"),
        document: document.into(),
        reached: None,
        expected: Expected { total_tax_included: total.parse().ok() },
        files: Vec::new(),
    }
}

/// Changes what a task's document holds.
pub fn change(task: &mut Task, change: impl FnOnce(&mut Value)) {
    let mut document = task.document.value();
    change(&mut document);
    task.document = document.into();
}

pub fn reached(task: &Task, remote: &Remote) -> Task {
    Task { reached: Some(remote.clone()), ..task.clone() }
}

pub fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

pub fn done(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::Done(receipt) => receipt,
        other => panic!("not done: {other:?}"),
    }
}

pub fn already(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::AlreadyThere(receipt) => receipt,
        other => panic!("not there before: {other:?}"),
    }
}

pub fn failed(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("not failed: {other:?}"),
    }
}

pub fn found(lookup: Lookup) -> Receipt {
    match lookup {
        Lookup::Found(receipt) => receipt,
        other => panic!("not found: {other:?}"),
    }
}

pub fn partial(lookup: Lookup) -> Remote {
    match lookup {
        Lookup::Partial(remote) => remote,
        other => panic!("not partial: {other:?}"),
    }
}

pub fn pending(lookup: Lookup) -> Remote {
    match lookup {
        Lookup::Pending(remote) => remote,
        other => panic!("not pending: {other:?}"),
    }
}

pub fn foreign(lookup: Lookup) -> Failure {
    match lookup {
        Lookup::Foreign(failure) => failure,
        other => panic!("not foreign: {other:?}"),
    }
}

pub fn cannot_tell(lookup: Lookup) -> Failure {
    match lookup {
        Lookup::CannotTell(failure) => failure,
        other => panic!("it can tell: {other:?}"),
    }
}

pub fn nobody_to_ask(lookup: Lookup) -> Failure {
    match lookup {
        Lookup::NobodyToAsk(failure) => failure,
        other => panic!("somebody could be asked: {other:?}"),
    }
}

/// Class and code of a failure.
pub fn said(failure: &Failure) -> (Class, Code) {
    (failure.class, failure.fault.code)
}

pub async fn sandbox() -> Sandbox {
    sandbox_with(|_| ()).await
}

pub async fn sandbox_with(change: impl FnOnce(&mut SandboxConfig)) -> Sandbox {
    let mut config = SandboxConfig::default();
    change(&mut config);
    Sandbox::start(config).await.unwrap()
}

/// Calls of an operation so far, such as `kingdee Save`.
pub fn calls(sandbox: &Sandbox, name: &str) -> u64 {
    sandbox.calls().get(name).copied().unwrap_or(0)
}

/// Waits for a condition, at most ten seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a receiver took in, oldest first.
pub type Taken = Arc<Mutex<Vec<Result<Decoded, Fault>>>>;

/// A listener that verifies and decodes with a connection's source, as the service does; its address.
pub async fn receive(source: Arc<dyn Source>) -> (String, Taken) {
    let taken = Taken::default();
    let app = axum::Router::new().fallback(take).with_state((source, Arc::clone(&taken)));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, taken)
}

async fn take(
    State((source, taken)): State<(Arc<dyn Source>, Taken)>,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> (StatusCode, String) {
    let request = Inbound {
        path: uri.path().to_owned(),
        query: form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect(),
        headers: headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect(),
        body: body.to_vec(),
    };
    let result = searched(source.verify(&request, wall_ms()).and_then(|()| source.decode(&request)));
    let answer = match &result {
        Ok(decoded) => (StatusCode::OK, decoded.reply.clone().unwrap_or_default().to_string()),
        Err(fault) if fault.code == Code::BodyInvalid => {
            (StatusCode::UNPROCESSABLE_ENTITY, fault.to_string())
        }
        Err(fault) => (StatusCode::UNAUTHORIZED, fault.to_string()),
    };
    taken.lock().unwrap().push(result);
    answer
}
