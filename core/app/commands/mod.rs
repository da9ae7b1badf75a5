//! The commands, one file each.

pub mod archive;
pub mod bank;
pub mod bench;
pub mod check;
pub mod connections;
pub mod connector;
pub mod deliveries;
pub mod demo;
pub mod doctor;
pub mod drain;
pub mod explain;
pub mod mapping;
pub mod query;
pub mod recon;
pub mod sandbox;
pub mod schema;
pub mod serve;
pub mod sim;
pub mod status;
pub mod tables;

use crate::cli::{Cli, Command};
use crate::config::{self, Environment, Loaded};
use crate::output::{self, Exit};
use crate::service;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tongbao_delivery::port::Store;
use tongbao_model::diagnostic::{Diagnostic, Severity};

/// Runs a command line.
pub async fn run(cli: Cli) -> Exit {
    match cli.command {
        Command::Serve => serve::run(&cli.config).await,
        Command::Demo(args) => demo::run(args, cli.json).await,
        Command::Check { without_secrets } => check::run(&cli.config, without_secrets, cli.json),
        Command::Doctor => doctor::run(&cli.config, cli.json).await,
        Command::Sandbox(args) => sandbox::run(args, cli.json).await,
        Command::Mapping(command) => mapping::run(command, &cli.config, cli.json).await,
        Command::Tables(command) => tables::run(command, &cli.config, cli.json).await,
        Command::Query(command) => query::run(command, &cli.config, cli.json).await,
        Command::Deliveries(command) => deliveries::run(command, &cli.config, cli.json).await,
        Command::Bank(command) => bank::run(command, &cli.config, cli.json).await,
        Command::Connections(command) => connections::run(command, &cli.config, cli.json).await,
        Command::Connector(command) => connector::run(command, cli.json).await,
        Command::Drain(args) => drain::run(args, &cli.config, cli.json).await,
        Command::Archive(args) => archive::run(args, &cli.config, cli.json).await,
        Command::Explain { number } => explain::run(&number, &cli.config, cli.json).await,
        Command::Schema { record } => schema::run(record.as_deref()),
        // A run has a runtime of its own, which must not begin within this one.
        Command::Sim(args) => {
            let ended = tokio::task::spawn_blocking(move || sim::run(&args, cli.json)).await;
            ended.unwrap_or_else(|error| {
                output::note(&error.to_string());
                Exit::Failed
            })
        }
        Command::Recon(command) => recon::run(&command, &cli.config, cli.json).await,
        Command::Bench(command) => bench::run(command, cli.json).await,
    }
}

/// Loads the configuration, or prints what is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, Exit> {
    load_parts(path, config::load)
}

/// The same without the mappings: an operator's commands work while somebody edits them.
pub fn load_without_mappings(path: &Path) -> Result<Loaded, Exit> {
    load_parts(path, config::load_without_mappings)
}

type Load = fn(&Path, &Environment, &tongbao_connect::Context) -> (Option<Loaded>, Vec<Diagnostic>);

fn load_parts(path: &Path, load: Load) -> Result<Loaded, Exit> {
    let environment = Environment {
        folder: path.parent().map(Path::to_owned).unwrap_or_default(),
        ..Environment::default()
    };
    let (loaded, found) = load(path, &environment, &service::context());
    loaded.ok_or_else(|| {
        show(&found);
        Exit::Config
    })
}

/// Opens the store of a configuration, or prints why not.
pub async fn store(path: &Path) -> Result<Arc<dyn Store>, Exit> {
    open(&load_without_mappings(path)?).await
}

/// A configuration without its mappings, and its store.
pub async fn opened(path: &Path) -> Result<(Loaded, Arc<dyn Store>), Exit> {
    let loaded = load_without_mappings(path)?;
    let store = open(&loaded).await?;
    Ok((loaded, store))
}

/// The store of a configuration that is loaded.
pub async fn open(loaded: &Loaded) -> Result<Arc<dyn Store>, Exit> {
    service::open_store(&loaded.config).await.map_err(|error| {
        output::note(&error.to_string());
        Exit::Unavailable
    })
}

/// Prints findings on standard error.
pub fn show(found: &[Diagnostic]) {
    for finding in found {
        output::note(&finding.to_string());
    }
    let errors = found.iter().filter(|finding| finding.severity == Severity::Error).count();
    if errors > 0 {
        output::note(&format!("{errors} 处错误 / {errors} error(s)"));
    }
}

/// Prints a failure of the store.
pub fn store_failed(error: &tongbao_delivery::port::StoreError, as_json: bool) -> Exit {
    if as_json {
        output::json(&json!({"error": error.to_string()}));
    } else {
        output::note(&format!("数据库 / database: {error}"));
    }
    Exit::Unavailable
}
