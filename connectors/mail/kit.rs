//! What the conformance kit needs to know of `mail`.

use super::reply::RULES;
use tongbao_connect::kit::{Part, Profile, Refusals, Writes, example};
use tongbao_connect::robot::WRITES;
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "mail",
    settings: "server: '{address}'\nsecurity: none\nusername: tongbao@example.com\npassword: { env: PASSWORD }\n\
               from: 通宝 <tongbao@example.com>\nto: [a@example.com, b@example.com]\ntimeout_ms: {timeout_ms}\n",
    secrets: &[("PASSWORD", "mail-sandbox-password")],
    pushes: Part::Lacks("只发不收", "sends only"),
    polls: Part::Lacks("只发不收", "sends only"),
    files: Part::Lacks("只发不收", "sends only"),
    masters: Part::Lacks("只发消息", "sends messages only"),
    writes: Part::Has(Writes {
        writes: &["content"],
        repeats: Some((
            "邮件不能查询：可能丢失的会再发一次",
            "nobody can be asked about a mail: what may be lost is sent again",
        )),
        ..WRITES
    }),
    session: Part::Lacks("每封邮件单独连接和登录", "each mail has a connection and a login of its own"),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "content",
        body: "{code} {text}",
        examples: &[
            example(530, "5.7.0", "log in first", "unauthorized", Code::TargetUnauthorized),
            example(535, "5.7.8", "authentication failed", "unauthorized", Code::TargetUnauthorized),
            example(538, "5.7.11", "encryption required", "misconfigured", Code::TargetMisconfigured),
            example(454, "4.7.0", "login is not possible now", "unavailable", Code::TargetUnavailable),
            example(421, "4.7.0", "too many connections", "throttled", Code::TargetThrottled),
            example(421, "4.3.2", "going down", "unavailable", Code::TargetUnavailable),
            example(451, "4.7.1", "greylisted", "throttled", Code::TargetThrottled),
            example(432, "4.0.0", "later", "unavailable", Code::TargetUnavailable),
            example(502, "5.5.1", "no such command", "misconfigured", Code::TargetMisconfigured),
            example(554, "5.7.1", "taken for spam", "rejected", Code::TargetRejected),
        ],
    }),
    cannot: &[
        ("throttled-retry-after", "SMTP 没有 Retry-After", "SMTP has no Retry-After"),
        ("amounts-read-back", "消息没有金额", "a message has no amount"),
    ],
};
