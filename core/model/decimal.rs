//! Exact decimals, from the bytes on.
//!
//! A JSON number `10000000.015` and the text `"10000000.015"` both arrive as exactly that decimal. What
//! `rust_decimal` cannot hold exactly (more than 28 digits) is refused, never rounded.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A decimal read exactly and written as text, so that no reader turns it into a binary float.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Exact(pub Decimal);

/// Why a text is no decimal this product accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not a plain or exponent decimal number.
    #[error("not a decimal number")]
    Syntax,
    /// More digits than can be kept exactly.
    #[error("more digits than can be kept exactly (28)")]
    Digits,
}

/// Reads a decimal exactly: optional sign, digits, optional fraction, optional exponent (JSON allows
/// one). Group separators, blanks, currency signs and full-width digits are refused: text is not guessed.
pub fn parse(text: &str) -> Result<Decimal, DecimalError> {
    if text.len() > 64 {
        return Err(DecimalError::Digits);
    }
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at).unwrap_or(""), text.get(at + 1..)),
        None => (text, None),
    };
    let digits = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return Err(DecimalError::Syntax);
    }
    match exponent {
        None => Decimal::from_str_exact(mantissa).map_err(|_| DecimalError::Digits),
        Some(exponent) => {
            let shift: i32 = exponent.parse().map_err(|_| DecimalError::Syntax)?;
            shifted(mantissa, shift)
        }
    }
}

/// Applies a decimal exponent by moving the point in the text, so that nothing is rounded.
fn shifted(mantissa: &str, shift: i32) -> Result<Decimal, DecimalError> {
    if !(-40..=40).contains(&shift) {
        return Err(DecimalError::Digits);
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).map_err(|_| DecimalError::Digits)? + shift;
    let text = if point <= 0 {
        let zeros = "0".repeat(usize::try_from(-point).unwrap_or(0));
        format!("{sign}0.{zeros}{all}")
    } else {
        let point = usize::try_from(point).map_err(|_| DecimalError::Digits)?;
        let padded = format!("{all:0<point$}");
        let (left, right) = padded.split_at_checked(point).ok_or(DecimalError::Digits)?;
        if right.is_empty() { format!("{sign}{left}") } else { format!("{sign}{left}.{right}") }
    };
    let trimmed = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    Decimal::from_str_exact(trimmed).map_err(|_| DecimalError::Digits)
}

/// Reads a decimal that is written the way it would be written again (no exponent, no needless zeros in front, at
/// most 18 digits): its digits as a whole number, and its scale. `None` for any other text, which [`parse`] decides.
pub fn plain(text: &str) -> Option<(i64, u32)> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, bytes),
    };
    if digits.len() > 18 {
        return None;
    }
    let (mut mantissa, mut point) = (0_i64, None);
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + i64::from(byte - b'0'),
            b'.' if point.is_none() && index > 0 => point = Some(index),
            _ => return None,
        }
    }
    let whole = point.unwrap_or(digits.len());
    let scale = point.map_or(0, |point| digits.len() - point - 1);
    let needless = digits.first() == Some(&b'0') && whole > 1;
    if whole == 0 || needless || (point.is_some() && scale == 0) || (negative && mantissa == 0) {
        return None;
    }
    Some((if negative { -mantissa } else { mantissa }, u32::try_from(scale).ok()?))
}

/// Writes a decimal with exactly its digits, as `to_string` does, without a text in between.
pub fn write(value: Decimal, out: &mut Vec<u8>) {
    let Ok(digits) = u64::try_from(value.mantissa().unsigned_abs()) else {
        out.extend_from_slice(value.to_string().as_bytes());
        return;
    };
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(digits).as_bytes();
    let scale = usize::try_from(value.scale()).unwrap_or(0);
    if scale == 0 {
        out.extend_from_slice(digits);
    } else if let Some((whole, fraction)) =
        digits.len().checked_sub(scale).filter(|at| *at > 0).and_then(|at| digits.split_at_checked(at))
    {
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', scale - digits.len()));
        out.extend_from_slice(digits);
    }
}

/// A rounding that a mapping can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Half away from zero (四舍五入), the rounding of invoices.
    HalfUp,
    /// Half to the even neighbour (四舍六入五成双).
    HalfEven,
    /// Towards zero (截断).
    Down,
    /// Away from zero (进一).
    Up,
}

impl Rounding {
    /// Every rounding with its name in mapping files.
    pub const ALL: [(Rounding, &'static str); 4] = [
        (Rounding::HalfUp, "half-up"),
        (Rounding::HalfEven, "half-even"),
        (Rounding::Down, "down"),
        (Rounding::Up, "up"),
    ];

    /// The rounding of a name.
    pub fn from_name(name: &str) -> Option<Rounding> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(rounding, _)| rounding)
    }

    /// Rounds to `scale` places.
    pub fn apply(self, value: Decimal, scale: u32) -> Decimal {
        value.round_dp_with_strategy(
            scale,
            match self {
                Rounding::HalfUp => RoundingStrategy::MidpointAwayFromZero,
                Rounding::HalfEven => RoundingStrategy::MidpointNearestEven,
                Rounding::Down => RoundingStrategy::ToZero,
                Rounding::Up => RoundingStrategy::AwayFromZero,
            },
        )
    }
}

/// Rounds half away from zero to `scale` places: the rounding of Chinese invoices (四舍五入), under which a
/// red document is exactly the negative of its blue one.
pub fn round_half_up(value: Decimal, scale: u32) -> Decimal {
    value.round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero)
}

/// One more than the largest mantissa of a decimal: 2 to the 96.
const WIDEST: u128 = 1 << 96;

/// A decimal of few digits as a whole number and its scale, without zeros at the end of the fraction.
fn short(value: Decimal) -> Option<(i64, u32)> {
    let mut digits = i64::try_from(value.mantissa()).ok()?;
    let mut scale = value.scale();
    while scale > 0 && digits % 10 == 0 {
        digits /= 10;
        scale -= 1;
    }
    Some((digits, scale))
}

/// `left × right` when the product is exact; `None` when digits would be lost or the range is left.
///
/// `Decimal::checked_mul` reports only a magnitude that overflows and rounds silently past 28 digits, so
/// the scales decide here whether the result can have been exact.
pub fn multiply(left: Decimal, right: Decimal) -> Option<Decimal> {
    if let (Some((a, a_scale)), Some((b, b_scale))) = (short(left), short(right)) {
        let product = i128::from(a) * i128::from(b);
        if a_scale + b_scale <= 28 && product.unsigned_abs() < WIDEST {
            return Decimal::try_from_i128_with_scale(product, a_scale + b_scale).ok();
        }
    }
    let (left, right) = (left.normalize(), right.normalize());
    let product = left.checked_mul(right)?;
    let scale = left.scale() + right.scale();
    let exact = product.scale() == scale || product.is_zero() || {
        // A product may come back with a smaller scale although nothing was lost: dividing must give
        // the factor back.
        scale <= 28 && product.checked_div(right).is_some_and(|quotient| quotient == left)
    };
    exact.then_some(product)
}

/// `left + right` when exact; `None` when digits would be lost or the range is left.
pub fn add(left: Decimal, right: Decimal) -> Option<Decimal> {
    whole_sum(left, right).or_else(|| whole_sum(left.normalize(), right.normalize()))
}

/// The sum of two whole numbers, at the larger of the scales. `Decimal::checked_add` would round what does not fit.
fn whole_sum(left: Decimal, right: Decimal) -> Option<Decimal> {
    let scale = left.scale().max(right.scale());
    let widened = |value: Decimal| match scale - value.scale() {
        // Amounts of one document mostly have one scale.
        0 => Some(value.mantissa()),
        more => value.mantissa().checked_mul(10_i128.checked_pow(more)?),
    };
    let sum = widened(left)?.checked_add(widened(right)?)?;
    if sum.unsigned_abs() < WIDEST { Decimal::try_from_i128_with_scale(sum, scale).ok() } else { None }
}

/// Splits a tax-included amount into net and tax at two places: net is rounded, tax is what remains, so
/// that net + tax is the amount to the cent. `None` when `rate` is -1 or the range is left.
pub fn split_tax(gross: Decimal, rate: Decimal) -> Option<(Decimal, Decimal)> {
    let net = round_half_up(gross.checked_div(Decimal::ONE.checked_add(rate)?)?, 2);
    Some((net, gross.checked_sub(net)?))
}

impl Exact {
    /// Canonical text: no exponent, no trailing zeros beyond what was given.
    pub fn text(self) -> String {
        self.0.to_string()
    }
}

impl From<Decimal> for Exact {
    fn from(value: Decimal) -> Self {
        Exact(value)
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Exact;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a decimal number, as a JSON number or as text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Exact, E> {
                parse(text).map(Exact).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Exact, E> {
                Ok(Exact(value.into()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Exact, E> {
                Ok(Exact(value.into()))
            }

            // serde_json hands a number over as a one-entry map holding its text when numbers are kept
            // exact. A binary float (`visit_f64`) is deliberately not accepted; serde_json's own `Value`
            // offers one for short numbers, so values are read through `record::read`.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Exact, A::Error> {
                let entry: Option<(Cow<'_, str>, String)> = map.next_entry()?;
                match entry {
                    Some((key, text)) if key == "$serde_json::private::Number" => {
                        parse(&text).map(Exact).map_err(de::Error::custom)
                    }
                    Some(_) | None => Err(de::Error::custom("expected a decimal, found an object")),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_and_text_arrive_exactly() {
        for text in ["10000000.015", "0.1", "-0.00", "1.10", "9999999999999999.999999999999", "0"] {
            let from_number: Exact = serde_json::from_str(text).unwrap();
            let from_text: Exact = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!(from_number, from_text);
            assert_eq!(from_number.0, Decimal::from_str_exact(text).unwrap());
        }
        let value: serde_json::Value = serde_json::from_str("10000000.015").unwrap();
        assert_eq!(crate::record::read::<Exact>(&value).unwrap().text(), "10000000.015");
    }

    #[test]
    fn exponents_move_the_point() {
        for (text, expect) in [
            ("1e3", "1000"),
            ("1.5e2", "150"),
            ("1.25E-2", "0.0125"),
            ("-12e-1", "-1.2"),
            ("0e5", "0"),
            ("1.50e0", "1.5"),
        ] {
            assert_eq!(parse(text).unwrap(), Decimal::from_str_exact(expect).unwrap(), "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in ["", "-", "1,000", " 1", "1 ", "１", "+1", ".5", "5.", "1e", "0x1", "NaN", "1_000", "--1"]
        {
            assert_eq!(parse(text), Err(DecimalError::Syntax), "{text}");
        }
        for text in ["123456789012345678901234567890", "0.12345678901234567890123456789012", "1e41"] {
            assert_eq!(parse(text), Err(DecimalError::Digits), "{text}");
        }
    }

    #[test]
    fn tax_is_what_remains() {
        for (gross, rate, net, tax) in [
            ("100.00", "0.13", "88.50", "11.50"),
            ("1000.00", "0.13", "884.96", "115.04"),
            ("-125.00", "0.13", "-110.62", "-14.38"),
            ("100.00", "0.06", "94.34", "5.66"),
            ("300.00", "0.13", "265.49", "34.51"),
            ("3450.00", "0.13", "3053.10", "396.90"),
            ("19.90", "0.09", "18.26", "1.64"),
            ("10.00", "0.03", "9.71", "0.29"),
            ("0.01", "0.13", "0.01", "0.00"),
            ("0.05", "0.13", "0.04", "0.01"),
            ("999999.99", "0.13", "884955.74", "115044.25"),
        ] {
            let split = split_tax(parse(gross).unwrap(), parse(rate).unwrap()).unwrap();
            assert_eq!(split, (parse(net).unwrap(), parse(tax).unwrap()), "{gross} at {rate}");
        }
    }

    #[test]
    fn inexact_products_are_none() {
        let long = parse("1.23456789012345678901").unwrap();
        assert_eq!(multiply(long, long), None);
        assert_eq!(multiply(parse("3").unwrap(), parse("1.65").unwrap()), parse("4.95").ok());
        assert_eq!(multiply(parse("2.50").unwrap(), parse("4").unwrap()), parse("10").ok());
        assert_eq!(multiply(Decimal::ZERO, long), Some(Decimal::ZERO));
    }

    #[test]
    fn inexact_sums_are_none() {
        let (large, small) = (Decimal::new(i64::MAX, 0), Decimal::new(1, 11));
        assert_eq!((add(large, small), add(small, -large)), (None, None));
        assert_eq!(add(large, Decimal::new(100_000_000_000, 11)), parse("9223372036854775808").ok());
        let scales = [("0.0", "0", 1), ("0", "5.00", 2), ("-5.00", "5", 2)];
        for (left, right, scale) in scales {
            assert_eq!(
                add(parse(left).unwrap(), parse(right).unwrap()).unwrap().scale(),
                scale,
                "{left} + {right}"
            );
        }
    }

    #[test]
    fn plain_digits_and_nothing_else() {
        for (text, expect) in [
            ("0", Some((0, 0))),
            ("113.00", Some((11300, 2))),
            ("-0.05", Some((-5, 2))),
            ("999999999999999999", Some((999_999_999_999_999_999, 0))),
            ("9999999999999999999", None),
            ("-0", None),
            ("-0.00", None),
            ("01", None),
            ("00.1", None),
            (".5", None),
            ("5.", None),
            ("1e2", None),
            ("1.2.3", None),
            ("", None),
            ("-", None),
            ("+1", None),
            ("１", None),
        ] {
            assert_eq!(plain(text), expect, "{text}");
        }
    }

    #[test]
    fn roundings_have_names() {
        let half = Decimal::new(25, 1);
        let rounded = Rounding::ALL.map(|(rounding, name)| {
            assert_eq!(Rounding::from_name(name), Some(rounding));
            (rounding.apply(half, 0).to_string(), rounding.apply(-half, 0).to_string())
        });
        let texts: Vec<_> = rounded.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(texts, [("3", "-3"), ("2", "-2"), ("2", "-2"), ("3", "-3")]);
    }

    proptest! {
        #[test]
        fn written_digits_are_those_of_to_string(mantissa in any::<i128>(), bits in 32u32..127, scale in 0u32..=28) {
            let Ok(value) = Decimal::try_from_i128_with_scale(mantissa >> bits, scale) else { return Ok(()) };
            let mut out = Vec::new();
            write(value, &mut out);
            let text = String::from_utf8(out).unwrap();
            prop_assert_eq!(&text, &value.to_string());
            if let Some((mantissa, scale)) = plain(&text) {
                prop_assert_eq!(Decimal::new(mantissa, scale), value);
                prop_assert_eq!(Decimal::new(mantissa, scale).to_string(), text);
            }
        }

        #[test]
        fn short_ways_give_what_the_long_ways_give(a in any::<i64>(), b in any::<i64>(), m in 0u32..12, n in 0u32..12, bits in 0u32..40) {
            let (a, b) = (Decimal::new(a >> bits, m), Decimal::new(b >> bits, n));
            let exact = a.normalize().checked_mul(b.normalize())
                .filter(|product| product.scale() == a.normalize().scale() + b.normalize().scale() || product.is_zero());
            if let Some(exact) = exact {
                let product = multiply(a, b).unwrap();
                prop_assert_eq!((product, product.scale()), (exact, if exact.is_zero() { product.scale() } else { exact.scale() }));
            }
            let scale = m.max(n);
            let whole = |value: Decimal| value.mantissa() * 10_i128.pow(scale - value.scale());
            let exact = whole(a) + whole(b);
            if exact.unsigned_abs() < WIDEST {
                let sum = add(a, b).unwrap();
                prop_assert_eq!(sum, a + b);
                prop_assert_eq!((whole(sum), sum.scale()), (exact, scale));
            } else if let Some(sum) = add(a, b) {
                // Too many digits at this scale, but those at the end are zeros.
                prop_assert_eq!(whole(sum), exact);
            }
        }

        #[test]
        fn text_reads_back(mantissa in any::<i64>(), scale in 0u32..19) {
            let value = Decimal::new(mantissa, scale);
            prop_assert_eq!(parse(&value.to_string()).unwrap(), value);
            let json: Exact = serde_json::from_str(&value.to_string()).unwrap();
            prop_assert_eq!(json.0, value);
        }

        #[test]
        fn a_red_line_is_the_negative_of_its_blue(cents in 0i64..10_000_000_000, rate in 0u32..=20) {
            let gross = Decimal::new(cents, 2);
            let rate = Decimal::new(i64::from(rate), 2);
            let (net, tax) = split_tax(gross, rate).unwrap();
            let (red_net, red_tax) = split_tax(-gross, rate).unwrap();
            prop_assert_eq!((red_net, red_tax), (-net, -tax));
            prop_assert_eq!(net + tax, gross);
        }
    }
}
