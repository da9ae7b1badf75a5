//! `fadada`: 法大大 FASC 5.1, where contracts are signed.
//!
//! In: callbacks, signed, each of which is a claim. Out: nothing is written; a document of kind `signature-status` asks where
//! a task stands, and what the platform answers is what counts. The protocol's facts and their sources are in `README.md`.

mod callback;
mod client;
mod detail;
pub mod kit;
mod nonces;
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
    name: "fadada",
    summary: (
        "法大大 FASC 5.1：签署回调读入，签署任务状态查询",
        "法大大 (Fadada) FASC 5.1: callbacks of sign tasks in, their status asked for",
    ),
    spec: FadadaSettings::spec,
    documents: || vec![callback_kind(), status_kind()],
    build,
};

settings! {
    /// Settings of a `fadada` connection.
    FadadaSettings {
        /// Address of the API: `https://api.fadada.com/api/v5`, of its test environment `https://uat-api.fadada.com/api/v5`.
        base_url: url::Url => (required),
        /// Application id.
        app_id: String => (required),
        /// Application secret; requests and callbacks are signed with it.
        app_secret: SecretString => (required),
        /// Path of the query below the address.
        detail_path: String => ("sign-task/app/get-detail".to_owned()),
        /// How far a callback's signed time may be from ours, in seconds, either way. Whether repeats are signed anew is not
        /// known: if they are not, 32400 takes the last one, which comes after eight hours and a half.
        window_s: u64 => (300),
        /// Nonces of callbacks remembered, at most 1000000; 0 remembers none.
        nonces: u64 => (10_000),
        /// Our words for further values of `signTaskStatus`: `fill_ignored: signing`.
        states: BTreeMap<String, String> => (BTreeMap::new()),
        /// How soon a task is asked about again whose callback claimed what is not so yet, in seconds.
        again_s: u64 => (30),
        /// How long a refused token request is not repeated, in seconds.
        token_cool_down_s: u64 => (300),
        /// Time for one call, in milliseconds.
        timeout_ms: u64 => (30_000),
    }
}

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = FadadaSettings::read(settings, findings)?;
    let states = signing::states(&detail::STATES, &checked.states, settings, findings)?;
    let source: Arc<dyn Source> = Arc::new(callback::Callbacks {
        app_id: checked.app_id.clone(),
        secret: checked.app_secret.clone(),
        window_ms: i64::try_from(checked.window_s).unwrap_or(i64::MAX).saturating_mul(1000),
        nonces: nonces::Nonces::new(checked.nonces),
    });
    let target: Arc<dyn Target> = Arc::new(status::target(checked, states, context));
    Some(Built { source: Some(source), target: Some(target), ..Built::default() })
}

fn text(name: &'static str, doc: &'static str) -> Field {
    Field::new(name, Kind::Text(None), doc)
}

/// What a callback says of a task, under the platform's names.
fn callback_kind() -> DocumentKind {
    DocumentKind {
        shape: Shape {
            name: "callback".into(),
            doc: "签署任务回调 / callback of a sign task".into(),
            fields: vec![
                text("signTaskId", "任务 ID / id of the task").required(),
                text("event", "事件，取自请求头 / event, from the header").required(),
                text("signTaskStatus", "任务状态 / state of the task"),
                text("transReferenceId", "业务参考号：合同号 / our number: the contract's"),
                Field::new("eventTime", Kind::DateTime(TimeForm::Rfc3339), "事件时间 / time of the event")
                    .required(),
            ],
            total: None,
        },
        open: false,
        key: None,
    }
}

/// The question where a task stands.
fn status_kind() -> DocumentKind {
    DocumentKind {
        shape: Shape {
            name: signing::STATUS.into(),
            doc: "签署状态查询 / asks where a task stands".into(),
            fields: vec![
                text("flow_id", "任务 ID：业务键 / id of the task: the business key").required(),
                text("claimed", "回调所称状态 / state the callback claims").required(),
                text("contract_number", "回调所带合同号 / contract number in the callback"),
            ],
            total: None,
        },
        open: false,
        key: Some("flow_id"),
    }
}
