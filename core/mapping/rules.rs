//! Compiling the rule of a scalar, and what may be written where.

use crate::code::{Code, Scale};
use crate::level::Compiler;
use crate::plan::{Action, Constant, Literal, Mark, TableStep, ValueStep};
use crate::syntax::{Origin, TableRule, ValueRule};
use crate::typing::{Scope, Type};
use serde_json::Value;
use tongbao_model::diagnostic::Place;
use tongbao_model::shape::{Kind, NumberForm, Sense};
use tongbao_model::{Text, decimal};

impl Compiler<'_> {
    /// Compiles the rule of a scalar; answers the rule's own text too.
    pub fn value(
        &mut self,
        scope: &Scope<'_>,
        kind: &Kind,
        target: &str,
        rule: &ValueRule,
        place: Place,
    ) -> Option<(Action, String)> {
        if kind.children().is_some() {
            self.typer.findings.error_with(
                "type-mismatch",
                place,
                Text::new("目标是嵌套结构", "the target is a nested structure"),
                Some(Text::new("用 set 或 each 逐字段设置", "set its fields with `set` or `each`")),
            );
            return None;
        }
        self.needless(kind, rule, place);
        let mark = self.mark(target);
        let (origin, label) = match &rule.origin {
            Origin::Const(value, at) => {
                let value = self.constant(kind, value, *at)?;
                let text = format!("const: {value}");
                if rule.when.is_none() && mark.is_none() {
                    let constant = Constant {
                        target: target.to_owned(),
                        rule: text.clone(),
                        line: place.line,
                        value: value.clone(),
                    };
                    return Some((Action::Literal(value.to_string().into_bytes(), vec![constant]), text));
                }
                // What is known beforehand is written as it stands, by a rule whose value is never read.
                let literal = Literal::new(&value);
                let step =
                    ValueStep { default: Some(literal), mark, ..plain(Code::Coalesce(Vec::new()), kind) };
                return Some((Action::Value(Box::new(step)), text));
            }
            Origin::From(path) => (path, "from"),
            Origin::Expr(path) => (path, "expr"),
        };
        let found = self.code(scope, origin);
        let default = self.literal(kind, rule.default.as_ref());
        let other = self.literal(kind, rule.other.as_ref());
        let values = match &rule.values {
            None => Some(None),
            Some(values) => {
                let checked = values.iter().map(|(from, to)| {
                    self.constant(kind, to, from.place).map(|to| (from.text.clone(), Literal::new(&to)))
                });
                // All of them are looked at before one that does not fit ends it.
                let checked: Vec<_> = checked.collect();
                checked.into_iter().collect::<Option<Vec<_>>>().map(Some)
            }
        };
        let table = match &rule.table {
            None => Some(None),
            Some(table) => self.table(scope, table).map(Some),
        };
        let (mut code, mut found) = found?;
        if let (Some(pattern), Kind::Text(_)) = (&rule.format, kind) {
            code = self.typer.formatted(code, found, &pattern.text, pattern.place)?;
            found = Type::Text;
        }
        self.fits(found, kind, rule, origin.place)?;
        self.narrows(&code, kind, rule, origin.place);
        let step = ValueStep {
            code,
            kind: kind.clone(),
            table: table?,
            values: values?,
            other: other?,
            scale: rule.scale,
            round: rule.round,
            cut: rule.cut,
            default: default?,
            optional: rule.optional,
            mark,
        };
        Some((Action::Value(Box::new(step)), format!("{label}: {}", origin.text)))
    }

    /// Parts of a rule that would do nothing where they stand.
    fn needless(&mut self, kind: &Kind, rule: &ValueRule, place: Place) {
        let number = matches!(kind, Kind::Decimal { .. } | Kind::Integer);
        let translated = rule.table.is_some() || rule.values.is_some();
        let is_constant = matches!(rule.origin, Origin::Const(_, _));
        for (present, makes_sense, name) in [
            (
                rule.scale.is_some(),
                matches!(kind, Kind::Decimal { .. }) && !translated && !is_constant,
                "scale",
            ),
            (rule.round.is_some(), number && !translated && !is_constant, "round"),
            (rule.cut, matches!(kind, Kind::Text(Some(_))) && rule.values.is_none() && !is_constant, "cut"),
            (rule.format.is_some(), matches!(kind, Kind::Text(_)) && !translated && !is_constant, "format"),
            (rule.other.is_some(), translated && !is_constant, "else"),
            (rule.default.is_some() && rule.optional, false, "optional"),
            (rule.table.is_some() && rule.values.is_some(), false, "values"),
            (is_constant && (translated || rule.default.is_some() || rule.optional), false, "const"),
        ] {
            if present && !makes_sense {
                let text = (
                    format!("此处的 {name} 不起作用，或与规则的其他部分相抵触"),
                    format!("`{name}` does nothing here, or contradicts another part of the rule"),
                );
                self.typer.error("rule-needless", place, text);
            }
        }
    }

    fn mark(&self, target: &str) -> Option<Mark> {
        let total = self.total?;
        if total.header == Some(target) {
            return Some(Mark::Header);
        }
        let field = target.strip_prefix(total.list)?.strip_prefix('.')?;
        if total.amounts.contains(&field) {
            return Some(Mark::Amount);
        }
        let (quantity, price) = total.product?;
        match field {
            field if field == quantity => Some(Mark::Quantity),
            field if field == price => Some(Mark::Price),
            _ => None,
        }
    }

    fn literal(&mut self, kind: &Kind, given: Option<&(Value, Place)>) -> Option<Option<Literal>> {
        match given {
            None => Some(None),
            Some((value, place)) => {
                self.constant(kind, value, *place).map(|value| Some(Literal::new(&value)))
            }
        }
    }

    fn table(&mut self, scope: &Scope<'_>, rule: &TableRule) -> Option<TableStep> {
        let mut with = Vec::new();
        for key in &rule.with {
            match self.code(scope, key)? {
                (code, Type::Text) => with.push(code),
                (_, found) => {
                    self.typer.mismatch(key.place, "text", found.name());
                    return None;
                }
            }
        }
        let on = match &rule.on {
            None => None,
            Some(on) => match self.code(scope, on)? {
                (code, Type::Date | Type::Time(_)) => Some(code),
                (_, found) => {
                    self.typer.mismatch(on.place, "date", found.name());
                    return None;
                }
            },
        };
        let name = rule.name.text.clone();
        let index = self.tables.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.tables.push(name.clone());
            self.tables.len() - 1
        });
        Some(TableStep { name, index, with, on })
    }

    /// Whether a value of type `found` may go into a field of `kind` by this rule.
    fn fits(&mut self, found: Type, kind: &Kind, rule: &ValueRule, place: Place) -> Option<()> {
        if rule.values.is_some() || rule.table.is_some() {
            let usable = match found {
                Type::Text => true,
                Type::Number(_) | Type::Bool => rule.values.is_some(),
                Type::Date | Type::Time(_) | Type::List | Type::Record => false,
            };
            if !usable {
                self.typer.mismatch(place, "text", found.name());
                return None;
            }
            if rule.table.is_some() && !matches!(kind, Kind::Text(_)) {
                self.typer.mismatch(place, &kind.name(), "text");
                return None;
            }
            return Some(());
        }
        let fits = match (kind, found) {
            (Kind::Decimal { sense, .. }, Type::Number(from)) => {
                if !meets(*sense, from) {
                    self.typer.mixed(place, *sense, from);
                    return None;
                }
                true
            }
            (Kind::Text(_), Type::Text) | (Kind::Bool, Type::Bool) | (Kind::Integer, Type::Number(_)) => true,
            (Kind::Date | Kind::DateTime(_), Type::Date | Type::Time(_)) => true,
            (_, _) => false,
        };
        if fits {
            return Some(());
        }
        let suggestion = match (kind, found) {
            (Kind::Text(_), Type::Number(_)) => {
                Some(Text::new("数字转文本请写 text(…)", "write text(…) to make text of a number"))
            }
            (Kind::Text(_), Type::Date | Type::Time(_)) => Some(Text::new(
                "用 format: \"%Y-%m-%d\" 写明日期的文本格式",
                "say how the date is written with `format: \"%Y-%m-%d\"`",
            )),
            (Kind::Decimal { .. } | Kind::Integer, Type::Text) => Some(Text::new(
                "文本不会被猜成数字：请把来源字段声明为数字类型",
                "text is never guessed into a number: declare the source field as one",
            )),
            _ => None,
        };
        let (expected, found) = (kind.name(), found.name());
        let text = Text::new(
            format!("应为 {expected}，实为 {found}"),
            format!("expected {expected}, found {found}"),
        );
        self.typer.findings.error_with("type-mismatch", place, text, suggestion);
        None
    }

    /// A value that is known to have more places or characters than the field keeps.
    fn narrows(&mut self, code: &Code, kind: &Kind, rule: &ValueRule, place: Place) {
        if rule.table.is_some() || rule.values.is_some() {
            return;
        }
        match kind {
            Kind::Decimal { scale, .. } => {
                let Some(keeps) = rule.scale.or(*scale) else { return };
                let found = match code.scale() {
                    Scale::AtMost(found) if found > keeps => found.to_string(),
                    Scale::Grows => "…".to_owned(),
                    Scale::AtMost(_) | Scale::Source => return,
                };
                if rule.round.is_none() {
                    let text = (
                        format!("结果可有 {found} 位小数，目标只留 {keeps} 位"),
                        format!("the result can have {found} decimal places, the target keeps {keeps}"),
                    );
                    self.typer.error("scale-narrowed", place, text);
                }
            }
            Kind::Text(Some(keeps)) => {
                if let Some(found) = code.length().filter(|found| *found > keeps.max)
                    && !rule.cut
                {
                    let text = (
                        format!("来源最长 {found}，目标最长 {}", keeps.max),
                        format!("the source is up to {found} long, the target keeps {}", keeps.max),
                    );
                    self.typer.error("text-narrowed", place, text);
                }
            }
            _ => {}
        }
    }

    /// Checks a constant against the target's kind and gives it the form the target wants.
    fn constant(&mut self, kind: &Kind, value: &Value, place: Place) -> Option<Value> {
        let places = |text: &str| decimal::parse(text).ok().map(|value| value.normalize().scale());
        let fitting = match (kind, value) {
            (Kind::Text(None), Value::String(_)) | (Kind::Bool, Value::Bool(_)) => Some(value.clone()),
            (Kind::Text(Some(length)), Value::String(text)) => {
                (text.chars().count() <= length.max).then(|| value.clone())
            }
            (Kind::Text(_), Value::Number(number)) => Some(Value::String(number.as_str().to_owned())),
            (Kind::Text(_), Value::Bool(flag)) => Some(Value::String(flag.to_string())),
            (Kind::Decimal { form: NumberForm::Number, scale, .. }, Value::Number(number)) => {
                let fits =
                    places(number.as_str()).is_some_and(|found| scale.is_none_or(|keeps| found <= keeps));
                fits.then(|| value.clone())
            }
            (Kind::Integer, Value::Number(number)) => {
                places(number.as_str()).is_some_and(|found| found == 0).then(|| value.clone())
            }
            (Kind::Decimal { form: NumberForm::Text, scale, .. }, Value::Number(_) | Value::String(_)) => {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let fits = places(&text).is_some_and(|found| scale.is_none_or(|keeps| found <= keeps));
                fits.then_some(Value::String(text))
            }
            (Kind::Date, Value::String(text)) if text.parse::<jiff::civil::Date>().is_ok() => {
                Some(value.clone())
            }
            (_, _) => None,
        };
        if fitting.is_none() {
            self.typer.mismatch(place, &kind.name(), &value.to_string());
        }
        fitting
    }
}

fn plain(code: Code, kind: &Kind) -> ValueStep {
    ValueStep {
        code,
        kind: kind.clone(),
        table: None,
        values: None,
        other: None,
        scale: None,
        round: None,
        cut: false,
        default: None,
        optional: false,
        mark: None,
    }
}

/// Whether an amount of sense `from` may be written where `to` is meant.
fn meets(to: Sense, from: Sense) -> bool {
    match (class(to), class(from)) {
        (Some(a), Some(b)) => a == b,
        (_, _) => true,
    }
}

/// Groups that never meet: tax-included, tax-excluded and tax; anything else goes anywhere.
fn class(sense: Sense) -> Option<u8> {
    match sense {
        Sense::TaxIncluded | Sense::PriceTaxIncluded => Some(1),
        Sense::TaxExcluded | Sense::PriceTaxExcluded => Some(2),
        Sense::Tax => Some(3),
        Sense::Number | Sense::Quantity | Sense::Rate | Sense::Money => None,
    }
}
