//! jq's language, as jaq runs it.

use crate::engine::{Engine, program, tables};
use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, unwrap_valr};
use jaq_json::{Val, read, write};
use tongbao_yardstick::Codes;

/// A compiled filter; the code tables are its variable `$codes`.
pub struct Jaq {
    filter: Filter<JustLut<Val>>,
    codes: Val,
    format: write::Pp,
}

impl Jaq {
    /// Compiles it.
    pub fn new(codes: &Codes) -> Result<Jaq, String> {
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let text = program("order.jq")?;
        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(&arena, File { code: text.as_str(), path: () })
            .map_err(|errors| format!("{errors:?}"))?;
        let filter = Compiler::default()
            .with_funs(functions)
            .with_global_vars(["$codes"])
            .compile(modules)
            .map_err(|errors| format!("{errors:?}"))?;
        let codes = read::parse_single(tables(codes).to_string().as_bytes());
        Ok(Jaq { filter, codes: codes.map_err(|error| error.to_string())?, format: write::Pp::default() })
    }
}

impl Engine for Jaq {
    fn name(&self) -> &'static str {
        "jaq 3.1"
    }

    fn run(&mut self, input: &[u8]) -> Result<Vec<u8>, String> {
        let input = read::parse_single(input).map_err(|error| error.to_string())?;
        let context = Ctx::<JustLut<Val>>::new(&self.filter.lut, Vars::new([self.codes.clone()]));
        let made = self.filter.id.run((context, input)).map(unwrap_valr).next().ok_or("nothing")?;
        let made = made.map_err(|error| error.to_string())?;
        let mut out = Vec::with_capacity(4096);
        write::write(&mut out, &self.format, 0, &made).map_err(|error| error.to_string())?;
        Ok(out)
    }
}
