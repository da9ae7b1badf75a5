//! The shipped mapping, and the same written by hand.

use crate::engine::Engine;
use serde_json::Value;
use tongbao_mapping::{Ends, Mapping, Tables, compile};
use tongbao_model::shape::Shape;
use tongbao_yardstick::{Codes, KINGDEE, by_hand};

const MAPPING: &str = include_str!("../mappings/contract/contract__kingdee-cloud.yaml");
const INTAKE: &str = include_str!("../mappings/contract/webhook__contract.yaml");

/// The documents that connectors know, without the service around them: name, shape, whether a mapping file declares its
/// fields.
struct Documents(Vec<(String, Shape, bool)>);

impl Documents {
    fn all() -> Documents {
        let records = tongbao_model::record::shapes();
        let mut shapes: Vec<(String, Shape, bool)> =
            records.into_iter().map(|shape| (shape.name.to_string(), shape, false)).collect();
        for connector in tongbao_connectors::all() {
            for kind in (connector.documents)() {
                shapes.push((format!("{}/{}", connector.name, kind.shape.name), kind.shape, kind.open));
            }
        }
        Documents(shapes)
    }
}

impl Ends for Documents {
    fn shape(&self, name: &str) -> Option<Shape> {
        self.0.iter().find(|(known, ..)| known == name).map(|(_, shape, _)| shape.clone())
    }

    fn is_open(&self, name: &str) -> bool {
        // `*`: whatever the name.
        let connector = name.split_once('/').map(|(connector, _)| format!("{connector}/*"));
        self.0.iter().any(|(known, _, open)| *open && (known == name || Some(known) == connector.as_ref()))
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, ..)| name.clone()).collect()
    }
}

/// Contracts as the intake makes them of what a CRM posts, one JSON document a line; those without a customer make no
/// order and are left out.
pub fn real(text: &str) -> Result<Vec<Value>, String> {
    let (intake, found) = compile("webhook__contract.yaml", INTAKE, &Documents::all());
    let intake = intake.ok_or_else(|| found.iter().map(ToString::to_string).collect::<String>())?;
    let made = text.lines().filter_map(|line| {
        let mapped = intake.run_text(line, &Tables::default()).ok()?;
        mapped.document.pointer("/customer/code").is_some().then_some(mapped.document)
    });
    Ok(made.collect())
}

/// The mapping as it is shipped.
pub struct Tongbao {
    mapping: Mapping,
    tables: Tables,
}

impl Tongbao {
    /// Compiles it.
    pub fn new(codes: &Codes) -> Result<Tongbao, String> {
        let (mapping, found) = compile(KINGDEE, MAPPING, &Documents::all());
        let mapping = mapping.ok_or_else(|| found.iter().map(ToString::to_string).collect::<String>())?;
        Ok(Tongbao { mapping, tables: Tables::new(1, codes.rows()) })
    }
}

impl Engine for Tongbao {
    fn name(&self) -> &'static str {
        "通宝 / tongbao"
    }

    fn run(&mut self, input: &[u8]) -> Result<Vec<u8>, String> {
        let mapped = self.mapping.run_bytes(input, &self.tables);
        mapped.map(|mapped| mapped.document.into_text().into_bytes()).map_err(|stop| stop.fault.to_string())
    }
}

/// serde and rust_decimal.
pub struct ByHand(Codes);

impl ByHand {
    /// With these code tables.
    pub fn new(codes: &Codes) -> ByHand {
        ByHand(codes.clone())
    }
}

impl Engine for ByHand {
    fn name(&self) -> &'static str {
        "手写 / by hand, serde + rust_decimal"
    }

    fn run(&mut self, input: &[u8]) -> Result<Vec<u8>, String> {
        by_hand(input, &self.0)
    }
}
