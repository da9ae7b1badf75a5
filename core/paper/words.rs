//! Amounts in Chinese capital numerals (大写), which cannot be altered by a stroke.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

const DIGITS: [char; 10] = ['零', '壹', '贰', '叁', '肆', '伍', '陆', '柒', '捌', '玖'];

/// One more than the most yuan that is written.
const YUAN_MAX: u64 = 10_000_000_000_000_000;

/// An amount of renminbi as it stands on a bill. `None` with parts of a fen, and from 10 quadrillion yuan on.
pub fn capital(value: Decimal) -> Option<String> {
    let value = value.normalize();
    if value.scale() > 2 {
        return None;
    }
    let fen = value.abs().checked_mul(Decimal::ONE_HUNDRED)?.to_u64()?;
    let (yuan, jiao, fen) = (fen / 100, fen / 10 % 10, fen % 10);
    if yuan >= YUAN_MAX {
        return None;
    }
    let mut text = String::new();
    if value.is_sign_negative() && !value.is_zero() {
        text.push('负');
    }
    if yuan > 0 {
        text.push_str(&whole(yuan));
        text.push('元');
    }
    match (jiao, fen) {
        (0, 0) if yuan == 0 => text.push_str("零元整"),
        (0, 0) => text.push('整'),
        (0, fen) => {
            if yuan > 0 {
                text.push('零');
            }
            text.extend([digit(fen), '分']);
        }
        (jiao, fen) => {
            if yuan > 0 && yuan % 10 == 0 {
                text.push('零');
            }
            text.extend([digit(jiao), '角']);
            if fen == 0 { text.push('整') } else { text.extend([digit(fen), '分']) }
        }
    }
    Some(text)
}

/// More than zero, by groups: …亿…万….
fn whole(number: u64) -> String {
    for (unit, name) in [(100_000_000, '亿'), (10_000, '万')] {
        let (high, low) = (number / unit, number % unit);
        if high > 0 {
            let mut text = whole(high);
            text.push(name);
            if low > 0 {
                if low < unit / 10 {
                    text.push('零');
                }
                text.push_str(&whole(low));
            }
            return text;
        }
    }
    group(number)
}

/// Less than ten thousand.
fn group(number: u64) -> String {
    let mut text = String::new();
    let mut is_gap = false;
    for (unit, name) in [(1_000, Some('仟')), (100, Some('佰')), (10, Some('拾')), (1, None)] {
        let here = number / unit % 10;
        if here == 0 {
            is_gap = !text.is_empty();
            continue;
        }
        if is_gap {
            text.push('零');
        }
        is_gap = false;
        text.push(digit(here));
        text.extend(name);
    }
    text
}

fn digit(value: u64) -> char {
    usize::try_from(value).ok().and_then(|index| DIGITS.get(index)).copied().unwrap_or('零')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tongbao_model::decimal::parse;

    #[test]
    fn as_on_a_bill() {
        for (amount, expected) in [
            ("0", "零元整"),
            ("-0.00", "零元整"),
            ("0.01", "壹分"),
            ("0.10", "壹角整"),
            ("0.15", "壹角伍分"),
            ("1", "壹元整"),
            ("1.05", "壹元零伍分"),
            ("10", "壹拾元整"),
            ("10.50", "壹拾元零伍角整"),
            ("12.50", "壹拾贰元伍角整"),
            ("101", "壹佰零壹元整"),
            ("110", "壹佰壹拾元整"),
            ("1001", "壹仟零壹元整"),
            ("1010", "壹仟零壹拾元整"),
            ("325.04", "叁佰贰拾伍元零肆分"),
            ("1409.50", "壹仟肆佰零玖元伍角整"),
            ("1680.32", "壹仟陆佰捌拾元零叁角贰分"),
            ("6007.14", "陆仟零柒元壹角肆分"),
            ("16409.02", "壹万陆仟肆佰零玖元零贰分"),
            ("107000.53", "壹拾万柒仟元零伍角叁分"),
            ("100000", "壹拾万元整"),
            ("100001", "壹拾万零壹元整"),
            ("10000001", "壹仟万零壹元整"),
            ("100000000", "壹亿元整"),
            ("100000001", "壹亿零壹元整"),
            ("100010000", "壹亿零壹万元整"),
            ("1000100000", "壹拾亿零壹拾万元整"),
            ("10000000000000", "壹拾万亿元整"),
            ("20000300000004.05", "贰拾万零叁亿零肆元零伍分"),
            (
                "9999999999999999.99",
                "玖仟玖佰玖拾玖万玖仟玖佰玖拾玖亿玖仟玖佰玖拾玖万玖仟玖佰玖拾玖元玖角玖分",
            ),
            ("-1234.5", "负壹仟贰佰叁拾肆元伍角整"),
        ] {
            assert_eq!(capital(parse(amount).unwrap()).as_deref(), Some(expected), "{amount}");
        }
        for amount in ["0.001", "10000000000000000", "99999999999999999999"] {
            assert_eq!(capital(parse(amount).unwrap()), None, "{amount}");
        }
    }

    /// Reads capital numerals back, by another way than they are written.
    fn read(text: &str) -> u64 {
        let (mut all, mut high, mut group, mut last) = (0, 0, 0, 0);
        for symbol in text.chars() {
            match symbol {
                '亿' => (high, group, last) = ((high + group + last) * 100_000_000, 0, 0),
                '万' => (high, group, last) = (high + (group + last) * 10_000, 0, 0),
                '仟' => (group, last) = (group + last * 1_000, 0),
                '佰' => (group, last) = (group + last * 100, 0),
                '拾' => (group, last) = (group + last * 10, 0),
                '元' => (all, high, group, last) = ((high + group + last) * 100, 0, 0, 0),
                '角' => (all, last) = (all + last * 10, 0),
                '分' => (all, last) = (all + last, 0),
                '整' => {}
                digit => last = DIGITS.iter().zip(0..).find(|(known, _)| **known == digit).unwrap().1,
            }
        }
        all
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(fen in 0u64..1_000_000_000_000_000_000, zeros in 0u32..16) {
            let fen = fen / 10_u64.pow(zeros);
            let text = capital(Decimal::new(i64::try_from(fen).unwrap(), 2)).unwrap();
            prop_assert_eq!(read(&text), fen, "{}", text);
            prop_assert!(!text.contains("零零") && !text.contains("零万") && !text.contains("零亿"), "{}", text);
        }
    }
}
