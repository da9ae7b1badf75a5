//! Files by the API: the body is the file.

use crate::files::{self, ImportError, Ledger};
use crate::ingress::answer;
use crate::service::Service;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;
use tongbao_model::{Code, Fault};

/// Imports the body as a file: 200 and what became of its rows; 422 and the faults, and nothing of it is accepted.
pub async fn import(State(service): State<Arc<Service>>, Path(name): Path<String>, body: Bytes) -> Response {
    let source = match files::reader(|name| service.sources.get(name), &name) {
        Ok(source) => source,
        Err(fault) => return answer(StatusCode::NOT_FOUND, json!({"faults": [fault]})),
    };
    let later = |code, zh: &str, en: &str| {
        answer(StatusCode::SERVICE_UNAVAILABLE, json!({"faults": [Fault::new(code, zh, en)]}))
    };
    if service.is_draining() {
        return later(
            Code::TargetUnavailable,
            "系统维护中，暂不接收",
            "nothing is taken in during maintenance",
        );
    }
    if service.engine.is_full() {
        return later(
            Code::BacklogFull,
            "积压已达上限，请稍后再导入",
            "too much is waiting to be delivered: import again later",
        );
    }
    let ledger = Ledger::Engine(&service.engine);
    match files::import(&service.intaker, &name, source, body.to_vec(), ledger, service.now_ms()).await {
        Ok(imported) => answer(StatusCode::OK, json!(imported)),
        Err(ImportError::Refused(faults)) => {
            answer(StatusCode::UNPROCESSABLE_ENTITY, json!({"faults": faults}))
        }
        Err(ImportError::Store(error)) => {
            tracing::warn!(%error, connection = name, "file not imported: the store failed");
            let zh = "数据库暂不可用，请稍后再次导入同一文件";
            later(
                Code::TargetUnavailable,
                zh,
                "the database is not available: import the same file again later",
            )
        }
    }
}
