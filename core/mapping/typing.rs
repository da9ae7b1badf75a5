//! Types of expressions, and which amounts may meet.

use crate::eval::{Access, Code};
use crate::expr::{Expr, ExprNode, Operator};
use crate::functions;
use rust_decimal::Decimal;
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
pub struct Scope<'a> {
    /// Fields of the source document.
    pub root: &'a [Field],
    /// Inside `each`: the list's path and its items' fields.
    pub item: Option<(&'a str, &'a [Field])>,
}

/// Resolves and types; notes which source fields are used.
pub struct Typer<'a> {
    pub findings: &'a mut Findings,
    pub used: &'a mut BTreeSet<String>,
}

impl Typer<'_> {
    /// Resolves a path to a field.
    pub fn access(&mut self, scope: &Scope<'_>, path: &str, place: Place) -> Option<(Access, Kind)> {
        let (from_root, local) = match path.strip_prefix("root.") {
            Some(rest) => (true, rest),
            None => (scope.item.is_none(), path),
        };
        let (fields, prefix) = match (from_root, scope.item) {
            (false, Some((list, fields))) => (fields, format!("{list}.")),
            (_, _) => (scope.root, String::new()),
        };
        match shape::find(fields, local) {
            Some(field) => {
                self.used.insert(format!("{prefix}{local}"));
                let steps = local.split('.').map(str::to_owned).collect();
                Some((Access { from_root, steps, path: path.to_owned() }, field.kind.clone()))
            }
            None => {
                let names = all_paths(fields);
                let suggestion = nearest(local, names.iter().map(String::as_str))
                    .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")))
                    .or_else(|| {
                        (scope.item.is_some() && shape::find(scope.root, local).is_some()).then(|| {
                            Text::new(
                                format!("单据头字段写作 root.{local}"),
                                format!("a header field is written `root.{local}` here"),
                            )
                        })
                    });
                self.findings.error_with(
                    "source-unknown",
                    place,
                    Text::new(
                        format!("来源单据没有字段 {path}"),
                        format!("the source has no field `{path}`"),
                    ),
                    suggestion,
                );
                None
            }
        }
    }

    /// Types an expression and compiles it.
    pub fn expr(&mut self, scope: &Scope<'_>, expr: &Expr, place: Place) -> Option<(Code, Type)> {
        let here = Place { line: place.line, column: place.column + expr.column };
        match &expr.node {
            ExprNode::Number(value) => Some((Code::Number(*value), Type::Number(Sense::Number))),
            ExprNode::Text(text) => Some((Code::Text(text.clone()), Type::Text)),
            ExprNode::Bool(value) => Some((Code::Bool(*value), Type::Bool)),
            ExprNode::Path(path) => {
                let (access, kind) = self.access(scope, path, here)?;
                let kind_type = Type::of(&kind);
                Some((Code::Field(access, kind_type), kind_type))
            }
            ExprNode::Not(inner) => {
                let inner = self.typed(scope, inner, place, Type::Bool)?;
                Some((Code::Not(Box::new(inner)), Type::Bool))
            }
            ExprNode::Negate(inner) => {
                let (code, kind) = self.number(scope, inner, place)?;
                Some((Code::Negate(Box::new(code)), Type::Number(kind)))
            }
            ExprNode::Binary(operator, left, right) => {
                self.binary(scope, *operator, left, right, place, here)
            }
            ExprNode::Call(name, arguments) => self.call(scope, name, arguments, place, here),
        }
    }

    fn typed(&mut self, scope: &Scope<'_>, expr: &Expr, place: Place, expected: Type) -> Option<Code> {
        let here = Place { line: place.line, column: place.column + expr.column };
        let (code, found) = self.expr(scope, expr, place)?;
        if found == expected {
            return Some(code);
        }
        self.mismatch(here, expected.name(), found.name());
        None
    }

    fn number(&mut self, scope: &Scope<'_>, expr: &Expr, place: Place) -> Option<(Code, Sense)> {
        let here = Place { line: place.line, column: place.column + expr.column };
        match self.expr(scope, expr, place)? {
            (code, Type::Number(sense)) => Some((code, sense)),
            (_, found) => {
                self.mismatch(here, "decimal", found.name());
                None
            }
        }
    }

    pub fn mismatch(&mut self, place: Place, expected: &str, found: &str) {
        self.findings.error(
            "type-mismatch",
            place,
            format!("应为 {expected}，实为 {found}"),
            format!("expected {expected}, found {found}"),
        );
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
    fn sum_sense(&mut self, a: Sense, b: Sense, operator: Operator, place: Place) -> Option<Sense> {
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
        self.findings.error_with(
            "money-mixed",
            place,
            Text::new(
                format!("{} 与 {} 不能这样混用", a.name(), b.name()),
                format!("{} and {} must not meet like this", a.name(), b.name()),
            ),
            Some(Text::new(
                "用 net(含税, 税率) 与 tax(含税, 税率) 换算",
                "convert with net(gross, rate) and tax(gross, rate)",
            )),
        );
    }

    fn call(
        &mut self,
        scope: &Scope<'_>,
        name: &str,
        arguments: &[Expr],
        place: Place,
        here: Place,
    ) -> Option<(Code, Type)> {
        if functions::find(name).is_none() {
            let suggestion = nearest(name, functions::FUNCTIONS.iter().map(|function| function.name))
                .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
            self.findings.error_with(
                "function-unknown",
                here,
                Text::new(format!("没有函数 {name}"), format!("there is no function `{name}`")),
                suggestion,
            );
            return None;
        }
        match (name, arguments) {
            ("sum" | "count", [list, rest @ ..]) => self.aggregate(scope, name, list, rest, place, here),
            ("present", [Expr { node: ExprNode::Path(path), .. }]) => {
                let (access, kind) = self.access(scope, path, here)?;
                Some((Code::Present(access, Type::of(&kind)), Type::Bool))
            }
            ("abs", [value]) => {
                let (code, sense) = self.number(scope, value, place)?;
                Some((Code::Abs(Box::new(code)), Type::Number(sense)))
            }
            ("round", [value, places]) => {
                let places = self.places(places, here)?;
                let (code, sense) = self.number(scope, value, place)?;
                Some((Code::Round(Box::new(code), places), Type::Number(sense)))
            }
            ("divide", [left, right, places]) => {
                use Sense::{Number, PriceTaxExcluded, PriceTaxIncluded, Quantity, TaxExcluded, TaxIncluded};
                let places = self.places(places, here)?;
                let (left, a) = self.number(scope, left, place)?;
                let (right, b) = self.number(scope, right, place)?;
                let sense = match (a, b) {
                    (TaxIncluded, Quantity) => PriceTaxIncluded,
                    (TaxExcluded, Quantity) => PriceTaxExcluded,
                    (a, Number) => a,
                    (_, _) => Number,
                };
                Some((Code::Divide(Box::new(left), Box::new(right), places), Type::Number(sense)))
            }
            ("net" | "tax", [gross, rate]) => {
                let (gross, a) = self.number(scope, gross, place)?;
                let (rate, b) = self.number(scope, rate, place)?;
                if !matches!(a, Sense::TaxIncluded | Sense::Number)
                    || !matches!(b, Sense::Rate | Sense::Number)
                {
                    self.mixed(here, a, b);
                    return None;
                }
                let (code, sense) = if name == "net" {
                    (Code::Net(Box::new(gross), Box::new(rate)), Sense::TaxExcluded)
                } else {
                    (Code::Tax(Box::new(gross), Box::new(rate)), Sense::Tax)
                };
                Some((code, Type::Number(sense)))
            }
            ("min" | "max", [left, right]) => {
                let (left, a) = self.number(scope, left, place)?;
                let (right, b) = self.number(scope, right, place)?;
                let sense = self.sum_sense(a, b, Operator::Equal, here)?;
                Some((Code::Extreme(name == "max", Box::new(left), Box::new(right)), Type::Number(sense)))
            }
            ("if", [condition, then, otherwise]) => {
                let condition = self.typed(scope, condition, place, Type::Bool)?;
                let (then, a) = self.expr(scope, then, place)?;
                let (otherwise, b) = self.expr(scope, otherwise, place)?;
                let kind = self.common(a, b, here)?;
                Some((Code::If(Box::new(condition), Box::new(then), Box::new(otherwise)), kind))
            }
            ("coalesce", [first, rest @ ..]) => {
                let (code, mut kind) = self.expr(scope, first, place)?;
                let mut codes = vec![code];
                for expr in rest {
                    let (code, next) = self.expr(scope, expr, place)?;
                    kind = self.common(kind, next, here)?;
                    codes.push(code);
                }
                Some((Code::Coalesce(codes), kind))
            }
            ("concat", parts) => {
                let mut codes = Vec::with_capacity(parts.len());
                for part in parts {
                    match self.expr(scope, part, place)? {
                        (code, Type::Text | Type::Number(_) | Type::Date) => codes.push(code),
                        (_, found) => {
                            self.mismatch(here, "text", found.name());
                            return None;
                        }
                    }
                }
                Some((Code::Concat(codes), Type::Text))
            }
            ("text", [value]) => {
                let (code, _) = self.number(scope, value, place)?;
                Some((Code::Concat(vec![code]), Type::Text))
            }
            ("date", [time]) => match self.expr(scope, time, place)? {
                (code, Type::Time(_)) => Some((Code::DateOf(Box::new(code)), Type::Date)),
                (_, found) => {
                    self.mismatch(here, "datetime", found.name());
                    None
                }
            },
            ("millis", [time]) => match self.expr(scope, time, place)? {
                (code, Type::Time(_)) => Some((Code::Millis(Box::new(code)), Type::Number(Sense::Number))),
                (_, found) => {
                    self.mismatch(here, "datetime", found.name());
                    None
                }
            },
            ("left", [text, length]) => {
                let length = self.places(length, here)?;
                let code = self.typed(scope, text, place, Type::Text)?;
                Some((Code::Left(Box::new(code), length), Type::Text))
            }
            (_, _) => {
                let signature = functions::find(name).map_or("", |function| function.signature);
                self.findings.error(
                    "function-arguments",
                    here,
                    format!("参数不符，应为 {signature}"),
                    format!("the arguments do not fit {signature}"),
                );
                None
            }
        }
    }

    fn common(&mut self, a: Type, b: Type, place: Place) -> Option<Type> {
        match (a, b) {
            (Type::Number(a), Type::Number(b)) => {
                Some(Type::Number(self.sum_sense(a, b, Operator::Equal, place)?))
            }
            (a, b) if a == b => Some(a),
            (a, b) => {
                self.mismatch(place, a.name(), b.name());
                None
            }
        }
    }

    fn places(&mut self, expr: &Expr, place: Place) -> Option<u32> {
        let places = match &expr.node {
            ExprNode::Number(value) if value.scale() == 0 && *value <= Decimal::from(1000) => {
                u32::try_from(value.mantissa()).ok()
            }
            _ => None,
        };
        if places.is_none() {
            self.findings.error(
                "function-arguments",
                place,
                "应为整数常量",
                "expected a whole number written out",
            );
        }
        places
    }

    fn aggregate(
        &mut self,
        scope: &Scope<'_>,
        name: &str,
        list: &Expr,
        rest: &[Expr],
        place: Place,
        here: Place,
    ) -> Option<(Code, Type)> {
        let ExprNode::Path(path) = &list.node else {
            self.mismatch(here, "list", "expression");
            return None;
        };
        // `sum(lines.amount)`: the list is the longest prefix that names one.
        let (list_path, field) = match (name, rest) {
            ("sum", []) => match path.rsplit_once('.') {
                Some((list, field)) => (list, Some(field)),
                None => (path.as_str(), None),
            },
            (_, _) => (path.as_str(), None),
        };
        let (access, kind) = self.access(scope, list_path, here)?;
        let Kind::List(fields) = &kind else {
            self.mismatch(here, "list", &kind.name());
            return None;
        };
        let full = list_path.strip_prefix("root.").unwrap_or(list_path);
        let inner = Scope { root: scope.root, item: Some((full, fields)) };
        match (name, field, rest) {
            ("count", None, []) => Some((Code::Count(access), Type::Number(Sense::Number))),
            ("sum", Some(field), []) => {
                let item = Expr { column: list.column, node: ExprNode::Path(field.to_owned()) };
                let (code, sense) = self.number(&inner, &item, place)?;
                Some((Code::Sum(access, Box::new(code)), Type::Number(sense)))
            }
            ("sum", None, [item]) => {
                let (code, sense) = self.number(&inner, item, place)?;
                Some((Code::Sum(access, Box::new(code)), Type::Number(sense)))
            }
            (_, _, _) => {
                let signature = functions::find(name).map_or("", |function| function.signature);
                self.findings.error(
                    "function-arguments",
                    here,
                    format!("参数不符，应为 {signature}"),
                    format!("the arguments do not fit {signature}"),
                );
                None
            }
        }
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
