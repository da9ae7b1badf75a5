//! `jiandaoyun`: Jiandaoyun (简道云), a low-code platform whose forms hold contracts and opportunities.
//!
//! In: the data push, signed with SHA-1. Out: the single-record update API. The protocol's facts and their sources are
//! in `README.md`.

pub mod kit;
mod push;
mod records;
mod reply;

use std::collections::BTreeMap;
use std::sync::Arc;
use tongbao_connect::settings::SecretString;
use tongbao_connect::{Built, Connector, Context, DocumentKind, Settings, Source, settings};
use tongbao_model::diagnostic::Findings;

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "jiandaoyun",
    summary: (
        "简道云：表单数据推送读入，单条数据更新回写",
        "Jiandaoyun: form data pushed in, single records updated",
    ),
    spec: JiandaoyunSettings::spec,
    documents: || vec![DocumentKind::open("*", "Any form; the mapping declares its widgets.")],
    build,
};

settings! {
    /// Settings of a `jiandaoyun` connection.
    JiandaoyunSettings {
        /// Secret of the form's data push.
        secret: Option<SecretString> => (optional),
        /// How far the signed time may be from ours, in seconds, either way.
        window_s: u64 => (600),
        /// Document kinds by form id (`entryId`) of what is pushed.
        kinds: BTreeMap<String, String> => (BTreeMap::new()),
        /// Operations taken in; others are answered and dropped.
        ops: Vec<String> => (push::default_ops()),
        /// Take a record with a workflow only once it is finished (`flowState` 1).
        finished_only: bool => (true),
        /// Address of the API, e.g. `https://api.jiandaoyun.com/`.
        base_url: Option<url::Url> => (optional),
        /// API key.
        api_key: Option<SecretString> => (optional),
        /// Forms written to, by document kind: `order_back: <app id>/<entry id>`.
        entries: BTreeMap<String, String> => (BTreeMap::new()),
        /// Time for one call, in milliseconds.
        timeout_ms: u64 => (30_000),
    }
}

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = JiandaoyunSettings::read(settings, findings)?;
    let target = records::build(&checked, settings.node, context, findings)?;
    let source = checked.secret.clone().map(|secret| {
        let source: Arc<dyn Source> = Arc::new(push::Push {
            secret,
            window_s: i64::try_from(checked.window_s).unwrap_or(i64::MAX),
            kinds: checked.kinds,
            ops: checked.ops,
            finished_only: checked.finished_only,
        });
        source
    });
    Some(Built { source, target, ..Built::default() })
}
