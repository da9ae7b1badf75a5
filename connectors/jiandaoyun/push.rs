//! The data push: `POST {url}?timestamp=…&nonce=…`, signed over nonce, raw body, secret and timestamp.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use subtle::{Choice, ConstantTimeEq};
use tongbao_connect::{Decoded, Inbound, Incoming, Source};
use tongbao_model::{Code, Fault};

const SIGNATURE: &str = "x-jdy-signature";
const DELIVER_ID: &str = "x-jdy-deliverid";

/// `flowState` of a record whose workflow has ended.
const FLOW_FINISHED: &str = "1";

/// What is taken in unless the settings say otherwise: everything but a removal.
pub fn default_ops() -> Vec<String> {
    ["data_create", "data_update", "data_recover"].map(str::to_owned).to_vec()
}

/// Takes pushes.
pub struct Push {
    pub secret: SecretString,
    pub window_s: i64,
    pub kinds: BTreeMap<String, String>,
    pub ops: Vec<String>,
    pub finished_only: bool,
}

impl Push {
    /// Lower-case hex of SHA-1 over `{nonce}:{raw body}:{secret}:{timestamp}`.
    fn expected(&self, nonce: &str, timestamp: &str, body: &[u8]) -> String {
        let mut sha = Sha1::new();
        for part in [nonce.as_bytes(), body, self.secret.expose_secret().as_bytes()] {
            sha.update(part);
            sha.update(b":");
        }
        sha.update(timestamp.as_bytes());
        hex::encode(sha.finalize())
    }
}

fn invalid(what: &str) -> Fault {
    Fault::new(
        Code::SignatureInvalid,
        "签名与内容不符或缺失",
        "the signature is missing or does not fit the bytes",
    )
    .at(what)
}

fn unreadable(zh: &str, en: &str) -> Fault {
    Fault::new(Code::BodyInvalid, zh, en)
}

impl Source for Push {
    fn verify(&self, request: &Inbound, now_ms: i64) -> Result<(), Fault> {
        let timestamp = request.query("timestamp").ok_or_else(|| invalid("timestamp"))?;
        let nonce = request.query("nonce").ok_or_else(|| invalid("nonce"))?;
        let expected = self.expected(nonce, timestamp, &request.body);
        // One of the vendor's samples has the values of the two headers swapped: the signature is taken from either.
        // Both are compared whatever the first gives, in constant time.
        let fits = [SIGNATURE, DELIVER_ID].into_iter().fold(Choice::from(0), |fits, header| {
            let given = request.header(header).unwrap_or_default();
            fits | expected.as_bytes().ct_eq(given.as_bytes())
        });
        if !bool::from(fits) {
            return Err(invalid(SIGNATURE));
        }
        // The time is looked at last: only a signed one says anything.
        let seconds: i64 = timestamp.parse().map_err(|_| invalid("timestamp"))?;
        if now_ms.div_euclid(1000).saturating_sub(seconds).saturating_abs() > self.window_s {
            return Err(Fault::new(
                Code::SignatureExpired,
                format!("签名时间与本机相差超过 {} 秒", self.window_s),
                format!("the signed time is more than {} seconds from ours", self.window_s),
            )
            .at("timestamp"));
        }
        Ok(())
    }

    fn decode(&self, request: &Inbound) -> Result<Decoded, Fault> {
        let nothing = Decoded { documents: Vec::new(), hints: Vec::new(), reply: None };
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|_| unreadable("请求体不是 JSON", "the body is not JSON"))?;
        let op = body.get("op").and_then(Value::as_str).unwrap_or_default();
        if op.is_empty() {
            return Err(unreadable("请求体缺少 op", "the body has no `op`").at("op"));
        }
        if !self.ops.iter().any(|wanted| wanted == op) {
            return Ok(nothing);
        }
        let Some(data) = body.get("data").and_then(Value::as_object) else {
            return Err(unreadable("请求体缺少 data", "the body has no `data`").at("data"));
        };
        // Where the form has a workflow, drafts and steps are pushed too.
        let unfinished = data.get("flowState").is_some_and(|state| plain(state) != FLOW_FINISHED);
        if self.finished_only && unfinished {
            return Ok(nothing);
        }
        let entry = data.get("entryId").map(plain).unwrap_or_default();
        // A form that nobody named is refused rather than dropped: the platform shows the failed push, and a contract
        // form that was forgotten here does not vanish in silence.
        let kind = self.kinds.get(&entry).ok_or_else(|| {
            unreadable("该表单没有在 kinds 中登记", "this form is not listed in `kinds`")
                .at("data.entryId")
                .value(&entry)
                .remedy("在连接设置的 kinds 中登记该表单。", "List the form in the connection's `kinds`.")
        })?;
        Ok(Decoded {
            documents: vec![Incoming { kind: kind.clone(), document: document(data, &body).into() }],
            ..nothing
        })
    }
}

/// The record with the push's own two members, which win over widgets of the same name.
fn document(data: &Map<String, Value>, body: &Value) -> Value {
    let mut document = data.clone();
    for name in ["op", "opTime"] {
        document.insert(name.to_owned(), body.get(name).cloned().unwrap_or(Value::Null));
    }
    Value::Object(document)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str =
        r#"{"op":"data_update","data":{"_id":"6564a1","flowState":1,"amount":12000},"opTime":1764561600000}"#;
    const AT: i64 = 1_764_561_600_000;

    fn source() -> Push {
        Push {
            secret: "jdy-secret".to_owned().into(),
            window_s: 600,
            kinds: BTreeMap::from([("form1".to_owned(), "contract".to_owned())]),
            ops: default_ops(),
            finished_only: true,
        }
    }

    fn signed() -> Inbound {
        Inbound {
            path: "/".into(),
            query: vec![("timestamp".into(), "1764561600".into()), ("nonce".into(), "nonce1".into())],
            headers: vec![
                (SIGNATURE.into(), "7fe540db8bc171cfdc6c814c6c96b03adf787f3c".into()),
                (DELIVER_ID.into(), "6564a1-1".into()),
            ],
            body: BODY.into(),
        }
    }

    #[test]
    fn signatures_bind_bytes_nonce_and_time() {
        assert_eq!(source().verify(&signed(), AT), Ok(()));
        let code = |request: &Inbound, now_ms| source().verify(request, now_ms).unwrap_err().code;
        assert_eq!(source().verify(&signed(), AT + 600_000), Ok(()));
        assert_eq!(code(&signed(), AT + 601_000), Code::SignatureExpired);
        assert_eq!(code(&signed(), AT - 601_000), Code::SignatureExpired);
        for change in [
            |request: &mut Inbound| request.body.push(b' '),
            |request: &mut Inbound| request.query[0].1 = "1764561601".into(),
            |request: &mut Inbound| request.query[1].1 = "nonce2".into(),
            |request: &mut Inbound| request.query.clear(),
            |request: &mut Inbound| request.headers.clear(),
            |request: &mut Inbound| request.headers[0].1.make_ascii_uppercase(),
            |request: &mut Inbound| request.headers[0].1.truncate(39),
        ] {
            let mut request = signed();
            change(&mut request);
            assert_eq!(code(&request, AT), Code::SignatureInvalid);
        }
    }

    #[test]
    fn swapped_headers_are_taken() {
        let mut swapped = signed();
        swapped.headers[0].0 = DELIVER_ID.into();
        swapped.headers[1].0 = SIGNATURE.into();
        assert_eq!(source().verify(&swapped, AT), Ok(()));
    }

    fn decode(body: &str) -> Result<Decoded, Fault> {
        source().decode(&Inbound { body: body.into(), ..Inbound::default() })
    }

    #[test]
    fn finished_records_of_known_forms_come_in() {
        let push = |op: &str, state: &str| {
            decode(&format!(
                r#"{{"op":"{op}","data":{{"_id":"a","entryId":"form1"{state},"amount":1.10}},"opTime":1764561600000}}"#
            ))
        };
        let taken = push("data_create", "").unwrap().documents;
        assert_eq!(taken[0].kind, "contract");
        assert_eq!(
            taken[0].document.text(),
            r#"{"_id":"a","entryId":"form1","amount":1.10,"op":"data_create","opTime":1764561600000}"#
        );
        for (op, state, count) in [
            ("data_update", r#","flowState":1"#, 1),
            ("data_recover", r#","flowState":"1""#, 1),
            ("data_update", r#","flowState":0"#, 0),
            ("data_update", r#","flowState":2"#, 0),
            ("data_remove", "", 0),
            ("form_update", "", 0),
        ] {
            assert_eq!(push(op, state).unwrap().documents.len(), count, "{op} {state}");
        }
        let unfinished = Push { finished_only: false, ..source() };
        let body = r#"{"op":"data_update","data":{"entryId":"form1","flowState":0}}"#;
        let request = Inbound { body: body.into(), ..Inbound::default() };
        assert_eq!(unfinished.decode(&request).unwrap().documents.len(), 1);
    }

    #[test]
    fn what_cannot_be_placed_is_refused() {
        for (body, field) in [
            ("{", None),
            ("[]", Some("op")),
            (r#"{"op":"data_create"}"#, Some("data")),
            (r#"{"op":"data_create","data":{"entryId":"other"}}"#, Some("data.entryId")),
            (r#"{"op":"data_create","data":{}}"#, Some("data.entryId")),
        ] {
            let fault = decode(body).unwrap_err();
            assert_eq!((fault.code, fault.field.as_deref()), (Code::BodyInvalid, field), "{body}");
        }
    }
}
