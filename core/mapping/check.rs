//! From a file to a compiled mapping: every mistake in one run, nothing left for the first document.

use crate::eval::Code;
use crate::expr;
use crate::fields;
use crate::run::{Action, RefuseStep, Step, ValueStep};
use crate::syntax::{self, File, Origin, Placed, Rule, SetEntry, TestCase, ValueRule};
use crate::typing::{Scope, Type, Typer, all_paths};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeSet;
use tongbao_model::diagnostic::{Diagnostic, Findings, Place, nearest};
use tongbao_model::shape::{Field, Kind, NumberForm, Sense, Shape};
use tongbao_model::{Text, decimal, digest, yaml};

/// The two ends of a mapping, as the caller knows them. An open end has the fields the file declares.
pub trait Ends {
    /// The shape of a canonical record or of `connector/document`; `None` when there is no such thing.
    fn shape(&self, name: &str) -> Option<Shape>;
    /// Whether the mapping file itself declares the fields of this end.
    fn is_open(&self, name: &str) -> bool;
    /// All names, for suggestions.
    fn names(&self) -> Vec<String>;
}

/// A compiled mapping.
#[derive(Debug)]
pub struct Mapping {
    /// Its name.
    pub name: String,
    /// What it reads.
    pub from: String,
    /// What it makes.
    pub to: String,
    /// First 12 hex digits of the file's SHA-256: recorded with every document it makes.
    pub version: String,
    /// The source's fields.
    pub source: Shape,
    pub(crate) zone: TimeZone,
    pub(crate) key: Code,
    pub(crate) steps: Vec<Step>,
    pub(crate) checks: Vec<(Code, String)>,
    pub(crate) refuse: Vec<RefuseStep>,
    pub(crate) tests: Vec<TestCase>,
}

/// Compiles a file. Warnings come along with success; with any error there is no mapping.
pub fn compile(file: &str, text: &str, ends: &dyn Ends) -> (Option<Mapping>, Vec<Diagnostic>) {
    let mut findings = Findings::new(file);
    let mapping = build(text, ends, &mut findings);
    let mapping = if findings.has_errors() { None } else { mapping };
    (mapping, findings.into_sorted())
}

fn build(text: &str, ends: &dyn Ends, findings: &mut Findings) -> Option<Mapping> {
    let root = yaml::parse(text, findings)?;
    let file = syntax::read(&root, findings)?;
    let declared = file.fields.as_ref().map(|node| fields::read(node, findings));
    let source = end(&file.from, ends, declared.as_deref(), findings);
    let target = end(&file.to, ends, declared.as_deref(), findings);
    let (source, target) = (source?, target?);
    let zone_name = file.zone.as_ref().map_or(crate::ZONE_DEFAULT, |zone| zone.text.as_str());
    let zone = match TimeZone::get(zone_name) {
        Ok(zone) => zone,
        Err(_) => {
            let place = file.zone.as_ref().map_or(root.place, |zone| zone.place);
            findings.error(
                "zone",
                place,
                format!("未知时区 {zone_name}"),
                format!("unknown time zone `{zone_name}`"),
            );
            return None;
        }
    };
    let mut used = BTreeSet::new();
    let mut compiler = Compiler { typer: Typer { findings, used: &mut used } };
    let scope = Scope { root: &source.fields, item: None };
    let key = compiler.code(&scope, &file.key).map(|(code, _)| code);
    let refuse = file.refuse.iter().filter_map(|refuse| {
        let when = compiler.condition(&scope, &refuse.when)?;
        Some(RefuseStep { when, because: refuse.because.clone(), is_final: refuse.is_final })
    });
    let refuse = refuse.collect();
    let checks = file
        .checks
        .iter()
        .filter_map(|check| Some((compiler.condition(&scope, check)?, check.text.clone())))
        .collect();
    let steps = compiler.set(&scope, &target.fields, "", &file.set, file.to.place);
    crate::cover::report(&source.fields, &used, &file.ignore, file.from.place, findings);
    require_tests(&file, findings);
    let version = digest::of_bytes(text.as_bytes()).get(..12).unwrap_or_default().to_owned();
    Some(Mapping {
        name: file.name.text,
        from: file.from.text,
        to: file.to.text,
        version: format!("{}-{version}", file.version),
        source,
        zone,
        key: key?,
        steps,
        checks,
        refuse,
        tests: file.tests,
    })
}

fn require_tests(file: &File, findings: &mut Findings) {
    let accepted = file.tests.iter().any(|test| test.expect.is_some());
    let refused = file.tests.iter().any(|test| test.fault.is_some());
    if !accepted || !refused {
        findings.warning(
            "tests-missing",
            file.name.place,
            Text::new(
                "应至少有一个通过和一个拒绝的测试",
                "there should be at least one accepted and one refused test",
            ),
            None,
        );
    }
}

fn end(name: &Placed, ends: &dyn Ends, declared: Option<&[Field]>, findings: &mut Findings) -> Option<Shape> {
    if ends.is_open(&name.text) {
        let Some(fields) = declared else {
            findings.error(
                "fields-missing",
                name.place,
                format!("{} 的字段须在 fields 中声明", name.text),
                format!("the fields of {} must be declared under `fields`", name.text),
            );
            return None;
        };
        return Some(Shape { name: name.text.clone().into(), doc: "".into(), fields: fields.to_vec() });
    }
    let shape = ends.shape(&name.text);
    if shape.is_none() {
        let names = ends.names();
        let suggestion = nearest(&name.text, names.iter().map(String::as_str))
            .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
        findings.error_with(
            "end-unknown",
            name.place,
            Text::new(format!("未知的单据 {}", name.text), format!("unknown document `{}`", name.text)),
            suggestion,
        );
    }
    shape
}

struct Compiler<'a> {
    typer: Typer<'a>,
}

impl Compiler<'_> {
    fn code(&mut self, scope: &Scope<'_>, text: &Placed) -> Option<(Code, Type)> {
        match expr::parse(&text.text) {
            Ok(parsed) => self.typer.expr(scope, &parsed, text.place),
            Err(error) => {
                let place = Place { line: text.place.line, column: text.place.column + error.column };
                self.typer.findings.error("expression", place, error.zh, error.en);
                None
            }
        }
    }

    fn condition(&mut self, scope: &Scope<'_>, text: &Placed) -> Option<Code> {
        match self.code(scope, text)? {
            (code, Type::Bool) => Some(code),
            (_, found) => {
                self.typer.mismatch(text.place, "bool", found.name());
                None
            }
        }
    }

    /// Compiles the entries for one level of the target. Dotted targets of one parent become one record.
    fn set(
        &mut self,
        scope: &Scope<'_>,
        fields: &[Field],
        prefix: &str,
        set: &[SetEntry],
        place: Place,
    ) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut seen = BTreeSet::new();
        for entry in set {
            let path = &entry.target.text;
            if !seen.insert(path.as_str()) {
                continue; // the YAML reader has reported it
            }
            self.place_step(scope, fields, prefix, path, entry, &mut steps);
        }
        for field in fields.iter().filter(|field| field.required) {
            if !steps.iter().any(|step| step.name == field.name) {
                self.typer.findings.error(
                    "target-missing",
                    place,
                    format!("目标必填字段 {prefix}{} 未设置", field.name),
                    format!("the target requires `{prefix}{}`, which is not set", field.name),
                );
            }
        }
        steps
    }

    fn place_step(
        &mut self,
        scope: &Scope<'_>,
        fields: &[Field],
        prefix: &str,
        path: &str,
        entry: &SetEntry,
        steps: &mut Vec<Step>,
    ) {
        let (head, rest) = match path.split_once('.') {
            Some((head, rest)) => (head, Some(rest)),
            None => (path, None),
        };
        let Some(field) = fields.iter().find(|field| field.name == head) else {
            self.unknown_target(fields, prefix, path, entry.target.place);
            return;
        };
        let target = format!("{prefix}{head}");
        let line = entry.target.place.line;
        match (rest, &field.kind) {
            (Some(rest), Kind::Record(children)) => {
                let inner_prefix = format!("{target}.");
                let at = steps.iter().position(|step| step.name == head).unwrap_or_else(|| {
                    let action = Action::Record(Vec::new());
                    steps.push(Step { name: head.to_owned(), target, rule: String::new(), line, action });
                    steps.len() - 1
                });
                if let Some(Step { action: Action::Record(inner), .. }) = steps.get_mut(at) {
                    self.place_step(scope, children, &inner_prefix, rest, entry, inner);
                }
            }
            (Some(_), _) => self.unknown_target(fields, prefix, path, entry.target.place),
            (None, kind) => {
                if let Some((action, rule)) = self.action(scope, kind, &target, entry) {
                    steps.push(Step { name: head.to_owned(), target, rule, line, action });
                }
            }
        }
    }

    fn unknown_target(&mut self, fields: &[Field], prefix: &str, path: &str, place: Place) {
        let names = all_paths(fields);
        let suggestion = nearest(path, names.iter().map(String::as_str)).map(|name| {
            Text::new(format!("是否为 {prefix}{name}？"), format!("did you mean `{prefix}{name}`?"))
        });
        self.typer.findings.error_with(
            "target-unknown",
            place,
            Text::new(
                format!("目标单据没有字段 {prefix}{path}"),
                format!("the target has no field `{prefix}{path}`"),
            ),
            suggestion,
        );
    }

    fn action(
        &mut self,
        scope: &Scope<'_>,
        kind: &Kind,
        target: &str,
        entry: &SetEntry,
    ) -> Option<(Action, String)> {
        let place = entry.target.place;
        match &entry.rule {
            Rule::Each { each, filter, set } => {
                let Kind::List(children) = kind else {
                    self.typer.mismatch(place, &kind.name(), "list");
                    return None;
                };
                let (list, source) = self.typer.access(scope, &each.text, each.place)?;
                let Kind::List(items) = &source else {
                    self.typer.mismatch(each.place, "list", &source.name());
                    return None;
                };
                let full = each.text.strip_prefix("root.").unwrap_or(&each.text).to_owned();
                let inner = Scope { root: scope.root, item: Some((&full, items)) };
                let filter = match filter {
                    Some(filter) => Some(self.condition(&inner, filter)?),
                    None => None,
                };
                let steps = self.set(&inner, children, &format!("{target}."), set, place);
                Some((Action::Each { list, filter, steps }, format!("each: {}", each.text)))
            }
            Rule::Record(set) => {
                let Kind::Record(children) = kind else {
                    self.typer.mismatch(place, &kind.name(), "record");
                    return None;
                };
                Some((
                    Action::Record(self.set(scope, children, &format!("{target}."), set, place)),
                    String::new(),
                ))
            }
            Rule::Value(rule) => self.value(scope, kind, rule, place),
        }
    }

    fn value(
        &mut self,
        scope: &Scope<'_>,
        kind: &Kind,
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
        let (origin, text) = match &rule.origin {
            Origin::Const(value, place) => {
                let value = self.constant(kind, value, *place)?;
                let shown = value.to_string();
                if rule.when.is_none() {
                    return Some((Action::Constant(value), format!("const: {shown}")));
                }
                let code = match &value {
                    Value::String(text) => Code::Text(text.clone()),
                    Value::Bool(flag) => Code::Bool(*flag),
                    Value::Number(number) => Code::Number(decimal::parse(number.as_str()).ok()?),
                    Value::Null | Value::Array(_) | Value::Object(_) => return None,
                };
                (Some((code, None)), format!("const: {shown}"))
            }
            Origin::From(path) | Origin::Expr(path) => {
                let found = self.code(scope, path);
                let label = if matches!(rule.origin, Origin::From(_)) { "from" } else { "expr" };
                (
                    found.map(|(code, kind)| (code, Some((kind, path.place)))),
                    format!("{label}: {}", path.text),
                )
            }
        };
        let when = match &rule.when {
            Some(when) => Some(self.condition(scope, when)?),
            None => None,
        };
        let default = match &rule.default {
            Some((value, place)) => Some(self.constant(kind, value, *place)?),
            None => None,
        };
        let values = match &rule.values {
            Some(values) => {
                let mut checked = Vec::with_capacity(values.len());
                for (from, to) in values {
                    checked.push((from.text.clone(), self.constant(kind, to, from.place)?));
                }
                Some(checked)
            }
            None => None,
        };
        let (code, found) = origin?;
        if let Some((found, place)) = found {
            self.fits(found, kind, rule, place)?;
        }
        let action = Action::Value(Box::new(ValueStep {
            code,
            kind: kind.clone(),
            table: rule.table.as_ref().map(|table| table.text.clone()),
            values,
            scale: rule.scale,
            round: rule.round,
            default,
            optional: rule.optional,
            when,
        }));
        Some((action, text))
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
            (Kind::Decimal { .. } | Kind::Integer, Type::Text) => Some(Text::new(
                "文本不会被猜成数字：请把来源字段声明为数字类型",
                "text is never guessed into a number: declare the source field as one",
            )),
            _ => None,
        };
        let (expected, found) = (kind.name(), found.name());
        self.typer.findings.error_with(
            "type-mismatch",
            place,
            Text::new(
                format!("应为 {expected}，实为 {found}"),
                format!("expected {expected}, found {found}"),
            ),
            suggestion,
        );
        None
    }

    /// Checks a constant against the target's kind and gives it the form the target wants.
    fn constant(&mut self, kind: &Kind, value: &Value, place: Place) -> Option<Value> {
        let fitting = match (kind, value) {
            (Kind::Text(_), Value::String(_)) | (Kind::Bool, Value::Bool(_)) => Some(value.clone()),
            (Kind::Text(_), Value::Number(number)) => Some(Value::String(number.as_str().to_owned())),
            (Kind::Text(_), Value::Bool(flag)) => Some(Value::String(flag.to_string())),
            (Kind::Decimal { form: NumberForm::Number, .. } | Kind::Integer, Value::Number(_)) => {
                Some(value.clone())
            }
            (Kind::Decimal { form: NumberForm::Text, .. }, Value::Number(number)) => {
                Some(Value::String(number.as_str().to_owned()))
            }
            (Kind::Decimal { form: NumberForm::Text, .. }, Value::String(text))
                if decimal::parse(text).is_ok() =>
            {
                Some(value.clone())
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

/// Whether an amount of sense `from` may be written where `to` is meant.
fn meets(to: Sense, from: Sense) -> bool {
    let (money_to, money_from) = (class(to), class(from));
    match (money_to, money_from) {
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
