//! What of the source reaches no target: money may not vanish.

use std::collections::BTreeSet;
use tongbao_model::Text;
use tongbao_model::diagnostic::{Findings, Place, nearest};
use tongbao_model::shape::{Field, Kind};

use crate::syntax::Placed;
use crate::typing::all_paths;

/// Reports source fields that nothing reads and nobody ignores: amounts as errors, the rest as warnings. `all` are those
/// that can be named, with the fields of related records.
pub fn report(
    fields: &[Field],
    all: &[Field],
    used: &BTreeSet<String>,
    ignore: &[Placed],
    place: Place,
    findings: &mut Findings,
) {
    let known = all_paths(all);
    for ignored in ignore {
        if !known.contains(&ignored.text) {
            let suggestion = nearest(&ignored.text, known.iter().map(String::as_str))
                .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
            findings.error_with(
                "ignore-unknown",
                ignored.place,
                Text::new(
                    format!("来源单据没有字段 {}", ignored.text),
                    format!("the source has no field `{}`", ignored.text),
                ),
                suggestion,
            );
        }
    }
    let covered = |path: &str| {
        let below = |prefix: &str| {
            path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
        };
        used.contains(path) || ignore.iter().any(|ignored| below(&ignored.text))
    };
    let mut unused = Vec::new();
    collect(fields, "", &covered, &mut unused, place, findings);
    if !unused.is_empty() {
        let list = unused.join(", ");
        findings.warning(
            "source-unused",
            place,
            Text::new(
                format!("来源字段未被使用：{list}"),
                format!("source fields that nothing uses: {list}"),
            ),
            Some(Text::new("映射它们，或列入 ignore", "map them, or list them under `ignore`")),
        );
    }
}

fn collect(
    fields: &[Field],
    prefix: &str,
    covered: &dyn Fn(&str) -> bool,
    unused: &mut Vec<String>,
    place: Place,
    findings: &mut Findings,
) {
    for field in fields {
        let path =
            if prefix.is_empty() { field.name.to_string() } else { format!("{prefix}.{}", field.name) };
        match &field.kind {
            Kind::Record(children) | Kind::List(children) => {
                collect(children, &path, covered, unused, place, findings);
            }
            _ if covered(&path) => {}
            Kind::Decimal { sense, .. } if sense.is_amount() => findings.error_with(
                "money-unused",
                place,
                Text::new(
                    format!("金额 {path} 没有去向"),
                    format!("the amount `{path}` reaches no target and no check"),
                ),
                Some(Text::new(
                    "映射它、写入 check，或列入 ignore",
                    "map it, check it, or list it under `ignore`",
                )),
            ),
            Kind::Text(_)
            | Kind::Decimal { .. }
            | Kind::Integer
            | Kind::Bool
            | Kind::Date
            | Kind::DateTime(_) => unused.push(path),
        }
    }
}
