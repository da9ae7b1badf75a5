//! Customers (`customer/batch_get`), materials (`inventory/batch_get`) and stock (`currentstock/batch_get`).
//!
//! Lists are paged by number, and in which order is told nowhere: a token carries how many rows were stated and read, and
//! a list whose length changes, or does not come out, is told to have moved. `currentstock` and its members are as the
//! vendor's Java examples and integrators use them; the members with the quantities are settings.

use super::client::OpenClient;
use super::reply::strange;
use super::wire::{amount, text};
use async_trait::async_trait;
use jiff::civil::Date;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use tongbao_connect::masters::{add_up, moved, not_offered};
use tongbao_connect::{
    Failure, Master, MasterKind, MasterPage, Masters, Offers, Stock, StockQuery, StockRow,
};
use tongbao_model::{Code, Fault, china};

/// Resource of stock on hand.
const STOCK: &str = "currentstock";

/// Reads archives and stock.
pub struct Archives {
    client: Arc<OpenClient>,
}

/// Where the next page begins, and what was told and read before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    page: u64,
    /// Rows of the whole list, where the platform says.
    stated: Option<u64>,
    read: u64,
}

impl Place {
    const FIRST: Place = Place { page: 1, stated: None, read: 0 };

    fn parse(token: &str) -> Option<Place> {
        let mut parts = token.split('/');
        let page = parts.next()?.parse().ok()?;
        let stated = match parts.next()? {
            "" => None,
            count => Some(count.parse().ok()?),
        };
        Some(Place { page, stated, read: parts.next()?.parse().ok()? })
    }

    fn token(self) -> String {
        let stated = self.stated.map(|count| count.to_string()).unwrap_or_default();
        format!("{}/{stated}/{}", self.page, self.read)
    }
}

impl Archives {
    pub fn new(client: Arc<OpenClient>) -> Self {
        Archives { client }
    }

    /// Today in China, as the server's days are.
    fn today(&self) -> Option<Date> {
        china::day(self.client.context.now_ms())
    }

    fn stock_row(&self, row: &Map<String, Value>) -> Result<StockRow, Failure> {
        let settings = &self.client.settings;
        let quantity = |field: &str| {
            let told = text(row, field);
            amount(&told).ok_or_else(|| {
                let fault = Fault::new(
                    Code::TargetMisconfigured,
                    format!("现存量的 {field} 不是数量"),
                    format!("`{field}` of the stock on hand is no quantity"),
                );
                Failure::new(fault.at(field).value(told))
            })
        };
        let available = settings.stock_available_field.as_str();
        // What is empty is left out: nothing is said of it then.
        let available = Some(available).filter(|field| !text(row, field).is_empty()).map(quantity);
        Ok(StockRow {
            material: text(row, "invcode"),
            warehouse: text(row, "whcode"),
            warehouse_name: text(row, "whname"),
            on_hand: quantity(&settings.stock_quantity_field)?,
            available: available.transpose()?,
            unit: String::new(),
        })
    }
}

fn resource(kind: MasterKind) -> &'static str {
    match kind {
        MasterKind::Customers => "customer",
        MasterKind::Materials => "inventory",
    }
}

/// A row of a list. `None`: it has no code.
fn row(kind: MasterKind, members: &Map<String, Value>, today: Option<Date>) -> Option<Master> {
    let of = |tag: &str| text(members, tag);
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

#[async_trait]
impl Masters for Archives {
    fn offers(&self) -> Offers {
        Offers { lists: &MasterKind::ALL, stock: true }
    }

    async fn page(&self, kind: MasterKind, token: Option<&str>) -> Result<MasterPage, Failure> {
        let place = token.map_or(Some(Place::FIRST), Place::parse).ok_or_else(|| not_offered("page"))?;
        let name = resource(kind);
        let answer = self.client.page(name, &[], place.page, self.client.settings.rows_per_page).await?;
        let today = self.today();
        let rows = match answer.get(name) {
            None => Some(Vec::new()),
            Some(Value::Array(found)) => {
                found.iter().map(|one| row(kind, one.as_object()?, today)).collect::<Option<Vec<_>>>()
            }
            Some(_) => None,
        };
        let rows = rows.ok_or_else(|| strange().of_question())?;
        let stated = text(&answer, "row_count").parse::<u64>().ok();
        if place.page > 1 && stated != place.stated {
            return Err(moved(name));
        }
        let read = place.read.saturating_add(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        // A short page proves nothing: how many rows a page may have is the platform's choice.
        let ends = match stated {
            Some(stated) if read > stated || (rows.is_empty() && read < stated) => return Err(moved(name)),
            Some(stated) => read == stated,
            None => rows.is_empty(),
        };
        let next = Place { page: place.page.saturating_add(1), stated, read };
        Ok(MasterPage { rows, next: (!ends).then(|| next.token()) })
    }

    async fn stock(&self, query: &StockQuery) -> Result<Stock, Failure> {
        let as_of_ms = self.client.context.now_ms();
        let mut rows = Vec::new();
        // One by one: codes are asked for by their range, and what lies between two of them may be very much.
        for material in query.materials.iter().collect::<BTreeSet<_>>() {
            let mut filters = vec![("invcode_begin", material.clone()), ("invcode_end", material.clone())];
            if let Some(warehouse) = &query.warehouse {
                filters.extend([("whcode_begin", warehouse.clone()), ("whcode_end", warehouse.clone())]);
            }
            for found in self.client.list(STOCK, &filters).await? {
                let row = self.stock_row(&found)?;
                // Filters are not trusted.
                let is_of_warehouse = query.warehouse.as_ref().is_none_or(|asked| row.warehouse == *asked);
                if row.material == *material && is_of_warehouse {
                    rows.push(row);
                }
            }
        }
        let rows = add_up(rows).ok_or_else(|| strange().of_question())?;
        Ok(Stock { rows, unknown: Vec::new(), as_of_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_says_what_was_told_and_read() {
        for place in
            [Place { page: 2, stated: Some(37), read: 20 }, Place { page: 9, stated: None, read: 160 }]
        {
            assert_eq!(Place::parse(&place.token()), Some(place));
        }
        for wrong in ["", "2", "2/3", "x/3/1", "2/x/1", "2/3/-1"] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_has_ended_is_disabled() {
        let today = "2026-11-22".parse().ok();
        let told = |members: Value| row(MasterKind::Customers, members.as_object().unwrap(), today);
        let open = told(json!({"code": "C1", "name": "甲", "tax_reg_code": "91330200MA0000000X"})).unwrap();
        assert_eq!((open.disabled, open.tax_number.as_str()), (false, "91330200MA0000000X"));
        assert!(told(json!({"code": "C1", "end_date": "2026-11-22"})).unwrap().disabled);
        assert!(!told(json!({"code": "C1", "end_date": "2026-12-31"})).unwrap().disabled);
        assert_eq!(told(json!({"name": "甲"})), None);
    }
}
