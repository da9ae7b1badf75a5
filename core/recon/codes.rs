//! Which of their codes is meant by each of ours: pairs that are proposed, and that a person confirms.
//!
//! Rules in order: the same code, the same tax number, the same name. The first that finds what fits decides. What it finds
//! more than once is shown as a tie, what another fact speaks against as a conflict, and of neither one is chosen. What
//! may not be used any more is never proposed.

use crate::matching::names;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tongbao_model::Text;
use unicode_normalization::UnicodeNormalization;

/// A code of ours that has no row yet, and what documents say of it. The same code may come more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Ours {
    /// Code.
    pub code: String,
    /// Names under which documents have it.
    pub names: BTreeSet<String>,
    /// Tax numbers, of customers.
    pub tax_numbers: BTreeSet<String>,
}

/// A row of theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Theirs {
    /// Code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Tax number, of customers.
    pub tax_number: String,
    /// Specification, of materials.
    pub specification: String,
    /// No new document may name it.
    pub disabled: bool,
}

/// By what a pair was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The same code, apart from width, case and blanks.
    Code,
    /// The same tax number, whose check digit is right.
    TaxNumber,
    /// The same name, as [`names::normal`] compares.
    Name,
}

/// What is proposed for a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// This one.
    Pair {
        /// The row.
        theirs: Theirs,
        /// By what.
        by: By,
    },
    /// Several, and nothing tells them apart.
    Tie {
        /// The rows, by code.
        candidates: Vec<Theirs>,
        /// By what.
        by: By,
    },
    /// Another fact speaks against it: a tax number that is right and differs.
    Conflict {
        /// The rows, by code.
        candidates: Vec<Theirs>,
        /// By what they were found.
        by: By,
    },
    /// Nothing.
    Nothing {
        /// Rows that would fit and may not be used any more, by code.
        disabled: Vec<String>,
    },
}

/// A proposal for one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// Our side.
    pub ours: Ours,
    /// What is proposed.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: Text,
}

/// The unified social credit code (GB 32100) in a text: 18 signs, folded to half width and upper case. `None` when it is
/// none, or its check digit is wrong: a number that was mistyped says nothing.
pub fn credit_code(text: &str) -> Option<String> {
    const SIGNS: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let code: String = text
        .nfkc()
        .filter(|sign| !sign.is_whitespace() && *sign != '-')
        .map(|sign| sign.to_ascii_uppercase())
        .collect();
    let values: Option<Vec<usize>> = code.chars().map(|sign| SIGNS.find(sign)).collect();
    let values = values.filter(|values| values.len() == 18)?;
    let (check, body) = values.split_last()?;
    // Weights are the powers of three, modulo 31.
    let (sum, _) = body.iter().fold((0, 1), |(sum, weight), value| (sum + value * weight, weight * 3 % 31));
    ((sum + check) % 31 == 0).then_some(code)
}

/// A code as it is compared.
fn folded(code: &str) -> String {
    code.nfkc().filter(|sign| !sign.is_whitespace()).flat_map(char::to_uppercase).collect()
}

/// Their rows by what they are looked for.
#[derive(Default)]
struct Index<'t> {
    codes: BTreeMap<String, Vec<&'t Theirs>>,
    tax_numbers: BTreeMap<String, Vec<&'t Theirs>>,
    names: BTreeMap<String, Vec<&'t Theirs>>,
}

impl<'t> Index<'t> {
    fn of(theirs: &'t BTreeSet<Theirs>) -> Self {
        let mut index = Index::default();
        for row in theirs {
            index.codes.entry(folded(&row.code)).or_default().push(row);
            if let Some(number) = credit_code(&row.tax_number) {
                index.tax_numbers.entry(number).or_default().push(row);
            }
            let name = names::normal(&row.name);
            if !name.is_empty() {
                index.names.entry(name).or_default().push(row);
            }
        }
        index
    }

    fn find(&self, by: By, ours: &Ours) -> BTreeSet<&'t Theirs> {
        let rows = |map: &BTreeMap<String, Vec<&'t Theirs>>, keys: Vec<String>| {
            keys.iter().filter_map(|key| map.get(key)).flatten().copied().collect()
        };
        match by {
            By::Code => rows(&self.codes, vec![folded(&ours.code)]),
            By::TaxNumber => rows(&self.tax_numbers, credit_codes(ours).into_iter().collect()),
            By::Name => rows(&self.names, ours.names.iter().map(|name| names::normal(name)).collect()),
        }
    }
}

fn credit_codes(ours: &Ours) -> BTreeSet<String> {
    ours.tax_numbers.iter().filter_map(|number| credit_code(number)).collect()
}

/// Proposals for our codes, by code. Codes that `known` has get none. The order of what comes in does not matter.
pub fn propose(ours: &[Ours], theirs: &[Theirs], known: &BTreeSet<String>) -> Vec<Proposal> {
    let theirs = merged_theirs(theirs);
    let index = Index::of(&theirs);
    let mut wanted: BTreeMap<String, Ours> = BTreeMap::new();
    for one in ours.iter().filter(|one| !known.contains(&one.code)) {
        let merged = wanted
            .entry(one.code.clone())
            .or_insert_with(|| Ours { code: one.code.clone(), ..Ours::default() });
        let said = |texts: &BTreeSet<String>| {
            texts.iter().filter(|text| !text.trim().is_empty()).cloned().collect::<Vec<_>>()
        };
        merged.names.extend(said(&one.names));
        merged.tax_numbers.extend(said(&one.tax_numbers));
    }
    wanted.into_values().map(|ours| judged(ours, &index)).collect()
}

/// One row for each code: of the rows that organisations have of it, one that may be used.
fn merged_theirs(theirs: &[Theirs]) -> BTreeSet<Theirs> {
    let mut merged: BTreeMap<&str, &Theirs> = BTreeMap::new();
    for row in theirs {
        let better = |known: &&Theirs| (row.disabled, row) < (known.disabled, *known);
        if merged.get(row.code.as_str()).is_none_or(better) {
            merged.insert(&row.code, row);
        }
    }
    merged.into_values().cloned().collect()
}

fn judged(ours: Ours, index: &Index<'_>) -> Proposal {
    let mut disabled = BTreeSet::new();
    let mut verdict: Option<Verdict> = None;
    for by in [By::Code, By::TaxNumber, By::Name] {
        let found = index.find(by, &ours);
        disabled.extend(found.iter().filter(|row| row.disabled).map(|row| row.code.clone()));
        let usable: Vec<Theirs> = found.into_iter().filter(|row| !row.disabled).cloned().collect();
        if usable.is_empty() {
            continue;
        }
        // A conflict stands only where no later rule finds something that fits.
        match weighed(&ours, by, usable) {
            conflict @ Verdict::Conflict { .. } => {
                verdict.get_or_insert(conflict);
            }
            other => {
                verdict = Some(other);
                break;
            }
        }
    }
    let verdict = verdict.unwrap_or_else(|| Verdict::Nothing { disabled: disabled.into_iter().collect() });
    Proposal { reason: reason(&ours, &verdict), ours, verdict }
}

/// What was found, against what else is known. Of several with the same folded code, the one that is written alike.
fn weighed(ours: &Ours, by: By, found: Vec<Theirs>) -> Verdict {
    let alike = found.iter().find(|row| by == By::Code && row.code == ours.code).cloned();
    let candidates = alike.map_or(found, |row| vec![row]);
    let numbers = credit_codes(ours);
    let differs = |row: &Theirs| {
        !numbers.is_empty() && credit_code(&row.tax_number).is_some_and(|number| !numbers.contains(&number))
    };
    let (against, left): (Vec<Theirs>, Vec<Theirs>) = candidates.into_iter().partition(differs);
    match <[Theirs; 1]>::try_from(left) {
        Ok([theirs]) => Verdict::Pair { theirs, by },
        Err(left) if left.is_empty() => Verdict::Conflict { candidates: against, by },
        Err(candidates) => Verdict::Tie { candidates, by },
    }
}

fn reason(ours: &Ours, verdict: &Verdict) -> Text {
    let of = |by: By| match by {
        By::Code => ("编码相同", "the same code"),
        By::TaxNumber => ("税号相同", "the same tax number"),
        By::Name => ("名称相同", "the same name"),
    };
    match verdict {
        Verdict::Pair { theirs, by } => {
            let (zh, en) = of(*by);
            let name = names::normal(&theirs.name);
            let is_other = !ours.names.is_empty() && !ours.names.iter().any(|own| names::normal(own) == name);
            if is_other {
                Text::new(format!("{zh}，名称不同"), format!("{en}, another name"))
            } else {
                Text::new(zh, en)
            }
        }
        Verdict::Tie { candidates, by } => {
            let ((zh, en), count) = (of(*by), candidates.len());
            Text::new(format!("{zh}，共 {count} 个，请选一个"), format!("{en}: {count} of them, choose one"))
        }
        Verdict::Conflict { by, .. } => {
            let (zh, en) = of(*by);
            Text::new(format!("{zh}，税号却不同"), format!("{en}, but another tax number"))
        }
        Verdict::Nothing { disabled } if disabled.is_empty() => {
            Text::new("ERP 中没有找到", "not found in the ERP")
        }
        Verdict::Nothing { disabled } => Text::new(
            format!("ERP 中只有已禁用的 {}", disabled.join("、")),
            format!("the ERP has only what is disabled: {}", disabled.join(", ")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "91330200MA2EXAMP1W";
    const TWO: &str = "91330200MA2EXAMP20";

    fn ours(code: &str, name: &str, tax_number: &str) -> Ours {
        let set = |text: &str| BTreeSet::from([text.to_owned()]);
        Ours { code: code.into(), names: set(name), tax_numbers: set(tax_number) }
    }

    fn theirs(code: &str, name: &str, tax_number: &str) -> Theirs {
        Theirs { code: code.into(), name: name.into(), tax_number: tax_number.into(), ..Theirs::default() }
    }

    fn off(row: Theirs) -> Theirs {
        Theirs { disabled: true, ..row }
    }

    /// In few words: `pair code E1`, `tie name E1 E2`, `conflict code E1`, `nothing E1`.
    fn told(ours: Ours, theirs: &[Theirs]) -> String {
        let proposals = propose(&[ours], theirs, &BTreeSet::new());
        let [proposal] = proposals.as_slice() else { panic!("{proposals:?}") };
        let codes = |rows: &[Theirs]| rows.iter().map(|row| row.code.as_str()).collect::<Vec<_>>().join(" ");
        match &proposal.verdict {
            Verdict::Pair { theirs, by } => format!("pair {by:?} {}", theirs.code),
            Verdict::Tie { candidates, by } => format!("tie {by:?} {}", codes(candidates)),
            Verdict::Conflict { candidates, by } => format!("conflict {by:?} {}", codes(candidates)),
            Verdict::Nothing { disabled } => format!("nothing {}", disabled.join(" ")),
        }
    }

    #[test]
    fn rules_in_their_order() {
        let erp = [
            theirs("E1", "甲贸易有限公司", ONE),
            theirs("E2", "乙贸易有限公司", TWO),
            theirs("E3", "丙贸易有限公司", ""),
            theirs("E4", "丙贸易有限责任公司", ""),
            off(theirs("E5", "丁贸易有限公司", "")),
            theirs("C7", "戊贸易有限公司", ""),
        ];
        for (code, name, tax_number, expected) in [
            ("ｃ7 ", "别的名称", "", "pair Code C7"),
            ("C1", "别的名称", "９１330200ma2examp1w", "pair TaxNumber E1"),
            // The check digit is wrong: it is no number, and the name decides.
            ("C1", "乙贸易有限公司", "91330200MA2EXAMP1X", "pair Name E2"),
            ("C1", "（乙）贸易 有限公司", "", "pair Name E2"),
            ("C1", "丙贸易有限公司", "", "tie Name E3 E4"),
            ("C1", "甲贸易有限公司", TWO, "pair TaxNumber E2"),
            ("E1", "甲贸易有限公司", TWO, "pair TaxNumber E2"),
            ("E1", "甲贸易有限公司", "91330200MA2EXAMP33", "conflict Code E1"),
            ("C1", "丁贸易有限公司", "", "nothing E5"),
            ("C1", "己贸易有限公司", "", "nothing "),
        ] {
            assert_eq!(told(ours(code, name, tax_number), &erp), expected, "{code} {name} {tax_number}");
        }
        assert_eq!(told(ours("A1", "", ""), &[theirs("a1", "x", ""), theirs("A1", "y", "")]), "pair Code A1");
        assert_eq!(
            told(ours("Ａ1", "", ""), &[theirs("a1", "x", ""), theirs("A1", "y", "")]),
            "tie Code A1 a1"
        );
        // Two names of one code lead to two rows: nobody chooses between them.
        let mut two = ours("C1", "甲贸易有限公司", "");
        two.names.insert("乙贸易有限公司".into());
        assert_eq!(told(two, &erp), "tie Name E1 E2");
        // One organisation has ended it, another uses it.
        assert_eq!(
            told(ours("E9", "", ""), &[off(theirs("E9", "", "")), theirs("E9", "", "")]),
            "pair Code E9"
        );
    }

    #[test]
    fn credit_codes_are_checked() {
        assert_eq!(credit_code(" 9133 0200-MA2EXAMP1w").as_deref(), Some(ONE));
        // The standard's own example.
        assert!(credit_code("91350100M000100Y43").is_some());
        for wrong in ["", "91330200MA2EXAMP1X", "330200123456789", "9133020OMA2EXAMP1W", "税号"] {
            assert_eq!(credit_code(wrong), None, "{wrong}");
        }
    }

    /// Few values, so that they meet.
    fn texts() -> impl Strategy<Value = (String, String, String)> {
        let code = prop::sample::select(vec!["A1", "a1", "B2", "Ｂ2", "C3"]);
        let name = prop::sample::select(vec!["", "甲有限公司", "甲有限责任公司", "乙有限公司"]);
        let tax = prop::sample::select(vec!["", ONE, TWO, "x"]);
        (code, name, tax).prop_map(|(code, name, tax)| (code.into(), name.into(), tax.into()))
    }

    proptest! {
        #[test]
        fn the_order_of_what_comes_in_does_not_matter(
            mine in prop::collection::vec(texts(), 0..6),
            erp in prop::collection::vec((texts(), any::<bool>()), 0..8),
            known in prop::collection::btree_set(prop::sample::select(vec!["A1".to_owned(), "B2".to_owned()]), 0..2),
            seed in any::<u64>(),
        ) {
            let mut mine: Vec<Ours> = mine.iter().map(|(c, n, t)| ours(c, n, t)).collect();
            let mut erp: Vec<Theirs> = erp
                .iter()
                .map(|((c, n, t), disabled)| Theirs { disabled: *disabled, ..theirs(c, n, t) })
                .collect();
            let before = propose(&mine, &erp, &known);
            let mut random = fastrand::Rng::with_seed(seed);
            random.shuffle(&mut mine);
            random.shuffle(&mut erp);
            prop_assert_eq!(&propose(&mine, &erp, &known), &before);
            for proposal in before {
                prop_assert!(!known.contains(&proposal.ours.code));
                let shown = match proposal.verdict {
                    Verdict::Pair { theirs, .. } => vec![theirs],
                    Verdict::Tie { candidates, .. } | Verdict::Conflict { candidates, .. } => candidates,
                    Verdict::Nothing { .. } => Vec::new(),
                };
                prop_assert!(shown.iter().all(|row| !row.disabled));
            }
        }
    }
}
