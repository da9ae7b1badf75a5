//! One signature for requests and callbacks.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Content of the form.
pub const CONTENT: &str = "bizContent";
/// `X-FASC-Sign-Type`, the only one there is.
pub const SIGN_TYPE: &str = "HMAC-SHA256";

/// `X-FASC-Sign`: names and values that are not empty, in byte order of their names, joined as `name=value` with `&` and
/// without any encoding; lower-case hex of SHA-256 of that; HMAC-SHA256 of the hex under a key that is itself the HMAC-SHA256
/// of the time (milliseconds, as text) under the secret; lower-case hex.
pub fn sign(secret: &str, timestamp: &str, pairs: &[(&str, &str)]) -> String {
    let mut pairs: Vec<&(&str, &str)> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    pairs.sort_by(|left, right| left.0.as_bytes().cmp(right.0.as_bytes()));
    let mut sha = Sha256::new();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            sha.update(b"&");
        }
        sha.update(name.as_bytes());
        sha.update(b"=");
        sha.update(value.as_bytes());
    }
    let digest = hex::encode(sha.finalize());
    hex::encode(mac(&mac(secret.as_bytes(), timestamp.as_bytes()), digest.as_bytes()))
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        }
        // HMAC takes keys of any length.
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first is the value of a public SDK's test.
    #[test]
    fn requests() {
        let pairs = [
            ("bizContent", r#"{"signTaskId":"1"}"#),
            ("X-FASC-Timestamp", "1757570000000"),
            ("X-FASC-Sign-Type", SIGN_TYPE),
            ("X-FASC-Nonce", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            ("X-FASC-Grant-Type", ""),
            ("X-FASC-App-Id", "00000000"),
            ("X-FASC-Api-SubVersion", "5.1"),
            ("X-FASC-AccessToken", "tok"),
        ];
        assert_eq!(
            sign("dummysecret", "1757570000000", &pairs),
            "45a459b6af348e6ff2b3e5727823c54f4e5f4e23eea22e916d8da6befefe25bf"
        );
    }

    #[test]
    fn callbacks() {
        let content = r#"{"eventTime":"1764561600000","signTaskId":"st-9","signTaskStatus":"task_finished","transReferenceId":"HT-2026-0007"}"#;
        let pairs = [
            ("X-FASC-App-Id", "80001234"),
            ("X-FASC-Event", "sign-task-finished"),
            ("X-FASC-Nonce", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
            ("X-FASC-Sign-Type", SIGN_TYPE),
            ("X-FASC-Timestamp", "1764561600789"),
            ("bizContent", content),
        ];
        assert_eq!(
            sign("fasc-secret-1", "1764561600789", &pairs),
            "b8af9050c5167ce3605d2aa2f5f2aa8027d5d0d14c462e387cf234dfc4c06c98"
        );
    }
}
