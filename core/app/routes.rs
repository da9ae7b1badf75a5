//! Which flows want an event.

use crate::config::{Flow, INVOICING, LEDGER};
use crate::ledger;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tongbao_delivery::port::{Intake, NewDelivery};
use tongbao_model::Event;
use uuid::Uuid;

/// The configured flows, and the ids of what they make.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    flows: Vec<Flow>,
    ids: Ids,
}

/// Where ids come from.
#[derive(Debug, Clone, Default)]
pub enum Ids {
    /// UUID version 7: unique everywhere, ordered by time.
    #[default]
    Uuid,
    /// A count, for runs that must be the same each time.
    Counted(Arc<AtomicU64>),
}

impl Ids {
    /// A fresh one.
    pub fn fresh(&self) -> String {
        match self {
            Ids::Uuid => Uuid::now_v7().to_string(),
            Ids::Counted(last) => format!("{:06}", last.fetch_add(1, Ordering::Relaxed) + 1),
        }
    }
}

impl Routes {
    /// Routes over flows, in the order of the file.
    pub fn new(flows: Vec<Flow>, ids: Ids) -> Self {
        Routes { flows, ids }
    }

    /// A fresh id.
    pub fn fresh_id(&self) -> String {
        self.ids.fresh()
    }

    /// The flow of a name.
    pub fn flow(&self, name: &str) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.name == name)
    }

    /// Whether some flow's success is an event of a kind.
    pub fn emits(&self, kind: &str) -> bool {
        self.flows.iter().any(|flow| flow.emits.as_deref() == Some(kind))
    }

    /// Whether some flow brings events of a kind to a target.
    pub fn brings(&self, kind: &str, target: &str) -> bool {
        self.flows.iter().any(|flow| flow.on == kind && flow.to == target)
    }

    /// An event with one delivery for each flow that wants it. An event that has no id yet gets one.
    pub fn intake(&self, mut event: Event) -> Intake {
        if event.id.is_empty() {
            event.id = self.fresh_id();
        }
        let deliveries = self
            .flows
            .iter()
            .filter(|flow| flow.on == event.kind)
            .filter(|flow| flow.from.as_ref().is_none_or(|from| *from == event.source))
            .map(|flow| NewDelivery {
                id: self.fresh_id(),
                flow: flow.name.clone(),
                target: flow.to.clone(),
                order_key: if [LEDGER, INVOICING].contains(&flow.to.as_str()) {
                    // An account is never changed twice at once, nor are two requests judged over the same rest, whatever
                    // their events are ordered by otherwise.
                    ledger::contract(&event).unwrap_or_else(|| event.order_key.clone())
                } else {
                    event.order_key.clone()
                },
            })
            .collect();
        Intake { event, deliveries }
    }
}
