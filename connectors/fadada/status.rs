//! Asking where a task stands.

use super::FadadaSettings;
use super::client::FadadaClient;
use super::detail;
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use tongbao_connect::signing::{Flow, Platform, Status, Words};
use tongbao_connect::{Context, Failure};
use tongbao_model::{Fault, SignatureState};

/// How it is called.
pub const WORDS: Words = Words { connector: "fadada", platform: "法大大", flow: ("任务", "task") };

pub struct Fadada {
    client: FadadaClient,
    states: BTreeMap<String, SignatureState>,
}

/// The connection's target.
pub fn target(
    settings: FadadaSettings,
    states: BTreeMap<String, SignatureState>,
    context: Context,
) -> Status<Fadada> {
    let again_s = settings.again_s;
    Status::new(Fadada { client: FadadaClient::new(settings, context), states }, again_s)
}

#[async_trait]
impl Platform for Fadada {
    const WORDS: Words = WORDS;
    const OPERATION: &'static str = "get-detail";
    const NOBODYS: &'static str = "0";

    async fn detail(&self, flow_id: &str) -> Result<Option<Value>, Failure> {
        match self.client.detail(flow_id).await {
            Ok(detail) => Ok(Some(detail)),
            Err(refusal) if refusal.absent => Ok(None),
            Err(refusal) => Err(refusal.failure),
        }
    }

    fn read(&self, detail: &Value, claimed: Option<SignatureState>) -> Result<Option<Flow>, Fault> {
        detail::read(detail, &self.states, claimed)
    }
}
