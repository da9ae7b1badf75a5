//! Customers (`BD_Customer`), materials (`BD_MATERIAL`) and stock (`STK_Inventory`), by `ExecuteBillQuery`.
//!
//! Pages go by the row's own id (`FCUSTID>100001`), not by row numbers: what comes and goes between two pages moves
//! nothing, and a page shorter than the wish, which a site's cap makes too, is not taken for the last one. Field names of
//! `STK_Inventory` are those public clients use; the vendor's page could not be opened, so they are settings.

use super::bills::quoted;
use super::client::{Intent, KingdeeClient};
use super::reply::{Done, plain};
use async_trait::async_trait;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tongbao_connect::masters::{add_up, not_offered};
use tongbao_connect::{
    Failure, Master, MasterKind, MasterPage, Masters, Offers, Stock, StockQuery, StockRow,
};
use tongbao_model::{Code, Fault, decimal};

/// Most pages of stock rows that one question reads: a material has a row for each lot, owner and state.
const STOCK_PAGES_MAX: usize = 10;

/// Rows of such a page: less than the least cap that is told of, so that a shorter page is the last.
const STOCK_ROWS: u64 = 1_000;

/// `FForbidStatus` of a record that no bill may name.
const FORBIDDEN: &str = "B";

/// Reads base data and stock.
pub struct BaseData {
    client: Arc<KingdeeClient>,
}

impl BaseData {
    pub fn new(client: Arc<KingdeeClient>) -> Self {
        BaseData { client }
    }

    /// Rows of a query, each with as many cells as fields were asked for.
    async fn rows(&self, form: &str, keys: &[&str], rest: Rest<'_>) -> Result<Vec<Vec<Value>>, Failure> {
        let body = json!({"data": {
            "FormId": form, "FieldKeys": keys.join(","), "FilterString": rest.filter, "OrderString": rest.order,
            // An absolute end row, not a page size: 0 is "no limit of its own".
            "TopRowCount": 0, "StartRow": 0, "Limit": rest.limit,
        }});
        let rows = match self.client.call("ExecuteBillQuery", &body, Intent::Read).await? {
            Done::Success(Value::Array(rows)) => rows,
            Done::Success(_) => return Err(strange(form)),
            Done::Refused(refusal) => return Err(refusal.failure().of_question()),
        };
        let cells = rows.into_iter().map(|row| match row {
            Value::Array(cells) if cells.len() == keys.len() => Ok(cells),
            _ => Err(strange(form)),
        });
        cells.collect()
    }

    /// Fields of a list, its own id first, then what [`row`] takes.
    fn keys(&self, kind: MasterKind) -> Vec<&str> {
        match kind {
            MasterKind::Customers => {
                let fixed = ["FCUSTID", "FNumber", "FName", "FDocumentStatus", "FForbidStatus", "FShortName"];
                let tax = self.client.settings.tax_number_fields.iter().map(String::as_str);
                fixed.into_iter().chain(tax).collect()
            }
            MasterKind::Materials => vec![
                "FMATERIALID",
                "FNumber",
                "FName",
                "FDocumentStatus",
                "FForbidStatus",
                "FSpecification",
                "FBaseUnitId.FNumber",
            ],
        }
    }

    /// Those of the materials that `BD_MATERIAL` does not have.
    async fn unknown(&self, materials: &BTreeSet<&str>) -> Result<Vec<String>, Failure> {
        let filter = format!("FNumber in ({})", list(materials.iter().copied()));
        let rest = Rest { filter, order: "FMATERIALID asc", limit: STOCK_ROWS };
        let found = self.rows("BD_MATERIAL", &["FNumber"], rest).await?;
        let known: BTreeSet<String> = found.iter().map(|cells| text(cells, 0)).collect();
        Ok(materials.iter().filter(|code| !known.contains(**code)).map(|code| (*code).to_owned()).collect())
    }
}

/// What a query says besides its form and fields.
struct Rest<'a> {
    filter: String,
    order: &'a str,
    limit: u64,
}

fn form(kind: MasterKind) -> &'static str {
    match kind {
        MasterKind::Customers => "BD_Customer",
        MasterKind::Materials => "BD_MATERIAL",
    }
}

/// A cell's text. Empty ones come as null, as "" or as a blank.
fn text(cells: &[Value], at: usize) -> String {
    cells.get(at).map(plain).unwrap_or_default().trim().to_owned()
}

fn list<'a>(values: impl Iterator<Item = &'a str>) -> String {
    values.map(|value| format!("'{}'", quoted(value))).collect::<Vec<_>>().join(",")
}

/// A row of a list. `None`: it has no id or no code.
fn row(kind: MasterKind, cells: &[Value]) -> Option<Master> {
    let [id, code, name, status, forbidden] = std::array::from_fn(|at| text(cells, at));
    let rest = cells.get(5..).unwrap_or_default();
    if id.is_empty() || code.is_empty() {
        return None;
    }
    // Base data that is not audited cannot be used in bills either.
    let disabled = forbidden == FORBIDDEN || status != "C";
    let row = Master { id, code, name, disabled, ..Master::default() };
    Some(match kind {
        MasterKind::Customers => {
            let tax = (1..rest.len()).map(|at| text(rest, at)).find(|text| !text.is_empty());
            Master { short_name: text(rest, 0), tax_number: tax.unwrap_or_default(), ..row }
        }
        MasterKind::Materials => Master { specification: text(rest, 0), unit: text(rest, 1), ..row },
    })
}

/// A quantity, exactly as it is written. Prices and quantities that the user may not see come as `***`.
fn quantity(cell: Option<&Value>, field: &str) -> Result<Decimal, Failure> {
    let told = cell.map(plain).unwrap_or_default();
    decimal::parse(told.trim()).map_err(|_| {
        let fault = Fault::new(
            Code::TargetMisconfigured,
            format!("库存查询的 {field} 不是数量"),
            format!("`{field}` of the stock query is no quantity"),
        );
        Failure::new(fault.at(field).value(told))
    })
}

fn strange(form: &str) -> Failure {
    Failure::new(Fault::new(
        Code::TargetUnavailable,
        format!("{form} 的查询答复不是预期的形状"),
        format!("the answer to the query of {form} has a shape we do not know"),
    ))
}

#[async_trait]
impl Masters for BaseData {
    fn offers(&self) -> Offers {
        Offers { lists: &MasterKind::ALL, stock: true }
    }

    async fn page(&self, kind: MasterKind, token: Option<&str>) -> Result<MasterPage, Failure> {
        let keys = self.keys(kind);
        let id = keys.first().copied().unwrap_or_default();
        let mut conditions = Vec::new();
        if !self.client.settings.use_org.is_empty() {
            conditions.push(format!("FUseOrgId.FNumber='{}'", quoted(&self.client.settings.use_org)));
        }
        if let Some(last) = token {
            let last: u64 = last.parse().map_err(|_| not_offered("page"))?;
            conditions.push(format!("{id}>{last}"));
        }
        let order = format!("{id} asc");
        let limit = self.client.settings.page_rows.max(1);
        let rest = Rest { filter: conditions.join(" and "), order: &order, limit };
        let found = self.rows(form(kind), &keys, rest).await?;
        let rows: Option<Vec<Master>> = found.iter().map(|cells| row(kind, cells)).collect();
        let rows = rows.ok_or_else(|| strange(form(kind)))?;
        let next = rows.last().map(|row| row.id.clone());
        Ok(MasterPage { rows, next })
    }

    async fn stock(&self, query: &StockQuery) -> Result<Stock, Failure> {
        let settings = &self.client.settings;
        let as_of_ms = self.client.context.now_ms();
        let materials: BTreeSet<&str> = query.materials.iter().map(String::as_str).collect();
        let mut filter = format!("FMaterialId.FNumber in ({})", list(materials.iter().copied()));
        for (field, code) in [
            ("FStockId", query.warehouse.as_deref().unwrap_or_default()),
            ("FStockOrgId", &settings.stock_org),
        ] {
            if !code.is_empty() {
                filter.push_str(&format!(" and {field}.FNumber='{}'", quoted(code)));
            }
        }
        let (on_hand, available) =
            (settings.stock_quantity_field.as_str(), settings.stock_available_field.as_str());
        let unit = settings.stock_unit_field.as_str();
        let keys =
            ["FID", "FMaterialId.FNumber", "FStockId.FNumber", "FStockId.FName", on_hand, available, unit];
        let limit = STOCK_ROWS.min(settings.page_rows.max(1));
        let (mut rows, mut last) = (Vec::new(), String::new());
        for _ in 0..STOCK_PAGES_MAX {
            // The id is a text here, a GUID.
            let beyond = format!("{filter} and FID>'{}'", quoted(&last));
            let filter = if last.is_empty() { filter.clone() } else { beyond };
            let found = self.rows("STK_Inventory", &keys, Rest { filter, order: "FID asc", limit }).await?;
            let is_last = u64::try_from(found.len()).is_ok_and(|count| count < limit);
            for cells in found {
                last = text(&cells, 0);
                rows.push(StockRow {
                    material: text(&cells, 1),
                    warehouse: text(&cells, 2),
                    warehouse_name: text(&cells, 3),
                    on_hand: quantity(cells.get(4), on_hand)?,
                    available: Some(quantity(cells.get(5), available)?),
                    unit: text(&cells, 6),
                });
            }
            if is_last {
                let rows = add_up(rows).ok_or_else(|| strange("STK_Inventory"))?;
                let seen: BTreeSet<&str> = rows.iter().map(|row| row.material.as_str()).collect();
                let silent: BTreeSet<&str> = materials.difference(&seen).copied().collect();
                let unknown = if silent.is_empty() { Vec::new() } else { self.unknown(&silent).await? };
                return Ok(Stock { rows, unknown, as_of_ms });
            }
        }
        let fault = Fault::new(
            Code::TargetMisconfigured,
            "库存行过多，请减少物料或指定仓库",
            "too many rows of stock: ask for fewer materials, or for one warehouse",
        );
        Err(Failure::new(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_say_whether_bills_may_name_them() {
        let cells = |text: &str| serde_json::from_str::<Vec<Value>>(text).unwrap();
        let told = |text: &str| row(MasterKind::Customers, &cells(text));
        let right = told(r#"[100001,"C1"," 甲公司 ","C","A",null," ","91330200MA0000000X"]"#).unwrap();
        assert_eq!((right.id.as_str(), right.name.as_str(), right.disabled), ("100001", "甲公司", false));
        assert_eq!((right.short_name.as_str(), right.tax_number.as_str()), ("", "91330200MA0000000X"));
        assert!(told(r#"["1","C1","x","C","B","","",""]"#).unwrap().disabled, "forbidden");
        assert!(told(r#"["1","C1","x","A","A","","",""]"#).unwrap().disabled, "not audited");
        assert_eq!(told(r#"["1"," ","x","C","A","","",""]"#), None);
        let material = row(MasterKind::Materials, &cells(r#"[7,"M1","x","C","A","V2","Pcs"]"#)).unwrap();
        assert_eq!((material.specification.as_str(), material.unit.as_str()), ("V2", "Pcs"));
    }

    #[test]
    fn quantities_are_exact_or_refused() {
        let read = |text: &str| quantity(Some(&serde_json::from_str(text).unwrap()), "FBaseQty");
        assert_eq!(read("12.1234567890").unwrap().to_string(), "12.1234567890");
        assert_eq!(read("-0.30").unwrap().to_string(), "-0.30");
        for masked in ["\"***\"", "null", "\" \"", "[]"] {
            assert_eq!(read(masked).unwrap_err().fault.code, Code::TargetMisconfigured, "{masked}");
        }
    }
}
