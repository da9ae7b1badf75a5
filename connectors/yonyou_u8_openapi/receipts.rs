//! Receipts in: `acceptlist` for the headers of a window of days that is read again each time, `accept/get` for the rows.

use super::client::OpenClient;
use super::documents::RECEIPT;
use super::memory::{Memory, Seen};
use super::reply::strange;
use super::wire::{amount, lines, text};
use async_trait::async_trait;
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use tongbao_connect::{Decoded, Failure, Inbound, Incoming, Polled, Source};
use tongbao_model::{Code, Fault, china};

/// Days of history that one poll reads beyond the window.
const STRIDE_DAYS: i64 = 31;

/// New or changed receipts whose rows one poll reads; the others follow at once with the next.
const READ_MAX: usize = 100;

/// Receipts that look unchanged in the list and whose rows one poll reads all the same, each in its turn.
const TURN: usize = 10;

/// Missing receipts that one poll asks for by number before it calls them gone; the others follow with the next.
const MISSING_MAX: usize = 20;

type Members = Map<String, Value>;

/// Reads receipts.
pub struct Receipts {
    client: Arc<OpenClient>,
}

/// The days a poll reads: from the first, up to the second where it is not the last poll for now.
struct Window {
    start: Date,
    end: Option<Date>,
    next: Date,
}

impl Window {
    fn holds(&self, date: Date) -> bool {
        date >= self.start && self.end.is_none_or(|end| date < end)
    }
}

impl Receipts {
    pub fn new(client: Arc<OpenClient>) -> Self {
        Receipts { client }
    }

    fn back(&self) -> i64 {
        i64::try_from(self.client.settings.poll_days).unwrap_or(i64::MAX).min(36_500)
    }

    /// The window after a memory. Days are China's, as the server's are.
    fn window(&self, memory: &Memory) -> Result<Window, Failure> {
        let range =
            || Failure::new(Fault::new(Code::TargetMisconfigured, "日期超出范围", "a date is out of range"));
        let back = |from: Date| from.checked_sub(self.back().days()).map_err(|_| range());
        let today = china::day(self.client.context.now_ms()).ok_or_else(range)?;
        let since = self.client.settings.poll_since.as_deref().and_then(|day| day.parse::<Date>().ok());
        let start = match (memory.next.parse::<Date>(), since) {
            (Ok(next), _) => back(next.min(today))?,
            (Err(_), Some(since)) => since,
            (Err(_), None) => back(today)?,
        };
        let end = start.checked_add((self.back() + STRIDE_DAYS).days()).map_err(|_| range())?;
        let is_last = end > today;
        Ok(Window { start, end: (!is_last).then_some(end), next: if is_last { today } else { end } })
    }

    /// The receipts of a window as the list has them, by number.
    async fn listed(&self, window: &Window) -> Result<BTreeMap<String, Members>, Failure> {
        let filters = self.client.days(window.start.to_string(), window.end.map(|end| end.to_string()));
        let mut listed = BTreeMap::new();
        for row in self.client.list("acceptlist", &filters).await? {
            // A date that cannot be read keeps its receipt: the mapping says what is wrong with it.
            let is_inside = day(&row).is_none_or(|date| window.holds(date));
            if self.is_wanted(&row) && is_inside {
                let number = text(&row, "vouchcode");
                if number.is_empty() {
                    return Err(strange().of_question());
                }
                listed.insert(number, row);
            }
        }
        Ok(listed)
    }

    /// Customers' receipts, approved ones only where the settings ask for that.
    fn is_wanted(&self, receipt: &Members) -> bool {
        matches!(text(receipt, "vouchtype").as_str(), "48" | "")
            && matches!(text(receipt, "flag").as_str(), "AR" | "")
            && (!self.client.settings.poll_verified || !text(receipt, "verifier").is_empty())
    }

    /// A receipt with its rows. The list may hold them already.
    async fn whole(&self, number: &str, listed: Option<&Members>) -> Result<Option<Members>, Failure> {
        if let Some(row) = listed.filter(|row| !lines(row).is_empty()) {
            return Ok(Some(row.clone()));
        }
        let found = self.client.get(RECEIPT, number).await?;
        Ok(found.filter(|found| text(found, "vouchcode") == number && self.is_wanted(found)))
    }

    async fn step(&self, mut memory: Memory) -> Result<Polled, Failure> {
        let window = self.window(&memory)?;
        let day_ms = start_of_day(window.next);
        let listed = self.listed(&window).await?;
        let is_changed = |(number, row): &(&String, &Members)| {
            memory.seen.get(*number).is_none_or(|seen| seen.listed != hash(row))
        };
        let mut changed: Vec<(&String, &Members)> = listed.iter().filter(is_changed).collect();
        changed.sort_by_key(|(_, row)| day(row));
        let is_cut = changed.len() > READ_MAX;
        changed.truncate(READ_MAX);
        let known =
            |number: &&String| memory.seen.get(*number).is_some_and(|seen| !seen.rows_hash.is_empty());
        let steady: Vec<&String> = listed.keys().filter(known).collect();
        let turn = memory.in_turn(&steady, TURN);
        let turn: Vec<&String> =
            turn.into_iter().filter(|number| !changed.iter().any(|(other, _)| other == number)).collect();
        let was_inside = |seen: &Seen| seen.date.parse::<Date>().is_ok_and(|date| window.holds(date));
        let missing = memory.seen.iter().filter(|(number, seen)| {
            !seen.rows_hash.is_empty() && was_inside(seen) && !listed.contains_key(*number)
        });
        let missing: Vec<String> = missing.map(|(number, _)| number.clone()).take(MISSING_MAX).collect();
        let mut documents = Vec::new();
        for number in &missing {
            match self.whole(number, None).await? {
                // Its date was moved out of the window.
                Some(read) => documents.extend(take(&mut memory, number, "", &read, window.next, day_ms)),
                None => documents.extend(lose(&mut memory, number, day_ms)),
            }
        }
        let next_turn = turn.last().map(|number| (*number).clone());
        let again = turn.into_iter().filter_map(|number| Some((number, listed.get(number)?)));
        let due: Vec<(&String, &Members)> = changed.into_iter().chain(again).collect();
        for (number, row) in due {
            // Listed and not given: seen again, for its line in the list is not remembered.
            if let Some(read) = self.whole(number, Some(row)).await? {
                documents.extend(take(&mut memory, number, &hash(row), &read, window.next, day_ms));
            }
        }
        memory.turn = next_turn.unwrap_or(memory.turn);
        if !is_cut {
            // What the next poll does not read again is not remembered.
            if let Ok(oldest) = window.next.checked_sub(self.back().days()) {
                memory.seen.retain(|_, seen| seen.date.parse::<Date>().is_ok_and(|date| date >= oldest));
            }
            memory.next = window.next.to_string();
        }
        Ok(Polled { documents, cursor: memory.text(), more: is_cut || window.end.is_some() })
    }
}

fn day(receipt: &Members) -> Option<Date> {
    text(receipt, "vouchdate").get(..10)?.replace('/', "-").parse().ok()
}

/// The rows of a receipt as documents, without revision. What a row does not say itself its header says.
fn rows(receipt: &Members) -> Vec<Members> {
    let stated = text(receipt, "vouchdate");
    let time = day(receipt).map_or(stated, |date| format!("{date}T00:00:00"));
    let entries = lines(receipt);
    let entries = if entries.is_empty() { vec![receipt] } else { entries };
    let shared = ["vouchcode", "vouchtype", "foreigncurrency", "balancecode", "notecode", "digest"];
    let row = |(index, entry): (usize, &Members)| {
        let own = |tag: &str| {
            Some(text(entry, tag)).filter(|own| !own.is_empty()).unwrap_or_else(|| text(receipt, tag))
        };
        // An amount is told in plain digits; one that is none is told as it came, and the mapping refuses it.
        let money = |tag: &str| {
            let told = text(entry, tag);
            amount(&told).map_or(told, |amount| amount.to_string())
        };
        let texts = shared.map(|tag| (tag, text(receipt, tag))).into_iter();
        let texts = texts.chain(["type", "customercode", "orderid"].map(|tag| (tag, own(tag))));
        let texts = texts.chain(["originalamount", "amount"].map(|tag| (tag, money(tag))));
        let mut row: Members = texts
            .filter(|(_, text)| !text.is_empty())
            .map(|(tag, text)| (tag.to_owned(), Value::String(text)))
            .collect();
        row.insert("row".into(), (index + 1).to_string().into());
        row.insert("vouchdate".into(), time.clone().into());
        row
    };
    entries.into_iter().enumerate().map(row).collect()
}

/// Milliseconds since 1970 at the start of a day in China, from which revisions count: a poll that is repeated from the same
/// cursor tells the same.
fn start_of_day(day: Date) -> i64 {
    china::begin_ms(day).unwrap_or(0)
}

fn hash(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    hex::encode(Sha256::digest(text.as_bytes())).chars().take(16).collect()
}

fn incoming(mut row: Members, revision: i64, state: &str) -> Incoming {
    row.insert("revision".into(), revision.into());
    row.insert("state".into(), state.into());
    Incoming { kind: RECEIPT.into(), document: Value::Object(row).into() }
}

/// Rows that were told and are no longer there, from the one after `kept`.
fn gone(number: &str, before: &Seen, kept: usize, revision: i64) -> Vec<Incoming> {
    let row = |(index, (order, amount)): (usize, &(String, String))| {
        let texts = [
            ("vouchcode", number.to_owned()),
            ("row", (index + 1).to_string()),
            ("vouchdate", format!("{}T00:00:00", before.date)),
            ("foreigncurrency", before.currency.clone()),
            ("orderid", order.clone()),
            ("originalamount", amount.clone()),
        ];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        incoming(texts.map(|(tag, text)| (tag.to_owned(), Value::String(text))).collect(), revision, "gone")
    };
    before.rows.iter().enumerate().skip(kept).map(row).collect()
}

fn next_revision(before: &Seen, day_ms: i64) -> i64 {
    day_ms.max(before.revision.saturating_add(1))
}

/// Takes a receipt into the memory; the documents that are news.
fn take(
    memory: &mut Memory,
    number: &str,
    listed: &str,
    receipt: &Members,
    fallback: Date,
    day_ms: i64,
) -> Vec<Incoming> {
    let rows = rows(receipt);
    let (date, fresh) = (day(receipt).unwrap_or(fallback).to_string(), hash(&rows));
    let before = memory.seen.remove(number).unwrap_or_default();
    let is_news = before.rows_hash != fresh;
    let revision = if is_news { next_revision(&before, day_ms) } else { before.revision };
    let seen = Seen {
        date,
        listed: listed.to_owned(),
        rows_hash: fresh,
        revision,
        currency: text(receipt, "foreigncurrency"),
        rows: rows.iter().map(|row| (text(row, "orderid"), text(row, "originalamount"))).collect(),
    };
    memory.seen.insert(number.to_owned(), seen);
    if !is_news {
        return Vec::new();
    }
    let mut news = gone(number, &before, rows.len(), revision);
    news.extend(rows.into_iter().map(|row| incoming(row, revision, "standing")));
    news
}

/// Takes note that a receipt is gone; what takes back what was told of it.
fn lose(memory: &mut Memory, number: &str, day_ms: i64) -> Vec<Incoming> {
    let Some(seen) = memory.seen.get_mut(number) else { return Vec::new() };
    let revision = next_revision(seen, day_ms);
    let documents = gone(number, seen, 0, revision);
    *seen = Seen { date: seen.date.clone(), revision, ..Seen::default() };
    documents
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
        let wrong =
            |zh: String, en: String| Failure::new(Fault::new(Code::TargetMisconfigured, zh, en).at("polls"));
        if stream != RECEIPT {
            return Err(wrong(
                format!("不支持轮询 {stream}，只支持 {RECEIPT}"),
                format!("{stream} cannot be polled, only {RECEIPT}"),
            ));
        }
        let memory = match cursor.filter(|cursor| !cursor.is_empty()) {
            None => Memory::default(),
            // Beginning anew by itself would tell everything again under new revisions.
            Some(cursor) => Memory::read(cursor).ok_or_else(|| {
                wrong(
                    "轮询位置无法读取，它不是本连接器写下的".to_owned(),
                    "the poll's cursor cannot be read: another connector wrote it".to_owned(),
                )
            })?,
        };
        self.step(memory).await
    }
}
