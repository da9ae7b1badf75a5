//! e签宝's callback: a JSON POST, signed over time, the values of the query in the order of their keys, and the raw body.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{clock, crm::Pushed, wire::client};

/// Repeats of a callback that is not answered with 2xx (the spacing is not known).
const RETRIES: u32 = 16;

/// Sends signed callbacks to one address.
#[derive(Clone)]
pub struct EsignSender {
    client: reqwest::Client,
    url: String,
    app_id: String,
    secret: String,
    retry_pause: Duration,
}

impl std::fmt::Debug for EsignSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EsignSender").field("url", &self.url).finish_non_exhaustive()
    }
}

impl EsignSender {
    /// A sender that waits 5 seconds for an answer, as the platform does, and `retry_pause` between repeats.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(url: &str, app_id: &str, secret: &str, retry_pause: Duration) -> Result<Self, reqwest::Error> {
        let client = client::build(Duration::from_secs(5))?;
        let (url, app_id, secret) = (url.to_owned(), app_id.to_owned(), secret.to_owned());
        Ok(Self { client, url, app_id, secret, retry_pause })
    }

    /// Lower hex HMAC-SHA256 over `timestamp` (Unix milliseconds), the query's values by key, and the body.
    #[must_use]
    pub fn signature(secret: &str, timestamp: i64, query: &str, body: &[u8]) -> String {
        let mut pairs: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        pairs.sort_by(|left, right| left.0.cmp(&right.0));
        Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .map(|mut mac| {
                mac.update(timestamp.to_string().as_bytes());
                pairs.iter().for_each(|(_, value)| mac.update(value.as_bytes()));
                mac.update(body);
                hex::encode(mac.finalize().into_bytes())
            })
            .unwrap_or_default()
    }

    /// Sends a body, signed anew each time, until the receiver answers 2xx; the last answer and how many tries it took. The
    /// body, with its own timestamp, is the same in each.
    ///
    /// # Errors
    /// When the last try got no answer.
    pub async fn push(&self, body: impl Into<Bytes>) -> Result<(Pushed, u32), reqwest::Error> {
        let body = body.into();
        let mut tries = 0;
        loop {
            tries += 1;
            let now = clock::wall_ms();
            let query = self.url.split_once('?').map_or("", |(_, query)| query);
            let signature = Self::signature(&self.secret, now, query, &body);
            let outcome = self.send(body.clone(), now, &signature).await;
            let done = outcome.as_ref().is_ok_and(|pushed| (200..300).contains(&pushed.status));
            if done || tries > RETRIES {
                return outcome.map(|pushed| (pushed, tries));
            }
            tokio::time::sleep(self.retry_pause).await;
        }
    }

    /// Sends a body once with a time and a signature of the caller's making.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(
        &self,
        body: impl Into<Bytes>,
        timestamp: i64,
        signature: &str,
    ) -> Result<Pushed, reqwest::Error> {
        let response = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("X-Tsign-Open-App-Id", &self.app_id)
            .header("X-Tsign-Open-TIMESTAMP", timestamp.to_string())
            .header("X-Tsign-Open-SIGNATURE", signature)
            .header("X-Tsign-Open-SIGNATURE-ALGORITHM", "hmac-sha256")
            .body(body.into())
            .send()
            .await?;
        let status = response.status().as_u16();
        Ok(Pushed { status, body: response.bytes().await? })
    }
}
