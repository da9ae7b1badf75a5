//! Receipts in: `accept`, one document per entry, polled by date over a window that is read again each time.

use super::client::{Condition, EaiClient};
use super::documents::{self, Kind, RECEIPT_STREAM};
use super::memory::{Memory, Seen};
use super::reply::strange;
use super::wire;
use async_trait::async_trait;
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use tongbao_connect::xml::Element;
use tongbao_connect::{Decoded, Failure, Inbound, Incoming, Polled, Source};
use tongbao_model::{Code, Fault, Text, china};

/// Days of history that one poll reads beyond the window.
const STRIDE_DAYS: i64 = 31;

/// Missing receipts that one poll asks for by name before it calls them gone; the others follow with the next.
const MISSING_MAX: usize = 20;

/// Reads receipts.
pub struct Receipts {
    client: Arc<EaiClient>,
}

/// A receipt of an answer.
struct Read {
    date: Option<Date>,
    currency: String,
    /// Documents of its rows, without revision.
    rows: Vec<Map<String, Value>>,
}

/// The days a poll reads: from the first, up to the second where it is not the last poll for now.
struct Window {
    start: Date,
    end: Option<Date>,
    next: Date,
}

impl Receipts {
    pub fn new(client: Arc<EaiClient>) -> Self {
        Receipts { client }
    }

    /// The window after a memory. Dates are China's, as the server's are.
    fn window(&self, memory: &Memory) -> Result<Window, Failure> {
        let settings = &self.client.settings;
        let range =
            || Failure::new(Fault::new(Code::TargetMisconfigured, "日期超出范围", "a date is out of range"));
        let today = china::day(self.client.context.now_ms()).ok_or_else(range)?;
        let back = i64::try_from(settings.poll_days).unwrap_or(i64::MAX).min(36_500);
        let since = settings.poll_since.as_deref().and_then(|day| day.parse::<Date>().ok());
        let start = match (memory.next.parse::<Date>(), since) {
            (Ok(next), _) => next.min(today).checked_sub(back.days()).map_err(|_| range())?,
            (Err(_), Some(since)) => since,
            (Err(_), None) => today.checked_sub(back.days()).map_err(|_| range())?,
        };
        let end = start.checked_add((back + STRIDE_DAYS).days()).map_err(|_| range())?;
        Ok(if end > today {
            Window { start, end: None, next: today }
        } else {
            Window { start, end: Some(end), next: end }
        })
    }

    /// The receipts of a window, by number.
    async fn read(&self, kind: &Kind, window: &Window) -> Result<BTreeMap<String, Read>, Failure> {
        let settings = &self.client.settings;
        let column = &settings.poll_date_column;
        let mut conditions = vec![Condition::new(column, ">=", window.start.to_string())];
        conditions.extend(window.end.map(|end| Condition::new(column, "<", end.to_string())));
        conditions.extend(settings.poll_conditions.iter().filter_map(|text| Condition::parse(text)));
        let (found, is_full) = self.client.query(kind, &conditions).await?;
        if is_full {
            let text =
                Text::new("减小 poll_days，或提高 max_items。", "Lower `poll_days`, or raise `max_items`.");
            let fault = Fault::new(
                Code::TargetMisconfigured,
                format!("{} 以来的收款单不少于 max_items，答复可能被截断", window.start),
                format!("`max_items` or more receipts since {}: the answer may be cut off", window.start),
            );
            return Err(Failure::new(fault.at("max_items").remedy(text.zh, text.en)));
        }
        let mut receipts = BTreeMap::new();
        for document in &found {
            let head = wire::header(kind, document).ok_or_else(|| strange("header", "").of_question())?;
            let of = |tag: &str| head.text_of(tag).unwrap_or_default();
            let is_receipt =
                matches!(of("vouchtype").as_str(), "48" | "") && matches!(of("flag").as_str(), "AR" | "");
            let read = rows(kind, document, head);
            // A date that cannot be read keeps its receipt: the mapping says what is wrong with it.
            let is_inside =
                read.date.is_none_or(|date| date >= window.start && window.end.is_none_or(|end| date < end));
            if is_receipt && is_inside {
                let number = Some(of("vouchcode")).filter(|number| !number.is_empty());
                receipts.insert(number.unwrap_or_else(|| hash(&read.rows)), read);
            }
        }
        Ok(receipts)
    }

    /// Whether a receipt that is missing in an answer is missing by its number too. `Some`: it is still there.
    async fn by_number(&self, kind: &Kind, number: &str) -> Result<Option<Read>, Failure> {
        let column = self.client.settings.number_columns.get(kind.name);
        let column = column.map_or(kind.column, String::as_str);
        let (found, _) = self.client.query(kind, &[Condition::new(column, "=", number)]).await?;
        let of_number = |one: &&Element| {
            wire::header(kind, one).and_then(|head| head.text_of(kind.number)).as_deref() == Some(number)
        };
        let found = found.iter().find(of_number);
        Ok(found.and_then(|document| Some(rows(kind, document, wire::header(kind, document)?))))
    }
}

/// The rows of a receipt as documents. What a row does not say itself its header says.
fn rows(kind: &Kind, document: &Element, head: &Element) -> Read {
    let of = |tag: &str| head.text_of(tag).unwrap_or_default();
    let stated = of("vouchdate");
    let date = stated.get(..10).and_then(|text| text.replace('/', "-").parse::<Date>().ok());
    let time = date.map_or(stated, |date| format!("{date}T00:00:00"));
    let lines = wire::lines(kind, document);
    let lines = if lines.is_empty() { vec![head] } else { lines };
    let shared = ["vouchcode", "vouchtype", "foreigncurrency", "balancecode", "notecode", "digest"];
    let rows = lines.iter().enumerate().map(|(index, line)| {
        let mut row = Map::new();
        row.insert("row".into(), Value::String((index + 1).to_string()));
        row.insert("vouchdate".into(), Value::String(time.clone()));
        let own = |tag: &str| line.text_of(tag).filter(|text| !text.is_empty()).unwrap_or_else(|| of(tag));
        let texts = shared.iter().map(|tag| (*tag, of(tag)));
        let texts = texts.chain(["type", "customercode", "orderid"].map(|tag| (tag, own(tag))));
        row.extend(
            texts.filter(|(_, text)| !text.is_empty()).map(|(tag, text)| (tag.to_owned(), text.into())),
        );
        for tag in ["originalamount", "amount"] {
            let text = line.text_of(tag).unwrap_or_default();
            // An amount is told in plain digits; one that is none is told as it came, and the mapping refuses it.
            let amount = wire::amount(&text).map_or(text, |amount| amount.to_string());
            if !amount.is_empty() {
                row.insert(tag.to_owned(), amount.into());
            }
        }
        row
    });
    Read { date, currency: of("foreigncurrency"), rows: rows.collect() }
}

/// Milliseconds since 1970 at the start of a day in China. Revisions are counted from there and not from the clock: a poll that
/// is repeated from the same cursor tells the same, and what was forgotten and comes back is still newer.
fn start_of_day(day: Date) -> i64 {
    china::begin_ms(day).unwrap_or(0)
}

fn hash(rows: &[Map<String, Value>]) -> String {
    let text = serde_json::to_string(rows).unwrap_or_default();
    hex::encode(Sha256::digest(text.as_bytes())).chars().take(16).collect()
}

fn text(row: &Map<String, Value>, tag: &str) -> String {
    row.get(tag).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn incoming(mut row: Map<String, Value>, revision: i64, state: &str) -> Incoming {
    row.insert("revision".into(), revision.into());
    row.insert("state".into(), state.into());
    Incoming { kind: RECEIPT_STREAM.into(), document: Value::Object(row).into() }
}

/// Rows that were told and are no longer there, from the one after `kept`.
fn gone(number: &str, before: &Seen, kept: usize, revision: i64) -> Vec<Incoming> {
    let rows = before.rows.iter().enumerate().skip(kept);
    let rows = rows.map(|(index, (order, amount))| {
        let texts = [
            ("vouchcode", number.to_owned()),
            ("row", (index + 1).to_string()),
            ("vouchdate", format!("{}T00:00:00", before.date)),
            ("foreigncurrency", before.currency.clone()),
            ("orderid", order.clone()),
            ("originalamount", amount.clone()),
        ];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let row = texts.map(|(tag, text)| (tag.to_owned(), Value::String(text))).collect();
        incoming(row, revision, "gone")
    });
    rows.collect()
}

/// Takes a receipt into the memory; the documents that are news.
fn take(memory: &mut Memory, number: String, read: Read, fallback: Date, day_ms: i64) -> Vec<Incoming> {
    let fresh = hash(&read.rows);
    let before = memory.seen.get(&number).cloned().unwrap_or_default();
    if before.hash == fresh {
        return Vec::new();
    }
    let revision = before.next_revision(day_ms);
    let mut news = gone(&number, &before, read.rows.len(), revision);
    let seen = Seen {
        date: read.date.unwrap_or(fallback).to_string(),
        hash: fresh,
        revision,
        currency: read.currency,
        rows: read.rows.iter().map(|row| (text(row, "orderid"), text(row, "originalamount"))).collect(),
    };
    news.extend(read.rows.into_iter().map(|row| incoming(row, revision, "standing")));
    memory.seen.insert(number, seen);
    news
}

#[async_trait]
impl Source for Receipts {
    fn verify(&self, _: &Inbound, _: i64) -> Result<(), Fault> {
        let (zh, en) = ("U8 不推送单据，请配置 polls", "U8 pushes nothing: configure `polls`");
        Err(Fault::new(Code::SignatureInvalid, zh, en))
    }

    fn decode(&self, _: &Inbound) -> Result<Decoded, Fault> {
        let (zh, en) = ("U8 不推送单据，请配置 polls", "U8 pushes nothing: configure `polls`");
        Err(Fault::new(Code::BodyInvalid, zh, en))
    }

    async fn poll(&self, stream: &str, cursor: Option<&str>) -> Result<Polled, Failure> {
        let kind = documents::kind("accept").filter(|_| stream == RECEIPT_STREAM).ok_or_else(|| {
            let fault = Fault::new(
                Code::TargetMisconfigured,
                format!("不支持轮询 {stream}，只支持 {RECEIPT_STREAM}"),
                format!("{stream} cannot be polled, only {RECEIPT_STREAM}"),
            );
            Failure::new(fault.at("polls"))
        })?;
        let mut memory = match cursor.filter(|cursor| !cursor.is_empty()) {
            None => Memory::default(),
            // Beginning anew by itself would tell everything again under new revisions.
            Some(cursor) => Memory::read(cursor).ok_or_else(|| {
                let fault = Fault::new(
                    Code::TargetMisconfigured,
                    "轮询位置无法读取，它不是本连接器写下的",
                    "the poll's cursor cannot be read: another connector wrote it",
                );
                Failure::new(fault.at("polls"))
            })?,
        };
        let window = self.window(&memory)?;
        let day_ms = start_of_day(window.next);
        let mut found = self.read(kind, &window).await?;
        let is_inside = |seen: &Seen| {
            seen.date
                .parse::<Date>()
                .is_ok_and(|date| date >= window.start && window.end.is_none_or(|end| date < end))
        };
        let known = memory.seen.iter().filter(|(number, seen)| {
            !seen.hash.is_empty() && is_inside(seen) && !found.contains_key(*number)
        });
        let missing: Vec<String> = known.map(|(number, _)| number.clone()).take(MISSING_MAX).collect();
        let mut lost = Vec::new();
        for number in missing {
            match self.by_number(kind, &number).await? {
                // Its date was moved out of the window.
                Some(read) => drop(found.insert(number, read)),
                None => lost.push(number),
            }
        }
        let mut documents = Vec::new();
        for number in lost {
            if let Some(seen) = memory.seen.get_mut(&number) {
                let revision = seen.next_revision(day_ms);
                documents.extend(gone(&number, seen, 0, revision));
                *seen = Seen { date: seen.date.clone(), revision, ..Seen::default() };
            }
        }
        let mut found: Vec<(String, Read)> = found.into_iter().collect();
        found.sort_by_key(|(_, read)| read.date);
        for (number, read) in found {
            documents.extend(take(&mut memory, number, read, window.next, day_ms));
        }
        // What the next poll does not read again is not remembered.
        let back = i64::try_from(self.client.settings.poll_days).unwrap_or(i64::MAX).min(36_500);
        if let Ok(oldest) = window.next.checked_sub(back.days()) {
            memory.seen.retain(|_, seen| seen.date.parse::<Date>().is_ok_and(|date| date >= oldest));
        }
        memory.next = window.next.to_string();
        Ok(Polled { documents, cursor: memory.text(), more: window.end.is_some() })
    }
}
