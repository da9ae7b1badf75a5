//! Deliveries that need not wait as long as they were to: somebody hinted at them, or their worker is gone.

use crate::entity::{deliveries, outbox};
use crate::error::Fail;
use crate::read::of_key;
use crate::rows::{insert_all, outbox_row};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use tongbao_delivery::port::State;

/// Deliveries that one hint makes due.
const HINTED: u64 = 100;

/// Makes the waiting deliveries of a key due now. The message that waits in the broker finds them settled or taken.
pub async fn hasten(txn: &DatabaseTransaction, target: &str, key: &str, now_ms: i64) -> Result<u64, Fail> {
    use deliveries::Column as D;
    let rows = deliveries::Entity::find()
        .filter(D::Target.eq(target))
        .filter(of_key(key))
        .filter(D::State.eq(State::Waiting.name()))
        .filter(D::DueAtMs.gt(now_ms))
        .order_by_asc(D::Seq)
        .limit(HINTED)
        .all(txn)
        .await?;
    let mut hastened = 0;
    for row in rows {
        let due = deliveries::ActiveModel { due_at_ms: Set(Some(now_ms)), ..Default::default() };
        let updated = deliveries::Entity::update_many()
            .set(due)
            .filter(D::Id.eq(&row.id))
            .filter(D::State.eq(State::Waiting.name()))
            .exec(txn)
            .await?;
        if updated.rows_affected != 1 {
            continue;
        }
        outbox::Entity::delete_many().filter(outbox::Column::Delivery.eq(&row.id)).exec(txn).await?;
        let out = outbox_row(&row.id, &row.target, &row.order_key, now_ms);
        insert_all::<outbox::Entity, _>(txn, vec![out]).await?;
        hastened += 1;
    }
    Ok(hastened)
}

/// Lets every lease of some targets run out.
pub async fn expire_leases(txn: &DatabaseTransaction, targets: &[String], now_ms: i64) -> Result<u64, Fail> {
    use deliveries::Column as D;
    let expired = deliveries::Entity::update_many()
        .col_expr(D::LeaseUntilMs, Expr::value(now_ms.saturating_sub(1)))
        .filter(D::State.eq(State::Calling.name()))
        .filter(D::Target.is_in(targets))
        .filter(D::LeaseUntilMs.gte(now_ms))
        .exec(txn)
        .await?;
    Ok(expired.rows_affected)
}
