//! Asking where a flow stands.

use super::EsignSettings;
use super::client::{EsignClient, NO_FLOW};
use super::detail;
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use tongbao_connect::signing::{Flow, Platform, Status, Words};
use tongbao_connect::{Context, Failure};
use tongbao_model::{Fault, SignatureState};

/// How it is called.
pub const WORDS: Words = Words { connector: "esign", platform: "e签宝", flow: ("流程", "flow") };

pub struct Esign {
    client: EsignClient,
    states: BTreeMap<String, SignatureState>,
}

/// The connection's target.
pub fn target(
    settings: EsignSettings,
    states: BTreeMap<String, SignatureState>,
    context: Context,
) -> Status<Esign> {
    let again_s = settings.again_s;
    Status::new(Esign { client: EsignClient { settings, context }, states }, again_s)
}

#[async_trait]
impl Platform for Esign {
    const WORDS: Words = WORDS;
    const OPERATION: &'static str = "detail";
    const NOBODYS: &'static str = "00000000000000000000000000000000";

    async fn detail(&self, flow_id: &str) -> Result<Option<Value>, Failure> {
        match self.client.detail(flow_id).await {
            Ok(detail) => Ok(Some(detail)),
            Err(refusal) if refusal.code == NO_FLOW => Ok(None),
            Err(refusal) => Err(refusal.failure),
        }
    }

    fn read(&self, detail: &Value, _: Option<SignatureState>) -> Result<Option<Flow>, Fault> {
        detail::read(detail, &self.states)
    }
}
