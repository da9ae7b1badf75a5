//! From an incoming document to an event with its deliveries.

use crate::config::{INTAKE, Receives};
use crate::mappings::Mappings;
use crate::routes::Routes;
use crate::tables::TableCache;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use tongbao_connect::Incoming;
use tongbao_delivery::handler::Report;
use tongbao_delivery::port::{Intake, NewDelivery, StoreError};
use tongbao_mapping::{MappedJson, Mapping, Tables};
use tongbao_model::{Class, Code, Event, Fault, Json, Tree, digest, record};

/// Kind of the events that keep documents no mapping could read.
pub const FAULTED: &str = "intake.faulted";

/// Translates incoming documents.
pub struct Intaker {
    /// What each connection receives, by connection name.
    pub receives: HashMap<String, Vec<Receives>>,
    /// Mappings in use.
    pub mappings: Arc<Mappings>,
    /// Code tables.
    pub tables: Arc<TableCache>,
    /// Flows.
    pub routes: Routes,
}

impl Intaker {
    /// What becomes of a document kind of a connection.
    pub fn rule(&self, connection: &str, kind: &str) -> Option<&Receives> {
        self.receives.get(connection)?.iter().find(|receives| receives.kind == kind)
    }

    /// Translates one document into an event, or says why not. `now_ms` stands in where the record has no time.
    pub fn translate(&self, connection: &str, incoming: &Incoming, now_ms: i64) -> Result<Intake, Fault> {
        let rule = self.rule_for(connection, incoming)?;
        self.translate_by(rule, &self.means(rule)?, connection, incoming, now_ms)
    }

    fn rule_for(&self, connection: &str, incoming: &Incoming) -> Result<&Receives, Fault> {
        self.rule(connection, &incoming.kind).ok_or_else(|| {
            Fault::new(
                Code::BodyInvalid,
                format!("连接 {connection} 未配置单据类型 {}", incoming.kind),
                format!("the connection `{connection}` receives no document kind `{}`", incoming.kind),
            )
        })
    }

    fn means(&self, rule: &Receives) -> Result<Means, Fault> {
        let mapping = self.mappings.get(&rule.mapping).ok_or_else(|| unknown_mapping(&rule.mapping))?;
        Ok(Means { mapping, tables: self.tables.current() })
    }

    fn translate_by(
        &self,
        rule: &Receives,
        means: &Means,
        connection: &str,
        incoming: &Incoming,
        now_ms: i64,
    ) -> Result<Intake, Fault> {
        let mapping = &means.mapping;
        let mapped = mapping.run_bytes(incoming.document.text().as_bytes(), &means.tables);
        let MappedJson { document: record, key } = mapped.map_err(|stop| stop.fault)?;
        let tree = record.tree().map_err(|_| no_record())?;
        if record::is_known(&mapping.to) {
            record::validate(&mapping.target, &tree)?;
        }
        let text = |path: &str| tree.at(path).and_then(Tree::text);
        let order_key = rule.order_by.as_deref().and_then(text).unwrap_or(&key).to_owned();
        let occurred = ["signed_at", "received_at", "requested_at", "issued_at", "booked_at", "at"]
            .iter()
            .find_map(|path| text(path)?.parse::<jiff::Timestamp>().ok());
        let event = Event {
            id: String::new(),
            kind: rule.event.clone(),
            source: connection.to_owned(),
            key,
            revision: tree.get("revision").and_then(Tree::integer).unwrap_or(1),
            order_key,
            occurred_at_ms: occurred.map_or(now_ms, |time| time.as_millisecond()),
            digest: digest::of_record(&tree),
            record: String::new(),
            cause: None,
        };
        Ok(self.routes.intake(Event { record: record.into_text(), ..event }))
    }

    /// Keeps a document that could not be translated as an event of its own with a delivery that parks: nothing is
    /// lost, and a replay translates it again.
    pub fn keep(&self, connection: &str, incoming: &Incoming, now_ms: i64) -> Intake {
        let kept = Kept {
            connection: connection.into(),
            kind: (&incoming.kind).into(),
            document: &incoming.document,
        };
        let record = serde_json::to_string(&kept).unwrap_or_default();
        // By its bytes: what cannot be translated may be nested too deeply to be looked into.
        let digest = digest::of_bytes(record.as_bytes());
        let key: String = digest.chars().take(16).collect();
        let event = Event {
            id: self.routes.fresh_id(),
            kind: FAULTED.into(),
            source: connection.to_owned(),
            key: key.clone(),
            revision: 1,
            order_key: key.clone(),
            occurred_at_ms: now_ms,
            digest,
            record,
            cause: None,
        };
        let delivery = NewDelivery {
            id: self.routes.fresh_id(),
            flow: INTAKE.into(),
            target: INTAKE.into(),
            order_key: key,
        };
        Intake { event, deliveries: vec![delivery] }
    }

    /// The built-in target that [`Intaker::keep`] sends to.
    pub fn retry(&self, event: &Event, now_ms: i64) -> Report {
        let Ok(kept) = serde_json::from_str::<Kept<'_, Json>>(&event.record) else {
            return Report::fault(Fault::new(
                Code::Defect,
                "事件内容无法读取",
                "the event's record cannot be read",
            ));
        };
        let Kept { connection, kind, document } = kept;
        let incoming = Incoming { kind: kind.into_owned(), document };
        let rule = self.rule_for(&connection, &incoming);
        let (rule, means) = match rule.and_then(|rule| Ok((rule, self.means(rule)?))) {
            Ok(found) => found,
            Err(fault) => return Report::fault(fault),
        };
        let report = match self.translate_by(rule, &means, &connection, &incoming, now_ms) {
            Ok(intake) => Report { follow_on: vec![intake], ..Report::new(Class::Done) },
            Err(fault) => Report::fault(fault),
        };
        let revision = means.tables.revision;
        Report { mapping: Some(means.mapping.id()), tables_revision: Some(revision), ..report }
    }
}

/// A document that could not be translated, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept<'k, D> {
    #[serde(borrow)]
    connection: Cow<'k, str>,
    #[serde(borrow)]
    kind: Cow<'k, str>,
    document: D,
}

/// What a mapping wrote cannot be read back.
fn no_record() -> Fault {
    Fault::new(Code::Defect, "映射写出的内容无法读取", "what the mapping wrote cannot be read")
}

/// What a document is translated with.
struct Means {
    mapping: Arc<Mapping>,
    tables: Arc<Tables>,
}

/// The fault of an attempt whose database did not answer: it is repeated, and nothing has been written.
pub fn store_unavailable(error: &StoreError) -> Fault {
    Fault::new(
        Code::TargetUnavailable,
        format!("数据库暂不可用：{error}"),
        format!("the database is not available: {error}"),
    )
}

/// The fault of a mapping that is configured and not there.
pub fn unknown_mapping(name: &str) -> Fault {
    Fault::new(
        Code::MappingInvalid,
        format!("没有可用的映射 {name}"),
        format!("there is no usable mapping `{name}`"),
    )
}

/// The value at a dotted path.
pub fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(document, |value, step| value.get(step))
}
