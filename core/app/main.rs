//! The `tongbao` binary.

#![recursion_limit = "256"]

use clap::Parser;
use std::process::ExitCode;
use tongbao_app::cli::Cli;
use tongbao_app::{commands, output};

/// A delivery is thousands of small allocations, made on one thread and freed on another; with glibc's allocator they were
/// a quarter of the service's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tongbao_app::service::install_crypto();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(&format!("无法启动 / cannot start: {error}"));
            return ExitCode::from(output::Exit::Unavailable.code());
        }
    };
    let exit = runtime.block_on(commands::run(cli));
    ExitCode::from(exit.code())
}
