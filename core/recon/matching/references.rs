//! Numbers of contracts, invoices and orders in a payment's text.
//!
//! The numbers that exist decide what is one: `HT-2025-001` and `ht2025001` are the same, `FP0001/0002/0003` and
//! `FP0001-0003` are three. What looks like one of ours and is none is told too: a payment that names an unknown number
//! is not about something else that happens to have its amount.

use super::names::bare;
use std::collections::{BTreeSet, HashMap, HashSet};
use unicode_normalization::UnicodeNormalization;

/// Most numbers that a range such as `FP0001-0200` may stand for.
const RANGE: u64 = 200;
/// Digits alone are a number from this length on; shorter ones are amounts, days and counts.
const DIGITS: usize = 8;
/// Parts of one run of letters and digits that are looked at together, for numbers with separators in them.
const PARTS: usize = 6;

/// All known numbers and whose they are. What `W` is, is the caller's matter.
#[derive(Debug, Clone)]
pub struct Numbers<W> {
    known: HashMap<String, Vec<W>>,
    shapes: HashSet<String>,
}

/// What a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<W> {
    /// Known numbers in the order of the text, with whose they are.
    pub known: Vec<(String, Vec<W>)>,
    /// Like one of ours, and unknown.
    pub unknown: BTreeSet<String>,
}

impl<W> Default for Numbers<W> {
    fn default() -> Self {
        Numbers { known: HashMap::new(), shapes: HashSet::new() }
    }
}

impl<W: Clone + PartialEq> Numbers<W> {
    /// Adds a number. One without a digit, or of few digits alone, would be found where none is meant and is left out.
    pub fn add(&mut self, number: &str, whose: W) {
        let Some(number) = sound(&bare(number)) else { return };
        if let Some(shape) = shape(&number) {
            self.shapes.insert(shape);
        }
        let found = self.known.entry(number).or_default();
        if !found.contains(&whose) {
            found.push(whose);
        }
    }

    /// Every number that a text names.
    pub fn named(&self, text: &str) -> Named<W> {
        let mut named = Named { known: Vec::new(), unknown: BTreeSet::new() };
        for run in runs(text) {
            self.read(&run, &mut named);
        }
        named
    }

    /// Reads a run from its left, the longest number first.
    fn read(&self, run: &[Part], named: &mut Named<W>) {
        let mut at = 0;
        let mut last: Option<String> = None;
        while let Some(part) = run.get(at) {
            let longest = (1..=PARTS.min(run.len() - at)).rev().find_map(|count| {
                let number: String = run.get(at..at + count)?.iter().map(|part| part.text.as_str()).collect();
                let number = sound(&number)?;
                // Digits that stand apart are not one number.
                let is_one = count == 1 || shape(&number).is_some();
                (is_one && self.known.contains_key(&number)).then_some((number, count))
            });
            if let Some((number, count)) = longest {
                self.note(&number, named);
                last = Some(number);
                at += count;
                continue;
            }
            at += 1;
            // With a fraction behind it, it is an amount.
            let is_amount = run.get(at).is_some_and(|next| next.before == '.' && next.is_digits());
            match last.as_deref().filter(|_| !is_amount).and_then(|last| sibling(last, part)) {
                Some(Sibling::To(numbers)) => {
                    numbers.iter().for_each(|number| self.note(number, named));
                    last = numbers.into_iter().next_back();
                }
                Some(Sibling::One(next)) => {
                    self.note(&next, named);
                    last = Some(next);
                }
                None => {
                    let is_alike = shape(&part.text).is_some_and(|shape| self.shapes.contains(&shape));
                    if is_alike && sound(&part.text).is_some() {
                        named.unknown.insert(part.text.clone());
                        last = Some(part.text.clone());
                    }
                }
            }
        }
    }

    fn note(&self, number: &str, named: &mut Named<W>) {
        match self.known.get(number) {
            Some(_) if named.known.iter().any(|(noted, _)| noted == number) => {}
            Some(whose) => named.known.push((number.to_owned(), whose.clone())),
            None => {
                named.unknown.insert(number.to_owned());
            }
        }
    }
}

/// What may be a number.
fn sound(number: &str) -> Option<String> {
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let is_number = if digits == number.len() { digits >= DIGITS && !is_day(number) } else { digits > 0 };
    is_number.then(|| number.to_owned())
}

/// `20251103`, and the same with a time.
fn is_day(digits: &str) -> bool {
    let between = |range: std::ops::Range<usize>, low: u32, high: u32| {
        digits
            .get(range)
            .and_then(|part| part.parse().ok())
            .is_some_and(|part: u32| (low..=high).contains(&part))
    };
    matches!(digits.len(), 8 | 14)
        && between(0..4, 1990, 2099)
        && between(4..6, 1, 12)
        && between(6..8, 1, 31)
}

/// Letters as they are, and how many digits: numbers of one series have one shape. None of digits alone, for those of an
/// invoice and of an account look alike.
fn shape(number: &str) -> Option<String> {
    number
        .contains(|sign: char| sign.is_ascii_alphabetic())
        .then(|| number.chars().map(|sign| if sign.is_ascii_digit() { '0' } else { sign }).collect())
}

/// What a part of a list stands for.
enum Sibling {
    /// A number.
    One(String),
    /// Every number up to it.
    To(Vec<String>),
}

/// `FP0001` and then `0003`, or `/3`: `FP0003`. With fewer digits than the first one ends in only after a sign that nothing but
/// lists have: amounts, days and counts stand in texts too.
fn sibling(number: &str, part: &Part) -> Option<Sibling> {
    let (tail, before) = (part.text.as_str(), part.before);
    let digits = number.len() - number.trim_end_matches(|sign: char| sign.is_ascii_digit()).len();
    let fits = match before {
        '/' | '\\' | '、' => tail.len() <= digits,
        ',' | ';' | '+' | '&' | '和' | '及' | ' ' | '-' | '~' => tail.len() == digits,
        _ => false,
    };
    if !fits || digits == number.len() || !part.is_digits() {
        return None;
    }
    let next = format!("{}{tail}", number.get(..number.len().checked_sub(tail.len())?)?);
    Some(match before {
        '-' | '~' => Sibling::To(between(number, &next)),
        _ => Sibling::One(next),
    })
}

/// The numbers after the first one, to the last one. A range that is none, or too long, is its last number.
fn between(first: &str, last: &str) -> Vec<String> {
    let start = first.trim_end_matches(|sign: char| sign.is_ascii_digit()).len();
    let numbers = (first.get(start..), last.get(start..));
    let (Some(Ok(low)), Some(Ok(high))) =
        (numbers.0.map(str::parse::<u64>), numbers.1.map(str::parse::<u64>))
    else {
        return vec![last.to_owned()];
    };
    let width = first.len() - start;
    if high <= low || high - low > RANGE {
        return vec![last.to_owned()];
    }
    let head = first.get(..start).unwrap_or_default();
    (low + 1..=high).map(|number| format!("{head}{number:0width$}")).collect()
}

/// Part of a run, and the sign that stood before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    before: char,
    text: String,
}

/// Runs of letters and digits with the signs that stand between and within numbers, each in its parts. Everything else ends
/// a run, Chinese words above all.
fn runs(text: &str) -> Vec<Vec<Part>> {
    let mut runs: Vec<Vec<Part>> = Vec::new();
    let mut run: Vec<Part> = Vec::new();
    let mut part = Part::after(' ');
    for sign in text.nfkc().chain(std::iter::once('。')) {
        if sign.is_ascii_alphanumeric() {
            // `20251103FP0001`: a number begins with its letters.
            let begins = sign.is_ascii_alphabetic() && part.is_digits();
            if begins {
                run.push(std::mem::replace(&mut part, Part::after('|')));
            }
            part.text.push(sign.to_ascii_uppercase());
            continue;
        }
        if !part.text.is_empty() {
            run.push(std::mem::replace(&mut part, Part::after(' ')));
        }
        match sign {
            blank if blank.is_whitespace() => {}
            '至' | '到' | '~' => part.before = '~',
            '-' | '_' | '/' | '\\' | '.' | ',' | '、' | ';' | '+' | '&' | '#' | ':' | '和' | '及' => {
                part.before = sign
            }
            _ => {
                part = Part::after(' ');
                if !run.is_empty() {
                    runs.push(std::mem::take(&mut run));
                }
            }
        }
    }
    runs
}

impl Part {
    fn after(before: char) -> Part {
        Part { before, text: String::new() }
    }

    fn is_digits(&self) -> bool {
        !self.text.is_empty() && self.text.bytes().all(|byte| byte.is_ascii_digit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers() -> Numbers<u32> {
        let mut numbers = Numbers::default();
        for (whose, number) in (0..).zip([
            "FP0001",
            "FP0002",
            "FP0003",
            "HT-2025-001",
            "HT-2025-002",
            "25332000000012345678",
            "SO20251103-7",
            "100",
            "FP0010",
        ]) {
            numbers.add(number, whose);
        }
        numbers
    }

    fn found(text: &str) -> (Vec<u32>, Vec<String>) {
        let named = numbers().named(text);
        (named.known.into_iter().flat_map(|(_, whose)| whose).collect(), named.unknown.into_iter().collect())
    }

    #[test]
    fn texts() {
        let none: &[&str] = &[];
        for (text, known, unknown) in [
            ("FP0001", &[0][..], none),
            ("货款FP0001", &[0], none),
            ("付fp0001货款合同HT-2025-001", &[0, 3], none),
            ("ＦＰ０００１、ＦＰ０００２", &[0, 1], none),
            ("FP0001/0002/0003", &[0, 1, 2], none),
            ("FP0001/2/3", &[0, 1, 2], none),
            ("FP0001-0003", &[0, 1, 2], none),
            ("FP0001~FP0003", &[0, 2], none),
            ("FP0001至0003", &[0, 1, 2], none),
            ("FP0001, 0002 和 0003 尾款", &[0, 1, 2], none),
            ("FP0001,2 FP0003", &[0, 2], none),
            ("FP0001,0002.50元", &[0], none),
            ("FP0001/0009.5", &[0], none),
            ("发票 FP0001 FP0003", &[0, 2], none),
            ("HT-2025-001/002", &[3, 4], none),
            ("HT2025001", &[3], none),
            ("HT 2025 001", &[3], none),
            ("合同号：HT-2025-002，款项", &[4], none),
            ("数电票25332000000012345678", &[5], none),
            ("20251103FP0002", &[1], none),
            ("SO20251103-7", &[6], none),
            ("付FP0009货款", &[], &["FP0009"]),
            ("FP0001/0009", &[0], &["FP0009"]),
            ("FP0001 FP0001", &[0], none),
            ("货款100元", &[], none),
            ("20251103", &[], none),
            ("货款 2025-11-03 20340.50", &[], none),
            ("XFP0001", &[], none),
            ("FP00011", &[], none),
            ("", &[], none),
        ] {
            let unknown: Vec<String> = unknown.iter().map(|number| (*number).to_owned()).collect();
            assert_eq!(found(text), (known.to_vec(), unknown), "{text}");
        }
    }

    #[test]
    fn a_range_is_bounded() {
        let (known, unknown) = found("FP0001-9999");
        assert_eq!((known, unknown), (vec![0], vec!["FP9999".to_owned()]));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,60}") {
            let named = numbers().named(&text);
            prop_assert!(named.known.len() <= 9);
        }

        #[test]
        fn a_list_is_its_numbers(picked in proptest::sample::subsequence(vec!["FP0001", "FP0002", "FP0003", "FP0010"], 1..=4), sign in "[/,、;+ ]") {
            let text = format!("货款{}谢谢", picked.join(&sign));
            let named = numbers().named(&text);
            let known: Vec<String> = named.known.into_iter().map(|(number, _)| number).collect();
            prop_assert_eq!(known, picked);
        }
    }
}
