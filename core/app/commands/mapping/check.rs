//! `tongbao mapping check`: what is wrong in some files, for people, editors and programs.

use super::compile_file;
use crate::cli::CheckFormat;
use crate::config::mapping_files;
use crate::output::{self, Exit};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tongbao_mapping::{builds_on, upgrade};
use tongbao_model::Text;
use tongbao_model::diagnostic::{Diagnostic, Severity};

/// Checks files or folders; with `fix` those of an earlier version of the format are rewritten first.
pub fn run(paths: &[PathBuf], format: CheckFormat, fix: bool, as_json: bool) -> Exit {
    let files = match mapping_files(paths) {
        Ok(files) => files,
        Err(error) => {
            output::note(&error.to_string());
            return Exit::Config;
        }
    };
    let fixed = match if fix { rewrite(&files) } else { Ok(Vec::new()) } {
        Ok(fixed) => fixed,
        Err(why) => {
            output::note(&why);
            return Exit::Config;
        }
    };
    let found: Vec<Diagnostic> = files.iter().flat_map(|file| compile_file(file).1).collect();
    let errors = found.iter().filter(|finding| finding.severity == Severity::Error).count();
    if as_json {
        let fixed: Vec<_> = fixed
            .iter()
            .map(|(file, line, text)| json!({"file": file, "line": line, "change": text}))
            .collect();
        output::json(&json!({"files": files.len(), "errors": errors, "findings": found, "fixed": fixed}));
    } else if format == CheckFormat::Editor {
        for finding in &found {
            output::line(&one_line(finding));
        }
    } else {
        for (file, line, text) in &fixed {
            output::line(&format!("{file}:{line}: {text}"));
        }
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

/// Rewrites files, and those that they build on, to today's version of the format; answers what was changed where. What
/// cannot be rewritten is left as it is, and the check that follows tells of it.
fn rewrite(files: &[PathBuf]) -> Result<Vec<(String, usize, Text)>, String> {
    let mut open: Vec<PathBuf> = files.iter().rev().cloned().collect();
    let mut known: BTreeSet<PathBuf> = BTreeSet::new();
    let mut changes = Vec::new();
    while let Some(path) = open.pop() {
        // One that is not there is told of by the check too.
        let Ok(real) = path.canonicalize() else { continue };
        if !known.insert(real) {
            continue;
        }
        let shown = path.display().to_string();
        let failed = |error: std::io::Error| format!("{shown}: {error}");
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        open.extend(builds_on("", &text).into_iter().map(|name| folder.join(name)));
        let Ok(upgraded) = upgrade(&shown, &text) else { continue };
        if upgraded.text != text {
            std::fs::write(&path, upgraded.text).map_err(failed)?;
        }
        changes.extend(upgraded.changes.into_iter().map(|(line, text)| (shown.clone(), line, text)));
    }
    Ok(changes)
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
