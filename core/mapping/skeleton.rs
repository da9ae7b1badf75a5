//! The beginning of a new mapping: both ends known, the obvious names filled in, the rest listed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use tongbao_model::shape::{Field, Kind, Shape};

/// The two ends and what the file is to be called.
pub struct Skeleton<'a> {
    /// Name of the mapping.
    pub name: &'a str,
    /// Source, as it is named in the file, and its fields.
    pub from: (&'a str, &'a Shape),
    /// Target, as it is named in the file, and its fields.
    pub to: (&'a str, &'a Shape),
    /// The target's field for the business key, where the connector names one.
    pub key: Option<&'a str>,
}

impl Skeleton<'_> {
    /// The file's text. Required fields nobody could guess stand there as comments: `mapping check` asks for them.
    pub fn text(&self) -> String {
        let mut used = BTreeSet::new();
        let (source, target) = (&self.from.1.fields, &self.to.1.fields);
        let key = ["number", "contract_number", "id", "code"]
            .into_iter()
            .find(|name| source.iter().any(|field| field.name == *name))
            .map(str::to_owned)
            .or_else(|| source.first().map(|field| field.name.to_string()))
            .unwrap_or_default();
        used.insert(key.clone());
        let mut text = format!("# {} → {}\n", self.from.0, self.to.0);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "mapping: {}\nversion: 2\nfrom: {}\nto: {}\nkey: {key}",
            self.name, self.from.0, self.to.0
        );
        if source.is_empty() || target.is_empty() {
            text.push_str(
                "# 开放单据：在此声明它的字段。An open document: declare its fields here.\nfields: {}\n",
            );
        }
        if let Some(total) = self.from.1.total.filter(|total| total.header.is_some()) {
            let sums: Vec<String> = total
                .amounts
                .iter()
                .map(|amount| format!("sum({}, coalesce({amount}, 0))", total.list))
                .collect();
            let _ =
                writeln!(text, "check:\n  - {} == {}", sums.join(" + "), total.header.unwrap_or_default());
        }
        text.push_str("set:\n");
        let mut level = Level { used: &mut used, key: &key, key_field: self.key, text: &mut text };
        level.fields(source, "", target, ("", true), 1);
        let ignore = unused(source, "", &used);
        if !ignore.is_empty() {
            let _ = writeln!(
                text,
                "ignore:\n{}",
                ignore.iter().map(|path| format!("  - {path}")).collect::<Vec<_>>().join("\n")
            );
        }
        text.push_str("tests: []\n");
        text
    }
}

struct Level<'a> {
    used: &'a mut BTreeSet<String>,
    key: &'a str,
    key_field: Option<&'a str>,
    text: &'a mut String,
}

impl Level<'_> {
    /// Writes the rules of one level; `above` is the path of the source's list, `prefix` that of the target's record,
    /// `needed` whether that record must be there.
    fn fields(
        &mut self,
        source: &[Field],
        above: &str,
        target: &[Field],
        (prefix, needed): (&str, bool),
        depth: usize,
    ) {
        let indent = "  ".repeat(depth);
        for field in target {
            let path = format!("{prefix}{}", field.name);
            match &field.kind {
                Kind::Record(children) => {
                    let needed = needed && field.required;
                    self.fields(source, above, children, (&format!("{path}."), needed), depth);
                }
                Kind::List(children) => {
                    let lists: Vec<&Field> =
                        source.iter().filter(|field| matches!(field.kind, Kind::List(_))).collect();
                    if let ([list], true) = (lists.as_slice(), field.required || lists.len() == 1)
                        && let Kind::List(items) = &list.kind
                        && depth == 1
                        && !self.used.contains(list.name.as_ref())
                    {
                        self.used.insert(list.name.to_string());
                        let _ = writeln!(
                            self.text,
                            "{indent}{path}:\n{indent}  each: {}\n{indent}  set:",
                            list.name
                        );
                        self.fields(items, &format!("{}.", list.name), children, ("", true), depth + 2);
                    }
                }
                kind => {
                    if self.key_field == Some(path.as_str()) {
                        let _ = writeln!(self.text, "{indent}{path}: {}", self.key);
                        continue;
                    }
                    match guess(source, &path, kind) {
                        Some((found, optional)) => {
                            self.used.insert(format!("{above}{found}"));
                            let rule = if optional && !field.required {
                                format!("{{ from: {found}, optional: true }}")
                            } else {
                                found
                            };
                            let _ = writeln!(self.text, "{indent}{path}: {rule}");
                        }
                        None if field.required && needed => {
                            let _ = writeln!(
                                self.text,
                                "{indent}# {path}:  # {}, 必填 / required. {}",
                                kind.name(),
                                field.doc
                            );
                        }
                        None => {}
                    }
                }
            }
        }
    }
}

/// The source field of the same name and kind: `FQty` and `quantity` are not the same, `orderNo` and `order_no` are.
fn guess(source: &[Field], target: &str, kind: &Kind) -> Option<(String, bool)> {
    leaves(source, "", false)
        .into_iter()
        .find(|(path, found, _)| plain(path) == plain(target) && same(found, kind))
        .map(|(path, _, optional)| (path, optional))
}

fn same(a: &Kind, b: &Kind) -> bool {
    match (a, b) {
        (Kind::Decimal { sense: a, .. }, Kind::Decimal { sense: b, .. }) => a == b,
        (Kind::Date | Kind::DateTime(_), Kind::Date | Kind::DateTime(_)) => true,
        (a, b) => a.name() == b.name(),
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn leaves<'a>(fields: &'a [Field], prefix: &str, optional: bool) -> Vec<(String, &'a Kind, bool)> {
    let mut found = Vec::new();
    for field in fields {
        let path = format!("{prefix}{}", field.name);
        let optional = optional || !field.required;
        match &field.kind {
            Kind::Record(children) => found.extend(leaves(children, &format!("{path}."), optional)),
            Kind::List(_) => {}
            kind => found.push((path, kind, optional)),
        }
    }
    found
}

fn unused(fields: &[Field], prefix: &str, used: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for field in fields {
        let path = format!("{prefix}{}", field.name);
        match field.kind.children() {
            Some(children) => found.extend(unused(children, &format!("{path}."), used)),
            // Money is not ignored by a machine: the checker asks about it.
            None if matches!(&field.kind, Kind::Decimal { sense, .. } if sense.is_amount()) => {}
            None if !used.contains(&path) => found.push(path),
            None => {}
        }
    }
    found
}
