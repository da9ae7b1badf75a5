//! `tongbao schema`: JSON Schemas of canonical records.

use crate::output::{self, Exit};
use tongbao_model::record;

/// Prints one schema, or the names.
pub fn run(name: Option<&str>) -> Exit {
    match name {
        None => {
            for shape in record::shapes() {
                output::line(&format!("{}\t{}", shape.name, shape.doc));
            }
            Exit::Ok
        }
        Some(name) => match record::shape(name) {
            Some(shape) => {
                output::json(&shape.json_schema());
                Exit::Ok
            }
            None => {
                output::note(&format!("没有记录 {name} / there is no record `{name}`"));
                Exit::Failed
            }
        },
    }
}
