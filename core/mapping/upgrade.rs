//! Files of earlier versions of the format, rewritten to today's.
//!
//! Only what has another meaning today is touched, comments and order stay, and after every step what the file says
//! is compared with what it should say: a file that cannot be rewritten safely is left as it is.
//!
//! Version 1 read over keys that stood where they had no effect, and over `doc`. Today they mean something (`format`
//! writes a date by its pattern, `when` leaves a list out) or are mistakes. Rewritten, a file does what it did.

use crate::format::same;
use crate::syntax::VERSION;
use tongbao_model::Text;
use tongbao_model::diagnostic::{Diagnostic, Findings, Place};
use tongbao_model::yaml::{self, Content, Entry, Node};

/// A file in today's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgraded {
    /// Its text.
    pub text: String,
    /// What was changed, with the lines of the file as it was; nothing where it was of today's version already.
    pub changes: Vec<(usize, Text)>,
}

/// What the `version` of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Today's, or none: parts that others include need none.
    Today,
    /// An earlier one, which can be rewritten.
    Earlier,
    /// None that there ever was.
    Unknown,
}

/// Which version a file is written in.
pub fn written(root: &Node) -> Written {
    match root.get("version").map(|node| node.text().and_then(|text| text.parse::<u32>().ok())) {
        None | Some(Some(VERSION)) => Written::Today,
        Some(Some(earlier)) if (1..VERSION).contains(&earlier) => Written::Earlier,
        Some(_) => Written::Unknown,
    }
}

/// Rewrites a file to today's version of the format.
pub fn upgrade(file: &str, text: &str) -> Result<Upgraded, Vec<Diagnostic>> {
    let mut upgraded = Upgraded { text: text.to_owned(), changes: Vec::new() };
    let mut findings = Findings::new(file);
    let Some(mut root) = yaml::parse(text, &mut findings) else { return Err(findings.into_sorted()) };
    if written(&root) != Written::Earlier {
        return Ok(upgraded);
    }
    // Where lines have been taken out so far, and how many.
    let mut gone: Vec<(usize, usize)> = Vec::new();
    while let Some(step) = next(&root) {
        let place = step.place(&root);
        let line = gone
            .iter()
            .rev()
            .fold(place.line, |line, (at, count)| if line >= *at { line + count } else { line });
        let wanted = without(&root, &step);
        let made = candidates(&upgraded.text, &root, &step).into_iter().flatten().find_map(|made| {
            let after = yaml::parse(&made, &mut Findings::new(file))?;
            same(&after, &wanted).then_some((made, after))
        });
        let Some((made, after)) = made else {
            findings.error(
                "version-old",
                Place { line, ..place },
                "此处无法自动改写，请按参考手工修改",
                "this cannot be rewritten by itself: change it by hand, as the reference says",
            );
            return Err(findings.into_sorted());
        };
        upgraded.changes.push((line, step.told()));
        let lines = |text: &str| text.lines().count();
        gone.push((place.line, lines(&upgraded.text).saturating_sub(lines(&made))));
        (upgraded.text, root) = (made, after);
    }
    Ok(upgraded)
}

/// Something outdated.
enum Step {
    /// The version's number.
    Version,
    /// The text that described the file.
    Doc,
    /// An entry without effect: its path, by the positions of entries.
    Entry(Vec<usize>, String),
}

/// The first thing outdated; the version comes last, so that a file that was not rewritten to the end is not taken for
/// one of today.
fn next(root: &Node) -> Option<Step> {
    if written(root) != Written::Earlier {
        return None;
    }
    if root.get("doc").is_some() {
        return Some(Step::Doc);
    }
    let set = root.entries().iter().position(|entry| entry.key == "set");
    let outdated = set.and_then(|at| in_rules(&root.entries().get(at)?.value, vec![at]));
    Some(outdated.unwrap_or(Step::Version))
}

fn in_rules(set: &Node, path: Vec<usize>) -> Option<Step> {
    set.entries().iter().enumerate().find_map(|(at, entry)| {
        let path = [path.as_slice(), &[at]].concat();
        let rule = &entry.value;
        let dead = |key: &str| match (rule.get("each").is_some(), rule.get("set").is_some()) {
            (true, _) => !matches!(key, "each" | "where" | "set"),
            (false, true) => key != "set",
            (false, false) => key == "format",
        };
        let found = rule.entries().iter().position(|entry| dead(&entry.key));
        if let Some(at) = found {
            let key = rule.entries().get(at)?.key.clone();
            return Some(Step::Entry([path.as_slice(), &[at]].concat(), key));
        }
        let inner = rule.entries().iter().position(|entry| entry.key == "set")?;
        in_rules(&rule.entries().get(inner)?.value, [path.as_slice(), &[inner]].concat())
    })
}

impl Step {
    fn entry<'n>(&self, root: &'n Node) -> Option<&'n Entry> {
        match self {
            Step::Version => root.entries().iter().find(|entry| entry.key == "version"),
            Step::Doc => root.entries().iter().find(|entry| entry.key == "doc"),
            Step::Entry(path, _) => {
                let (last, above) = path.split_last()?;
                let node = above.iter().try_fold(root, |node, at| Some(&node.entries().get(*at)?.value));
                node?.entries().get(*last)
            }
        }
    }

    fn place(&self, root: &Node) -> Place {
        self.entry(root).map(|entry| entry.place).unwrap_or_default()
    }

    fn told(&self) -> Text {
        match self {
            Step::Version => Text::new(format!("version: {VERSION}"), format!("version: {VERSION}")),
            Step::Doc => Text::new("doc 改为注释", "`doc` is a comment now"),
            Step::Entry(_, key) => Text::new(
                format!("去掉在版本 1 中不起作用的 {key}"),
                format!("took out `{key}`, which had no effect in version 1"),
            ),
        }
    }
}

/// What the file should say after a step.
fn without(root: &Node, step: &Step) -> Node {
    let mut root = root.clone();
    match step {
        Step::Version => {
            for entry in entries_of(&mut root).into_iter().flatten().filter(|entry| entry.key == "version") {
                entry.value.content = Content::Scalar { text: VERSION.to_string(), quoted: false };
            }
        }
        Step::Doc => {
            if let Some(entries) = entries_of(&mut root) {
                entries.retain(|entry| entry.key != "doc");
            }
        }
        Step::Entry(path, _) => {
            let Some((last, above)) = path.split_last() else { return root };
            let mut node = &mut root;
            for at in above {
                match entries_of(node).and_then(|entries| entries.get_mut(*at)) {
                    Some(entry) => node = &mut entry.value,
                    None => return root,
                }
            }
            if let Some(entries) = entries_of(node).filter(|entries| *last < entries.len()) {
                entries.remove(*last);
            }
        }
    }
    root
}

fn entries_of(node: &mut Node) -> Option<&mut Vec<Entry>> {
    match &mut node.content {
        Content::Map(entries) => Some(entries),
        Content::Null | Content::Scalar { .. } | Content::List(_) => None,
    }
}

/// What the text may be after a step; the right one is known by what it says.
fn candidates(text: &str, root: &Node, step: &Step) -> [Option<String>; 2] {
    let Some(entry) = step.entry(root) else { return [None, None] };
    let Some(from) = offset(text, entry.place) else { return [None, None] };
    match step {
        Step::Version => [renumbered(text, entry), None],
        Step::Doc | Step::Entry(..) => {
            let doc = if matches!(step, Step::Doc) { entry.value.text() } else { None };
            [in_lines(text, from, entry.place.column, doc), in_brackets(text, from, entry)]
        }
    }
}

fn renumbered(text: &str, entry: &Entry) -> Option<String> {
    let value = offset(text, entry.value.place)?;
    let end = value + value_end(text.get(value..)?)?;
    Some(format!("{}{VERSION}{}", text.get(..value)?, text.get(end..)?))
}

/// Takes the lines of an entry out, where it has lines of its own.
fn in_lines(text: &str, from: usize, column: usize, doc: Option<&str>) -> Option<String> {
    let before = text.get(..from)?;
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    if !before.get(line..)?.trim().is_empty() {
        return None;
    }
    let end = block_end(text, from, column);
    let comment = doc.map(comment).unwrap_or_default();
    Some(format!("{}{comment}{}", text.get(..line)?, text.get(end..)?))
}

fn comment(doc: &str) -> String {
    doc.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect()
}

/// Where the lines of a block entry end: before the next line that does not stand deeper.
fn block_end(text: &str, from: usize, column: usize) -> usize {
    let mut end = from;
    for (number, line) in text.get(from..).unwrap_or_default().split_inclusive('\n').enumerate() {
        let content = line.trim_start_matches(' ');
        let is_deeper = line.len() - content.len() >= column || content.trim().is_empty();
        if number > 0 && !is_deeper {
            break;
        }
        end += line.len();
    }
    // Empty lines behind it belong to what follows.
    let taken = text.get(from..end).unwrap_or_default();
    let bare = taken.trim_end_matches(['\n', ' ', '\r']).len();
    from + bare + taken.get(bare..).and_then(|rest| rest.find('\n')).map_or(taken.len() - bare, |at| at + 1)
}

/// Takes an entry out of `{ a: 1, b: 2 }`, with one of the commas beside it.
fn in_brackets(text: &str, from: usize, entry: &Entry) -> Option<String> {
    let value = offset(text, entry.value.place)?;
    let end = value + value_end(text.get(value..)?)?;
    let (before, after) = (text.get(..from)?, text.get(end..)?);
    let rest = after.trim_start();
    if let Some(rest) = rest.strip_prefix(',') {
        return Some(format!("{before}{}", rest.trim_start()));
    }
    let kept = before.trim_end().strip_suffix(',')?;
    Some(format!("{kept}{after}"))
}

/// How long the value at the start of a text within brackets is, or a plain scalar on a line.
fn value_end(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    if matches!(first, '"' | '\'') {
        return quoted(text, first);
    }
    if !matches!(first, '[' | '{') {
        let end = text.find([',', '}', ']', '\n']).unwrap_or(text.len());
        let plain = text.get(..end)?;
        let plain = plain.find(" #").and_then(|at| plain.get(..at)).unwrap_or(plain);
        return Some(plain.trim_end().len());
    }
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(character) = text.get(at..)?.chars().next() {
        match character {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.checked_sub(1)?,
            '"' | '\'' => {
                at += quoted(text.get(at..)?, character)?;
                continue;
            }
            _ => {}
        }
        at += character.len_utf8();
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if quote == '"' => {
                characters.next();
            }
            '\'' if quote == '\'' && characters.peek().is_some_and(|(_, next)| *next == '\'') => {
                characters.next();
            }
            found if found == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Bytes before a place.
fn offset(text: &str, place: Place) -> Option<usize> {
    let mut start = 0;
    for _ in 1..place.line {
        start += text.get(start..)?.find('\n')? + 1;
    }
    let line = text.get(start..)?;
    let column = line.char_indices().nth(place.column.checked_sub(1)?).map(|(at, _)| at);
    Some(start + column.unwrap_or(line.len()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BEFORE: &str = "# 抬头\nmapping: x\nversion: \"1\"   # of the format\ndoc: >-\n  两行\n  说明\n\nfrom: a\nset:\n  # a date\n  Day: { from: signed_at, format: date }\n  When: { format: 'a, ''b'' }', expr: 'date(x)' }   # kept\n  Rows:\n    each: lines\n    # the condition\n    when: count(lines) > 0\n    optional: true\n    set:\n      A: { from: a,\n           format: [x, \"}\"] }\n      B:\n        from: b\n        format: |\n          deep\n\n      C: { set: { D: d }, when: 'a' }\n  Last: { each: rows, set: { E: { from: e, scale: 2 } }, default: 0, scale: 1 }\ntests: []\n";
    const AFTER: &str = "# 抬头\nmapping: x\nversion: 2   # of the format\n# 两行 说明\n\nfrom: a\nset:\n  # a date\n  Day: { from: signed_at }\n  When: { expr: 'date(x)' }   # kept\n  Rows:\n    each: lines\n    # the condition\n    set:\n      A: { from: a }\n      B:\n        from: b\n\n      C: { set: { D: d } }\n  Last: { each: rows, set: { E: { from: e, scale: 2 } } }\ntests: []\n";

    #[test]
    fn what_had_no_effect_goes_and_all_else_stays() {
        let upgraded = upgrade("f", BEFORE).unwrap();
        assert_eq!(upgraded.text, AFTER);
        let lines: Vec<usize> = upgraded.changes.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 11, 12, 16, 17, 20, 23, 26, 27, 27, 3]);
        let again = upgrade("f", AFTER).unwrap();
        assert_eq!((again.text.as_str(), again.changes.len()), (AFTER, 0));
    }

    #[test]
    fn what_cannot_be_read_or_is_of_no_version_is_left_alone() {
        assert!(upgrade("f", "a: [1\n").is_err());
        for text in
            ["mapping: x\nversion: 7\ndoc: a\n", "set: { A: { from: a, format: b } }\n", "version: two\n"]
        {
            assert_eq!(upgrade("f", text).unwrap().text, text);
        }
    }

    proptest::proptest! {
        /// Whatever stands in a file: it is rewritten to what it should say, or refused, and a second time changes nothing.
        #[test]
        fn any_file_is_rewritten_or_refused(lines in proptest::collection::vec(
            "(  ){0,4}(doc|key|set|A|B|each|when|format|from): ?(x|'q, ''r'''|\\{ (from|each|set): (a|\\{ format: b \\}), (when|format): \\[1, \"\\}\"\\] \\}|>-|\\|)?( # c)?|  # c|      deep|",
            0..14,
        )) {
            let text = format!("version: 1\nfrom: a\n{}\n", lines.join("\n"));
            if let Ok(upgraded) = upgrade("f", &text) {
                let root = yaml::parse(&upgraded.text, &mut Findings::new("f")).unwrap();
                assert_eq!(written(&root), Written::Today);
                assert!(next(&root).is_none());
                assert_eq!(upgrade("f", &upgraded.text).unwrap().changes.len(), 0);
            }
        }
    }
}
