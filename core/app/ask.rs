//! Asking the service that runs with a configuration on this machine.

use crate::config::Config;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How long a command waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest answer it reads.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

/// What the service answers below `/api`, or why there is no answer.
pub async fn ask(config: &Config, method: Method, path: &str) -> Result<Value, String> {
    let listen = &config.server.listen;
    let mut address: SocketAddr = listen.parse().map_err(|error| format!("{listen}: {error}"))?;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
    let client = client.map_err(|error| error.to_string())?;
    let mut request = client.request(method, format!("http://{address}/api{path}"));
    if let Some(token) = &config.server.api_token {
        request = request.bearer_auth(token.expose_secret());
    }
    let silent = |error: reqwest::Error| {
        let error = error.without_url();
        format!("{address} 没有应答的服务 / no service answers at {address}: {error}")
    };
    let answer = request.send().await.map_err(silent)?.error_for_status().map_err(silent)?;
    if answer.content_length().is_none_or(|length| length > u64::try_from(ANSWER_MAX).unwrap_or(0)) {
        return Err(format!("{address}：应答过大 / the answer is too large"));
    }
    let body = answer.bytes().await.map_err(silent)?;
    serde_json::from_slice(&body).map_err(|error| format!("{address}: {error}"))
}
