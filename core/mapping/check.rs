//! From a file to a compiled mapping: every mistake in one run, nothing left for the first document.

use crate::code::Code;
use crate::codes;
use crate::fields;
use crate::layout::Layout;
use crate::level::Compiler;
use crate::money;
use crate::plan::{Carried, RefuseStep, Step, fold};
use crate::read;
use crate::related::{self, RelatedStep};
use crate::report::{Report, placed_error};
use crate::reuse::{self, Files, NoFiles, SourceFile, TheseFiles};
use crate::syntax::{self, File, Placed, TestCase};
use crate::typing::{Scope, Typer};
use crate::upgrade::upgrade;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use tongbao_model::diagnostic::{Diagnostic, Findings};
use tongbao_model::shape::{Field, Shape};
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
    /// The rule of the business key, as it is written.
    pub key_rule: String,
    /// The source's fields.
    pub source: Shape,
    /// The target's fields.
    pub target: Shape,
    pub(crate) related: Vec<RelatedStep>,
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
    let file = read::read(&merged.root, findings)?;
    let declared = file.fields.as_ref().map(|node| fields::read(node, findings));
    let source = end(&file.from, ends, declared.as_deref(), findings);
    let target = end(&file.to, ends, declared.as_deref(), findings);
    let (source, target) = (source?, target?);
    let zone = zone(&file, findings)?;
    let mut used = BTreeSet::new();
    let mut layout = Layout::default();
    let typer = Typer { findings, used: &mut used, layout: &mut layout, memos: Vec::new() };
    let mut compiler = Compiler { typer, tables: Vec::new(), total: target.total, weight: 0 };
    let related = related::declared(&file.related, &source, &file.from.text, ends, compiler.typer.findings);
    let mut steps_related: Vec<RelatedStep> =
        related.iter().filter_map(|one| one.compile(&mut compiler, &source)).collect();
    // Beside the source's own fields stand those of related records, each below its name.
    let mut root = source.fields.clone();
    root.extend(related.iter().map(|one| one.field().clone()));
    let scope = Scope { root: &root, item: None };
    let key = compiler.key(&Scope { root: &source.fields, item: None }, &file.key);
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
    money::currency(&source.fields, "", &mut used, &file.ignore, file.from.place, findings);
    for one in &related {
        let (name, fields) = one.fields();
        money::currency(fields, &format!("{name}."), &mut used, &file.ignore, one.place(), findings);
    }
    related::set_apart(&mut layout, &mut steps_related);
    crate::cover::report(&source.fields, &root, &used, &file.ignore, file.from.place, findings);
    require_tests(&file, findings);
    let texts: Vec<&str> = merged.files.iter().map(|file| file.text.as_str()).collect();
    let version = digest::of_bytes(texts.join("\n").as_bytes()).get(..12).unwrap_or_default().to_owned();
    Some(Mapping {
        name: file.name.text,
        from: file.from.text,
        to: file.to.text,
        version: format!("{}-{version}", syntax::VERSION),
        files: merged.files,
        key_rule: file.key.text,
        source,
        target,
        related: steps_related,
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
