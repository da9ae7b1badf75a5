//! Compiling target fields, level by level.

use crate::check::EXPRESSION_BYTES_MAX;
use crate::code::Code;
use crate::expr;
use crate::plan::{Action, EachStep, Step, fold};
use crate::syntax::{EachRule, Placed, Rule, SetEntry};
use crate::typing::{Item, Scope, Type, Typer, all_paths};
use std::collections::BTreeSet;
use tongbao_model::Text;
use tongbao_model::diagnostic::{Place, nearest};
use tongbao_model::shape::{Field, Kind};

/// What is at hand while target fields are compiled.
pub struct Compiler<'a> {
    pub typer: Typer<'a>,
    pub tables: Vec<String>,
    pub total: Option<tongbao_model::shape::Total>,
    pub weight: usize,
}

impl Compiler<'_> {
    pub fn code(&mut self, scope: &Scope<'_>, text: &Placed) -> Option<(Code, Type)> {
        if text.text.len() > EXPRESSION_BYTES_MAX {
            let message = (
                format!("表达式超过 {EXPRESSION_BYTES_MAX} 字节"),
                format!("the expression has more than {EXPRESSION_BYTES_MAX} bytes"),
            );
            self.typer.error("expression-size", text.place, message);
            return None;
        }
        match expr::parse(&text.text) {
            Ok(parsed) => self.typer.expr(scope, &parsed, text.place),
            Err(error) => {
                let place = Place { column: text.place.column + error.column, ..text.place };
                self.typer.error("expression", place, (error.zh, error.en));
                None
            }
        }
    }

    pub fn condition(&mut self, scope: &Scope<'_>, text: &Placed) -> Option<Code> {
        match self.code(scope, text)? {
            (code, Type::Bool) => Some(code),
            (_, found) => {
                self.typer.mismatch(text.place, "bool", found.name());
                None
            }
        }
    }

    /// The business key is a text, or a number written as it stands.
    pub fn key(&mut self, scope: &Scope<'_>, text: &Placed) -> Option<Code> {
        match self.code(scope, text)? {
            (code, Type::Text | Type::Number(_)) => Some(code),
            (_, found) => {
                self.typer.mismatch(text.place, "text", found.name());
                None
            }
        }
    }

    fn condition_if(&mut self, scope: &Scope<'_>, text: Option<&Placed>) -> Option<Option<Code>> {
        match text {
            None => Some(None),
            Some(text) => self.condition(scope, text).map(Some),
        }
    }

    /// Compiles the entries for one level of the target. Dotted targets of one parent become one record.
    pub fn set(
        &mut self,
        scope: &Scope<'_>,
        fields: &[Field],
        prefix: &str,
        set: &[SetEntry],
        place: Place,
    ) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let (mut named, mut texts) = (BTreeSet::new(), BTreeSet::new());
        for entry in set {
            let head = entry.target.text.split('.').next().unwrap_or_default();
            named.insert(head.to_owned());
            if !texts.insert(entry.target.text.as_str()) {
                continue; // the YAML reader has reported it
            }
            self.place_step(scope, fields, prefix, &entry.target.text, entry, &mut steps);
        }
        self.require(fields, prefix, &steps, &named, place);
        steps
    }

    /// Required fields that no rule names. Below a record that rules name field by field, its own are looked at too.
    fn require(
        &mut self,
        fields: &[Field],
        prefix: &str,
        steps: &[Step],
        named: &BTreeSet<String>,
        place: Place,
    ) {
        for field in fields {
            let step = steps.iter().find(|step| step.name == field.name);
            if field.required && step.is_none() && !named.contains(field.name.as_ref()) {
                let text = (
                    format!("目标必填字段 {prefix}{} 未设置", field.name),
                    format!("the target requires `{prefix}{}`, which is not set", field.name),
                );
                self.typer.error("target-missing", place, text);
            }
            if let (Kind::Record(children), Some(Step { action: Action::Record(inner), rule, .. })) =
                (&field.kind, step)
                && rule.is_empty()
            {
                let below = inner.iter().map(|step| step.name.clone()).collect();
                self.require(children, &format!("{prefix}{}.", field.name), inner, &below, place);
            }
        }
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
        let known = steps.iter().position(|step| step.name == head);
        let step = |rule, when, action| {
            let key = serde_json::Value::String(head.to_owned()).to_string();
            let key = format!("{key}:").into_bytes();
            Step { name: head.to_owned(), key, target: target.clone(), rule, line, when, action }
        };
        match (rest, &field.kind) {
            (Some(rest), Kind::Record(children)) => {
                let inner_prefix = format!("{target}.");
                let at = known.unwrap_or_else(|| {
                    steps.push(step(String::new(), None, Action::Record(Vec::new())));
                    steps.len() - 1
                });
                match steps.get_mut(at) {
                    Some(Step { action: Action::Record(inner), when: None, .. }) => {
                        self.place_step(scope, children, &inner_prefix, rest, entry, inner);
                    }
                    _ => self.twice(&target, entry.target.place),
                }
            }
            (Some(_), _) => self.unknown_target(fields, prefix, path, entry.target.place),
            (None, _) if known.is_some() => self.twice(&target, entry.target.place),
            (None, kind) => {
                if let Some((action, rule, when)) = self.action(scope, kind, &target, entry) {
                    self.weight += 1;
                    steps.push(literal(step(rule, when, action)));
                }
            }
        }
    }

    fn twice(&mut self, target: &str, place: Place) {
        let text =
            (format!("目标字段 {target} 设置了两次"), format!("the target field `{target}` is set twice"));
        self.typer.error("target-twice", place, text);
    }

    fn unknown_target(&mut self, fields: &[Field], prefix: &str, path: &str, place: Place) {
        let names = all_paths(fields);
        let suggestion = nearest(path, names.iter().map(String::as_str)).map(|name| {
            Text::new(format!("是否为 {prefix}{name}？"), format!("did you mean `{prefix}{name}`?"))
        });
        let text = Text::new(
            format!("目标单据没有字段 {prefix}{path}"),
            format!("the target has no field `{prefix}{path}`"),
        );
        self.typer.findings.error_with("target-unknown", place, text, suggestion);
    }

    fn action(
        &mut self,
        scope: &Scope<'_>,
        kind: &Kind,
        target: &str,
        entry: &SetEntry,
    ) -> Option<(Action, String, Option<Code>)> {
        let place = entry.target.place;
        match &entry.rule {
            Rule::Each(each) => self.each(scope, kind, target, each, place),
            Rule::Record { set, when } => {
                let Kind::Record(children) = kind else {
                    self.typer.mismatch(place, &kind.name(), "record");
                    return None;
                };
                let when = self.condition_if(scope, when.as_ref());
                let steps = self.set(scope, children, &format!("{target}."), set, place);
                Some((Action::Record(steps), "set".to_owned(), when?))
            }
            Rule::Value(rule) => {
                let when = self.condition_if(scope, rule.when.as_ref());
                let (action, text) = self.value(scope, kind, target, rule, place)?;
                Some((action, text, when?))
            }
        }
    }

    fn each(
        &mut self,
        scope: &Scope<'_>,
        kind: &Kind,
        target: &str,
        rule: &EachRule,
        place: Place,
    ) -> Option<(Action, String, Option<Code>)> {
        let Kind::List(children) = kind else {
            self.typer.mismatch(place, &kind.name(), "list");
            return None;
        };
        let (list, source) = self.typer.access(scope, &rule.each.text, rule.each.place)?;
        let Kind::List(fields) = &source else {
            self.typer.mismatch(rule.each.place, "list", &source.name());
            return None;
        };
        let when = self.condition_if(scope, rule.when.as_ref());
        let (lists, path) = scope.below(&list);
        let filtered = rule.filter.is_some() || rule.when.is_some();
        let item = Item { lists: &lists, path: &path, fields, filtered };
        let inner = Scope { root: scope.root, item: Some(item) };
        let filter = self.condition_if(&inner, rule.filter.as_ref());
        let prefix = format!("{target}.");
        let steps = self.set(&inner, children, &prefix, &rule.set, place);
        // A share set in an item of its own would be left out where its condition does not hold.
        let part = Scope { item: Some(Item { filtered: true, ..item }), ..inner };
        let mut also = Vec::new();
        for more in &rule.also {
            let scope = if more.when.is_some() { &part } else { &inner };
            let when = self.condition_if(scope, more.when.as_ref());
            let steps = self.set(scope, children, &prefix, &more.set, more.place);
            also.push((when?, fold(steps)));
        }
        let is_total = self.total.is_some_and(|total| total.list == target);
        let each = EachStep { list, filter: filter?, steps: fold(steps), also, is_total };
        Some((Action::Each(Box::new(each)), format!("each: {}", rule.each.text), when?))
    }
}

/// A constant carries its own name, so that neighbours can be written in one.
fn literal(mut step: Step) -> Step {
    if let (Action::Literal(bytes, _), None) = (&mut step.action, &step.when) {
        let mut member = step.key.clone();
        member.append(bytes);
        *bytes = member;
    }
    step
}
