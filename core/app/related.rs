//! Bringing along the records that a mapping looks up beside its document.

use crate::cli::Named;
use crate::intake::store_unavailable;
use std::path::Path;
use tongbao_delivery::port::{Store, Stored};
use tongbao_mapping::{Mapping, Related, Stop};
use tongbao_model::Code;

/// The newest state of each related record that was accepted by `until_ms`. What is not there is left out: the mapping
/// says whether it needs it.
pub async fn of(
    store: &dyn Store,
    mapping: &Mapping,
    record: &str,
    until_ms: i64,
) -> Stored<Result<Related, Stop>> {
    let mut related = Related::default();
    let wanted = match mapping.wanted(record) {
        Ok(wanted) => wanted,
        Err(stop) => return Ok(Err(stop)),
    };
    for one in wanted {
        if let Some(event) = store.newest(&one.event, &one.key, until_ms).await? {
            related.add(one.name, event.record);
        }
    }
    Ok(Ok(related))
}

/// As [`of`], for an attempt: a database that does not answer is a fault like any other that passes.
pub async fn for_attempt(
    store: &dyn Store,
    mapping: &Mapping,
    record: &str,
    until_ms: i64,
) -> Result<Related, Stop> {
    of(store, mapping, record, until_ms).await.unwrap_or_else(|error| Err(store_unavailable(&error).into()))
}

/// What a fault cannot know: that the record did come, and lies in an archive.
pub async fn told_of_archive(store: &dyn Store, mapping: &Mapping, record: &str, stop: Stop) -> Stop {
    if stop.fault.code != Code::RelatedMissing {
        return stop;
    }
    for one in mapping.wanted(record).unwrap_or_default() {
        let found = store.archived(&one.key).await.unwrap_or_default();
        let kept = found.into_iter().find(|kept| kept.kind == one.event && kept.key == one.key);
        if let (Some(kept), true) = (kept, stop.fault.field.as_deref() == Some(one.name.as_str())) {
            let file = kept.file;
            let fault = stop.fault.remedy(
                format!("该单据已归档于 {file}：请来源系统重新发送更高修订，或延长保留期，或在映射中写 optional: true。"),
                format!(
                    "It is archived in {file}: have the source send a higher revision, keep events for longer, or write `optional: true` in the mapping."
                ),
            );
            return Stop { fault, ..stop };
        }
    }
    stop
}

/// Related records from files, as a command line names them.
pub fn from_files(named: &[Named]) -> Result<Related, String> {
    let mut related = Related::default();
    for Named { name, file } in named {
        related.add(name, read(file)?);
    }
    Ok(related)
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}
