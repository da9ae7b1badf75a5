//! Runs a sandbox by hand: `cargo run -p tongbao-sandbox --example serve -- [protocol port] [control port] [mail port]`.

use std::io::Write;

use tongbao_sandbox::{Sandbox, SandboxConfig};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut ports = std::env::args().skip(1).map(|text| text.parse().unwrap_or(0));
    let config = SandboxConfig {
        protocol_port: ports.next().unwrap_or(0),
        control_port: ports.next().unwrap_or(0),
        mail_port: ports.next().unwrap_or(0),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await?;
    let mut out = std::io::stdout();
    writeln!(out, "protocol {}", sandbox.url())?;
    writeln!(out, "control  {}", sandbox.control_url())?;
    writeln!(out, "mail     {}", sandbox.mail_address())?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    sandbox.shutdown().await;
    Ok(())
}
