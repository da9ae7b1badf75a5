//! XML as the server reads and prints it: a tree of text leaves, in UTF-8 or GBK.

use encoding_rs::{GBK, UTF_8};
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use crate::config::U8Charset;

/// Elements inside each other that are read; a template needs seven.
const DEPTH: usize = 24;

/// An element; its own text is one piece.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Tag>,
    pub text: String,
}

impl Tag {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    pub fn child(&self, name: &str) -> Option<&Tag> {
        self.children.iter().find(|child| child.name == name)
    }

    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.attributes.push((name.to_owned(), value.into()));
    }
}

/// How an answer is printed. What MSXML makes of a document differs from version to version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub charset: U8Charset,
    /// Whether there is a declaration at all.
    pub declaration: bool,
    /// Whether the declaration names the charset.
    pub encoding: bool,
    /// `<item></item>` instead of `<item/>`.
    pub open: bool,
    /// `'` instead of `"`.
    pub single: bool,
}

/// Reads a request. `None`: the page fails, as MSXML's parser does.
pub(super) fn read(body: &[u8]) -> Option<Tag> {
    let unmarked = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let head = String::from_utf8_lossy(unmarked.get(..unmarked.len().min(120))?).to_ascii_lowercase();
    // Both old labels mean the code page of a Chinese Windows.
    let is_gbk = ["gb2312", "gbk", "gb18030"].iter().any(|label| head.contains(label));
    let encoding = if is_gbk { GBK } else { UTF_8 };
    let text = encoding.decode_without_bom_handling_and_without_replacement(unmarked)?;
    let mut reader = Reader::from_str(&text);
    let mut open: Vec<Tag> = Vec::new();
    let mut root = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if open.len() < DEPTH => open.push(begin(&start)?),
            Event::Empty(start) => close(&mut open, begin(&start)?, &mut root)?,
            Event::End(_) => {
                let done = open.pop()?;
                close(&mut open, done, &mut root)?;
            }
            Event::Text(text) => {
                if let Some(top) = open.last_mut() {
                    top.text.push_str(&text.xml10_content());
                }
            }
            Event::CData(text) => open.last_mut()?.text.push_str(&text),
            Event::GeneralRef(name) => {
                let resolved = quick_xml::escape::unescape(&format!("&{};", &*name)).ok()?.into_owned();
                open.last_mut()?.text.push_str(&resolved);
            }
            Event::Start(_) | Event::DocType(_) => return None,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return root.filter(|_| open.is_empty()),
        }
    }
}

fn begin(start: &BytesStart<'_>) -> Option<Tag> {
    let mut tag = Tag::new(start.name().0);
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        tag.set(attribute.key.0, attribute.normalized_value(XmlVersion::Implicit1_0).ok()?);
    }
    Some(tag)
}

fn close(open: &mut [Tag], mut done: Tag, root: &mut Option<Tag>) -> Option<()> {
    done.text = done.text.trim().to_owned();
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None if root.is_some() => return None,
        None => *root = Some(done),
    }
    Some(())
}

/// Prints an answer.
pub(super) fn print(root: &Tag, style: Style) -> Vec<u8> {
    let mut text = String::new();
    if style.declaration {
        let label = match style.charset {
            U8Charset::Utf8 => "utf-8",
            U8Charset::Gbk => "gb2312",
        };
        text.push_str("<?xml version=\"1.0\"");
        if style.encoding {
            text.push_str(&format!(" encoding=\"{label}\""));
        }
        text.push_str("?>\r\n");
    }
    tag(root, style, &mut text);
    match style.charset {
        U8Charset::Utf8 => text.into_bytes(),
        // What the code page lacks becomes a reference.
        U8Charset::Gbk => GBK.encode(&text).0.into_owned(),
    }
}

fn tag(one: &Tag, style: Style, out: &mut String) {
    let quote = if style.single { '\'' } else { '"' };
    out.push('<');
    out.push_str(&one.name);
    for (name, value) in &one.attributes {
        out.push_str(&format!(" {name}={quote}{}{quote}", quick_xml::escape::escape(value.as_str())));
    }
    if one.children.is_empty() && one.text.is_empty() && !style.open {
        out.push_str("/>");
        return;
    }
    out.push('>');
    out.push_str(&quick_xml::escape::escape(one.text.as_str()));
    one.children.iter().for_each(|child| tag(child, style, out));
    out.push_str(&format!("</{}>", one.name));
}
