//! What the conformance kit needs to know of `dingtalk`.

use super::RULES;
use tongbao_connect::kit::{Part, Profile, Refusals, example};
use tongbao_connect::robot::{REFUSAL, WRITES};
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "dingtalk",
    settings: "base_url: {url}\ntoken: { env: TOKEN }\nsecret: { env: SECRET }\ntimeout_ms: {timeout_ms}\n",
    secrets: &[("TOKEN", "dingtalk-sandbox-token"), ("SECRET", "SECdingtalk-sandbox")],
    pushes: Part::Lacks("只发不收", "sends only"),
    polls: Part::Lacks("只发不收", "sends only"),
    files: Part::Lacks("只发不收", "sends only"),
    masters: Part::Lacks("只发消息", "sends messages only"),
    writes: Part::Has(WRITES),
    session: Part::Lacks("token 是固定的，没有登录", "the token is fixed, there is no login"),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "send",
        body: REFUSAL,
        examples: &[
            example(200, "-1", "system busy", "unknown", Code::OutcomeUnknown),
            example(200, "310000", "sign not match", "unauthorized", Code::TargetUnauthorized),
            example(200, "310000", "invalid timestamp", "unauthorized", Code::TargetUnauthorized),
            example(200, "310000", "keywords not in content", "misconfigured", Code::TargetMisconfigured),
            example(
                200,
                "310000",
                "ip 192.0.2.7 not in whitelist",
                "misconfigured",
                Code::TargetMisconfigured,
            ),
            example(200, "300001", "token is not exist", "unauthorized", Code::TargetUnauthorized),
            example(200, "130101", "send too fast", "throttled", Code::TargetThrottled),
            example(200, "40008", "invalid message type", "rejected", Code::TargetRejected),
            example(302, "0", "", "misconfigured", Code::TargetMisconfigured),
            example(404, "0", "", "misconfigured", Code::TargetMisconfigured),
            example(500, "0", "", "unknown", Code::OutcomeUnknown),
        ],
    }),
    cannot: &[("amounts-read-back", "消息没有金额", "a message has no amount")],
};
