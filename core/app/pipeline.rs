//! One delivery from start to end: map, ask or apply, compare, and say what is to be stored.
//!
//! The engine has stored the intent before it calls [`Pipeline::handle`], and stores the report after it.

use crate::config::{INTAKE, INVOICING, InvoicingRules, LEDGER, PAYMENTS, SIGNATURE, StatementRules};
use crate::emit;
use crate::intake::{Intaker, unknown_mapping};
use crate::invoicing;
use crate::ledger;
use crate::payments;
use crate::related;
use crate::signature;
use crate::statements::letter::{self, Ready};
use crate::telemetry;
use async_trait::async_trait;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tongbao_connect::{Expected, Failure, Lookup, Outcome, Receipt, Remote, Target, Task};
use tongbao_delivery::handler::{Handler, Report};
use tongbao_delivery::policy::{FirstMove, first_move};
use tongbao_delivery::port::{Binding, RemoteRef, Store, Work};
use tongbao_mapping::{MappedJson, Mapping, Stop};
use tongbao_model::{Class, Code, Fault, decimal, mask};

/// Everything a delivery needs.
pub struct Pipeline {
    /// Store, for the built-in targets.
    pub store: Arc<dyn Store>,
    /// Intake: mappings, code tables, flows.
    pub intaker: Arc<Intaker>,
    /// Targets by connection name.
    pub targets: HashMap<String, Arc<dyn Target>>,
    /// What the control of invoices goes by.
    pub invoicing: InvoicingRules,
    /// How statements reach customers.
    pub statements: Option<Arc<StatementRules>>,
}

#[async_trait]
impl Handler for Pipeline {
    async fn handle(&self, work: &Work, now_ms: i64) -> Report {
        match work.delivery.target.as_str() {
            LEDGER => ledger::handle(&self.store, &self.intaker.routes, work, now_ms).await,
            PAYMENTS => payments::handle(work),
            INVOICING => {
                let routes = &self.intaker.routes;
                invoicing::handle(self.store.as_ref(), routes, &self.invoicing, work, now_ms).await
            }
            SIGNATURE => signature::handle(&self.store, &self.intaker.routes, work, now_ms).await,
            INTAKE => self.intaker.retry(&work.event, now_ms),
            _ => self.deliver(work, now_ms).await,
        }
    }
}

impl Pipeline {
    async fn deliver(&self, work: &Work, now_ms: i64) -> Report {
        let flow = self.intaker.routes.flow(&work.delivery.flow);
        let target = self.targets.get(&work.delivery.target);
        let (Some(flow), Some(target)) = (flow, target) else {
            return Report::fault(Fault::new(
                Code::TargetMisconfigured,
                format!("配置中已没有流程 {} 或连接 {}", work.delivery.flow, work.delivery.target),
                format!(
                    "the flow `{}` or the connection `{}` is no longer configured",
                    work.delivery.flow, work.delivery.target
                ),
            ));
        };
        if let Some(fault) = invoicing::withdrawn(self.store.as_ref(), &work.event).await {
            let is_final = fault.code.class() == Class::Rejected;
            return Report { final_rejection: is_final, ..Report::fault(fault) };
        }
        if flow.mapping.is_none()
            && let Some(rules) = &self.statements
        {
            return self.post(rules, target.as_ref(), work, now_ms).await;
        }
        let name = flow.mapping.as_deref().unwrap_or_default();
        let Some(mapping) = self.intaker.mappings.get(name) else {
            return Report::fault(unknown_mapping(name));
        };
        let version = mapping.id();
        let begun = Instant::now();
        let (mapped, revision) = self.map(&mapping, work).await;
        telemetry::stage("map", begun.elapsed());
        let mapped = match mapped {
            Ok(mapped) => mapped,
            Err(stop) => {
                let report = Report::fault(stop.fault);
                return Report {
                    final_rejection: stop.is_final,
                    mapping: Some(version),
                    tables_revision: Some(revision),
                    ..report
                };
            }
        };
        let mut task = task(&mapping, mapped, work);
        let outcome = send(target.as_ref(), &mut task, work).await;
        let report = match outcome {
            Ok((class, receipt)) => {
                self.succeeded(class, receipt, &task, flow.emits.as_deref(), work, now_ms)
            }
            Err(undone) => failed(undone),
        };
        Report {
            request: task.document.tree().ok().map(|tree| mask::text(&tree)),
            mapping: Some(version),
            tables_revision: Some(revision),
            ..report
        }
    }

    /// A statement's letter: made by the service itself, and kept with the attempt without what is in it.
    async fn post(&self, rules: &StatementRules, target: &dyn Target, work: &Work, now_ms: i64) -> Report {
        let Ready { mut task, told } = match letter::ready(rules, self.store.as_ref(), work).await {
            Ok(ready) => ready,
            Err(stopped) => {
                let report = Report::fault(stopped.fault);
                return Report { final_rejection: stopped.is_final, ..report };
            }
        };
        let report = match send(target, &mut task, work).await {
            Ok((class, receipt)) => self.succeeded(class, receipt, &task, None, work, now_ms),
            Err(undone) => failed(undone),
        };
        Report { request: Some(told.to_string()), ..report }
    }

    /// Maps with the current tables, and with related records as they stood when the attempt began. A missing row may just have been imported: the tables are looked at once more
    /// before a document is parked for it.
    async fn map(&self, mapping: &Mapping, work: &Work) -> (Result<MappedJson, Stop>, i64) {
        let (record, store) = (&work.event.record, self.store.as_ref());
        let tables = self.intaker.tables.current();
        let related = match related::for_attempt(store, mapping, record, work.delivery.changed_at_ms).await {
            Ok(related) => related,
            Err(stop) => return (Err(stop), tables.revision),
        };
        let mapped = match mapping.run_with(record.as_bytes(), &related, &tables) {
            Err(stop) => Err(related::told_of_archive(store, mapping, record, stop).await),
            mapped => mapped,
        };
        let missed = matches!(&mapped, Err(stop) if stop.fault.code == Code::CodeTableMiss);
        if missed && self.intaker.tables.refresh().await.unwrap_or(false) {
            let tables = self.intaker.tables.current();
            return (mapping.run_with(record.as_bytes(), &related, &tables), tables.revision);
        }
        (mapped, tables.revision)
    }

    /// A document stands: compares its amounts, binds it and derives what follows.
    fn succeeded(
        &self,
        class: Class,
        receipt: Receipt,
        task: &Task,
        emits: Option<&str>,
        work: &Work,
        now_ms: i64,
    ) -> Report {
        let remote = reference(&receipt.remote);
        let compared = compare(task.expected.total_tax_included, receipt.total_tax_included);
        let response = json!({
            "remote": {"id": remote.id, "number": remote.number, "step": remote.step},
            "total_tax_included": receipt.total_tax_included.map(|total| total.to_string()),
            "amounts": compared.name(),
            "facts": mask::document(&receipt.facts),
        });
        let binding = Binding {
            target: work.delivery.target.clone(),
            kind: task.kind.clone(),
            key: task.key.clone(),
            remote: remote.clone(),
            delivery: work.delivery.id.clone(),
        };
        let report = Report {
            remote: Some(remote),
            binding: Some(binding),
            response: Some(response.to_string()),
            ..Report::new(class)
        };
        if let Compared::Different(sent, found) = compared {
            let fault = Fault::new(
                Code::AmountMismatch,
                format!("发送 {sent}，目标系统为 {found}"),
                format!("sent {sent}, the far system has {found}"),
            )
            .at("total_tax_included")
            .value(found.to_string());
            return Report { class: Class::Conflict, fault: Some(fault), ..report };
        }
        let follow_on = emits
            .map(|kind| emit::follow_on(kind, &work.event, &work.delivery.id, task, &receipt, now_ms))
            .unwrap_or_default();
        let follow_on = follow_on.into_iter().map(|event| self.intaker.routes.intake(event));
        Report { follow_on: follow_on.collect(), ..report }
    }
}

/// What a record says its amount is; the rest of it is passed over.
#[derive(Deserialize)]
struct Total {
    total_tax_included: Value,
}

fn task(mapping: &Mapping, mapped: MappedJson, work: &Work) -> Task {
    let total = serde_json::from_str::<Total>(&work.event.record).ok().and_then(|record| {
        let total = record.total_tax_included;
        decimal::parse(total.as_str().map_or_else(|| total.to_string(), str::to_owned).as_str()).ok()
    });
    let kind = mapping.to.split_once('/').map_or(mapping.to.as_str(), |(_, kind)| kind).to_owned();
    let previous = work.previous.as_ref().and_then(|previous| previous.remote.as_ref());
    Task {
        kind,
        key: mapped.key,
        origin: format!("{}/{}/{}", work.event.source, work.event.kind, work.event.key),
        document: mapped.document,
        reached: previous.map(|remote| Remote {
            id: remote.id.clone(),
            number: remote.number.clone(),
            step: remote.step.clone(),
        }),
        expected: Expected { total_tax_included: total },
        files: Vec::new(),
    }
}

/// Asks first where an earlier attempt may have acted, and sends only when the answer makes it safe.
async fn send(target: &dyn Target, task: &mut Task, work: &Work) -> Result<(Class, Receipt), Undone> {
    match first_move(work.previous.as_ref()) {
        FirstMove::Apply => {}
        FirstMove::LookupFirst if target.repeats() => {}
        FirstMove::LookupFirst => match target.lookup(task).await {
            Lookup::Found(receipt) => return Ok((Class::AlreadyThere, receipt)),
            Lookup::Partial(remote) => task.reached = Some(remote),
            Lookup::Absent => task.reached = None,
            Lookup::Foreign(failure) => return Err(failure.into()),
            Lookup::Pending(remote) => return Err(pending(remote).into()),
            Lookup::CannotTell(failure) => return Err(undecided(failure).into()),
            // Whoever replays it has looked and says that it is not there.
            Lookup::NobodyToAsk(_) if work.sent_again_by_a_person() => {}
            Lookup::NobodyToAsk(failure) => return Err(Undone { failure, for_person: true }),
        },
    }
    match target.apply(task).await {
        Outcome::Done(receipt) => Ok((Class::Done, receipt)),
        Outcome::AlreadyThere(receipt) => Ok((Class::AlreadyThere, receipt)),
        Outcome::Failed(failure) => Err(failure.into()),
    }
}

/// An attempt that did not bring the document over.
struct Undone {
    failure: Failure,
    /// Neither time nor questions help.
    for_person: bool,
}

impl From<Failure> for Undone {
    fn from(failure: Failure) -> Undone {
        Undone { failure, for_person: false }
    }
}

/// Still under way at the far side: asked again soon.
fn pending(remote: Remote) -> Failure {
    let fault = Fault::new(Code::TargetThrottled, "目标系统仍在处理", "the far system is still at it");
    Failure::new(fault).class(Class::Throttled(Some(std::time::Duration::from_secs(3)))).reached(remote)
}

/// A question that found no answer leaves the doubt it was to settle: whatever kept it from being answered, the
/// class is `Unknown`, unless waiting cannot help.
fn undecided(failure: Failure) -> Failure {
    let class = match failure.class {
        Class::Misconfigured | Class::Defect | Class::Conflict | Class::Unauthorized => failure.class,
        Class::Throttled(after) => Class::Throttled(after),
        Class::Done | Class::AlreadyThere | Class::Rejected | Class::Unavailable | Class::Unknown => {
            Class::Unknown
        }
    };
    failure.class(class)
}

fn failed(Undone { failure, for_person }: Undone) -> Report {
    Report {
        for_person,
        remote: failure.reached.as_ref().map(reference),
        response: failure.response.as_ref().map(Value::to_string),
        fault: Some(failure.fault),
        ..Report::new(failure.class)
    }
}

fn reference(remote: &Remote) -> RemoteRef {
    RemoteRef { id: remote.id.clone(), number: remote.number.clone(), step: remote.step.clone() }
}

/// How the amount read back compares with the one sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    Equal,
    Different(Decimal, Decimal),
    NotReported,
}

impl Compared {
    fn name(self) -> &'static str {
        match self {
            Compared::Equal => "equal",
            Compared::Different(_, _) => "different",
            Compared::NotReported => "not-reported",
        }
    }
}

fn compare(sent: Option<Decimal>, found: Option<Decimal>) -> Compared {
    match (sent, found) {
        (Some(sent), Some(found)) if sent == found => Compared::Equal,
        (Some(sent), Some(found)) => Compared::Different(sent, found),
        (_, _) => Compared::NotReported,
    }
}
