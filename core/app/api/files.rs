//! Files by the API: the body is the file.

use crate::files::{self, ImportError, Ledger};
use crate::ingress::{self, answer, come_back};
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
    if let Some(later) = ingress::draining(&service).or_else(|| ingress::full(&service, &name)) {
        return later;
    }
    let ledger = Ledger::Engine(&service.engine);
    match files::import(&service.intaker, &name, source, body.to_vec(), ledger, service.now_ms()).await {
        Ok(imported) => answer(StatusCode::OK, json!(imported)),
        Err(ImportError::Refused(faults)) => {
            answer(StatusCode::UNPROCESSABLE_ENTITY, json!({"faults": faults}))
        }
        Err(ImportError::Store(error)) => {
            tracing::warn!(%error, connection = name, "file not imported: the store failed");
            let fault = Fault::new(
                Code::TargetUnavailable,
                "数据库暂不可用，请稍后再次导入同一文件",
                "the database is not available: import the same file again later",
            );
            come_back(fault, "5")
        }
    }
}
