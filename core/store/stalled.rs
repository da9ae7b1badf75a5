//! What counts as stalled, as a condition on deliveries.

use crate::entity::deliveries::{self, Column as D};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, Condition};
use tongbao_delivery::port::State;
use tongbao_delivery::stalled::Stalled;

/// Whether a time of a delivery is one at which it may have stalled. Partitions are unknown to the database: of a
/// connection with several of them the latest counts here, and [`holds_for`] has the last word.
pub fn before(column: D, stalled: &Stalled) -> Condition {
    let lines: Vec<(&str, i64)> = stalled.lines().collect();
    let usual = column.lt(stalled.usual_ms());
    if lines.is_empty() {
        return Condition::all().add(usual);
    }
    let others = D::Target.is_not_in(lines.iter().map(|(target, _)| *target));
    let mut any = Condition::any().add(usual.and(others));
    for (target, ms) in lines.into_iter().filter(|(_, ms)| *ms > i64::MIN) {
        any = any.add(D::Target.eq(target).and(column.lt(ms)));
    }
    any
}

/// Whether it has, looked at closely. A call whose lease has run out has nothing to do with any line.
pub fn holds_for(stalled: &Stalled, row: &deliveries::Model) -> bool {
    let before_ms = stalled.before_ms(&row.target, &row.order_key);
    let is_before = |at: Option<i64>| at.is_none_or(|at| at < before_ms);
    row.state == State::Calling.name() || (is_before(row.published_at_ms) && is_before(row.due_at_ms))
}
