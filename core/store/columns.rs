//! Inserting by column, on PostgreSQL.
//!
//! There a statement costs by its parameters, and one of a hundred rows has two thousand. With one array for each column
//! it has as many as the table has columns, and one text for any number of rows, which is planned once.

use crate::error::Fail;
use sea_orm::sea_query::{ArrayType, Func, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, Iterable, Value,
};

/// A column, and an array of its values.
pub type Column<E> = (<E as EntityTrait>::Column, Value);

/// What these rows hold, by column; without the columns in which they hold nothing. `None` where the rows are not
/// alike: in an array of the driver's every place is taken.
pub fn of<E, A>(rows: &[A]) -> Option<Vec<Column<E>>>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E>,
{
    let mut columns = Vec::new();
    for column in E::Column::iter() {
        let values: Vec<Value> = rows.iter().filter_map(|row| held(row.get(column))).collect();
        if values.len() == rows.len() {
            columns.push((column, array(&values)?));
        } else if !values.is_empty() {
            return None;
        }
    }
    (!columns.is_empty()).then_some(columns)
}

fn held(value: ActiveValue<Value>) -> Option<Value> {
    value.into_value().filter(|value| *value != value.as_null())
}

/// An array of values that are all there and of one type. `None` for none, and for a type that no column has.
pub fn array(values: &[Value]) -> Option<Value> {
    let of = match values.first()? {
        Value::String(_) => ArrayType::String,
        Value::BigInt(_) => ArrayType::BigInt,
        Value::Int(_) => ArrayType::Int,
        Value::SmallInt(_) => ArrayType::SmallInt,
        _ => return None,
    };
    Some(Value::Array(of, Some(Box::new(values.to_vec()))))
}

/// Inserts them in their order; answers how many rows the database says it has touched.
pub async fn insert<E: EntityTrait>(
    txn: &DatabaseTransaction,
    columns: Vec<Column<E>>,
    conflict: Option<OnConflict>,
) -> Result<u64, Fail> {
    let (names, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    // Arrays that are unfolded side by side go on in step.
    let mut rows = Query::select();
    rows.exprs(arrays.into_iter().map(|array| Func::cust("unnest").arg(array)));
    let mut insert = Query::insert();
    insert.into_table(E::default().table_ref()).columns(names);
    insert.select_from(rows).map_err(|error| DbErr::Custom(error.to_string()))?;
    if let Some(conflict) = conflict {
        insert.on_conflict(conflict);
    }
    Ok(txn.execute(&insert).await?.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::{deliveries, outbox};
    use crate::rows::outbox_row;
    use sea_orm::ActiveValue::Set;

    #[test]
    fn columns_of_rows_that_are_alike() {
        let rows = [outbox_row("D1", "erp", "HT-1", 7), outbox_row("D2", "erp", "HT-2", 8)];
        let columns = of::<outbox::Entity, _>(&rows).unwrap();
        let texts = |texts: [&str; 2]| {
            Value::Array(ArrayType::String, Some(Box::new(texts.map(Value::from).to_vec())))
        };
        let numbers = Value::Array(ArrayType::BigInt, Some(Box::new(vec![7_i64.into(), 8_i64.into()])));
        let values: Vec<Value> = columns.into_iter().map(|(_, values)| values).collect();
        assert_eq!(
            values,
            [texts(["D1", "D2"]), texts(["erp", "erp"]), texts(["HT-1", "HT-2"]), numbers],
            "the number that the database gives is left to it"
        );
    }

    #[test]
    fn a_column_is_full_or_left_out() {
        let row = |fault: Option<&str>, class| deliveries::ActiveModel {
            class: Set(class),
            fault: Set(fault.map(str::to_owned)),
            ..Default::default()
        };
        let alike = [row(Some("a"), None), row(Some("b"), None)];
        let columns = of::<deliveries::Entity, _>(&alike).unwrap();
        assert!(matches!(columns.as_slice(), [(deliveries::Column::Fault, _)]));
        assert!(of::<deliveries::Entity, _>(&[row(Some("a"), None), row(None, None)]).is_none());
        assert!(of::<deliveries::Entity, deliveries::ActiveModel>(&[row(None, None)]).is_none());
    }
}
