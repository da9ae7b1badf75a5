//! The CRM's outgoing webhooks: a JSON POST, signed over timestamp and raw body.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{clock, wire::client};

/// What the receiver answered.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// HTTP status.
    pub status: u16,
    /// Answer body.
    pub body: Bytes,
}

/// Sends signed webhooks to one URL.
#[derive(Clone)]
pub struct WebhookSender {
    client: reqwest::Client,
    url: String,
    secret: String,
}

impl std::fmt::Debug for WebhookSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookSender").field("url", &self.url).finish_non_exhaustive()
    }
}

impl WebhookSender {
    /// A sender with a 10-second limit per call.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(url: &str, secret: &str) -> Result<Self, reqwest::Error> {
        let client = client::build(Duration::from_secs(10))?;
        Ok(Self { client, url: url.to_owned(), secret: secret.to_owned() })
    }

    /// `sha256=<lower hex HMAC-SHA256(secret, timestamp + "." + body)>`; `timestamp` in Unix seconds.
    #[must_use]
    pub fn signature(secret: &str, timestamp: i64, body: &[u8]) -> String {
        let hex = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .map(|mut mac| {
                mac.update(timestamp.to_string().as_bytes());
                mac.update(b".");
                mac.update(body);
                hex::encode(mac.finalize().into_bytes())
            })
            .unwrap_or_default();
        format!("sha256={hex}")
    }

    /// Sends a body as it is, signed now.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send(&self, body: impl Into<Bytes>) -> Result<Pushed, reqwest::Error> {
        self.send_at(body, clock::wall_ms() / 1000).await
    }

    /// Sends a body with a timestamp of the caller's choice (stale or repeated pushes).
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send_at(&self, body: impl Into<Bytes>, timestamp: i64) -> Result<Pushed, reqwest::Error> {
        let body = body.into();
        let response = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("x-tongbao-timestamp", timestamp.to_string())
            .header("x-tongbao-signature", Self::signature(&self.secret, timestamp, &body))
            .body(body)
            .send()
            .await?;
        let status = response.status().as_u16();
        Ok(Pushed { status, body: response.bytes().await? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_timestamp_dot_body() {
        // printf '1764561600.{"a":1}' | openssl dgst -sha256 -hmac secret
        let signature = WebhookSender::signature("secret", 1_764_561_600, br#"{"a":1}"#);
        assert_eq!(signature, "sha256=32cfc7e645b9dfb1fc137a06392e430fe7c9352dfbf207255c24e75948bae1e2");
    }
}
