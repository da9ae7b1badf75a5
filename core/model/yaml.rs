//! YAML with places: every node knows its line and column, and every scalar keeps its text.
//!
//! Scalars are not guessed into numbers or booleans: `1.10` stays the text `1.10`, and whoever reads it
//! says what it is to be. Anchors, aliases, tags and several documents in one file are refused: none
//! of our files needs them, and aliases can blow a small file up without bound.

use crate::diagnostic::{Findings, Place};
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::HashSet;

/// Largest file read, in bytes.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Deepest nesting read.
pub const DEPTH_MAX: usize = 64;

/// A node with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it holds.
    pub content: Content,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// `~`, `null` or nothing, unquoted.
    Null,
    /// Any other scalar, as written.
    Scalar {
        /// Its text.
        text: String,
        /// Written in quotes or as a block: surely meant as text.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file; keys are unique.
    Map(Vec<Entry>),
}

/// A member of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// Scalar text.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            Content::Null | Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Members of a mapping; empty for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            Content::Null | Content::Scalar { .. } | Content::List(_) => &[],
        }
    }

    /// Items of a sequence; empty for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            Content::Null | Content::Scalar { .. } | Content::Map(_) => &[],
        }
    }

    /// A member's value.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Unquoted `true` or `false`.
    pub fn bool(&self) -> Option<bool> {
        match &self.content {
            Content::Scalar { text, quoted: false } => match text.as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            Content::Scalar { .. } | Content::Null | Content::List(_) | Content::Map(_) => None,
        }
    }

    /// What it is, for messages.
    pub fn what(&self) -> (&'static str, &'static str) {
        match &self.content {
            Content::Null => ("空值", "nothing"),
            Content::Scalar { .. } => ("标量", "a scalar"),
            Content::List(_) => ("列表", "a list"),
            Content::Map(_) => ("映射", "a mapping"),
        }
    }

    /// The node as JSON: unquoted `true`/`false`/numbers as such (numbers by their exact text), everything
    /// else as text.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.content {
            Content::Null => Value::Null,
            Content::Scalar { text, quoted } => match (quoted, self.bool()) {
                (false, Some(flag)) => Value::Bool(flag),
                (false, None) if crate::decimal::parse(text).is_ok() => {
                    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
                }
                (_, _) => Value::String(text.clone()),
            },
            Content::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Content::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
            ),
        }
    }
}

/// Parses one document. What is wrong goes to `findings`; `None` when nothing usable remains.
pub fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    parse_file(text, 0, findings)
}

/// The same for a file that [`Findings::add_file`] has numbered.
pub fn parse_file(text: &str, file: u16, findings: &mut Findings) -> Option<Node> {
    if text.len() > BYTES_MAX {
        findings.error(
            "yaml-too-large",
            Place { file, ..Place::default() },
            format!("文件超过 {BYTES_MAX} 字节"),
            format!("the file has more than {BYTES_MAX} bytes"),
        );
        return None;
    }
    let mut builder = Builder { stack: Vec::new(), root: None, documents: 0 };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => {
                let place = Place { line: span.start.line(), column: span.start.col() + 1, file };
                if !builder.take(event, place, findings) {
                    return None;
                }
            }
            Err(error) => {
                let place = Place { line: error.marker().line(), column: error.marker().col() + 1, file };
                let info = error.info().to_owned();
                findings.error(
                    "yaml-syntax",
                    place,
                    format!("YAML 语法错误：{info}"),
                    format!("not YAML: {info}"),
                );
                return None;
            }
        }
    }
    builder.root.or(Some(Node { place: Place { line: 1, column: 1, file }, content: Content::Null }))
}

enum Open {
    List(Place, Vec<Node>),
    Map { place: Place, entries: Vec<Entry>, seen: HashSet<String>, key: Option<(String, Place)> },
}

struct Builder {
    stack: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

impl Builder {
    /// Takes one event; false when the rest is not worth reading.
    fn take(&mut self, event: Event<'_>, place: Place, findings: &mut Findings) -> bool {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => true,
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    findings.error(
                        "yaml-documents",
                        place,
                        "一个文件只能有一个文档",
                        "one document per file",
                    );
                }
                self.documents == 1
            }
            Event::Alias(_) => {
                findings.error("yaml-tag", place, "不支持别名", "aliases are not supported");
                false
            }
            Event::Scalar(text, style, anchor, tag) => {
                if anchor > 0 || tag.is_some() {
                    findings.error(
                        "yaml-tag",
                        place,
                        "不支持锚点和标签",
                        "anchors and tags are not supported",
                    );
                    return false;
                }
                let quoted = !matches!(style, ScalarStyle::Plain);
                self.scalar(text.into_owned(), quoted, place, findings)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(Open::List(place, Vec::new()), anchor > 0 || tag.is_some(), place, findings)
            }
            Event::MappingStart(anchor, tag) => {
                let open = Open::Map { place, entries: Vec::new(), seen: HashSet::new(), key: None };
                self.open(open, anchor > 0 || tag.is_some(), place, findings)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Open::List(place, items)) => {
                    self.value(Node { place, content: Content::List(items) });
                    true
                }
                Some(Open::Map { place, entries, .. }) => {
                    self.value(Node { place, content: Content::Map(entries) });
                    true
                }
                None => false,
            },
        }
    }

    fn open(&mut self, open: Open, marked: bool, place: Place, findings: &mut Findings) -> bool {
        if marked {
            findings.error("yaml-tag", place, "不支持锚点和标签", "anchors and tags are not supported");
            return false;
        }
        if self.stack.len() >= DEPTH_MAX {
            findings.error("yaml-depth", place, "嵌套过深", "nested too deeply");
            return false;
        }
        if let Some(Open::Map { key: None, .. }) = self.stack.last() {
            findings.error("yaml-key", place, "键必须是文本", "a key must be plain text");
            return false;
        }
        self.stack.push(open);
        true
    }

    fn scalar(&mut self, text: String, quoted: bool, place: Place, findings: &mut Findings) -> bool {
        if let Some(Open::Map { seen, key: key @ None, .. }) = self.stack.last_mut() {
            if !seen.insert(text.clone()) {
                findings.error(
                    "yaml-duplicate-key",
                    place,
                    format!("键 {text} 重复"),
                    format!("the key `{text}` is given twice"),
                );
            }
            *key = Some((text, place));
            return true;
        }
        let null = !quoted && matches!(text.as_str(), "" | "~" | "null");
        let content = if null { Content::Null } else { Content::Scalar { text, quoted } };
        self.value(Node { place, content });
        true
    }

    fn value(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                if let Some((key, place)) = key.take() {
                    entries.push(Entry { key, place, value: node });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Vec<&'static str>) {
        let mut findings = Findings::new("test.yaml");
        let node = parse(text, &mut findings);
        (node, findings.into_sorted().into_iter().map(|finding| finding.code).collect())
    }

    #[test]
    fn scalars_keep_their_text_and_place() {
        let (node, codes) = read("a: 1.10\nb:\n  - 'true'\n  - true\n  - ~\n");
        let node = node.unwrap();
        assert!(codes.is_empty(), "{codes:?}");
        assert_eq!(node.get("a").unwrap().text(), Some("1.10"));
        assert_eq!(node.get("a").unwrap().place, Place::new(1, 4));
        let items = node.get("b").unwrap().items();
        assert_eq!((items[0].bool(), items[1].bool()), (None, Some(true)));
        assert_eq!(items[2].content, Content::Null);
        assert_eq!(items[1].place.line, 4);
        assert_eq!(node.to_json().to_string(), r#"{"a":1.10,"b":["true",true,null]}"#);
    }

    #[test]
    fn refused_forms_have_codes() {
        for (text, code) in [
            ("a: &x 1\n", "yaml-tag"),
            ("a: 1\na: 2\n", "yaml-duplicate-key"),
            ("a: *x\n", "yaml-syntax"),
            ("a: !t 1\n", "yaml-tag"),
            ("a: 1\n---\nb: 1\n", "yaml-documents"),
            ("? [a]\n: 1\n", "yaml-key"),
            ("a: [1\n", "yaml-syntax"),
        ] {
            assert_eq!(read(text).1, [code], "{text}");
        }
        assert_eq!(read(&"[".repeat(100)).1, ["yaml-depth"]);
    }
}
