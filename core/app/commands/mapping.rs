//! `tongbao mapping …`

mod check;
mod coverage;
mod diff;
mod explain;
mod new;
mod prove;
pub mod running;

use crate::cli::MappingCommand;
use crate::config::{Beside, Documents, mapping_files};
use crate::output::{self, Exit};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tongbao_mapping::{Mapping, Tables, Tested, compile_with, functions, run_tests};
use tongbao_model::diagnostic::{Diagnostic, Place, Severity};

/// Runs a `mapping` command.
pub async fn run(command: MappingCommand, config: &Path, as_json: bool) -> Exit {
    match command {
        MappingCommand::Check { paths, format, fix } => check::run(&paths, format, fix, as_json),
        MappingCommand::Fmt { paths, check } => fmt(&paths, check),
        MappingCommand::Test { paths } => test(&paths, as_json),
        MappingCommand::Coverage { paths, strict } => coverage::run(&paths, strict, as_json),
        MappingCommand::Diff(args) => diff::run(&args, config, as_json).await,
        MappingCommand::New(args) => new::run(&args),
        MappingCommand::Status => running::run(config, false, as_json).await,
        MappingCommand::Reload => running::run(config, true, as_json).await,
        MappingCommand::Schema { to } => new::schema(to.as_deref()),
        MappingCommand::Prove(args) => {
            // Many documents on all cores: not on the runtime's threads.
            let proven = tokio::task::spawn_blocking(move || prove::run(&args, as_json)).await;
            proven.unwrap_or(Exit::Failed)
        }
        MappingCommand::Reference => {
            output::line(tongbao_mapping::reference().trim_end());
            Exit::Ok
        }
        MappingCommand::Explain { delivery: Some(delivery), attempt, .. } => {
            explain::stored(&delivery, attempt, config, as_json).await
        }
        MappingCommand::Explain { mapping, input, mappings, tables, related, delivery: None, .. } => {
            let tables = if tables {
                match stored_tables(config).await {
                    Ok(tables) => tables,
                    Err(exit) => return exit,
                }
            } else {
                Tables::default()
            };
            let (mapping, input) = (mapping.unwrap_or_default(), input.unwrap_or_default());
            explain::run(&mapping, (&input, &related), &mappings, &tables, as_json)
        }
        MappingCommand::Functions => {
            let rows: Vec<Vec<String>> = functions::FUNCTIONS
                .iter()
                .map(|function| vec![function.signature.into(), function.doc.0.into(), function.doc.1.into()])
                .collect();
            output::line(output::table(&["函数 / function", "说明", "meaning"], &rows).trim_end());
            Exit::Ok
        }
    }
}

async fn stored_tables(config: &Path) -> Result<Tables, Exit> {
    let store = super::store(config).await?;
    let rows = store.table_rows(None).await.map_err(|error| super::store_failed(&error, false))?;
    let revision = store.tables_revision().await.map_err(|error| super::store_failed(&error, false))?;
    store.close().await;
    Ok(Tables::of_rows(revision, rows.into_iter().map(crate::tables::code_row)).0)
}

/// Compiles one file.
pub fn compile_file(path: &Path) -> (Option<Mapping>, Vec<Diagnostic>) {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => compile_with(&name, &text, &Documents::all(), &Beside::file(path)),
        Err(error) => {
            let mut findings = tongbao_model::diagnostic::Findings::new(name);
            findings.error(
                "mapping-file",
                Place::default(),
                format!("无法读取：{error}"),
                format!("cannot be read: {error}"),
            );
            (None, findings.into_sorted())
        }
    }
}

/// Runs the tests of some files; a file that does not compile counts as one failed test.
pub fn test_files(files: &[PathBuf]) -> Vec<(PathBuf, Tested)> {
    let mut tested = Vec::new();
    for file in files {
        let (mapping, found) = compile_file(file);
        match mapping {
            Some(mapping) => {
                let folder = file.parent().map(Path::to_owned).unwrap_or_default();
                let read = |name: &str| {
                    let path = folder.join(name);
                    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
                };
                tested.extend(run_tests(&mapping, &read).into_iter().map(|test| (file.clone(), test)));
            }
            None => {
                let errors = found.iter().filter(|finding| finding.severity == Severity::Error);
                let failure = errors.map(ToString::to_string).collect::<Vec<_>>().join("\n");
                let test =
                    Tested { name: "(compile)".into(), place: Place::default(), failure: Some(failure) };
                tested.push((file.clone(), test));
            }
        }
    }
    tested
}

/// Lays files out; with `check` only says which are not.
fn fmt(paths: &[PathBuf], check: bool) -> Exit {
    let files = match mapping_files(paths) {
        Ok(files) => files,
        Err(error) => {
            output::note(&error.to_string());
            return Exit::Config;
        }
    };
    let mut exit = Exit::Ok;
    for file in files {
        let shown = file.display().to_string();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                output::note(&format!("{shown}: {error}"));
                return Exit::Config;
            }
        };
        match tongbao_mapping::format(&shown, &text) {
            Err(found) => {
                super::show(&found);
                exit = Exit::Config;
            }
            Ok(laid) if laid == text => {}
            Ok(_) if check => {
                output::line(&shown);
                exit = Exit::Failed;
            }
            Ok(laid) => match std::fs::write(&file, laid) {
                Ok(()) => output::line(&shown),
                Err(error) => {
                    output::note(&format!("{shown}: {error}"));
                    return Exit::Config;
                }
            },
        }
    }
    exit
}

fn test(paths: &[PathBuf], as_json: bool) -> Exit {
    let files = match mapping_files(paths) {
        Ok(files) => files,
        Err(error) => {
            output::note(&error.to_string());
            return Exit::Config;
        }
    };
    let tested = test_files(&files);
    let failed = tested.iter().filter(|(_, test)| test.failure.is_some()).count();
    if as_json {
        let list: Vec<Value> = tested
            .iter()
            .map(|(file, test)| {
                json!({"file": file.display().to_string(), "test": test.name, "line": test.place.line, "failure": test.failure})
            })
            .collect();
        output::json(&json!({"tests": list, "failed": failed}));
    } else {
        for (file, test) in &tested {
            let sign = if test.failure.is_some() { "✗" } else { "✓" };
            output::line(&format!("{sign} {}: {}", file.display(), test.name));
            if let Some(failure) = &test.failure {
                output::line(&format!("    {failure}"));
            }
        }
        output::line(&format!(
            "{} 个映射，{} 个测试，失败 {failed} / {} mappings, {} tests, {failed} failed",
            files.len(),
            tested.len(),
            files.len(),
            tested.len()
        ));
    }
    if failed == 0 && !tested.is_empty() { Exit::Ok } else { Exit::Failed }
}
