//! Master data of ERPs: which of their codes is meant by each of ours, proposed and confirmed; and what is in stock.

pub mod confirm;
pub mod gather;
pub mod stock;

use crate::commands::tables::code_of;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tongbao_connect::masters::read_all;
use tongbao_connect::{Failure, Master, MasterKind, Masters};
use tongbao_delivery::Holds;
use tongbao_delivery::port::{Hold, Store, StoreError};
use tongbao_model::{Code, Fault, Text};
use tongbao_recon::codes::{Proposal, Theirs, Verdict, propose};

/// How long reading a list may take.
const READ_MAX: Duration = Duration::from_secs(300);

/// Proposals that the service remembers, for whoever confirms them.
const KEPT: usize = 4;

/// Why a question has no answer.
#[derive(Debug, Clone)]
pub struct Refused {
    /// HTTP status that says the same.
    pub status: u16,
    /// In words.
    pub text: Text,
    /// Seconds after which it may be asked again.
    pub retry_after_s: Option<u64>,
}

impl Refused {
    /// With a status.
    pub fn new(status: u16, zh: impl Into<String>, en: impl Into<String>) -> Refused {
        Refused { status, text: Text::new(zh, en), retry_after_s: None }
    }

    fn of_failure(failure: &Failure) -> Refused {
        let (message, remedy) = (&failure.fault.message, &failure.fault.remedy);
        let text = |message: &str, remedy: &str| format!("[{}] {message} → {remedy}", failure.fault.code);
        let status = match failure.fault.code {
            Code::TargetThrottled | Code::TargetLocked => 429,
            _ => 502,
        };
        Refused::new(status, text(&message.zh, &remedy.zh), text(&message.en, &remedy.en))
    }

    fn of_store(error: &StoreError) -> Refused {
        Refused::new(503, format!("数据库：{error}"), format!("database: {error}"))
    }
}

/// Proposals for a table, as they were made.
#[derive(Debug, Clone, Serialize)]
pub struct Proposals {
    /// Which they are; goes into the notes of confirmed rows.
    pub proposal: String,
    /// Table.
    pub table: String,
    /// Connection whose ERP was read.
    pub connection: String,
    /// Revision of the code tables they were made at.
    pub revision: i64,
    /// One for each code that has no row yet.
    pub proposals: Vec<Proposal>,
    /// All rows of the ERP that may be used, by code.
    pub erp: Vec<Theirs>,
}

impl Proposals {
    /// How many there are of each verdict: pairs, ties, conflicts, codes with nothing.
    pub fn counts(&self) -> [usize; 4] {
        let mut counts = [0; 4];
        for proposal in &self.proposals {
            let at = match proposal.verdict {
                Verdict::Pair { .. } => 0,
                Verdict::Tie { .. } => 1,
                Verdict::Conflict { .. } => 2,
                Verdict::Nothing { .. } => 3,
            };
            if let Some(count) = counts.get_mut(at) {
                *count += 1;
            }
        }
        counts
    }

    /// Codes that rows may be confirmed with.
    pub fn targets(&self) -> BTreeSet<String> {
        self.erp.iter().map(|row| row.code.clone()).collect()
    }
}

/// What is to be proposed.
pub struct Wanted<'a> {
    /// Table.
    pub table: &'a str,
    /// Connection.
    pub connection: &'a str,
    /// List; by the table's name where it is not said.
    pub list: Option<&'a str>,
    /// Name of these proposals.
    pub name: String,
}

/// The list that fills a table: the one that is named, or the one of the table's name.
fn list(wanted: &Wanted<'_>) -> Result<MasterKind, Refused> {
    let name = wanted.list.unwrap_or(wanted.table);
    MasterKind::from_name(name).ok_or_else(|| {
        Refused::new(
            400,
            format!("表 {} 对应哪个清单？请用 list 指明 customers 或 materials", wanted.table),
            format!("which list fills the table `{}`? Say `list`: customers or materials", wanted.table),
        )
    })
}

/// Reads the ERP and proposes.
///
/// # Errors
/// No such list, the ERP did not answer in whole, or the database did not.
pub async fn proposals(
    store: &dyn Store,
    masters: &dyn Masters,
    wanted: Wanted<'_>,
) -> Result<Proposals, Refused> {
    let kind = list(&wanted)?;
    if !masters.offers().lists.contains(&kind) {
        return Err(not_offered(wanted.connection, kind.name()));
    }
    let revision = store.tables_revision().await.map_err(|error| Refused::of_store(&error))?;
    let rows = store.table_rows(Some(wanted.table)).await.map_err(|error| Refused::of_store(&error))?;
    let known: BTreeSet<String> = rows.iter().map(|row| code_of(&row.source).to_owned()).collect();
    let ours = gather::ours(store, wanted.table, kind).await.map_err(|error| Refused::of_store(&error))?;
    let read = tokio::time::timeout(READ_MAX, read_all(masters, kind)).await;
    let read = read.map_err(|_| too_long())?.map_err(|failure| Refused::of_failure(&failure))?;
    let theirs: Vec<Theirs> = read.into_iter().map(of_master).collect();
    let proposals = propose(&ours, &theirs, &known);
    let usable = theirs.into_iter().filter(|row| !row.disabled);
    let erp: BTreeMap<String, Theirs> = usable.map(|row| (row.code.clone(), row)).collect();
    Ok(Proposals {
        proposal: wanted.name,
        table: wanted.table.to_owned(),
        connection: wanted.connection.to_owned(),
        revision,
        proposals,
        erp: erp.into_values().collect(),
    })
}

fn of_master(row: Master) -> Theirs {
    Theirs {
        code: row.code,
        name: row.name,
        tax_number: row.tax_number,
        specification: row.specification,
        disabled: row.disabled,
    }
}

fn too_long() -> Refused {
    let (zh, en) = ("ERP 未在时限内答复", "the ERP did not answer in time");
    Refused { retry_after_s: Some(30), ..Refused::new(504, zh, en) }
}

/// The refusal of what a connection does not offer.
pub fn not_offered(connection: &str, what: &str) -> Refused {
    Refused::new(
        404,
        format!("连接 {connection} 不提供 {what}（见其连接器的 README）"),
        format!("the connection `{connection}` does not offer `{what}` (see its connector's README)"),
    )
}

/// The refusal of a connection that is not there, or reads no master data.
pub fn no_masters(connection: &str, known: &[String]) -> Refused {
    let known = known.join(", ");
    Refused::new(
        404,
        format!("连接 {connection} 不能读取基础资料与库存；可用：{known}"),
        format!("`{connection}` reads no master data and no stock; those that do: {known}"),
    )
}

/// The refusal of a connection that is paused: it gets no calls of any kind.
pub fn paused(connection: &str, hold: &Hold) -> Refused {
    Refused::new(
        409,
        format!("连接 {connection} 已由 {} 暂停：{}", hold.who, hold.why),
        format!("the connection `{connection}` is paused by {}: {}", hold.who, hold.why),
    )
}

/// Whether a connection may be called, by the store's word.
///
/// # Errors
/// It is paused, or the database does not answer.
pub async fn may_call(store: &dyn Store, connection: &str) -> Result<(), Refused> {
    let holds = store.holds(i64::MAX).await.map_err(|error| Refused::of_store(&error))?;
    Holds::new(holds).connection(connection).map_or(Ok(()), |hold| Err(paused(connection, hold)))
}

/// What the service reads master data with.
pub struct Desk {
    lines: HashMap<String, stock::Line>,
    kept: Mutex<VecDeque<Arc<Proposals>>>,
}

impl Desk {
    /// Of the connections that read master data.
    pub fn new(masters: impl IntoIterator<Item = (String, Arc<dyn Masters>)>) -> Desk {
        let lines = masters.into_iter().map(|(name, masters)| (name, stock::Line::new(masters))).collect();
        Desk { lines, kept: Mutex::default() }
    }

    /// The line to a connection.
    ///
    /// # Errors
    /// There is none; what there is.
    pub fn line(&self, connection: &str) -> Result<&stock::Line, Refused> {
        self.lines.get(connection).ok_or_else(|| {
            let mut known: Vec<String> = self.lines.keys().cloned().collect();
            known.sort();
            no_masters(connection, &known)
        })
    }

    /// Remembers proposals; the oldest are forgotten.
    pub fn keep(&self, proposals: Arc<Proposals>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(proposals);
        while kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// Proposals that are still remembered.
    pub fn kept(&self, name: &str) -> Option<Arc<Proposals>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|one| one.proposal == name).cloned()
    }
}

/// A quantity as it is shown: exact, without zeros that say nothing.
pub fn shown(quantity: Decimal) -> String {
    quantity.normalize().to_string()
}

/// A fault of a file or a body, for programs.
pub fn refused_json(refused: &Refused) -> Value {
    json!({"error": refused.text.to_string(), "zh": refused.text.zh, "en": refused.text.en})
}

/// The fault of a code that a table does not have, with the way to it.
pub fn miss(table: &str, code: &str, connection: &str) -> Refused {
    let fault = Fault::new(
        Code::CodeTableMiss,
        format!("对照表 {table} 中没有编码 {code}"),
        format!("the code table `{table}` has no row for `{code}`"),
    );
    let zh = format!(
        "[{}] {} → 运行 tongbao tables propose {table} --connection {connection} 并确认，或用 tongbao tables import 补上",
        fault.code, fault.message.zh
    );
    let en = format!(
        "[{}] {} → run `tongbao tables propose {table} --connection {connection}` and confirm, or add it by `tongbao \
         tables import`",
        fault.code, fault.message.en
    );
    Refused::new(422, zh, en)
}
