//! `webhook`: any CRM or low-code platform that can sign a JSON request, and any REST/JSON API to write to.
//!
//! In: `POST /in/<connection>/<kind>` with `X-Tongbao-Timestamp` (Unix seconds) and `X-Tongbao-Signature:
//! sha256=<hex HMAC-SHA256(secret, timestamp + "." + raw body)>`. Out: one operation per document kind, such as
//! `PATCH /contracts/{key}`. Both ends are described by the mapping files.

pub mod kit;
mod target;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tongbao_connect::settings::SecretString;
use tongbao_connect::{
    Built, Connector, Context, Decoded, DocumentKind, Inbound, Incoming, Settings, Source, settings,
};
use tongbao_model::diagnostic::Findings;
use tongbao_model::{Code, Fault, Json};

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "webhook",
    summary: (
        "任意 CRM 或低代码平台：签名 JSON 推入，REST/JSON 回写",
        "any CRM or low-code platform: signed JSON in, REST/JSON out",
    ),
    spec: WebhookSettings::spec,
    documents: || vec![DocumentKind::open("*", "Any document; the mapping declares its fields.")],
    build,
};

settings! {
    /// Settings of a `webhook` connection.
    WebhookSettings {
        /// Secret that incoming requests are signed with (HMAC-SHA256).
        secret: Option<SecretString> => (optional),
        /// Header that carries the signature.
        signature_header: String => ("x-tongbao-signature".to_owned()),
        /// Header that carries the signed time, in Unix seconds.
        timestamp_header: String => ("x-tongbao-timestamp".to_owned()),
        /// How far the signed time may be from ours, in seconds, either way.
        window_s: u64 => (300),
        /// Base address of the REST API to write to.
        base_url: Option<url::Url> => (optional),
        /// Bearer token of that API.
        token: Option<SecretString> => (optional),
        /// Operations by document kind, e.g. `order_back: PATCH /contracts/{key}`; `{name}` is replaced by the
        /// document's top-level field of that name, `{key}` by the business key.
        operations: BTreeMap<String, String> => (BTreeMap::new()),
        /// Header that carries a key which is the same in every attempt; for systems that honour one.
        idempotency_header: Option<String> => (optional),
        /// Time for one call, in milliseconds.
        timeout_ms: u64 => (30_000),
    }
}

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = WebhookSettings::read(settings, findings)?;
    let source = checked.secret.clone().map(|secret| {
        let source: Arc<dyn Source> = Arc::new(WebhookSource {
            secret,
            signature_header: checked.signature_header.to_lowercase(),
            timestamp_header: checked.timestamp_header.to_lowercase(),
            window_s: i64::try_from(checked.window_s).unwrap_or(i64::MAX),
        });
        source
    });
    let target = target::build(&checked, settings.node, context, findings)?;
    Some(Built { source, target, ..Built::default() })
}

struct WebhookSource {
    secret: SecretString,
    signature_header: String,
    timestamp_header: String,
    window_s: i64,
}

impl WebhookSource {
    fn expected(&self, timestamp: &str, body: &[u8]) -> Option<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes()).ok()?;
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        Some(mac.finalize().into_bytes().into())
    }
}

fn invalid(header: &str) -> Fault {
    Fault::new(
        Code::SignatureInvalid,
        "签名与内容不符或缺失",
        "the signature is missing or does not fit the bytes",
    )
    .at(header)
}

impl Source for WebhookSource {
    fn verify(&self, request: &Inbound, now_ms: i64) -> Result<(), Fault> {
        let timestamp =
            request.header(&self.timestamp_header).ok_or_else(|| invalid(&self.timestamp_header))?;
        let given = request.header(&self.signature_header).ok_or_else(|| invalid(&self.signature_header))?;
        let given = given.strip_prefix("sha256=").unwrap_or(given);
        let given = hex::decode(given).map_err(|_| invalid(&self.signature_header))?;
        let expected =
            self.expected(timestamp, &request.body).ok_or_else(|| invalid(&self.signature_header))?;
        if !bool::from(expected.as_slice().ct_eq(&given)) {
            return Err(invalid(&self.signature_header));
        }
        // The time is looked at last: only a signed one says anything.
        let seconds: i64 = timestamp.parse().map_err(|_| invalid(&self.timestamp_header))?;
        if now_ms.div_euclid(1000).saturating_sub(seconds).saturating_abs() > self.window_s {
            return Err(Fault::new(
                Code::SignatureExpired,
                format!("签名时间与本机相差超过 {} 秒", self.window_s),
                format!("the signed time is more than {} seconds from ours", self.window_s),
            )
            .at(&self.timestamp_header));
        }
        Ok(())
    }

    fn decode(&self, request: &Inbound) -> Result<Decoded, Fault> {
        let kind = request.path.trim_matches('/');
        if kind.is_empty() || kind.contains('/') {
            return Err(Fault::new(
                Code::BodyInvalid,
                "路径应为 /in/<连接>/<单据类型>",
                "the path must be /in/<connection>/<document kind>",
            ));
        }
        let document = Json::read(&request.body).map_err(|error| {
            Fault::new(
                Code::BodyInvalid,
                format!("请求体不是 JSON（第 {} 行第 {} 列）", error.line(), error.column()),
                format!("the body is not JSON (line {}, column {})", error.line(), error.column()),
            )
        })?;
        // A list is a batch of documents of one kind.
        let documents = document
            .items()
            .into_iter()
            .map(|document| Incoming { kind: kind.to_owned(), document })
            .collect();
        Ok(Decoded { documents, hints: Vec::new(), reply: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> WebhookSource {
        WebhookSource {
            secret: "s3cret".to_owned().into(),
            signature_header: "x-tongbao-signature".into(),
            timestamp_header: "x-tongbao-timestamp".into(),
            window_s: 300,
        }
    }

    fn signed(body: &[u8], at: i64) -> Inbound {
        let expected = source().expected(&at.to_string(), body).unwrap();
        Inbound {
            path: "/contract".into(),
            query: Vec::new(),
            headers: vec![
                ("x-tongbao-timestamp".into(), at.to_string()),
                ("x-tongbao-signature".into(), format!("sha256={}", hex::encode(expected))),
            ],
            body: body.to_vec(),
        }
    }

    #[test]
    fn signatures_bind_bytes_and_time() {
        let good = signed(br#"{"number":"HT-1"}"#, 1_764_561_600);
        assert_eq!(source().verify(&good, 1_764_561_600_000), Ok(()));
        let code = |request: &Inbound, now_ms| source().verify(request, now_ms).unwrap_err().code;
        assert_eq!(code(&good, 1_764_561_901_000), Code::SignatureExpired);
        assert_eq!(code(&good, 1_764_561_299_000), Code::SignatureExpired);
        let mut body = good.clone();
        body.body.push(b' ');
        assert_eq!(code(&body, 1_764_561_600_000), Code::SignatureInvalid);
        let mut time = good.clone();
        time.headers[0].1 = "1764561601".into();
        assert_eq!(code(&time, 1_764_561_600_000), Code::SignatureInvalid);
        let mut none = good;
        none.headers.clear();
        assert_eq!(code(&none, 1_764_561_600_000), Code::SignatureInvalid);
    }

    #[test]
    fn one_document_or_a_list_of_them() {
        let one = source().decode(&signed(br#"{"a":1.10}"#, 0)).unwrap();
        assert_eq!(one.documents[0].document.text(), r#"{"a":1.10}"#);
        assert_eq!(source().decode(&signed(b"[{},{}]", 0)).unwrap().documents.len(), 2);
        assert_eq!(source().decode(&signed(b"{", 0)).unwrap_err().code, Code::BodyInvalid);
    }
}
