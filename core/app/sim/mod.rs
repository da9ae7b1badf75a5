//! The product in a simulated world: shipped flows and mappings, the real pipeline, accounts and poller, over
//! [`tongbao_delivery::sim`].
//!
//! What is fed ([`script`]) and how the far sides answer ([`far`]) is drawn from the seed; what must be true at the
//! end is worked out from the script alone ([`judge`]).

mod far;
mod judge;
mod many;
mod script;

pub use many::{Tally, many};

use crate::config::{self, Config, Documents, Environment, INTAKE, InvoicingRules, LEDGER, Polls};
use crate::intake::Intaker;
use crate::mappings::Mappings;
use crate::pipeline::Pipeline;
use crate::poller::Poller;
use crate::routes::{Ids, Routes};
use crate::stage;
use crate::tables::TableCache;
use async_trait::async_trait;
use far::SimTarget;
use script::Contract;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_connect::{Decoded, Failure, Inbound, Incoming, Polled, Source, Target};
use tongbao_delivery::clock::Clock;
use tongbao_delivery::engine::Engine;
use tongbao_delivery::handler::Handler;
use tongbao_delivery::port::{Filter, ImportMode, State, Store, Stored, TableRow};
use tongbao_delivery::settings::TargetSettings;
use tongbao_delivery::sim::{Bug, Cast, Client, Dice, Nature, Parts, Plan, Sim, Verdict};
use tongbao_mapping::{Mapping, compile_with};
use tongbao_model::diagnostic::Findings;
use tongbao_model::{Code, Fault};

/// Events and receipts come within so long, in simulated milliseconds.
const STORY_MS: u64 = 900_000;

/// Pause between polls: each brings the last receipt again, and most of a run's time is simulated idleness.
const POLL_MS: u64 = 60_000;

/// What all runs share: the shipped configuration and mappings.
pub struct Shipped {
    config: Config,
    mappings: HashMap<String, Arc<Mapping>>,
}

impl Shipped {
    /// Reads and compiles them. An error is a mistake in this build.
    pub fn new() -> Result<Self, String> {
        let environment = Environment { pretend: true, ..Environment::default() };
        let mut findings = Findings::new("tongbao.yaml");
        let config = config::read(stage::EXAMPLE, Path::new("."), &environment, &mut findings)
            .ok_or("the example configuration cannot be read")?;
        let documents = Documents::all();
        let mut mappings = HashMap::new();
        for (name, text) in stage::MAPPINGS.iter().filter(|(name, _)| name.ends_with(".yaml")) {
            let (mapping, found) = compile_with(name, text, &documents, &stage::BesideShipped(name));
            let mapping = mapping.ok_or_else(|| found.iter().map(ToString::to_string).collect::<String>())?;
            mappings.insert(mapping.name.clone(), Arc::new(mapping));
        }
        Ok(Shipped { config, mappings })
    }

    fn targets(&self, natures: &BTreeMap<(String, String), Nature>) -> Vec<TargetSettings> {
        // A connection promises what all its kinds of documents keep.
        let refuses_twice = |name: &str| {
            natures.iter().filter(|((target, _), _)| target == name).all(|(_, nature)| nature.refuses_twice())
        };
        let connections = self
            .config
            .connections
            .iter()
            .map(|one| TargetSettings { refuses_twice: refuses_twice(&one.name), ..one.target.clone() });
        connections.chain([TargetSettings::named(LEDGER), TargetSettings::named(INTAKE)]).collect()
    }

    fn plan(&self, bug: Option<Bug>, trace: bool) -> Plan {
        let natures = [
            ("erp", "SAL_SaleOrder", Nature::Steps),
            ("tax", "invoice", Nature::Issued),
            ("crm", "order_back", Nature::Put),
            ("crm", "invoice_back", Nature::Put),
            ("crm", "stage_back", Nature::Put),
            ("crm", "commission", Nature::Put),
        ];
        let natures = natures.map(|(target, kind, nature)| ((target.to_owned(), kind.to_owned()), nature));
        let natures = BTreeMap::from(natures);
        Plan { targets: self.targets(&natures), natures, bug, trace }
    }
}

/// Runs one seed.
pub fn run(shipped: &Arc<Shipped>, seed: u64, bug: Option<Bug>, trace: bool) -> Result<Verdict, String> {
    let plan = shipped.plan(bug, trace);
    let shipped = shipped.clone();
    tongbao_delivery::sim::run(seed, plan, |dice| Company { story: Arc::new(Story::new(shipped, dice, bug)) })
        .map_err(|error| error.to_string())
}

/// The story of one run.
pub struct Story {
    shipped: Arc<Shipped>,
    contracts: Vec<Contract>,
    bug: Option<Bug>,
    /// For the mistake of fresh keys.
    fresh: AtomicU64,
    ids: Ids,
    /// Receipts that the ERP lists by now.
    receipts: Mutex<Vec<Value>>,
    /// People have mended what the far sides refused.
    is_mended: AtomicBool,
    /// Intake of the processes that run, by their names.
    intakers: Mutex<BTreeMap<String, Arc<Intaker>>>,
}

impl Story {
    fn new(shipped: Arc<Shipped>, dice: &Dice, bug: Option<Bug>) -> Self {
        Story {
            shipped,
            contracts: script::contracts(dice),
            bug,
            fresh: AtomicU64::new(0),
            ids: Ids::Counted(Arc::default()),
            receipts: Mutex::default(),
            is_mended: AtomicBool::new(false),
            intakers: Mutex::default(),
        }
    }

    /// Whether the far side refuses a document for its content.
    fn refuses(&self, target: &str, key: &str) -> bool {
        let is_refused = self.contracts.iter().any(|one| one.is_refused && one.number == key);
        target != "crm" && is_refused && !self.is_mended.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn intaker(&self, tables: Arc<TableCache>) -> Intaker {
        let receives = self.shipped.config.connections.iter().map(|connection| {
            let polled = connection.polls.iter().map(|polls| polls.receives.clone());
            (connection.name.clone(), connection.receives.iter().cloned().chain(polled).collect())
        });
        Intaker {
            receives: receives.collect(),
            mappings: Arc::new(Mappings::new(self.shipped.mappings.clone())),
            tables,
            routes: Routes::new(self.shipped.config.flows.clone(), self.ids.clone()),
        }
    }

    fn polls(&self) -> Option<(String, Polls)> {
        let mut connections = self.shipped.config.connections.iter();
        let (name, polls) =
            connections.find_map(|one| Some((one.name.clone(), one.polls.first()?.clone())))?;
        Some((name, Polls { every_ms: POLL_MS, ..polls }))
    }

    async fn know(store: &dyn Store, customers: impl Iterator<Item = String>) -> Stored<()> {
        let row = |table: &str, source: String| TableRow {
            table: table.to_owned(),
            target: format!("X{source}"),
            source,
            ..TableRow::default()
        };
        let customers = customers.map(|code| row("customers", code)).collect();
        store.import_table("customers", customers, ImportMode::Merge).await?;
        let materials = vec![row("materials", "P-100".to_owned())];
        store.import_table("materials", materials, ImportMode::Merge).await.map(|_| ())
    }
}

/// The application's part in a simulation.
struct Company {
    story: Arc<Story>,
}

#[async_trait]
impl Cast for Company {
    async fn handler(&self, parts: &Parts) -> Stored<Arc<dyn Handler>> {
        let tables = Arc::new(TableCache::load(parts.store.clone()).await?);
        let intaker = Arc::new(self.story.intaker(tables));
        let mut intakers = self.story.intakers.lock().unwrap_or_else(PoisonError::into_inner);
        intakers.insert(parts.fate.name.clone(), intaker.clone());
        let targets = self.story.shipped.config.connections.iter().map(|connection| {
            let target: Arc<dyn Target> = Arc::new(SimTarget {
                target: connection.name.clone(),
                far: parts.far.clone(),
                story: self.story.clone(),
            });
            (connection.name.clone(), target)
        });
        Ok(Arc::new(Pipeline {
            store: parts.store.clone(),
            intaker,
            targets: targets.collect(),
            invoicing: InvoicingRules::default(),
            statements: None,
        }))
    }

    async fn beside(&self, parts: Parts, engine: Arc<Engine>) {
        let intaker =
            self.story.intakers.lock().unwrap_or_else(PoisonError::into_inner).remove(&parts.fate.name);
        let (Some(intaker), Some((connection, polls))) = (intaker, self.story.polls()) else { return };
        let clock = parts.fate.clone();
        let poller = Poller {
            connection,
            polls,
            source: Arc::new(Receipts { story: self.story.clone(), parts: parts.fate.clone() }),
            intaker,
            store: parts.store,
            engine,
            clock: Arc::new(move || clock.now_ms()),
        };
        poller.run(CancellationToken::new()).await;
    }

    async fn play(&self, client: Client) {
        let known = self.story.contracts.iter().filter(|one| one.is_known).map(Contract::customer);
        if let Err(error) = Story::know(&client.sim.store, known).await {
            client.sim.violate(format!("no code tables: {error}"));
        }
        let mut senders = tokio::task::JoinSet::new();
        for (index, contract) in self.story.contracts.iter().enumerate() {
            for revision in 1..=contract.revisions.len() {
                let document = contract.document(revision);
                senders.spawn(tell(self.story.clone(), client.clone(), "contract", document));
            }
            if let Some(document) = contract.credit_document() {
                senders.spawn(tell(self.story.clone(), client.clone(), "credit_note", document));
            }
            for receipt in 0..contract.receipts.len() {
                senders.spawn(pay(self.story.clone(), client.sim.clone(), index, receipt));
            }
        }
        while senders.join_next().await.is_some() {}
    }

    async fn mend(&self, sim: &Sim, round: u32) -> bool {
        self.story.is_mended.store(true, std::sync::atomic::Ordering::Relaxed);
        let all = self.story.contracts.iter().map(Contract::customer);
        let parked = Filter { states: vec![State::Parked], limit: 10_000, ..Filter::default() };
        let replayed = match Story::know(&sim.store, all).await {
            Ok(()) => sim.store.replay(parked, sim.now_ms()).await.unwrap_or_default().ids,
            Err(_) => Vec::new(),
        };
        sim.check_step();
        sim.note(&format!("mended and replayed: {}", replayed.join(" ")));
        !replayed.is_empty() && round < 2
    }

    async fn judge(&self, sim: &Sim) -> Result<(), String> {
        judge::judge(&self.story, sim).await
    }
}

/// The CRM posts a document some time, until it is answered, and perhaps once more later.
async fn tell(story: Arc<Story>, client: Client, kind: &'static str, document: Value) {
    let dice = &client.sim.dice;
    tokio::time::sleep(dice.millis(0, STORY_MS)).await;
    let tables = match TableCache::load(Arc::new(tongbao_delivery::sim::MemoryStore::new())).await {
        Ok(tables) => Arc::new(tables),
        Err(error) => return client.sim.violate(error.to_string()),
    };
    let intaker = story.intaker(tables);
    for again in 0..2 {
        let incoming = Incoming { kind: kind.to_owned(), document: document.clone().into() };
        match intaker.translate("crm", &incoming, client.sim.now_ms()) {
            Ok(intake) => drop(client.send(vec![intake]).await),
            Err(fault) => return client.sim.violate(format!("the script is wrong: {fault}")),
        }
        if again > 0 || !dice.per_mille(300) {
            return;
        }
        tokio::time::sleep(dice.millis(0, STORY_MS)).await;
    }
}

/// A receipt appears in the ERP some time, and perhaps is voided later.
async fn pay(story: Arc<Story>, sim: Arc<Sim>, contract: usize, receipt: usize) {
    tokio::time::sleep(sim.dice.millis(0, STORY_MS)).await;
    let Some(contract) = story.contracts.get(contract) else { return };
    let voided = contract.receipts.get(receipt).is_some_and(|(_, taken_back)| *taken_back);
    for state in [false, true].into_iter().take(1 + usize::from(voided)) {
        if let Some(document) = contract.receipt_document(receipt, state) {
            story.receipts.lock().unwrap_or_else(PoisonError::into_inner).push(document);
        }
        if voided && !state {
            tokio::time::sleep(sim.dice.millis(0, STORY_MS)).await;
        }
    }
}

/// The ERP's list of receipts, as a connector polls it: a page at a time, the last one again.
struct Receipts {
    story: Arc<Story>,
    parts: Arc<tongbao_delivery::sim::Fate>,
}

const PAGE: usize = 3;

#[async_trait]
impl Source for Receipts {
    fn verify(&self, _request: &Inbound, _now_ms: i64) -> Result<(), Fault> {
        Ok(())
    }

    fn decode(&self, _request: &Inbound) -> Result<Decoded, Fault> {
        Ok(Decoded { documents: Vec::new(), hints: Vec::new(), reply: None })
    }

    async fn poll(&self, stream: &str, cursor: Option<&str>) -> Result<Polled, Failure> {
        self.parts.point("poll").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let receipts = self.story.receipts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let at: usize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let documents: Vec<Incoming> = receipts
            .iter()
            .skip(at.saturating_sub(1))
            .take(PAGE)
            .map(|document| Incoming { kind: stream.to_owned(), document: document.clone().into() })
            .collect();
        if at > receipts.len() {
            let fault = Fault::new(Code::Defect, "游标越界", "the cursor is beyond the end");
            return Err(Failure::new(fault));
        }
        let end = (at.saturating_sub(1) + documents.len()).max(at);
        Ok(Polled { documents, cursor: end.to_string(), more: end < receipts.len() })
    }
}

#[cfg(test)]
mod orders;
#[cfg(test)]
mod tests;
