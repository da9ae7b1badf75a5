//! `extends` and `include`: a customer's variant as a short file over a shipped one.
//!
//! Files are merged as trees before anything is checked, and every node keeps the file and line it came from. What
//! the variant says replaces what the base says, field by field; `~` takes a rule away; `ignore`, `check` and
//! `refuse` add up; tests are the file's own.

use crate::report::{Report, placed_error};
use crate::syntax::VERSION;
use crate::upgrade::{Written, written};
use tongbao_model::diagnostic::Findings;
use tongbao_model::yaml::{self, Content, Entry, Node};

/// How many files may build on one another.
pub const REUSE_MAX: usize = 16;

/// Reads the files that a mapping names, relative to the folder it lies in.
pub trait Files {
    /// The text of a file, or why it cannot be read.
    fn read(&self, name: &str) -> Result<String, String>;
}

/// A file with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Of the mapping itself the name it was compiled by; of a file it builds on the path from the mapping's folder.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// Files whose texts are at hand.
pub struct TheseFiles<'f>(pub &'f [SourceFile]);

impl Files for TheseFiles<'_> {
    fn read(&self, name: &str) -> Result<String, String> {
        let found = self.0.iter().find(|file| file.path == name);
        found.map(|file| file.text.clone()).ok_or_else(|| format!("{name}: not there"))
    }
}

/// For mappings that build on no other file.
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, name: &str) -> Result<String, String> {
        Err(format!("{name}: no files here"))
    }
}

/// A mapping with all it builds on, and the files that were read, in order.
pub struct Merged {
    pub root: Node,
    pub files: Vec<SourceFile>,
}

/// Reads a mapping and what it builds on.
pub fn load(file: &str, text: &str, files: &dyn Files, findings: &mut Findings) -> Option<Merged> {
    let mut read = vec![SourceFile { path: file.to_owned(), text: text.to_owned() }];
    let own = yaml::parse(text, findings)?;
    let root = resolve(own, "", &mut Vec::new(), files, &mut read, findings)?;
    Some(Merged { root, files: read })
}

/// The files that a file names, relative to the mapping's folder as its own path is.
pub fn builds_on(path: &str, text: &str) -> Vec<String> {
    let Some(own) = yaml::parse(text, &mut Findings::new(path)) else { return Vec::new() };
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let included = own.get("include").map(Node::items).unwrap_or_default();
    let named = own.get("extends").into_iter().chain(included).filter_map(Node::text);
    named.map(|name| joined(folder, name)).collect()
}

fn resolve(
    own: Node,
    folder: &str,
    open: &mut Vec<String>,
    files: &dyn Files,
    all: &mut Vec<SourceFile>,
    findings: &mut Findings,
) -> Option<Node> {
    of_today(&own, findings)?;
    let mut bases = Vec::new();
    if let Some(base) = own.get("extends") {
        bases.push(base.clone());
    }
    bases.extend(own.get("include").map(Node::items).unwrap_or_default().iter().cloned());
    let mut merged: Option<Node> = None;
    for base in bases {
        let Some(name) = base.text() else {
            findings.wrong_kind(base.place, "extends", "extends", "文件路径", "the path of a file");
            continue;
        };
        let path = joined(folder, name);
        if open.contains(&path) || all.len() >= REUSE_MAX {
            placed_error(
                findings,
                "reuse-cycle",
                base.place,
                (
                    format!("{name} 间接引用了自身，或引用超过 {REUSE_MAX} 个文件"),
                    format!(
                        "`{name}` comes back to itself, or more than {REUSE_MAX} files build on one another"
                    ),
                ),
            );
            return None;
        }
        let read = match files.read(&path) {
            Ok(text) => text,
            Err(why) => {
                let text = (format!("无法读取：{why}"), format!("cannot be read: {why}"));
                placed_error(findings, "reuse-file", base.place, text);
                return None;
            }
        };
        let number = findings.add_file(&path);
        let node = yaml::parse_file(&read, number, findings)?;
        all.push(SourceFile { path: path.clone(), text: read });
        let below = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        open.push(path);
        let node = resolve(node, &below, open, files, all, findings)?;
        open.pop();
        merged = Some(match merged {
            Some(merged) => merge(merged, node),
            None => node,
        });
    }
    Some(match merged {
        Some(base) => merge(base, own),
        None => own,
    })
}

/// Refuses a file of another version of the format: what it says may mean something else today.
fn of_today(own: &Node, findings: &mut Findings) -> Option<()> {
    let place = own.get("version").map_or(own.place, |version| version.place);
    match written(own) {
        Written::Today => return Some(()),
        Written::Earlier => placed_error(
            findings,
            "version-old",
            place,
            (
                format!("文件按较早的格式版本写成，现在是 {VERSION}"),
                format!("the file is of an earlier version of the format, today's is {VERSION}"),
            ),
        ),
        Written::Unknown => placed_error(
            findings,
            "version",
            place,
            (format!("version 最新为 {VERSION}"), format!("the latest version there is is {VERSION}")),
        ),
    }
    None
}

/// `../a.yaml` seen from a folder.
fn joined(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if name.starts_with('/') || (folder.starts_with('/')) { format!("/{joined}") } else { joined }
}

fn merge(base: Node, own: Node) -> Node {
    let mut entries: Vec<Entry> =
        base.entries().iter().filter(|entry| entry.key != "tests").cloned().collect();
    for entry in own.entries() {
        let known = entries.iter().position(|known| known.key == entry.key);
        let Some(known) = known.and_then(|at| entries.get_mut(at)) else {
            entries.push(entry.clone());
            continue;
        };
        known.value = match entry.key.as_str() {
            "set" => rules(&known.value, &entry.value),
            "fields" | "related" => deep(&known.value, &entry.value),
            "ignore" | "check" | "refuse" => {
                let items = [known.value.items(), entry.value.items()].concat();
                Node { place: entry.value.place, content: Content::List(items) }
            }
            _ => entry.value.clone(),
        };
        known.place = entry.place;
    }
    Node { place: own.place, content: Content::Map(entries) }
}

/// Rules of one level: replaced by name; those that hold rules of their own are merged; `~` takes away.
fn rules(base: &Node, own: &Node) -> Node {
    let mut entries = base.entries().to_vec();
    for entry in own.entries() {
        let known = entries.iter().position(|known| known.key == entry.key);
        if entry.value.content == Content::Null && known.is_some() {
            entries.retain(|known| known.key != entry.key);
            continue;
        }
        match known.and_then(|at| entries.get_mut(at)) {
            Some(known) => {
                known.value = rule(&known.value, &entry.value);
                known.place = entry.place;
            }
            None => entries.push(entry.clone()),
        }
    }
    Node { place: own.place, content: Content::Map(entries) }
}

fn rule(base: &Node, own: &Node) -> Node {
    let (Some(below), Some(set)) = (base.get("set"), own.get("set")) else { return own.clone() };
    let mut entries: Vec<Entry> = base.entries().to_vec();
    for entry in own.entries() {
        let value = if entry.key == "set" { rules(below, set) } else { entry.value.clone() };
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => known.value = value,
            None => entries.push(Entry { value, ..entry.clone() }),
        }
    }
    Node { place: own.place, content: Content::Map(entries) }
}

/// Declared fields: records and the one item of a list are merged field by field.
fn deep(base: &Node, own: &Node) -> Node {
    match (&base.content, &own.content) {
        (Content::Map(before), Content::Map(after)) => {
            let mut entries = before.clone();
            for entry in after {
                match entries.iter_mut().find(|known| known.key == entry.key) {
                    Some(known) => known.value = deep(&known.value, &entry.value),
                    None => entries.push(entry.clone()),
                }
            }
            Node { place: own.place, content: Content::Map(entries) }
        }
        (Content::List(before), Content::List(after)) => match (before.as_slice(), after.as_slice()) {
            ([before], [after]) => {
                Node { place: own.place, content: Content::List(vec![deep(before, after)]) }
            }
            (_, _) => own.clone(),
        },
        (_, _) => own.clone(),
    }
}
