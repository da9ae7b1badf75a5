//! What a look said of a payment, as it is kept and shown.

use super::books::Books;
use serde::{Deserialize, Serialize};
use tongbao_model::{Exact, Text};
use tongbao_recon::matching::{Match, Reason, Verdict};

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Allocated by a rule.
    Matched,
    /// Allocated by a person.
    ByHand,
    /// The document itself names the contract.
    Named,
    /// One way, for a person to confirm.
    Proposed,
    /// Several ways, or one that another payment has as well.
    Tie,
    /// More ways than can be tried.
    TooMany,
    /// What it names is in another currency.
    OtherCurrency,
    /// No rule has an answer.
    Open,
    /// Money that went back and that no rule has an answer for.
    Out,
    /// It undoes another, or another undoes it.
    Reversed,
    /// It was taken back at its source.
    Void,
    /// Of the other book, and not paired.
    Unpaired,
    /// Of the other book, and paired.
    Paired,
}

impl Kind {
    /// In Chinese and English.
    pub fn told(self) -> (&'static str, &'static str) {
        match self {
            Kind::Matched => ("自动核销", "matched"),
            Kind::ByHand => ("人工核销", "by hand"),
            Kind::Named => ("单据指明合同", "named by the document"),
            Kind::Proposed => ("建议，待确认", "proposed"),
            Kind::Tie => ("多种可能", "tie"),
            Kind::TooMany => ("组合过多", "too many ways"),
            Kind::OtherCurrency => ("币别不符", "other currency"),
            Kind::Open => ("待核销", "open"),
            Kind::Out => ("退款待认领", "money out"),
            Kind::Reversed => ("已冲销", "reversed"),
            Kind::Void => ("已作废", "void"),
            Kind::Unpaired => ("未配对", "unpaired"),
            Kind::Paired => ("已配对", "paired"),
        }
    }
}

/// An amount and what it pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// Contract.
    pub contract: String,
    /// Invoice, or the contract as a whole.
    pub invoice: Option<String>,
    /// What is closed of it, with what a bank keeps.
    pub amount: Exact,
}

/// A way to use a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Rule that it comes from.
    pub rule: String,
    /// What is paid.
    pub takes: Vec<Take>,
    /// Closed without money, for the bank keeps it.
    pub fee: Exact,
    /// Left of the payment.
    pub advance: Exact,
    /// What speaks for it and against it.
    pub reasons: Vec<Text>,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Kind of the answer.
    pub kind: Kind,
    /// The ways that there are, or the one that was gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// Why it is open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Text>,
    /// Numbers that it is about: those in another currency, candidates in the other book, what it undoes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
}

impl Told {
    /// The bare kind.
    pub fn of(kind: Kind) -> Told {
        Told { kind, ways: Vec::new(), reasons: Vec::new(), numbers: Vec::new() }
    }

    /// What the rules said.
    pub fn by_rules(verdict: Verdict, books: &Books) -> Told {
        let one = |found: Match| vec![way(found, books)];
        match verdict {
            Verdict::Matched(found) => Told { ways: one(found), ..Told::of(Kind::Matched) },
            Verdict::Proposed(found) => Told { ways: one(found), ..Told::of(Kind::Proposed) },
            Verdict::Tie(found) => {
                let ways = found.into_iter().map(|found| way(found, books)).collect();
                Told { ways, ..Told::of(Kind::Tie) }
            }
            Verdict::TooMany(rule) => {
                let why = Text::new(
                    format!("规则 {rule}：组合过多，无法判断"),
                    format!("rule `{rule}`: more ways than can be tried"),
                );
                Told { reasons: vec![why], ..Told::of(Kind::TooMany) }
            }
            Verdict::OtherCurrency(numbers) => Told { numbers, ..Told::of(Kind::OtherCurrency) },
            Verdict::Open(reasons) => Told { reasons: texts(&reasons), ..Told::of(Kind::Open) },
        }
    }

    /// As it is stored.
    pub fn stored(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// From what was stored.
    pub fn read(stored: Option<&str>) -> Option<Told> {
        serde_json::from_str(stored?).ok()
    }
}

fn texts(reasons: &[Reason]) -> Vec<Text> {
    let text = |reason: &Reason| {
        let (zh, en) = reason.told();
        Text::new(zh, en)
    };
    reasons.iter().map(text).collect()
}

fn way(found: Match, books: &Books) -> Way {
    let take = |take: &tongbao_recon::matching::Take| {
        let place = books.place(&take.item);
        Take {
            contract: place.map_or_else(|| take.item.clone(), |place| place.contract.clone()),
            invoice: place.and_then(|place| place.paper.clone()),
            amount: Exact(take.amount),
        }
    };
    Way {
        takes: found.takes.iter().map(take).collect(),
        fee: Exact(found.fee),
        advance: Exact(found.advance),
        reasons: texts(&found.reasons),
        rule: found.rule,
    }
}
