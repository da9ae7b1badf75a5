//! The platform's two signatures, which have nothing in common but the secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;

/// `Accept` of every request; it is signed.
pub const ACCEPT: &str = "*/*";
/// `Content-Type` of every request; it is signed.
pub const CONTENT_TYPE: &str = "application/json; charset=UTF-8";

/// `Content-MD5`: base64 of the body's MD5, nothing for no body.
pub fn content_md5(body: &[u8]) -> String {
    if body.is_empty() { String::new() } else { BASE64.encode(Md5::digest(body)) }
}

/// `X-Tsign-Open-Ca-Signature`: base64 of HMAC-SHA256 over method, accept, body digest, content type, an empty date and
/// the path with its query, each but the last ended by a line feed. No headers are signed beside.
pub fn request(secret: &str, method: &str, path_and_query: &str, body: &[u8]) -> String {
    let digest = content_md5(body);
    let text = format!("{method}\n{ACCEPT}\n{digest}\n{CONTENT_TYPE}\n\n{path_and_query}");
    BASE64.encode(mac(secret, &[text.as_bytes()]))
}

/// `X-Tsign-Open-SIGNATURE`: lower-case hex of HMAC-SHA256 over the time, the query's values in the order of their keys
/// and the raw body, with nothing between.
pub fn callback(secret: &str, timestamp: &str, query: &[(String, String)], body: &[u8]) -> String {
    let mut pairs: Vec<&(String, String)> = query.iter().collect();
    pairs.sort_by(|left, right| left.0.as_bytes().cmp(right.0.as_bytes()));
    let mut parts = vec![timestamp.as_bytes()];
    parts.extend(pairs.iter().map(|(_, value)| value.as_bytes()));
    parts.push(body);
    hex::encode(mac(secret, &parts))
}

fn mac(secret: &str, parts: &[&[u8]]) -> Vec<u8> {
    match Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        Ok(mut mac) => {
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().to_vec()
        }
        // HMAC takes keys of any length.
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr3t-app-key";

    #[test]
    fn requests() {
        let body = br#"{"signFlowId":"f-001"}"#;
        assert_eq!(content_md5(body), "JdRLjmrXWP02qr2hc0TPmA==");
        assert_eq!(
            request(SECRET, "POST", "/v3/sign-flow/f-001/finish", body),
            "oYMS5z5ltOSAMwaZIxsHjt44/MLE/oVEf+qSyjLEIis="
        );
        assert_eq!(
            request(SECRET, "GET", "/v3/sign-flow/f-001/detail?a=1&b=2", b""),
            "QPETMXLx0rfkRyw4OgMyWQytFlXylr/GQwx7IP933eA="
        );
    }

    #[test]
    fn callbacks() {
        let body = r#"{"action":"SIGN_FLOW_COMPLETE","timestamp":1764561600123,"signFlowId":"f-001","signFlowTitle":"销售合同-7","signFlowStatus":"2","statusDescription":"完成","signFlowFinishTime":1764561599000}"#;
        let query = [("tenant".to_owned(), "t1".to_owned()), ("biz".to_owned(), "c-77".to_owned())];
        let sign = |query: &[(String, String)]| callback(SECRET, "1764561600456", query, body.as_bytes());
        assert_eq!(sign(&query), "2e4397b41853992f9228965a7007229e599cbdd1b6c98dd320cf7728f90e2a06");
        assert_eq!(sign(&[]), "1b9c34f4b4027cff097b3dbec2bedd91e685261626804475e1e161faf48e6781");
    }
}
