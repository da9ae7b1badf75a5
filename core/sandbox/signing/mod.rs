//! E-signature platforms: e签宝 (`esign`) and 法大大 FASC (`fadada`). What a signing flow goes through is the same on both;
//! how it is asked about, signed and called back is each platform's own.
//!
//! Callbacks are sent by whoever tests: [`EsignSender`] and [`FadadaSender`] sign and send what
//! [`Sandbox::esign_news`](crate::Sandbox::esign_news) and its like put together, or anything else, true or not.

pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod esign;
mod esign_push;
pub(crate) mod fadada;
mod fadada_push;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::{esign_push::EsignSender, fadada_push::FadadaSender};

/// Where a flow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowState {
    /// Waiting for signers, or for being finished.
    Signing,
    /// Finished.
    Signed,
    /// A signer refused.
    Rejected,
    /// Taken back by its initiator.
    Revoked,
    /// Its time ran out.
    Expired,
    /// Undone after it was finished.
    Annulled,
}

/// What happens to a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowChange {
    /// The next signer signs.
    Sign,
    /// Its initiator finishes it after everybody signed.
    Finish,
    /// The next signer refuses.
    Reject,
    /// Its initiator takes it back.
    Revoke,
    /// Its time runs out.
    Expire,
    /// It is undone by agreement.
    Annul,
}

/// A flow to be put in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowSpec {
    /// The platform's id.
    pub id: String,
    /// The initiator's own number, if it gave one.
    #[serde(default)]
    pub number: Option<String>,
    /// Title.
    #[serde(default)]
    pub title: String,
    /// Signers.
    #[serde(default = "one")]
    pub signers: u32,
    /// Whether it is finished by itself once everybody signed.
    #[serde(default = "yes")]
    pub auto_finish: bool,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

impl FlowSpec {
    /// A flow of one signer for a contract, which finishes by itself.
    #[must_use]
    pub fn of(id: &str, number: &str) -> Self {
        let title = format!("销售合同 {number}");
        Self { id: id.to_owned(), number: Some(number.to_owned()), title, signers: 1, auto_finish: true }
    }
}

/// A flow as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowView {
    /// What it was put in place with.
    #[serde(flatten)]
    pub spec: FlowSpec,
    /// Where it stands.
    pub state: FlowState,
    /// How many have signed.
    pub signed: u32,
    /// Begun at, Unix milliseconds.
    pub begun_ms: i64,
    /// Last change, Unix milliseconds.
    pub changed_ms: i64,
}

impl FlowView {
    pub(crate) fn new(spec: FlowSpec, now_ms: i64) -> Self {
        Self { spec, state: FlowState::Signing, signed: 0, begun_ms: now_ms, changed_ms: now_ms }
    }

    /// A flow that was signed long ago.
    pub(crate) fn finished(spec: FlowSpec, now_ms: i64) -> Self {
        let signed = spec.signers;
        Self { state: FlowState::Signed, signed, ..Self::new(spec, now_ms) }
    }

    fn change(&mut self, change: FlowChange, now_ms: i64) -> Result<(), String> {
        let all = self.signed >= self.spec.signers;
        let next = match (self.state, change) {
            (FlowState::Signing, FlowChange::Sign) if !all => {
                self.signed += 1;
                let last = self.signed >= self.spec.signers;
                if last && self.spec.auto_finish { FlowState::Signed } else { FlowState::Signing }
            }
            (FlowState::Signing, FlowChange::Finish) if all => FlowState::Signed,
            (FlowState::Signing, FlowChange::Reject) if !all => FlowState::Rejected,
            (FlowState::Signing, FlowChange::Revoke) => FlowState::Revoked,
            (FlowState::Signing, FlowChange::Expire) => FlowState::Expired,
            (FlowState::Signed, FlowChange::Annul) => FlowState::Annulled,
            (state, change) => return Err(format!("{} is {state:?}: it cannot {change:?}", self.spec.id)),
        };
        self.state = next;
        self.changed_ms = now_ms;
        Ok(())
    }
}

/// The flows of a platform, by id.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    pub all: BTreeMap<String, FlowView>,
}

impl Flows {
    /// Puts a flow in place.
    pub fn begin(&mut self, spec: FlowSpec, now_ms: i64) -> Result<(), String> {
        if self.all.contains_key(&spec.id) {
            return Err(format!("there is a flow {}", spec.id));
        }
        self.all.insert(spec.id.clone(), FlowView::new(spec, now_ms));
        Ok(())
    }

    /// Changes a flow.
    pub fn change(&mut self, id: &str, change: FlowChange, now_ms: i64) -> Result<(), String> {
        self.all.get_mut(id).ok_or_else(|| format!("there is no flow {id}"))?.change(change, now_ms)
    }

    /// The flow of an id. With `create`, one that nobody began is there and signed.
    pub fn find(&mut self, id: &str, create: bool, now_ms: i64) -> Option<&FlowView> {
        if create && !self.all.contains_key(id) {
            let view = FlowView::finished(FlowSpec::of(id, id), now_ms);
            self.all.insert(id.to_owned(), view);
        }
        self.all.get(id)
    }
}
