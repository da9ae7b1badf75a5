//! Types of function calls.

use crate::code::{Access, Code};
use crate::expr::{Expr, ExprNode, Operator};
use crate::functions;
use crate::typing::{Item, Scope, Type, Typer};
use rust_decimal::Decimal;
use tongbao_model::diagnostic::Place;
use tongbao_model::shape::{Field, Kind, Sense};

type Typed = Option<(Code, Type)>;

impl Typer<'_> {
    pub fn call(
        &mut self,
        scope: &Scope<'_>,
        name: &str,
        arguments: &[Expr],
        place: Place,
        here: Place,
    ) -> Typed {
        if functions::find(name).is_none() {
            self.no_function(name, here);
            return None;
        }
        match (name, arguments) {
            ("sum" | "count" | "any" | "all" | "join" | "lookup", [list, rest @ ..]) => {
                self.over_list(scope, name, list, rest, place, here)
            }
            ("present", [Expr { node: ExprNode::Path(path), .. }]) => {
                let (access, _) = self.access(scope, path, here)?;
                Some((Code::Present(access), Type::Bool))
            }
            ("abs", [value]) => {
                let (code, sense) = self.number(scope, value, place)?;
                Some((Code::Abs(Box::new(code)), Type::Number(sense)))
            }
            ("round", [value, places]) => {
                let places = self.places(places, 28, here)?;
                let (code, sense) = self.number(scope, value, place)?;
                Some((Code::Round(Box::new(code), places), Type::Number(sense)))
            }
            ("divide", [left, right, places]) => self.divide(scope, left, right, places, place, here),
            ("net" | "tax", [gross, rate]) => self.tax(scope, name == "tax", gross, rate, place, here),
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
            ("share", [amount, weight, places]) => self.share(scope, amount, weight, places, place, here),
            (_, arguments) => self.of_text(scope, name, arguments, place, here),
        }
    }

    /// Functions about texts and times.
    fn of_text(
        &mut self,
        scope: &Scope<'_>,
        name: &str,
        arguments: &[Expr],
        place: Place,
        here: Place,
    ) -> Typed {
        match (name, arguments) {
            ("concat", [_, ..]) => {
                let mut codes = Vec::with_capacity(arguments.len());
                for part in arguments {
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
            ("left", [text, length]) => {
                let length = self.places(length, 100_000, here)?;
                let code = self.typed(scope, text, place, Type::Text)?;
                Some((Code::Left(Box::new(code), length), Type::Text))
            }
            ("trim" | "upper", [text]) => {
                let code = Box::new(self.typed(scope, text, place, Type::Text)?);
                Some((if name == "trim" { Code::Trim(code) } else { Code::Upper(code) }, Type::Text))
            }
            ("format", [time, Expr { node: ExprNode::Text(pattern), .. }]) => {
                let (code, kind) = self.expr(scope, time, place)?;
                let code = self.formatted(code, kind, pattern, here)?;
                Some((code, Type::Text))
            }
            ("date" | "millis", [time]) => match self.expr(scope, time, place)? {
                (code, Type::Time(_)) if name == "date" => Some((Code::DateOf(Box::new(code)), Type::Date)),
                (code, Type::Time(_)) => Some((Code::Millis(Box::new(code)), Type::Number(Sense::Number))),
                (_, found) => {
                    self.mismatch(here, "datetime", found.name());
                    None
                }
            },
            (_, _) => self.wrong_arguments(name, here),
        }
    }

    fn wrong_arguments<T>(&mut self, name: &str, here: Place) -> Option<T> {
        let signature = functions::find(name).map_or("", |function| function.signature);
        let text = (format!("参数不符，应为 {signature}"), format!("the arguments do not fit {signature}"));
        self.error("function-arguments", here, text);
        None
    }

    fn divide(
        &mut self,
        scope: &Scope<'_>,
        left: &Expr,
        right: &Expr,
        places: &Expr,
        place: Place,
        here: Place,
    ) -> Typed {
        use Sense::{Number, PriceTaxExcluded, PriceTaxIncluded, Quantity, TaxExcluded, TaxIncluded};
        let places = self.places(places, 28, here)?;
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

    fn tax(
        &mut self,
        scope: &Scope<'_>,
        is_tax: bool,
        gross: &Expr,
        rate: &Expr,
        place: Place,
        here: Place,
    ) -> Typed {
        let (gross, a) = self.number(scope, gross, place)?;
        let (rate, b) = self.number(scope, rate, place)?;
        if !matches!(a, Sense::TaxIncluded | Sense::Number) || !matches!(b, Sense::Rate | Sense::Number) {
            self.mixed(here, a, b);
            return None;
        }
        let excluded = Type::Number(Sense::TaxExcluded);
        let net = Code::Net(Box::new(gross.clone()), Box::new(rate));
        if !is_tax {
            return Some((net, excluded));
        }
        // Tax is what remains; the net of the line is worked out once for both.
        let net = self.kept(scope, net, excluded);
        let tax = Code::Binary(Operator::Subtract, Box::new(gross), Box::new(net));
        Some((tax, Type::Number(Sense::Tax)))
    }

    fn share(
        &mut self,
        scope: &Scope<'_>,
        amount: &Expr,
        weight: &Expr,
        places: &Expr,
        place: Place,
        here: Place,
    ) -> Typed {
        let Some(item) = scope.item else {
            let text = ("share 只能用在 each 的明细里", "`share` stands within the lines of an `each`");
            self.error("share", here, text);
            return None;
        };
        if item.filtered {
            let text = (
                "share 分摊到列表的每一行，而此处 where 或 when 会略去一些行，金额会丢失",
                "`share` spreads over every line of the list, and `where` or `when` leaves some out here: money would be lost",
            );
            self.error("share", here, text);
            return None;
        }
        let places = self.places(places, 12, here)?;
        let (amount, sense) = self.number(scope, amount, place)?;
        let (weight, _) = self.number(scope, weight, place)?;
        if !amount.is_of_root() {
            let text = (
                "share 的第一个参数须为单据头金额（root.…）",
                "the first argument of `share` is an amount of the header (`root.…`)",
            );
            self.error("share", here, text);
            return None;
        }
        let memo = self.layout.level(item.lists)?.memo();
        Some((Code::Share(Box::new(amount), Box::new(weight), places, memo), Type::Number(sense)))
    }

    /// A date or time as text, by a pattern that is tried out first.
    pub fn formatted(&mut self, code: Code, kind: Type, pattern: &str, here: Place) -> Option<Code> {
        use jiff::fmt::strtime;
        let day = jiff::civil::date(2026, 11, 20);
        let works = match kind {
            Type::Date => strtime::format(pattern, day).is_ok(),
            Type::Time(_) => {
                let noon = day.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC);
                noon.is_ok_and(|noon| strtime::format(pattern, &noon).is_ok())
            }
            other => {
                self.mismatch(here, "datetime", other.name());
                return None;
            }
        };
        if !works || pattern.len() > 200 {
            let text = (format!("日期格式 {pattern:?} 无效"), format!("{pattern:?} is no pattern for dates"));
            self.error("format", here, text);
            return None;
        }
        Some(Code::Format(Box::new(code), pattern.to_owned()))
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

    fn places(&mut self, expr: &Expr, max: u32, place: Place) -> Option<u32> {
        let places = match &expr.node {
            ExprNode::Number(value) if value.scale() == 0 && *value <= Decimal::from(max) => {
                u32::try_from(value.mantissa()).ok()
            }
            _ => None,
        };
        if places.is_none() {
            let text = (
                format!("应为 0 至 {max} 的整数常量"),
                format!("expected a whole number from 0 to {max}, written out"),
            );
            self.error("function-arguments", place, text);
        }
        places
    }

    fn over_list(
        &mut self,
        scope: &Scope<'_>,
        name: &str,
        list: &Expr,
        rest: &[Expr],
        place: Place,
        here: Place,
    ) -> Typed {
        let ExprNode::Path(path) = &list.node else {
            self.mismatch(here, "list", "expression");
            return None;
        };
        // `sum(lines.amount)`: the list is what stands before the last name.
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
        let (lists, full) = scope.below(&access);
        let item = Item { lists: &lists, path: &full, fields, filtered: false };
        let inner = Scope { root: scope.root, item: Some(item) };
        match (name, field, rest) {
            ("count", None, []) => Some((Code::Count(access, None), Type::Number(Sense::Number))),
            ("count", None, [condition]) => {
                let condition = self.typed(&inner, condition, place, Type::Bool)?;
                Some((Code::Count(access, Some(Box::new(condition))), Type::Number(Sense::Number)))
            }
            ("any" | "all", None, [condition]) => {
                let condition = self.typed(&inner, condition, place, Type::Bool)?;
                Some((Code::Every(name == "any", access, Box::new(condition)), Type::Bool))
            }
            ("sum", Some(field), []) => {
                let item = Expr { column: list.column, node: ExprNode::Path(field.to_owned()) };
                let (code, sense) = self.number(&inner, &item, place)?;
                Some((Code::Sum(access, Box::new(code)), Type::Number(sense)))
            }
            ("sum", None, [item]) => {
                let (code, sense) = self.number(&inner, item, place)?;
                Some((Code::Sum(access, Box::new(code)), Type::Number(sense)))
            }
            ("join", None, [item, Expr { node: ExprNode::Text(between), .. }]) => {
                let item = self.typed(&inner, item, place, Type::Text)?;
                Some((Code::Join(access, Box::new(item), between.clone()), Type::Text))
            }
            ("lookup", None, [key, value, field]) => {
                self.lookup(scope, &inner, access, fields, [key, value, field], place, here)
            }
            (_, _, _) => self.wrong_arguments(name, here),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "what a call is made of")]
    fn lookup(
        &mut self,
        scope: &Scope<'_>,
        inner: &Scope<'_>,
        list: Access,
        fields: &[Field],
        [key, value, field]: [&Expr; 3],
        place: Place,
        here: Place,
    ) -> Typed {
        let paths = matches!((&key.node, &field.node), (ExprNode::Path(_), ExprNode::Path(_)));
        if !paths || fields.is_empty() {
            return self.wrong_arguments("lookup", here);
        }
        let (key, key_type) = self.expr(inner, key, place)?;
        let (value, value_type) = self.expr(scope, value, place)?;
        let comparable = matches!(
            (key_type, value_type),
            (Type::Text, Type::Text) | (Type::Number(Sense::Number), Type::Number(Sense::Number))
        );
        if !comparable {
            self.mismatch(here, key_type.name(), value_type.name());
            return None;
        }
        let (field, kind) = self.expr(inner, field, place)?;
        Some((Code::Lookup(list, Box::new(key), Box::new(value), Box::new(field)), kind))
    }
}
