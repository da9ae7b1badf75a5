//! `wecom`: robots in WeCom (企业微信) groups, which people read. The protocol's facts and their sources are in
//! `README.md`.

pub mod kit;

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tongbao_connect::notice::{self, LANGUAGES, ON_UNKNOWN, Words, choice};
use tongbao_connect::robot::{FORMATS, Format, Posts, Robot, Wiring};
use tongbao_connect::rules::{Rule, said};
use tongbao_connect::settings::{ExposeSecret, SecretString};
use tongbao_connect::{Built, Connector, Context, Settings, settings};
use tongbao_model::diagnostic::Findings;
use tongbao_model::{Class, Code, Fault};

/// Most bytes of a text message and of a Markdown message.
const TEXT_BYTES: usize = 2_048;
const MARKDOWN_BYTES: usize = 4_096;
/// Robots count by the minute.
const SLOW: Duration = Duration::from_secs(60);

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "wecom",
    summary: ("企业微信群机器人：把通知发给人", "WeCom group robots: notices to people"),
    spec: WecomSettings::spec,
    documents: || vec![notice::document()],
    build,
};

settings! {
    /// Settings of a `wecom` connection.
    WecomSettings {
        /// Address of the platform: `https://qyapi.weixin.qq.com/`.
        base_url: url::Url => (required),
        /// The robot's key: what stands behind `key=` in its webhook address.
        key: SecretString => (required),
        /// How messages are written: `text` (2048 bytes at most) or `markdown` (4096).
        format: String => ("text".to_owned()),
        /// Language of messages: `zh`, `en` or `both`.
        language: String => ("zh".to_owned()),
        /// Messages a minute at most.
        per_minute: u32 => (20),
        /// What becomes of a message that may have been lost, for a robot cannot be asked: `send-again`, and it may come
        /// twice; or `park`, and it waits for a person.
        on_unknown: String => ("send-again".to_owned()),
        /// Time for one call, in milliseconds.
        timeout_ms: u64 => (10_000),
    }
}

/// What refusals mean, in order. 45009 and 93000 are certain, the others of the platform's general list.
const RULES: &[Rule] = &[
    said("busy", &["-1"], &[], Class::Unknown, Code::OutcomeUnknown),
    said("pace", &["45009"], &[], Class::Throttled(Some(SLOW)), Code::TargetThrottled),
    said("key", &["93000"], &[], Class::Unauthorized, Code::TargetUnauthorized),
    said("rest", &[], &[], Class::Rejected, Code::TargetRejected),
];

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = WecomSettings::read(settings, findings)?;
    let language = choice("language", &checked.language, LANGUAGES, settings, findings);
    let format = choice("format", &checked.format, FORMATS, settings, findings);
    let again = choice("on_unknown", &checked.on_unknown, ON_UNKNOWN, settings, findings);
    let wiring = Wiring {
        language: language?,
        per_minute: checked.per_minute,
        again: again?,
        timeout: Duration::from_millis(checked.timeout_ms),
    };
    let robot = Wecom { base: checked.base_url, key: checked.key, format: format? };
    Some(Built { target: Some(Arc::new(Posts::new(robot, context, wiring))), ..Built::default() })
}

struct Wecom {
    base: url::Url,
    key: SecretString,
    format: Format,
}

impl Robot for Wecom {
    const NAME: (&'static str, &'static str) = ("企业微信", "WeCom");
    const RULES: &'static [Rule] = RULES;

    fn address(&self, _: i64) -> Result<url::Url, Fault> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/cgi-bin/webhook/send", self.base.path().trim_end_matches('/')));
        url.query_pairs_mut().clear().append_pair("key", self.key.expose_secret());
        Ok(url)
    }

    fn message(&self, words: &Words) -> Value {
        match self.format {
            Format::Text => json!({"msgtype": "text", "text": {"content": words.fitted(TEXT_BYTES)}}),
            Format::Markdown => {
                json!({"msgtype": "markdown", "markdown": {"content": words.marked().fitted(MARKDOWN_BYTES)}})
            }
        }
    }

    fn slow(&self, code: &str) -> Option<Duration> {
        (code == "45009").then_some(SLOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_is_shadowed() {
        assert_eq!(tongbao_connect::rules::shadowed(RULES), []);
    }
}
