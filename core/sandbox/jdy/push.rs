//! The data push: `POST {url}?timestamp=…&nonce=…` with `X-JDY-Signature` and `X-JDY-DeliverId`.

use std::time::Duration;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::{clock, crm::Pushed, wire::client};

/// Pushes as Jiandaoyun does: the receiver has 2 seconds, a failed push is repeated at most 5 times under the same
/// delivery id.
#[derive(Clone)]
pub struct PushSender {
    client: reqwest::Client,
    url: String,
    secret: String,
    retry_pause: Duration,
}

impl std::fmt::Debug for PushSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushSender").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Repeats after a failed push.
const RETRIES: u32 = 5;

impl PushSender {
    /// A sender to `url`; `retry_pause` stands between the repeats (the vendor's spacing is not published).
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(url: &str, secret: &str, retry_pause: Duration) -> Result<Self, reqwest::Error> {
        let client = client::build(Duration::from_secs(2))?;
        Ok(Self { client, url: url.to_owned(), secret: secret.to_owned(), retry_pause })
    }

    /// Lower hex SHA-1 of `{nonce}:{raw body}:{secret}:{timestamp}`.
    #[must_use]
    pub fn signature(secret: &str, nonce: &str, timestamp: i64, body: &[u8]) -> String {
        let mut sha = Sha1::new();
        sha.update(nonce.as_bytes());
        sha.update(b":");
        sha.update(body);
        sha.update(format!(":{secret}:{timestamp}").as_bytes());
        hex::encode(sha.finalize())
    }

    /// Pushes a body under a delivery id until the receiver answers 2xx; the last answer and how many tries it took.
    ///
    /// # Errors
    /// When the last try got no answer within 2 seconds.
    pub async fn push(
        &self,
        deliver_id: &str,
        body: impl Into<Bytes>,
    ) -> Result<(Pushed, u32), reqwest::Error> {
        let body = body.into();
        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = self.once(deliver_id, &body).await;
            let done = outcome.as_ref().is_ok_and(|pushed| (200..300).contains(&pushed.status));
            if done || tries > RETRIES {
                return outcome.map(|pushed| (pushed, tries));
            }
            tokio::time::sleep(self.retry_pause).await;
        }
    }

    async fn once(&self, deliver_id: &str, body: &Bytes) -> Result<Pushed, reqwest::Error> {
        let timestamp = clock::wall_ms() / 1000;
        let nonce = format!("{:08x}", fastrand::u32(..));
        let joint = if self.url.contains('?') { '&' } else { '?' };
        let response = self
            .client
            .post(format!("{}{joint}timestamp={timestamp}&nonce={nonce}", self.url))
            .header("content-type", "application/json")
            .header("x-jdy-signature", Self::signature(&self.secret, &nonce, timestamp, body))
            .header("x-jdy-deliverid", deliver_id)
            .body(body.clone())
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
    fn signature_vector() {
        let body =
            br#"{"op":"data_update","data":{"_id":"6564a1","flowState":1,"amount":12000},"opTime":1764561600000}"#;
        assert_eq!(
            PushSender::signature("jdy-secret", "nonce1", 1_764_561_600, body),
            "7fe540db8bc171cfdc6c814c6c96b03adf787f3c"
        );
    }
}
