//! What behaviours work with: fresh stand-ins, connections to them, calls that are searched for secrets.

use super::port::{StandIn, StandIns, Trouble};
use super::profile::{Profile, Writes};
use crate::settings::{SecretString, Secrets};
use crate::{
    Built, Connector, Context, EgressRules, Failure, Lookup, Outcome, Receipt, Settings, Source, Target, Task,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tongbao_model::diagnostic::Findings;
use tongbao_model::{Class, Json, Text, yaml};
use tracing::instrument::WithSubscriber as _;

/// Time of one call in the connections of most behaviours. Generous: nothing is measured by it.
const PATIENT_MS: u64 = 60_000;

/// Rounds in which an outcome that is not certain must have settled.
const ROUNDS: u32 = 12;

/// Connections made so far by this process.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Trouble that stayed away.
pub const NOT_MET: &str = "no request met it, so nothing was shown";

/// A verdict: passed, with a note perhaps; or why not.
pub type Check = Result<Option<String>, String>;

/// One connector under test.
pub struct Bench<'a> {
    /// The connector.
    pub connector: &'a Connector,
    /// What its author says of it.
    pub profile: &'a Profile,
    stand_ins: &'a dyn StandIns,
    heard: Arc<Heard>,
    keys: AtomicU64,
}

/// Searches what connectors say.
pub struct Heard {
    secrets: &'static [(&'static str, &'static str)],
    leaks: Mutex<Vec<String>>,
    texts: AtomicU64,
    /// How often each key was applied.
    applied: Mutex<BTreeMap<String, usize>>,
}

impl Heard {
    /// Looks at what came of `what`.
    pub fn look(&self, what: &str, value: &dyn Debug) {
        self.search(what, &format!("{value:?}"));
    }

    /// Looks at a text.
    pub fn search(&self, what: &str, text: &str) {
        self.texts.fetch_add(1, Ordering::Relaxed);
        for (name, secret) in self.secrets {
            if text.contains(secret) {
                let mut leaks = self.leaks.lock().unwrap_or_else(PoisonError::into_inner);
                leaks.push(format!("{what} shows the secret {name}"));
            }
        }
    }

    /// Counts a call of `apply`.
    fn apply(&self, key: &str) {
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        *applied.entry(key.to_owned()).or_default() += 1;
    }

    /// How often a key was applied so far.
    pub fn applied(&self, key: &str) -> usize {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied().unwrap_or(0)
    }

    /// What showed a secret.
    pub fn leaks(&self) -> Vec<String> {
        self.leaks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Texts looked at.
    pub fn texts(&self) -> u64 {
        self.texts.load(Ordering::Relaxed)
    }
}

/// Secrets of a profile, some of them replaced.
struct Given {
    usual: &'static [(&'static str, &'static str)],
    instead: &'static [(&'static str, &'static str)],
}

impl Secrets for Given {
    fn env(&self, name: &str) -> Result<SecretString, Text> {
        let found = self.instead.iter().chain(self.usual).find(|(known, _)| *known == name);
        found.map(|(_, value)| SecretString::from((*value).to_owned())).ok_or_else(|| {
            Text::new(format!("kit 中没有密钥 {name}"), format!("the profile has no secret `{name}`"))
        })
    }

    fn file(&self, path: &str) -> Result<SecretString, Text> {
        self.env(path)
    }
}

/// How a connection differs from the profile's usual one.
#[derive(Default, Clone, Copy)]
pub struct Variant {
    /// Other settings.
    pub settings: Option<&'static str>,
    /// Other secrets.
    pub secrets: &'static [(&'static str, &'static str)],
    /// Time of one call, in milliseconds.
    pub timeout_ms: Option<u64>,
}

impl<'a> Bench<'a> {
    /// Of a connector, its profile and where stand-ins come from.
    pub fn new(connector: &'a Connector, profile: &'a Profile, stand_ins: &'a dyn StandIns) -> Self {
        let heard = Heard {
            secrets: profile.secrets,
            leaks: Mutex::default(),
            texts: AtomicU64::default(),
            applied: Mutex::default(),
        };
        Bench { connector, profile, stand_ins, heard: Arc::new(heard), keys: AtomicU64::default() }
    }

    /// What was heard so far.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// A fresh stand-in and a connection to it.
    pub async fn stage(&self) -> Result<Stage, String> {
        self.stage_with(Variant::default()).await
    }

    /// A fresh stand-in and a connection of its own kind to it.
    pub async fn stage_with(&self, variant: Variant) -> Result<Stage, String> {
        let stand_in = self.stand_ins.start(self.profile.system).await?;
        let connection = self.connect(&stand_in.url(), variant)?;
        let repeats = self.profile.writes.get().is_some_and(|writes| writes.repeats.is_some());
        Ok(Stage { stand_in, connection, repeats })
    }

    /// A connection to an address.
    pub fn connect(&self, url: &str, variant: Variant) -> Result<Connection, String> {
        let timeout_ms = variant.timeout_ms.unwrap_or(PATIENT_MS).to_string();
        let text = variant.settings.unwrap_or(self.profile.settings);
        let (_, authority) = url.split_once("://").unwrap_or(("", url));
        let address = authority.split('/').next().unwrap_or_default();
        let text = text.replace("{url}", url).replace("{address}", address);
        let text = text.replace("{timeout_ms}", &timeout_ms);
        let mut findings = Findings::new("kit");
        let node = yaml::parse(&text, &mut findings);
        let secrets = Given { usual: self.profile.secrets, instead: variant.secrets };
        let (offset, begun) = (Arc::new(AtomicI64::new(0)), tokio::time::Instant::now());
        let (moved, now_ms) = (Arc::clone(&offset), self.stand_ins.now_ms());
        let clock = move || {
            let passed = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
            now_ms.saturating_add(passed).saturating_add(moved.load(Ordering::SeqCst))
        };
        // Connections made within milliseconds of each other must not draw the same nonces.
        let nth = scatter(CONNECTIONS.fetch_add(1, Ordering::Relaxed));
        let drawn = AtomicU64::new(nth.wrapping_add(u64::try_from(now_ms).unwrap_or_default()));
        let context = Context {
            connection: "kit".into(),
            http: crate::Client::new(),
            clock: Arc::new(clock),
            random: Arc::new(move || scatter(drawn.fetch_add(1, Ordering::Relaxed))),
        };
        let built = node.and_then(|node| {
            let settings = Settings { node: &node, secrets: &secrets };
            self.connector.connect(&settings, EgressRules::default(), context, &mut findings)
        });
        let wrong = findings.has_errors();
        let found: Vec<String> = findings.into_sorted().iter().map(ToString::to_string).collect();
        match built {
            Some(built) if !wrong => Ok(Connection { built, offset, heard: Arc::clone(&self.heard) }),
            _ => Err(format!("the profile's settings are refused: {}", found.join("; "))),
        }
    }

    /// The source of a connection that calls nobody.
    pub fn source(&self) -> Result<Arc<dyn Source>, String> {
        let connection = self.connect("http://127.0.0.1:9", Variant::default())?;
        connection
            .built
            .source
            .ok_or_else(|| "the profile has pushes, and the connection is no source".into())
    }

    /// The part about documents that go out.
    pub fn writes(&self) -> Result<&Writes, String> {
        self.profile.writes.get().ok_or_else(|| "the profile has no `writes`".into())
    }

    /// A task of a key that was not used before.
    pub fn task(&self) -> Result<Task, String> {
        let writes = self.writes()?;
        let key = format!("KIT-{}", self.keys.fetch_add(1, Ordering::Relaxed).saturating_add(1));
        let document = Json::read(writes.document.replace("{key}", &key).as_bytes())
            .map_err(|error| format!("the profile's document is no JSON: {error}"))?;
        Ok(Task {
            kind: writes.kind.to_owned(),
            origin: format!("kit/document/{key}"),
            key,
            document,
            reached: None,
            expected: crate::target::Expected { total_tax_included: self.total()? },
            files: Vec::new(),
        })
    }

    /// The sample document's total.
    pub fn total(&self) -> Result<Option<Decimal>, String> {
        let Some(text) = self.writes()?.total else { return Ok(None) };
        Decimal::from_str_exact(text).map(Some).map_err(|_| "the profile's total is no decimal".into())
    }
}

/// One step of SplitMix64: well spread, and the same in every run of the same beginning.
pub fn scatter(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A stand-in and a connection to it.
pub struct Stage {
    /// The stand-in.
    pub stand_in: Box<dyn StandIn>,
    /// The connection.
    pub connection: Connection,
    /// Whether a document may be there as often as it was sent.
    repeats: bool,
}

impl Stage {
    /// Calls under trouble with an operation. The trouble must be met: what was not met was not tested.
    pub async fn under<T, F: Future<Output = Result<T, String>>>(
        &self,
        operation: &str,
        trouble: Trouble,
        call: impl FnOnce() -> F,
    ) -> Result<T, String> {
        let name = trouble.name();
        let before = self.stand_in.met();
        self.stand_in
            .script(operation, u64::MAX, trouble)
            .map_err(|why| format!("{operation}: {name}: the stand-in cannot play it: {why}"))?;
        let result = call().await;
        let met = self.stand_in.met().saturating_sub(before);
        self.stand_in.clear();
        let result = result.map_err(|why| format!("{operation}: {name}: {why}"))?;
        if met == 0 {
            return Err(format!("{operation}: {name}: {NOT_MET}"));
        }
        Ok(result)
    }

    /// Drives a task as the engine does until it stands: after anything uncertain it asks first.
    pub async fn settle(&self, task: &Task) -> Result<Receipt, String> {
        let mut task = Task { reached: None, ..task.clone() };
        let mut last = String::new();
        for _ in 0..ROUNDS {
            // Where nobody can be asked, the engine sends again.
            let asked = if self.repeats { Lookup::Absent } else { self.connection.lookup(&task).await? };
            match asked {
                Lookup::Found(receipt) => return Ok(receipt),
                Lookup::Partial(remote) => task.reached = Some(remote),
                Lookup::Absent => task.reached = None,
                Lookup::Pending(remote) => {
                    task.reached = Some(remote);
                    self.connection.advance(Duration::from_secs(3));
                    continue;
                }
                Lookup::Foreign(failure) | Lookup::CannotTell(failure) | Lookup::NobodyToAsk(failure) => {
                    return Err(format!("the look-up ends in {}", said(&failure)));
                }
            }
            match self.connection.apply(&task).await? {
                Outcome::Done(receipt) | Outcome::AlreadyThere(receipt) => return Ok(receipt),
                Outcome::Failed(failure) => {
                    last = said(&failure);
                    if !matches!(failure.class, Class::Throttled(_) | Class::Unavailable | Class::Unknown) {
                        return Err(format!("sending again ends in {last}"));
                    }
                    task.reached = failure.reached.or(task.reached);
                }
            }
            self.connection.advance(Duration::from_secs(3));
        }
        Err(format!("it does not settle in {ROUNDS} rounds; the last outcome is {last}"))
    }

    /// Settles a task and looks whether it stands exactly once, complete and with its total.
    pub async fn stands(&self, task: &Task) -> Result<Receipt, String> {
        let receipt = self.settle(task).await?;
        self.once(task)?;
        let expected = task.expected.total_tax_included;
        if receipt.total_tax_included.is_some() && receipt.total_tax_included != expected {
            return Err(format!("the receipt says {:?}, sent was {expected:?}", receipt.total_tax_included));
        }
        Ok(receipt)
    }

    /// How often a document stands over there.
    pub fn times(&self, task: &Task) -> usize {
        self.stand_in.documents().iter().filter(|standing| standing.key == task.key).count()
    }

    /// Whether a document stands exactly once over there, complete and with its total; where it may be there twice, no more
    /// often than it was sent.
    pub fn once(&self, task: &Task) -> Result<(), String> {
        let all = self.stand_in.documents();
        let ours: Vec<_> = all.iter().filter(|standing| standing.key == task.key).collect();
        let expected = task.expected.total_tax_included;
        match ours.as_slice() {
            [one] if one.complete && (one.total.is_none() || one.total == expected) => Ok(()),
            [one] => Err(format!("it stands as {one:?}, expected is a complete one of {expected:?}")),
            [] => Err(format!("{} stands nowhere", task.key)),
            many if self.repeats && many.len() <= self.connection.heard.applied(&task.key) => Ok(()),
            many => Err(format!("{} stands {} times", task.key, many.len())),
        }
    }
}

/// A failure in few words.
pub fn said(failure: &Failure) -> String {
    format!("{} ({}: {})", failure.class.name(), failure.fault.code.as_str(), failure.fault.message.en)
}

/// An outcome in few words.
pub fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(_) => "done".into(),
        Outcome::AlreadyThere(_) => "already-there".into(),
        Outcome::Failed(failure) => said(failure),
    }
}

/// A connection whose clock the behaviour moves and whose every word is searched.
#[derive(Clone)]
pub struct Connection {
    /// What the connector made.
    pub built: Built,
    offset: Arc<AtomicI64>,
    heard: Arc<Heard>,
}

impl Connection {
    /// Moves its clock.
    pub fn advance(&self, by: Duration) {
        self.offset.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    fn target(&self) -> Result<Arc<dyn Target>, String> {
        self.built.target.clone().ok_or_else(|| "the connection is no target".into())
    }

    /// The source.
    pub fn source(&self) -> Result<Arc<dyn Source>, String> {
        self.built.source.clone().ok_or_else(|| "the connection is no source".into())
    }

    /// Applies. A panic is a failed check, not the end of the run.
    pub async fn apply(&self, task: &Task) -> Result<Outcome, String> {
        let (target, task) = (self.target()?, task.clone());
        self.heard.apply(&task.key);
        let outcome = guarded("apply", async move { target.apply(&task).await }).await?;
        self.heard.look("apply", &outcome);
        if let Outcome::Failed(Failure { class: Class::Done | Class::AlreadyThere, .. }) = outcome {
            return Err("apply fails with a class that means success".into());
        }
        Ok(outcome)
    }

    /// Looks up.
    pub async fn lookup(&self, task: &Task) -> Result<Lookup, String> {
        let (target, task) = (self.target()?, task.clone());
        let found = guarded("lookup", async move { target.lookup(&task).await }).await?;
        self.heard.look("lookup", &found);
        Ok(found)
    }

    /// Probes.
    pub async fn probe(&self) -> Result<Result<String, Failure>, String> {
        let target = self.target()?;
        let said = guarded("probe", async move { target.probe().await }).await?;
        self.heard.look("probe", &said);
        Ok(said)
    }

    /// Polls.
    pub async fn poll(
        &self,
        stream: &'static str,
        cursor: Option<String>,
    ) -> Result<Result<crate::Polled, Failure>, String> {
        let source = self.source()?;
        let polled = guarded("poll", async move { source.poll(stream, cursor.as_deref()).await }).await?;
        self.heard.look("poll", &polled);
        Ok(polled)
    }

    /// Any other call: a panic is a failed check, and what comes of it is searched.
    pub async fn watched<T: Debug + Send + 'static>(
        &self,
        what: &str,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        let told = guarded(what, call).await?;
        self.heard.look(what, &told);
        Ok(told)
    }
}

async fn guarded<T: Send + 'static>(
    what: &str,
    call: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    tokio::spawn(call.with_current_subscriber()).await.map_err(|_| format!("{what} panics"))
}
