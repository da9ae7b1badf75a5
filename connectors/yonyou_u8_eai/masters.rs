//! Customers and materials by `proc="query"`, each archive in one answer.
//!
//! An answer has no order that is told, so it cannot be asked for in parts; one as long as `archive_items_max` is taken
//! as cut off. Stock is not offered: of all EAI documents none holds it, and `SQLEXE`, which could ask the database, would
//! let whoever knows our sender's code read everything.

use super::client::EaiClient;
use super::documents::{self, Kind, Layout, Stamp, TotalIn};
use super::reply::strange;
use super::wire;
use async_trait::async_trait;
use jiff::civil::Date;
use std::sync::Arc;
use tongbao_connect::masters::not_offered;
use tongbao_connect::xml::Element;
use tongbao_connect::{Failure, Master, MasterKind, MasterPage, Masters, Offers, Stock, StockQuery};
use tongbao_model::{Code, Fault, china};

/// Materials: of all archives the only one with a header and a body.
const INVENTORY: Kind = Kind {
    name: "inventory",
    number: "code",
    column: "cInvCode",
    is_short: false,
    layout: Layout::Entries { head: "header", body: "body" },
    stamp: Stamp::None,
    total: TotalIn::Nowhere,
    currency: "",
    date: "",
};

/// Reads archives.
pub struct Archives {
    client: Arc<EaiClient>,
}

impl Archives {
    pub fn new(client: Arc<EaiClient>) -> Self {
        Archives { client }
    }
}

/// A row of an archive. `None`: it has no code.
fn row(kind: MasterKind, head: &Element, today: Option<Date>) -> Option<Master> {
    let of = |tag: &str| head.text_of(tag).unwrap_or_default();
    let code = Some(of("code")).filter(|code| !code.is_empty())?;
    let ends = of("end_date").get(..10).and_then(|day| day.replace('/', "-").parse::<Date>().ok());
    let row = Master {
        id: code.clone(),
        code,
        name: of("name"),
        disabled: ends.zip(today).is_some_and(|(end, today)| end <= today),
        ..Master::default()
    };
    Some(match kind {
        MasterKind::Customers => Master { short_name: of("abbrname"), tax_number: of("tax_reg_code"), ..row },
        MasterKind::Materials => Master { specification: of("specs"), unit: of("main_measure"), ..row },
    })
}

fn cut_off(name: &str) -> Failure {
    let fault = Fault::new(
        Code::TargetMisconfigured,
        format!("{name} 不少于 archive_items_max 行，答复可能被截断"),
        format!("`{name}` has `archive_items_max` rows or more: the answer may be cut off"),
    );
    let (zh, en) = ("提高 archive_items_max。", "Raise `archive_items_max`.");
    Failure::new(fault.at("archive_items_max").remedy(zh, en))
}

#[async_trait]
impl Masters for Archives {
    fn offers(&self) -> Offers {
        Offers { lists: &MasterKind::ALL, stock: false }
    }

    async fn page(&self, kind: MasterKind, token: Option<&str>) -> Result<MasterPage, Failure> {
        let archive = match kind {
            MasterKind::Customers => documents::kind("customer").ok_or_else(|| not_offered("customer"))?,
            MasterKind::Materials => &INVENTORY,
        };
        if token.is_some() {
            return Err(not_offered("page"));
        }
        let max = self.client.settings.archive_items_max;
        let (found, is_full) = self.client.query_at_most(archive, &[], max).await?;
        if is_full {
            return Err(cut_off(archive.name));
        }
        let today = china::day(self.client.context.now_ms());
        let rows = found.iter().map(|one| row(kind, wire::header(archive, one)?, today));
        let rows: Option<Vec<Master>> = rows.collect();
        Ok(MasterPage { rows: rows.ok_or_else(|| strange("code", "").of_question())?, next: None })
    }

    async fn stock(&self, _: &StockQuery) -> Result<Stock, Failure> {
        Err(not_offered("stock"))
    }
}
