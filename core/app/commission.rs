//! What commission is due on in a month, payment by payment and in all by salesperson: the file that payroll takes.

use crate::statements::{Books, Failed};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tongbao_delivery::port::{LedgerEntry, Store};
use tongbao_model::{Exact, Month, Text, decimal};
use tongbao_paper::csv::{MARK, guarded};
use tongbao_recon::statement::{Question, Release, money};

/// Contracts read at once.
const PAGE: u64 = 1_000;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Code of the salesperson, as the contract names one.
    pub salesperson: Option<String>,
    /// Code of the customer.
    pub customer: String,
    /// What was released, or taken back.
    #[serde(flatten)]
    pub release: Release,
}

/// All that is due of a salesperson in a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Code of the salesperson.
    pub salesperson: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// Bases together.
    pub base: Exact,
}

/// A month's commission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Due {
    /// Which month.
    pub month: Month,
    /// By salesperson, then day.
    pub lines: Vec<Line>,
    /// By salesperson.
    pub sums: Vec<Sum>,
}

/// Who sells what: salespersons by contract, and all customers.
#[derive(Default)]
struct Sellers {
    customers: BTreeSet<String>,
    by_contract: HashMap<String, String>,
}

/// What commission is due on in a month.
///
/// # Errors
/// What the database said; amounts out of range.
pub async fn due(store: &dyn Store, month: Month, now_ms: i64) -> Result<Due, Failed> {
    let sellers = sellers(store).await?;
    let mut lines = Vec::new();
    for customer in &sellers.customers {
        let question = Question { customer, month, as_of_ms: now_ms, credit_days: 0 };
        let releases = Books::load(store, customer).await?.releases(question).map_err(Failed::Told)?;
        lines.extend(releases.into_iter().map(|release| Line {
            salesperson: sellers.by_contract.get(&release.contract).cloned(),
            customer: customer.clone(),
            release,
        }));
    }
    lines.sort_by(|a, b| {
        let key = |line: &Line| (line.salesperson.clone(), line.release.day, line.release.contract.clone());
        key(a).cmp(&key(b))
    });
    Ok(Due { month, sums: sums(&lines).map_err(Failed::Told)?, lines })
}

async fn sellers(store: &dyn Store) -> Result<Sellers, Failed> {
    let mut sellers = Sellers::default();
    let mut after = None;
    loop {
        let page = store.accounts(after, PAGE).await?;
        for entry in page.entries.into_iter().filter(|entry| entry.kind == LedgerEntry::ORDERED) {
            let facts: Value = serde_json::from_str(&entry.facts).unwrap_or_default();
            if let Some(code) = facts.get("salesperson").and_then(Value::as_str) {
                sellers.by_contract.insert(entry.contract, code.to_owned());
            }
            sellers.customers.extend(entry.customer);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(sellers),
        }
    }
}

fn sums(lines: &[Line]) -> Result<Vec<Sum>, Text> {
    let mut sums: BTreeMap<(Option<String>, &str), Decimal> = BTreeMap::new();
    for line in lines {
        let sum = sums.entry((line.salesperson.clone(), &line.release.currency)).or_default();
        *sum = decimal::add(*sum, line.release.base.0)
            .ok_or_else(|| Text::new("合计超出范围", "the sums leave the range of exact arithmetic"))?;
    }
    let sum = |((salesperson, currency), base): ((Option<String>, &str), Decimal)| Sum {
        salesperson,
        currency: currency.to_owned(),
        base: money(base),
    };
    Ok(sums.into_iter().map(sum).collect())
}

impl Due {
    /// As CSV: UTF-8 with a byte order mark, one line a release, sums left to who reads it.
    pub fn csv(&self) -> Vec<u8> {
        let mut writer =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(MARK.as_bytes().to_vec());
        let head = [
            "业务员 salesperson",
            "客户 customer",
            "合同 contract",
            "收款 payment",
            "收款日 day",
            "币别 currency",
            "提成基数 base",
            "说明 note",
        ];
        // Written to memory: there is nothing that could fail.
        let _ = writer.write_record(head);
        for line in &self.lines {
            let one = &line.release;
            let texts = [
                line.salesperson.as_deref().unwrap_or_default(),
                &line.customer,
                &one.contract,
                &one.payment,
            ];
            let mut row: Vec<String> = texts.iter().map(|text| guarded(text).into_owned()).collect();
            let note = if one.is_adjustment { "已结账月份的调整 adjustment" } else { "" };
            row.extend([one.day.to_string(), one.currency.clone(), one.base.to_string(), note.to_owned()]);
            let _ = writer.write_record(&row);
        }
        writer.into_inner().unwrap_or_default()
    }
}
