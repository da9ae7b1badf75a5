//! Compiled expressions: what the checker makes of a text, and the evaluator runs.

use crate::expr::Operator;
use crate::typing::Type;
use rust_decimal::Decimal;

/// A resolved path.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    pub from_root: bool,
    pub slot: usize,
    /// The path as written.
    pub path: String,
    /// Most decimal places a value there can have, where the document says so.
    pub scale: Option<u32>,
    /// Most characters a text there can have, where the document says so.
    pub length: Option<usize>,
}

/// A compiled expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Code {
    Number(Decimal),
    Text(String),
    Bool(bool),
    Field(Access, Type),
    Present(Access),
    Not(Box<Code>),
    Negate(Box<Code>),
    Abs(Box<Code>),
    Round(Box<Code>, u32),
    Divide(Box<Code>, Box<Code>, u32),
    Net(Box<Code>, Box<Code>),
    Extreme(bool, Box<Code>, Box<Code>),
    If(Box<Code>, Box<Code>, Box<Code>),
    Coalesce(Vec<Code>),
    Concat(Vec<Code>),
    Left(Box<Code>, u32),
    Trim(Box<Code>),
    Upper(Box<Code>),
    Format(Box<Code>, String),
    Sum(Access, Box<Code>),
    Count(Access, Option<Box<Code>>),
    /// `any` (true) and `all` (false) over a list.
    Every(bool, Access, Box<Code>),
    Join(Access, Box<Code>, String),
    /// `lookup`: list, its key, the value searched for, the field answered.
    Lookup(Access, Box<Code>, Box<Code>, Box<Code>),
    /// `share`: amount, weight, places, and the column that keeps the shares.
    Share(Box<Code>, Box<Code>, u32, usize),
    Millis(Box<Code>),
    DateOf(Box<Code>),
    Binary(Operator, Box<Code>, Box<Code>),
    /// A result that is worked out once for the document (true) or once for each line (false).
    Memo(bool, usize, Box<Code>),
}

impl Code {
    /// The expressions directly within, those of another list's items left out.
    pub fn parts(&self) -> Vec<&Code> {
        match self {
            Code::Number(_)
            | Code::Text(_)
            | Code::Bool(_)
            | Code::Field(_, _)
            | Code::Present(_)
            | Code::Count(_, _)
            | Code::Sum(_, _)
            | Code::Every(_, _, _)
            | Code::Join(_, _, _) => Vec::new(),
            Code::Lookup(_, _, value, _) => vec![value],
            Code::Not(inner)
            | Code::Negate(inner)
            | Code::Abs(inner)
            | Code::Round(inner, _)
            | Code::Left(inner, _)
            | Code::Trim(inner)
            | Code::Upper(inner)
            | Code::Format(inner, _)
            | Code::Millis(inner)
            | Code::DateOf(inner)
            | Code::Memo(_, _, inner) => vec![inner],
            Code::Divide(left, right, _)
            | Code::Share(left, right, _, _)
            | Code::Net(left, right)
            | Code::Extreme(_, left, right)
            | Code::Binary(_, left, right) => vec![left, right],
            Code::If(condition, then, otherwise) => vec![condition, then, otherwise],
            Code::Coalesce(codes) | Code::Concat(codes) => codes.iter().collect(),
        }
    }

    /// The path read by this node itself.
    pub fn access(&self) -> Option<&Access> {
        match self {
            Code::Field(access, _)
            | Code::Present(access)
            | Code::Sum(access, _)
            | Code::Count(access, _)
            | Code::Every(_, access, _)
            | Code::Join(access, _, _)
            | Code::Lookup(access, _, _, _) => Some(access),
            _ => None,
        }
    }

    /// The field a missing value is blamed on: the first one read, conditions aside.
    pub fn first_field(&self) -> Option<&Access> {
        match self {
            Code::Field(access, _) | Code::Sum(access, _) | Code::Count(access, _) => Some(access),
            Code::Lookup(_, _, value, _) => value.first_field(),
            Code::If(_, then, otherwise) => then.first_field().or_else(|| otherwise.first_field()),
            other => other.parts().into_iter().find_map(Code::first_field),
        }
    }

    /// Whether it reads nothing but the document's header.
    pub fn is_of_root(&self) -> bool {
        self.access().is_none_or(|access| access.from_root)
            && !matches!(self, Code::Share(_, _, _, _))
            && self.parts().into_iter().all(Code::is_of_root)
    }

    /// Paths read, as they are written in the file, each once.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(&mut paths);
        paths
    }

    fn collect(&self, paths: &mut Vec<String>) {
        if let Some(access) = self.access() {
            let below = match self {
                Code::Sum(_, item) | Code::Every(_, _, item) | Code::Join(_, item, _) => item.paths(),
                Code::Count(_, Some(item)) => item.paths(),
                Code::Lookup(_, _, _, field) => field.paths(),
                _ => Vec::new(),
            };
            let below: Vec<String> = below.iter().map(|path| format!("{}.{path}", access.path)).collect();
            let found = if below.is_empty() { vec![access.path.clone()] } else { below };
            for path in found {
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
        for part in self.parts() {
            part.collect(paths);
        }
    }

    /// Most decimal places the result can have; `None` when nothing bounds them.
    pub fn scale(&self) -> Scale {
        match self {
            Code::Number(value) => Scale::AtMost(value.normalize().scale()),
            Code::Field(access, _) => access.scale.map_or(Scale::Source, Scale::AtMost),
            Code::Round(_, places) | Code::Divide(_, _, places) | Code::Share(_, _, places, _) => {
                Scale::AtMost(*places)
            }
            Code::Net(_, _) => Scale::AtMost(2),
            Code::Count(_, _) | Code::Millis(_) => Scale::AtMost(0),
            Code::Sum(_, item) => item.scale(),
            Code::Lookup(_, _, _, field) => field.scale(),
            Code::Negate(inner) | Code::Abs(inner) | Code::Memo(_, _, inner) => inner.scale(),
            Code::If(_, then, otherwise) => then.scale().or(otherwise.scale()),
            Code::Extreme(_, left, right) => left.scale().or(right.scale()),
            Code::Coalesce(codes) => {
                codes.iter().map(Code::scale).reduce(Scale::or).unwrap_or(Scale::AtMost(0))
            }
            Code::Binary(Operator::Multiply, left, right) => match (left.scale(), right.scale()) {
                (Scale::AtMost(a), Scale::AtMost(b)) => Scale::AtMost(a + b),
                (Scale::Source, Scale::AtMost(0)) | (Scale::AtMost(0), Scale::Source) => Scale::Source,
                (_, _) => Scale::Grows,
            },
            Code::Binary(_, left, right) => left.scale().or(right.scale()),
            _ => Scale::Source,
        }
    }

    /// Most characters of the text; `None` when the source does not bound them.
    pub fn length(&self) -> Option<usize> {
        match self {
            Code::Text(text) => Some(text.chars().count()),
            Code::Field(access, Type::Text) => access.length,
            Code::Left(_, length) => usize::try_from(*length).ok(),
            Code::Trim(inner) => inner.length(),
            Code::If(_, then, otherwise) => Some(then.length()?.max(otherwise.length()?)),
            Code::Coalesce(codes) => {
                codes.iter().try_fold(0, |longest: usize, code| Some(longest.max(code.length()?)))
            }
            Code::Concat(codes) => codes.iter().try_fold(0, |length, code| Some(length + code.length()?)),
            _ => None,
        }
    }
}

/// What is known of a result's decimal places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Never more than this.
    AtMost(u32),
    /// As many as the source wrote: guarded document by document.
    Source,
    /// More than the source wrote: a product.
    Grows,
}

impl Scale {
    fn or(self, other: Scale) -> Scale {
        match (self, other) {
            (Scale::Grows, _) | (_, Scale::Grows) => Scale::Grows,
            (Scale::Source, _) | (_, Scale::Source) => Scale::Source,
            (Scale::AtMost(a), Scale::AtMost(b)) => Scale::AtMost(a.max(b)),
        }
    }
}
