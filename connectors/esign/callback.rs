//! Callbacks: `POST` of JSON, signed over the time, the query's values and the raw body.

use super::sign;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;
use tongbao_connect::{Decoded, Inbound, Incoming, Source};
use tongbao_model::record::Time;
use tongbao_model::{Code, Fault};

const TIMESTAMP: &str = "x-tsign-open-timestamp";
const SIGNATURE: &str = "x-tsign-open-signature";

/// Events that say something of a flow's state: its end, and one signer's signature, which is spelled so.
const ACTIONS: [&str; 2] = ["SIGN_FLOW_COMPLETE", "SIGN_MISSON_COMPLETE"];

/// Takes callbacks.
pub struct Callbacks {
    pub secret: SecretString,
    /// How far the signed time may be from ours, in milliseconds.
    pub window_ms: i64,
}

fn invalid(what: &str) -> Fault {
    Fault::new(
        Code::SignatureInvalid,
        "签名与内容不符或缺失",
        "the signature is missing or does not fit the bytes",
    )
    .at(what)
}

fn unreadable(field: &str, zh: &str, en: &str) -> Fault {
    Fault::new(Code::BodyInvalid, zh, en).at(field)
}

impl Source for Callbacks {
    fn verify(&self, request: &Inbound, now_ms: i64) -> Result<(), Fault> {
        let timestamp = request.header(TIMESTAMP).ok_or_else(|| invalid(TIMESTAMP))?;
        let given = request.header(SIGNATURE).ok_or_else(|| invalid(SIGNATURE))?;
        let secret = self.secret.expose_secret();
        let expected = sign::callback(secret, timestamp, &request.query, &request.body);
        if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return Err(invalid(SIGNATURE));
        }
        // Looked at last: only a signed time says anything. What is repeated within the window is a repeat like any other.
        let signed: i64 = timestamp.parse().map_err(|_| invalid(TIMESTAMP))?;
        if now_ms.saturating_sub(signed).saturating_abs() > self.window_ms {
            let seconds = self.window_ms / 1000;
            return Err(Fault::new(
                Code::SignatureExpired,
                format!("签名时间与本机相差超过 {seconds} 秒"),
                format!("the signed time is more than {seconds} seconds from ours"),
            )
            .at(TIMESTAMP));
        }
        Ok(())
    }

    fn decode(&self, request: &Inbound) -> Result<Decoded, Fault> {
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|_| Fault::new(Code::BodyInvalid, "请求体不是 JSON", "the body is not JSON"))?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let action = text("action")
            .ok_or_else(|| unreadable("action", "请求体缺少 action", "the body has no `action`"))?;
        let reply = Some(json!({"code": "200", "msg": "success"}));
        if !ACTIONS.contains(&action) {
            return Ok(Decoded { documents: Vec::new(), hints: Vec::new(), reply });
        }
        let flow = text("signFlowId").ok_or_else(|| {
            unreadable("signFlowId", "请求体缺少 signFlowId", "the body has no `signFlowId`")
        })?;
        let at = body.get("timestamp").and_then(Value::as_i64).and_then(Time::in_china).ok_or_else(|| {
            unreadable("timestamp", "timestamp 不是毫秒数", "`timestamp` is no number of milliseconds")
        })?;
        let mut document = Map::new();
        for (name, value) in [("signFlowId", flow), ("action", action), ("timestamp", &at.0)] {
            document.insert(name.to_owned(), Value::from(value));
        }
        // Texts by the vendor's tables; a number is taken all the same.
        for name in ["signFlowStatus", "signFlowTitle", "customBizNum"] {
            let value = match body.get(name) {
                Some(Value::String(text)) if !text.is_empty() => Value::from(text.as_str()),
                Some(Value::Number(number)) => Value::from(number.to_string()),
                _ => continue,
            };
            document.insert(name.to_owned(), value);
        }
        let document = Value::Object(document).into();
        let documents = vec![Incoming { kind: "callback".to_owned(), document }];
        // An earlier claim that is not so yet may be by now.
        Ok(Decoded { documents, hints: vec![flow.to_owned()], reply })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &str) -> Result<Decoded, Fault> {
        let source = Callbacks { secret: "s3cr3t-app-key".to_owned().into(), window_ms: 1000 };
        source.decode(&Inbound { body: body.into(), ..Inbound::default() })
    }

    #[test]
    fn what_is_said_of_a_flow_comes_in() {
        let end = r#"{"action":"SIGN_FLOW_COMPLETE","timestamp":1764561600123,"signFlowId":"f-001","signFlowTitle":"销售合同-7","signFlowStatus":"2","statusDescription":"完成"}"#;
        let decoded = decode(end).unwrap();
        assert_eq!(decoded.reply.unwrap().to_string(), r#"{"code":"200","msg":"success"}"#);
        assert_eq!(
            decoded.documents[0].document.text(),
            r#"{"signFlowId":"f-001","action":"SIGN_FLOW_COMPLETE","timestamp":"2025-12-01T12:00:00.123+08:00","signFlowStatus":"2","signFlowTitle":"销售合同-7"}"#
        );
        let signer = r#"{"action":"SIGN_MISSON_COMPLETE","timestamp":1764561600000,"signFlowId":"f-001","signOrder":1,"signResult":2,"customBizNum":"HT-7"}"#;
        let document = &decode(signer).unwrap().documents[0].document;
        assert_eq!(
            document.text(),
            r#"{"signFlowId":"f-001","action":"SIGN_MISSON_COMPLETE","timestamp":"2025-12-01T12:00:00+08:00","customBizNum":"HT-7"}"#
        );
        assert!(decode(r#"{"action":"AUTH_FINISH"}"#).unwrap().documents.is_empty(), "not about a flow");
        for (body, field) in [
            ("{", None),
            ("[]", Some("action")),
            (r#"{"action":"SIGN_FLOW_COMPLETE"}"#, Some("signFlowId")),
            (r#"{"action":"SIGN_FLOW_COMPLETE","signFlowId":"f"}"#, Some("timestamp")),
            (r#"{"action":"SIGN_FLOW_COMPLETE","signFlowId":"f","timestamp":"x"}"#, Some("timestamp")),
            (
                r#"{"action":"SIGN_FLOW_COMPLETE","signFlowId":"f","timestamp":9223372036854775807}"#,
                Some("timestamp"),
            ),
        ] {
            let fault = decode(body).unwrap_err();
            assert_eq!((fault.code, fault.field.as_deref()), (Code::BodyInvalid, field), "{body}");
        }
    }
}
