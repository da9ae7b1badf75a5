//! 法大大's callback: a form POST with one field, signed over headers and content, repeated until the answer says `success`.

use std::time::Duration;

use super::fadada::sign;
use crate::{clock, crm::Pushed, wire::client};

/// Waits before the repeats, as the platform has them: 3 minutes, 30 minutes, 8 hours.
const WAITS_S: [u64; 3] = [180, 1_800, 28_800];

/// Sends signed callbacks to one address.
#[derive(Clone)]
pub struct FadadaSender {
    client: reqwest::Client,
    url: String,
    app_id: String,
    secret: String,
    scale: u32,
}

/// Headers of one callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// `X-FASC-Event`.
    pub event: String,
    /// `X-FASC-Nonce`.
    pub nonce: String,
    /// `X-FASC-Timestamp`, Unix milliseconds.
    pub timestamp: String,
    /// `X-FASC-Sign`.
    pub sign: String,
}

impl std::fmt::Debug for FadadaSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FadadaSender").field("url", &self.url).finish_non_exhaustive()
    }
}

impl FadadaSender {
    /// A sender that waits 3 seconds for an answer, as the platform does, and a `scale`-th of its times between repeats.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(url: &str, app_id: &str, secret: &str, scale: u32) -> Result<Self, reqwest::Error> {
        let client = client::build(Duration::from_secs(3))?;
        let (url, app_id, secret) = (url.to_owned(), app_id.to_owned(), secret.to_owned());
        Ok(Self { client, url, app_id, secret, scale: scale.max(1) })
    }

    /// Headers for a content, signed at a time with a nonce.
    #[must_use]
    pub fn signed(&self, event: &str, content: &str, nonce: &str, timestamp: i64) -> Signed {
        let timestamp = timestamp.to_string();
        let pairs = [
            ("X-FASC-App-Id", self.app_id.as_str()),
            ("X-FASC-Event", event),
            ("X-FASC-Nonce", nonce),
            ("X-FASC-Sign-Type", "HMAC-SHA256"),
            ("X-FASC-Timestamp", &timestamp),
            ("bizContent", content),
        ];
        let sign = sign(&self.secret, &timestamp, &pairs);
        Signed { event: event.to_owned(), nonce: nonce.to_owned(), timestamp, sign }
    }

    /// Sends an event until the answer is 200 with `success` in it; the last answer and how many tries it took.
    ///
    /// # Errors
    /// When the last try got no answer.
    pub async fn push(&self, event: &str, content: &str) -> Result<(Pushed, u32), reqwest::Error> {
        let mut waits = WAITS_S.into_iter();
        let mut tries = 0;
        loop {
            tries += 1;
            let nonce = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
            let outcome = self.send(content, &self.signed(event, content, &nonce, clock::wall_ms())).await;
            let done = outcome.as_ref().is_ok_and(|pushed| {
                pushed.status == 200 && pushed.body.windows(7).any(|part| part == b"success")
            });
            match waits.next() {
                Some(wait) if !done => tokio::time::sleep(Duration::from_secs(wait) / self.scale).await,
                _ => return outcome.map(|pushed| (pushed, tries)),
            }
        }
    }

    /// Sends a content once under headers of the caller's making.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, content: &str, signed: &Signed) -> Result<Pushed, reqwest::Error> {
        let form =
            form_urlencoded::Serializer::new(String::new()).append_pair("bizContent", content).finish();
        let response = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("X-FASC-App-Id", &self.app_id)
            .header("X-FASC-Sign-Type", "HMAC-SHA256")
            .header("X-FASC-Sign", &signed.sign)
            .header("X-FASC-Timestamp", &signed.timestamp)
            .header("X-FASC-Nonce", &signed.nonce)
            .header("X-FASC-Event", &signed.event)
            .body(form)
            .send()
            .await?;
        let status = response.status().as_u16();
        Ok(Pushed { status, body: response.bytes().await? })
    }
}
