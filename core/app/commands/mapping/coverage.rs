//! `tongbao mapping coverage`: fields that no test touches.

use super::compile_file;
use crate::config::mapping_files;
use crate::output::{self, Exit};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tongbao_mapping::coverage;

/// Tells of each file what its tests leave untouched; with `strict` that is a failure.
pub fn run(paths: &[PathBuf], strict: bool, as_json: bool) -> Exit {
    let files = match mapping_files(paths) {
        Ok(files) => files,
        Err(error) => {
            output::note(&error.to_string());
            return Exit::Config;
        }
    };
    let mut list: Vec<Value> = Vec::new();
    let mut untouched = 0;
    for file in &files {
        let (mapping, found) = compile_file(file);
        let Some(mapping) = mapping else {
            crate::commands::show(&found);
            return Exit::Config;
        };
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string());
        let covered = coverage(&mapping, &read);
        let open = covered.targets_untouched.len() + covered.sources_untouched.len();
        untouched += open;
        if as_json {
            list.push(
                json!({"mapping": mapping.name, "file": file.display().to_string(), "coverage": covered}),
            );
            continue;
        }
        let of = |left: usize, all: usize| format!("{}/{all}", all - left);
        output::line(&format!(
            "{} {}: 目标字段 {} targets, 来源字段 {} sources",
            if open == 0 { "✓" } else { "·" },
            mapping.name,
            of(covered.targets_untouched.len(), covered.targets),
            of(covered.sources_untouched.len(), covered.sources),
        ));
        for (zh, en, paths) in [
            ("未写出", "never written", &covered.targets_untouched),
            ("从未有值", "never has a value", &covered.sources_untouched),
        ] {
            if !paths.is_empty() {
                output::line(&format!("    {zh} / {en}: {}", paths.join(", ")));
            }
        }
    }
    if as_json {
        output::json(&json!({"mappings": list, "untouched": untouched}));
    }
    if strict && untouched > 0 { Exit::Failed } else { Exit::Ok }
}
