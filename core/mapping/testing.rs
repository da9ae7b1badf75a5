//! The tests a mapping file carries.

use crate::check::Mapping;
use crate::related::Related;
use crate::tables::Tables;
use serde_json::Value;
use tongbao_model::diagnostic::Place;

/// Result of one test.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// What was wrong; `None` when it passed.
    pub failure: Option<String>,
}

/// Runs a mapping's own tests. `read` gives the text of a file named relative to the mapping; `write` replaces it
/// when `bless` is asked for and the result is new.
pub fn run_tests(mapping: &Mapping, read: &dyn Fn(&str) -> Result<String, String>) -> Vec<Tested> {
    mapping
        .tests
        .iter()
        .map(|test| {
            let failure = one(mapping, test, read).err();
            Tested { name: test.name.clone(), place: test.place, failure }
        })
        .collect()
}

fn one(
    mapping: &Mapping,
    test: &crate::syntax::TestCase,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<(), String> {
    let json = |name: &str| -> Result<Value, String> {
        serde_json::from_str(&read(name)?).map_err(|error| format!("{name}: {error}"))
    };
    let input = test.input.as_ref().ok_or("`input` is missing")?;
    let input = json(&input.text)?;
    let tables = Tables::new(0, test.tables.iter().cloned());
    let result = mapping.run_value(&input, &related(test, read)?, &tables);
    match (&test.expect, &test.fault, result) {
        (Some(expect), None, Ok(mapped)) => {
            let expected = json(&expect.text)?;
            match difference(&expected, &mapped.document, "") {
                None => Ok(()),
                Some(difference) => Err(difference),
            }
        }
        (Some(_), None, Err(stop)) => Err(format!("expected a document, got {}", stop.fault)),
        (None, Some(code), Err(stop)) if stop.fault.code.as_str() == code.text => Ok(()),
        (None, Some(code), Err(stop)) => Err(format!("expected fault `{}`, got {}", code.text, stop.fault)),
        (None, Some(code), Ok(_)) => Err(format!("expected fault `{}`, got a document", code.text)),
        (_, _, _) => Err("a test has either `expect` or `fault`".into()),
    }
}

/// The related records that a test brings along.
pub(crate) fn related(
    test: &crate::syntax::TestCase,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Related, String> {
    let mut related = Related::default();
    for (name, file) in &test.related {
        related.add(name, read(&file.text)?);
    }
    Ok(related)
}

/// The first difference of two documents. Numbers must be written alike: `1.0` is not `1.00`.
fn difference(expected: &Value, found: &Value, path: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            let missing =
                a.keys().find(|key| !b.contains_key(*key)).map(|key| format!("{path}.{key}: missing"));
            let extra =
                b.keys().find(|key| !a.contains_key(*key)).map(|key| format!("{path}.{key}: not expected"));
            missing.or(extra).or_else(|| {
                a.iter().find_map(|(key, value)| difference(value, b.get(key)?, &format!("{path}.{key}")))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (a, b))| difference(a, b, &format!("{path}[{}]", index + 1))),
        (a, b) if a == b => None,
        (a, b) => Some(format!("{path}: expected {a}, found {b}")),
    }
}
