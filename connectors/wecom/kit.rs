//! What the conformance kit needs to know of `wecom`.

use super::RULES;
use tongbao_connect::kit::{Part, Profile, Refusals, example};
use tongbao_connect::robot::{REFUSAL, WRITES};
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "wecom",
    settings: "base_url: {url}\nkey: { env: KEY }\ntimeout_ms: {timeout_ms}\n",
    secrets: &[("KEY", "wecom-sandbox-key")],
    pushes: Part::Lacks("只发不收", "sends only"),
    polls: Part::Lacks("只发不收", "sends only"),
    files: Part::Lacks("只发不收", "sends only"),
    masters: Part::Lacks("只发消息", "sends messages only"),
    writes: Part::Has(WRITES),
    session: Part::Lacks("key 是固定的，没有登录", "the key is fixed, there is no login"),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "send",
        body: REFUSAL,
        examples: &[
            example(200, "-1", "system busy", "unknown", Code::OutcomeUnknown),
            example(200, "45009", "api freq out of limit", "throttled", Code::TargetThrottled),
            example(200, "93000", "invalid webhook url", "unauthorized", Code::TargetUnauthorized),
            example(200, "40008", "invalid message type", "rejected", Code::TargetRejected),
            example(302, "0", "", "misconfigured", Code::TargetMisconfigured),
            example(404, "0", "", "misconfigured", Code::TargetMisconfigured),
            example(500, "0", "", "unknown", Code::OutcomeUnknown),
        ],
    }),
    cannot: &[("amounts-read-back", "消息没有金额", "a message has no amount")],
};
