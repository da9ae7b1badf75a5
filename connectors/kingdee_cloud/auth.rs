//! Who we are: header signature of the official SDKs, and the two logins that open a session.

use super::KingdeeSettings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tongbao_connect::Reply;
use tongbao_model::{Code, Fault};

/// Seed of the official SDK's obfuscation of the client secret (Python SDK 8.2.0, `encode_util`).
const SEED: &[u8] = b"0054f397c6234378b09ca7d3e5debce7";

/// Bytes that the SDKs leave as they are in the signed path; `/` becomes `%2F`.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// Headers of one call in signature mode (Python SDK 8.2.0, seconds as timestamp and nonce).
pub fn headers(settings: &KingdeeSettings, path: &str, now_s: i64) -> Vec<(String, String)> {
    let (client, secret) = client(&settings.app_id);
    let time = now_s.to_string();
    let path = utf8_percent_encode(path, PATH).to_string();
    let text = format!("POST\n{path}\n\nx-api-nonce:{time}\nx-api-timestamp:{time}\n");
    let appdata =
        format!("{},{},{},{}", settings.acct_id, settings.user_name, settings.lcid, settings.org_num);
    let signed = format!("{}{appdata}", settings.app_id);
    [
        ("X-Api-ClientID", client),
        ("X-Api-Auth-Version", "2.0".into()),
        ("x-api-timestamp", time.clone()),
        ("x-api-nonce", time),
        ("x-api-signheaders", "x-api-timestamp,x-api-nonce".into()),
        ("X-Api-Signature", signature(secret.as_bytes(), &text)),
        ("X-Kd-Appkey", settings.app_id.clone()),
        ("X-Kd-Appdata", BASE64.encode(&appdata)),
        ("X-Kd-Signature", signature(settings.app_secret.expose_secret().as_bytes(), &signed)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Client id and the text that keys the signature: the second part of the app id, base64-decoded, XORed with the
/// seed and encoded again. Anything but two parts of the right length gives empty texts, as in the SDK.
fn client(app_id: &str) -> (String, String) {
    let mut parts = app_id.split('_');
    let (Some(id), Some(hidden), None) = (parts.next(), parts.next(), parts.next()) else {
        return (String::new(), String::new());
    };
    let decoded = match BASE64.decode(hidden) {
        Ok(decoded) if hidden.len() == 32 => decoded,
        Ok(_) | Err(_) => return (id.to_owned(), String::new()),
    };
    let plain: Vec<u8> = decoded.iter().zip(SEED).map(|(byte, seed)| byte ^ seed).collect();
    (id.to_owned(), BASE64.encode(plain))
}

/// base64 of the lower-case hex of HMAC-SHA256: the hex text is encoded, not the digest.
fn signature(key: &[u8], text: &str) -> String {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(text.as_bytes());
            BASE64.encode(hex::encode(mac.finalize().into_bytes()))
        }
        // HMAC takes keys of any length.
        Err(_) => String::new(),
    }
}

/// Service and body of the login, by mode.
pub fn login(settings: &KingdeeSettings, now_s: i64) -> (&'static str, Value) {
    match &settings.password {
        Some(password) => (
            "ValidateUser",
            json!({"parameters": [settings.acct_id, settings.user_name, password.expose_secret(), settings.lcid]}),
        ),
        None => {
            let time = now_s.to_string();
            let sign = login_signature(settings, &time);
            (
                "LoginBySign",
                json!({"parameters":
                    [settings.acct_id, settings.user_name, settings.app_id, time, sign, settings.lcid]}),
            )
        }
    }
}

/// Lower-case hex over the five values in ordinal order, without separators. SHA-1 for servers older than
/// 8.0.0.202205.
fn login_signature(settings: &KingdeeSettings, time: &str) -> String {
    let mut parts = [
        settings.acct_id.as_str(),
        settings.user_name.as_str(),
        settings.app_id.as_str(),
        settings.app_secret.expose_secret(),
        time,
    ];
    // Bytes of UTF-8 order like UTF-16 units for everything that occurs in these values.
    parts.sort_unstable();
    let joined = parts.concat();
    if settings.sign_sha1 { hex::encode(Sha1::digest(joined)) } else { hex::encode(Sha256::digest(joined)) }
}

/// The session id of a login's answer, or why there is none. Only `LoginResultType` 1 is a success.
pub fn session(reply: &Reply, body: &Value) -> Result<String, Fault> {
    let refused = |zh: String, en: String| Fault::new(Code::TargetUnauthorized, zh, en);
    let kind = body.get("LoginResultType").and_then(Value::as_i64);
    if kind != Some(1) {
        let message = body.get("Message").and_then(Value::as_str).unwrap_or_default();
        return Err(refused(format!("登录被拒绝：{message}"), format!("the login was refused: {message}")));
    }
    let cookie = reply.headers("set-cookie").find_map(|cookie| {
        let (name, value) = cookie.split(';').next()?.split_once('=')?;
        (name.trim() == "kdservice-sessionid").then(|| value.to_owned())
    });
    let id = cookie.or_else(|| body.get("KDSVCSessionId").and_then(Value::as_str).map(str::to_owned));
    id.filter(|id| !id.is_empty())
        .ok_or_else(|| refused("登录未返回会话".into(), "the login gave no session".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(user: &str, org: &str, app_id: &str) -> KingdeeSettings {
        KingdeeSettings {
            acct_id: "64f0c0ffee0001".into(),
            user_name: user.into(),
            org_num: org.into(),
            app_id: app_id.into(),
            ..super::super::tests::settings("http://127.0.0.1:1/k3cloud/")
        }
    }

    const SAVE: &str = "/k3cloud/Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.Save.common.kdsvc";
    const APP: &str = "210001_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

    fn header(settings: &KingdeeSettings, path: &str, name: &str) -> String {
        headers(settings, path, 1_700_000_000).into_iter().find(|(key, _)| key == name).unwrap().1
    }

    /// Vectors computed with the Python SDK's own functions, the clock fixed.
    #[test]
    fn signatures_are_the_sdks() {
        let plain = settings("integration", "0", APP);
        assert_eq!(client(APP), ("210001".to_owned(), "MDE3N2I2PzBrPzg4OD45N3IhK3B1InIk".to_owned()));
        assert_eq!(
            header(&plain, SAVE, "X-Api-Signature"),
            "NzI2MjZlOGJiNjBiYTJkYzM3NTU3NTI0ZGE3YWY4MDhmMDNhMmZmOTc0ZGI4ZWJiYjg0NWFiYWFiNzIwZTczNg=="
        );
        assert_eq!(header(&plain, SAVE, "X-Kd-Appdata"), "NjRmMGMwZmZlZTAwMDEsaW50ZWdyYXRpb24sMjA1Miww");
        assert_eq!(
            header(&plain, SAVE, "X-Kd-Signature"),
            "NDRjY2Q1MGU2ODk1NmQzZGZhYTcwZTMxOTYwOGE4YTg3MTI4MDViMzljNjk1ZTFkNGY1OTExMTA0ZmFhNzZlOA=="
        );
        let query = SAVE.replace("Save", "ExecuteBillQuery");
        assert_eq!(
            header(&plain, &query, "X-Api-Signature"),
            "N2M1YmZlZTUyZjc5YTRjMzU0MjkxMWVjODQ0YWEwZjQ0NzQyNWZjZjcwNGFhNzg0MzMxOGI5ZmI4YjNlMzUxOA=="
        );
        let chinese = settings("集成用户", "100", APP);
        assert_eq!(
            header(&chinese, SAVE, "X-Kd-Signature"),
            "MTUzZTExMjVjZmRjMDMzNjhhZTVkNzUxOTExYjE5NDAyZWE3Y2RkZWQyNzQ3MzkwOWQxMzQ2MGYzMGMzMjkxZQ=="
        );
        let bare = settings("integration", "0", "210001");
        assert_eq!(
            header(&bare, SAVE, "X-Api-Signature"),
            "ZDFlMzg2MmFjYzNlMzMwZmEwNTI2NWE2MWY2ZDFlNThkZDk1NzBiYzI5ZWE5YTU2MzI3NTM5NThiMzM1ZjdhZQ=="
        );
    }

    #[test]
    fn login_signatures_sort_their_parts() {
        let plain = settings("integration", "0", APP);
        assert_eq!(
            login_signature(&plain, "1700000000"),
            "a1f62f7954ca23f1d539cac23c75fce1bd372b748d1b50030629bc4029da0b0a"
        );
        let old = KingdeeSettings { sign_sha1: true, ..plain };
        assert_eq!(login_signature(&old, "1700000000"), "aad09399700ee0c785ed193b54af0b7756a449a0");
        let chinese = settings("集成用户", "0", APP);
        assert_eq!(
            login_signature(&chinese, "1700000000"),
            "50370d5cac20e68c33b49ec45605187ad1115f18a8337c67ea621bf2058b787f"
        );
    }
}
