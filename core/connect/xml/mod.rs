//! XML for connectors: a small tree, read within bounds and written without string joining.
//!
//! Refused on reading: document types (and with them external entities and expansion), any entity but the five of XML
//! itself and numeric references, repeated attributes, characters XML 1.0 cannot hold, XML 1.1, and whatever exceeds
//! [`Limits`]. Comments and processing instructions are skipped. Namespaces are not resolved: names are taken with
//! their prefix, which is all the systems we know need.

mod charset;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use charset::Charset;
pub use read::read;
pub use write::write;

use tongbao_model::{Code, Fault, Text};

/// Bounds of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size before decoding, in bytes.
    pub bytes: usize,
    /// Elements inside each other.
    pub depth: usize,
    /// Attributes of one element.
    pub attributes: usize,
    /// One run of text or one attribute value, in bytes of UTF-8.
    pub text: usize,
    /// Elements, attributes, texts, comments and instructions together.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 32 * 1024 * 1024, depth: 64, attributes: 128, text: 1024 * 1024, nodes: 1_000_000 }
    }
}

/// An element with its content in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Name, prefix included.
    pub name: String,
    /// Attributes in order; no name twice.
    pub attributes: Vec<(String, String)>,
    /// Content in order.
    pub children: Vec<Node>,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, references resolved; never empty, never two in a row when read.
    Text(String),
}

impl Element {
    /// An empty element.
    pub fn new(name: impl Into<String>) -> Element {
        Element { name: name.into(), ..Element::default() }
    }

    /// The same with an attribute more.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Element {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// The same with a child more.
    pub fn child(mut self, child: Element) -> Element {
        self.push(child);
        self
    }

    /// The same with a child that holds nothing but text.
    pub fn leaf(self, name: impl Into<String>, text: impl Into<String>) -> Element {
        let mut leaf = Element::new(name);
        let text = text.into();
        if !text.is_empty() {
            leaf.children.push(Node::Text(text));
        }
        self.child(leaf)
    }

    /// Adds a child.
    pub fn push(&mut self, child: Element) {
        self.children.push(Node::Element(child));
    }

    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Child elements in order.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Child elements of a name, in order.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements().filter(move |element| element.name == name)
    }

    /// The first child element of a name.
    pub fn first(&self, name: &str) -> Option<&Element> {
        self.elements().find(|element| element.name == name)
    }

    /// Its own text, that of elements within left out, without the white space around it.
    pub fn text(&self) -> String {
        let own = self.children.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        own.collect::<String>().trim().to_owned()
    }

    /// The text of the first child element of a name; `None` when there is no such child.
    pub fn text_of(&self, name: &str) -> Option<String> {
        self.first(name).map(Element::text)
    }
}

/// Why a document was not read or not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// A bound of [`Limits`] is exceeded; which.
    #[error("the XML is too large: more than {1} {0}")]
    Limit(&'static str, usize),
    /// It has a document type.
    #[error("the XML has a DOCTYPE, which is refused")]
    DocType,
    /// A reference to an entity other than the five of XML.
    #[error("the XML refers to an entity that is not known")]
    Entity,
    /// An element has an attribute twice.
    #[error("an element has an attribute twice")]
    DuplicateAttribute,
    /// The bytes are not in the charset named.
    #[error("the XML is not in {0}")]
    Undecodable(&'static str),
    /// The charset named is not one that is read.
    #[error("the XML names a charset that is not read")]
    Charset,
    /// A character XML 1.0 cannot hold.
    #[error("character U+{0:04X} cannot stand in XML")]
    Character(u32),
    /// Something that is no name stands for one.
    #[error("an element or attribute has no usable name")]
    Name,
    /// It ends before its root element does.
    #[error("the XML ends in the middle")]
    Cut,
    /// Anything else that is not well-formed.
    #[error("the XML is not well-formed at byte {0}")]
    Malformed(u64),
}

impl XmlError {
    /// In words. The document's own text is left out: it may hold personal data.
    pub fn text(&self) -> Text {
        let zh = match self {
            XmlError::Limit(what, max) => format!("XML 过大：{what} 超过 {max}"),
            XmlError::DocType => "XML 含 DOCTYPE，予以拒绝".to_owned(),
            XmlError::Entity => "XML 引用了未知实体".to_owned(),
            XmlError::DuplicateAttribute => "XML 元素有重复属性".to_owned(),
            XmlError::Undecodable(charset) => format!("XML 的字节不是 {charset} 编码"),
            XmlError::Charset => "XML 声明的编码不受支持".to_owned(),
            XmlError::Character(code) => format!("字符 U+{code:04X} 不能出现在 XML 中"),
            XmlError::Name => "XML 的元素名或属性名不合法".to_owned(),
            XmlError::Cut => "XML 不完整".to_owned(),
            XmlError::Malformed(at) => format!("XML 在第 {at} 字节处格式有误"),
        };
        Text::new(zh, self.to_string())
    }

    /// As a fault of a code, for it depends on the call what an unreadable text means.
    pub fn fault(&self, code: Code) -> Fault {
        let text = self.text();
        Fault::new(code, text.zh, text.en)
    }
}

/// Whether XML 1.0 can hold a character (production 2).
fn is_char(one: char) -> bool {
    matches!(one, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Refuses text that XML 1.0 cannot hold.
fn check_chars(text: &str) -> Result<(), XmlError> {
    match text.chars().find(|one| !is_char(*one)) {
        Some(one) => Err(XmlError::Character(u32::from(one))),
        None => Ok(()),
    }
}

/// Whether a character may begin a name (production 4).
fn begins_name(one: char) -> bool {
    matches!(one, ':' | '_' | 'A'..='Z' | 'a'..='z'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

/// Refuses what is no name (production 5).
fn check_name(name: &str) -> Result<(), XmlError> {
    let goes_on = |one: char| {
        begins_name(one)
            || matches!(one, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
    };
    let mut chars = name.chars();
    if chars.next().is_some_and(begins_name) && chars.all(goes_on) { Ok(()) } else { Err(XmlError::Name) }
}
