//! Crashes and real faults of everything around the service: after each one nothing is lost, nothing is there
//! twice, and it goes on by itself.
//!
//! `cargo test -p tongbao-tests --test faults -- crash` runs the crash matrix, `-- sqlite_embedded` one
//! combination of it; a name runs one case. The binary is taken from beside the test: `cargo build` first.

#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "faults/mod.rs"]
mod cases;
#[path = "support/flows.rs"]
#[allow(dead_code, reason = "shared by several test binaries, each of which uses a part")]
mod flows;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/servers.rs"]
#[allow(dead_code, reason = "shared by several test binaries, each of which uses a part")]
mod servers;
#[path = "behaviours/world.rs"]
#[allow(dead_code, reason = "shared by several test binaries, each of which uses a part")]
mod world;

use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};
use servers::Servers;
use std::sync::Arc;

/// A case, made when it is its turn.
type Case = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

fn main() {
    if std::env::var_os("TONGBAO_TEST_LOG").is_some() {
        tracing_subscriber::fmt().with_env_filter("tongbao_delivery=debug,tongbao_store=debug").init();
    }
    let mut arguments = Arguments::from_args();
    // Cases wait for processes, leases and servers most of the time; more of them would only wait for each
    // other.
    arguments.test_threads.get_or_insert(6);
    let runtime =
        Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap());
    let trials = cases::all().into_iter().map(|(name, case)| {
        let runtime = runtime.clone();
        Trial::test(name, move || {
            runtime.block_on(case());
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    Servers::shut_down();
    conclusion.exit();
}
