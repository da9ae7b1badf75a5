//! What the compiler demands of amounts, beyond the types of each rule.

use crate::code::Code;
use crate::expr::Operator;
use crate::plan::{Action, Carried, Mark, Step};
use crate::report::placed_error;
use crate::syntax::{File, Placed};
use crate::typing::{Scope, Type, Typer};
use std::collections::BTreeSet;
use tongbao_model::diagnostic::{Findings, Place};
use tongbao_model::shape::{Field, Kind, Shape};

/// How the document's amounts are held together when it runs, and whether the file checks what it must.
pub fn carried(
    typer: &mut Typer<'_>,
    scope: &Scope<'_>,
    file: &File,
    source: &Shape,
    target: &Shape,
    steps: &[Step],
    checks: &[(Code, String)],
) -> Option<Carried> {
    let stated = source.total.and_then(|total| total.header);
    let moves = amounts(&source.fields, "")
        .iter()
        .any(|path| typer.used.contains(path) && !file.ignore.iter().any(|ignored| ignored.text == *path));
    let demanded = target.total.is_some() || (source.total.is_some() && moves);
    let is_checked =
        checks.iter().any(|(check, _)| matches!(check, Code::Binary(Operator::Equal, _, _)) && sums(check));
    if demanded && !is_checked {
        let text =
            ("缺少检查：合计 = 明细之和", "the check is missing that the total is the sum of the lines");
        placed_error(typer.findings, "check-missing", file.to.place, text);
    }
    let total = target.total?;
    let priced = marks(steps, Mark::Quantity) && marks(steps, Mark::Price);
    if !marks(steps, Mark::Amount) && !priced {
        if moves {
            let text = (
                format!("目标 {} 的金额字段均未设置，金额无法核对", total.list),
                format!(
                    "none of the amount fields of the target's `{}` is set, so amounts cannot be compared",
                    total.list
                ),
            );
            placed_error(typer.findings, "total-open", file.to.place, text);
        }
        if !marks(steps, Mark::Header) {
            return None;
        }
    }
    // Only where the total is an amount with tax on both sides is it the same number.
    let code = match stated {
        None => None,
        Some(header) => {
            let (access, kind) = typer.access(scope, header, file.from.place)?;
            Some(Code::Field(access, Type::of(&kind)))
        }
    };
    Some(Carried { total: code, list: total.list.to_owned() })
}

fn sums(code: &Code) -> bool {
    matches!(code, Code::Sum(_, _)) || code.parts().into_iter().any(sums)
}

fn marks(steps: &[Step], mark: Mark) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Value(value) => value.mark == Some(mark),
        Action::Record(steps) => marks(steps, mark),
        Action::Each(each) => {
            marks(&each.steps, mark) || each.also.iter().any(|(_, steps)| marks(steps, mark))
        }
        Action::Literal(_, _) => false,
    })
}

fn amounts(fields: &[Field], prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for field in fields {
        let path = format!("{prefix}{}", field.name);
        match &field.kind {
            Kind::Decimal { sense, .. } if sense.is_amount() => found.push(path),
            Kind::Record(children) | Kind::List(children) => {
                found.extend(amounts(children, &format!("{path}.")));
            }
            _ => {}
        }
    }
    found
}

/// Amounts go somewhere, and the currency they are in goes nowhere: they would be taken for another's.
pub fn currency(
    fields: &[Field],
    prefix: &str,
    used: &mut BTreeSet<String>,
    ignore: &[Placed],
    place: Place,
    findings: &mut Findings,
) {
    let states = fields.iter().any(|field| field.name == "currency" && matches!(field.kind, Kind::Text(_)));
    let currency = format!("{prefix}currency");
    let read = used.contains(&currency) || ignore.iter().any(|ignored| ignored.text == currency);
    let moves = amounts(fields, prefix).iter().any(|path| used.contains(path));
    if states && moves && !read {
        let text = (
            format!("金额被使用而币种 {currency} 没有：金额会被当成别的币种"),
            format!(
                "amounts are used and their `{currency}` is not: they would be taken for another currency's"
            ),
        );
        placed_error(findings, "currency-unused", place, text);
        // Told once, as an error.
        used.insert(currency);
    }
}
