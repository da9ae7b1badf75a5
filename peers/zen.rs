//! The expression language of GoRules.

use crate::engine::{Engine, program, tables};
use tongbao_yardstick::Codes;
use zen_expression::expression::Standard;
use zen_expression::vm::VM;
use zen_expression::{Expression, Scope, Variable, compile_expression};

/// A compiled expression; the code tables are its variable `codes`.
pub struct Zen {
    expression: Expression<Standard>,
    vm: VM,
    codes: Variable,
}

impl Zen {
    /// Compiles it.
    pub fn new(codes: &Codes) -> Result<Zen, String> {
        let expression =
            compile_expression(program("order.zen")?.trim()).map_err(|error| error.to_string())?;
        Ok(Zen { expression, vm: VM::new(), codes: tables(codes).into() })
    }
}

impl Engine for Zen {
    fn name(&self) -> &'static str {
        "zen-expression 2.1"
    }

    fn run(&mut self, input: &[u8]) -> Result<Vec<u8>, String> {
        let input: Variable = serde_json::from_slice(input).map_err(|error| error.to_string())?;
        let mut scope = Scope::new(input);
        scope.set_local("codes".into(), self.codes.clone());
        let made = self.expression.evaluate_with_scope(&scope, &mut self.vm);
        // The language cannot refuse; its programme makes nothing instead.
        match made.map_err(|error| error.to_string())? {
            Variable::Null => Err("refused".into()),
            made => serde_json::to_vec(&made).map_err(|error| error.to_string()),
        }
    }
}
