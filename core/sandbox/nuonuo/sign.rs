//! `X-Nuonuo-Sign`: Base64 of HMAC-SHA1 over path segments, key, nonce, time and the exact body bytes.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// The text that is signed, as bytes; nothing is URL-encoded. The path segments enter reversed as `a`, `l`, `p`.
pub(super) fn message(
    path: &str,
    app_key: &str,
    senid: &str,
    nonce: &str,
    timestamp: &str,
    body: &[u8],
) -> Vec<u8> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty()).rev();
    let mut next = || segments.next().unwrap_or("");
    let (a, l, p) = (next(), next(), next());
    let mut bytes =
        format!("a={a}&l={l}&p={p}&k={app_key}&i={senid}&n={nonce}&t={timestamp}&f=").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Signs a message.
pub(super) fn sign(secret: &str, message: &[u8]) -> String {
    Hmac::<Sha1>::new_from_slice(secret.as_bytes())
        .map(|mut mac| {
            mac.update(message);
            STANDARD.encode(mac.finalize().into_bytes())
        })
        .unwrap_or_default()
}

/// Equal without telling by time where they differ.
pub(super) fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        let path = "/open/v1/services";
        let first =
            message(path, "app", &"a".repeat(32), "12345678", "1700000000", "{\"name\":\"中文\"}".as_bytes());
        assert_eq!(sign("secret", &first), "4BzcKzrcoqxPis0W/W3X2ae0uIo=");
        let body = r#"{"order":{"orderNo":"SO20261101-0007","buyerName":"杭州示例科技有限公司","invoiceLine":"bs"}}"#;
        let signed = |body: &str| {
            let text = message(
                path,
                "94729384",
                "0123456789abcdef0123456789abcdef",
                "48151623",
                "1764561600",
                body.as_bytes(),
            );
            sign("A1B2C3D4E5F60718", &text)
        };
        assert_eq!(signed(body), "JzcGcAgJaGYanKVL+eQ8HN8M370=");
        assert_eq!(signed(&body.replacen(':', ": ", 1)), "6Rl2bV4clOFrTjQIFaSVErz00Io=");
    }
}
