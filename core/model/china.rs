//! China's calendar: days and months of people's books. One offset all year, in all of the country.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Hours ahead of UTC.
pub const OFFSET: Offset = Offset::constant(8);

/// The zone.
pub fn zone() -> TimeZone {
    TimeZone::fixed(OFFSET)
}

/// A moment there. Milliseconds since 1970 UTC; `None` beyond the calendar.
pub fn moment(at_ms: i64) -> Option<Zoned> {
    Some(Timestamp::from_millisecond(at_ms).ok()?.to_zoned(zone()))
}

/// The day of a moment. `None` beyond the calendar.
pub fn day(at_ms: i64) -> Option<Date> {
    Some(moment(at_ms)?.date())
}

/// The beginning of a day, in milliseconds since 1970 UTC. `None` at the edge of the calendar.
pub fn begin_ms(day: Date) -> Option<i64> {
    Some(day.to_zoned(zone()).ok()?.timestamp().as_millisecond())
}

/// A month of the books, `2026-10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    /// Its first day.
    first: Date,
}

/// A text that is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a month such as 2026-10")]
pub struct NoMonth;

impl Month {
    /// The month of a day.
    pub fn of(day: Date) -> Month {
        Month { first: day.first_of_month() }
    }

    /// The month of a moment. `None` beyond the calendar.
    pub fn at(at_ms: i64) -> Option<Month> {
        day(at_ms).map(Month::of)
    }

    /// Its first day.
    pub fn first(self) -> Date {
        self.first
    }

    /// Its last day.
    pub fn last(self) -> Date {
        self.first.last_of_month()
    }

    /// The one after it. `None` at the end of the calendar.
    pub fn next(self) -> Option<Month> {
        self.last().tomorrow().ok().map(Month::of)
    }

    /// The one before it. `None` at the beginning of the calendar.
    pub fn previous(self) -> Option<Month> {
        self.first.yesterday().ok().map(Month::of)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.first.strftime("%Y-%m"))
    }
}

impl FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Month, NoMonth> {
        let digits =
            |(index, byte): (usize, u8)| if index == 4 { byte == b'-' } else { byte.is_ascii_digit() };
        if text.len() != 7 || !text.bytes().enumerate().all(digits) {
            return Err(NoMonth);
        }
        format!("{text}-01").parse().map(Month::of).map_err(|_| NoMonth)
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Month, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_eight_hours_before_that_of_utc() {
        let october: Month = "2026-10".parse().unwrap();
        let begin = begin_ms(october.first()).unwrap();
        assert_eq!(begin, "2026-09-30T16:00:00Z".parse::<Timestamp>().unwrap().as_millisecond());
        assert_eq!(Month::at(begin), Some(october));
        assert_eq!(Month::at(begin - 1), october.previous());
        assert_eq!(day(begin - 1).unwrap().to_string(), "2026-09-30");
        assert_eq!(
            (october.last().to_string().as_str(), october.next()),
            ("2026-10-31", "2026-11".parse().ok())
        );
        assert_eq!("2024-02".parse::<Month>().unwrap().last().day(), 29);
        assert_eq!((moment(i64::MAX), Month::at(i64::MIN)), (None, None));
    }

    #[test]
    fn months_are_written_one_way() {
        for text in
            ["2026-1", "2026-13", "2026-00", "26-10", "2026/10", "2026-10-01", "", "２026-10", "+026-10"]
        {
            assert_eq!(text.parse::<Month>(), Err(NoMonth), "{text}");
        }
        let month: Month = serde_json::from_str(r#""2026-12""#).unwrap();
        assert_eq!(serde_json::to_string(&month.next()).unwrap(), r#""2027-01""#);
    }
}
