//! `dingtalk`: robots in DingTalk (钉钉) groups, which people read. The protocol's facts and their sources are in
//! `README.md`.

pub mod kit;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;
use tongbao_connect::notice::{self, LANGUAGES, ON_UNKNOWN, Words, choice};
use tongbao_connect::robot::{FORMATS, Format, Posts, Robot, Wiring};
use tongbao_connect::rules::{Rule, said};
use tongbao_connect::settings::{ExposeSecret, SecretString};
use tongbao_connect::{Built, Connector, Context, Settings, settings};
use tongbao_model::diagnostic::Findings;
use tongbao_model::{Class, Code, Fault};

/// What holds a title and a foot.
const BYTES_MIN: u32 = 256;

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "dingtalk",
    summary: ("钉钉群机器人：把通知发给人", "DingTalk group robots: notices to people"),
    spec: DingtalkSettings::spec,
    documents: || vec![notice::document()],
    build,
};

settings! {
    /// Settings of a `dingtalk` connection.
    DingtalkSettings {
        /// Address of the platform: `https://oapi.dingtalk.com/`.
        base_url: url::Url => (required),
        /// The robot's token: what stands behind `access_token=` in its webhook address.
        token: SecretString => (required),
        /// Secret of a robot that checks signatures (加签).
        secret: Option<SecretString> => (optional),
        /// Keyword of a robot that wants one in every message: it is put before the title.
        keyword: Option<String> => (optional),
        /// How messages are written: `text` or `markdown`.
        format: String => ("text".to_owned()),
        /// Most bytes of a message.
        bytes_max: u32 => (4_096),
        /// Language of messages: `zh`, `en` or `both`.
        language: String => ("zh".to_owned()),
        /// Messages a minute at most.
        per_minute: u32 => (20),
        /// Codes with which the platform asks for fewer messages.
        throttle_codes: Vec<String> => (vec!["130101".to_owned()]),
        /// How long the platform then takes none, in seconds.
        throttle_s: u64 => (600),
        /// What becomes of a message that may have been lost, for a robot cannot be asked: `send-again`, and it may come
        /// twice; or `park`, and it waits for a person.
        on_unknown: String => ("send-again".to_owned()),
        /// Time for one call, in milliseconds.
        timeout_ms: u64 => (10_000),
    }
}

/// What refusals mean, in order. 310000 is certain, and that its text says which of the robot's three checks it was; the
/// wording of the texts is not.
const RULES: &[Rule] = &[
    said("busy", &["-1"], &[], Class::Unknown, Code::OutcomeUnknown),
    said("sign", &["310000"], &["sign", "timestamp"], Class::Unauthorized, Code::TargetUnauthorized),
    said("keyword-or-address", &["310000"], &[], Class::Misconfigured, Code::TargetMisconfigured),
    said("token", &["300001"], &[], Class::Unauthorized, Code::TargetUnauthorized),
    said("rest", &[], &[], Class::Rejected, Code::TargetRejected),
];

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = DingtalkSettings::read(settings, findings)?;
    let language = choice("language", &checked.language, LANGUAGES, settings, findings);
    let format = choice("format", &checked.format, FORMATS, settings, findings);
    let again = choice("on_unknown", &checked.on_unknown, ON_UNKNOWN, settings, findings);
    if checked.bytes_max < BYTES_MIN {
        findings.error(
            "config-value",
            settings.node.get("bytes_max").map_or(settings.node.place, |node| node.place),
            format!("bytes_max 至少为 {BYTES_MIN}"),
            format!("`bytes_max` must be at least {BYTES_MIN}"),
        );
        return None;
    }
    let wiring = Wiring {
        language: language?,
        per_minute: checked.per_minute,
        again: again?,
        timeout: Duration::from_millis(checked.timeout_ms),
    };
    let robot = Dingtalk { format: format?, settings: checked };
    Some(Built { target: Some(Arc::new(Posts::new(robot, context, wiring))), ..Built::default() })
}

struct Dingtalk {
    format: Format,
    settings: DingtalkSettings,
}

/// `Base64(HMAC-SHA256(secret, timestamp + "\n" + secret))`; not yet encoded for an address.
fn sign(secret: &str, timestamp: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(timestamp.as_bytes());
    mac.update(b"\n");
    mac.update(secret.as_bytes());
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

impl Robot for Dingtalk {
    const NAME: (&'static str, &'static str) = ("钉钉", "DingTalk");
    const RULES: &'static [Rule] = RULES;

    fn address(&self, now_ms: i64) -> Result<url::Url, Fault> {
        let DingtalkSettings { base_url, token, secret, .. } = &self.settings;
        let mut url = base_url.clone();
        url.set_path(&format!("{}/robot/send", base_url.path().trim_end_matches('/')));
        url.query_pairs_mut().clear().append_pair("access_token", token.expose_secret());
        if let Some(secret) = secret {
            let timestamp = now_ms.to_string();
            let sign = sign(secret.expose_secret(), &timestamp).ok_or_else(|| {
                Fault::new(Code::Defect, "签名无法计算", "the signature cannot be computed").at("secret")
            })?;
            url.query_pairs_mut().append_pair("timestamp", &timestamp).append_pair("sign", &sign);
        }
        Ok(url)
    }

    fn message(&self, words: &Words) -> Value {
        let bytes_max = usize::try_from(self.settings.bytes_max).unwrap_or(usize::MAX);
        let mut words = words.clone();
        if let Some(keyword) = &self.settings.keyword {
            words.title = format!("{keyword} {}", words.title);
        }
        match self.format {
            Format::Text => json!({"msgtype": "text", "text": {"content": words.fitted(bytes_max)}}),
            Format::Markdown => {
                // A single line break is none in its Markdown.
                let text = words.marked().joined("\n\n", bytes_max);
                json!({"msgtype": "markdown", "markdown": {"title": words.title, "text": text}})
            }
        }
    }

    fn slow(&self, code: &str) -> Option<Duration> {
        let asked = self.settings.throttle_codes.iter().any(|known| known == code);
        asked.then(|| Duration::from_secs(self.settings.throttle_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_is_shadowed() {
        assert_eq!(tongbao_connect::rules::shadowed(RULES), []);
    }

    /// Computed with another tool.
    #[test]
    fn the_signature_of_a_known_secret() {
        assert_eq!(
            sign("SECabc123", "1764561600000").as_deref(),
            Some("8PTrQSCcuQTorALKpjzn14c5pxhXDP2UgPBXEtC8Pps=")
        );
    }
}
