//! Tree to bytes.

use super::{Charset, Element, Limits, Node, XmlError, check_chars, check_name};

/// Writes a document with its declaration.
///
/// # Errors
/// A name that is none, an attribute twice, a character XML 1.0 cannot hold, or more levels than are read back.
pub fn write(root: &Element, charset: Charset) -> Result<Vec<u8>, XmlError> {
    let mut text = format!("<?xml version=\"1.0\" encoding=\"{}\"?>\n", charset.label());
    element(root, charset, 1, &mut text)?;
    Ok(charset.encode(&text).into_owned())
}

fn name(name: &str, charset: Charset) -> Result<&str, XmlError> {
    check_name(name)?;
    if charset.holds(name) { Ok(name) } else { Err(XmlError::Name) }
}

fn element(one: &Element, charset: Charset, depth: usize, out: &mut String) -> Result<(), XmlError> {
    let limit = Limits::default().depth;
    if depth > limit {
        return Err(XmlError::Limit("levels", limit));
    }
    let tag = name(&one.name, charset)?;
    out.push('<');
    out.push_str(tag);
    for (index, (key, value)) in one.attributes.iter().enumerate() {
        if one.attributes.iter().take(index).any(|(before, _)| before == key) {
            return Err(XmlError::DuplicateAttribute);
        }
        check_chars(value)?;
        out.push(' ');
        out.push_str(name(key, charset)?);
        out.push_str("=\"");
        value.chars().for_each(|one| escape(one, true, out));
        out.push('"');
    }
    if one.children.is_empty() {
        out.push_str("/>");
        return Ok(());
    }
    out.push('>');
    for child in &one.children {
        match child {
            Node::Element(child) => element(child, charset, depth + 1, out)?,
            Node::Text(text) => {
                check_chars(text)?;
                text.chars().for_each(|one| escape(one, false, out));
            }
        }
    }
    out.push_str("</");
    out.push_str(tag);
    out.push('>');
    Ok(())
}

/// A carriage return, and in values any white space but the blank, would be read back as something else; so would
/// private-use characters, whose bytes in GB18030 have meant other characters since its edition of 2022.
fn escape(one: char, in_value: bool, out: &mut String) {
    match one {
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '&' => out.push_str("&amp;"),
        '"' if in_value => out.push_str("&quot;"),
        '\'' if in_value => out.push_str("&apos;"),
        '\r' => out.push_str("&#13;"),
        '\n' if in_value => out.push_str("&#10;"),
        '\t' if in_value => out.push_str("&#9;"),
        '\u{E000}'..='\u{F8FF}' => out.push_str(&format!("&#{};", u32::from(one))),
        other => out.push(other),
    }
}
