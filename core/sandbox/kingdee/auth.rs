//! Header signature, login signature and what is compared.
//!
//! Source: the vendor's Python SDK 8.2.0 (`encode_util`, `hmac_util`, `webapi_client`) as published, and the Java SDK
//! for milliseconds and the literal `null` organisation. What a private site checks of the `X-Api-*` set is not
//! certain, so that check can be switched off.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{config::KingdeeConfig, wire::message::Incoming};

/// XOR seed of the client secret, from the SDK.
const SEED: &[u8] = b"0054f397c6234378b09ca7d3e5debce7";
/// What Python's `quote` leaves alone, without `/`, which the SDK replaces afterwards.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// Lower-case hex HMAC-SHA256.
fn hmac_hex(key: &str, message: &str) -> String {
    Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .map(|mut mac| {
            mac.update(message.as_bytes());
            hex::encode(mac.finalize().into_bytes())
        })
        .unwrap_or_default()
}

/// Client id and HMAC key text from the full application id; both empty unless it has exactly two parts.
pub(crate) fn client(app_id: &str) -> (String, String) {
    let parts: Vec<&str> = app_id.split('_').collect();
    let [id, secret] = parts.as_slice() else { return (String::new(), String::new()) };
    let key = if secret.len() == 32 {
        STANDARD.decode(secret).map_or_else(
            |_| String::new(),
            |bytes| {
                let mixed: Vec<u8> = bytes.iter().zip(SEED).map(|(byte, seed)| byte ^ seed).collect();
                STANDARD.encode(mixed)
            },
        )
    } else {
        String::new()
    };
    ((*id).to_owned(), key)
}

/// `X-Api-Signature` for a request path, nonce and timestamp: base64 of the hex text.
pub(crate) fn api_signature(app_id: &str, path: &str, nonce: &str, timestamp: &str) -> String {
    let encoded = utf8_percent_encode(path, PATH);
    let text = format!("POST\n{encoded}\n\nx-api-nonce:{nonce}\nx-api-timestamp:{timestamp}\n");
    STANDARD.encode(hmac_hex(&client(app_id).1, &text))
}

/// `X-Kd-Signature` for the application and the plain `appdata` text.
pub(crate) fn kd_signature(app_id: &str, app_secret: &str, appdata: &str) -> String {
    STANDARD.encode(hmac_hex(app_secret, &format!("{app_id}{appdata}")))
}

/// `sign` of LoginBySign: hex hash of the five strings in ordinal (UTF-16) order; SHA-256, or SHA-1 on old servers.
pub(crate) fn login_sign(strings: [&str; 5], sha1: bool) -> String {
    let mut sorted = strings;
    sorted.sort_by(|left, right| left.encode_utf16().cmp(right.encode_utf16()));
    let text = sorted.concat();
    if sha1 {
        hex::encode(Sha1::digest(text.as_bytes()))
    } else {
        hex::encode(Sha256::digest(text.as_bytes()))
    }
}

/// Equal without telling by time where they differ.
pub(crate) fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// What the headers say about the caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// No `X-Kd-*` headers.
    Absent,
    /// A valid signature of this user.
    User(String),
    /// A signature that does not hold; the reason is for traces, not for the answer.
    Wrong(&'static str),
}

/// Checks the header signature; `now` is the wall clock in seconds.
pub(crate) fn check(config: &KingdeeConfig, request: &Incoming, now: i64) -> Signed {
    let (Some(app_key), Some(data), Some(signature)) =
        (request.header("x-kd-appkey"), request.header("x-kd-appdata"), request.header("x-kd-signature"))
    else {
        return Signed::Absent;
    };
    if app_key != config.app_id {
        return Signed::Wrong("unknown application");
    }
    let Some(appdata) = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Signed::Wrong("appdata is not base64 text");
    };
    if !same(&kd_signature(&config.app_id, &config.app_secret, &appdata), signature) {
        return Signed::Wrong("X-Kd-Signature");
    }
    let parts: Vec<&str> = appdata.split(',').collect();
    let (Some(acct), Some(user)) = (parts.first(), parts.get(1)) else {
        return Signed::Wrong("appdata is short");
    };
    if *acct != config.acct_id {
        return Signed::Wrong("unknown data centre");
    }
    if *user != config.user_name && !config.extra_users.iter().any(|known| known == user) {
        return Signed::Wrong("unknown user");
    }
    if config.verify_api_signature
        && let Err(reason) = check_api(config, request, now)
    {
        return Signed::Wrong(reason);
    }
    Signed::User((*user).to_owned())
}

fn check_api(config: &KingdeeConfig, request: &Incoming, now: i64) -> Result<(), &'static str> {
    let timestamp = request.header("x-api-timestamp").ok_or("no timestamp")?;
    let nonce = request.header("x-api-nonce").ok_or("no nonce")?;
    let given = request.header("x-api-signature").ok_or("no X-Api-Signature")?;
    // The same nonce twice in one second is legal: the Python SDK uses the timestamp as nonce.
    if !same(&api_signature(&config.app_id, &request.path, nonce, timestamp), given) {
        return Err("X-Api-Signature");
    }
    let Some(window) = config.signature_window_secs else { return Ok(()) };
    let number: i64 = timestamp.parse().map_err(|_| "timestamp is no number")?;
    let seconds = if number > 100_000_000_000 { number / 1000 } else { number };
    if (seconds - now).abs() > window { Err("timestamp expired") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
    use bytes::Bytes;

    use super::*;

    const APP: &str = "210001_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const SAVE: &str = "/k3cloud/Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.Save.common.kdsvc";
    const QUERY: &str =
        "/k3cloud/Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.ExecuteBillQuery.common.kdsvc";

    #[test]
    fn client_secret_vector() {
        assert_eq!(client(APP), ("210001".to_owned(), "MDE3N2I2PzBrPzg4OD45N3IhK3B1InIk".to_owned()));
        assert_eq!(client("210001"), (String::new(), String::new()));
        assert_eq!(client("a_b_c"), (String::new(), String::new()));
        assert_eq!(client("1_short"), ("1".to_owned(), String::new()));
    }

    #[test]
    fn api_signature_vectors() {
        for (app, path, stamp, expected) in [
            (
                APP,
                SAVE,
                "1700000000",
                "NzI2MjZlOGJiNjBiYTJkYzM3NTU3NTI0ZGE3YWY4MDhmMDNhMmZmOTc0ZGI4ZWJiYjg0NWFiYWFiNzIwZTczNg==",
            ),
            (
                APP,
                SAVE,
                "1700000000000",
                "MjliOWIwNzRiYzFiYmU4MmJkMWFlM2RiMzE1NGE0OGZiN2U3ZGJkODk2ODU2ZWI2OWY4NmVmMTFlMjA1YWVlNw==",
            ),
            (
                "210001",
                SAVE,
                "1700000000",
                "ZDFlMzg2MmFjYzNlMzMwZmEwNTI2NWE2MWY2ZDFlNThkZDk1NzBiYzI5ZWE5YTU2MzI3NTM5NThiMzM1ZjdhZQ==",
            ),
            (
                APP,
                QUERY,
                "1700000000",
                "N2M1YmZlZTUyZjc5YTRjMzU0MjkxMWVjODQ0YWEwZjQ0NzQyNWZjZjcwNGFhNzg0MzMxOGI5ZmI4YjNlMzUxOA==",
            ),
        ] {
            assert_eq!(api_signature(app, path, stamp, stamp), expected);
        }
    }

    #[test]
    fn kd_signature_vectors() {
        assert_eq!(
            STANDARD.encode("64f0c0ffee0001,integration,2052,0"),
            "NjRmMGMwZmZlZTAwMDEsaW50ZWdyYXRpb24sMjA1Miww"
        );
        assert_eq!(
            kd_signature(APP, SECRET, "64f0c0ffee0001,integration,2052,0"),
            "NDRjY2Q1MGU2ODk1NmQzZGZhYTcwZTMxOTYwOGE4YTg3MTI4MDViMzljNjk1ZTFkNGY1OTExMTA0ZmFhNzZlOA=="
        );
        assert_eq!(
            kd_signature(APP, SECRET, "64f0c0ffee0001,集成用户,2052,100"),
            "MTUzZTExMjVjZmRjMDMzNjhhZTVkNzUxOTExYjE5NDAyZWE3Y2RkZWQyNzQ3MzkwOWQxMzQ2MGYzMGMzMjkxZQ=="
        );
    }

    #[test]
    fn login_sign_vectors() {
        let strings = |user| ["64f0c0ffee0001", user, APP, SECRET, "1700000000"];
        assert_eq!(
            login_sign(strings("integration"), false),
            "a1f62f7954ca23f1d539cac23c75fce1bd372b748d1b50030629bc4029da0b0a"
        );
        assert_eq!(login_sign(strings("integration"), true), "aad09399700ee0c785ed193b54af0b7756a449a0");
        assert_eq!(
            login_sign(strings("集成用户"), false),
            "50370d5cac20e68c33b49ec45605187ad1115f18a8337c67ea621bf2058b787f"
        );
    }

    fn signed(user: &str, org: &str, stamp: &str) -> Incoming {
        let appdata = format!("64f0c0ffee0001,{user},2052,{org}");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-api-timestamp", stamp.to_owned()),
            ("x-api-nonce", stamp.to_owned()),
            ("x-api-signature", api_signature(APP, SAVE, stamp, stamp)),
            ("x-kd-appkey", APP.to_owned()),
            ("x-kd-appdata", STANDARD.encode(&appdata)),
            ("x-kd-signature", kd_signature(APP, SECRET, &appdata)),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
        }
        Incoming {
            method: Method::POST,
            path: SAVE.into(),
            query: String::new(),
            headers,
            body: Bytes::new(),
        }
    }

    #[test]
    fn accepts_both_clocks_and_every_organisation_form() {
        let config = KingdeeConfig::default();
        for (user, org, stamp) in [
            ("integration", "0", "1700000000"),
            ("integration", "null", "1700000000000"),
            ("集成用户", "100", "1700000000"),
        ] {
            let request = signed(user, org, stamp);
            assert_eq!(check(&config, &request, 1_700_000_000), Signed::User(user.to_owned()));
            assert_eq!(check(&config, &request, 1_700_000_601), Signed::Wrong("timestamp expired"));
        }
        let mut request = signed("integration", "0", "1700000000");
        request.headers.insert("x-kd-signature", HeaderValue::from_static("x"));
        assert_eq!(check(&config, &request, 1_700_000_000), Signed::Wrong("X-Kd-Signature"));
        assert_eq!(
            check(&config, &signed("nobody", "0", "1700000000"), 1_700_000_000),
            Signed::Wrong("unknown user")
        );
    }
}
