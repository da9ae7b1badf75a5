//! Which flows want an event.

use crate::config::Flow;
use tongbao_delivery::port::{Intake, NewDelivery};
use tongbao_model::Event;
use uuid::Uuid;

/// The configured flows.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    flows: Vec<Flow>,
}

/// A fresh time-ordered id.
pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}

impl Routes {
    /// Routes over flows, in the order of the file.
    pub fn new(flows: Vec<Flow>) -> Self {
        Routes { flows }
    }

    /// The flow of a name.
    pub fn flow(&self, name: &str) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.name == name)
    }

    /// An event with one delivery for each flow that wants it.
    pub fn intake(&self, event: Event) -> Intake {
        let deliveries = self
            .flows
            .iter()
            .filter(|flow| flow.on == event.kind)
            .filter(|flow| flow.from.as_ref().is_none_or(|from| *from == event.source))
            .map(|flow| NewDelivery {
                id: new_id(),
                flow: flow.name.clone(),
                target: flow.to.clone(),
                order_key: event.order_key.clone(),
            })
            .collect();
        Intake { event, deliveries }
    }
}
