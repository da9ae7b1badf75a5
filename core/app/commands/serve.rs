//! `tongbao serve`: until SIGTERM or Ctrl-C, then drained.

use crate::config::failpoint;
use crate::output::{self, Exit};
use crate::service::Running;
use crate::telemetry;
use std::path::Path;
use tongbao_delivery::failpoints;

/// Runs the service.
///
/// With `TONGBAO_FAILPOINT=name` or `name=N` in the environment the process dies where that failpoint is
/// passed for the first or the N-th time; tests of crashes use it.
pub async fn run(config: &Path) -> Exit {
    telemetry::json_logs();
    telemetry::metrics();
    if let Some(line) = failpoint() {
        if let Err(why) = failpoints::arm_to_abort(&line) {
            output::note(&format!("TONGBAO_FAILPOINT: {why}"));
            return Exit::Usage;
        }
        tracing::warn!(failpoint = line, "armed: this process will die there");
    }
    let loaded = match super::load(config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let running = match Running::start(loaded).await {
        Ok(running) => running,
        Err(error) => {
            output::note(&error.to_string());
            return Exit::Unavailable;
        }
    };
    tracing::info!(address = %running.address, "serving");
    stop_signal().await;
    tracing::info!("stopping: finishing what is under way");
    let stopped = running.stop().await;
    tracing::info!(clean = stopped.clean, "stopped");
    // Not clean means that a call was cut off at the deadline: nothing is lost, the next start asks about it.
    if stopped.clean { Exit::Ok } else { Exit::Failed }
}

/// Waits for SIGTERM or Ctrl-C.
pub async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
