//! When statements are due by themselves, and when to remind of them. Pure: time is a parameter.

use super::history::Standing;
use crate::config::{Remind, SendAt};
use tongbao_model::{Month, china};

/// Months of one look: a service that stood still for years does not begin with all of them at once.
const MONTHS_MAX: usize = 24;

/// Months that are due and not done, oldest first: none before `since`, in which sending was first switched on.
pub fn due(at: SendAt, since: Month, done: Option<Month>, now_ms: i64) -> Vec<Month> {
    let first = match done.map(Month::next) {
        Some(Some(next)) => since.max(next),
        Some(None) => return Vec::new(),
        None => since,
    };
    let months = std::iter::successors(Some(first), |month| month.next());
    months
        .take_while(|month| due_ms(at, *month).is_some_and(|due_ms| due_ms <= now_ms))
        .take(MONTHS_MAX)
        .collect()
}

/// When the statements of a month are due: on a day of the next, at an hour in China.
fn due_ms(at: SendAt, month: Month) -> Option<i64> {
    let begin_ms = china::begin_ms(month.next()?.first())?;
    Some(begin_ms + (i64::from(at.day) - 1) * 86_400_000 + i64::from(at.hour) * 3_600_000)
}

/// The first moment after a month.
pub fn end_ms(month: Month) -> Option<i64> {
    china::begin_ms(month.next()?.first())
}

/// Whether the statement of a month is still to be made by the schedule: it was not sent, or only while the month ran.
pub fn is_missing(standing: Option<&Standing>, month: Month) -> bool {
    standing.is_none_or(|standing| end_ms(month).is_some_and(|end_ms| standing.as_of_ms < end_ms))
}

/// Whether to remind of a statement now: it was delivered so long ago, nobody has answered, and there are reminders left. Its
/// last letter must have been taken, or the same would be said twice at once.
pub fn reminds(remind: &Remind, standing: &Standing, now_ms: i64) -> bool {
    let waited = |delivered_ms: i64| now_ms.saturating_sub(delivered_ms) >= remind.after_ms;
    standing.answer.is_none()
        && standing.under_way.is_empty()
        && standing.reminders < i64::from(remind.times)
        && standing.delivered_ms.is_some_and(waited)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::statements::history::Answer;

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn a_month_is_due_once_at_its_hour_in_china_and_none_before_the_first() {
        let third = SendAt { day: 3, hour: 9 };
        for (since, done, now, expected) in [
            ("2026-10", None, "2026-11-03T08:59:59+08:00", vec![]),
            ("2026-10", None, "2026-11-03T09:00:00+08:00", vec!["2026-10"]),
            ("2026-10", None, "2026-11-03T01:00:00Z", vec!["2026-10"]),
            ("2026-10", Some("2026-10"), "2026-11-03T09:00:00+08:00", vec![]),
            // It stood still for three months.
            ("2026-10", Some("2026-10"), "2027-02-10T00:00:00+08:00", vec!["2026-11", "2026-12", "2027-01"]),
            ("2026-10", None, "2026-12-03T09:00:00+08:00", vec!["2026-10", "2026-11"]),
            // Switched on in November: October was somebody else's.
            ("2026-11", None, "2026-11-30T00:00:00+08:00", vec![]),
            // A clock that was set back.
            ("2026-11", Some("2026-12"), "2026-12-30T00:00:00+08:00", vec![]),
        ] {
            let due = due(third, month(since), done.map(month), at(now));
            let due: Vec<String> = due.iter().map(ToString::to_string).collect();
            assert_eq!(due, expected, "{since} {done:?} {now}");
        }
        assert_eq!(due(third, month("1990-01"), None, at("2026-11-23T00:00:00Z")).len(), MONTHS_MAX);
    }

    fn standing() -> Standing {
        Standing {
            month: "2026-10".into(),
            customer: "C1".into(),
            revision: 1,
            letters: 1,
            seq: 2,
            as_of_ms: at("2026-11-03T09:00:00+08:00"),
            checksum: String::new(),
            event: String::new(),
            letter_ms: 0,
            under_way: Vec::new(),
            delivered_ms: Some(1_000),
            reminders: 0,
            answers: 0,
            answer: None,
        }
    }

    #[test]
    fn nobody_is_reminded_too_early_too_often_or_of_what_was_answered() {
        let remind = Remind { after_ms: 100, times: 2 };
        assert!(reminds(&remind, &standing(), 1_100));
        assert!(!reminds(&remind, &standing(), 1_099));
        assert!(!reminds(&remind, &Standing { reminders: 2, ..standing() }, 9_999));
        assert!(!reminds(&remind, &Standing { delivered_ms: None, ..standing() }, 9_999));
        assert!(!reminds(&remind, &Standing { under_way: vec![(2, "e".into())], ..standing() }, 9_999));
        for is_confirmed in [true, false] {
            let answer = Answer { is_confirmed, who: "w".into(), remark: String::new(), at_ms: 1 };
            assert!(
                !reminds(&remind, &Standing { answer: Some(answer), ..standing() }, 9_999),
                "{is_confirmed}"
            );
        }
    }

    #[test]
    fn what_was_sent_while_the_month_ran_is_made_again_after_its_end() {
        assert!(is_missing(None, month("2026-10")));
        assert!(!is_missing(Some(&standing()), month("2026-10")));
        assert!(is_missing(Some(&standing()), month("2026-11")));
    }
}
