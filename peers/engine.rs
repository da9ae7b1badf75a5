//! What every side is to the measurement.

use serde_json::{Map, Value};
use std::path::Path;
use tongbao_yardstick::Codes;

/// One side: a compiled programme with its code tables.
pub trait Engine {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// The sales order of a contract, bytes to bytes; an error where the contract is refused.
    fn run(&mut self, input: &[u8]) -> Result<Vec<u8>, String>;
}

/// The text of a programme, read where it lies: a change of it needs no build.
pub fn program(name: &str) -> Result<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(name);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The code tables as one JSON object, which is how the peers are given them.
pub fn tables(codes: &Codes) -> Value {
    let mut tables = Map::new();
    for (table, source, target) in codes.rows() {
        let table = tables.entry(table).or_insert_with(|| Value::Object(Map::new()));
        table[source] = target.into();
    }
    Value::Object(tables)
}
