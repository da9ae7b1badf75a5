//! Bytes to tree.

use super::charset::{Charset, decode};
use super::{Element, Limits, Node, XmlError, check_chars, check_name, is_char};
use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::attributes::AttrError;
use quick_xml::events::{BytesStart, Event};

/// Reads a document. `given` is the charset where a setting names it; `transport` is the `Content-Type` it came with.
///
/// # Errors
/// [`XmlError`]; nothing of the document's text is in it.
pub fn read(
    bytes: &[u8],
    given: Option<Charset>,
    transport: Option<&str>,
    limits: &Limits,
) -> Result<Element, XmlError> {
    if bytes.len() > limits.bytes {
        return Err(XmlError::Limit("bytes", limits.bytes));
    }
    let text = decode(bytes, given, transport)?;
    let text = text.trim_start();
    check_chars(text)?;
    let mut tree = Tree { limits, nodes: 0, open: Vec::new(), root: None };
    let mut reader = Reader::from_str(text);
    let mut is_first = true;
    loop {
        let position = reader.buffer_position();
        let event = reader.read_event().map_err(|error| translate(&error, position))?;
        let malformed = XmlError::Malformed(position);
        match event {
            Event::Start(start) => {
                let element = tree.element(&start, position)?;
                tree.open(element, malformed)?;
            }
            Event::Empty(start) => {
                let element = tree.element(&start, position)?;
                tree.open(element, malformed.clone())?;
                tree.close(malformed)?;
            }
            Event::End(_) => tree.close(malformed)?,
            Event::Text(piece) => tree.text(&piece.xml10_content(), malformed)?,
            Event::CData(piece) => tree.cdata(&piece.xml10_content(), malformed)?,
            Event::GeneralRef(name) => tree.cdata(entity(&name)?.encode_utf8(&mut [0; 4]), malformed)?,
            Event::Decl(decl) => {
                let version = decl.version().map_err(|_| malformed.clone())?;
                if !is_first || version != "1.0" {
                    return Err(malformed);
                }
            }
            Event::Comment(_) | Event::PI(_) => tree.count()?,
            Event::DocType(_) => return Err(XmlError::DocType),
            Event::Eof => return tree.end(),
        }
        is_first = false;
    }
}

/// What has been read so far.
struct Tree<'a> {
    limits: &'a Limits,
    nodes: usize,
    open: Vec<Element>,
    root: Option<Element>,
}

impl Tree<'_> {
    fn count(&mut self) -> Result<(), XmlError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(XmlError::Limit("nodes", self.limits.nodes));
        }
        Ok(())
    }

    fn element(&mut self, start: &BytesStart<'_>, position: u64) -> Result<Element, XmlError> {
        self.count()?;
        let mut element = Element::new(start.name().0);
        check_name(&element.name)?;
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| match error {
                AttrError::Duplicated(..) => XmlError::DuplicateAttribute,
                _ => XmlError::Malformed(position),
            })?;
            self.count()?;
            if element.attributes.len() >= self.limits.attributes {
                return Err(XmlError::Limit("attributes", self.limits.attributes));
            }
            if attribute.value.len() > self.limits.text {
                return Err(XmlError::Limit("bytes of text", self.limits.text));
            }
            check_name(attribute.key.0)?;
            let value =
                value(&attribute.value).map_err(|error| error.unwrap_or(XmlError::Malformed(position)))?;
            element.attributes.push((attribute.key.0.to_owned(), value));
        }
        Ok(element)
    }

    fn open(&mut self, element: Element, malformed: XmlError) -> Result<(), XmlError> {
        if self.open.is_empty() && self.root.is_some() {
            return Err(malformed);
        }
        if self.open.len() >= self.limits.depth {
            return Err(XmlError::Limit("levels", self.limits.depth));
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self, malformed: XmlError) -> Result<(), XmlError> {
        let element = self.open.pop().ok_or(malformed)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
        Ok(())
    }

    /// Text between tags; outside the root element only white space may stand.
    fn text(&mut self, text: &str, malformed: XmlError) -> Result<(), XmlError> {
        if self.open.is_empty() && text.chars().all(|one| one.is_ascii_whitespace()) {
            return Ok(());
        }
        self.cdata(text, malformed)
    }

    fn cdata(&mut self, text: &str, malformed: XmlError) -> Result<(), XmlError> {
        let limit = self.limits.text;
        let parent = self.open.last_mut().ok_or(malformed)?;
        if text.is_empty() {
            return Ok(());
        }
        if let Some(Node::Text(before)) = parent.children.last_mut() {
            before.push_str(text);
            return if before.len() > limit { Err(XmlError::Limit("bytes of text", limit)) } else { Ok(()) };
        }
        if text.len() > limit {
            return Err(XmlError::Limit("bytes of text", limit));
        }
        parent.children.push(Node::Text(text.to_owned()));
        self.count()
    }

    fn end(self) -> Result<Element, XmlError> {
        if !self.open.is_empty() {
            return Err(XmlError::Cut);
        }
        self.root.ok_or(XmlError::Cut)
    }
}

/// The character an entity of XML, or a numeric reference, stands for.
fn entity(name: &str) -> Result<char, XmlError> {
    let code = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => name.strip_prefix('#').ok_or(XmlError::Entity)?,
    };
    let (digits, radix) = code.strip_prefix('x').map_or((code, 10), |digits| (digits, 16));
    if digits.starts_with('+') {
        return Err(XmlError::Entity);
    }
    let code = u32::from_str_radix(digits, radix).map_err(|_| XmlError::Entity)?;
    char::from_u32(code).filter(|one| is_char(*one)).ok_or(XmlError::Character(code))
}

/// An attribute's value: white space becomes blanks, references are resolved. `Err(None)`: not well-formed.
fn value(raw: &str) -> Result<String, Option<XmlError>> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<', '\t', '\n', '\r']) {
        let (before, from) = rest.split_at(at);
        value.push_str(before);
        if let Some(reference) = from.strip_prefix('&') {
            let (name, after) = reference.split_once(';').ok_or(None)?;
            value.push(entity(name).map_err(Some)?);
            rest = after;
        } else if from.starts_with('<') {
            return Err(None);
        } else {
            value.push(' ');
            rest = from.strip_prefix("\r\n").or_else(|| from.get(1..)).unwrap_or_default();
        }
    }
    value.push_str(rest);
    Ok(value)
}

fn translate(error: &Error, position: u64) -> XmlError {
    match error {
        Error::Syntax(SyntaxError::UnclosedDoctype) => XmlError::DocType,
        Error::Syntax(
            SyntaxError::UnclosedTag
            | SyntaxError::UnclosedCData
            | SyntaxError::UnclosedComment
            | SyntaxError::UnclosedPI
            | SyntaxError::UnclosedXmlDecl
            | SyntaxError::UnclosedSingleQuotedAttributeValue
            | SyntaxError::UnclosedDoubleQuotedAttributeValue,
        )
        | Error::IllFormed(IllFormedError::MissingEndTag(_)) => XmlError::Cut,
        _ => XmlError::Malformed(position),
    }
}
