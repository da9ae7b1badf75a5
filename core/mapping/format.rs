//! One way to lay a mapping file out: two blanks a level, no blanks at line ends, never two empty lines together.
//!
//! Only white space is touched, comments stay where they are, and what comes out is read again: unless it says
//! exactly what the file said before, the file is left alone.

use tongbao_model::diagnostic::{Diagnostic, Findings};
use tongbao_model::yaml::{self, Content, Node};

/// The file laid out, or what keeps it from being read. A file whose layout cannot be changed safely comes back as it is.
pub fn format(file: &str, text: &str) -> Result<String, Vec<Diagnostic>> {
    let mut findings = Findings::new(file);
    let Some(before) = yaml::parse(text, &mut findings) else { return Err(findings.into_sorted()) };
    let laid = layout(text);
    let after = yaml::parse(&laid, &mut Findings::new(file));
    let same = after.is_some_and(|after| same(&before, &after));
    Ok(if same { laid } else { text.to_owned() })
}

/// Whether two trees say the same, wherever it stands.
pub fn same(a: &Node, b: &Node) -> bool {
    match (&a.content, &b.content) {
        (Content::Map(x), Content::Map(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x.key == y.key && same(&x.value, &y.value))
        }
        (Content::List(x), Content::List(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y))
        }
        (x, y) => x == y,
    }
}

/// What a line leaves open for the next.
#[derive(Default)]
struct Open {
    /// Brackets not closed yet.
    brackets: usize,
    /// A quote not closed yet.
    quote: Option<char>,
}

fn layout(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Indents of the levels that are open.
    let mut levels: Vec<usize> = Vec::new();
    let mut open = Open::default();
    // Within a block text: the indent of its owner. All its lines move with it.
    let mut block: Option<usize> = None;
    let mut shift = 0_isize;
    let mut comments: Vec<&str> = Vec::new();
    let mut is_blank = false;
    for line in text.lines().map(str::trim_end) {
        let content = line.trim_start();
        if content.is_empty() {
            match comments.last() {
                None => is_blank = true,
                // An empty line behind a comment stays behind it.
                Some(last) if !last.is_empty() => comments.push(""),
                Some(_) => {}
            }
            continue;
        }
        let indent = line.len() - content.len();
        let continues =
            open.brackets > 0 || open.quote.is_some() || block.is_some_and(|owner| indent > owner);
        if continues {
            if is_blank {
                out.push('\n');
            }
            is_blank = false;
            push(&mut out, indent.saturating_add_signed(shift), content);
            if block.is_none() {
                scan(content, &mut open);
            }
            continue;
        }
        block = None;
        if content.starts_with('#') {
            if is_blank && comments.is_empty() && !out.is_empty() {
                out.push('\n');
            }
            is_blank = false;
            comments.push(content);
            continue;
        }
        while levels.last().is_some_and(|level| *level > indent) {
            levels.pop();
        }
        if levels.last() != Some(&indent) {
            levels.push(indent);
        }
        let depth = 2 * (levels.len() - 1);
        if is_blank && !out.is_empty() {
            out.push('\n');
        }
        is_blank = false;
        for comment in comments.drain(..) {
            push(&mut out, depth, comment);
        }
        let tidy = dashes(content, indent, &mut levels);
        push(&mut out, depth, &tidy);
        shift = isize::try_from(depth).unwrap_or(0) - isize::try_from(indent).unwrap_or(0);
        scan(content, &mut open);
        let end = content.rsplit([' ', ':']).next().unwrap_or_default();
        if open.brackets == 0 && matches!(end, "|" | ">" | "|-" | ">-" | "|+" | ">+") {
            block = Some(indent);
        }
    }
    while comments.last().is_some_and(|last| last.is_empty()) {
        comments.pop();
    }
    for comment in comments {
        push(&mut out, 0, comment);
    }
    out
}

fn push(out: &mut String, indent: usize, content: &str) {
    let indent = if content.is_empty() { 0 } else { indent };
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str(content);
    out.push('\n');
}

/// `-   key: …` as `- key: …`; what stands behind the dash opens a level of its own.
fn dashes(content: &str, indent: usize, levels: &mut Vec<usize>) -> String {
    match content.strip_prefix("- ") {
        Some(rest) => {
            let inner = rest.trim_start();
            let column = indent + content.len() - inner.len();
            levels.push(column);
            format!("- {}", dashes(inner, column, levels))
        }
        None => content.to_owned(),
    }
}

fn scan(content: &str, open: &mut Open) {
    let mut before = ' ';
    for character in content.chars() {
        match (open.quote, character) {
            (Some(quote), found) if quote == found && !(quote == '"' && before == '\\') => open.quote = None,
            (Some(_), _) => {}
            (None, '#') if before == ' ' => break,
            (None, '"' | '\'') if matches!(before, ' ' | '[' | '{' | ',' | ':' | '(') => {
                open.quote = Some(character)
            }
            (None, '[' | '{') => open.brackets += 1,
            (None, ']' | '}') => open.brackets = open.brackets.saturating_sub(1),
            (None, _) => {}
        }
        before = character;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn white_space_is_laid_out_and_nothing_else() {
        let rough = "# head\n\n\n\nmapping:   x   \nset:\n     # one\n     A: b\n     C:\n        each: lines\n        set:\n              D: >-\n                 two\n                 words\ntests:\n    -   name: n\n        input: { a: [1,\n           2] }\nignore:\n- a\n-  b\n\n\n";
        let neat = "# head\n\nmapping:   x\nset:\n  # one\n  A: b\n  C:\n    each: lines\n    set:\n      D: >-\n         two\n         words\ntests:\n  - name: n\n    input: { a: [1,\n       2] }\nignore:\n- a\n- b\n";
        assert_eq!(format("f", rough).unwrap(), neat);
        assert_eq!(format("f", neat).unwrap(), neat);
        assert!(format("f", "a: [1\n").is_err());
    }

    proptest! {
        #[test]
        fn what_a_file_says_stays(lines in prop::collection::vec(("[ ]{0,6}", "(a|b|- a|- b): ?(1|x y|'q'|\\[1, 2\\]|>-)?( #c)?|# c|  deep|"), 0..12)) {
            let text: String = lines.iter().map(|(indent, rest)| format!("{indent}{rest}\n")).collect();
            let parse = |text: &str| yaml::parse(text, &mut Findings::new("f"));
            if let (Some(before), Ok(laid)) = (parse(&text), format("f", &text)) {
                prop_assert!(same(&before, &parse(&laid).unwrap()));
                prop_assert_eq!(format("f", &laid).unwrap(), laid);
            }
        }
    }
}
