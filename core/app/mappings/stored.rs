//! How the document of a stored delivery came about: with the version of the mapping and the rows of the code tables
//! that made it, whatever has been edited since.

use super::ByName;
use crate::config::{Documents, INTAKE};
use crate::related;
use crate::tables::code_row;
use serde::Serialize;
use serde_json::Value;
use tongbao_delivery::port::{AttemptView, Store, Stored};
use tongbao_mapping::{Mapping, SourceFile, Stop, Tables, Trace, compile_files};
use tongbao_model::diagnostic::Severity;
use tongbao_model::{Event, Fault, Text, mask};

/// What is known of how a document came about.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explained {
    /// The delivery.
    pub delivery: String,
    /// Which of its attempts.
    pub attempt: Option<u32>,
    /// Name and version of the mapping that was used.
    pub mapping: Option<String>,
    /// Name and version that are in use now.
    pub in_use: Option<String>,
    /// Revision of the code tables that was used.
    pub tables_revision: Option<i64>,
    /// Of each target field how it came about, values masked as in requests.
    pub fields: Vec<Trace>,
    /// The document, masked.
    pub document: Option<Value>,
    /// Why there is none.
    pub fault: Option<Fault>,
    /// Whether it is what the attempt has sent; `None` where it sent nothing.
    pub is_what_was_sent: Option<bool>,
    /// What is not known, or not certain.
    pub notes: Vec<Text>,
}

/// Explains an attempt of a delivery, the last that used a mapping unless one is named; `None` when there is no such
/// delivery.
pub async fn explain(
    store: &dyn Store,
    in_use: &ByName,
    delivery: &str,
    attempt: Option<u32>,
) -> Stored<Option<Explained>> {
    let Some((view, attempts, event)) = store.delivery(delivery).await? else { return Ok(None) };
    let mut told = Explained { delivery: view.id.clone(), attempt, ..Explained::default() };
    let wanted = |one: &&AttemptView| match attempt {
        Some(number) => one.attempt == number,
        None => one.mapping.is_some(),
    };
    let Some(one) = attempts.iter().rev().find(wanted) else {
        told.note("没有用过映射的尝试", "there is no attempt that used a mapping");
        return Ok(Some(told));
    };
    told.attempt = Some(one.attempt);
    told.mapping.clone_from(&one.mapping);
    told.tables_revision = one.tables_revision;
    let Some((name, version)) = one.mapping.as_deref().and_then(|mapping| mapping.rsplit_once('@')) else {
        told.note("该次尝试没有用到映射", "this attempt came to no mapping");
        return Ok(Some(told));
    };
    let current = in_use.get(name);
    told.in_use = current.map(|mapping| mapping.id());
    let kept = store.mapping(version).await?.map(|kept| {
        let file =
            |file: tongbao_delivery::port::MappingFile| SourceFile { path: file.path, text: file.text };
        kept.files.into_iter().map(file).collect::<Vec<_>>()
    });
    match (kept, current) {
        (Some(files), _) => match recompiled(&files) {
            Ok(mapping) => told.run(store, &mapping, &view.target, &event, one).await?,
            Err(why) => told.notes.push(why),
        },
        (None, Some(mapping)) if mapping.version == version => {
            told.run(store, mapping, &view.target, &event, one).await?;
        }
        (None, _) => {
            let now = told.in_use.clone().unwrap_or_else(|| "—".to_owned());
            told.note(
                format!("当时的映射版本 {version} 没有留存，现在是 {now}，无法逐字段说明"),
                format!(
                    "the version {version} that made it was not kept; now there is {now}, so its fields cannot be explained"
                ),
            );
        }
    }
    Ok(Some(told))
}

fn recompiled(files: &[SourceFile]) -> Result<Mapping, Text> {
    let (mapping, found) = compile_files(files, &Documents::all());
    mapping.ok_or_else(|| {
        let error = found.iter().find(|finding| finding.severity == Severity::Error);
        let why = error.map(ToString::to_string).unwrap_or_default();
        Text::new(
            format!("留存的映射不为本程序版本所接受：{why}"),
            format!("the mapping as it was kept is not accepted by this version of the program: {why}"),
        )
    })
}

impl Explained {
    fn note(&mut self, zh: impl Into<String>, en: impl Into<String>) {
        self.notes.push(Text::new(zh, en));
    }

    async fn run(
        &mut self,
        store: &dyn Store,
        mapping: &Mapping,
        target: &str,
        event: &Event,
        attempt: &AttemptView,
    ) -> Stored<()> {
        let tables = self.tables(store, mapping).await?;
        let Ok(record) = serde_json::from_str::<Value>(&event.record) else {
            self.note("事件内容无法读取", "the event's record cannot be read");
            return Ok(());
        };
        // What intake has kept holds the document it could not read.
        let document = if target == INTAKE { record.get("document") } else { Some(&record) };
        let related = match related::of(store, mapping, &event.record, attempt.started_at_ms).await? {
            Ok(related) => related,
            Err(stop) => {
                self.fault = Some(stop.fault);
                return Ok(());
            }
        };
        let (result, traces) = mapping.explain(document.unwrap_or(&Value::Null), &related, &tables);
        self.fields = traces.into_iter().map(masked).collect();
        match result {
            Ok(mapped) => self.document = Some(mask::document(&mapped.document)),
            Err(Stop { fault, .. }) => self.fault = Some(fault),
        }
        let sent = attempt.request.as_deref().and_then(|sent| serde_json::from_str::<Value>(sent).ok());
        self.is_what_was_sent = sent.map(|sent| self.document.as_ref() == Some(&sent));
        if self.is_what_was_sent == Some(false) {
            self.note(
                "与当时发送的不同：程序已升级，或对照表已不是当时的内容",
                "this is not what was sent then: the program has been upgraded, or the code tables are not what they were",
            );
        }
        Ok(())
    }

    /// The mapping's code tables as they were; where that is not known, as they are.
    async fn tables(&mut self, store: &dyn Store, mapping: &Mapping) -> Stored<Tables> {
        let mut rows = Vec::new();
        let revision = self.tables_revision.unwrap_or_default();
        let mut is_known = true;
        for table in &mapping.tables {
            let then = store.table_rows_at(table, revision).await?;
            is_known &= then.is_some();
            let found = match then {
                Some(rows) => rows,
                None => store.table_rows(Some(table)).await?,
            };
            rows.extend(found.into_iter().map(code_row));
        }
        if !is_known {
            self.note(
                format!("对照表在版本 {revision} 时的内容未知，以下按现在的内容"),
                format!("what the code tables held at revision {revision} is not known; they are taken as they are now"),
            );
        }
        Ok(Tables::of_rows(revision, rows).0)
    }
}

/// Without what nobody is shown: by the name of the target field and of what it was read from.
fn masked(trace: Trace) -> Trace {
    let hidden = |path: &str| path.split(['.', '[']).any(mask::is_hidden);
    if !hidden(&trace.target) && !trace.reads.iter().any(|path| hidden(path)) {
        return Trace { value: mask::document(&trace.value), ..trace };
    }
    let stars = || "***".to_owned();
    Trace { source: stars(), table: trace.table.map(|_| stars()), value: Value::String(stars()), ..trace }
}
