//! Closing the books of a month (结账), and opening the last closed one again (反结账).

use crate::output;
use serde_json::{Value, json};
use tongbao_delivery::port::{Closure, Store, Stored};
use tongbao_model::{Month, Text, china};
use tongbao_recon::statement::Closing;

/// What was stored in the last two minutes counts as heard after the closing: a transaction that is under way while a month
/// is closed, or stamped by a clock that is behind, must not change it afterwards.
pub const LAG_MS: i64 = 120_000;

/// A month as people write it.
///
/// # Errors
/// It is none.
pub fn month(text: &str) -> Result<Month, Text> {
    let none =
        || Text::new(format!("月份 {text} 应如 2026-10"), format!("`{text}` is no month such as 2026-10"));
    text.parse().map_err(|_| none())
}

/// The closings that stood at a time.
pub fn standing(closures: &[Closure], as_of_ms: i64) -> Vec<Closing> {
    let stood = |one: &&Closure| {
        one.at_ms <= as_of_ms && one.reopened_ms.is_none_or(|reopened_ms| reopened_ms > as_of_ms)
    };
    let closing = |one: &Closure| Some(Closing { month: one.month.parse().ok()?, closed_ms: one.through_ms });
    closures.iter().filter(stood).filter_map(closing).collect()
}

/// Closes a month and all before it. The inner error says why it is not.
///
/// # Errors
/// What the database said.
pub async fn close(
    store: &dyn Store,
    month: Month,
    who: &str,
    why: &str,
    now_ms: i64,
) -> Stored<Result<(), Text>> {
    let through_ms = now_ms.saturating_sub(LAG_MS);
    let end_ms = month.next().and_then(|next| china::begin_ms(next.first())).unwrap_or(i64::MAX);
    if through_ms < end_ms {
        return Ok(Err(Text::new(
            format!("{month} 尚未结束：月末过后两分钟方可结账"),
            format!("{month} is not over: it can be closed two minutes after its end"),
        )));
    }
    let closure = Closure {
        month: month.to_string(),
        through_ms,
        at_ms: now_ms,
        who: who.to_owned(),
        why: why.to_owned(),
        reopened_ms: None,
        reopened_by: None,
    };
    if store.close_books(closure).await? {
        return Ok(Ok(()));
    }
    Ok(Err(Text::new(
        format!("{month} 或其后的月份已结账"),
        format!("{month}, or a month after it, is closed already"),
    )))
}

/// Opens the last closed month again. The inner error says why it is not.
///
/// # Errors
/// What the database said.
pub async fn reopen(store: &dyn Store, month: Month, who: &str, now_ms: i64) -> Stored<Result<(), Text>> {
    if store.reopen_books(&month.to_string(), who, now_ms).await? {
        return Ok(Ok(()));
    }
    Ok(Err(Text::new(
        format!("{month} 不是最后一个已结账的月份：只能从最后一个月起逐月反结账"),
        format!("{month} is not the last month that is closed: they are opened again from the last one on"),
    )))
}

/// A closing, for programs.
pub fn told(closure: &Closure) -> Value {
    json!({
        "month": closure.month, "closed_at": output::time(closure.at_ms), "through": output::time(closure.through_ms),
        "by": closure.who, "reason": closure.why,
        "reopened_at": closure.reopened_ms.map(output::time), "reopened_by": closure.reopened_by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_at_a_time() {
        let one = |month: &str, at_ms, reopened_ms| Closure {
            month: month.into(),
            through_ms: at_ms - 1,
            at_ms,
            who: "w".into(),
            why: String::new(),
            reopened_ms,
            reopened_by: None,
        };
        let all = vec![one("2026-09", 10, None), one("2026-10", 20, Some(30)), one("2026-10", 40, None)];
        for (as_of_ms, expected) in [
            (9, vec![]),
            (10, vec!["2026-09"]),
            (29, vec!["2026-09", "2026-10"]),
            (30, vec!["2026-09"]),
            (40, vec!["2026-09", "2026-10"]),
        ] {
            let found: Vec<String> =
                standing(&all, as_of_ms).iter().map(|closing| closing.month.to_string()).collect();
            assert_eq!(found, expected, "{as_of_ms}");
        }
    }
}
