//! `esign`: e签宝 v3, where contracts are signed.
//!
//! In: callbacks, signed, each of which is a claim. Out: nothing is written; a document of kind `signature-status` asks where
//! a flow stands, and what the platform answers is what counts. The protocol's facts and their sources are in `README.md`.

mod callback;
mod client;
mod detail;
pub mod kit;
mod sign;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use tongbao_connect::settings::SecretString;
use tongbao_connect::{Built, Connector, Context, DocumentKind, Settings, Source, Target, settings, signing};
use tongbao_model::diagnostic::Findings;
use tongbao_model::shape::{Field, Kind, Shape, TimeForm};

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "esign",
    summary: (
        "e签宝 v3：签署回调读入，签署流程状态查询",
        "e签宝 (eSign) v3: callbacks of signing flows in, their status asked for",
    ),
    spec: EsignSettings::spec,
    documents: || vec![callback_kind(), status_kind()],
    build,
};

settings! {
    /// Settings of an `esign` connection.
    EsignSettings {
        /// Address of the API: `https://openapi.esign.cn`, of its sandbox `https://smlopenapi.esign.cn`.
        base_url: url::Url => (required),
        /// Application id.
        app_id: String => (required),
        /// Application secret; requests and callbacks are signed with it.
        app_secret: SecretString => (required),
        /// How far a callback's signed time may be from ours, in seconds, either way. The platform publishes no figure, and
        /// repeats may be old.
        window_s: u64 => (604_800),
        /// Our words for further values of `signFlowStatus`: `"4": signing`.
        states: BTreeMap<String, String> => (BTreeMap::new()),
        /// How soon a flow is asked about again whose callback claimed what is not so yet, in seconds.
        again_s: u64 => (30),
        /// Time for one call, in milliseconds.
        timeout_ms: u64 => (30_000),
    }
}

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = EsignSettings::read(settings, findings)?;
    let states = signing::states(&detail::STATES, &checked.states, settings, findings)?;
    let source: Arc<dyn Source> = Arc::new(callback::Callbacks {
        secret: checked.app_secret.clone(),
        window_ms: i64::try_from(checked.window_s).unwrap_or(i64::MAX).saturating_mul(1000),
    });
    let target: Arc<dyn Target> = Arc::new(status::target(checked, states, context));
    Some(Built { source: Some(source), target: Some(target), ..Built::default() })
}

fn text(name: &'static str, doc: &'static str) -> Field {
    Field::new(name, Kind::Text(None), doc)
}

/// What a callback says of a flow, under the platform's names.
fn callback_kind() -> DocumentKind {
    DocumentKind {
        shape: Shape {
            name: "callback".into(),
            doc: "签署回调 / callback of a signing flow".into(),
            fields: vec![
                text("signFlowId", "流程 ID / id of the flow").required(),
                text("action", "事件 / event").required(),
                text(
                    "signFlowStatus",
                    "流程终态，签署人事件没有 / end of the flow; none in a signer's event",
                ),
                text("signFlowTitle", "流程标题 / title"),
                text("customBizNum", "业务编号：合同号 / our number: the contract's"),
                Field::new(
                    "timestamp",
                    Kind::DateTime(TimeForm::Rfc3339),
                    "首次发送时间，重发不变 / time of the first try, the same in repeats",
                )
                .required(),
            ],
            total: None,
        },
        open: false,
        key: None,
    }
}

/// The question where a flow stands.
fn status_kind() -> DocumentKind {
    DocumentKind {
        shape: Shape {
            name: signing::STATUS.into(),
            doc: "签署状态查询 / asks where a flow stands".into(),
            fields: vec![
                text("flow_id", "流程 ID：业务键 / id of the flow: the business key").required(),
                text("claimed", "回调所称状态 / state the callback claims").required(),
                text("contract_number", "回调所带合同号 / contract number in the callback"),
            ],
            total: None,
        },
        open: false,
        key: Some("flow_id"),
    }
}
