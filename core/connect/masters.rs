//! Master data of a system: who its customers and what its materials are, and what of these is in stock.
//!
//! Nothing here changes anything over there. Codes of rows are what documents name; names are what people compare by.

use crate::outcome::Failure;
use async_trait::async_trait;
use rust_decimal::Decimal;
use std::collections::HashSet;
use tongbao_model::{Code, Fault};

/// Most rows of one list that are read.
pub const ROWS_MAX: usize = 200_000;

/// A list of master data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MasterKind {
    /// Who buys.
    Customers,
    /// What is sold.
    Materials,
}

impl MasterKind {
    /// All of them.
    pub const ALL: [MasterKind; 2] = [MasterKind::Customers, MasterKind::Materials];

    /// Name in commands and answers.
    pub fn name(self) -> &'static str {
        match self {
            MasterKind::Customers => "customers",
            MasterKind::Materials => "materials",
        }
    }

    /// The list of a name.
    pub fn from_name(name: &str) -> Option<MasterKind> {
        MasterKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a connection can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offers {
    /// Lists that can be read.
    pub lists: &'static [MasterKind],
    /// Whether it says what is in stock.
    pub stock: bool,
}

/// A row of a list. What the system does not state is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Master {
    /// The system's own id of the row: one that comes twice was read twice. A code may stand in several rows, one for each
    /// organisation that uses it.
    pub id: String,
    /// Code that documents name.
    pub code: String,
    /// Name, as it is kept there.
    pub name: String,
    /// Short name.
    pub short_name: String,
    /// Tax number or unified social credit code, as it is kept there.
    pub tax_number: String,
    /// Specification or model.
    pub specification: String,
    /// Unit that quantities are counted in, by its code.
    pub unit: String,
    /// Forbidden, ended, or not approved yet: no new document may name it.
    pub disabled: bool,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MasterPage {
    /// Its rows.
    pub rows: Vec<Master>,
    /// Where the next one begins; `None` after the last.
    pub next: Option<String>,
}

/// What stock is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StockQuery {
    /// Codes of materials, at least one. Whoever asks bounds their number.
    pub materials: Vec<String>,
    /// Code of the one warehouse; all of them without.
    pub warehouse: Option<String>,
}

/// What is in stock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stock {
    /// One for each material, warehouse and unit, in this order. A material without any has none in stock.
    pub rows: Vec<StockRow>,
    /// Materials that the system does not have at all, where it can be asked for that.
    pub unknown: Vec<String>,
    /// When it was asked, in milliseconds since 1970 UTC: the quantities are not older.
    pub as_of_ms: i64,
}

/// Stock of a material in a warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StockRow {
    /// Code of the material.
    pub material: String,
    /// Code of the warehouse.
    pub warehouse: String,
    /// Its name.
    pub warehouse_name: String,
    /// Quantity on hand, in `unit`.
    pub on_hand: Decimal,
    /// What of it is not promised to anybody yet; `None` where the system does not say.
    pub available: Option<Decimal>,
    /// Unit, by its code; empty where the system does not say.
    pub unit: String,
}

/// Reads master data and stock. Every question may be repeated; one without a complete, readable answer is a failure
/// and never an empty answer.
#[async_trait]
pub trait Masters: Send + Sync {
    /// What it can be asked for.
    fn offers(&self) -> Offers;

    /// A page of a list; the first one without a token. Rows that come and go between two pages make it skip none that
    /// stays and repeat none, or it fails: a list with a hole in it looks like a whole one.
    ///
    /// # Errors
    /// A [`Failure`] that is never `Unknown`: nothing was changed.
    async fn page(&self, kind: MasterKind, token: Option<&str>) -> Result<MasterPage, Failure>;

    /// What is in stock. Quantities of the same material, warehouse and unit are added up exactly.
    ///
    /// # Errors
    /// A [`Failure`] that is never `Unknown`: nothing was changed.
    async fn stock(&self, query: &StockQuery) -> Result<Stock, Failure>;
}

/// Reads a list to its end.
///
/// # Errors
/// What a page came to; and a list that changed while it was read, does not end, or is longer than [`ROWS_MAX`].
pub async fn read_all(masters: &dyn Masters, kind: MasterKind) -> Result<Vec<Master>, Failure> {
    let (mut rows, mut seen, mut token) = (Vec::new(), HashSet::new(), None::<String>);
    loop {
        let page = masters.page(kind, token.as_deref()).await?;
        for row in page.rows {
            if !seen.insert(row.id.clone()) {
                return Err(moved(kind.name()));
            }
            rows.push(row);
        }
        if rows.len() > ROWS_MAX {
            let (zh, en) = (format!("超过 {ROWS_MAX} 行"), format!("more than {ROWS_MAX} rows"));
            return Err(Failure::new(Fault::new(Code::TargetMisconfigured, zh, en).at(kind.name())));
        }
        match page.next {
            None => return Ok(rows),
            // It would go round for ever.
            next if next == token => return Err(moved(kind.name())),
            next => token = next,
        }
    }
}

/// The failure of a list that changed while it was read.
pub fn moved(what: &str) -> Failure {
    Failure::new(
        Fault::new(
            Code::TargetUnavailable,
            format!("读取期间 {what} 有变动，请重新读取"),
            format!("`{what}` changed while it was read: read it again"),
        )
        .at(what),
    )
}

/// The failure of a question that a connection does not answer.
pub fn not_offered(what: &str) -> Failure {
    Failure::new(
        Fault::new(
            Code::TargetMisconfigured,
            format!("该连接不提供 {what}"),
            format!("this connection does not offer `{what}`"),
        )
        .at(what)
        .remedy(
            "在连接器的 README 中查看它提供什么，改问另一个连接。",
            "See in the connector's README what it offers, and ask another connection.",
        ),
    )
}

/// Adds up rows of the same material, warehouse and unit, and puts them in order. `None`: a sum does not fit.
pub fn add_up(rows: Vec<StockRow>) -> Option<Vec<StockRow>> {
    let mut sums: std::collections::BTreeMap<(String, String, String), StockRow> = Default::default();
    for row in rows {
        let key = (row.material.clone(), row.warehouse.clone(), row.unit.clone());
        match sums.get_mut(&key) {
            None => drop(sums.insert(key, row)),
            Some(sum) => {
                sum.on_hand = tongbao_model::decimal::add(sum.on_hand, row.on_hand)?;
                sum.available = match (sum.available, row.available) {
                    (Some(sum), Some(more)) => Some(tongbao_model::decimal::add(sum, more)?),
                    // Of a part nothing is known, so nothing is known of the whole.
                    (_, _) => None,
                };
            }
        }
    }
    Some(sums.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Pages by their token.
    struct Paged(Mutex<Vec<MasterPage>>);

    #[async_trait]
    impl Masters for Paged {
        fn offers(&self) -> Offers {
            Offers { lists: &[MasterKind::Customers], stock: false }
        }

        async fn page(&self, _: MasterKind, _: Option<&str>) -> Result<MasterPage, Failure> {
            Ok(self.0.lock().unwrap().remove(0))
        }

        async fn stock(&self, _: &StockQuery) -> Result<Stock, Failure> {
            Err(not_offered("stock"))
        }
    }

    fn page(ids: &[&str], next: Option<&str>) -> MasterPage {
        let row = |id: &&str| Master { id: (*id).into(), code: "C1".into(), ..Master::default() };
        MasterPage { rows: ids.iter().map(row).collect(), next: next.map(str::to_owned) }
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_end_or_fails() {
        let read = async |pages: Vec<MasterPage>| {
            read_all(&Paged(Mutex::new(pages)), MasterKind::Customers).await.map(|rows| rows.len())
        };
        let whole = vec![page(&["1", "2"], Some("2")), page(&["3"], Some("3")), page(&[], None)];
        assert_eq!(read(whole).await.unwrap(), 3);
        // A row that comes twice has pushed another one out of sight.
        let twice = vec![page(&["1", "2"], Some("2")), page(&["2", "3"], None)];
        assert_eq!(read(twice).await.unwrap_err().fault.code, Code::TargetUnavailable);
        let round = vec![page(&["1"], Some("2")), page(&["2"], Some("2")), page(&["3"], Some("2"))];
        assert_eq!(read(round).await.unwrap_err().fault.code, Code::TargetUnavailable);
    }

    #[test]
    fn stock_is_added_up_exactly() {
        let row = |warehouse: &str, on_hand: &str, available: Option<&str>| StockRow {
            material: "M".into(),
            warehouse: warehouse.into(),
            on_hand: on_hand.parse().unwrap(),
            available: available.map(|text| text.parse().unwrap()),
            ..StockRow::default()
        };
        let summed =
            add_up(vec![row("B", "1", None), row("A", "0.1", Some("0.1")), row("A", "0.2", Some("-0.05"))]);
        assert_eq!(summed, Some(vec![row("A", "0.3", Some("0.05")), row("B", "1", None)]));
        assert_eq!(add_up(vec![row("A", "1", Some("1")), row("A", "1", None)]).unwrap()[0].available, None);
    }
}
