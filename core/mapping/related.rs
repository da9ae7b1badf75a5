//! Lookup into related records: the contract of a payment, the invoice of a credit note. A mapping names the record and the key
//! by which the source refers to it; whoever runs the mapping brings the newest state of that record along, and its
//! fields stand beside the source's own, below the name the file gives it.

use crate::check::{Ends, Mapping};
use crate::code::Code;
use crate::decode;
use crate::eval::Env;
use crate::layout::{Inner, Layout, LayoutField};
use crate::level::Compiler;
use crate::report::{Report, placed_error};
use crate::rows::Rows;
use crate::run::Stop;
use crate::syntax::RelatedEntry;
use crate::typing::Scope;
use crate::value::shown;
use tongbao_model::diagnostic::Findings;
use tongbao_model::event::kinds;
use tongbao_model::shape::{Field, Kind, Shape};
use tongbao_model::{Code as FaultCode, Fault};

/// Most related records of one mapping.
pub const RELATED_MAX: usize = 8;

/// A related record that a mapping looks into.
#[derive(Debug)]
pub struct RelatedStep {
    pub name: String,
    pub record: String,
    pub event: String,
    pub key: Code,
    pub optional: bool,
    /// Which of its fields are read, in the slots of the document itself; `None` when none is.
    pub field: Option<LayoutField>,
}

/// A related record that a document refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Name in the mapping.
    pub name: String,
    /// Kind of the events that carry the record.
    pub event: String,
    /// Its business key.
    pub key: String,
}

/// Related records that were found, as JSON texts by their names in the mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Related(Vec<(String, String)>);

impl Related {
    /// Adds a record.
    pub fn add(&mut self, name: impl Into<String>, record: impl Into<String>) {
        self.0.push((name.into(), record.into()));
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, record)| record.as_str())
    }
}

/// What the file says of related records, with their fields.
pub struct Declared<'f> {
    entry: &'f RelatedEntry,
    event: String,
    field: Field,
}

/// Looks at what a file says of related records. `source` is what it reads.
pub fn declared<'f>(
    entries: &'f [RelatedEntry],
    source: &Shape,
    from: &str,
    ends: &dyn Ends,
    findings: &mut Findings,
) -> Vec<Declared<'f>> {
    let mut found: Vec<Declared<'f>> = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let name = &entry.name.text;
        let wrong = if from.contains('/') {
            Some((
                "只有读取规范记录的映射可以查找关联记录：外来单据在入口处尚未入库".to_owned(),
                "only mappings that read a canonical record can look up related ones: what comes in is not stored yet"
                    .to_owned(),
            ))
        } else if number >= RELATED_MAX {
            Some((
                format!("关联记录最多 {RELATED_MAX} 个"),
                format!("there can be at most {RELATED_MAX} related records"),
            ))
        } else if name == "root" || source.fields.iter().any(|field| field.name == *name) {
            Some((
                format!("{name} 已是来源字段名，请另取名称"),
                format!("`{name}` is a field of the source already: give it another name"),
            ))
        } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || name.is_empty() {
            Some((
                format!("名称 {name} 只能含字母、数字与下划线"),
                format!("the name `{name}` can hold letters, digits and `_` only"),
            ))
        } else {
            None
        };
        if let Some(text) = wrong {
            placed_error(findings, "related", entry.name.place, text);
            continue;
        }
        let record = &entry.record.text;
        let shape = (!record.contains('/')).then(|| ends.shape(record)).flatten();
        let Some(shape) = shape else {
            let names: Vec<String> = ends.names().into_iter().filter(|name| !name.contains('/')).collect();
            let text = (format!("没有规范记录 {record}"), format!("there is no canonical record `{record}`"));
            let names = names.iter().map(String::as_str);
            findings.unknown("end-unknown", entry.record.place, text, record, names);
            continue;
        };
        let usual = kinds::of_record(record).map(str::to_owned);
        let Some(event) = entry.event.as_ref().map(|event| event.text.clone()).or(usual) else {
            let text = (
                format!("请用 event 写明哪种事件携带记录 {record}"),
                format!("say with `event` which events carry the record `{record}`"),
            );
            placed_error(findings, "related", entry.record.place, text);
            continue;
        };
        let field = Field::new(name.clone(), Kind::Record(shape.fields), "");
        found.push(Declared { entry, event, field });
    }
    found
}

impl Declared<'_> {
    /// As a field beside the source's own.
    pub fn field(&self) -> &Field {
        &self.field
    }

    /// Amounts of the record may not be used without its currency either.
    pub fn fields(&self) -> (&str, &[Field]) {
        (&self.entry.name.text, self.field.kind.children().unwrap_or_default())
    }

    /// Where the file names it.
    pub fn place(&self) -> tongbao_model::diagnostic::Place {
        self.entry.name.place
    }

    /// Compiles it. The key is found in the source alone.
    pub fn compile(&self, compiler: &mut Compiler<'_>, source: &Shape) -> Option<RelatedStep> {
        let key = compiler.key(&Scope { root: &source.fields, item: None }, &self.entry.key)?;
        Some(RelatedStep {
            name: self.entry.name.text.clone(),
            record: self.entry.record.text.clone(),
            event: self.event.clone(),
            key,
            optional: self.entry.optional,
            field: None,
        })
    }
}

/// Takes the fields of related records out of what is read from the document itself: a sender cannot put words into
/// a record of ours.
pub fn set_apart(layout: &mut Layout, steps: &mut [RelatedStep]) {
    for step in steps {
        let at = layout.fields.iter().position(|field| field.name == step.name);
        step.field = at.map(|at| layout.fields.remove(at));
    }
}

impl Mapping {
    /// The related records that a document refers to, for the caller to bring along.
    pub fn wanted(&self, input: &str) -> Result<Vec<Wanted>, Stop> {
        if self.related.is_empty() {
            return Ok(Vec::new());
        }
        let rows = decode::from_bytes(&self.layout, input.as_bytes())?;
        let env = Env::new(&rows, &self.zone);
        let mut wanted = Vec::new();
        for step in &self.related {
            if let Some(key) = env.run(&step.key)? {
                let key = shown(&key).into_owned();
                wanted.push(Wanted { name: step.name.clone(), event: step.event.clone(), key });
            }
        }
        Ok(wanted)
    }

    /// Puts the fields of related records beside the document's own.
    pub(crate) fn bring_along<'d>(&self, rows: &mut Rows<'d>, related: &'d Related) -> Result<(), Fault> {
        for step in &self.related {
            match (related.get(&step.name), &step.field) {
                (Some(record), Some(field)) => {
                    let Inner::Record(fields) = &field.inner else { continue };
                    decode::beside(fields, rows, record)?;
                }
                (Some(_), None) => {}
                (None, _) if step.optional => {}
                (None, _) => return Err(missing(step, &Env::new(rows, &self.zone))),
            }
        }
        Ok(())
    }
}

fn missing(step: &RelatedStep, env: &Env<'_>) -> Fault {
    let RelatedStep { name, record, .. } = step;
    match env.need(&step.key) {
        Err(fault) => fault,
        Ok(key) => Fault::new(
            FaultCode::RelatedMissing,
            format!("关联记录 {record} 尚未到达"),
            format!("the related record `{record}` has not arrived"),
        )
        .at(name)
        .value(shown(&key)),
    }
}
