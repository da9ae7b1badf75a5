//! What goes to the platform: blue invoices and red ones.

use super::client::NuonuoClient;
use super::invoices::{Invoices, QUERY};
use super::reds::Reds;
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;
use tongbao_connect::{Failure, Lookup, Outcome, Target, Task};

/// Document kind of red invoices.
pub const RED_INVOICE: &str = "red_invoice";

/// The platform as a target.
pub struct Platform {
    client: Arc<NuonuoClient>,
    invoices: Invoices,
}

impl Platform {
    pub fn new(client: NuonuoClient) -> Self {
        let client = Arc::new(client);
        Platform { invoices: Invoices::new(client.clone()), client }
    }

    fn reds(&self) -> Reds<'_> {
        Reds::new(&self.client, &self.invoices)
    }
}

#[async_trait]
impl Target for Platform {
    /// orderNo is unique within the account, and so is the confirmation form's billId.
    fn refuses_twice(&self) -> bool {
        true
    }

    async fn apply(&self, task: &Task) -> Outcome {
        if task.kind == RED_INVOICE { self.reds().apply(task).await } else { self.invoices.apply(task).await }
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        if task.kind == RED_INVOICE { self.reds().lookup(task).await } else { self.invoices.ask(task).await }
    }

    async fn probe(&self) -> Result<String, Failure> {
        let body = json!({"serialNos": [], "orderNos": ["TONGBAO-PROBE"], "isOfferInvoiceDetail": "0"});
        match self.client.call(QUERY, &body, false).await? {
            Ok(_) => Ok("ok".into()),
            Err(refusal) if refusal.code == "E9500" => Ok("ok".into()),
            Err(refusal) => Err(refusal.failure.of_question()),
        }
    }
}
