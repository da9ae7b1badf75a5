//! Redirects, for a connector that asks for them: each hop checked like the first call, few of them, within the one
//! time bound, and no credential carried to another host.

use super::{Client, Reply, Sent, TransportError};
use bytes::Bytes;
use reqwest::Method;
use tokio::time::Instant;
use tongbao_model::Text;
use url::Url;

/// Most hops a connector may ask for.
pub const HOPS_MAX: u8 = 5;

/// The headers that say nothing of us. Any other (`Authorization`, `Cookie`, a vendor's token under whatever name)
/// stays with the host it was made for.
const HARMLESS: [&str; 4] = ["accept", "accept-language", "content-type", "range"];

impl Client {
    /// Sends a request and follows at most `hops` redirects, [`HOPS_MAX`] at the utmost; the answer after the last hop is
    /// answered as it is, redirect or not. 307 and 308 repeat method and body, to the same host only; the others
    /// become a GET. Nothing leads from https to http.
    pub async fn send_following(&self, sent: Sent, hops: u8) -> Result<Reply, TransportError> {
        let end = Instant::now() + sent.timeout;
        let asks = matches!(sent.method, Method::GET | Method::HEAD);
        // Whoever answers a write with "see there" may have done it: no later failure says that nothing was sent.
        let doubt = |error: TransportError| match error {
            TransportError::NotSent(why) if !asks => TransportError::Ambiguous(why),
            TransportError::Blocked(why) if !asks => TransportError::Ambiguous(why.en),
            other => other,
        };
        let mut reply = self.send(sent.clone()).await?;
        let mut last = sent;
        for _ in 0..hops.min(HOPS_MAX) {
            let Some(place) = place(&reply, &last.url) else { break };
            let timeout = end.saturating_duration_since(Instant::now());
            last = hop(last, reply.status, place, timeout).map_err(doubt)?;
            reply = self.send(last.clone()).await.map_err(doubt)?;
        }
        Ok(reply)
    }
}

/// Where an answer leads.
fn place(reply: &Reply, from: &Url) -> Option<Url> {
    match reply.status {
        301..=303 | 307 | 308 => from.join(reply.header("location")?).ok(),
        _ => None,
    }
}

fn hop(sent: Sent, status: u16, place: Url, timeout: std::time::Duration) -> Result<Sent, TransportError> {
    let refused = |zh: &str, en: &str| Err(TransportError::Blocked(Text::new(zh, en)));
    if sent.url.scheme() == "https" && place.scheme() != "https" {
        return refused("重定向从 https 转到 http，已拒绝", "a redirect leads from https to http: refused");
    }
    let is_same = sent.url.origin() == place.origin();
    let repeats = matches!(status, 307 | 308);
    if repeats && !is_same && !sent.body.is_empty() {
        return refused(
            "重定向要求把请求体发往另一主机，已拒绝",
            "a redirect asks for the body to be sent to another host: refused",
        );
    }
    let headers = sent
        .headers
        .into_iter()
        .filter(|(name, _)| is_same || HARMLESS.contains(&name.to_lowercase().as_str()))
        .filter(|(name, _)| repeats || !name.eq_ignore_ascii_case("content-type"))
        .collect();
    let (method, body) = match (repeats, &sent.method) {
        (true, _) => (sent.method, sent.body),
        (false, &Method::HEAD) => (Method::HEAD, Bytes::new()),
        (false, _) => (Method::GET, Bytes::new()),
    };
    Ok(Sent { method, url: place, headers, body, timeout })
}
