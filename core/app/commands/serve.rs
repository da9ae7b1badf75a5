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
    tokio::select! {
        () = stop_signal() => {}
        () = reload_on_signal(&running) => {}
    }
    tracing::info!("stopping: finishing what is under way");
    let stopped = running.stop().await;
    tracing::info!(clean = stopped.clean, "stopped");
    // Not clean means that a call was cut off at the deadline: nothing is lost, the next start asks about it.
    if stopped.clean { Exit::Ok } else { Exit::Failed }
}

/// SIGHUP takes edited mappings over at once. Never comes back.
async fn reload_on_signal(running: &Running) {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                let told = running.service.reloader.reload().await;
                tracing::info!(mappings = told.loaded.len(), refused = told.refused.len(), "reloaded");
            }
        }
        Err(error) => tracing::warn!(%error, "SIGHUP is not listened to"),
    }
    std::future::pending().await
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
