//! Callbacks: `POST` of a form with one field, signed over headers and content.

use super::nonces::Nonces;
use super::sign::{CONTENT, sign};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;
use tongbao_connect::{Decoded, Inbound, Incoming, Source};
use tongbao_model::record::Time;
use tongbao_model::{Code, Fault};

const TIMESTAMP: &str = "x-fasc-timestamp";
const SIGNATURE: &str = "x-fasc-sign";
const NONCE: &str = "x-fasc-nonce";
const EVENT: &str = "x-fasc-event";
const APP_ID: &str = "x-fasc-app-id";

/// Longest nonce, by the vendor's table.
const NONCE_MAX: usize = 32;

/// Signed headers, as signed and as they come.
const SIGNED: [(&str, &str); 5] = [
    ("X-FASC-App-Id", APP_ID),
    ("X-FASC-Event", EVENT),
    ("X-FASC-Nonce", NONCE),
    ("X-FASC-Sign-Type", "x-fasc-sign-type"),
    ("X-FASC-Timestamp", TIMESTAMP),
];

/// Events that say something of a task's state.
const EVENTS: [&str; 8] = [
    "sign-task-start",
    "sign-task-signed",
    "sign-task-fill-rejected",
    "sign-task-sign-rejected",
    "sign-task-finished",
    "sign-task-canceled",
    "sign-task-expire",
    "sign-task-abolish",
];

/// Takes callbacks.
pub struct Callbacks {
    pub app_id: String,
    pub secret: SecretString,
    /// How far the signed time may be from ours, in milliseconds.
    pub window_ms: i64,
    pub nonces: Nonces,
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

/// The form's one field as it was written: text that the signature is over. Bytes that are no text are no content, and
/// neither is a form with another field or the same one twice, of which the signature would say nothing.
fn content(body: &[u8]) -> Option<String> {
    let mut fields = body.split(|byte| *byte == b'&');
    let (field, None) = (fields.next()?, fields.next()) else { return None };
    let (name, value) = field.split_at_checked(CONTENT.len())?;
    let value = value.strip_prefix(b"=").filter(|_| name == CONTENT.as_bytes())?;
    let spaced: Vec<u8> = value.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let text = percent_encoding::percent_decode(&spaced).decode_utf8().ok()?;
    Some(text.into_owned())
}

impl Source for Callbacks {
    fn verify(&self, request: &Inbound, now_ms: i64) -> Result<(), Fault> {
        let content = content(&request.body).ok_or_else(|| invalid(CONTENT))?;
        let mut pairs = vec![(CONTENT, content.as_str())];
        for (name, header) in SIGNED {
            let value = request.header(header).filter(|value| !value.is_empty());
            pairs.push((name, value.ok_or_else(|| invalid(header))?));
        }
        let value = |name: &str| request.header(name).unwrap_or_default();
        let (timestamp, given, nonce) = (value(TIMESTAMP), value(SIGNATURE), value(NONCE));
        let expected = sign(self.secret.expose_secret(), timestamp, &pairs);
        if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return Err(invalid(SIGNATURE));
        }
        if value(APP_ID) != self.app_id {
            return Err(invalid(APP_ID));
        }
        // Looked at last: only a signed time says anything.
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
        if nonce.len() > NONCE_MAX || !self.nonces.admit(nonce, given) {
            return Err(invalid(NONCE));
        }
        Ok(())
    }

    fn decode(&self, request: &Inbound) -> Result<Decoded, Fault> {
        let event = request.header(EVENT).filter(|event| !event.is_empty()).ok_or_else(|| {
            unreadable(EVENT, "请求头缺少 X-FASC-Event", "the header X-FASC-Event is missing")
        })?;
        let body: Option<Value> =
            content(&request.body).and_then(|content| serde_json::from_str(&content).ok());
        let body = body
            .filter(Value::is_object)
            .ok_or_else(|| unreadable(CONTENT, "bizContent 不是 JSON", "`bizContent` is no JSON"))?;
        // The platform looks for this word.
        let reply = Some(json!({"msg": "success"}));
        if !EVENTS.contains(&event) {
            return Ok(Decoded { documents: Vec::new(), hints: Vec::new(), reply });
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let task = text("signTaskId").ok_or_else(|| {
            unreadable("signTaskId", "bizContent 缺少 signTaskId", "`bizContent` has no `signTaskId`")
        })?;
        // Milliseconds as text; the signed time where the event names none of its own.
        let time = match body.get("eventTime") {
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) => text.clone(),
            _ => request.header(TIMESTAMP).unwrap_or_default().to_owned(),
        };
        let at = time.parse().ok().and_then(Time::in_china).ok_or_else(|| {
            unreadable("eventTime", "eventTime 不是毫秒数", "`eventTime` is no number of milliseconds")
        })?;
        let mut document = Map::new();
        for (name, value) in [("signTaskId", task), ("event", event), ("eventTime", &at.0)] {
            document.insert(name.to_owned(), Value::from(value));
        }
        for name in ["signTaskStatus", "transReferenceId"] {
            if let Some(value) = text(name) {
                document.insert(name.to_owned(), Value::from(value));
            }
        }
        let document = Value::Object(document).into();
        let documents = vec![Incoming { kind: "callback".to_owned(), document }];
        // An earlier claim that is not so yet may be by now.
        Ok(Decoded { documents, hints: vec![task.to_owned()], reply })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(event: &str, content: &str) -> Result<Decoded, Fault> {
        let source = Callbacks {
            app_id: "80001234".into(),
            secret: "fasc-secret-1".to_owned().into(),
            window_ms: 1000,
            nonces: Nonces::new(10),
        };
        let body = form_urlencoded::Serializer::new(String::new()).append_pair(CONTENT, content).finish();
        let headers = vec![(EVENT.into(), event.into()), (TIMESTAMP.into(), "1764561600789".into())];
        source.decode(&Inbound { headers, body: body.into(), ..Inbound::default() })
    }

    #[test]
    fn the_form_is_read_as_it_was_written() {
        assert_eq!(content(b"bizContent=%7B%22a%22%3A%22b+c%2Bd%22%7D").unwrap(), r#"{"a":"b c+d"}"#);
        for body in
            ["", "a=1", "bizContent", "bizContent=1&bizContent=2", "bizContent=1&a=2", "bizContents=1"]
        {
            assert_eq!(content(body.as_bytes()), None, "{body}");
        }
        assert_eq!(content(b"bizContent=%ff"), None);
    }

    #[test]
    fn what_is_said_of_a_task_comes_in() {
        let end = r#"{"eventTime":"1764561600000","signTaskId":"st-9","signTaskStatus":"task_finished","transReferenceId":"HT-7"}"#;
        let decoded = decode("sign-task-signed", end).unwrap();
        assert!(decoded.reply.unwrap().to_string().contains("success"));
        assert_eq!(
            decoded.documents[0].document.text(),
            r#"{"signTaskId":"st-9","event":"sign-task-signed","eventTime":"2025-12-01T12:00:00+08:00","signTaskStatus":"task_finished","transReferenceId":"HT-7"}"#
        );
        let bare = decode("sign-task-start", r#"{"signTaskId":"st-9"}"#).unwrap();
        assert_eq!(
            bare.documents[0].document.text(),
            r#"{"signTaskId":"st-9","event":"sign-task-start","eventTime":"2025-12-01T12:00:00.789+08:00"}"#
        );
        assert!(decode("user-authorize", r#"{"eventTime":"1"}"#).unwrap().documents.is_empty());
        for (event, content, field) in [
            ("", "{}", EVENT),
            ("sign-task-signed", "{", CONTENT),
            ("sign-task-signed", "[]", CONTENT),
            ("sign-task-signed", "{}", "signTaskId"),
            ("sign-task-signed", r#"{"signTaskId":"a","eventTime":"soon"}"#, "eventTime"),
        ] {
            let fault = decode(event, content).unwrap_err();
            assert_eq!((fault.code, fault.field.as_deref()), (Code::BodyInvalid, Some(field)), "{content}");
        }
    }
}
