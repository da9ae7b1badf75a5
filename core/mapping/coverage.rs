//! Which fields of both ends no test of a mapping touches.

use crate::check::Mapping;
use crate::plan::{Action, Step};
use crate::tables::Tables;
use crate::testing;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What the tests of a mapping leave untouched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Target fields the mapping can write.
    pub targets: usize,
    /// Those that no test makes it write.
    pub targets_untouched: Vec<String>,
    /// Source fields the mapping reads.
    pub sources: usize,
    /// Those that have a value in no test's input.
    pub sources_untouched: Vec<String>,
}

/// Runs the tests' inputs. `read` gives the text of a file named relative to the mapping.
pub fn coverage(mapping: &Mapping, read: &dyn Fn(&str) -> Result<String, String>) -> Coverage {
    let mut written = BTreeSet::new();
    let mut present = BTreeSet::new();
    for test in &mapping.tests {
        let text = test.input.as_ref().and_then(|input| read(&input.text).ok());
        let Some(input) = text.and_then(|text| serde_json::from_str::<Value>(&text).ok()) else { continue };
        let related = testing::related(test, read).unwrap_or_default();
        let tables = Tables::new(0, test.tables.iter().cloned());
        let (_, traces) = mapping.explain(&input, &related, &tables);
        written.extend(traces.into_iter().map(|trace| trace.target));
        present.extend(mapping.reads.iter().filter(|path| has(&input, path)).cloned());
    }
    let mut targets = BTreeSet::new();
    collect(&mapping.steps, &mut targets);
    let untouched =
        |all: &BTreeSet<String>, touched: &BTreeSet<String>| all.difference(touched).cloned().collect();
    let sources: BTreeSet<String> = mapping.reads.iter().cloned().collect();
    Coverage {
        targets: targets.len(),
        targets_untouched: untouched(&targets, &written),
        sources: sources.len(),
        sources_untouched: untouched(&sources, &present),
    }
}

fn collect(steps: &[Step], found: &mut BTreeSet<String>) {
    for step in steps {
        match &step.action {
            Action::Literal(_, constants) => {
                found.extend(constants.iter().map(|constant| constant.target.clone()));
            }
            Action::Value(_) => {
                found.insert(step.target.clone());
            }
            Action::Record(steps) => collect(steps, found),
            Action::Each(each) => {
                collect(&each.steps, found);
                for (_, steps) in &each.also {
                    collect(steps, found);
                }
            }
        }
    }
}

/// Whether there is a value at a path; lists are passed through.
fn has(value: &Value, path: &str) -> bool {
    let (head, rest) = match path.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    match value {
        Value::Array(items) => items.iter().any(|item| has(item, path)),
        Value::Object(map) => match (map.get(head), rest) {
            (None | Some(Value::Null), _) => false,
            (Some(value), Some(rest)) => has(value, rest),
            (Some(Value::String(text)), None) => !text.is_empty(),
            (Some(_), None) => true,
        },
        _ => false,
    }
}
