//! Signature over the exact bytes that are sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// `X-Nuonuo-Sign`: base64 of HMAC-SHA1 over a fixed order of parameters, without URL encoding. The path's segments
/// go in reversed: `/open/v1/services` gives `a=services&l=v1&p=open`.
pub fn sign(
    secret: &str,
    path: &str,
    app_key: &str,
    senid: &str,
    nonce: &str,
    timestamp: &str,
    body: &[u8],
) -> String {
    let mut segments = path.trim_matches('/').rsplit('/');
    let mut next = || segments.next().unwrap_or_default();
    let head =
        format!("a={}&l={}&p={}&k={app_key}&i={senid}&n={nonce}&t={timestamp}&f=", next(), next(), next());
    match Hmac::<Sha1>::new_from_slice(secret.as_bytes()) {
        Ok(mut mac) => {
            mac.update(head.as_bytes());
            mac.update(body);
            BASE64.encode(mac.finalize().into_bytes())
        }
        // HMAC takes keys of any length.
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first is the value attributed to the vendor's Python SDK, the others are computed after it.
    #[test]
    fn vectors() {
        let path = "/open/v1/services";
        assert_eq!(
            sign(
                "secret",
                path,
                "app",
                &"a".repeat(32),
                "12345678",
                "1700000000",
                r#"{"name":"中文"}"#.as_bytes()
            ),
            "4BzcKzrcoqxPis0W/W3X2ae0uIo="
        );
        let body = r#"{"order":{"orderNo":"SO20261101-0007","buyerName":"杭州示例科技有限公司","invoiceLine":"bs"}}"#;
        let with = |body: &str| {
            let senid = "0123456789abcdef0123456789abcdef";
            sign("A1B2C3D4E5F60718", path, "94729384", senid, "48151623", "1764561600", body.as_bytes())
        };
        assert_eq!(with(body), "JzcGcAgJaGYanKVL+eQ8HN8M370=");
        assert_eq!(with(&body.replacen("\":{", "\": {", 1)), "6Rl2bV4clOFrTjQIFaSVErz00Io=");
    }
}
