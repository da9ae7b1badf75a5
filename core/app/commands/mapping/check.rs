//! `tongbao mapping check`: what is wrong in some files, for people, editors and programs.

use super::compile_file;
use crate::cli::CheckFormat;
use crate::config::mapping_files;
use crate::output::{self, Exit};
use serde_json::json;
use std::path::PathBuf;
use tongbao_model::diagnostic::{Diagnostic, Severity};

/// Checks files or folders.
pub fn run(paths: &[PathBuf], format: CheckFormat, as_json: bool) -> Exit {
    let files = match mapping_files(paths) {
        Ok(files) => files,
        Err(error) => {
            output::note(&error.to_string());
            return Exit::Config;
        }
    };
    let found: Vec<Diagnostic> = files.iter().flat_map(|file| compile_file(file).1).collect();
    let errors = found.iter().filter(|finding| finding.severity == Severity::Error).count();
    if as_json {
        output::json(&json!({"files": files.len(), "errors": errors, "findings": found}));
    } else if format == CheckFormat::Editor {
        for finding in &found {
            output::line(&one_line(finding));
        }
    } else {
        for finding in &found {
            output::line(&finding.to_string());
        }
        let (files, warnings) = (files.len(), found.len() - errors);
        output::line(&format!(
            "{files} 个映射，{errors} 处错误，{warnings} 处警告 / {files} mappings, {errors} errors, {warnings} warnings"
        ));
    }
    if errors == 0 { Exit::Ok } else { Exit::Config }
}

/// One finding a line, as compilers write it: `file:line:column: error: message [code]`. Editors read this as it is.
fn one_line(finding: &Diagnostic) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let suggestion = finding.suggestion.as_ref().map(|text| format!(" → {text}")).unwrap_or_default();
    format!(
        "{}:{}:{}: {severity}: {}{suggestion} [{}]",
        finding.file, finding.place.line, finding.place.column, finding.message, finding.code
    )
    .replace('\n', " ")
}
