//! Types of expressions, and which amounts may meet.

use crate::code::{Access, Code};
use crate::expr::{Expr, ExprNode, Operator};
use crate::layout::{Found, Layout};
use crate::report::{Report, meant, placed_error};
use std::collections::BTreeSet;
use tongbao_model::Text;
use tongbao_model::diagnostic::{Findings, Place, nearest};
use tongbao_model::shape::{self, Field, Kind, Sense, TimeForm};

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Number(Sense),
    Text,
    Bool,
    Date,
    Time(TimeForm),
    List,
    Record,
}

impl Type {
    pub fn of(kind: &Kind) -> Type {
        match kind {
            Kind::Text(_) => Type::Text,
            Kind::Decimal { sense, .. } => Type::Number(*sense),
            Kind::Integer => Type::Number(Sense::Number),
            Kind::Bool => Type::Bool,
            Kind::Date => Type::Date,
            Kind::DateTime(form) => Type::Time(*form),
            Kind::Record(_) => Type::Record,
            Kind::List(_) => Type::List,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Type::Number(sense) => sense.name(),
            Type::Text => "text",
            Type::Bool => "bool",
            Type::Date => "date",
            Type::Time(_) => "datetime",
            Type::List => "list",
            Type::Record => "record",
        }
    }
}

/// What expressions and paths are resolved against.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Fields of the source document.
    pub root: &'a [Field],
    /// Inside a list.
    pub item: Option<Item<'a>>,
}

/// The items of a list.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// The lists passed on the way from the document, each by its path within the level above.
    pub lists: &'a [String],
    /// The list's path from the document.
    pub path: &'a str,
    /// Fields of an item.
    pub fields: &'a [Field],
    /// Whether some items may be left out.
    pub filtered: bool,
}

impl<'a> Scope<'a> {
    fn lists(&self) -> &'a [String] {
        self.item.map_or(&[], |item| item.lists)
    }

    /// The lists passed to the items of a list that is named here, and its path from the document.
    pub fn below(&self, list: &Access) -> (Vec<String>, String) {
        let local = list.path.strip_prefix("root.").unwrap_or(&list.path).to_owned();
        match (list.from_root, self.item) {
            (false, Some(item)) => {
                let mut lists = item.lists.to_vec();
                lists.push(local.clone());
                (lists, format!("{}.{local}", item.path))
            }
            (_, _) => (vec![local.clone()], local),
        }
    }
}

/// Resolves and types; notes which source fields are used and where their values are put.
pub struct Typer<'a> {
    pub findings: &'a mut Findings,
    pub used: &'a mut BTreeSet<String>,
    pub layout: &'a mut Layout,
    /// Results that are worked out once: at which level, what, and in which column.
    pub memos: Vec<(Vec<String>, Code, usize)>,
}

impl Typer<'_> {
    pub fn error(&mut self, code: &'static str, place: Place, text: (impl Into<String>, impl Into<String>)) {
        placed_error(self.findings, code, place, text);
    }

    /// Resolves a path to a field.
    pub fn access(&mut self, scope: &Scope<'_>, path: &str, place: Place) -> Option<(Access, Kind)> {
        let (from_root, local) = match path.strip_prefix("root.") {
            Some(rest) => (true, rest),
            None => (scope.item.is_none(), path),
        };
        let (fields, prefix, lists) = match (from_root, scope.item) {
            (false, Some(item)) => (item.fields, format!("{}.", item.path), scope.lists()),
            (_, _) => (scope.root, String::new(), &[][..]),
        };
        match self.layout.level(lists)?.slot(fields, local) {
            Found::Field(slot, field) => {
                self.used.insert(format!("{prefix}{local}"));
                let (scale, length) = match &field.kind {
                    Kind::Decimal { scale, .. } => (*scale, None),
                    Kind::Integer => (Some(0), None),
                    Kind::Text(length) => (None, length.map(|length| length.max)),
                    _ => (None, None),
                };
                let access = Access { from_root, slot, path: path.to_owned(), scale, length };
                Some((access, field.kind.clone()))
            }
            Found::ThroughList(list) => {
                let text = (
                    format!("{path} 穿过列表 {list}，一条路径只有一个值"),
                    format!("`{path}` goes through the list `{list}`; a path has one value"),
                );
                self.error("list-path", place, text);
                None
            }
            Found::Nothing => {
                self.no_such_source(scope, fields, path, local, place);
                None
            }
        }
    }

    fn no_such_source(&mut self, scope: &Scope<'_>, fields: &[Field], path: &str, local: &str, place: Place) {
        let names = all_paths(fields);
        let suggestion = nearest(local, names.iter().map(String::as_str)).map(meant).or_else(|| {
            (scope.item.is_some() && shape::find(scope.root, local).is_some()).then(|| {
                Text::new(
                    format!("单据头字段写作 root.{local}"),
                    format!("a header field is written `root.{local}` here"),
                )
            })
        });
        let (zh, en) = (format!("来源单据没有字段 {path}"), format!("the source has no field `{path}`"));
        self.findings.error_with("source-unknown", place, Text::new(zh, en), suggestion);
    }

    /// Types an expression and compiles it.
    pub fn expr(&mut self, scope: &Scope<'_>, expr: &Expr, place: Place) -> Option<(Code, Type)> {
        let here = Place { column: place.column + expr.column, ..place };
        let (code, kind) = match &expr.node {
            ExprNode::Number(value) => (Code::Number(*value), Type::Number(Sense::Number)),
            ExprNode::Text(text) => (Code::Text(text.clone()), Type::Text),
            ExprNode::Bool(value) => (Code::Bool(*value), Type::Bool),
            ExprNode::Path(path) => {
                let (access, kind) = self.access(scope, path, here)?;
                let kind = Type::of(&kind);
                (Code::Field(access, kind), kind)
            }
            ExprNode::Not(inner) => {
                let inner = self.typed(scope, inner, place, Type::Bool)?;
                (Code::Not(Box::new(inner)), Type::Bool)
            }
            ExprNode::Negate(inner) => {
                let (code, kind) = self.number(scope, inner, place)?;
                (Code::Negate(Box::new(code)), Type::Number(kind))
            }
            ExprNode::Binary(operator, left, right) => {
                self.binary(scope, *operator, left, right, place, here)?
            }
            ExprNode::Call(name, arguments) => self.call(scope, name, arguments, place, here)?,
        };
        Some((self.kept(scope, code, kind), kind))
    }

    /// Has a result that costs something worked out once: for the document where it reads only the header, else for
    /// each line. The same expression twice is one column.
    pub fn kept(&mut self, scope: &Scope<'_>, code: Code, kind: Type) -> Code {
        let costs = match &code {
            Code::Divide(_, _, _)
            | Code::Net(_, _)
            | Code::Round(_, _)
            | Code::Sum(_, _)
            | Code::DateOf(_)
            | Code::Binary(Operator::Multiply, _, _) => true,
            Code::Field(_, Type::Time(_)) => scope.item.is_some() && code.is_of_root(),
            _ => false,
        };
        if !costs || !matches!(kind, Type::Number(_) | Type::Date | Type::Time(_)) {
            return code;
        }
        let of_root = code.is_of_root();
        let lists = if of_root { &[][..] } else { scope.lists() };
        let known = self.memos.iter().find(|(level, known, _)| level == lists && *known == code);
        let memo = match known {
            Some((_, _, memo)) => *memo,
            None => {
                let Some(level) = self.layout.level(lists) else { return code };
                let memo = level.memo();
                self.memos.push((lists.to_vec(), code.clone(), memo));
                memo
            }
        };
        Code::Memo(of_root, memo, Box::new(code))
    }

    pub fn typed(&mut self, scope: &Scope<'_>, expr: &Expr, place: Place, expected: Type) -> Option<Code> {
        let here = Place { column: place.column + expr.column, ..place };
        let (code, found) = self.expr(scope, expr, place)?;
        if found == expected {
            return Some(code);
        }
        self.mismatch(here, expected.name(), found.name());
        None
    }

    pub fn number(&mut self, scope: &Scope<'_>, expr: &Expr, place: Place) -> Option<(Code, Sense)> {
        let here = Place { column: place.column + expr.column, ..place };
        match self.expr(scope, expr, place)? {
            (code, Type::Number(sense)) => Some((code, sense)),
            (_, found) => {
                self.mismatch(here, "decimal", found.name());
                None
            }
        }
    }

    pub fn mismatch(&mut self, place: Place, expected: &str, found: &str) {
        let text = (format!("应为 {expected}，实为 {found}"), format!("expected {expected}, found {found}"));
        self.error("type-mismatch", place, text);
    }

    fn binary(
        &mut self,
        scope: &Scope<'_>,
        operator: Operator,
        left: &Expr,
        right: &Expr,
        place: Place,
        here: Place,
    ) -> Option<(Code, Type)> {
        let build = |left, right| Code::Binary(operator, Box::new(left), Box::new(right));
        match operator {
            Operator::Or | Operator::And => {
                let left = self.typed(scope, left, place, Type::Bool);
                let right = self.typed(scope, right, place, Type::Bool);
                Some((build(left?, right?), Type::Bool))
            }
            Operator::Equal
            | Operator::NotEqual
            | Operator::Less
            | Operator::LessEqual
            | Operator::Greater
            | Operator::GreaterEqual => {
                let left = self.expr(scope, left, place);
                let right = self.expr(scope, right, place);
                let ((left, left_type), (right, right_type)) = (left?, right?);
                let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
                match (left_type, right_type) {
                    (Type::Number(a), Type::Number(b)) => {
                        self.sum_sense(a, b, Operator::Equal, here)?;
                    }
                    (Type::Text, Type::Text) | (Type::Bool, Type::Bool) if !ordered => {}
                    (Type::Date, Type::Date) | (Type::Time(_), Type::Time(_)) => {}
                    (a, b) => {
                        self.mismatch(here, a.name(), b.name());
                        return None;
                    }
                }
                Some((build(left, right), Type::Bool))
            }
            Operator::Add | Operator::Subtract => {
                let left = self.number(scope, left, place);
                let right = self.number(scope, right, place);
                let ((left, a), (right, b)) = (left?, right?);
                let sense = self.sum_sense(a, b, operator, here)?;
                Some((build(left, right), Type::Number(sense)))
            }
            Operator::Multiply => {
                let left = self.number(scope, left, place);
                let right = self.number(scope, right, place);
                let ((left, a), (right, b)) = (left?, right?);
                let sense = self.product_sense(a, b, here)?;
                Some((build(left, right), Type::Number(sense)))
            }
        }
    }

    /// What a sum, difference or comparison of two senses means; an error when the two may not meet.
    pub fn sum_sense(&mut self, a: Sense, b: Sense, operator: Operator, place: Place) -> Option<Sense> {
        use Sense::{Money, Number, Tax, TaxExcluded, TaxIncluded};
        let sense = match (a, b) {
            (a, b) if a == b => Some(a),
            (Number, other) | (other, Number) => Some(other),
            (TaxExcluded, Tax) | (Tax, TaxExcluded) if operator == Operator::Add => Some(TaxIncluded),
            (TaxIncluded, Tax) if operator == Operator::Subtract => Some(TaxExcluded),
            (TaxIncluded, TaxExcluded) if operator == Operator::Subtract => Some(Tax),
            (Money, TaxIncluded) | (TaxIncluded, Money) => Some(Money),
            (_, _) => None,
        };
        if sense.is_none() {
            self.mixed(place, a, b);
        }
        sense
    }

    fn product_sense(&mut self, a: Sense, b: Sense, place: Place) -> Option<Sense> {
        use Sense::{
            Number, PriceTaxExcluded, PriceTaxIncluded, Quantity, Rate, Tax, TaxExcluded, TaxIncluded,
        };
        let sense = match (a, b) {
            (Quantity, PriceTaxIncluded) | (PriceTaxIncluded, Quantity) => Some(TaxIncluded),
            (Quantity, PriceTaxExcluded) | (PriceTaxExcluded, Quantity) => Some(TaxExcluded),
            (TaxExcluded, Rate) | (Rate, TaxExcluded) => Some(Tax),
            (Rate, Number) | (Number, Rate) | (Rate, Rate) => Some(Number),
            (Number, other) | (other, Number) => Some(other),
            (_, _) => None,
        };
        if sense.is_none() {
            self.mixed(place, a, b);
        }
        sense
    }

    pub fn mixed(&mut self, place: Place, a: Sense, b: Sense) {
        let (a, b) = (a.name(), b.name());
        self.error(
            "money-mixed",
            place,
            (format!("{a} 与 {b} 不能这样混用"), format!("{a} and {b} must not meet like this")),
        );
    }

    /// A name that no function has.
    pub fn no_function(&mut self, name: &str, place: Place) {
        let names = crate::functions::FUNCTIONS.iter().map(|function| function.name);
        let text = (format!("没有函数 {name}"), format!("there is no function `{name}`"));
        self.findings.unknown("function-unknown", place, text, name, names);
    }
}

/// Dotted paths of all fields, for suggestions.
pub fn all_paths(fields: &[Field]) -> Vec<String> {
    let mut paths = Vec::new();
    for field in fields {
        paths.push(field.name.to_string());
        for child in field.kind.children().map(all_paths).unwrap_or_default() {
            paths.push(format!("{}.{child}", field.name));
        }
    }
    paths
}
