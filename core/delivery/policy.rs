//! What follows from an outcome. Pure: time and randomness are parameters.
//!
//! The protocol of an attempt is the table in `rule`. Three questions are answered from it and nowhere else: what is
//! next after an outcome ([`decide`]), whether an attempt may send or has to ask first ([`first_move`]), and whether an
//! outcome leaves it open if the document stands in the far system ([`doubt`]).

use crate::port::{Next, Previous};
use backon::{BackoffBuilder, ExponentialBuilder};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tongbao_model::Class;

/// A retry schedule, as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Delay before the first retry.
    pub first_ms: u64,
    /// Each delay is the one before times this.
    pub factor: f32,
    /// No delay grows beyond this (jitter comes on top).
    pub max_ms: u64,
    /// Up to this part of the delay is added at random, 0 to 1, so that what failed together does not come
    /// back together.
    pub jitter: f32,
    /// Give up so long after acceptance or the last replay.
    pub window_ms: u64,
    /// Give up after so many attempts, if set.
    pub attempts_max: Option<u32>,
    /// Attempts with refused credentials before a person has to look: vendors lock accounts.
    pub unauthorized_attempts_max: u32,
    /// Delay after refused credentials, doubled each time.
    pub unauthorized_first_ms: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule {
            first_ms: 2_000,
            factor: 2.0,
            max_ms: 600_000,
            jitter: 0.2,
            window_ms: 86_400_000,
            attempts_max: None,
            unauthorized_attempts_max: 4,
            unauthorized_first_ms: 60_000,
        }
    }
}

impl Schedule {
    /// What is wrong with the numbers, if anything.
    pub fn problem(&self) -> Option<String> {
        if self.first_ms == 0 {
            return Some("first_ms must be at least 1".into());
        }
        if !(self.factor >= 1.0 && self.factor <= 100.0) {
            return Some("factor must be between 1 and 100".into());
        }
        if !(self.jitter >= 0.0 && self.jitter <= 1.0) {
            return Some("jitter must be between 0 and 1".into());
        }
        if self.max_ms < self.first_ms {
            return Some("max_ms must not be below first_ms".into());
        }
        if self.attempts_max == Some(0) {
            return Some("attempts_max must be at least 1".into());
        }
        None
    }

    /// Delay after the attempt number `tries` (from 1), in milliseconds.
    ///
    /// The steps are `backon`'s. Its jitter is left off because it knows only the full range (0 to 100 % of
    /// the delay); ours is drawn from the seed here, so that the same seed gives the same delay.
    fn delay_ms(&self, first_ms: u64, factor: f32, tries: u32, seed: u64) -> i64 {
        // Beyond this many steps every allowed factor above 1.001 has reached any sensible maximum.
        let step = usize::try_from(tries.clamp(1, 10_000) - 1).unwrap_or(0);
        let base = ExponentialBuilder::new()
            .with_factor(factor)
            .with_min_delay(Duration::from_millis(first_ms))
            .with_max_delay(Duration::from_millis(self.max_ms.max(first_ms)))
            .without_max_times()
            .build()
            .nth(step)
            .unwrap_or(Duration::from_millis(self.max_ms));
        let share = (self.jitter * fastrand::Rng::with_seed(seed).f32()).clamp(0.0, 1.0);
        millis(base.saturating_add(base.mul_f32(share)))
    }
}

/// What an outcome of a class means, in all three respects. This is the protocol of an attempt: everything else in
/// this module computes times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    then: Then,
    doubt: Doubt,
    /// How the next attempt begins, if nothing else is known.
    next_begins: FirstMove,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It stands.
    Post,
    /// A person has to look.
    Park,
    /// Again, by the schedule.
    Retry,
    /// Again, not before the far side's own wish.
    RetryWhenAsked(Duration),
    /// Again, once the call cannot take effect any more.
    RetryWhenOver,
    /// Again, slowly and a few times: vendors lock accounts.
    RetrySlowly,
}

/// What becomes of the doubt whether an earlier call took effect without our knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Everything is known now.
    Ends,
    /// This call may have.
    Begins,
    /// This call did nothing and tells nothing about those before it.
    Stays,
}

/// The table.
fn rule(class: Class) -> Rule {
    use FirstMove::{Apply, LookupFirst};
    let row = |then, doubt, next_begins| Rule { then, doubt, next_begins };
    match class {
        Class::Done | Class::AlreadyThere => row(Then::Post, Doubt::Ends, LookupFirst),
        Class::Rejected | Class::Misconfigured => row(Then::Park, Doubt::Stays, Apply),
        // The far side holds a document under our key.
        Class::Conflict => row(Then::Park, Doubt::Stays, LookupFirst),
        // It may have struck after the bytes were sent.
        Class::Defect => row(Then::Park, Doubt::Begins, LookupFirst),
        Class::Throttled(Some(asked)) => row(Then::RetryWhenAsked(asked), Doubt::Stays, Apply),
        Class::Throttled(None) | Class::Unavailable => row(Then::Retry, Doubt::Stays, Apply),
        Class::Unauthorized => row(Then::RetrySlowly, Doubt::Stays, Apply),
        Class::Unknown => row(Then::RetryWhenOver, Doubt::Begins, LookupFirst),
    }
}

/// When an attempt ended, in the history of its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Attempts since acceptance or the last replay, this one included.
    pub tries: u32,
    /// When the retry window began.
    pub window_start_ms: i64,
    /// Now.
    pub now_ms: i64,
    /// When a call of unknown outcome cannot take effect any more; `None` when it does not matter, because the far
    /// side refuses a key twice.
    pub over_at_ms: Option<i64>,
}

/// What follows from the outcome of attempt `tries` (since acceptance or the last replay, this one included).
///
/// `Rejected` parks: a person corrects table or document and replays. A handler that knows the refusal to be
/// for good says so in its report, and the worker takes [`Next::Rejected`] instead.
pub fn decide(class: Class, moment: &Moment, schedule: &Schedule, seed: u64) -> Next {
    let Moment { tries, window_start_ms, now_ms, over_at_ms } = *moment;
    let window = Window::new(tries, window_start_ms, now_ms, schedule);
    let own = schedule.delay_ms(schedule.first_ms, schedule.factor, tries, seed);
    match rule(class).then {
        Then::Post => Next::Posted,
        Then::Park => Next::Parked,
        Then::Retry => window.after(own),
        Then::RetryWhenAsked(asked) => window.not_before(millis(asked), own),
        // The question is worth nothing while the call may still take effect, even beyond the window.
        Then::RetryWhenOver => match window.after(own) {
            Next::Retry { at_ms } => Next::Retry { at_ms: at_ms.max(over_at_ms.unwrap_or(at_ms)) },
            other => other,
        },
        Then::RetrySlowly if tries >= schedule.unauthorized_attempts_max => Next::Parked,
        Then::RetrySlowly => {
            window.after(schedule.delay_ms(schedule.unauthorized_first_ms, 2.0, tries, seed))
        }
    }
}

/// The rest of the retry window.
struct Window {
    now_ms: i64,
    end_ms: i64,
    used_up: bool,
}

impl Window {
    fn new(tries: u32, start_ms: i64, now_ms: i64, schedule: &Schedule) -> Self {
        let end_ms = start_ms.saturating_add_unsigned(schedule.window_ms);
        let spent = schedule.attempts_max.is_some_and(|max| tries >= max);
        Window { now_ms, end_ms, used_up: spent || now_ms >= end_ms }
    }

    /// After our own delay; the last retry comes at the end of the window at the latest.
    fn after(&self, delay_ms: i64) -> Next {
        if self.used_up {
            return Next::Parked;
        }
        Next::Retry { at_ms: self.now_ms.saturating_add(delay_ms).min(self.end_ms) }
    }

    /// Never before the far side's own wish. A wish beyond the window cannot be kept: parked at once, with
    /// hours left for a person instead of none.
    fn not_before(&self, asked_ms: i64, own_ms: i64) -> Next {
        let earliest = self.now_ms.saturating_add(asked_ms);
        if self.used_up || earliest > self.end_ms {
            return Next::Parked;
        }
        Next::Retry { at_ms: self.now_ms.saturating_add(own_ms).min(self.end_ms).max(earliest) }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// How an attempt begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstMove {
    /// Send the document: nothing of it can be there yet.
    Apply,
    /// Ask for it by its business key before anything is sent.
    LookupFirst,
}

/// How the next attempt begins, given how the one before ended.
pub fn first_move(previous: Option<&Previous>) -> FirstMove {
    let Some(previous) = previous else { return FirstMove::Apply };
    if previous.in_doubt || previous.remote.is_some() {
        return FirstMove::LookupFirst;
    }
    // Intent without outcome: the process died between the call and its record.
    previous.class.map_or(FirstMove::LookupFirst, |class| rule(class).next_begins)
}

/// Whether a delivery is in doubt after an outcome: an earlier call may have taken effect without our knowing.
///
/// Doubt ends only with a success. A retry that could not even ask (unavailable, throttled) or that the mapping
/// refused says nothing about the call before it; one lookup too many is cheap, one order too many is not.
pub fn doubt(before: bool, class: Class) -> bool {
    match rule(class).doubt {
        Doubt::Ends => false,
        Doubt::Begins => true,
        Doubt::Stays => before,
    }
}

/// How often the outcomes count against a target as a whole rather than against one document.
pub fn trips_circuit(class: Class) -> bool {
    match class {
        Class::Unavailable | Class::Unauthorized => true,
        Class::Done
        | Class::AlreadyThere
        | Class::Rejected
        | Class::Conflict
        | Class::Throttled(_)
        | Class::Unknown
        | Class::Misconfigured
        | Class::Defect => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::RemoteRef;

    fn plain() -> Schedule {
        Schedule { jitter: 0.0, ..Schedule::default() }
    }

    #[test]
    fn every_class_by_tries_and_window() {
        const HOUR: i64 = 3_600_000;
        let secs = |s: u64| Some(Duration::from_secs(s));
        let limited = Schedule { attempts_max: Some(3), ..plain() };
        let (plain, limited) = (&plain(), &limited);
        let retry = |at_ms: i64| Next::Retry { at_ms };
        let (posted, parked) = (Next::Posted, Next::Parked);
        // class, tries, now (window starts at 0 and ends at 24 h), schedule → next
        let table = [
            (Class::Done, 1, 0, plain, posted.clone()),
            (Class::Done, 9, 30 * HOUR, plain, posted.clone()),
            (Class::AlreadyThere, 1, 0, plain, posted),
            (Class::Rejected, 1, 0, plain, parked.clone()),
            (Class::Conflict, 1, 0, plain, parked.clone()),
            (Class::Misconfigured, 1, 0, plain, parked.clone()),
            (Class::Defect, 1, 0, plain, parked.clone()),
            (Class::Unavailable, 1, 0, plain, retry(2_000)),
            (Class::Unavailable, 2, 5_000, plain, retry(9_000)),
            (Class::Unavailable, 3, 0, plain, retry(8_000)),
            (Class::Unavailable, 9, 0, plain, retry(512_000)),
            (Class::Unavailable, 10, 0, plain, retry(600_000)),
            (Class::Unavailable, u32::MAX, 0, plain, retry(600_000)),
            (Class::Unavailable, 200, 24 * HOUR - 1_000, plain, retry(24 * HOUR)),
            (Class::Unavailable, 200, 24 * HOUR, plain, parked.clone()),
            (Class::Unavailable, 2, 0, limited, retry(4_000)),
            (Class::Unavailable, 3, 0, limited, parked.clone()),
            (Class::Unknown, 1, 0, plain, retry(2_000)),
            (Class::Unknown, 9, 0, plain, retry(512_000)),
            (Class::Unknown, 5, 24 * HOUR, plain, parked.clone()),
            (Class::Unknown, 3, 0, limited, parked.clone()),
            (Class::Throttled(None), 1, 0, plain, retry(2_000)),
            (Class::Throttled(None), 1, 25 * HOUR, plain, parked.clone()),
            (Class::Throttled(secs(1)), 3, 0, plain, retry(8_000)),
            (Class::Throttled(secs(90)), 1, 0, plain, retry(90_000)),
            (Class::Throttled(secs(3_600)), 1, 0, plain, retry(HOUR)),
            (Class::Throttled(secs(60)), 1, 24 * HOUR - 61_000, plain, retry(24 * HOUR - 1_000)),
            (Class::Throttled(secs(60)), 1, 24 * HOUR - 30_000, plain, parked.clone()),
            (Class::Throttled(secs(90_000)), 1, 0, plain, parked.clone()),
            (Class::Throttled(secs(u64::MAX)), 1, 0, plain, parked.clone()),
            (Class::Unauthorized, 1, 0, plain, retry(60_000)),
            (Class::Unauthorized, 2, 0, plain, retry(120_000)),
            (Class::Unauthorized, 3, 0, plain, retry(240_000)),
            (Class::Unauthorized, 4, 0, plain, parked.clone()),
            (Class::Unauthorized, 1, 24 * HOUR, plain, parked),
        ];
        for (class, tries, now_ms, schedule, expected) in table {
            let moment = Moment { tries, window_start_ms: 0, now_ms, over_at_ms: None };
            let next = decide(class, &moment, schedule, 7);
            assert_eq!(next, expected, "{class:?} after {tries} tries at {now_ms}");
        }
    }

    #[test]
    fn only_an_unknown_call_is_waited_out() {
        let at = |class, now_ms| {
            let moment = Moment { tries: 1, window_start_ms: 0, now_ms, over_at_ms: Some(now_ms + 120_000) };
            decide(class, &moment, &plain(), 7)
        };
        const END: i64 = 86_400_000;
        let table = [
            (Class::Unknown, 0, Next::Retry { at_ms: 120_000 }),
            // Beyond the window's end: one more question, then it is over.
            (Class::Unknown, END - 1_000, Next::Retry { at_ms: END + 119_000 }),
            (Class::Unknown, END, Next::Parked),
            (Class::Unavailable, 0, Next::Retry { at_ms: 2_000 }),
            (Class::Throttled(None), 0, Next::Retry { at_ms: 2_000 }),
            (Class::Throttled(Some(Duration::from_secs(5))), 0, Next::Retry { at_ms: 5_000 }),
            (Class::Unauthorized, 0, Next::Retry { at_ms: 60_000 }),
            (Class::Done, 0, Next::Posted),
            (Class::Rejected, 0, Next::Parked),
        ];
        for (class, now_ms, expected) in table {
            assert_eq!(at(class, now_ms), expected, "{class:?} at {now_ms}");
        }
    }

    #[test]
    fn jitter_comes_from_the_seed_and_stays_in_its_share() {
        let schedule = Schedule { jitter: 0.5, ..Schedule::default() };
        let moment = Moment { tries: 1, window_start_ms: 0, now_ms: 0, over_at_ms: None };
        let at = |seed| match decide(Class::Unavailable, &moment, &schedule, seed) {
            Next::Retry { at_ms } => at_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(at(1), at(1));
        let all: Vec<i64> = (0..200).map(at).collect();
        assert!(all.iter().all(|ms| (2_000..=3_000).contains(ms)), "{all:?}");
        assert!(all.iter().max() > Some(&2_900) && all.iter().min() < Some(&2_100));
    }

    /// Every class, at every step a document may have reached, with and without doubt before, in the middle and at the
    /// end of the retry window: what follows, whether doubt remains, how the next attempt begins.
    #[test]
    fn every_cell_of_the_protocol() {
        const END: i64 = 86_400_000;
        // class | within the window | at its end | doubt after none, after some | next begins after none at no step
        type Cell = (Option<Class>, &'static str, &'static str, bool, bool, FirstMove);
        let table: [Cell; 12] = [
            (Some(Class::Done), "posted", "posted", false, false, FirstMove::LookupFirst),
            (Some(Class::AlreadyThere), "posted", "posted", false, false, FirstMove::LookupFirst),
            (Some(Class::Rejected), "parked", "parked", false, true, FirstMove::Apply),
            (Some(Class::Misconfigured), "parked", "parked", false, true, FirstMove::Apply),
            (Some(Class::Conflict), "parked", "parked", false, true, FirstMove::LookupFirst),
            (Some(Class::Defect), "parked", "parked", true, true, FirstMove::LookupFirst),
            (
                Some(Class::Throttled(Some(Duration::from_secs(7)))),
                "7000",
                "parked",
                false,
                true,
                FirstMove::Apply,
            ),
            (Some(Class::Throttled(None)), "2000", "parked", false, true, FirstMove::Apply),
            (Some(Class::Unavailable), "2000", "parked", false, true, FirstMove::Apply),
            (Some(Class::Unauthorized), "60000", "parked", false, true, FirstMove::Apply),
            (Some(Class::Unknown), "120000", "parked", true, true, FirstMove::LookupFirst),
            // Died in between: nothing is decided, the store says that it is in doubt.
            (None, "", "", true, true, FirstMove::LookupFirst),
        ];
        let told = |next: Next| match next {
            Next::Posted => "posted".to_owned(),
            Next::Rejected => "rejected".to_owned(),
            Next::Parked => "parked".to_owned(),
            Next::Retry { at_ms } => at_ms.to_string(),
        };
        for (class, within, at_end, after_none, after_some, begins) in table {
            if let Some(class) = class {
                for (now_ms, expected) in [(0, within), (END, at_end)] {
                    let over_at_ms = Some(now_ms + 120_000);
                    let moment = Moment { tries: 1, window_start_ms: 0, now_ms, over_at_ms };
                    assert_eq!(told(decide(class, &moment, &plain(), 7)), expected, "{class:?} at {now_ms}");
                }
                assert_eq!((doubt(false, class), doubt(true, class)), (after_none, after_some), "{class:?}");
            }
            for step in [None, Some("saved"), Some("submitted"), Some("audited")] {
                for in_doubt in [false, true] {
                    let remote =
                        step.map(|step| RemoteRef { id: "1".into(), number: "n".into(), step: step.into() });
                    // Whatever stands, or may stand, is asked about; only where nothing can be is it sent unasked.
                    let certain = remote.is_none() && !in_doubt;
                    let expected = if certain { begins } else { FirstMove::LookupFirst };
                    let previous = Previous { class, remote, in_doubt };
                    assert_eq!(first_move(Some(&previous)), expected, "{previous:?}");
                }
            }
        }
        assert_eq!(first_move(None), FirstMove::Apply);
    }

    #[test]
    fn asked_before_sent_again() {
        let ended = |class, in_doubt| Previous { class, remote: None, in_doubt };
        let saved = Some(RemoteRef { id: "1".into(), number: String::new(), step: "saved".into() });
        let table = [
            (None, FirstMove::Apply),
            (Some(ended(None, true)), FirstMove::LookupFirst),
            (Some(ended(None, false)), FirstMove::LookupFirst),
            (Some(ended(Some(Class::Unknown), true)), FirstMove::LookupFirst),
            (Some(ended(Some(Class::Defect), false)), FirstMove::LookupFirst),
            (Some(ended(Some(Class::Conflict), false)), FirstMove::LookupFirst),
            (Some(ended(Some(Class::Done), false)), FirstMove::LookupFirst),
            (Some(ended(Some(Class::AlreadyThere), false)), FirstMove::LookupFirst),
            (Some(ended(Some(Class::Unavailable), false)), FirstMove::Apply),
            (Some(ended(Some(Class::Unavailable), true)), FirstMove::LookupFirst),
            (Some(ended(Some(Class::Throttled(None)), false)), FirstMove::Apply),
            (Some(ended(Some(Class::Unauthorized), false)), FirstMove::Apply),
            (Some(ended(Some(Class::Rejected), false)), FirstMove::Apply),
            (Some(ended(Some(Class::Rejected), true)), FirstMove::LookupFirst),
            (Some(ended(Some(Class::Misconfigured), false)), FirstMove::Apply),
            (
                Some(Previous { class: Some(Class::Unavailable), remote: saved, in_doubt: false }),
                FirstMove::LookupFirst,
            ),
        ];
        for (previous, expected) in table {
            assert_eq!(first_move(previous.as_ref()), expected, "{previous:?}");
        }
    }

    #[test]
    fn doubt_ends_only_with_a_success() {
        let mut in_doubt = doubt(false, Class::Unknown);
        assert!(in_doubt);
        for class in [
            Class::Unavailable,
            Class::Throttled(None),
            Class::Unauthorized,
            Class::Rejected,
            Class::Conflict,
            Class::Misconfigured,
        ] {
            in_doubt = doubt(in_doubt, class);
            assert!(in_doubt, "{class}");
            assert!(!doubt(false, class), "{class}");
        }
        assert!(!doubt(in_doubt, Class::AlreadyThere));
        assert!(doubt(false, Class::Defect));
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(Schedule::default().problem(), None);
        for wrong in [
            Schedule { first_ms: 0, ..plain() },
            Schedule { factor: 0.5, ..plain() },
            Schedule { factor: f32::NAN, ..plain() },
            Schedule { jitter: 1.5, ..plain() },
            Schedule { max_ms: 1, ..plain() },
            Schedule { attempts_max: Some(0), ..plain() },
        ] {
            assert!(wrong.problem().is_some(), "{wrong:?}");
        }
    }
}
