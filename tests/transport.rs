//! One set of behaviours on every combination of database and broker.
//!
//! `cargo test -p tongbao-tests --test transport -- sqlite_embedded` runs one combination, a name runs one behaviour
//! everywhere. What needs no broker runs once per database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod behaviours;
#[path = "support/servers.rs"]
#[allow(dead_code, reason = "shared by several test binaries, each of which uses a part")]
mod servers;

use behaviours::world::{BrokerKind, Combination, Database};
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};
use servers::Servers;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A case of one behaviour.
type Case = fn(Combination) -> LocalBoxFuture<'static, ()>;

fn main() {
    if std::env::var_os("TONGBAO_TEST_LOG").is_some() {
        tracing_subscriber::fmt().with_env_filter("tongbao_delivery=debug,tongbao_store=debug").init();
    }
    let mut arguments = Arguments::from_args();
    // Most cases wait most of the time: for a delay, a lease, a flush.
    arguments.test_threads.get_or_insert(8);
    let runtime =
        Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap());
    let conclusion = libtest_mimic::run(&arguments, trials(&runtime));
    Servers::shut_down();
    conclusion.exit();
}

fn trials(runtime: &Arc<Runtime>) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |combination: Combination, name: &str, case: Case| {
        let runtime = runtime.clone();
        let name = format!("{}::{name}", combination.name());
        trials.push(Trial::test(name, move || {
            runtime.block_on(case(combination));
            Ok(())
        }));
    };
    for database in [Database::Sqlite, Database::Postgres, Database::MariaDb] {
        for broker in [BrokerKind::Embedded, BrokerKind::Rabbit] {
            for (name, case) in behaviours::EVERYWHERE {
                add(Combination { database, broker }, name, *case);
            }
            if broker == BrokerKind::Rabbit {
                for (name, case) in behaviours::RABBIT {
                    add(Combination { database, broker }, name, *case);
                }
            }
        }
        for (name, case) in behaviours::STORE {
            add(Combination { database, broker: BrokerKind::Nothing }, name, *case);
        }
    }
    for (list, broker) in
        [(behaviours::EVERYWHERE, BrokerKind::Embedded), (behaviours::STORE, BrokerKind::Nothing)]
    {
        for (name, case) in list.iter().filter(|(name, _)| !behaviours::DATABASE.contains(name)) {
            add(Combination { database: Database::Memory, broker }, name, *case);
        }
    }
    trials
}
