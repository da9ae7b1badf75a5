//! The shipped mapping, and the same written by hand.

use crate::engine::Engine;
use tongbao_mapping::{Ends, Mapping, Tables, compile};
use tongbao_model::shape::Shape;
use tongbao_yardstick::{Codes, KINGDEE, by_hand};

const MAPPING: &str = include_str!("../mappings/contract/contract__kingdee-cloud.yaml");

/// The documents that connectors know, without the service around them.
struct Documents(Vec<(String, Shape)>);

impl Documents {
    fn all() -> Documents {
        let records = tongbao_model::record::shapes();
        let mut shapes: Vec<(String, Shape)> =
            records.into_iter().map(|shape| (shape.name.to_string(), shape)).collect();
        for connector in tongbao_connectors::all() {
            for kind in (connector.documents)() {
                shapes.push((format!("{}/{}", connector.name, kind.shape.name), kind.shape));
            }
        }
        Documents(shapes)
    }
}

impl Ends for Documents {
    fn shape(&self, name: &str) -> Option<Shape> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, shape)| shape.clone())
    }

    fn is_open(&self, _: &str) -> bool {
        false
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
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
        mapped.map(|mapped| mapped.document).map_err(|stop| stop.fault.to_string())
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
