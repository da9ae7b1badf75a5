//! `cargo bench`: the table of `tongbao bench mapping`, for the contract of ten lines and the real contracts.
//!
//! It is that command, as it stands; what Cargo says to a benchmark (`--bench`, a filter) means nothing to it.

#![recursion_limit = "256"]

use clap::Parser;
use std::process::ExitCode;
use tongbao_app::cli::Cli;
use tongbao_app::{commands, output};

/// The allocator of the binary, whose figures these are.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONTRACTS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/retail-2011-12/contracts.jsonl.gz");

fn main() -> ExitCode {
    let cli = Cli::parse_from(["tongbao", "bench", "mapping", "--contracts", CONTRACTS]);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(&format!("无法启动 / cannot start: {error}"));
            return ExitCode::from(output::Exit::Unavailable.code());
        }
    };
    ExitCode::from(runtime.block_on(commands::run(cli)).code())
}
