//! Amounts as whole ten-thousandths: from the digits of a file and back, never by way of a fraction.

use super::refusal::Reason;
use super::text::clean;
use std::fmt;

/// Decimal places that are kept.
const PLACES: usize = 4;
/// Ten-thousandths in one.
const ONE: u128 = 10_000;

/// A sum, in ten-thousandths. Sums of all rows that a file may have fit by far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sum(pub i128);

impl fmt::Display for Sum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, size) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let (whole, part) = (size / ONE, size % ONE);
        match part % 100 {
            0 => write!(out, "{sign}{whole}.{:02}", part / 100),
            rest if rest % 10 == 0 => write!(out, "{sign}{whole}.{:03}", part / 10),
            _ => write!(out, "{sign}{whole}.{part:04}"),
        }
    }
}

/// The amount in a cell, in ten-thousandths.
pub fn amount(cell: &[u8]) -> Result<i64, Reason> {
    if let Some(units) = plain(cell) { Ok(units) } else { dressed(cell) }
}

/// What nearly every cell is: a sign or none, up to 14 digits, up to four decimal places.
fn plain(cell: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match cell.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, cell),
    };
    if digits.len() > 14 || !digits.first()?.is_ascii_digit() {
        return None;
    }
    let (mut units, mut places) = (0_i64, None);
    for byte in digits {
        if byte.is_ascii_digit() {
            units = units * 10 + i64::from(byte - b'0');
            places = places.map(|places: usize| places + 1);
        } else if *byte == b'.' && places.is_none() {
            places = Some(0);
        } else {
            return None;
        }
    }
    let missing = match places {
        None => 10_000,
        Some(1) => 1_000,
        Some(2) => 100,
        Some(3) => 10,
        Some(4) => 1,
        Some(_) => return None,
    };
    Some(if is_negative { -units * missing } else { units * missing })
}

/// The others: blanks, a sign of money, separators of thousands in the right places, more places that are all nothing.
fn dressed(cell: &[u8]) -> Result<i64, Reason> {
    let text = std::str::from_utf8(cell).map_err(|_| Reason::NoNumber)?;
    let text = clean(text);
    if matches!(text, "" | "-" | "--" | "/") {
        return Err(Reason::NoAmount);
    }
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.strip_prefix(['¥', '￥']).unwrap_or(digits);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if !is_digits(fraction) {
        return Err(Reason::NoNumber);
    }
    let whole = without_separators(whole).ok_or(Reason::NoNumber)?;
    let (kept, rest) = fraction.split_at_checked(PLACES).unwrap_or((fraction, ""));
    if rest.bytes().any(|byte| byte != b'0') {
        return Err(Reason::Places);
    }
    let sign = if is_negative { "-" } else { "" };
    format!("{sign}{whole}{kept:0<PLACES$}").parse().map_err(|_| Reason::TooLarge)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits in groups of three, or in one.
fn without_separators(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next().filter(|first| is_digits(first))?;
    let mut digits = first.to_owned();
    for group in groups {
        if first.len() > 3 || group.len() != 3 || !is_digits(group) {
            return None;
        }
        digits.push_str(group);
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cells() {
        use Reason::{NoAmount, NoNumber, Places, TooLarge};
        for (cell, wanted) in [
            ("0", Ok(0)),
            ("12", Ok(120_000)),
            ("-12.3", Ok(-123_000)),
            ("12.34", Ok(123_400)),
            ("12.3456", Ok(123_456)),
            ("0012.30", Ok(123_000)),
            ("-0", Ok(0)),
            ("12.", Err(NoNumber)),
            (".5", Err(NoNumber)),
            ("1.2.3", Err(NoNumber)),
            ("+12.30", Ok(123_000)),
            (" 12.30\t", Ok(123_000)),
            ("¥1,234,567.80", Ok(12_345_678_000)),
            ("-￥1,234.5", Ok(-12_345_000)),
            ("'12.30", Ok(123_000)),
            ("=\"12.30\"", Ok(123_000)),
            ("12.345600000", Ok(123_456)),
            ("12.34561", Err(Places)),
            ("1,23", Err(NoNumber)),
            ("1234,567", Err(NoNumber)),
            (",123", Err(NoNumber)),
            ("1,,234", Err(NoNumber)),
            ("1.2,345", Err(NoNumber)),
            ("1.2E+05", Err(NoNumber)),
            ("(12.30)", Err(NoNumber)),
            ("--12", Err(NoNumber)),
            ("¥-12", Err(NoNumber)),
            ("１２", Err(NoNumber)),
            ("NaN", Err(NoNumber)),
            ("", Err(NoAmount)),
            ("  ", Err(NoAmount)),
            ("-", Err(NoAmount)),
            ("--", Err(NoAmount)),
            ("922337203685477.5807", Ok(i64::MAX)),
            ("-922337203685477.5808", Ok(i64::MIN)),
            ("922337203685477.5808", Err(TooLarge)),
            ("99999999999999", Ok(999_999_999_999_990_000)),
            ("999999999999999999999999", Err(TooLarge)),
        ] {
            assert_eq!(amount(cell.as_bytes()), wanted, "{cell}");
        }
        assert_eq!(amount(b"\xff"), Err(NoNumber));
    }

    #[test]
    fn sums_are_written_as_money() {
        for (units, text) in [
            (0, "0.00"),
            (10_000, "1.00"),
            (-123_400, "-12.34"),
            (123_450, "12.345"),
            (-1, "-0.0001"),
            (500, "0.05"),
            (i128::MIN, "-17014118346046923173168730371588410.5728"),
        ] {
            assert_eq!(Sum(units).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(units in any::<i64>(), cents in -1_000_000_000_000i64..1_000_000_000_000) {
            for units in [units, cents] {
                prop_assert_eq!(amount(Sum(units.into()).to_string().as_bytes()), Ok(units));
            }
        }

        #[test]
        fn the_short_way_gives_what_the_long_way_gives(cell in "-?[0-9]{0,16}(\\.[0-9]{0,6})?") {
            if let Some(units) = plain(cell.as_bytes()) {
                prop_assert_eq!(dressed(cell.as_bytes()), Ok(units));
            }
        }
    }
}
