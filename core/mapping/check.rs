//! From a file to a compiled mapping: every mistake in one run, nothing left for the first document.

use crate::code::Code;
use crate::codes;
use crate::expr;
use crate::fields;
use crate::layout::Layout;
use crate::money;
use crate::plan::{Action, Carried, EachStep, RefuseStep, Step, fold};
use crate::report::{Report, placed_error};
use crate::reuse::{self, Files, NoFiles, SourceFile, TheseFiles};
use crate::syntax::{self, EachRule, File, Placed, Rule, SetEntry, TestCase};
use crate::typing::{Item, Scope, Type, Typer, all_paths};
use crate::upgrade::upgrade;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use tongbao_model::diagnostic::{Diagnostic, Findings, Place, nearest};
use tongbao_model::shape::{Field, Kind, Shape};
use tongbao_model::{Text, digest};

/// Longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 4096;

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
    /// Version of the file format and the first 12 hex digits of the files' SHA-256: recorded with every document it
    /// makes.
    pub version: String,
    /// The file it was compiled from, then those that it builds on.
    pub files: Vec<SourceFile>,
    /// The source's fields.
    pub source: Shape,
    /// The target's fields.
    pub target: Shape,
    pub(crate) zone: TimeZone,
    pub(crate) layout: Layout,
    pub(crate) key: Code,
    pub(crate) steps: Vec<Step>,
    pub(crate) checks: Vec<(Code, String)>,
    pub(crate) refuse: Vec<RefuseStep>,
    pub(crate) carried: Option<Carried>,
    /// Code tables it looks into.
    pub tables: Vec<String>,
    /// Source fields it reads, by their paths; lists are passed through.
    pub reads: Vec<String>,
    /// How many fields it writes: a measure of how much room a document needs.
    pub(crate) weight: usize,
    pub(crate) tests: Vec<TestCase>,
}

impl Mapping {
    /// Name and version, as attempts record them.
    pub fn id(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// Compiles a file that builds on no other. Warnings come along with success; with any error there is no mapping.
pub fn compile(file: &str, text: &str, ends: &dyn Ends) -> (Option<Mapping>, Vec<Diagnostic>) {
    compile_with(file, text, ends, &NoFiles)
}

/// Compiles a file; `files` reads those it builds on, relative to its folder.
pub fn compile_with(
    file: &str,
    text: &str,
    ends: &dyn Ends,
    files: &dyn Files,
) -> (Option<Mapping>, Vec<Diagnostic>) {
    let mut findings = Findings::new(file);
    let mapping = build(file, text, ends, files, &mut findings);
    let mapping = if findings.has_errors() { None } else { mapping };
    let mut found = findings.into_sorted();
    // A finding without a suggestion of its own has the one its code usually has.
    for finding in found.iter_mut().filter(|finding| finding.suggestion.is_none()) {
        finding.suggestion = codes::find(finding.code).map(codes::DiagnosticCode::usual);
    }
    (mapping, found)
}

/// Compiles from texts that were kept: the mapping's own first, then those it builds on. Those of earlier versions of the
/// format are read as what they are rewritten to.
pub fn compile_files(files: &[SourceFile], ends: &dyn Ends) -> (Option<Mapping>, Vec<Diagnostic>) {
    let of_today = |file: &SourceFile| match upgrade(&file.path, &file.text) {
        Ok(upgraded) => SourceFile { text: upgraded.text, ..file.clone() },
        Err(_) => file.clone(),
    };
    let files: Vec<SourceFile> = files.iter().map(of_today).collect();
    match files.split_first() {
        Some((own, others)) => compile_with(&own.path, &own.text, ends, &TheseFiles(others)),
        None => compile("", "", ends),
    }
}

fn build(
    name: &str,
    text: &str,
    ends: &dyn Ends,
    files: &dyn Files,
    findings: &mut Findings,
) -> Option<Mapping> {
    let merged = reuse::load(name, text, files, findings)?;
    let file = syntax::read(&merged.root, findings)?;
    let declared = file.fields.as_ref().map(|node| fields::read(node, findings));
    let source = end(&file.from, ends, declared.as_deref(), findings);
    let target = end(&file.to, ends, declared.as_deref(), findings);
    let (source, target) = (source?, target?);
    let zone = zone(&file, findings)?;
    let mut used = BTreeSet::new();
    let mut layout = Layout::default();
    let typer = Typer { findings, used: &mut used, layout: &mut layout, memos: Vec::new() };
    let mut compiler = Compiler { typer, tables: Vec::new(), total: target.total, weight: 0 };
    let scope = Scope { root: &source.fields, item: None };
    let key = compiler.key(&scope, &file.key);
    let refuse = file.refuse.iter().filter_map(|refuse| {
        let when = compiler.condition(&scope, &refuse.when)?;
        Some(RefuseStep { when, because: refuse.because.clone(), is_final: refuse.is_final })
    });
    let refuse = refuse.collect();
    let checks: Vec<(Code, String)> = file
        .checks
        .iter()
        .filter_map(|check| Some((compiler.condition(&scope, check)?, check.text.clone())))
        .collect();
    let steps = compiler.set(&scope, &target.fields, "", &file.set, file.to.place);
    let carried = money::carried(&mut compiler.typer, &scope, &file, &source, &target, &steps, &checks);
    let (tables, weight) = (compiler.tables, compiler.weight);
    let scalar = |path: &&String| source.find(path).is_some_and(|field| field.kind.children().is_none());
    let reads = used.iter().filter(scalar).cloned().collect();
    money::currency(&source.fields, &mut used, &file.ignore, file.from.place, findings);
    crate::cover::report(&source.fields, &used, &file.ignore, file.from.place, findings);
    require_tests(&file, findings);
    let texts: Vec<&str> = merged.files.iter().map(|file| file.text.as_str()).collect();
    let version = digest::of_bytes(texts.join("\n").as_bytes()).get(..12).unwrap_or_default().to_owned();
    Some(Mapping {
        name: file.name.text,
        from: file.from.text,
        to: file.to.text,
        version: format!("{}-{version}", syntax::VERSION),
        files: merged.files,
        source,
        target,
        zone,
        layout,
        key: key?,
        steps: fold(steps),
        checks,
        refuse,
        carried,
        tables,
        reads,
        weight,
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

fn zone(file: &File, findings: &mut Findings) -> Option<TimeZone> {
    let name = file.zone.as_ref().map_or(crate::ZONE_DEFAULT, |zone| zone.text.as_str());
    let found = TimeZone::get(name).ok();
    if let (None, Some(zone)) = (&found, &file.zone) {
        let text = (format!("未知时区 {name}"), format!("unknown time zone `{name}`"));
        placed_error(findings, "zone", zone.place, text);
    }
    found
}

fn end(name: &Placed, ends: &dyn Ends, declared: Option<&[Field]>, findings: &mut Findings) -> Option<Shape> {
    if ends.is_open(&name.text) {
        let Some(fields) = declared else {
            let text = (
                format!("{} 的字段须在 fields 中声明", name.text),
                format!("the fields of {} must be declared under `fields`", name.text),
            );
            placed_error(findings, "fields-missing", name.place, text);
            return None;
        };
        let name = name.text.clone().into();
        return Some(Shape { name, doc: "".into(), fields: fields.to_vec(), total: None });
    }
    let shape = ends.shape(&name.text);
    if shape.is_none() {
        let names = ends.names();
        let text = (format!("未知的单据 {}", name.text), format!("unknown document `{}`", name.text));
        findings.unknown("end-unknown", name.place, text, &name.text, names.iter().map(String::as_str));
    }
    shape
}

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
    fn key(&mut self, scope: &Scope<'_>, text: &Placed) -> Option<Code> {
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
