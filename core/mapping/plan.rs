//! What the compiler makes of a file: steps that write the target's members one after the other.

use crate::code::{Access, Code};
use rust_decimal::Decimal;
use serde_json::Value;
use tongbao_model::Text;
use tongbao_model::decimal::Rounding;
use tongbao_model::shape::Kind;

/// A member of the target.
#[derive(Debug)]
pub struct Step {
    pub name: String,
    /// The member's name as it is written, with quotes and colon.
    pub key: Vec<u8>,
    pub target: String,
    /// The rule as it stands in the file.
    pub rule: String,
    pub line: usize,
    pub when: Option<Code>,
    pub action: Action,
}

/// How a member comes about.
#[derive(Debug)]
pub enum Action {
    /// Members that are always the same, with their names, and what to tell of each.
    Literal(Vec<u8>, Vec<Constant>),
    Value(Box<ValueStep>),
    Record(Vec<Step>),
    Each(Box<EachStep>),
}

/// A constant, for explanations.
#[derive(Debug)]
pub struct Constant {
    pub target: String,
    pub rule: String,
    pub line: usize,
    pub value: Value,
}

/// Items of a list, made from those of another.
#[derive(Debug)]
pub struct EachStep {
    pub list: Access,
    pub filter: Option<Code>,
    pub steps: Vec<Step>,
    /// Further items that the same line makes.
    pub also: Vec<(Option<Code>, Vec<Step>)>,
    /// Whether the items' amounts make the document's total.
    pub is_total: bool,
}

/// A scalar.
#[derive(Debug)]
pub struct ValueStep {
    pub code: Code,
    pub kind: Kind,
    pub table: Option<TableStep>,
    /// Source text, and what is written for it.
    pub values: Option<Vec<(String, Literal)>>,
    pub other: Option<Literal>,
    pub scale: Option<u32>,
    pub round: Option<Rounding>,
    pub cut: bool,
    pub default: Option<Literal>,
    pub optional: bool,
    pub mark: Option<Mark>,
}

/// A value that stands in the file, as it is written.
#[derive(Debug)]
pub struct Literal {
    pub bytes: Vec<u8>,
    /// Its number, where it is one.
    pub number: Option<Decimal>,
}

/// A look-up in a code table.
#[derive(Debug)]
pub struct TableStep {
    pub name: String,
    /// Which of the mapping's tables it is.
    pub index: usize,
    pub with: Vec<Code>,
    pub on: Option<Code>,
}

/// What a number counts for in the document's total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The header's own total.
    Header,
    /// An amount of a line.
    Amount,
    Quantity,
    Price,
}

/// How the document's amounts are held together.
#[derive(Debug)]
pub struct Carried {
    /// The source's total, which must arrive; `None` where the source states none.
    pub total: Option<Code>,
    /// Path of the target's list, for faults.
    pub list: String,
}

/// A declared refusal.
#[derive(Debug)]
pub struct RefuseStep {
    pub when: Code,
    pub because: Text,
    pub is_final: bool,
}

impl Literal {
    /// A JSON value as it is written.
    pub fn new(value: &Value) -> Literal {
        let number = match value {
            Value::Number(number) => tongbao_model::decimal::parse(number.as_str()).ok(),
            Value::String(text) => tongbao_model::decimal::parse(text).ok(),
            _ => None,
        };
        Literal { bytes: value.to_string().into_bytes(), number }
    }
}

/// Folds members that never change into ready bytes: neighbours into one, records of nothing else as a whole.
pub fn fold(steps: Vec<Step>) -> Vec<Step> {
    let mut folded: Vec<Step> = Vec::with_capacity(steps.len());
    for mut step in steps {
        if let Action::Record(inner) = step.action {
            let mut inner = fold(inner);
            step.action = match inner.as_mut_slice() {
                [Step { action: Action::Literal(bytes, constants), when: None, .. }]
                    if step.when.is_none() =>
                {
                    let mut whole = step.key.clone();
                    whole.push(b'{');
                    whole.append(bytes);
                    whole.push(b'}');
                    Action::Literal(whole, std::mem::take(constants))
                }
                _ => Action::Record(inner),
            };
        }
        match (folded.last_mut(), &mut step) {
            (
                Some(Step { action: Action::Literal(bytes, constants), when: None, .. }),
                Step { action: Action::Literal(more, others), when: None, .. },
            ) => {
                bytes.push(b',');
                bytes.append(more);
                constants.append(others);
            }
            (_, _) => folded.push(step),
        }
    }
    folded
}
