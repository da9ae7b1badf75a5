//! A wrapper that makes one mistake with master data or stock.

use async_trait::async_trait;
use std::sync::Arc;
use tongbao_connect::masters::read_all;
use tongbao_connect::{Failure, MasterKind, MasterPage, Masters, Offers, Stock, StockQuery};

/// A mistake in what is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Read {
    /// The last row of each page is left out.
    PageCut,
    /// Whatever is forbidden looks usable.
    DisabledForgotten,
    /// Pages go by the number of the row: one that goes moves all behind it.
    ByRowNumber,
    /// What cannot be read is an empty list.
    EmptyInDoubt,
    /// What cannot be read is no stock.
    NoStockInDoubt,
    /// Two places are enough.
    StockRounded,
    /// The warehouse that was asked for is not looked at.
    WarehouseIgnored,
    /// A failure shows what it called with.
    SecretInFault,
}

/// Reads as the right one does, but for a mistake.
pub struct WrongMasters {
    pub right: Arc<dyn Masters>,
    pub mistake: Read,
}

/// Rows of a page by number.
const ROWS: usize = 3;

impl WrongMasters {
    async fn by_number(&self, kind: MasterKind, token: Option<&str>) -> Result<MasterPage, Failure> {
        let all = read_all(self.right.as_ref(), kind).await?;
        let start: usize = token.map_or(0, |token| token.parse().unwrap());
        let rows: Vec<_> = all.iter().skip(start).take(ROWS).cloned().collect();
        let next = start + ROWS;
        Ok(MasterPage { rows, next: (next < all.len()).then(|| next.to_string()) })
    }
}

#[async_trait]
impl Masters for WrongMasters {
    fn offers(&self) -> Offers {
        self.right.offers()
    }

    async fn page(&self, kind: MasterKind, token: Option<&str>) -> Result<MasterPage, Failure> {
        if self.mistake == Read::ByRowNumber {
            return self.by_number(kind, token).await;
        }
        let mut page = self.right.page(kind, token).await;
        match (self.mistake, &mut page) {
            (Read::PageCut, Ok(page)) => drop(page.rows.pop()),
            (Read::DisabledForgotten, Ok(page)) => page.rows.iter_mut().for_each(|row| row.disabled = false),
            (Read::EmptyInDoubt, Err(_)) => return Ok(MasterPage::default()),
            (Read::SecretInFault, Err(failure)) => {
                failure.fault.message.en += " (with 0123456789abcdef0123456789abcdef)";
            }
            _ => {}
        }
        page
    }

    async fn stock(&self, query: &StockQuery) -> Result<Stock, Failure> {
        let everywhere = StockQuery { warehouse: None, ..query.clone() };
        let query = if self.mistake == Read::WarehouseIgnored { &everywhere } else { query };
        let mut stock = self.right.stock(query).await;
        match (self.mistake, &mut stock) {
            (Read::NoStockInDoubt, Err(_)) => return Ok(Stock { as_of_ms: 1, ..Stock::default() }),
            (Read::StockRounded, Ok(stock)) => {
                stock.rows.iter_mut().for_each(|row| row.on_hand = row.on_hand.round_dp(2));
            }
            _ => {}
        }
        stock
    }
}
