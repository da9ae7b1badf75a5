//! Receipts in: `AR_RECEIVEBILL`, one document per entry, polled by modification time with an overlap.

use super::client::{Intent, KingdeeClient, refused};
use super::reply::{Answer, plain};
use async_trait::async_trait;
use jiff::ToSpan;
use jiff::civil::DateTime;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tongbao_connect::{Decoded, Failure, Inbound, Incoming, Polled, Source};
use tongbao_model::{Code, Fault};

use super::documents::RECEIPT_KEYS;

/// Pages of one poll; what is left comes with the next, which follows at once.
const PAGES_MAX: u64 = 25;

/// Reads receipts.
pub struct Receipts {
    client: Arc<KingdeeClient>,
}

impl Receipts {
    pub fn new(client: Arc<KingdeeClient>) -> Self {
        Receipts { client }
    }

    async fn page(&self, stream: &str, filter: &str, start: u64, limit: u64) -> Result<Vec<Value>, Failure> {
        let body = json!({"data": {
            "FormId": stream, "FieldKeys": RECEIPT_KEYS.join(","), "FilterString": filter,
            "OrderString": "FModifyDate asc,FID asc,FRECEIVEBILLENTRY_FEntryID asc",
            // An absolute end row, not a page size: 0 is "no limit of its own".
            "TopRowCount": 0, "StartRow": start, "Limit": limit,
        }});
        match self.client.call("ExecuteBillQuery", &body, Intent::Read).await? {
            Answer::Success(Value::Array(rows)) => Ok(rows),
            Answer::Success(_) | Answer::SessionLost => Err(Failure::new(Fault::new(
                Code::TargetUnavailable,
                "查询答复不是预期的形状",
                "the answer to the query has a shape we do not know",
            ))),
            Answer::Refused { class, fault, status } => Err(refused(class, fault, status)),
        }
    }
}

/// The filter of a poll. The cursor is the latest modification time seen, in the server's own local time.
fn filter(cursor: Option<&str>, overlap_s: u64) -> String {
    let since = cursor.and_then(|text| text.parse::<DateTime>().ok());
    let since = since.and_then(|at| at.checked_sub(i64::try_from(overlap_s).ok()?.seconds()).ok());
    match since {
        Some(at) => format!("FModifyDate>='{}'", at.strftime("%Y-%m-%d %H:%M:%S")),
        None => String::new(),
    }
}

/// A row of cells as a document: `FCONTACTUNIT.FNumber` becomes a nested member.
fn document(row: &Value) -> Value {
    let mut document = Map::new();
    for (at, key) in RECEIPT_KEYS.iter().enumerate() {
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
impl Source for Receipts {
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
        if stream != "AR_RECEIVEBILL" {
            let fault = Fault::new(
                Code::TargetMisconfigured,
                format!("不支持轮询 {stream}"),
                format!("{stream} cannot be polled, only AR_RECEIVEBILL"),
            );
            return Err(Failure::new(fault.at("polls")));
        }
        let settings = &self.client.settings;
        let filter = filter(cursor, settings.poll_overlap_s);
        let modified = RECEIPT_KEYS.iter().position(|key| *key == "FModifyDate").unwrap_or(0);
        let mut latest = cursor.unwrap_or_default().to_owned();
        let mut documents = Vec::new();
        let mut more = false;
        for page in 0..PAGES_MAX {
            let rows = self.page(stream, &filter, page * settings.page_rows, settings.page_rows).await?;
            for row in &rows {
                let at = row.get(modified).map(plain).unwrap_or_default();
                // ISO texts of one form sort by time.
                if at > latest {
                    latest = at;
                }
                documents.push(Incoming { kind: stream.to_owned(), document: document(row) });
            }
            more = u64::try_from(rows.len()).unwrap_or(0) >= settings.page_rows;
            if !more {
                break;
            }
        }
        Ok(Polled { documents, cursor: latest, more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_looks_back() {
        assert_eq!(filter(None, 300), "");
        assert_eq!(filter(Some("2026-11-20T00:02:00"), 300), "FModifyDate>='2026-11-19 23:57:00'");
        assert_eq!(filter(Some("2026-11-20T00:02:00.123"), 0), "FModifyDate>='2026-11-20 00:02:00'");
    }

    #[test]
    fn rows_become_documents_exactly() {
        let mut row: Vec<Value> = RECEIPT_KEYS.iter().map(|_| Value::Null).collect();
        for (key, cell) in [("FID", "100001"), ("FRECTOTALAMOUNTFOR", "339.0000000000")] {
            let at = RECEIPT_KEYS.iter().position(|name| *name == key).unwrap();
            row[at] = serde_json::from_str(cell).unwrap();
        }
        let at = RECEIPT_KEYS.iter().position(|name| *name == "FCURRENCYID.FNumber").unwrap();
        row[at] = "PRE001".into();
        let at = RECEIPT_KEYS.iter().position(|name| *name == "FSALEORDERNO").unwrap();
        row[at] = " ".into();
        let document = document(&Value::Array(row));
        assert_eq!(document["FID"], "100001");
        assert_eq!(document["FRECTOTALAMOUNTFOR"].to_string(), "339.0000000000");
        assert_eq!(document["FCURRENCYID"]["FNumber"], "PRE001");
        assert!(document["FSALEORDERNO"].is_null());
    }
}
