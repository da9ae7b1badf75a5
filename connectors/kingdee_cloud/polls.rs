//! Receipts (`AR_RECEIVEBILL`) and receivables (`AR_receivable`) in: one document per entry, polled by modification time with an
//! overlap.

use super::client::{Intent, KingdeeClient};
use super::reply::{Done, plain};
use async_trait::async_trait;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use tongbao_connect::{Decoded, Failure, Inbound, Incoming, Polled, Source};
use tongbao_model::{Code, Fault};

use super::documents::{STREAMS, Stream};

/// Pages of one poll; what is left comes with the next, which follows at once.
const PAGES_MAX: u64 = 25;

/// Pages after which a poll gives up: so many only where one second holds very many rows that change all the time.
const RESTLESS: u64 = 400;

/// Begins a cursor that goes on exactly where the last poll stopped, without looking back.
const GO_ON: &str = "from ";

/// Reads them.
pub struct Polls {
    client: Arc<KingdeeClient>,
}

impl Polls {
    pub fn new(client: Arc<KingdeeClient>) -> Self {
        Polls { client }
    }

    async fn page(
        &self,
        stream: &Stream,
        filter: &str,
        start: u64,
        limit: u64,
    ) -> Result<Vec<Value>, Failure> {
        let body = json!({"data": {
            "FormId": stream.name, "FieldKeys": stream.keys.join(","), "FilterString": filter,
            "OrderString": format!("FModifyDate asc,FID asc,{} asc", stream.entry_key),
            // An absolute end row, not a page size: 0 is "no limit of its own".
            "TopRowCount": 0, "StartRow": start, "Limit": limit,
        }});
        match self.client.call("ExecuteBillQuery", &body, Intent::Read).await? {
            Done::Success(Value::Array(rows)) => Ok(rows),
            Done::Success(_) => Err(Failure::new(Fault::new(
                Code::TargetUnavailable,
                "查询答复不是预期的形状",
                "the answer to the query has a shape we do not know",
            ))),
            Done::Refused(refusal) => Err(refusal.failure().of_question()),
        }
    }
}

/// Where a poll begins: the whole second at or before the cursor, less the overlap.
fn begin(cursor: Option<&str>, overlap_s: u64) -> Option<DateTime> {
    let cursor = cursor?;
    let (text, overlap_s) = cursor.strip_prefix(GO_ON).map_or((cursor, overlap_s), |text| (text, 0));
    second(text)?.checked_sub(i64::try_from(overlap_s).ok()?.seconds()).ok()
}

/// Where the very first poll begins, as the settings say it.
pub fn first(text: &str) -> Option<DateTime> {
    second(text).or_else(|| Some(text.parse::<Date>().ok()?.at(0, 0, 0, 0)))
}

/// The whole second of a time as the server prints it, in its own local time.
fn second(text: &str) -> Option<DateTime> {
    text.parse::<DateTime>().ok()?.with().subsec_nanosecond(0).build().ok()
}

fn filter(since: Option<DateTime>) -> String {
    since.map_or_else(String::new, |at| format!("FModifyDate>='{}'", at.strftime("%Y-%m-%d %H:%M:%S")))
}

/// A row of cells as a document: `FCONTACTUNIT.FNumber` becomes a nested member.
fn document(stream: &Stream, row: &Value) -> Value {
    let mut document = Map::new();
    for (at, key) in stream.keys.iter().enumerate() {
        let cell = row.get(at).cloned().unwrap_or(Value::Null);
        // Empty references come as null, as "" or as a blank.
        let cell = match cell {
            Value::String(text) if text.trim().is_empty() => Value::Null,
            Value::Number(number) if key.ends_with("FEntryID") || *key == "FID" => {
                Value::String(number.to_string())
            }
            other => other,
        };
        match key.split_once('.') {
            Some((outer, inner)) => {
                let member = document.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(member) = member {
                    member.insert(inner.to_owned(), cell);
                }
            }
            None => {
                document.insert((*key).to_owned(), cell);
            }
        }
    }
    Value::Object(document)
}

#[async_trait]
impl Source for Polls {
    fn verify(&self, _: &Inbound, _: i64) -> Result<(), Fault> {
        Err(Fault::new(
            Code::SignatureInvalid,
            "金蝶不推送单据，请配置 polls",
            "Kingdee pushes nothing: configure `polls`",
        ))
    }

    fn decode(&self, _: &Inbound) -> Result<Decoded, Fault> {
        Err(Fault::new(
            Code::BodyInvalid,
            "金蝶不推送单据，请配置 polls",
            "Kingdee pushes nothing: configure `polls`",
        ))
    }

    async fn poll(&self, stream: &str, cursor: Option<&str>) -> Result<Polled, Failure> {
        let Some(stream) = STREAMS.iter().find(|known| known.name == stream) else {
            let known = STREAMS.map(|known| known.name).join("、");
            let fault = Fault::new(
                Code::TargetMisconfigured,
                format!("不支持轮询 {stream}，只有 {known}"),
                format!("{stream} cannot be polled, only {known}"),
            );
            return Err(Failure::new(fault.at("polls")));
        };
        let settings = &self.client.settings;
        // Two rows at least: a page within one second begins with the last row of the page before.
        let limit = settings.page_rows.max(2);
        let modified = stream.keys.iter().position(|key| *key == "FModifyDate").unwrap_or(0);
        let time = |row: &Value| row.get(modified).map(plain).unwrap_or_default();
        let since = settings.poll_since.as_deref().filter(|_| cursor.is_none()).and_then(first);
        let mut since = begin(cursor, settings.poll_overlap_s).or(since);
        let mut latest = cursor.map_or("", |text| text.strip_prefix(GO_ON).unwrap_or(text)).to_owned();
        let (mut documents, mut seen) = (Vec::new(), HashSet::new());
        let (mut start, mut last, mut pages) = (0, None, 0);
        loop {
            let rows = self.page(stream, &filter(since), start, limit).await?;
            pages += 1;
            if pages > RESTLESS {
                return Err(Failure::new(Fault::new(
                    Code::TargetUnavailable,
                    "单据正被大量修改，稍后再读",
                    "bills change faster than they can be read; read again later",
                )));
            }
            if start > 0 && rows.first() != last.as_ref() {
                // A row before this page was changed meanwhile and moved to the end, and all others moved up: read
                // the second again, or the row at the seam would never be seen.
                start = 0;
                continue;
            }
            for row in &rows {
                latest = latest.max(time(row));
                if seen.insert(row.to_string()) {
                    let document = document(stream, row).into();
                    documents.push(Incoming { kind: stream.name.to_owned(), document });
                }
            }
            let Some(end) =
                rows.last().filter(|_| u64::try_from(rows.len()).is_ok_and(|count| count >= limit))
            else {
                return Ok(Polled { documents, cursor: latest, more: false });
            };
            // Pages follow the time, not the row number: rows that change while we read move to the end, and row
            // numbers would skip what takes their place.
            match second(&time(end)) {
                Some(reached) if since.is_none_or(|since| reached > since) => {
                    since = Some(reached);
                    start = 0;
                    if pages >= PAGES_MAX {
                        return Ok(Polled { documents, cursor: format!("{GO_ON}{reached}"), more: true });
                    }
                }
                Some(_) | None => start += limit - 1,
            }
            last = Some(end.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_looks_back() {
        let since = |cursor, overlap_s| filter(begin(cursor, overlap_s));
        assert_eq!(since(None, 300), "");
        assert_eq!(since(Some(""), 300), "");
        assert_eq!(since(Some("2026-11-20T00:02:00"), 300), "FModifyDate>='2026-11-19 23:57:00'");
        assert_eq!(since(Some("2026-11-20T00:02:00.123"), 0), "FModifyDate>='2026-11-20 00:02:00'");
        assert_eq!(since(Some("from 2026-11-20T00:02:00"), 300), "FModifyDate>='2026-11-20 00:02:00'");
    }

    #[test]
    fn the_first_poll_begins_where_it_is_told() {
        assert_eq!(filter(first("2026-01-01")), "FModifyDate>='2026-01-01 00:00:00'");
        assert_eq!(filter(first("2026-01-01T08:30:00")), "FModifyDate>='2026-01-01 08:30:00'");
        assert_eq!(first("last year"), None);
    }

    #[test]
    fn rows_become_documents_exactly() {
        let stream = &STREAMS[0];
        let mut row: Vec<Value> = stream.keys.iter().map(|_| Value::Null).collect();
        for (key, cell) in [("FID", "100001"), ("FRECTOTALAMOUNTFOR", "339.0000000000")] {
            let at = stream.keys.iter().position(|name| *name == key).unwrap();
            row[at] = serde_json::from_str(cell).unwrap();
        }
        let at = stream.keys.iter().position(|name| *name == "FCURRENCYID.FNumber").unwrap();
        row[at] = "PRE001".into();
        let at = stream.keys.iter().position(|name| *name == "FSALEORDERNO").unwrap();
        row[at] = " ".into();
        let document = document(stream, &Value::Array(row));
        assert_eq!(document["FID"], "100001");
        assert_eq!(document["FRECTOTALAMOUNTFOR"].to_string(), "339.0000000000");
        assert_eq!(document["FCURRENCYID"]["FNumber"], "PRE001");
        assert!(document["FSALEORDERNO"].is_null());
    }
}
