//! Behaviours of master data and stock: read whole and once, or not at all; exact; never an empty answer out of a bad one.

use super::bench::{Bench, Check, Connection, Stage, Variant, said};
use super::port::{Listed, Trouble};
use super::profile::{MasterLists, StockOn};
use super::troubles;
use crate::masters::{MasterKind, StockQuery, read_all};
use crate::{Failure, Master, Masters};
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::sync::Arc;
use tongbao_model::Class;

/// Rows put into a list: more than a page of the profile's small ones.
const ROWS: usize = 7;

/// Of these, the one that no document may name.
const DISABLED: usize = 3;

fn lists<'a>(bench: &'a Bench<'_>) -> Result<&'a MasterLists, String> {
    let lists = bench.profile.masters.get().ok_or("the profile has no `masters`")?;
    if lists.lists.is_empty() {
        return Err("the profile's `masters` has no list".into());
    }
    Ok(lists)
}

fn stock_of<'a>(bench: &'a Bench<'_>) -> Result<&'a StockOn, String> {
    lists(bench)?.stock.get().ok_or_else(|| "the profile's `masters` has no `stock`".into())
}

/// A stand-in with rows in a list, and a connection with small pages.
async fn filled(bench: &Bench<'_>, kind: MasterKind) -> Result<Stage, String> {
    let stage = bench.stage_with(Variant { settings: lists(bench)?.small, ..Variant::default() }).await?;
    for nth in 0..ROWS {
        stage.stand_in.add_master(kind.name(), &format!("KIT-{nth}"), nth == DISABLED)?;
    }
    Ok(stage)
}

fn listed(rows: &[Master]) -> Vec<Listed> {
    let mut listed: Vec<Listed> =
        rows.iter().map(|row| Listed { code: row.code.clone(), disabled: row.disabled }).collect();
    listed.sort();
    listed
}

fn standing(stage: &Stage, kind: MasterKind) -> Result<Vec<Listed>, String> {
    let mut listed = stage.stand_in.masters(kind.name())?;
    listed.sort();
    Ok(listed)
}

/// Every list is read to its end: each row once, with what it is; in more than one page where it comes in pages.
pub async fn whole(bench: &Bench<'_>) -> Check {
    let lists = lists(bench)?;
    for (kind, operation) in lists.lists {
        let stage = filled(bench, *kind).await?;
        let before = stage.stand_in.calls(operation);
        let rows = stage.connection.read_all(*kind).await?.map_err(|failure| said(&failure))?;
        let calls = stage.stand_in.calls(operation).saturating_sub(before);
        if listed(&rows) != standing(&stage, *kind)? {
            return Err(format!(
                "{}: read are {:?}, there are {:?}",
                kind.name(),
                listed(&rows),
                standing(&stage, *kind)?
            ));
        }
        if rows.iter().any(|row| row.id.is_empty() || row.name.trim().is_empty()) {
            return Err(format!("{}: a row has no id or no name", kind.name()));
        }
        if calls < if lists.small.is_some() { 2 } else { 1 } {
            return Err(format!("{operation}: {calls} calls for {} rows", rows.len()));
        }
    }
    Ok(in_one(lists))
}

fn in_one(lists: &MasterLists) -> Option<String> {
    lists.small.is_none().then(|| "一次答复给出全部 / comes in one answer".to_owned())
}

/// Rows that come and go between two pages: the others are read once each, or the reading fails as one to be repeated.
pub async fn moved(bench: &Bench<'_>) -> Check {
    let lists = lists(bench)?;
    if lists.small.is_none() {
        return Ok(in_one(lists));
    }
    for (kind, _) in lists.lists {
        for (what, change) in [("a new row", true), ("a row gone", false)] {
            let stage = filled(bench, *kind).await?;
            let connection = &stage.connection;
            let masters = connection.masters()?;
            let page = |token: Option<String>| connection.page(&masters, *kind, token);
            let first = page(None).await?.map_err(|failure| said(&failure))?;
            let code = first.rows.first().map(|row| row.code.clone()).ok_or("the first page is empty")?;
            if change {
                stage.stand_in.add_master(kind.name(), "KIT-NEW", false)?;
            } else {
                stage.stand_in.drop_master(kind.name(), &code)?;
            }
            let (mut rows, mut next) = (first.rows, first.next);
            let mut failed = None;
            while let (Some(token), None) = (next.take(), &failed) {
                match page(Some(token)).await? {
                    Ok(page) => {
                        rows.extend(page.rows);
                        next = page.next;
                    }
                    Err(failure) => failed = Some(failure),
                }
            }
            match failed {
                Some(failure) if failure.class == Class::Unavailable => {}
                Some(failure) => return Err(format!("{what} between two pages: {}", said(&failure))),
                // The new row may be read or not, the one that is gone was read.
                None => stays(&rows, &standing(&stage, *kind)?, &["KIT-NEW", &code])
                    .map_err(|why| format!("{}: {what} between two pages: {why}", kind.name()))?,
            }
        }
    }
    Ok(None)
}

/// Whether rows are what stands, each once, apart from those of some codes.
fn stays(rows: &[Master], standing: &[Listed], but: &[&str]) -> Result<(), String> {
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    // A repeat tells whoever reads the whole that it has moved; a hole tells nobody.
    if ids.len() < rows.len() {
        return Ok(());
    }
    let read: BTreeSet<&str> = rows.iter().map(|row| row.code.as_str()).collect();
    let missing = |row: &&Listed| !but.contains(&row.code.as_str()) && !read.contains(row.code.as_str());
    match standing.iter().find(missing) {
        None => Ok(()),
        Some(row) => Err(format!("{} is not read, and nothing says so", row.code)),
    }
}

/// A question without a readable answer fails, not as unknown, and is never an empty list; patience asked for is told.
pub async fn in_doubt(bench: &Bench<'_>) -> Check {
    for (kind, operation) in lists(bench)?.lists {
        let stage = filled(bench, *kind).await?;
        for trouble in troubles() {
            let name = format!("{operation}: {}", trouble.name());
            let is_throttled = trouble == Trouble::Throttled;
            let call = || stage.connection.read_all(*kind);
            let rows = stage.under(operation, trouble, call).await?.map(|rows| rows.len());
            judged(&name, rows, is_throttled)?;
        }
    }
    Ok(None)
}

/// The same of stock.
pub async fn stock_in_doubt(bench: &Bench<'_>) -> Check {
    let operation = stock_of(bench)?.operation;
    let stage = bench.stage().await?;
    stage.stand_in.add_stock("KIT-M", "KIT-W", Decimal::ONE, Decimal::ONE)?;
    for trouble in troubles() {
        let name = format!("{operation}: {}", trouble.name());
        let is_throttled = trouble == Trouble::Throttled;
        let call = || stage.connection.stock(asked("KIT-M", None));
        let rows = stage.under(operation, trouble, call).await?.map(|stock| stock.rows.len());
        judged(&name, rows, is_throttled)?;
    }
    Ok(None)
}

fn troubles() -> impl Iterator<Item = Trouble> {
    let garbled = troubles::answers_lost().into_iter().chain(troubles::answers_garbled());
    garbled.chain([Trouble::Oversize, Trouble::Throttled])
}

fn judged(name: &str, rows: Result<usize, Failure>, is_throttled: bool) -> Result<(), String> {
    match rows {
        Ok(rows) => Err(format!("{name}: it succeeds with {rows} rows, expected a failure")),
        Err(failure) if failure.class == Class::Unknown => Err(format!("{name}: a mere question is unknown")),
        Err(failure) if is_throttled && !matches!(failure.class, Class::Throttled(_)) => {
            Err(format!("{name}: expected throttled, got {}", said(&failure)))
        }
        Err(_) => Ok(()),
    }
}

fn asked(material: &str, warehouse: Option<&str>) -> StockQuery {
    StockQuery { materials: vec![material.into()], warehouse: warehouse.map(str::to_owned) }
}

/// Quantities are exact, added up over lots, and of the material and warehouse that were asked for.
pub async fn stock_exact(bench: &Bench<'_>) -> Check {
    stock_of(bench)?;
    let stage = bench.stage().await?;
    let number = |text: &str| Decimal::from_str_exact(text).map_err(|error| error.to_string());
    for (material, warehouse, on_hand, available) in [
        ("KIT-M", "KIT-W", "12345678.123456", "0.1"),
        ("KIT-M", "KIT-W", "0.100001", "0.2"),
        ("KIT-M", "KIT-V", "-3", "-3.5"),
        ("KIT-MM", "KIT-W", "7", "7"),
    ] {
        stage.stand_in.add_stock(material, warehouse, number(on_hand)?, number(available)?)?;
    }
    for (material, warehouse, expected) in [
        ("KIT-M", None, &[("KIT-V", "-3", "-3.5"), ("KIT-W", "12345678.223457", "0.3")][..]),
        ("KIT-M", Some("KIT-W"), &[("KIT-W", "12345678.223457", "0.3")]),
        ("KIT-M", Some("KIT-U"), &[]),
        ("KIT-NONE", None, &[]),
    ] {
        let told = stage.connection.stock(asked(material, warehouse)).await?;
        let told = told.map_err(|failure| said(&failure))?;
        let mut right = told.rows.len() == expected.len();
        for (row, (code, on_hand, available)) in told.rows.iter().zip(expected) {
            right &= row.material == material && row.warehouse == *code;
            right &= row.on_hand == number(on_hand)?;
            right &= row.available.is_none_or(|told| Ok(told) == number(available));
        }
        if !right {
            return Err(format!(
                "{material} in {warehouse:?}: told is {:?}, there is {expected:?}",
                told.rows
            ));
        }
        if told.as_of_ms <= 0 {
            return Err("the answer does not say when it was asked".into());
        }
    }
    Ok(None)
}

impl Connection {
    /// What reads master data.
    pub fn masters(&self) -> Result<Arc<dyn Masters>, String> {
        self.built.masters.clone().ok_or_else(|| "the connection reads no master data".into())
    }

    async fn page(
        &self,
        masters: &Arc<dyn Masters>,
        kind: MasterKind,
        token: Option<String>,
    ) -> Result<Result<crate::MasterPage, Failure>, String> {
        let masters = Arc::clone(masters);
        self.watched("page", async move { masters.page(kind, token.as_deref()).await }).await
    }

    async fn read_all(&self, kind: MasterKind) -> Result<Result<Vec<Master>, Failure>, String> {
        let masters = self.masters()?;
        self.watched("page", async move { read_all(masters.as_ref(), kind).await }).await
    }

    async fn stock(&self, query: StockQuery) -> Result<Result<crate::Stock, Failure>, String> {
        let masters = self.masters()?;
        self.watched("stock", async move { masters.stock(&query).await }).await
    }
}
