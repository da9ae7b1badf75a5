//! The example configuration with something changed in it, run against the stand-ins, with the codes that its contracts need.

use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use tongbao_app::service::{self, Running};
use tongbao_app::stage::{self, CRM_SECRET, Erp, Stage, StageOptions};
use tongbao_sandbox::crm::WebhookSender;
use tongbao_sandbox::{Sandbox, SandboxConfig};

/// Starts it; `change` is given the configuration and the stand-ins.
pub async fn started(folder: &Path, change: impl FnOnce(&str, &Sandbox) -> String) -> Stage {
    service::install_crypto();
    let options = StageOptions { retry_ms: 50, ..StageOptions::quick(folder) };
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let config = stage::write_files(&options, &sandbox.url(), &listen).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, change(&text, &sandbox)).unwrap();
    let running = Running::start(stage::load(&config, &options, &sandbox).unwrap()).await.unwrap();
    let stage = Stage { sandbox, running, config, erp: Erp::Kingdee };
    stage.sandbox.seed_customers([("CUST-1".to_owned(), "宁波样例贸易有限公司".to_owned())]);
    stage.sandbox.seed_materials([("MAT-1".to_owned(), "软件平台".to_owned())]);
    let row = |from: &str, to: &str| [(from.to_owned(), to.to_owned())];
    stage.import("customers", row("C1", "CUST-1")).await.unwrap();
    stage.import("materials", row("P1", "MAT-1")).await.unwrap();
    stage
}

/// A contract as the CRM tells it; the code of its customer is known when it is `C1`.
pub fn contract(number: &str, customer: &str) -> Value {
    json!({
        "number": number, "signed_at": "2026-11-01T00:00:00+08:00", "currency": "CNY",
        "customer": {"code": customer, "name": "宁波样例贸易有限公司", "phone": "0574-12345678"},
        "lines": [{"line": 1, "product": {"code": "P1", "name": "软件平台"}, "quantity": "3",
            "unit_price_tax_included": "113.00", "tax_rate": "0.13"}],
        "total_tax_included": "339.00",
    })
}

/// Has the CRM send a body, which is taken.
pub async fn send(stage: &Stage, body: &Value) {
    let sender = WebhookSender::new(&stage.inbound("contract"), CRM_SECRET).unwrap();
    assert_eq!(sender.send(body.to_string()).await.unwrap().status, 202);
}
