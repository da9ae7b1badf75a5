//! `tongbao check`: everything that can be known without a network.

use crate::config::{self, Environment};
use crate::output::{self, Exit};
use crate::service;
use serde_json::json;
use std::path::Path;

/// Checks the configuration, the mappings and their own tests.
pub fn run(path: &Path, without_secrets: bool, as_json: bool) -> Exit {
    let environment = Environment {
        folder: path.parent().map(Path::to_owned).unwrap_or_default(),
        pretend: without_secrets,
        ..Environment::default()
    };
    let (loaded, found) = config::load(path, &environment, &service::context());
    if as_json {
        output::json(&json!({"ok": loaded.is_some(), "findings": found}));
    } else {
        super::show(&found);
    }
    let Some(loaded) = loaded else { return Exit::Config };
    let tested = super::mapping::test_files(&loaded.files.values().cloned().collect::<Vec<_>>());
    let failed = tested.iter().filter(|(_, test)| test.failure.is_some()).count();
    if !as_json {
        for (file, test) in tested.iter().filter(|(_, test)| test.failure.is_some()) {
            let failure = test.failure.as_deref().unwrap_or_default();
            output::note(&format!("{}:{}: {}: {failure}", file.display(), test.place.line, test.name));
        }
        let (connections, flows) = (loaded.config.connections.len(), loaded.config.flows.len());
        output::line(&format!(
            "{}：{connections} 个连接，{flows} 个流程，{} 个映射，{} 个映射测试（失败 {failed}）\n{}: {connections} connections, {flows} flows, {} mappings, {} mapping tests ({failed} failed)",
            path.display(),
            loaded.mappings.len(),
            tested.len(),
            path.display(),
            loaded.mappings.len(),
            tested.len(),
        ));
    }
    if failed == 0 { Exit::Ok } else { Exit::Config }
}
