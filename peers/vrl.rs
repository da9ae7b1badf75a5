//! The Vector Remap Language.

use crate::engine::{Engine, program, tables};
use ::vrl::compiler::runtime::Runtime;
use ::vrl::compiler::{Function, Program, TargetValueRef, TimeZone, compile};
use ::vrl::diagnostic::Formatter;
use ::vrl::stdlib;
use ::vrl::value::{Secrets, Value};
use tongbao_yardstick::Codes;

/// A compiled programme; the code tables are the event's metadata.
pub struct Vrl {
    program: Program,
    runtime: Runtime,
    metadata: Value,
    secrets: Secrets,
}

impl Vrl {
    /// Compiles it.
    pub fn new(codes: &Codes) -> Result<Vrl, String> {
        let text = program("order.vrl")?;
        // Those that the programme calls: all of them at once take minutes to link.
        let functions: [Box<dyn Function>; 11] = [
            Box::new(stdlib::Array),
            Box::new(stdlib::Exists),
            Box::new(stdlib::ForEach),
            Box::new(stdlib::FormatTimestamp),
            Box::new(stdlib::Get),
            Box::new(stdlib::MapValues),
            Box::new(stdlib::ParseTimestamp),
            Box::new(stdlib::Round),
            Box::new(stdlib::String),
            Box::new(stdlib::ToFloat),
            Box::new(stdlib::Truncate),
        ];
        let compiled =
            compile(&text, &functions).map_err(|found| Formatter::new(&text, found).to_string())?;
        Ok(Vrl {
            program: compiled.program,
            runtime: Runtime::default(),
            metadata: tables(codes).into(),
            secrets: Secrets::default(),
        })
    }
}

impl Engine for Vrl {
    fn name(&self) -> &'static str {
        "VRL 0.38"
    }

    fn run(&mut self, input: &[u8]) -> Result<Vec<u8>, String> {
        // serde_json hands numbers over as text here, which VRL takes for objects. The only numbers of a contract are
        // those of its lines, which nobody reads; amounts are texts.
        let mut value: Value = serde_json::from_slice(input).map_err(|error| error.to_string())?;
        let mut target =
            TargetValueRef { value: &mut value, metadata: &mut self.metadata, secrets: &mut self.secrets };
        let made = self.runtime.resolve(&mut target, &self.program, &TimeZone::default());
        self.runtime.clear();
        serde_json::to_vec(&made.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    }
}
